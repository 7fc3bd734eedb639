// A Response as OpenAI shows it, with all its fields, at an instant. Pure.
import { type ResponseStatus, responseStateAt } from "./machine.ts";
import type { ResponseRecord } from "./store.ts";
import { unixSeconds } from "./world.ts";

const DEFAULT_MODEL = "gpt-4o-2024-08-06";

export function responseObject(record: ResponseRecord, nowMs: number) {
  const { request, life } = record;
  const { status, sinceMs } = responseStateAt(life, nowMs);
  const { conversation, prompt } = request;
  return {
    id: record.id,
    object: "response",
    created_at: unixSeconds(life.createdMs),
    status,
    background: request.background ?? false,
    billing: { payer: "developer" },
    completed_at: status === "completed" ? unixSeconds(sinceMs) : null,
    // Only where the request had one, as OpenAI does.
    ...(conversation && {
      conversation: typeof conversation === "string" ? { id: conversation } : conversation,
    }),
    error:
      status === "failed"
        ? { code: "server_error", message: "An error occurred while processing your request." }
        : null,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    max_tool_calls: request.max_tool_calls ?? null,
    metadata: request.metadata ?? {},
    model: request.model ?? DEFAULT_MODEL,
    output: outputOf(record, status),
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: request.previous_response_id ?? null,
    ...(prompt && { prompt }),
    prompt_cache_key: request.prompt_cache_key ?? null,
    prompt_cache_retention: null,
    reasoning: request.reasoning ?? { effort: null, summary: null },
    safety_identifier: request.safety_identifier ?? null,
    service_tier: "default",
    store: request.store ?? true,
    temperature: request.temperature ?? 1,
    text: request.text ?? { format: { type: "text" }, verbosity: "medium" },
    tool_choice: request.tool_choice ?? "auto",
    tools: request.tools ?? [],
    top_logprobs: 0,
    top_p: request.top_p ?? 1,
    truncation: request.truncation ?? "disabled",
    usage: status === "completed" || status === "incomplete" ? USAGE : null,
    user: request.user ?? null,
  };
}

const USAGE = {
  input_tokens: 123,
  input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
  output_tokens: 456,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 579,
};

function outputOf({ id, request, life }: ResponseRecord, status: ResponseStatus) {
  if (status !== "completed" && status !== "incomplete") return [];
  const suffix = id.replace(/^resp_/, "");
  if (status === "completed" && life.timing.ends === "requires_action" && life.cancelMs === null) {
    const tool = request.tools?.find((candidate) => candidate.type === "function");
    return [
      {
        id: `fc_${suffix}`,
        type: "function_call",
        status: "completed",
        call_id: `call_${suffix}`,
        name: typeof tool?.["name"] === "string" ? tool["name"] : "simulated_tool",
        arguments: "{}",
      },
    ];
  }
  const text = "A simulated answer.";
  return [
    {
      id: `msg_${suffix}`,
      type: "message",
      status,
      role: "assistant",
      content: [{ type: "output_text", text, annotations: [], logprobs: [] }],
    },
  ];
}
