// Stop for the page that knows no run's id: every active run of a thread, each on a journey of its own.

import type { Answer } from "./answer.ts";
import { deny } from "./audit/journal.ts";
import { settle, stop } from "./cancel.ts";
import type { Tenant } from "./config/load.ts";
import { type Entered, enter, enteredFor } from "./enter.ts";
import { asRefusal, type Reason, Refusal } from "./failure.ts";
import type { Gateway } from "./gateway.ts";
import type { CancelAsk, CancelThreadAsk } from "./http/ask.ts";
import { type Caller, grantedThreads, grantsRun } from "./identity/claims.ts";
import { proofIn } from "./policy/ownership.ts";
import { assertHoldsRule, mayCover } from "./policy/permit.ts";
import { ownerNameOf } from "./policy/person.ts";
import { type ActiveRun, AT_ONCE, listActiveRuns, pickActiveRuns } from "./upstreams/list.ts";
import { isTooLarge, type ReadRun } from "./upstreams/read.ts";
import type { Target } from "./upstreams/upstream.ts";

/** So many are stopped in one call: what a Worker may send for one request is bounded. */
const MOST_RUNS = 20;
/** So many are looked at, to find those that are the caller's. */
const MOST_LOOKED_AT = 100;
const NO_LIST =
  "The tenant's upstream has no list of a thread's runs, and no registry knows them: cancel each run by its id.";

export interface ThreadAnswer {
  /** Those that were stopped, or had ended by the time. */
  readonly answers: readonly Answer[];
  /** Those that the caller might have stopped, and why it did not come to it. */
  readonly failures: readonly FailedRun[];
  /** There are more active runs that the caller could stop than one call stops. Says nothing of others' runs. */
  readonly hasMore: boolean;
  /** The tenant's own. */
  readonly origins: readonly string[];
}

export interface FailedRun {
  /** Null where it is not known to be the caller's. */
  readonly runId: string | null;
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
  const candidates = await findCandidates(entered, ask.target.threadId).catch(entered.denied);
  const { theirs, othersLeft } = candidates;
  const { endings, othersMet, ...stopped } = await stopTheirOwn(gateway, ask, entered, theirs);
  // Where only a read tells whose a run is, those that were not read count once another was the caller's.
  const isTold = candidates.areKnown || stopped.theirsMet;
  const hasMore = (stopped.areLeft || candidates.areCut) && isTold;
  if (othersLeft || othersMet) {
    const refusal = new Refusal("run_not_found", { detail: "runs of others were left alone" });
    ask.defer(deny(gateway.audit, tenant, event, refusal));
  }
  const ended = await Promise.all(endings);
  const answers = ended.filter((end): end is Answer => !("refusal" in end));
  const failures = ended
    .filter((end): end is FailedRun => "refusal" in end)
    // One that has gone meanwhile needs no stopping.
    .filter(({ refusal }) => refusal.reason !== "run_not_found");
  const [first] = failures;
  if (answers.length === 0 && first !== undefined) throw first.refusal;
  return { answers, failures, hasMore, origins: tenant.origins };
}

/** Under way, or refused before it came to that. */
type Begun = { readonly ending: Promise<Answer | FailedRun> } | FailedRun;

/** In turns, until all have been looked at, enough are stopped or the time is up. */
async function stopTheirOwn(
  gateway: Gateway,
  ask: CancelThreadAsk,
  entered: Entered,
  candidates: readonly ActiveRun[],
) {
  const { threadId } = ask.target;
  const begin = async ({ id, read }: ActiveRun): Promise<Begun> => {
    const target = { threadId, runId: id };
    const asking: CancelAsk = { ...ask, target };
    const failed = (error: unknown): FailedRun => ({ runId: id, refusal: asRefusal(error) });
    try {
      const own = await enteredFor(gateway, ask, entered, target, read ?? undefined);
      const stopped = await stop(gateway, asking, own);
      // Not waited for: the end of one must not keep the next from being stopped.
      return { ending: settle(gateway, asking, own, stopped).catch(failed) };
    } catch (error) {
      return failed(error);
    }
  };
  const endings: (Promise<Answer | FailedRun> | FailedRun)[] = [];
  let othersMet = false;
  let theirsMet = false;
  let goesOn = true;
  const { hitsActiveRun } = entered.tenant.connection.adapter;
  const ordered = inOrder(candidates, hitsActiveRun);
  const left = ordered.slice(0, MOST_LOOKED_AT);
  while (goesOn && left.length > 0 && endings.length < MOST_RUNS) {
    const atOnce = hitsActiveRun ? 1 : Math.min(AT_ONCE, MOST_RUNS - endings.length);
    const turn = left.splice(0, left.slice(0, atOnce).filter(sameTurn).length);
    for (const one of await Promise.all(turn.map(begin))) {
      theirsMet ||= "ending" in one || toldOf(one).runId !== null;
      if ("ending" in one) endings.push(one.ending);
      else if (one.refusal.reason === "run_not_found") othersMet = true;
      else endings.push(toldOf(one));
      // The next could not be put on record either.
      if ("refusal" in one && one.refusal.reason === "audit_unavailable") goesOn = false;
    }
    goesOn &&= gateway.now() < entered.tools.endsAt;
  }
  const areLeft = left.length > 0 || ordered.length > MOST_LOOKED_AT;
  return { endings, othersMet, theirsMet, areLeft };
}

/** What is decided only once it is known that the run is the caller's to stop. */
const DECISIONS: readonly Reason[] = ["policy_denied", "reason_required", "audit_unavailable"];

/** Of a run whose proof could not be read nobody knows whose it is, so that its id is not told. */
function toldOf({ runId, refusal }: FailedRun): FailedRun {
  return { runId: DECISIONS.includes(refusal.reason) ? runId : null, refusal };
}

/** As of a thread that is unknown. */
const NO_CANDIDATES: Candidates = {
  theirs: [],
  areKnown: true,
  othersLeft: false,
  areCut: false,
};

interface Candidates {
  /** Those of the thread's active runs that the caller's rules could cover, as far as that is known. */
  readonly theirs: readonly ActiveRun[];
  /** Each of them is known to be covered, without a read of it. */
  readonly areKnown: boolean;
  /** There are others, which they could not. */
  readonly othersLeft: boolean;
  /** There may be more that they could, which were not looked at. */
  readonly areCut: boolean;
}

async function findCandidates(entered: Entered, threadId: string): Promise<Candidates> {
  const { tools, tenant, caller } = entered;
  assertHoldsRule(tenant, caller);
  const { connection, ownership } = tenant;
  const seesAll = mayCover(tenant, caller, "tenant");
  const ids =
    ownership.source === "registry" ? await registeredIds(entered, threadId, seesAll) : undefined;
  if (connection.adapter.list !== undefined) {
    const isTheirs = (run: ActiveRun): boolean =>
      (ids === undefined || ids.includes(run.id)) && couldBeTheirs(entered, threadId, run);
    const isKnown = ({ read }: ActiveRun): boolean =>
      ownership.source !== "metadata" || read !== null;
    // Who stops a whole thread did not ask for what cannot be stopped by itself.
    const canBe = ({ whyNot }: ActiveRun): boolean => whyNot === null;
    if (!mayHaveRuns(entered, threadId, ids)) return NO_CANDIDATES;
    // Who has proved nothing on the thread does not learn that a run of it is too large to be read.
    const isKept = (error: Refusal): boolean =>
      ownership.source === "metadata" && !seesAll && isTooLarge(error);
    const active = await listActiveRuns(tools, connection, threadId, {
      counts: (run) => isTheirs(run) && isKnown(run) && canBe(run),
      most: MOST_RUNS + 1,
    }).catch((error: unknown) => {
      if (isKept(asRefusal(error))) return null;
      throw error;
    });
    if (active === null) return NO_CANDIDATES;
    const theirs = active.runs.filter(isTheirs);
    const could = theirs.filter(canBe);
    if (could.length === 0 && active.broken !== null) {
      if (isKept(active.broken)) return NO_CANDIDATES;
      throw active.broken;
    }
    return {
      theirs: could,
      areKnown: could.every(isKnown),
      othersLeft: theirs.length < active.runs.length,
      // How many runs others have on the thread is told to nobody but those who may see them all.
      areCut: active.broken !== null || (active.isCut && seesAll),
    };
  }
  if (ids === undefined) throw new Refusal("unsupported_by_upstream", { words: NO_LIST });
  const looked = ids.slice(0, MOST_LOOKED_AT);
  const theirs = await pickActiveRuns(tools, connection, threadId, looked, MOST_RUNS + 1);
  return { theirs, areKnown: true, othersLeft: false, areCut: false };
}

/** The runs that are registered on the thread, all of them or the caller's own. */
async function registeredIds(
  { tools, tenant, caller }: Entered,
  threadId: string,
  seesAll: boolean,
): Promise<readonly string[]> {
  const name = ownerNameOf(tenant, caller);
  if (seesAll) return await tools.registeredOn(threadId, null);
  return name === null ? [] : await tools.registeredOn(threadId, name);
}

/**
 * False where no list can show a run of the caller's: then none is asked for, so that nothing of others' runs
 * gets out. `registered`: the ids that the registry has, where it is what proves.
 */
function mayHaveRuns(
  { tenant, caller }: Entered,
  threadId: string,
  registered: readonly string[] | undefined,
): boolean {
  switch (tenant.ownership.source) {
    case "grant":
      return caller.grants.some((grant) => grant.threadId === threadId);
    case "registry":
      return registered !== undefined && registered.length > 0;
    case "credential":
      return mayCover(tenant, caller, "tenant");
    // Only the runs themselves can tell.
    case "metadata":
      return true;
  }
}

/** As far as the list shows. */
function couldBeTheirs({ tenant, caller }: Entered, threadId: string, run: ActiveRun): boolean {
  const { ownership } = tenant;
  switch (ownership.source) {
    case "grant":
      return isGranted(tenant, caller, { threadId, runId: run.id }, run.read);
    case "credential":
      return mayCover(tenant, caller, "tenant");
    case "registry":
      return true;
    case "metadata": {
      if (run.read === null) return true;
      const name = ownerNameOf(tenant, caller);
      const proof = proofIn(run.read.metadata, ownership, tenant.id, name);
      return mayCover(tenant, caller, proof);
    }
  }
}

/** By its name; or by its thread, where the upstream checks that, or the run says so itself. */
function isGranted(tenant: Tenant, caller: Caller, target: Target, read: ReadRun | null): boolean {
  const { grants } = caller;
  if (grantsRun(grants, target)) return true;
  const { cancelChecksThread } = tenant.connection.adapter;
  const isOnThread = cancelChecksThread || read?.thread === target.threadId;
  return isOnThread && grantedThreads(grants, target).length > 0;
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
