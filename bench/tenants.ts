// `npm run bench:tenants`: what ten thousand tenants cost a cancel. Gateways in the real local runtime over
// one simulated upstream, with few tenants and with all; they are asked in turn, so that whatever else the
// machine does hits both. Figures are for this machine, ratios travel.
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { startGateway } from "../dev/local/gateway.ts";
import { SAMPLE_AUDIENCE, SAMPLE_SECRETS, sampleConfig } from "../dev/local/sample.ts";
import { freePort, type Server } from "../dev/local/server.ts";
import { startRun, startSimulator, tokenFrom } from "../dev/simulator/server.ts";
import type { ConfigDocument } from "../src/config/schema.ts";

const TENANTS = Number(process.env["TENANTS"] ?? 10_000);
const BLOCKS = Number(process.env["BLOCKS"] ?? 40);
const CANCELS_EACH = 25;
/** So many are met where each asks once: with those of the block that warms up. */
const MET = (BLOCKS + 1) * CANCELS_EACH;
const RUN_MS = 30 * 60_000;
const GATEWAY = join(import.meta.dirname, "../cli/gateway.ts");

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
  const machine = cpus();
  console.log(
    `${machine.length} cores, ${machine[0]?.model ?? "unknown"}, Node ${process.version}`,
  );
  await timeApply(all);
  const one = await serve("one", withTenants(sample, 1));
  const met = await serve("met", withTenants(sample, MET + 1));
  const many = await serve("all", all);

  console.log(`\np50 of a cancel in ms, ${BLOCKS} blocks of ${CANCELS_EACH}, one connection\n`);
  await run(simulator, "one tenant, warm", { 1: one, [TENANTS]: many }, () => "t0");
  // Whoever is met for the first time costs a read of KV and a new ledger, wherever it is.
  const next = (index: number): string => `t${(index + 1) % TENANTS}`;
  await run(simulator, "each another, cold", { [MET + 1]: met, [TENANTS]: many }, next);
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

/** By the command, into the folder that the gateway with all of them serves from. */
async function timeApply(config: ConfigDocument): Promise<void> {
  const file = join(folder, "gateway.json");
  const timed = async (what: string, document: ConfigDocument): Promise<void> => {
    await writeFile(file, JSON.stringify(document));
    const startedAt = performance.now();
    const to = ["--local", "--persist", join(folder, "all")];
    const child = spawn(process.execPath, [GATEWAY, "apply", file, ...to, "--yes"], {
      stdio: "ignore",
    });
    const code = await new Promise((resolve) => child.on("close", resolve));
    if (code !== 0) throw new Error(`apply ended with ${code}`);
    const seconds = (performance.now() - startedAt) / 1_000;
    console.log(`apply of ${TENANTS} tenants, ${what}: ${seconds.toFixed(1)} s`);
  };
  const { t0, ...others } = config.tenants;
  if (t0 === undefined) throw new Error("there is no first tenant");
  const off = { ...config, tenants: { t0: { ...t0, enabled: false }, ...others } };
  await timed("the first time", off);
  await timed("one of them changed", config);
  await timed("nothing changed", config);
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
    // Now the one first, now the other.
    for (const { origin, taken } of block % 2 === 0 ? times : times.toReversed()) {
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
