// OpenAI's `response`, as callers who speak the Responses API see it: lenient in, strict out, like
// `normalise.ts` for the Run. Pure; no I/O, no clock.
import * as z from "zod";
import { Refusal } from "../failure.ts";
import { shownItem, tools as shownTools } from "./items.ts";
import {
  accept,
  compact,
  flag,
  freeRecord,
  isRecord,
  message,
  number,
  pick,
  seconds,
  text,
  textPairs,
  word,
} from "./lenient.ts";
import type { Redactable } from "./normalise.ts";
import { METADATA_LIMITS, type Run, type RunStatus, ToolMode } from "./run.ts";
import { knownStatus } from "./status.ts";

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
  prompt: only(["id", "version", "variables"]),
  reasoning: only(["effort", "summary", "generate_summary"]),
  service_tier: label,
  temperature: number,
  text: only(["format", "verbosity"]),
  tool_choice: toolChoice,
  tools,
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

/** A whole Response of what a Run says: for one whose own object cannot be read. */
export function responseOfRun(run: Run): ResponseObject {
  const { id, created_at, status, model, instructions, metadata, usage } = run;
  const { temperature, top_p, max_completion_tokens, parallel_tool_calls, last_error } = run;
  const said = { id, created_at, status, model, metadata, usage, temperature, top_p };
  const text = instructions === "" ? null : instructions;
  const limits = { max_output_tokens: max_completion_tokens, parallel_tool_calls };
  return normaliseResponse({ ...said, ...limits, instructions: text, error: last_error }, id);
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

/** What a Run's words are where there is no such word: `cancelling` is one of Perplexity's. */
const COUNTERPARTS: ReadonlyMap<RunStatus, ResponseStatus> = new Map([
  ["requires_action", "in_progress"],
  ["cancelling", "in_progress"],
  ["expired", "incomplete"],
]);

function statusOf(value: unknown): ResponseStatus {
  if (value === undefined) return "in_progress";
  if (typeof value !== "string") throw unusable("the upstream answered without a readable status");
  const status = knownStatus(value) ?? "in_progress";
  return COUNTERPARTS.get(status) ?? accept(ResponseStatus, status) ?? "in_progress";
}

const MAX_ERROR_MESSAGE = 1024;

/** Some servers put a number there for the code: the status that goes with it. */
function error(value: unknown): unknown {
  const words = text(typeof value === "string" ? value : pick(value, "message")) ?? "";
  const code = pick(value, "code");
  if (words === "" && code === undefined) return undefined;
  return { code: label(code) ?? "server_error", message: message(words, MAX_ERROR_MESSAGE) };
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

function items(value: unknown): unknown {
  return records(value)?.map(shownItem);
}

/** Each copied whole or not at all. */
function records(value: unknown): Record<string, unknown>[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.map(freeRecord).filter((item) => isRecord(item));
}

/** Of a member that is an object, those of its members; undefined for any other. */
function only(names: readonly string[]): Reading {
  return (value) => {
    const held = freeRecord(value);
    return isRecord(held) ? kept(held, names) : undefined;
  };
}

function kept(held: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(held).filter(([key]) => names.includes(key)));
}

function tools(value: unknown): unknown {
  return shownTools(records(value));
}

/** A mode, or an object that names a tool, or the tools to choose from. */
function toolChoice(value: unknown): unknown {
  const held = freeRecord(value);
  if (!isRecord(held) || typeof held["type"] !== "string") return word(value, ToolMode.options);
  const named = kept(held, ["type", "name", "mode", "server_label"]);
  const allowed = records(held["tools"])?.map((tool) =>
    kept(tool, ["type", "name", "server_label"]),
  );
  return compact({ ...named, tools: allowed });
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
/** `calls`: of the output, what waits for an answer of the client; `lists`: what lists tools. */
type Counterpart = Exclude<Member, "created_at"> | "calls" | "lists";

/** What each name in a tenant's `redact` hides of a response; nothing where a response says no such thing. */
export const RESPONSE_FIELDS: { readonly [Name in Hideable]: readonly Counterpart[] } = {
  assistant_id: ["prompt"],
  required_action: ["calls"],
  last_error: ["error"],
  expires_at: [],
  started_at: [],
  cancelled_at: [],
  failed_at: [],
  completed_at: ["completed_at"],
  incomplete_details: ["incomplete_details"],
  model: ["model"],
  // A prompt that is kept at the vendor's is instructions too, and its variables are what was put in.
  instructions: ["instructions", "prompt"],
  tools: ["tools", "lists"],
  metadata: ["metadata"],
  usage: ["usage"],
  temperature: ["temperature"],
  top_p: ["top_p"],
  max_prompt_tokens: [],
  max_completion_tokens: ["max_output_tokens"],
  truncation_strategy: ["truncation"],
  tool_choice: ["tool_choice"],
  parallel_tool_calls: ["parallel_tool_calls"],
  response_format: ["text"],
  output: ["output"],
};

const ITEMS: ReadonlyMap<unknown, Counterpart> = new Map<unknown, Counterpart>([
  ...["function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call"].map(
    (type) => [type, "calls"] as const,
  ),
  ["apply_patch_call", "calls"],
  ["mcp_approval_request", "calls"],
  ["mcp_list_tools", "lists"],
  ["additional_tools", "lists"],
  ["tool_search_output", "lists"],
]);

/** A hidden member takes its neutral value, or is left out where it may be: still a whole Response. */
export function redactedResponse(
  response: ResponseObject,
  hidden: readonly string[],
): ResponseObject {
  const gone = Object.entries(RESPONSE_FIELDS)
    .filter(([name]) => hidden.includes(name))
    .flatMap(([, counterparts]) => counterparts);
  const isGone = (name: unknown): boolean => gone.some((counterpart) => counterpart === name);
  const output = response.output.filter(({ type }) => !isGone(ITEMS.get(type)));
  const members = Object.entries({ ...response, output }).filter(([key]) => !isGone(key));
  return strict(Object.fromEntries(members));
}
