// The only outbound requests to upstreams: bounded in time, size and direction. Decides nothing.

import { Refusal } from "../failure.ts";
import type { Log } from "../logger.ts";
import { VERSION } from "../version.ts";
import { cutterOf, type KeyCutter } from "./echo.ts";
import type { Health } from "./health.ts";
import { forbiddenBy } from "./problem.ts";
import { type Received, receive } from "./receive.ts";
import type { Room } from "./room.ts";
import type { Reply, Upstream, UpstreamOptions, UpstreamRequest } from "./upstream.ts";

/** `Retry-After` is re-stated to the client, so it is bounded. */
const RETRY_AFTER_SECONDS = 3_600;

/**
 * The key to send; after a refusal of `refused` another one, or null when there is none. `defer` keeps work
 * alive that outlasts the request. Throws `Refusal` where a key has to be fetched and cannot be.
 */
export type NextKey = (
  refused: string | null,
  signal: AbortSignal,
  defer: CallTools["defer"],
) => Promise<string | null>;

/** An upstream with the tenant's key within reach. */
export interface Connection {
  /** The name in the config; what audit events call it. */
  readonly name: string;
  /** On whose behalf it is used. */
  readonly tenant: string;
  readonly adapter: Upstream;
  /** Without a slash at the end. */
  readonly baseUrl: string;
  readonly options: UpstreamOptions;
  readonly nextKey: NextKey;
}

export interface CallTools {
  readonly fetch: typeof fetch;
  /** Keeps work alive that must go on after the reply. */
  readonly defer: (work: Promise<unknown>) => void;
  /** How the upstream of that base URL is doing. */
  readonly healthOf: (baseUrl: string) => Health;
  /** What replies may take of the isolate's memory. */
  readonly room: Room;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly traceparent: string | undefined;
  readonly log: Log;
}

export interface UpstreamReply extends Reply, Received {
  readonly requestId: string | null;
  readonly retryAfterSeconds: number | undefined;
}

/**
 * As `exchange`, for a request that asks for what the body says. Throws also `upstream_error` when the
 * body is over its limit, `overloaded` when there is no room for it.
 */
export async function call(
  tools: CallTools,
  connection: Connection,
  request: UpstreamRequest,
  signal: AbortSignal,
): Promise<UpstreamReply> {
  const reply = await exchange(tools, connection, request, signal);
  if (reply.unread !== null) throw reply.unread;
  return reply;
}

/**
 * Sends one request, and once more with another key when the first is refused: a refused request had
 * no effect. Any status is a reply, that of a redirect too: it is not followed; so is one whose body is
 * more than can be read. Throws `Refusal`: `upstream_timeout` when `signal` ends it,
 * `upstream_unreachable` when the connection fails, `upstream_error` when the body cannot be decoded;
 * before anything is sent, `run_not_found` for an id that would move the path, `config_invalid` for an
 * impossible key, `overloaded` while a failing upstream is left alone.
 */
export async function exchange(
  tools: CallTools,
  connection: Connection,
  request: UpstreamRequest,
  signal: AbortSignal,
): Promise<UpstreamReply> {
  const url = addressOf(connection.baseUrl, request);
  const key = await keyFor(tools, connection, null, signal);
  if (key === null) {
    throw new Refusal("config_invalid", { detail: "there is no upstream key", unsent: true });
  }
  const reply = await send(tools, connection, request, url, key, signal);
  if (!isKeyRefused(connection, reply)) return reply;
  const other = await keyFor(tools, connection, key, signal);
  if (other === null) return reply;
  tools.log("warn", "upstream_key_refused", { upstream: connection.name, status: reply.status });
  return await send(tools, connection, request, url, other, signal);
}

/** A key that cannot be had leaves no doubt: what was sent before, if anything, was refused. */
async function keyFor(
  { defer }: Pick<CallTools, "defer">,
  { nextKey }: Connection,
  refused: string | null,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    return await nextKey(refused, signal, defer);
  } catch (error) {
    const refusal = error instanceof Refusal ? error : asRefusal(error, signal);
    throw new Refusal(refusal.reason, { ...refusal, unsent: true });
  }
}

/** Servers disagree about which status says that a key is no good, and a 403 may be about something else. */
export function isKeyRefused({ adapter }: Pick<Connection, "adapter">, reply: Reply): boolean {
  const { status } = reply;
  if (status === 401) return true;
  const meaning = adapter.meaning(reply);
  if (meaning !== null) return meaning === "upstream_rejected_credentials";
  return status === 403 && forbiddenBy(reply) === "key";
}

/** Of the server, or of what stands before it, and not of the run. */
const GATEWAY_ERRORS: readonly number[] = [502, 503, 504];
/** A request that was given less time than this and ran out of it says nothing of the upstream. */
const FAIR_MS = 1_000;

async function send(
  { fetch: fetcher, healthOf, room, now, traceparent }: CallTools,
  connection: Connection,
  { method, body }: UpstreamRequest,
  url: URL,
  key: string,
  signal: AbortSignal,
): Promise<UpstreamReply> {
  const headers = headersFor(connection, key, traceparent);
  if (body !== undefined) headers.set("content-type", "application/json");
  const init: RequestInit = {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    // Followed, a redirect would carry the key: workerd strips only `Authorization`.
    redirect: "manual",
    signal,
  };
  const report = healthOf(connection.baseUrl).admit(connection.tenant);
  const sentAt = now();
  try {
    const response = await fetcher(url.href, init);
    // Some servers repeat in an error the key that they were sent. From here on it is nowhere in the reply.
    const cutter = cutterOf(key.trim());
    const received = await receive(response, room, connection.tenant, cutter);
    // A 500 may be this one run's; others of the same upstream must not pay for it.
    report(!GATEWAY_ERRORS.includes(response.status));
    return {
      ...received,
      status: response.status,
      origin: url.origin,
      requestId: requestIdOf(response.headers, cutter),
      retryAfterSeconds: retryAfterOf(response.headers, now()),
    };
  } catch (error) {
    const refusal = asRefusal(error, signal);
    const answered = refusal.reason === "upstream_error";
    const hurried = refusal.reason === "upstream_timeout" && now() - sentAt < FAIR_MS;
    report(hurried ? null : answered);
    throw refusal;
  }
}

/** The address, checked to be the one that was meant: no segment may move it. */
function addressOf(baseUrl: string, { path, query = {} }: UpstreamRequest): URL {
  // Nothing between two slashes, or after the last, would name the list instead of the run.
  const segments = path.map((segment) => {
    if (segment === null || segment === "" || !segment.isWellFormed()) throw moved();
    return encodeURIComponent(segment);
  });
  const base = new URL(baseUrl);
  const pathname = `${base.pathname.replace(/\/$/, "")}/${segments.join("/")}`;
  const url = new URL(pathname, base.origin);
  if (url.origin !== base.origin || url.pathname !== pathname) throw moved();
  url.search = new URLSearchParams(query).toString();
  return url;
}

function moved(): Refusal {
  const detail = "an id would move the upstream path";
  return new Refusal("run_not_found", { detail, unsent: true });
}

/** What a header can carry. Of anything else workerd throws, or logs the value, and that is the key. */
const PRINTABLE = /^[ -~]+$/;

/** New headers only: nothing of the client's request reaches an upstream. */
function headersFor(
  { adapter, options }: Connection,
  key: string,
  traceparent: string | undefined,
): Headers {
  const { header, prefix } = adapter.credential(options);
  if (!PRINTABLE.test(key.trim())) {
    const detail = "the upstream key does not fit in a header";
    throw new Refusal("config_invalid", { detail, unsent: true });
  }
  const headers = new Headers(adapter.headers(options));
  headers.set("accept", "application/json");
  headers.set("user-agent", `stopgate/${VERSION}`);
  headers.set(header, prefix + key.trim());
  if (traceparent !== undefined) headers.set("traceparent", traceparent);
  return headers;
}

function requestIdOf(headers: Headers, cutter: KeyCutter): string | null {
  const id = cutter.inText(headers.get("x-request-id") ?? "");
  return /^[\w.:-]{1,128}$/.test(id) ? id : null;
}

/** Also as some servers write them: with a sign, a comma, or their unit. */
const SECONDS = /^\+?(\d{1,9}(?:[.,]\d{0,9})?)\s*(?:s|seconds?)?$/i;
/** A date has the name of its month; without one, a runtime takes almost any number for a year. */
const DATE = /[A-Za-z]{3}/;

/**
 * Seconds, also with a fraction as some servers send them, or a date (RFC 9110 §10.2.3); or OpenAI's and Azure's
 * `retry-after-ms`, which is the more exact. In whole seconds, rounded up, at least 1.
 */
function retryAfterOf(headers: Headers, nowMs: number): number | undefined {
  const inMs = headers.get("retry-after-ms")?.trim() ?? "";
  const value = headers.get("retry-after")?.trim() ?? "";
  const seconds = SECONDS.test(inMs) ? secondsIn(inMs, nowMs) / 1_000 : secondsIn(value, nowMs);
  return Number.isFinite(seconds)
    ? Math.min(Math.max(Math.ceil(seconds), 1), RETRY_AFTER_SECONDS)
    : undefined;
}

/** NaN where it says neither. */
function secondsIn(value: string, nowMs: number): number {
  const number = SECONDS.exec(value)?.[1];
  if (number !== undefined) return Number(number.replace(",", "."));
  return DATE.test(value) ? (Date.parse(value) - nowMs) / 1_000 : Number.NaN;
}

function asRefusal(error: unknown, signal: AbortSignal): Refusal {
  if (error instanceof Refusal) return error;
  // The text of a network error may hold an address, never a key; only its name goes to the log.
  const detail = error instanceof Error ? error.name : "unknown";
  if (signal.aborted) return new Refusal("upstream_timeout", { detail });
  // workerd: `Gzip decompression failed.`, `Brotli compressed stream ended prematurely.`
  return error instanceof TypeError && /compress/i.test(error.message)
    ? new Refusal("upstream_error", { detail: "the reply cannot be decoded" })
    : new Refusal("upstream_unreachable", { detail });
}
