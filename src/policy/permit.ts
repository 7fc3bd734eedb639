// May this caller act on this run? Kill switch, rate, scopes, ownership, rules: in that order.

import type { Tenant } from "../config/load.ts";
import type { Rule } from "../config/schema.ts";
import { Refusal } from "../failure.ts";
import type { Caller } from "../identity/claims.ts";
import type { Run } from "../runs/run.ts";
import type { UpstreamTools } from "../upstreams/read.ts";
import type { Target } from "../upstreams/upstream.ts";
import { authorise, rulesFor } from "./authorise.ts";
import { proveOwnership } from "./ownership.ts";
import { assertRate, type RateTools } from "./rate.ts";

export interface Permit {
  readonly rule: Rule;
  /** The run as it stood, where proving ownership took a read. */
  readonly run: Run | null;
}

/**
 * Throws `Refusal`. `reason` is null when a reason could have been given and was not, undefined
 * where there is nothing to give one for.
 */
export async function permit(
  rate: RateTools,
  upstream: UpstreamTools,
  tenant: Tenant,
  caller: Caller,
  target: Target,
  reason: string | null | undefined,
): Promise<Permit> {
  // The same words as for a tenant that does not exist (G20).
  if (!tenant.enabled) throw new Refusal("tenant_not_allowed", { detail: "kill switch" });
  await assertRate(rate, tenant.rate, tenant.id, caller.subject);
  const rules = rulesFor(tenant.rules, caller.scopes);
  const proof = await proveOwnership(upstream, tenant, caller, target);
  const rule = authorise({ rules, proof, assistants: tenant.assistants, reason });
  return { rule, run: proof.run };
}
