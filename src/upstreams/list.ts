// Lists the runs of a thread that may still be stopped, for who knows no run's id.
import { asRefusal, Refusal } from "../failure.ts";
import { isTerminal, type RunStatus } from "../runs/run.ts";
import { type Connection, exchange } from "./call.ts";
import {
  bounded,
  type ReadRun,
  readFromList,
  readUpstreamRun,
  refusalFor,
  type UpstreamTools,
} from "./read.ts";
import { ID, type RunList, type UpstreamRequest } from "./upstream.ts";

const LIST_TIMEOUT_MS = 4_000;
/** So many entries of a list are looked at. */
const MOST_LISTED = 100;
/** How many are asked for at once: fewer, where they are so large that they are not read together. */
const PAGE_SIZES = [20, 5, 1] as const;
const LEAST_SIZE = 1;
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

export interface ActiveRuns {
  /** In the order of the upstream's lists, each once. */
  readonly runs: readonly ActiveRun[];
  /** There may be more, which were not looked at. */
  readonly isCut: boolean;
  /** What kept a later page from being read; null when nothing did. */
  readonly broken: Refusal | null;
}

/** What ends the search before the lists do. */
export interface Enough {
  /** Which of the runs count. */
  readonly counts: (run: ActiveRun) => boolean;
  /** So many of them are enough. */
  readonly most: number;
}

/**
 * The runs of the thread that have not ended; none for a thread that the upstream does not know. Throws
 * `unsupported_by_upstream` where there is no list, otherwise what kept the beginning of one from being read.
 */
export async function listActiveRuns(
  tools: UpstreamTools,
  connection: Connection,
  threadId: string,
  enough: Enough = { counts: () => true, most: MOST_LISTED },
): Promise<ActiveRuns> {
  const { list } = connection.adapter;
  if (list === undefined) {
    throw new Refusal("unsupported_by_upstream", { detail: "no list of runs" });
  }
  const signal = bounded(tools, LIST_TIMEOUT_MS);
  const found = await Promise.all(
    list
      .requests(threadId, connection.options)
      .map((first) => follow({ tools, connection, list, threadId, signal, enough }, first)),
  );
  const runs = new Map(found.flatMap((one) => one.runs.map((run) => [run.id, run] as const)));
  return {
    runs: [...runs.values()],
    isCut: found.some(({ isCut }) => isCut),
    broken: found.find(({ broken }) => broken !== null)?.broken ?? null,
  };
}

interface Listing {
  readonly tools: UpstreamTools;
  readonly connection: Connection;
  readonly list: RunList;
  readonly threadId: string;
  readonly signal: AbortSignal;
  readonly enough: Enough;
}

/** One list, page by page, until it has ended or enough is found. */
async function follow(listing: Listing, first: UpstreamRequest): Promise<ActiveRuns> {
  const { connection, list, threadId, enough } = listing;
  const runs = new Map<string, ActiveRun>();
  const ids = new Set<unknown>();
  let seen = 0;
  let request: UpstreamRequest = first;
  let size: number = PAGE_SIZES[0];
  for (;;) {
    const page = await readPage(listing, request, size, seen).catch((error: unknown) => {
      if (seen === 0) throw error;
      return asRefusal(error);
    });
    if (page instanceof Refusal) return { runs: [...runs.values()], isCut: true, broken: page };
    if (page === null) return { runs: [...runs.values()], isCut: false, broken: null };
    size = page.size;
    const known = ids.size;
    let moving = 0;
    let ended = 0;
    for (const object of page.objects) {
      const id = list.idOf(object);
      const run = activeRun(connection, object, threadId, id);
      ids.add(id);
      if (run === "ended") ended += 1;
      if (run === null || run === "ended") continue;
      moving += 1;
      runs.set(run.id, run);
    }
    const entries = page.objects.length;
    seen += entries;
    const last = list.idOf(page.objects.at(-1));
    const lastId = typeof last === "string" && ID.test(last) ? last : undefined;
    const next = list.next({ body: page.body, size, entries, seen, lastId, moving, ended });
    // A server that knows no pages answers with the same one again.
    const isOver = next === null || entries === 0 || ids.size === known;
    const isCut =
      seen >= MOST_LISTED || [...runs.values()].filter(enough.counts).length >= enough.most;
    if (isOver || isCut) return { runs: [...runs.values()], isCut: !isOver, broken: null };
    request = { ...first, query: { ...first.query, ...next } };
  }
}

interface ReadPage {
  readonly body: unknown;
  readonly objects: readonly unknown[];
  /** Entries that were asked for. */
  readonly size: number;
}

/** Smaller than was asked for, where the runs are so large that the page is not read. Null: no such thread. */
async function readPage(
  listing: Listing,
  request: UpstreamRequest,
  most: number,
  seen: number,
): Promise<ReadPage | null> {
  const { tools, connection, list, signal } = listing;
  for (const size of PAGE_SIZES.filter((one) => one <= most)) {
    const limit = String(list.limit?.(size, seen) ?? size);
    const sized = { ...request, query: { ...request.query, limit } };
    const reply = await exchange(tools, connection, sized, signal);
    if (reply.unread !== null && size > LEAST_SIZE) continue;
    if (reply.unread !== null) throw reply.unread;
    if (reply.status < 300) {
      return { body: reply.body, objects: list.runsIn(reply.body), size };
    }
    const refusal = refusalFor(connection, reply);
    if (refusal.reason === "run_not_found") return null;
    throw refusal;
  }
  throw new Error("there is no page so small");
}

/** Null for an entry that is no run of the thread, or makes no sense: it spoils none of the others. */
function activeRun(
  connection: Connection,
  object: unknown,
  threadId: string,
  id: unknown,
): ActiveRun | "ended" | null {
  const { alongside } = connection.adapter;
  if (typeof id !== "string" || !ID.test(id)) return null;
  try {
    const read = readFromList(connection, object, { threadId, runId: id });
    const { status } = read.run;
    if (isTerminal(status)) return "ended";
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
