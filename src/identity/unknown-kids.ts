// What tokens name, and no key of their issuer fits: what was asked about, and whether more may be. Anybody
// can make such a token, so each costs the provider next to nothing, and us no memory without end.
import QuickLRU from "quick-lru";

/** So many may be asked about at once, and one more after each pause: a rotation needs one. */
const BURST = 3;
const REFILL_MS = 30_000;
/**
 * How long an id counts as nobody's. A key may be used before it is published everywhere; as long as the
 * pause, so that one id that keeps coming leaves the burst to others.
 */
const NOBODYS_MS = REFILL_MS;
const KEPT = 256;

export interface UnknownKids {
  /** Whether the provider was asked about it a moment ago, and had none. */
  has(name: string, now: number): boolean;
  add(name: string, now: number): void;
  /** After every answer of the provider: what it did not have before, it may have now. */
  clear(): void;
  /** Takes one of the questions that are left, if any is. */
  mayAsk(now: number): boolean;
}

export function createUnknownKids(): UnknownKids {
  const askedAt = new QuickLRU<string, number>({ maxSize: KEPT });
  let left = BURST;
  let countedAt = Number.NEGATIVE_INFINITY;
  return {
    has: (name, now) => now - (askedAt.get(name) ?? Number.NEGATIVE_INFINITY) < NOBODYS_MS,
    add: (name, now) => {
      askedAt.set(name, now);
    },
    clear: () => askedAt.clear(),
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
