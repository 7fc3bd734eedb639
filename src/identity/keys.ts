// An issuer → its keys: when they are asked for, and how long they last when nobody answers. Data is
// shared between requests, promises are not: one that another request owns may never settle.
import QuickLRU from "quick-lru";
import type { Issuer } from "../config/schema.ts";
import { Refusal } from "../failure.ts";
import type { Log } from "../logger.ts";
import {
  adopt,
  backOff,
  type Found,
  FRESH_MS,
  isAgeing,
  isFailing,
  isFresh,
  isKnown,
  isOutage,
  isUsable,
  type Kept,
  mayAsk,
  nothing,
  replace,
} from "./kept-keys.ts";
import { FETCH_TIMEOUT_MS, fetchKeyDocument } from "./key-endpoint.ts";
import {
  describeSkipped,
  importKeys,
  type KeyHint,
  type KeySet,
  type OfferedKeys,
  readKeyDocument,
} from "./key-set.ts";
import type { KeyShelf } from "./key-shelf.ts";

/** Longer than any attempt takes: one that has not come back by then never will. */
const WAIT_MS = FETCH_TIMEOUT_MS + 500;
/** How often a request looks whether another one's attempt has come back. */
const WAIT_STEP_MS = 20;
/** One wait for whoever is asking now, one for who came first after it was given up. */
const WAITS = 2;
const CLOCK_SKEW_MS = 60_000;
const ISSUERS_KEPT = 256;

/** Throws `identity_unavailable` when no usable keys can be had. `defer` outlives the request. */
export type Keys = (
  issuer: Issuer,
  hint: KeyHint,
  defer: (work: Promise<unknown>) => void,
) => Promise<OfferedKeys>;

export interface KeySource {
  readonly fetch: typeof fetch;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** At least 0, less than 1. */
  readonly random: () => number;
  readonly shelf: KeyShelf;
  readonly log: Log;
}

export function createKeys(source: KeySource): Keys {
  const inline = new WeakMap<Issuer, KeySet>();
  const remote = new QuickLRU<string, Kept>({ maxSize: ISSUERS_KEPT });

  async function inlineKeys(issuer: Issuer, { keys }: NonNullable<Issuer["jwks"]>) {
    const known = inline.get(issuer);
    if (known !== undefined) return known;
    const imported = await importKeys(keys);
    const [unusable] = imported.skipped;
    if (unusable !== undefined) {
      const detail = `${issuer.issuer}: jwks.${describeSkipped([unusable])}`;
      throw new Refusal("config_invalid", { detail });
    }
    inline.set(issuer, imported);
    return imported;
  }

  return async (issuer, hint, defer) => {
    const { jwks, jwks_uri } = issuer;
    if (jwks !== undefined) return await inlineKeys(issuer, jwks);
    // Of the config alone: nothing in a token chooses where keys are kept or looked for.
    // Entries of one issuer share them.
    const place = JSON.stringify([issuer.issuer, jwks_uri]);
    const kept = remote.get(place) ?? nothing();
    remote.set(place, kept);
    const question = { issuer, place, hint, defer, begunBefore: kept.begun, failed: null };
    switch (needOf(kept, question, source.now())) {
      case "beside":
        if (mayAsk(kept, source.now())) defer(renew(source, kept, question));
        break;
      case "first":
        await obtain(source, kept, question);
    }
    noteUnknown(kept, question, source.now());
    const keys = servable(kept, question, source.now());
    const newer = (algorithm: string) =>
      newerKeys(source, kept, { ...question, failed: { keys, algorithm } });
    return { ...keys, newer };
  };
}

/** Throws `identity_unavailable` when the provider may have newer keys, and does not answer. */
async function newerKeys(
  source: KeySource,
  kept: Kept,
  question: Question & { readonly failed: Failed },
): Promise<KeySet | null> {
  if (isDue(kept, question, source.now())) await obtain(source, kept, question);
  noteUnknown(kept, question, source.now());
  const keys = servable(kept, question, source.now());
  return keys === question.failed.keys ? null : keys;
}

/** Keys that did not sign a token, though its header may mean one of them. */
interface Failed {
  readonly keys: KeySet;
  readonly algorithm: string;
}

/** What one request wants to know. */
interface Question {
  readonly issuer: Issuer;
  /** Where the issuer's document is kept for other isolates. */
  readonly place: string;
  readonly hint: KeyHint;
  readonly defer: (work: Promise<unknown>) => void;
  /** How many attempts had begun when it came. */
  readonly begunBefore: number;
  /** Null before the signature has been tried. */
  readonly failed: Failed | null;
}

/** Whether the kept keys may have signed the token, for all that is known of it. */
function hasCandidate(kept: Pick<Kept, "keys">, { issuer, hint, failed }: Question): boolean {
  return isKnown(kept, hint, issuer) && kept.keys !== failed?.keys;
}

/** By what the token names, and never by its signature: of those there is no end. */
function nameOf({ hint: { kid, x5t, x5tS256 }, failed }: Question): string {
  return JSON.stringify([kid ?? [x5t, x5tS256], failed?.algorithm]);
}

function noteUnknown(kept: Kept, question: Question, now: number): void {
  const isUnknown = question.failed !== null || !hasCandidate(kept, question);
  if (wasAsked(kept, question) && isUnknown) kept.unknown.add(nameOf(question), now);
}

/** Whether newer keys are needed before the request can go on, beside it, or not at all. */
function needOf(kept: Kept, question: Question, now: number): "first" | "beside" | "none" {
  if (!isDue(kept, question, now)) return isAgeing(kept, now) ? "beside" : "none";
  const { issuer } = question;
  const bearable =
    isOutage(kept, now) && isUsable(kept, issuer, now) && hasCandidate(kept, question);
  // Whoever may ask waits for the answer, or a key withdrawn before the outage would pass once after it.
  return bearable && !mayAsk(kept, now) ? "none" : "first";
}

/** Too old, or without a key that the provider may have by now. */
function isDue(kept: Kept, question: Question, now: number): boolean {
  if (!isFresh(kept, now)) return true;
  const isNobodys = kept.unknown.has(nameOf(question), now) && !isFailing(kept);
  return !hasCandidate(kept, question) && !isNobodys && !wasAsked(kept, question);
}

/** The provider has answered an attempt that began after the request had come. */
function wasAsked({ answered }: Kept, { begunBefore }: Question): boolean {
  return answered > begunBefore;
}

/** Another request's attempt if there is one, and else an own one. Never throws. */
async function obtain(source: KeySource, kept: Kept, question: Question): Promise<void> {
  const due = (): boolean => isDue(kept, question, source.now());
  for (let waits = 0; waits < WAITS && due() && kept.asking; waits += 1) {
    await othersAttempt(source, kept);
  }
  const now = source.now();
  if (!due() || !mayAsk(kept, now)) return;
  // An endpoint that fails is spared by its pauses; one that answers, by a count of such questions.
  const isCounted = isFresh(kept, now) && !isFailing(kept);
  if (isCounted && !kept.unknown.mayAsk(now)) return;
  const attempt = renew(source, kept, question);
  // A client that leaves must not take the keys of the others with it.
  question.defer(attempt);
  await attempt;
}

/** Throws `identity_unavailable`. */
function servable(kept: Kept, question: Question, now: number): KeySet {
  const { issuer } = question;
  // A key that is unknown here may be one that the provider would have told us about.
  const untold = isFailing(kept) && !hasCandidate(kept, question);
  if (kept.keys !== null && !untold && isUsable(kept, issuer, now)) return kept.keys;
  const retryAfterSeconds = Math.max(1, Math.ceil((kept.retryAt - now) / 1_000));
  throw new Refusal("identity_unavailable", { detail: issuer.issuer, retryAfterSeconds });
}

/** Until the attempt under way has come back, or is taken for dead. */
async function othersAttempt({ sleep }: KeySource, kept: Kept): Promise<void> {
  const attempt = kept.begun;
  const pending = (): boolean => kept.asking && kept.begun === attempt;
  for (let waited = 0; pending() && waited < WAIT_MS; waited += WAIT_STEP_MS) {
    await sleep(WAIT_STEP_MS);
  }
  if (pending()) kept.asking = false;
}

/** One attempt at newer keys: the shelf's, or else the provider's. Never throws. */
async function renew(source: KeySource, kept: Kept, question: Question): Promise<void> {
  const { issuer, place, hint, defer } = question;
  kept.begun += 1;
  const attempt = kept.begun;
  kept.attemptedAt = source.now();
  kept.asking = true;
  let shelved: Found | null = null;
  try {
    // Whether the keys of another isolate signed the token is not known here: the provider is asked.
    shelved = question.failed === null ? await readShelf(source, kept, question) : null;
    if (shelved !== null && !isAgeing(shelved, source.now()) && isKnown(shelved, hint, issuer)) {
      replace(kept, shelved);
      tellSkipped(source, kept, issuer, shelved.keys);
      return;
    }
    const fetchedAt = source.now();
    const bytes = await fetchKeyDocument(source.fetch, issuer.jwks_uri ?? "");
    const keys = await readKeyDocument(bytes);
    replace(kept, { keys, fetchedAt });
    tellSkipped(source, kept, issuer, keys);
    kept.answered = Math.max(kept.answered, attempt);
    const document = new TextDecoder().decode(bytes);
    const keepSeconds = Math.max(FRESH_MS / 1_000, issuer.max_stale_minutes * 60);
    defer(source.shelf.write(place, { fetchedAt, document }, keepSeconds));
  } catch (error) {
    if (shelved !== null) adopt(kept, shelved);
    // Of an attempt that was given up, the one after it tells how the provider is.
    if (kept.begun === attempt) backOff(kept, source.now(), source.random());
    source.log("warn", "identity_keys_unavailable", {
      issuer: issuer.issuer,
      failures: kept.failures,
      detail: error instanceof Error ? error.message : "unknown",
    });
  } finally {
    if (kept.begun === attempt) kept.asking = false;
  }
}

/** Once per document, and not with every renewal of the same one. */
function tellSkipped({ log }: KeySource, kept: Kept, issuer: Issuer, { skipped }: KeySet): void {
  const detail = describeSkipped(skipped);
  if (detail !== "" && detail !== kept.toldSkipped) {
    const count = skipped.length;
    log("warn", "identity_keys_skipped", { issuer: issuer.issuer, skipped: count, detail });
  }
  kept.toldSkipped = detail;
}

/** What another isolate had from the provider, when it is newer than what this one has. */
async function readShelf(
  { shelf, now }: KeySource,
  kept: Kept,
  { place }: Question,
): Promise<Found | null> {
  const shelved = await shelf.read(place);
  if (shelved === null || shelved.fetchedAt <= kept.fetchedAt) return null;
  if (shelved.fetchedAt > now() + CLOCK_SKEW_MS) return null;
  try {
    const bytes = new TextEncoder().encode(shelved.document);
    const keys = await readKeyDocument(bytes);
    // From a clock that is ahead: taken as it is, it would count as newer than the provider's next answer.
    return { keys, fetchedAt: Math.min(shelved.fetchedAt, now()) };
  } catch {
    return null;
  }
}
