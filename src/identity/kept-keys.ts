// What an isolate knows of one issuer's keys, and what that allows at a given time. Data only: no I/O, no
// clock, and nothing that waits.
import type { Issuer } from "../config/schema.ts";
import { hasKeyFor, type KeyHint, type KeySet } from "./key-set.ts";
import { createUnknownKids, type UnknownKids } from "./unknown-kids.ts";

/** A key that its provider withdraws is refused after this long at the latest. */
export const FRESH_MS = 5 * 60_000;
/** So long before their end, keys are renewed beside the request rather than before it. */
const AHEAD_MS = 60_000;
/** An outage this recent is taken for the same one: nobody waits for the next attempt. */
const OUTAGE_MS = 60_000;
const BACKOFF_MS = { first: 1_000, most: 30_000 };
const NEVER = Number.NEGATIVE_INFINITY;

/** What is known of one issuer's keys. Replaced whole on success, never added to. */
export interface Kept {
  keys: KeySet | null;
  /** When the provider was asked for them. */
  fetchedAt: number;
  attemptedAt: number;
  /** How many attempts have begun, which of them the provider answered last, how many failed since. */
  begun: number;
  answered: number;
  failures: number;
  /** An attempt is under way, in whichever request began it. */
  asking: boolean;
  retryAt: number;
  /** What was last said in the log of keys that are skipped. */
  toldSkipped: string;
  readonly unknown: UnknownKids;
}

export interface Found {
  readonly keys: KeySet;
  readonly fetchedAt: number;
}

export function nothing(): Kept {
  return {
    keys: null,
    fetchedAt: NEVER,
    attemptedAt: NEVER,
    begun: 0,
    answered: 0,
    failures: 0,
    asking: false,
    retryAt: NEVER,
    toldSkipped: "",
    unknown: createUnknownKids(),
  };
}

export function isKnown(
  { keys }: Pick<Kept, "keys">,
  hint: KeyHint,
  { allow_missing_kid }: Issuer,
): boolean {
  return keys !== null && hasKeyFor(keys, hint, allow_missing_kid);
}

export function isFresh({ fetchedAt }: Kept, now: number): boolean {
  return now - fetchedAt <= FRESH_MS;
}

export function isAgeing({ fetchedAt }: Pick<Kept, "fetchedAt">, now: number): boolean {
  return now - fetchedAt > FRESH_MS - AHEAD_MS;
}

/** Old keys outlive a provider that does not give new ones, within the issuer's own bound. */
export function isUsable({ fetchedAt }: Kept, { max_stale_minutes }: Issuer, now: number): boolean {
  return now - fetchedAt <= Math.max(FRESH_MS, max_stale_minutes * 60_000);
}

export function isFailing({ failures }: Kept): boolean {
  return failures > 0;
}

export function isOutage(kept: Kept, now: number): boolean {
  return isFailing(kept) && now - kept.attemptedAt <= OUTAGE_MS;
}

export function mayAsk({ asking, retryAt }: Kept, now: number): boolean {
  return !asking && now >= retryAt;
}

/** After a good answer, whosever it was. */
export function replace(kept: Kept, found: Found): void {
  adopt(kept, found);
  kept.failures = 0;
  kept.unknown.clear();
}

/** The whole set, unless it is out of date: a key that is no longer published is a key no longer. */
export function adopt(kept: Kept, { keys, fetchedAt }: Found): void {
  if (fetchedAt < kept.fetchedAt) return;
  kept.keys = keys;
  kept.fetchedAt = fetchedAt;
}

/** Doubling, with jitter: isolates that lost the provider together do not come back together. */
export function backOff(kept: Kept, now: number, random: number): void {
  const { first, most } = BACKOFF_MS;
  const longest = Math.min(most, first * 2 ** kept.failures);
  kept.failures += 1;
  kept.retryAt = now + longest * (0.5 + random / 2);
}
