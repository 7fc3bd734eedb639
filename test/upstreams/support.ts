// An upstream that follows a script, and the tools to reach it: a clock that only sleeping moves.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { Run } from "../../src/runs/run.ts";
import type { Connection, NextKey } from "../../src/upstreams/call.ts";
import { createHealths } from "../../src/upstreams/health.ts";
import type { ReadRun } from "../../src/upstreams/read.ts";
import { createRoom, ROOM, type RoomLimits } from "../../src/upstreams/room.ts";
import type { Target, Upstream } from "../../src/upstreams/upstream.ts";
import type { WaitTools } from "../../src/upstreams/wait.ts";
import { KEY, type WireReply } from "./replies/replies.ts";

/** 2026-11-22T18:30:00Z, later than every recording. */
export const NOW_SECONDS = 1_795_372_200;

/** A reply, what the connection dies of, or no answer until the caller gives up. */
export type Step = WireReply | Error | "hang";

/** What workerd throws when nobody listens, or when the connection is reset. */
export const CONNECTION_LOST = new Error("Network connection lost.");

export interface Script {
  readonly fetch: typeof fetch;
  readonly requests: Request[];
  /** What each request carried. */
  readonly bodies: ReadonlyMap<Request, string>;
  /** `POST https://…`, in the order of their sending. */
  readonly lines: () => string[];
}

/** Answers each request by the next step; past the last one, the connection is lost. */
export function scripted(steps: readonly Step[]): Script {
  const rest = [...steps];
  return answering(() => rest.shift() ?? CONNECTION_LOST);
}

/** Answers each request by what `decide` makes of it. */
export function answering(decide: (request: Request) => Step): Script {
  const requests: Request[] = [];
  const bodies = new Map<Request, string>();
  return {
    requests,
    bodies,
    lines: () => requests.map(({ method, url }) => `${method} ${url}`),
    fetch: async (input, init) => {
      const request = new Request(input, init);
      request.signal.throwIfAborted();
      requests.push(request);
      bodies.set(request, typeof init?.body === "string" ? init.body : "");
      const step = decide(request);
      if (step instanceof Error) throw step;
      if (step === "hang") return await new Promise((_, reject) => endWith(request, reject));
      const { status, headers, body } = step;
      return new Response(body === "" ? null : body, { status, headers });
    },
  };
}

function endWith({ signal }: Request, reject: (reason: unknown) => void): void {
  signal.addEventListener("abort", () => reject(signal.reason), { once: true });
}

/** An upstream in the same runtime, behind a real `fetch`: redirects, encodings and aborts are workerd's. */
export async function listening(
  answer: (request: Request) => Response | Promise<Response>,
): Promise<Pick<Script, "fetch">> {
  const stub = env.LEDGER.getByName(crypto.randomUUID());
  await runInDurableObject(stub, (instance) => Object.assign(instance, { fetch: answer }));
  return { fetch: (input, init) => stub.fetch(new Request(input, init)) };
}

export async function gzip(content: string | Uint8Array): Promise<ArrayBuffer> {
  const stream = new Blob([content]).stream().pipeThrough(new CompressionStream("gzip"));
  return await new Response(stream).arrayBuffer();
}

export function encoded(body: BodyInit, encoding: string): Response {
  return new Response(body, { headers: { "content-encoding": encoding }, encodeBody: "manual" });
}

export interface ScriptedTools extends WaitTools {
  /** The pauses, in milliseconds. */
  readonly slept: readonly number[];
  /** What the ledger was asked about. */
  readonly asked: readonly Target[];
}

/** A reply that is too large need not be large to be tried a thousand times. */
const SMALL_ROOM: RoomLimits = { ...ROOM, reply: 256 * 1_024 };
const NOW_MS = NOW_SECONDS * 1_000;
const DEADLINE_MS = 10_000;

/** Sleeping takes no time at all, and moves the clock by what was asked for. */
export function toolsWith(
  { fetch }: Pick<Script, "fetch">,
  recalled: number | null = null,
  deadlineMs = DEADLINE_MS,
): ScriptedTools {
  let nowMs = NOW_MS;
  const slept: number[] = [];
  const asked: Target[] = [];
  return {
    fetch,
    slept,
    asked,
    now: () => nowMs,
    random: () => 0,
    endsAt: NOW_MS + deadlineMs,
    healthOf: createHealths(() => nowMs),
    room: createRoom(() => nowMs, SMALL_ROOM),
    sleep: async (ms) => {
      slept.push(ms);
      nowMs += ms;
    },
    recall: async (target) => {
      asked.push(target);
      return recalled;
    },
    traceparent: undefined,
    left: new AbortController().signal,
    defer: () => undefined,
    log: () => undefined,
  };
}

/** A run as it was read before, of whose object nothing more is known. */
export function readAs(run: Run): ReadRun {
  return {
    run,
    body: null,
    bytes: 0,
    metadata: null,
    unproved: null,
    thread: undefined,
    cancelledAt: null,
    isDeleted: false,
    retryAfterSeconds: undefined,
  };
}

export function connectionTo(
  adapter: Upstream,
  baseUrl: string,
  options: Connection["options"] = {},
): Connection {
  return { name: "upstream-1", tenant: "acme", adapter, baseUrl, options, nextKey: keys(KEY) };
}

/** What a tenant's credentials give: each key in its turn. */
export function keys(...all: readonly string[]): NextKey {
  return async (refused) => {
    const tried = refused === null ? 0 : all.indexOf(refused) + 1;
    return all[tried] ?? null;
  };
}
