// How an upstream is doing, as far as one isolate knows: circuit breakers, and a budget for retries.
// Numbers only: a promise must not be shared between requests, so whoever probes, probes for itself.
import QuickLRU from "quick-lru";
import { Refusal } from "../failure.ts";

/** So many failures one after the other, or more than such a share of so many in the window, open a breaker. */
const FAILURES_IN_ROW = 5;
const WINDOW_SECONDS = 10;
const FEWEST = 20;
const SHARE = 0.5;
/** Then the upstream is left alone, but for one probe each time this has passed. */
const OPEN_MS = 5_000;

/** Retries that may be in hand, and what a first attempt adds: in an outage 10 % more cancels, no more. */
const BUDGET = { most: 10, perAttempt: 0.1 } as const;

const UPSTREAMS_KEPT = 1_000;
const TENANTS_KEPT = 1_000;

/** Null: the request had too little time to say anything of the upstream. */
type Report = (succeeded: boolean | null) => void;

export interface Health {
  /**
   * Before a request for that tenant. Throws `overloaded` while the upstream is left alone; otherwise
   * returns what has to be called with what came of it.
   */
  admit(tenant: string): Report;
  /** A first attempt is being made. */
  attempted(): void;
  /** Takes a retry from the budget; false when there is none. */
  mayRetry(): boolean;
}

/** One upstream's, by its base URL. `now`: milliseconds since the epoch. */
export function createHealths(now: () => number): (baseUrl: string) => Health {
  const known = new QuickLRU<string, Health>({ maxSize: UPSTREAMS_KEPT });
  return (baseUrl) => {
    const health = known.get(baseUrl) ?? createHealth(now);
    known.set(baseUrl, health);
    return health;
  };
}

/**
 * A tenant's failures may be its own runs' doing, and are counted for it alone; those of several tenants in
 * a row, with no success between, are the upstream's.
 */
export function createHealth(now: () => number): Health {
  const whole = createBreaker(now, 2);
  const tenants = new QuickLRU<string, Breaker>({ maxSize: TENANTS_KEPT });
  let retries: number = BUDGET.most;

  return {
    admit: (tenant) => {
      const own = tenants.get(tenant) ?? createBreaker(now, 1);
      tenants.set(tenant, own);
      const closedMs = Math.max(own.closedMs(), whole.closedMs());
      if (closedMs > 0) throw leftAlone(closedMs);
      const reports = [own.begin(tenant), whole.begin(tenant)];
      return (succeeded) => {
        for (const report of reports) report(succeeded);
      };
    },
    attempted: () => {
      retries = Math.min(retries + BUDGET.perAttempt, BUDGET.most);
    },
    mayRetry: () => {
      if (retries < 1) return false;
      retries -= 1;
      return true;
    },
  };
}

interface Breaker {
  /** For how long nothing is let through; 0: now it is. */
  closedMs(): number;
  /** A request is let through: what has to be called with what came of it. */
  begin(tenant: string): Report;
}

interface Second {
  /** Seconds since the epoch. */
  readonly at: number;
  all: number;
  failed: number;
}

/** `least`: of so many tenants the failures have to be. Where it is one, their share counts as well. */
function createBreaker(now: () => number, least: 1 | 2): Breaker {
  let inRow = 0;
  /** Of the failures in a row; no more than matter. */
  const failing = new Set<string>();
  let seconds: Second[] = [];
  /** Null: all are let through. Otherwise the time of the next probe. */
  let probeAt: number | null = null;
  /** Counts how often it has opened or closed: what was sent before that says nothing of how it is now. */
  let era = 0;

  function record(failed: boolean, tenant: string): void {
    const at = Math.floor(now() / 1_000);
    seconds = seconds.filter((second) => second.at > at - WINDOW_SECONDS);
    let last = seconds.at(-1);
    if (last?.at !== at) {
      last = { at, all: 0, failed: 0 };
      seconds.push(last);
    }
    last.all += 1;
    last.failed += failed ? 1 : 0;
    inRow = failed ? inRow + 1 : 0;
    if (!failed) failing.clear();
    else if (failing.size < least) failing.add(tenant);
  }

  function isFailing(): boolean {
    if (inRow >= FAILURES_IN_ROW && failing.size >= least) return true;
    const all = seconds.reduce((sum, second) => sum + second.all, 0);
    const failed = seconds.reduce((sum, second) => sum + second.failed, 0);
    return least === 1 && all >= FEWEST && failed > all * SHARE;
  }

  function turn(next: number | null): void {
    probeAt = next;
    era += 1;
    inRow = 0;
    failing.clear();
    seconds = [];
  }

  return {
    closedMs: () => (probeAt === null ? 0 : Math.max(probeAt - now(), 0)),
    begin: (tenant) => {
      const asked = era;
      const isProbe = probeAt !== null;
      // A probe that hangs must not keep the next one waiting.
      if (isProbe) probeAt = now() + OPEN_MS;
      return (succeeded) => {
        if (asked !== era) return;
        if (isProbe && succeeded === true) turn(null);
        // It was no probe after all: the next request is one.
        if (isProbe && succeeded === null) probeAt = now();
        if (isProbe || succeeded === null) return;
        record(!succeeded, tenant);
        if (!succeeded && isFailing()) turn(now() + OPEN_MS);
      };
    },
  };
}

function leftAlone(ms: number): Refusal {
  return new Refusal("overloaded", {
    detail: "the upstream is failing and is left alone",
    words: "The upstream is failing at the moment, so nothing was sent. Try again shortly.",
    retryAfterSeconds: Math.max(Math.ceil(ms / 1_000), 1),
    unsent: true,
  });
}
