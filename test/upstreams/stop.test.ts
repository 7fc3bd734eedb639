// What is said of a run after a cancel: never more than was read, never a second cancel in the dark,
// never an exception. The upstream is a script; time passes only where the script lets it.
import fc from "fast-check";
import { describe, expect, it, test, vi } from "vitest";
import { normaliseRun } from "../../src/runs/normalise.ts";
import {
  ACTIVE_STATUSES,
  isTerminal,
  Run,
  RunStatus,
  TERMINAL_STATUSES,
} from "../../src/runs/run.ts";
import type { Connection } from "../../src/upstreams/call.ts";
import { UPSTREAMS } from "../../src/upstreams/index.ts";
import { langgraph } from "../../src/upstreams/langgraph.ts";
import { cancelUpstreamRun, handedOn, type StopResult } from "../../src/upstreams/stop.ts";
import { bearer, type RunContext, type Upstream, USUAL } from "../../src/upstreams/upstream.ts";
import { waitUntilTerminal } from "../../src/upstreams/wait.ts";
import { json, plain } from "./replies/replies.ts";
import {
  answering,
  CONNECTION_LOST,
  connectionTo,
  NOW_SECONDS,
  readAs,
  type Script,
  type Step,
  scripted,
  toolsWith,
} from "./support.ts";

const TARGET = { threadId: "thread_1", runId: "run_1" };
const MOVING = ["queued", "in_progress", "requires_action"] as const;
const SETTLED = ["cancelling", ...TERMINAL_STATUSES] as const;
const DEADLINE_MS = 10_000;
/** For what hangs until the end. Nothing in such a script has to be in time. */
const SHORT_MS = 300;

/** The run as the wire has it, and as it is when that is all that is known of it. */
const says = (status: string) => json(200, JSON.stringify(members(status)));
const members = (status: string) => ({ id: "run_1", thread_id: "thread_1", status });
const runThatIs = (status: string): Run => normaliseRun(members(status), TARGET);

const REFUSED = json(400, '{"refused":true}');
const UNKNOWN = json(404, "{}");
const BROKEN = plain(500, "Internal Server Error");
const NOTHING = { status: 202, headers: {}, body: "" };
const HUGE = json(200, JSON.stringify("x".repeat(256 * 1024)));

/** Speaks in Runs, and says of a 400 that the state explains it. */
function adapterWith(own: Partial<Upstream> = {}): Upstream {
  return {
    ...USUAL,
    kind: "test",
    options: {},
    credential: () => bearer,
    headers: () => ({}),
    forgetsCancel: false,
    deadlineMs: DEADLINE_MS,
    cancel: () => ({ method: "POST", path: ["cancel"] }),
    read: () => ({ method: "GET", path: ["run"] }),
    meaning: ({ status }) =>
      status === 400 ? "refused_by_state" : status === 404 ? "run_not_found" : null,
    toRun: normaliseRun,
    threadOf: () => undefined,
    metadata: () => null,
    ...own,
  };
}

function connectionWith(own: Partial<Upstream> = {}): Connection {
  return connectionTo(adapterWith(own), "https://upstream.test");
}

interface Stopped {
  readonly result: StopResult;
  readonly sent: string[];
}

async function stop(
  steps: readonly Step[],
  before: Run | null = null,
  own: Partial<Upstream> = {},
): Promise<Stopped> {
  const script = scripted(steps);
  const tools = toolsWith(script, null, steps.includes("hang") ? SHORT_MS : DEADLINE_MS);
  const known = before === null ? null : readAs(before);
  const result = await cancelUpstreamRun(tools, connectionWith(own), TARGET, known);
  return { result, sent: sentIn(script) };
}

/** As the caller who names the run alone does. */
async function stopWithoutThread(own: Partial<Upstream>) {
  const script = scripted([says("cancelling")]);
  const target = { threadId: null, runId: TARGET.runId };
  return {
    script,
    result: await cancelUpstreamRun(toolsWith(script), connectionWith(own), target, null),
  };
}

/** What was sent, in order: `POST` is a cancel and `GET` a read. */
function sentIn({ requests }: Script): string[] {
  return requests.map(({ method }) => method);
}

function endOf(status: RunStatus): { outcome: string; run: { status: string } } {
  const outcome = status === "cancelled" || status === "cancelling" ? status : `already_${status}`;
  return { outcome, run: { status } };
}

describe("cancelled is said only when a read says so", () => {
  it("cancelled by the answer and by the read: cancelled", async () => {
    const { result, sent } = await stop([says("cancelled"), says("cancelled")]);
    expect(result).toMatchObject({ outcome: "cancelled", run: { status: "cancelled" } });
    expect(sent).toEqual(["POST", "GET"]);
  });

  test.each(["completed", "failed", "expired", "incomplete"] as const)(
    "cancelled by the answer, %s by the read: the read is right",
    async (status) => {
      const { result } = await stop([says("cancelled"), says(status)]);
      expect(result).toMatchObject(endOf(status));
    },
  );

  it.each([
    ["breaks", CONNECTION_LOST],
    ["is refused", BROKEN],
    ["finds nothing", UNKNOWN],
    ["is no run", plain(200, "<html>")],
    ["is of another run", json(200, '{"id":"run_2","status":"cancelled"}')],
  ])("cancelled by the answer, and the read %s: not confirmed", async (_, read) => {
    for (const before of [null, runThatIs("in_progress")]) {
      const { result, sent } = await stop([says("cancelled"), read], before);
      expect(result).toMatchObject({
        outcome: "not_confirmed",
        accepted: true,
        after: "cancelling",
        run: { status: "cancelling", cancelled_at: null, usage: null },
      });
      expect(sent).toEqual(["POST", "GET"]);
    }
  });

  it("cancelled by the answer, still moving by the read: cancelling", async () => {
    for (const status of MOVING) {
      const { result } = await stop([says("cancelled"), says(status)]);
      expect(result).toMatchObject({ outcome: "cancelling", run: { status: "cancelling" } });
    }
  });

  it("completed by the answer, and no read: completed, since nothing was promised", async () => {
    const { result } = await stop([says("completed"), BROKEN]);
    expect(result).toMatchObject({ outcome: "already_completed", run: { status: "completed" } });
  });

  it("an answer that shows the run moving needs no read: cancelling", async () => {
    for (const status of ACTIVE_STATUSES) {
      const { result, sent } = await stop([says(status)]);
      expect(result).toMatchObject({ outcome: "cancelling", run: { status: "cancelling" } });
      expect(sent).toEqual(["POST"]);
    }
  });

  it("an answer without a run and a read that fails: not confirmed where it says that it was taken", async () => {
    const { result } = await stop([NOTHING, BROKEN], null, { acknowledgesOnly: true });
    expect(result).toMatchObject({ outcome: "not_confirmed", accepted: true, after: "cancelling" });
    const silent = (await stop([NOTHING, BROKEN])).result;
    expect(silent).toMatchObject({ failure: "outcome_unknown", accepted: false, after: null });
  });

  it("an answer that names another thread undoes nothing: what was done is told", async () => {
    const foreign = json(200, '{"id":"run_1","thread_id":"thread_2","status":"cancelling"}');
    const { result, sent } = await stop([foreign]);
    const run = { status: "cancelling", thread_id: "thread_1" };
    expect(result).toMatchObject({ outcome: "cancelling", accepted: true, run });
    expect(sent).toEqual(["POST"]);
  });

  it("an answer that names another thread, and so do the reads: told and not confirmed", async () => {
    const foreign = json(200, '{"id":"run_1","thread_id":"thread_2","status":"cancelled"}');
    const { result } = await stop([foreign, foreign]);
    const run = { status: "cancelling", thread_id: "thread_1" };
    expect(result).toMatchObject({ outcome: "not_confirmed", accepted: true, run });
  });

  it.each(["thread_2", null])(
    "by an upstream that does not check the thread, a run on %s is looked at before",
    async (thread_id) => {
      const own = { cancelChecksThread: false };
      const read = json(200, JSON.stringify({ ...members("in_progress"), thread_id }));
      const { result, sent } = await stop([read, says("cancelling")], null, own);
      const isWrong = thread_id !== null;
      expect(sent).toEqual(isWrong ? ["GET"] : ["GET", "POST"]);
      expect(result).toMatchObject(
        isWrong
          ? { failure: "run_not_found", attempts: 0, accepted: false }
          : { outcome: "cancelling" },
      );
      expect(sentIn((await stopWithoutThread(own)).script)).toEqual(["POST"]);
    },
  );

  it("a run that is winding down asks nothing of anybody any more", async () => {
    const call = { id: "call_1", type: "function", function: { name: "f", arguments: "{}" } };
    const action = { type: "submit_tool_outputs", submit_tool_outputs: { tool_calls: [call] } };
    const waiting = json(
      200,
      JSON.stringify({ ...members("requires_action"), required_action: action }),
    );
    const { result } = await stop([waiting]);
    expect(result).toMatchObject({ run: { status: "cancelling", required_action: null } });
  });
});

describe("a run that was read before", () => {
  test.each(TERMINAL_STATUSES)("as %s is not cancelled", async (status) => {
    const before = runThatIs(status);
    const { result, sent } = await stop([], before);
    expect(result).toMatchObject({ outcome: `already_${status}`, attempts: 0, before: status });
    expect("run" in result && result.run).toBe(before);
    expect(sent).toEqual([]);
  });

  it("as cancelling is not cancelled a second time", async () => {
    const { result, sent } = await stop([], runThatIs("cancelling"));
    expect(result).toMatchObject({ outcome: "cancelling", attempts: 0, accepted: false });
    expect(sent).toEqual([]);
  });

  test.each(MOVING)("as %s is cancelled", async (status) => {
    const { result, sent } = await stop([says("cancelling")], runThatIs(status));
    expect(result).toMatchObject({ outcome: "cancelling", attempts: 1, before: status });
    expect(sent).toEqual(["POST"]);
  });
});

describe("a cancel that the run's state refuses", () => {
  test.each(SETTLED)("is explained by a run that is %s", async (status) => {
    const { result, sent } = await stop([REFUSED, says(status)]);
    const outcome = status === "cancelling" ? status : `already_${status}`;
    expect(result).toMatchObject({ outcome, run: { status }, attempts: 1, accepted: false });
    expect(sent).toEqual(["POST", "GET"]);
  });

  test.each(MOVING)("is not explained by a run that is %s: not confirmed", async (status) => {
    const { result, sent } = await stop([REFUSED, says(status)]);
    expect(result).toMatchObject({ outcome: "not_confirmed", run: { status }, attempts: 1 });
    expect(sent).toEqual(["POST", "GET"]);
  });

  it("fails as its read fails", async () => {
    const { result } = await stop([REFUSED, UNKNOWN]);
    expect(result).toMatchObject({ failure: "run_not_found", accepted: false });
  });

  it("is read by what the ledger remembers, where the upstream forgets", async () => {
    const contexts: RunContext[] = [];
    const script = scripted([REFUSED, says("cancelled")]);
    const connection = connectionWith({ forgetsCancel: true, toRun: keepingContext(contexts) });
    await cancelUpstreamRun(toolsWith(script, 1_700_000_000), connection, TARGET, null);
    expect(contexts).toMatchObject([{ cancelledAt: 1_700_000_000 }]);
  });
});

function keepingContext(contexts: RunContext[]): Upstream["toRun"] {
  return (body, context) => {
    contexts.push(context);
    return normaliseRun(body, context);
  };
}

describe("a cancel that fails for a reason", () => {
  it.each([
    ["a bad key", json(401, "{}"), "upstream_rejected_credentials"],
    ["a limit", json(429, "{}"), "upstream_rate_limited"],
    ["a redirect", { ...plain(307, ""), headers: { location: "/" } }, "upstream_error"],
  ])("is not sent again after %s, and nothing is read", async (_, reply, failure) => {
    const { result, sent } = await stop([reply], runThatIs("in_progress"));
    expect(result).toMatchObject({ failure, attempts: 1, accepted: false, after: null });
    expect(sent).toEqual(["POST"]);
  });

  it.each([
    ["an unknown run", UNKNOWN, UNKNOWN, { failure: "run_not_found" }],
    ["a run that has ended", UNKNOWN, says("completed"), { outcome: "already_completed" }],
    [
      "a method that the server does not have",
      json(501, "{}"),
      says("in_progress"),
      { failure: "unsupported_by_upstream" },
    ],
    [
      "a run that goes on",
      json(404, '{"detail":"Nope"}'),
      says("queued"),
      { failure: "upstream_error" },
    ],
    [
      "an unknown address",
      json(404, '{"detail":"Not Found"}'),
      says("queued"),
      { failure: "unsupported_by_upstream" },
    ],
    [
      "a method that is not allowed",
      json(405, "{}"),
      says("queued"),
      { failure: "unsupported_by_upstream" },
    ],
    ["a run that cannot be read", UNKNOWN, BROKEN, { failure: "upstream_error" }],
  ])("by 404 or 405 is explained by a read, of %s", async (_, reply, read, end) => {
    for (const before of [null, runThatIs("in_progress")]) {
      const { result, sent } = await stop([reply, read], before);
      expect(result).toMatchObject({ ...end, attempts: 1, accepted: false });
      expect(sent).toEqual(["POST", "GET"]);
    }
  });

  it("keeps what the upstream answered, for the record", async () => {
    const limited = json(429, "{}", { "retry-after": "70", "x-request-id": "req_1" });
    const { result } = await stop([limited]);
    expect(result).toMatchObject({
      retryAfterSeconds: 70,
      upstreamStatus: 429,
      upstreamRequestId: "req_1",
    });
  });
});

describe("a cancel whose answer is lost", () => {
  const LOST: [string, Step][] = [
    ["with the connection", CONNECTION_LOST],
    ["in time", "hang"],
  ];
  describe.each(LOST)("%s", (_, lost) => {
    test.each(SETTLED)("has arrived at a run that is then %s", async (status) => {
      const { result, sent } = await stop([lost, says(status)], runThatIs("in_progress"));
      expect(result).toMatchObject({ ...endOf(status), attempts: 1, after: status });
      expect(sent).toEqual(["POST", "GET"]);
    });

    test.each(MOVING)("is sent once more to a run that is still %s", async (status) => {
      const { result, sent } = await stop([lost, says(status), says("cancelling")]);
      expect(result).toMatchObject({ outcome: "cancelling", attempts: 2 });
      expect(sent).toEqual(["POST", "GET", "POST"]);
    });
  });

  it("twice is not sent a third time: the run is what the last read says", async () => {
    for (const status of MOVING) {
      const steps = [CONNECTION_LOST, says("queued"), CONNECTION_LOST, says(status)];
      const { result, sent } = await stop(steps);
      expect(result).toMatchObject({ outcome: "not_confirmed", run: { status }, attempts: 2 });
      expect(sent).toEqual(["POST", "GET", "POST", "GET"]);
    }
  });

  test.each(SETTLED)("twice has arrived at a run that is then %s", async (status) => {
    const steps = [CONNECTION_LOST, says("in_progress"), CONNECTION_LOST, says(status)];
    const { result } = await stop(steps);
    expect(result).toMatchObject({ ...endOf(status), attempts: 2, accepted: true });
  });

  describe.each([
    ["refused by the state", REFUSED],
    ["not found", UNKNOWN],
    ["refused for the key", json(403, "{}")],
    ["limited", json(429, "{}")],
    ["a server error", BROKEN],
  ])("and is then %s", (_, second) => {
    test.each(SETTLED)("is settled by the run, which is %s", async (status) => {
      const { result, sent } = await stop([
        CONNECTION_LOST,
        says("in_progress"),
        second,
        says(status),
      ]);
      expect(result).toMatchObject({ ...endOf(status), attempts: 2, accepted: true });
      expect(sent).toEqual(["POST", "GET", "POST", "GET"]);
    });

    it("is not confirmed by a run that still moves", async () => {
      const { result, sent } = await stop([
        CONNECTION_LOST,
        says("in_progress"),
        second,
        says("in_progress"),
      ]);
      expect(result).toMatchObject({ outcome: "not_confirmed", run: { status: "in_progress" } });
      expect(sent).toEqual(["POST", "GET", "POST", "GET"]);
    });

    it("is unknown when the run cannot be read any more", async () => {
      const { result } = await stop([CONNECTION_LOST, says("in_progress"), second, BROKEN]);
      expect(result).toMatchObject({ failure: "outcome_unknown", attempts: 2 });
    });
  });

  it("by an upstream that cannot be reached at all is just that", async () => {
    const { result, sent } = await stop([CONNECTION_LOST, CONNECTION_LOST]);
    expect(result).toMatchObject({ failure: "upstream_unreachable", attempts: 1 });
    expect(sent).toEqual(["POST", "GET"]);
  });

  it.each([
    ["is refused", BROKEN],
    ["finds nothing", UNKNOWN],
    ["is limited", json(429, "{}")],
    ["is no run", plain(200, "<html>")],
    ["hangs", "hang" as const],
  ])("is unknown when the read %s", async (_, read) => {
    const { result } = await stop([CONNECTION_LOST, read]);
    expect(result).toMatchObject({ failure: "outcome_unknown", attempts: 1, accepted: false });
  });

  it("is unknown when it ran out of time and the upstream is gone since", async () => {
    const { result } = await stop(["hang", CONNECTION_LOST]);
    expect(result).toMatchObject({ failure: "outcome_unknown" });
  });

  it("leaves time for the read, the second time as well", async () => {
    const script = answering(({ method }) => {
      if (method === "GET") return says("in_progress");
      return script.requests.length === 1 ? CONNECTION_LOST : "hang";
    });
    const tools = toolsWith(script, null, SHORT_MS);
    const result = await cancelUpstreamRun(tools, connectionWith(), TARGET, null);
    expect(result).toMatchObject({ outcome: "not_confirmed", run: { status: "in_progress" } });
    expect(sentIn(script)).toEqual(["POST", "GET", "POST", "GET"]);
  });

  it("proves nothing to an upstream that forgets, but is the time of a cancel that it shows", async () => {
    for (const recalled of [null, 1_700_000_000]) {
      const contexts: RunContext[] = [];
      const script = scripted([CONNECTION_LOST, says("cancelled")]);
      const connection = connectionWith({ forgetsCancel: true, toRun: keepingContext(contexts) });
      await cancelUpstreamRun(toolsWith(script, recalled), connection, TARGET, null);
      expect(contexts).toMatchObject([{ cancelledAt: recalled, sentAt: NOW_SECONDS }]);
    }
  });
});

describe("an answer that is too large to be read", () => {
  test.each(MOVING)("is a cancel that was taken: a run that is %s winds down", async (status) => {
    const { result, sent } = await stop([HUGE, says(status)], runThatIs("in_progress"));
    expect(result).toMatchObject({ outcome: "cancelling", accepted: true, attempts: 1 });
    expect(sent).toEqual(["POST", "GET"]);
  });

  test.each(MOVING)("proves nothing where a 200 does not: %s goes on", async (status) => {
    const { result, sent } = await stop([HUGE, says(status)], null, { answersWhenDone: true });
    expect(result).toMatchObject({ outcome: "not_confirmed", accepted: false, run: { status } });
    expect(sent).toEqual(["POST", "GET"]);
  });

  it.each([false, true])(
    "to all: not confirmed, with a whole Run (%s)",
    async (answersWhenDone) => {
      for (const before of [null, runThatIs("queued")]) {
        for (const cancel of answersWhenDone ? [HUGE] : [HUGE, NOTHING]) {
          const { result } = await stop([cancel, HUGE], before, { answersWhenDone });
          expect(result).toMatchObject({ outcome: "not_confirmed", run: { id: "run_1" } });
          expectPlausible(result);
        }
      }
    },
  );

  it("to a read before a cancel that must not be sent unseen: nothing is sent", async () => {
    const { result, sent } = await stop([HUGE], null, { readsFirst: () => true });
    expect(result).toMatchObject({ failure: "upstream_error", attempts: 0 });
    expect(sent).toEqual(["GET"]);
  });

  it("to a read after a refusal is no success", async () => {
    const { result } = await stop([REFUSED, HUGE]);
    expect(result).toMatchObject({ failure: "upstream_error", accepted: false });
  });
});

describe("an upstream that never answers", () => {
  it("or too late for a second cancel, is asked for no more than the run", async () => {
    const script = scripted([CONNECTION_LOST, says("in_progress")]);
    const tools = toolsWith(script);
    const late: typeof fetch = async (input, init) => {
      const response = script.fetch(input, init);
      await tools.sleep(DEADLINE_MS - 120);
      return await response;
    };
    const slow = { ...tools, fetch: late };
    const result = await cancelUpstreamRun(slow, connectionWith(), TARGET, null);
    expect(result).toMatchObject({ outcome: "not_confirmed", attempts: 1 });
    expect(sentIn(script)).toEqual(["POST", "GET"]);
  });

  it("ends with the deadline", async () => {
    const script = answering(() => "hang");
    const tools = toolsWith(script, null, SHORT_MS);
    const result = await cancelUpstreamRun(tools, connectionWith(), TARGET, null);
    expect(result).toMatchObject({ failure: "outcome_unknown", attempts: 1 });
    expect(sentIn(script)).toEqual(["POST", "GET"]);
  });
});

describe("an accident", () => {
  const accident = (): never => {
    throw new TypeError("canary is not a function");
  };

  it.each<[string, Partial<Upstream>]>([
    ["the adapter's request", { cancel: accident }],
    ["the adapter's judgement", { meaning: accident }],
    ["the adapter's reading", { toRun: accident }],
  ])("in %s is a failure without its text", async (_, own) => {
    const { result } = await stop([REFUSED, says("completed")], null, own);
    expect(result).toMatchObject({ failure: "internal_error", detail: "TypeError" });
    expect(JSON.stringify(result)).not.toContain("canary");
  });

  it("of the ledger is a failure too", async () => {
    const script = scripted([REFUSED, says("completed")]);
    const tools = { ...toolsWith(script), recall: () => Promise.reject(new Error("canary")) };
    const connection = connectionWith({ forgetsCancel: true });
    const result = await cancelUpstreamRun(tools, connection, TARGET, null);
    expect(result).toMatchObject({ failure: "internal_error", detail: "Error" });
  });
});

describe("the facts of a stop", () => {
  it("are plain data, with the time that it took", async () => {
    const script = scripted([json(200, says("cancelling").body, { "x-request-id": "req_1" })]);
    const tools = toolsWith(script);
    const slow: typeof fetch = async (input, init) => {
      await tools.sleep(120);
      return await script.fetch(input, init);
    };
    const before = runThatIs("queued");
    const result = await cancelUpstreamRun(
      { ...tools, fetch: slow },
      connectionWith(),
      TARGET,
      readAs(before),
    );
    expect(structuredClone(result)).toEqual({
      before: "queued",
      after: "cancelling",
      outcome: "cancelling",
      accepted: true,
      cancelledAt: NOW_SECONDS,
      sentAt: NOW_SECONDS,
      attempts: 1,
      upstreamStatus: 200,
      upstreamRequestId: "req_1",
      ms: 120,
      run: runThatIs("cancelling"),
      object: members("cancelling"),
      objectBytes: says("cancelling").body.length,
    });
    expect(handedOn(result)).toEqual({ ...result, object: null });
  });
});

describe("waiting for the end", () => {
  interface Wait {
    /** The answers to the reads. */
    readonly reads: readonly Step[];
    readonly waitMs?: number;
    readonly stopped?: StopResult;
    readonly own?: Partial<Upstream>;
    readonly recalled?: number;
  }

  async function waitFor(wait: Wait) {
    const script = scripted(wait.reads);
    const tools = toolsWith(script, wait.recalled ?? null);
    const stopped = wait.stopped ?? (await stop([says("cancelling")])).result;
    const connection = connectionWith(wait.own);
    const waitMs = wait.waitMs ?? 25_000;
    const until = tools.now() + waitMs;
    const result = await waitUntilTerminal(tools, connection, TARGET, stopped, until);
    return { result, stopped, sent: sentIn(script), slept: tools.slept, asked: tools.asked };
  }

  it.each([
    [0, '"small"'],
    [64 * 1_024, '"small"'],
    [64 * 1_024 + 1, "null"],
  ])("holds an object of %i bytes meanwhile, or lets it go: %s", async (objectBytes, held) => {
    const { result: cancelling } = await stop([says("cancelling")]);
    const stopped = { ...cancelling, object: "small", objectBytes } as StopResult;
    const { result } = await waitFor({ reads: [], waitMs: 500, stopped });
    expect(result).toMatchObject({ outcome: "not_confirmed", object: JSON.parse(held) });
  });

  it("ends with the run", async () => {
    const { result, sent, slept } = await waitFor({
      reads: [says("cancelling"), says("in_progress"), says("cancelled")],
    });
    expect(result).toMatchObject({ outcome: "cancelled", after: "cancelled" });
    expect(sent).toEqual(["GET", "GET", "GET"]);
    expect(slept).toEqual([200, 300, 450]);
  });

  test.each(["completed", "failed", "expired", "incomplete"] as const)(
    "tells of a run that was %s in spite of its cancel",
    async (status) => {
      const { result } = await waitFor({ reads: [says("cancelling"), says(status)] });
      expect(result).toMatchObject({ ...endOf(status), after: status });
    },
  );

  it("ends with its time, and with the last state that was read", async () => {
    const reads = Array<Step>(9).fill(says("in_progress"));
    const { result, sent, slept } = await waitFor({ reads, waitMs: 1_000 });
    expect(result).toMatchObject({ outcome: "cancelling", run: { status: "cancelling" } });
    expect(slept).toEqual([200, 300, 450, 50]);
    expect(sent).toHaveLength(4);
  });

  it("ends with its time, and says so when the last read failed", async () => {
    for (const failed of [BROKEN, CONNECTION_LOST, UNKNOWN, plain(200, "<html>")]) {
      const { result } = await waitFor({ reads: [says("cancelling"), failed], waitMs: 500 });
      expect(result).toMatchObject({
        outcome: "not_confirmed",
        after: "cancelling",
        run: { status: "cancelling" },
      });
    }
  });

  it("goes on after a read that failed", async () => {
    const { result } = await waitFor({ reads: [BROKEN, CONNECTION_LOST, says("cancelled")] });
    expect(result).toMatchObject({ outcome: "cancelled", run: { status: "cancelled" } });
  });

  it("backs off: a run that does not end is read twelve times in 25 s", async () => {
    const reads = Array<Step>(99).fill(says("cancelling"));
    const { slept } = await waitFor({ reads, waitMs: 25_000 });
    expect(Math.max(...slept)).toBe(4_000);
    expect(slept.reduce((sum, ms) => sum + ms, 0)).toBe(25_000);
    expect(slept).toHaveLength(12);
  });

  it("ends when the client leaves, with the last state that was read", async () => {
    const leaving = new AbortController();
    const script = answering(() => {
      leaving.abort();
      return says("cancelling");
    });
    const stopped = (await stop([says("cancelling")])).result;
    const tools = { ...toolsWith(script), left: leaving.signal };
    const until = tools.now() + 25_000;
    const result = await waitUntilTerminal(tools, connectionWith(), TARGET, stopped, until);
    expect(result).toMatchObject({ outcome: "cancelling" });
    expect(sentIn(script)).toEqual(["GET"]);
  });

  it("ends at once when the client leaves in a pause, or has left before", async () => {
    const stopped = (await stop([says("cancelling")])).result;
    for (const when of ["before", "in a pause"]) {
      const leaving = new AbortController();
      const script = scripted([]);
      const never = () => new Promise<never>(() => undefined);
      const tools = { ...toolsWith(script), sleep: never, left: leaving.signal };
      if (when === "before") leaving.abort();
      const until = tools.now() + 25_000;
      const waiting = waitUntilTerminal(tools, connectionWith(), TARGET, stopped, until);
      leaving.abort();
      expect(await waiting).toBe(stopped);
      expect(sentIn(script)).toEqual([]);
    }
  });

  it.each([
    ["429", json(429, "{}", { "retry-after": "3" })],
    ["503", json(503, "{}", { "retry-after": "3" })],
    ["a run", json(200, says("cancelling").body, { "retry-after": "3" })],
  ])("reads no sooner than a Retry-After with %s asks", async (_, busy) => {
    const { result, slept } = await waitFor({ reads: [busy, says("cancelled")] });
    expect(result).toMatchObject({ outcome: "cancelled" });
    expect(slept).toEqual([200, 3_000]);
  });

  it("ends at once when a Retry-After is longer than the wait, and tells what is known", async () => {
    const reads = [json(503, "{}", { "retry-after": "60" }), says("cancelled")];
    const failed = await waitFor({ reads, waitMs: 5_000 });
    expect(failed.result).toMatchObject({ outcome: "not_confirmed", after: "cancelling" });
    const patient = json(200, says("in_progress").body, { "retry-after": "60" });
    const moving = await waitFor({ reads: [patient, says("cancelled")], waitMs: 5_000 });
    expect(moving.result).toMatchObject({ outcome: "cancelling" });
    for (const { sent, slept } of [failed, moving]) {
      expect([sent.length, slept]).toEqual([1, [200]]);
    }
  });

  it("gives the last read a second, and no more", async () => {
    const given: number[] = [];
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    const spy = vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
      given.push(ms);
      return timeout(ms);
    });
    await waitFor({ reads: Array<Step>(9).fill(says("in_progress")), waitMs: 1_000 });
    spy.mockRestore();
    expect(given.at(-1)).toBe(1_000);
    expect(Math.max(...given.slice(1))).toBeLessThanOrEqual(4_000);
  });

  it("does not begin when there is no time for it", async () => {
    const { result, stopped, sent, slept, asked } = await waitFor({
      reads: [],
      waitMs: 0,
      stopped: (await stop([], runThatIs("cancelling"))).result,
      own: { forgetsCancel: true },
    });
    expect(result).toBe(stopped);
    expect([...sent, ...slept, ...asked]).toEqual([]);
  });

  test.each(TERMINAL_STATUSES)("does not begin with a run that is %s", async (status) => {
    const { result, stopped, sent } = await waitFor({
      reads: [],
      stopped: (await stop([], runThatIs(status))).result,
    });
    expect(result).toBe(stopped);
    expect(sent).toEqual([]);
  });

  it("does not begin with a failure", async () => {
    const failed = (await stop([BROKEN])).result;
    const { result, sent } = await waitFor({ reads: [], stopped: failed });
    expect(result).toBe(failed);
    expect(sent).toEqual([]);
  });

  it("sends no cancel, whatever it reads", async () => {
    const reads = Array<Step>(30).fill(says("in_progress"));
    const { sent } = await waitFor({ reads, waitMs: 9_000 });
    expect(new Set(sent)).toEqual(new Set(["GET"]));
  });

  it("finds that a second click met a run already under way", async () => {
    const stopped = (await stop([], runThatIs("cancelling"))).result;
    const { result } = await waitFor({ reads: [says("cancelled")], stopped });
    expect(result).toMatchObject({ outcome: "already_cancelled", attempts: 0 });
  });

  it("finds that a cancel whose answers were lost has arrived after all", async () => {
    const lost = [CONNECTION_LOST, says("in_progress"), CONNECTION_LOST, says("in_progress")];
    const stopped = (await stop(lost)).result;
    expect(stopped).toMatchObject({ outcome: "not_confirmed", accepted: false });
    const { result } = await waitFor({ reads: [says("cancelling"), says("cancelled")], stopped });
    expect(result).toMatchObject({ outcome: "cancelled", accepted: true, attempts: 2 });
  });

  it("finds nothing cancelled that was only refused", async () => {
    const stopped = (await stop([REFUSED, says("in_progress")])).result;
    const { result } = await waitFor({ reads: [says("cancelled")], stopped });
    expect(result).toMatchObject({ outcome: "already_cancelled", accepted: false });
  });

  describe("where the upstream forgets", () => {
    async function contextsOf(stopped: StopResult, recalled?: number): Promise<(number | null)[]> {
      const contexts: RunContext[] = [];
      const own = { forgetsCancel: true, toRun: keepingContext(contexts) };
      const reads = [says("in_progress"), says("cancelled")];
      await waitFor({ reads, stopped, own, ...(recalled === undefined ? {} : { recalled }) });
      return contexts.map(({ cancelledAt }) => cancelledAt);
    }

    it("reads by the time when the cancel was sent", async () => {
      const { result } = await stop([says("cancelling")]);
      const earlier = { ...result, cancelledAt: NOW_SECONDS - 5 };
      expect(await contextsOf(earlier)).toEqual([NOW_SECONDS - 5, NOW_SECONDS - 5]);
    });

    it("reads by what the ledger remembers, when this cancel was not sent", async () => {
      const { result } = await stop([], runThatIs("cancelling"));
      expect(await contextsOf(result, 1_700_000_000)).toEqual([1_700_000_000, 1_700_000_000]);
    });

    it("reads by no cancel at all, when the run's state refused it", async () => {
      const { result } = await stop([REFUSED, says("in_progress")]);
      expect(await contextsOf(result)).toEqual([null, null]);
    });

    it("never takes a run that waits for a human for a cancelled one", async () => {
      const waiting = json(200, '{"run_id":"run_1","thread_id":"thread_1","status":"interrupted"}');
      const script = scripted([json(409, "{}"), ...Array<Step>(9).fill(waiting)]);
      const tools = toolsWith(script);
      const connection = connectionTo(langgraph, "https://upstream.test");
      const stopped = await cancelUpstreamRun(tools, connection, TARGET, null);
      const until = tools.now() + 2_000;
      const result = await waitUntilTerminal(tools, connection, TARGET, stopped, until);
      expect(result).toMatchObject({
        outcome: "not_confirmed",
        run: { status: "requires_action", cancelled_at: null },
      });
    });
  });
});

// ── Whatever the upstream does ──────────────────────────────────────────────────────────────────

/** The words of each wire, with what they mean once a cancel was sent. */
const WORDS: Readonly<Record<string, Readonly<Record<string, RunStatus>>>> = {
  assistants: Object.fromEntries(RunStatus.options.map((status) => [status, status])),
  "openai-responses": {
    queued: "queued",
    in_progress: "in_progress",
    cancelled: "cancelled",
    completed: "completed",
    failed: "failed",
    incomplete: "incomplete",
  },
  "gemini-interactions": {
    queued: "queued",
    in_progress: "in_progress",
    requires_action: "requires_action",
    completed: "completed",
    failed: "failed",
    cancelled: "cancelled",
    budget_exceeded: "incomplete",
  },
  langgraph: {
    pending: "queued",
    running: "in_progress",
    interrupted: "cancelled",
    success: "completed",
    error: "failed",
    timeout: "expired",
  },
};

/** A script of steps has no place for what others read beside the run. */
const anyAdapter = fc.constantFrom(...UPSTREAMS.filter(({ alongside }) => alongside === undefined));
const anyStep = (adapter: Upstream): fc.Arbitrary<Step> => {
  const words = Object.keys(WORDS[adapter.kind] ?? {});
  const id = adapter.kind === "langgraph" ? "run_id" : "id";
  const body = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...words).map((status) => ({ status })) },
    fc.constantFrom({}, { status: "archived" }, { status: 7 }, { thread_id: "thread_2" }),
  );
  const run = body.map((own) => JSON.stringify({ [id]: "run_1", thread_id: "thread_1", ...own }));
  const junk = fc.constantFrom("", "null", "[]", "<html>", '{"id":', '{"id":"run_2"}');
  const ok = fc.constantFrom(200, 200, 200, 202);
  const failed = fc.constantFrom(302, 400, 401, 403, 404, 409, 422, 429, 500, 503);
  const refusal = fc.constantFrom(
    '{"error":{"message":"Cannot cancel run with status \'completed\'."}}',
    '{"error":{"message":"Cannot cancel a completed response."}}',
    '{"detail":"Run not found"}',
    "404 Not Found",
    "Invalid uuid",
  );
  return fc.oneof(
    { weight: 6, arbitrary: fc.tuple(ok, run).map(([status, text]) => json(status, text)) },
    { weight: 1, arbitrary: fc.tuple(ok, junk).map(([status, text]) => json(status, text)) },
    { weight: 3, arbitrary: fc.tuple(failed, refusal).map(([status, text]) => json(status, text)) },
    { weight: 3, arbitrary: fc.constant(CONNECTION_LOST) },
    { weight: 1, arbitrary: fc.constant(HUGE) },
  );
};
const anyBehaviour = anyAdapter.chain((adapter) =>
  fc.record({
    adapter: fc.constant(adapter),
    steps: fc.array(anyStep(adapter), { minLength: 0, maxLength: 8 }),
    before: fc.option(fc.constantFrom(...RunStatus.options)),
    recalled: fc.option(fc.constant(1_700_000_000)),
    waitMs: fc.constantFrom(0, 0, 1_000),
  }),
);

describe("whatever the upstream does", () => {
  it("no more is claimed than was read, and no cancel is sent in the dark", async () => {
    await fc.assert(
      fc.asyncProperty(anyBehaviour, async ({ adapter, steps, before, recalled, waitMs }) => {
        const script = scripted(steps);
        const tools = toolsWith(script, recalled);
        const connection = connectionTo(adapter, "https://upstream.test");
        const run = before === null ? null : runThatIs(before);
        const known = run === null ? null : readAs(run);
        const stopped = await cancelUpstreamRun(tools, connection, TARGET, known);
        const until = tools.now() + waitMs;
        const result = await waitUntilTerminal(tools, connection, TARGET, stopped, until);
        const sent = sentIn(script);
        // What each request was told, in words; undefined when it was told nothing of a run.
        const accepted = (index: number): boolean =>
          recalled !== null ||
          sent.slice(0, index).some((_, at) => isAccepted(sent[at], steps[at]));
        const told = sent.map((_, index) => statusIn(adapter, steps[index], accepted(index)));

        expectPlausible(result);
        expect(result.attempts).toBe(sent.filter((method) => method === "POST").length);
        expect(result.attempts).toBeLessThanOrEqual(2);
        expectNoCancelInTheDark(sent, told, steps);
        if (run !== null && (isTerminal(run.status) || before === "cancelling")) {
          expect(result.attempts).toBe(0);
        }
        if ("run" in result && result.run.status === "cancelled" && before !== "cancelled") {
          expect(sent.at(-1)).toBe("GET");
          expect(told.at(-1)).toBe("cancelled");
        }
      }),
      { numRuns: 1_500 },
    );
  });
});

function expectPlausible(result: StopResult): void {
  if (!("run" in result)) {
    expect(result).toMatchObject({ after: null, detail: expect.any(String) });
    expect(result.failure).not.toBe("internal_error");
    return;
  }
  const { run, outcome } = result;
  expect(run).toEqual(Run.parse(run));
  expect(result.after).toBe(run.status);
  if (outcome === "cancelled" || outcome === "cancelling") expect(run.status).toBe(outcome);
  else if (outcome === "not_confirmed") expect(isTerminal(run.status)).toBe(false);
  else expect(outcome).toBe(`already_${run.status}`);
}

/** Before a second cancel comes a read, and it has shown a run that still moves. */
function expectNoCancelInTheDark(
  sent: readonly string[],
  told: readonly (RunStatus | undefined)[],
  steps: readonly Step[],
): void {
  const second = sent.indexOf("POST", sent.indexOf("POST") + 1);
  if (second < 0) return;
  // Some are looked at before the first cancel too.
  const from = sent.indexOf("POST");
  expect(sent.slice(from, second)).toEqual(["POST", "GET"]);
  expect(MOVING).toContain(told[second - 1]);
  // And the first was not answered, or only with an error of the server's.
  const first = steps[from];
  const failed = typeof first === "object" && "status" in first && first.status >= 500;
  expect(failed || first === CONNECTION_LOST || first === HUGE).toBe(true);
}

function isAccepted(method: string | undefined, step: Step | undefined): boolean {
  return method === "POST" && typeof step === "object" && "status" in step && step.status < 300;
}

/** `accepted`: a cancel was, before; without one an interrupted run waits for a human. */
function statusIn(
  adapter: Upstream,
  step: Step | undefined,
  accepted: boolean,
): RunStatus | undefined {
  if (step === undefined || step instanceof Error || step === "hang" || step.status >= 300) return;
  let body: { status?: unknown; thread_id?: unknown; id?: unknown; run_id?: unknown };
  try {
    body = JSON.parse(step.body);
  } catch {
    return undefined;
  }
  const words = WORDS[adapter.kind] ?? {};
  if (body?.status === "interrupted" && !accepted) return "requires_action";
  if (typeof body?.status === "string" && body.status in words) return words[body.status];
  // A word that nobody knows is of a run that goes on; on one wire a run has to have one.
  const isWord = typeof body?.status === "string";
  return adapter.kind === "assistants" && !isWord ? undefined : "in_progress";
}
