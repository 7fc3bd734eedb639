// Key ids that an issuer does not have: which were asked about, and whether another may be. Anybody can
// make one up, so each costs the provider next to nothing, and us no memory without end.
import QuickLRU from "quick-lru";

/** So many may be asked about at once, and one more after each pause: a rotation needs one. */
const BURST = 3;
const REFILL_MS = 30_000;
const KEPT = 256;

export interface UnknownKids {
  has(kid: string | undefined): boolean;
  add(kid: string | undefined): void;
  /** After every answer of the provider: what it did not have before, it may have now. */
  clear(): void;
  /** Takes one of the questions that are left, if any is. */
  mayAsk(now: number): boolean;
}

export function createUnknownKids(): UnknownKids {
  const kids = new QuickLRU<string, true>({ maxSize: KEPT });
  let left = BURST;
  let countedAt = Number.NEGATIVE_INFINITY;
  return {
    has: (kid) => kid !== undefined && kids.has(kid),
    add: (kid) => {
      if (kid !== undefined) kids.set(kid, true);
    },
    clear: () => kids.clear(),
    mayAsk: (now) => {
      const refilled = Math.max(0, Math.floor((now - countedAt) / REFILL_MS));
      left = Math.min(BURST, left + refilled);
      countedAt = left === BURST ? now : countedAt + refilled * REFILL_MS;
      if (left === 0) return false;
      left -= 1;
      return true;
    },
  };
}
