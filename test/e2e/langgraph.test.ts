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
  readonly threads: {
    create(): Promise<{ thread_id: string }>;
    get(thread: string): Promise<{ status: string }>;
  };
  readonly runs: {
    create(thread: string, graph: string, options: unknown): Promise<{ run_id: string }>;
    get(thread: string, run: string): Promise<{ status: string }>;
  };
}

interface RunList {
  readonly object: string;
  readonly data: readonly { readonly id: string; readonly status: string }[];
  readonly first_id: string | null;
  readonly last_id: string | null;
  readonly has_more: boolean;
  readonly errors?: readonly {
    readonly run_id: string;
    readonly audit_id: string | null;
    readonly error: unknown;
  }[];
}

interface AuditRow {
  readonly id: string;
  readonly type: string;
  readonly target: { readonly run_id: string | null };
  readonly decision: { readonly code: string | null };
  readonly outcome: { readonly result: string } | null;
}

let identity: Upstream;
let server: Awaited<ReturnType<typeof startLangGraph>>;
let gateway: BlackBox;
let sdk: Sdk;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let ticks: string;

/** What the audit log has to say at the end, by run: a result, or the code of a refusal. */
const onRecord = new Map<string, string[]>();
/** Of a thread, not of a run: others' runs were left alone. */
const OTHERS_LEFT = "others' runs";

function expectOnRecord(run: string, ...results: string[]): void {
  onRecord.set(run, [...(onRecord.get(run) ?? []), ...results]);
}
/** The runs by the `audit-id` that a reply gave. */
const auditIds = new Map<string, string>();

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
  const { acme, globex } = config.tenants;
  gateway = await startBlackBox({
    config: {
      ...config,
      upstreams: {
        graphs: { kind: "langgraph", base_url: server.url },
        deleting: { kind: "langgraph", base_url: server.url, action: "rollback" },
      },
      tenants: {
        acme: { ...acme, upstream: "graphs" },
        globex: { ...globex, upstream: "deleting", accepts_deletion: true },
      },
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

const OWN = "runs:cancel";
const BOTH = "runs:cancel runs:cancel:support";
/** Where a run is at work, the server needs a moment to end it. */
const PATIENTLY = { headers: { Prefer: "wait=10" } };

const token = (sub: string, scope = OWN, tenant = "acme") => identity.token({ sub, tenant, scope });
const runsAs = (apiKey: string) =>
  new OpenAI({ baseURL: `${gateway.origin}/v1`, apiKey }).beta.threads.runs;

async function ask(
  path: string,
  apiKey: string,
  { method = "POST", body, prefer }: { method?: string; body?: unknown; prefer?: string } = {},
) {
  const response = await fetch(`${gateway.origin}/v1/threads/${path}`, {
    method,
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(prefer === undefined ? {} : { prefer }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const { status, headers } = response;
  return { status, headers, text: await response.text() };
}

/** Stop for a whole thread; keeps what the reply says is on record. */
async function stopThread(thread: string, apiKey: string, rest: Parameters<typeof ask>[2] = {}) {
  const { status, headers, text } = await ask(`${thread}/cancel`, apiKey, rest);
  expect(status).toBe(200);
  const list = JSON.parse(text) as RunList;
  const listed = (name: string) => headers.get(name)?.split(", ") ?? [];
  const ids = listed("audit-id");
  expect(ids).toHaveLength(list.data.length);
  for (const [at, { id }] of list.data.entries()) auditIds.set(ids[at] ?? "", id);
  for (const { run_id, audit_id } of list.errors ?? []) auditIds.set(audit_id ?? "", run_id);
  return { list, outcomes: listed("cancel-outcome"), headers, text };
}

interface Wish {
  readonly on?: string;
  /** Null: whoever started the run attached nothing. */
  readonly metadata?: Readonly<Record<string, string>> | null;
  readonly afterSeconds?: number;
}

/** A run that has a thread to itself, or waits behind those that are `on` it. */
async function start(graph: string, user: string, { on, metadata, afterSeconds }: Wish = {}) {
  const thread_id = on ?? (await sdk.threads.create()).thread_id;
  const { run_id } = await sdk.runs.create(thread_id, graph, {
    input: {},
    multitaskStrategy: "enqueue",
    ...(metadata === null ? {} : { metadata: metadata ?? { tenant: "acme", user } }),
    ...(afterSeconds === undefined ? {} : { afterSeconds }),
  });
  return { thread_id, run_id };
}

const ticksOf = async (run: string) =>
  (await readFile(ticks, "utf8").catch(() => "")).split("\n").filter((line) => line.includes(run));
const statusOf = async ({ thread_id, run_id }: Awaited<ReturnType<typeof start>>) =>
  (await sdk.runs.get(thread_id, run_id)).status;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** All of a reply that must not tell one case from another. */
const facesOf = (replies: readonly Awaited<ReturnType<typeof ask>>[]) =>
  replies.map(({ status, headers, text }) => {
    const shown = [...headers].filter(([name]) => !["x-request-id", "date"].includes(name));
    return JSON.stringify([status, shown.toSorted(), text]);
  });

describe("LangGraph's own server", () => {
  it("stops a graph that sleeps a minute, and the Run says cancelled", async () => {
    const { thread_id, run_id } = await start("sleeper", "ann");
    await until(async () => (await ticksOf(run_id)).length >= 2);

    const runs = runsAs(await token("ann"));
    const { data: run, response } = await runs
      .cancel(run_id, { thread_id }, PATIENTLY)
      .withResponse();
    expect(run).toMatchObject({ id: run_id, thread_id, object: "thread.run", status: "cancelled" });
    expect(run.cancelled_at).toBeGreaterThan(0);
    expect(Object.keys(run)).toHaveLength(27);
    expect(response.headers.get("cancel-outcome")).toBe("cancelled");
    expect(response.headers.get("preference-applied")).toBe("wait=10");
    expectOnRecord(run_id, "cancelled");

    await until(async () => (await ticksOf(run_id)).some((line) => line.endsWith("stopped")));
    const stoppedAt = (await ticksOf(run_id)).length;
    await pause(1_500);
    expect(await ticksOf(run_id)).toHaveLength(stoppedAt);
    expect(await statusOf({ thread_id, run_id })).toBe("interrupted");
  });

  it("still calls it cancelled when it is read later, and when Stop is pressed again", async () => {
    const { thread_id, run_id } = await start("sleeper", "ann");
    const runs = runsAs(await token("ann"));
    const first = await runs.cancel(run_id, { thread_id }, PATIENTLY);
    const later = await runs.retrieve(run_id, { thread_id });
    expect(later).toEqual(first);
    const { data: again, response } = await runs.cancel(run_id, { thread_id }).withResponse();
    expect(again).toEqual(first);
    expect(response.headers.get("cancel-outcome")).toBe("already_cancelled");
    expectOnRecord(run_id, "cancelled", "already_cancelled");
  });

  it("says what it knows at once to someone who does not wait", async () => {
    const { thread_id, run_id } = await start("sleeper", "ann");
    await until(async () => (await ticksOf(run_id)).length >= 1);
    const { status, headers, text } = await ask(
      `${thread_id}/runs/${run_id}/cancel`,
      await token("ann"),
      { prefer: "wait=0" },
    );
    expect(status).toBe(200);
    // The server ends it a moment after its reply; which of the two is read is a race.
    const outcome = headers.get("cancel-outcome") ?? "";
    expect(["cancelled", "cancelling"]).toContain(outcome);
    expect(JSON.parse(text)).toMatchObject({ id: run_id, status: outcome });
    expect(headers.get("preference-applied")).toBe("wait=0");
    expectOnRecord(run_id, outcome);
  });

  it("stops a run that waits behind another, and leaves the other to go on", async () => {
    const ahead = await start("sleeper", "ann");
    const behind = await start("sleeper", "ann", { on: ahead.thread_id });
    await until(async () => (await ticksOf(ahead.run_id)).length >= 1);
    expect(await statusOf(behind)).toBe("pending");

    const runs = runsAs(await token("ann"));
    const { thread_id } = ahead;
    const { data: run, response } = await runs.cancel(behind.run_id, { thread_id }).withResponse();
    expect(run).toMatchObject({ id: behind.run_id, status: "cancelled", started_at: null });
    expect(response.headers.get("cancel-outcome")).toBe("cancelled");
    expect(await statusOf(ahead)).toBe("running");

    expect((await runs.cancel(ahead.run_id, { thread_id }, PATIENTLY)).status).toBe("cancelled");
    expect(await ticksOf(behind.run_id)).toEqual([]);
    expectOnRecord(behind.run_id, "cancelled");
    expectOnRecord(ahead.run_id, "cancelled");
  });

  it("stops a run whose time has not come, and it never comes", async () => {
    const delayed = await start("sleeper", "ann", { afterSeconds: 2 });
    const { thread_id, run_id } = delayed;
    const runs = runsAs(await token("ann"));
    expect((await runs.retrieve(run_id, { thread_id })).status).toBe("queued");
    const { data: run, response } = await runs.cancel(run_id, { thread_id }).withResponse();
    expect(run.status).toBe("cancelled");
    expect(response.headers.get("cancel-outcome")).toBe("cancelled");
    await pause(3_500);
    expect(await ticksOf(run_id)).toEqual([]);
    expect(await statusOf(delayed)).toBe("interrupted");
    expectOnRecord(run_id, "cancelled");
  });

  it("tells a run that has completed from one that was cancelled", async () => {
    const finished = await start("quick", "ann");
    const { thread_id, run_id } = finished;
    await until(async () => (await statusOf(finished)) === "success");
    const runs = runsAs(await token("ann"));
    const { data: run, response } = await runs.cancel(run_id, { thread_id }).withResponse();
    expect(run.status).toBe("completed");
    expect(response.headers.get("cancel-outcome")).toBe("already_completed");
    expectOnRecord(run_id, "already_completed");
  });

  it("takes a run that waits for a human for completed, as the server does", async () => {
    const asking = await start("human", "ann");
    const { thread_id, run_id } = asking;
    await until(async () => (await statusOf(asking)) === "success");
    const runs = runsAs(await token("ann"));
    const { data: run, response } = await runs.cancel(run_id, { thread_id }).withResponse();
    expect(run).toMatchObject({ status: "completed", required_action: null });
    expect(response.headers.get("cancel-outcome")).toBe("already_completed");
    expectOnRecord(run_id, "already_completed");
    // The question stands: only the thread knows of it.
    expect((await sdk.threads.get(thread_id)).status).toBe("interrupted");
  });
});

describe("whose run it is, by its metadata", () => {
  it("leaves another person's run alone", async () => {
    const bobs = await start("sleeper", "bob");
    const { thread_id, run_id } = bobs;
    const attempt = runsAs(await token("ann")).cancel(run_id, { thread_id });
    await expect(attempt).rejects.toMatchObject({ status: 404, code: "run_not_found" });
    await until(async () => (await statusOf(bobs)) === "running");
    await runsAs(await token("bob")).cancel(run_id, { thread_id }, PATIENTLY);
    expectOnRecord(run_id, "run_not_found", "cancelled");
  });

  it("lets support stop another's run, and wants to know why", async () => {
    const { thread_id, run_id } = await start("sleeper", "bob", { afterSeconds: 60 });
    const path = `${thread_id}/runs/${run_id}/cancel`;
    const ada = await token("ada", "runs:cancel:support");
    const unexplained = await ask(path, ada);
    expect(unexplained.status).toBe(400);
    expect(JSON.parse(unexplained.text)).toMatchObject({
      error: { code: "reason_required", param: "reason" },
    });
    const explained = await ask(path, ada, { body: { reason: "Bob rang: it spends money." } });
    expect(explained.status).toBe(200);
    expect(explained.headers.get("cancel-outcome")).toBe("cancelled");
    expectOnRecord(run_id, "reason_required", "cancelled");
  });

  it.each([
    ["none at all", null],
    ["no tenant's name", { user: "ann" }],
    ["another tenant's name", { tenant: "globex", user: "ann" }],
  ])("tells nobody of a run whose metadata has %s", async (_, metadata) => {
    const nobodys = await start("sleeper", "ann", { metadata, afterSeconds: 60 });
    const path = `${nobodys.thread_id}/runs/${nobodys.run_id}`;
    const support = await token("ada", BOTH);
    const replies = [
      await ask(path, await token("ann"), { method: "GET" }),
      await ask(`${path}/cancel`, await token("ann")),
      await ask(path, support, { method: "GET" }),
      await ask(`${path}/cancel`, support, { body: { reason: "It spends money." } }),
    ];
    expect(replies.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
    expect(await statusOf(nobodys)).toBe("pending");
    expectOnRecord(nobodys.run_id, ...Array(4).fill("run_not_found"));
  });

  it("takes a run that names its tenant and no person for support's to stop, and nobody's own", async () => {
    const metadata = { tenant: "acme" };
    const { thread_id, run_id } = await start("sleeper", "ann", { metadata, afterSeconds: 60 });
    const path = `${thread_id}/runs/${run_id}/cancel`;
    expect((await ask(path, await token("ann"))).status).toBe(404);
    const body = { reason: "It spends money." };
    const stopped = await ask(path, await token("ada", "runs:cancel:support"), { body });
    expect(stopped.headers.get("cancel-outcome")).toBe("cancelled");
    expectOnRecord(run_id, "run_not_found", "cancelled");
  });

  it("answers for an unknown run, a malformed id and a foreign run in the same bytes", async () => {
    const { thread_id } = await sdk.threads.create();
    const bobs = await start("sleeper", "bob", { afterSeconds: 60 });
    const unknown = crypto.randomUUID();
    const paths = [
      `${thread_id}/runs/${unknown}`,
      `${unknown}/runs/${unknown}`,
      `${thread_id}/runs/not-a-uuid`,
      `${thread_id}/runs/not~even~an~id`,
      `not-a-uuid/runs/${unknown}`,
      `${bobs.thread_id}/runs/${bobs.run_id}`,
      `${thread_id}/runs/${bobs.run_id}`,
    ];
    const ann = await token("ann");
    const faces: string[] = [];
    for (const path of paths) {
      faces.push(...facesOf([await ask(`${path}/cancel`, ann)]));
      faces.push(...facesOf([await ask(path, ann, { method: "GET" })]));
    }
    expect(new Set(faces).size).toBe(1);
    expect(faces[0]).toContain("run_not_found");
    expect(await statusOf(bobs)).toBe("pending");
    // Reads that are refused are on record too. What is no id at all names nothing to record.
    expectOnRecord(unknown, ...Array(6).fill("run_not_found"));
    expectOnRecord("not-a-uuid", ...Array(2).fill("run_not_found"));
    expectOnRecord(bobs.run_id, ...Array(4).fill("run_not_found"));
  });
});

describe("Stop for a whole thread", () => {
  it("stops all of a person's runs on it, those that wait first", async () => {
    const first = await start("sleeper", "ann");
    const { thread_id } = first;
    const second = await start("sleeper", "ann", { on: thread_id });
    const third = await start("sleeper", "ann", { on: thread_id });
    await until(async () => (await ticksOf(first.run_id)).length >= 1);

    const stopped = await stopThread(thread_id, await token("ann"), { prefer: "wait=10" });
    expect(stopped.list).toEqual({
      object: "list",
      data: [second, third, first].map(({ run_id }) =>
        expect.objectContaining({
          id: run_id,
          thread_id,
          object: "thread.run",
          status: "cancelled",
        }),
      ),
      first_id: second.run_id,
      last_id: first.run_id,
      has_more: false,
    });
    expect(stopped.outcomes).toEqual(["cancelled", "cancelled", "cancelled"]);
    expect(stopped.headers.get("preference-applied")).toBe("wait=10");

    for (const run of [first, second, third]) {
      expect(await statusOf(run)).toBe("interrupted");
      expectOnRecord(run.run_id, "cancelled");
    }
    expect((await stopThread(thread_id, await token("ann"))).list.data).toEqual([]);
    // Neither of them got its turn when the first one was stopped.
    await pause(1_200);
    expect(await ticksOf(second.run_id)).toEqual([]);
    expect(await ticksOf(third.run_id)).toEqual([]);
  });

  it("stops twenty at a time, and says that there are more", async () => {
    const { thread_id } = await sdk.threads.create();
    const ids: string[] = [];
    for (let nth = 0; nth < 21; nth += 1) {
      ids.push((await start("sleeper", "ann", { on: thread_id, afterSeconds: 60 })).run_id);
    }
    const ann = await token("ann");
    const most = await stopThread(thread_id, ann);
    expect(most.list.has_more).toBe(true);
    const rest = await stopThread(thread_id, ann);
    expect(rest.list.has_more).toBe(false);
    const stopped = [...most.list.data, ...rest.list.data];
    expect(stopped.map(({ id }) => id)).toEqual(ids);
    expect(new Set(stopped.map(({ status }) => status))).toEqual(new Set(["cancelled"]));
    for (const id of ids) expectOnRecord(id, "cancelled");
  });

  it("leaves others' runs on it alone and does not mention them", async () => {
    const anns = await start("sleeper", "ann");
    const { thread_id } = anns;
    const bobs = await start("sleeper", "bob", { on: thread_id });
    await until(async () => (await ticksOf(anns.run_id)).length >= 1);

    const stopped = await stopThread(thread_id, await token("ann"), { prefer: "wait=10" });
    expect(stopped.list.data.map(({ id }) => id)).toEqual([anns.run_id]);
    expect(stopped.text).not.toContain(bobs.run_id);
    expect(stopped.list).not.toHaveProperty("errors");
    await until(async () => (await ticksOf(bobs.run_id)).length >= 1);

    const his = await stopThread(thread_id, await token("bob"), { prefer: "wait=10" });
    expect(his.list.data.map(({ id }) => id)).toEqual([bobs.run_id]);
    expectOnRecord(anns.run_id, "cancelled");
    expectOnRecord(bobs.run_id, "cancelled");
    expectOnRecord(OTHERS_LEFT, "run_not_found");
  });

  it("answers for an unknown thread, a malformed id, a foreign and an idle one in the same bytes", async () => {
    const bobs = await start("sleeper", "bob", { afterSeconds: 60 });
    const done = await start("quick", "ann");
    await until(async () => (await statusOf(done)) === "success");
    const { thread_id: empty } = await sdk.threads.create();
    const ann = await token("ann");
    const threads = [crypto.randomUUID(), "not-a-uuid", bobs.thread_id, done.thread_id, empty];
    const replies: Awaited<ReturnType<typeof ask>>[] = [];
    for (const thread of threads) replies.push(await ask(`${thread}/cancel`, ann));
    expect(new Set(facesOf(replies)).size).toBe(1);
    expect(replies[0]?.status).toBe(200);
    expect(JSON.parse(replies[0]?.text ?? "")).toEqual({
      object: "list",
      data: [],
      first_id: null,
      last_id: null,
      has_more: false,
    });
    expect(await statusOf(bobs)).toBe("pending");
    expectOnRecord(OTHERS_LEFT, "run_not_found");
  });

  it("says which run it could not stop, and what for", async () => {
    const anns = await start("sleeper", "ann", { afterSeconds: 60 });
    const { thread_id } = anns;
    const bobs = await start("sleeper", "bob", { on: thread_id, afterSeconds: 60 });

    const support = await token("ann", BOTH);
    const partly = await stopThread(thread_id, support);
    expect(partly.list.data.map(({ id }) => id)).toEqual([anns.run_id]);
    expect(partly.list.errors).toEqual([
      {
        run_id: bobs.run_id,
        audit_id: expect.any(String),
        error: {
          message: expect.stringContaining("reason"),
          type: "invalid_request_error",
          param: "reason",
          code: "reason_required",
        },
      },
    ]);
    expect(await statusOf(bobs)).toBe("pending");

    const rest = await stopThread(thread_id, support, { body: { reason: "Bob is on holiday." } });
    expect(rest.list.data.map(({ id }) => id)).toEqual([bobs.run_id]);
    expect(rest.list).not.toHaveProperty("errors");
    expectOnRecord(anns.run_id, "cancelled");
    expectOnRecord(bobs.run_id, "reason_required", "cancelled");
  });

  it("is refused as a whole when none of its runs could be stopped", async () => {
    const { thread_id, run_id } = await start("sleeper", "bob", { afterSeconds: 60 });
    const { status, text } = await ask(`${thread_id}/cancel`, await token("ada", BOTH));
    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({ error: { code: "reason_required" } });
    expectOnRecord(run_id, "reason_required");
  });
});

describe("a tenant whose Stop rolls back", () => {
  const GLOBEX = { tenant: "globex", user: "ann" };

  it("has the server delete a run that waits, and shows it as it was, cancelled", async () => {
    const doomed = await start("sleeper", "ann", { metadata: GLOBEX, afterSeconds: 60 });
    const { thread_id, run_id } = doomed;
    const runs = runsAs(await token("ann", OWN, "globex"));
    const before = await runs.retrieve(run_id, { thread_id });
    const { data: run, response } = await runs.cancel(run_id, { thread_id }).withResponse();
    expect(run).toEqual({
      ...before,
      status: "cancelled",
      cancelled_at: expect.any(Number),
      expires_at: null,
    });
    expect(response.headers.get("cancel-outcome")).toBe("cancelled");
    await expect(statusOf(doomed)).rejects.toMatchObject({ status: 404 });

    const gone = { status: 404, code: "run_not_found" };
    await expect(runs.retrieve(run_id, { thread_id })).rejects.toMatchObject(gone);
    await expect(runs.cancel(run_id, { thread_id })).rejects.toMatchObject(gone);
    expectOnRecord(run_id, "cancelled", "run_not_found", "run_not_found");
  });

  // `langgraphjs dev` deletes only what waits, and calls a run that it rolls back `error`: nothing
  // tells it from one that failed by itself. The Python server deletes it.
  it("ends one that is at work, which this server keeps as failed, and does not claim it", async () => {
    const working = await start("sleeper", "ann", { metadata: GLOBEX });
    const { thread_id, run_id } = working;
    await until(async () => (await ticksOf(run_id)).length >= 1);
    const runs = runsAs(await token("ann", OWN, "globex"));
    const { data: run, response } = await runs
      .cancel(run_id, { thread_id }, PATIENTLY)
      .withResponse();
    expect(run.status).toBe("failed");
    expect(response.headers.get("cancel-outcome")).toBe("already_failed");
    expectOnRecord(run_id, "already_failed");
    await until(async () => (await ticksOf(run_id)).some((line) => line.endsWith("stopped")));
    expect(await statusOf(working)).toBe("error");
    expect((await runs.retrieve(run_id, { thread_id })).status).toBe("failed");
  });

  it("rolls back every run that waits on a thread", async () => {
    const first = await start("sleeper", "ann", { metadata: GLOBEX, afterSeconds: 60 });
    const { thread_id } = first;
    const on = { on: thread_id, metadata: GLOBEX, afterSeconds: 60 };
    const second = await start("sleeper", "ann", on);
    const stopped = await stopThread(thread_id, await token("ann", OWN, "globex"));
    expect(stopped.list.data).toMatchObject([
      { id: first.run_id, status: "cancelled" },
      { id: second.run_id, status: "cancelled" },
    ]);
    expect(stopped.outcomes).toEqual(["cancelled", "cancelled"]);
    for (const run of [first, second]) {
      await expect(statusOf(run)).rejects.toMatchObject({ status: 404 });
      expectOnRecord(run.run_id, "cancelled");
    }
  });

  it("does not reach into another tenant, whose runs are on the same server", async () => {
    const acmes = await start("sleeper", "ann", { afterSeconds: 60 });
    const { thread_id, run_id } = acmes;
    const globex = await token("ann", OWN, "globex");
    const attempt = runsAs(globex).cancel(run_id, { thread_id });
    await expect(attempt).rejects.toMatchObject({ status: 404, code: "run_not_found" });
    expect((await stopThread(thread_id, globex)).list.data).toEqual([]);
    expect(await statusOf(acmes)).toBe("pending");
    expectOnRecord(run_id, "run_not_found");
    expectOnRecord(OTHERS_LEFT, "run_not_found");
  });
});

describe("the audit log", () => {
  /** Of both tenants. */
  async function records(): Promise<readonly AuditRow[]> {
    const read = async (tenant: string) => {
      const response = await fetch(`${gateway.origin}/v1/audit/events?limit=200`, {
        headers: { authorization: `Bearer ${await token("ada", "audit:read", tenant)}` },
      });
      return ((await response.json()) as { data: AuditRow[] }).data;
    };
    return [...(await read("acme")), ...(await read("globex"))];
  }

  it("has all of it on record, run by run", async () => {
    const sorted = (runs: ReadonlyMap<string, readonly string[]>) =>
      Object.fromEntries([...runs].map(([run, results]) => [run, results.toSorted()]));
    const found = async () => {
      const byRun = new Map<string, string[]>();
      for (const { type, target, decision, outcome } of await records()) {
        const run = target.run_id ?? OTHERS_LEFT;
        byRun.set(run, [...(byRun.get(run) ?? []), outcome?.result ?? decision.code ?? type]);
      }
      return sorted(byRun);
    };
    // Refusals are recorded after the reply.
    await expect.poll(found, { timeout: 5_000 }).toEqual(sorted(onRecord));
  });

  it("has each run under the id that the reply gave for it", async () => {
    const runs = new Map((await records()).map(({ id, target }) => [id, target.run_id]));
    expect([...auditIds.keys()].map((id) => [id, runs.get(id)])).toEqual([...auditIds]);
  });
});
