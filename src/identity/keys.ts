// An issuer → its keys: when they are asked for, and how long they last when nobody answers. Data is
// shared between requests, promises are not: one that another request owns may never settle.
import QuickLRU from "quick-lru";
import type { Issuer } from "../config/schema.ts";
import { Refusal } from "../failure.ts";
import type { Log } from "../logger.ts";
import { fetchKeyDocument } from "./key-endpoint.ts";
import { importKeys, type KeySet, readKeyDocument } from "./key-set.ts";
import type { KeyShelf } from "./key-shelf.ts";
import { createUnknownKids, type UnknownKids } from "./unknown-kids.ts";

/** A key that its provider withdraws is refused after this long at the latest. */
const FRESH_MS = 5 * 60_000;
/** So long before their end, keys are renewed beside the request rather than before it. */
const AHEAD_MS = 60_000;
/** An outage this recent is taken for the same one: nobody waits for the next attempt. */
const OUTAGE_MS = 60_000;
const BACKOFF_MS = { first: 1_000, most: 30_000 };
/** Longer than any attempt takes: who has not come back by then never will. */
const WAIT_MS = 2_500;
/** How often a request looks whether another one's attempt has come back. */
const WAIT_STEP_MS = 20;
/** One wait for whoever is asking now, one for who came first after it was given up. */
const WAITS = 2;
const CLOCK_SKEW_MS = 60_000;
const ISSUERS_KEPT = 256;
const NEVER = Number.NEGATIVE_INFINITY;

/** Throws `identity_unavailable` when no usable keys can be had. `defer` outlives the request. */
export type Keys = (
  issuer: Issuer,
  kid: string | undefined,
  defer: (work: Promise<unknown>) => void,
) => Promise<KeySet>;

export interface KeySource {
  readonly fetch: typeof fetch;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** At least 0, less than 1. */
  readonly random: () => number;
  readonly shelf: KeyShelf;
  readonly log: Log;
}

/** What is known of one issuer's keys. Replaced whole on success, never added to. */
interface Kept {
  keys: KeySet | null;
  /** When the provider gave them. */
  fetchedAt: number;
  attemptedAt: number;
  /** How many attempts have begun, which of them the provider answered last, how many failed since. */
  begun: number;
  answered: number;
  failures: number;
  /** An attempt is under way, in whichever request began it. */
  asking: boolean;
  retryAt: number;
  readonly unknown: UnknownKids;
}

export function createKeys(source: KeySource): Keys {
  const inline = new WeakMap<Issuer, KeySet>();
  const remote = new QuickLRU<string, Kept>({ maxSize: ISSUERS_KEPT });

  async function inlineKeys(issuer: Issuer, { keys }: NonNullable<Issuer["jwks"]>) {
    const known = inline.get(issuer);
    if (known !== undefined) return known;
    const imported = await importKeys(keys, issuer.algorithms).catch(() => {
      throw new Refusal("config_invalid", { detail: `${issuer.issuer}: a key of jwks is no key` });
    });
    inline.set(issuer, imported);
    return imported;
  }

  return async (issuer, kid, defer) => {
    const { jwks, jwks_uri } = issuer;
    if (jwks !== undefined) return await inlineKeys(issuer, jwks);
    // Of the config alone: nothing in a token chooses where keys are kept or looked for.
    const place = JSON.stringify([issuer.issuer, jwks_uri]);
    const id = JSON.stringify([place, issuer.algorithms]);
    const kept = remote.get(id) ?? nothing();
    remote.set(id, kept);
    const ask = (): Promise<void> => renew(source, kept, issuer, place, kid, defer);

    const { now } = source;
    const begunBefore = kept.begun;
    const answered = (): boolean => kept.answered > begunBefore;
    const isFailing = (): boolean => kept.failures > 0;
    const isWorthAsking = (): boolean =>
      !isKnown(kept, kid) && !answered() && (isFailing() || !kept.unknown.has(kid));
    const due = (): boolean => !isFresh(kept, now()) || isWorthAsking();

    if (!due()) {
      if (isAgeing(kept, now()) && mayAsk(kept, now())) defer(ask());
    } else if (isOutage(kept, now()) && isUsable(kept, issuer, now()) && isKnown(kept, kid)) {
      if (mayAsk(kept, now())) defer(ask());
    } else {
      for (let waits = 0; waits < WAITS && due() && kept.asking; waits += 1) {
        await othersAttempt(source, kept);
      }
      // An endpoint that fails is spared by its pauses; one that answers, by a count of such questions.
      const isCounted = (): boolean => isFresh(kept, now()) && !isFailing();
      if (due() && mayAsk(kept, now()) && (!isCounted() || kept.unknown.mayAsk(now()))) {
        const attempt = ask();
        // A client that leaves must not take the keys of the others with it.
        defer(attempt);
        await attempt;
      }
    }
    // A key that is unknown here may be one that the provider would have told us about.
    const untold = isFailing() && !isKnown(kept, kid);
    if (kept.keys === null || untold || !isUsable(kept, issuer, now())) {
      const retryAfterSeconds = Math.max(1, Math.ceil((kept.retryAt - now()) / 1_000));
      throw new Refusal("identity_unavailable", { detail: issuer.issuer, retryAfterSeconds });
    }
    return kept.keys;
  };
}

function nothing(): Kept {
  return {
    keys: null,
    fetchedAt: NEVER,
    attemptedAt: NEVER,
    begun: 0,
    answered: 0,
    failures: 0,
    asking: false,
    retryAt: NEVER,
    unknown: createUnknownKids(),
  };
}

function isKnown({ keys }: Pick<Kept, "keys">, kid: string | undefined): boolean {
  return keys !== null && (kid === undefined || keys.byKid.has(kid));
}

function isFresh({ fetchedAt }: Kept, now: number): boolean {
  return now - fetchedAt <= FRESH_MS;
}

function isAgeing({ fetchedAt }: Pick<Kept, "fetchedAt">, now: number): boolean {
  return now - fetchedAt > FRESH_MS - AHEAD_MS;
}

/** Old keys outlive a provider that does not give new ones, within the issuer's own bound. */
function isUsable({ fetchedAt }: Kept, { max_stale_minutes }: Issuer, now: number): boolean {
  return now - fetchedAt <= Math.max(FRESH_MS, max_stale_minutes * 60_000);
}

function isOutage({ failures, attemptedAt }: Kept, now: number): boolean {
  return failures > 0 && now - attemptedAt <= OUTAGE_MS;
}

function mayAsk({ asking, retryAt }: Kept, now: number): boolean {
  return !asking && now >= retryAt;
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
async function renew(
  source: KeySource,
  kept: Kept,
  issuer: Issuer,
  place: string,
  kid: string | undefined,
  defer: (work: Promise<unknown>) => void,
): Promise<void> {
  kept.begun += 1;
  const attempt = kept.begun;
  kept.attemptedAt = source.now();
  kept.asking = true;
  let shelved: Found | null = null;
  try {
    shelved = await readShelf(source, kept, issuer, place);
    if (shelved !== null && !isAgeing(shelved, source.now()) && isKnown(shelved, kid)) {
      replace(kept, shelved);
      return;
    }
    const bytes = await fetchKeyDocument(source.fetch, issuer.jwks_uri ?? "");
    const keys = await readKeyDocument(bytes, issuer.algorithms);
    const fetchedAt = source.now();
    replace(kept, { keys, fetchedAt });
    kept.answered = Math.max(kept.answered, attempt);
    if (kid !== undefined && !keys.byKid.has(kid)) kept.unknown.add(kid);
    const document = new TextDecoder().decode(bytes);
    const keepSeconds = Math.max(FRESH_MS / 1_000, issuer.max_stale_minutes * 60);
    defer(source.shelf.write(place, { fetchedAt, document }, keepSeconds));
  } catch (error) {
    if (shelved !== null && shelved.fetchedAt > kept.fetchedAt) {
      kept.keys = shelved.keys;
      kept.fetchedAt = shelved.fetchedAt;
    }
    backOff(source, kept);
    source.log("warn", "identity_keys_unavailable", {
      issuer: issuer.issuer,
      failures: kept.failures,
      detail: error instanceof Error ? error.message : "unknown",
    });
  } finally {
    if (kept.begun === attempt) kept.asking = false;
  }
}

interface Found {
  readonly keys: KeySet;
  readonly fetchedAt: number;
}

/** What another isolate had from the provider, when it is newer than what this one has. */
async function readShelf(
  { shelf, now }: KeySource,
  kept: Kept,
  issuer: Issuer,
  place: string,
): Promise<Found | null> {
  const shelved = await shelf.read(place);
  if (shelved === null || shelved.fetchedAt <= kept.fetchedAt) return null;
  if (shelved.fetchedAt > now() + CLOCK_SKEW_MS) return null;
  try {
    const bytes = new TextEncoder().encode(shelved.document);
    const keys = await readKeyDocument(bytes, issuer.algorithms);
    return { keys, fetchedAt: shelved.fetchedAt };
  } catch {
    return null;
  }
}

/** The whole set: a key that is no longer published is a key no longer. */
function replace(kept: Kept, { keys, fetchedAt }: Found): void {
  // An attempt that was given up must not undo a later one.
  if (fetchedAt < kept.fetchedAt) return;
  kept.keys = keys;
  kept.fetchedAt = fetchedAt;
  kept.failures = 0;
  kept.retryAt = NEVER;
  kept.unknown.clear();
}

/** Doubling, with jitter: isolates that lost the provider together do not come back together. */
function backOff({ now, random }: KeySource, kept: Kept): void {
  const { first, most } = BACKOFF_MS;
  const longest = Math.min(most, first * 2 ** kept.failures);
  kept.failures += 1;
  kept.retryAt = now() + longest * (0.5 + random() / 2);
}
