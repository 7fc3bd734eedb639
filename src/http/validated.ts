// zod-validator with our refusal: an id that does not pass leaves by the one envelope, not by zod's own.
import { zValidator } from "@hono/zod-validator";
import type * as z from "zod";
import { Refusal } from "../failure.ts";

/** A malformed id is an unknown one. */
export function validIds<Schema extends z.ZodType>(schema: Schema) {
  return zValidator("param", schema, (result) => {
    if (result.success) return;
    const name = String(result.error.issues[0]?.path[0] ?? "");
    throw new Refusal("run_not_found", { detail: `malformed ${name}` });
  });
}
