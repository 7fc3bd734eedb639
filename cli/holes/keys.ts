// Holes in the keys that a config holds itself (`jwks`). Those that are fetched are judged online.
import type { ConfigDocument, Issuer } from "../../src/config/schema.ts";
import { plainAlgorithm } from "../../src/identity/jwk.ts";
import { importKeys, type KeySet } from "../../src/identity/key-set.ts";
import type { Hole } from "./hole.ts";

/**
 * How the public halves begin (`x` or `n`) of keys whose private half everybody has: those of RFC 7515
 * A.2 and A.3, RFC 7517 A.1 and A.2, RFC 8037 A.1, and the ones that jwt.io fills in.
 */
const PRINTED = [
  "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddx",
  "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx",
  "u1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0",
  "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
  "EVs_o5-uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf84",
  "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
];

export function isPrinted({ x, n }: { readonly x?: unknown; readonly n?: unknown }): boolean {
  return PRINTED.some((start) => [x, n].some((half) => String(half).startsWith(start)));
}

export async function keyHoles({ issuers }: ConfigDocument): Promise<Hole[]> {
  const each = issuers.map(async (issuer, index): Promise<Hole[]> => {
    if (issuer.jwks === undefined) return [];
    const path = ["issuers", index, "jwks"];
    if (issuer.jwks.keys.some(isPrinted)) {
      const message =
        "one of the keys is an example out of a standard: everybody has its private half, and can make tokens";
      const cure = "put the provider's own public keys there, or name its 'jwks_uri'";
      return [{ id: "key-of-everybody", path, message, cure }];
    }
    const keys = await importKeys(issuer.jwks.keys);
    const unfit =
      keys.skipped.length > 0
        ? "one of the keys is no key, such as a point that is not on its curve"
        : unfitFor(keys, issuer);
    if (unfit === null) return [];
    const message = `${unfit}, so no token of this issuer is taken`;
    const cure = "copy the provider's keys again, or let 'algorithms' say what they are for";
    return [{ id: "keys-unfit", path, message, cure }];
  });
  return (await Promise.all(each)).flat();
}

/** Why no token could ever be verified, or null. */
function unfitFor(keys: KeySet, { algorithms, allow_missing_kid }: Issuer): string | null {
  const usable = keys.keys.filter(({ kid }) => kid !== undefined || allow_missing_kid);
  if (usable.length === 0) return "no key has a 'kid', and 'allow_missing_kid' is not set";
  const served = new Set(usable.flatMap((key) => key.algorithms));
  const listed = algorithms.map(plainAlgorithm);
  if (listed.some((algorithm) => served.has(algorithm))) return null;
  return `the keys are for ${[...served].join(", ")}, and 'algorithms' says ${algorithms.join(", ")}`;
}
