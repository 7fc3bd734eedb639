// Tells whether a success that is not the run says that a cancel was taken. Pure.
import { knownStatus, spelled } from "../runs/status.ts";
import { member } from "./json.ts";
import { isFailure, isNothing } from "./problem.ts";
import type { Reply } from "./upstream.ts";

/** What such an answer says of the run, in words of its state. */
export function saysOnItsWay(body: unknown): boolean {
  const status = knownStatus(member(body, "status"));
  return status === "cancelling" || status === "cancelled";
}

const YES: readonly string[] = ["success", "ok", "accepted", "cancelled", "canceled"];
const WORDS: readonly string[] = ["status", "state", "result"];
const TAKEN: ReadonlySet<string> = new Set(["ok", "accepted", "success", "interrupted"]);
/** Of a text: it speaks of a cancel, and of nothing that stood in its way. */
const OF_CANCEL = /\b(cancel(l?ed|l?ing|l?ation)|interrupted)\b/i;
const OF_OBSTACLE =
  /\b(not|cannot|can't|never|no|nothing|unable|fail\w*|errors?|already|denied)\b/i;

/**
 * The answer of a server that has no run to show for a cancel: nothing, an object of nothing, the id of the run, or
 * words that say that it was taken. Anything else may be of what stands before the server.
 */
export function isAcknowledgement(reply: Pick<Reply, "body" | "text">, runId: string): boolean {
  const { body } = reply;
  if (isFailure(reply)) return false;
  if (body === undefined || body === null) return true;
  if (typeof body !== "object" || Array.isArray(body)) return false;
  const named = member(body, "run_id");
  if (named !== undefined && named !== runId) return false;
  return (
    named === runId ||
    member(body, "id") === runId ||
    Object.values(body).every(isNothing) ||
    saysTaken(body)
  );
}

function saysTaken(body: object): boolean {
  const get = (name: string): unknown => member(body, name);
  const texts = ["message", "detail"].map(get).filter((said) => typeof said === "string");
  // What the texts say against it outweighs every word for it.
  if (texts.some((said) => OF_OBSTACLE.test(said))) return false;
  // The Agents API's events: none in return, or the one that was posted.
  const isEvent = get("object") === "list" || get("type") === "agent.session.input.cancel";
  return (
    isEvent ||
    YES.some((name) => get(name) === true) ||
    WORDS.map(get).some((word) => typeof word === "string" && TAKEN.has(spelled(word))) ||
    saysOnItsWay(body) ||
    texts.some((said) => OF_CANCEL.test(said))
  );
}
