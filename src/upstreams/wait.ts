// Waits for the end of a run that was cancelled, and says what is true when it has waited. Sends no cancel.
import { asRefusal, Refusal } from "../failure.ts";
import { isTerminal } from "../runs/run.ts";
import type { Connection } from "./call.ts";
import { fetchRun, type ReadRun, recalled, type UpstreamTools } from "./read.ts";
import { deletedFrom, isSettled, judge, type Stopped, type StopResult } from "./stop.ts";
import type { Target } from "./upstream.ts";

const FIRST_POLL_MS = 200;
const LONGEST_POLL_MS = 1_000;
/** What the last read of a wait may take beyond it. */
const LAST_READ_MS = 1_000;

/**
 * Polls until the run is terminal or that time has come (RFC 7240 §4.3), never sooner than the upstream
 * asks for, and tells the truth at the end: the last state that was read, or that the last read failed.
 * `until`: milliseconds since the epoch.
 */
export async function waitUntilTerminal(
  tools: UpstreamTools,
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
  let pause = FIRST_POLL_MS;
  let askedMs = (stopped.pollAfterSeconds ?? 0) * 1_000;
  for (;;) {
    const left = until - tools.now();
    // It will not be told before the time is up, so there is nothing to wait for.
    if (left <= 0 || askedMs > left || isTerminal(latest.run.status)) return latest;
    await tools.sleep(Math.min(Math.max(pause, askedMs), left));
    pause = Math.min(pause * 1.5, LONGEST_POLL_MS);
    const known = { cancelledAt, sentAt };
    const read = await fetchRun(patient, connection, target, known).catch(asRefusal);
    askedMs = (read.retryAfterSeconds ?? 0) * 1_000;
    latest =
      read instanceof Refusal ? { ...latest, outcome: "not_confirmed" } : after(latest, read);
  }
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
