// The ledger: one Durable Object per tenant that keeps every intent until its outcome is known, puts
// events in order, hands them to KV and remembers which runs were cancelled, and whose they are where
// that was registered. The outbox of the audit log, never the log itself. Its RPC methods are async, as
// the runtime has them, even where they wait for nothing.
import { DurableObject } from "cloudflare:workers";
import type { Log } from "../logger.ts";
import type { Proof } from "../policy/authorise.ts";
import { proofBy } from "../policy/ownership.ts";
import type { StopResult } from "../upstreams/stop.ts";
import { genesis, seal } from "./chain.ts";
import {
  type AuditEvent,
  allowedBy,
  type EventOutcome,
  firstIdOf,
  outcomeOfResult,
  timeOf,
  UNKNOWN_AFTER_MS,
  UNKNOWN_OUTCOME,
} from "./event.ts";
import { type AuditKv, dayOf, publish } from "./log.ts";

import { type Leader, Overlap } from "./overlap.ts";

/** Events gather this long before an alarm publishes them together. */
const PUBLISH_AFTER_MS = 1_000;
const PUBLISH_BATCH = 100;
/**
 * No alarm is set sooner: the runtime leaves one that is due by the time it is stored lying for tens of
 * seconds.
 */
const SOONEST_ALARM_MS = 100;
/** An alarm that is so long overdue will not ring by itself. */
const OVERDUE_MS = 2_000;
/** The newest of the outbox that a reader is shown: after a long outage of KV it may be very long. */
const UNPUBLISHED_SHOWN = 5_000;
/** KV takes one write per key and second, so a retry is never sooner. */
const RETRY_MS = { first: 2_000, longest: 60_000 } as const;
/** The newest of a thread's registered runs: older ones have ended. */
const REGISTERED_SHOWN = 200;
const DAY_MS = 24 * 60 * 60_000;
/** How long it is remembered that a run was cancelled, for upstreams that do not say. */
const MEMORY_MS = 30 * DAY_MS;
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

/** An intent that only the registry can allow. */
export interface Claim {
  /** The name that the caller's own runs carry; null when none can. */
  readonly subject: string | null;
  /** By what the registry proves: the rule that allows it then; null where none does. */
  readonly rules: { readonly person: string | null; readonly tenant: string | null };
  /** Whose rule is still to be put in. */
  readonly intent: Intent;
}

export interface Registration {
  readonly event: AuditEvent;
  readonly retentionDays: number;
  readonly subject: string;
  /** How long it counts. */
  readonly days: number;
}

/** What the journey asks of the ledger; the Durable Object's RPC. */
export interface LedgerRpc {
  begin(intent: Intent): Promise<string | null>;
  beginIfOwned(claim: Claim): Promise<{ proof: Proof; leader: string | null }>;
  register(registration: Registration): Promise<void>;
  ownerOf(threadId: string | null, runId: string): Promise<string | null>;
  registeredOn(threadId: string, subject: string | null): Promise<readonly string[]>;
  join(intent: Intent, leader: string): Promise<Handover | null>;
  handOver(event: AuditEvent, result: StopResult, remember: boolean): Promise<void>;
  finish(finish: Finish): Promise<void>;
  record(event: AuditEvent, retentionDays: number): Promise<void>;
  unpublished(): Promise<Unpublished>;
  cancelledAt(threadId: string | null, runId: string): Promise<number | null>;
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

export class LedgerObject<Env> extends DurableObject<Env> implements LedgerRpc {
  readonly #tools: LedgerTools;
  readonly #sql: SqlStorage;
  readonly #overlap: Overlap;
  #alarmAt: number | null = null;
  /** Failures of KV in a row, and the time before which it is left alone. */
  #failures = 0;
  #retryAt = 0;

  constructor(ctx: DurableObjectState, env: Env, tools: LedgerTools) {
    super(ctx, env);
    this.#tools = tools;
    this.#sql = ctx.storage.sql;
    this.#overlap = new Overlap(tools.now);
    ctx.blockConcurrencyWhile(async () => {
      this.#sql.exec(SCHEMA);
      const storedAt = await ctx.storage.getAlarm();
      // Of a process that was killed, say. Whatever it was for is due.
      if (storedAt !== null && storedAt <= tools.now()) this.#wakeAt(tools.now());
      else this.#alarmAt = storedAt;
    });
  }

  /**
   * Stores the intent; may be repeated. Null: go ahead. Otherwise the same run is being cancelled at this moment by
   * the event of that id: `join` it.
   */
  async begin(intent: Intent): Promise<string | null> {
    return this.#begin(intent);
  }

  /** As `begin`, if the registry proves what a rule needs. Otherwise nothing is stored. */
  async beginIfOwned({ subject, rules, intent }: Claim) {
    const proof = proofBy(this.#owner(runOf(intent.event)), subject);
    const rule = proof === "nothing" ? null : rules[proof];
    if (rule === null) return { proof, leader: null };
    return { proof, leader: this.#begin({ ...intent, event: allowedBy(intent.event, rule) }) };
  }

  /** Whose run it is from now on, and that it was said, in one transaction. May be repeated. */
  async register({ event, retentionDays, subject, days }: Registration): Promise<void> {
    this.ctx.storage.transactionSync(() => {
      // Said again late, it must not undo what was said since.
      if (!this.#takeOnce(event.id, event, retentionDays)) return;
      this.#sql.exec(
        "INSERT INTO owners (run, subject, until) VALUES (?, ?, ?) ON CONFLICT (run) DO UPDATE SET subject = excluded.subject, until = excluded.until",
        runOf(event),
        subject,
        this.#tools.now() + days * DAY_MS,
      );
    });
  }

  /** Who is registered as the run's owner; null when nobody is, or no longer. */
  async ownerOf(threadId: string | null, runId: string): Promise<string | null> {
    return this.#owner(runName(threadId, runId));
  }

  /** The ids of the thread's registered runs, or of those of one subject, the newest first. */
  async registeredOn(threadId: string, subject: string | null): Promise<readonly string[]> {
    const start = runName(threadId, "");
    // What begins with the thread's id and a slash: "0" is the character after it.
    const rows = this.#sql
      .exec<{ run: string }>(
        "SELECT run FROM owners WHERE run >= ? AND run < ? AND until > ? AND subject = coalesce(?, subject) ORDER BY until DESC LIMIT ?",
        start,
        `${start.slice(0, -1)}0`,
        this.#tools.now(),
        subject,
        REGISTERED_SHOWN,
      )
      .toArray();
    return rows.map(({ run }) => run.slice(start.length));
  }

  #begin(intent: Intent): string | null {
    const { event, leadMs } = intent;
    // It came so late that its refusal is on record already; nobody waits for it any more.
    if (this.#isTaken(event.id)) throw new Error("an event of that id is closed");
    this.#insertIntent(intent);
    const done = this.#overlap.doneSince(runOf(event), Date.parse(event.time));
    if (done !== undefined) {
      this.#overlap.give(event.id, done.result);
      return done.leader;
    }
    const leader = this.#leaderOf(event);
    if (leader === null) {
      this.#lead(event.id, leadMs);
      return null;
    }
    this.#overlap.follow(event.id, leader);
    return leader.id;
  }

  /** What came of the cancel that `begin` named. Null: it was lost, go ahead in its place. */
  async join(intent: Intent, leaderId: string): Promise<Handover | null> {
    const { event } = intent;
    let leader: string = leaderId;
    let result = await this.#overlap.resultFor(event.id);
    while (result === null) {
      const next = this.#leaderOf(event);
      if (next === null) {
        this.#lead(event.id, intent.leadMs);
        return null;
      }
      leader = next.id;
      result = await this.#overlap.waitFor(next);
    }
    // Unless it waited so long that it was closed as unknown meanwhile.
    if (this.#isOpen(event.id)) {
      this.#close({ ...event, outcome: joinedOutcome(result, leader) }, intent.retentionDays);
    }
    return { leader, result };
  }

  /** Releases those who wait for it. Whoever comes later finds the run's state, and no leader. */
  async handOver(event: AuditEvent, result: StopResult, remember: boolean): Promise<void> {
    if (remember) this.#remember(event, result);
    this.#lead(event.id, 0);
    this.#overlap.share(event.id, runOf(event), result);
  }

  /** Closes the intent with its outcome and releases those who wait for it. May be repeated. */
  async finish({ event, retentionDays, result, remember, lateId }: Finish): Promise<void> {
    // Published as unknown, or never seen because it went straight to KV: a second event names it.
    const late = { ...event, id: lateId, time: timeOf(lateId), intent_id: event.id };
    this.#takeOnce(event.id, this.#isOpen(event.id) ? event : late, retentionDays);
    if (remember) this.#remember(event, result);
    this.#overlap.share(event.id, runOf(event), result);
  }

  /** An event that is closed from the start: a denial. May be repeated. */
  async record(event: AuditEvent, retentionDays: number): Promise<void> {
    this.#takeOnce(event.id, event, retentionDays);
    // Its intent may be here after all, with others waiting for what will not come.
    this.#overlap.release(event.id, null);
  }

  /** What KV does not have yet, so that a reader sees what was just written. */
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
  async cancelledAt(threadId: string | null, runId: string): Promise<number | null> {
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

  /** Closes it unless that id was taken before, whose answer the gateway has missed: then false. */
  #takeOnce(id: string, event: AuditEvent, retentionDays: number): boolean {
    if (this.#isTaken(id)) return false;
    this.#close(event, retentionDays);
    this.#sql.exec("INSERT INTO taken (id) VALUES (?)", id);
    return true;
  }

  #isTaken(id: string): boolean {
    return this.#sql.exec("SELECT 1 FROM taken WHERE id = ?", id).toArray().length > 0;
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
    this.#overlap.forget(event.id);
    // While KV is failing, the retry that is due sets the pace.
    this.#wakeAt(Math.max(this.#tools.now() + PUBLISH_AFTER_MS, this.#retryAt));
  }

  #owner(run: string): string | null {
    const [row] = this.#sql
      .exec<{ subject: string }>(
        "SELECT subject FROM owners WHERE run = ? AND until > ?",
        run,
        this.#tools.now(),
      )
      .toArray();
    return row?.subject ?? null;
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
      this.#overlap.release(row.id, null);
    }
  }

  #insertIntent({ event, retentionDays }: Intent): void {
    const now = this.#tools.now();
    this.#sql.exec(
      "INSERT INTO intents (id, run, event, retention_days, begun_at, lead_until) VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT (id) DO NOTHING",
      event.id,
      runOf(event),
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
  #leaderOf(event: AuditEvent): Leader | null {
    const [row] = this.#sql
      .exec<Leader & Record<string, SqlStorageValue>>(
        "SELECT id, lead_until AS until FROM intents WHERE run = ? AND id <> ? AND lead_until > ? LIMIT 1",
        runOf(event),
        event.id,
        this.#tools.now(),
      )
      .toArray();
    return row ?? null;
  }

  #lead(id: string, leadMs: number): void {
    this.#sql.exec(
      "UPDATE intents SET lead_until = ? WHERE id = ?",
      this.#tools.now() + leadMs,
      id,
    );
  }

  /** The time that the reply has told, where it told one. */
  #remember(event: AuditEvent, result: StopResult): void {
    const told = "run" in result ? result.cancelledAt : null;
    this.#sql.exec(
      "INSERT INTO stops (run, at) VALUES (?, ?) ON CONFLICT (run) DO NOTHING",
      runOf(event),
      told === null ? Date.parse(event.time) : told * 1_000,
    );
  }

  #forget(): void {
    const now = this.#tools.now();
    this.#sql.exec("DELETE FROM stops WHERE at < ?", now - MEMORY_MS);
    this.#sql.exec("DELETE FROM owners WHERE until <= ?", now);
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

  /** There is one alarm; the earliest wish wins, and one that never rang counts as none. */
  #wakeAt(wished: number): void {
    const now = this.#tools.now();
    const soonest = now + SOONEST_ALARM_MS;
    const isOverdue = this.#alarmAt !== null && this.#alarmAt < now - OVERDUE_MS;
    const at = isOverdue ? soonest : Math.max(wished, soonest);
    if (this.#alarmAt !== null && !isOverdue && this.#alarmAt <= at) return;
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
  CREATE TABLE IF NOT EXISTS owners (
    run TEXT PRIMARY KEY, subject TEXT NOT NULL, until INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS owners_by_time ON owners (until);
`;

/** Ids have no slash and are not empty, so no two runs share a name. */
function runName(threadId: string | null, runId: string | null): string {
  return `${threadId ?? ""}/${runId}`;
}

function runOf({ target }: AuditEvent): string {
  return runName(target.thread_id, target.run_id);
}

function joinedOutcome(result: StopResult, leader: string): EventOutcome {
  return { ...outcomeOfResult(result), attempts: 0, joined: leader };
}
