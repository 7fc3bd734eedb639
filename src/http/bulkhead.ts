// How many requests one isolate works on at a time, in all and for one caller: more are told to come back,
// before any work is done for them.
import type { Context, MiddlewareHandler } from "hono";
import { Refusal } from "../failure.ts";
import type { Share } from "../policy/shares.ts";

/** Requests that are worked on at a time. One that waits for a run to end is not among them. */
const MOST_WORKING = 512;
/** Requests that wait for a run to end: each costs memory, and a read of its run now and then. */
const MOST_WAITING = 1_024;
const RETRY_AFTER_SECONDS = 1;
/**
 * No request takes so long: the runtime cuts off what still goes on 30 s after its client has left. What
 * was cut off gives nothing back by itself.
 */
const FORGOTTEN_MS = 60_000;

/** A request's place among those of its isolate. */
export interface Place {
  /**
   * Counts the request in these shares, and no longer in those before. Throws `rate_limited` when one of
   * them is used up.
   */
  hold(shares: readonly Share[]): void;
  /**
   * Gives the place to others while `work` only waits. Null, and `work` is not begun, when too many
   * requests wait, of all or of the tenant.
   */
  whileWaiting<T>(work: () => Promise<T>): Promise<T> | null;
}

interface Held {
  /** Milliseconds since the epoch. */
  readonly begunAt: number;
  /** What it is counted in; `ALL` is always among them. */
  shares: readonly Share[];
  /** Waits that it is in: the runs of a thread are waited for side by side. */
  waits: number;
}

interface Count {
  working: number;
  waiting: number;
}

/** All requests of the isolate. */
const ALL: Share = {
  kind: "isolate",
  name: "all",
  most: MOST_WORKING,
  mostWaiting: MOST_WAITING,
};
const NONE: Count = { working: 0, waiting: 0 };
const KEY = "place";

/** `now`: milliseconds since the epoch. */
export function bulkhead({ now }: { readonly now: () => number }): MiddlewareHandler {
  /** The oldest comes first. */
  const inFlight = new Set<Held>();
  const counts = new Map<string, Count>();
  const countOf = ({ name }: Share): Count => counts.get(name) ?? NONE;

  function add({ shares, waits }: Held, change: 1 | -1): void {
    for (const share of shares) {
      const { name } = share;
      const count = { ...countOf(share) };
      count[waits > 0 ? "waiting" : "working"] += change;
      if (count.working + count.waiting > 0) counts.set(name, count);
      else counts.delete(name);
    }
  }

  function enter(): Held {
    const held: Held = { begunAt: now(), shares: [ALL], waits: 0 };
    inFlight.add(held);
    add(held, 1);
    return held;
  }

  function leave(held: Held): void {
    if (inFlight.delete(held)) add(held, -1);
  }

  /** Runs `change` and counts the request as it is then. One that was forgotten is not counted again. */
  function changed(held: Held, change: () => void): void {
    if (inFlight.has(held)) add(held, -1);
    change();
    if (inFlight.has(held)) add(held, 1);
  }

  function forgetLost(): void {
    for (const held of inFlight) {
      if (now() - held.begunAt < FORGOTTEN_MS) break;
      leave(held);
    }
  }

  function isUsedUp(share: Share): boolean {
    const { working, waiting } = countOf(share);
    return working + (share.includesWaiting ? waiting : 0) >= share.most;
  }

  function mayWait(share: Share): boolean {
    return countOf(share).waiting < (share.mostWaiting ?? MOST_WAITING);
  }

  const placeOf = (held: Held): Place => ({
    hold: (shares) => {
      const isNew = ({ name }: Share): boolean => held.shares.every((share) => share.name !== name);
      const full = shares.find((share) => isNew(share) && isUsedUp(share));
      if (full !== undefined) {
        const detail = `${full.most} requests at once of one ${full.kind}`;
        throw new Refusal("rate_limited", { detail, retryAfterSeconds: RETRY_AFTER_SECONDS });
      }
      changed(held, () => {
        held.shares = [ALL, ...shares];
      });
    },
    whileWaiting: (work) => {
      if (held.waits === 0 && !held.shares.every(mayWait)) return null;
      changed(held, () => {
        held.waits += 1;
      });
      return work().finally(() =>
        changed(held, () => {
          held.waits -= 1;
        }),
      );
    },
  });

  return async function bulkhead(c, next) {
    forgetLost();
    if (isUsedUp(ALL)) {
      const detail = `${MOST_WORKING} requests in flight`;
      throw new Refusal("overloaded", { detail, retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    const held = enter();
    c.set(KEY, placeOf(held));
    try {
      await next();
    } finally {
      leave(held);
    }
  };
}

/** The place of a request that has come through `bulkhead`. */
export function placeIn(context: Context): Place {
  return context.get(KEY) as Place;
}
