// A key document (RFC 7517 §5) → keys ready to verify with, each bound to one algorithm. All or
// nothing: a document with a dangerous key brings none.
import { importJWK, type JWK } from "jose";
import * as z from "zod";
import { parseJson } from "../http/body.ts";
import { type Algorithm, algorithmFor, defectOf, isForUs, PublishedKey } from "./jwk.ts";

const MAX_KEYS = 64;

export interface VerificationKey {
  readonly algorithm: string;
  readonly key: CryptoKey;
}

export interface KeySet {
  readonly size: number;
  readonly byKid: ReadonlyMap<string, VerificationKey>;
  /** The only key there is, for tokens that name none. */
  readonly only: VerificationKey | null;
}

/** Keys that may be used; those of other uses are left out. Never empty, no two of one name. */
export const PublishedKeys = z
  .array(PublishedKey)
  .min(1, { error: "holds no key" })
  .max(MAX_KEYS, { error: `holds more than ${MAX_KEYS} keys` })
  .superRefine((keys, context) => {
    for (const [index, key] of keys.entries()) {
      const message = defectOf(key);
      if (message !== null) context.addIssue({ code: "custom", path: [index], message });
    }
  })
  .transform((keys) => keys.filter(isForUs))
  .refine((keys) => keys.length > 0, { error: "holds no key that can verify a token" })
  .refine(haveNamesOfTheirOwn, { error: "two keys share a kid" });

/** Which of two keys was meant could not be told. */
function haveNamesOfTheirOwn(keys: readonly PublishedKey[]): boolean {
  const kids = keys.flatMap(({ kid }) => (kid === undefined ? [] : [kid]));
  return new Set(kids).size === kids.length;
}

const KeyDocument = z.object({ keys: PublishedKeys });

/** Throws `Error` in words for the log, which hold nothing of the document. */
export async function readKeyDocument(
  bytes: Uint8Array,
  algorithms: readonly Algorithm[],
): Promise<KeySet> {
  const json = parseJson(bytes);
  if (json === undefined) throw new Error("the key document is not JSON");
  const parsed = KeyDocument.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Error(`the key document: ${issue?.path.join(".")}: ${issue?.message}`);
  }
  return await importKeys(parsed.data.keys, algorithms);
}

/** Throws `Error` when one of them is no key, such as a point that is not on its curve. */
export async function importKeys(
  keys: readonly PublishedKey[],
  algorithms: readonly Algorithm[],
): Promise<KeySet> {
  const imported = await Promise.all(keys.map((key) => importKey(key, algorithms)));
  const named = imported.flatMap((key, index): [string, VerificationKey][] => {
    const kid = keys[index]?.kid;
    return kid === undefined ? [] : [[kid, key]];
  });
  return {
    size: imported.length,
    byKid: new Map(named),
    only: imported.length === 1 ? (imported[0] ?? null) : null,
  };
}

async function importKey(
  published: PublishedKey,
  algorithms: readonly Algorithm[],
): Promise<VerificationKey> {
  const algorithm = algorithmFor(published, algorithms);
  const { kty, crv, n, e, x, y } = published;
  try {
    const key = await importJWK({ kty, crv, n, e, x, y } as JWK, algorithm);
    if (!(key instanceof CryptoKey)) throw new Error("not a public key");
    return { algorithm, key };
  } catch {
    throw new Error("the key document: a key that cannot be imported");
  }
}
