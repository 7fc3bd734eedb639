// The closed list of `cancel-outcome` words, and the one rule that picks among them. Pure.
import { isTerminal, type RunStatus } from "./run.ts";

export const OUTCOMES = [
  /** The cancel ended the run: a read says so. */
  "cancelled",
  /** The run is on its way there, and may still end otherwise. */
  "cancelling",
  "already_cancelled",
  "already_completed",
  "already_failed",
  "already_expired",
  "already_incomplete",
  /** Nothing that was read shows that the cancel worked. */
  "not_confirmed",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface CancelFacts {
  /** The upstream took the cancel; false when it refused because of the run's state. */
  readonly accepted: boolean;
  /** `after` comes from a read of the run, not from the answer to the cancel. */
  readonly confirmed: boolean;
  /** The status read before the cancel was sent; null when it was not read. */
  readonly before: RunStatus | null;
  readonly after: RunStatus;
}

export function outcomeOf({ accepted, confirmed, before, after }: CancelFacts): Outcome {
  if (!isTerminal(after))
    return accepted || after === "cancelling" ? "cancelling" : "not_confirmed";

  // It had ended before, or it ended by itself while the cancel was under way: a lost race.
  const endedByItself = (before !== null && isTerminal(before)) || after !== "cancelled";
  // A refused cancel did not do this either.
  if (endedByItself || !accepted) return `already_${after}`;
  return confirmed ? "cancelled" : "not_confirmed";
}
