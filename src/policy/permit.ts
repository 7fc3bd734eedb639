// May this caller act on this run? Scopes, ownership, rules: in that order.

import type { Tenant } from "../config/load.ts";
import type { Rule } from "../config/schema.ts";
import type { Caller } from "../identity/claims.ts";
import type { ReadRun, UpstreamTools } from "../upstreams/read.ts";
import type { Target } from "../upstreams/upstream.ts";
import { authorise, rulesFor } from "./authorise.ts";
import { proveOwnership } from "./ownership.ts";

export interface Permit {
  readonly rule: Rule;
  /** The run as it stood, where proving ownership took a read. */
  readonly read: ReadRun | null;
}

/**
 * Throws `Refusal`. `reason` is null when a reason could have been given and was not, undefined
 * where there is nothing to give one for.
 */
export async function permit(
  upstream: UpstreamTools,
  tenant: Tenant,
  caller: Caller,
  target: Target,
  reason: string | null | undefined,
): Promise<Permit> {
  const rules = rulesFor(tenant.rules, caller.scopes);
  const proof = await proveOwnership(upstream, tenant, caller, target);
  const rule = authorise({ rules, proof, assistants: tenant.assistants, reason });
  return { rule, read: proof.read };
}
