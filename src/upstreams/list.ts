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
import { ID } from "./upstream.ts";

const LIST_TIMEOUT_MS = 4_000;
/** A Worker holds six connections open at once. */
export const AT_ONCE = 5;

export interface ActiveRun {
  readonly id: string;
  readonly status: RunStatus;
  /** The run as it was found; null where a list does not show all that a read would. */
  readonly read: ReadRun | null;
  /** Why nobody can cancel it; null when it can be. */
  readonly whyNot: string | null;
}

/**
 * The runs of the thread that have not ended, in the order of the upstream's lists, each once; none for a
 * thread that it does not know. Throws `unsupported_by_upstream` where there is no list, otherwise what
 * kept it from being read.
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

/** Null for an entry that has ended or is no run of the thread: it spoils none of the others. */
function activeRun(
  connection: Connection,
  object: unknown,
  threadId: string,
  id: unknown,
): ActiveRun | null {
  const { alongside } = connection.adapter;
  if (typeof id !== "string" || !ID.test(id)) return null;
  try {
    const read = readFromList(connection, object, { threadId, runId: id });
    const { status } = read.run;
    if (isTerminal(status)) return null;
    const whyNot = connection.adapter.whyNot?.(object) ?? null;
    return { id, status, read: alongside === undefined ? read : null, whyNot };
  } catch {
    return null;
  }
}

/**
 * Those of the runs that may not have ended, in their order, until there are `most`: one that cannot be read
 * is among them, unless the upstream does not know it.
 */
export async function pickActiveRuns(
  tools: UpstreamTools,
  connection: Connection,
  threadId: string,
  ids: readonly string[],
  most: number,
): Promise<readonly ActiveRun[]> {
  const found: ActiveRun[] = [];
  for (let from = 0; from < ids.length && found.length < most; from += AT_ONCE) {
    const group = ids.slice(from, from + AT_ONCE).map(async (id): Promise<ActiveRun | null> => {
      const target = { threadId, runId: id };
      const read = await readUpstreamRun(tools, connection, target).catch(asRefusal);
      const run = { id, read: null, whyNot: null };
      if (!(read instanceof Refusal)) {
        return isTerminal(read.run.status) ? null : { ...run, status: read.run.status, read };
      }
      return read.reason === "run_not_found" ? null : { ...run, status: "in_progress" };
    });
    found.push(...(await Promise.all(group)).filter((run) => run !== null));
  }
  return found;
}
