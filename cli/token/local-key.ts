// The local issuer's key, from the secret LOCAL_ISSUER_KEY: signs tokens on one's own machine.
import { calculateJwkThumbprint, importJWK, type JWK } from "jose";
import * as z from "zod";
import { algorithmsOf } from "../../src/identity/jwk.ts";
import { UsageError } from "../config-file.ts";
import type { Secrets } from "../secrets-file.ts";

export const LOCAL_ISSUER_KEY = "LOCAL_ISSUER_KEY";

const PrivateJwk = z.looseObject({
  kty: z.enum(["EC", "OKP", "RSA"]),
  crv: z.string().optional(),
  x: z.string().optional(),
  y: z.string().optional(),
  n: z.string().optional(),
  e: z.string().optional(),
  d: z.string(),
  kid: z.string().optional(),
  alg: z.string().optional(),
});
type PrivateJwk = z.infer<typeof PrivateJwk>;

export interface LocalKey {
  /** Tells whether a published key is its public half (RFC 7638). */
  readonly thumbprint: string;
  /** What may be published: nothing that signs. */
  readonly publicJwk: JWK;
  readonly importFor: (algorithm: string) => Promise<CryptoKey>;
}

/** Null when there is none. Throws `UsageError` when there is something else. */
export async function readLocalKey(secrets: Secrets): Promise<LocalKey | null> {
  const text = secrets[LOCAL_ISSUER_KEY] ?? "";
  if (text === "") return null;
  const parsed = PrivateJwk.safeParse(parseJson(text));
  if (!parsed.success) return refuse();
  const jwk = parsed.data as JWK;
  const thumbprint = await calculateJwkThumbprint(jwk).catch(refuse);
  return {
    thumbprint,
    publicJwk: publicHalf(parsed.data, thumbprint),
    importFor: async (algorithm) => {
      const key = await importJWK(jwk, algorithm).catch(refuse);
      return key instanceof CryptoKey ? key : refuse();
    },
  };
}

/** By name, so that no private member slips through, whatever the kind of key. */
function publicHalf({ kty, crv, x, y, n, e, ...jwk }: PrivateJwk, thumbprint: string): JWK {
  const alg = jwk.alg ?? algorithmsOf({ kty, crv })[0];
  const members = { kty, crv, x, y, n, e, kid: jwk.kid ?? thumbprint, alg, use: "sig" };
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function refuse(): never {
  throw new UsageError(
    `${LOCAL_ISSUER_KEY} is not a private JWK: take the line out, and 'npm run gateway -- init' makes one.`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
