// The audit steps of a journey: the intent before anything happens, the outcome after, the refusal.
// Ledger first; KV directly when the ledger cannot be reached; the tenant says what if neither.

import type { Tenant } from "../config/load.ts";
import { Refusal } from "../failure.ts";
import type { Caller } from "../identity/claims.ts";
import type { Log } from "../logger.ts";
import { type Pending, type Permit, refusalIn, ruleIn } from "../policy/permit.ts";
import { type Person, personOf } from "../policy/person.ts";
import { handedOn, type StopResult } from "../upstreams/stop.ts";
import type { Target } from "../upstreams/upstream.ts";
import { VERSION } from "../version.ts";
import { within } from "../within.ts";
import { type AuditEvent, allowedBy, outcomeOfResult, timeOf } from "./event.ts";
import type { Handover, Intent, LedgerRpc } from "./ledger.ts";
import { type AuditKv, publish } from "./log.ts";
import type { Signer } from "./sign.ts";
import type { NameSubject } from "./subject.ts";

/** A ledger or a KV that does not answer in this time counts as down. */
const WRITE_TIMEOUT_MS = 1_500;
const FINISH_ATTEMPTS = 3;
const FINISH_PAUSE_MS = 250;
/** What a journey may take beyond its upstream's deadline before others of the same run stop waiting. */
const LEAD_MARGIN_MS = 2_000;
/** Whom one waits for: the leader, and another that took its place when it was lost. */
const LEADS = 2;

export interface AuditTools {
  readonly ledger: (tenant: string) => LedgerRpc;
  readonly kv: AuditKv;
  readonly signer: Signer;
  readonly nameSubject: NameSubject;
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly log: Log;
}

/** The request as events describe it. */
export interface RequestFacts {
  readonly id: string;
  /** The method and the route's pattern. */
  readonly route: string;
  readonly traceparent: string | null;
  readonly ip: string | null;
  readonly country: string | null;
  readonly userAgent: string | null;
}

/** An intent that is on record, or, where the tenant chose so, one that could not be recorded. */
export interface Entry {
  /** The event's id; null when nothing could be written and the tenant proceeds all the same. */
  readonly auditId: string | null;
  /** Another cancel of the same run was under way; this is what came of it. */
  readonly handover: Handover | null;
  /** Milliseconds that it waited for another cancel of the same run. */
  readonly waitedMs: number;
  readonly event: AuditEvent;
}

/** An event with everything but what came of it. */
export async function describe(
  tools: AuditTools,
  tenant: Tenant,
  caller: Caller,
  target: { readonly threadId: string | null; readonly runId: string | null } | null,
  reason: string | null,
  request: RequestFacts,
): Promise<AuditEvent> {
  const id = tools.newId();
  return {
    id,
    seq: null,
    prev: null,
    hash: null,
    time: timeOf(id),
    type: "cancel",
    tenant: tenant.id,
    actor: {
      iss: caller.issuer,
      sub: await tools.nameSubject(tenant, personOf(tenant, caller)),
      client_id: caller.clientId,
      jti: caller.tokenId,
    },
    target: {
      upstream: target === null ? null : tenant.connection.name,
      thread_id: target?.threadId ?? null,
      run_id: target?.runId ?? null,
    },
    decision: { allowed: false, rule: null, code: null },
    reason,
    owner: null,
    outcome: null,
    request: {
      id: request.id,
      route: request.route,
      traceparent: request.traceparent,
      ip: request.ip,
      country: request.country,
      user_agent: request.userAgent,
    },
    gateway: { version: VERSION },
    intent_id: null,
    signature: null,
  };
}

/**
 * Puts the intent on record, or joins it to the cancel of the same run that is under way. Where only
 * the registry can say whose run it is, that is asked in the same call. Throws its refusal, and
 * `audit_unavailable` when nothing could be written and the tenant refuses to go on without.
 */
export async function begin(
  tools: AuditTools,
  tenant: Tenant,
  described: AuditEvent,
  permit: Permit | Pending,
): Promise<Entry> {
  const retentionDays = tenant.audit.retention_days;
  const leadMs = tenant.connection.adapter.deadlineMs + LEAD_MARGIN_MS;
  const intentBy = (rule: string): Intent => ({
    event: allowedBy(described, rule),
    retentionDays,
    leadMs,
  });
  const lost = (error: unknown): null => {
    if (error instanceof Refusal) throw error;
    tools.log("error", "ledger_unreachable", { tenant: tenant.id, detail: nameOf(error) });
    return null;
  };
  const begun = await beginInLedger(tools, tenant, permit, intentBy).catch(lost);
  const rule = begun?.rule ?? ("rule" in permit ? permit.rule : null);
  // The registry is the ledger's: without it nobody knows whose run it is.
  if (rule === null) throw new Refusal("audit_unavailable");
  const intent = intentBy(rule);
  const entry = begun && (await join(tools, tenant, intent, begun.leader).catch(lost));
  if (entry !== null) return entry;
  // An id of its own: the ledger may have stored the first one after all.
  const id = tools.newId();
  const direct = { ...intent.event, id, time: timeOf(id) };
  if (await writeDirect(tools, direct, retentionDays)) {
    return { auditId: id, handover: null, waitedMs: 0, event: direct };
  }
  if (tenant.audit.on_failure === "refuse") throw new Refusal("audit_unavailable");
  return { auditId: null, handover: null, waitedMs: 0, event: direct };
}

/** With the rule that allows it. Throws the refusal where the registry speaks against it. */
async function beginInLedger(
  tools: AuditTools,
  tenant: Tenant,
  permit: Permit | Pending,
  intentBy: (rule: string) => Intent,
): Promise<{ readonly rule: string; readonly leader: string | null }> {
  if ("rule" in permit) {
    const { rule } = permit;
    const intent = intentBy(rule);
    return { rule, leader: await askLedger(tools, tenant, (ledger) => ledger.begin(intent)) };
  }
  const { subject, decisions } = permit;
  const rules = { person: ruleIn(decisions.person), tenant: ruleIn(decisions.tenant) };
  const claim = { subject, rules, intent: intentBy("") };
  const { proof, leader } = await askLedger(tools, tenant, (ledger) => ledger.beginIfOwned(claim));
  const rule = proof === "nothing" ? null : rules[proof];
  if (rule === null) throw refusalIn(decisions[proof]);
  return { rule, leader };
}

/** The intent's entry; with a leader, once that one is done. */
async function join(
  tools: AuditTools,
  tenant: Tenant,
  intent: Intent,
  leader: string | null,
): Promise<Entry> {
  const { event, leadMs } = intent;
  const entry = { auditId: event.id, handover: null, waitedMs: 0, event };
  if (leader === null) return entry;
  const startedAt = tools.now();
  const joinMs = LEADS * leadMs + WRITE_TIMEOUT_MS;
  const joining = tools.ledger(tenant.id).join(intent, leader);
  const handover = await within(tools, joinMs, joining);
  return { ...entry, handover, waitedMs: tools.now() - startedAt };
}

/**
 * Who is registered as the run's owner, for what cancels nothing. Throws `audit_unavailable` when the
 * ledger cannot be reached.
 */
export async function findOwner(
  tools: AuditTools,
  tenant: Tenant,
  { threadId, runId }: Target,
): Promise<string | null> {
  return await ask(tools, tenant, (ledger) => ledger.ownerOf(threadId, runId));
}

/** The ids of the runs that are registered on the thread, or those of one subject, the newest first. Throws as `findOwner`. */
export async function findRegistered(
  tools: AuditTools,
  tenant: Tenant,
  threadId: string,
  subject: string | null,
): Promise<readonly string[]> {
  return await ask(tools, tenant, (ledger) => ledger.registeredOn(threadId, subject));
}

type LedgerCall<T> = (ledger: LedgerRpc) => Promise<T>;

/**
 * One call of the ledger, which may be repeated. When the object was reset meanwhile (new code, another
 * machine), it is made once more by a fresh stub: the one that has seen the reset stays broken. Rejects as the
 * last call did, or when both together take too long.
 */
export async function askLedger<T>(
  tools: Pick<AuditTools, "ledger" | "sleep" | "log">,
  { id }: Pick<Tenant, "id">,
  call: LedgerCall<T>,
): Promise<T> {
  const calling = call(tools.ledger(id)).catch((error: unknown) => {
    if (!wasReset(error)) throw error;
    tools.log("warn", "ledger_reset", { tenant: id, detail: nameOf(error) });
    return call(tools.ledger(id));
  });
  return await within(tools, WRITE_TIMEOUT_MS, calling);
}

/** The runtime's own marks on an error; `overloaded` says that another call would make it worse. */
function wasReset(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const has = (mark: string): boolean => Reflect.get(error, mark) === true;
  return (has("durableObjectReset") || has("retryable")) && !has("overloaded");
}

/** Throws `audit_unavailable`. */
async function ask<T>(tools: AuditTools, tenant: Tenant, call: LedgerCall<T>): Promise<T> {
  try {
    return await askLedger(tools, tenant, call);
  } catch (error) {
    tools.log("error", "ledger_unreachable", { tenant: tenant.id, detail: nameOf(error) });
    throw new Refusal("audit_unavailable", { words: "The registry of owners cannot be read." });
  }
}

/**
 * Puts it into the registry, and that on record, in one step. Throws `audit_unavailable` when the
 * ledger cannot be reached: then neither is done, as far as the caller may rely on it.
 */
export async function register(
  tools: AuditTools,
  tenant: Tenant,
  described: AuditEvent,
  owner: Person & { readonly days: number },
): Promise<void> {
  const event: AuditEvent = {
    ...described,
    type: "owner_registered",
    decision: { allowed: true, rule: null, code: null },
    owner: await tools.nameSubject(tenant, owner),
  };
  const { subject, days } = owner;
  const registration = { event, retentionDays: tenant.audit.retention_days, subject, days };
  const done = await retried(tools, () => tools.ledger(tenant.id).register(registration));
  if (!done) {
    const words = "The registry of owners cannot be written, so nothing was registered.";
    throw new Refusal("audit_unavailable", { words });
  }
}

/**
 * Hands the result to those who wait for it, before the leader goes on to wait for the run's end:
 * nobody is kept longer than he asked for. Never throws; without it they take over when it is time.
 */
export async function handOver(
  tools: AuditTools,
  tenant: Tenant,
  { event, handover }: Entry,
  result: StopResult,
): Promise<void> {
  if (handover !== null) return;
  try {
    const remember = isToRemember(tenant, result);
    const handing = tools.ledger(tenant.id).handOver(event, handedOn(result), remember);
    await within(tools, WRITE_TIMEOUT_MS, handing);
  } catch (error) {
    tools.log("warn", "ledger_unreachable", { tenant: tenant.id, detail: nameOf(error) });
  }
}

/** Puts the outcome on record. For after the reply: never throws. */
export async function finish(
  tools: AuditTools,
  tenant: Tenant,
  { event, handover }: Entry,
  result: StopResult,
): Promise<void> {
  // The ledger closed a joined intent itself.
  if (handover !== null) return;
  const closed = { ...event, outcome: outcomeOfResult(result) };
  const retentionDays = tenant.audit.retention_days;
  const remember = isToRemember(tenant, result);
  const lateId = tools.newId();
  const done = await retried(tools, () =>
    tools.ledger(tenant.id).finish({
      event: closed,
      retentionDays,
      result: handedOn(result),
      remember,
      lateId,
    }),
  );
  if (done) return;
  const late = { ...closed, id: lateId, time: timeOf(lateId), intent_id: event.id };
  await writeDirect(tools, late, retentionDays);
}

/** The upstream took the cancel, and will not say so itself. */
function isToRemember({ connection }: Tenant, { accepted }: StopResult): boolean {
  return connection.adapter.forgetsCancel && accepted;
}

/** Puts a refusal on record. For after the reply: never throws. */
export async function deny(
  tools: AuditTools,
  tenant: Tenant,
  described: AuditEvent,
  refusal: Refusal,
): Promise<void> {
  const event: AuditEvent = {
    ...described,
    type: "denied",
    decision: { allowed: false, rule: refusal.rule ?? null, code: refusal.reason },
  };
  const retentionDays = tenant.audit.retention_days;
  const done = await retried(tools, () => tools.ledger(tenant.id).record(event, retentionDays));
  if (!done) await writeDirect(tools, event, retentionDays);
}

/** True when KV took it. */
async function writeDirect(
  tools: AuditTools,
  event: AuditEvent,
  retentionDays: number,
): Promise<boolean> {
  try {
    const signed = await tools.signer.sign(event);
    await within(tools, WRITE_TIMEOUT_MS, publish(tools.kv, signed, retentionDays));
    return true;
  } catch (error) {
    tools.log("error", "audit_unwritten", { id: event.id, detail: nameOf(error) });
    return false;
  }
}

/** True when one of the attempts went through. */
async function retried(tools: AuditTools, write: () => Promise<void>): Promise<boolean> {
  for (let attempt = 1; attempt <= FINISH_ATTEMPTS; attempt += 1) {
    try {
      await within(tools, WRITE_TIMEOUT_MS, write());
      return true;
    } catch (error) {
      tools.log("warn", "ledger_unreachable", { attempt, detail: nameOf(error) });
      if (attempt < FINISH_ATTEMPTS) await tools.sleep(FINISH_PAUSE_MS * attempt);
    }
  }
  return false;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : "not an error";
}
