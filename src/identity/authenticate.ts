// The Authorization header → the caller. Cheap checks first; no key is touched for an unknown issuer.
import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import type { Issuer } from "../config/schema.ts";
import { type Caller, readClaims, SKEW_SECONDS } from "./claims.ts";
import type { Keys } from "./keys.ts";
import { invalidToken, readBearer, readToken, type TokenParts } from "./token.ts";

export interface IdentityTools {
  readonly keys: Keys;
  readonly now: () => number;
}

/**
 * Throws `Refusal`: `missing_token`, `invalid_token` (any defect), `tenant_not_allowed`,
 * `identity_unavailable` (keys cannot be had, which says nothing of the token).
 */
export async function authenticate(
  tools: IdentityTools,
  issuers: ReadonlyMap<string, Issuer>,
  authorization: string | undefined,
): Promise<Caller> {
  const token = readToken(readBearer(authorization));
  const issuer = issuers.get(token.claimedIssuer);
  if (issuer === undefined) throw invalidToken("iss is not a configured issuer");
  assertHeader(token, issuer);
  const now = new Date(tools.now());
  const keys = await tools.keys(issuer, token.header.kid);
  const payload = await verify(token.compact, keys, issuer, now);
  return readClaims(payload, issuer, Math.floor(now.getTime() / 1_000));
}

function assertHeader({ header }: TokenParts, issuer: Issuer): void {
  const allowed = issuer.algorithms.some((algorithm) => algorithm === header.alg);
  if (!allowed) throw invalidToken("alg is not on the issuer's list");
  if (header.typ === undefined) return;
  // RFC 7515 §4.1.9: compared without case, and `application/` may be left out.
  const plain = (type: string): string => type.toLowerCase().replace(/^application\//, "");
  const typ = plain(header.typ);
  if (!issuer.types.some((type) => plain(type) === typ)) {
    throw invalidToken("typ is not on the issuer's list");
  }
}

async function verify(
  compact: string,
  keys: JWTVerifyGetKey,
  issuer: Issuer,
  currentDate: Date,
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(compact, keys, {
      issuer: issuer.issuer,
      audience: [...issuer.audiences],
      algorithms: [...issuer.algorithms],
      clockTolerance: SKEW_SECONDS,
      requiredClaims: ["sub", "exp", "aud"],
      currentDate,
    });
    return payload;
  } catch (error) {
    // jose's messages name the claim, never its value; its claim errors carry the payload, so only
    // the code and the claim's name are kept.
    if (error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired) {
      throw invalidToken(`${error.code} ${error.claim}`);
    }
    if (error instanceof errors.JOSEError) throw invalidToken(error.code);
    throw invalidToken("cannot be verified");
  }
}
