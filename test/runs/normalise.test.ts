// What real and odd upstreams answer, and the Run that must come of it.
import { describe, expect, test } from "vitest";
import { Refusal } from "../../src/failure.ts";
import { FILLS, normaliseRun, REDACTABLE } from "../../src/runs/normalise.ts";
import { Run, RunStatus } from "../../src/runs/run.ts";

const TARGET = { threadId: "thread_1", runId: "run_1" };
const KEYS = Object.keys(Run.shape);

/** The Run of the least that an upstream must say, and of `members`. */
function normalise(members: Record<string, unknown> = {}): Run {
  return normaliseRun({ id: "run_1", status: "in_progress", ...members }, TARGET);
}

/** What `members` makes of the field `key`. */
function field(key: keyof Run, value: unknown, members: Record<string, unknown> = {}): unknown {
  return normalise({ ...members, [key]: value })[key];
}

function refusalOf(input: unknown): Pick<Refusal, "reason" | "detail"> {
  try {
    normaliseRun(input, TARGET);
  } catch (error) {
    if (error instanceof Refusal) return { reason: error.reason, detail: error.detail };
    throw error;
  }
  throw new Error("nothing was refused");
}

/** JSON of `levels` nested objects. */
function nested(levels: number): string {
  return `${'{"a":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`;
}

describe("whole answers", () => {
  test("the least of a run is filled up to all 27 fields, in the order of the schema", () => {
    const run = normaliseRun({ id: "run_1", status: "queued" }, TARGET);
    expect(Object.entries(run)).toEqual(
      Object.entries({
        id: "run_1",
        object: "thread.run",
        created_at: 0,
        thread_id: "thread_1",
        assistant_id: "",
        status: "queued",
        required_action: null,
        last_error: null,
        expires_at: null,
        started_at: null,
        cancelled_at: null,
        failed_at: null,
        completed_at: null,
        incomplete_details: null,
        model: "",
        instructions: "",
        tools: [],
        metadata: {},
        usage: null,
        temperature: null,
        top_p: null,
        max_prompt_tokens: null,
        max_completion_tokens: null,
        truncation_strategy: { type: "auto", last_messages: null },
        tool_choice: "auto",
        parallel_tool_calls: true,
        response_format: "auto",
      }),
    );
    expect(KEYS).toHaveLength(27);
  });

  test("null in every other field is the same as nothing", () => {
    const nulls = Object.fromEntries(KEYS.map((key) => [key, null]));
    expect(normalise({ ...nulls, id: "run_1", status: "in_progress" })).toEqual(normalise());
  });

  // The example of the API page the project was created from; the page calls its ids "id".
  test("the documented example comes out as it is, but for what its status forbids", () => {
    const example = {
      id: "id",
      assistant_id: "assistant_id",
      cancelled_at: 0,
      completed_at: 0,
      created_at: 0,
      expires_at: 0,
      failed_at: 0,
      incomplete_details: { reason: "max_completion_tokens" },
      instructions: "instructions",
      last_error: { code: "server_error", message: "message" },
      max_completion_tokens: 256,
      max_prompt_tokens: 256,
      metadata: { foo: "string" },
      model: "model",
      object: "thread.run",
      parallel_tool_calls: true,
      required_action: {
        submit_tool_outputs: {
          tool_calls: [
            { id: "id", function: { arguments: "arguments", name: "name" }, type: "function" },
          ],
        },
        type: "submit_tool_outputs",
      },
      response_format: "auto",
      started_at: 0,
      status: "queued",
      thread_id: "thread_id",
      tool_choice: "none",
      tools: [{ type: "code_interpreter" }],
      truncation_strategy: { type: "auto", last_messages: 1 },
      usage: { completion_tokens: 0, prompt_tokens: 0, total_tokens: 0 },
      temperature: 0,
      top_p: 0,
    };
    const target = { threadId: "thread_id", runId: "id" };
    expect(normaliseRun(example, target)).toEqual({ ...example, cancelled_at: null, usage: null });
    expect(normaliseRun({ ...example, status: "cancelled" }, target)).toEqual({
      ...example,
      status: "cancelled",
    });
  });

  // The fields and types are those of its `app/models`: `created_at` a float, the other times naive
  // ISO datetimes; `extra_body` can hold credentials of tools.
  test("open-assistant-api: floats, naive times, {}, plain strings, keys of its own", () => {
    const run = normalise({
      status: "cancelling",
      object: "thread.run",
      created_at: 1732089151.0,
      updated_at: 1732089160.123456,
      thread_id: "thread_1",
      assistant_id: "6705f1d6b5d6a1c6e5f8b0aa",
      instructions: null,
      model: "gpt-4o",
      file_ids: [],
      metadata: null,
      last_error: {},
      required_action: {},
      tools: [
        { type: "retrieval" },
        { type: "function", function: { name: "weather", parameters: { type: "object" } } },
        { type: "action", id: "66f0", extra: { action_id: "1" } },
      ],
      started_at: "2024-11-20T07:52:33.654321",
      completed_at: null,
      cancelled_at: "2024-11-20T07:52:40",
      expires_at: "2024-11-20T08:02:31",
      failed_at: null,
      additional_instructions: "Be brief.",
      extra_body: { action_authentications: { "1": { type: "bearer", secret: "s3cret" } } },
      stream_options: null,
      incomplete_details: "stopped",
      max_completion_tokens: null,
      max_prompt_tokens: null,
      response_format: { type: "text" },
      tool_choice: "required",
      truncation_strategy: null,
      usage: {},
      temperature: null,
      top_p: null,
    });
    expect(run).toEqual({
      ...normalise({ status: "cancelling" }),
      created_at: 1732089151,
      assistant_id: "6705f1d6b5d6a1c6e5f8b0aa",
      model: "gpt-4o",
      tools: [{ type: "function", function: { name: "weather", parameters: { type: "object" } } }],
      started_at: 1732089153,
      expires_at: 1732089751,
      response_format: { type: "text" },
      tool_choice: "required",
    });
    expect(JSON.stringify(run)).not.toContain("s3cret");
  });

  test("Azure ThreadRun: tool resources, tools and actions of Azure alone, `incomplete`", () => {
    const run = normalise({
      object: "thread.run",
      created_at: 1748000000,
      assistant_id: "asst_Qx",
      thread_id: "thread_1",
      status: "incomplete",
      started_at: 1748000001,
      expires_at: null,
      cancelled_at: null,
      failed_at: null,
      completed_at: 1748000009,
      required_action: {
        type: "submit_tool_approval",
        submit_tool_approval: { tool_calls: [{ id: "call_1", type: "mcp", arguments: "{}" }] },
      },
      last_error: null,
      model: "gpt-4o",
      instructions: "You are helpful.",
      tools: [
        { type: "bing_grounding", bing_grounding: { search_configurations: [] } },
        {
          type: "file_search",
          file_search: { ranking_options: { ranker: "default_2024_08_21", score_threshold: 0.0 } },
        },
        { type: "azure_ai_search" },
      ],
      tool_resources: { file_search: { vector_store_ids: ["vs_1"] } },
      metadata: {},
      temperature: 1.0,
      top_p: 1.0,
      max_completion_tokens: null,
      max_prompt_tokens: null,
      truncation_strategy: { type: "auto", last_messages: null },
      incomplete_details: { reason: "content_filter" },
      usage: {
        prompt_tokens: 100,
        completion_tokens: 20,
        total_tokens: 120,
        prompt_token_details: { cached_tokens: 0 },
      },
      response_format: "auto",
      tool_choice: "auto",
      parallel_tool_calls: true,
    });
    expect(run).toEqual({
      ...normalise({ status: "incomplete" }),
      created_at: 1748000000,
      assistant_id: "asst_Qx",
      started_at: 1748000001,
      completed_at: 1748000009,
      model: "gpt-4o",
      instructions: "You are helpful.",
      tools: [
        {
          type: "file_search",
          file_search: { ranking_options: { ranker: "default_2024_08_21", score_threshold: 0 } },
        },
      ],
      temperature: 1,
      top_p: 1,
      incomplete_details: {},
      usage: { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 },
    });
  });

  test("everything in camelCase and as strings", () => {
    const run = normaliseRun(
      {
        runId: "run_1",
        threadId: "thread_1",
        assistantId: "asst_1",
        status: "Completed",
        createdAt: "1748000000",
        expiresAt: "1748000600",
        startedAt: "1748000001",
        completedAt: "1748000009.75",
        failedAt: "",
        requiredAction: {
          submitToolOutputs: {
            toolCalls: [{ id: "call_1", function: { name: "f", arguments: { a: 1 } } }],
          },
        },
        lastError: { code: "rateLimitExceeded", message: "slow down" },
        incompleteDetails: { reason: "maxPromptTokens" },
        tools: [
          {
            type: "fileSearch",
            fileSearch: { maxNumResults: "5", rankingOptions: { scoreThreshold: "0.5" } },
          },
        ],
        usage: { inputTokens: "10", outputTokens: "5", totalTokens: "15" },
        temperature: "0.7",
        topP: "1",
        maxPromptTokens: "1024",
        maxCompletionTokens: "2048",
        truncationStrategy: { type: "lastMessages", lastMessages: "3" },
        toolChoice: { type: "codeInterpreter" },
        parallelToolCalls: "false",
        responseFormat: { type: "jsonSchema", jsonSchema: { name: "s", strict: "true" } },
      },
      TARGET,
    );
    expect(run).toEqual({
      id: "run_1",
      object: "thread.run",
      created_at: 1748000000,
      thread_id: "thread_1",
      assistant_id: "asst_1",
      status: "completed",
      required_action: {
        type: "submit_tool_outputs",
        submit_tool_outputs: {
          tool_calls: [
            { id: "call_1", type: "function", function: { name: "f", arguments: '{"a":1}' } },
          ],
        },
      },
      last_error: { code: "rate_limit_exceeded", message: "slow down" },
      expires_at: 1748000600,
      started_at: 1748000001,
      cancelled_at: null,
      failed_at: null,
      completed_at: 1748000009,
      incomplete_details: { reason: "max_prompt_tokens" },
      model: "",
      instructions: "",
      tools: [
        {
          type: "file_search",
          file_search: { max_num_results: 5, ranking_options: { score_threshold: 0.5 } },
        },
      ],
      metadata: {},
      usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
      temperature: 0.7,
      top_p: 1,
      max_prompt_tokens: 1024,
      max_completion_tokens: 2048,
      truncation_strategy: { type: "last_messages", last_messages: 3 },
      tool_choice: { type: "code_interpreter" },
      parallel_tool_calls: false,
      response_format: { type: "json_schema", json_schema: { name: "s", strict: true } },
    });
  });

  test("snake_case wins over camelCase, unless it holds nothing", () => {
    expect(normalise({ created_at: 1, createdAt: 2 }).created_at).toBe(1);
    expect(normalise({ created_at: null, createdAt: 2 }).created_at).toBe(2);
  });
});

describe("identity", () => {
  test.each([
    ["no object", "run_1"],
    ["nothing", undefined],
    ["null", null],
    ["a list around the run", [{ id: "run_1", status: "queued" }]],
    ["no id", { status: "queued" }],
    ["a null id", { id: null, status: "queued" }],
    ["an id that is no text", { id: { value: "run_1" }, status: "queued" }],
    ["an id that is a boolean", { id: true, status: "queued" }],
    ["an inherited id", Object.assign(Object.create({ id: "run_1" }), { status: "queued" })],
    // Written as text, since a literal would set the prototype.
    ["an id behind __proto__", JSON.parse('{"__proto__":{"id":"run_1"},"status":"queued"}')],
  ])("is refused when there is %s", (_, input) => {
    expect(refusalOf(input)).toEqual({
      reason: "upstream_error",
      detail: "the upstream answered without the id of a run",
    });
  });

  test.each(["run_2", "RUN_1", "run_1 ", "", "run_1\ud800"])("is refused with the id %j", (id) => {
    expect(refusalOf({ id, status: "queued" })).toEqual({
      reason: "upstream_error",
      detail: "the upstream answered with another run",
    });
  });

  test("may be a number, or be called run_id", () => {
    const target = { ...TARGET, runId: "42" };
    expect(normaliseRun({ id: 42, status: "queued" }, target).id).toBe("42");
    expect(normaliseRun({ run_id: 42, status: "queued" }, target).id).toBe("42");
    expect(normaliseRun({ runId: "42", status: "queued" }, target).id).toBe("42");
  });

  test.each(["thread_2", "", 1, {}, [], false])("is of another thread with %j", (thread_id) => {
    const refusal = { reason: "run_not_found", detail: "the run is not on this thread" };
    expect(refusalOf({ id: "run_1", status: "queued", thread_id })).toEqual(refusal);
    expect(refusalOf({ id: "run_1", status: "queued", threadId: thread_id })).toEqual(refusal);
  });

  test("a thread that is a number is compared as text", () => {
    const target = { threadId: "7", runId: "run_1" };
    const run = normaliseRun({ id: "run_1", status: "queued", thread_id: 7 }, target);
    expect(run.thread_id).toBe("7");
  });

  test("the object is a run, whatever it calls itself", () => {
    expect(field("object", "response")).toBe("thread.run");
  });
});

describe("status", () => {
  test.each(RunStatus.options)("%s", (status) => {
    expect(normalise({ status }).status).toBe(status);
    expect(normalise({ status: status.toUpperCase() }).status).toBe(status);
    expect(normalise({ status: status.replace("_", "-") }).status).toBe(status);
  });

  test.each([
    ["canceled", "cancelled"],
    ["Canceled", "cancelled"],
    ["CANCELING", "cancelling"],
    ["InProgress", "in_progress"],
    ["Requires Action", "requires_action"],
    ["running", "in_progress"],
    ["SUCCESS", "completed"],
    ["RunStatus.CANCELED", "cancelled"],
    ["JOB_STATE_FAILED", "failed"],
    ["input-required", "requires_action"],
    ["timed out", "expired"],
  ])("%s is %s", (spelling, status) => {
    expect(normalise({ status: spelling }).status).toBe(status);
  });

  test.each(["thinking", "cancel", "canceledd", "constructor", "interrupted"])(
    "%j, which nobody knows, is a run that goes on",
    (status) => {
      expect(normalise({ status }).status).toBe("in_progress");
    },
  );

  test.each([undefined, null, "", " ", 3, {}, ["queued"]])("%j is refused", (status) => {
    expect(refusalOf({ id: "run_1", status })).toEqual({
      reason: "upstream_error",
      detail: "the upstream answered without a status",
    });
  });
});

describe("times", () => {
  test.each([
    [1748000000, 1748000000],
    [1748000000.999, 1748000000],
    ["1748000000", 1748000000],
    [" 1748000000.5 ", 1748000000],
    [1748000000123, 1748000000],
    ["1748000000123", 1748000000],
    [1e11, 1e11],
    ["2025-05-23T11:33:20Z", 1748000000],
    ["2025-05-23T11:33:20z", 1748000000],
    ["2025-05-23T11:33:20", 1748000000],
    ["2025-05-23 11:33:20.999999", 1748000000],
    ["2025-05-23T11:33:20.123456+00:00", 1748000000],
    ["2025-05-23T13:33:20+02:00", 1748000000],
    ["2025-05-23T13:33:20+0200", 1748000000],
    ["2025-05-23T05:33:20-06", 1748000000],
    ["2025-05-23 11:33:20 Z", 1748000000],
    ["2025-05-23T11:33Z", 1747999980],
    ["2025-05-23", 1747958400],
    [0, 0],
  ])("%j is %j", (given, seconds) => {
    expect(field("started_at", given)).toBe(seconds);
    expect(field("created_at", given)).toBe(seconds);
  });

  test.each([
    -1,
    -0.5,
    "-5",
    "",
    "soon",
    "0x10",
    "Infinity",
    "1e400",
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1e15,
    1e300,
    "1969-12-31T23:59:59Z",
    "9999-12-31T00:00:00Z",
    "2025-13-01T00:00:00Z",
    "2025-05-23T25:00:00Z",
    "Fri, 23 May 2025 11:33:20 GMT",
    true,
    {},
    [1748000000],
  ])("%j is no time", (given) => {
    expect(field("started_at", given)).toBeNull();
    expect(field("created_at", given)).toBe(0);
  });

  test("-0 is 0, since JSON cannot write it", () => {
    expect(Object.is(field("created_at", -0), 0)).toBe(true);
    expect(Object.is(field("temperature", JSON.parse("-0")), 0)).toBe(true);
  });

  test.each(RunStatus.options)("cancelled_at of a run that is %s", (status) => {
    const given = field("cancelled_at", 5, { status });
    expect(given).toBe(status === "cancelled" ? 5 : null);
  });
});

describe("numbers and booleans", () => {
  test.each([
    [0.7, 0.7],
    ["0.7", 0.7],
    ["1e-1", 0.1],
    ["+2", 2],
    ["warm", null],
    ["", null],
    [true, null],
    [Number.POSITIVE_INFINITY, null],
  ])("temperature %j is %j", (given, number) => {
    expect(field("temperature", given)).toBe(number);
    expect(field("top_p", given)).toBe(number);
  });

  test.each([
    [256, 256],
    ["1024", 1024],
    ["1024.0", 1024],
    [255, null],
    ["100", null],
    [1000.5, null],
    [-256, null],
    [1e300, null],
  ])("a limit of %j tokens is %j", (given, limit) => {
    expect(field("max_prompt_tokens", given)).toBe(limit);
    expect(field("max_completion_tokens", given)).toBe(limit);
  });

  test.each([
    [true, true],
    ["true", true],
    [1, true],
    ["1", true],
    [false, false],
    ["false", false],
    [" FALSE ", false],
    [0, false],
    ["0", false],
    [2, true],
    ["no", true],
    [{}, true],
  ])("parallel_tool_calls %j is %j", (given, flag) => {
    expect(field("parallel_tool_calls", given)).toBe(flag);
  });
});

describe("usage", () => {
  const counts = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };

  test.each(RunStatus.options)("of a run that is %s", (status) => {
    const ended = ["cancelled", "failed", "completed", "incomplete", "expired"].includes(status);
    expect(field("usage", counts, { status })).toEqual(ended ? counts : null);
  });

  test.each([["prompt_tokens"], ["completion_tokens"], ["total_tokens"]])(
    "without %s is worked out from the other two",
    (missing) => {
      const usage = { ...counts, [missing]: null };
      expect(field("usage", usage, { status: "completed" })).toEqual(counts);
    },
  );

  test("is also read in the words of the Responses API", () => {
    const usage = { input_tokens: 3, output_tokens: 4, total_tokens: 8 };
    expect(field("usage", usage, { status: "completed" })).toEqual({ ...counts, total_tokens: 8 });
  });

  test.each([
    [{}],
    [{ total_tokens: 7 }],
    [{ prompt_tokens: 7 }],
    [{ completion_tokens: 9, total_tokens: 7 }],
    [{ ...counts, prompt_tokens: -3 }],
    [{ ...counts, prompt_tokens: 0.5 }],
    [{ prompt_tokens: 2 ** 53 - 1, completion_tokens: 1 }],
    [[3, 4, 7]],
    ["7"],
  ])("%j is unknown", (usage) => {
    expect(field("usage", usage, { status: "completed" })).toBeNull();
  });
});

describe("texts", () => {
  test.each(["model", "instructions", "assistant_id"] as const)("%s", (key) => {
    expect(field(key, "a\u0000\tb\n😀")).toBe("a\u0000\tb\n😀");
    expect(field(key, "a\ud800b\udc00")).toBe("a\ufffdb\ufffd");
    expect(field(key, 4)).toBe("4");
    expect(field(key, ["a"])).toBe("");
    expect(field(key, { text: "a" })).toBe("");
  });
});

describe("metadata", () => {
  test("values that are no strings are written as JSON", () => {
    const given = { s: "s", n: 1.5, b: false, l: [1, "\ud800"], o: { a: null }, e: "" };
    expect(field("metadata", given)).toEqual({
      s: "s",
      n: "1.5",
      b: "false",
      l: '[1,"\ufffd"]',
      o: '{"a":null}',
      e: "",
    });
  });

  test("pairs without a value, with too long a key, or too deep are dropped", () => {
    const given = {
      nothing: null,
      endless: Number.POSITIVE_INFINITY,
      [`${"k".repeat(65)}`]: "x",
      [`${"k".repeat(64)}`]: "x",
      deep: JSON.parse(nested(65)),
      bomb: JSON.parse(nested(50_000)),
    };
    expect(field("metadata", given)).toEqual({ ["k".repeat(64)]: "x" });
  });

  test("values are cut at 512 characters, and never through one", () => {
    expect(field("metadata", { a: "x".repeat(513) })).toEqual({ a: "x".repeat(512) });
    expect(field("metadata", { a: `${"x".repeat(511)}😀` })).toEqual({ a: "x".repeat(511) });
    expect(field("metadata", { a: `${"x".repeat(510)}😀` })).toEqual({ a: `${"x".repeat(510)}😀` });
    expect(field("metadata", { a: ["x".repeat(600)] })).toEqual({ a: `["${"x".repeat(510)}` });
  });

  test("the first 16 pairs that can be kept are kept", () => {
    const given = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`k${n}`, n ? n : null]));
    const kept = Object.fromEntries(
      Array.from({ length: 16 }, (_, n) => [`k${n + 1}`, `${n + 1}`]),
    );
    expect(field("metadata", given)).toEqual(kept);
  });

  test("__proto__ is no pair, and leaves the prototype alone", () => {
    const given = JSON.parse('{"__proto__":"x","constructor":"y","\\ud800":"z\\udc00"}');
    const more = Object.fromEntries(Array.from({ length: 14 }, (_, n) => [`k${n}`, "v"]));
    // 17 members, of which one is no pair and takes no place.
    const pairs = field("metadata", Object.assign(given, more));
    expect(Object.entries(pairs as object)).toEqual([
      ["constructor", "y"],
      ["\ufffd", "z\ufffd"],
      ...Object.entries(more),
    ]);
    expect(Object.getPrototypeOf(pairs)).toBe(Object.prototype);
  });

  test.each(["a=b", ["a"], 5])("%j is none", (given) => {
    expect(field("metadata", given)).toEqual({});
  });
});

describe("tools", () => {
  const full = [
    { type: "code_interpreter" },
    { type: "file_search" },
    {
      type: "file_search",
      file_search: {
        max_num_results: 50,
        ranking_options: { score_threshold: 1, ranker: "auto" },
      },
    },
    { type: "function", function: { name: "f" } },
    {
      type: "function",
      function: {
        name: "g",
        description: "does g",
        parameters: { type: "object", properties: { camelCase: { type: "string" } } },
        strict: true,
      },
    },
  ];

  test("of the three types come out as they are", () => {
    expect(field("tools", full)).toEqual(full);
  });

  test("lose the keys that a Run does not know, at every level", () => {
    const given = full.map((tool) => ({
      ...tool,
      server_url: "x",
      ...("function" in tool ? { function: { ...tool.function, secret: "x" } } : {}),
      ...("file_search" in tool
        ? {
            file_search: {
              ...tool.file_search,
              vector_store_ids: ["x"],
              ranking_options: { ...tool.file_search?.ranking_options, hybrid: {} },
            },
          }
        : {}),
    }));
    expect(field("tools", given)).toEqual(full);
  });

  test("that cannot be read are dropped one by one", () => {
    const given = [
      null,
      "hammer",
      {},
      [],
      { type: "mcp" },
      { type: "function" },
      { type: "function", function: {} },
      { type: "function", function: { name: "" } },
      { type: "function", function: { name: ["f"] } },
      full[3],
      "code_interpreter",
    ];
    expect(field("tools", given)).toEqual([full[3], full[0]]);
  });

  test("lose an option that cannot be read, not the tool", () => {
    const given = [
      { type: "file_search", file_search: "x" },
      { type: "file_search", file_search: { max_num_results: 51, ranking_options: {} } },
      {
        type: "file_search",
        file_search: { ranking_options: { score_threshold: 0.5, ranker: "best" } },
      },
      { type: "file_search", file_search: { ranking_options: { score_threshold: 2 } } },
      {
        type: "function",
        function: { name: "f", description: [], parameters: [], strict: null },
      },
    ];
    expect(field("tools", given)).toStrictEqual([
      { type: "file_search" },
      { type: "file_search", file_search: {} },
      { type: "file_search", file_search: { ranking_options: { score_threshold: 0.5 } } },
      { type: "file_search", file_search: {} },
      { type: "function", function: { name: "f" } },
    ]);
  });

  test("are at most 20, not counting those dropped", () => {
    const names = Array.from({ length: 25 }, (_, n) => ({
      type: "function",
      function: { name: n },
    }));
    const tools = field("tools", [null, ...names]) as { function: { name: string } }[];
    expect(tools.map((tool) => tool.function.name)).toEqual(
      Array.from({ length: 20 }, (_, n) => String(n)),
    );
  });

  test("keep parameters of 64 levels, and drop deeper ones", () => {
    const parameters = (levels: number): unknown => {
      const definition = { name: "f", parameters: JSON.parse(nested(levels)) };
      return field("tools", [{ type: "function", function: definition }]);
    };
    expect(JSON.stringify(parameters(64))).toContain(nested(64));
    expect(parameters(65)).toStrictEqual([{ type: "function", function: { name: "f" } }]);
    expect(parameters(50_000)).toStrictEqual([{ type: "function", function: { name: "f" } }]);
  });

  test("have parameters that JSON can carry", () => {
    const given = JSON.parse(
      '{"a\\ud800":"\\udc00","big":1e999,"zero":-0,"l":[null,true,{"__proto__":{"x":1}}]}',
    );
    const tools = field("tools", [
      { type: "function", function: { name: "f", parameters: given } },
    ]);
    expect(tools).toStrictEqual([
      {
        type: "function",
        function: {
          name: "f",
          parameters: { "a\ufffd": "\ufffd", big: null, zero: 0, l: [null, true, {}] },
        },
      },
    ]);
  });

  test.each([{ type: "code_interpreter" }, "code_interpreter", 1])("%j is no list", (given) => {
    expect(field("tools", given)).toEqual([]);
  });
});

describe("required_action", () => {
  const call = { id: "c", type: "function", function: { name: "f", arguments: "{}" } };
  const action = (calls: unknown): Record<string, unknown> => ({
    type: "submit_tool_outputs",
    submit_tool_outputs: { tool_calls: calls },
  });

  test("keeps its calls, and only the keys that it knows", () => {
    const given = {
      ...action([
        { ...call, index: 0, function: { ...call.function, output: "secret" } },
        { id: "c", function: { name: "f", arguments: "not JSON \ud800" } },
      ]),
      note: "x",
    };
    expect(field("required_action", given)).toStrictEqual(
      action([call, { ...call, function: { name: "f", arguments: "not JSON \ufffd" } }]),
    );
  });

  test.each([
    [{ a: [1, "\ud800"] }, '{"a":[1,"\ufffd"]}'],
    [[1], "[1]"],
    [true, "true"],
    [5, "5"],
    [null, "{}"],
    [undefined, "{}"],
    ["", ""],
  ])("arguments %j are written as %j", (given, written) => {
    const calls = [{ ...call, function: { name: "f", arguments: given } }];
    expect(field("required_action", action(calls))).toEqual(
      action([{ ...call, function: { name: "f", arguments: written } }]),
    );
  });

  test("loses the calls that cannot be read", () => {
    const bomb = { ...call, function: { name: "f", arguments: JSON.parse(nested(50_000)) } };
    const given = [null, {}, { ...call, id: null }, { ...call, type: "mcp" }, bomb, call];
    expect(field("required_action", action(given))).toEqual(action([call]));
  });

  test.each([{}, [], "submit", { type: "submit_tool_outputs" }, action({}), action(null)])(
    "%j is none",
    (given) => {
      expect(field("required_action", given)).toBeNull();
    },
  );
});

describe("last_error", () => {
  test.each([
    [
      { code: "invalid_prompt", message: "m", param: "x" },
      { code: "invalid_prompt", message: "m" },
    ],
    ["it broke", { code: "server_error", message: "it broke" }],
    [{ message: "m" }, { code: "server_error", message: "m" }],
    [
      { code: 429, message: "m" },
      { code: "server_error", message: "m" },
    ],
    [
      { code: "bio_policy", message: "m" },
      { code: "server_error", message: "m" },
    ],
    [{ code: "rate_limit_exceeded" }, { code: "rate_limit_exceeded", message: "" }],
    [
      { code: "server_error", message: ["m"] },
      { code: "server_error", message: "" },
    ],
    ["a\ud800", { code: "server_error", message: "a\ufffd" }],
    ["", null],
    [{}, null],
    [[], null],
    [0, null],
  ])("%j is %j", (given, error) => {
    expect(field("last_error", given)).toEqual(error);
  });

  test("a message is cut at 1,024 characters, and never through one", () => {
    const message = (text: string): unknown =>
      (field("last_error", text) as { message: string }).message;
    expect(message("x".repeat(2000))).toBe("x".repeat(1024));
    expect(message(`${"x".repeat(1023)}😀`)).toBe("x".repeat(1023));
  });
});

describe("incomplete_details", () => {
  test.each([
    [{ reason: "max_prompt_tokens", more: 1 }, { reason: "max_prompt_tokens" }],
    ["max_completion_tokens", { reason: "max_completion_tokens" }],
    ["content_filter", {}],
    [{ reason: "content_filter" }, {}],
    [{}, {}],
    [null, null],
  ])("%j of an incomplete run is %j", (given, details) => {
    expect(field("incomplete_details", given, { status: "incomplete" })).toStrictEqual(details);
  });

  test.each([
    [{ reason: "max_prompt_tokens" }, { reason: "max_prompt_tokens" }],
    ["max_completion_tokens", { reason: "max_completion_tokens" }],
    ["content_filter", null],
    ["", null],
    [{}, null],
  ])("%j of a completed run is %j", (given, details) => {
    expect(field("incomplete_details", given, { status: "completed" })).toStrictEqual(details);
  });
});

describe("truncation_strategy", () => {
  test.each([
    [
      { type: "auto", last_messages: null },
      { type: "auto", last_messages: null },
    ],
    [{ type: "auto" }, { type: "auto", last_messages: null }],
    [
      { type: "last_messages", last_messages: 4, x: 1 },
      { type: "last_messages", last_messages: 4 },
    ],
    [
      { type: "last_messages", last_messages: 0 },
      { type: "last_messages", last_messages: null },
    ],
    [{ last_messages: 4 }, { type: "auto", last_messages: null }],
    [{ type: "newest" }, { type: "auto", last_messages: null }],
    [{}, { type: "auto", last_messages: null }],
    ["auto", { type: "auto", last_messages: null }],
  ])("%j is %j", (given, strategy) => {
    expect(field("truncation_strategy", given)).toStrictEqual(strategy);
  });
});

describe("tool_choice", () => {
  test.each([
    ["none", "none"],
    ["auto", "auto"],
    ["REQUIRED", "required"],
    [{ type: "none" }, "none"],
    [{ type: "code_interpreter", x: 1 }, { type: "code_interpreter" }],
    [{ type: "file_search" }, { type: "file_search" }],
    ["file_search", { type: "file_search" }],
    [
      { type: "function", function: { name: "f", x: 1 } },
      { type: "function", function: { name: "f" } },
    ],
    [{ type: "function" }, "auto"],
    [{ type: "function", function: { name: "" } }, "auto"],
    ["function", "auto"],
    ["any", "auto"],
    [{ type: "allowed_tools", tools: [] }, "auto"],
    [{ function: { name: "f" } }, "auto"],
    [{}, "auto"],
    [5, "auto"],
  ])("%j is %j", (given, choice) => {
    expect(field("tool_choice", given)).toStrictEqual(choice);
  });
});

describe("response_format", () => {
  const schema = { type: "object", properties: { __x: { type: "string" } } };

  test.each([
    ["auto", "auto"],
    [{ type: "auto" }, "auto"],
    [{ type: "text", x: 1 }, { type: "text" }],
    ["text", { type: "text" }],
    [{ type: "json_object" }, { type: "json_object" }],
    [
      { type: "json_schema", json_schema: { name: "s", x: 1 } },
      { type: "json_schema", json_schema: { name: "s" } },
    ],
    [
      { type: "json_schema", json_schema: { name: "s", description: "d", schema, strict: 0 } },
      { type: "json_schema", json_schema: { name: "s", description: "d", schema, strict: false } },
    ],
    [
      { type: "json_schema", json_schema: { name: "s", schema: JSON.parse(nested(65)) } },
      { type: "json_schema", json_schema: { name: "s" } },
    ],
    [{ type: "json_schema", json_schema: { schema } }, "auto"],
    [{ type: "json_schema" }, "auto"],
    ["json_schema", "auto"],
    [{ type: "grammar" }, "auto"],
    ["yaml", "auto"],
    [{}, "auto"],
  ])("%j is %j", (given, format) => {
    expect(field("response_format", given)).toStrictEqual(format);
  });
});

describe("fills", () => {
  test("are neutral: with any of them in place of a value, a Run is still a Run", () => {
    for (const status of RunStatus.options) {
      const run = normalise({ status });
      expect(Run.parse({ ...run, ...FILLS })).toEqual(run);
    }
  });

  test("are redactable but for what tells which run it is, and when it began", () => {
    const kept = KEYS.filter((key) => !(REDACTABLE as readonly string[]).includes(key));
    expect(kept).toEqual(["id", "object", "created_at", "thread_id", "status"]);
  });

  test("cannot be changed, neither directly nor through a run", () => {
    const before = structuredClone(normalise());
    const run = normalise();
    run.tools.push({ type: "code_interpreter" });
    Object.assign(run.metadata ?? {}, { a: "b" });
    Object.assign(run.truncation_strategy ?? {}, { type: "last_messages" });
    expect(normalise()).toEqual(before);
    expect(Object.values(FILLS).every((fill) => Object.isFrozen(fill))).toBe(true);
    expect(Object.isFrozen(FILLS)).toBe(true);
  });
});
