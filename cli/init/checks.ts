// What is wrong with an answer, in words: the schema's own, piece by piece.
import type * as z from "zod";
import { Address, Issuer, TENANT_ID, TenantEntry } from "../../src/config/schema.ts";
import { whyNotLed, whyNotListed } from "../hints.ts";

type Check = (answer: string) => string | undefined;

/** The first problem that a piece of the schema has with it. */
function by(schema: z.ZodType, around: (answer: string) => unknown = (answer) => answer): Check {
  return (answer) => {
    const parsed = schema.safeParse(around(answer));
    return parsed.success ? undefined : parsed.error.issues[0]?.message;
  };
}

export const isTenantId: Check = (answer) =>
  TENANT_ID.test(answer)
    ? undefined
    : "a tenant id is 1-63 of a-z, 0-9, '_' and '-', and starts with neither sign";
export const isAddress: Check = (answer) => {
  const problem = by(Address)(answer);
  return problem === undefined ? undefined : problem + whyNotLed(answer);
};
export const isAudience: Check = by(Issuer.shape.audiences, (answer) => [answer]);
export const isClaim: Check = by(Issuer.shape.scopes_claim);
export const isMetadataKey: Check = by(TenantEntry.shape.ownership, (answer) => ({
  source: "metadata",
  tenant_key: answer,
  subject_key: answer,
}));

export function isMatch(pattern: RegExp, otherwise: string): Check {
  return (answer) => (pattern.test(answer) ? undefined : otherwise);
}

export const isOrigin: Check = (answer) => {
  const problem = by(TenantEntry.shape.origins, (one) => [one])(answer);
  return problem === undefined ? undefined : problem + whyNotListed(answer);
};
/** Several with spaces between, or none. */
export const areOrigins: Check = (answer) =>
  wordsOf(answer)
    .map(isOrigin)
    .find((problem) => problem !== undefined);

export function wordsOf(answer: string): string[] {
  return answer.split(/[\s,]+/).filter((word) => word !== "");
}
