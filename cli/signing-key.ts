// A new key for the audit log: an Ed25519 JWK with an id of its own, as AUDIT_SIGNING_KEY takes it.
import { randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair } from "jose";

export async function newSigningKey(): Promise<string> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  return JSON.stringify({ ...(await exportJWK(privateKey)), kid: randomUUID() });
}
