// What LangGraph's words mean, told from the recordings of its own server and from its docs.
import { describe, expect, it, test } from "vitest";
import { langgraph } from "../../src/upstreams/langgraph.ts";
import { meaningOf } from "../../src/upstreams/read.ts";
import type { Reply, RunContext } from "../../src/upstreams/upstream.ts";
import { langgraphReplies } from "./replies/langgraph.ts";
import { type Exchange, plain, type WireReply } from "./replies/replies.ts";

const UPDATED_SECONDS = Date.parse("2026-11-22T18:29:06Z") / 1_000;
const SENT_SECONDS = UPDATED_SECONDS - 2;

function toRun(read: WireReply, target: Exchange["target"], cancelledAt: number | null = null) {
  return langgraph.toRun(JSON.parse(read.body), { ...target, cancelledAt });
}

function replyOf({ status, body }: WireReply): Reply {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    json = undefined;
  }
  return { status, text: body, body: json, origin: langgraphReplies.baseUrl };
}

describe("the recorded run", () => {
  const { active } = langgraphReplies;

  it("keeps its ids and its metadata, and has the rest from nobody", () => {
    expect(toRun(active.before, active.target)).toEqual({
      id: "01a20484-d900-70ee-939f-874047c80ca3",
      object: "thread.run",
      created_at: Date.parse("2026-11-22T18:29:04Z") / 1_000,
      thread_id: "01a20484-d8f7-76de-b543-d076dd056da3",
      assistant_id: "02afb2ea-2bbc-5326-9320-4fd170a6dffd",
      status: "in_progress",
      required_action: null,
      last_error: null,
      expires_at: null,
      started_at: null,
      cancelled_at: null,
      failed_at: null,
      completed_at: null,
      incomplete_details: null,
      model: "",
      instructions: "",
      tools: [],
      metadata: {
        created_by: "system",
        graph_id: "sleeper",
        assistant_id: "02afb2ea-2bbc-5326-9320-4fd170a6dffd",
        tenant: "acme",
        user: "user-1",
      },
      usage: null,
      temperature: null,
      top_p: null,
      max_prompt_tokens: null,
      max_completion_tokens: null,
      truncation_strategy: { type: "auto", last_messages: null },
      tool_choice: "auto",
      parallel_tool_calls: true,
      response_format: "auto",
    });
  });

  it("proves its owner by metadata that nothing was cut from", () => {
    const long = "x".repeat(2_000);
    expect(langgraph.metadata({ metadata: { tenant: "acme", long } })).toEqual({
      tenant: "acme",
      long,
    });
  });
});

describe("interrupted", () => {
  const { active, ended } = langgraphReplies;

  it("is cancelled, at the time of the cancel, when a cancel is known of", () => {
    expect(toRun(active.after, active.target, SENT_SECONDS)).toMatchObject({
      status: "cancelled",
      cancelled_at: SENT_SECONDS,
      completed_at: null,
    });
  });

  it("is cancelled, at its last change, when the server names a reason", () => {
    const body = active.after.body.replace("{", '{"cancel_reason":"taken",');
    expect(toRun({ ...active.after, body }, active.target)).toMatchObject({
      status: "cancelled",
      cancelled_at: UPDATED_SECONDS,
    });
  });

  it("is a run that waits for a human otherwise: Aegra has no other word for it", () => {
    const nullReason = active.after.body.replace("{", '{"cancel_reason":null,');
    for (const body of [active.after.body, nullReason]) {
      expect(toRun({ ...active.after, body }, active.target)).toMatchObject({
        status: "requires_action",
        required_action: null,
        cancelled_at: null,
      });
    }
  });

  it("says nothing of the other ends, even after a cancel", () => {
    const { completed, failed } = ended;
    for (const exchange of [completed, failed]) {
      if (exchange === null) expect.fail("recorded");
      const run = toRun(exchange.after, exchange.target, SENT_SECONDS);
      expect(run.status).not.toBe("cancelled");
      expect(run.cancelled_at).toBeNull();
    }
  });
});

describe("the other words", () => {
  const context: RunContext = { threadId: "t", runId: "r", cancelledAt: null };
  const run = (status: unknown) =>
    langgraph.toRun(
      { run_id: "r", thread_id: "t", status, updated_at: "2026-11-22T18:29:06.532+00:00" },
      context,
    );

  it("success is completed, when it last changed", () => {
    expect(run("success")).toMatchObject({ status: "completed", completed_at: UPDATED_SECONDS });
  });

  it("success is also a run that stopped to ask a human: its thread alone says so", () => {
    const { waiting } = langgraphReplies;
    if (waiting === null) expect.fail("recorded");
    expect(toRun(waiting.before, waiting.target).status).toBe("completed");
  });

  it("error is failed, without the text of the error", () => {
    expect(run("error")).toMatchObject({
      status: "failed",
      failed_at: UPDATED_SECONDS,
      last_error: { code: "server_error", message: "The run failed." },
    });
  });

  test.each([
    ["pending", "queued"],
    ["running", "in_progress"],
    ["timeout", "expired"],
  ])("%s is %s", (word, status) => {
    const times = { cancelled_at: null, failed_at: null, completed_at: null, last_error: null };
    expect(run(word)).toMatchObject({ status, ...times });
  });

  test.each(["paused", "", "constructor", "__proto__", undefined, null, 7])(
    "%s, which no server has, is a run that goes on",
    (word) => {
      expect(run(word).status).toBe("in_progress");
    },
  );
});

describe("a cancel", () => {
  const target = { threadId: "t", runId: "r" };

  it("never says how to wait: the JS server takes any word for yes", () => {
    expect(langgraph.cancel(target, { action: "interrupt" })).toEqual({
      method: "POST",
      path: ["threads", "t", "runs", "r", "cancel"],
      query: { action: "interrupt" },
    });
    expect(langgraph.cancel(target, {})).toEqual(langgraph.cancel(target, { action: "interrupt" }));
  });

  it("interrupts, unless the config wants a rollback, which deletes the run", () => {
    const { action } = langgraph.options;
    expect(langgraph.cancel(target, { action: "rollback" })).toEqual({
      ...langgraph.cancel(target, {}),
      query: { action: "rollback" },
    });
    expect(action?.parse(undefined)).toBe("interrupt");
    expect(action?.parse("rollback")).toBe("rollback");
    for (const other of ["cancel", "", "Rollback", null]) {
      expect(action?.safeParse(other).success).toBe(false);
    }
  });

  test.each([
    [undefined, false],
    ["interrupt", false],
    ["rollback", true],
  ])(
    "of action %s is preceded by a read, and leaves nothing to read after it: %s",
    (action, is) => {
      expect(langgraph.readsFirst({ action })).toBe(is);
      expect(langgraph.deletesRun({ action })).toBe(is);
    },
  );
});

describe("the key", () => {
  const { auth } = langgraph.options;

  it("goes as LangSmith wants it, or as a deployment's own authentication does", () => {
    const own = { header: "x-api-key", prefix: "" };
    expect(langgraph.credential({})).toEqual(own);
    expect(langgraph.credential({ auth: "x-api-key" })).toEqual(own);
    expect(langgraph.credential({ auth: "bearer" })).toEqual({
      header: "authorization",
      prefix: "Bearer ",
    });
  });

  it("goes no other way", () => {
    expect(auth?.parse(undefined)).toBe("x-api-key");
    for (const other of ["api-key", "basic", "", null]) {
      expect(auth?.safeParse(other).success).toBe(false);
    }
  });
});

describe("a refusal", () => {
  const [badRequest] = langgraphReplies.unfound.filter(({ name }) => name.includes("run id"));

  it("of an id that is no UUID is that of an unknown run, and none of its state", () => {
    if (badRequest === undefined) expect.fail("recorded");
    expect(badRequest.cancel.status).toBe(400);
    const meaning = (reply: WireReply) => meaningOf({ adapter: langgraph }, replyOf(reply));
    expect(meaning(badRequest.cancel)).toBe("run_not_found");
    const python = plain(422, '{"detail":"Invalid run ID: must be a UUID"}');
    expect(meaning(python)).toBe("run_not_found");
    // Only these two statuses are how a server puts it.
    expect(meaning({ ...python, status: 409 })).toBe("refused_by_state");
    expect(meaning({ ...python, status: 500 })).toBeNull();
  });

  it("of 409 is due to its state; what 400 and 422 are about, the run has to tell", () => {
    const meaning = (status: number) =>
      langgraph.meaning(replyOf(plain(status, "Run is not cancellable")));
    expect(meaning(409)).toBe("refused_by_state");
    for (const status of [400, 422]) expect(meaning(status)).toBeNull();
  });

  it("by an unknown route is none by an unknown run", () => {
    expect(langgraph.meaning(replyOf(plain(404, "404 Not Found")))).toBeNull();
    expect(langgraph.meaning(replyOf(plain(404, "Run not found")))).toBe("run_not_found");
    const python = plain(404, '{"detail":"No runs found to cancel."}');
    expect(langgraph.meaning(replyOf(python))).toBe("run_not_found");
  });

  test.each([200, 202, 204, 401, 403, 429, 500, 503])("of %i says nothing of the run", (status) => {
    expect(langgraph.meaning(replyOf(plain(status, "Run not found")))).toBeNull();
  });
});
