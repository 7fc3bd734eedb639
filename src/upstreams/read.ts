// Reads one run: the proof of ownership before a cancel, the truth after it. Sends nothing but GETs.
import { Refusal } from "../failure.ts";
import { isTerminal, type Run } from "../runs/run.ts";
import { type CallTools, type Connection, call, isKeyRefused, type UpstreamReply } from "./call.ts";
import type { Target } from "./upstream.ts";

const READ_TIMEOUT_MS = 4_000;

export interface UpstreamTools extends CallTools {
  readonly sleep: (ms: number) => Promise<void>;
  /** When the ledger remembers a cancel of the run, in Unix seconds. Asked only where needed. */
  readonly recall: (target: Target) => Promise<number | null>;
}

/** A run as it was read. */
export interface ReadRun {
  readonly run: Run;
  /** The pairs that its creator attached. */
  readonly metadata: unknown;
  /** The thread that the upstream says it is on, where it says so. */
  readonly thread: unknown;
  /** When a cancel of it was taken, as far as the gateway knows, in Unix seconds. */
  readonly cancelledAt: number | null;
}

/**
 * The run as it stands, for a caller who did not just cancel it. Throws `Refusal`: `run_not_found`
 * when the upstream does not know it, otherwise what kept it from being read.
 */
export async function readUpstreamRun(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
): Promise<ReadRun> {
  const recalled = connection.adapter.forgetsCancel ? tools.recall(target) : null;
  const [cancelledAt, reply] = await Promise.all([recalled, requestRun(tools, connection, target)]);
  return interpret(connection, reply, target, cancelledAt);
}

/**
 * The run as a reader should see it: one that still moves after a cancel was taken is on its way to
 * its end. Only for showing: who presses Stop again goes by what the upstream says.
 */
export function shown({ run, cancelledAt }: ReadRun): Run {
  return cancelledAt !== null && !isTerminal(run.status) ? windingDown(run) : run;
}

/** A run whose cancel was taken and that still moves: there is nothing left for anyone to do about it. */
export function windingDown(run: Run): Run {
  return { ...run, status: "cancelling", required_action: null, cancelled_at: null, usage: null };
}

export interface ReadOptions {
  /** When this cancel was sent, in Unix seconds; null when the run's state refused it. */
  readonly cancelledAt: number | null;
  readonly deadline?: AbortSignal;
}

/** The run as it stands, with what this very request knows of a cancel. Throws as `readUpstreamRun`. */
export async function fetchRun(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
  { cancelledAt, deadline }: ReadOptions,
): Promise<ReadRun> {
  const reply = await requestRun(tools, connection, target, deadline);
  return interpret(connection, reply, target, cancelledAt);
}

function requestRun(
  tools: UpstreamTools,
  connection: Connection,
  target: Target,
  deadline?: AbortSignal,
): Promise<UpstreamReply> {
  const { adapter, options } = connection;
  const own = AbortSignal.timeout(READ_TIMEOUT_MS);
  const signal = deadline === undefined ? own : AbortSignal.any([deadline, own]);
  return call(tools, connection, adapter.read(target, options), signal);
}

function interpret(
  connection: Connection,
  reply: UpstreamReply,
  target: Target,
  cancelledAt: number | null,
): ReadRun {
  const { adapter } = connection;
  if (reply.status >= 300) throw refusalFor(connection, reply);
  return {
    run: adapter.toRun(reply.body, { ...target, cancelledAt }),
    metadata: adapter.metadata(reply.body),
    thread: adapter.threadOf(reply.body),
    cancelledAt,
  };
}

/** What a reply that is no success means to the caller. None of its text goes any further. */
export function refusalFor({ adapter }: Connection, reply: UpstreamReply): Refusal {
  const detail = `the upstream answered ${reply.status}`;
  if (adapter.isRetired(reply)) return new Refusal("upstream_retired", { detail });
  if (adapter.isUnknownRun(reply)) return new Refusal("run_not_found", { detail });
  if (isKeyRefused(reply)) {
    return new Refusal("upstream_rejected_credentials", { detail });
  }
  if (reply.status === 429) {
    const { retryAfterSeconds = 1 } = reply;
    return new Refusal("upstream_rate_limited", { detail, retryAfterSeconds });
  }
  return new Refusal("upstream_error", { detail });
}
