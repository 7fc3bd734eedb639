// What a network, or a server behind it, may do to a request: for every adapter, on the cancel and on the
// read. The listeners are Durable Objects, so that workerd's own `fetch` is what is tried.
import { describe, expect, it } from "vitest";
import { asRefusal } from "../../src/failure.ts";
import { UPSTREAMS } from "../../src/upstreams/index.ts";
import { readUpstreamRun } from "../../src/upstreams/read.ts";
import { cancelUpstreamRun, handedOn, readsFirst } from "../../src/upstreams/stop.ts";
import type { Upstream } from "../../src/upstreams/upstream.ts";
import { REPLIES } from "./replies/index.ts";
import { type Replies, SECRETS, type WireReply } from "./replies/replies.ts";
import { CONNECTION_LOST, connectionTo, encoded, gzip, listening, toolsWith } from "./support.ts";

/** Real time, for what hangs. */
const DEADLINE_MS = 250;

const bomb = await gzip(new Uint8Array(20 * 1024 * 1024));

type Fault = () => Response | Promise<Response>;

/** More than these tools read of a reply. Its status is known all the same. */
const TOO_LARGE: readonly string[] = ["300 KB", "a gzip bomb"];

/** What a request can meet, and what a read that meets it is refused with. */
const FAULTS: readonly [name: string, reason: string, Fault][] = [
  ["a reset before the status line", "upstream_unreachable", () => Promise.reject(CONNECTION_LOST)],
  ["a reset in the body", "upstream_unreachable", () => new Response(broken())],
  [
    "a server that hangs",
    "upstream_timeout",
    () => scheduler.wait(3_000).then(() => new Response()),
  ],
  ["a body that drips", "upstream_timeout", () => new Response(dripping())],
  ["300 KB", "upstream_error", () => Response.json("x".repeat(300 * 1024))],
  ["a gzip bomb", "upstream_error", () => encoded(bomb, "gzip")],
  ["a body that only says it is gzip", "upstream_error", () => encoded("canary", "gzip")],
];

function broken(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => {
      controller.enqueue(new TextEncoder().encode('{"canary":'));
    },
    pull: (controller) => controller.error(new Error("reset")),
  });
}

function dripping(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull: async (controller) => {
      await scheduler.wait(50);
      controller.enqueue(new TextEncoder().encode(" "));
    },
  });
}

function responseOf({ status, headers, body }: WireReply): Response {
  return new Response(body === "" ? null : body, { status, headers });
}

/** An upstream whose cancels and reads are answered as told; the last answer to a read stays. */
async function upstreamOf(
  replies: Replies,
  cancels: readonly (Fault | WireReply)[],
  reads: readonly (Fault | WireReply)[],
) {
  const left = { cancel: [...cancels], read: [...reads] };
  const lines: string[] = [];
  const beside = replies.alongside?.of(replies.active.target);
  const answers: (() => Response | Promise<Response>)[] = [];
  const listener = await listening(
    async ({ headers }) => (await answers[Number(headers.get("x-answer"))]?.()) ?? responseOf(LOST),
  );
  const upstream: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    const line = `${request.method} ${request.url}`;
    if (line === beside && replies.alongside) return responseOf(replies.alongside.reply);
    lines.push(line);
    const steps = request.method === "POST" ? left.cancel : left.read;
    const next = steps.length > 1 ? steps.shift() : steps[0];
    if (next === undefined) throw new Error("not expected");
    // A Durable Object cannot reset a connection, so that is done here.
    if (RESETS.includes(next)) return await (next as Fault)();
    request.headers.set("x-answer", String(answers.length));
    answers.push(typeof next === "function" ? next : () => responseOf(next));
    return await listener.fetch(request);
  };
  return { fetch: upstream, lines };
}

const LOST: WireReply = { status: 500, headers: {}, body: "" };
const RESETS: readonly unknown[] = FAULTS.slice(0, 2).map(([, , fault]) => fault);

function connected(adapter: Upstream, replies: Replies) {
  return connectionTo(adapter, replies.baseUrl, replies.options);
}

function expectNoSecret(made: unknown): void {
  // The message of an Error is no member that JSON would show.
  const text = JSON.stringify(made) + (made instanceof Error ? made.message : "");
  for (const secret of SECRETS) expect(text).not.toContain(secret);
}

describe.each(UPSTREAMS)("$kind", (adapter) => {
  const replies = REPLIES.get(adapter.kind);
  if (replies === undefined) throw new Error("no replies");
  const { target, before, cancel, after } = replies.active;
  const connection = connected(adapter, replies);
  // Where a run that waits has the same word, only an accepted cancel tells them apart.
  const { status } = adapter.toRun(JSON.parse(after.body), { ...target, cancelledAt: null });
  const saysCancelled = status === "cancelled";
  const first = readsFirst(connection, target) ? [before] : [];

  async function stop(
    cancels: readonly (Fault | WireReply)[],
    reads: readonly (Fault | WireReply)[],
  ) {
    const upstream = await upstreamOf(replies as Replies, cancels, [...first, ...reads]);
    const tools = toolsWith(upstream, null, DEADLINE_MS);
    const result = await cancelUpstreamRun(tools, connection, target, null);
    expectNoSecret(handedOn(result));
    const sent = upstream.lines.filter((line) => line.startsWith("POST")).length;
    expect(sent).toBeLessThanOrEqual(adapter.repeatsCancel ? 2 : 1);
    return { result, sent };
  }

  describe.each(FAULTS)("%s", (name, reason, fault) => {
    const isTooLarge = TOO_LARGE.includes(name);
    /** Where a 200 says that a cancel was taken, it says so whatever follows. */
    const isTaken = isTooLarge && !adapter.answersWhenDone;

    it("in answer to a cancel that was carried out: the run says so", async () => {
      const { result, sent } = await stop([fault, cancel], [after]);
      expect(result).toMatchObject({ outcome: "cancelled", run: { status: "cancelled" } });
      expect(sent).toBe(saysCancelled || isTaken ? 1 : 2);
    });

    it("in answer to a cancel that came too late: the run says so, and it is sent once", async () => {
      const { result, sent } = await stop([fault], [replies.lostRace.after]);
      expect(result).toMatchObject({ outcome: "already_completed", run: { status: "completed" } });
      expect(sent).toBe(1);
    });

    it("in answer to a cancel that did not arrive: it is sent once more, where that is safe", async () => {
      const { result, sent } = await stop([fault, cancel], [before, after]);
      if (isTaken) {
        expect(result).toMatchObject({ outcome: "cancelling", accepted: true });
        expect(sent).toBe(1);
      } else if (isTooLarge) {
        // It was answered well, so another is not sent for it.
        expect(result).toMatchObject({ outcome: "not_confirmed", accepted: false });
        expect(sent).toBe(1);
      } else if (adapter.repeatsCancel) {
        expect(["cancelled", "cancelling"]).toContain("run" in result ? result.outcome : result);
        expect(sent).toBe(2);
      } else {
        expect(result).toMatchObject({ outcome: "not_confirmed" });
        expect(sent).toBe(1);
      }
    });

    it("in answer to everything: nothing is claimed", async () => {
      const { result } = await stop([fault], [fault]);
      if (isTooLarge) {
        expect(result).toMatchObject({ outcome: "not_confirmed", run: { id: target.runId } });
        return;
      }
      expect("failure" in result && result.failure).toMatch(/^(outcome_unknown|upstream_)/);
    });

    it("in answer to a read: it is refused", async () => {
      const upstream = await upstreamOf(replies, [], [fault]);
      const tools = toolsWith(upstream, null, DEADLINE_MS);
      const refusal = await readUpstreamRun(tools, connection, target).catch(asRefusal);
      expect(refusal).toMatchObject({ reason });
      expectNoSecret(refusal);
    });
  });

  describe.each([301, 302, 303, 307, 308])("a redirect of %i to another listener", (status) => {
    const location = "https://elsewhere.test/canary";
    // It even looks like the run that was asked for.
    const away = { ...before, status, headers: { ...before.headers, location } };

    it("is not followed, with the key or without it", async () => {
      const asked: string[] = [];
      const { fetch } = await listening(({ method, url }) => {
        asked.push(new URL(url).origin);
        return method === "GET" && first.length > 0 ? responseOf(before) : responseOf(away);
      });
      const tools = toolsWith({ fetch });
      const result = await cancelUpstreamRun(tools, connection, target, null);
      expect(result).toMatchObject({ failure: "upstream_error", attempts: 1 });
      expectNoSecret(handedOn(result));
      expect(new Set(asked)).toEqual(new Set([new URL(replies.baseUrl).origin]));
    });

    it("of a read is not followed either", async () => {
      const asked: string[] = [];
      const { fetch } = await listening(({ url }) => {
        asked.push(new URL(url).origin);
        return responseOf(away);
      });
      const refusal = await readUpstreamRun(toolsWith({ fetch }), connection, target).catch(
        asRefusal,
      );
      expect(refusal).toMatchObject({ reason: "upstream_error" });
      expectNoSecret(refusal);
      expect(new Set(asked)).toEqual(new Set([new URL(replies.baseUrl).origin]));
    });
  });
});
