// The audit log in Workers KV: where each event lies and how it is found again. Written once.
// KV promises neither order nor read-after-write elsewhere; order is the ledger's, made before.
import { createHash } from "node:crypto";
import { type AuditEvent, type EventRow, rowOf, timeOf } from "./event.ts";

const DAY_MS = 24 * 60 * 60_000;
/** Newest first within a day: keys are listed in ascending order only. */
const INVERSE_OF_MS = 9_999_999_999_999;
const MAX_LIST = 1_000;
const DIRECT = ":direct";
/** KV's own limit for one bulk get. */
const MAX_BULK_GET = 100;

export type AuditKv = Pick<KVNamespace, "put" | "list" | "get">;

type Keyed = Pick<AuditEvent, "id" | "time" | "signature">;

/** `a1:{tenant}:{YYYY-MM-DD}:{inverse ms}:{id}`. A tenant id has no colon, so no other's prefix. */
export function eventKey(event: Keyed & Pick<AuditEvent, "tenant">): string {
  return `${dayPrefix(event.tenant, dayOf(event.time))}${positionOf(event)}`;
}

/** Answers "who cancelled this run?" with one list. */
export function runKey(event: AuditEvent): string | null {
  const { thread_id, run_id } = event.target;
  if (run_id === null) return null;
  return `a1r:${event.tenant}:${runPart(thread_id, run_id)}:${positionOf(event)}`;
}

/** Two such ids fit into a key, whose limit is 512 bytes. Neither has a colon, so the one between them separates them. */
const SHORT_ID = /^[A-Za-z0-9_-]{0,128}$/;

/**
 * No two runs share one, nor is one the beginning of another's. No thread's id is empty, so a response, which
 * is named alone, has a place of its own; no id has a `#`, so neither has a digest.
 */
function runPart(threadId: string | null, runId: string): string {
  const thread = threadId ?? "";
  if (SHORT_ID.test(thread) && SHORT_ID.test(runId)) return `${thread}:${runId}`;
  const pair = JSON.stringify([threadId, runId]);
  return `#${createHash("sha256").update(pair).digest("base64url")}`;
}

/**
 * Where an event stands among those of its day: smaller is newer. One that a gateway wrote without
 * the ledger has a place of its own: the ledger may have taken the same event after all, and what
 * has its place in the chain must not be overwritten.
 */
export function positionOf({ id, time, signature }: Keyed): string {
  const position = `${String(INVERSE_OF_MS - Date.parse(time)).padStart(13, "0")}:${id}`;
  return signature === null ? position : `${position}${DIRECT}`;
}

/** The position inside an event's key. */
export function positionIn(key: string): string {
  return key.split(":").slice(3).join(":");
}

const POSITION = /^(\d{13}):[0-9a-f-]{36}(:direct)?$/;

/** The day of the event at that position; null when no event can have it. */
export function dayOfPosition(position: string): string | null {
  const [, inverse] = POSITION.exec(position) ?? [];
  if (inverse === undefined) return null;
  return dayOf(new Date(INVERSE_OF_MS - Number(inverse)).toISOString());
}

export const dayOf = (time: string): string => time.slice(0, 10);

export function dayBefore(day: string): string {
  return new Date(Date.parse(`${day}T00:00:00.000Z`) - DAY_MS).toISOString().slice(0, 10);
}

/** Writes the event and its key by run. Rejects when KV does. */
export async function publish(
  kv: AuditKv,
  event: AuditEvent,
  retentionDays: number,
): Promise<void> {
  const options = { expirationTtl: retentionDays * (DAY_MS / 1_000), metadata: rowOf(event) };
  const key = eventKey(event);
  const byRun = runKey(event);
  await Promise.all([
    kv.put(key, JSON.stringify(event), options),
    byRun === null ? null : kv.put(byRun, key, options),
  ]);
}

export interface KeyPage {
  readonly keys: readonly string[];
  /** KV's own cursor behind this page; null at the end of the day. */
  readonly cursor: string | null;
}

/** The first day that is in KV. Null when nothing is, or when KV shows but what has expired. */
export async function firstDayIn(kv: AuditKv, tenant: string): Promise<string | null> {
  const prefix = `a1:${tenant}:`;
  const { keys } = await kv.list<EventRow>({ prefix, limit: 1 });
  return keys[0]?.name.slice(prefix.length).slice(0, "YYYY-MM-DD".length) ?? null;
}

/**
 * The keys of one day, newest first. The cursor has been in the reader's hands, so whatever KV makes
 * of it, no key of another prefix passes.
 */
export async function listDay(
  kv: AuditKv,
  tenant: string,
  day: string,
  limit: number,
  cursor: string | null,
): Promise<KeyPage> {
  const prefix = dayPrefix(tenant, day);
  const page = await kv.list<EventRow>({
    prefix,
    limit: Math.min(limit, MAX_LIST),
    ...(cursor === null ? {} : { cursor }),
  });
  return {
    keys: page.keys.map(({ name }) => name).filter((name) => name.startsWith(prefix)),
    cursor: page.list_complete ? null : page.cursor,
  };
}

/** The events behind the keys, in their order. One that has expired meanwhile is left out. */
export async function readEvents(kv: AuditKv, keys: readonly string[]): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  for (let start = 0; start < keys.length; start += MAX_BULK_GET) {
    const part = keys.slice(start, start + MAX_BULK_GET);
    const found = await kv.get<AuditEvent>(part, "json");
    for (const key of part) {
      const event = found.get(key);
      if (event !== null && event !== undefined) events.push(event);
    }
  }
  return events;
}

/** The event of that id, whichever way it came here; null when there is none. */
export async function readEvent(
  kv: AuditKv,
  tenant: string,
  id: string,
): Promise<AuditEvent | null> {
  const key = eventKey({ tenant, id, time: timeOf(id), signature: null });
  const [found] = await readEvents(kv, [key, `${key}${DIRECT}`]);
  return found ?? null;
}

function dayPrefix(tenant: string, day: string): string {
  return `a1:${tenant}:${day}:`;
}
