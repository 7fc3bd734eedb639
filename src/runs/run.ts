// The Run: the 27 fields of OpenAI's `thread.run`, all always present, and the words of its status.
// Strict. `normalise.ts` is the lenient door in front of it.
import * as z from "zod";

/** Statuses from which a run can still move. `cancelling` is active: it may yet end otherwise. */
export const ACTIVE_STATUSES = ["queued", "in_progress", "requires_action", "cancelling"] as const;
/** Statuses that end a run. */
export const TERMINAL_STATUSES = [
  "cancelled",
  "failed",
  "completed",
  "incomplete",
  "expired",
] as const;

export const RunStatus = z.enum([...ACTIVE_STATUSES, ...TERMINAL_STATUSES]);
export type RunStatus = z.infer<typeof RunStatus>;
export type TerminalStatus = (typeof TERMINAL_STATUSES)[number];

export function isTerminal(status: RunStatus): status is TerminalStatus {
  return (TERMINAL_STATUSES as readonly RunStatus[]).includes(status);
}

/** Seconds since the Unix epoch, whole. */
const UnixSeconds = z.int().nonnegative();
const FunctionName = z.string().min(1);

export const ToolType = z.enum(["function", "code_interpreter", "file_search"]);
export const ToolMode = z.enum(["none", "auto", "required"]);
export const Ranker = z.enum(["auto", "default_2024_08_21"]);
export const ErrorCode = z.enum(["server_error", "rate_limit_exceeded", "invalid_prompt"]);
export const IncompleteReason = z.enum(["max_completion_tokens", "max_prompt_tokens"]);

// `exactOptional`: an optional member is there or is absent, never there and undefined.
const FunctionDefinition = z.object({
  name: FunctionName,
  description: z.string().exactOptional(),
  parameters: z.record(z.string(), z.unknown()).exactOptional(),
  strict: z.boolean().nullable().exactOptional(),
});

export const FileSearchOptions = z.object({
  max_num_results: z.int().min(1).max(50).exactOptional(),
  ranking_options: z
    .object({
      score_threshold: z.number().min(0).max(1),
      ranker: Ranker.exactOptional(),
    })
    .exactOptional(),
});

export const Tool = z.discriminatedUnion("type", [
  z.object({ type: z.literal("code_interpreter") }),
  z.object({ type: z.literal("file_search"), file_search: FileSearchOptions.exactOptional() }),
  z.object({ type: z.literal("function"), function: FunctionDefinition }),
]);

const ToolChoice = z.union([
  ToolMode,
  z.object({
    type: ToolType,
    function: z.object({ name: FunctionName }).exactOptional(),
  }),
]);

const ResponseFormat = z.union([
  z.literal("auto"),
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json_object") }),
  z.object({
    type: z.literal("json_schema"),
    json_schema: z.object({
      name: z.string(),
      description: z.string().exactOptional(),
      schema: z.record(z.string(), z.unknown()).exactOptional(),
      strict: z.boolean().nullable().exactOptional(),
    }),
  }),
]);

export const ToolCall = z.object({
  id: z.string(),
  type: z.literal("function"),
  function: z.object({ name: FunctionName, arguments: z.string() }),
});

const RequiredAction = z.object({
  type: z.literal("submit_tool_outputs"),
  submit_tool_outputs: z.object({ tool_calls: z.array(ToolCall) }),
});

export const TruncationStrategy = z.object({
  type: z.enum(["auto", "last_messages"]),
  last_messages: z.int().min(1).nullable().exactOptional(),
});

/** Metadata as OpenAI bounds it: at most 16 pairs, keys of 64 and values of 512 characters. */
export const METADATA_LIMITS = { pairs: 16, key: 64, value: 512 } as const;
export const MAX_TOOLS = 20;

/** Source: the API page the project was created from, and OpenAI's published `RunObject` schema. */
export const Run = z.object({
  id: z.string().min(1),
  object: z.literal("thread.run"),
  created_at: UnixSeconds,
  thread_id: z.string(),
  assistant_id: z.string(),
  status: RunStatus,
  required_action: RequiredAction.nullable(),
  last_error: z
    .object({
      code: ErrorCode,
      message: z.string(),
    })
    .nullable(),
  expires_at: UnixSeconds.nullable(),
  started_at: UnixSeconds.nullable(),
  cancelled_at: UnixSeconds.nullable(),
  failed_at: UnixSeconds.nullable(),
  completed_at: UnixSeconds.nullable(),
  incomplete_details: z.object({ reason: IncompleteReason.exactOptional() }).nullable(),
  model: z.string(),
  instructions: z.string(),
  tools: z.array(Tool).max(MAX_TOOLS),
  metadata: z
    .record(z.string().max(METADATA_LIMITS.key), z.string().max(METADATA_LIMITS.value))
    .refine((pairs) => Object.keys(pairs).length <= METADATA_LIMITS.pairs)
    .nullable(),
  usage: z
    .object({
      prompt_tokens: z.int().nonnegative(),
      completion_tokens: z.int().nonnegative(),
      total_tokens: z.int().nonnegative(),
    })
    .nullable(),
  temperature: z.number().nullable(),
  top_p: z.number().nullable(),
  max_prompt_tokens: z.int().min(256).nullable(),
  max_completion_tokens: z.int().min(256).nullable(),
  truncation_strategy: TruncationStrategy.nullable(),
  tool_choice: ToolChoice.nullable(),
  parallel_tool_calls: z.boolean(),
  response_format: ResponseFormat.nullable(),
});
export type Run = z.infer<typeof Run>;
