// How an upstream is doing, as far as one isolate knows: a circuit breaker, and a budget for retries.
// Numbers only: a promise must not be shared between requests, so whoever probes, probes for itself.
import QuickLRU from "quick-lru";
import { Refusal } from "../failure.ts";

/** So many failures one after the other, or more than such a share of so many in the window, open the breaker. */
const FAILURES_IN_ROW = 5;
const WINDOW_SECONDS = 10;
const FEWEST = 20;
const SHARE = 0.5;
/** Then the upstream is left alone, but for one probe each time this has passed. */
const OPEN_MS = 5_000;

/** Retries that may be in hand, and what a first attempt adds: in an outage 10 % more cancels, no more. */
const BUDGET = { most: 10, perAttempt: 0.1 } as const;

const UPSTREAMS_KEPT = 1_000;

export interface Health {
  /**
   * Before a request for that tenant. Throws `overloaded` while the upstream is left alone; otherwise
   * says whom to tell what came of it.
   */
  admit(tenant: string): (succeeded: boolean) => void;
  /** A first attempt is being made. */
  attempted(): void;
  /** Takes a retry from the budget; false when there is none. */
  mayRetry(): boolean;
}

interface Second {
  /** Seconds since the epoch. */
  readonly at: number;
  all: number;
  failed: number;
  /** Two at most of those who asked, and of those whose requests failed: it matters only whether it is one. */
  readonly tenants: Set<string>;
  readonly failing: Set<string>;
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

export function createHealth(now: () => number): Health {
  let inRow = 0;
  let seconds: Second[] = [];
  /** Null: closed. Otherwise the time of the next probe. */
  let probeAt: number | null = null;
  /** Counts how often it has opened or closed: what was sent before that says nothing of how it is now. */
  let era = 0;
  let retries: number = BUDGET.most;

  function record(failed: boolean, tenant: string): void {
    const at = Math.floor(now() / 1_000);
    seconds = seconds.filter((second) => second.at > at - WINDOW_SECONDS);
    let last = seconds.at(-1);
    if (last?.at !== at) {
      last = { at, all: 0, failed: 0, tenants: new Set(), failing: new Set() };
      seconds.push(last);
    }
    last.all += 1;
    last.failed += failed ? 1 : 0;
    addUpToTwo(last.tenants, tenant);
    if (failed) addUpToTwo(last.failing, tenant);
    inRow = failed ? inRow + 1 : 0;
  }

  function isFailing(): boolean {
    const all = seconds.reduce((sum, second) => sum + second.all, 0);
    const failed = seconds.reduce((sum, second) => sum + second.failed, 0);
    const often = inRow >= FAILURES_IN_ROW || (all >= FEWEST && failed > all * SHARE);
    // One tenant's runs may be why: they must not close the upstream to others who are asking too.
    const asking = new Set(seconds.flatMap(({ tenants }) => [...tenants]));
    const failing = new Set(seconds.flatMap((second) => [...second.failing]));
    return often && (failing.size > 1 || asking.size === 1);
  }

  function turn(next: number | null): void {
    probeAt = next;
    era += 1;
    inRow = 0;
    seconds = [];
  }

  return {
    admit: (tenant) => {
      const asked = era;
      if (probeAt === null) {
        return (succeeded) => {
          if (asked !== era) return;
          record(!succeeded, tenant);
          if (!succeeded && isFailing()) turn(now() + OPEN_MS);
        };
      }
      if (now() < probeAt) throw leftAlone(probeAt - now());
      // A probe that hangs must not keep the next one waiting.
      probeAt = now() + OPEN_MS;
      return (succeeded) => {
        if (succeeded && asked === era) turn(null);
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

function addUpToTwo(names: Set<string>, name: string): void {
  if (names.size < 2) names.add(name);
}

function leftAlone(ms: number): Refusal {
  return new Refusal("overloaded", {
    detail: "the upstream is failing and is left alone",
    words: "The upstream is failing at the moment, so nothing was sent. Try again shortly.",
    retryAfterSeconds: Math.max(Math.ceil(ms / 1_000), 1),
    unsent: true,
  });
}
