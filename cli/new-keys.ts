// New keys for the secrets that are the gateway's own, each as the text that its secret takes. The audit
// log's has a file of its own: `signing-key.ts`.
import { randomBytes } from "node:crypto";
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from "jose";

/**
 * For KEY_ENCRYPTION_KEY: an `oct` JWK of 256 bits. Its id begins with the day, so that of two keys the
 * older is told by sight.
 */
export function newEncryptionKey(now: Date = new Date()): string {
  const kid = `${now.toISOString().slice(0, 10)}-${randomBytes(4).toString("hex")}`;
  return JSON.stringify({ kty: "oct", k: randomBytes(32).toString("base64url"), kid });
}

/** The ids of local issuers' keys begin so, whatever the issuer is called. */
const LOCAL_KID = "local-issuer-";

export function isLocalKid(kid: unknown): boolean {
  return typeof kid === "string" && kid.startsWith(LOCAL_KID);
}

/** For LOCAL_ISSUER_KEY: a private key of ES256, which signs the tokens of a local issuer. */
export async function newIssuerKey(): Promise<string> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(privateKey);
  return JSON.stringify({
    ...jwk,
    kid: LOCAL_KID + (await calculateJwkThumbprint(jwk)),
    alg: "ES256",
  });
}
