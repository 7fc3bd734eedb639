// Reads what a client sent, for both wires: the key, the JSON body, the simulator's timing header.
// Refuses with OpenAI's words. Knows no state.
import type { Context } from "hono";
import * as z from "zod";
import { Run } from "../../src/runs/run.ts";
import { incorrectKey, invalidParameter, missingKey, notJson } from "./errors.ts";
import type { Timing } from "./machine.ts";

const optional = Run.shape;

/** The body of `POST /threads/{thread_id}/runs`: OpenAI's CreateRunRequest. */
export const CreateRun = z.strictObject({
  assistant_id: z.string(),
  model: z.string().nullish(),
  instructions: z.string().nullish(),
  additional_instructions: z.string().nullish(),
  additional_messages: z.array(z.unknown()).nullish(),
  tools: optional.tools.nullish(),
  metadata: optional.metadata.optional(),
  temperature: optional.temperature.optional(),
  top_p: optional.top_p.optional(),
  max_prompt_tokens: optional.max_prompt_tokens.optional(),
  max_completion_tokens: optional.max_completion_tokens.optional(),
  truncation_strategy: optional.truncation_strategy.optional(),
  tool_choice: optional.tool_choice.optional(),
  parallel_tool_calls: z.boolean().optional(),
  response_format: optional.response_format.optional(),
  reasoning_effort: z.string().nullish(),
  stream: z.literal(false, "The simulator does not stream.").nullish(),
});
export type CreateRun = z.infer<typeof CreateRun>;

export const CreateThread = z.looseObject({ metadata: optional.metadata.optional() });

/** The body of `POST /responses`. Parameters that it does not name are accepted and ignored. */
export const CreateResponse = z.looseObject({
  model: z.string().nullish(),
  input: z.union([z.string(), z.array(z.unknown())]).nullish(),
  instructions: z.string().nullish(),
  background: z.boolean().nullish(),
  store: z.boolean().nullish(),
  conversation: z.union([z.string(), z.looseObject({ id: z.string() })]).nullish(),
  previous_response_id: z.string().nullish(),
  prompt: z.looseObject({ id: z.string() }).nullish(),
  metadata: optional.metadata.optional(),
  tools: z.array(z.looseObject({ type: z.string() })).nullish(),
  tool_choice: z.union([z.string(), z.looseObject({ type: z.string() })]).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  max_output_tokens: z.int().nullish(),
  max_tool_calls: z.int().nullish(),
  reasoning: z.record(z.string(), z.unknown()).nullish(),
  text: z.record(z.string(), z.unknown()).nullish(),
  truncation: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  user: z.string().nullish(),
  stream: z.literal(false, "The simulator does not stream.").nullish(),
});
export type CreateResponse = z.infer<typeof CreateResponse>;

const Milliseconds = z.number().nonnegative();

const TimingHeader = z.strictObject({
  queued_ms: Milliseconds.optional(),
  run_ms: Milliseconds.optional(),
  cancelling_ms: Milliseconds.optional(),
  ends: z.enum(["completed", "failed", "incomplete", "expired", "requires_action"]).optional(),
  on_cancel: z.enum(["cancelled", "completed"]).optional(),
});

/** One minute of work: long enough to be stopped by hand. */
export const DEFAULT_TIMING: Timing = {
  queuedMs: 200,
  runMs: 60_000,
  cancellingMs: 400,
  ends: "completed",
  onCancel: "cancelled",
};

const TIMING_HEADER = "x-simulate-timing";

/** The key of the request, once it is known to be good: it stands for the project. */
export function projectOf(c: Context, acceptsKey: (key: string) => boolean): string {
  const key = /^Bearer +(.+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
  if (key === undefined) throw missingKey();
  if (!acceptsKey(key)) throw incorrectKey(key);
  return key;
}

/** The timing that the request's header asks for, above the given defaults. */
export function timingOf(c: Context, defaults: Timing): Timing {
  const header = c.req.header(TIMING_HEADER);
  if (header === undefined) return defaults;
  const asked = TimingHeader.safeParse(parsedJson(header));
  if (!asked.success) {
    throw invalidParameter(TIMING_HEADER, `Invalid timing: ${z.prettifyError(asked.error)}`);
  }
  return {
    queuedMs: asked.data.queued_ms ?? defaults.queuedMs,
    runMs: asked.data.run_ms ?? defaults.runMs,
    cancellingMs: asked.data.cancelling_ms ?? defaults.cancellingMs,
    ends: asked.data.ends ?? defaults.ends,
    onCancel: asked.data.on_cancel ?? defaults.onCancel,
  };
}

/** The body, read by the schema. An empty one counts as `{}`, as OpenAI has it for a thread. */
export async function bodyOf<Schema extends z.ZodType>(
  c: Context,
  schema: Schema,
): Promise<z.infer<Schema>> {
  const text = await c.req.text();
  const json = text === "" ? {} : parsedJson(text);
  if (json === undefined) throw notJson();
  const body = schema.safeParse(json);
  if (body.success) return body.data;
  const issue = body.error.issues[0];
  if (issue?.code === "unrecognized_keys") {
    const unknown = issue.keys[0] ?? "";
    throw invalidParameter(unknown, `Unknown parameter: '${unknown}'.`);
  }
  const param = issue?.path.join(".") ?? "";
  throw invalidParameter(param, `Invalid '${param}': ${issue?.message ?? "not valid"}`);
}

/** Undefined for what is no JSON. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
