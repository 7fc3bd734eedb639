// What is shown of each item of a response: all that OpenAI's own types name, but what is somebody's key, address
// or secret; and nothing that they do not name, however it is called.
import type * as OpenAi from "openai/resources/responses/responses";
import { describe, expect, it, test } from "vitest";
import { normaliseResponse } from "../../src/runs/response.ts";

type Item = OpenAi.ResponseOutputItem;
type Type = Item["type"];
type Json = Record<string, unknown>;

const ID = { id: "item_1", status: "completed" } as const;
const CALL = { ...ID, call_id: "call_1" } as const;
const CALLER = { type: "program", caller_id: "prog_1" } as const;
const TOOL: OpenAi.Tool = {
  type: "function",
  name: "f",
  description: "d",
  parameters: { type: "object", properties: { headers: {}, token: {} } },
  strict: true,
};
const CHECK = { id: "cu_1", code: "malicious_instructions", message: "Look out." };

/** Every type of item with its members, whole. A type, or a member, that OpenAI adds has to be thought about here. */
const WHOLE: { readonly [Each in Type]: Extract<Item, { type: Each }> } = {
  message: {
    ...ID,
    type: "message",
    role: "assistant",
    phase: "final_answer",
    content: [
      {
        type: "output_text",
        text: "hi",
        annotations: [
          { type: "file_citation", file_id: "file_1", filename: "a.txt", index: 1 },
          { type: "url_citation", start_index: 0, end_index: 2, title: "t", url: "https://a.test" },
          {
            type: "container_file_citation",
            container_id: "cntr_1",
            file_id: "file_1",
            filename: "a.txt",
            start_index: 0,
            end_index: 1,
          },
          { type: "file_path", file_id: "file_1", index: 1 },
        ],
        logprobs: [
          {
            token: "hi",
            bytes: [104, 105],
            logprob: -0.1,
            top_logprobs: [{ token: "ho", bytes: [104, 111], logprob: -2 }],
          },
        ],
      },
      { type: "refusal", refusal: "No." },
    ],
  },
  file_search_call: {
    ...ID,
    type: "file_search_call",
    queries: ["q"],
    results: [
      {
        attributes: { token: "the tenant's own", year: 2026 },
        file_id: "file_1",
        filename: "a.txt",
        score: 0.5,
        text: "found",
      },
    ],
  },
  function_call: {
    ...CALL,
    type: "function_call",
    name: "f",
    namespace: "n",
    arguments: '{"token":"the client has to know"}',
    async: true,
    caller: CALLER,
  },
  function_call_output: {
    ...CALL,
    type: "function_call_output",
    name: "f",
    namespace: "n",
    caller: { type: "direct" },
    output: [
      { type: "input_text", text: "a" },
      { type: "input_image", detail: "auto", file_id: "file_1", image_url: "https://a.test/i.png" },
      {
        type: "input_file",
        detail: "low",
        file_id: "file_1",
        file_data: "data:",
        file_url: "https://a.test/f.pdf",
        filename: "f.pdf",
      },
    ],
  },
  web_search_call: {
    ...ID,
    type: "web_search_call",
    action: {
      type: "search",
      query: "q",
      queries: ["q"],
      sources: [{ type: "url", url: "https://a.test" }],
    },
  },
  computer_call: {
    ...CALL,
    type: "computer_call",
    action: { type: "drag", path: [{ x: 1, y: 2 }], keys: ["CTRL"] },
    actions: [
      { type: "click", button: "left", x: 1, y: 2 },
      { type: "scroll", scroll_x: 1, scroll_y: 2, x: 3, y: 4 },
      { type: "type", text: "hi" },
      { type: "keypress", keys: ["A"] },
    ],
    pending_safety_checks: [CHECK],
  },
  computer_call_output: {
    ...CALL,
    type: "computer_call_output",
    output: { type: "computer_screenshot", file_id: "file_1", image_url: "https://a.test/i.png" },
    acknowledged_safety_checks: [CHECK],
  },
  reasoning: {
    ...ID,
    type: "reasoning",
    summary: [{ type: "summary_text", text: "s" }],
    content: [{ type: "reasoning_text", text: "r" }],
  },
  program: { id: "p", call_id: "c", type: "program", code: "go()", fingerprint: "fp" },
  program_output: { ...CALL, type: "program_output", result: "done" },
  tool_search_call: {
    ...CALL,
    type: "tool_search_call",
    execution: "client",
    arguments: { password: "the client has to know" },
  },
  tool_search_output: { ...CALL, type: "tool_search_output", execution: "client", tools: [TOOL] },
  additional_tools: { id: "a", type: "additional_tools", role: "developer", tools: [TOOL] },
  compaction: { id: "c", type: "compaction", encrypted_content: "" },
  image_generation_call: {
    ...ID,
    type: "image_generation_call",
    action: "generate",
    background: "opaque",
    error: { type: "image_error", code: "moderation", message: "No." } as never,
    output_format: "png",
    quality: "high",
    result: "aGk=",
    revised_prompt: "a cat",
    size: "1024x1024",
  },
  code_interpreter_call: {
    ...ID,
    type: "code_interpreter_call",
    code: "1+1",
    container_id: "cntr_1",
    outputs: [
      { type: "logs", logs: "2" },
      { type: "image", url: "https://a.test/i.png" },
    ],
  },
  local_shell_call: {
    ...CALL,
    type: "local_shell_call",
    action: {
      type: "exec",
      command: ["ls"],
      env: {},
      timeout_ms: 1,
      user: "u",
      working_directory: "/w",
    },
  },
  local_shell_call_output: { ...ID, type: "local_shell_call_output", output: "a.txt" },
  shell_call: {
    ...CALL,
    type: "shell_call",
    action: { commands: ["ls"], max_output_length: 10, timeout_ms: null },
    environment: null,
    caller: CALLER,
  },
  shell_call_output: {
    ...CALL,
    type: "shell_call_output",
    max_output_length: null,
    output: [{ stdout: "a", stderr: "b", outcome: { type: "exit", exit_code: 1 } }],
    caller: null,
  },
  apply_patch_call: {
    ...CALL,
    type: "apply_patch_call",
    operation: { type: "update_file", path: "a.txt", diff: "+a" },
  },
  apply_patch_call_output: { ...CALL, type: "apply_patch_call_output", output: "done" },
  mcp_call: {
    ...ID,
    type: "mcp_call",
    name: "f",
    server_label: "wiki",
    arguments: "",
    approval_request_id: "a",
    output: "found",
    error: { type: "http_error", code: 401, message: "No." },
  },
  mcp_list_tools: {
    id: "l",
    type: "mcp_list_tools",
    server_label: "wiki",
    tools: [{ name: "f", description: "d", input_schema: { properties: { api_key: {} } } }],
    error: null,
  },
  mcp_approval_request: {
    id: "a",
    type: "mcp_approval_request",
    name: "f",
    server_label: "wiki",
    arguments: '{"who approves has":"to know"}',
  },
  mcp_approval_response: {
    id: "b",
    type: "mcp_approval_response",
    approval_request_id: "a",
    approve: false,
    reason: "no",
  },
  custom_tool_call: {
    call_id: "c",
    id: "i",
    type: "custom_tool_call",
    name: "f",
    namespace: "n",
    input: "the client has to know",
    caller: CALLER,
  },
  custom_tool_call_output: { ...CALL, type: "custom_tool_call_output", output: "done" },
};
const TYPES = Object.keys(WHOLE) as Type[];

/** As both places of items show it. */
function shown(item: unknown): Json {
  const { output, instructions } = normaliseResponse(
    { id: "resp_1", output: [item], instructions: [item] },
    "resp_1",
  );
  expect(instructions).toEqual(output);
  return output[0] ?? {};
}

/** What nobody but the operator, or the vendor, may know; some end like a key, and some do not. */
const SECRETS = [
  ...["connectionString", "connection_string", "tokens", "token", "cookies", "cookie", "jwt"],
  ...["sas_url", "sasUrl", "headers", "http_headers", "authorization", "auth", "server_url"],
  ...["encrypted_content", "env", "environment_variables", "api_key", "apikey", "client_secret"],
  ...["password", "credentials", "connector_id", "tunnel_id", "created_by", "x-ms-token", "dsn"],
  ...["domain_secrets", "network_policy", "constructor", "toString", "anything_new", "session"],
];
/** In these the model, or the response's creator, has chosen the names. */
const FREE = ["arguments", "attributes", "input_schema", "parameters"];

/** The same JSON with all of these members in each of its objects. */
function poisoned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(poisoned);
  if (typeof value !== "object" || value === null) return value;
  const own = Object.entries(value).map(([key, held]) => [
    key,
    FREE.includes(key) ? held : poisoned(held),
  ]);
  const added = SECRETS.filter((key) => !Object.hasOwn(value, key)).map((key, index) => [
    key,
    [{ text: "canary" }, "canary", ["canary"]][index % 3],
  ]);
  return Object.fromEntries([...own, ...added]);
}

describe.each(TYPES)("%s", (type) => {
  it("is shown with all that OpenAI says of it", () => {
    expect(shown(WHOLE[type])).toEqual(WHOLE[type]);
  });

  it("is shown with nothing else, at any depth and by any name", () => {
    const made = shown(poisoned(WHOLE[type]));
    expect(JSON.stringify(made)).not.toContain("canary");
    expect(made).toEqual(WHOLE[type]);
  });
});

describe("what is hidden by its place", () => {
  test.each<[string, Json, Json]>([
    [
      "what an MCP server was told",
      { type: "mcp_call", arguments: '{"k":"canary"}' },
      { arguments: "" },
    ],
    ["where it is", { type: "mcp_call", server_url: "https://canary.test" }, {}],
    [
      "what a search on the server was told",
      { type: "tool_search_call", execution: "server", arguments: { k: "canary" } },
      { execution: "server", arguments: {} },
    ],
    [
      "a shell's environment",
      { type: "local_shell_call", action: { type: "exec", env: { KEY: "canary" } } },
      { action: { type: "exec", env: {} } },
    ],
    [
      "a container",
      { type: "shell_call", environment: { type: "container_reference", container_id: "canary" } },
      { environment: null },
    ],
    [
      "what is sealed",
      { type: "compaction", encrypted_content: "canary" },
      { encrypted_content: "" },
    ],
    [
      "what is sealed",
      { type: "reasoning", encrypted_content: "canary", summary: [] },
      { summary: [] },
    ],
  ])("%s", (_, item, expected) => {
    expect(shown(item)).toEqual({ type: item["type"], ...expected });
  });

  it("holds for tools that an item lists", () => {
    const tools = [
      { type: "mcp", server_label: "w", headers: { a: "canary" }, server_url: "canary" },
      { type: "mcp", allowed_tools: { tool_names: ["f"], headers: "canary" } },
      { type: "custom", name: "c", format: { type: "grammar", syntax: "lark", secret: "canary" } },
      { type: "namespace", name: "n", tools: [{ type: "function", name: "f", auth: "canary" }] },
      { type: "azure_ai_search", azure_ai_search: { connection: "canary" } },
      null,
    ];
    const { tools: listed } = shown({ type: "additional_tools", tools });
    expect(listed).toEqual([
      { type: "mcp", server_label: "w" },
      { type: "mcp", allowed_tools: { tool_names: ["f"] } },
      { type: "custom", name: "c", format: { type: "grammar", syntax: "lark" } },
      { type: "namespace", name: "n", tools: [{ type: "function", name: "f" }] },
      { type: "azure_ai_search" },
    ]);
    expect(shown({ type: "additional_tools", tools: "canary" })).toEqual({
      type: "additional_tools",
      tools: [],
    });
  });
});

describe("an item of a type that is not listed", () => {
  it("is shown as far as it says what it is, and what it says in texts", () => {
    const item = {
      ...{ id: "w", type: "azure_ai_search_call", status: "completed", role: "tool" },
      ...{ content: [{ type: "text", text: "found" }], call_id: "c", name: "n", arguments: "{}" },
      ...{ input: "i", queries: ["q"], results: [{ title: "t", text: "x", score: 1 }, "r"] },
      ...{ output: [{ type: "text", text: "o" }], summary: ["s"] },
    };
    expect(shown(poisoned(item))).toEqual(item);
    const objects = { arguments: { k: "canary" }, input: { k: "canary" }, output: { k: "canary" } };
    expect(shown({ type: "x_search_call", ...objects, url: "canary" })).toEqual({
      type: "x_search_call",
    });
    const attributes = { k: "canary" };
    expect(shown({ type: "memory_search_call", results: [{ id: "m", attributes }] })).toEqual({
      type: "memory_search_call",
      results: [{ id: "m" }],
    });
    expect(shown({ type: "constructor", secret: "canary" })).toEqual({ type: "constructor" });
    expect(shown({ type: 7, secret: "canary" })).toEqual({ type: 7 });
  });

  it("leaves what tools can do, and nothing else of them", () => {
    const tools = [
      {
        ...{ type: "web_search", search_context_size: "low", filters: { allowed_domains: ["a"] } },
        user_location: { type: "approximate", city: "Oslo" },
      },
      {
        ...{ type: "file_search", ranking_options: { ranker: "auto", score_threshold: 0.5 } },
        filters: { type: "and", filters: [{ type: "eq", key: "k", value: "v" }] },
      },
      { type: "image_generation", model: "m", size: "auto", quality: "low" },
    ];
    expect(shown({ type: "additional_tools", tools: poisoned(tools) })["tools"]).toEqual(tools);
    const annotations = [{ type: "file_citation", file_id: "f", quote: "said" }];
    const content = [{ type: "output_text", text: "t", annotations }];
    expect(shown({ type: "message", content })).toEqual({ type: "message", content });
  });

  it("is a message where it has no type, as clients may send them", () => {
    const item = { role: "user", content: "hi" };
    expect(shown({ ...item, secret: "canary" })).toEqual(item);
  });

  it("of Perplexity's is shown with its findings", () => {
    const found = { id: 1, title: "t", url: "https://a.test", snippet: "s", date: "2026-01-01" };
    const items = [
      { type: "search_results", queries: ["q"], results: [found] },
      {
        type: "fetch_url_results",
        contents: [{ title: "t", url: "https://a.test", snippet: "s" }],
      },
    ];
    for (const item of items) expect(shown(poisoned(item))).toEqual(item);
  });
});

describe("members of a wrong kind", () => {
  it("are left out, and spoil nothing", () => {
    const item = {
      ...WHOLE.message,
      phase: { secret: "canary" },
      content: [7, null, ["canary"], { type: "output_text", text: { a: "canary" }, logprobs: 1 }],
    };
    expect(shown(item)).toEqual({
      ...ID,
      type: "message",
      role: "assistant",
      content: [{ type: "output_text" }],
    });
  });
});
