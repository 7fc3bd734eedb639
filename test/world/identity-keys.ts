// The key pairs of the table in `identity.ts`, and their public halves in every way that servers write them.
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { rocaModulus, rsaKey } from "../identity/attacks/weak-keys.ts";
import type { Json } from "./identity-stage.ts";

/** A key pair, and its public half as a provider publishes it. */
export interface Pair {
  readonly kid: string;
  readonly alg: string;
  readonly published: JWK;
  readonly secret: JWK;
}

async function pair(alg: string, kid: string): Promise<Pair> {
  const keys = await generateKeyPair(alg, { extractable: true });
  const published = { ...(await exportJWK(keys.publicKey)), alg, kid, use: "sig" };
  return { kid, alg, published, secret: await exportJWK(keys.privateKey) };
}

/** A pair that no library would make for anybody. */
async function rsaPair(kid: string, modulusLength: number, exponent: number): Promise<Pair> {
  const publicExponent = new Uint8Array([exponent >> 16, (exponent >> 8) & 255, exponent & 255]);
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength, publicExponent };
  const keys = (await crypto.subtle.generateKey(algorithm, true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const published = { ...(await exportJWK(keys.publicKey)), alg: "RS256", kid, use: "sig" };
  return { kid, alg: "RS256", published, secret: await exportJWK(keys.privateKey) };
}

/** A good pair whose x begins with a zero, which some servers leave out. */
async function pairWithZero(kid: string): Promise<Pair> {
  for (;;) {
    const made = await pair("ES256", kid);
    if (bytesOf(made.published.x)[0] === 0) return made;
  }
}

const bytesOf = (text = ""): Buffer => Buffer.from(text, "base64url");
const textOf = (...parts: readonly (Uint8Array | readonly number[])[]): string =>
  Buffer.concat(parts.map((part) => Buffer.from(part))).toString("base64url");

export const [RSA, RSA_2, RSA_3, EC, EC_2, EC_384, EC_521, ED, ED_2] = await Promise.all([
  ...[pair("RS256", "rsa"), pair("RS256", "rsa-2"), pair("RS256", "rsa-3")],
  ...[pair("ES256", "ec"), pair("ES256", "ec-2"), pair("ES384", "ec-384"), pair("ES512", "ec-521")],
  ...[pair("EdDSA", "ed"), pair("EdDSA", "ed-2")],
] as [
  ...[Promise<Pair>, Promise<Pair>, Promise<Pair>, Promise<Pair>, Promise<Pair>],
  ...[Promise<Pair>, Promise<Pair>, Promise<Pair>, Promise<Pair>],
]);
export const CROWD = await Promise.all([1, 2, 3, 4, 5].map((at) => pair("ES256", `crowd-${at}`)));
export const [, , , FOURTH = EC, FIFTH = EC] = CROWD;
export const SMALL = await rsaPair("small", 1_024, 65_537);
const THREE = await rsaPair("three", 2_048, 3);
const ZERO = await pairWithZero("zero");

/** The public half, with these members put over it; undefined leaves out. */
export const shown = ({ published }: Pair, over: Json = {}): Json => ({ ...published, ...over });
/** As if it had another name. */
export const named = (by: Pair, kid: string): Pair => ({ ...by, kid });
export const silent = (key: Pair): Json => shown(key, { alg: undefined });

/** Keys that verify nothing, each beside a good one. `by`: who holds the private half. */
export const UNUSABLE: Readonly<Record<string, { readonly entry: unknown; readonly by?: Pair }>> = {
  "an EC coordinate of 31 bytes": {
    entry: shown(ZERO, { x: textOf(bytesOf(ZERO.published.x).subarray(1)) }),
    by: ZERO,
  },
  "an EC coordinate of 33 bytes": {
    entry: shown(EC_2, { x: textOf([0], bytesOf(EC_2.published.x)) }),
    by: EC_2,
  },
  "an EC key without y": { entry: shown(EC_2, { y: undefined }), by: EC_2 },
  "an EC point off its curve": { entry: shown(EC_2, { x: EC_2.published.y }), by: EC_2 },
  "a point of P-256 said to be on P-384": {
    entry: shown(EC_2, { crv: "P-384", alg: "ES384" }),
    by: EC_2,
  },
  "a P-521 point off its curve": { entry: shown(EC_521, { x: EC_521.published.y }), by: EC_521 },
  "an Ed25519 key of small order": {
    entry: shown(ED_2, { x: textOf([1], new Uint8Array(31)) }),
    by: ED_2,
  },
  "an Ed25519 key of 31 bytes": {
    entry: shown(ED_2, { x: textOf(bytesOf(ED_2.published.x).subarray(1)) }),
    by: ED_2,
  },
  "certificates only": {
    entry: { kid: RSA_2.kid, x5c: ["MIIC+DCCAeCgAwIBAgIJBIGjYW6hFpn2"] },
    by: RSA_2,
  },
  "certificates and a kind": {
    entry: { kty: "RSA", use: "sig", kid: RSA_2.kid, x5c: ["MIIC+DCC"] },
    by: RSA_2,
  },
  "RSA of 1024 bits": { entry: shown(SMALL), by: SMALL },
  "RSA of 1024 bits behind as many zeros": {
    entry: shown(SMALL, { n: textOf(new Uint8Array(128), bytesOf(SMALL.published.n)) }),
    by: SMALL,
  },
  "RSA with an exponent of 3": { entry: shown(THREE), by: THREE },
  "RSA with an even exponent": { entry: shown(RSA_2, { e: "AQAC" }), by: RSA_2 },
  "RSA with an exponent of 1": { entry: shown(RSA_2, { e: "AQ" }), by: RSA_2 },
  "RSA with an even modulus": {
    entry: shown(RSA_2, { n: textOf(bytesOf(RSA_2.published.n).subarray(0, 255), [2]) }),
    by: RSA_2,
  },
  "RSA of the ROCA kind": { entry: rsaKey("roca", rocaModulus(2_048, 12_345n)) },
  "RSA without a modulus": { entry: shown(RSA_2, { n: undefined }), by: RSA_2 },
  "a modulus with a line's end in it": {
    entry: shown(RSA_2, { n: `${RSA_2.published.n}\n` }),
    by: RSA_2,
  },
  "a modulus that is a number": { entry: shown(RSA_2, { n: 65_537 }), by: RSA_2 },
  "a kid that is a number": { entry: shown(RSA_2, { kid: 7 }), by: named(RSA_2, "7") },
  "a kid that is a list": { entry: shown(RSA_2, { kid: ["rsa-2"] }), by: RSA_2 },
  "a use that is a list": { entry: shown(RSA_2, { use: ["sig"] }), by: RSA_2 },
  "an alg that is an object": { entry: shown(RSA_2, { alg: {} }), by: RSA_2 },
  "key_ops that are a text": { entry: shown(RSA_2, { key_ops: "verify" }), by: RSA_2 },
  "a kind that is null": { entry: shown(RSA_2, { kty: null }), by: RSA_2 },
  "an entry that is null": { entry: null },
  "an entry that is a text": { entry: "rsa-2" },
  "an entry that is a list": { entry: [shown(RSA_2)], by: RSA_2 },
  "an empty entry": { entry: {} },
  "a whole private RSA key": {
    entry: { ...RSA_2.secret, kid: RSA_2.kid, alg: "RS256" },
    by: RSA_2,
  },
  "a whole private EC key": { entry: { ...EC_2.secret, kid: EC_2.kid }, by: EC_2 },
  "a private member alone": { entry: shown(RSA_2, { d: "AQAB" }), by: RSA_2 },
  "a private member that is an empty text": { entry: shown(RSA_2, { d: "" }), by: RSA_2 },
  "a secret key": { entry: { kty: "oct", kid: "secret", k: "c2VjcmV0", alg: "HS256" } },
  "a secret key under the good one's name": { entry: { kty: "oct", kid: RSA.kid, k: "c2VjcmV0" } },
  "a public key with a secret member": { entry: shown(RSA_2, { k: "c2VjcmV0" }), by: RSA_2 },
  "a key for encryption": { entry: shown(RSA_2, { use: "enc" }), by: RSA_2 },
  "a key for an algorithm of encryption": {
    entry: shown(RSA_2, { alg: "RSA-OAEP-256" }),
    by: RSA_2,
  },
  "a key for encryption in capitals": { entry: shown(RSA_2, { use: "ENC" }), by: RSA_2 },
  "key_ops with a null and no verifying": {
    entry: shown(RSA_2, { key_ops: [null, "encrypt"] }),
    by: RSA_2,
  },
  "a key for signing only": { entry: shown(RSA_2, { key_ops: ["sign"] }), by: RSA_2 },
  "a key for an algorithm of another kind": { entry: shown(RSA_2, { alg: "ES256" }), by: RSA_2 },
  "a kind that nobody knows": { entry: { kty: "AKP", alg: "ML-DSA-65", kid: "pq", pub: "eA" } },
};

/** Keys that are written oddly, and have one meaning all the same. */
export const USABLE: Readonly<Record<string, unknown>> = {
  "a use that is null": shown(RSA, { use: null }),
  "an alg that is null": shown(RSA, { alg: null }),
  "key_ops that are null": shown(RSA, { key_ops: null }),
  "key_ops with a null among them": shown(RSA, { key_ops: [null, "verify"] }),
  "key_ops of nulls": shown(RSA, { key_ops: [null] }),
  "an empty use": shown(RSA, { use: "" }),
  "an empty alg": shown(RSA, { alg: "" }),
  "a use in capitals": shown(RSA, { use: "SIG" }),
  "an exponent behind a zero": shown(RSA, { e: "AAEAAQ" }),
  "a padded exponent": shown(RSA, { e: "AQAB==" }),
  "a modulus behind a zero": shown(RSA, { n: textOf([0], bytesOf(RSA.published.n)) }),
  "a padded modulus": shown(RSA, { n: `${RSA.published.n}==` }),
  "a modulus in the other alphabet": shown(RSA, { n: bytesOf(RSA.published.n).toString("base64") }),
  "what .NET writes of members that nobody has set": shown(RSA, {
    ...{ key_ops: [], oth: [], x5c: [], alg: null, crv: null, x: null, y: null, x5u: null },
    ...{ d: null, p: null, q: null, dp: null, dq: null, qi: null, k: null },
  }),
  "certificates beside it": shown(RSA, { x5c: ["MIIC+DCC"], x5t: "i6lGk3FZzxRcUb2C3nEQ7syHJlY" }),
  "members that nobody knows": shown(RSA, { issuer: "https://id.test", nbf: 1, x: null }),
  "no use and no alg": shown(RSA, { use: undefined, alg: undefined }),
};
