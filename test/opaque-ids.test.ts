// Ids are opaque: whatever a server makes of them, within the letters that a path takes, they work on every
// route and over every upstream, and no two are taken for one another.
import { reset } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { UPSTREAMS } from "../src/upstreams/index.ts";
import type { Upstream } from "../src/upstreams/upstream.ts";
import {
  ADA,
  ANN,
  byCredential,
  createHarness,
  type Harness,
  type Json,
  type Person,
  withTenant,
} from "./support/harness.ts";
import { seen } from "./support/reply.ts";
import { REPLIES } from "./upstreams/replies/index.ts";

// What one upstream was told is remembered by the tenant's ledger, whatever its upstream.
afterEach(async () => {
  await reset();
});

const LITELLM = `resp_v3:gcm:${"aB3-_".repeat(86)}==`;
const IDS = [
  LITELLM,
  `resp_${"Zm9v".repeat(53)}=`,
  "a:b",
  "a.b",
  "..a",
  "a+b",
  "=",
  ":",
  "x".repeat(1_024),
];
const BAD = ["....", "x".repeat(1_025), "a%2fb", "a%20b", "a~b", "a%25b", "%c3%a9", "a,b"];

const BACKEND: Person = { tenant: "acme", sub: "backend", scope: "runs:register" };
/** Below the base URL: the list's name, the thread, the runs' name and the run, and what is done with it. */
const PLACE =
  /^\/(?:(?:threads|agents\/sessions)\/([^/]+)(?:\/events|\/(?:runs|turns)(?:\/([^/]+))?)?|(?:responses|interactions)\/([^/]+))(?:\/cancel)?$/;

/** A server of that kind that has whatever is asked for, says so in its own members, and notes what it was asked. */
function serverOf(adapter: Upstream) {
  const asked: { thread: string | null; run: string | null }[] = [];
  /** The threads, or the runs without one, of which something was cancelled. */
  const stopped = new Set<string | null>();
  const decoded = (part: string | undefined) =>
    part === undefined ? null : decodeURIComponent(part);
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const { method, url } = new Request(input, init);
    const [, thread, run, alone] =
      PLACE.exec(url.slice(baseUrlOf(adapter).length).split("?")[0] ?? "") ?? [];
    const ids = { thread: decoded(thread), run: decoded(run ?? alone) };
    asked.push(ids);
    if (method === "POST") stopped.add(ids.thread ?? ids.run);
    const word = adapter.kind === "langgraph" ? "interrupted" : "cancelled";
    const status = stopped.has(ids.thread ?? ids.run) ? word : "in_progress";
    const { thread: thread_id, run: id } = ids;
    return Response.json({ id, run_id: id, thread_id, session_id: thread_id, status, data: [] });
  };
  return { asked, fetch };
}

function baseUrlOf({ kind }: Upstream): string {
  return REPLIES.get(kind)?.baseUrl ?? "";
}

async function open(adapter: Upstream, members: Json = {}) {
  const server = serverOf(adapter);
  const gateway = await createHarness({
    network: () => server.fetch,
    config: (config) => {
      const entry = { kind: adapter.kind, base_url: baseUrlOf(adapter) };
      const upstreams = { ...(config["upstreams"] as Json), own: entry };
      return withTenant("acme", { upstream: "own", ...members })(
        byCredential("acme")({ ...config, upstreams }),
      );
    },
  });
  return { server, gateway };
}

async function ask(
  gateway: Harness,
  method: string,
  path: string,
  person: Person,
  { body, claims }: { body?: Json; claims?: Json } = {},
): Promise<Response> {
  const headers: Record<string, string> = {
    authorization: `Bearer ${await gateway.tokenFor(person, claims)}`,
  };
  if (body !== undefined) headers["content-type"] = "application/json";
  return await gateway.request(path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

describe.each(UPSTREAMS)("$kind", (adapter) => {
  it.each(IDS)("stops and reads a run, on a thread, of the id %s", async (id) => {
    const { server, gateway } = await open(adapter);
    for (const path of [`/v1/threads/${id}/runs/${id}`, `/v1/threads/thread_1/runs/${id}`]) {
      expect((await ask(gateway, "GET", path, ANN)).status).toBe(200);
      server.asked.length = 0;
      const response = await ask(gateway, "POST", `${path}/cancel`, ANN);
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ id, status: "cancelled" });
      expect(server.asked.some(({ run }) => run === id)).toBe(true);
      for (const { thread, run } of server.asked) {
        expect([null, id]).toContain(run);
        expect([null, id, "thread_1"]).toContain(thread);
      }
    }
    const events = (await gateway.events(await gateway.tokenFor(ADA))).data;
    expect(events.map(({ target }) => target.run_id).slice(0, 2)).toEqual([id, id]);
    expect(events.map(({ target }) => target.thread_id).slice(0, 2)).toEqual(["thread_1", id]);
  });
});

const responses = UPSTREAMS.find(({ toResponse }) => toResponse !== undefined) as Upstream;
const assistants = UPSTREAMS.find(({ kind }) => kind === "assistants") as Upstream;

describe.each(IDS)("the id %s", (id) => {
  it("stops and reads a response, and is what the client sees", async () => {
    const { gateway } = await open(responses);
    for (const [method, path] of [
      ["GET", `/v1/responses/${id}`],
      ["POST", `/v1/responses/${id}/cancel`],
      ["POST", `/v1/responses/${encodeURIComponent(id)}/cancel`],
    ] as const) {
      const response = await ask(gateway, method, path, ANN);
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ id, object: "response" });
    }
  });

  it("is registered as somebody's, and found again on its thread", async () => {
    const rules = [{ id: "owner", scopes: ["runs:cancel"], runs: "own" }];
    const { gateway } = await open(assistants, { ownership: { source: "registry" }, rules });
    const path = `/v1/threads/${id}/runs/${id}`;
    const body = { subject: "ann" };
    expect((await ask(gateway, "PUT", `${path}/owner`, BACKEND, { body })).status).toBe(204);
    expect((await ask(gateway, "POST", `${path}/cancel`, ANN)).status).toBe(200);
    const eve = { ...ANN, sub: "eve" };
    expect((await ask(gateway, "POST", `${path}/cancel`, eve)).status).toBe(404);
    const thread = await ask(gateway, "POST", `/v1/threads/${id}/cancel`, ANN);
    expect(thread.status).toBe(200);
  });

  it("is granted, alone or with its thread, and explained", async () => {
    const rules = [{ id: "granted", scopes: ["runs:cancel"], runs: "own" }];
    const { gateway } = await open(responses, { ownership: { source: "grant" }, rules });
    const grantOf = (members: Json) => ({
      claims: { authorization_details: [{ type: "run_cancel", ...members }] },
    });
    const own = grantOf({ run_id: id });
    expect((await ask(gateway, "GET", `/v1/responses/${id}`, ANN, own)).status).toBe(200);
    expect((await ask(gateway, "GET", "/v1/responses/other", ANN, own)).status).toBe(404);
    const both = grantOf({ thread_id: id, run_id: id });
    const path = `/v1/threads/${id}/runs/${id}/cancel`;
    expect((await ask(gateway, "POST", path, ANN, both)).status).toBe(200);
    const body = { thread_id: id, run_id: id };
    const explained = await ask(gateway, "POST", "/v1/policy/explain", ANN, { ...both, body });
    expect(await explained.json()).toMatchObject({ allowed: true, rule: "granted" });
  });
});

describe("what is no id", () => {
  it.each(BAD)("'%s' is the same bytes as an unknown one, and nothing is sent", async (id) => {
    const { server, gateway } = await open(responses, {
      ownership: { source: "registry" },
      rules: [{ id: "owner", scopes: ["runs:cancel"], runs: "own" }],
    });
    const unknown = await seen(await ask(gateway, "GET", "/v1/responses/unknown", ANN));
    expect(await seen(await ask(gateway, "GET", `/v1/responses/${id}`, ANN))).toEqual(unknown);
    expect(server.asked).toEqual([]);
  });
});

describe("registrations on threads whose ids begin alike", () => {
  it("are each thread's own", async () => {
    const rules = [{ id: "owner", scopes: ["runs:cancel"], runs: "own" }];
    const { gateway, server } = await open(responses, { ownership: { source: "registry" }, rules });
    const threads = ["a", "a.", "a:", "a+", "a=", "a0", "a-", "aa", "A"];
    for (const thread of threads) {
      const path = `/v1/threads/${thread}/runs/run${thread}/owner`;
      const body = { subject: "ann" };
      expect((await ask(gateway, "PUT", path, BACKEND, { body })).status).toBe(204);
    }
    for (const thread of threads) {
      server.asked.length = 0;
      const response = await ask(gateway, "POST", `/v1/threads/${thread}/cancel`, ANN);
      const { data }: { data: Json[] } = await response.json();
      expect(data.map(({ id }) => id)).toEqual([`run${thread}`]);
    }
  });
});
