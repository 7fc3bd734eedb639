// Waits for the end of a run that was cancelled, and says what is true when it has waited. Sends no cancel.
import { asRefusal, Refusal } from "../failure.ts";
import { isTerminal } from "../runs/run.ts";
import type { Connection } from "./call.ts";
import { fetchRun, HELD_BYTES, type ReadRun, recalled, type UpstreamTools } from "./read.ts";
import { deletedFrom, isSettled, judge, type Stopped, type StopResult } from "./stop.ts";
import type { Target } from "./upstream.ts";

/** Polls back off: a run that takes long to end is read a dozen times in 25 s, not every second. */
const POLL_MS = { first: 200, growth: 1.5, longest: 4_000 } as const;
/** What the last read of a wait may take beyond it. */
const LAST_READ_MS = 1_000;

export interface WaitTools extends UpstreamTools {
  /** Aborts when the client has left: then there is nobody to wait for. */
  readonly left: AbortSignal;
}

/**
 * Polls until the run is terminal, the client has left or that time has come (RFC 7240 §4.3), never sooner
 * than the upstream asks for, and tells the truth at the end: the last state that was read, or that the last read failed.
 * `until`: milliseconds since the epoch.
 */
export async function waitUntilTerminal(
  tools: WaitTools,
  connection: Connection,
  target: Target,
  stopped: StopResult,
  until: number,
): Promise<StopResult> {
  if (!("run" in stopped) || isTerminal(stopped.run.status) || until <= tools.now()) return stopped;
  const patient = { ...tools, endsAt: until + LAST_READ_MS };
  const { sentAt } = stopped;
  const cancelledAt = stopped.cancelledAt ?? (await recalled(tools, connection, target));
  let latest: StopResult & Stopped = stopped;
  let pause: number = POLL_MS.first;
  let askedMs = (stopped.pollAfterSeconds ?? 0) * 1_000;
  for (;;) {
    const left = until - tools.now();
    // It will not be told before the time is up, so there is nothing to wait for.
    if (left <= 0 || askedMs > left || isTerminal(latest.run.status)) return latest;
    // The next read brings it anew.
    if (latest.objectBytes > HELD_BYTES) latest = { ...latest, object: null };
    await pausedFor(tools, Math.min(Math.max(pause, askedMs), left));
    if (tools.left.aborted) return latest;
    pause = Math.min(pause * POLL_MS.growth, POLL_MS.longest);
    const known = { cancelledAt, sentAt };
    const read = await fetchRun(patient, connection, target, known).catch(asRefusal);
    askedMs = (read.retryAfterSeconds ?? 0) * 1_000;
    latest =
      read instanceof Refusal ? { ...latest, outcome: "not_confirmed" } : after(latest, read);
  }
}

/** Less when the client leaves meanwhile. */
async function pausedFor({ sleep, left }: WaitTools, ms: number): Promise<void> {
  if (left.aborted) return;
  let leave = (): void => undefined;
  const leaving = new Promise<void>((resolve) => {
    leave = resolve;
  });
  left.addEventListener("abort", leave);
  await Promise.race([sleep(ms), leaving]);
  left.removeEventListener("abort", leave);
}

/** What a later read makes of a result. */
function after(latest: StopResult & Stopped, read: ReadRun): StopResult & Stopped {
  // A cancel whose answer was lost has arrived after all when the run shows it.
  const taken = latest.accepted || latest.cancelledAt !== null;
  const arrived = taken || (latest.sentAt !== null && isSettled(read.run));
  const kept = read.isDeleted ? deletedFrom(latest.run, read) : read;
  const judged = judge(kept, arrived, latest.before, latest);
  return { ...latest, ...judged, after: judged.run.status };
}
