// The ledger: one Durable Object per tenant that keeps every intent until its outcome is known, puts
// events in order and hands them to KV. The outbox of the audit log, never the log itself.
import { DurableObject } from "cloudflare:workers";
import type { Log } from "../logger.ts";
import type { StopResult } from "../upstreams/stop.ts";
import { genesis, seal } from "./chain.ts";
import { type AuditEvent, type EventOutcome, firstIdOf, timeOf, UNKNOWN_OUTCOME } from "./event.ts";
import { type AuditKv, dayOf, publish } from "./log.ts";

/** An intent that nobody closed in this time is published as `unknown`. It is never re-sent. */
export const UNKNOWN_AFTER_MS = 120_000;
/** Events gather this long before an alarm publishes them together. */
const PUBLISH_AFTER_MS = 1_000;
const PUBLISH_BATCH = 100;
/** The newest of the outbox that a reader is shown: after a long outage of KV it may be very long. */
const UNPUBLISHED_SHOWN = 5_000;
/** KV takes one write per key and second, so a retry is never sooner. */
const RETRY_MS = { first: 2_000, longest: 60_000 } as const;
/** How long a click may be on its way, reading the run, and still find what came of the one before. */
const DONE_KEPT_MS = 30_000;
const DONE_KEPT = 1_000;
/** How long it is remembered that a run was cancelled, for upstreams that do not say. */
const MEMORY_MS = 30 * 24 * 60 * 60_000;
/** How long it is remembered which outcomes came in: a gateway gives up repeating one far sooner. */
const TAKEN_MS = 10 * 60_000;

export interface LedgerTools {
  readonly kv: AuditKv;
  readonly now: () => number;
  readonly log: Log;
}

/** What a caller whose cancel was joined to another gets: that one's event and result. */
export interface Handover {
  readonly leader: string;
  readonly result: StopResult;
}

export interface Intent {
  readonly event: AuditEvent;
  readonly retentionDays: number;
  /** How long this cancel may take; until then others of the same run wait for it. */
  readonly leadMs: number;
}

export interface Finish {
  /** The event with its outcome. */
  readonly event: AuditEvent;
  readonly retentionDays: number;
  /** Handed to those who wait. */
  readonly result: StopResult;
  /** The upstream took the cancel and will not say so itself: remember it. */
  readonly remember: boolean;
  /** The id of the second event, should the intent have been closed as `unknown` before. */
  readonly lateId: string;
}

/** What the journey asks of the ledger; the Durable Object's RPC. */
export interface LedgerRpc {
  begin(intent: Intent): Promise<string | null>;
  join(intent: Intent, leader: string): Promise<Handover | null>;
  handOver(event: AuditEvent, result: StopResult): Promise<void>;
  finish(finish: Finish): Promise<void>;
  record(event: AuditEvent, retentionDays: number): Promise<void>;
  unpublished(): Promise<Unpublished>;
  cancelledAt(threadId: string, runId: string): Promise<number | null>;
}

export interface Unpublished {
  /** Closed but not in KV yet, and open intents. */
  readonly events: readonly AuditEvent[];
  /** The last place in the chain that was given; 0 before the first. */
  readonly seq: number;
  /** The day of the tenant's first event; null when there is none. */
  readonly firstDay: string | null;
}

type IntentRow = { id: string; event: string; retention_days: number; lead_until: number };
type OutboxRow = { seq: number; event: string; retention_days: number };

interface Done {
  readonly leader: string;
  readonly result: StopResult;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export class LedgerObject<Env> extends DurableObject<Env> implements LedgerRpc {
  readonly #tools: LedgerTools;
  readonly #sql: SqlStorage;
  /** By the leader's event id: those who wait for its result. Lost on eviction, then each leads. */
  readonly #waiting = new Map<string, Set<(result: StopResult | null) => void>>();
  /** By the follower's event id, from its `begin` to its `join`, or until its intent is closed. */
  readonly #joining = new Map<string, Promise<StopResult | null>>();
  /** By run: what came of the last cancel, for those who asked before it was over. */
  readonly #done = new Map<string, Done>();
  #alarmAt: number | null = null;
  /** Failures of KV in a row, and the time before which it is left alone. */
  #failures = 0;
  #retryAt = 0;

  constructor(ctx: DurableObjectState, env: Env, tools: LedgerTools) {
    super(ctx, env);
    this.#tools = tools;
    this.#sql = ctx.storage.sql;
    ctx.blockConcurrencyWhile(async () => {
      this.#sql.exec(SCHEMA);
      this.#alarmAt = await ctx.storage.getAlarm();
    });
  }

  /**
   * Stores the intent. Null: go ahead. Otherwise the same run is being cancelled at this moment by
   * the event of that id: `join` it.
   */
  // biome-ignore lint/suspicious/useAwait: an RPC method answers with a promise.
  async begin(intent: Intent): Promise<string | null> {
    this.#insertIntent(intent);
    const done = this.#overlapped(intent.event);
    if (done !== undefined) {
      this.#joining.set(intent.event.id, Promise.resolve(done.result));
      return done.leader;
    }
    const leader = this.#leaderOf(intent.event);
    if (leader === null) {
      this.#lead(intent.event.id, intent.leadMs);
      return null;
    }
    // Waits from now on: the leader may be done before `join` comes.
    this.#joining.set(intent.event.id, this.#waitFor(leader));
    return leader.id;
  }

  /** What came of the cancel that `begin` named. Null: it was lost, go ahead in its place. */
  async join(intent: Intent, leaderId: string): Promise<Handover | null> {
    const { event } = intent;
    let leader: string = leaderId;
    let result = (await this.#joining.get(event.id)) ?? null;
    this.#joining.delete(event.id);
    while (result === null) {
      const next = this.#leaderOf(event);
      if (next === null) {
        this.#lead(event.id, intent.leadMs);
        return null;
      }
      leader = next.id;
      result = await this.#waitFor(next);
    }
    // Unless it waited so long that it was closed as unknown meanwhile.
    if (this.#isOpen(event.id)) {
      this.#close({ ...event, outcome: joinedOutcome(result, leader) }, intent.retentionDays);
    }
    return { leader, result };
  }

  /** Releases those who wait for it. Whoever comes later finds the run's state, and no leader. */
  // biome-ignore lint/suspicious/useAwait: an RPC method answers with a promise.
  async handOver(event: AuditEvent, result: StopResult): Promise<void> {
    this.#lead(event.id, 0);
    this.#share(event, result);
  }

  /** Closes the intent with its outcome and releases those who wait for it. May be repeated. */
  // biome-ignore lint/suspicious/useAwait: an RPC method answers with a promise.
  async finish({ event, retentionDays, result, remember, lateId }: Finish): Promise<void> {
    // Published as unknown, or never seen because it went straight to KV: a second event names it.
    const late = { ...event, id: lateId, time: timeOf(lateId), intent_id: event.id };
    this.#takeOnce(event.id, this.#isOpen(event.id) ? event : late, retentionDays);
    if (remember) this.#remember(event, result);
    this.#share(event, result);
  }

  /** An event that is closed from the start: a denial. May be repeated. */
  // biome-ignore lint/suspicious/useAwait: an RPC method answers with a promise.
  async record(event: AuditEvent, retentionDays: number): Promise<void> {
    this.#takeOnce(event.id, event, retentionDays);
    // Its intent may be here after all, with others waiting for what will not come.
    this.#release(event.id, null);
  }

  /** What KV does not have yet, so that a reader sees what was just written. */
  // biome-ignore lint/suspicious/useAwait: an RPC method answers with a promise.
  async unpublished(): Promise<Unpublished> {
    this.#closeOverdue();
    const open = this.#sql.exec<IntentRow>("SELECT * FROM intents").toArray();
    const closed = this.#sql
      .exec<OutboxRow>("SELECT * FROM outbox ORDER BY seq DESC LIMIT ?", UNPUBLISHED_SHOWN)
      .toArray();
    return {
      events: [...closed.reverse(), ...open].map(({ event }) => JSON.parse(event) as AuditEvent),
      seq: this.#lastSeq(),
      firstDay: this.#meta("first_day"),
    };
  }

  /** When a cancel of the run was taken upstream, in Unix seconds. */
  // biome-ignore lint/suspicious/useAwait: an RPC method answers with a promise.
  async cancelledAt(threadId: string, runId: string): Promise<number | null> {
    const [row] = this.#sql
      .exec<{ at: number }>("SELECT at FROM stops WHERE run = ?", runName(threadId, runId))
      .toArray();
    return row === undefined ? null : Math.floor(row.at / 1_000);
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    this.#closeOverdue();
    this.#forget();
    await this.#publishDue();
    this.#wakeForOldestIntent();
  }

  /** Publishes what there is, unless KV has just failed. Never rejects. */
  async #publishDue(): Promise<void> {
    if (this.#tools.now() < this.#retryAt) return this.#wakeAt(this.#retryAt);
    try {
      const more = await this.#publishBatch();
      this.#failures = 0;
      if (more) this.#wakeAt(this.#tools.now());
    } catch (error) {
      // KV is down: the events stay here, nobody is blocked, and a later alarm tries again.
      const pause = Math.min(RETRY_MS.first * 2 ** this.#failures, RETRY_MS.longest);
      this.#failures += 1;
      this.#retryAt = this.#tools.now() + pause;
      this.#tools.log("warn", "audit_publish_failed", { detail: String(error), retry_ms: pause });
      this.#wakeAt(this.#retryAt);
    }
  }

  /** True when there is more to publish. Rejects when KV does, once all it was asked is settled. */
  async #publishBatch(): Promise<boolean> {
    const rows = this.#sql
      .exec<OutboxRow>("SELECT * FROM outbox ORDER BY seq LIMIT ?", PUBLISH_BATCH)
      .toArray();
    const puts = await Promise.allSettled(
      rows.map((row) =>
        publish(this.#tools.kv, JSON.parse(row.event) as AuditEvent, row.retention_days),
      ),
    );
    for (const [index, { seq }] of rows.entries()) {
      // Only now: what is not surely in KV stays here. A repeated put writes the same bytes again.
      if (puts[index]?.status === "fulfilled") {
        this.#sql.exec("DELETE FROM outbox WHERE seq = ?", seq);
      }
    }
    const failed = puts.find((put) => put.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    return rows.length === PUBLISH_BATCH;
  }

  /** Closes it unless an outcome of that id was taken before, whose answer the gateway has missed. */
  #takeOnce(id: string, event: AuditEvent, retentionDays: number): void {
    const taken = this.#sql.exec("SELECT 1 FROM taken WHERE id = ?", id).toArray().length > 0;
    if (taken) return;
    this.#close(event, retentionDays);
    this.#sql.exec("INSERT INTO taken (id) VALUES (?)", id);
  }

  /** Gives the event the next place in the chain. Synchronous, so that no other can come between. */
  #close(event: AuditEvent, retentionDays: number): void {
    this.ctx.storage.transactionSync(() => {
      const seq = this.#lastSeq() + 1;
      const sealed = seal(event, seq, this.#meta("hash") ?? genesis(event.tenant));
      this.#sql.exec("DELETE FROM intents WHERE id = ?", event.id);
      this.#sql.exec(
        "INSERT INTO outbox (seq, event, retention_days) VALUES (?, ?, ?)",
        seq,
        JSON.stringify(sealed),
        retentionDays,
      );
      this.#setMeta("seq", String(seq));
      this.#setMeta("hash", sealed.hash);
      this.#noteDay(event.time);
    });
    this.#joining.delete(event.id);
    // While KV is failing, the retry that is due sets the pace.
    this.#wakeAt(Math.max(this.#tools.now() + PUBLISH_AFTER_MS, this.#retryAt));
  }

  #lastSeq(): number {
    return Number(this.#meta("seq") ?? 0);
  }

  /** Keeps the earliest day of any event, so that readers know where the log begins. */
  #noteDay(time: string): void {
    const day = dayOf(time);
    const first = this.#meta("first_day");
    if (first === null || day < first) this.#setMeta("first_day", day);
  }

  #closeOverdue(): void {
    const before = this.#tools.now() - UNKNOWN_AFTER_MS;
    const overdue = this.#sql
      .exec<IntentRow>("SELECT * FROM intents WHERE begun_at <= ? ORDER BY begun_at", before)
      .toArray();
    for (const row of overdue) {
      const event = { ...(JSON.parse(row.event) as AuditEvent), outcome: UNKNOWN_OUTCOME };
      this.#close(event, row.retention_days);
      this.#release(row.id, null);
    }
  }

  #insertIntent({ event, retentionDays }: Intent): void {
    const now = this.#tools.now();
    this.#sql.exec(
      "INSERT INTO intents (id, run, event, retention_days, begun_at, lead_until) VALUES (?, ?, ?, ?, ?, 0)",
      event.id,
      runName(event.target.thread_id, event.target.run_id),
      JSON.stringify(event),
      retentionDays,
      now,
    );
    this.#wakeAt(now + UNKNOWN_AFTER_MS);
  }

  #isOpen(id: string): boolean {
    return this.#sql.exec("SELECT 1 FROM intents WHERE id = ?", id).toArray().length > 0;
  }

  /** The open intent that is cancelling the same run at this moment. */
  #leaderOf(event: AuditEvent): IntentRow | null {
    const rows = this.#sql.exec<IntentRow>(
      "SELECT * FROM intents WHERE run = ? AND id <> ? AND lead_until > ? LIMIT 1",
      runName(event.target.thread_id, event.target.run_id),
      event.id,
      this.#tools.now(),
    );
    return rows.toArray()[0] ?? null;
  }

  #lead(id: string, leadMs: number): void {
    this.#sql.exec(
      "UPDATE intents SET lead_until = ? WHERE id = ?",
      this.#tools.now() + leadMs,
      id,
    );
  }

  /** The leader's result; null when it was lost, or did not come in its time. */
  #waitFor({ id, lead_until }: IntentRow): Promise<StopResult | null> {
    return new Promise((resolve) => {
      const waiters = this.#waiting.get(id) ?? new Set();
      const settle = (result: StopResult | null): void => {
        clearTimeout(timer);
        waiters.delete(settle);
        resolve(result);
      };
      const timer = setTimeout(() => settle(null), lead_until - this.#tools.now() + 1);
      waiters.add(settle);
      this.#waiting.set(id, waiters);
    });
  }

  /**
   * What came of a cancel of the same run that was not over yet when this one was asked for. What it
   * read of the run on its way here may be older than that.
   */
  #overlapped({ target, time }: AuditEvent): Done | undefined {
    const done = this.#done.get(runName(target.thread_id, target.run_id));
    return done !== undefined && Date.parse(time) <= done.at ? done : undefined;
  }

  /**
   * Gives the result to those who wait, and keeps it for those who are still on their way. A failure
   * is not kept: who presses Stop once more deserves another try.
   */
  #share({ id, target }: AuditEvent, result: StopResult): void {
    const at = this.#tools.now();
    const run = runName(target.thread_id, target.run_id);
    this.#done.delete(run);
    if ("run" in result) this.#done.set(run, { leader: id, result, at });
    // The oldest come first.
    for (const [name, done] of this.#done) {
      if (done.at >= at - DONE_KEPT_MS && this.#done.size <= DONE_KEPT) break;
      this.#done.delete(name);
    }
    this.#release(id, result);
  }

  #release(id: string, result: StopResult | null): void {
    const waiters = this.#waiting.get(id) ?? [];
    this.#waiting.delete(id);
    for (const settle of [...waiters]) settle(result);
  }

  /** The time that the reply has told, where it told one. */
  #remember({ target, time }: AuditEvent, result: StopResult): void {
    const told = "run" in result ? result.cancelledAt : null;
    this.#sql.exec(
      "INSERT INTO stops (run, at) VALUES (?, ?) ON CONFLICT (run) DO NOTHING",
      runName(target.thread_id, target.run_id),
      told === null ? Date.parse(time) : told * 1_000,
    );
  }

  #forget(): void {
    const now = this.#tools.now();
    this.#sql.exec("DELETE FROM stops WHERE at < ?", now - MEMORY_MS);
    this.#sql.exec("DELETE FROM taken WHERE id < ?", firstIdOf(now - TAKEN_MS));
  }

  #meta(key: string): string | null {
    const [row] = this.#sql
      .exec<{ value: string }>("SELECT value FROM meta WHERE key = ?", key)
      .toArray();
    return row?.value ?? null;
  }

  #setMeta(key: string, value: string): void {
    this.#sql.exec(
      "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      key,
      value,
    );
  }

  /** There is one alarm; the earliest wish wins. */
  #wakeAt(at: number): void {
    if (this.#alarmAt !== null && this.#alarmAt <= at) return;
    this.#alarmAt = at;
    this.ctx.waitUntil(this.ctx.storage.setAlarm(at));
  }

  #wakeForOldestIntent(): void {
    const [row] = this.#sql
      .exec<{ oldest: number | null }>("SELECT MIN(begun_at) AS oldest FROM intents")
      .toArray();
    if (row?.oldest != null) this.#wakeAt(row.oldest + UNKNOWN_AFTER_MS);
  }
}

/** `lead_until` is 0 for an intent that waits for another. */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS intents (
    id TEXT PRIMARY KEY, run TEXT NOT NULL, event TEXT NOT NULL, retention_days INTEGER NOT NULL,
    begun_at INTEGER NOT NULL, lead_until INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS intents_by_run ON intents (run);
  CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY, event TEXT NOT NULL, retention_days INTEGER NOT NULL
  );
  CREATE TABLE IF NOT EXISTS taken (id TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS stops (run TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS stops_by_time ON stops (at);
`;

/** Ids have no slash, so no two runs share a name. */
function runName(threadId: string | null, runId: string | null): string {
  return `${threadId}/${runId}`;
}

function joinedOutcome(result: StopResult, leader: string): EventOutcome {
  return { ...outcomeOfResult(result), attempts: 0, joined: leader };
}

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
