// The request's token → the caller. Cheap checks first; no key is touched for an unknown issuer.
import type { TrustedIssuer } from "../config/load.ts";
import type { Issuer } from "../config/schema.ts";
import { Refusal } from "../failure.ts";
import { type Caller, entryFor, readClaims } from "./claims.ts";
import { plainAlgorithm } from "./jwk.ts";
import type { Keys } from "./keys.ts";
import { invalidToken, type Jws, readBearer, readJwt, readPayload } from "./token.ts";
import { verifyJws } from "./verify.ts";

export interface IdentityTools {
  readonly keys: Keys;
  readonly now: () => number;
}

/** What a request brings; tokens anywhere else are ignored (RFC 6750 §2.1). */
export interface Credentials {
  readonly authorization: string | undefined;
  /** Cloudflare Access's own header, on the routes that take it. */
  readonly assertion: string | undefined;
  /** Keeps work alive after the reply. */
  readonly defer: (work: Promise<unknown>) => void;
}

type Issuers = ReadonlyMap<string, readonly TrustedIssuer[]>;

/**
 * Throws `Refusal`: `missing_token`, `invalid_token` (any defect), `tenant_not_allowed`,
 * `identity_unavailable` (keys cannot be had, which says nothing of the token).
 */
export async function authenticate(
  { keys, now }: IdentityTools,
  issuers: Issuers,
  credentials: Credentials,
): Promise<Caller> {
  const [compact, header] = presented(credentials, issuers);
  const token = readJwt(compact);
  const entries = issuers.get(token.claimed.iss);
  if (entries === undefined) throw invalidToken("claim iss: not a configured issuer");
  const taken = entries.filter(({ token_header }) => token_header === header);
  if (taken.length === 0) throw invalidToken(`not taken from the header ${header}`);
  // What is signed says which entry is meant, and from here on no other entry has a say.
  const issuer = entryFor(taken, token.claimed);
  assertHeader(token, issuer);
  const keySet = await keys(issuer, token.header, credentials.defer);
  const payload = await verifyJws(token, keySet, { allowMissingKid: issuer.allow_missing_kid });
  return readClaims(readPayload(payload), issuer, Math.floor(now() / 1_000));
}

function presented(
  { authorization, assertion }: Credentials,
  issuers: Issuers,
): [token: string, header: Issuer["token_header"]] {
  if (authorization !== undefined && authorization !== "") {
    return [readBearer(authorization), "authorization"];
  }
  const header = "cf-access-jwt-assertion";
  const configured = issuers
    .values()
    .some((entries) => entries.some(({ token_header }) => token_header === header));
  if (assertion !== undefined && configured) return [assertion, header];
  throw new Refusal("missing_token", { detail: "no token where one is taken from" });
}

function assertHeader({ header }: Jws, { algorithms, types, allow_missing_kid }: Issuer): void {
  if (!algorithms.map(plainAlgorithm).includes(plainAlgorithm(header.alg))) {
    throw invalidToken("header alg: not on the issuer's list");
  }
  if (header.kid === undefined && !allow_missing_kid) throw invalidToken("header kid: missing");
  // RFC 7515 §4.1.9: compared without case, and `application/` may be left out.
  const plain = (type: string): string => type.toLowerCase().replace(/^application\//, "");
  const typ = plain(header.typ ?? "JWT");
  if (!types.some((type) => plain(type) === typ)) {
    throw invalidToken("header typ: not on the issuer's list");
  }
}
