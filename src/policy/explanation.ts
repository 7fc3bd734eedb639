// A decision in words, for whoever asks why. Says of a run that is not proved to be the caller's no
// more than of one that does not exist.
import * as z from "zod";
import { FAILURES } from "../failure.ts";
import type { Decision, Mismatch } from "./authorise.ts";

/** What `POST /v1/policy/explain` answers. */
export const Explanation = z.object({
  allowed: z.boolean(),
  /** The rule that decides; null when none matches. */
  rule: z.string().nullable(),
  /** In words. */
  reason: z.string(),
  /** The error that a cancel would get; null when it is allowed. */
  code: z.string().nullable(),
  /** The rule that allows it wants a reason with the cancel. */
  reason_required: z.boolean(),
  /** Every rule up to the one that decides, and why it does not match; null for that one. */
  rules: z.array(
    z.object({
      id: z.string(),
      effect: z.enum(["allow", "deny"]),
      mismatch: z.string().nullable(),
    }),
  ),
});
export type Explanation = z.infer<typeof Explanation>;

const UNKNOWN = "the run is unknown, or not proved to be one that the rule covers";

export function explanationOf({ rule, code, detail, checks }: Decision): Explanation {
  const hidden = code === "run_not_found";
  return {
    allowed: code === null,
    rule: rule?.id ?? null,
    reason: code === null ? detail : reasonFor(code, detail),
    code,
    reason_required: code === null && rule?.reason_required === true,
    rules: checks.map(({ rule: { id, effect }, mismatch }) => ({
      id,
      effect,
      mismatch: hidden ? hiddenMismatch(mismatch) : (mismatch?.why ?? null),
    })),
  };
}

function reasonFor(code: NonNullable<Decision["code"]>, detail: string): string {
  const words = FAILURES[code].message;
  return code === "run_not_found" ? words : `${words} (${detail})`;
}

function hiddenMismatch(mismatch: Mismatch | null): string {
  return mismatch?.tellsOfRun === false ? mismatch.why : UNKNOWN;
}
