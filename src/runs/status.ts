// One reader for the words in which servers tell the state of a run, whatever their spelling. Pure.
import type { RunStatus } from "./run.ts";

/**
 * A Run's own words, and those of the neighbours: LangGraph, Google, A2A, MCP's tasks, batch APIs. A word is not
 * here when servers disagree about it (`interrupted`, `waiting`, `paused`): its adapter has to know it.
 */
const WORDS: { readonly [Status in RunStatus]: readonly string[] } = {
  queued: ["queued", "pending", "created", "submitted", "scheduled", "accepted"],
  in_progress: ["inprogress", "running", "processing", "working", "active", "started", "executing"],
  requires_action: [
    "requiresaction",
    "actionrequired",
    "inputrequired",
    "authrequired",
    "requiresapproval",
    "waitingforinput",
    "waitingforapproval",
  ],
  cancelling: [
    "cancelling",
    "cancelrequested",
    "cancellationrequested",
    "stopping",
    "aborting",
    "terminating",
  ],
  cancelled: ["cancelled", "aborted", "stopped", "cancelledbyuser"],
  // Ended from outside, and not said by whom: no promise that it was a cancel.
  failed: [
    "terminated",
    "killed",
    "failed",
    "failure",
    "error",
    "errored",
    "rejected",
    "crashed",
    "systemfailure",
    "systemerror",
  ],
  completed: [
    "completed",
    "complete",
    "succeeded",
    "success",
    "done",
    "finished",
    "ended",
    "partialsucceeded",
  ],
  incomplete: ["incomplete"],
  expired: ["expired", "timeout", "timedout"],
};
const STATUS: ReadonlyMap<string, RunStatus> = new Map(
  Object.entries(WORDS).flatMap(([status, words]) =>
    words.map((word): [string, RunStatus] => [word, status as RunStatus]),
  ),
);

/** What stands before the word where an enum's whole name is sent: `RunStatus.COMPLETED`, `JOB_STATE_FAILED`, or both. */
const PREFIX = /^(?:.*\.)?(?:(?:[a-z]+[-_ ])*(?:state|status)[-_ ])?/i;

/** Undefined for a word that is not known, and for what is no word. */
export function knownStatus(value: unknown): RunStatus | undefined {
  return typeof value === "string" ? STATUS.get(spelled(value)) : undefined;
}

/**
 * A run whose word nobody knows still moves, as far as anybody can tell: it can be cancelled, while a false end
 * would be a false promise. Undefined for what is no word at all.
 */
export function statusOf(value: unknown): RunStatus | undefined {
  if (typeof value !== "string" || spelled(value) === "") return undefined;
  return knownStatus(value) ?? "in_progress";
}

/** In small letters without separators, and British: `Canceled` is `cancelled`. */
export function spelled(word: string): string {
  const letters = word
    .trim()
    .replace(/\.+$/, "")
    .replace(PREFIX, "")
    .toLowerCase()
    .replace(/[-_\s]/g, "");
  return letters.replace(/(cancel)(?=ed|ing|ation)/, "$1l");
}
