// What the words of the Agents API mean: a turn as a Run, and what its session says of it.
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { asRefusal } from "../../src/failure.ts";
import { Run } from "../../src/runs/run.ts";
import { openaiAgents } from "../../src/upstreams/openai-agents.ts";
import { cancelUpstreamRun } from "../../src/upstreams/stop.ts";
import { openaiAgentsReplies } from "./replies/openai-agents.ts";
import { json, plain } from "./replies/replies.ts";
import { answering, connectionTo, toolsWith } from "./support.ts";

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
    expect(toRun({ status: "waiting" }, { required_actions: [] }).required_action).toBeNull();
    expect(toRun({ status: "waiting" }, null).required_action).toBeNull();
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
        } catch (error) {
          expect(["upstream_error", "run_not_found"]).toContain(asRefusal(error).reason);
        }
      }),
    );
  });
});

describe("the proof of whose it is", () => {
  it("is the session's metadata, not the turn's", () => {
    const forged = { ...TURN, metadata: { tenant: "globex" } };
    expect(openaiAgents.metadata(forged, SESSION)).toEqual({ tenant: "acme", user: "user-1" });
    expect(openaiAgents.metadata(forged, null)).toBeUndefined();
  });
});

describe("a cancel that names no turn", () => {
  const lineOf = { list: `GET ${baseUrl}/agents/sessions/sess_68f1/turns?order=desc&limit=100` };

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

  it("is sent for a queued turn that is alone, or behind others that have not begun", async () => {
    const others = [
      { id: "turn_1", status: "queued" },
      { id: "turn_2", status: "completed" },
    ];
    expect((await stop({ status: "queued" }, [])).cancels).toBe(1);
    expect((await stop({ status: "queued" }, others)).cancels).toBe(1);
  });

  it.each(["in_progress", "waiting", "thinking"])(
    "is not sent for a turn that waits behind one that is %s",
    async (status) => {
      const { result, cancels } = await stop({ status: "queued" }, [{ id: "turn_1", status }]);
      expect(result).toMatchObject({
        failure: "unsupported_by_upstream",
        words: expect.stringContaining("waits behind another"),
        attempts: 0,
      });
      expect(cancels).toBe(0);
    },
  );

  it("is not sent for a sub-agent's turn", async () => {
    const { result, cancels } = await stop({ subagent_id: "agent_2" }, []);
    expect(result).toMatchObject({ failure: "unsupported_by_upstream", attempts: 0 });
    expect(cancels).toBe(0);
  });
});
