// The audit log in Workers KV: where each event lies and how it is found again. Written once.
// KV promises neither order nor read-after-write elsewhere; order is the ledger's, made before.
import { type AuditEvent, type EventRow, rowOf } from "./event.ts";

const DAY_MS = 24 * 60 * 60_000;
/** Newest first within a day: keys are listed in ascending order only. */
const INVERSE_OF_MS = 9_999_999_999_999;
const MAX_LIST = 1_000;
/** KV's own limit for one bulk get. */
const MAX_BULK_GET = 100;

export type AuditKv = Pick<KVNamespace, "put" | "list" | "get">;

/** `a1:{tenant}:{YYYY-MM-DD}:{inverse ms}:{id}`. A tenant id has no colon, so no other's prefix. */
export function eventKey(event: Pick<AuditEvent, "tenant" | "id" | "time">): string {
  return `${dayPrefix(event.tenant, dayOf(event.time))}${positionOf(event)}`;
}

/** Answers "who cancelled this run?" with one list. */
export function runKey(event: AuditEvent): string | null {
  const { thread_id, run_id } = event.target;
  if (thread_id === null || run_id === null) return null;
  return `a1r:${event.tenant}:${thread_id}:${run_id}:${positionOf(event)}`;
}

/** Where an event stands among those of its day: smaller is newer. */
export function positionOf({ id, time }: Pick<AuditEvent, "id" | "time">): string {
  return `${String(INVERSE_OF_MS - Date.parse(time)).padStart(13, "0")}:${id}`;
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

/** The keys of one day, newest first. */
export async function listDay(
  kv: AuditKv,
  tenant: string,
  day: string,
  limit: number,
  cursor: string | null,
): Promise<KeyPage> {
  const page = await kv.list<EventRow>({
    prefix: dayPrefix(tenant, day),
    limit: Math.min(limit, MAX_LIST),
    ...(cursor === null ? {} : { cursor }),
  });
  return {
    keys: page.keys.map(({ name }) => name),
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

export async function readEvent(kv: AuditKv, key: string): Promise<AuditEvent | null> {
  return await kv.get<AuditEvent>(key, "json");
}

function dayPrefix(tenant: string, day: string): string {
  return `a1:${tenant}:${day}:`;
}
