// `npm run bench:waiting`: what 256 callers of one tenant who wait for runs that do not end (`Prefer: wait=25`)
// cost 50 callers of another, who press Stop twice a second each. The gateway's bundle in plain workerd. Half a minute
// without the waiting ones before and after, a minute with them. Ends with 1 when the bound is broken. The
// ratio travels; the times are this machine's.
import { cpus } from "node:os";
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { newSigningKey } from "../cli/signing-key.ts";
import { createIssuer, type Issuer } from "../dev/issuer.ts";
import { type PlainWorkerd, startPlainWorkerd } from "../test/e2e/support/plain-workerd.ts";
import {
  startThreadsUpstream,
  type ThreadsUpstream,
} from "../test/e2e/support/threads-upstream.ts";

const SECONDS = Number(process.env["SECONDS"] ?? 60);
const WAITING = 256;
/** The waiting ones are so many people: one alone would be refused before. */
const PEOPLE = 8;
const HONEST = 50;
const THINK_MS = 500;
const RAMP_MS = 4_000;
const RATIO = 1.5;

let runs = 0;
let refusedWaiting = 0;

const upstream = await startThreadsUpstream();
upstream.become({ ends: false });
const issuer = await createIssuer({
  issuer: "https://id.test/",
  alg: "ES256",
  audience: "stopgate",
});
const gateway = await serve(upstream, issuer);
try {
  const machine = cpus();
  console.log(
    `${machine.length} cores, ${machine[0]?.model ?? "unknown"}, Node ${process.version}`,
  );
  await measure();
} finally {
  await gateway.stop();
  await upstream.close();
}

async function measure(): Promise<void> {
  await honest(5);
  const before = await honest(SECONDS / 2);
  const reads = upstream.seen.GET;
  const stopWaiting = await startWaiting();
  const during = await honest(SECONDS);
  const polls = upstream.seen.GET - reads - during.times.length * 2;
  await stopWaiting();
  const after = await honest(SECONDS / 2);

  const alone = p95([...before.times, ...after.times]);
  const beside = p95(during.times);
  const refused = before.refused + during.refused + after.refused;
  console.log(`p95 of ${HONEST} honest callers alone          ${alone.toFixed(2)} ms`);
  console.log(`p95 beside ${WAITING} waiting callers            ${beside.toFixed(2)} ms`);
  console.log(
    `ratio                                  ${(beside / alone).toFixed(3)} (bound ${RATIO})`,
  );
  console.log(`honest callers refused                 ${refused}`);
  console.log(`waiting callers refused, who came back ${refusedWaiting}`);
  console.log(
    `reads of runs for a waiting caller     ${(polls / WAITING / (SECONDS / 25)).toFixed(1)} in 25 s`,
  );
  if (beside / alone > RATIO || refused > 0) process.exitCode = 1;
}

function p95(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.95)] ?? Number.NaN;
}

async function honest(seconds: number) {
  const end = performance.now() + seconds * 1_000;
  const times: number[] = [];
  let refused = 0;
  const caller = async (index: number): Promise<void> => {
    const headers = await authorisation("globex", `h${index}`);
    await pause((index * THINK_MS) / HONEST);
    while (performance.now() < end) {
      const begun = performance.now();
      const status = await cancel("globex", `h${index}`, headers);
      times.push(performance.now() - begun);
      if (status !== 200) refused += 1;
      await pause(THINK_MS);
    }
  };
  await Promise.all(Array.from({ length: HONEST }, (_, index) => caller(index)));
  return { times, refused };
}

/** Each presses Stop again when its wait is over, until the returned function is called. */
async function startWaiting(): Promise<() => Promise<void>> {
  const leaving = new AbortController();
  const waiter = async (index: number): Promise<void> => {
    const user = `w${index % PEOPLE}`;
    const headers = { ...(await authorisation("acme", user)), prefer: "wait=25" };
    // All at the same moment they would work at the same time, and be more than a tenant may.
    await pause((index * RAMP_MS) / WAITING);
    while (!leaving.signal.aborted) {
      const status = await cancel("acme", user, headers, leaving.signal).catch(() => 0);
      if (status === 200 || leaving.signal.aborted) continue;
      refusedWaiting += 1;
      await pause(1_000);
    }
  };
  const all = Promise.all(Array.from({ length: WAITING }, (_, index) => waiter(index)));
  await pause(RAMP_MS);
  return async () => {
    leaving.abort();
    await all;
    await pause(2_000);
  };
}

async function cancel(
  tenant: string,
  user: string,
  headers: Record<string, string>,
  signal?: AbortSignal,
): Promise<number> {
  runs += 1;
  const url = `${gateway.origin}/v1/threads/thread_1/runs/run_${tenant}_${user}_${runs}/cancel`;
  const response = await fetch(url, { method: "POST", headers, ...(signal && { signal }) });
  await response.arrayBuffer();
  return response.status;
}

async function authorisation(tenant: string, sub: string) {
  return { authorization: `Bearer ${await issuer.mint({ sub, tenant, scope: "runs:cancel" })}` };
}

async function serve(threads: ThreadsUpstream, from: Issuer): Promise<PlainWorkerd> {
  const tenant = {
    upstream: "threads",
    credential: { secret: "UPSTREAM_KEY" },
    ownership: { source: "metadata", tenant_key: "tenant", subject_key: "user" },
    rules: [{ id: "owner", scopes: ["runs:cancel"], runs: "own" }],
  };
  return await startPlainWorkerd({
    config: {
      issuers: [
        {
          issuer: from.issuer,
          jwks: from.publicJwks,
          audiences: ["stopgate"],
          algorithms: ["ES256"],
          tenant: { claim: "org_id", allow: ["acme", "globex"] },
        },
      ],
      upstreams: { threads: { kind: "assistants", base_url: threads.origin } },
      tenants: { acme: tenant, globex: tenant },
    },
    secrets: { UPSTREAM_KEY: "sk-test", AUDIT_SIGNING_KEY: await newSigningKey() },
  });
}
