// A token's signature → the bytes that were signed. The layer below the claims: whatever the payload.
import { compactVerify } from "jose";
import { plainAlgorithm } from "./jwk.ts";
import type { KeySet, VerificationKey } from "./key-set.ts";
import { invalidToken, type Jws, readJws } from "./token.ts";

export interface VerifyOptions {
  /** Take a token that names no key, when there is one key only. Default: false. */
  readonly allowMissingKid?: boolean;
}

/**
 * Compact JWS and keys → the verified payload. The shape is checked first, as for any token; the
 * key is the one that the `kid` names, and it verifies its own algorithm only.
 * Throws `Refusal` `invalid_token`.
 */
export async function verifyCompact(
  compact: string,
  keys: KeySet,
  options: VerifyOptions = {},
): Promise<Uint8Array> {
  return await verifyJws(readJws(compact), keys, options);
}

/** As `verifyCompact`, for a token whose shape has been checked. */
export async function verifyJws(
  { compact, header }: Jws,
  keys: KeySet,
  { allowMissingKid = false }: VerifyOptions = {},
): Promise<Uint8Array> {
  const { key, algorithm } = keyFor(header.kid, keys, allowMissingKid);
  if (plainAlgorithm(header.alg) !== algorithm) {
    throw invalidToken("header alg: not the algorithm of the key");
  }
  try {
    const { payload } = await compactVerify(compact, key, { algorithms: [header.alg] });
    return payload;
  } catch {
    throw invalidToken("the signature does not fit");
  }
}

function keyFor(kid: string | undefined, keys: KeySet, allowMissingKid: boolean): VerificationKey {
  if (kid === undefined) {
    if (!allowMissingKid) throw invalidToken("header kid: missing");
    if (keys.only === null) throw invalidToken("header kid: missing, and there are several keys");
    return keys.only;
  }
  const key = keys.byKid.get(kid);
  if (key === undefined) throw invalidToken("header kid: not one of the issuer's keys");
  return key;
}
