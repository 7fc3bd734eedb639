// OpenAI's `response`, as callers who speak the Responses API see it: lenient in, strict out, like
// `normalise.ts` for the Run. Pure; no I/O, no clock.
import * as z from "zod";
import { Refusal } from "../failure.ts";
import {
  accept,
  compact,
  cut,
  flag,
  freeRecord,
  isRecord,
  number,
  pick,
  seconds,
  text,
  textPairs,
  word,
} from "./lenient.ts";
import type { Redactable } from "./normalise.ts";
import { METADATA_LIMITS, ToolMode } from "./run.ts";

const ResponseStatus = z.enum([
  "completed",
  "failed",
  "in_progress",
  "cancelled",
  "queued",
  "incomplete",
]);
type ResponseStatus = z.infer<typeof ResponseStatus>;

const UnixSeconds = z.int().nonnegative();
const Count = z.int().nonnegative();
/** What the model or the response's creator put together: JSON of any shape. */
const Free = z.record(z.string(), z.unknown());

/**
 * Source: OpenAI's published `Response` schema. `exactOptional`: an optional member is there or is
 * absent. `user`, `safety_identifier`, `prompt_cache_key` and what bills are nobody's business here.
 */
export const ResponseObject = z.object({
  id: z.string().min(1),
  object: z.literal("response"),
  created_at: UnixSeconds,
  status: ResponseStatus,
  background: z.boolean().exactOptional(),
  completed_at: UnixSeconds.exactOptional(),
  conversation: z.object({ id: z.string() }).exactOptional(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  incomplete_details: z.object({ reason: z.string().exactOptional() }).nullable(),
  instructions: z.union([z.string(), z.array(Free)]).nullable(),
  max_output_tokens: Count.exactOptional(),
  max_tool_calls: Count.exactOptional(),
  metadata: z.record(z.string(), z.string()),
  model: z.string(),
  output: z.array(Free),
  parallel_tool_calls: z.boolean(),
  previous_response_id: z.string().exactOptional(),
  prompt: Free.exactOptional(),
  reasoning: Free.exactOptional(),
  service_tier: z.string().exactOptional(),
  temperature: z.number().nullable(),
  text: Free.exactOptional(),
  tool_choice: z.union([ToolMode, Free]),
  tools: z.array(Free),
  top_logprobs: Count.exactOptional(),
  top_p: z.number().nullable(),
  truncation: z.enum(["auto", "disabled"]).exactOptional(),
  usage: z
    .object({
      input_tokens: Count,
      input_tokens_details: z.object({ cached_tokens: Count, cache_write_tokens: Count }),
      output_tokens: Count,
      output_tokens_details: z.object({ reasoning_tokens: Count }),
      total_tokens: Count,
    })
    .exactOptional(),
});
export type ResponseObject = z.infer<typeof ResponseObject>;

type Identity = "id" | "object" | "status";
type Member = Exclude<keyof ResponseObject, Identity>;
type Filled = {
  [Key in Member]: undefined extends Pick<ResponseObject, Key>[Key] ? never : Key;
}[Member];

/** What a value that is neither absent nor null may mean. The schema judges it. */
type Reading = (value: unknown, status: ResponseStatus) => unknown;

const READINGS: { readonly [Key in Member]: Reading } = {
  created_at: seconds,
  background: flag,
  completed_at: seconds,
  conversation: (value) => ({ id: text(pick(value, "id") ?? value) }),
  error,
  incomplete_details: incompleteDetails,
  instructions: (value) => (Array.isArray(value) ? items(value) : text(value)),
  max_output_tokens: number,
  max_tool_calls: number,
  metadata: (value) => textPairs(value, METADATA_LIMITS),
  model: text,
  output: items,
  parallel_tool_calls: flag,
  previous_response_id: text,
  prompt: freeRecord,
  reasoning: freeRecord,
  service_tier: label,
  temperature: number,
  text: freeRecord,
  tool_choice: toolChoice,
  tools: (value) => withoutCredentials(records(value)),
  top_logprobs: number,
  top_p: number,
  truncation: (value) => word(value, ["auto", "disabled"]),
  usage,
};

/** Stands in for a required value that is absent or that makes no sense. */
const FILLS: { readonly [Key in Filled]: ResponseObject[Key] } = {
  created_at: 0,
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
const FILL_OF: ReadonlyMap<string, unknown> = new Map(Object.entries(FILLS));

/**
 * Any JSON value as the Response that was asked for. Throws `Refusal("upstream_error")` when it is
 * not that response, or when its status is no word; nothing else.
 */
export function normaliseResponse(input: unknown, responseId: string): ResponseObject {
  if (responseId === "" || text(pick(input, "id")) !== responseId) {
    throw unusable("the upstream answered with another response");
  }
  const status = statusOf(pick(input, "status"));
  const members = Object.entries(READINGS).map(([key, reading]) => {
    const value = pick(input, key);
    return [key, value === undefined ? undefined : reading(value, status)];
  });
  return strict({ ...Object.fromEntries(members), id: responseId, object: "response", status });
}

function unusable(detail: string): Refusal {
  return new Refusal("upstream_error", { detail });
}

/**
 * Cannot fail once id and status are known: each member has passed its own part of the schema. Puts
 * the keys in order, and copies, so that no response shares an object with a fill or with the input.
 */
function strict(members: Readonly<Record<string, unknown>>): ResponseObject {
  const entries = Object.entries(ResponseObject.shape).map(([key, schema]) => [
    key,
    accept<unknown>(schema, members[key]) ?? FILL_OF.get(key),
  ]);
  return ResponseObject.parse(compact(Object.fromEntries(entries)));
}

/** `cancelling`, which Perplexity has, is no word of OpenAI's; nor is whatever comes next. */
function statusOf(value: unknown): ResponseStatus {
  if (value === undefined) return "in_progress";
  if (typeof value !== "string") throw unusable("the upstream answered without a readable status");
  if (word(value, ["canceled"]) !== undefined) return "cancelled";
  return word(value, ResponseStatus.options) ?? "in_progress";
}

const MAX_ERROR_MESSAGE = 1024;

/** Some servers put a number there for the code: the status that goes with it. */
function error(value: unknown): unknown {
  const message = text(typeof value === "string" ? value : pick(value, "message")) ?? "";
  const code = pick(value, "code");
  if (message === "" && code === undefined) return undefined;
  return { code: label(code) ?? "server_error", message: cut(message, MAX_ERROR_MESSAGE) };
}

/** `{}` says "incomplete, for a reason that has no word"; of any other response it says nothing. */
function incompleteDetails(value: unknown, status: ResponseStatus): unknown {
  const reason = label(pick(value, "reason") ?? value);
  if (reason !== undefined) return { reason };
  return status === "incomplete" ? {} : undefined;
}

const LABEL = /^[a-z][a-z0-9_]{0,63}$/;

/** A word of a list that grows with every release, but a word. */
function label(value: unknown): string | undefined {
  return typeof value === "string" && LABEL.test(value) ? value : undefined;
}

/** Items of the output or of the instructions. Some of them list tools. */
function items(value: unknown): unknown {
  return records(value)?.map((item) =>
    isRecord(item) && Object.hasOwn(item, "tools")
      ? { ...item, tools: withoutCredentials(item["tools"]) }
      : item,
  );
}

/** Each copied whole or not at all. */
function records(value: unknown): unknown[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.map(freeRecord).filter((item) => item !== undefined);
}

/** What the server reaches a tool's own server with: the address can be a credential as well. */
const CREDENTIALS = /^(authorization|headers|server_?url|domain_?secrets|api_?key)$/i;
/** A tool's schema may use these names for arguments of its own. */
const SCHEMAS = ["parameters", "input_schema"];

/** OpenAI blanks them itself; not every server that speaks its API does. */
function withoutCredentials(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutCredentials);
  if (!isRecord(value)) return value;
  const members = Object.entries(value)
    .filter(([key]) => !CREDENTIALS.test(key))
    .map(([key, held]) => [key, SCHEMAS.includes(key) ? held : withoutCredentials(held)]);
  return Object.fromEntries(members);
}

/** A mode, or an object that names a tool. */
function toolChoice(value: unknown): unknown {
  const named = typeof pick(value, "type") === "string";
  return word(value, ToolMode.options) ?? (named ? withoutCredentials(freeRecord(value)) : null);
}

/** The total can be told from the other two; the details are zero where they were not counted. */
function usage(value: unknown): unknown {
  const count = (given: unknown, ...names: string[]) =>
    accept(Count, number(pick(given, ...names)));
  const input = count(value, "input_tokens", "prompt_tokens") ?? Number.NaN;
  const output = count(value, "output_tokens", "completion_tokens") ?? Number.NaN;
  const inputDetails = pick(value, "input_tokens_details");
  const outputDetails = pick(value, "output_tokens_details");
  return {
    input_tokens: input,
    input_tokens_details: {
      cached_tokens: count(inputDetails, "cached_tokens") ?? 0,
      cache_write_tokens: count(inputDetails, "cache_write_tokens") ?? 0,
    },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: count(outputDetails, "reasoning_tokens") ?? 0 },
    total_tokens: count(value, "total_tokens") ?? input + output,
  };
}

// ── What a tenant hides ─────────────────────────────────────────────────────────────────────────

/** A field of a Run that a tenant may hide, or what only a response has. */
type Hideable = Redactable | "output";
/** `calls`: of the output, what waits for an answer of the client. Null: a response says no such thing. */
type Counterpart = Exclude<Member, "created_at"> | "calls" | null;

/** What each name in a tenant's `redact` hides of a response. */
export const RESPONSE_FIELDS: { readonly [Name in Hideable]: Counterpart } = {
  assistant_id: "prompt",
  required_action: "calls",
  last_error: "error",
  expires_at: null,
  started_at: null,
  cancelled_at: null,
  failed_at: null,
  completed_at: "completed_at",
  incomplete_details: "incomplete_details",
  model: "model",
  instructions: "instructions",
  tools: "tools",
  metadata: "metadata",
  usage: "usage",
  temperature: "temperature",
  top_p: "top_p",
  max_prompt_tokens: null,
  max_completion_tokens: "max_output_tokens",
  truncation_strategy: "truncation",
  tool_choice: "tool_choice",
  parallel_tool_calls: "parallel_tool_calls",
  response_format: "text",
  output: "output",
};

const CALLS: readonly unknown[] = ["function_call", "custom_tool_call"];

/** A hidden member takes its neutral value, or is left out where it may be: still a whole Response. */
export function redactedResponse(
  response: ResponseObject,
  hidden: readonly string[],
): ResponseObject {
  const gone = Object.entries(RESPONSE_FIELDS)
    .filter(([name]) => hidden.includes(name))
    .map(([, counterpart]) => counterpart);
  const output = gone.includes("calls")
    ? response.output.filter(({ type }) => !CALLS.includes(type))
    : response.output;
  const members = Object.entries({ ...response, output }).filter(
    ([key]) => !gone.some((counterpart) => counterpart === key),
  );
  return strict(Object.fromEntries(members));
}
