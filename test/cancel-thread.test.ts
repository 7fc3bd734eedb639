// Stop for a page that knows no run's id: every active run of the thread, each by its own right.
import { describe, expect, it } from "vitest";
import { createGraphs, GRAPHS, type GraphRun } from "./support/graphs.ts";
import {
  ADA,
  ANN,
  createHarness,
  GUS,
  type Json,
  type Person,
  SAM,
  withTenant,
} from "./support/harness.ts";

interface List {
  readonly object: string;
  readonly data: readonly { readonly id: string; readonly status: string }[];
  readonly first_id: string | null;
  readonly last_id: string | null;
  readonly has_more: boolean;
  readonly errors?: readonly {
    readonly run_id: string;
    readonly audit_id: string;
    readonly error: Json;
  }[];
}

const owned = (thread: string, id: string, user = "ann", status = "running"): GraphRun => ({
  thread,
  id,
  status,
  metadata: { tenant: "acme", user },
});

/** acme on a server with these runs. */
async function graphsWith(runs: readonly GraphRun[], members: Json = {}) {
  const graphs = createGraphs(runs);
  const gateway = await createHarness({
    config: (config) => {
      const upstreams = {
        ...(config["upstreams"] as Json),
        graphs: { kind: "langgraph", base_url: GRAPHS },
      };
      return withTenant("acme", { upstream: "graphs", ...members })({ ...config, upstreams });
    },
    network: () => graphs.fetch,
  });
  return { graphs, gateway, ...stopperOf(gateway) };
}

function stopperOf(gateway: Awaited<ReturnType<typeof createHarness>>) {
  const stop = async (thread: string, person: Person = ANN, init: RequestInit = {}) =>
    await gateway.request(`/v1/threads/${thread}/cancel`, {
      method: "POST",
      ...init,
      headers: {
        authorization: `Bearer ${await gateway.tokenFor(person)}`,
        ...(init.headers as Record<string, string>),
      },
    });
  return { stop };
}

let threads = 0;
function unique(): string {
  threads += 1;
  return `thread_${threads}`;
}

describe("a thread with one active run", () => {
  it("is stopped on the threads wire, and the list says so", async () => {
    const gateway = await createHarness();
    const { stop } = stopperOf(gateway);
    const ids = await gateway.startRun();
    const response = await stop(ids.thread);
    expect(response.status).toBe(200);
    const list: List = await response.json();
    expect(list).toEqual({
      object: "list",
      data: [expect.objectContaining({ id: ids.run, object: "thread.run", status: "cancelling" })],
      first_id: ids.run,
      last_id: ids.run,
      has_more: false,
    });
    expect(Object.keys(list.data[0] ?? {})).toHaveLength(27);
    const [event] = await gateway.eventsOf(ids);
    expect(response.headers.get("audit-id")).toBe(event?.id);
    expect(response.headers.get("cancel-outcome")).toBe("cancelling");
    expect(event).toMatchObject({
      type: "cancel",
      decision: { allowed: true, rule: "owner" },
      request: { route: "POST /v1/threads/:thread_id/cancel" },
    });
  });

  it("is waited for when that is wished", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun({ timing: { cancelling_ms: 50 } });
    const response = await stopperOf(gateway).stop(ids.thread, ANN, {
      headers: { prefer: "wait=5" },
    });
    expect(response.headers.get("preference-applied")).toBe("wait=5");
    expect(response.headers.get("cancel-outcome")).toBe("cancelled");
    expect(((await response.json()) as List).data[0]?.status).toBe("cancelled");
  });
});

describe("several active runs", () => {
  it("are all stopped, those that wait for their turn first", async () => {
    const thread = unique();
    const { graphs, gateway, stop } = await graphsWith([
      owned(thread, `${thread}_b`),
      owned(thread, `${thread}_a`, "ann", "pending"),
      owned(thread, `${thread}_done`, "ann", "success"),
    ]);
    const response = await stop(thread);
    const list: List = await response.json();
    expect(list.data.map(({ id, status }) => [id, status])).toEqual([
      [`${thread}_a`, "cancelled"],
      [`${thread}_b`, "cancelled"],
    ]);
    expect([list.first_id, list.last_id, list.errors]).toEqual([
      `${thread}_a`,
      `${thread}_b`,
      undefined,
    ]);
    expect(response.headers.get("cancel-outcome")).toBe("cancelled, cancelled");
    const ids = await Promise.all(
      list.data.map(async ({ id }) => (await gateway.eventsOf({ thread, run: id }))[0]?.id),
    );
    expect(response.headers.get("audit-id")).toBe(ids.join(", "));
    // Not side by side: what waits for the one at work must not begin when that one ends.
    const lines = graphs.lines.map((line) => line.replace(/\?.*/, ""));
    const done = lines.lastIndexOf(`GET /threads/${thread}/runs/${thread}_a`);
    const next = lines.indexOf(`POST /threads/${thread}/runs/${thread}_b/cancel`);
    expect(lines.filter((line) => line.endsWith("/cancel"))).toHaveLength(2);
    expect(done).toBeLessThan(next);
  });

  it("of others are left alone and not mentioned, and that is on record once", async () => {
    const thread = unique();
    const mine = owned(thread, `${thread}_mine`);
    const theirs = owned(thread, `${thread}_theirs`, "bob");
    const foreign = {
      ...theirs,
      id: `${thread}_foreign`,
      metadata: { tenant: "globex", user: "ann" },
    };
    const nobodys = { ...theirs, id: `${thread}_nobodys`, metadata: {} };
    const { graphs, gateway, stop } = await graphsWith([theirs, mine, foreign, nobodys]);
    const response = await stop(thread);
    const text = await response.text();
    expect(JSON.parse(text).data.map(({ id }: { id: string }) => id)).toEqual([mine.id]);
    for (const { id, status } of [theirs, foreign, nobodys]) {
      expect(text).not.toContain(id);
      expect(status).toBe("running");
      expect(await gateway.eventsOf({ thread, run: id })).toEqual([]);
    }
    const { data } = await gateway.events(await gateway.tokenFor(ADA));
    const denied = data.filter(
      ({ type, target }) => type === "denied" && target.thread_id === thread,
    );
    expect(denied).toMatchObject([
      { target: { run_id: null }, decision: { code: "run_not_found" } },
    ]);
    // The lists have shown whose they are: none was read for that.
    const asked = graphs.lines.filter((line) => !line.includes("/runs?"));
    expect(asked.map((line) => line.split("?")[0])).toEqual([
      `POST /threads/${thread}/runs/${mine.id}/cancel`,
      `GET /threads/${thread}/runs/${mine.id}`,
    ]);
  });

  it("of others do not stand before one's own, however many they are", async () => {
    const thread = unique();
    const theirs = Array.from({ length: 60 }, (_, index) =>
      owned(thread, `${thread}_${index}`, "bob"),
    );
    const { stop } = await graphsWith([...theirs, owned(thread, `${thread}_mine`)]);
    const list: List = await (await stop(thread)).json();
    expect(list.data.map(({ id }) => id)).toEqual([`${thread}_mine`]);
    expect(list.has_more).toBe(false);
    const another: List = await (await stop(thread, { ...ANN, sub: "eve" })).json();
    expect(another).toEqual({ ...another, data: [], has_more: false });
    expect(theirs.every(({ status }) => status === "running")).toBe(true);
  });

  it("are stopped by a rule that wants a reason, which is on each record", async () => {
    const thread = unique();
    const runs = [owned(thread, `${thread}_1`), owned(thread, `${thread}_2`, "bob")];
    const { gateway, stop } = await graphsWith(runs);
    const without = await stop(thread, SAM);
    expect(without.status).toBe(400);
    expect(await without.json()).toMatchObject({ error: { code: "reason_required" } });
    const init = {
      body: JSON.stringify({ reason: "runaway" }),
      headers: { "content-type": "application/json" },
    };
    const list: List = await (await stop(thread, SAM, init)).json();
    expect(list.data).toHaveLength(2);
    for (const { id } of runs) {
      const [event] = await gateway.eventsOf({ thread, run: id });
      expect(event).toMatchObject({ type: "cancel", reason: "runaway" });
    }
  });

  it("that fail are told one by one beside those that do not", async () => {
    const thread = unique();
    const { graphs, gateway, stop } = await graphsWith([
      owned(thread, `${thread}_1`),
      owned(thread, `${thread}_2`),
    ]);
    graphs.override = (line) =>
      line.includes(`${thread}_1/cancel`) ? new Response("canary", { status: 401 }) : null;
    const response = await stop(thread);
    expect(response.status).toBe(200);
    const list: List = await response.json();
    expect(list.data.map(({ id }) => id)).toEqual([`${thread}_2`]);
    const [event] = await gateway.eventsOf({ thread, run: `${thread}_1` });
    expect(list.errors).toEqual([
      {
        run_id: `${thread}_1`,
        audit_id: event?.id,
        error: {
          message: expect.stringContaining("credential"),
          type: "server_error",
          param: null,
          code: "upstream_rejected_credentials",
        },
      },
    ]);
    expect(event?.outcome?.result).toBe("upstream_rejected_credentials");
  });

  it("that all fail are one error", async () => {
    const thread = unique();
    const { graphs, stop } = await graphsWith([owned(thread, `${thread}_1`)]);
    graphs.override = (line) =>
      line.includes("/cancel") ? new Response("", { status: 401 }) : null;
    const response = await stop(thread);
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({
      error: { code: "upstream_rejected_credentials" },
    });
    expect(response.headers.get("audit-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("are at most twenty in one call, which says that there are more", async () => {
    const thread = unique();
    const runs = Array.from({ length: 25 }, (_, index) => owned(thread, `${thread}_${index}`));
    const { graphs, stop } = await graphsWith(runs);
    const first: List = await (await stop(thread)).json();
    expect([first.data.length, first.has_more]).toEqual([20, true]);
    const second: List = await (await stop(thread)).json();
    expect([second.data.length, second.has_more]).toEqual([5, false]);
    expect(graphs.lines.filter((line) => line.includes("/cancel"))).toHaveLength(25);
  });
});

describe("a thread without runs to stop", () => {
  it("is the same empty list, be it unknown, idle or another's", async () => {
    const [idle, foreign, unknown] = [unique(), unique(), unique()];
    const { stop } = await graphsWith([
      owned(idle, `${idle}_1`, "ann", "success"),
      owned(foreign, `${foreign}_1`, "bob"),
    ]);
    const replies = await Promise.all(
      [idle, foreign, unknown].map(async (thread) => {
        const response = await stop(thread);
        const headers = [...response.headers].filter(([name]) => name !== "x-request-id");
        return { status: response.status, headers, body: await response.text() };
      }),
    );
    expect(JSON.parse(replies[0]?.body ?? "")).toEqual({
      object: "list",
      data: [],
      first_id: null,
      last_id: null,
      has_more: false,
    });
    expect(new Set(replies.map((reply) => JSON.stringify(reply))).size).toBe(1);
  });

  it("is not asked for on behalf of a caller without a rule", async () => {
    const thread = unique();
    const { graphs, stop } = await graphsWith([owned(thread, `${thread}_1`)]);
    const response = await stop(thread, ADA);
    expect(response.status).toBe(403);
    expect(graphs.lines).toEqual([]);
  });

  it("has an id that is none", async () => {
    const { graphs, stop } = await graphsWith([]);
    for (const id of ["a~b", "%252e", "x".repeat(1_025), "a%2Fb"]) {
      const response = await stop(id);
      expect(await response.json()).toMatchObject({ error: { code: "run_not_found" } });
    }
    expect(graphs.lines).toEqual([]);
  });
});

describe("a list that cannot be had", () => {
  it("fails as a whole, and the attempt is on record", async () => {
    const thread = unique();
    const { graphs, gateway, stop } = await graphsWith([owned(thread, `${thread}_1`)]);
    graphs.override = (line) =>
      line.includes("/runs?") ? new Response("canary", { status: 500 }) : null;
    const response = await stop(thread);
    expect([response.status, await response.json()]).toEqual([
      502,
      { error: expect.objectContaining({ code: "upstream_error" }) },
    ]);
    const { data } = await gateway.events(await gateway.tokenFor(ADA));
    const denied = data.find(({ target }) => target.thread_id === thread);
    expect(denied).toMatchObject({ type: "denied", target: { run_id: null } });
  });

  it.each([
    ["no list", '{"canary":1}'],
    ["no JSON", "<html>canary</html>"],
  ])("has %s in it", async (_, body) => {
    const thread = unique();
    const { graphs, stop } = await graphsWith([]);
    graphs.override = () => new Response(body);
    expect(await (await stop(thread)).json()).toMatchObject({ error: { code: "upstream_error" } });
  });

  it("is not there on the Responses API, unless the tenant keeps a registry", async () => {
    const gateway = await createHarness();
    const response = await stopperOf(gateway).stop("thread_1", GUS);
    expect(response.status).toBe(501);
    expect(await response.json()).toMatchObject({
      error: { code: "unsupported_by_upstream", message: expect.stringContaining("by its id") },
    });
  });
});

describe("a run of which it cannot be read whose it is", () => {
  it("is told without its id", async () => {
    const thread = unique();
    const runs = [owned(thread, `${thread}_1`), owned(thread, `${thread}_2`)];
    // What a list of turns shows is not all: the session has to be read, and that fails.
    const graphs = createGraphs(runs);
    const session = { id: thread, metadata: { tenant: "acme", user: "ann" } };
    const turns = runs.map(({ id }) => ({ id, session_id: thread, status: "in_progress" }));
    let fails = true;
    const gateway = await createHarness({
      config: (config) => {
        const agents = { kind: "openai-agents", base_url: GRAPHS };
        const upstreams = { ...(config["upstreams"] as Json), agents };
        return withTenant("acme", { upstream: "agents" })({ ...config, upstreams });
      },
      network: () => async (input, init) => {
        const { pathname } = new URL(String(input));
        if (init?.method === "POST") return new Response(null, { status: 202 });
        if (pathname.endsWith("/turns")) return Response.json({ data: turns });
        const turn = turns.find(({ id }) => pathname.endsWith(`/turns/${id}`));
        if (turn !== undefined) return Response.json(turn);
        return fails ? new Response("canary", { status: 500 }) : Response.json(session);
      },
    });
    const { stop } = stopperOf(gateway);
    const failed = await stop(thread);
    expect(failed.status).toBe(502);
    expect(await failed.clone().text()).not.toContain(thread);
    fails = false;
    const list: List = await (await stop(thread)).json();
    expect(list.data.map(({ status }) => status)).toEqual(["cancelling", "cancelling"]);
    expect(graphs.lines).toEqual([]);
  });
});

describe("a registry", () => {
  const registry = withTenant("globex", { ownership: { source: "registry" } });
  const BACKEND: Person = { tenant: "globex", sub: "backend", scope: "runs:register" };

  it("knows the runs of a thread where the upstream does not", async () => {
    const gateway = await createHarness({ config: registry });
    const { stop } = stopperOf(gateway);
    const thread = unique();
    const register = async (run: string, subject: string, on = thread) => {
      const response = await gateway.request(`/v1/threads/${on}/runs/${run}/owner`, {
        method: "PUT",
        body: JSON.stringify({ subject }),
        headers: {
          authorization: `Bearer ${await gateway.tokenFor(BACKEND)}`,
          "content-type": "application/json",
        },
      });
      expect(response.status).toBe(204);
    };
    const [mine, theirs, ended, elsewhere] = [
      await gateway.startResponse(),
      await gateway.startResponse(),
      await gateway.startResponse({ timing: { run_ms: 0 } }),
      await gateway.startResponse(),
    ];
    await register(mine.run, "gus");
    await register(theirs.run, "gil");
    await register(ended.run, "gus");
    await register("resp_unknown", "gus");
    await register(elsewhere.run, "gus", `${thread}0`);
    const list: List = await (await stop(thread, GUS)).json();
    expect(list.data.map(({ id, status }) => [id, status])).toEqual([[mine.run, "cancelled"]]);
    expect(list.errors).toBeUndefined();
    expect((await gateway.cancelsSent()).join()).toBe(`/responses/v1/responses/${mine.run}/cancel`);
    // Whose they are is known before any of them is read.
    await gateway.forgetCalls();
    expect(await (await stop(thread, { ...GUS, sub: "eve" })).json()).toMatchObject({ data: [] });
    expect(await gateway.calls()).toEqual([]);
  });

  it("finds a run that goes on behind many that have ended", async () => {
    const gateway = await createHarness({ config: registry });
    const { stop } = stopperOf(gateway);
    const thread = unique();
    const register = async (run: string) =>
      await gateway.request(`/v1/threads/${thread}/runs/${run}/owner`, {
        method: "PUT",
        body: '{"subject":"gus"}',
        headers: {
          authorization: `Bearer ${await gateway.tokenFor(BACKEND)}`,
          "content-type": "application/json",
        },
      });
    const oldest = await gateway.startResponse();
    await register(oldest.run);
    for (let count = 0; count < 30; count += 1) {
      await register((await gateway.startResponse({ timing: { run_ms: 0 } })).run);
    }
    const list: List = await (await stop(thread, GUS)).json();
    expect([list.data.map(({ id }) => id), list.has_more]).toEqual([[oldest.run], false]);
  });
});
