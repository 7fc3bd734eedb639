// The only outbound requests to upstreams: bounded in time, size and direction. Decides nothing.
import { Refusal } from "../failure.ts";
import { VERSION } from "../version.ts";
import type { Reply, Upstream, UpstreamOptions, UpstreamRequest } from "./upstream.ts";

/** The most that is read of a reply, after decoding. */
const BODY_BYTES = 256 * 1024;
/** `Retry-After` is re-stated to the client, so it is bounded. */
const RETRY_AFTER_SECONDS = 3_600;

/** An upstream with the tenant's key in its hand. */
export interface Connection {
  /** The name in the config; what audit events call it. */
  readonly name: string;
  readonly adapter: Upstream;
  /** Without a slash at the end. */
  readonly baseUrl: string;
  readonly options: UpstreamOptions;
  readonly key: string;
}

export interface UpstreamReply extends Reply {
  readonly requestId: string | null;
  readonly retryAfterSeconds: number | undefined;
}

/**
 * Sends one request. Any status below 300 or from 400 on is a reply. Throws `Refusal`:
 * `upstream_timeout` when `signal` ends it, `upstream_unreachable` when the connection fails,
 * `upstream_error` for a redirect, a body over the cap or one that cannot be decoded.
 */
export async function call(
  fetcher: typeof fetch,
  connection: Connection,
  request: UpstreamRequest,
  signal: AbortSignal,
  traceparent?: string,
): Promise<UpstreamReply> {
  const url = addressOf(connection.baseUrl, request);
  const init: RequestInit = {
    method: request.method,
    headers: headersFor(connection, traceparent),
    // Followed, a redirect would carry the key: workerd strips only `Authorization` (G4).
    redirect: "manual",
    signal,
  };
  try {
    const response = await fetcher(url.href, init);
    if (response.status >= 300 && response.status < 400) {
      await response.body?.cancel();
      throw new Refusal("upstream_error", { detail: `redirect ${response.status}` });
    }
    const text = await readText(response);
    return {
      status: response.status,
      text,
      body: parseJson(text),
      origin: url.origin,
      requestId: requestIdOf(response.headers),
      retryAfterSeconds: retryAfterOf(response.headers),
    };
  } catch (error) {
    throw asRefusal(error, signal);
  }
}

/** The address, checked to be the one that was meant: no segment may move it (G1). */
function addressOf(baseUrl: string, { path, query = {} }: UpstreamRequest): URL {
  const base = new URL(baseUrl);
  const pathname = `${base.pathname.replace(/\/$/, "")}/${path.map(encodeURIComponent).join("/")}`;
  const url = new URL(pathname, base.origin);
  if (url.origin !== base.origin || url.pathname !== pathname) {
    throw new Refusal("run_not_found", { detail: "an id would move the upstream path" });
  }
  url.search = new URLSearchParams(query).toString();
  return url;
}

/** New headers only: nothing of the client's request reaches an upstream (G5). */
function headersFor({ adapter, key }: Connection, traceparent: string | undefined): Headers {
  const headers = new Headers(adapter.headers);
  headers.set("accept", "application/json");
  headers.set("user-agent", `stopgate/${VERSION}`);
  headers.set(adapter.credential.header, adapter.credential.prefix + key);
  if (traceparent !== undefined) headers.set("traceparent", traceparent);
  return headers;
}

/** Counts decoded bytes: a gzip bomb is stopped at the cap, not at its end (G8). */
async function readText(response: Response): Promise<string> {
  if (response.body === null) return "";
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > BODY_BYTES) {
      await reader.cancel();
      throw new Refusal("upstream_error", { detail: "the reply is over 256 KiB" });
    }
    text += decoder.decode(value, { stream: true });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function requestIdOf(headers: Headers): string | null {
  const id = headers.get("x-request-id");
  return id !== null && /^[\w.:-]{1,128}$/.test(id) ? id : null;
}

/** Seconds or a date, as RFC 9110 §10.2.3 has it; in whole seconds, at least 1. */
function retryAfterOf(headers: Headers): number | undefined {
  const value = headers.get("retry-after");
  if (value === null) return undefined;
  const seconds = /^\d{1,9}$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds)
    ? Math.min(Math.max(Math.ceil(seconds), 1), RETRY_AFTER_SECONDS)
    : undefined;
}

function asRefusal(error: unknown, signal: AbortSignal): Refusal {
  if (error instanceof Refusal) return error;
  // The text of a network error may hold an address, never a key; only its name goes to the log.
  const detail = error instanceof Error ? error.name : "unknown";
  if (signal.aborted) return new Refusal("upstream_timeout", { detail });
  return error instanceof TypeError && /decod|gzip|inflate/i.test(error.message)
    ? new Refusal("upstream_error", { detail: "the reply cannot be decoded" })
    : new Refusal("upstream_unreachable", { detail });
}
