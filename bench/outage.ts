// `npm run bench:outage`: ten thousand clicks while the upstream is down, each kind of down in its turn: what
// reaches it all the same, how long the slowest click waits, and how soon it is found to be back. A gateway
// in the real local runtime, and an upstream that is a process of its own. Ends with 1 when a bound is
// broken. The counts and the recovery travel; the times are this machine's.
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server as HttpServer } from "node:http";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { startGateway } from "../dev/local/gateway.ts";
import { SAMPLE_AUDIENCE, SAMPLE_SECRETS, sampleConfig } from "../dev/local/sample.ts";
import { freePort, type Server } from "../dev/local/server.ts";
import { startSimulator, tokenFrom } from "../dev/simulator/server.ts";
import type { Rule } from "../src/config/schema.ts";

const CLICKS = Number(process.env["CLICKS"] ?? 10_000);
/** What a small machine can answer without a queue of its own, which would count as the gateway's time. */
const AT_ONCE = Number(process.env["AT_ONCE"] ?? 50);
const LONGEST_SECONDS = 10.25;
const BACK_SECONDS = 6;
const DOWN = ["resets", "503", "hangs"] as const;
type State = (typeof DOWN)[number] | "up";

const folder = await mkdtemp(join(tmpdir(), "stopgate-bench-"));
const running: { stop(): Promise<unknown> }[] = [];
try {
  await bench();
} finally {
  await Promise.all(running.map((server) => server.stop()));
  await rm(folder, { recursive: true, force: true });
}

async function bench(): Promise<void> {
  const machine = cpus();
  console.log(
    `${machine.length} cores, ${machine[0]?.model ?? "unknown"}, Node ${process.version}`,
  );
  const simulator = await startSimulator(await freePort(), join(folder, "simulator"));
  running.push(simulator);
  const upstream = await startUpstream();
  running.push(upstream);
  const gateway = await serve(simulator, upstream.origin);
  const wish = { sub: "ann", tenant: "acme", scope: "runs:cancel" };
  const token = await tokenFrom(simulator.origin, wish, SAMPLE_AUDIENCE);
  const click = clicker(gateway.origin, token);

  console.log(`\n${CLICKS} clicks, ${AT_ONCE} at a time, on runs of their own\n`);
  for (const state of DOWN) {
    await untilUp(click, upstream);
    upstream.become(state);
    const before = { ...upstream.seen };
    const { statuses, longest, seconds } = await clicks(click);
    const cancels = upstream.seen.POST - before.POST;
    const reads = upstream.seen.GET - before.GET;
    const bound = 1.1 * CLICKS + 10;
    console.log(
      `${state.padEnd(7)} cancels sent ${cancels} (bound ${bound}: ${(cancels / bound).toFixed(3)}), all requests ${cancels + reads}; ` +
        `slowest ${longest.toFixed(2)} s; ${[...statuses].map(([status, count]) => `${count} × ${status}`).join(", ")}; in ${seconds.toFixed(0)} s`,
    );
    upstream.become("up");
    const back = await recovery(click);
    console.log(`${"".padEnd(7)} back after ${back.toFixed(2)} s`);
    if (cancels > bound || longest > LONGEST_SECONDS || back > BACK_SECONDS) process.exitCode = 1;
  }
}

/** acme proves by its key alone, so that a click is a cancel, and is not counted by person. */
async function serve(simulator: Server, origin: string): Promise<Server> {
  const sample = await sampleConfig(simulator.origin);
  const { acme } = sample.tenants;
  if (acme === undefined) throw new Error("the sample has changed");
  const { rate: _, ...unlimited } = acme;
  const rule: Rule = {
    id: "anyone",
    effect: "allow",
    scopes: ["runs:cancel"],
    runs: "tenant",
    reason_required: false,
  };
  const gateway = await startGateway({
    config: {
      ...sample,
      upstreams: { down: { kind: "assistants", base_url: origin } },
      tenants: {
        acme: {
          ...unlimited,
          upstream: "down",
          ownership: { source: "credential" },
          rules: [rule],
        },
      },
    },
    secrets: SAMPLE_SECRETS,
    secretsSource: "the sample",
    port: await freePort(),
    persist: join(folder, "gateway"),
    onLine: () => undefined,
  });
  running.push(gateway);
  return gateway;
}

async function startUpstream() {
  let state: State = "up";
  const seen = { GET: 0, POST: 0 };
  const server: HttpServer = createServer((request, response) => {
    seen[request.method === "POST" ? "POST" : "GET"] += 1;
    if (state === "resets") request.socket.destroy();
    else if (state === "503") response.writeHead(503).end("no healthy upstream");
    else if (state === "up") {
      const [, thread_id, id] = /threads\/([^/]+)\/runs\/([^/]+)/.exec(request.url ?? "") ?? [];
      const status = request.method === "POST" ? "cancelling" : "in_progress";
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ id, thread_id, status, created_at: 1_795_372_200 }));
    }
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${port}`,
    seen,
    become: (next: State) => {
      state = next;
      // What hung, hangs for ever: only those that come now are answered.
    },
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

type Click = () => Promise<number>;

function clicker(origin: string, token: string): Click {
  let count = 0;
  return async () => {
    count += 1;
    const response = await fetch(`${origin}/v1/threads/thread_1/runs/run_${count}/cancel`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
    await response.arrayBuffer();
    return response.status;
  };
}

async function clicks(click: Click) {
  const statuses = new Map<number, number>();
  const startedAt = performance.now();
  let longest = 0;
  let left = CLICKS;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const begunAt = performance.now();
      const status = await click();
      longest = Math.max(longest, (performance.now() - begunAt) / 1_000);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return { statuses, longest, seconds: (performance.now() - startedAt) / 1_000 };
}

/** Seconds until a click is a cancel again; ten clicks a second. */
async function recovery(click: Click): Promise<number> {
  const startedAt = performance.now();
  while ((await click()) !== 200) await pause(100);
  return (performance.now() - startedAt) / 1_000;
}

async function untilUp(click: Click, upstream: { become(state: State): void }): Promise<void> {
  upstream.become("up");
  await recovery(click);
}
