// What the words of the Interactions API mean: an interaction as a Run, and its errors.
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import * as z from "zod";
import { asRefusal } from "../../src/failure.ts";
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
    for (const errors of [[], null, "x", [{}]]) {
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

  test("is a whole Run or refused, whatever it is", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (members) => {
        const isObject = typeof members === "object" && members !== null && !Array.isArray(members);
        const body = isObject ? { ...INTERACTION, ...members } : members;
        try {
          const run = geminiInteractions.toRun(body, { ...target, cancelledAt: null });
          expect(run).toEqual(Run.parse(run));
        } catch (error) {
          expect(asRefusal(error).reason).toBe("upstream_error");
        }
      }),
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

  it.each([400, 409, 422])("of %i is the state's, unless the schema is too old", (status) => {
    expect(meaning(status, { message: "Not now." })).toBe("refused_by_state");
    const old = "The legacy Interactions API schema is no longer supported. Use another.";
    expect(meaning(status, { code: "invalid_request", message: old })).toBeNull();
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

  it("add headers of their own", () => {
    expect(headers({})).toEqual({});
    expect(headers({ user_project: "my-project", api_revision: "2026-05-20" })).toEqual({
      "x-goog-user-project": "my-project",
      "api-revision": "2026-05-20",
    });
  });

  it.each([
    [{ auth: "basic" }],
    [{ user_project: "My Project" }],
    [{ user_project: "a\r\nx: 1" }],
    [{ api_revision: "today" }],
  ])("are not %j", (options) => {
    expect(z.strictObject(geminiInteractions.options).safeParse(options).success).toBe(false);
  });
});
