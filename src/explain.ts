// Why a caller may, or may not, act on a run. Decides as a cancel does; cancels nothing.
import { enter, isSpoken, notSpoken } from "./enter.ts";
import type { Gateway } from "./gateway.ts";
import type { ExplainAsk } from "./http/ask.ts";
import { type Explanation, explanationOf } from "./policy/explanation.ts";
import { explain } from "./policy/permit.ts";

export interface Explained {
  readonly explanation: Explanation;
  /** The tenant's own. */
  readonly origins: readonly string[];
}

/** Throws `Refusal` when nothing can be decided; a decision against the caller is an answer. */
export async function explainPolicy(gateway: Gateway, ask: ExplainAsk): Promise<Explained> {
  const { caller, tenant, tools, denied } = await enter(gateway, ask);
  const target = await ask.question().catch(denied);
  if (target !== null && !isSpoken(tenant, target)) denied(notSpoken());
  const asking = { tenant, caller, target, reason: undefined };
  const decision = await explain(tools, asking).catch(denied);
  return { explanation: explanationOf(decision), origins: tenant.origins };
}
