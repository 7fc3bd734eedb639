// What the words of the Agents API mean: a turn as a Run, and what its session says of it.
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { asRefusal } from "../../src/failure.ts";
import { Run } from "../../src/runs/run.ts";
import { openaiAgents } from "../../src/upstreams/openai-agents.ts";
import { cancelUpstreamRun } from "../../src/upstreams/stop.ts";
import type { Reply } from "../../src/upstreams/upstream.ts";
import { waitUntilTerminal } from "../../src/upstreams/wait.ts";
import { openaiAgentsReplies } from "./replies/openai-agents.ts";
import { json, plain } from "./replies/replies.ts";
import { answering, connectionTo, NOW_SECONDS, toolsWith } from "./support.ts";

const { active, alongside, baseUrl } = openaiAgentsReplies;
const { target } = active;
const TURN = JSON.parse(active.before.body);
const SESSION = JSON.parse(alongside?.reply.body ?? "null");

function toRun(members: object = {}, session: unknown = SESSION) {
  return openaiAgents.toRun(
    { ...TURN, ...members },
    { ...target, cancelledAt: null, alongside: session },
  );
}

/** An entry of the session's `required_actions`, the turn's own unless `members` say otherwise. */
function call(members: object = {}) {
  return {
    type: "function_call",
    turn_id: target.runId,
    call_id: "call_1",
    name: "look_up",
    arguments: "{}",
    ...members,
  };
}

/** Deeper than a JSON encoder's stack, when `levels` are many. */
function nested(levels: number): unknown {
  return JSON.parse("[".repeat(levels) + "]".repeat(levels));
}

describe("a turn", () => {
  it("has the rest from its session", () => {
    expect(toRun()).toMatchObject({
      id: "turn_68f2",
      thread_id: "sess_68f1",
      assistant_id: "agent_68f0",
      status: "in_progress",
      created_at: 1_795_372_000,
      started_at: 1_795_372_001,
      model: "gpt-5",
      instructions: "Help the customer.",
      tools: [{ type: "function", function: { name: "look_up", description: "Looks up." } }],
      metadata: { tenant: "acme", user: "user-1" },
      required_action: null,
      usage: null,
    });
  });

  it.each([
    ["queued", "queued"],
    ["in_progress", "in_progress"],
    ["waiting", "requires_action"],
    ["completed", "completed"],
    ["failed", "failed"],
    ["cancelled", "cancelled"],
    ["thinking", "in_progress"],
    [7, "in_progress"],
  ])("that is %s is %s", (status, expected) => {
    expect(toRun({ status }).status).toBe(expected);
  });

  it.each(["completed", "failed", "cancelled"])("that has %s did so when it says", (status) => {
    const run = toRun({ status, completed_at: 1_795_372_100 });
    const times = [run.completed_at, run.failed_at, run.cancelled_at];
    expect(times.filter((time) => time !== null)).toEqual([1_795_372_100]);
    expect(run[`${status}_at` as "failed_at"]).toBe(1_795_372_100);
  });

  it("tells what it used when it has ended, and not before", () => {
    const usage = { input_tokens: 12, output_tokens: 5, total_tokens: 17 };
    expect(toRun({ status: "in_progress", usage }).usage).toBeNull();
    expect(toRun({ status: "completed", usage }).usage).toEqual({
      prompt_tokens: 12,
      completion_tokens: 5,
      total_tokens: 17,
    });
  });

  it.each([
    ["rate_limit_exceeded", "rate_limit_exceeded"],
    ["invalid_request", "invalid_prompt"],
    ["sandbox_died", "server_error"],
  ])("that failed by %s did so by %s", (code, expected) => {
    const error = { code, message: "It did not work." };
    expect(toRun({ status: "failed", error }).last_error).toEqual({
      code: expected,
      message: "It did not work.",
    });
  });

  it("that waits tells which of the session's calls are its own", () => {
    expect(toRun({ status: "waiting" }).required_action).toEqual({
      type: "submit_tool_outputs",
      submit_tool_outputs: {
        tool_calls: [
          {
            id: "call_1",
            type: "function",
            function: { name: "look_up", arguments: '{"id":7}' },
          },
        ],
      },
    });
    // Deeper than any encoder's stack: the call is left out, and nothing breaks.
    const deep: unknown = JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`);
    const required_actions = [{ ...SESSION.required_actions[0], arguments: deep }];
    expect(() => toRun({ status: "waiting" }, { ...SESSION, required_actions })).not.toThrow();
    expect(toRun({ status: "waiting" }, { required_actions: [] }).required_action).toBeNull();
    expect(toRun({ status: "waiting" }, null).required_action).toBeNull();
  });

  it("that does not wait asks for nothing, whatever its session does", () => {
    for (const status of ["queued", "in_progress", "completed", "failed", "cancelled"]) {
      expect(toRun({ status }).required_action).toBeNull();
    }
  });

  it.each([
    ["a text", '{"id":7}', '{"id":7}'],
    ["nothing", undefined, "{}"],
    ["null", null, "{}"],
    ["a list", [1, "two"], '[1,"two"]'],
  ])("that waits has the arguments of its calls as a text, also those of %s", (_, given, told) => {
    const run = toRun({ status: "waiting" }, { required_actions: [call({ arguments: given })] });
    expect(run.required_action?.submit_tool_outputs.tool_calls).toEqual([
      { id: "call_1", type: "function", function: { name: "look_up", arguments: told } },
    ]);
  });

  it("that waits leaves out what is no call of a function, or cannot be told", () => {
    const required_actions = [
      null,
      "call",
      call({ type: "computer_call", call_id: "call_2" }),
      call({ turn_id: undefined, call_id: "call_3" }),
      call({ name: "", call_id: "call_4" }),
      call({ arguments: nested(20_000), call_id: "call_5" }),
      call(),
    ];
    const run = toRun({ status: "waiting" }, { required_actions });
    expect(run.required_action?.submit_tool_outputs.tool_calls).toMatchObject([{ id: "call_1" }]);
  });

  it.each([
    [undefined],
    [null],
    ["session"],
    [[]],
    [{}],
    [{ agent: null, metadata: null, required_actions: null }],
    [{ agent: [], metadata: [], required_actions: {} }],
    [{ agent: { model: {}, instructions: [], tools: "function" }, metadata: "acme" }],
    [{ agent: { tools: [null, "function", { type: "function" }, { type: "mcp", name: "x" }] } }],
    [{ agent: { tools: [{ type: "function", name: "" }] }, metadata: { deep: nested(20_000) } }],
  ])("is still a run when its session is garbage: case %#", (session) => {
    const context = { ...target, cancelledAt: null, alongside: session };
    expect(openaiAgents.toRun({ ...TURN, status: "waiting" }, context)).toMatchObject({
      id: "turn_68f2",
      thread_id: "sess_68f1",
      assistant_id: "agent_68f0",
      status: "requires_action",
      required_action: null,
      model: "",
      instructions: "",
      tools: [],
      metadata: {},
    });
  });

  it("has of its session's functions all that a Run can say, and of its other tools nothing", () => {
    const parameters = { type: "object", properties: { id: { type: "integer" } } };
    const told = { name: "look_up", description: "Looks up.", parameters, strict: true };
    const tools = [{ type: "web_search" }, { type: "function", ...told, canary: "canary" }];
    expect(toRun({}, { agent: { tools } }).tools).toEqual([{ type: "function", function: told }]);
  });

  it.each([[null], [undefined]])("without an error has none: %s", (error) => {
    expect(toRun({ status: "failed", error }).last_error).toBeNull();
  });

  it.each([
    ["no object", null],
    ["a list", [TURN]],
    ["without an id", { ...TURN, id: undefined }],
    ["with another id", { ...TURN, id: "turn_other" }],
  ])("that is %s is none", (_, body) => {
    const context = { ...target, cancelledAt: null, alongside: SESSION };
    expect(() => openaiAgents.toRun(body, context)).toThrow("upstream_error");
  });

  it("of another session is not found", () => {
    expect(() => toRun({ session_id: "sess_other" })).toThrow("run_not_found");
  });

  test("is a whole Run or refused, whatever it and its session are", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (members, session) => {
        const body =
          typeof members === "object" && members !== null && !Array.isArray(members)
            ? { ...TURN, ...members }
            : members;
        try {
          const run = openaiAgents.toRun(body, {
            ...target,
            cancelledAt: null,
            alongside: session,
          });
          expect(run).toEqual(Run.parse(run));
          expect(Object.keys(run)).toEqual(Object.keys(Run.shape));
        } catch (error) {
          expect(["upstream_error", "run_not_found"]).toContain(asRefusal(error).reason);
        }
      }),
    );
  });
});

describe("the requests", () => {
  const { list } = openaiAgents;

  it("are these, and no other", () => {
    expect(openaiAgents.cancel(target, {})).toEqual({
      method: "POST",
      path: ["agents", "sessions", "sess_68f1", "events"],
      body: { events: [{ type: "agent.session.input.cancel" }] },
    });
    expect(openaiAgents.read(target, {})).toEqual({
      method: "GET",
      path: ["agents", "sessions", "sess_68f1", "turns", "turn_68f2"],
    });
    expect(openaiAgents.alongside?.(target, {})).toEqual({
      method: "GET",
      path: ["agents", "sessions", "sess_68f1"],
    });
    expect(list?.requests("sess_68f1", {})).toEqual([
      {
        method: "GET",
        path: ["agents", "sessions", "sess_68f1", "turns"],
        query: { order: "desc" },
      },
    ]);
  });

  it("carry the key as a bearer and name the beta, with nothing to configure", () => {
    expect(openaiAgents.options).toEqual({});
    expect(openaiAgents.credential({})).toEqual({ header: "authorization", prefix: "Bearer " });
    expect(openaiAgents.headers({})).toEqual({ "openai-beta": "agents=v1" });
  });

  it("are never sent unseen, and a cancel never twice", () => {
    expect(openaiAgents.readsFirst({})).toBe(true);
    expect(openaiAgents).toMatchObject({
      hitsActiveRun: true,
      repeatsCancel: false,
      forgetsCancel: true,
      cancelChecksThread: true,
    });
    expect(openaiAgents.deletesRun({})).toBe(false);
  });

  it("for a list are answered with turns, each by its id", () => {
    expect(list?.runsIn({ data: [TURN, null], has_more: true })).toEqual([TURN, null]);
    expect(list?.idOf(TURN)).toBe("turn_68f2");
    expect(list?.idOf(null)).toBeUndefined();
    for (const body of [undefined, null, {}, { data: {} }]) {
      expect(() => list?.runsIn(body)).toThrow("upstream_error");
    }
  });
});

describe("an answer", () => {
  const meaningOf = (status: number, message = "canary") => {
    const body = { error: { message } };
    const reply: Reply = {
      status,
      body,
      text: JSON.stringify(body),
      origin: new URL(baseUrl).origin,
    };
    return openaiAgents.meaning(reply);
  };

  it("of 404 is about an unknown turn or session, whatever it says", () => {
    expect(meaningOf(404)).toBe("run_not_found");
    expect(meaningOf(404, "Invalid URL (POST /v1/agents/sessions)")).toBe("run_not_found");
  });

  it("of 409 is due to the turn's state; what 400 and 422 are about, the turn has to tell", () => {
    expect(meaningOf(409)).toBe("refused_by_state");
    for (const status of [400, 422]) expect(meaningOf(status)).toBeNull();
  });

  it.each([200, 202, 204, 401, 403, 410, 429, 500, 501, 503])(
    "of %i says nothing of the turn",
    (status) => {
      expect(meaningOf(status)).toBeNull();
    },
  );
});

describe("why a turn cannot be cancelled", () => {
  const why = (body: unknown) => openaiAgents.whyNot?.(body);

  it.each([
    ["the session's own", TURN],
    ["without the word", { ...TURN, subagent_id: undefined }],
    ["no object", null],
  ])("has no reason when it is %s", (_, body) => {
    expect(why(body)).toBeNull();
  });

  it.each(["agent_canary", "", 0, false, {}])(
    "is that it is a sub-agent's, in words for the public: %j",
    (subagent_id) => {
      const words = why({ ...TURN, subagent_id });
      expect(words).toMatch(/^This run is a sub-agent's, .+\.$/);
      expect(words).not.toContain("canary");
    },
  );
});

describe("the proof of whose it is", () => {
  it("is the session's metadata, not the turn's", () => {
    const forged = { ...TURN, metadata: { tenant: "globex" } };
    expect(openaiAgents.metadata(forged, SESSION)).toEqual({ tenant: "acme", user: "user-1" });
    expect(openaiAgents.metadata(forged, null)).toBeUndefined();
  });

  it("is not trimmed", () => {
    const metadata = { tenant: "acme", long: "x".repeat(2_000) };
    expect(openaiAgents.metadata(TURN, { metadata })).toEqual(metadata);
  });

  it("names the session that the turn itself says it is of", () => {
    expect(openaiAgents.threadOf({ ...TURN, session_id: "sess_other" })).toBe("sess_other");
    expect(openaiAgents.threadOf(null)).toBeUndefined();
  });
});

describe("a cancel that names no turn", () => {
  const lineOf = { list: `GET ${baseUrl}/agents/sessions/sess_68f1/turns?order=desc&limit=20` };

  async function stop(own: object, others: readonly object[]) {
    const turns = [{ ...TURN, ...own }, ...others.map((other) => ({ ...TURN, ...other }))];
    const script = answering(({ method, url }) => {
      if (method === "POST") return plain(202, "");
      if (`${method} ${url}` === lineOf.list) return json(200, JSON.stringify({ data: turns }));
      return url.endsWith("/turns/turn_68f2")
        ? json(200, JSON.stringify(turns[0]))
        : json(200, JSON.stringify(SESSION));
    });
    const connection = connectionTo(openaiAgents, baseUrl);
    const result = await cancelUpstreamRun(toolsWith(script), connection, target, null);
    const cancels = script.requests.filter(({ method }) => method === "POST").length;
    return { result, cancels, listed: script.lines().includes(lineOf.list) };
  }

  it.each(["in_progress", "waiting"])(
    "is sent for a turn that is %s, without a list",
    async (status) => {
      const { cancels, listed } = await stop({ status }, []);
      expect([cancels, listed]).toEqual([1, false]);
    },
  );

  it("is sent for a queued turn that is alone", async () => {
    const ended = [
      { id: "turn_2", status: "completed" },
      { id: "turn_3", status: "cancelled" },
    ];
    expect((await stop({ status: "queued" }, [])).cancels).toBe(1);
    expect((await stop({ status: "queued" }, ended)).cancels).toBe(1);
  });

  it.each([
    { status: "in_progress" },
    { status: "waiting" },
    { status: "thinking" },
    { status: "queued" },
    { status: "in_progress", subagent_id: "agent_2" },
  ])("is not sent for a turn that waits beside another: %j", async (other) => {
    const { result, cancels } = await stop({ status: "queued" }, [{ id: "turn_1", ...other }]);
    expect(result).toMatchObject({
      failure: "unsupported_by_upstream",
      words: expect.stringContaining("waits for its turn"),
      attempts: 0,
    });
    expect(cancels).toBe(0);
  });

  it("is not sent again while the one that was taken may be at work, and is to be had later", async () => {
    const script = answering(({ method, url }) => {
      if (method === "POST") return plain(202, "");
      return json(200, JSON.stringify(url.endsWith("/turns/turn_68f2") ? TURN : SESSION));
    });
    const connection = connectionTo(openaiAgents, baseUrl);
    const stopAfter = async (seconds: number) => {
      const tools = toolsWith(script, NOW_SECONDS - seconds);
      return await cancelUpstreamRun(tools, connection, target, null);
    };
    expect(await stopAfter(59)).toMatchObject({
      outcome: "cancelling",
      run: { status: "cancelling" },
      attempts: 0,
    });
    // Who waits for it is told the same.
    const tools = toolsWith(script, NOW_SECONDS - 5);
    const again = await cancelUpstreamRun(tools, connection, target, null);
    const until = tools.now() + 2_000;
    expect(await waitUntilTerminal(tools, connection, target, again, until)).toMatchObject({
      outcome: "cancelling",
      run: { status: "cancelling" },
      attempts: 0,
    });
    expect(await stopAfter(61)).toMatchObject({ outcome: "cancelling", attempts: 1 });
  });

  it("is not sent for a sub-agent's turn", async () => {
    const { result, cancels } = await stop({ subagent_id: "agent_2" }, []);
    expect(result).toMatchObject({ failure: "unsupported_by_upstream", attempts: 0 });
    expect(cancels).toBe(0);
  });
});
