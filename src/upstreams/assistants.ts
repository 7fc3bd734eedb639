// `assistants`: any server on the threads/runs wire that the gateway itself speaks to its clients.
// Source: OpenAI's published Run API (retired at OpenAI on 2026-08-26), open-assistant-api.
// Not verified live: the texts for an unknown run, and those of hosted services.
import { normaliseRun } from "../runs/normalise.ts";
import { errorMessage, member } from "./json.ts";
import type { Reply, Upstream } from "./upstream.ts";

/**
 * OpenAI: `Cannot cancel run with status 'completed'.`
 * open-assistant-api: `run <id> cannot cancel`, and `already cancel` while it is cancelling.
 */
const STATE_REFUSAL = /^(Cannot cancel run with status '[a-z_]+'|run \S+ (already|cannot) cancel)/;
const UNKNOWN = /^No (thread|run|assistant) found with id/;
/** The only server known to have switched the whole API off: there, any other 404 means just that. */
const RETIRED_ORIGIN = "https://api.openai.com";

export const assistants: Upstream = {
  kind: "assistants",
  options: {},
  credential: { header: "authorization", prefix: "Bearer " },
  headers: { "openai-beta": "assistants=v2" },
  forgetsCancel: false,
  deadlineMs: 10_000,

  cancel: ({ threadId, runId }) => ({
    method: "POST",
    path: ["threads", threadId, "runs", runId, "cancel"],
  }),
  read: ({ threadId, runId }) => ({ method: "GET", path: ["threads", threadId, "runs", runId] }),

  isStateRefusal: ({ status, body }) => status === 400 && STATE_REFUSAL.test(errorMessage(body)),
  isUnknownRun: (reply) => reply.status === 404 && !retired(reply),
  isRetired: retired,

  toRun: normaliseRun,
  // open-assistant-api looks the run up by its id alone: the thread must merely exist.
  cancelChecksThread: false,
  threadOf: (body) => member(body, "thread_id"),
  metadata: (body) => member(body, "metadata"),
};

function retired({ status, body, origin }: Reply): boolean {
  return status === 404 && origin === RETIRED_ORIGIN && !UNKNOWN.test(errorMessage(body));
}
