// What the words of the Interactions API mean: an interaction as a Run, and its errors.
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import * as z from "zod";
import { asRefusal, Refusal } from "../../src/failure.ts";
import { Run } from "../../src/runs/run.ts";
import { geminiInteractions } from "../../src/upstreams/gemini-interactions.ts";
import { geminiInteractionsReplies } from "./replies/gemini-interactions.ts";

const { active } = geminiInteractionsReplies;
const { target } = active;
const INTERACTION = JSON.parse(active.before.body);

function toRun(members: object = {}, context: object = {}) {
  return geminiInteractions.toRun(
    { ...INTERACTION, ...members },
    { ...target, cancelledAt: null, ...context },
  );
}

function reasonOf(step: () => unknown): string {
  try {
    step();
    return "none";
  } catch (error) {
    return asRefusal(error).reason;
  }
}

/** Any JSON; most often an object whose members have the names of an interaction's. */
const NAMES = [
  ...["id", "status", "created", "updated", "agent", "model", "system_instruction", "labels"],
  ...["errors", "steps", "tools", "usage", "generation_config", "type", "name", "arguments"],
  ...["call_id", "message", "parameters", "description", "tool_choice", "temperature"],
  ...["max_output_tokens", "total_tokens", "total_input_tokens", "__proto__", "constructor"],
];
const WORDS = [
  ...["requires_action", "failed", "cancelled", "completed", "budget_exceeded", "canceled"],
  ...["function_call", "function_result", "function", "file_search", "code_execution", "any"],
];
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.oneof(fc.constantFrom(...WORDS, target.runId, null), fc.jsonValue({ maxDepth: 1 })),
    fc.array(tie("json"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...NAMES), tie("json"), { maxKeys: 8 }),
  ),
}));
const members = fc.dictionary(fc.constantFrom(...NAMES), json, { maxKeys: 12 });
const anyBody: fc.Arbitrary<unknown> = fc.oneof(
  json,
  members.map((given) => ({ ...INTERACTION, ...given, id: target.runId })),
  members.map((given) => ({ ...INTERACTION, ...given })),
);

describe("an interaction", () => {
  it("is a Run on the thread that was asked about, since it names none", () => {
    expect(toRun()).toMatchObject({
      id: target.runId,
      thread_id: "thread_1",
      assistant_id: "deep-research-preview",
      model: "deep-research-preview",
      status: "in_progress",
      created_at: Date.parse("2026-11-22T18:26:40Z") / 1_000,
      instructions: "Answer the customer.",
      metadata: { tenant: "acme", user: "user-1" },
      tools: [{ type: "code_interpreter" }],
      usage: null,
    });
    expect(geminiInteractions.threadOf(INTERACTION)).toBeUndefined();
    expect(geminiInteractions.metadata(INTERACTION)).toEqual({ tenant: "acme", user: "user-1" });
  });

  it.each([
    ["queued", "queued", null],
    ["in_progress", "in_progress", null],
    ["requires_action", "requires_action", null],
    ["requires_continuation", "incomplete", { reason: "max_completion_tokens" }],
    ["budget_exceeded", "incomplete", {}],
    ["incomplete", "incomplete", null],
    ["completed", "completed", null],
    ["failed", "failed", null],
    ["cancelled", "cancelled", null],
    ["dreaming", "in_progress", null],
    [7, "in_progress", null],
  ])("that is %s is %s", (status, expected, details) => {
    const run = toRun({ status });
    expect([run.status, run.incomplete_details]).toEqual([expected, details]);
  });

  it.each(["completed", "failed", "cancelled"])(
    "that has %s did so when it was updated",
    (status) => {
      const run = toRun({ status, updated: "2026-11-22T18:28:20Z" });
      const at = Date.parse("2026-11-22T18:28:20Z") / 1_000;
      const times = [run.completed_at, run.failed_at, run.cancelled_at];
      expect(times.filter((time) => time !== null)).toEqual([at]);
      expect(run[`${status}_at` as "failed_at"]).toBe(at);
    },
  );

  it.each([
    "queued",
    "in_progress",
    "requires_action",
    "incomplete",
    "requires_continuation",
    "budget_exceeded",
    "dreaming",
  ])("that is %s has no time of its end, whatever the ledger remembers", (status) => {
    const run = toRun({ status }, { cancelledAt: 1_000 });
    expect([run.completed_at, run.failed_at, run.cancelled_at]).toEqual([null, null, null]);
  });

  it.each(["soon", "", null, undefined, {}, ["2026-11-22T18:28:20Z"]])(
    "has no time that %j could be",
    (time) => {
      const run = toRun({ status: "cancelled", created: time, updated: time });
      expect([run.created_at, run.cancelled_at]).toEqual([0, null]);
    },
  );

  it("is of no agent where a model answers, and of no model but its agent otherwise", () => {
    const named = (agent: unknown, model: unknown) => {
      const run = toRun({ agent, model });
      return [run.assistant_id, run.model];
    };
    expect(named(undefined, "gemini-3")).toEqual(["", "gemini-3"]);
    expect(named("researcher", undefined)).toEqual(["researcher", "researcher"]);
    expect(named("researcher", "gemini-3")).toEqual(["researcher", "gemini-3"]);
    expect(named(null, null)).toEqual(["", ""]);
  });

  it("is on no thread when it was named alone", () => {
    expect(toRun({}, { threadId: null }).thread_id).toBe("");
  });

  it("has those of its tools that a Run has words for", () => {
    const parameters = { type: "object", properties: { id: { type: "integer" } } };
    const tools = [
      { type: "google_search" },
      { type: "function", name: "look_up", description: "Looks it up.", parameters },
      { type: "function" },
      { type: "file_search", file_search_store_names: ["canary"] },
      { type: "code_execution" },
      { type: "mcp_server", name: "canary" },
      null,
      "function",
    ];
    expect(toRun({ tools }).tools).toEqual([
      { type: "function", function: { name: "look_up", description: "Looks it up.", parameters } },
      { type: "file_search" },
      { type: "code_interpreter" },
    ]);
    for (const other of [undefined, null, "function", { type: "function" }]) {
      expect(toRun({ tools: other }).tools).toEqual([]);
    }
  });

  it("tells what it used when it has ended: the total counts thoughts too", () => {
    const usage = { total_input_tokens: 12, total_output_tokens: 5, total_tokens: 40 };
    expect(toRun({ usage }).usage).toBeNull();
    expect(toRun({ status: "completed", usage }).usage).toEqual({
      prompt_tokens: 12,
      completion_tokens: 5,
      total_tokens: 40,
    });
  });

  it("that failed says why, or that it did", () => {
    const failed = (errors: unknown) => toRun({ status: "failed", errors }).last_error;
    expect(failed([{ message: "Broken." }])).toEqual({ code: "server_error", message: "Broken." });
    for (const errors of [[], null, "x", [{}], [{ message: 7 }], { message: "x" }]) {
      expect(failed(errors)).toEqual({
        code: "server_error",
        message: "The interaction failed.",
      });
    }
    expect(toRun({ errors: [{ message: "A warning." }] }).last_error).toBeNull();
  });

  it("that waits tells the calls that nobody has answered", () => {
    const steps = [
      { type: "function_call", id: "call_1", name: "look_up", arguments: { id: 1 } },
      { type: "function_result", call_id: "call_1", result: "found" },
      { type: "thought", id: "call_2" },
      { type: "function_call", id: "call_3", name: "look_up" },
    ];
    expect(toRun({ status: "requires_action", steps }).required_action).toEqual({
      type: "submit_tool_outputs",
      submit_tool_outputs: {
        tool_calls: [
          { id: "call_3", type: "function", function: { name: "look_up", arguments: "{}" } },
        ],
      },
    });
    expect(toRun({ steps }).required_action).toBeNull();
  });

  it("that waits for nothing that a client could answer says so", () => {
    const waiting = (steps: unknown) => toRun({ status: "requires_action", steps }).required_action;
    const call = { type: "function_call", id: "call_1", name: "look_up", arguments: {} };
    for (const steps of [
      [call, { type: "function_result", call_id: "call_1" }],
      [{ ...call, type: "mcp_server_tool_call" }],
      [],
      null,
      "canary",
      { 0: call },
    ]) {
      expect(waiting(steps)).toBeNull();
    }
    // A result before its call answers it too; a thought with the same id does not.
    expect(waiting([{ type: "function_result", call_id: "call_1" }, call])).toBeNull();
    expect(waiting([{ type: "thought", call_id: "call_1" }, call])).not.toBeNull();
  });

  it("has the arguments of a call as a text, however odd they are", () => {
    const argumentsOf = (given: unknown) => {
      const steps = [{ type: "function_call", id: "call_1", name: "look_up", arguments: given }];
      const { required_action } = toRun({ status: "requires_action", steps });
      return required_action?.submit_tool_outputs.tool_calls.map((call) => call.function.arguments);
    };
    expect(argumentsOf({ id: 1, deep: [{}] })).toEqual(['{"id":1,"deep":[{}]}']);
    expect(argumentsOf(null)).toEqual(["{}"]);
    expect(argumentsOf('{"id":1}')).toEqual(['{"id":1}']);
    // As deep as a reply can be: more than the stack of `JSON.stringify` takes.
    const levels = 120_000;
    expect(argumentsOf(JSON.parse("[".repeat(levels) + "]".repeat(levels)))).toEqual([]);
  });

  it("has its config in words of a Run", () => {
    const generation_config = {
      temperature: 0.2,
      top_p: 0.9,
      max_output_tokens: 1_024,
      tool_choice: "any",
    };
    expect(toRun({ generation_config, model: "gemini-3" })).toMatchObject({
      temperature: 0.2,
      top_p: 0.9,
      max_completion_tokens: 1_024,
      tool_choice: "required",
      model: "gemini-3",
    });
    const choices = ["auto", "none", "validated", {}].map(
      (tool_choice) => toRun({ generation_config: { tool_choice } }).tool_choice,
    );
    expect(choices).toEqual(["auto", "none", "auto", "auto"]);
  });

  it.each([
    ["nothing", undefined],
    ["null", null],
    ["a text", "canary"],
    ["a list", [INTERACTION]],
    ["nothing of its own", {}],
    ["no id", { ...INTERACTION, id: undefined }],
    ["another id", { ...INTERACTION, id: "v1_other" }],
    ["an error", { error: { code: 404, message: "Method not found." } }],
  ])("is none that is %s", (_, body) => {
    const context = { ...target, cancelledAt: null };
    expect(() => geminiInteractions.toRun(body, context)).toThrow(Refusal);
    expect(reasonOf(() => geminiInteractions.toRun(body, context))).toBe("upstream_error");
  });

  test("is a whole Run or refused, whatever it is", () => {
    const keys = Object.keys(Run.shape);
    fc.assert(
      fc.property(anyBody, fc.boolean(), (body, isAlone) => {
        const context = { ...target, cancelledAt: null, ...(isAlone ? { threadId: null } : {}) };
        try {
          const run = geminiInteractions.toRun(body, context);
          expect(run).toEqual(Run.parse(run));
          expect(Object.keys(run)).toEqual(keys);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          expect(error.reason).toBe("upstream_error");
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("an error", () => {
  const meaning = (status: number, error: object, wrapped = false) => {
    const body = wrapped ? [{ error }] : { error };
    return geminiInteractions.meaning({ status, body, text: "", origin: "https://x.test" });
  };

  it.each([false, true])("is read the same in a list or not (%s)", (wrapped) => {
    const noMethod = { code: 404, message: "Method not found.", status: "NOT_FOUND" };
    expect(meaning(404, noMethod, wrapped)).toBe("unsupported_by_upstream");
    expect(meaning(404, { ...noMethod, code: "404" }, wrapped)).toBe("unsupported_by_upstream");
    expect(meaning(404, { message: "Interaction not found." }, wrapped)).toBe("run_not_found");
    expect(meaning(499, {}, wrapped)).toBe("accepted");
    expect(meaning(500, { status: "CANCELLED" }, wrapped)).toBe("accepted");
    expect(meaning(500, { status: "INTERNAL" }, wrapped)).toBeNull();
  });

  it("of 409 is the state's; what 400 and 422 are about, the state has to tell", () => {
    expect(meaning(409, { message: "Not now." })).toBe("refused_by_state");
    const old = "The legacy Interactions API schema is no longer supported. Use another.";
    for (const status of [400, 422]) {
      expect(meaning(status, { message: "Not now." })).toBeNull();
      expect(meaning(status, { code: "invalid_request", message: old })).toBeNull();
    }
  });

  it("of 400 can be of a key that nobody knows", () => {
    const details = [{ reason: "API_KEY_INVALID" }];
    expect(meaning(400, { details })).toBe("upstream_rejected_credentials");
    expect(meaning(400, { details }, true)).toBe("upstream_rejected_credentials");
    for (const other of [[], [null], [{ reason: "OTHER" }], "API_KEY_INVALID", undefined]) {
      expect(meaning(400, { details: other })).toBeNull();
    }
    expect(meaning(404, { details })).toBe("run_not_found");
  });

  it("is of a missing interaction wherever nothing says that the method is missing", () => {
    for (const body of [undefined, null, [], {}, "Not found.", [[]], { error: "x" }]) {
      const reply = { status: 404, body, text: "", origin: "https://x.test" };
      expect(geminiInteractions.meaning(reply)).toBe("run_not_found");
    }
    expect(meaning(404, { message: "Method not found. Or so." })).toBe("run_not_found");
    expect(meaning(400, { message: "Method not found." })).toBeNull();
  });

  it.each([200, 202, 302, 401, 403, 429, 500, 501, 503])("of %i leaves it at that", (status) => {
    expect(meaning(status, { message: "Method not found.", status: "NOT_FOUND" })).toBeNull();
  });

  it("counts with a status of success only when the call was cancelled", () => {
    expect(meaning(200, { status: "CANCELLED" })).toBe("accepted");
    expect(meaning(200, { status: "UNAVAILABLE" })).toBeNull();
    expect(meaning(302, { status: "CANCELLED" })).toBeNull();
    expect(meaning(400, { status: "CANCELLED" })).toBe("accepted");
    expect(meaning(400, { code: 499, status: "cancelled" })).toBeNull();
  });

  it("that is none means nothing", () => {
    expect(meaning(503, {})).toBeNull();
    for (const body of [undefined, null, [], "CANCELLED", 7]) {
      const reply = { status: 503, body, text: "", origin: "https://x.test" };
      expect(geminiInteractions.meaning(reply)).toBeNull();
    }
  });
});

describe("the options", () => {
  const { credential, headers } = geminiInteractions;

  it("choose the header of the key", () => {
    expect(credential({})).toEqual({ header: "x-goog-api-key", prefix: "" });
    expect(credential({ auth: "bearer" })).toEqual({ header: "authorization", prefix: "Bearer " });
  });

  it.each([
    [{}, {}],
    [{ auth: "bearer" }, {}],
    [{ user_project: "my-project" }, { "x-goog-user-project": "my-project" }],
    [{ api_revision: "2026-05-20" }, { "api-revision": "2026-05-20" }],
    [
      { auth: "bearer", user_project: "example.com:p-1", api_revision: "2026-05-20" },
      { "x-goog-user-project": "example.com:p-1", "api-revision": "2026-05-20" },
    ],
  ])("%j add the headers %j", (options, expected) => {
    expect(headers(options)).toEqual(expected);
    const parsed = z.strictObject(geminiInteractions.options).parse(options);
    expect(parsed).toEqual({ auth: "x-goog-api-key", ...options });
    expect(headers(parsed)).toEqual(expected);
  });

  it.each([
    [{ auth: "basic" }],
    [{ user_project: "My Project" }],
    [{ user_project: "a\r\nx: 1" }],
    [{ user_project: "" }],
    [{ user_project: "a".repeat(65) }],
    [{ user_project: "my-project\n" }],
    [{ user_project: null }],
    [{ api_revision: "today" }],
    [{ api_revision: "2026-05-20\n" }],
    [{ api_revision: "2026-05-20, 2026-05-21" }],
    [{ api_revision: "" }],
    [{ api_revision: 20_260_520 }],
    [{ version: "v1beta" }],
  ])("are not %j", (options) => {
    expect(z.strictObject(geminiInteractions.options).safeParse(options).success).toBe(false);
  });
});

describe("what is asked", () => {
  it("names the interaction alone, and sends nothing", () => {
    const everything = { auth: "bearer", user_project: "p", api_revision: "2026-05-20" };
    for (const threadId of ["thread_1", null]) {
      for (const options of [{}, everything]) {
        const named = { threadId, runId: "v1_abc" };
        expect(geminiInteractions.cancel(named, options)).toEqual({
          method: "POST",
          path: ["interactions", "v1_abc", "cancel"],
        });
        expect(geminiInteractions.read(named, options)).toEqual({
          method: "GET",
          path: ["interactions", "v1_abc"],
        });
      }
    }
  });

  it("is a cancel, once and not unseen, that hits this interaction only and keeps it", () => {
    expect(geminiInteractions).toMatchObject({
      repeatsCancel: false,
      hitsActiveRun: false,
      forgetsCancel: true,
      answersWhenDone: true,
      cancelChecksThread: false,
    });
    expect(geminiInteractions.readsFirst({})).toBe(true);
    expect(geminiInteractions.deletesRun({})).toBe(false);
  });

  it("is nothing else: no list, nothing beside it, no response", () => {
    const { list, alongside, whyNot, toResponse } = geminiInteractions;
    expect([list, alongside, whyNot, toResponse]).toEqual(Array(4).fill(undefined));
  });
});
