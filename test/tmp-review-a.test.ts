import { describe, expect, it } from "vitest";
import { asRefusal } from "../src/failure.ts";
import { geminiInteractions } from "../src/upstreams/gemini-interactions.ts";
import { createHealth } from "../src/upstreams/health.ts";
import { langgraph } from "../src/upstreams/langgraph.ts";
import { openaiAgents } from "../src/upstreams/openai-agents.ts";
import { cancelUpstreamRun } from "../src/upstreams/stop.ts";
import { createGraphs, GRAPHS, type GraphRun } from "./support/graphs.ts";
import {
  ADA,
  ANN,
  createHarness,
  GUS,
  type Json,
  type Person,
  withTenant,
} from "./support/harness.ts";
import { json, plain } from "./upstreams/replies/replies.ts";
import {
  answering,
  CONNECTION_LOST,
  connectionTo,
  scripted,
  toolsWith,
} from "./upstreams/support.ts";

const BEN: Person = { tenant: "acme", sub: "ben", scope: "runs:cancel" };
const owned = (thread: string, id: string, user = "ann", status = "running"): GraphRun => ({
  thread,
  id,
  status,
  metadata: { tenant: "acme", user },
});
async function graphsWith(runs: readonly GraphRun[], members: Json = {}, extra: Json = {}) {
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
    ...extra,
  });
  const stop = async (thread: string, person: Person = ANN, init: RequestInit = {}) =>
    await gateway.request(`/v1/threads/${thread}/cancel`, {
      method: "POST",
      ...init,
      headers: {
        authorization: `Bearer ${await gateway.tokenFor(person)}`,
        ...(init.headers as Record<string, string>),
      },
    });
  return { graphs, gateway, stop };
}
const show = async (name: string, r: Response) =>
  console.log(
    name,
    r.status,
    r.headers.get("cancel-outcome"),
    (await r.clone().text()).slice(0, 600),
  );

describe("review", () => {
  it("T5 lost cancel, not read before, langgraph waiting for a human", async () => {
    const T = { threadId: "t", runId: "r" };
    const run = json(200, JSON.stringify({ run_id: "r", thread_id: "t", status: "interrupted" }));
    for (const first of [json(500, "{}"), CONNECTION_LOST]) {
      const script = scripted([first, run, first, run]);
      const tools = toolsWith(script);
      const result = await cancelUpstreamRun(
        tools,
        connectionTo(langgraph, "https://g.test"),
        T,
        null,
      );
      console.log(
        "T5",
        JSON.stringify({ ...result, run: (result as any).run?.status }),
        script.lines(),
      );
    }
  });

  it("T5b end to end", async () => {
    const runs: GraphRun[] = [{ thread: "tb", id: "rb", status: "interrupted" }];
    const { graphs, gateway } = await graphsWith(runs, {
      ownership: { source: "credential" },
      rules: [{ id: "anyone", scopes: ["runs:cancel"], runs: "tenant" }],
    });
    const token = await gateway.tokenFor(ANN);
    graphs.override = (line) =>
      line.startsWith("POST") ? new Response("x", { status: 500 }) : null;
    await show("T5b first (500)", await gateway.cancel({ thread: "tb", run: "rb" }, token));
    graphs.override = () => null;
    await show("T5b read", await gateway.read({ thread: "tb", run: "rb" }, token));
    graphs.lines.length = 0;
    await show("T5b second", await gateway.cancel({ thread: "tb", run: "rb" }, token));
    console.log("T5b lines of second", graphs.lines);
  });

  it("T1 has_more oracle and starvation", async () => {
    const many = Array.from({ length: 21 }, (_, i) => owned("tf", `f${i}`, "ann"));
    const { stop, graphs } = await graphsWith([...many, owned("tf", "mine", "ben")]);
    await show("T1 foreign thread, ben", await stop("tf", BEN));
    console.log("T1 calls", graphs.lines.length);
    graphs.lines.length = 0;
    await show("T1 unknown thread, ben", await stop("nope", BEN));
    console.log("T1 calls unknown", graphs.lines.length);
  });

  it("T2 a read of a foreign run that fails is told", async () => {
    const { stop, graphs } = await graphsWith([
      owned("t2", "foreign1", "ann"),
      owned("t2", "mine", "ben"),
    ]);
    graphs.override = (line) =>
      line === "GET /threads/t2/runs/foreign1" ? new Response("x", { status: 500 }) : null;
    await show("T2 shared", await stop("t2", BEN));
    const b = await graphsWith([owned("t2b", "foreign2", "ann")]);
    b.graphs.override = (line) =>
      line === "GET /threads/t2b/runs/foreign2" ? new Response("x", { status: 500 }) : null;
    await show("T2 foreign only", await b.stop("t2b", BEN));
    await show("T2 unknown", await b.stop("t2c", BEN));
  });

  it("T3 stale failures re-open", () => {
    let now = 0;
    const h = createHealth(() => now);
    const stale = Array.from({ length: 30 }, () => h.admit());
    // the first five time out
    now = 7_000;
    for (const r of stale.slice(0, 5)) r(false);
    let open = false;
    try {
      h.admit();
    } catch {
      open = true;
    }
    now = 12_000;
    const probe = h.admit();
    probe(true);
    now = 13_900;
    for (const r of stale.slice(5, 10)) r(false);
    let again = false;
    try {
      h.admit();
    } catch {
      again = true;
    }
    console.log("T3 opened", open, "reopened by stale", again);
  });

  it("T4 words", async () => {
    const T = { threadId: "t", runId: "r" };
    const run = json(200, JSON.stringify({ run_id: "r", thread_id: "t", status: "running" }));
    const script = scripted([json(500, "{}"), run, run, run]);
    const tools = toolsWith(script);
    const connection = connectionTo(langgraph, "https://g.test");
    const withSleep = {
      ...tools,
      sleep: async (ms: number) => {
        await tools.sleep(ms);
        const h = tools.healthOf("https://g.test");
        const rs = Array.from({ length: 5 }, () => h.admit());
        for (const r of rs) r(false);
      },
    };
    console.log(
      "T4",
      JSON.stringify(await cancelUpstreamRun(withSleep, connection, T, null)),
      script.lines(),
    );
  });

  it("T8 one person's runs open the breaker for all", async () => {
    const T = (i: number) => ({ threadId: "t", runId: `r${i}` });
    const script = answering((r) =>
      r.method === "POST"
        ? json(504, "{}")
        : json(
            200,
            JSON.stringify({ run_id: r.url.split("/").at(-1), thread_id: "t", status: "running" }),
          ),
    );
    const tools = toolsWith(script);
    const connection = connectionTo(langgraph, "https://g.test");
    const all = await Promise.all(
      [1, 2, 3, 4, 5].map((i) => cancelUpstreamRun(tools, connection, T(i), null)),
    );
    console.log(
      "T8",
      all.map((r) => ("failure" in r ? r.failure : r.outcome)),
    );
    let open = false;
    try {
      tools.healthOf("https://g.test").admit();
    } catch {
      open = true;
    }
    console.log("T8 open for everybody", open);
  });

  it("T10 gemini: second click is a second blind cancel", async () => {
    const script = answering((r) => CONNECTION_LOST);
    const tools = toolsWith(script);
    const c = connectionTo(geminiInteractions, "https://g.test");
    const T = { threadId: "t", runId: "r" };
    await cancelUpstreamRun(tools, c, T, null);
    await cancelUpstreamRun(tools, c, T, null);
    console.log("T10", script.lines());
  });

  it("T12 agents: two queued", async () => {
    const turn = (id: string, status = "queued") => ({
      id,
      object: "agent.session.turn",
      session_id: "s",
      status,
      created_at: 1,
      subagent_id: null,
    });
    const lines: string[] = [];
    const script = answering((r) => {
      if (r.method === "POST") return json(200, "{}");
      if (/turns\?/.test(r.url))
        return json(200, JSON.stringify({ data: [turn("mine"), turn("other")] }));
      if (/turns\/mine/.test(r.url)) return json(200, JSON.stringify(turn("mine")));
      return json(200, JSON.stringify({ id: "s", metadata: {} }));
    });
    const tools = toolsWith(script);
    const r = await cancelUpstreamRun(
      tools,
      connectionTo(openaiAgents, "https://g.test"),
      { threadId: "s", runId: "mine" },
      null,
    );
    console.log("T12", "failure" in r ? r.failure : r.outcome, script.lines());
  });
});
