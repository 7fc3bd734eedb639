// `gemini-interactions`: background interactions of Google's Interactions API; the interaction is the run,
// and it is on no thread. Source: Google's published docs and `@google/genai` 3.1. Not verified live:
// whether a cancel is deployed for each version (googleapis/js-genai#1254 and googleapis/python-genai#1971
// are open), what it answers for an interaction that has ended, is not in the background or is unknown,
// and whether it may be repeated. The `:cancel` of Google Cloud's own endpoints is not spoken here.
import * as z from "zod";
import { normaliseRun } from "../runs/normalise.ts";
import type { Run, RunStatus } from "../runs/run.ts";
import { knownStatus, spelled } from "../runs/status.ts";
import { functionTool, member, requiredCalls, text } from "./json.ts";
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

/** Words that no other server has. The list is open: what nobody knows still moves, as far as anybody can tell. */
const STATUS: ReadonlyMap<string, RunStatus> = new Map([
  ["requirescontinuation", "incomplete"],
  ["budgetexceeded", "incomplete"],
]);

const BAD_KEY = "API_KEY_INVALID";
/** `Client Closed Request`, as Google writes a call that was cancelled. */
const CANCELLED = 499;

export const geminiInteractions: Upstream = {
  ...USUAL,
  kind: "gemini-interactions",
  options: {
    auth: z.enum(["x-goog-api-key", "bearer"]).default("x-goog-api-key"),
    /** Whom a bearer token's calls are charged to. */
    user_project: z
      .string()
      .regex(/^[a-z0-9.:-]{1,64}$/, "a project's id, such as my-project-1")
      .optional(),
    api_revision: z
      .string()
      .regex(/^\d{4}-\d\d-\d\d$/, "a date such as 2026-05-20")
      .optional(),
  },
  credential: ({ auth }) => (auth === "bearer" ? bearer : { header: "x-goog-api-key", prefix: "" }),
  headers,
  deadlineMs: 10_000,

  cancel: ({ runId }) => ({ method: "POST", path: ["interactions", runId, "cancel"] }),
  read: ({ runId }) => ({ method: "GET", path: ["interactions", runId] }),

  // Until it has ended, nothing shows that a cancel was taken.
  forgetsCancel: true,
  answersWhenDone: true,
  // Whether it may be repeated nobody says, so one is not sent unseen.
  readsFirst: () => true,
  // There is no thread in the path: the id alone names the interaction.
  cancelChecksThread: false,
  repeatsCancel: false,
  meaning,
  toRun,
  threadOf: () => undefined,
  metadata: (body) => member(body, "labels"),
};

function headers({ user_project, api_revision }: UpstreamOptions): Record<string, string> {
  return {
    ...(user_project === undefined ? {} : { "x-goog-user-project": user_project }),
    ...(api_revision === undefined ? {} : { "api-revision": api_revision }),
  };
}

function meaning(reply: Reply): Meaning | null {
  const { status } = reply;
  if (status < 400) return status < 300 && isCancelledCall(reply.body) ? "accepted" : null;
  const { messages, codes } = problemIn(reply);
  if (status === CANCELLED || codes.includes("CANCELLED")) return "accepted";
  // Google says 400 of a key that it does not know, and what it is about in the details (AIP-193).
  if (status === 400 && codes.includes(BAD_KEY)) return "upstream_rejected_credentials";
  if (status === 404) {
    return messages.includes("Method not found.") ? "unsupported_by_upstream" : "run_not_found";
  }
  return status === 409 ? "refused_by_state" : null;
}

/** Google's error for a call that was cancelled, under a status of success. */
function isCancelledCall(body: unknown): boolean {
  const error = member(Array.isArray(body) ? body[0] : body, "error");
  return member(error, "code") === CANCELLED || member(error, "status") === "CANCELLED";
}

function toRun(body: unknown, context: RunContext): Run {
  const get = (name: string): unknown => member(body, name);
  const config = (name: string): unknown => member(get("generation_config"), name);
  const word = spelled(text(get("status")) ?? "");
  const status = STATUS.get(word) ?? knownStatus(get("status")) ?? "in_progress";
  const ended = get("updated");
  const agent = get("agent");
  return normaliseRun(
    {
      id: get("id"),
      assistant_id: agent,
      created_at: get("created"),
      status,
      cancelled_at: status === "cancelled" ? ended : null,
      failed_at: status === "failed" ? ended : null,
      completed_at: status === "completed" ? ended : null,
      last_error: status === "failed" ? lastError(get("errors")) : null,
      required_action: status === "requires_action" ? requiredAction(get("steps")) : null,
      incomplete_details: incompleteDetails(word),
      model: get("model") ?? agent,
      instructions: get("system_instruction"),
      tools: tools(get("tools")),
      metadata: get("labels"),
      usage: usage(get("usage")),
      temperature: config("temperature"),
      top_p: config("top_p"),
      max_completion_tokens: config("max_output_tokens"),
      tool_choice: toolChoice(config("tool_choice")),
    },
    context,
  );
}

function lastError(errors: unknown): unknown {
  const message = text(member(Array.isArray(errors) ? errors[0] : undefined, "message"));
  return { code: "server_error", message: message ?? "The interaction failed." };
}

function incompleteDetails(status: string): unknown {
  if (status === "requirescontinuation") return { reason: "max_completion_tokens" };
  return status === "budgetexceeded" ? {} : null;
}

/** The calls of functions that have no result yet. */
function requiredAction(steps: unknown): unknown {
  if (!Array.isArray(steps)) return null;
  const answered = new Set(
    steps
      .filter((step) => member(step, "type") === "function_result")
      .map((step) => member(step, "call_id")),
  );
  const open = steps
    .filter((step) => member(step, "type") === "function_call")
    .filter((step) => !answered.has(member(step, "id")));
  return requiredCalls(open, "id");
}

function tools(value: unknown): unknown[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((tool: unknown) => {
    const type = member(tool, "type");
    if (type === "file_search") return { type };
    if (type === "code_execution") return { type: "code_interpreter" };
    return type === "function" ? functionTool(tool) : [];
  });
}

/** The total also counts thoughts and tools. */
function usage(value: unknown): unknown {
  return {
    prompt_tokens: member(value, "total_input_tokens"),
    completion_tokens: member(value, "total_output_tokens"),
    total_tokens: member(value, "total_tokens"),
  };
}

function toolChoice(value: unknown): unknown {
  if (value === "any") return "required";
  return value === "none" ? value : "auto";
}
