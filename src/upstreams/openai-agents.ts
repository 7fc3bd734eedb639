// `openai-agents`: OpenAI's Agents API (beta), where a session is the thread and a turn the run.
// Source: OpenAI's published spec and SDKs, and openai/openai-go#931. Not verified live: the answers to
// a cancel without an active turn and to a second one, and whether AWS takes the cancel.
import { normaliseRun } from "../runs/normalise.ts";
import { isTerminal, type Run, type RunStatus } from "../runs/run.ts";
import { knownStatus, spelled } from "../runs/status.ts";
import { behindMoving, entries, functionTool, member, requiredCalls } from "./json.ts";
import {
  bearer,
  type Meaning,
  type Reply,
  type RunContext,
  type Upstream,
  USUAL,
} from "./upstream.ts";

/** A turn that waits for its client, or for a person; undefined for a word that is not known. */
function turnStatus(turn: unknown): RunStatus | undefined {
  const word = member(turn, "status");
  const waits = typeof word === "string" && spelled(word) === "waiting";
  return waits ? "requires_action" : knownStatus(word);
}

export const openaiAgents: Upstream = {
  ...USUAL,
  kind: "openai-agents",
  options: {},
  credential: () => bearer,
  headers: () => ({ "openai-beta": "agents=v1" }),
  deadlineMs: 10_000,

  cancel: ({ threadId }) => ({
    method: "POST",
    path: ["agents", "sessions", threadId, "events"],
    body: { events: [{ type: "agent.session.input.cancel" }] },
  }),
  // A turn of another session is not found there.
  read: ({ threadId, runId }) => ({
    method: "GET",
    path: ["agents", "sessions", threadId, "turns", runId],
  }),
  alongside: ({ threadId }) => ({ method: "GET", path: ["agents", "sessions", threadId] }),
  list: {
    requests: (threadId) => [
      {
        method: "GET",
        path: ["agents", "sessions", threadId, "turns"],
        query: { order: "desc" },
      },
    ],
    // A sub-agent's turn may have ended before an older one of the session's own.
    next: behindMoving,
    runsIn: entries,
    idOf: (object) => member(object, "id"),
  },

  // Until it has ended, nothing shows that a cancel was taken.
  forgetsCancel: true,
  // The event names no turn: it cancels whichever of the session is active when it arrives.
  readsFirst: () => true,
  hitsActiveRun: true,
  repeatsCancel: false,
  acknowledgesOnly: true,
  knowsState: (body) => turnStatus(body) !== undefined,
  whyNot: (body) =>
    (member(body, "subagent_id") ?? null) === null
      ? null
      : "This run is a sub-agent's, which the upstream cannot cancel by itself.",
  meaning,
  toRun,
  threadOf: (body) => member(body, "session_id"),
  metadata: (_, session) => member(session, "metadata"),
};

function meaning({ status }: Reply): Meaning | null {
  if (status === 404) return "run_not_found";
  return status === 409 ? "refused_by_state" : null;
}

/** A turn, and what its session says of all its turns: it may have changed since this one. */
function toRun(turn: unknown, context: RunContext): Run {
  const get = (name: string): unknown => member(turn, name);
  const { alongside: session } = context;
  const agent = member(session, "agent");
  const status = turnStatus(turn) ?? "in_progress";
  const ended = get("completed_at");
  return normaliseRun(
    {
      id: get("id"),
      thread_id: get("session_id"),
      assistant_id: get("agent_id"),
      created_at: get("created_at"),
      started_at: get("started_at"),
      status,
      cancelled_at: status === "cancelled" ? ended : null,
      failed_at: status === "failed" ? ended : null,
      completed_at: status === "completed" ? ended : null,
      last_error: lastError(get("error")),
      required_action: status === "requires_action" ? requiredAction(session, get("id")) : null,
      usage: isTerminal(status) ? get("usage") : null,
      model: member(agent, "model"),
      instructions: member(agent, "instructions"),
      tools: tools(member(agent, "tools")),
      metadata: member(session, "metadata"),
    },
    context,
  );
}

function lastError(error: unknown): unknown {
  if (error === null || error === undefined) return null;
  const code = member(error, "code");
  return {
    code: code === "invalid_request" ? "invalid_prompt" : code,
    message: member(error, "message"),
  };
}

/** The session's open calls of functions, as far as they are this turn's. */
function requiredAction(session: unknown, turnId: unknown): unknown {
  const actions = member(session, "required_actions");
  if (!Array.isArray(actions)) return null;
  const own = actions
    .filter((action) => member(action, "type") === "function_call")
    .filter((action) => member(action, "turn_id") === turnId);
  return requiredCalls(own, "call_id");
}

/** A Run has a word for functions alone. */
function tools(value: unknown): unknown[] {
  if (!Array.isArray(value)) return [];
  return value.filter((tool) => member(tool, "type") === "function").map(functionTool);
}
