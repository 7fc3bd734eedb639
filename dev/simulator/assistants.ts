// The `assistants` wire: threads and runs, as OpenAI served them until August 2026. A thread takes
// several runs at once here, unlike there, so that "stop all of a thread" can be tried.
import { type Context, Hono } from "hono";
import {
  cannotCancelRun,
  deprecatedBeta,
  invalidParameter,
  missingBeta,
  noSuchRun,
  noSuchThread,
} from "./errors.ts";
import { isCancellable, runStateAt } from "./machine.ts";
import {
  bodyOf,
  CreateRun,
  CreateThread,
  DEFAULT_TIMING,
  projectOf,
  timingOf,
} from "./requests.ts";
import { runObject } from "./run-object.ts";
import { ownedBy, type RunRecord, remember, type ThreadRecord } from "./store.ts";
import { unixSeconds, type World } from "./world.ts";

export function assistantsRoutes(world: World): Hono {
  const { store, now, newId } = world;

  /** Key first, beta header second, then what the path names: so OpenAI refuses. */
  const projectFor = (c: Context): string => {
    const project = projectOf(c, world.acceptsKey);
    demandBeta(c);
    return project;
  };
  const threadFor = (c: Context): ThreadRecord => {
    const id = c.req.param("thread") ?? "";
    const thread = ownedBy(store.threads, projectFor(c), id);
    if (thread === undefined) throw noSuchThread(id);
    return thread;
  };
  const runFor = (c: Context): RunRecord => {
    const thread = threadFor(c);
    const id = c.req.param("run") ?? "";
    const run = ownedBy(store.runs, thread.project, id);
    if (run?.threadId !== thread.id) throw noSuchRun(id);
    return run;
  };

  return new Hono()
    .post("/threads", async (c) => {
      const project = projectFor(c);
      const { metadata } = await bodyOf(c, CreateThread);
      const id = newId("thread");
      const thread = { id, project, createdMs: now(), metadata: metadata ?? {} };
      remember(store.threads, id, thread);
      return c.json(threadObject(thread));
    })
    .get("/threads/:thread", (c) => c.json(threadObject(threadFor(c))))
    .post("/threads/:thread/runs", async (c) => {
      const { id: threadId, project } = threadFor(c);
      const timing = timingOf(c, DEFAULT_TIMING);
      const request = await bodyOf(c, CreateRun);
      const id = newId("run");
      const life = { createdMs: now(), cancelMs: null, timing };
      const run = { id, project, threadId, request, life };
      remember(store.runs, id, run);
      return c.json(runObject(run, life.createdMs));
    })
    .get("/threads/:thread/runs", (c) => {
      const thread = threadFor(c);
      const runs = [...store.runs.values()].filter((run) => run.threadId === thread.id);
      const page = pageOf(c, runs);
      const nowMs = now();
      return c.json({
        object: "list",
        data: page.runs.map((run) => runObject(run, nowMs)),
        first_id: page.runs[0]?.id ?? null,
        last_id: page.runs.at(-1)?.id ?? null,
        has_more: page.hasMore,
      });
    })
    .get("/threads/:thread/runs/:run", (c) => c.json(runObject(runFor(c), now())))
    .post("/threads/:thread/runs/:run/cancel", (c) => {
      const run = runFor(c);
      const nowMs = now();
      const { status } = runStateAt(run.life, nowMs);
      if (!isCancellable(status)) throw cannotCancelRun(status);
      const cancelled = { ...run, life: { ...run.life, cancelMs: nowMs } };
      remember(store.runs, run.id, cancelled);
      return c.json(runObject(cancelled, nowMs));
    });
}

function demandBeta(c: Context): void {
  const versions = (c.req.header("openai-beta") ?? "").split(",").map((version) => version.trim());
  if (versions.includes("assistants=v2")) return;
  throw versions.includes("assistants=v1") ? deprecatedBeta() : missingBeta();
}

function threadObject(thread: ThreadRecord) {
  return {
    id: thread.id,
    object: "thread",
    created_at: unixSeconds(thread.createdMs),
    metadata: thread.metadata,
    tool_resources: {},
  };
}

const MOST_PER_PAGE = 100;
const DEFAULT_PER_PAGE = 20;

/** The asked-for page of the thread's runs, which come in the order of their creation. */
function pageOf(c: Context, runs: RunRecord[]): { runs: RunRecord[]; hasMore: boolean } {
  const { limit = `${DEFAULT_PER_PAGE}`, order = "desc", after, before } = c.req.query();
  const most = Number(limit);
  if (!Number.isInteger(most) || most < 1 || most > MOST_PER_PAGE) {
    throw invalidParameter("limit", "Invalid 'limit': expected an integer from 1 to 100.");
  }
  if (order !== "asc" && order !== "desc") {
    throw invalidParameter(
      "order",
      `Invalid value: '${order}'. Supported values are: 'asc' and 'desc'.`,
    );
  }
  const ordered = order === "asc" ? runs : runs.toReversed();
  const start = after === undefined ? 0 : positionOf(after, ordered) + 1;
  const end = before === undefined ? ordered.length : positionOf(before, ordered);
  const between = ordered.slice(start, end);
  // `before` alone asks for the page that ends just there.
  const backwards = before !== undefined && after === undefined;
  const page = backwards ? between.slice(-most) : between.slice(0, most);
  return { runs: page, hasMore: between.length > page.length };
}

function positionOf(id: string, runs: readonly RunRecord[]): number {
  const position = runs.findIndex((run) => run.id === id);
  if (position < 0) throw noSuchRun(id);
  return position;
}
