// Stop for a thread with many runs, or heavy ones: its list is read in small pages, as far as needed and no further.
import { reset } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { ANN, createHarness, type Json, type Person, SAM, withTenant } from "./support/harness.ts";

// That a run was cancelled is remembered by the tenant's ledger.
afterEach(async () => {
  await reset();
});

const BASE = "https://lists.test";
const THREAD = "thread_1";
const KB = 1_000;

interface Listed {
  readonly id: string;
  readonly user: string;
  /** What the run weighs, in bytes. */
  readonly bytes: number;
  status: string;
}

const run = (id: string, status: string, bytes = 0, user = "ann"): Listed => ({
  id,
  status,
  bytes,
  user,
});
const many = (count: number, make: (index: number) => Listed): Listed[] =>
  Array.from({ length: count }, (_, index) => make(index));

interface Server {
  readonly kind: "assistants" | "langgraph" | "openai-agents";
  /** In the order of the list. */
  readonly runs: readonly Listed[];
  /** The list is the oldest first, whatever is asked for. */
  readonly isAscending?: boolean;
  /** Answers a list in place of the server; null leaves it to the server. */
  readonly instead?: (query: URLSearchParams, runs: readonly Listed[]) => Response | null;
}

/** acme on a server that lists as its kind does. */
async function open({ kind, runs, isAscending = false, instead = () => null }: Server) {
  const lists: string[] = [];
  const cancels: string[] = [];
  const asJson = (listed: Listed) => {
    const { id, status, bytes, user } = listed;
    const age = isAscending ? -runs.indexOf(listed) : runs.indexOf(listed);
    return {
      ...{ id, run_id: id, thread_id: THREAD, session_id: THREAD, status, assistant_id: "a" },
      ...{ metadata: { tenant: "acme", user }, created_at: 1_795_372_000 - age },
      kwargs: { input: "x".repeat(bytes) },
    };
  };
  const network: typeof fetch = async (input, init) => {
    const { method, url } = new Request(input, init);
    const { pathname, searchParams: query } = new URL(url);
    const id = /\/(?:runs|turns)\/([^/]+)/.exec(pathname)?.[1];
    const one = runs.find((listed) => listed.id === id);
    if (method === "POST") {
      const hit = one ?? runs.find(({ status }) => status === "in_progress");
      cancels.push(hit?.id ?? "none");
      if (hit !== undefined) hit.status = kind === "langgraph" ? "interrupted" : "cancelled";
      return kind === "assistants" && hit
        ? Response.json(asJson(hit))
        : new Response(null, { status: 202 });
    }
    if (one !== undefined) return Response.json(asJson(one));
    if (!/\/(runs|turns)$/.test(pathname)) {
      return Response.json({ id: THREAD, metadata: { tenant: "acme", user: "ann" } });
    }
    lists.push(query.toString());
    const answer = instead(query, runs);
    if (answer !== null) return answer;
    const limit = Number(query.get("limit"));
    if (kind === "langgraph") {
      const matching = runs.filter(({ status }) => status === query.get("status"));
      const from = Number(query.get("offset") ?? 0);
      return Response.json(matching.slice(from, from + limit).map(asJson));
    }
    const from = runs.findIndex((listed) => listed.id === query.get("after")) + 1;
    const data = runs.slice(from, from + limit).map(asJson);
    const has_more = from + limit < runs.length;
    return Response.json({ object: "list", data, has_more, last_id: data.at(-1)?.id });
  };
  const gateway = await createHarness({
    network: () => network,
    config: (config) => {
      const upstreams = { ...(config["upstreams"] as Json), lists: { kind, base_url: BASE } };
      return withTenant("acme", { upstream: "lists" })({ ...config, upstreams });
    },
  });
  const stop = async (person: Person = ANN, body?: Json) => {
    const response = await gateway.request(`/v1/threads/${THREAD}/cancel`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${await gateway.tokenFor(person)}`,
        "content-type": "application/json",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: Json & { data?: Json[] } = await response.json();
    return { status: response.status, answer, stopped: (answer.data ?? []).map(({ id }) => id) };
  };
  return { stop, lists, cancels };
}

describe("a list that is sorted by time, of runs of which the newest alone can be active", () => {
  it("is read no further than a page on which all have ended", async () => {
    const ended = many(99, (index) => run(`run_${index}`, "completed", 3_600));
    const { stop, lists } = await open({
      kind: "assistants",
      runs: [run("run_new", "in_progress", 3_600), ...ended],
    });
    expect((await stop()).stopped).toEqual(["run_new"]);
    expect(lists).toEqual(["order=desc&limit=20", "order=desc&after=run_18&limit=20"]);
    expect((await stop()).stopped).toEqual([]);
    expect(lists.slice(2)).toEqual(["order=desc&limit=20"]);
  });

  it.each(["assistants", "openai-agents"] as const)(
    "is followed where it is the oldest first, whatever was asked for (%s)",
    async (kind) => {
      const ended = many(29, (index) => run(`run_${index}`, "completed"));
      const runs = [...ended, run("run_new", "in_progress")];
      const { stop, lists } = await open({ kind, runs, isAscending: true });
      expect((await stop()).stopped).toEqual(["run_new"]);
      expect(lists).toHaveLength(2);
    },
  );

  it("is followed where runs go on side by side", async () => {
    const runs = many(30, (index) =>
      run(`run_${index}`, [0, 3, 25].includes(index) ? "in_progress" : "completed"),
    );
    const { stop } = await open({ kind: "assistants", runs });
    const { stopped, answer } = await stop();
    expect([stopped, answer["has_more"]]).toEqual([["run_0", "run_3", "run_25"], false]);
  });

  it("is followed while all of it still moves, as some servers allow", async () => {
    const runs = many(30, (index) =>
      run(`run_${index}`, "in_progress", 3_600, index < 25 ? "bob" : "ann"),
    );
    const { stop, lists } = await open({ kind: "assistants", runs });
    const { stopped } = await stop();
    expect(stopped).toEqual(many(5, (index) => run(`run_${25 + index}`, "")).map(({ id }) => id));
    expect(lists).toEqual(["order=desc&limit=20", "order=desc&after=run_19&limit=20"]);
  });

  it("may have sub-agents' turns that ended before the one at work", async () => {
    const runs = [
      ...many(19, (index) => run(`sub_${index}`, "completed")),
      run("turn_waiting", "waiting"),
      run("turn_1", "in_progress"),
    ];
    const { stop, lists } = await open({ kind: "openai-agents", runs });
    const { stopped } = await stop();
    expect(stopped).toContain("turn_1");
    expect(lists[1]).toBe("order=desc&after=turn_waiting&limit=20");
  });
});

describe("LangGraph's lists", () => {
  it("of heavy runs are read in pages, until enough are found to stop", async () => {
    const runs = many(60, (index) => run(`run_${index}`, "running", 300 * KB));
    const { stop, lists, cancels } = await open({ kind: "langgraph", runs });
    const { stopped, answer } = await stop();
    expect([stopped.length, answer["has_more"]]).toEqual([20, true]);
    expect(cancels).toHaveLength(20);
    expect(lists).toEqual([
      "status=pending&limit=20",
      "status=running&limit=20",
      "status=running&offset=20&limit=40",
    ]);
  });

  it("of runs that do not fit into one reply together are read in smaller pages", async () => {
    const runs = many(8, (index) => run(`run_${index}`, "running", 2_500 * KB));
    const { stop, lists } = await open({ kind: "langgraph", runs });
    expect((await stop()).stopped).toHaveLength(8);
    expect(lists.slice(1)).toEqual([
      "status=running&limit=20",
      "status=running&limit=5",
      "status=running&offset=5&limit=10",
    ]);
  });

  it("are looked through for one's own run, behind a hundred of others at most", async () => {
    const theirs = many(99, (index) => run(`bob_${index}`, "running", 10 * KB, "bob"));
    const { stop } = await open({ kind: "langgraph", runs: [...theirs, run("mine", "running")] });
    const { stopped, answer } = await stop();
    expect([stopped, answer["has_more"]]).toEqual([["mine"], false]);
    const crowd = many(150, (index) => run(`bob_${index}`, "running", 0, "bob"));
    const other = await open({ kind: "langgraph", runs: crowd });
    expect(await other.stop()).toMatchObject({ stopped: [], answer: { has_more: false } });
    expect(other.lists).toHaveLength(4);
  });

  it("that end at the bound are told of to those who may see all", async () => {
    const blocked = many(150, (index) => run(`bob_${index}`, "running", 0, "bob"));
    const { stop } = await open({ kind: "langgraph", runs: blocked });
    const { stopped, answer } = await stop(SAM, { reason: "runaway" });
    expect([stopped.length, answer["has_more"]]).toEqual([20, true]);
  });
});

describe("a page that fails", () => {
  const broken = (query: URLSearchParams) =>
    query.has("offset") ? new Response("canary", { status: 500 }) : null;

  it("after others were read leaves what was found to be stopped, and there may be more", async () => {
    const runs = many(30, (index) => run(`run_${index}`, "running", 0, index < 3 ? "ann" : "bob"));
    const { stop } = await open({ kind: "langgraph", runs, instead: broken });
    const { status, stopped, answer } = await stop();
    expect([status, stopped, answer["has_more"]]).toEqual([200, ["run_0", "run_1", "run_2"], true]);
  });

  it("is told where nothing was found: the thread may have runs all the same", async () => {
    const runs = many(30, (index) => run(`run_${index}`, "running", 0, "bob"));
    const { stop } = await open({ kind: "langgraph", runs, instead: broken });
    expect(await stop()).toMatchObject({
      status: 502,
      answer: { error: { code: "upstream_error" } },
    });
  });

  it("is told where it is the first, and nothing is stopped", async () => {
    const runs = [run("run_1", "pending")];
    const instead = (query: URLSearchParams) =>
      query.get("status") === "running" ? new Response("", { status: 500 }) : null;
    const { stop, cancels } = await open({ kind: "langgraph", runs, instead });
    expect((await stop()).status).toBe(502);
    expect(cancels).toEqual([]);
  });

  it("by one run that is larger than any reply is an error, and no endless search", async () => {
    const { stop, lists } = await open({
      kind: "langgraph",
      runs: [run("run_1", "running", 17_000 * KB)],
    });
    expect((await stop(SAM, { reason: "runaway" })).status).toBe(502);
    expect(lists).toHaveLength(4);
    // Nothing proves that it is hers, so it might be another's.
    expect(await stop()).toMatchObject({ status: 200, answer: { data: [], has_more: false } });
  });
});

describe("a server that knows no pages", () => {
  it.each(["langgraph", "assistants"] as const)(
    "of the kind %s is asked twice at most",
    async (kind) => {
      const status = kind === "langgraph" ? "running" : "in_progress";
      const runs = many(30, (index) =>
        run(`run_${index}`, status, 0, index === 29 ? "ann" : "bob"),
      );
      const asJson = ({ id, user }: Listed) => ({
        ...{ id, run_id: id, thread_id: THREAD, status, metadata: { tenant: "acme", user } },
      });
      const all = runs.map(asJson);
      const { stop, lists } = await open({
        kind,
        runs,
        instead: (query) => {
          if (query.get("status") === "pending") return Response.json([]);
          return Response.json(kind === "langgraph" ? all : { data: all, has_more: true });
        },
      });
      expect((await stop()).stopped).toEqual(["run_29"]);
      expect(lists.filter((line) => !line.includes("pending"))).toHaveLength(2);
    },
  );
});
