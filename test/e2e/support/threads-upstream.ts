// An upstream on the threads wire that a test can make slow, failing or stubborn, as a process would be.
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ThreadsUpstream {
  readonly origin: string;
  /** Requests so far, by method. */
  readonly seen: { GET: number; POST: number };
  /** The ids of the runs that a cancel has reached. */
  readonly cancelled: Set<string>;
  /** Changes how it behaves from now on. */
  readonly become: (behaviour: Partial<Behaviour>) => void;
  readonly close: () => Promise<void>;
}

export interface Behaviour {
  /** Milliseconds before a read is answered. */
  readonly readMs: number;
  /** Milliseconds before a cancel is answered. */
  readonly cancelMs: number;
  /** False: a cancelled run stays `cancelling`. */
  readonly ends: boolean;
  /** True: every request is answered with 503. */
  readonly down: boolean;
}

/** A run's id tells whose it is: `run_<tenant>_<user>_<anything>`. */
export async function startThreadsUpstream(): Promise<ThreadsUpstream> {
  const seen = { GET: 0, POST: 0 };
  const cancelled = new Set<string>();
  let behaviour: Behaviour = { readMs: 0, cancelMs: 0, ends: true, down: false };

  const runOf = (threadId: string, runId: string) => {
    const [, tenant = "", user = ""] = runId.split("_");
    const after = behaviour.ends ? "cancelled" : "cancelling";
    const status = cancelled.has(runId) ? after : "in_progress";
    return {
      id: runId,
      object: "thread.run",
      thread_id: threadId,
      status,
      metadata: { tenant, user },
    };
  };
  const answer = async (response: ServerResponse, ms: number, reply: () => unknown) => {
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    const body = JSON.stringify(behaviour.down ? { error: { message: "down" } } : reply());
    response.writeHead(behaviour.down ? 503 : 200, { "content-type": "application/json" });
    response.end(body);
  };
  const server = createServer((request, response) => {
    request.resume();
    const [, threadId = "", runId = ""] =
      /threads\/([^/]+)\/runs\/([^/?]+)/.exec(request.url ?? "") ?? [];
    if (request.method === "POST") {
      seen.POST += 1;
      if (!behaviour.down) cancelled.add(runId);
      const said = () => ({ ...runOf(threadId, runId), status: "cancelling" });
      void answer(response, behaviour.cancelMs, said);
    } else {
      seen.GET += 1;
      void answer(response, behaviour.readMs, () => runOf(threadId, runId));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    cancelled,
    become: (change) => {
      behaviour = { ...behaviour, ...change };
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
