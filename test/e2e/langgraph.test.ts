// Real input: LangGraph's own server runs a graph that sleeps a minute; the stock SDK starts it, the
// stock `openai` client stops it through the gateway.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../dev/local/server.ts";
import { startLangGraph } from "./langgraph/serve.ts";
import { type BlackBox, startBlackBox, temporaryFolder, until } from "./support/black-box.ts";
import { startUpstream, type Upstream } from "./support/sample.ts";

/** What the tests use of `@langchain/langgraph-sdk`, which only that folder has installed. */
interface Sdk {
  readonly threads: { create(): Promise<{ thread_id: string }> };
  readonly runs: {
    create(thread: string, graph: string, options: unknown): Promise<{ run_id: string }>;
    get(thread: string, run: string): Promise<{ status: string }>;
  };
}

let identity: Upstream;
let server: Awaited<ReturnType<typeof startLangGraph>>;
let gateway: BlackBox;
let sdk: Sdk;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let ticks: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  ticks = join(folder.path, "ticks.log");
  identity = await startUpstream();
  server = await startLangGraph({ port: await freePort(), env: { SLEEPER_LOG: ticks } });
  const inFolder = createRequire(join(import.meta.dirname, "langgraph/package.json"));
  const { Client } = inFolder("@langchain/langgraph-sdk") as {
    Client: new (options: { apiUrl: string }) => Sdk;
  };
  sdk = new Client({ apiUrl: server.url });
  const { config, secrets } = identity;
  const { acme } = config.tenants;
  gateway = await startBlackBox({
    config: {
      ...config,
      upstreams: { graphs: { kind: "langgraph", base_url: server.url } },
      tenants: { acme: { ...acme, upstream: "graphs" } },
    },
    secrets,
  });
}, 180_000);
afterAll(async () => {
  await gateway?.stop();
  await server?.stop();
  await identity?.stop();
  await folder?.remove();
});

const token = (sub: string, scope: string) => identity.token({ sub, tenant: "acme", scope });
const runsAs = (apiKey: string) =>
  new OpenAI({ baseURL: `${gateway.origin}/v1`, apiKey }).beta.threads.runs;

async function start(graph: string, user: string) {
  const { thread_id } = await sdk.threads.create();
  const options = { input: {}, metadata: { tenant: "acme", user } };
  const { run_id } = await sdk.runs.create(thread_id, graph, options);
  return { thread_id, run_id };
}

const ticksOf = async (run: string) =>
  (await readFile(ticks, "utf8").catch(() => "")).split("\n").filter((line) => line.includes(run));

describe("LangGraph's own server", () => {
  it("stops a graph that sleeps a minute, and the Run says cancelled", async () => {
    const { thread_id, run_id } = await start("sleeper", "ann");
    await until(async () => (await ticksOf(run_id)).length >= 2);

    const runs = runsAs(await token("ann", "runs:cancel"));
    const { data: run, response } = await runs
      .cancel(run_id, { thread_id }, { headers: { Prefer: "wait=10" } })
      .withResponse();
    expect(run).toMatchObject({ id: run_id, thread_id, object: "thread.run", status: "cancelled" });
    expect(run.cancelled_at).toBeGreaterThan(0);
    expect(Object.keys(run)).toHaveLength(27);
    expect(response.headers.get("cancel-outcome")).toBe("cancelled");

    await until(async () => (await ticksOf(run_id)).some((line) => line.endsWith("stopped")));
    const stoppedAt = (await ticksOf(run_id)).length;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await ticksOf(run_id)).toHaveLength(stoppedAt);
    expect((await sdk.runs.get(thread_id, run_id)).status).toBe("interrupted");
  });

  it("still calls it cancelled when it is read later, and when Stop is pressed again", async () => {
    const { thread_id, run_id } = await start("sleeper", "ann");
    const runs = runsAs(await token("ann", "runs:cancel"));
    const first = await runs.cancel(run_id, { thread_id }, { headers: { Prefer: "wait=10" } });
    const later = await runs.retrieve(run_id, { thread_id });
    expect(later).toEqual(first);
    const { data: again, response } = await runs.cancel(run_id, { thread_id }).withResponse();
    expect(again).toEqual(first);
    expect(response.headers.get("cancel-outcome")).toBe("already_cancelled");
  });

  it("leaves another person's run alone", async () => {
    const { thread_id, run_id } = await start("sleeper", "bob");
    const attempt = runsAs(await token("ann", "runs:cancel")).cancel(run_id, { thread_id });
    await expect(attempt).rejects.toMatchObject({ status: 404, code: "run_not_found" });
    await until(async () => (await sdk.runs.get(thread_id, run_id)).status === "running");
    await runsAs(await token("bob", "runs:cancel")).cancel(run_id, { thread_id });
  });

  it("tells a run that has completed from one that was cancelled", async () => {
    const { thread_id, run_id } = await start("quick", "ann");
    await until(async () => (await sdk.runs.get(thread_id, run_id)).status === "success");
    const runs = runsAs(await token("ann", "runs:cancel"));
    const { data: run, response } = await runs.cancel(run_id, { thread_id }).withResponse();
    expect(run.status).toBe("completed");
    expect(response.headers.get("cancel-outcome")).toBe("already_completed");
  });

  it("has all of it on record", async () => {
    const response = await fetch(`${gateway.origin}/v1/audit/events?limit=200`, {
      headers: { authorization: `Bearer ${await token("ada", "audit:read")}` },
    });
    const { data } = (await response.json()) as {
      data: { type: string; outcome: { result: string } | null }[];
    };
    const results = data.map(({ type, outcome }) => outcome?.result ?? type);
    expect(results.toSorted()).toEqual([
      "already_cancelled",
      "already_completed",
      "cancelled",
      "cancelled",
      "cancelled",
      "denied",
    ]);
  });
});
