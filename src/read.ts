// The other journey: what has become of the run. Allowed as a cancel is; touches nothing.
import { type Answer, answerWithRun } from "./answer.ts";
import type { Ask } from "./ask.ts";
import { enter } from "./enter.ts";
import type { Gateway } from "./gateway.ts";
import { permit } from "./policy/permit.ts";
import { readRun } from "./upstreams/read.ts";

/** Throws `Refusal`. A refusal is put on record, an answer is not. */
export async function readTheRun(gateway: Gateway, ask: Ask): Promise<Answer> {
  const { caller, tenant, upstream, denied } = await enter(gateway, ask, null);
  const { target } = ask;
  const { run } = await permit(gateway, upstream, tenant, caller, target, undefined).catch(denied);
  const found = run ?? (await readRun(upstream, tenant.connection, target).catch(denied)).run;
  return answerWithRun(tenant, found);
}
