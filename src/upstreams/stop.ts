// Stops one run and says what is true afterwards. The reply to a cancel is a hint; the run's state
// decides. Never sends a second cancel before it has read the run.
import { asRefusal, type Reason, Refusal } from "../failure.ts";
import { type Outcome, outcomeOf } from "../runs/outcome.ts";
import { isTerminal, type Run, type RunStatus } from "../runs/run.ts";
import { isAcknowledgement, saysOnItsWay } from "./acknowledgement.ts";
import { type Connection, exchange, type UpstreamReply } from "./call.ts";
import { member } from "./json.ts";
import { listActiveRuns } from "./list.ts";
import { isFailure } from "./problem.ts";
import {
  bounded,
  cancelRefusalFor,
  fetchRun,
  meaningOf,
  type ReadRun,
  readUpstreamRun,
  recalled,
  type UpstreamTools,
  unseenRun,
  windingDown,
} from "./read.ts";
import { UnreadBody } from "./room.ts";
import type { Meaning, Target, Upstream } from "./upstream.ts";

/** The share of what is left of the deadline that a cancel may take: the run has to be read as well. */
const CANCEL_SHARE = 0.7;
const MAX_CANCELS = 2;
/** With less time than this nothing is begun any more. */
const LEAST_MS = 100;
/** The pause before a second cancel. */
const JITTER_MS = { least: 50, most: 250 } as const;
/** How long a cancel that was taken counts as being carried out. */
const UNDER_WAY_SECONDS = 60;
const TOO_LATE = "There was no time left to send the cancel. Nothing was sent.";

const NOT_KNOWN =
  "The upstream calls the run's state by a word that the gateway does not know. Its cancel might stop another run, so nothing was sent.";

/** Plain data: the ledger hands it over to those who asked for the same thing at the same time. */
export interface StopFacts {
  readonly before: RunStatus | null;
  readonly after: RunStatus | null;
  readonly upstreamStatus: number | null;
  readonly upstreamRequestId: string | null;
  /** Cancels that were sent. */
  readonly attempts: number;
  /** The upstream took a cancel of ours, whatever came of it: the ledger may have to remember that. */
  readonly accepted: boolean;
  /** Milliseconds from the first request to the last reply. */
  readonly ms: number;
}
export interface Stopped {
  readonly run: Run;
  readonly outcome: Outcome;
  /** The upstream took our cancel, or the run shows it: what the run still does is winding down. */
  readonly accepted: boolean;
  /** When our cancel was accepted, in Unix seconds; null when it was not, or nobody said so. */
  readonly cancelledAt: number | null;
  /** When one of ours was sent that may have been taken, though nobody said so. */
  readonly sentAt: number | null;
  /** How long the upstream asks to be left alone before it is read again. */
  readonly pollAfterSeconds: number | undefined;
  /** The upstream's own object, as it was last read; null when it was not, or is not handed on. */
  readonly object: unknown;
  /** How large the reply was that brought it; 0 when none did. */
  readonly objectBytes: number;
}
export type StopResult = StopFacts &
  (
    | Stopped
    | {
        readonly failure: Reason;
        readonly detail: string;
        /** Public words in place of the usual ones. */
        readonly words: string | null;
        readonly retryAfterSeconds: number | null;
      }
  );

/** The result without what only its own request needs: the object may be large. */
export function handedOn(result: StopResult): StopResult {
  return "run" in result ? { ...result, object: null } : result;
}

/** What this request knows of its own cancel. */
type Known = Pick<Stopped, "cancelledAt" | "sentAt">;
const NOT_SENT: Known = { cancelledAt: null, sentAt: null };

interface Trace {
  before: RunStatus | null;
  attempts: number;
  accepted: boolean;
  upstreamStatus: number | null;
  upstreamRequestId: string | null;
}

/**
 * Cancels the run unless `before` says that there is nothing to cancel, and reads it wherever the
 * reply does not settle its state. Never throws: what went wrong is part of the result.
 */
export async function cancelUpstreamRun(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
  before: ReadRun | null,
): Promise<StopResult> {
  const startedAt = tools.now();
  const trace: Trace = {
    before: before?.run.status ?? null,
    attempts: 0,
    accepted: false,
    upstreamStatus: null,
    upstreamRequestId: null,
  };
  const facts = (after: RunStatus | null): StopFacts => ({
    after,
    ...trace,
    ms: tools.now() - startedAt,
  });
  try {
    const stopped = await cancelAndDecide(tools, connection, target, before, trace);
    return { ...facts(stopped.run.status), ...stopped };
  } catch (error) {
    const { reason, detail, words, retryAfterSeconds } = asRefusal(error);
    return {
      ...facts(null),
      failure: reason,
      detail: detail ?? "",
      words: words ?? null,
      retryAfterSeconds: retryAfterSeconds ?? null,
    };
  }
}

async function cancelAndDecide(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
  given: ReadRun | null,
  trace: Trace,
): Promise<Stopped> {
  const { adapter } = connection;
  const mustRead = given === null && readsFirst(connection, target);
  const before = mustRead ? await readUpstreamRun(tools, connection, target) : given;
  trace.before = before?.run.status ?? null;
  if (before !== null) {
    if (isSettled(before.run)) return judge(before, false, trace.before, NOT_SENT);
    if (isUnderWay(tools, connection, before)) {
      const earlier = { cancelledAt: before.cancelledAt, sentAt: null };
      return judge({ ...before, run: windingDown(before.run) }, false, trace.before, earlier);
    }
    await assertCancellable(tools, connection, target, before);
  }

  const health = tools.healthOf(connection.baseUrl);
  const readWith = async (known: Known): Promise<ReadRun> => {
    const read = await fetchRun(tools, connection, target, known);
    return read.isDeleted && before !== null ? deletedFrom(before.run, read) : read;
  };
  let sentAt: number | null = null;
  /** One is still on its way, for all that anybody knows. */
  let mayYetArrive = false;
  health.attempted();
  for (;;) {
    const answer = await sendCancel(tools, connection, target, trace);
    const nowSeconds = Math.floor(tools.now() / 1_000);
    if (answer.kind === "accepted") {
      return await confirm(answer.reply, before, nowSeconds, connection, target, readWith, trace);
    }
    const again = trace.attempts < MAX_CANCELS && adapter.repeatsCancel;
    if (answer.kind === "declined" && again && (await pausedFor(tools, answer.pauseMs))) continue;

    // It may have arrived, or something else has ended the run: its state tells.
    if (answer.kind === "lost") {
      sentAt = nowSeconds;
      mayYetArrive ||= !answer.isAnswered;
    }
    const earlier = await recalled(tools, connection, target);
    const read = await readWith({ cancelledAt: earlier, sentAt }).catch((error: unknown) => {
      const refusal = asRefusal(error);
      if (answer.kind === "refused_by_state" || answer.kind === "unfound") throw refusal;
      throw sentAt === null ? answer.refusal : afterLostReply(answer.refusal, refusal);
    });
    const settled = isSettled(read.run);
    const known = { cancelledAt: null, sentAt };
    if (settled || answer.kind === "refused_by_state") {
      return judge(read, settled && sentAt !== null, trace.before, known);
    }
    if (answer.kind === "lost" && again) {
      if (await pausedFor(tools, answer.pauseMs + jitter(tools))) continue;
    }
    if (mayYetArrive) return judge(read, false, trace.before, known);
    throw answer.refusal;
  }

  /** False when there is neither time nor budget for a second cancel. */
  async function pausedFor(patient: UpstreamTools, ms: number | null): Promise<boolean> {
    if (ms === null || patient.now() + ms + LEAST_MS / CANCEL_SHARE > patient.endsAt) return false;
    if (!health.mayRetry()) return false;
    await patient.sleep(ms);
    return true;
  }
}

/**
 * Where the upstream cancels by the run's id alone, the thread in the path is the caller's own word: only the
 * run can say that it is wrong, and only before the cancel does that help.
 */
export function readsFirst(
  { adapter, options }: Pick<Connection, "adapter" | "options">,
  { threadId }: Target,
): boolean {
  return adapter.readsFirst(options) || (threadId !== null && !adapter.cancelChecksThread);
}

/** There is nothing left to cancel: the run has ended, or is on its way there. */
export function isSettled({ status }: Run): boolean {
  return isTerminal(status) || status === "cancelling";
}

/**
 * A cancel of it was taken a moment ago, and another would hit whatever is active by the time. Later it is
 * to be had: who presses Stop again has waited in vain.
 */
function isUnderWay({ now }: UpstreamTools, { adapter }: Connection, before: ReadRun): boolean {
  const { cancelledAt } = before;
  if (!adapter.hitsActiveRun || cancelledAt === null) return false;
  return now() / 1_000 - cancelledAt < UNDER_WAY_SECONDS;
}

/** Throws `unsupported_by_upstream` where a cancel would hit something else than this run, `upstream_error` where it might. */
async function assertCancellable(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
  { run, body }: ReadRun,
): Promise<void> {
  const { whyNot, hitsActiveRun, knowsState } = connection.adapter;
  const words = whyNot?.(body) ?? null;
  if (words !== null) throw cannot(words);
  if (hitsActiveRun && !knowsState(body)) {
    const detail = "the run is in a state that is not known";
    throw new Refusal("upstream_error", { words: NOT_KNOWN, detail, unsent: true });
  }
  if (!hitsActiveRun || run.status !== "queued" || target.threadId === null) return;
  // Which of several that wait is the next, nobody can tell.
  const { runs, broken } = await listActiveRuns(tools, connection, target.threadId);
  if (broken !== null) throw broken;
  if (runs.some(({ id }) => id !== target.runId)) {
    throw cannot(
      "This run waits for its turn, and the upstream can only cancel the one that is active.",
    );
  }
}

function cannot(words: string): Refusal {
  return new Refusal("unsupported_by_upstream", { words, detail: "not by itself", unsent: true });
}

type CancelAnswer =
  | { readonly kind: "accepted"; readonly reply: UpstreamReply }
  | { readonly kind: "refused_by_state" }
  /** There is no such run, or no such address, or nothing to cancel: the run tells. `refusal`: if it goes on. */
  | { readonly kind: "unfound"; readonly refusal: Refusal }
  /** Nothing was done. Asked again after `pauseMs` it may be; null: it will not. */
  | { readonly kind: "declined"; readonly refusal: Refusal; readonly pauseMs: number | null }
  /**
   * It may have been done all the same. `isAnswered`: with an error, so that it is not on its way any more.
   * `pauseMs`: how long the upstream asks to be left alone; 0 when it does not.
   */
  | {
      readonly kind: "lost";
      readonly refusal: Refusal;
      readonly isAnswered: boolean;
      readonly pauseMs: number;
    };

/** Throws `Refusal` for what leaves no doubt and does not change: an unknown run, a bad key. */
async function sendCancel(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
  trace: Trace,
): Promise<CancelAnswer> {
  const { adapter, options } = connection;
  const share = (tools.endsAt - tools.now()) * CANCEL_SHARE;
  if (share < LEAST_MS) {
    const refusal = new Refusal("upstream_timeout", {
      detail: "no time was left",
      words: TOO_LATE,
    });
    if (trace.attempts > 0) return { kind: "declined", refusal, pauseMs: null };
    throw refusal;
  }
  trace.attempts += 1;
  let reply: UpstreamReply;
  try {
    const request = adapter.cancel(target, options);
    const answer = await exchange(tools, connection, request, bounded(tools, share));
    reply = { ...answer, body: adapter.asAsked(answer.body, target, options) };
  } catch (error) {
    const refusal = asRefusal(error);
    if (refusal.unsent) trace.attempts -= 1;
    if (refusal.unsent && trace.attempts > 0) return { kind: "declined", refusal, pauseMs: null };
    if (refusal.unsent || !LOST.includes(refusal.reason)) throw refusal;
    return { kind: "lost", refusal, isAnswered: false, pauseMs: 0 };
  }
  trace.upstreamStatus = reply.status;
  trace.upstreamRequestId = reply.requestId;
  const meaning = meaningOf(connection, reply);
  if (reply.status < 300 || meaning === "accepted") {
    trace.accepted = true;
    return { kind: "accepted", reply };
  }
  const refusal = cancelRefusalFor(connection, reply);
  const declined = { kind: "declined", refusal } as const;
  // Whatever the second is told, the first may have arrived, and may be why.
  if (trace.attempts > 1) return { ...declined, pauseMs: null };
  const { status, retryAfterSeconds } = reply;
  if (meaning === "refused_by_state") return { kind: "refused_by_state" };
  const isUnfound = meaning === null ? UNFOUND.includes(status) : ABOUT_RUN.includes(meaning);
  if (isUnfound) return { kind: "unfound", refusal };
  if (meaning !== null) throw refusal;
  const isBusy = status === 429 || status === 503;
  if (isBusy && retryAfterSeconds !== undefined) {
    const pauseMs = retryAfterSeconds * 1_000 + jitter(tools);
    if (tools.now() + pauseMs + LEAST_MS > tools.endsAt) throw refusal;
    return { ...declined, pauseMs };
  }
  // Words that nobody has seen yet: the run's state may explain them.
  if (UNEXPLAINED.includes(status)) return { ...declined, pauseMs: null };
  if (status > 501 || status === 500) {
    const pauseMs = (retryAfterSeconds ?? 0) * 1_000;
    return { kind: "lost", refusal, isAnswered: true, pauseMs };
  }
  throw refusal;
}

/** Full jitter, in milliseconds. */
function jitter({ random }: UpstreamTools): number {
  return JITTER_MS.least + random() * (JITTER_MS.most - JITTER_MS.least);
}

const UNEXPLAINED: readonly number[] = [400, 409, 412, 422, 423];
const UNFOUND: readonly number[] = [404, 405, 410, 501];
/** An unknown run and one that has ended are refused in the same words by some, and so is an unknown address. */
const ABOUT_RUN: readonly Meaning[] = ["run_not_found", "unsupported_by_upstream"];

/**
 * What leaves open whether the cancel arrived: the connection broke, the answer came too late, or
 * its body was more than is read.
 */
const LOST: readonly Reason[] = ["upstream_timeout", "upstream_unreachable", "upstream_error"];

function afterLostReply(cancel: Refusal, read: Refusal): Refusal {
  const down = cancel.reason === "upstream_unreachable" && read.reason === "upstream_unreachable";
  if (down) return cancel;
  return new Refusal("outcome_unknown", { detail: `${cancel.message}; ${read.message}` });
}

/** An accepted cancel: done when the reply itself says `cancelling`, otherwise the run is read. */
async function confirm(
  reply: UpstreamReply,
  before: ReadRun | null,
  nowSeconds: number,
  { adapter }: Connection,
  target: Target,
  readWith: (known: Known) => Promise<ReadRun>,
  trace: Trace,
): Promise<Stopped> {
  const known = { cancelledAt: nowSeconds, sentAt: nowSeconds };
  const accepted = { accepted: true, ...known } as const;
  const said = attempt(() => runSaid(adapter, reply.body, target, nowSeconds));
  const goesOn = !(said instanceof Refusal) && !isTerminal(said.status);
  const hasDoneNothing = goesOn && adapter.answersWhenDone && said.status !== "cancelling";
  const saysNothing = said instanceof Refusal && !acknowledges(adapter, reply, target);
  if (hasDoneNothing || saysNothing) {
    // Taken perhaps, and perhaps not: nothing that the ledger should remember.
    trace.accepted = false;
    const sent = { cancelledAt: null, sentAt: nowSeconds };
    const read = await readWith(sent).catch(asRefusal);
    if (!(read instanceof Refusal)) {
      return judge(read, isTerminal(read.run.status), before?.run.status ?? null, sent);
    }
    const unseen = read instanceof UnreadBody ? unseenRun(target, "in_progress") : null;
    const run = before?.run ?? unseen;
    if (run === null) throw new Refusal("outcome_unknown", { detail: read.message });
    const { retryAfterSeconds: pollAfterSeconds } = read;
    const unshown = { object: null, objectBytes: 0 } as const;
    const left = { accepted: false, ...sent, ...unshown, pollAfterSeconds } as const;
    return { ...left, run, outcome: "not_confirmed" };
  }
  if (goesOn) {
    const pollAfterSeconds = reply.retryAfterSeconds;
    const run = windingDown(said);
    return { ...accepted, run, outcome: "cancelling", ...objectOf(reply), pollAfterSeconds };
  }
  const read = await readWith(known).catch(asRefusal);
  if (!(read instanceof Refusal)) return judge(read, true, before?.run.status ?? null, known);
  // Taken is taken: what keeps the run from being read takes nothing from that.
  const last = said instanceof Refusal ? (before?.run ?? unseenRun(target, "cancelling")) : said;
  if (isTerminal(last.status) && last.status !== "cancelled") {
    const outcome = `already_${last.status}` as const;
    return { ...accepted, run: last, outcome, ...objectOf(reply), pollAfterSeconds: undefined };
  }
  // Accepted, perhaps even said to be cancelled, but no read says so: claim no more than that.
  const pollAfterSeconds = read.retryAfterSeconds;
  const run = windingDown(last);
  return {
    ...accepted,
    run,
    outcome: "not_confirmed",
    object: null,
    objectBytes: 0,
    pollAfterSeconds,
  };
}

/**
 * An answer that is not the run, and yet says that the cancel was taken. Success that is none comes with an error in
 * its body, as a page or a text of what stands before the server, or as an object that is something else.
 */
function acknowledges(adapter: Upstream, reply: UpstreamReply, { runId }: Target): boolean {
  if (adapter.meaning(reply) === "accepted") return true;
  // Where a 200 alone says that it was taken, it does so however large the rest is.
  if (reply.unread !== null) return !adapter.answersWhenDone;
  if (adapter.acknowledgesOnly) return isAcknowledgement(reply, runId);
  const { body } = reply;
  const id = member(body, "run_id") ?? member(body, "id");
  const isOther = id !== undefined && id !== runId;
  return !isOther && !isFailure(reply) && saysOnItsWay(body);
}

/**
 * The run in the answer to a cancel, under the thread that was asked for: a thread that only the answer
 * names cannot undo what is done. Throws as `toRun`.
 */
function runSaid(adapter: Upstream, body: unknown, target: Target, cancelledAt: number): Run {
  const run = adapter.toRun(body, { ...target, threadId: null, cancelledAt });
  return target.threadId === null ? run : { ...run, thread_id: target.threadId };
}

/** A run that was read, in words. One that still moves after an accepted cancel is winding down. */
export function judge(
  read: Pick<ReadRun, "run" | "body" | "bytes" | "retryAfterSeconds">,
  accepted: boolean,
  before: RunStatus | null,
  known: Known,
): Stopped {
  const run = accepted && !isTerminal(read.run.status) ? windingDown(read.run) : read.run;
  const outcome = outcomeOf({ accepted, confirmed: true, before, after: run.status });
  const { cancelledAt, sentAt } = known;
  const pollAfterSeconds = read.retryAfterSeconds;
  return { run, outcome, accepted, cancelledAt, sentAt, ...objectOf(read), pollAfterSeconds };
}

function objectOf({ body, bytes }: Pick<ReadRun, "body" | "bytes">) {
  return { object: body, objectBytes: bytes };
}

/** A run that its cancel has deleted is shown as it was before, and cancelled. */
export function deletedFrom(before: Run, read: ReadRun): ReadRun {
  const { status, cancelled_at } = read.run;
  return { ...read, run: { ...before, status, cancelled_at, required_action: null } };
}

function attempt<T>(step: () => T): T | Refusal {
  try {
    return step();
  } catch (error) {
    return asRefusal(error);
  }
}
