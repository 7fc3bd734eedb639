// Stop for the page that knows no run's id: every active run of a thread, each on a journey of its own.

import type { Answer } from "./answer.ts";
import { settle, stop } from "./cancel.ts";
import { type Entered, enter, enteredFor } from "./enter.ts";
import { asRefusal, Refusal } from "./failure.ts";
import type { Gateway } from "./gateway.ts";
import type { CancelAsk, CancelThreadAsk } from "./http/ask.ts";
import { assertHoldsRule } from "./policy/permit.ts";
import { type ActiveRun, listActiveRuns, pickActiveRuns } from "./upstreams/list.ts";

/** So many in one call: what a Worker may send for one request is bounded. */
const MOST_RUNS = 20;
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
  const { threadId } = ask.target;
  const active = await findActiveRuns(entered, threadId).catch(entered.denied);
  const begin = async ({ id }: ActiveRun) => {
    const asking: CancelAsk = { ...ask, target: { threadId, runId: id } };
    const own = await enteredFor(gateway, ask, entered, asking.target);
    return { asking, own, stopped: await stop(gateway, asking, own).catch(asRefusal) };
  };
  const chosen = active.slice(0, MOST_RUNS);
  // Those that wait for their turn are stopped before the one that they wait for: else they would begin.
  const begun = [
    ...(await inTurns(chosen.filter(isWaiting), begin)),
    ...(await inTurns(
      chosen.filter((run) => !isWaiting(run)),
      begin,
    )),
  ];
  // All at once: waiting for the end of one must not keep another from being stopped, and none does now.
  const ended = await Promise.all(
    begun.map(async ({ asking, own, stopped }) => {
      const { runId } = asking.target;
      if (stopped instanceof Refusal) return { runId, refusal: stopped };
      const answer = await settle(gateway, asking, own, stopped).catch(asRefusal);
      return answer instanceof Refusal ? { runId, refusal: answer } : answer;
    }),
  );
  const answers = ended.filter((end): end is Answer => !("refusal" in end));
  const failures = ended
    .filter((end): end is FailedRun => "refusal" in end)
    .filter(({ refusal }) => refusal.reason !== "run_not_found");
  const [first] = failures;
  if (answers.length === 0 && first !== undefined) throw first.refusal;
  const { origins } = entered.tenant;
  return { answers, failures, hasMore: active.length > MOST_RUNS, origins };
}

/** Those that wait for their turn come first. */
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
  const active = listed
    ? await listActiveRuns(tools, connection, threadId)
    : await pickActiveRuns(tools, connection, threadId, await tools.registeredOn(threadId));
  return [...active.filter(isWaiting), ...active.filter((run) => !isWaiting(run))];
}

function isWaiting({ status }: ActiveRun): boolean {
  return status === "queued";
}

async function inTurns<T, Made>(
  items: readonly T[],
  make: (item: T) => Promise<Made>,
): Promise<readonly Made[]> {
  const made: Made[] = [];
  for (let from = 0; from < items.length; from += AT_ONCE) {
    made.push(...(await Promise.all(items.slice(from, from + AT_ONCE).map(make))));
  }
  return made;
}
