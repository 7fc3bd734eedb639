// A token's signature → the bytes that were signed. The layer below the claims: whatever the payload.
import { compactVerify } from "jose";
import type { Refusal } from "../failure.ts";
import { plainAlgorithm } from "./jwk.ts";
import { type KeySet, keysFor, type OfferedKeys, type VerificationKey } from "./key-set.ts";
import { invalidToken, type Jws, readJws } from "./token.ts";

/** So many keys are tried where the header does not say which of several it means. */
const MAX_TRIES = 4;

export interface VerifyOptions {
  /** Take a token that names no key by its `kid`, and keys that have none. Default: false. */
  readonly allowMissingKid?: boolean;
}

/**
 * Compact JWS and keys → the verified payload. The shape is checked first, as for any token; the keys
 * are those that the header names and that are for its algorithm.
 * Throws `Refusal` `invalid_token`.
 */
export async function verifyCompact(
  compact: string,
  keys: KeySet,
  options: VerifyOptions = {},
): Promise<Uint8Array> {
  return await verifyJws(readJws(compact), keys, options);
}

/**
 * As `verifyCompact`, for a token whose shape has been checked. A provider may put a new key in the place
 * of the one that the header names: so what these keys did not sign is tried once more with newer ones.
 * Throws `identity_unavailable`, too, when newer keys are wanted and cannot be had.
 */
export async function verifyJws(
  jws: Jws,
  keys: OfferedKeys,
  { allowMissingKid = false }: VerifyOptions = {},
): Promise<Uint8Array> {
  const { header } = jws;
  if (header.kid === undefined && !allowMissingKid) throw invalidToken("header kid: missing");
  const tried = await tryKeys(jws, keys, allowMissingKid);
  if ("payload" in tried) return tried.payload;
  const newer = tried.isNamed ? await keys.newer?.(plainAlgorithm(header.alg)) : null;
  const again = newer ? await tryKeys(jws, newer, allowMissingKid) : tried;
  if ("payload" in again) return again.payload;
  throw again.refusal;
}

type Tried =
  | { readonly payload: Uint8Array }
  /** `isNamed`: there are keys that the header may mean. */
  | { readonly refusal: Refusal; readonly isNamed: boolean };

async function tryKeys(
  { compact, header }: Jws,
  keys: KeySet,
  allowMissingKid: boolean,
): Promise<Tried> {
  const named = keysFor(keys, header, allowMissingKid);
  const isNamed = named.length > 0;
  const refused = (detail: string): Tried => ({ refusal: invalidToken(detail), isNamed });
  if (!isNamed) return refused("header kid: not one of the issuer's keys");
  const algorithm = plainAlgorithm(header.alg);
  const fitting = withoutCopies(named.filter(({ algorithms }) => algorithms.includes(algorithm)));
  if (fitting.length === 0) return refused("header alg: not the algorithm of the key");
  for (const key of fitting.slice(0, MAX_TRIES)) {
    const payload = await payloadBy(key, compact, header.alg);
    if (payload !== null) return { payload };
  }
  const untried = fitting.length > MAX_TRIES ? `; more than ${MAX_TRIES} keys may be meant` : "";
  return refused(`the signature does not fit${untried}`);
}

/** A copy verifies what the first one does, and would use up a try. */
function withoutCopies(keys: readonly VerificationKey[]): readonly VerificationKey[] {
  return [...new Map(keys.map((key) => [key.material, key])).values()];
}

/** Null when it was not signed with this key. */
async function payloadBy(
  { keyFor }: VerificationKey,
  compact: string,
  alg: string,
): Promise<Uint8Array | null> {
  try {
    const key = await keyFor(plainAlgorithm(alg));
    return (await compactVerify(compact, key, { algorithms: [alg] })).payload;
  } catch {
    return null;
  }
}
