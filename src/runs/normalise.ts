// Whatever an upstream calls a run → the strict Run: lenient in, strict out. Pure; no I/O, no clock.
// Refuses in two ways only, and both are decided in `identify`.
import { Refusal } from "../failure.ts";
import {
  accept,
  compact,
  flag,
  freeRecord,
  isRecord,
  jsonText,
  keep,
  message,
  number,
  pick,
  seconds,
  text,
  textPairs,
  word,
} from "./lenient.ts";
import {
  ErrorCode,
  FileSearchOptions,
  IncompleteReason,
  isTerminal,
  MAX_TOOLS,
  METADATA_LIMITS,
  Ranker,
  Run,
  type RunStatus,
  Tool,
  ToolCall,
  ToolMode,
  ToolType,
  TruncationStrategy,
} from "./run.ts";
import { statusOf } from "./status.ts";

/** What has no fill, because without it there is no run to speak of. */
type Identity = Pick<Run, "id" | "thread_id" | "status">;
type Filled = Exclude<keyof Run, keyof Identity>;
export type Redactable = Exclude<Filled, "object" | "created_at">;

interface Field<Value> {
  /** What a value that is neither absent nor null may mean. The schema of the Run judges it. */
  readonly coerce: (value: unknown, status: RunStatus) => unknown;
  /** Stands in for a value that is absent or that makes no sense. */
  readonly fill: Value;
}

const TEXT = { coerce: text, fill: "" } as const;
const NUMBER = { coerce: number, fill: null } as const;
const TIME = { coerce: seconds, fill: null } as const;

const FIELDS: { readonly [Key in Filled]: Field<Run[Key]> } = {
  object: { coerce: () => "thread.run", fill: "thread.run" },
  created_at: { coerce: seconds, fill: 0 },
  assistant_id: TEXT,
  required_action: { coerce: requiredAction, fill: null },
  last_error: { coerce: lastError, fill: null },
  expires_at: TIME,
  started_at: TIME,
  cancelled_at: { coerce: cancelledAt, fill: null },
  failed_at: TIME,
  completed_at: TIME,
  incomplete_details: { coerce: incompleteDetails, fill: null },
  model: TEXT,
  instructions: TEXT,
  tools: { coerce: tools, fill: [] },
  metadata: { coerce: metadata, fill: {} },
  usage: { coerce: usage, fill: null },
  temperature: NUMBER,
  top_p: NUMBER,
  max_prompt_tokens: NUMBER,
  max_completion_tokens: NUMBER,
  truncation_strategy: {
    coerce: truncationStrategy,
    fill: { type: "auto", last_messages: null },
  },
  tool_choice: { coerce: toolChoice, fill: "auto" },
  parallel_tool_calls: { coerce: flag, fill: true },
  response_format: { coerce: responseFormat, fill: "auto" },
};
const FILLED = Object.keys(FIELDS) as Filled[];

/** The neutral value of each field that has one. Frozen, since every request shares them. */
export const FILLS = Object.freeze(
  Object.fromEntries(FILLED.map((key) => [key, Object.freeze(FIELDS[key].fill)])),
) as { readonly [Key in Filled]: Run[Key] };

/** The fields that a tenant may blank: with its fill in place of its value, a Run is still a Run. */
export const REDACTABLE: readonly Redactable[] = FILLED.filter(
  (key) => key !== "object" && key !== "created_at",
);

/**
 * Any JSON value as the Run that was asked for. Throws `Refusal("upstream_error")` when it is not
 * that run or has no status that can be read, and `Refusal("run_not_found")` when the run is of
 * another thread; nothing else.
 */
export function normaliseRun(
  input: unknown,
  target: { readonly threadId: string | null; readonly runId: string },
): Run {
  const identity = identify(input, target);
  const fields = FILLED.map((key) => [key, fieldOf(input, key, identity.status)]);
  // Cannot fail: each member has passed its own part of the schema. Puts the keys in order, and
  // copies, so that no run shares an object with a fill or with the input.
  return Run.parse({ ...identity, ...Object.fromEntries(fields) });
}

function identify(input: unknown, target: { threadId: string | null; runId: string }): Identity {
  const id = text(pick(input, "id", "run_id"));
  if (id === undefined) throw unusable("the upstream answered without the id of a run");
  if (id !== target.runId) throw unusable("the upstream answered with another run");

  // Some servers look a run up by its id alone, so this is the check that it is on the thread.
  const threadId = pick(input, "thread_id");
  if (target.threadId !== null && threadId !== undefined && text(threadId) !== target.threadId) {
    throw new Refusal("run_not_found", { detail: "the run is not on this thread" });
  }

  const status = statusOf(pick(input, "status"));
  if (status === undefined) throw unusable("the upstream answered without a status");
  return { id, thread_id: target.threadId ?? text(threadId) ?? "", status };
}

function unusable(detail: string): Refusal {
  return new Refusal("upstream_error", { detail });
}

function fieldOf(input: unknown, key: Filled, status: RunStatus): unknown {
  const { coerce, fill } = FIELDS[key];
  const value = pick(input, key);
  if (value === undefined) return fill;
  return accept<unknown>(Run.shape[key], coerce(value, status)) ?? fill;
}

/** Some servers set it when the cancel is accepted; here it says that the run was cancelled. */
function cancelledAt(value: unknown, status: RunStatus): unknown {
  return status === "cancelled" ? seconds(value) : undefined;
}

/**
 * An action of another kind than tool outputs is none that a client of this wire could take.
 * Arguments of a call may come as the object that they encode.
 */
function requiredAction(value: unknown): unknown {
  const calls = pick(pick(value, "submit_tool_outputs"), "tool_calls");
  if (!Array.isArray(calls)) return undefined;
  return {
    type: "submit_tool_outputs",
    submit_tool_outputs: { tool_calls: keep(ToolCall, calls.map(toolCall)) },
  };
}

function toolCall(value: unknown): unknown {
  const called = pick(value, "function");
  const given = pick(called, "arguments");
  return {
    id: text(pick(value, "id")),
    type: word(pick(value, "type") ?? "function", ToolType.options),
    function: {
      name: text(pick(called, "name")),
      arguments: given === undefined ? "{}" : (text(given) ?? jsonText(given)),
    },
  };
}

const MAX_ERROR_MESSAGE = 1024;

function lastError(value: unknown): unknown {
  const words = text(typeof value === "string" ? value : pick(value, "message")) ?? "";
  const code = pick(value, "code");
  if (words === "" && code === undefined) return undefined;
  return {
    code: word(code, ErrorCode.options) ?? "server_error",
    message: message(words, MAX_ERROR_MESSAGE),
  };
}

/** `{}` says "incomplete, for a reason that has no word here"; of any other run it says nothing. */
function incompleteDetails(value: unknown, status: RunStatus): unknown {
  const reason = word(pick(value, "reason") ?? value, IncompleteReason.options);
  if (reason !== undefined) return { reason };
  return status === "incomplete" ? {} : undefined;
}

function tools(value: unknown): unknown {
  return Array.isArray(value) ? keep(Tool, value.map(tool)).slice(0, MAX_TOOLS) : undefined;
}

function tool(value: unknown): unknown {
  const type = word(pick(value, "type") ?? value, ToolType.options);
  if (type === "function") return { type, function: functionDefinition(pick(value, "function")) };
  if (type === "file_search") {
    return compact({ type, file_search: fileSearchOptions(pick(value, "file_search")) });
  }
  return { type };
}

function functionDefinition(value: unknown): unknown {
  return compact({
    name: text(pick(value, "name")),
    description: text(pick(value, "description")),
    parameters: freeRecord(pick(value, "parameters")),
    strict: flag(pick(value, "strict")),
  });
}

function fileSearchOptions(value: unknown): unknown {
  if (!isRecord(value)) return undefined;
  const { max_num_results, ranking_options } = FileSearchOptions.shape;
  const ranking = pick(value, "ranking_options");
  return compact({
    max_num_results: accept(max_num_results, number(pick(value, "max_num_results"))),
    ranking_options: accept(
      ranking_options,
      compact({
        score_threshold: number(pick(ranking, "score_threshold")),
        ranker: word(pick(ranking, "ranker"), Ranker.options),
      }),
    ),
  });
}

function metadata(value: unknown): unknown {
  return textPairs(value, METADATA_LIMITS);
}

/** Of the three counts any two give the third; with one alone the bill is unknown. */
function usage(value: unknown, status: RunStatus): unknown {
  if (!isTerminal(status)) return undefined;
  const count = (...names: string[]) => number(pick(value, ...names)) ?? Number.NaN;
  const prompt = count("prompt_tokens", "input_tokens");
  const completion = count("completion_tokens", "output_tokens");
  const total = count("total_tokens");
  return {
    prompt_tokens: Number.isNaN(prompt) ? total - completion : prompt,
    completion_tokens: Number.isNaN(completion) ? total - prompt : completion,
    total_tokens: Number.isNaN(total) ? prompt + completion : total,
  };
}

function truncationStrategy(value: unknown): unknown {
  const { type, last_messages } = TruncationStrategy.shape;
  return {
    type: word(pick(value, "type"), type.options),
    last_messages: accept(last_messages, number(pick(value, "last_messages"))) ?? null,
  };
}

/** A mode or a tool, each as a plain word or as the `type` of an object. */
function toolChoice(value: unknown): unknown {
  const given = pick(value, "type") ?? value;
  const mode = word(given, ToolMode.options);
  if (mode !== undefined) return mode;
  const type = word(given, ToolType.options);
  const name = text(pick(pick(value, "function"), "name"));
  if (name !== undefined) return { type, function: { name } };
  // A function without its name chooses nothing.
  return type === "function" ? undefined : { type };
}

const FORMATS = ["auto", "text", "json_object", "json_schema"] as const;

function responseFormat(value: unknown): unknown {
  const type = word(pick(value, "type") ?? value, FORMATS);
  if (type !== "json_schema") return type === "auto" ? type : { type };
  const given = pick(value, "json_schema");
  return {
    type,
    json_schema: compact({
      name: text(pick(given, "name")),
      description: text(pick(given, "description")),
      schema: freeRecord(pick(given, "schema")),
      strict: flag(pick(given, "strict")),
    }),
  };
}
