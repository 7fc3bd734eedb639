// When a cancel is sent once more, and when not: the whole table. The upstream is a script, and time
// passes only in pauses.
import { describe, expect, it, test } from "vitest";
import { Refusal } from "../../src/failure.ts";
import { normaliseRun } from "../../src/runs/normalise.ts";
import type { Connection } from "../../src/upstreams/call.ts";
import { langgraph } from "../../src/upstreams/langgraph.ts";
import { readUpstreamRun } from "../../src/upstreams/read.ts";
import { cancelUpstreamRun } from "../../src/upstreams/stop.ts";
import { bearer, type Upstream, USUAL } from "../../src/upstreams/upstream.ts";
import { waitUntilTerminal } from "../../src/upstreams/wait.ts";
import { json, plain } from "./replies/replies.ts";
import { CONNECTION_LOST, connectionTo, type Step, scripted, toolsWith } from "./support.ts";

const TARGET = { threadId: "thread_1", runId: "run_1" };
const says = (status: string) =>
  json(200, JSON.stringify({ id: "run_1", thread_id: "thread_1", status }));
const MOVING = says("in_progress");
const TAKEN = says("cancelling");
const DONE = says("completed");
const asking = (status: number, seconds: number | string) =>
  json(status, "{}", { "retry-after": String(seconds) });

const ADAPTER: Upstream = {
  ...USUAL,
  kind: "test",
  options: {},
  credential: () => bearer,
  headers: () => ({}),
  forgetsCancel: false,
  deadlineMs: 10_000,
  cancel: () => ({ method: "POST", path: ["cancel"] }),
  read: () => ({ method: "GET", path: ["run"] }),
  meaning: ({ status }) => (status === 404 ? "run_not_found" : null),
  toRun: normaliseRun,
  threadOf: () => undefined,
  metadata: () => null,
};

async function stop(steps: readonly Step[], own: Partial<Upstream> = {}) {
  const script = scripted(steps);
  const tools = toolsWith(script);
  const connection = connectionTo({ ...ADAPTER, ...own }, "https://upstream.test");
  const result = await cancelUpstreamRun(tools, connection, TARGET, null);
  const sent = script.requests.map(({ method }) => (method === "POST" ? "cancel" : "read"));
  return { result, sent, slept: tools.slept };
}

describe("an upstream that asks for patience", () => {
  it.each([
    ["429", asking(429, 2)],
    ["503", asking(503, 2)],
    ["429 with a date", asking(429, "Sun, 22 Nov 2026 18:30:02 GMT")],
  ])("by %s is asked once more when it is time, without a read", async (_, busy) => {
    const { result, sent, slept } = await stop([busy, TAKEN]);
    expect(result).toMatchObject({ outcome: "cancelling", attempts: 2 });
    expect(sent).toEqual(["cancel", "cancel"]);
    expect(slept).toEqual([2_050]);
  });

  it("for longer than there is time gets it, and so does the client", async () => {
    const { result, sent } = await stop([asking(429, 10), TAKEN]);
    expect(result).toMatchObject({ failure: "upstream_rate_limited", retryAfterSeconds: 10 });
    expect(sent).toEqual(["cancel"]);
  });

  it("without saying how long is not asked again", async () => {
    const { result, sent } = await stop([json(429, "{}"), TAKEN]);
    expect(result).toMatchObject({ failure: "upstream_rate_limited", retryAfterSeconds: 1 });
    expect(sent).toEqual(["cancel"]);
  });

  it("twice is told from a run that has ended meanwhile by a read", async () => {
    const ended = await stop([asking(429, 1), asking(429, 3), DONE]);
    expect(ended.result).toMatchObject({ outcome: "already_completed", attempts: 2 });
    const moving = await stop([asking(429, 1), asking(429, 3), MOVING]);
    expect(moving.result).toMatchObject({
      failure: "upstream_rate_limited",
      retryAfterSeconds: 3,
      attempts: 2,
    });
    expect(moving.sent).toEqual(["cancel", "cancel", "read"]);
  });
});

describe("a server error", () => {
  test.each([500, 502, 503, 504, 520, 599])("of %i is followed by a read", async (status) => {
    const { result, sent, slept } = await stop([plain(status, "canary"), DONE]);
    expect(result).toMatchObject({ outcome: "already_completed", attempts: 1 });
    expect(sent).toEqual(["cancel", "read"]);
    expect(slept).toEqual([]);
  });

  test.each([500, 502, 503, 504])(
    "of %i is tried once more while the run moves",
    async (status) => {
      const { result, sent, slept } = await stop([plain(status, ""), MOVING, TAKEN]);
      expect(result).toMatchObject({ outcome: "cancelling", attempts: 2 });
      expect(sent).toEqual(["cancel", "read", "cancel"]);
      expect(slept).toEqual([50]);
    },
  );

  it("twice is an error: the upstream has answered, and the run goes on", async () => {
    const { result, sent } = await stop([plain(500, ""), MOVING, plain(502, ""), MOVING]);
    expect(result).toMatchObject({ failure: "upstream_error", attempts: 2, upstreamStatus: 502 });
    expect(sent).toEqual(["cancel", "read", "cancel", "read"]);
  });

  it("and then a lost reply is not confirmed: that one may still arrive", async () => {
    const { result } = await stop([plain(500, ""), MOVING, CONNECTION_LOST, MOVING]);
    expect(result).toMatchObject({ outcome: "not_confirmed", run: { status: "in_progress" } });
  });

  it("after a lost reply is not confirmed either: the lost one may still arrive", async () => {
    const { result } = await stop([CONNECTION_LOST, MOVING, plain(500, ""), MOVING]);
    expect(result).toMatchObject({ outcome: "not_confirmed", attempts: 2 });
  });

  it("may have been a cancel all the same", async () => {
    const { result } = await stop([plain(504, ""), says("cancelled")]);
    expect(result).toMatchObject({ outcome: "cancelled", accepted: true });
  });

  it("and a read that fails leave the outcome unknown", async () => {
    const { result } = await stop([plain(500, ""), plain(500, "")]);
    expect(result).toMatchObject({ failure: "outcome_unknown", attempts: 1 });
  });
});

describe("a refusal in words that nobody has seen yet", () => {
  test.each([400, 409, 422])("of %i is explained by a run that has ended", async (status) => {
    const { result, sent } = await stop([json(status, '{"odd":"canary"}'), DONE]);
    expect(result).toMatchObject({ outcome: "already_completed", accepted: false });
    expect(sent).toEqual(["cancel", "read"]);
  });

  test.each([400, 409, 422])("of %i is an error while the run moves", async (status) => {
    for (const read of [MOVING, plain(500, ""), CONNECTION_LOST]) {
      const { result, sent } = await stop([json(status, '{"odd":"canary"}'), read]);
      expect(result).toMatchObject({ failure: "upstream_error", attempts: 1 });
      expect(sent).toEqual(["cancel", "read"]);
    }
  });

  test.each([402, 418, 301, 304])("of %i is final", async (status) => {
    const body = status === 304 ? "" : "{}";
    const { result, sent } = await stop([{ ...plain(status, body), headers: {} }, TAKEN]);
    expect(result).toMatchObject({ failure: "upstream_error", attempts: 1 });
    expect(sent).toEqual(["cancel"]);
  });
});

describe("a second cancel", () => {
  it("waits between 50 and 250 ms, by chance", async () => {
    const script = scripted([CONNECTION_LOST, MOVING, TAKEN]);
    const tools = { ...toolsWith(script), random: () => 0.5 };
    await cancelUpstreamRun(tools, connectionTo(ADAPTER, "https://upstream.test"), TARGET, null);
    expect(tools.slept).toEqual([150]);
  });

  test.each<[string, Step]>([
    ["a lost reply", CONNECTION_LOST],
    ["a server error", plain(500, "")],
    ["a limit", asking(429, 1)],
  ])("is not sent after %s where it could hit something else", async (_, first) => {
    const { result, sent } = await stop([first, MOVING, TAKEN], { repeatsCancel: false });
    expect(result.attempts).toBe(1);
    expect(sent).toEqual(["cancel", "read"]);
  });

  it("is not sent when the budget is spent", async () => {
    const script = scripted([CONNECTION_LOST, MOVING, TAKEN]);
    const tools = toolsWith(script);
    const connection = connectionTo(ADAPTER, "https://upstream.test");
    const health = tools.healthOf(connection.baseUrl);
    while (health.mayRetry());
    const result = await cancelUpstreamRun(tools, connection, TARGET, null);
    expect(result).toMatchObject({ outcome: "not_confirmed", attempts: 1 });
  });

  it("has no key any more: the run tells what became of the first", async () => {
    let asked = 0;
    const nextKey: Connection["nextKey"] = async () => {
      asked += 1;
      if (asked === 3) throw new Refusal("upstream_unreachable", { detail: "token endpoint" });
      return "key";
    };
    const script = scripted([CONNECTION_LOST, MOVING, says("cancelled")]);
    const connection = { ...connectionTo(ADAPTER, "https://upstream.test"), nextKey };
    const result = await cancelUpstreamRun(toolsWith(script), connection, TARGET, null);
    expect(result).toMatchObject({ outcome: "cancelled", attempts: 1 });
  });
});

describe("where a run that waits has the same word as one that was cancelled", () => {
  const WAITS = json(200, '{"run_id":"run_1","thread_id":"thread_1","status":"interrupted"}');
  const ACCEPTED = { status: 202, headers: {}, body: "" };
  const connection = connectionTo(langgraph, "https://upstream.test");

  async function stopWaiting(steps: readonly Step[]) {
    const before = await readUpstreamRun(toolsWith(scripted([WAITS])), connection, TARGET);
    expect(before.run.status).toBe("requires_action");
    const tools = toolsWith(scripted([...steps, ...Array<Step>(9).fill(WAITS)]));
    const stopped = await cancelUpstreamRun(tools, connection, TARGET, before);
    return await waitUntilTerminal(tools, connection, TARGET, stopped, tools.now() + 1_000);
  }

  it.each<[string, Step]>([
    ["a lost reply", CONNECTION_LOST],
    ["a server error", plain(502, "")],
  ])("%s is no proof that it was: it is asked for once more", async (_, first) => {
    const taken = await stopWaiting([first, WAITS, ACCEPTED, WAITS]);
    expect(taken).toMatchObject({ outcome: "cancelled", attempts: 2 });
    const lost = await stopWaiting([first, WAITS, CONNECTION_LOST, WAITS]);
    expect(lost).toMatchObject({ outcome: "not_confirmed", run: { status: "requires_action" } });
  });
});

describe("an upstream that is left alone", () => {
  it("is sent nothing, which is an answer that says when to come back", async () => {
    const script = scripted([]);
    const tools = toolsWith(script);
    const connection = connectionTo(ADAPTER, "https://upstream.test");
    for (let failure = 0; failure < 5; failure += 1) {
      tools.healthOf(connection.baseUrl).admit("acme")(false);
    }
    const result = await cancelUpstreamRun(tools, connection, TARGET, null);
    expect(result).toMatchObject({
      failure: "overloaded",
      retryAfterSeconds: 5,
      attempts: 0,
      words: expect.stringContaining("nothing was sent"),
    });
    expect(script.requests).toEqual([]);
  });

  it.each([
    ["502", plain(502, "")],
    ["503", plain(503, "")],
    ["504", plain(504, "")],
    ["a connection that breaks", CONNECTION_LOST],
  ])("has failed five times by %s", async (_, failure) => {
    const script = scripted(Array<Step>(99).fill(failure));
    const tools = toolsWith(script);
    const connection = connectionTo(ADAPTER, "https://upstream.test");
    for (let click = 0; click < 20; click += 1) {
      await cancelUpstreamRun(tools, connection, TARGET, null);
    }
    expect(script.requests).toHaveLength(5);
  });

  it("has not failed by a 500, which may be one run's, nor by any refusal", async () => {
    const replies = [plain(500, ""), json(400, "{}"), json(401, "{}"), json(404, "{}")];
    for (const reply of [...replies, json(429, "{}")]) {
      const script = scripted(Array<Step>(99).fill(reply));
      const tools = toolsWith(script);
      const connection = connectionTo(ADAPTER, "https://upstream.test");
      for (let click = 0; click < 20; click += 1) {
        await cancelUpstreamRun(tools, connection, TARGET, null);
      }
      expect(script.requests.length).toBeGreaterThanOrEqual(20);
    }
  });
});

describe("a cancel for which there is no time", () => {
  it("the second time is none of which it could be said that nothing was sent", async () => {
    const script = scripted([CONNECTION_LOST, MOVING, MOVING]);
    const tools = toolsWith(script, null, 400);
    // The pause takes longer than was asked for.
    const slow = { ...tools, sleep: (ms: number) => tools.sleep(ms + 300) };
    const connection = connectionTo(ADAPTER, "https://upstream.test");
    const result = await cancelUpstreamRun(slow, connection, TARGET, null);
    expect(result).toMatchObject({ outcome: "not_confirmed", attempts: 1 });
  });

  it("is not sent, and says so", async () => {
    const script = scripted([TAKEN]);
    const tools = toolsWith(script, null, 120);
    const connection = connectionTo(ADAPTER, "https://upstream.test");
    const result = await cancelUpstreamRun(tools, connection, TARGET, null);
    expect(result).toMatchObject({
      failure: "upstream_timeout",
      attempts: 0,
      words: expect.stringContaining("Nothing was sent"),
    });
    expect(script.requests).toEqual([]);
  });
});
