// The two state machines, pure: where a run or a response stands at an instant follows from when it
// was created, when its cancel was accepted and its timing. No clock, no timer, nothing stored.

/** The state a run reaches by itself, were it left alone. */
export type End = "completed" | "failed" | "incomplete" | "expired" | "requires_action";

/** How long each state lasts, and how the run ends. */
export interface Timing {
  readonly queuedMs: number;
  readonly runMs: number;
  /** From an accepted cancel to what comes of it. */
  readonly cancellingMs: number;
  readonly ends: End;
  /** What an accepted cancel leads to. `completed` is the lost race: the run was faster. */
  readonly onCancel: "cancelled" | "completed";
}

/** All there is to know about a run's course. */
export interface Life {
  readonly createdMs: number;
  /** When a cancel was accepted; null while none was. */
  readonly cancelMs: number | null;
  readonly timing: Timing;
}

/** OpenAI gives an Assistants run ten minutes, whatever it is doing. */
export const RUN_LIFETIME_MS = 600_000;

export type RunStatus = "queued" | "in_progress" | "cancelling" | "cancelled" | End;

export type ResponseStatus =
  | "queued"
  | "in_progress"
  | "cancelled"
  | "completed"
  | "failed"
  | "incomplete";

/** A status, since when it holds, and since when the work has been going on (null: never began). */
export interface State<Status> {
  readonly status: Status;
  readonly sinceMs: number;
  readonly startedMs: number | null;
}

interface Milestone<Status> {
  readonly atMs: number;
  readonly status: Status;
}

const ENDED: ReadonlySet<RunStatus> = new Set([
  "cancelled",
  "completed",
  "failed",
  "incomplete",
  "expired",
]);

export function isEnded(status: RunStatus): boolean {
  return ENDED.has(status);
}

/** From these states OpenAI accepts a cancel: also `queued` and `requires_action`, despite its docs. */
export function isCancellable(status: RunStatus): boolean {
  return !isEnded(status) && status !== "cancelling";
}

/** When the run is taken off: after its ten minutes, or sooner when its timing says that it expires. */
export function expiryMsOf(life: Life): number {
  const limitMs = life.createdMs + RUN_LIFETIME_MS;
  return life.timing.ends === "expired" ? Math.min(limitMs, ownEndMsOf(life)) : limitMs;
}

export function runStateAt(life: Life, nowMs: number): State<RunStatus> {
  return stateAt(expiring(cancelledCourse(life), expiryMsOf(life)), nowMs);
}

/**
 * A Response has neither `cancelling` nor `requires_action` nor `expired`. An accepted cancel shows
 * at once; when it was lost, the response turns from `cancelled` to `completed` later, as seen on
 * Azure. One that waits for a tool is `completed`, with the unanswered call as its output.
 */
export function responseStateAt(life: Life, nowMs: number): State<ResponseStatus> {
  const { cancelMs, timing } = life;
  const own = ownCourse<ResponseStatus>(life, responseEnd(timing.ends));
  if (cancelMs === null) return stateAt(own, nowMs);
  const course: Milestone<ResponseStatus>[] = [
    ...own.filter((milestone) => milestone.atMs <= cancelMs),
    { atMs: cancelMs, status: "cancelled" },
  ];
  if (timing.onCancel === "completed") {
    course.push({ atMs: cancelMs + timing.cancellingMs, status: "completed" });
  }
  return stateAt(course, nowMs);
}

/** When the work itself is over, without cancel or expiry. */
export function ownEndMsOf({ createdMs, timing }: Life): number {
  return createdMs + timing.queuedMs + timing.runMs;
}

function ownCourse<Status>(
  life: Life,
  end: Status,
): Milestone<Status | "queued" | "in_progress">[] {
  return [
    { atMs: life.createdMs, status: "queued" },
    { atMs: life.createdMs + life.timing.queuedMs, status: "in_progress" },
    { atMs: ownEndMsOf(life), status: end },
  ];
}

function cancelledCourse(life: Life): Milestone<RunStatus>[] {
  const { cancelMs, timing } = life;
  const own = ownCourse<RunStatus>(life, timing.ends);
  if (cancelMs === null) return own;
  const course = own.filter((milestone) => milestone.atMs <= cancelMs);
  // A run that completes must have begun, even when the cancel met it in the queue.
  if (timing.onCancel === "completed" && course.length === 1) {
    course.push({ atMs: cancelMs, status: "in_progress" });
  }
  return [
    ...course,
    { atMs: cancelMs, status: "cancelling" },
    { atMs: cancelMs + timing.cancellingMs, status: timing.onCancel },
  ];
}

function expiring(course: Milestone<RunStatus>[], expiryMs: number): Milestone<RunStatus>[] {
  const before = course.filter((milestone) => milestone.atMs < expiryMs);
  const last = before.at(-1);
  if (last !== undefined && isEnded(last.status)) return before;
  return [...before, { atMs: expiryMs, status: "expired" }];
}

function responseEnd(end: End): ResponseStatus {
  return end === "failed" || end === "incomplete" ? end : "completed";
}

function stateAt<Status>(course: readonly Milestone<Status>[], nowMs: number): State<Status> {
  const past = course.filter((milestone) => milestone.atMs <= nowMs);
  // A clock that stepped back leaves nothing behind us: then the run has just been created.
  const current = past.at(-1) ?? course[0];
  if (current === undefined) throw new Error("a course has at least one milestone");
  const started = past.find((milestone) => milestone.status === "in_progress");
  return {
    status: current.status,
    sinceMs: current.atMs,
    startedMs: started === undefined ? null : started.atMs,
  };
}
