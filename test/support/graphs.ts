// A LangGraph-like server in memory, for tests that need several runs on one thread. What is true of the
// real one is tested in test/e2e/langgraph.test.ts.

export interface GraphRun {
  readonly thread: string;
  readonly id: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  status: string;
}

export const GRAPHS = "https://graphs.test";

export interface Graphs {
  readonly fetch: typeof fetch;
  /** `POST /threads/…`, in the order of their arrival. */
  readonly lines: string[];
  /** Answers in place of the server; null leaves it to the server. */
  override: (line: string) => Response | null;
}

export function createGraphs(runs: readonly GraphRun[]): Graphs {
  const graphs: Graphs = {
    lines: [],
    override: () => null,
    fetch: async (input, init) => {
      const request = new Request(input, init);
      const { pathname, search, searchParams } = new URL(request.url);
      const line = `${request.method} ${pathname}${search}`;
      graphs.lines.push(line);
      const instead = graphs.override(line);
      if (instead !== null) return instead;
      const [, thread, id, action] =
        /^\/threads\/([^/]+)\/runs(?:\/([^/]+))?(\/cancel)?$/.exec(pathname) ?? [];
      const here = runs.filter((run) => run.thread === thread);
      if (id === undefined) {
        return Response.json(
          here.filter(({ status }) => status === searchParams.get("status")).map(asJson),
        );
      }
      const run = here.find((one) => one.id === id);
      if (run === undefined) return new Response("Run not found", { status: 404 });
      if (action === undefined) return Response.json(asJson(run));
      run.status = "interrupted";
      return new Response(null, { status: 202 });
    },
  };
  return graphs;
}

function asJson({ thread, id, status, metadata = {} }: GraphRun) {
  const time = "2026-11-22T18:29:04.897Z";
  return {
    run_id: id,
    thread_id: thread,
    assistant_id: "agent",
    status,
    metadata,
    created_at: time,
    updated_at: time,
  };
}
