// The audit parts with everything around them in a test's hands: a ledger's clock, KV and alarm, and
// events and results to feed it.
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { v7 } from "uuid";
import type { AuditEvent } from "../../src/audit/event.ts";
import { timeOf } from "../../src/audit/event.ts";
import { type Finish, type Intent, LedgerObject, type LedgerRpc } from "../../src/audit/ledger.ts";
import type { AuditKv } from "../../src/audit/log.ts";
import { normaliseRun } from "../../src/runs/normalise.ts";
import type { StopResult } from "../../src/upstreams/stop.ts";

/** So far ahead that the runtime never rings an alarm by itself: tests do. */
export const START_MS = Date.parse("2100-03-01T12:00:00.000Z");
export const RETENTION_DAYS = 400;
const LEAD_MS = 30;

const someId = (): string => v7();
const quiet = (): void => undefined;

/**
 * The real class over a real object's storage, with a clock that stands still until it is moved.
 * `rpc` is what a gateway would hold.
 */
export async function openLedger(tenant: string, kv: AuditKv = env.AUDIT) {
  const stub = env.LEDGER.getByName(tenant);
  let now = START_MS;
  const tools = { kv, now: () => now, log: quiet };
  const load = () => runInDurableObject(stub, (_, state) => new LedgerObject(state, env, tools));
  let ledger = await load();
  const inside = <Result>(work: (ledger: LedgerRpc) => Promise<Result>): Promise<Result> =>
    runInDurableObject(stub, () => work(ledger));

  const rpc: LedgerRpc = {
    begin: (intent) => inside((it) => it.begin(intent)),
    beginIfOwned: (claim) => inside((it) => it.beginIfOwned(claim)),
    register: (registration) => inside((it) => it.register(registration)),
    ownerOf: (thread, run) => inside((it) => it.ownerOf(thread, run)),
    registeredOn: (thread, subject) => inside((it) => it.registeredOn(thread, subject)),
    join: (intent, leader) => inside((it) => it.join(intent, leader)),
    handOver: (event, result, remember) => inside((it) => it.handOver(event, result, remember)),
    finish: (finish) => inside((it) => it.finish(finish)),
    record: (event, days) => inside((it) => it.record(event, days)),
    unpublished: () => inside((it) => it.unpublished()),
    cancelledAt: (thread, run) => inside((it) => it.cancelledAt(thread, run)),
  };
  return {
    rpc,
    now: () => now,
    pass: (ms: number) => {
      now += ms;
    },
    recordAll: (events: readonly AuditEvent[]): Promise<void> =>
      inside(async (it) => {
        for (const event of events) await it.record(event, RETENTION_DAYS);
      }),
    events: async (): Promise<readonly AuditEvent[]> => (await rpc.unpublished()).events,
    /** How many rows each table has. */
    rows: (): Promise<Record<string, unknown>> =>
      runInDurableObject(stub, (_, { storage: { sql } }) => {
        const count = (table: string) => sql.exec(`SELECT COUNT(*) AS n FROM ${table}`).one()["n"];
        const tables = ["intents", "outbox", "taken", "stops", "owners"];
        return Object.fromEntries(tables.map((table) => [table, count(table)]));
      }),
    /** When it is to be woken, counted from now; null when it is not. */
    wakesIn: async (): Promise<number | null> => {
      const at = await runInDurableObject(stub, (_, state) => state.storage.getAlarm());
      return at === null ? null : at - now;
    },
    /** Lets its alarm ring at its time; false when none is set. */
    ring: (): Promise<boolean> =>
      runInDurableObject(stub, async (_, { storage }) => {
        const at = await storage.getAlarm();
        if (at === null) return false;
        now = Math.max(now, at);
        await storage.deleteAlarm();
        await ledger.alarm();
        return true;
      }),
    /** What the platform does with an object that is idle: memory is lost, storage is not. */
    evict: async (): Promise<void> => {
      await evictDurableObject(stub);
      ledger = await load();
    },
  };
}

export type TestLedger = Awaited<ReturnType<typeof openLedger>>;

export interface EventParts {
  readonly tenant?: string;
  readonly thread?: string | null;
  readonly run?: string | null;
  /** When it was asked, in milliseconds since the epoch. */
  readonly at?: number;
  readonly id?: string;
}

/** An event as `describe` makes it for a cancel that was allowed. */
export function anEvent(parts: EventParts = {}): AuditEvent {
  const { tenant = "acme", thread = "thread_1", run = "run_1", at = START_MS } = parts;
  const id = parts.id ?? v7({ msecs: at });
  return {
    id,
    seq: null,
    prev: null,
    hash: null,
    time: timeOf(id),
    type: "cancel",
    tenant,
    actor: { iss: "https://id.acme.test/", sub: "ann", client_id: "web", jti: someId() },
    target: { upstream: "threads", thread_id: thread, run_id: run },
    decision: { allowed: true, rule: "owner", code: null },
    reason: null,
    owner: null,
    outcome: null,
    request: {
      id: `req_${someId()}`,
      route: "POST /v1/threads/:thread_id/runs/:run_id/cancel",
      traceparent: null,
      ip: "203.0.113.0/24",
      country: "DE",
      user_agent: "test",
    },
    gateway: { version: "0.0.0" },
    intent_id: null,
    signature: null,
  };
}

export function aDenial(parts: EventParts = {}): AuditEvent {
  const decision = { allowed: false, rule: null, code: "run_not_found" };
  return { ...anEvent(parts), type: "denied", decision };
}

/** Event members of what a gateway writes when the cancel went through. */
export const OUTCOME: NonNullable<AuditEvent["outcome"]> = {
  result: "cancelling",
  status_before: "in_progress",
  status_after: "cancelling",
  upstream_status: 200,
  upstream_request_id: "req_upstream",
  attempts: 1,
  ms: 12,
  joined: null,
};

export const STOPPED: StopResult = {
  before: "in_progress",
  after: "cancelling",
  upstreamStatus: 200,
  upstreamRequestId: "req_upstream",
  attempts: 1,
  ms: 12,
  run: normaliseRun(
    { id: "run_1", thread_id: "thread_1", status: "cancelling" },
    { threadId: "thread_1", runId: "run_1" },
  ),
  outcome: "cancelling",
  accepted: true,
  cancelledAt: null,
  sentAt: null,
  pollAfterSeconds: undefined,
  object: null,
  objectBytes: 0,
};

export function intentOf(event: AuditEvent, leadMs = LEAD_MS): Intent {
  return { event, retentionDays: RETENTION_DAYS, leadMs };
}

export function finishOf(event: AuditEvent, over: Partial<Finish> = {}): Finish {
  return {
    event: { ...event, outcome: OUTCOME },
    retentionDays: RETENTION_DAYS,
    result: STOPPED,
    remember: false,
    lateId: v7({ msecs: Date.parse(event.time) + 1_000 }),
    ...over,
  };
}

/** One whole cancel: begun and finished. */
export async function cancelled(ledger: TestLedger, parts: EventParts = {}): Promise<AuditEvent> {
  const event = anEvent({ at: ledger.now(), ...parts });
  await ledger.rpc.begin(intentOf(event));
  await ledger.rpc.finish(finishOf(event));
  return event;
}

/**
 * What a test holds back until the moment it wants. It is looked at, not awaited: a promise that is
 * settled by another request than the one that waits for it brings the runtime down.
 */
export function gate() {
  let isOpen = false;
  return {
    open: () => {
      isOpen = true;
    },
    opened: async (): Promise<void> => {
      while (!isOpen) await scheduler.wait(1);
    },
  };
}

export function realLedger(tenant: string): LedgerRpc {
  return env.LEDGER.getByName(tenant) as unknown as LedgerRpc;
}

/** The ledger with some of its methods replaced. A stub cannot be spread, so each is named. */
export function ledgerWith(ledger: LedgerRpc, replaced: Partial<LedgerRpc>): LedgerRpc {
  return {
    begin: (intent) => ledger.begin(intent),
    beginIfOwned: (claim) => ledger.beginIfOwned(claim),
    register: (registration) => ledger.register(registration),
    ownerOf: (thread, run) => ledger.ownerOf(thread, run),
    registeredOn: (thread, subject) => ledger.registeredOn(thread, subject),
    join: (intent, leader) => ledger.join(intent, leader),
    handOver: (event, result, remember) => ledger.handOver(event, result, remember),
    finish: (finish) => ledger.finish(finish),
    record: (event, days) => ledger.record(event, days),
    unpublished: () => ledger.unpublished(),
    cancelledAt: (thread, run) => ledger.cancelledAt(thread, run),
    ...replaced,
  };
}

/** The real KV, with `put` replaced. */
export function kvWith(put: AuditKv["put"]): AuditKv {
  return {
    put,
    list: env.AUDIT.list.bind(env.AUDIT) as AuditKv["list"],
    get: env.AUDIT.get.bind(env.AUDIT) as AuditKv["get"],
  };
}

export interface Put {
  readonly key: string;
  readonly value: unknown;
  readonly options: KVNamespacePutOptions | undefined;
}

/** The real KV, which notes what was put and fails whenever `fails` says so. */
export function kvNoting(fails: (key: string, puts: number) => boolean = () => false) {
  /** All that were tried. */
  const tried: Put[] = [];
  /** Those that KV took. */
  const taken: Put[] = [];
  const kv = kvWith(async (key, value, options) => {
    const put = { key, value, options };
    tried.push(put);
    if (fails(key, tried.length)) throw new Error("KV PUT failed: 500 Internal Server Error");
    await env.AUDIT.put(key, value, options);
    taken.push(put);
  });
  return { kv, tried, taken };
}

/** Time that nobody spends: a pause ends at once, a time limit as soon as something hangs. */
export function stoppedTime() {
  const limits = new Set<() => void>();
  const end = (): void => {
    for (const limit of limits) limit();
    limits.clear();
  };
  return {
    sleep: (ms: number): Promise<void> =>
      ms < SHORTEST_LIMIT_MS
        ? Promise.resolve()
        : new Promise((resolve) => {
            limits.add(resolve);
          }),
    /** Never answers, as a store does that hangs. */
    hang: (): Promise<never> => {
      setTimeout(end, 0);
      return new Promise(() => undefined);
    },
  };
}
/** The gateway's pauses are shorter, its limits longer. */
const SHORTEST_LIMIT_MS = 1_000;

const unreachable = (): Promise<never> =>
  Promise.reject(new Error("Durable Object storage operation exceeded timeout"));

/** A ledger whose every method ends like this; by default it cannot be reached. */
export function ledgerDown(end: () => Promise<never> = unreachable): LedgerRpc {
  return {
    begin: end,
    beginIfOwned: end,
    register: end,
    ownerOf: end,
    registeredOn: end,
    join: end,
    handOver: end,
    finish: end,
    record: end,
    unpublished: unreachable,
    cancelledAt: end,
  };
}
