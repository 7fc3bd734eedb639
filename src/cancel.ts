// ★ The journey: a person's Stop click becomes a cancelled run and a record of who asked.

import { type Answer, answerWith } from "./answer.ts";
import { begin, finish, handOver } from "./audit/journal.ts";
import { enter } from "./enter.ts";
import type { Gateway } from "./gateway.ts";
import type { CancelAsk } from "./http/ask.ts";
import { permitOrPend } from "./policy/permit.ts";
import { cancelUpstreamRun, waitUntilTerminal } from "./upstreams/stop.ts";

/**
 * authenticate → authorise → begin → cancel upstream → normalise → finish → respond. Where a registry
 * says whose run it is, `begin` asks it, in the one call that it makes anyway.
 *
 * Throws `Refusal`. No cancel reaches an upstream without a durable record of who asked, unless the
 * tenant chose to go on without; from `begin` on every end, good or bad, closes that record. The
 * upstream's adapter normalises, so that from `cancelUpstreamRun` on there are only Runs.
 */
export async function cancelRun(gateway: Gateway, ask: CancelAsk): Promise<Answer> {
  const { caller, tenant, tools, event, denied } = await enter(gateway, ask);
  const { target, prefer } = ask;
  const waitMs = (prefer.waitSeconds ?? 0) * 1_000;

  const asking = { tenant, caller, target, reason: event.reason };
  const permit = await permitOrPend(tools, asking).catch(denied);
  const entry = await begin(gateway.audit, tenant, event, permit).catch(denied);
  const before = permit.read?.run ?? null;
  const stopped =
    entry.handover?.result ?? (await cancelUpstreamRun(tools, tenant.connection, target, before));
  if (waitMs > 0) ask.defer(handOver(gateway.audit, tenant, entry, stopped));
  const result = await waitUntilTerminal(tools, tenant.connection, target, stopped, waitMs);
  ask.defer(finish(gateway.audit, tenant, entry, result));

  return answerWith(tenant, prefer, entry, result);
}
