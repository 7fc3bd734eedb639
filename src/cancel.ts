// ★ The journey: a person's Stop click becomes a cancelled run and a record of who asked.

import { type Answer, answerWith } from "./answer.ts";
import { begin, finish, handOver } from "./audit/journal.ts";
import { enter } from "./enter.ts";
import type { Gateway } from "./gateway.ts";
import type { CancelAsk } from "./http/ask.ts";
import { permit } from "./policy/permit.ts";
import { cancelUpstreamRun, waitUntilTerminal } from "./upstreams/stop.ts";

/**
 * authenticate → authorise → begin → cancel upstream → normalise → finish → respond.
 *
 * Throws `Refusal`. No cancel reaches an upstream without a durable record of who asked, unless the
 * tenant chose to go on without; from `begin` on every end, good or bad, closes that record. The
 * upstream's adapter normalises, so that from `cancelUpstreamRun` on there are only Runs.
 */
export async function cancelRun(gateway: Gateway, ask: CancelAsk): Promise<Answer> {
  const { caller, tenant, upstream, event, denied } = await enter(gateway, ask);
  const { target, prefer } = ask;
  const waitMs = (prefer.waitSeconds ?? 0) * 1_000;

  const { rule, read } = await permit(upstream, tenant, caller, target, event.reason).catch(denied);
  const entry = await begin(gateway.audit, tenant, event, rule.id).catch(denied);
  const stopped =
    entry.handover?.result ??
    (await cancelUpstreamRun(upstream, tenant.connection, target, read?.run ?? null));
  if (waitMs > 0) ask.defer(handOver(gateway.audit, tenant, entry, stopped));
  const result = await waitUntilTerminal(upstream, tenant.connection, target, stopped, waitMs);
  ask.defer(finish(gateway.audit, tenant, entry, result));

  return answerWith(tenant, prefer, entry, result);
}
