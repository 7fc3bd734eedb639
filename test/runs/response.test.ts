// Whatever an upstream calls a response: OpenAI's own shape comes out, or one refusal; and a tenant's
// `redact` hides of it what it hides of a Run.
import fc from "fast-check";
import type * as OpenAi from "openai/resources/responses/responses";
import { describe, expect, it, test } from "vitest";
import { Refusal } from "../../src/failure.ts";
import { REDACTABLE } from "../../src/runs/normalise.ts";
import {
  normaliseResponse,
  RESPONSE_FIELDS,
  ResponseObject,
  redactedResponse,
} from "../../src/runs/response.ts";

const ID = "resp_1";
const MEMBERS = Object.keys(ResponseObject.shape);

type RequiredOf<T> = { [Key in keyof T]-?: object extends Pick<T, Key> ? never : Key }[keyof T];
/** The client computes `output_text`; `access_programs` is newer than the spec, and not the caller's. */
type Required = Exclude<RequiredOf<OpenAi.Response>, "output_text" | "access_programs"> | "status";
/** Of OpenAI's own type: a key that it comes to require does not compile until it is listed. */
const REQUIRED: { readonly [Key in Required]: unknown } = {
  id: ID,
  object: "response",
  created_at: 0,
  status: "in_progress",
  error: null,
  incomplete_details: null,
  instructions: null,
  metadata: {},
  model: "",
  output: [],
  parallel_tool_calls: true,
  temperature: null,
  tool_choice: "auto",
  tools: [],
  top_p: null,
};

/** The Response of the least that an upstream must say, and of `members`. */
function normalise(members: Record<string, unknown> = {}): ResponseObject {
  return normaliseResponse({ id: ID, ...members }, ID);
}

/** What `value` makes of the member `key`; undefined when it is left out. */
function member(key: keyof ResponseObject, value: unknown, others: Record<string, unknown> = {}) {
  return normalise({ ...others, [key]: value })[key];
}

/** JSON of `levels` nested objects. */
function nested(levels: number): unknown {
  return JSON.parse(`${'{"a":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`);
}

function refusalOf(input: unknown, responseId = ID): string {
  try {
    normaliseResponse(input, responseId);
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
  throw new Error("nothing was refused");
}

/** A whole response, every member of the kind that OpenAI has it. */
const WHOLE = {
  id: ID,
  object: "response",
  created_at: 1_741_386_163,
  status: "completed",
  background: true,
  completed_at: 1_741_386_170,
  conversation: { id: "conv_1" },
  error: { code: "vector_store_timeout", message: "It took too long." },
  incomplete_details: { reason: "content_filter" },
  instructions: "Be brief.",
  max_output_tokens: 1_000,
  max_tool_calls: 3,
  metadata: { tenant: "acme" },
  model: "gpt-4o-2024-08-06",
  output: [
    {
      type: "message",
      id: "msg_1",
      status: "completed",
      role: "assistant",
      content: [{ type: "output_text", text: "Silent circuits hum", annotations: [] }],
    },
    { type: "function_call", call_id: "call_1", name: "f", arguments: "{}" },
  ],
  parallel_tool_calls: false,
  previous_response_id: "resp_0",
  prompt: { id: "pmpt_1", version: "2", variables: { city: "Oslo" } },
  reasoning: { effort: null, summary: null },
  service_tier: "default",
  temperature: 1,
  text: { format: { type: "text" } },
  tool_choice: { type: "function", name: "f" },
  tools: [{ type: "function", name: "f", parameters: { type: "object" }, strict: true }],
  top_logprobs: 0,
  top_p: 0.9,
  truncation: "disabled",
  usage: {
    input_tokens: 123,
    input_tokens_details: { cached_tokens: 1, cache_write_tokens: 2 },
    output_tokens: 456,
    output_tokens_details: { reasoning_tokens: 3 },
    total_tokens: 579,
  },
};

describe("whole answers", () => {
  it("fills the least of a response up to all that OpenAI's type requires, and no further", () => {
    expect(normalise()).toEqual(REQUIRED);
    const nulls = Object.fromEntries(MEMBERS.map((key) => [key, null]));
    expect(normalise({ ...nulls, id: ID })).toEqual(REQUIRED);
  });

  it("leaves a whole response as it is, in an order of its own", () => {
    const shuffled = Object.fromEntries(Object.entries(WHOLE).toReversed());
    expect(JSON.stringify(normaliseResponse(shuffled, ID))).toBe(JSON.stringify(WHOLE));
    expect(Object.keys(WHOLE)).toEqual(MEMBERS);
  });

  it("has no key that OpenAI's type does not have", () => {
    type Added = Exclude<keyof ResponseObject, keyof OpenAi.Response>;
    const none: [Added] extends [never] ? true : false = true;
    expect(none).toBe(true);
  });

  it("drops what is not the caller's business, and what nobody knows", () => {
    const canaries = Object.fromEntries(
      [
        ...["user", "safety_identifier", "prompt_cache_key", "billing", "output_text", "store"],
        ...["access_programs", "moderation", "extra_body", "_hidden_params", "__proto__"],
      ].map((key) => [key, { key: "canary" }]),
    );
    const usage = { ...WHOLE.usage, cost: { total: "canary" } };
    const error = { ...WHOLE.error, trace: "canary" };
    const conversation = { ...WHOLE.conversation, owner: "canary" };
    const fuller = { ...WHOLE, ...canaries, usage, error, conversation };
    expect(normaliseResponse(fuller, ID)).toEqual(WHOLE);
  });

  it("shares nothing with what came in, nor with another response", () => {
    const input = structuredClone(WHOLE);
    const first = normaliseResponse(input, ID);
    first.output.length = 0;
    first.metadata["tenant"] = "globex";
    expect(input).toEqual(WHOLE);
    normalise().output.push({});
    normalise().metadata["a"] = "b";
    expect(normalise()).toEqual(REQUIRED);
  });
});

describe("what is no response", () => {
  test.each([
    ["nothing", undefined],
    ["null", null],
    ["a text", ID],
    ["a list", [{ id: ID }]],
    ["no id", { status: "completed" }],
    ["another id", { id: "resp_2", status: "completed" }],
    ["an id that is no text", { id: { id: ID }, status: "completed" }],
    ["a status that is an object", { id: ID, status: { canary: true } }],
    ["a status that is a number", { id: ID, status: 200 }],
    ["a status that is a list", { id: ID, status: ["completed"] }],
  ])("is %s", (_, input) => {
    expect(refusalOf(input)).toBe("upstream_error");
  });

  it("is anything at all when no id was asked for", () => {
    expect(refusalOf({ id: "", status: "completed" }, "")).toBe("upstream_error");
  });
});

describe("the status", () => {
  test.each([
    ["completed", "completed"],
    ["failed", "failed"],
    ["in_progress", "in_progress"],
    ["cancelled", "cancelled"],
    ["queued", "queued"],
    ["incomplete", "incomplete"],
    ["canceled", "cancelled"],
    ["CANCELLED", "cancelled"],
    ["in-progress", "in_progress"],
    ["cancelling", "in_progress"],
    ["requires_action", "in_progress"],
    ["", "in_progress"],
    ["constructor", "in_progress"],
    [null, "in_progress"],
    [undefined, "in_progress"],
  ])("%j is %s", (status, expected) => {
    expect(normalise({ status }).status).toBe(expected);
  });
});

describe("each member", () => {
  const logprobs = [{ token: "hi", bytes: [104, 105], logprob: -0.5, top_logprobs: [] }];
  const item = { type: "message", content: [{ type: "output_text", text: "hi", logprobs }] };
  const long = "x".repeat(2_000);

  test.each<[keyof ResponseObject, unknown, unknown]>([
    ["created_at", 1_741_386_163.9, 1_741_386_163],
    ["created_at", "2025-03-07T22:22:43Z", 1_741_386_163],
    ["created_at", "canary", 0],
    ["completed_at", 1_741_386_170.5, 1_741_386_170],
    ["completed_at", "soon", undefined],
    ["background", false, false],
    ["background", "yes", undefined],
    ["conversation", "conv_1", { id: "conv_1" }],
    ["conversation", {}, undefined],
    ["error", { code: 500, message: "No." }, { code: "server_error", message: "No." }],
    ["error", { code: "bio_policy" }, { code: "bio_policy", message: "" }],
    ["error", "No.", { code: "server_error", message: "No." }],
    ["error", { message: long }, { code: "server_error", message: long.slice(0, 1024) }],
    ["error", {}, null],
    ["error", [], null],
    ["incomplete_details", { reason: "steered" }, { reason: "steered" }],
    ["incomplete_details", { reason: "See https://canary" }, null],
    ["incomplete_details", {}, null],
    ["instructions", "Be brief.", "Be brief."],
    ["instructions", [item, "text", null], [item]],
    ["instructions", {}, null],
    ["max_output_tokens", "16", 16],
    ["max_output_tokens", -1, undefined],
    ["max_output_tokens", 1.5, undefined],
    ["max_tool_calls", {}, undefined],
    ["metadata", { a: "b", n: 7, o: { p: 1 } }, { a: "b", n: "7", o: '{"p":1}' }],
    ["metadata", { ["k".repeat(65)]: "v", long }, { long: "x".repeat(512) }],
    ["metadata", ["a"], {}],
    ["model", "gpt-5", "gpt-5"],
    ["model", { id: "gpt-5" }, ""],
    ["output", [item, 7, null, [item], { type: "mcp_call" }], [item, { type: "mcp_call" }]],
    ["output", item, []],
    ["parallel_tool_calls", 0, false],
    ["parallel_tool_calls", "perhaps", true],
    ["previous_response_id", ["resp_0"], undefined],
    ["prompt", "pmpt_1", undefined],
    ["reasoning", { effort: "low" }, { effort: "low" }],
    ["reasoning", "low", undefined],
    ["service_tier", "flex", "flex"],
    ["service_tier", "Bill to canary", undefined],
    ["temperature", "0.5", 0.5],
    ["temperature", {}, null],
    ["text", { format: { type: "json_object" } }, { format: { type: "json_object" } }],
    ["text", [], undefined],
    ["tool_choice", "required", "required"],
    ["tool_choice", { type: "mcp", server_label: "s" }, { type: "mcp", server_label: "s" }],
    ["tool_choice", "sometimes", "auto"],
    ["tool_choice", { name: "f" }, "auto"],
    ["tools", ["web_search", { type: "web_search" }], [{ type: "web_search" }]],
    ["top_logprobs", 20, 20],
    ["top_p", Number.POSITIVE_INFINITY, null],
    ["truncation", "auto", "auto"],
    ["truncation", { type: "auto" }, undefined],
    ["usage", { input_tokens: 1 }, undefined],
    ["usage", { input_tokens: 1, output_tokens: "canary", total_tokens: 2 }, undefined],
  ])("%s: %j is %j", (key, value, expected) => {
    expect(member(key, value)).toEqual(expected);
    expect(Object.hasOwn(normalise({ [key]: value }), key)).toBe(expected !== undefined);
  });

  test("incomplete_details of an incomplete response say so even without a word for it", () => {
    expect(member("incomplete_details", { reason: "No!" }, { status: "incomplete" })).toEqual({});
    expect(member("incomplete_details", null, { status: "incomplete" })).toBeNull();
  });

  test("usage is counted as servers of other APIs count it, with what can be told from it", () => {
    expect(member("usage", { prompt_tokens: 1, completion_tokens: 2 })).toEqual({
      input_tokens: 1,
      input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
      output_tokens: 2,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 3,
    });
  });

  test("metadata are 16 pairs at most", () => {
    const pairs = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`k${index}`, "v"]));
    expect(Object.keys(normalise({ metadata: pairs }).metadata)).toHaveLength(16);
  });

  test.each(["output", "instructions"] as const)("%s leave out an item that is too deep", (key) => {
    const deep = { type: "function_call", arguments: nested(63) };
    const deeper = { type: "function_call", arguments: nested(66) };
    expect(member(key, [deeper, deep, item])).toEqual([deep, item]);
  });

  test.each([
    ["text", "format"],
    ["reasoning", "summary"],
    ["prompt", "variables"],
  ] as const)("%s keeps %s, and nothing that only a vendor has", (key, name) => {
    expect(member(key, { [name]: nested(63), canary: 1 })).toEqual({ [name]: nested(63) });
    expect(member(key, { [name]: nested(66) })).toBeUndefined();
  });
});

describe("the credentials of a tool", () => {
  const mcp = {
    type: "mcp",
    server_label: "deepwiki",
    server_url: "https://mcp.example.com/canary",
    authorization: "canary",
    headers: { "x-api-key": "canary" },
    require_approval: "never",
  };
  const shell = {
    type: "shell",
    environment: { type: "container_auto", domain_secrets: [{ value: "canary" }] },
  };
  const odd = Object.fromEntries(
    [
      ...[
        "auth_token",
        "bearer_token",
        "access_token",
        "x-api-key",
        "credentials",
        "client_secret",
      ],
      ...["env", "url", "tunnel_id", "openapi", "parameters", "anything_new"],
    ].map((name) => [name, { value: "canary" }]),
  );
  const connector = { type: "connector_of_a_vendor", ...odd };
  const kept = [
    { type: "mcp", server_label: "deepwiki", require_approval: "never" },
    { type: "shell" },
    { type: "connector_of_a_vendor" },
  ];

  it("stay behind, wherever tools are listed", () => {
    const tools = [mcp, shell, connector];
    const output = [{ type: "additional_tools", tools }];
    const response = normalise({ tools, output, instructions: output });
    expect(response.tools).toEqual(kept);
    expect(response.output).toEqual([{ type: "additional_tools", tools: kept }]);
    expect(JSON.stringify(response)).not.toContain("canary");
    expect(member("tool_choice", { type: "allowed_tools", mode: "auto", tools: [mcp] })).toEqual({
      type: "allowed_tools",
      mode: "auto",
      tools: [{ type: "mcp", server_label: "deepwiki" }],
    });
  });

  it("stay behind in whatever item has them", () => {
    const action = { type: "exec", command: ["ls"], env: { KEY: "canary" } };
    const output = [
      { type: "mcp_call", server_label: "x", authorization: "canary", server_url: "canary" },
      { type: "local_shell_call", call_id: "c", action },
      { type: "shell_call", environment: { domain_secrets: "canary" }, canary: true },
      { type: "reasoning", summary: [], encrypted_content: "canary" },
    ];
    expect(normalise({ output }).output).toEqual([
      { type: "mcp_call", server_label: "x" },
      {
        type: "local_shell_call",
        call_id: "c",
        action: { type: "exec", command: ["ls"], env: {} },
      },
      { type: "shell_call", environment: null },
      { type: "reasoning", summary: [] },
    ]);
  });

  it("stay behind in errors, in whatever words", () => {
    const words =
      "Incorrect API key provided: sk-can***ary. Sent Bearer canary to https://u:canary@x.test/";
    const kept = "Incorrect API key provided: [hidden]. Sent [hidden] to https://[hidden]@x.test/";
    const error = { type: "http", code: 401, message: words, headers: { cookie: "canary" } };
    const output = [
      { type: "mcp_call", error },
      { type: "mcp_call", error: words },
    ];
    const response = normalise({ output, error: { code: "server_error", message: words } });
    expect(response.error).toEqual({ code: "server_error", message: kept });
    expect(response.output).toEqual([
      { type: "mcp_call", error: { type: "http", code: 401, message: kept } },
      { type: "mcp_call", error: kept },
    ]);
  });

  it("are not what the model or its creator has named", () => {
    const attributes = { environment: "prod", secret: "no" };
    const output = [
      { type: "file_search_call", results: [{ attributes, filename: "a" }] },
      { type: "tool_search_call", arguments: { env: 1, password: 2 } },
      { type: "mcp_approval_response", approve: false },
    ];
    expect(normalise({ output }).output).toEqual(output);
  });

  it("leave what a stock client has to find", () => {
    const [message, none] = normalise({
      output: [{ type: "message", content: null }, { type: "message" }],
    }).output;
    expect([message, none]).toEqual(Array(2).fill({ type: "message", content: [] }));
    expect(normalise({ tools: [{ type: "code_interpreter", container: "cntr_1" }] }).tools).toEqual(
      [{ type: "code_interpreter", container: { type: "auto" } }],
    );
  });

  it("are not what a function calls its own arguments", () => {
    const parameters = { type: "object", properties: { headers: { type: "object" } } };
    const own = { type: "function", name: "f", parameters, strict: true };
    expect(normalise({ tools: [own] }).tools).toEqual([own]);
    expect(normalise({ tools: [{ type: "namespace", tools: [own] }] }).tools).toEqual([
      { type: "namespace", tools: [own] },
    ]);
  });
});

// ── Any JSON ────────────────────────────────────────────────────────────────────────────────────

const leaf = fc.oneof(
  fc.constantFrom(null, true, "", "0", "auto", "mcp", "cancelling", "\ud83d", -0, 1e300, 1e14),
  fc.constantFrom(...ResponseObject.shape.status.options, "function_call", "max_output_tokens"),
  fc.double(),
  fc.integer(),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.constantFrom(511, 1023).map((length) => `${"x".repeat(length)}😀`),
);
const name = fc.constantFrom(
  ...[...MEMBERS, ...MEMBERS.map(camelCase), "type", "reason", "code", "message", "arguments"],
  ...["headers", "authorization", "parameters", "input_tokens_details", "cached_tokens"],
  ...["input_tokens", "output_tokens", "total_tokens", "__proto__", "constructor", "\ud83d", "7"],
);
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.array(tie("json"), { maxLength: 4 }),
    fc.array(fc.tuple(name, tie("json")), { maxLength: 6 }).map(Object.fromEntries),
  ),
}));
const response = fc
  .dictionary(fc.constantFrom(...MEMBERS), json, { noNullPrototype: true })
  .map((members) => ({ ...members, id: ID }));

function camelCase(snake: string): string {
  return snake.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The Response, if there was one, having checked all that must hold in either case. */
function attempt(input: unknown): ResponseObject | undefined {
  const before = JSON.stringify(input);
  try {
    const made = normaliseResponse(input, ID);
    assertStrict(made);
    return made;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    expect(error.reason).toBe("upstream_error");
    return undefined;
  } finally {
    expect(JSON.stringify(input)).toBe(before);
  }
}

function assertStrict(made: ResponseObject): void {
  const keys = Object.keys(made);
  expect(keys).toEqual(MEMBERS.filter((key) => keys.includes(key)));
  expect(keys).toEqual(expect.arrayContaining(Object.keys(REQUIRED)));
  assertSame(ResponseObject.parse(made), made);
  assertSame(JSON.parse(JSON.stringify(made)), made);
  assertSame(normaliseResponse(made, ID), made);
  expect(JSON.stringify(made).isWellFormed()).toBe(true);
  expect(made.id).toBe(ID);
}

/** The same down to undefined members, -0 and the order of keys. */
function assertSame(value: unknown, expected: unknown): void {
  expect(fc.stringify(value)).toBe(fc.stringify(expected));
}

describe("any JSON", () => {
  it("gives a strict Response or is refused", () => {
    fc.assert(
      fc.property(json, (input) => void attempt(input)),
      { numRuns: 200 },
    );
  });

  it("gives a strict Response when it has the right id and its status is a word", () => {
    const status = fc.oneof(fc.constantFrom(null, undefined), fc.string());
    fc.assert(
      fc.property(response, status, (members, status) => {
        expect(attempt({ ...members, status })).toBeDefined();
      }),
      { numRuns: 300 },
    );
  });

  it("is read in camelCase as in snake_case", () => {
    const spelled = Object.entries(WHOLE).map(([key, held]) => [camelCase(key), held]);
    assertSame(attempt(Object.fromEntries(spelled)), WHOLE);
  });

  it("gives nothing of a member that has no meaning here", () => {
    fc.assert(
      fc.property(response, fc.string({ minLength: 1 }), (members, odd) => {
        const canary = { "canary-key": "canary-value" };
        const input = { ...members, status: "completed", [`x_${odd}`]: canary, user: "canary" };
        expect(JSON.stringify(attempt(input))).not.toContain("canary");
      }),
    );
  });

  test.each(MEMBERS)("does no harm as a bottomless %s", (key) => {
    const depth = 100_000;
    const bomb: unknown = JSON.parse(`${'{"type":'.repeat(depth)}1${"}".repeat(depth)}`);
    const list: unknown = JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`);
    for (const value of [bomb, list, [bomb], { reason: bomb, code: list }]) {
      attempt({ id: ID, [key]: value });
    }
  });
});

// ── What a tenant hides ─────────────────────────────────────────────────────────────────────────

/** A canary in every place where a response may say what `redact` names. */
const CANARIES: Record<string, unknown> = {
  completed_at: 1_777_777_777,
  error: { code: "server_error", message: "canary last_error" },
  incomplete_details: { reason: "canary_incomplete_details" },
  instructions: "canary instructions",
  max_output_tokens: 7_777_001,
  metadata: { canary: "canary metadata" },
  model: "canary model",
  output: [
    { type: "message", content: [{ type: "output_text", text: "canary output" }] },
    { type: "function_call", arguments: "canary required_action" },
    { type: "custom_tool_call", input: "canary required_action" },
  ],
  parallel_tool_calls: false,
  prompt: { id: "canary assistant_id", variables: { city: "canary assistant_id" } },
  temperature: 0.777,
  text: { format: { type: "json_schema", name: "canary response_format" } },
  tool_choice: { type: "function", name: "canary tool_choice" },
  tools: [{ type: "function", name: "canary tools" }],
  top_p: 0.7771,
  truncation: "disabled",
  usage: { ...WHOLE.usage, total_tokens: 7_777_002 },
};
/** The canary of each name whose place takes no text. */
const ODD_CANARIES: Record<string, string> = {
  completed_at: "1777777777",
  incomplete_details: "canary_incomplete_details",
  max_completion_tokens: "7777001",
  parallel_tool_calls: '"parallel_tool_calls":false',
  temperature: "0.777,",
  top_p: "0.7771",
  truncation_strategy: '"disabled"',
  usage: "7777002",
};
const HIDEABLE = [...REDACTABLE, "output"] as const;
const canaryOf = (name: string) => ODD_CANARIES[name] ?? `canary ${name}`;

describe("redact", () => {
  const full = normalise(CANARIES);

  it("has a counterpart for every name, or says that there is none", () => {
    expect(Object.keys(RESPONSE_FIELDS).toSorted()).toEqual([...HIDEABLE].toSorted());
    const twice = Object.entries(RESPONSE_FIELDS).filter(([name]) => name !== "assistant_id");
    const counterparts = twice.flatMap(([, names]) => names);
    expect(new Set(counterparts).size).toBe(counterparts.length);
  });

  test.each(HIDEABLE)("hides %s, and nothing else", (name) => {
    const shown = redactedResponse(full, [name]);
    const texts = { before: JSON.stringify(full), after: JSON.stringify(shown) };
    assertStrict(shown);
    expect(texts.after).not.toContain(canaryOf(name));
    if (RESPONSE_FIELDS[name].length === 0) expect(shown).toEqual(full);
    else expect(texts.before).toContain(canaryOf(name));

    // Hiding the output hides its calls as well, and hiding the instructions a kept prompt.
    const covers: Record<string, string> = {
      output: "required_action",
      instructions: "assistant_id",
    };
    const others = HIDEABLE.filter((other) => other !== name && RESPONSE_FIELDS[other].length > 0);
    for (const other of others) {
      if (covers[name] !== other) expect(texts.after).toContain(canaryOf(other));
    }
  });

  it("leaves neutral values where there must be some, and otherwise nothing", () => {
    expect(redactedResponse(full, HIDEABLE)).toEqual(REQUIRED);
    expect(redactedResponse(full, [])).toEqual(full);
    expect(full).toEqual(normalise(CANARIES));
  });

  it("hides what lists tools, and what waits for an answer, whatever their kinds", () => {
    const kinds = (hidden: string[], types: string[]) =>
      redactedResponse(normalise({ output: types.map((type) => ({ type })) }), hidden).output
        .length;
    const lists = ["mcp_list_tools", "additional_tools", "tool_search_output"];
    const calls = ["function_call", "computer_call", "local_shell_call", "mcp_approval_request"];
    expect([kinds(["tools"], lists), kinds(["tools"], calls)]).toEqual([0, 4]);
    expect([kinds(["required_action"], calls), kinds(["required_action"], lists)]).toEqual([0, 3]);
  });

  it("leaves what the model has said when only its calls are hidden", () => {
    const { output } = redactedResponse(full, ["required_action"]);
    expect(output).toEqual(full.output.slice(0, 1));
    expect(redactedResponse(full, ["output", "required_action"]).output).toEqual([]);
  });

  test.each(["id", "object", "status", "created_at", "conversation", "nonsense", "__proto__", ""])(
    "knows no '%s'",
    (name) => {
      expect(redactedResponse(full, [name])).toEqual(full);
    },
  );

  it("makes no value up where there was none", () => {
    for (const name of HIDEABLE) {
      expect(redactedResponse(normalise(), [name])).toEqual(REQUIRED);
    }
  });
});
