// What a request asks, in the journey's words: which run, why, how patiently, on whose behalf.
import type { Context } from "hono";
import { routePath } from "hono/route";
import * as z from "zod";
import type { RequestFacts } from "../audit/journal.ts";
import type { Credentials } from "../identity/authenticate.ts";
import { Name } from "../identity/claims.ts";
import { ID, type Target } from "../upstreams/upstream.ts";
import { ipv6Network } from "./address.ts";
import { readBody } from "./body.ts";
import { type Place, placeIn } from "./bulkhead.ts";
import { type Preferences, readPreferences } from "./preferences.ts";
import {
  NoQuery,
  ResponseQuery,
  ResponseReadQuery,
  RunQuery,
  RunReadQuery,
  readQuery,
} from "./query.ts";

/** W3C Trace Context §3.2, version 00. */
const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const USER_AGENT_CHARACTERS = 256;

/** `defer` keeps work alive that must go on after the reply, or after the client has gone. */
export interface Ask extends Credentials {
  readonly request: RequestFacts;
  /** The visitor's IP address, for counting; never written down whole. */
  readonly address: string | undefined;
  readonly place: Place;
  /** Throws as `readQuery`. Not before it is known who asks: then the refusal goes on record. */
  readonly assertQuery: () => Promise<void>;
}

export interface RunAsk extends Ask {
  readonly target: Target;
}

export interface CancelAsk extends RunAsk {
  /** Throws as `readBody`. Not before it is known who asks: a stranger's body is not read. */
  readonly reason: () => Promise<string | null>;
  readonly prefer: Preferences;
  /** Aborts when the client has left: what was begun goes on, but nothing needs to be waited for. */
  readonly left: AbortSignal;
}

/** Every active run of a thread. */
export interface CancelThreadAsk extends Omit<CancelAsk, "target"> {
  readonly target: { readonly threadId: string; readonly runId: null };
}

/** Of the app's backend, which says whose run it has started. */
const REGISTER_SCOPE = "runs:register";

export interface RegisterAsk extends RunAsk {
  readonly serviceScope: string;
  /** Whose run it is. Throws as `readBody`. */
  readonly subject: () => Promise<string>;
}

export interface ExplainAsk extends Ask {
  readonly target: null;
  /** The run in question; null when its ids are none. Throws as `readBody`. */
  readonly question: () => Promise<Target | null>;
}

/** Ids arrive decoded, so this is what stands between a path and a proxy. */
const Id = z.string().regex(ID);
export const RunParams = z.object({ thread_id: Id, run_id: Id });
export const ThreadParams = z.object({ thread_id: Id });
export const ResponseParams = z.object({ response_id: Id });

type RunIds = z.infer<typeof RunParams> | z.infer<typeof ResponseParams>;

function readAsk(context: Context, query: z.ZodObject): Ask {
  return {
    authorization: context.req.header("authorization"),
    assertion: undefined,
    request: readRequestFacts(context),
    address: context.req.header("cf-connecting-ip"),
    place: placeIn(context),
    assertQuery: async () => void readQuery(context, query),
    defer: (work) => context.executionCtx.waitUntil(work),
  };
}

/**
 * On the console's routes. The browser sends Access's cookie wherever a page asks it to, so what comes
 * of it counts only when the page is the gateway's own (Fetch Metadata §2.3).
 */
export function readAuditAsk(context: Context, query: z.ZodObject): Ask {
  const site = context.req.header("sec-fetch-site") ?? "none";
  const ownPage = site === "same-origin" || site === "none";
  const assertion = ownPage ? context.req.header("cf-access-jwt-assertion") : undefined;
  return { ...readAsk(context, query), assertion };
}

export function readRunAsk(context: Context, ids: RunIds): RunAsk {
  const query = "response_id" in ids ? ResponseReadQuery : RunReadQuery;
  return { ...readAsk(context, query), target: targetOf(ids) };
}

function targetOf(ids: RunIds): Target {
  if ("response_id" in ids) return { threadId: null, runId: ids.response_id };
  return { threadId: ids.thread_id, runId: ids.run_id };
}

export function readCancelAsk(context: Context, ids: RunIds): CancelAsk {
  const query = "response_id" in ids ? ResponseQuery : RunQuery;
  return { ...readAsk(context, query), target: targetOf(ids), ...readWishes(context) };
}

export function readCancelThreadAsk(
  context: Context,
  { thread_id }: z.infer<typeof ThreadParams>,
): CancelThreadAsk {
  const target = { threadId: thread_id, runId: null };
  return { ...readAsk(context, RunQuery), target, ...readWishes(context) };
}

function readWishes({ req }: Context): Pick<CancelAsk, "reason" | "prefer" | "left"> {
  return {
    reason: () => readReason(req.raw),
    prefer: readPreferences(req.header("prefer")),
    left: req.raw.signal,
  };
}

export function readRegisterAsk(context: Context, ids: RunIds): RegisterAsk {
  return {
    ...readAsk(context, NoQuery),
    target: targetOf(ids),
    serviceScope: REGISTER_SCOPE,
    subject: async () => (await readBody(context.req.raw, OwnerBody)).subject,
  };
}

export function readExplainAsk(context: Context): ExplainAsk {
  return {
    ...readAsk(context, NoQuery),
    target: null,
    question: async () => {
      const { thread_id, run_id } = await readBody(context.req.raw, ExplainBody);
      const named = [run_id, ...(thread_id === null ? [] : [thread_id])];
      // A malformed id is an unknown one.
      if (!named.every((id) => Id.safeParse(id).success)) return null;
      return { threadId: thread_id, runId: run_id };
    },
  };
}

function readRequestFacts(context: Context): RequestFacts {
  const traceparent = context.req.header("traceparent");
  return {
    id: context.get("requestId") as string,
    route: `${context.req.method} ${routePath(context)}`,
    traceparent: traceparent !== undefined && TRACEPARENT.test(traceparent) ? traceparent : null,
    ip: networkOf(context.req.header("cf-connecting-ip")),
    country: countryOf(context.req.header("cf-ipcountry")),
    userAgent:
      context.req.header("user-agent")?.slice(0, USER_AGENT_CHARACTERS).toWellFormed() ?? null,
  };
}

const CancelBody = z.strictObject({
  reason: z.string().max(256, { error: "'reason' takes at most 256 characters." }).nullish(),
});

/** The reason of a cancel, which needs none, and so no body. Throws as `readBody`. */
async function readReason(request: Request): Promise<string | null> {
  const body = await readBody(request, CancelBody, {});
  const reason = body.reason?.trim().toWellFormed();
  return reason === "" ? null : (reason ?? null);
}

const OwnerBody = z.strictObject({
  subject: Name,
});

/** Null: a response, which is named alone. */
const ExplainBody = z.strictObject({ thread_id: z.string().nullable(), run_id: z.string() });

/** A person's network, not the person: /24 of IPv4, /48 of IPv6. */
function networkOf(ip: string | undefined): string | null {
  if (ip === undefined) return null;
  const [, v4] = /^(\d{1,3}\.\d{1,3}\.\d{1,3})\.\d{1,3}$/.exec(ip) ?? [];
  if (v4 !== undefined) return `${v4}.0/24`;
  return ipv6Network(ip, 3);
}

function countryOf(country: string | undefined): string | null {
  return country !== undefined && /^[A-Z0-9]{2}$/.test(country) ? country : null;
}
