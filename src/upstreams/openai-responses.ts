// `openai-responses`: background responses of the OpenAI Responses API and of servers that speak it.
// Source: OpenAI's published spec and its Azure contract tests. Not verified live: the text for an
// incomplete response, whether a cancel clears the output, how long it takes under load, how long a
// response can be read, whether a cancelled one still turns completed, and which vLLM lets one be
// cancelled twice.

import * as z from "zod";
import { Refusal } from "../failure.ts";
import { normaliseRun } from "../runs/normalise.ts";
import { normaliseResponse } from "../runs/response.ts";
import type { Run } from "../runs/run.ts";
import { knownStatus } from "../runs/status.ts";
import { functionTool, member, text } from "./json.ts";
import { problemIn } from "./problem.ts";
import {
  bearer,
  type Meaning,
  type Reply,
  type RunContext,
  type Upstream,
  type UpstreamOptions,
  USUAL,
} from "./upstream.ts";

/** `Cannot cancel a completed response.` and its kin; the text does not name the state reliably. */
const STATE_REFUSAL =
  /^(Cannot cancel |Responses can only be cancelled |Only background responses can be cancelled)/;

export const openaiResponses: Upstream = {
  ...USUAL,
  kind: "openai-responses",
  options: {
    dialect: z.enum(["openai", "litellm", "perplexity"]).default("openai"),
    /** Azure OpenAI takes its own keys in `api-key`. */
    auth: z.enum(["bearer", "api-key"]).default("bearer"),
  },
  credential: ({ auth }) => (auth === "api-key" ? { header: "api-key", prefix: "" } : bearer),
  headers: () => ({}),
  deadlineMs: 15_000,

  // There is no thread in the path: the id alone names the response.
  cancel: ({ runId }, options) => ({
    method: "POST",
    path: [collection(options), runId, "cancel"],
  }),
  read: ({ runId }, options) => ({ method: "GET", path: [collection(options), runId] }),

  // There is no `cancelled_at`, and `completed_at` is set only on completion.
  forgetsCancel: true,
  cancelChecksThread: false,
  // SGLang answers 200 for a response that is not in the background, and lets it go on.
  answersWhenDone: true,
  // LiteLLM's own responses are overwritten by a cancel even when they have completed.
  readsFirst: ({ dialect }) => dialect === "litellm",
  // LiteLLM seals the provider's id anew for each reply (BerriAI/litellm#17204): all of them name the one
  // response that the path names.
  asAsked: (body, { runId }, { dialect }) =>
    dialect === "litellm" && text(member(body, "id")) ? renamed(body, runId) : body,
  meaning,
  toRun,
  toResponse: normaliseResponse,
  threadOf: namedThread,
  metadata: (body) => member(body, "metadata"),
};

function collection({ dialect }: UpstreamOptions): string {
  return dialect === "perplexity" ? "agent" : "responses";
}

function meaning(reply: Reply): Meaning | null {
  const { status } = reply;
  if (status === 404) return "run_not_found";
  if (status !== 400 && status !== 409) return null;
  const isOfState = problemIn(reply).messages.some((words) => STATE_REFUSAL.test(words));
  return isOfState ? "refused_by_state" : null;
}

/** The own id is all that names the response in what is shown of it. */
function renamed(body: unknown, id: string): unknown {
  return { ...(body as Readonly<Record<string, unknown>>), id };
}

/** A Response in the words of a Run. What has no counterpart is left to the fills of `normaliseRun`. */
function toRun(body: unknown, context: RunContext): Run {
  const get = (name: string): unknown => member(body, name);
  const status = knownStatus(get("status")) ?? "in_progress";
  assertThread(body, context);
  return normaliseRun(
    {
      id: get("id"),
      created_at: get("created_at"),
      thread_id: context.threadId ?? namedThread(body),
      assistant_id:
        text(member(get("metadata"), "assistant_id")) ?? text(member(get("prompt"), "id")),
      status,
      last_error: lastError(get("error")),
      cancelled_at: get("completed_at") ?? context.cancelledAt ?? context.sentAt,
      completed_at: status === "completed" ? get("completed_at") : null,
      incomplete_details: incompleteDetails(get("incomplete_details")),
      model: get("model"),
      instructions: instructions(get("instructions")),
      tools: tools(get("tools")),
      metadata: get("metadata"),
      usage: get("usage"),
      temperature: get("temperature"),
      top_p: get("top_p"),
      max_completion_tokens: get("max_output_tokens"),
      tool_choice: toolChoice(get("tool_choice")),
      parallel_tool_calls: get("parallel_tool_calls"),
      response_format: responseFormat(member(get("text"), "format")),
    },
    context,
  );
}

/** A response belongs to the thread that its conversation or its metadata names; many name none. */
function namedThread(body: unknown): string | undefined {
  return (
    text(member(member(body, "conversation"), "id")) ??
    text(member(member(body, "metadata"), "thread_id"))
  );
}

function assertThread(body: unknown, { threadId }: RunContext): void {
  const named = namedThread(body);
  if (threadId !== null && named !== undefined && named !== threadId) {
    throw new Refusal("run_not_found", { detail: "the response is of another thread" });
  }
}

/** Twenty codes there, three here: an unknown one becomes `server_error` in `normaliseRun`. */
function lastError(error: unknown): unknown {
  return error === null || error === undefined
    ? null
    : { code: member(error, "code"), message: member(error, "message") };
}

function incompleteDetails(details: unknown): unknown {
  const reason = text(member(details, "reason"));
  if (reason === undefined) return null;
  return reason === "max_output_tokens" ? { reason: "max_completion_tokens" } : {};
}

/** A string, or a list of input items of which only the texts are instructions. */
function instructions(value: unknown): string {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return "";
  const texts = value.flatMap((item) => {
    const content = member(item, "content");
    const parts: unknown[] = Array.isArray(content) ? content : [content];
    return parts.map((part) => text(part) ?? text(member(part, "text")) ?? "");
  });
  return texts.filter((part) => part !== "").join("\n");
}

function tools(value: unknown): unknown[] {
  if (!Array.isArray(value)) return [];
  return value.map((tool: unknown) => {
    const type = member(tool, "type");
    if (type === "file_search" || type === "code_interpreter") return { type };
    return type === "function" ? functionTool(tool) : null;
  });
}

function toolChoice(value: unknown): unknown {
  if (member(value, "type") !== "function") return value;
  return { type: "function", function: { name: member(value, "name") } };
}

function responseFormat(format: unknown): unknown {
  const type = member(format, "type");
  if (type === "json_object") return { type };
  if (type !== "json_schema") return "auto";
  return {
    type,
    json_schema: {
      name: member(format, "name"),
      description: member(format, "description"),
      schema: member(format, "schema"),
      strict: member(format, "strict"),
    },
  };
}
