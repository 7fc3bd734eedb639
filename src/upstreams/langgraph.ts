// `langgraph`: LangGraph's own servers, whose cancel answers with nothing: the state must be read.
// Source: LangChain's published agent-server spec; `langgraphjs dev` 1.5.1 run in test/e2e/langgraph.
// Not verified live: the hosted service's reply for a terminal run (the docs say that it is an error, and
// not which), and what it answers without a key or past a limit.
import * as z from "zod";
import { normaliseRun } from "../runs/normalise.ts";
import type { Run, RunStatus } from "../runs/run.ts";
import { knownStatus, spelled } from "../runs/status.ts";
import { entries, member } from "./json.ts";
import {
  bearer,
  type Meaning,
  type Reply,
  type RunContext,
  type Upstream,
  type UpstreamOptions,
  USUAL,
} from "./upstream.ts";

export const langgraph: Upstream = {
  ...USUAL,
  kind: "langgraph",
  options: {
    action: z.enum(["interrupt", "rollback"]).default("interrupt"),
    /** Deployments with authentication of their own read `Authorization`. */
    auth: z.enum(["x-api-key", "bearer"]).default("x-api-key"),
  },
  credential: ({ auth }) => (auth === "bearer" ? bearer : { header: "x-api-key", prefix: "" }),
  headers: () => ({}),
  deadlineMs: 10_000,

  // No `wait`: the JS server reads `wait=0` and `wait=false` as true and blocks until the run ends.
  cancel: ({ threadId, runId }, { action = "interrupt" }) => ({
    method: "POST",
    path: ["threads", threadId, "runs", runId, "cancel"],
    query: { action },
  }),
  read: ({ threadId, runId }) => ({ method: "GET", path: ["threads", threadId, "runs", runId] }),
  // Those that wait come first: stopped last, they would have begun by then.
  list: {
    requests: (threadId) =>
      ["pending", "running"].map((status) => ({
        method: "GET",
        path: ["threads", threadId, "runs"],
        query: { status },
      })),
    // Nothing says that there is more but a full page. `select` would leave the heavy `kwargs` out, but not
    // every server knows it, and those that check their parameters refuse it.
    next: ({ entries: came, size, seen }) => (came < size ? null : { offset: String(seen) }),
    // `langgraphjs dev` 1.5.1 takes the limit for the end of the page, and not for its length.
    limit: (size, seen) => seen + size,
    runsIn: entries,
    idOf: (object) => member(object, "run_id"),
  },

  // See `statusOf`; and there is no `cancelled_at`.
  forgetsCancel: true,
  // What a rollback has deleted can be shown only as it was before.
  readsFirst: rollsBack,
  deletesRun: rollsBack,
  acknowledgesOnly: true,
  meaning,
  toRun,
  threadOf: (body) => member(body, "thread_id"),
  metadata: (body) => member(body, "metadata"),
};

function rollsBack({ action }: UpstreamOptions): boolean {
  return action === "rollback";
}

function meaning({ status, text }: Reply): Meaning | null {
  if (status === 409) return "refused_by_state";
  // `404 Not Found` is the server's word for an unknown route: a wrong base URL, not a wrong run.
  return status === 404 && text !== "404 Not Found" ? "run_not_found" : null;
}

function toRun(body: unknown, context: RunContext): Run {
  const get = (name: string): unknown => member(body, name);
  const status = statusOf(get("status"), get("cancel_reason"), context);
  const ended = get("updated_at");
  return normaliseRun(
    {
      id: get("run_id"),
      thread_id: get("thread_id"),
      assistant_id: get("assistant_id"),
      created_at: get("created_at"),
      status,
      cancelled_at: status === "cancelled" ? (context.cancelledAt ?? ended) : null,
      failed_at: status === "failed" ? ended : null,
      completed_at: status === "completed" ? ended : null,
      last_error: status === "failed" ? { code: "server_error", message: "The run failed." } : null,
      metadata: get("metadata"),
    },
    context,
  );
}

/**
 * LangGraph's own servers say `interrupted` of a cancelled run alone (1.5.1 as run, the SDK's
 * reference), Aegra also of one that waits for a human. So without a cancel that is known of, it is
 * taken for waiting: that can still be cancelled, while a false `cancelled` would be a false promise.
 */
function statusOf(given: unknown, reason: unknown, context: RunContext): RunStatus {
  if (typeof given !== "string" || spelled(given) !== "interrupted") {
    // `success` is also a run that stopped to ask a human: only its thread says so, and a new run goes on.
    return knownStatus(given) ?? "in_progress";
  }
  const cancelled = context.cancelledAt !== null || (reason !== null && reason !== undefined);
  return cancelled ? "cancelled" : "requires_action";
}
