// A local identity provider: makes a key pair and signs access tokens with it. For development and
// tests; the token is well formed unless the caller says otherwise. Serves no HTTP.
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  SignJWT,
} from "jose";

export type Algorithm = "RS256" | "PS256" | "ES256" | "ES384" | "EdDSA";

export interface SigningKey {
  readonly alg: Algorithm;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export interface IssuerOptions {
  /** The `iss` of every token, exactly as the gateway's config has it. */
  readonly issuer: string;
  /** The `aud` of a token that names none itself. Default: `stopgate`. */
  readonly audience?: string;
  /** Milliseconds since the Unix epoch. Default: `Date.now`. */
  readonly now?: () => number;
  /** Makes the `jti`. Default: a random UUID. */
  readonly newId?: () => string;
}

/** Claims of one token. What is not named here goes in as it is and wins; undefined leaves out. */
export interface TokenClaims {
  readonly sub: string;
  /** Becomes the claim `org_id`. */
  readonly tenant?: string | undefined;
  readonly scope?: string | undefined;
  readonly [claim: string]: unknown;
}

export interface MintOptions {
  /** Default: 12 hours. Negative makes a token that has expired. */
  readonly expiresInSeconds?: number;
  /** Members of the protected header that replace `alg`, `kid` and `typ`. */
  readonly header?: Partial<JWTHeaderParameters>;
}

export interface Issuer {
  readonly issuer: string;
  readonly publicJwks: { readonly keys: readonly JWK[] };
  readonly mint: (claims: TokenClaims, options?: MintOptions) => Promise<string>;
}

export const DEFAULT_EXPIRY_SECONDS = 12 * 60 * 60;

/** A new key pair and the issuer that signs with it. */
export async function createIssuer(options: IssuerOptions & { alg: Algorithm }): Promise<Issuer> {
  return issuerWith(await createKey(options.alg), options);
}

export async function createKey(alg: Algorithm): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg);
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  return { alg, kid, privateKey, publicJwk: { ...jwk, alg, kid, use: "sig" } };
}

/** An issuer over a key that exists: for one that serves under several addresses. */
export function issuerWith(key: SigningKey, options: IssuerOptions): Issuer {
  const { issuer, audience = "stopgate", now = Date.now } = options;
  const { newId = () => crypto.randomUUID() } = options;

  async function mint(claims: TokenClaims, minting: MintOptions = {}): Promise<string> {
    const { tenant, ...rest } = claims;
    const issuedAt = Math.floor(now() / 1000);
    const payload = {
      iss: issuer,
      aud: audience,
      iat: issuedAt,
      exp: issuedAt + (minting.expiresInSeconds ?? DEFAULT_EXPIRY_SECONDS),
      jti: newId(),
      org_id: tenant,
      ...rest,
    };
    return new SignJWT(payload)
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: "at+jwt", ...minting.header })
      .sign(key.privateKey);
  }

  return { issuer, publicJwks: { keys: [key.publicJwk] }, mint };
}
