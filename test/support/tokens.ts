// Tokens by hand: any header and any payload, to the byte, under a true signature.
import type { Algorithm, SigningKey } from "../../dev/issuer.ts";

type Part = Record<string, unknown> | string | Uint8Array;

export const SIGNATURES: Readonly<Record<Algorithm, string | SubtleCryptoSignAlgorithm>> = {
  RS256: "RSASSA-PKCS1-v1_5",
  PS256: { name: "RSA-PSS", saltLength: 32 },
  ES256: { name: "ECDSA", hash: "SHA-256" },
  ES384: { name: "ECDSA", hash: "SHA-384" },
  EdDSA: "Ed25519",
};

export function base64url(part: Part): string {
  if (part instanceof Uint8Array) return Buffer.from(part).toString("base64url");
  return Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString("base64url");
}

/** A compact JWS whose header has the key's `alg` and `kid`, unless it is written out. */
export async function compactToken(
  key: SigningKey,
  payload: Part,
  header: Part = {},
): Promise<string> {
  const usual = { alg: key.alg, kid: key.kid, typ: "at+jwt" };
  const whole =
    typeof header === "string" || header instanceof Uint8Array ? header : { ...usual, ...header };
  const input = `${base64url(whole)}.${base64url(payload)}`;
  const bytes = new TextEncoder().encode(input);
  const signature = await crypto.subtle.sign(SIGNATURES[key.alg], key.privateKey, bytes);
  return `${input}.${Buffer.from(signature).toString("base64url")}`;
}
