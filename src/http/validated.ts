// zod-validator with our refusals: what does not pass leaves by the one envelope, not by zod's own.
import { zValidator } from "@hono/zod-validator";
import type { ValidationTargets } from "hono";
import type * as z from "zod";
import { type Reason, Refusal } from "../failure.ts";

export function validated<Target extends "param" | "query", Schema extends z.ZodType>(
  target: Target & keyof ValidationTargets,
  schema: Schema,
  reason: Extract<Reason, "run_not_found" | "invalid_request">,
) {
  return zValidator(target, schema, (result) => {
    if (result.success) return;
    const issue = result.error.issues[0];
    const param = String(issue?.path[0] ?? "");
    throw reason === "run_not_found"
      ? new Refusal(reason, { detail: `malformed ${param}` })
      : new Refusal(reason, { param, words: `'${param}' is not valid: ${issue?.message}.` });
  });
}
