// Runs that hold much: their replies are read as far as an isolate has room, and a cancel that was taken is
// told as what it is, however much the upstream has to say. By the front door, over every upstream.
import { reset } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { UPSTREAMS } from "../src/upstreams/index.ts";
import { readsFirst } from "../src/upstreams/stop.ts";
import type { Upstream } from "../src/upstreams/upstream.ts";
import {
  ANN,
  byCredential,
  createHarness,
  GUS,
  type Json,
  pathOf,
  withTenant,
} from "./support/harness.ts";
import { REPLIES } from "./upstreams/replies/index.ts";
import type { WireReply } from "./upstreams/replies/replies.ts";

// That a run was cancelled is remembered by the tenant's ledger.
afterEach(async () => {
  await reset();
});

const KB = 1_000;
const MIB = 1_024 * 1_024;

/** The same object with another member of that many bytes; a reply without an object as it was. */
function heavier({ status, headers, body }: WireReply, bytes: number): Response {
  if (!body.startsWith("{")) return new Response(body === "" ? null : body, { status, headers });
  const text = `{"kwargs":{"input":"${"x".repeat(bytes)}"},${body.slice(1)}`;
  return new Response(text, { status, headers });
}

interface Weights {
  /** Of each read before the cancel, in bytes. */
  readonly before?: number;
  readonly cancel?: number;
  readonly after?: number;
}

/** acme with that adapter behind it. */
async function over(
  adapter: Upstream,
  { before: light = 0, cancel: own = 0, after: late = light }: Weights,
) {
  const replies = REPLIES.get(adapter.kind);
  if (replies === undefined) throw new Error("no replies");
  const { target, before, cancel, after } = replies.active;
  let sent = false;
  const network: typeof fetch = async (input, init) => {
    const { method, url } = new Request(input, init);
    const beside = replies.alongside;
    if (`${method} ${url}` === beside?.of(target)) return heavier(beside.reply, light);
    if (method === "GET") return sent ? heavier(after, late) : heavier(before, light);
    sent = true;
    return heavier(cancel, own);
  };
  const gateway = await createHarness({
    network: () => network,
    config: (config) => {
      const entry = { ...replies.options, kind: adapter.kind, base_url: replies.baseUrl };
      const upstreams = { ...(config["upstreams"] as Json), heavy: entry };
      const own = withTenant("acme", { upstream: "heavy" });
      return own(byCredential("acme")({ ...config, upstreams }));
    },
  });
  const ids = { thread: target.threadId ?? "thread_1", run: target.runId };
  return { gateway, ids, token: await gateway.tokenFor(ANN) };
}

describe.each(UPSTREAMS)("$kind", (adapter) => {
  const { active } = REPLIES.get(adapter.kind) ?? {};
  const { options = {} } = REPLIES.get(adapter.kind) ?? {};
  const isReadFirst = readsFirst({ adapter, options }, { threadId: "thread_1", runId: "run_1" });

  it.each([300 * KB, 900 * KB, 15 * MIB])("stops and reads a run of %i bytes", async (bytes) => {
    const { gateway, ids, token } = await over(adapter, { before: bytes, cancel: bytes });
    expect((await gateway.read(ids, token)).status).toBe(200);
    const response = await gateway.cancel(ids, token);
    expect(response.status).toBe(200);
    expect(["cancelled", "cancelling"]).toContain(response.headers.get("cancel-outcome"));
    expect(await response.json()).toMatchObject({ id: active?.target.runId, object: "thread.run" });
  });

  it("tells of a cancel that was taken what is known, when its answer is too large", async () => {
    const { gateway, ids, token } = await over(adapter, { cancel: 17 * MIB });
    const response = await gateway.cancel(ids, token);
    expect(response.status).toBe(200);
    expect(["cancelled", "cancelling"]).toContain(response.headers.get("cancel-outcome"));
  });

  it("tells what is known when the reads after it are too large as well", async () => {
    const heavy = { cancel: 17 * MIB, after: 17 * MIB };
    const { gateway, ids, token } = await over(adapter, heavy);
    const response = await gateway.cancel(ids, token);
    expect(response.status).toBe(200);
    // One that shows in its small answer that it is winding down needs no read.
    expect(["not_confirmed", "cancelling"]).toContain(response.headers.get("cancel-outcome"));
    expect(Object.keys(await response.json())).toHaveLength(27);
    const read = await gateway.read(ids, token);
    expect(read.status).toBe(502);
    expect(await read.json()).toMatchObject({ error: { code: "upstream_error" } });
  });

  it("sends nothing unseen where a read that has to come first is too large", async () => {
    const { gateway, ids, token } = await over(adapter, { before: 17 * MIB, cancel: 17 * MIB });
    const response = await gateway.cancel(ids, token);
    expect(response.status).toBe(isReadFirst ? 502 : 200);
    const [event] = await gateway.eventsOf(ids);
    expect(event).toMatchObject({ outcome: { attempts: isReadFirst ? 0 : 1 } });
  });
});

describe("a response with an image", () => {
  const image = (bytes: number) => [
    { type: "image_generation_call", id: "ig_1", status: "completed", result: "x".repeat(bytes) },
  ];

  /** Answers as OpenAI does, with an output of so many bytes from now on. */
  async function started(read: number, afterwards = read, own = (config: Json) => config) {
    let bytes = read;
    const gateway = await createHarness({
      config: own,
      network: (simulator) => async (input, init) => {
        const reply = await simulator(input, init);
        if (!reply.ok) return reply;
        const body = { ...((await reply.json()) as Json), output: image(bytes) };
        if (init?.method === "POST") bytes = afterwards;
        return Response.json(body);
      },
    });
    const { run } = await gateway.startResponse();
    const headers = { authorization: `Bearer ${await gateway.tokenFor(GUS)}` };
    const path = `/v1/responses/${run}`;
    return {
      run,
      read: () => gateway.request(path, { headers }),
      cancel: (prefer = "") =>
        gateway.request(`${path}/cancel`, { method: "POST", headers: { ...headers, prefer } }),
    };
  }

  it.each(["", "wait=1"])("is stopped, and shown whole (prefer: %s)", async (prefer) => {
    const { cancel, read } = await started(900 * KB);
    const response = await cancel(prefer);
    expect(response.headers.get("cancel-outcome")).toBe("cancelled");
    const body: Json = await response.json();
    expect(body).toMatchObject({ status: "cancelled", output: image(900 * KB) });
    expect(await (await read()).json()).toMatchObject({ output: image(900 * KB) });
  });

  it("that grows too large to be read is not claimed to be cancelled, and is a whole Response", async () => {
    const byCredentialOnly = byCredential("globex");
    const { cancel, run } = await started(0, 17 * MIB, byCredentialOnly);
    const response = await cancel();
    expect(response.status).toBe(200);
    expect(response.headers.get("cancel-outcome")).toBe("not_confirmed");
    expect(await response.json()).toMatchObject({ id: run, object: "response", output: [] });
  });
});

describe("more than an isolate has room for", () => {
  it("is overloaded, to be tried again; ordinary runs are served meanwhile, and large ones after", async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const big = new TextEncoder().encode(`"${"x".repeat(12 * MIB)}"`);
    const gateway = await createHarness({
      network: (simulator) => async (input, init) => {
        const { url } = new Request(input, init);
        if (!url.includes("big")) return await simulator(input, init);
        const chunks = [big, big.subarray(0, 1)];
        const body = new ReadableStream<Uint8Array>({
          pull: async (controller) => {
            const next = chunks.shift();
            if (next === undefined) return controller.close();
            if (chunks.length === 0) await held;
            controller.enqueue(next);
          },
        });
        return new Response(body);
      },
    });
    const token = await gateway.tokenFor(ANN);
    const headers = { authorization: `Bearer ${token}` };
    const readBig = () => gateway.begin(pathOf({ thread: "thread_1", run: "big" }), { headers });
    const first = readBig();
    await scheduler.wait(300);

    const second = await readBig().response;
    expect(second.status).toBe(503);
    expect(second.headers.get("retry-after")).toBe("1");
    expect(second.headers.get("x-should-retry")).toBeNull();
    expect(await second.json()).toMatchObject({ error: { code: "overloaded" } });
    const ids = await gateway.startRun();
    expect((await gateway.cancel(ids, token)).status).toBe(200);

    release();
    // It was no run, but it was read.
    expect((await first.response).status).toBe(502);
    expect((await readBig().response).status).toBe(502);
  });
});
