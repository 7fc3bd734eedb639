// Cancels of one run that overlap (request coalescing): who waits for whose result. In memory only:
// when the object is evicted it is lost, and each cancels for itself.
import type { StopResult } from "../upstreams/stop.ts";

/** How long a click may be on its way, reading the run, and still find what came of the one before. */
const DONE_KEPT_MS = 30_000;
const DONE_KEPT = 1_000;

/** The one cancel of a run that goes upstream. */
export interface Leader {
  readonly id: string;
  /** Until then its result is waited for, in milliseconds since the epoch. */
  readonly until: number;
}

export interface Done {
  readonly leader: string;
  readonly result: StopResult;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

type Settle = (result: StopResult | null) => void;

export class Overlap {
  readonly #now: () => number;
  /** By the leader's id: those who wait for its result. */
  readonly #waiting = new Map<string, Set<Settle>>();
  /** By the follower's id, from when it was told whom to join until it does. */
  readonly #joining = new Map<string, Promise<StopResult | null>>();
  /** By run: what came of the last cancel. The oldest come first. */
  readonly #done = new Map<string, Done>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * What came of a cancel of the run that was not over yet when this one was asked for. What it read
   * of the run on its way here may be older than that.
   */
  doneSince(run: string, askedAt: number): Done | undefined {
    const done = this.#done.get(run);
    return done !== undefined && askedAt <= done.at ? done : undefined;
  }

  /** The follower will ask for this result. */
  give(follower: string, result: StopResult): void {
    this.#joining.set(follower, Promise.resolve(result));
  }

  /** Waits from now on: the leader may be done before the follower asks. */
  follow(follower: string, leader: Leader): void {
    this.#joining.set(follower, this.waitFor(leader));
  }

  /** What the follower was told to join. Null when its leader was lost, or when it was told nothing. */
  async resultFor(follower: string): Promise<StopResult | null> {
    const result = (await this.#joining.get(follower)) ?? null;
    this.forget(follower);
    return result;
  }

  forget(follower: string): void {
    this.#joining.delete(follower);
  }

  /** The leader's result; null when it was lost, or did not come in its time. */
  waitFor({ id, until }: Leader): Promise<StopResult | null> {
    return new Promise((resolve) => {
      const waiters = this.#waiting.get(id) ?? new Set();
      const settle: Settle = (result) => {
        clearTimeout(timer);
        waiters.delete(settle);
        resolve(result);
      };
      const timer = setTimeout(() => settle(null), until - this.#now() + 1);
      waiters.add(settle);
      this.#waiting.set(id, waiters);
    });
  }

  /**
   * Gives the result to those who wait, and keeps it for those who are still on their way. A failure
   * is not kept: who presses Stop once more deserves another try.
   */
  share(leader: string, run: string, result: StopResult): void {
    const at = this.#now();
    this.#done.delete(run);
    if ("run" in result) this.#done.set(run, { leader, result, at });
    for (const [name, done] of this.#done) {
      if (done.at >= at - DONE_KEPT_MS && this.#done.size <= DONE_KEPT) break;
      this.#done.delete(name);
    }
    this.release(leader, result);
  }

  /** Null: the leader is lost, and those who wait look for another. */
  release(leader: string, result: StopResult | null): void {
    const waiters = this.#waiting.get(leader) ?? [];
    this.#waiting.delete(leader);
    for (const settle of [...waiters]) settle(result);
  }
}
