// Identity providers as they are, by the front door, in workerd: the table of `identity.ts`.
import { describe, expect, it } from "vitest";
import { createHarness } from "../support/harness.ts";
import { CASES } from "./identity.ts";
import { configOf, createWorld, expectedOf, play } from "./identity-stage.ts";

const ORIGIN = "https://world.test";
const clock = { nowMs: 1_790_000_000_000 };

const world = createWorld(CASES);
const gateway = await createHarness({
  config: () => configOf(CASES, ORIGIN, "UPSTREAM_KEY_ACME"),
  world: { now: () => clock.nowMs },
  network: () => async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : String(input));
    const headers = new Headers(init?.headers);
    const answer = world.answer({
      path: `${url.pathname}${url.search}`,
      userAgent: headers.get("user-agent"),
      accept: headers.get("accept"),
    });
    if (answer.delayMs > 0) {
      const { promise: aborted, reject } = Promise.withResolvers<never>();
      init?.signal?.addEventListener("abort", () => reject(new Error("aborted")));
      await Promise.race([scheduler.wait(answer.delayMs), aborted]);
    }
    return Response.json(answer.body, { status: answer.status });
  },
});

const stage = {
  world,
  origin: ORIGIN,
  nowSeconds: () => clock.nowMs / 1_000,
  wait: async (seconds: number) => {
    clock.nowMs += seconds * 1_000;
  },
  ask: (path: string, token: string) =>
    gateway.request(path, { headers: { authorization: `Bearer ${token}` } }),
};

describe("the identity providers of the world", () => {
  it.each(CASES.map((one, index) => ({ ...one, one, index })))(
    "$row: $name → $status",
    async ({ one, index }) => {
      expect(await play(one, index, stage)).toEqual(expectedOf(one));
      if (one.fetches !== undefined) expect(world.fetchesOf(index)).toBe(one.fetches);
    },
  );

  it("stand in the table for every row of theirs", () => {
    const rows = new Set(CASES.map(({ row }) => row));
    expect([...rows]).toEqual([...Array.from({ length: 10 }, (_, at) => `I${at + 1}`), "D14"]);
  });
});
