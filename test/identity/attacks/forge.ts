// What an attack is made of: one algorithm's keys, the claims that would be accepted, and how a row of
// the catalogue is written down.
import { exportJWK, generateKeyPair } from "jose";
import type { Algorithm, SigningKey } from "../../../dev/issuer.ts";
import { AUDIENCE, type Json } from "../../support/harness.ts";
import { base64url, compactToken, SIGNATURES } from "../../support/tokens.ts";

export const NOW = 1_790_000_000;
export const HOUR = 3_600;
/** On acme's list of revoked tokens. */
export const REVOKED = "token-revoked";

type Part = Parameters<typeof compactToken>[1];

export const THREE: readonly Algorithm[] = ["RS256", "ES256", "EdDSA"];
export const ALL: readonly Algorithm[] = [...THREE, "PS256", "ES384"];

/** One algorithm: a provider's keys, another provider's, and an attacker's. */
export interface Forge {
  readonly alg: Algorithm;
  readonly key: SigningKey;
  /** Another provider's, under the same `kid`. */
  readonly other: SigningKey;
  /** Nobody's whom the gateway trusts. */
  readonly stranger: SigningKey;
  readonly issuers: {
    readonly usual: string;
    /** The same key; every algorithm is on the list. */
    readonly liberal: string;
    /** As the liberal one, and its key does not say what it is for. */
    readonly silent: string;
    /** `at+jwt` only, for an hour. */
    readonly strict: string;
    /** The other provider, which speaks for globex by a name of its own. */
    readonly other: string;
  };
}

export async function createForge(alg: Algorithm): Promise<Forge> {
  const key = await createOpenKey(alg);
  const at = (place: string): string => `https://id.${place}.test/${alg}`;
  return {
    alg,
    key,
    other: { ...(await createOpenKey(alg)), kid: key.kid },
    stranger: await createOpenKey(alg),
    issuers: {
      usual: at("acme"),
      liberal: at("liberal"),
      silent: at("silent"),
      strict: at("strict"),
      other: at("globex"),
    },
  };
}

/** A key whose private half can be read, to sign with it in ways that no library would. */
export async function createOpenKey(alg: Algorithm): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const kid = `key-${crypto.randomUUID()}`;
  const publicJwk = { ...(await exportJWK(publicKey)), alg, kid, use: "sig" };
  return { alg, kid, privateKey, publicJwk };
}

/** The issuers of a forge, as the config has them. */
export function issuersOf({ alg, key, other, issuers }: Forge): Json[] {
  const usual = {
    issuer: issuers.usual,
    jwks: { keys: [key.publicJwk] },
    audiences: [AUDIENCE, "https://stop2.test"],
    algorithms: [alg],
    tenant: { claim: "org_id", allow: ["acme"] },
  };
  const others = [
    ...["RS256", "PS256", "ES256", "ES384", "EdDSA", "RS384", "RS512", "PS384", "PS512", "ES512"],
  ];
  const liberal = { ...usual, algorithms: [alg, ...others.filter((name) => name !== alg)] };
  const { alg: _, ...silent } = key.publicJwk;
  return [
    usual,
    { ...liberal, issuer: issuers.liberal },
    { ...liberal, issuer: issuers.silent, jwks: { keys: [silent] } },
    { ...usual, issuer: issuers.strict, types: ["at+jwt"], max_lifetime_hours: 1 },
    {
      ...usual,
      issuer: issuers.other,
      jwks: { keys: [{ ...other.publicJwk, kid: key.kid }] },
      tenant: { claim: ["org", "id"], map: { org_1: "globex" } },
    },
  ];
}

/** Claims that are accepted, with these put over them; of undefined a claim is left out. */
export function claimsOf({ issuers }: Forge, over: Json = {}): Json {
  const usual = {
    iss: issuers.usual,
    aud: AUDIENCE,
    sub: "ann",
    iat: NOW,
    exp: NOW + 600,
    org_id: "acme",
    scope: "runs:cancel",
  };
  return { ...usual, ...over };
}

/** A token, a whole request, or a text that no HTTP client can send and only the reader itself gets. */
export type Presented =
  | string
  | { readonly init: RequestInit; readonly query?: string }
  | Unsendable;
export interface Unsendable {
  readonly unsendable: string;
}

export type Maker = (forge: Forge) => Presented | Promise<Presented>;

export type Reply =
  | "invalid_token"
  | "missing_token"
  | "invalid_request"
  | "tenant_not_allowed"
  /** The token passed: its caller may not do this, which is on record. */
  | "insufficient_scope"
  | "run_not_found"
  /** 401 like any other, but the caller is known, so it is on record. */
  | "revoked"
  | "accepted";

export interface Variant {
  readonly maker: Maker;
  readonly reply?: Reply;
  /** Default: those of the row. */
  readonly algorithms?: readonly Algorithm[];
}

export interface Row {
  readonly id: string;
  readonly attack: string;
  /** Of every variant that states no other. */
  readonly reply: Reply;
  /** Default: three. */
  readonly algorithms?: readonly Algorithm[];
  readonly variants: Readonly<Record<string, Maker | Variant>>;
}

export const replied = (reply: Reply, maker: Maker): Variant => ({ reply, maker });
export const accepted = (maker: Maker): Variant => replied("accepted", maker);

type By<T> = T | ((forge: Forge) => T);
const given = <T>(by: By<T>, forge: Forge): T =>
  typeof by === "function" ? (by as (forge: Forge) => T)(forge) : by;

/** Well signed, and true in all but these claims. */
export const claims =
  (over: By<Json>): Maker =>
  (forge) =>
    compactToken(forge.key, claimsOf(forge, given(over, forge)));

/** Well signed, and true in all but these members of the header. */
export const header =
  (over: By<Json>, claimed: By<Json> = {}): Maker =>
  (forge) =>
    compactToken(forge.key, claimsOf(forge, given(claimed, forge)), given(over, forge));

/** Well signed over this text in place of the claims'; it is given the true one's members. */
export const payload =
  (written: (members: string, forge: Forge) => Part): Maker =>
  (forge) =>
    compactToken(forge.key, written(membersOf(claimsOf(forge)), forge));

/** Well signed under this text in place of the header's; it is given the true one's members. */
export const headerText =
  (written: (members: string, forge: Forge) => Part): Maker =>
  (forge) => {
    const { alg, kid } = forge.key;
    const members = membersOf({ alg, kid, typ: "at+jwt" });
    return compactToken(forge.key, claimsOf(forge), written(members, forge));
  };

/** A good token, spelled otherwise. */
export const respelled =
  (spell: (token: string, forge: Forge) => Presented | Promise<Presented>): Maker =>
  async (forge) =>
    await spell(await goodToken(forge), forge);

/** A good token's three parts, put together otherwise. */
export const rejoined = (
  join: (header: string, payload: string, signature: string, forge: Forge) => Presented,
): Maker =>
  respelled((token, forge) => {
    const [head = "", body = "", signature = ""] = token.split(".");
    return join(head, body, signature, forge);
  });

/** As a provider's other customer, or nobody: the attacker's key signs what the header says. */
export const byStranger =
  (over: By<Json>): Maker =>
  (forge) =>
    compactToken(forge.stranger, claimsOf(forge), given(over, forge));

export const goodToken = (forge: Forge, over: Json = {}): Promise<string> =>
  compactToken(forge.key, claimsOf(forge, over));

/** The key's own signature, of this text and no other. */
export async function signatureOf({ alg, privateKey }: SigningKey, text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const signature = await crypto.subtle.sign(SIGNATURES[alg], privateKey, bytes);
  return base64url(new Uint8Array(signature));
}

/** Header and claims as they stand, with whatever is made of them for a signature. */
export async function signedBy(
  head: Part,
  body: Part,
  sign: (input: Uint8Array) => Uint8Array | Promise<Uint8Array>,
): Promise<string> {
  const input = `${base64url(head)}.${base64url(body)}`;
  return `${input}.${base64url(await sign(new TextEncoder().encode(input)))}`;
}

const membersOf = (members: Json): string => JSON.stringify(members).slice(1, -1);

/** One maker for each of these, under a name made of it. */
export function each<T>(
  list: readonly T[],
  name: (item: T) => string,
  maker: (item: T) => Maker | Variant,
): Record<string, Maker | Variant> {
  return Object.fromEntries(list.map((item) => [name(item), maker(item)]));
}
