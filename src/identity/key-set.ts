// A key document (RFC 7517 §5) → the keys in it that can be used, each ready to verify with. What cannot
// be used is left out, and told by its place and the reason.
import { importJWK, type JWK } from "jose";
import * as z from "zod";
import { parseJson } from "../http/body.ts";
import { algorithmsOf, judgeKey, type PublicKey } from "./jwk.ts";

const MAX_KEYS = 64;
const NO_KEYS = { error: "holds no key" };
const TOO_MANY_KEYS = { error: `holds more than ${MAX_KEYS} keys` };
const NO_USABLE_KEY = "holds no key that can verify a token";

export interface VerificationKey {
  readonly kid: string | undefined;
  /** Of its certificate, as published (RFC 7517 §4.8, §4.9). */
  readonly x5t: string | undefined;
  readonly x5tS256: string | undefined;
  /** What the key itself is, without what is said of it: the same for two copies of one key. */
  readonly material: string;
  /** What it may verify, in plain names; never empty. */
  readonly algorithms: readonly string[];
  /** Imports it on the first call for an algorithm. Rejects when that is none of its own. */
  readonly keyFor: (algorithm: string) => Promise<CryptoKey>;
}

/** An entry that is as good as not published. */
export interface SkippedKey {
  /** Its place in the document, from 0. */
  readonly index: number;
  /** In words that hold nothing of the entry. */
  readonly reason: string;
}

export interface KeySet {
  readonly keys: readonly VerificationKey[];
  /** Several keys may share a `kid`: one for each algorithm, or an old one and a new one. */
  readonly byKid: ReadonlyMap<string, readonly VerificationKey[]>;
  readonly skipped: readonly SkippedKey[];
  /** Keys for something else, such as encryption: no defect beside a key that can be used. */
  readonly passedOver: readonly SkippedKey[];
}

/** Keys, and a way to ask the provider for newer ones when none of them signed a token. */
export interface OfferedKeys extends KeySet {
  /** Null when there are none, or when they have been asked for often enough. */
  readonly newer?: (algorithm: string) => Promise<KeySet | null>;
}

/** How a token's header says which key it means. */
export interface KeyHint {
  readonly kid: string | undefined;
  readonly x5t: string | undefined;
  readonly x5tS256: string | undefined;
}

/**
 * The keys that a config holds itself. Its operator wrote them, so here an unusable key is refused and
 * not skipped: a private key in a file that is kept and shared must be seen.
 */
export const PublishedKeys = z
  .array(z.record(z.string(), z.unknown()))
  .min(1, NO_KEYS)
  .max(MAX_KEYS, TOO_MANY_KEYS)
  .transform((entries, context): PublicKey[] => {
    const judged = entries.map(judgeKey);
    for (const [index, judgement] of judged.entries()) {
      if (judgement.verdict !== "unusable") continue;
      context.addIssue({ code: "custom", path: [index], message: judgement.reason });
    }
    const keys = judged.flatMap((each) => (each.verdict === "usable" ? [each.key] : []));
    if (keys.length === 0 && judged.every(({ verdict }) => verdict !== "unusable")) {
      context.addIssue({ code: "custom", message: NO_USABLE_KEY });
    }
    return keys;
  });

const KeyDocument = z.object({
  keys: z.array(z.unknown()).min(1, NO_KEYS).max(MAX_KEYS, TOO_MANY_KEYS),
});

/**
 * Throws `Error` when the document holds no key that can be used, in words for the log, which hold
 * nothing of the document.
 */
export async function readKeyDocument(bytes: Uint8Array): Promise<KeySet> {
  const json = parseJson(bytes);
  if (json === undefined) throw new Error("the key document is not JSON");
  const parsed = KeyDocument.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Error(`the key document: ${issue?.path.join(".")}: ${issue?.message}`);
  }
  const keys = await importKeys(parsed.data.keys);
  if (keys.keys.length > 0) return keys;
  const left = [...keys.skipped, ...keys.passedOver].sort((one, other) => one.index - other.index);
  throw new Error(`the key document: ${NO_USABLE_KEY} (${describeSkipped(left)})`);
}

/** The keys of a document or a config that can be used. */
export async function importKeys(entries: readonly unknown[]): Promise<KeySet> {
  const imported = await Promise.all(entries.map(importKey));
  const keys = imported.flatMap((each) => each.key ?? []);
  const named = keys.filter(({ kid }) => kid !== undefined);
  return {
    keys,
    byKid: Map.groupBy(named, ({ kid }) => kid ?? ""),
    skipped: imported.flatMap(({ defect }, index) =>
      defect === undefined ? [] : [{ index, reason: defect }],
    ),
    passedOver: imported.flatMap(({ purpose }, index) =>
      purpose === undefined ? [] : [{ index, reason: purpose }],
    ),
  };
}

async function importKey(entry: unknown): Promise<{
  readonly key?: VerificationKey;
  readonly defect?: string;
  readonly purpose?: string;
}> {
  const judged = judgeKey(entry);
  if (judged.verdict === "for something else") return { purpose: judged.reason };
  if (judged.verdict === "unusable") return { defect: judged.reason };
  const key = verificationKey(judged.key);
  try {
    // Only the import tells whether a point is on its curve.
    await key.keyFor(key.algorithms[0] ?? "");
    return { key };
  } catch {
    return { defect: "a key that cannot be imported" };
  }
}

function verificationKey(published: PublicKey): VerificationKey {
  const { kty, crv, n, e, x, y } = published;
  const { kid, x5t, "x5t#S256": x5tS256 } = published as JWK;
  const jwk = { kty, crv, n, e, x, y } as JWK;
  const algorithms = algorithmsOf(published);
  const imported = new Map<string, CryptoKey>();
  return {
    kid,
    x5t: readThumbprint(x5t),
    x5tS256: readThumbprint(x5tS256),
    material: JSON.stringify([kty, crv, n, e, x, y]),
    algorithms,
    keyFor: async (algorithm) => {
      const known = imported.get(algorithm);
      if (known !== undefined) return known;
      if (!algorithms.includes(algorithm)) throw new Error("not an algorithm of the key");
      const key = await importJWK(jwk, algorithm);
      if (!(key instanceof CryptoKey)) throw new Error("not a public key");
      imported.set(algorithm, key);
      return key;
    },
  };
}

/**
 * RFC 7515 §4.1.7 and §4.1.8, RFC 7517 §4.8 and §4.9: base64url without padding. Some servers write the
 * other alphabet, or padding: the thumbprint is the same. Undefined when it is none.
 */
export function readThumbprint(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const plain = value.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return plain === "" ? undefined : plain;
}

/**
 * The keys that a token may have been signed with: by its `kid`, or else by the thumbprint of the key's
 * certificate, or else all. With `allowMissingKid` a `kid` says nothing where no key has one.
 */
export function keysFor(
  { keys, byKid }: KeySet,
  hint: KeyHint,
  allowMissingKid: boolean,
): readonly VerificationKey[] {
  const isNameless = allowMissingKid && byKid.size === 0;
  if (hint.kid !== undefined && !isNameless) return byKid.get(hint.kid) ?? [];
  const certified = keys.filter((key) => isCertified(key, hint));
  return certified.length > 0 ? certified : keys;
}

/** Whether there is a key to try: whether it signed the token, the signature tells. */
export function hasKeyFor(keys: KeySet, hint: KeyHint, allowMissingKid: boolean): boolean {
  return keysFor(keys, hint, allowMissingKid).length > 0;
}

function isCertified({ x5t, x5tS256 }: VerificationKey, hint: KeyHint): boolean {
  return (
    (hint.x5tS256 !== undefined && hint.x5tS256 === x5tS256) ||
    (hint.x5t !== undefined && hint.x5t === x5t)
  );
}

const TOLD = 8;

/** For the log. */
export function describeSkipped(skipped: readonly SkippedKey[]): string {
  const told = skipped.slice(0, TOLD).map(({ index, reason }) => `keys.${index}: ${reason}`);
  const more = skipped.length - told.length;
  return [...told, ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}
