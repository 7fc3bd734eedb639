// Stop for the page that knows no run's id: every active run of a thread, each on a journey of its own.

import type { Answer } from "./answer.ts";
import { deny } from "./audit/journal.ts";
import { settle, stop } from "./cancel.ts";
import { type Entered, enter, enteredFor } from "./enter.ts";
import { asRefusal, Refusal } from "./failure.ts";
import type { Gateway } from "./gateway.ts";
import type { CancelAsk, CancelThreadAsk } from "./http/ask.ts";
import { assertHoldsRule } from "./policy/permit.ts";
import { type ActiveRun, listActiveRuns, pickActiveRuns } from "./upstreams/list.ts";

/** So many are stopped in one call: what a Worker may send for one request is bounded. */
const MOST_RUNS = 20;
/** So many are looked at, to find those that are the caller's. */
const MOST_LOOKED_AT = 100;
/** A Worker holds six connections open at once. */
const AT_ONCE = 5;
const NO_LIST =
  "The tenant's upstream has no list of a thread's runs, and no registry knows them: cancel each run by its id.";

export interface ThreadAnswer {
  /** Those that were stopped, or had ended by the time. */
  readonly answers: readonly Answer[];
  /** Those that the caller might have stopped, and why it did not come to it. */
  readonly failures: readonly FailedRun[];
  /** There are more active runs than one call stops. */
  readonly hasMore: boolean;
  /** The tenant's own. */
  readonly origins: readonly string[];
}

export interface FailedRun {
  readonly runId: string;
  readonly refusal: Refusal;
}

/**
 * Another's run is left alone and not mentioned: a thread that is unknown, another's or idle is one
 * without runs to stop, and the three cannot be told apart. Throws `Refusal` for what concerns all of the
 * runs, and when none was stopped that should have been.
 */
export async function cancelThread(gateway: Gateway, ask: CancelThreadAsk): Promise<ThreadAnswer> {
  const entered = await enter(gateway, ask);
  const { tenant, event } = entered;
  const active = await findActiveRuns(entered, ask.target.threadId).catch(entered.denied);
  const { begun, othersLeft, hasMore } = await stopTheirOwn(gateway, ask, entered, active);
  if (othersLeft) {
    const refusal = new Refusal("run_not_found", { detail: "runs of others were left alone" });
    ask.defer(deny(gateway.audit, tenant, event, refusal));
  }
  // All at once: waiting for the end of one must not keep another from being stopped, and none does now.
  const ended = await Promise.all(begun.map((one) => settled(gateway, one)));
  const answers = ended.filter((end): end is Answer => !("refusal" in end));
  const failures = ended
    .filter((end): end is FailedRun => "refusal" in end)
    // One that has gone meanwhile needs no stopping.
    .filter(({ refusal }) => refusal.reason !== "run_not_found");
  const [first] = failures;
  if (answers.length === 0 && first !== undefined) throw first.refusal;
  return { answers, failures, hasMore, origins: tenant.origins };
}

interface Begun {
  readonly asking: CancelAsk;
  readonly own: Entered;
  readonly stopped: Awaited<ReturnType<typeof stop>> | Refusal;
}

/** In turns, until all have been looked at or enough are stopped. */
async function stopTheirOwn(
  gateway: Gateway,
  ask: CancelThreadAsk,
  entered: Entered,
  active: readonly ActiveRun[],
) {
  const { threadId } = ask.target;
  const begin = async ({ id, read }: ActiveRun): Promise<Begun> => {
    const asking: CancelAsk = { ...ask, target: { threadId, runId: id } };
    const own = await enteredFor(gateway, ask, entered, asking.target, read);
    return { asking, own, stopped: await stop(gateway, asking, own).catch(asRefusal) };
  };
  const begun: Begun[] = [];
  let othersLeft = false;
  const { hitsActiveRun } = entered.tenant.connection.adapter;
  const left = inOrder(active, hitsActiveRun).slice(0, MOST_LOOKED_AT);
  while (left.length > 0 && begun.length < MOST_RUNS) {
    const atOnce = hitsActiveRun ? 1 : Math.min(AT_ONCE, MOST_RUNS - begun.length);
    const turn = left.splice(0, left.slice(0, atOnce).filter(sameTurn).length);
    for (const one of await Promise.all(turn.map(begin))) {
      const { stopped } = one;
      if (stopped instanceof Refusal && stopped.reason === "run_not_found") othersLeft = true;
      else begun.push(one);
    }
  }
  return { begun, othersLeft, hasMore: left.length > 0 };
}

async function settled(
  gateway: Gateway,
  { asking, own, stopped }: Begun,
): Promise<Answer | FailedRun> {
  const { runId } = asking.target;
  if (stopped instanceof Refusal) return { runId, refusal: stopped };
  const answer = await settle(gateway, asking, own, stopped).catch(asRefusal);
  return answer instanceof Refusal ? { runId, refusal: answer } : answer;
}

async function findActiveRuns(
  { tools, tenant, caller }: Entered,
  threadId: string,
): Promise<readonly ActiveRun[]> {
  assertHoldsRule(tenant, caller);
  const { connection, ownership } = tenant;
  const listed = connection.adapter.list !== undefined;
  if (!listed && ownership.source !== "registry") {
    throw new Refusal("unsupported_by_upstream", { words: NO_LIST });
  }
  return listed
    ? await listActiveRuns(tools, connection, threadId)
    : await pickActiveRuns(tools, connection, threadId, await tools.registeredOn(threadId));
}

/**
 * Runs that wait come before the one that they wait for: else they would begin. Where a cancel hits
 * whichever run is active, that one has to come first.
 */
function inOrder(runs: readonly ActiveRun[], hitsActiveRun: boolean): ActiveRun[] {
  const waiting = runs.filter(isWaiting);
  const others = runs.filter((run) => !isWaiting(run));
  return hitsActiveRun ? [...others, ...waiting.toReversed()] : [...waiting, ...others];
}

/** Side by side with the first of them: one that waits must not be overtaken by one that does not. */
function sameTurn(run: ActiveRun, _: number, [first]: readonly ActiveRun[]): boolean {
  return first !== undefined && isWaiting(run) === isWaiting(first);
}

function isWaiting({ status }: ActiveRun): boolean {
  return status === "queued";
}
