// How an isolate treats an upstream that fails: the breaker and the budget, by a clock that is told.
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { asRefusal } from "../../src/failure.ts";
import { createHealth, createHealths } from "../../src/upstreams/health.ts";

function clocked() {
  let nowMs = 1_795_372_200_000;
  const health = createHealth(() => nowMs);
  return {
    health,
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** One request and what comes of it; false when it was not let through. */
    ask: (succeeds: boolean): boolean => {
      try {
        health.admit("acme")(succeeds);
        return true;
      } catch (error) {
        expect(asRefusal(error)).toMatchObject({ reason: "overloaded", unsent: true });
        return false;
      }
    },
  };
}

const five = [1, 2, 3, 4, 5];

describe("the breaker", () => {
  it("opens on the fifth failure in a row, and not before", () => {
    const { ask } = clocked();
    expect(five.map(() => ask(false))).toEqual([true, true, true, true, true]);
    expect(ask(true)).toBe(false);
  });

  it("begins to count anew after a success", () => {
    const { ask } = clocked();
    for (const _ of [1, 2, 3]) {
      for (const _ of [1, 2, 3, 4]) ask(false);
      ask(true);
    }
    expect(ask(true)).toBe(true);
  });

  it("opens when more than half of twenty in ten seconds fail, though few in a row do", () => {
    const { ask } = clocked();
    for (let pair = 0; pair < 9; pair += 1) {
      expect([ask(true), ask(false)]).toEqual([true, true]);
    }
    expect([ask(true), ask(false), ask(true), ask(false)]).toEqual([true, true, true, true]);
    expect([ask(false), ask(true)]).toEqual([true, false]);
  });

  it("does not open when they are fewer than half, or longer ago than ten seconds", () => {
    const few = clocked();
    for (let round = 0; round < 30; round += 1) {
      for (const succeeds of [true, true, false]) expect(few.ask(succeeds)).toBe(true);
    }
    const slow = clocked();
    for (let pair = 0; pair < 30; pair += 1) {
      expect([slow.ask(true), slow.ask(false)]).toEqual([true, true]);
      slow.pass(1_200);
    }
  });

  it("lets one probe through after five seconds, and all when that succeeds", () => {
    const { ask, pass } = clocked();
    for (const _ of five) ask(false);
    pass(4_999);
    expect(ask(true)).toBe(false);
    pass(1);
    expect(ask(true)).toBe(true);
    expect(five.map(() => ask(true))).toEqual([true, true, true, true, true]);
  });

  it("stays open when the probe fails, and lets the next one through five seconds later", () => {
    const { ask, pass } = clocked();
    for (const _ of five) ask(false);
    pass(5_000);
    expect([ask(false), ask(true)]).toEqual([true, false]);
    pass(5_000);
    expect([ask(true), ask(true)]).toEqual([true, true]);
  });

  it("is not held up by a probe that hangs", () => {
    const { health, ask, pass } = clocked();
    for (const _ of five) ask(false);
    pass(5_000);
    const report = health.admit("acme");
    expect(ask(true)).toBe(false);
    pass(5_000);
    expect(ask(true)).toBe(true);
    report(false);
    expect(ask(true)).toBe(true);
  });

  it("takes the next request for its probe when one had too little time to be one", () => {
    const { health, ask, pass } = clocked();
    for (const _ of five) ask(false);
    pass(5_000);
    const report = health.admit("acme");
    expect(ask(true)).toBe(false);
    report(null);
    expect(ask(true)).toBe(true);
    expect(five.map(() => ask(true))).toEqual([true, true, true, true, true]);
  });

  it("counts a request that had too little time neither as a failure nor as a success", () => {
    const { health, ask } = clocked();
    for (const _ of [1, 2, 3, 4]) ask(false);
    for (const _ of five) health.admit("acme")(null);
    expect([ask(false), ask(true)]).toEqual([true, false]);
  });

  it("learns nothing from requests that were sent before it opened", () => {
    const { health, ask } = clocked();
    const early = health.admit("acme");
    for (const _ of five) ask(false);
    early(true);
    expect(ask(true)).toBe(false);
  });

  it("says when to come back, in whole seconds", () => {
    const { health, ask, pass } = clocked();
    for (const _ of five) ask(false);
    pass(1_500);
    try {
      health.admit("acme");
      expect.unreachable();
    } catch (error) {
      expect(asRefusal(error).retryAfterSeconds).toBe(4);
    }
  });

  it("learns nothing, once it has closed again, from what was sent before it opened", () => {
    const { health, ask, pass } = clocked();
    const early = Array.from({ length: 30 }, () => health.admit("acme"));
    for (const report of early.splice(0, 5)) report(false);
    expect(ask(true)).toBe(false);
    pass(5_000);
    expect(ask(true)).toBe(true);
    for (const report of early) report(false);
    expect([ask(true), ask(false)]).toEqual([true, true]);
    // Nor from its own window of before.
    for (const _ of [1, 2, 3, 4]) ask(true);
    expect(ask(false)).toBe(true);
    expect(ask(true)).toBe(true);
  });

  it("forgets its window when it closes", () => {
    const { ask, pass } = clocked();
    for (let pair = 0; pair < 10; pair += 1) expect([ask(true), ask(false)]).toEqual([true, true]);
    expect([ask(false), ask(true)]).toEqual([true, false]);
    pass(5_000);
    expect([ask(true), ask(false), ask(true)]).toEqual([true, true, true]);
  });

  it("is a tenant's own for its own failures, probes and all", () => {
    const { health, ask, pass } = clocked();
    const other = () => health.admit("globex");
    for (const _ of five) ask(false);
    expect(ask(true)).toBe(false);
    for (let second = 0; second < 30; second += 1) {
      // Whoever fails asks first, each time.
      ask(false);
      expect(other).not.toThrow();
      other()(true);
      pass(1_000);
    }
  });

  it("is the upstream's when several tenants fail one after the other, for all who ask", () => {
    const { health, ask, pass } = clocked();
    for (const tenant of ["a", "b", "a", "b"]) health.admit(tenant)(false);
    expect(ask(false)).toBe(true);
    for (const tenant of ["a", "b", "c"]) expect(() => health.admit(tenant)).toThrow("overloaded");
    pass(5_000);
    health.admit("c")(true);
    for (const tenant of ["a", "b", "c"]) expect(() => health.admit(tenant)).not.toThrow();
  });

  it("is not the upstream's while somebody succeeds between", () => {
    const { health } = clocked();
    for (let round = 0; round < 50; round += 1) {
      for (const tenant of ["a", "b", "c", "d"]) health.admit(`${tenant}${round}`)(false);
      health.admit("e")(true);
    }
    expect(() => health.admit("f")).not.toThrow();
  });

  it("of one upstream is not another's", () => {
    const healthOf = createHealths(() => 0);
    for (const _ of five) healthOf("https://a.test").admit("acme")(false);
    expect(() => healthOf("https://a.test").admit("acme")).toThrow("overloaded");
    expect(() => healthOf("https://b.test").admit("acme")).not.toThrow();
  });
});

describe("the budget", () => {
  it("has ten retries to begin with, and one more for every ten attempts", () => {
    const { health } = clocked();
    const retries = (): number => {
      let count = 0;
      while (health.mayRetry()) count += 1;
      return count;
    };
    expect(retries()).toBe(10);
    for (let attempt = 0; attempt < 31; attempt += 1) health.attempted();
    expect(retries()).toBe(3);
    for (let attempt = 0; attempt < 1_000; attempt += 1) health.attempted();
    expect(retries()).toBe(10);
  });

  test("never lets more through than a tenth and ten", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 500 }), (wishes) => {
        const { health } = clocked();
        let sent = 0;
        for (const retries of wishes) {
          health.attempted();
          sent += retries && health.mayRetry() ? 2 : 1;
        }
        expect(sent).toBeLessThanOrEqual(1.1 * wishes.length + 10);
      }),
    );
  });
});
