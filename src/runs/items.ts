// What is shown of each item of a response, place by place: of the output, of the instructions, and of tools.
// Source: OpenAI's published schema (`openai` 7.57), and what Perplexity adds to it. Never shown are where a
// server is reached and with what (`server_url`, `headers`, `authorization`), the environment of a shell, and
// what is sealed for the vendor (`encrypted_content`). Pure.
import { isRecord, message } from "./lenient.ts";
import { either, filled, free, list, object, plain, type Shape, typed } from "./shapes.ts";

const MAX_ERROR_MESSAGE = 1024;

const plainList = list(plain);

// ── Tools ───────────────────────────────────────────────────────────────────────────────────────

const toolNames = object({ read_only: plain, tool_names: plainList });
const named = { type: plain, name: plain, description: plain };
const functionTool = object({ ...named, parameters: free, strict: plain });
const customTool = object({
  ...named,
  format: object({ type: plain, syntax: plain, definition: plain }),
});
/** What a list of an MCP server's tools has. */
const listedTool = object({ type: plain, name: plain, description: plain, input_schema: free });

const location = { type: plain, city: plain, country: plain, region: plain, timezone: plain };
const webSearch = object({
  ...{ type: plain, search_context_size: plain, user_location: object(location) },
  filters: object({ allowed_domains: plainList, blocked_domains: plainList }),
});
const comparison = { type: plain, key: plain, value: either(plain, plainList) };
/** A comparison, or several, one level deep. */
const fileFilter = object({ ...comparison, filters: list(object(comparison)) });

/** What of a tool says what it can do. */
const tool: Shape = typed(
  {
    function: functionTool,
    custom: customTool,
    mcp: object({
      type: plain,
      server_label: plain,
      server_description: plain,
      allowed_tools: either(plainList, toolNames),
      require_approval: either(plain, object({ always: toolNames, never: toolNames })),
    }),
    file_search: object({
      ...{ type: plain, vector_store_ids: plainList, max_num_results: plain, filters: fileFilter },
      ranking_options: object({ ranker: plain, score_threshold: plain }),
    }),
    web_search: webSearch,
    web_search_preview: webSearch,
    image_generation: object({
      ...{ type: plain, action: plain, background: plain, input_fidelity: plain, model: plain },
      ...{ moderation: plain, output_compression: plain, output_format: plain, size: plain },
      ...{ partial_images: plain, quality: plain },
    }),
    computer_use_preview: object({
      type: plain,
      display_width: plain,
      display_height: plain,
      environment: plain,
    }),
    namespace: filled(
      object({ ...named, tools: list(typed({ custom: customTool }, functionTool)) }),
      () => ({ tools: [] }),
    ),
    // Which container it is, and what is in it, is the operator's.
    code_interpreter: () => ({ type: "code_interpreter", container: { type: "auto" } }),
  },
  (value) =>
    isRecord(value) && "type" in value ? object({ type: plain })(value) : listedTool(value),
);

export const tools: Shape = list(tool);
const listedTools: Shape = (value) => tools(value) ?? [];

// ── Parts of items ──────────────────────────────────────────────────────────────────────────────

const words = object({ type: plain, text: plain });
const logprob = { token: plain, bytes: plainList, logprob: plain };
const annotation = object({
  ...{ type: plain, index: plain, start_index: plain, end_index: plain, title: plain, url: plain },
  ...{ file_id: plain, filename: plain, container_id: plain },
  quote: plain,
});
const image = { type: plain, file_id: plain, image_url: plain, detail: plain };

/** A part of a message, of a kind that is not listed as well: what it says, and nothing else. */
const part = typed(
  {
    output_text: object({
      type: plain,
      text: plain,
      annotations: list(annotation),
      logprobs: list(object({ ...logprob, top_logprobs: list(object(logprob)) })),
    }),
    refusal: object({ type: plain, refusal: plain }),
    input_image: object(image),
    computer_screenshot: object(image),
    input_file: object({
      ...{ type: plain, file_id: plain, filename: plain, file_url: plain, file_data: plain },
      detail: plain,
    }),
    input_audio: object({ type: plain, input_audio: object({ data: plain, format: plain }) }),
    output_audio: object({ type: plain, data: plain, transcript: plain }),
  },
  words,
);
const content = either(plain, list(part));

const caller = object({ type: plain, caller_id: plain });
const safetyChecks = list(object({ id: plain, code: plain, message: plain }));
const computerAction = object({
  ...{ type: plain, button: plain, x: plain, y: plain, scroll_x: plain, scroll_y: plain },
  ...{ keys: plainList, path: list(object({ x: plain, y: plain })), text: plain },
});
const findingMembers = {
  ...{ type: plain, id: plain, name: plain, title: plain, url: plain, snippet: plain, text: plain },
  ...{ date: plain, last_updated: plain, source: plain, file_id: plain, filename: plain },
  ...{ score: plain, attributes: free },
};
/** A page or a file that was found. */
const finding = object(findingMembers);

/** A message for people, from which what looks like a key is taken. */
const errorWords: Shape = (value) =>
  typeof value === "string" ? message(value, MAX_ERROR_MESSAGE) : undefined;

const error: Shape = (value) => {
  if (!isRecord(value)) return errorWords(value) ?? null;
  const shown = object({ type: plain, code: plain, content: list(words) })(value) as object;
  return { ...shown, message: errorWords(value["message"]) ?? "" };
};

// ── Items ───────────────────────────────────────────────────────────────────────────────────────

/** Something that was called, and by what name its answer is sent. */
const call = { id: plain, type: plain, status: plain, call_id: plain, caller, async: plain };
const namedCall = { ...call, name: plain, namespace: plain };
/** The words of a call that the client has to carry out, or to approve, and so has to know. */
const asked = free;

/** What most items have. */
const stranger = { id: plain, type: plain, status: plain, role: plain, content };

/** A text, a number, or a list of texts or of objects of which only what they say is shown. */
const said = either(plain, list(either(plain, words)));
/** A finding whose members nobody but its vendor has named. */
const { attributes: _, ...foundMembers } = findingMembers;
/** The usual members of a call and its answer, where they are texts: an object may hold a key. */
const unlisted = {
  ...{ ...stranger, call_id: plain, name: plain, arguments: plain, input: said, output: said },
  ...{ queries: plainList, results: either(plain, list(either(plain, object(foundMembers)))) },
  summary: said,
};

const aMessage = object({ ...stranger, phase: plain });
const output = object({ ...namedCall, output: content });

const item: Shape = typed(
  {
    function_call: object({ ...namedCall, arguments: asked }),
    custom_tool_call: object({ ...namedCall, input: asked }),
    function_call_output: output,
    custom_tool_call_output: output,
    local_shell_call_output: output,
    apply_patch_call_output: output,
    file_search_call: object({ ...call, queries: plainList, results: list(finding) }),
    web_search_call: object({
      ...call,
      action: object({
        ...{ type: plain, query: plain, queries: plainList, url: plain, pattern: plain },
        sources: list(finding),
      }),
    }),
    computer_call: object({
      ...call,
      action: computerAction,
      actions: list(computerAction),
      pending_safety_checks: safetyChecks,
    }),
    computer_call_output: object({
      ...call,
      output: object(image),
      acknowledged_safety_checks: safetyChecks,
    }),
    reasoning: object({ ...stranger, summary: list(words) }),
    program: object({ ...call, code: plain, fingerprint: plain }),
    program_output: object({ ...call, result: plain }),
    tool_search_call: toolSearchCall,
    tool_search_output: object({ ...call, execution: plain, tools: listedTools }),
    additional_tools: object({ ...stranger, tools: listedTools }),
    configuration_update: object({
      ...stranger,
      reasoning: object({ effort: plain }),
      text: object({ format: free }),
    }),
    // What it is made of is sealed, and a stock client expects to find it.
    compaction: filled(object(stranger), () => ({ encrypted_content: "" })),
    image_generation_call: object({
      ...{ ...call, action: plain, result: plain, revised_prompt: plain, size: plain },
      ...{ quality: plain, background: plain, output_format: plain, error },
    }),
    code_interpreter_call: object({
      ...{ ...call, code: plain, container_id: plain },
      outputs: list(object({ type: plain, logs: plain, url: plain })),
    }),
    local_shell_call: localShellCall,
    // Which container it is, and what is in it, is the operator's.
    shell_call: filled(
      object({
        ...call,
        action: object({ commands: plainList, max_output_length: plain, timeout_ms: plain }),
      }),
      () => ({ environment: null }),
    ),
    shell_call_output: object({
      ...{ ...call, max_output_length: plain },
      output: list(
        object({
          stdout: plain,
          stderr: plain,
          outcome: object({ type: plain, exit_code: plain }),
        }),
      ),
    }),
    apply_patch_call: object({
      ...call,
      operation: object({ type: plain, path: plain, diff: plain }),
    }),
    // The vendor carries it out with the operator's server; nobody here has to know what it was told.
    mcp_call: object({
      ...{ ...namedCall, server_label: plain, approval_request_id: plain },
      ...{ arguments: () => "", output: content, error },
    }),
    mcp_list_tools: object({ ...call, server_label: plain, tools: listedTools, error }),
    // Who approves it has to know what of.
    mcp_approval_request: object({ ...namedCall, server_label: plain, arguments: asked }),
    mcp_approval_response: object({
      ...{ ...call, approval_request_id: plain, approve: plain, reason: plain },
    }),
    // Perplexity's.
    search_results: object({ ...call, queries: plainList, results: list(finding) }),
    fetch_url_results: object({ ...call, contents: list(finding) }),
  },
  object(unlisted),
);

/** Where the server carries it out, its words are the server's. */
function toolSearchCall(value: unknown): unknown {
  const isServers = isRecord(value) && value["execution"] === "server";
  return object({ ...call, execution: plain, arguments: isServers ? () => ({}) : asked })(value);
}

/** Its environment may hold keys; a stock client expects to find one. */
function localShellCall(value: unknown): unknown {
  const action = object({
    ...{ type: plain, command: plainList, timeout_ms: plain, user: plain },
    ...{ working_directory: plain, env: () => ({}) },
  });
  const shown = object({ ...call, action: filled(action, noEnvironment) });
  return filled(shown, () => ({ action: noEnvironment() }))(value);
}

const noEnvironment = () => ({ env: {} });

/** One item of a response. */
export function shownItem(value: Record<string, unknown>): unknown {
  const { type } = value;
  if (type === "message") return filled(aMessage, () => ({ content: [] }))(value);
  // The items that a client sends may leave the word out of messages.
  return (type === undefined && "content" in value ? aMessage : item)(value);
}
