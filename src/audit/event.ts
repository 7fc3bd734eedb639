// The audit event: who asked for what, what was decided, what came of it. No token, no key, no
// upstream text; every member bounded, so that its row always fits a KV key's metadata.
import * as z from "zod";
import type { StopResult } from "../upstreams/stop.ts";

/** The closed list of the design; the last one is written by a route that is still to come. */
const EventType = z.enum(["cancel", "denied", "owner_registered", "audit_read"]);

/** How it ended: a `cancel-outcome`, the code of a failure, or `unknown`. */
const Outcome = z.object({
  result: z.string(),
  status_before: z.string().nullable(),
  status_after: z.string().nullable(),
  upstream_status: z.number().nullable(),
  upstream_request_id: z.string().nullable(),
  /** Cancels that were sent upstream. */
  attempts: z.number(),
  ms: z.number(),
  /** The event whose cancel this one shared; null when it had its own. */
  joined: z.string().nullable(),
});
export type EventOutcome = z.infer<typeof Outcome>;

export const AuditEvent = z.object({
  /** UUIDv7: its first 48 bits are `time` in milliseconds. */
  id: z.uuidv7(),
  /** Null on an intent that is still open, and on one that went straight to KV. */
  seq: z.number().nullable(),
  prev: z.string().nullable(),
  hash: z.string().nullable(),
  /** When it was asked, ISO 8601 with milliseconds. */
  time: z.iso.datetime({ precision: 3 }),
  type: EventType,
  tenant: z.string(),
  actor: z.object({
    iss: z.string(),
    sub: z.string(),
    client_id: z.string().nullable(),
    jti: z.string().nullable(),
  }),
  target: z.object({
    upstream: z.string().nullable(),
    thread_id: z.string().nullable(),
    run_id: z.string().nullable(),
  }),
  decision: z.object({
    allowed: z.boolean(),
    rule: z.string().nullable(),
    code: z.string().nullable(),
  }),
  reason: z.string().nullable(),
  /** Of `owner_registered`: whose run it is now said to be, named as actors are. */
  owner: z.string().nullable(),
  /** Null while open, on a denial, and on an intent that went straight to KV. */
  outcome: Outcome.nullable(),
  request: z.object({
    id: z.string(),
    /** What was asked: the method and the route's pattern. */
    route: z.string(),
    traceparent: z.string().nullable(),
    ip: z.string().nullable(),
    country: z.string().nullable(),
    user_agent: z.string().nullable(),
  }),
  gateway: z.object({ version: z.string() }),
  /** The earlier event whose outcome this one brings, where the two could not be one. */
  intent_id: z.string().nullable(),
  /** On an event that went straight to KV: who vouches for it in place of the chain. */
  signature: z.object({ kid: z.string(), value: z.string() }).nullable(),
});
export type AuditEvent = z.infer<typeof AuditEvent>;

/** The event as a rule has decided it. */
export function allowedBy(event: AuditEvent, rule: string): AuditEvent {
  return { ...event, decision: { allowed: true, rule, code: null } };
}

/** The time inside a UUIDv7 (RFC 9562 §5.7), as an event's `time`. */
export function timeOf(id: string): string {
  return new Date(Number.parseInt(id.replace("-", "").slice(0, 12), 16)).toISOString();
}

/** Less than every UUIDv7 of that millisecond or a later one, more than every earlier one. */
export function firstIdOf(ms: number): string {
  const hex = ms.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}

/** What a list shows without reading the event: the metadata of its KV key. */
export interface EventRow {
  readonly seq: number | null;
  readonly type: string;
  readonly sub: string;
  readonly run: string | null;
  readonly rule: string | null;
  readonly code: string | null;
  readonly result: string | null;
}

/** Serialised UTF-8 bytes that a row may take: KV's limit is 1,024. */
export const ROW_BYTES = 1_024;
/** A subject of 255 characters can take 1,530 bytes when escaped; a row shows its beginning. */
const ROW_SUBJECT_BYTES = 256;
/** A run's id can have 1,024 characters; a row shows its beginning. */
const ROW_RUN_BYTES = 256;

export function rowOf(event: AuditEvent): EventRow {
  return {
    seq: event.seq,
    type: event.type,
    sub: cut(event.actor.sub, ROW_SUBJECT_BYTES),
    run: event.target.run_id === null ? null : cut(event.target.run_id, ROW_RUN_BYTES),
    rule: event.decision.rule,
    code: event.decision.code,
    result: event.outcome?.result ?? null,
  };
}

/** The longest beginning whose JSON takes at most `bytes` bytes; whole characters only. */
function cut(text: string, bytes: number): string {
  let kept = "";
  let size = 0;
  for (const character of text) {
    size += new TextEncoder().encode(JSON.stringify(character)).byteLength - 2;
    if (size > bytes) return kept;
    kept += character;
  }
  return kept;
}

/** An intent that nobody closed in this time is published as `unknown`. It is never re-sent. */
export const UNKNOWN_AFTER_MS = 120_000;

/** The outcome of an intent that nobody closed. */
export const UNKNOWN_OUTCOME: EventOutcome = {
  result: "unknown",
  status_before: null,
  status_after: null,
  upstream_status: null,
  upstream_request_id: null,
  attempts: 0,
  ms: 0,
  joined: null,
};

/** A result in the members of an event. */
export function outcomeOfResult(result: StopResult): EventOutcome {
  return {
    result: "run" in result ? result.outcome : result.failure,
    status_before: result.before,
    status_after: result.after,
    upstream_status: result.upstreamStatus,
    upstream_request_id: result.upstreamRequestId,
    attempts: result.attempts,
    ms: result.ms,
    joined: null,
  };
}
