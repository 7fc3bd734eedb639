// Upstream keys at rest: a compact JWE (RFC 7516), `dir` with A256GCM. The protected header, which is
// the associated data of GCM, names the tenant and the key-encryption key. Shared by the Worker, which
// opens, and `gateway seal`.
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from "jose";
import * as z from "zod";

/** The longest key that is sealed; upstreams' keys have some hundred characters. */
const PLAIN_BYTES = 4_096;

/** A key-encryption key, not extractable. */
export interface EncryptionKey {
  readonly kid: string;
  readonly key: CryptoKey;
}

/** What a sealed key cannot be opened for, in one sentence without any of its text. */
export class SealingProblem extends Error {
  override readonly name = "SealingProblem";
}

const EncryptionJwk = z.object({
  kty: z.literal("oct"),
  kid: z.string().regex(/^[\w.:-]{1,64}$/),
  // 32 bytes.
  k: z.string().regex(/^[\w-]{42}[AEIMQUYcgkosw048]$/),
});

/** Of a secret such as KEY_ENCRYPTION_KEY. Null when it is no symmetric JWK of 256 bits with a `kid`. */
export async function readEncryptionKey(secret: string): Promise<EncryptionKey | null> {
  let json: unknown;
  try {
    json = JSON.parse(secret);
  } catch {
    return null;
  }
  const parsed = EncryptionJwk.safeParse(json);
  if (!parsed.success) return null;
  const { kid, k, kty } = parsed.data;
  const usages = ["encrypt", "decrypt"] as const;
  return {
    kid,
    key: await crypto.subtle.importKey("jwk", { kty, k }, "AES-GCM", false, [...usages]),
  };
}

/** Throws `SealingProblem` for a key that no header can carry. */
export async function seal(
  { kid, key }: EncryptionKey,
  tenant: string,
  plain: string,
): Promise<string> {
  const bytes = new TextEncoder().encode(plain);
  if (!/^[!-~]([ -~]*[!-~])?$/.test(plain) || bytes.byteLength > PLAIN_BYTES) {
    throw new SealingProblem("an upstream key is 1 to 4096 printable ASCII characters");
  }
  return await new CompactEncrypt(bytes)
    .setProtectedHeader({ alg: "dir", enc: "A256GCM", kid, tenant })
    .encrypt(key);
}

/** Throws `SealingProblem`. */
export async function unseal(
  keys: readonly EncryptionKey[],
  tenant: string,
  sealed: string,
): Promise<string> {
  const header = headerOf(sealed);
  const kid = String(header["kid"]);
  const found = keys.find((candidate) => candidate.kid === kid);
  if (found === undefined) {
    throw new SealingProblem(
      `the sealed key needs the key-encryption key '${kid.slice(0, 64)}', which is not set`,
    );
  }
  if (header["tenant"] !== tenant) {
    throw new SealingProblem("the sealed key was sealed for another tenant");
  }
  try {
    const { plaintext } = await compactDecrypt(sealed, found.key, {
      keyManagementAlgorithms: ["dir"],
      contentEncryptionAlgorithms: ["A256GCM"],
    });
    return new TextDecoder().decode(plaintext);
  } catch {
    throw new SealingProblem(
      `the sealed key does not open with the key-encryption key '${kid.slice(0, 64)}': it was altered, or that key is another one`,
    );
  }
}

function headerOf(sealed: string): Readonly<Record<string, unknown>> {
  try {
    return decodeProtectedHeader(sealed);
  } catch {
    throw new SealingProblem("the sealed key is not one: its header cannot be read");
  }
}
