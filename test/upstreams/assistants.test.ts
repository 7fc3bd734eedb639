// The threads/runs wire: whose texts mean that the run's state refuses, and whose that the API is gone;
// and the version that some servers want with every request.
import { describe, expect, it, test } from "vitest";
import { RunStatus } from "../../src/runs/run.ts";
import { assistants } from "../../src/upstreams/assistants.ts";
import type { Reply, UpstreamOptions, UpstreamRequest } from "../../src/upstreams/upstream.ts";

function reply(status: number, message: string, origin = "https://upstream.test"): Reply {
  const body = { error: { message, type: "invalid_request_error", param: null, code: null } };
  return { status, body, text: JSON.stringify(body), origin };
}

describe("a refusal by the run's state", () => {
  test.each(RunStatus.options)("names the state, such as %s", (status) => {
    const message = `Cannot cancel run with status '${status}'.`;
    expect(assistants.meaning(reply(400, message))).toBe("refused_by_state");
    // Without its full stop, as some clones write it.
    expect(assistants.meaning(reply(400, message.slice(0, -1)))).toBe("refused_by_state");
    for (const other of [200, 409, 422, 500]) {
      expect(assistants.meaning(reply(other, message))).toBeNull();
    }
  });

  test.each(["run run_1 cannot cancel", "run run_1 already cancel"])("is '%s'", (message) => {
    expect(assistants.meaning(reply(400, message))).toBe("refused_by_state");
  });

  test.each([
    "You must provide the 'OpenAI-Beta' header to access the Assistants API.",
    "The v1 Assistants API has been deprecated.",
    "Please say: Cannot cancel run with status 'completed'.",
    "",
  ])("is not '%s'", (message) => {
    expect(assistants.meaning(reply(400, message))).toBeNull();
  });
});

describe("a 404", () => {
  const OPENAI = "https://api.openai.com";

  test.each([
    "No thread found with id 'thread_1'.",
    "No run found with id 'run_1'.",
    "No assistant found with id 'asst_1'.",
  ])("that says '%s' is one of an unknown run, anywhere", (message) => {
    for (const origin of [OPENAI, "https://upstream.test"]) {
      expect(assistants.meaning(reply(404, message, origin))).toBe("run_not_found");
    }
  });

  it("that says anything else is the end of the API at OpenAI, and there alone", () => {
    const gone = reply(404, "Invalid URL (POST /v1/threads)", OPENAI);
    expect(assistants.meaning(gone)).toBe("upstream_retired");
    for (const origin of ["https://upstream.test", "https://api.openai.com.evil.test"]) {
      expect(assistants.meaning({ ...gone, origin })).toBe("run_not_found");
    }
    // In the words of the run's state it is neither of the run's state nor less of an end.
    const state = reply(404, "Cannot cancel run with status 'completed'.", OPENAI);
    expect(assistants.meaning(state)).toBe("upstream_retired");
  });

  it("and a 410 are the only statuses that can mean either", () => {
    expect(assistants.meaning(reply(410, "Gone.", OPENAI))).toBe("upstream_retired");
    for (const status of [200, 400, 401, 500]) {
      for (const message of ["Invalid URL (POST /v1/threads)", "No run found with id 'run_1'."]) {
        expect(assistants.meaning(reply(status, message, OPENAI))).toBeNull();
      }
    }
  });
});

describe("a version of the API", () => {
  const target = { threadId: "thread_1", runId: "run_1" };
  const { api_version: option } = assistants.options;

  /** Every request that the adapter can state. */
  function requests(options: UpstreamOptions): readonly UpstreamRequest[] {
    const list = assistants.list?.requests("thread_1", options) ?? [];
    expect(list).toHaveLength(1);
    return [assistants.cancel(target, options), assistants.read(target, options), ...list];
  }

  it("goes with every request, beside what the request asks for itself", () => {
    const sent = requests({ api_version: "2025-05-01" });
    expect(sent.map(({ query }) => query?.["api-version"])).toEqual(sent.map(() => "2025-05-01"));
    expect(sent[2]?.query).toEqual({ order: "desc", "api-version": "2025-05-01" });
  });

  it("goes with none when the config names none", () => {
    for (const { query } of requests({})) expect(query ?? {}).not.toHaveProperty("api-version");
    expect(option?.parse(undefined)).toBeUndefined();
  });

  it("changes nothing else about the requests", () => {
    const bare = (all: readonly UpstreamRequest[]) =>
      all.map(({ method, path, body }) => ({ method, path, body }));
    expect(bare(requests({ api_version: "v1" }))).toEqual(bare(requests({})));
    expect(bare(requests({}))).toEqual([
      { method: "POST", path: ["threads", "thread_1", "runs", "run_1", "cancel"] },
      { method: "GET", path: ["threads", "thread_1", "runs", "run_1"] },
      { method: "GET", path: ["threads", "thread_1", "runs"] },
    ]);
  });

  test.each(["v1", "2025-05-01", "2024-05-01-preview"])("may be '%s'", (version) => {
    expect(option?.parse(version)).toBe(version);
  });

  test.each(["", "v1&x=y", "v 1", "v1\n", "ü", "v".repeat(33), 1, null])(
    "may not be %j",
    (version) => {
      expect(option?.safeParse(version).success).toBe(false);
    },
  );
});

describe("the metadata", () => {
  it("proves the owner as it came, with nothing cut from it", () => {
    const metadata = { tenant: "acme", long: "x".repeat(2_000), number: 7 };
    expect(assistants.metadata({ metadata })).toBe(metadata);
    expect(assistants.metadata("nonsense")).toBeUndefined();
  });
});
