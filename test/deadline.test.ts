// One deadline over everything that a cancel does, from when it came in: the proof of whose run it is, the
// record, the cancel, the reads. The clock is the test's: what hangs takes all the time that it is given.
import { afterEach, describe, expect, it, vi } from "vitest";
import { ANN, createHarness, GUS, type Person } from "./support/harness.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** What is left for the answer itself, which takes no time by this clock. */
const ANSWER_MS = 500;

type Behaviour = number | "hangs";

/** `behaviour`: how long a request of that method takes, in milliseconds, before it is answered. */
async function timed(behaviour: { GET: readonly Behaviour[]; POST: Behaviour }) {
  let nowMs = Date.now();
  const given = new WeakMap<AbortSignal, number>();
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const controller = new AbortController();
    given.set(controller.signal, ms);
    return controller.signal;
  });
  const reads = [...behaviour.GET];
  const lines: string[] = [];
  const gateway = await createHarness({
    world: { now: () => nowMs, random: () => 0 },
    network: (simulator) => async (input, init) => {
      const { signal, ...rest } = init ?? {};
      const method = init?.method ?? "GET";
      if (String(input).includes("/simulator/")) return await simulator(input, rest);
      lines.push(method);
      const takes = method === "POST" ? behaviour.POST : (reads.shift() ?? 0);
      const limit = (signal && given.get(signal)) ?? 0;
      if (takes === "hangs" || takes > limit) {
        nowMs += limit;
        vi.spyOn(signal as AbortSignal, "aborted", "get").mockReturnValue(true);
        throw new DOMException("The operation timed out", "TimeoutError");
      }
      nowMs += takes;
      return await simulator(input, rest);
    },
  });
  return {
    lines,
    cancel: async (person: Person) => {
      const ids = person === ANN ? await gateway.startRun() : await gateway.startResponse();
      const token = await gateway.tokenFor(person);
      const startedAt = nowMs;
      const response = await gateway.cancel(ids, token);
      const body = (await response.json()) as { status?: string; error?: { code: string } };
      return { status: response.status, code: body.error?.code, ms: nowMs - startedAt };
    },
  };
}

describe("a cancel by proof of metadata", () => {
  it.each([
    ["everything hangs", { GET: ["hangs"], POST: "hangs" }, 504, "upstream_timeout", 4_000],
    ["the cancel hangs", { GET: [3_900], POST: "hangs" }, 200, undefined, 10_000],
    [
      "all but the proof hangs",
      { GET: [3_900, "hangs"], POST: "hangs" },
      504,
      "outcome_unknown",
      10_000,
    ],
    ["all is slow", { GET: [3_900, 1_700, 1_700], POST: 3_800 }, 200, undefined, 10_000],
  ] as const)("ends in time when %s", async (_, behaviour, status, code, most) => {
    const { cancel } = await timed(behaviour);
    const end = await cancel(ANN);
    expect(end).toMatchObject({ status, code });
    expect(end.ms).toBeLessThanOrEqual(most - (most === 10_000 ? ANSWER_MS : 0));
  });

  it("has 15 s on the Responses API, whose cancels wind down first", async () => {
    const { cancel, lines } = await timed({ GET: [3_900, "hangs"], POST: "hangs" });
    const end = await cancel(GUS);
    expect(end.code).toBe("outcome_unknown");
    expect(end.ms).toBeGreaterThan(10_000);
    expect(end.ms).toBeLessThanOrEqual(15_000);
    expect(lines).toEqual(["GET", "POST", "GET"]);
  });
});
