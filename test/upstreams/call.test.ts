// The bounds of every outbound request: where it may go, what it may carry, how long it may take and
// how much may come back. Listeners are Durable Objects, so that workerd's own `fetch` is what is tried.
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { asRefusal } from "../../src/failure.ts";
import { type CallTools, call, type UpstreamReply } from "../../src/upstreams/call.ts";
import { UPSTREAMS } from "../../src/upstreams/index.ts";
import { type Upstream, type UpstreamRequest, USUAL } from "../../src/upstreams/upstream.ts";
import { VERSION } from "../../src/version.ts";
import { json, KEY, plain } from "./replies/replies.ts";
import {
  answering,
  CONNECTION_LOST,
  connectionTo,
  encoded,
  gzip,
  keys,
  listening,
  NOW_SECONDS,
  type Script,
  scripted,
  toolsWith,
} from "./support.ts";

const BASE = "https://upstream.test/v1";
const READ: UpstreamRequest = { method: "GET", path: ["runs", "run_1"] };
const CANCEL: UpstreamRequest = { method: "POST", path: ["runs", "run_1", "cancel"] };
const NEVER = new AbortController().signal;

/** As plain as an adapter can be. Its key goes in a header that no runtime takes off by itself. */
const ADAPTER: Upstream = {
  ...USUAL,
  kind: "test",
  options: {},
  credential: () => ({ header: "x-api-key", prefix: "" }),
  headers: () => ({}),
  forgetsCancel: false,
  deadlineMs: 1_000,
  cancel: ({ threadId, runId }) => ({ method: "POST", path: [threadId, runId, "cancel"] }),
  read: ({ threadId, runId }) => ({ method: "GET", path: [threadId, runId] }),
  meaning: () => null,
  toRun: () => expect.fail("not called"),
  threadOf: () => undefined,
  metadata: () => null,
};
const CONNECTION = connectionTo(ADAPTER, BASE);

function send(
  script: Pick<Script, "fetch">,
  request = READ,
  signal = NEVER,
): Promise<UpstreamReply> {
  return call(toolsWith(script), CONNECTION, request, signal);
}

async function reasonOf(reply: Promise<unknown>): Promise<string> {
  return await reply.then(
    () => "an answer",
    (error: unknown) => asRefusal(error).reason,
  );
}

describe("a redirect", () => {
  test.each([301, 302, 303, 307, 308])("of %i is not followed", async (status) => {
    const seen: string[] = [];
    const upstream = await listening(({ url }) => {
      seen.push(url);
      return away(status);
    });
    for (const request of [READ, CANCEL]) {
      const reply = await send(upstream, request);
      expect(reply).toMatchObject({ status, origin: "https://upstream.test" });
    }
    expect(seen).toEqual([`${BASE}/runs/run_1`, `${BASE}/runs/run_1/cancel`]);
  });

  it("would bring the key to wherever it points, if it were followed", async () => {
    const keys: (string | null)[] = [];
    const { fetch } = await listening(({ url, headers }) => {
      keys.push(headers.get("x-api-key"));
      return url.startsWith(BASE) ? away(307) : new Response("thank you");
    });
    await fetch(`${BASE}/runs/run_1`, { method: "POST", headers: { "x-api-key": KEY } });
    expect(keys).toEqual([KEY, KEY]);
  });
});

function away(status: number): Response {
  return new Response("elsewhere", { status, headers: { location: "https://elsewhere.test/" } });
}

describe("the size of a reply", () => {
  /** These tools', and not the gateway's: see `room.test.ts` for its own. */
  const CAP = 256 * 1024;
  const textOf = (bytes: number, letter = "x"): string =>
    JSON.stringify(letter.repeat((bytes - 2) / new TextEncoder().encode(letter).byteLength));

  it("may be all that is allowed", async () => {
    const upstream = await listening(() => new Response(textOf(CAP)));
    const reply = await send(upstream);
    expect(reply.body).toHaveLength(CAP - 2);
    expect(reply.text).toBe(textOf(CAP).slice(0, 4_096));
  });

  it("may not be a byte more, whatever content-length says", async () => {
    const upstream = await listening(() => new Response(textOf(CAP + 1)));
    expect(await reasonOf(send(upstream))).toBe("upstream_error");
  });

  it("counts bytes and not characters", async () => {
    const upstream = await listening(() => new Response(textOf(CAP + 2, "é")));
    expect(await reasonOf(send(upstream))).toBe("upstream_error");
  });

  it("ends an endless reply at the cap", async () => {
    const { body, ended } = endless();
    expect(await reasonOf(send({ fetch: async () => new Response(body) }))).toBe("upstream_error");
    expect(ended()).toEqual({ stopped: true, early: true });
  });

  it("of an error does not matter: no more is read than tells what it is", async () => {
    const { body, ended } = endless();
    const fetch = async () => new Response(body, { status: 500 });
    expect(await send({ fetch })).toMatchObject({ status: 500, unread: null });
    expect(ended()).toEqual({ stopped: true, early: true });
    const page = `<html>${"x".repeat(300 * 1024)}`;
    const upstream = await listening(() => new Response(page, { status: 404 }));
    expect(await send(upstream)).toMatchObject({ status: 404, text: page.slice(0, 4_096) });
  });

  it("is what a gzip bomb unfolds to, not what it weighs", async () => {
    const bomb = await gzip(new Uint8Array(20 * 1024 * 1024));
    expect(bomb.byteLength).toBeLessThan(CAP);
    const upstream = await listening(() => encoded(bomb, "gzip"));
    expect(await reasonOf(send(upstream))).toBe("upstream_error");
  });

  function endless() {
    let sent = 0;
    let stopped = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        sent += 64 * 1024;
        controller.enqueue(new Uint8Array(64 * 1024));
      },
      cancel: () => {
        stopped = true;
      },
    });
    return { body, ended: () => ({ stopped, early: sent <= CAP + 2 * 64 * 1024 }) };
  }
});

describe("the encoding of a reply", () => {
  const OK = '{"ok":true}';

  it("may be gzip", async () => {
    const small = await gzip(OK);
    const upstream = await listening(() => encoded(small, "gzip"));
    expect((await send(upstream)).body).toEqual({ ok: true });
  });

  it.each([
    ["gzip that is none", OK, "gzip"],
    ["gzip that breaks off", OK, "gzip-cut"],
    ["brotli that is none", OK, "br"],
  ])("is refused as %s, and not taken for a lost connection", async (_, bytes, encoding) => {
    const body = encoding === "gzip-cut" ? (await gzip(bytes)).slice(0, 20) : bytes;
    const upstream = await listening(() => encoded(body, encoding.replace("-cut", "")));
    expect(await reasonOf(send(upstream))).toBe("upstream_error");
  });

  it("is no JSON: then there is a text and no body", async () => {
    const reply = await send(scripted([plain(200, "<html>")]));
    expect(reply).toMatchObject({ status: 200, text: "<html>", body: undefined });
  });

  it("is nothing at all: then there is an empty text", async () => {
    const reply = await send(scripted([{ status: 202, headers: {}, body: "" }]));
    expect(reply).toMatchObject({ status: 202, text: "", body: undefined });
  });

  it("splits a character between two chunks", async () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        controller.enqueue(Uint8Array.of(0x22, 0xc3));
        controller.enqueue(Uint8Array.of(0xa9, 0x22));
        controller.close();
      },
    });
    const reply = await send({ fetch: async () => new Response(body) });
    expect(reply.body).toBe("é");
  });
});

describe("the time of a call", () => {
  it("ends with the signal while nothing has been answered", async () => {
    const giveUp = new AbortController();
    const upstream = await listening(() => {
      giveUp.abort();
      return new Promise<never>(() => undefined);
    });
    expect(await reasonOf(send(upstream, READ, giveUp.signal))).toBe("upstream_timeout");
  });

  it("ends with the signal in the middle of a body that drips", async () => {
    const giveUp = new AbortController();
    const upstream = await listening(() => {
      const drip = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode('{"id":')),
      });
      return new Response(drip);
    });
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const response = await upstream.fetch(input, init);
      giveUp.abort();
      return response;
    };
    expect(await reasonOf(send({ fetch }, READ, giveUp.signal))).toBe("upstream_timeout");
  });

  it("is over before it began when the signal has already ended", async () => {
    const script = scripted([json(200, "{}")]);
    expect(await reasonOf(send(script, READ, AbortSignal.abort()))).toBe("upstream_timeout");
    expect(script.lines()).toEqual([]);
  });
});

describe("what counts against an upstream", () => {
  /** Ten requests with one and the same tools; how many got through. */
  async function admitted(tools: CallTools, signal = () => NEVER): Promise<number> {
    let count = 0;
    for (let request = 0; request < 10; request += 1) {
      const reason = await reasonOf(call(tools, CONNECTION, READ, signal()));
      if (reason !== "overloaded") count += 1;
    }
    return count;
  }

  it("is no reply that is too big, or that cannot be decoded: it was there to give one", async () => {
    const huge = answering(() => json(200, JSON.stringify("x".repeat(256 * 1024))));
    expect(await admitted(toolsWith(huge))).toBe(10);
  });

  it.each([
    [0, 10],
    [999, 10],
    [1_000, 5],
  ])("is a request that was given %i ms for its answer: %i get through", async (ms, expected) => {
    const tools = toolsWith({ fetch: () => Promise.reject(new Error("aborted")) });
    const hanging: typeof fetch = async () => {
      await tools.sleep(ms);
      throw new DOMException("The operation timed out", "TimeoutError");
    };
    const aborted = () => AbortSignal.abort();
    expect(await admitted({ ...tools, fetch: hanging }, aborted)).toBe(expected);
  });
});

describe("a connection that breaks", () => {
  it("before the reply is unreachable", async () => {
    expect(await reasonOf(send(scripted([CONNECTION_LOST])))).toBe("upstream_unreachable");
  });

  it("in the middle of the body is unreachable", async () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode('{"id":')),
      pull: (controller) => controller.error(CONNECTION_LOST),
    });
    expect(await reasonOf(send({ fetch: async () => new Response(body) }))).toBe(
      "upstream_unreachable",
    );
  });

  it("leaves nothing of its text, which may hold an address", async () => {
    const error = new Error("connect ECONNREFUSED 10.0.0.7:443");
    const refusal = await send(scripted([error])).catch(asRefusal);
    expect(refusal).toMatchObject({ reason: "upstream_unreachable", detail: "Error" });
  });
});

describe("the headers of a request", () => {
  const own = { accept: "application/json", "user-agent": `stopgate/${VERSION}` };
  const credential: Record<string, Record<string, string>> = {
    assistants: { authorization: `Bearer ${KEY}`, "openai-beta": "assistants=v2" },
    langgraph: { "x-api-key": KEY },
    "openai-responses": { authorization: `Bearer ${KEY}` },
    "openai-agents": { authorization: `Bearer ${KEY}`, "openai-beta": "agents=v1" },
    "gemini-interactions": { "x-goog-api-key": KEY },
  };

  test.each(UPSTREAMS)("are exactly these for $kind", async (adapter) => {
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const script = scripted([json(200, "{}"), json(200, "{}")]);
    const connection = connectionTo(adapter, BASE);
    await call(toolsWith(script), connection, READ, NEVER);
    await call({ ...toolsWith(script), traceparent }, connection, CANCEL, NEVER);
    const [without, withTrace] = script.requests.map(({ headers }) => Object.fromEntries(headers));
    expect(without).toEqual({ ...own, ...credential[adapter.kind] });
    expect(withTrace).toEqual({ ...own, ...credential[adapter.kind], traceparent });
  });

  it("carry the second key when the adapter reads the reply as a refusal of the first", async () => {
    const script = scripted([json(400, "{}"), json(200, "{}")]);
    const meaning: Upstream["meaning"] = ({ status }) =>
      status === 400 ? "upstream_rejected_credentials" : null;
    const connection = { ...CONNECTION, adapter: { ...ADAPTER, meaning }, nextKey: keys("1", "2") };
    expect(await call(toolsWith(script), connection, READ, NEVER)).toMatchObject({ status: 200 });
    expect(script.requests.map(({ headers }) => headers.get("x-api-key"))).toEqual(["1", "2"]);
  });

  it("carry a key that came with a line end behind it", async () => {
    const script = scripted([json(200, "{}")]);
    await call(toolsWith(script), { ...CONNECTION, nextKey: keys(`${KEY}\n`) }, READ, NEVER);
    expect(script.requests[0]?.headers.get("x-api-key")).toBe(KEY);
  });

  test.each([
    ["a line end", "sk-canary\r\nx-evil: 1"],
    ["a NUL", "sk-canary\0"],
    ["a letter that is not ASCII", "sk-canary-ä"],
    ["nothing in it", " "],
  ])("cannot carry a key with %s: then nothing is sent", async (_, key) => {
    const script = scripted([json(200, "{}")]);
    const sent = call(toolsWith(script), { ...CONNECTION, nextKey: keys(key) }, READ, NEVER);
    const refusal = await sent.catch(asRefusal);
    expect(refusal).toMatchObject({ reason: "config_invalid" });
    expect(JSON.stringify(refusal)).not.toContain("canary");
    expect(script.lines()).toEqual([]);
  });
});

describe("what is kept of the reply's headers", () => {
  async function replyWith(headers: Record<string, string>): Promise<UpstreamReply> {
    return await send(scripted([json(429, "{}", headers)]));
  }

  test.each([
    ["req_3f2a1b", "req_3f2a1b"],
    ["0b5b6a3e-1f0c-4b4e-9d7e-2a8f:1", "0b5b6a3e-1f0c-4b4e-9d7e-2a8f:1"],
    ["", null],
    ["a b", null],
    ["x".repeat(128), "x".repeat(128)],
    ["x".repeat(129), null],
    ["<script>", null],
  ])("is a request id such as '%s'", async (header, kept) => {
    expect((await replyWith({ "x-request-id": header })).requestId).toBe(kept);
  });

  test.each([
    ["7", 7],
    ["0", 1],
    ["3600", 3600],
    ["3601", 3600],
    ["999999999", 3600],
    [new Date((NOW_SECONDS + 90) * 1_000).toUTCString(), 90],
    [new Date((NOW_SECONDS - 90) * 1_000).toUTCString(), 1],
    [new Date((NOW_SECONDS + 90_000) * 1_000).toUTCString(), 3600],
    ["soon", undefined],
    ["", undefined],
  ])("is a Retry-After such as '%s', in bounds", async (header, kept) => {
    expect((await replyWith({ "retry-after": header })).retryAfterSeconds).toBe(kept);
  });

  it("is nothing when there are none", async () => {
    const reply = await replyWith({});
    expect(reply).toMatchObject({ requestId: null, retryAfterSeconds: undefined });
  });
});

describe("the address", () => {
  test.each([
    ["https://upstream.test", "https://upstream.test/runs/run_1"],
    ["https://upstream.test/", "https://upstream.test/runs/run_1"],
    ["https://upstream.test/v1", "https://upstream.test/v1/runs/run_1"],
    ["https://upstream.test/v1/", "https://upstream.test/v1/runs/run_1"],
    ["https://upstream.test/a/b%20c/v1", "https://upstream.test/a/b%20c/v1/runs/run_1"],
    ["https://upstream.test:8443/v1", "https://upstream.test:8443/v1/runs/run_1"],
    ["http://127.0.0.1:8787", "http://127.0.0.1:8787/runs/run_1"],
    ["https://upstream.test/v1/../admin", "https://upstream.test/admin/runs/run_1"],
  ])("of base URL %s", async (baseUrl, address) => {
    const script = scripted([json(200, "{}")]);
    await call(toolsWith(script), connectionTo(ADAPTER, baseUrl), READ, NEVER);
    expect(script.lines()).toEqual([`GET ${address}`]);
  });

  it("has the query of the adapter and no other", async () => {
    const script = scripted([json(200, "{}")]);
    await send(script, { ...CANCEL, query: { action: "a&b=c#d", wait: "1" } });
    expect(script.lines()).toEqual([`POST ${BASE}/runs/run_1/cancel?action=a%26b%3Dc%23d&wait=1`]);
  });
});

// ── No id may lead anywhere else ────────────────────────────────────────────────────────────────

const ESCAPES = [
  ...["", ".", "..", "...", "/", "//", "///etc", "../..", "./.", "..\\..", "\\", "\\\\evil.test"],
  ...["%2e", "%2e%2e", "%2E%2e", ".%2e", "..%2f", "..%2f..%2f", "%2e%2e%2f", "%252e%252e", "%5c"],
  ...["%25252e%25252e%25252f", "%c0%ae%c0%ae", "%u002e%u002e", "․․", "．．", "‥", "。。", "／"],
  ...["\r", "\n", "\t", "\0", "a\r\nx-evil: 1", "run_1\0", " ", "..;", "..;/", ";", "run_1;a=b"],
  ...[
    "?",
    "#",
    "run_1?action=rollback",
    "run_1#",
    "@evil.test",
    "https://evil.test",
    "//evil.test",
  ],
  ...["run_1/cancel", "run_1/../../admin", "%", "%zz", "%00", "*", "~", "'", "\ud800", "\udc00a"],
];

const BASES = ["https://upstream.test", "https://upstream.test/", "https://upstream.test/api/v1"];

describe("an id", () => {
  test.each(ESCAPES)("of %j stays in its place, or is refused", async (id) => {
    for (const baseUrl of BASES) await expectInPlace(id, baseUrl);
  });

  test.each(["", ".", "..", "\ud800"])("of %j is refused: it has no place", async (id) => {
    const script = answering(() => json(200, "{}"));
    for (const path of [[id], ["threads", id], [id, "cancel"], ["threads", id, "cancel"]]) {
      expect(await reasonOf(send(script, { method: "GET", path }))).toBe("run_not_found");
    }
    expect(script.lines()).toEqual([]);
  });

  it("of any kind stays in its place, or is refused", async () => {
    const piece = fc.constantFrom(...ESCAPES, "run_1", "é", "😀", "%41");
    const id = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.join("")),
    );
    await fc.assert(
      fc.asyncProperty(id, fc.constantFrom(...BASES), async (id, base) => expectInPlace(id, base)),
    );
  });

  it("as the front door lets it in arrives as it is", async () => {
    const alphabet = "abcXYZ019_-".split("");
    const id = fc.string({ unit: fc.constantFrom(...alphabet), minLength: 1, maxLength: 128 });
    await fc.assert(
      fc.asyncProperty(id, async (runId) => {
        const script = scripted([json(200, "{}")]);
        await send(script, { method: "GET", path: ["runs", runId] });
        expect(script.lines()).toEqual([`GET ${BASE}/runs/${runId}`]);
      }),
    );
  });
});

/** In every segment of every request of every adapter. */
async function expectInPlace(id: string, baseUrl: string): Promise<void> {
  const targets = [
    { threadId: id, runId: "run_1" },
    { threadId: "thread_1", runId: id },
    { threadId: id, runId: id },
  ];
  for (const adapter of UPSTREAMS) {
    for (const target of targets) {
      await expectSegments(adapter, baseUrl, adapter.cancel(target, {}));
      await expectSegments(adapter, baseUrl, adapter.read(target, {}));
      const other = adapter.alongside?.(target, {});
      if (other !== undefined) await expectSegments(adapter, baseUrl, other);
      for (const request of adapter.list?.requests(target.threadId, {}) ?? []) {
        await expectSegments(adapter, baseUrl, request);
      }
    }
  }
}

async function expectSegments(
  adapter: Upstream,
  baseUrl: string,
  request: UpstreamRequest,
): Promise<void> {
  const script = scripted([json(200, "{}")]);
  const tools: CallTools = toolsWith(script);
  const reason = await reasonOf(call(tools, connectionTo(adapter, baseUrl), request, NEVER));
  if (reason !== "an answer") {
    expect(reason).toBe("run_not_found");
    expect(script.requests).toEqual([]);
    return;
  }
  const [sent] = script.requests;
  const url = new URL(sent?.url ?? "");
  const { pathname } = new URL(baseUrl);
  const prefix = pathname.replace(/\/$/, "");
  expect(url.origin).toBe("https://upstream.test");
  expect(url.pathname.startsWith(`${prefix}/`)).toBe(true);
  const segments = url.pathname.slice(prefix.length + 1).split("/");
  expect(segments.map(decodeURIComponent)).toEqual(request.path);
  expect(segments).not.toContain("");
  expect(Object.fromEntries(url.searchParams)).toEqual(request.query ?? {});
  expect(url.hash).toBe("");
}
