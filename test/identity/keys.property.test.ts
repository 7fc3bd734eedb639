// Any history of a provider, as two isolates of one place live through it: what they may answer, by
// what the provider could have told them.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createKey, type SigningKey } from "../../dev/issuer.ts";
import { createProvider, documentOf, type KeyAnswer, MINUTE, SECOND } from "../support/provider.ts";

/** The last one is never published. */
const KEYS = await Promise.all([1, 2, 3, 4].map(() => createKey("ES256")));
const [FIRST, ...OTHERS] = KEYS as [SigningKey, ...SigningKey[]];
const PUBLISHABLE = [FIRST, ...OTHERS.slice(0, -1)];

const BAD: Record<string, KeyAnswer> = {
  fails: () => new Response(null, { status: 500 }),
  "is out of reach": () => Promise.reject(new TypeError("Network connection lost.")),
  "has no keys": () => Response.json({ keys: [] }),
  "is a page": () => new Response("<html>"),
};

type Step =
  | { readonly wait: number }
  | { readonly publish: readonly SigningKey[] }
  | { readonly endpoint: string }
  | { readonly ask: number; readonly isolate: 0 | 1 };

const waits = [SECOND, 10 * SECOND, 31 * SECOND, MINUTE, 4.5 * MINUTE, 6 * MINUTE, 59 * MINUTE];
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ wait: fc.constantFrom(...waits) }) },
  {
    weight: 1,
    arbitrary: fc.record({ publish: fc.shuffledSubarray(PUBLISHABLE, { minLength: 1 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ endpoint: fc.constantFrom("is up", "is up", ...Object.keys(BAD)) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      ask: fc.nat({ max: KEYS.length - 1 }),
      isolate: fc.constantFrom<(0 | 1)[]>(0, 1),
    }),
  },
);

/** What the endpoint was from then on. */
interface Period {
  readonly from: number;
  readonly isUp: boolean;
  readonly published: readonly SigningKey[];
}

/** The periods that touch the time from `from` to `to`, both included. */
function within(history: readonly Period[], from: number, to: number): Period[] {
  return history.filter((period, index) => {
    const end = history[index + 1]?.from ?? Number.POSITIVE_INFINITY;
    return period.from <= to && end >= from;
  });
}

async function live(history: readonly Step[]): Promise<Record<200 | 401 | 503, number>> {
  const seen = { 200: 0, 401: 0, 503: 0 };
  const cache = caches.open(`history-${crypto.randomUUID()}`);
  const options = { bindings: { keyCache: () => cache } };
  const isolates = [await createProvider(FIRST, options), await createProvider(FIRST, options)];
  const states = isolates.map(({ state }) => state);
  let now = states[0]?.nowMs ?? 0;
  let current: Period = { from: Number.NEGATIVE_INFINITY, isUp: true, published: [FIRST] };
  const periods = [current];
  const change = (next: Partial<Period>, answer?: KeyAnswer): void => {
    current = { ...current, ...next, from: now };
    periods.push(current);
    const { published } = current;
    const up = () => Response.json(documentOf(...published));
    for (const state of states) state.answer = current.isUp ? up : (answer ?? state.answer);
  };
  for (const step of history) {
    if ("wait" in step) now += step.wait;
    else if ("publish" in step) change({ published: step.publish });
    else if ("endpoint" in step) change({ isUp: !(step.endpoint in BAD) }, BAD[step.endpoint]);
    for (const state of states) state.nowMs = now;
    if (!("ask" in step)) continue;
    const key = KEYS[step.ask] as SigningKey;
    const status = await isolates[step.isolate]?.statusBy(key);
    if (status !== 200 && status !== 401 && status !== 503) throw new Error(`status ${status}`);
    seen[status] += 1;
    const told = ({ isUp, published }: Period): boolean => isUp && published.includes(key);
    const last = (ms: number): Period[] => within(periods, now - ms, now);
    const upFor = (ms: number): boolean => last(ms).every(({ isUp }) => isUp);
    if (status === 200) {
      // Nobody passes by a key that the provider has not shown for an hour, nor, when it can be
      // asked, for five minutes and the one that an outage may still be felt.
      expect(last(60 * MINUTE).some(told)).toBe(true);
      if (upFor(6 * MINUTE)) expect(last(6 * MINUTE).some(told)).toBe(true);
    }
    // No key is unknown that has been there to be seen for half a minute.
    if (status === 401) expect(last(31 * SECOND).every(told)).toBe(false);
    // Nobody hears of an outage longer after it than the longest pause.
    if (status === 503) expect(upFor(30 * SECOND)).toBe(false);
  }
  return seen;
}

describe("the history of a provider", () => {
  it("is told truly by the isolates that live through it", { timeout: 120_000 }, async () => {
    const seen = { 200: 0, 401: 0, 503: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (history) => {
        const { 200: taken, 401: refused, 503: unavailable } = await live(history);
        seen[200] += taken;
        seen[401] += refused;
        seen[503] += unavailable;
      }),
      { numRuns: 100 },
    );
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(50);
  });
});
