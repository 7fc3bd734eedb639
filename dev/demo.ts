// `npm run demo`: one Stop click from the button to the audit trail, in the real runtime, then exit.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import OpenAI, { APIError } from "openai";
import { readFlags } from "../cli/shell.ts";
import { chainDefects } from "../src/audit/chain.ts";
import { AuditEvent } from "../src/audit/event.ts";
import { startGateway } from "./local/gateway.ts";
import { SAMPLE_AUDIENCE, SAMPLE_SECRETS, sampleConfig } from "./local/sample.ts";
import { freePort, type Server } from "./local/server.ts";
import { type StartedRun, startRun, startSimulator, tokenFrom } from "./simulator/server.ts";

const RUN_MS = 60_000;
const RECORD_ATTEMPTS = 50;
const RECORD_PAUSE_MS = 100;

readFlags(
  new Command("npm run demo --").description(
    "Shows one Stop click from the button to the audit trail, in the real runtime, and ends.",
  ),
);
const folder = await mkdtemp(join(tmpdir(), "stopgate-demo-"));
const running: Server[] = [];
try {
  await demo();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await Promise.all(running.map((server) => server.stop()));
  await rm(folder, { recursive: true, force: true });
}

async function demo(): Promise<void> {
  say("Starting the gateway, a simulated upstream and a local issuer …");
  const simulator = await startSimulator(await freePort(), join(folder, "simulator"));
  running.push(simulator);
  const gateway = await startGateway({
    config: await sampleConfig(simulator.origin),
    secrets: SAMPLE_SECRETS,
    secretsSource: "the sample",
    port: await freePort(),
    persist: join(folder, "gateway"),
    onLine: () => undefined,
  });
  running.push(gateway);
  const token = (sub: string, tenant: string, scope: string): Promise<string> =>
    tokenFrom(simulator.origin, { sub, tenant, scope }, SAMPLE_AUDIENCE);

  say("acme's backend starts a run for Ann. It would take a minute.");
  const target = await startRun(simulator.origin, {
    key: SAMPLE_SECRETS.UPSTREAM_KEY_ACME,
    metadata: { tenant: "acme", user: "ann" },
    runMs: RUN_MS,
  });

  say("Gus of globex tries to stop it, with the stock openai client:");
  const refusal = await refusedAs(gateway, await token("gus", "globex", "runs:cancel"), target);
  show({ status: refusal.status, error: refusal.error });

  say("Ann presses Stop, with the same client and her own token:");
  const client = clientFor(gateway, await token("ann", "acme", "runs:cancel"));
  const { data: run, response } = await client.beta.threads.runs
    .cancel(target.runId, { thread_id: target.threadId }, { headers: { Prefer: "wait=10" } })
    .withResponse();
  show(run);
  console.log(`cancel-outcome: ${response.headers.get("cancel-outcome")}`);
  if (run.status !== "cancelled") throw new Error(`the run is ${run.status}, not cancelled`);

  for (const [auditor, tenant] of [
    ["ada", "acme"],
    ["gia", "globex"],
  ] as const) {
    say(`What ${tenant}'s auditor sees:`);
    const events = await eventsFor(gateway, await token(auditor, tenant, "audit:read"));
    for (const event of events) show(event);
    const defects = chainDefects(tenant, events);
    if (defects.length > 0) throw new Error(defects.join("; "));
    console.log(`The hash chain of ${tenant}, recomputed from the export, holds.`);
  }
  say("Done: one run stopped, one stranger refused, both on record.");
}

function clientFor(gateway: Server, token: string): OpenAI {
  return new OpenAI({ baseURL: `${gateway.origin}/v1`, apiKey: token });
}

async function refusedAs(
  gateway: Server,
  token: string,
  { threadId, runId }: StartedRun,
): Promise<APIError> {
  try {
    await clientFor(gateway, token).beta.threads.runs.cancel(runId, { thread_id: threadId });
  } catch (error) {
    if (error instanceof APIError) return error;
    throw error;
  }
  throw new Error("a stranger was let through");
}

/** What any verifier would have: the export. The outcome is recorded after the reply, so it may wait. */
async function eventsFor(gateway: Server, token: string): Promise<AuditEvent[]> {
  for (let attempt = 0; attempt < RECORD_ATTEMPTS; attempt += 1) {
    const response = await fetch(`${gateway.origin}/v1/audit/export`, {
      headers: { authorization: `Bearer ${token}` },
    });
    if (!response.ok) throw new Error(`export: ${response.status} ${await response.text()}`);
    const lines = (await response.text()).split("\n").filter((line) => line !== "");
    if (lines.length > 0) return lines.map((line) => AuditEvent.parse(JSON.parse(line)));
    await new Promise((resolve) => setTimeout(resolve, RECORD_PAUSE_MS));
  }
  throw new Error("the audit log stayed empty");
}

function say(sentence: string): void {
  console.log(`\n■ ${sentence}`);
}

function show(value: unknown): void {
  console.log(JSON.stringify(value, null, 2));
}
