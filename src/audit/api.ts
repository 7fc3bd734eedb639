// Reading the audit log: one tenant's own events, newest first, with those the ledger has not
// published yet merged in. There is no tenant parameter anywhere: the caller's token is it.
import * as z from "zod";
import { Refusal } from "../failure.ts";
import { type Log, toLine } from "../logger.ts";
import { type AuditEvent, UNKNOWN_AFTER_MS } from "./event.ts";
import { askLedger } from "./journal.ts";
import type { LedgerRpc, Unpublished } from "./ledger.ts";
import {
  type AuditKv,
  dayBefore,
  dayOf,
  dayOfPosition,
  firstDayIn,
  listDay,
  positionIn,
  positionOf,
  readEvent,
  readEvents,
} from "./log.ts";

export const MAX_PAGE = 200;
/** Days that one page looks at: an empty day costs a list, so a page is bounded. */
const DAYS_PER_PAGE = 31;
/** Lists that one page makes: a cursor may pass over events as well as days. */
const LISTS_PER_PAGE = 100;
const EXPORT_PAGE = 500;

export interface ReadTools {
  readonly kv: AuditKv;
  readonly ledger: (tenant: string) => LedgerRpc;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly log: Log;
}

/** Where reading goes on. It names no tenant: moved, it moves only within the caller's own log. */
const Place = z.strictObject({
  day: z.iso.date(),
  /** KV's own cursor within the day; null at its beginning. */
  kv: z.string().max(1_024).nullable(),
  /** The position of the last event that was read in the day. */
  after: z.string().max(64).nullable(),
});
type Place = z.infer<typeof Place>;

interface Page {
  readonly events: readonly AuditEvent[];
  /** Null at the end of the log. */
  readonly next: Place | null;
}

export interface EventList {
  readonly object: "list";
  readonly data: readonly AuditEvent[];
  readonly has_more: boolean;
  readonly next_cursor: string | null;
}

/** One page of at most `limit` events. Throws `invalid_request` for a cursor that is none of ours. */
export async function listEvents(
  tools: ReadTools,
  tenant: string,
  limit: number,
  cursor: string | undefined,
): Promise<EventList> {
  const start = placeOf(tools, cursor);
  const { events, next } = await readPage(tools, tenant, await look(tools, tenant), limit, start);
  return {
    object: "list",
    data: events,
    has_more: next !== null,
    next_cursor: next === null ? null : encodePlace(next),
  };
}

/**
 * Every stored event as NDJSON, newest first, page by page. An intent that is still open has no
 * place in the chain and is left out, and so is what is closed while the export is running: with it,
 * the chain would have gaps. Throws as `listEvents`, before the first line.
 */
export async function exportEvents(
  tools: ReadTools,
  tenant: string,
  cursor: string | undefined,
): Promise<ReadableStream<Uint8Array>> {
  const start = placeOf(tools, cursor);
  const view = await look(tools, tenant);
  const read = (place: Place): Promise<Page> => readPage(tools, tenant, view, EXPORT_PAGE, place);
  // Only what is this young can have been open when the export began.
  const young = new Date(tools.now() - 2 * UNKNOWN_AFTER_MS).toISOString();
  const isStored = ({ seq, signature, time }: AuditEvent): boolean =>
    seq === null ? signature !== null : seq <= view.seq || time < young;
  let page: Page | null = await read(start);
  return new ReadableStream({
    async pull(controller) {
      if (page === null) return controller.close();
      const lines = page.events.filter(isStored).map((event) => `${toLine(event)}\n`);
      controller.enqueue(new TextEncoder().encode(lines.join("")));
      page = page.next && (await read(page.next));
    },
  });
}

/** The event of that id, published or not; null when the tenant has none. */
export async function findEvent(
  tools: ReadTools,
  tenant: string,
  id: string,
): Promise<AuditEvent | null> {
  if (!z.uuidv7().safeParse(id).success) return null;
  // The ledger first: KV would remember for a while that it does not have the event yet.
  const { events } = await readLedger(tools, tenant);
  return events.find((event) => event.id === id) ?? (await readEvent(tools.kv, tenant, id));
}

async function readPage(
  tools: ReadTools,
  tenant: string,
  { pending, firstDay }: View,
  limit: number,
  start: Place,
): Promise<Page> {
  const events: AuditEvent[] = [];
  let place: Place = start;
  let days = 0;
  for (let lists = 0; lists < LISTS_PER_PAGE; lists += 1) {
    if (days === DAYS_PER_PAGE || events.length >= limit) break;
    if (place.day < firstDay) return { events, next: null };
    const step = await readStep(tools.kv, tenant, limit - events.length, place, pending);
    events.push(...step.events);
    if (step.next.day !== place.day) days += 1;
    place = step.next;
  }
  return { events, next: place.day < firstDay ? null : place };
}

interface Step {
  readonly events: readonly AuditEvent[];
  readonly next: Place;
}

/** At most `wanted` events of one day, behind `place`. */
async function readStep(
  kv: AuditKv,
  tenant: string,
  wanted: number,
  place: Place,
  pending: readonly AuditEvent[],
): Promise<Step> {
  const { day, after } = place;
  const page = await listDay(kv, tenant, day, wanted, place.kv).catch((error: unknown) => {
    throw place.kv !== null && isBadRequest(error) ? badCursor() : error;
  });
  const stored = await readEvents(kv, page.keys);
  // What is older than the end of KV's page has its turn with the next one.
  const end = page.cursor === null ? null : positionIn(page.keys.at(-1) ?? "");
  const here = merge(
    stored,
    pending.filter((event) => dayOf(event.time) === day),
  ).filter((event) => {
    const position = positionOf(event);
    return (after === null || position > after) && (end === null || position <= end);
  });
  const events = here.slice(0, wanted);
  const last = events.at(-1);
  const reached = last === undefined ? after : positionOf(last);
  if (here.length > wanted) return { events, next: { day, kv: place.kv, after: reached } };
  if (page.cursor !== null) return { events, next: { day, kv: page.cursor, after: reached } };
  return { events, next: { day: dayBefore(day), kv: null, after: null } };
}

/** Newest first. An event that is being published is in both; it is the same one. */
function merge(stored: readonly AuditEvent[], pending: readonly AuditEvent[]): AuditEvent[] {
  const byPosition = new Map([...pending, ...stored].map((event) => [positionOf(event), event]));
  return [...byPosition].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, event]) => event);
}

/** What there is to read, at one moment. */
interface View {
  /** What the ledger has not published, open intents among it. */
  readonly pending: readonly AuditEvent[];
  /** The last place in the chain that had been given; unbounded when the ledger cannot tell. */
  readonly seq: number;
  /** Nothing lies before this day. */
  readonly firstDay: string;
}

/** Before KV is listed: an event on its way from the ledger to KV is then seen twice, not never. */
async function look(tools: ReadTools, tenant: string): Promise<View> {
  const [{ events, seq, firstDay }, stored] = await Promise.all([
    readLedger(tools, tenant),
    firstDayIn(tools.kv, tenant),
  ]);
  const first = stored ?? firstDay ?? today(tools.now);
  const [earliest = first] = [first, ...events.map(({ time }) => dayOf(time))].sort();
  return { pending: events, seq, firstDay: earliest };
}

/** A ledger that is down hides what it has not published; the log in KV can be read all the same. */
async function readLedger(tools: ReadTools, tenant: string): Promise<Unpublished> {
  try {
    return await askLedger(tools, { id: tenant }, (ledger) => ledger.unpublished());
  } catch (error) {
    tools.log("warn", "ledger_unreachable", { tenant, detail: String(error) });
    return { events: [], seq: Number.POSITIVE_INFINITY, firstDay: null };
  }
}

function today(now: () => number): string {
  return dayOf(new Date(now()).toISOString());
}

/**
 * No page leads to a day that is still to come, nor out of its day: to read on from there would cost
 * a list for each day, or each event, in between.
 */
function placeOf({ now }: ReadTools, cursor: string | undefined): Place {
  if (cursor === undefined) return { day: today(now), kv: null, after: null };
  const place = Place.safeParse(readJson(Buffer.from(cursor, "base64url").toString("utf8")));
  if (!place.success) throw badCursor();
  const { day, after } = place.data;
  if (day > today(now)) throw badCursor();
  if (after !== null && dayOfPosition(after) !== day) throw badCursor();
  return place.data;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function badCursor(): Refusal {
  return new Refusal("invalid_request", {
    words: "'cursor' must be the next_cursor of an earlier page.",
    param: "cursor",
  });
}

/** KV's answer to a cursor that it did not make; any other failure is KV's own. */
function isBadRequest(error: unknown): boolean {
  return error instanceof Error && / failed: 400\b/.test(error.message);
}

function encodePlace(place: Place): string {
  return Buffer.from(JSON.stringify(place)).toString("base64url");
}
