// The gateway's Ed25519 key: signs what the chain does not cover, and publishes its public half.
import canonicalize from "canonicalize";
import { CompactSign, type CryptoKey, importJWK, type JWK } from "jose";
import * as z from "zod";
import type { AuditEvent } from "./event.ts";

const PrivateKey = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  kid: z.string().min(1).max(64),
  x: z.string(),
  d: z.string(),
});

export interface Signer {
  readonly sign: (event: AuditEvent) => Promise<AuditEvent>;
  readonly publicKeys: { readonly keys: readonly JWK[] };
}

/** From the secret AUDIT_SIGNING_KEY: a private Ed25519 JWK with a `kid`. Null when it is none. */
export function createSigner(secret: string | undefined): Signer | null {
  const parsed = PrivateKey.safeParse(parseJson(secret));
  if (!parsed.success) return null;
  const { d, ...publicKey } = parsed.data;
  let imported: CryptoKey | undefined;
  return {
    publicKeys: { keys: [{ ...publicKey, alg: "EdDSA", use: "sig" }] },
    sign: async (event) => {
      imported ??= (await importJWK({ ...publicKey, d }, "EdDSA")) as CryptoKey;
      return {
        ...event,
        signature: { kid: publicKey.kid, value: await detached(event, imported) },
      };
    },
  };
}

/** Stands in where there is no key; nothing is ever signed with it. */
export const NO_SIGNER: Signer = {
  publicKeys: { keys: [] },
  sign: () => Promise.reject(new Error("there is no signing key")),
};

/**
 * A compact JWS over the canonical event without `signature`, its payload left out (RFC 7515,
 * appendix F): whoever checks it has the event beside it.
 */
async function detached(event: AuditEvent, key: CryptoKey): Promise<string> {
  const { signature: _, ...signed } = event;
  const payload = new TextEncoder().encode(canonicalize(signed) ?? "");
  const jws = await new CompactSign(payload).setProtectedHeader({ alg: "EdDSA" }).sign(key);
  return jws.replace(/\.[^.]*\./, "..");
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}
