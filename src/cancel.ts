// ★ The journey: a person's Stop click becomes a cancelled run and a record of who asked.

import { type Answer, answerWith } from "./answer.ts";
import { begin, type Entry, finish, handOver } from "./audit/journal.ts";
import { type Entered, enter } from "./enter.ts";
import type { Gateway } from "./gateway.ts";
import type { CancelAsk } from "./http/ask.ts";
import { type Pending, type Permit, permitOrPend } from "./policy/permit.ts";
import { withoutLargeBody } from "./upstreams/read.ts";
import { cancelUpstreamRun, type StopResult } from "./upstreams/stop.ts";
import type { Target } from "./upstreams/upstream.ts";
import { waitUntilTerminal } from "./upstreams/wait.ts";

/**
 * authenticate → authorise → begin → cancel upstream → normalise → finish → respond. Where a registry
 * says whose run it is, `begin` asks it, in the one call that it makes anyway.
 *
 * Throws `Refusal`. No cancel reaches an upstream without a durable record of who asked, unless the
 * tenant chose to go on without; from `begin` on every end, good or bad, closes that record. The
 * upstream's adapter normalises, so that from `cancelUpstreamRun` on there are only Runs.
 */
export async function cancelRun(gateway: Gateway, ask: CancelAsk): Promise<Answer> {
  const entered = await enter(gateway, ask);
  const stopped = await stop(gateway, ask, entered);
  return await settle(gateway, ask, entered, stopped);
}

interface Stopped {
  readonly entry: Entry;
  /** The tools with the time that is left: what was spent on waiting for another's cancel is not its own. */
  readonly tools: Entered["tools"];
  readonly result: StopResult;
}

/** authorise → begin → cancel upstream. */
export async function stop(gateway: Gateway, ask: CancelAsk, entered: Entered): Promise<Stopped> {
  const { caller, tenant, tools, event, denied } = entered;
  const { target } = ask;
  const asking = { tenant, caller, target, reason: event.reason };
  const permit = unburdened(await permitOrPend(tools, asking).catch(denied), target);
  const entry = await begin(gateway.audit, tenant, event, permit).catch(denied);
  const timed = { ...tools, endsAt: tools.endsAt + entry.waitedMs };
  const result =
    entry.handover?.result ??
    (await cancelUpstreamRun(timed, tenant.connection, target, permit.read));
  return { entry, tools: timed, result };
}

/** The run that was read may be large, and the cancel can take long. */
function unburdened<Given extends Permit | Pending>(permit: Given, target: Target): Given {
  return { ...permit, read: permit.read && withoutLargeBody(permit.read, target) };
}

/** Waits for the end, where that is wished for → finish → respond. */
export async function settle(
  gateway: Gateway,
  { target, prefer: wished, defer, place, left }: CancelAsk,
  { tenant, startedAt }: Entered,
  { entry, tools, result: stopped }: Stopped,
): Promise<Answer> {
  const waitMs = (wished.waitSeconds ?? 0) * 1_000;
  if (waitMs > 0) defer(handOver(gateway.audit, tenant, entry, stopped));
  const wait = () =>
    waitUntilTerminal({ ...tools, left }, tenant.connection, target, stopped, startedAt + waitMs);
  const waiting = waitMs > 0 ? place.whileWaiting(wait) : Promise.resolve(stopped);
  // Where too many wait, the run is stopped all the same: only the wait is refused.
  const prefer = waiting === null ? { ...wished, waitSeconds: null } : wished;
  const result = (await waiting) ?? stopped;
  defer(finish(gateway.audit, tenant, entry, result));
  return await answerWith(tools, tenant, { target, prefer }, entry, result);
}
