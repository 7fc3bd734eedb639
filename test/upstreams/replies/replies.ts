// What a replies file states: how one upstream was seen to behave on the wire, as texts. Nothing of
// the gateway's own words but the ends that differ from server to server.
import type { Outcome } from "../../../src/runs/outcome.ts";
import type { RunStatus, TerminalStatus } from "../../../src/runs/run.ts";
import type { Target } from "../../../src/upstreams/upstream.ts";

/** Every text that an upstream may know and a client must not contains one of `SECRETS`. */
export const KEY = "sk-canary-b47f0e9d2c61QZ7x";
export const SECRETS = ["canar", "QZ7x"] as const;

export interface WireReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A run, read; its cancel; and what a read says when all is over. */
export interface Exchange {
  readonly target: Target;
  readonly before: WireReply;
  readonly cancel: WireReply;
  readonly after: WireReply;
}

/** The replies about something that the key's owner has no run of. */
export interface Unfound {
  readonly name: string;
  readonly target: Target;
  readonly cancel: WireReply;
  readonly read: WireReply;
}

/** A server of the same wire that behaves in a way of its own. */
export interface Dialect {
  readonly name: string;
  readonly target: Target;
  /** The run as it was read before; absent when it was not. */
  readonly before?: WireReply;
  /** Options of the config that its tenants need. */
  readonly options?: Readonly<Record<string, string>>;
  /** The reply to the cancel, then to the reads. */
  readonly replies: readonly WireReply[];
  readonly ends:
    | { readonly outcome: Outcome; readonly status: RunStatus }
    | "run_not_found"
    | "unsupported_by_upstream"
    | "upstream_error";
}

export interface Replies {
  readonly baseUrl: string;
  readonly options: Readonly<Record<string, string>>;
  /** The two requests, as they go over the wire. */
  readonly cancelOf: (target: Target) => string;
  readonly readOf: (target: Target) => string;
  /** The JSON that a cancel sends, where it sends any. */
  readonly cancelBody?: string;
  /** The other object of each read, where there is one. */
  readonly alongside?: { readonly of: (target: Target) => string; readonly reply: WireReply };
  /** The requests that list a thread's runs, what they are answered for `active`'s, and which of those still move. */
  readonly listed?: {
    readonly of: (target: Target) => readonly string[];
    readonly replies: readonly WireReply[];
    readonly active: readonly string[];
  };
  /** The header that carries `KEY`. */
  readonly credential: readonly [name: string, value: string];
  /** Every other header. */
  readonly headers: Readonly<Record<string, string>>;

  /** What the reply to an accepted cancel shows of the run. */
  readonly accepting: "cancelling" | "cancelled" | "nothing";
  readonly active: Exchange;
  readonly queued: Exchange;
  /** A run that waits for its client's or a person's action, and what it is called. */
  readonly waiting: (Exchange & { readonly status: RunStatus; readonly end: Outcome }) | null;
  /** A second cancel while the first is winding down; null where there is no such state. */
  readonly windingDown: Exchange | null;
  /** The cancel came too late: accepted, yet the run completed. */
  readonly lostRace: Exchange;
  /** By how the run had ended; null where this upstream has no such end. */
  readonly ended: { readonly [Status in TerminalStatus]: Exchange | null };
  readonly unfound: readonly Unfound[];

  readonly badKey: WireReply;
  readonly rateLimited: { readonly reply: WireReply; readonly seconds: number };
  readonly rateLimitedSilently: WireReply;
  readonly serverError: WireReply;
  readonly overloaded: WireReply;
  readonly wrongTypes: WireReply;
  /** What only a wrong base URL gets; null where an unknown run gets the same. */
  readonly wrongAddress: WireReply | null;
  /** Where and how the vendor answers since it has switched the API off; null when none has. */
  readonly retired: { readonly baseUrl: string; readonly reply: WireReply } | null;

  readonly dialects: readonly Dialect[];
}

export function json(status: number, body: string, headers: WireReply["headers"] = {}): WireReply {
  return { status, headers: { "content-type": "application/json", ...headers }, body };
}

export function plain(status: number, body: string): WireReply {
  return { status, headers: { "content-type": "text/plain;charset=UTF-8" }, body };
}

/** OpenAI's envelope, with all its four keys. */
export function openaiError(
  status: number,
  message: string,
  type = "invalid_request_error",
  code: string | null = null,
  headers: WireReply["headers"] = {},
): WireReply {
  const error = { message, type, param: null, code };
  return json(status, JSON.stringify({ error }, null, 2), { ...OPENAI_HEADERS, ...headers });
}

export const OPENAI_HEADERS = {
  "openai-organization": "org-canary",
  "set-cookie": "__cf_bm=canary; path=/; HttpOnly; Secure",
  "x-request-id": "req_3f2a1b",
} as const;

export const OPENAI_BAD_KEY = openaiError(
  401,
  "Incorrect API key provided: sk-canar**************QZ7x. You can find your API key at https://platform.openai.com/account/api-keys.",
  "invalid_request_error",
  "invalid_api_key",
);

const OPENAI_RATE_LIMIT = [
  429,
  "Rate limit reached for gpt-4o in organization org-canary on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 120ms. Visit https://platform.openai.com/account/rate-limits to learn more.",
  "requests",
  "rate_limit_exceeded",
] as const;
export const OPENAI_RATE_LIMITED = {
  reply: openaiError(...OPENAI_RATE_LIMIT, { "retry-after": "7" }),
  seconds: 7,
};
export const OPENAI_RATE_LIMITED_SILENTLY = openaiError(...OPENAI_RATE_LIMIT);

export const OPENAI_SERVER_ERROR = openaiError(
  500,
  "The server had an error while processing your request. Sorry about that! (Please include the request ID req_canary in your message.)",
  "server_error",
);
export const OPENAI_OVERLOADED = openaiError(
  503,
  "Our servers are currently overloaded. Please try again later. (canary)",
  "service_unavailable_error",
  "server_is_overloaded",
);

/** The same reply but for one text in its body, which has to be there. */
export function altered(reply: WireReply, from: string, to: string): WireReply {
  if (!reply.body.includes(from)) throw new Error(`there is no ${from} to alter`);
  return { ...reply, body: reply.body.replaceAll(from, to) };
}
