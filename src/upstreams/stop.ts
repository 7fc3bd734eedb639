// Stops one run and says what is true afterwards. The reply to a cancel is a hint; the run's state
// decides. Never sends a second cancel before it has read the run.
import { asRefusal, type Reason, Refusal } from "../failure.ts";
import { type Outcome, outcomeOf } from "../runs/outcome.ts";
import { isTerminal, type Run, type RunStatus } from "../runs/run.ts";
import { type Connection, call, type UpstreamReply } from "./call.ts";
import { fetchRun, refusalFor, type UpstreamTools, windingDown } from "./read.ts";
import type { Target } from "./upstream.ts";

/** The share of what is left of the deadline that a cancel may take: the run has to be read as well. */
const CANCEL_SHARE = 0.7;
const MAX_CANCELS = 2;
const FIRST_POLL_MS = 200;
const LONGEST_POLL_MS = 1_000;

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
interface Stopped {
  readonly run: Run;
  readonly outcome: Outcome;
  /** The upstream took our cancel, or the run shows it: what the run still does is winding down. */
  readonly accepted: boolean;
  /** When our cancel was sent, in Unix seconds; null when none was, or the run's state refused it. */
  readonly cancelledAt: number | null;
}
export type StopResult = StopFacts &
  (
    | Stopped
    | {
        readonly failure: Reason;
        readonly detail: string;
        readonly retryAfterSeconds: number | null;
      }
  );

interface Trace {
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
  before: Run | null,
): Promise<StopResult> {
  const startedAt = tools.now();
  const trace: Trace = {
    attempts: 0,
    accepted: false,
    upstreamStatus: null,
    upstreamRequestId: null,
  };
  const facts = (after: RunStatus | null): StopFacts => ({
    before: before?.status ?? null,
    after,
    ...trace,
    ms: tools.now() - startedAt,
  });
  try {
    const stopped = await cancelAndDecide(tools, connection, target, before, trace);
    return { ...facts(stopped.run.status), ...stopped };
  } catch (error) {
    const { reason, detail, retryAfterSeconds } = asRefusal(error);
    return {
      ...facts(null),
      failure: reason,
      detail: detail ?? "",
      retryAfterSeconds: retryAfterSeconds ?? null,
    };
  }
}

async function cancelAndDecide(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
  before: Run | null,
  trace: Trace,
): Promise<Stopped> {
  const { adapter } = connection;
  const beforeStatus = before?.status ?? null;
  if (before !== null && isSettled(before)) return judge(before, false, beforeStatus, null);

  const endsAt = tools.now() + adapter.deadlineMs;
  const deadline = AbortSignal.timeout(adapter.deadlineMs);
  const readWith = (cancelledAt: number | null): Promise<Run> =>
    fetchRun(tools, connection, target, { cancelledAt, deadline }).then(({ run }) => run);

  for (;;) {
    const share = Math.max(endsAt - tools.now(), 0) * CANCEL_SHARE;
    const signal = AbortSignal.any([deadline, AbortSignal.timeout(share)]);
    const answer = await sendCancel(tools, connection, target, signal, trace);
    const nowSeconds = Math.floor(tools.now() / 1_000);

    if (answer.kind === "accepted") {
      return await confirm(answer.reply, before, nowSeconds, connection, target, readWith);
    }
    if (answer.kind === "refused") {
      const recalled = adapter.forgetsCancel ? await tools.recall(target) : null;
      return judge(await readWith(recalled), false, beforeStatus, null);
    }
    // Lost: the cancel may have arrived. The state tells; only a run that still moves is asked again.
    const run = await readWith(nowSeconds).catch((error: unknown) => {
      throw afterLostReply(answer.refusal, asRefusal(error));
    });
    if (isSettled(run) || trace.attempts >= MAX_CANCELS || deadline.aborted) {
      return judge(run, isSettled(run), beforeStatus, nowSeconds);
    }
  }
}

/** There is nothing left to cancel: the run has ended, or is on its way there. */
function isSettled({ status }: Run): boolean {
  return isTerminal(status) || status === "cancelling";
}

type CancelAnswer =
  | { readonly kind: "accepted"; readonly reply: UpstreamReply }
  | { readonly kind: "refused" }
  | { readonly kind: "lost"; readonly refusal: Refusal };

/** Throws `Refusal` for what leaves no doubt: an unknown run, a bad key, a limit. */
async function sendCancel(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
  signal: AbortSignal,
  trace: Trace,
): Promise<CancelAnswer> {
  const { adapter, options } = connection;
  trace.attempts += 1;
  let reply: UpstreamReply;
  try {
    reply = await call(tools, connection, adapter.cancel(target, options), signal);
  } catch (error) {
    const refusal = asRefusal(error);
    if (refusal.unsent) trace.attempts -= 1;
    if (refusal.unsent || !LOST.includes(refusal.reason)) throw refusal;
    return { kind: "lost", refusal };
  }
  trace.upstreamStatus = reply.status;
  trace.upstreamRequestId = reply.requestId;
  if (reply.status < 300) {
    trace.accepted = true;
    return { kind: "accepted", reply };
  }
  const refusal = refusalFor(connection, reply);
  // Whatever the second is told, the first may have arrived, and may be why.
  if (trace.attempts > 1) return { kind: "lost", refusal };
  if (adapter.isStateRefusal(reply)) return { kind: "refused" };
  throw refusal;
}

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
  before: Run | null,
  nowSeconds: number,
  { adapter }: Connection,
  target: Target,
  readWith: (cancelledAt: number) => Promise<Run>,
): Promise<Stopped> {
  const accepted = { accepted: true, cancelledAt: nowSeconds } as const;
  const said = attempt(() => adapter.toRun(reply.body, { ...target, cancelledAt: nowSeconds }));
  // Some servers cancel by the run's id alone: the answer is all that shows whose run it was.
  if (said instanceof Refusal && said.reason === "run_not_found") throw said;
  if (!(said instanceof Refusal) && !isTerminal(said.status)) {
    return { ...accepted, run: windingDown(said), outcome: "cancelling" };
  }
  const read = await readWith(nowSeconds).catch(asRefusal);
  if (!(read instanceof Refusal)) return judge(read, true, before?.status ?? null, nowSeconds);
  const known = said instanceof Refusal ? before : said;
  if (known === null) throw new Refusal("outcome_unknown", { detail: read.message });
  if (isTerminal(known.status) && known.status !== "cancelled") {
    return { ...accepted, run: known, outcome: `already_${known.status}` };
  }
  // Accepted, perhaps even said to be cancelled, but no read says so: claim no more than that.
  return { ...accepted, run: windingDown(known), outcome: "not_confirmed" };
}

/** A run that was read, in words. One that still moves after an accepted cancel is winding down. */
function judge(
  read: Run,
  accepted: boolean,
  before: RunStatus | null,
  cancelledAt: number | null,
): Stopped {
  const run = accepted && !isTerminal(read.status) ? windingDown(read) : read;
  const outcome = outcomeOf({ accepted, confirmed: true, before, after: run.status });
  return { run, outcome, accepted, cancelledAt };
}

/**
 * Polls until the run is terminal or `waitMs` have passed (RFC 7240 §4.3), and tells the truth at the
 * end: the last state that was read, or that the last read failed.
 */
export async function waitUntilTerminal(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
  stopped: StopResult,
  waitMs: number,
): Promise<StopResult> {
  if (!("run" in stopped) || isTerminal(stopped.run.status) || waitMs <= 0) return stopped;
  let latest: StopResult & Stopped = stopped;
  const until = tools.now() + waitMs;
  const { forgetsCancel } = connection.adapter;
  const recalled = forgetsCancel && stopped.cancelledAt === null ? tools.recall(target) : null;
  const cancelledAt = stopped.cancelledAt ?? (await recalled);
  for (let pause = FIRST_POLL_MS; ; pause = Math.min(pause * 1.5, LONGEST_POLL_MS)) {
    const left = until - tools.now();
    if (left <= 0 || isTerminal(latest.run.status)) return latest;
    await tools.sleep(Math.min(pause, left));
    latest = await readAgain(tools, connection, target, latest, cancelledAt);
  }
}

async function readAgain(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
  latest: StopResult & Stopped,
  cancelledAt: number | null,
): Promise<StopResult & Stopped> {
  try {
    const { run } = await fetchRun(tools, connection, target, { cancelledAt });
    // A cancel whose answer was lost has arrived after all when the run shows it.
    const arrived = latest.accepted || (latest.cancelledAt !== null && isSettled(run));
    const judged = judge(run, arrived, latest.before, latest.cancelledAt);
    return { ...latest, ...judged, after: judged.run.status };
  } catch {
    return { ...latest, outcome: "not_confirmed" };
  }
}

function attempt<T>(step: () => T): T | Refusal {
  try {
    return step();
  } catch (error) {
    return asRefusal(error);
  }
}
