// Lists the runs of a thread that may still be stopped, for who knows no run's id.
import { asRefusal, Refusal } from "../failure.ts";
import { isTerminal, type RunStatus } from "../runs/run.ts";
import { type Connection, call } from "./call.ts";
import {
  bounded,
  type ReadRun,
  readFromList,
  readUpstreamRun,
  refusalFor,
  type UpstreamTools,
} from "./read.ts";

const LIST_TIMEOUT_MS = 4_000;
const ID = /^[A-Za-z0-9_-]{1,128}$/;

export interface ActiveRun {
  readonly id: string;
  readonly status: RunStatus;
  /** The run as it was found; null where a list does not show all that a read would. */
  readonly read: ReadRun | null;
}

/**
 * The runs of the thread that have not ended and could be cancelled, in the order of the upstream's
 * lists, each once; none for a thread that it does not know. Throws `unsupported_by_upstream` where
 * there is no list, otherwise what kept it from being read.
 */
export async function listActiveRuns(
  tools: UpstreamTools,
  connection: Connection,
  threadId: string,
): Promise<readonly ActiveRun[]> {
  const { adapter, options } = connection;
  const { list } = adapter;
  if (list === undefined) {
    throw new Refusal("unsupported_by_upstream", { detail: "no list of runs" });
  }
  const signal = bounded(tools, LIST_TIMEOUT_MS);
  const replies = await Promise.all(
    list.requests(threadId, options).map((request) => call(tools, connection, request, signal)),
  );
  const active = new Map<string, ActiveRun>();
  for (const reply of replies) {
    if (reply.status >= 300) {
      const refusal = refusalFor(connection, reply);
      if (refusal.reason === "run_not_found") continue;
      throw refusal;
    }
    for (const object of list.runsIn(reply.body)) {
      const run = activeRun(connection, object, threadId, list.idOf(object));
      if (run !== null) active.set(run.id, run);
    }
  }
  return [...active.values()];
}

/** Null for an entry that has ended, cannot be cancelled or is no run of the thread: it spoils none of the others. */
function activeRun(
  connection: Connection,
  object: unknown,
  threadId: string,
  id: unknown,
): ActiveRun | null {
  const { whyNot, alongside } = connection.adapter;
  if (typeof id !== "string" || !ID.test(id) || (whyNot?.(object) ?? null) !== null) return null;
  try {
    const read = readFromList(connection, object, { threadId, runId: id });
    const { status } = read.run;
    if (isTerminal(status)) return null;
    return { id, status, read: alongside === undefined ? read : null };
  } catch {
    return null;
  }
}

/**
 * Those of the runs that have not ended, in their order. One that cannot be read is left out when the
 * upstream does not know it; otherwise throws what kept it from being read.
 */
export async function pickActiveRuns(
  tools: UpstreamTools,
  connection: Connection,
  threadId: string,
  ids: readonly string[],
): Promise<readonly ActiveRun[]> {
  const active: ActiveRun[] = [];
  for (const id of ids) {
    const read = await readUpstreamRun(tools, connection, { threadId, runId: id }).catch(asRefusal);
    if (read instanceof Refusal) {
      if (read.reason === "run_not_found") continue;
      throw read;
    }
    if (!isTerminal(read.run.status)) active.push({ id, status: read.run.status, read });
  }
  return active;
}
