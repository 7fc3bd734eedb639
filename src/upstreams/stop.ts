// Stops one run and says what is true afterwards. The reply to a cancel is a hint; the run's state
// decides. Never sends a second cancel before it has read the run.
import { asRefusal, type Reason, Refusal } from "../failure.ts";
import { type Outcome, outcomeOf } from "../runs/outcome.ts";
import { isTerminal, type Run, type RunStatus } from "../runs/run.ts";
import { type Connection, call, type UpstreamReply } from "./call.ts";
import { fetchRun, refusalFor, type UpstreamTools } from "./read.ts";
import type { Target } from "./upstream.ts";

/** The share of the deadline that a cancel may take, so that time is left to read the run. */
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
  /** Milliseconds from the first request to the last reply. */
  readonly ms: number;
}
interface Stopped {
  readonly run: Run;
  readonly outcome: Outcome;
  /** The upstream took our cancel, so that what the run still does is winding down. */
  readonly accepted: boolean;
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
  upstreamStatus: number | null;
  upstreamRequestId: string | null;
}

/**
 * Cancels the run unless `before` says that there is nothing to cancel, and reads it wherever the
 * reply does not settle its state. Never throws: what went wrong is part of the result.
 */
export async function stopRun(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
  before: Run | null,
): Promise<StopResult> {
  const startedAt = tools.now();
  const trace: Trace = { attempts: 0, upstreamStatus: null, upstreamRequestId: null };
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
  const beforeStatus = before?.status ?? null;
  if (before !== null && (isTerminal(before.status) || before.status === "cancelling")) {
    return judge(before, false, before.status);
  }
  const { deadlineMs } = connection.adapter;
  const deadline = AbortSignal.timeout(deadlineMs);
  const readWith = (cancelledAt: number | null): Promise<Run> =>
    fetchRun(tools, connection, target, { cancelledAt, deadline }).then(({ run }) => run);

  for (;;) {
    const signal = AbortSignal.any([deadline, AbortSignal.timeout(deadlineMs * CANCEL_SHARE)]);
    const answer = await sendCancel(tools, connection, target, signal, trace);
    const nowSeconds = Math.floor(tools.now() / 1_000);

    if (answer.kind === "accepted") {
      return await confirm(answer.reply, before, nowSeconds, connection, target, readWith);
    }
    if (answer.kind === "refused") {
      const cancelledAt = connection.adapter.forgetsCancel ? await tools.recall(target) : null;
      return judge(await readWith(cancelledAt), false, beforeStatus);
    }
    // Lost: the cancel may have arrived. The state tells; only a run that still moves is asked again.
    const run = await readWith(nowSeconds).catch((error: unknown) => {
      throw afterLostReply(answer.refusal, asRefusal(error));
    });
    const settled = isTerminal(run.status) || run.status === "cancelling";
    if (settled || trace.attempts >= MAX_CANCELS || deadline.aborted) {
      return judge(run, settled, beforeStatus);
    }
  }
}

type CancelAnswer =
  | { readonly kind: "accepted"; readonly reply: UpstreamReply }
  | { readonly kind: "refused" }
  | { readonly kind: "lost"; readonly refusal: Refusal };

/** Throws `Refusal` for what no state of the run can explain: an unknown run, a bad key, a limit. */
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
    reply = await call(
      tools.fetch,
      connection,
      adapter.cancel(target, options),
      signal,
      tools.traceparent,
    );
  } catch (error) {
    const refusal = asRefusal(error);
    if (!LOST.includes(refusal.reason)) throw refusal;
    return { kind: "lost", refusal };
  }
  trace.upstreamStatus = reply.status;
  trace.upstreamRequestId = reply.requestId;
  if (reply.status < 300) return { kind: "accepted", reply };
  // After a lost first cancel, a refusal of the second may be the first one's doing.
  const secondTry = trace.attempts > 1 && reply.status < 500;
  if (adapter.isStateRefusal(reply) || secondTry) return { kind: "refused" };
  throw refusalFor(connection, reply);
}

/** What leaves open whether the cancel arrived: the connection broke, the answer came too late. */
const LOST: readonly Reason[] = ["upstream_timeout", "upstream_unreachable"];

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
  const said = attempt(() => adapter.toRun(reply.body, { ...target, cancelledAt: nowSeconds }));
  if (said !== null && !isTerminal(said.status)) {
    return { run: { ...said, status: "cancelling" }, outcome: "cancelling", accepted: true };
  }
  const read = await readWith(nowSeconds).catch(asRefusal);
  const known = said ?? before;
  if (!(read instanceof Refusal)) return judge(read, true, before?.status ?? null);
  if (known === null) throw new Refusal("outcome_unknown", { detail: read.message });
  if (isTerminal(known.status) && known.status !== "cancelled") {
    return { run: known, outcome: `already_${known.status}`, accepted: true };
  }
  // Accepted, perhaps even said to be cancelled, but no read says so: claim no more than that.
  const run: Run = { ...known, status: "cancelling", cancelled_at: null, usage: null };
  return { run, outcome: "not_confirmed", accepted: true };
}

/** A run that was read, in words. One that still moves after an accepted cancel is winding down. */
function judge(read: Run, accepted: boolean, before: RunStatus | null): Stopped {
  const run: Run = accepted && !isTerminal(read.status) ? { ...read, status: "cancelling" } : read;
  const outcome = outcomeOf({ accepted, confirmed: true, before, after: run.status });
  return { run, outcome, accepted };
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
  let latest = stopped;
  const until = tools.now() + waitMs;
  const cancelledAt = Math.floor(tools.now() / 1_000);
  for (let pause = FIRST_POLL_MS; ; pause = Math.min(pause * 1.5, LONGEST_POLL_MS)) {
    if (!("run" in latest) || isTerminal(latest.run.status)) return latest;
    const left = until - tools.now();
    if (left <= 0) return latest;
    await tools.sleep(Math.min(pause, left));
    latest = await readAgain(tools, connection, target, latest, cancelledAt);
  }
}

async function readAgain(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
  latest: StopResult & Stopped,
  cancelledAt: number,
): Promise<StopResult> {
  try {
    const { run } = await fetchRun(tools, connection, target, { cancelledAt });
    const judged = judge(run, latest.accepted, latest.before);
    return { ...latest, ...judged, after: judged.run.status };
  } catch {
    return { ...latest, outcome: "not_confirmed" };
  }
}

function attempt<T>(step: () => T): T | null {
  try {
    return step();
  } catch {
    return null;
  }
}
