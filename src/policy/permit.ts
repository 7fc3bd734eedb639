// May this caller act on this run? Scopes, ownership, rules: in that order.

import type { Tenant } from "../config/load.ts";
import { asRefusal, Refusal } from "../failure.ts";
import type { Caller } from "../identity/claims.ts";
import type { ReadRun } from "../upstreams/read.ts";
import type { Target } from "../upstreams/upstream.ts";
import {
  authorise,
  covers,
  type Decision,
  dependsOnRun,
  heldRules,
  type Proof,
} from "./authorise.ts";
import { type OwnershipTools, type Proved, proofBy, proveOwnership } from "./ownership.ts";
import { ownerNameOf } from "./person.ts";

export interface Permit {
  /** The id of the rule that allows it. */
  readonly rule: string;
  /** The run as it stood, where proving ownership took a read. */
  readonly read: ReadRun | null;
}

/** A permit that depends on what the registry will say. */
export interface Pending {
  /** The name that the caller's own runs carry; null when none can. */
  readonly subject: string | null;
  /** What is decided, by what the registry proves. */
  readonly decisions: Readonly<Record<Proof, Decision>>;
  readonly read: ReadRun | null;
}

/** What a caller asks to do, and to which run. */
export interface Asking {
  readonly tenant: Tenant;
  readonly caller: Caller;
  readonly target: Target;
  /** Null when a reason could have been given and was not, undefined where there is nothing to give one for. */
  readonly reason: string | null | undefined;
}

/** Throws `Refusal`. */
export async function permit(tools: OwnershipTools, asking: Asking): Promise<Permit> {
  const permitted = await permitOrPend(tools, asking);
  if ("rule" in permitted) return permitted;
  const { subject, decisions, read } = permitted;
  const proof = proofBy(await tools.ownerOf(asking.target), subject);
  return permitBy(decisions[proof], read);
}

/** As `permit`, but leaves the registry to be asked by the ledger, when it begins. Throws `Refusal`. */
export async function permitOrPend(
  tools: OwnershipTools,
  asking: Asking,
): Promise<Permit | Pending> {
  const found = await prove(tools, asking);
  const { proof: known, read, unreadable = null } = found;
  const decideFor = (proved: Proof): Decision => decide(tools, asking, found, proved);
  // A run that cannot be shown is not begun either, so that the registry is asked at once.
  const mustKnow = known === null && unreadable !== null;
  const proof = mustKnow
    ? proofBy(await tools.ownerOf(asking.target), ownerNameOf(asking.tenant, asking.caller))
    : known;
  if (proof !== null) return permitBy(decideFor(proof), read);
  const decisions = {
    nothing: decideFor("nothing"),
    tenant: decideFor("tenant"),
    person: decideFor("person"),
  };
  return { subject: ownerNameOf(asking.tenant, asking.caller), decisions, read };
}

/** The decision as it would be, of no run when `target` is null, for whoever wants to know why. Throws what kept it from being made. */
export async function explain(
  tools: OwnershipTools,
  { target, ...asking }: Omit<Asking, "target"> & { readonly target: Target | null },
): Promise<Decision> {
  const unknown: Proved = { proof: "nothing", read: null };
  if (target === null) return decide(tools, asking, unknown, "nothing");
  const found = await prove(tools, { ...asking, target }).catch((error: unknown) => {
    const { reason } = asRefusal(error);
    if (reason === "run_not_found" || reason === "insufficient_scope") return unknown;
    throw error;
  });
  const proof =
    found.proof ?? proofBy(await tools.ownerOf(target), ownerNameOf(asking.tenant, asking.caller));
  return decide(tools, asking, found, proof);
}

/** Throws `insufficient_scope` when no rule could allow the caller anything. */
export function assertHoldsRule({ rules }: Tenant, { scopes }: Caller): void {
  if (heldRules(rules, scopes).some(({ effect }) => effect === "allow")) return;
  // Any rule that allows would do: the first is told, whatever run was asked for.
  const first = rules.find(({ effect }) => effect === "allow");
  throw new Refusal("insufficient_scope", { detail: "no rule's scopes", scopes: first?.scopes });
}

/**
 * Whether a rule could allow the caller a run of which that much is proved, by its scopes alone. Of one
 * that no rule could, a decision says that it is not there.
 */
export function mayCover({ rules }: Tenant, { scopes }: Caller, proof: Proof): boolean {
  return heldRules(rules, scopes).some(
    ({ effect, runs }) => effect === "allow" && covers(runs, proof),
  );
}

/** Nothing is asked for a caller who has no rule's scopes. */
async function prove(tools: OwnershipTools, { tenant, caller, target }: Asking): Promise<Proved> {
  const { rules, assistants } = tenant;
  assertHoldsRule(tenant, caller);
  const mustRead = dependsOnRun(rules, assistants, caller.scopes);
  return await proveOwnership(tools, tenant, caller, target, mustRead);
}

/** Throws the `Refusal` that keeps the run from being shown, where the caller may know that it is there. */
function decide(
  { now }: Pick<OwnershipTools, "now">,
  { tenant, caller, reason }: Omit<Asking, "target">,
  { read, isUnknown, unreadable = null }: Proved,
  proof: Proof,
): Decision {
  const decision = authorise({
    rules: tenant.rules,
    assistants: tenant.assistants,
    scopes: caller.scopes,
    proof: isUnknown === true ? "nothing" : proof,
    run: read?.run ?? null,
    nowSeconds: Math.floor(now() / 1_000),
    reason,
  });
  // Whoever may not know that the run is there is told so, whatever it looks like.
  if (unreadable !== null && decision.code !== "run_not_found") throw unreadable;
  return decision;
}

/** Throws `Refusal`. */
function permitBy(decision: Decision, read: ReadRun | null): Permit {
  const rule = ruleIn(decision);
  if (rule === null) throw refusalIn(decision);
  return { rule, read };
}

/** The id of the rule that allows it; null when it is refused. */
export function ruleIn({ rule, code }: Decision): string | null {
  return code === null && rule !== null ? rule.id : null;
}

export function refusalIn({ rule, code, detail }: Decision): Refusal {
  const param = code === "reason_required" ? "reason" : undefined;
  return new Refusal(code ?? "policy_denied", { detail, rule: rule?.id, param });
}
