// An upstream that is down for ten thousand clicks: what it is sent in spite of that, how long anybody waits
// and how soon it is found to be back. By a clock of our own, ten clicks a second; `bench/outage.ts` does
// the same with real processes and real time.
import { afterEach, describe, expect, it, vi } from "vitest";
import { normaliseRun } from "../../src/runs/normalise.ts";
import { cancelUpstreamRun } from "../../src/upstreams/stop.ts";
import { bearer, type Upstream, USUAL } from "../../src/upstreams/upstream.ts";
import { json, plain } from "./replies/replies.ts";
import { CONNECTION_LOST, connectionTo, type Step, toolsWith } from "./support.ts";

const CLICKS = 10_000;
const DEADLINE_MS = 10_000;
const BETWEEN_MS = 100;
const TARGET = { threadId: "thread_1", runId: "run_1" };
const TAKEN = json(200, '{"id":"run_1","thread_id":"thread_1","status":"cancelling"}');

const ADAPTER: Upstream = {
  ...USUAL,
  kind: "test",
  options: {},
  credential: () => bearer,
  headers: () => ({}),
  forgetsCancel: false,
  deadlineMs: DEADLINE_MS,
  cancel: () => ({ method: "POST", path: ["cancel"] }),
  read: () => ({ method: "GET", path: ["run"] }),
  meaning: () => null,
  toRun: normaliseRun,
  threadOf: () => undefined,
  metadata: () => null,
};

afterEach(() => {
  vi.restoreAllMocks();
});

/** Each click by itself; a request that hangs takes all the time that it is given, and no real time. */
function outage(down: Step) {
  let step: Step = down;
  const sent = { POST: 0, GET: 0 };
  const given = new Map<AbortSignal, number>();
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const { signal } = new AbortController();
    given.set(signal, ms);
    return signal;
  });
  const connection = connectionTo(ADAPTER, "https://upstream.test");
  const base = toolsWith({
    fetch: async (_, init) => {
      sent[init?.method === "POST" ? "POST" : "GET"] += 1;
      if (step instanceof Error) throw step;
      if (step !== "hang") return new Response(step.body, step);
      const signal = init?.signal;
      await base.sleep((signal && given.get(signal)) ?? 0);
      vi.spyOn(signal as AbortSignal, "aborted", "get").mockReturnValue(true);
      throw new DOMException("The operation timed out", "TimeoutError");
    },
  });
  return {
    sent,
    now: base.now,
    comesBack: () => {
      step = TAKEN;
    },
    click: async () => {
      given.clear();
      await base.sleep(BETWEEN_MS);
      const begunAt = base.now();
      const tools = { ...base, endsAt: begunAt + DEADLINE_MS };
      const result = await cancelUpstreamRun(tools, connection, TARGET, null);
      return { result, ms: base.now() - begunAt };
    },
  };
}

describe.each<[string, Step]>([
  ["is refused", CONNECTION_LOST],
  ["is 503", plain(503, "no healthy upstream")],
  ["is 500", plain(500, "")],
  ["hangs", "hang"],
])("when everything %s", (_, down) => {
  it("ten thousand clicks are at most a tenth more cancels, and none waits for long", async () => {
    const { sent, click } = outage(down);
    let longest = 0;
    for (let count = 0; count < CLICKS; count += 1) {
      const { result, ms } = await click();
      expect("failure" in result).toBe(true);
      longest = Math.max(longest, ms);
    }
    expect(sent.POST).toBeLessThanOrEqual(1.1 * CLICKS + 10);
    expect(longest).toBeLessThanOrEqual(10_250);
  });

  it("it is found to be back within six seconds", async () => {
    const { now, click, comesBack } = outage(down);
    for (let count = 0; count < 200; count += 1) await click();
    comesBack();
    const backAt = now();
    let clicks = 0;
    while ("failure" in (await click()).result) clicks += 1;
    expect(now() - backAt).toBeLessThanOrEqual(6_000);
    expect(clicks).toBeLessThanOrEqual(60);
    for (let count = 0; count < 50; count += 1) {
      expect((await click()).result).toMatchObject({ outcome: "cancelling" });
    }
  });
});

describe("an upstream of which every second request fails", () => {
  it("is sent at most a tenth more than it was asked for", async () => {
    const connection = connectionTo(ADAPTER, "https://upstream.test");
    let count = 0;
    let cancels = 0;
    const tools = toolsWith({
      fetch: async (_, init) => {
        count += 1;
        if (init?.method !== "POST") {
          return new Response('{"id":"run_1","thread_id":"thread_1","status":"in_progress"}');
        }
        cancels += 1;
        return count % 3 === 0 ? new Response(TAKEN.body) : new Response("", { status: 500 });
      },
    });
    for (let click = 0; click < 2_000; click += 1) {
      await cancelUpstreamRun({ ...tools, endsAt: tools.now() + 10_000 }, connection, TARGET, null);
    }
    expect(cancels).toBeLessThanOrEqual(1.1 * 2_000 + 10);
    expect(cancels).toBeGreaterThan(2_000);
  });
});
