// The other journey: what has become of the run. Allowed as a cancel is; touches nothing.
import { type Answer, answerWithRun } from "./answer.ts";
import { enter } from "./enter.ts";
import type { Gateway } from "./gateway.ts";
import type { RunAsk } from "./http/ask.ts";
import { permit } from "./policy/permit.ts";
import { readUpstreamRun } from "./upstreams/read.ts";

/** Throws `Refusal`. A refusal is put on record, an answer is not. */
export async function readRun(gateway: Gateway, ask: RunAsk): Promise<Answer> {
  const { caller, tenant, tools, denied } = await enter(gateway, ask);
  const { target } = ask;
  const asking = { tenant, caller, target, reason: undefined };
  const { read } = await permit(tools, asking).catch(denied);
  const found = read ?? (await readUpstreamRun(tools, tenant.connection, target).catch(denied));
  return answerWithRun(tenant, target, found);
}
