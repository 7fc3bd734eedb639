// A run as OpenAI shows it: the 27 fields of `thread.run`, at an instant. Pure.
import type { Run } from "../../src/runs/run.ts";
import { expiryMsOf, isEnded, type RunStatus, runStateAt } from "./machine.ts";
import type { RunRecord } from "./store.ts";
import { unixSeconds } from "./world.ts";

const DEFAULT_MODEL = "gpt-4o";

export function runObject(record: RunRecord, nowMs: number): Run {
  const { request, life } = record;
  const { status, sinceMs, startedMs } = runStateAt(life, nowMs);
  const since = (wanted: RunStatus) => (status === wanted ? unixSeconds(sinceMs) : null);
  const expires = !isEnded(status) || status === "expired";
  return {
    id: record.id,
    object: "thread.run",
    created_at: unixSeconds(life.createdMs),
    thread_id: record.threadId,
    assistant_id: request.assistant_id,
    status,
    required_action: status === "requires_action" ? requiredAction(record) : null,
    last_error:
      status === "failed"
        ? { code: "server_error", message: "Sorry, something went wrong." }
        : null,
    expires_at: expires ? unixSeconds(expiryMsOf(life)) : null,
    started_at: startedMs === null ? null : unixSeconds(startedMs),
    cancelled_at: since("cancelled"),
    failed_at: since("failed"),
    completed_at: since("completed"),
    incomplete_details: status === "incomplete" ? { reason: "max_completion_tokens" } : null,
    model: request.model ?? DEFAULT_MODEL,
    instructions: [request.instructions, request.additional_instructions]
      .filter((text) => typeof text === "string")
      .join(" "),
    tools: request.tools ?? [],
    metadata: request.metadata ?? {},
    usage: isEnded(status) ? usage(startedMs !== null) : null,
    temperature: request.temperature ?? 1,
    top_p: request.top_p ?? 1,
    max_prompt_tokens: request.max_prompt_tokens ?? null,
    max_completion_tokens: request.max_completion_tokens ?? null,
    truncation_strategy: request.truncation_strategy ?? { type: "auto", last_messages: null },
    tool_choice: request.tool_choice ?? "auto",
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    response_format: request.response_format ?? "auto",
  };
}

function requiredAction({ id, request }: RunRecord): Run["required_action"] {
  const tool = request.tools?.find((candidate) => candidate.type === "function");
  return {
    type: "submit_tool_outputs",
    submit_tool_outputs: {
      tool_calls: [
        {
          id: id.replace(/^run_/, "call_"),
          type: "function",
          function: { name: tool?.function.name ?? "simulated_tool", arguments: "{}" },
        },
      ],
    },
  };
}

function usage(started: boolean): Run["usage"] {
  return started
    ? { prompt_tokens: 123, completion_tokens: 456, total_tokens: 579 }
    : { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
}
