// The way into every journey: who is asking, for which tenant, and how a refusal gets on record.

import type { ReadTools } from "./audit/api.ts";
import type { AuditEvent } from "./audit/event.ts";
import { askLedger, deny, describe, findOwner, findRegistered } from "./audit/journal.ts";
import type { Tenant } from "./config/load.ts";
import { asRefusal, type Reason, Refusal } from "./failure.ts";
import type { Gateway } from "./gateway.ts";
import type { Ask } from "./http/ask.ts";
import { authenticate } from "./identity/authenticate.ts";
import type { Caller } from "./identity/claims.ts";
import type { OwnershipTools } from "./policy/ownership.ts";
import { personOf } from "./policy/person.ts";
import { assertAddressRate, assertPersonRate } from "./policy/rate.ts";
import { sharesOfAddress, sharesOfCaller } from "./policy/shares.ts";
import type { ReadRun } from "./upstreams/read.ts";
import type { Target } from "./upstreams/upstream.ts";

const AUDIT_SCOPE = "audit:read";
const NO_RESPONSES =
  "The tenant's upstream does not speak the Responses API: name the run with its thread, at /v1/threads.";
/** What is left of the deadline for the answer itself. */
const ANSWER_MS = 500;

export interface Entered {
  readonly caller: Caller;
  readonly tenant: Tenant;
  /** When the request came in, in milliseconds since the epoch. */
  readonly startedAt: number;
  /** What proving whose run it is, and acting on it, takes. */
  readonly tools: OwnershipTools;
  /** What is being asked, ready to be put on record. */
  readonly event: AuditEvent;
  /** For `.catch`: puts the refusal on record and throws it on. */
  readonly denied: (error: unknown) => never;
}

/** A run, or a thread and all its runs. */
type AskedTarget = Pick<Target, "threadId"> & { readonly runId: string | null };

type Asked = Ask & {
  readonly target: AskedTarget | null;
  /** Who has it is a service that acts for many, and not held to what one person may do. */
  readonly serviceScope?: string;
  /** Why it is asked for, if that can be said. */
  readonly reason?: () => Promise<string | null>;
};

/**
 * Throws `Refusal`: too often, not authenticated, no such tenant, no such body, switched off. Until the
 * tenant is known nothing can be recorded: there is no log to put it in.
 */
export async function enter(gateway: Gateway, ask: Asked): Promise<Entered> {
  const startedAt = gateway.now();
  // Before the first thing that can take time: until then a request is in nobody's share.
  ask.place.hold(sharesOfAddress(ask.address));
  const { issuers } = await gateway.config.base();
  await assertAddressRate(gateway, ask.address);
  const caller = await authenticate(gateway, issuers, ask);
  const tenant = await gateway.config.tenant(caller.tenant);
  if (tenant === null) throw noSuchTenant(caller);
  const described = await describe(gateway.audit, tenant, caller, ask.target, null, ask.request);
  const refused = recordRefusal(gateway, ask, tenant, described);
  const isService = ask.serviceScope !== undefined && caller.scopes.has(ask.serviceScope);
  await assertMayAsk(gateway, ask, tenant, caller, isService).catch(refused);
  if (ask.target !== null && !isSpoken(tenant, ask.target)) refused(notSpoken());
  await ask.assertQuery().catch(refused);
  // Read last: a body that is not valid is refused on record, and counts as any other request does.
  const reason = ask.reason === undefined ? null : await ask.reason().catch(refused);
  const event = { ...described, reason };
  const denied = recordRefusal(gateway, ask, tenant, event);
  return {
    caller,
    tenant,
    startedAt,
    event,
    denied,
    tools: {
      fetch: gateway.fetch,
      defer: ask.defer,
      now: gateway.now,
      sleep: gateway.sleep,
      log: gateway.log,
      traceparent: ask.request.traceparent ?? undefined,
      random: gateway.random,
      healthOf: gateway.healthOf,
      room: gateway.room,
      endsAt: startedAt + tenant.connection.adapter.deadlineMs - ANSWER_MS,
      recall: (target) => recall(gateway, tenant, target),
      ownerOf: (target) => findOwner(gateway.audit, tenant, target),
      registeredOn: (threadId, subject) => findRegistered(gateway.audit, tenant, threadId, subject),
    },
  };
}

/** Throws `Refusal`: too often, too many at once, a token that was revoked, a tenant that is switched off. */
async function assertMayAsk(
  gateway: Gateway,
  { place }: Ask,
  tenant: Tenant,
  caller: Caller,
  isService: boolean,
): Promise<void> {
  const { tokenId } = caller;
  const person = personOf(tenant, caller);
  await assertPersonRate(gateway, isService ? undefined : tenant.rate, tenant.id, person);
  place.hold(sharesOfCaller(tenant.id, isService ? null : person));
  if (tokenId !== null && tenant.revoked_tokens.includes(tokenId)) {
    throw new Refusal("invalid_token", { detail: "claim jti: revoked by the tenant" });
  }
  // The same words as for a tenant that does not exist.
  if (!tenant.enabled) throw new Refusal("tenant_not_allowed", { detail: "kill switch" });
}

/** Whether the tenant's upstream has what is asked for: who names no thread asks for a response. */
export function isSpoken({ connection }: Tenant, { threadId }: Pick<Target, "threadId">): boolean {
  return threadId !== null || connection.adapter.toResponse !== undefined;
}

export function notSpoken(): Refusal {
  return new Refusal("unsupported_by_upstream", { words: NO_RESPONSES });
}

/**
 * The same caller's ask as it concerns one run of a thread: an event of its own. A run that is another's
 * was not asked for by its name, and is not put on record as if it had been.
 */
export async function enteredFor(
  gateway: Gateway,
  ask: Ask,
  entered: Entered,
  target: Target,
  listed: ReadRun | undefined,
): Promise<Entered> {
  const { caller, tenant } = entered;
  const { adapter, options } = tenant.connection;
  const { reason } = entered.event;
  const event = await describe(gateway.audit, tenant, caller, target, reason, ask.request);
  const recorded = recordRefusal(gateway, ask, tenant, event);
  return {
    ...entered,
    // What must not be cancelled unseen has to be seen when its turn comes.
    tools: { ...entered.tools, listed: adapter.readsFirst(options) ? undefined : listed },
    event,
    denied: (error) => {
      if (asRefusal(error).reason === "run_not_found") throw error;
      return recorded(error);
    },
  };
}

/** Where the token chose it, it chose badly; where the config did, the config is wrong. */
function noSuchTenant({ isTenantFixed: fixed }: Caller): Refusal {
  const detail = fixed ? "an issuer is fixed to a tenant that is not there" : "no such tenant";
  return new Refusal(fixed ? "config_invalid" : "tenant_not_allowed", { detail });
}

/** A flood is refused without a record, or it would flood the log too. */
const UNRECORDED: readonly Reason[] = ["rate_limited"];
/** The record of this one is still being tried for when the reply goes out. */
const UNCERTAIN: readonly Reason[] = ["audit_unavailable"];

function recordRefusal(
  gateway: Gateway,
  { defer }: Pick<Asked, "defer">,
  tenant: Tenant,
  event: AuditEvent,
): Entered["denied"] {
  return (error) => {
    const refusal = asRefusal(error);
    const { origins } = tenant;
    const recorded = !UNRECORDED.includes(refusal.reason);
    if (recorded) defer(deny(gateway.audit, tenant, event, refusal));
    const certain = recorded && !UNCERTAIN.includes(refusal.reason);
    throw refusal.leaving({ auditId: certain ? event.id : null, origins });
  };
}

export interface Auditor {
  readonly tools: ReadTools;
  /** The caller's own tenant: the only one it can read. */
  readonly tenant: string;
  readonly origins: readonly string[];
  /** For `.catch`: puts the refusal on record and throws it on. */
  readonly denied: Entered["denied"];
}

/** The way in for those who read the audit log. Throws `Refusal`. */
export async function enterAsAuditor(gateway: Gateway, ask: Ask): Promise<Auditor> {
  const { caller, tenant, denied } = await enter(gateway, { ...ask, target: null });
  if (!caller.scopes.has(AUDIT_SCOPE)) {
    denied(new Refusal("insufficient_scope", { detail: AUDIT_SCOPE, scopes: [AUDIT_SCOPE] }));
  }
  const { kv, ledger, sleep, log } = gateway.audit;
  return {
    tools: { kv, ledger, sleep, log, now: gateway.now },
    tenant: tenant.id,
    origins: tenant.origins,
    denied,
  };
}

async function recall(gateway: Gateway, tenant: Tenant, target: Target): Promise<number | null> {
  try {
    const { threadId, runId } = target;
    return await askLedger(gateway.audit, tenant, (ledger) => ledger.cancelledAt(threadId, runId));
  } catch (error) {
    gateway.log("warn", "ledger_unreachable", {
      tenant: tenant.id,
      detail: asRefusal(error).message,
    });
    return null;
  }
}
