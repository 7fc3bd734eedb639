// `npm run bench:tenants`: what ten thousand tenants cost a cancel. Gateways in the real local runtime over
// one simulated upstream, with few tenants and with all; they are asked in turn, so that whatever else the
// machine does hits both. Figures are for this machine, ratios travel.
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { write } from "../cli/apply.ts";
import { compare } from "../cli/compare.ts";
import { pairsOf } from "../cli/config-kv/kv.ts";
import { openLocalKv } from "../cli/config-kv/local.ts";
import { startGateway } from "../dev/local/gateway.ts";
import { SAMPLE_AUDIENCE, SAMPLE_SECRETS, sampleConfig } from "../dev/local/sample.ts";
import { freePort, type Server } from "../dev/local/server.ts";
import { startRun, startSimulator, tokenFrom } from "../dev/simulator/server.ts";
import type { ConfigDocument } from "../src/config/schema.ts";

const TENANTS = Number(process.env["TENANTS"] ?? 10_000);
const BLOCKS = Number(process.env["BLOCKS"] ?? 40);
const CANCELS_EACH = 25;
/** So many of the tenants are met where many ask. */
const SPREAD = 500;
const RUN_MS = 30 * 60_000;

const folder = await mkdtemp(join(tmpdir(), "stopgate-bench-"));
const running: Server[] = [];
try {
  await bench();
} finally {
  await Promise.all(running.map((server) => server.stop()));
  await rm(folder, { recursive: true, force: true });
}

async function bench(): Promise<void> {
  const simulator = await startSimulator(await freePort(), join(folder, "simulator"));
  running.push(simulator);
  const sample = await sampleConfig(simulator.origin);
  const all = withTenants(sample, TENANTS);
  await timeApply(all);
  const few = await serve("one", withTenants(sample, 1));
  const some = await serve("some", withTenants(sample, SPREAD));
  const many = await serve("all", all);

  console.log(
    `\np50 of a cancel in ms, ${BLOCKS} blocks of ${CANCELS_EACH}, one connection, ${cpus().length} cores\n`,
  );
  const same = (): string => "t0";
  // Every tenant that is met for the first time costs a read of KV and a new ledger, in both.
  const spread = (index: number): string => `t${index % SPREAD}`;
  await run(simulator, "one tenant asks", { 1: few, [TENANTS]: many }, same);
  await run(simulator, `${SPREAD} tenants ask`, { [SPREAD]: some, [TENANTS]: many }, spread);
}

/** All of them share a key: metadata tells them apart. */
function withTenants(sample: ConfigDocument, count: number): ConfigDocument {
  const { acme } = sample.tenants;
  const [issuer] = sample.issuers;
  if (acme === undefined || issuer === undefined) throw new Error("the sample has changed");
  const ids = Array.from({ length: count }, (_, index) => `t${index}`);
  const tenants = ids.map((id) => [id, { ...acme, origins: [`https://${id}.example.com`] }]);
  return {
    ...sample,
    issuers: [{ ...issuer, tenant: { claim: "org_id", allow: ids } }],
    tenants: Object.fromEntries(tenants),
  };
}

async function timeApply(config: ConfigDocument): Promise<void> {
  const kv = await openLocalKv(join(folder, "applied"));
  const options = { all: false, thorough: false, done: () => undefined };
  const timed = async (): Promise<number> => {
    const startedAt = performance.now();
    await write(kv, await compare(kv, pairsOf(config), options));
    return (performance.now() - startedAt) / 1_000;
  };
  const first = await timed();
  const again = await timed();
  await kv.close();
  console.log(
    `apply of ${TENANTS} tenants to the local KV, read back: ${first.toFixed(1)} s; once more: ${again.toFixed(1)} s`,
  );
}

async function serve(name: string, config: ConfigDocument): Promise<string> {
  const gateway = await startGateway({
    config,
    secrets: SAMPLE_SECRETS,
    secretsSource: "the sample",
    port: await freePort(),
    persist: join(folder, name),
    onLine: () => undefined,
  });
  running.push(gateway);
  return gateway.origin;
}

/** `gateways`: by how many tenants they have; the smaller first. */
async function run(
  simulator: Server,
  name: string,
  gateways: Readonly<Record<number, string>>,
  tenantFor: (index: number) => string,
): Promise<void> {
  const tokens = new Map<string, string>();
  const times = Object.entries(gateways).map(([tenants, origin]) => ({
    tenants: Number(tenants),
    origin,
    taken: [] as number[],
  }));
  // The first is to warm up.
  for (let block = -1; block < BLOCKS; block += 1) {
    const first = (block + 1) * CANCELS_EACH;
    for (const { origin, taken } of times) {
      const measured = await cancels(simulator, origin, tokens, (index) =>
        tenantFor(first + index),
      );
      if (block >= 0) taken.push(...measured);
    }
  }
  const [one, all] = times.map(({ taken }) => median(taken));
  const figures = times.map(({ tenants, taken }) => `of ${tenants}: ${median(taken).toFixed(2)}`);
  const ratio = (all ?? 0) / (one ?? 1);
  console.log(`${name.padEnd(20)} ${figures.join("   ")}   ratio ${ratio.toFixed(3)}`);
}

async function cancels(
  simulator: Server,
  origin: string,
  tokens: Map<string, string>,
  tenantFor: (index: number) => string,
): Promise<number[]> {
  const asked = [];
  for (let index = 0; index < CANCELS_EACH; index += 1) {
    const tenant = tenantFor(index);
    const wish = { sub: "ann", tenant, scope: "runs:cancel" };
    const token = tokens.get(tenant) ?? (await tokenFrom(simulator.origin, wish, SAMPLE_AUDIENCE));
    tokens.set(tenant, token);
    const key = SAMPLE_SECRETS.UPSTREAM_KEY_ACME;
    const metadata = { tenant, user: "ann" };
    asked.push({ token, ...(await startRun(simulator.origin, { key, metadata, runMs: RUN_MS })) });
  }
  const times = [];
  for (const { token, threadId, runId } of asked) {
    const startedAt = performance.now();
    const response = await fetch(`${origin}/v1/threads/${threadId}/runs/${runId}/cancel`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
    await response.text();
    times.push(performance.now() - startedAt);
    if (response.status !== 200) throw new Error(`a cancel answered ${response.status}`);
  }
  return times;
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}
