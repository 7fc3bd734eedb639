// The truth table of `outcomeOf`, over every combination of its facts.
import { describe, expect, test } from "vitest";
import { OUTCOMES, outcomeOf } from "../../src/runs/outcome.ts";
import { ACTIVE_STATUSES, isTerminal, RunStatus, TERMINAL_STATUSES } from "../../src/runs/run.ts";

const BOTH = [true, false];
const BEFORE = [null, ...RunStatus.options];
const STILL_OPEN = [null, ...ACTIVE_STATUSES];

const EVERY = BOTH.flatMap((accepted) =>
  BOTH.flatMap((confirmed) =>
    BEFORE.flatMap((before) =>
      RunStatus.options.map((after) => ({ accepted, confirmed, before, after })),
    ),
  ),
);

describe("a run that had not ended before", () => {
  // The four columns: accepted and read, accepted and unread, refused and read, refused and unread.
  test.each([
    ["queued", ["cancelling", "cancelling", "not_confirmed", "not_confirmed"]],
    ["in_progress", ["cancelling", "cancelling", "not_confirmed", "not_confirmed"]],
    ["requires_action", ["cancelling", "cancelling", "not_confirmed", "not_confirmed"]],
    ["cancelling", ["cancelling", "cancelling", "cancelling", "cancelling"]],
    ["cancelled", ["cancelled", "not_confirmed", "already_cancelled", "already_cancelled"]],
    ["completed", Array(4).fill("already_completed")],
    ["failed", Array(4).fill("already_failed")],
    ["expired", Array(4).fill("already_expired")],
    ["incomplete", Array(4).fill("already_incomplete")],
  ] as const)("and is then %s", (after, outcomes) => {
    for (const before of STILL_OPEN) {
      const found = BOTH.flatMap((accepted) =>
        BOTH.map((confirmed) => outcomeOf({ accepted, confirmed, before, after })),
      );
      expect(found).toEqual(outcomes);
    }
  });
});

describe("a run that had ended before", () => {
  const ended = EVERY.filter(({ before }) => before !== null && isTerminal(before));

  test("is what it is found to be, whatever the upstream said to the cancel", () => {
    for (const after of TERMINAL_STATUSES) {
      const outcomes = ended.filter((facts) => facts.after === after).map(outcomeOf);
      expect(new Set(outcomes)).toEqual(new Set([`already_${after}`]));
    }
  });

  test("and is found active again is judged as any active run", () => {
    for (const facts of ended.filter(({ after }) => !isTerminal(after))) {
      expect(outcomeOf(facts)).toBe(outcomeOf({ ...facts, before: null }));
    }
  });
});

describe("over all combinations", () => {
  test("there are 360 of them, and every word is used", () => {
    expect(EVERY).toHaveLength(360);
    expect(new Set(EVERY.map(outcomeOf))).toEqual(new Set(OUTCOMES));
  });

  test("`cancelled` needs an accepted cancel, a read that says so, and a run that was open", () => {
    const cancelled = EVERY.filter((facts) => outcomeOf(facts) === "cancelled");
    expect(new Set(cancelled)).toEqual(
      new Set(
        STILL_OPEN.map((before) => ({
          accepted: true,
          confirmed: true,
          before,
          after: "cancelled",
        })),
      ),
    );
  });

  test("`already_…` names the status that was found", () => {
    for (const facts of EVERY) {
      const outcome = outcomeOf(facts);
      if (outcome.startsWith("already_")) expect(outcome).toBe(`already_${facts.after}`);
    }
  });
});
