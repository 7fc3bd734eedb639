// `assistants`: any server on the threads/runs wire that the gateway itself speaks to its clients.
// Source: OpenAI's published Run API (retired at OpenAI on 2026-08-26), open-assistant-api,
// `@azure/ai-agents` 1.1.0 for Microsoft Foundry's classic agents (until 2027-03-31).
// Not verified live: the texts for an unknown run and of a run that has failed or expired, those of hosted
// services, and what api.openai.com answers since the API is gone.
import * as z from "zod";
import { normaliseRun } from "../runs/normalise.ts";
import { behindMoving, entries, member } from "./json.ts";
import { problemIn } from "./problem.ts";
import {
  bearer,
  type Meaning,
  type Reply,
  type Upstream,
  type UpstreamOptions,
  USUAL,
} from "./upstream.ts";

/**
 * OpenAI: `Cannot cancel run with status 'completed'.`
 * open-assistant-api: `run <id> cannot cancel`, and `already cancel` while it is cancelling.
 */
const STATE_REFUSAL = /^(Cannot cancel run with status '[a-z_]+'|run \S+ (already|cannot) cancel)/;
const UNKNOWN = /^No (thread|run|assistant) found with id/;
/** The only server known to have switched the whole API off: there, any other 404 means just that. */
const RETIRED_ORIGIN = "https://api.openai.com";
const API_VERSION = /^[A-Za-z0-9._-]{1,32}$/;

export const assistants: Upstream = {
  ...USUAL,
  kind: "assistants",
  // Foundry wants it with every request; others do not know it.
  options: { api_version: z.string().regex(API_VERSION, "such as v1 or 2025-05-01").optional() },
  credential: () => bearer,
  headers: () => ({ "openai-beta": "assistants=v2" }),
  deadlineMs: 10_000,

  cancel: ({ threadId, runId }, options) => ({
    method: "POST",
    path: ["threads", threadId, "runs", runId, "cancel"],
    query: versioned(options),
  }),
  read: ({ threadId, runId }, options) => ({
    method: "GET",
    path: ["threads", threadId, "runs", runId],
    query: versioned(options),
  }),
  // There is no filter by status. A thread of OpenAI's takes one run at a time, so the active one is the newest;
  // other servers take several.
  list: {
    requests: (threadId, options) => [
      {
        method: "GET",
        path: ["threads", threadId, "runs"],
        query: { order: "desc", ...versioned(options) },
      },
    ],
    next: behindMoving,
    runsIn: entries,
    idOf: (object) => member(object, "id"),
  },

  forgetsCancel: false,
  meaning,
  toRun: normaliseRun,
  // open-assistant-api looks the run up by its id alone: the thread must merely exist.
  cancelChecksThread: false,
  threadOf: (body) => member(body, "thread_id"),
  metadata: (body) => member(body, "metadata"),
};

function meaning(reply: Reply): Meaning | null {
  const { status, origin } = reply;
  if (status !== 400 && status !== 404 && status !== 410) return null;
  const { messages } = problemIn(reply);
  if (status === 400) {
    return messages.some((words) => STATE_REFUSAL.test(words)) ? "refused_by_state" : null;
  }
  const isUnknown = messages.some((words) => UNKNOWN.test(words));
  return origin === RETIRED_ORIGIN && !isUnknown ? "upstream_retired" : "run_not_found";
}

function versioned({ api_version }: UpstreamOptions): Readonly<Record<string, string>> {
  return api_version === undefined ? {} : { "api-version": api_version };
}
