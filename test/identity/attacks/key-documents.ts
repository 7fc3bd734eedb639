// J2, J6, J37 and J38, as far as they are about the keys that a provider publishes.
import { exportJWK } from "jose";
import type { SigningKey } from "../../../dev/issuer.ts";
import type { Json } from "../../support/harness.ts";
import { compactToken } from "../../support/tokens.ts";
import { createOpenKey, signedBy } from "./forge.ts";
import { oddNumber, paddedHash, rocaModulus, rsaKey, uint } from "./weak-keys.ts";

/** What a document is made of: a good key, and another of the same kind that an attacker holds. */
export interface Keys {
  readonly good: SigningKey;
  readonly evil: SigningKey;
}

export interface Spoiled {
  readonly keys: readonly unknown[];
  /** A token for these claims that the published key would verify, were it taken. */
  readonly forged?: (claims: Json) => Promise<string>;
}

export interface KeyDocument {
  readonly id: "J2" | "J6" | "J37" | "J38";
  readonly name: string;
  /**
   * Skipped: the key is unusable, which is logged, and the others are used. Passed over: it is for
   * something else, which is usual. Used: nothing is wrong with it. Empty: no usable key is left.
   */
  readonly verdict: "skipped" | "passed over" | "used" | "empty";
  readonly spoil: (keys: Keys) => Spoiled | Promise<Spoiled>;
}

/** Of the key that is wrong, where it is none of the two. */
export const KID = "weak";

/** Beside the good key, which would be fine by itself. */
const beside =
  (...keys: readonly Json[]): KeyDocument["spoil"] =>
  ({ good }) => ({ keys: [{ ...good.publicJwk }, ...keys] });

/** The attacker's own, with these members put over it; the good key is there too. */
const altered =
  (over: (keys: Keys) => Json): KeyDocument["spoil"] =>
  (keys) => ({
    keys: [{ ...keys.good.publicJwk }, { ...keys.evil.publicJwk, ...over(keys) }],
  });

/** A real pair, whose private half signs the token. */
const real =
  (create: () => Promise<SigningKey>, over: Json = {}): KeyDocument["spoil"] =>
  async ({ good }) => {
    const key = await create();
    return {
      keys: [{ ...good.publicJwk }, { ...key.publicJwk, ...over }],
      forged: (claims) => compactToken(key, claims),
    };
  };

async function createRsa(modulusLength: number, exponent: number): Promise<SigningKey> {
  const publicExponent = new Uint8Array([exponent >> 16, (exponent >> 8) & 255, exponent & 255]);
  const pair = (await crypto.subtle.generateKey(
    { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength, publicExponent },
    true,
    ["sign", "verify"],
  )) as CryptoKeyPair;
  const { kty, n, e } = await exportJWK(pair.publicKey);
  const publicJwk = { kty: kty ?? "", n: n ?? "", e: e ?? "", alg: "RS256", kid: KID, use: "sig" };
  return { alg: "RS256", kid: KID, privateKey: pair.privateKey, publicJwk };
}

/** The signature is the padded hash itself: anybody can make it. */
const exponentOne: KeyDocument["spoil"] = ({ good }) => ({
  keys: [{ ...good.publicJwk }, rsaKey(KID, oddNumber(2_048), 1n)],
  forged: (claims) =>
    signedBy({ alg: "RS256", kid: KID, typ: "at+jwt" }, claims, (input) => paddedHash(input, 256)),
});

const documents = (
  id: KeyDocument["id"],
  verdict: KeyDocument["verdict"],
  spoilt: Record<string, KeyDocument["spoil"]>,
): KeyDocument[] => Object.entries(spoilt).map(([name, spoil]) => ({ id, name, verdict, spoil }));

const OCT = { kty: "oct", k: "c2VjcmV0", kid: KID };

const secretKeys = documents("J2", "skipped", {
  "a secret key": beside({ ...OCT, alg: "HS256" }),
  "a secret key that says nothing of itself": beside({ kty: "oct", k: "c2VjcmV0" }),
  "a secret key for encryption": beside({ ...OCT, use: "enc", alg: "A256KW" }),
  "a blank secret key": beside({ ...OCT, k: "" }),
  "a secret key under the name of the good one": ({ good }) => ({
    keys: [{ ...good.publicJwk }, { ...OCT, kid: good.kid }],
  }),
  "a secret key without its secret": beside({ kty: "oct", kid: KID }),
});

/** Providers publish a key once for each algorithm, and an old one beside the new under one name. */
const sharedNames = documents("J6", "used", {
  "one key twice": ({ good }) => ({ keys: [{ ...good.publicJwk }, { ...good.publicJwk }] }),
  "another key of the same kind under the same kid": altered(({ good }) => ({ kid: good.kid })),
  "another key under the same kid, and first": ({ good, evil }) => ({
    keys: [{ ...evil.publicJwk, kid: good.kid }, { ...good.publicJwk }],
  }),
  "a key of another kind under the same kid": async ({ good }) => {
    const other = await createOpenKey(good.alg === "EdDSA" ? "ES256" : "EdDSA");
    return { keys: [{ ...good.publicJwk }, { ...other.publicJwk, kid: good.kid }] };
  },
  "two others that share a kid": ({ good, evil }) => ({
    keys: [{ ...good.publicJwk }, { ...evil.publicJwk }, { ...good.publicJwk, kid: evil.kid }],
  }),
  "three under the same kid": ({ good, evil }) => ({
    keys: [good, evil, good].map(({ publicJwk }) => ({ ...publicJwk, kid: good.kid })),
  }),
  "two under an empty kid": ({ good, evil }) => ({
    keys: [{ ...good.publicJwk }, ...[good, evil].map((key) => ({ ...key.publicJwk, kid: "" }))],
  }),
});

const POINT = {
  x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
};
const curve = (crv: string, members: Json): KeyDocument["spoil"] =>
  beside({ kty: crv === "Ed25519" ? "OKP" : "EC", crv, kid: KID, ...members });
const coordinate = (bytes: number): string => Buffer.alloc(bytes, 7).toString("base64url");

const PRIVATE = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/** Of the points whose order divides eight every encoding that a decoder may take. */
const SMALL_ORDER = [
  ...["00", "80"].flatMap((end) => [`${"00".repeat(31)}${end}`, `01${"00".repeat(30)}${end}`]),
  ...["05", "85"].map(
    (end) => `26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc${end}`,
  ),
  ...["7a", "fa"].map(
    (end) => `c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03${end}`,
  ),
  ...["ec", "ed", "ee"].flatMap((low) =>
    ["7f", "ff"].map((end) => `${low}${"ff".repeat(30)}${end}`),
  ),
];

const weakKeys = documents("J37", "skipped", {
  "e = 1": exponentOne,
  "e = 3": real(() => createRsa(2_048, 3)),
  "e = 2": beside(rsaKey(KID, oddNumber(2_048), 2n)),
  "e = 0": beside(rsaKey(KID, oddNumber(2_048), 0n)),
  "e = 65535": beside(rsaKey(KID, oddNumber(2_048), 65_535n)),
  "e = 65538, which is even": beside(rsaKey(KID, oddNumber(2_048), 65_538n)),
  "e of 34 bits": beside(rsaKey(KID, oddNumber(2_048), 2n ** 33n + 1n)),
  "e as long as n": beside(rsaKey(KID, oddNumber(2_048), oddNumber(2_047))),
  "no e": beside({ kty: "RSA", kid: KID, n: uint(oddNumber(2_048)) }),
  "e with a blank": beside({ ...rsaKey(KID, oddNumber(2_048)), e: "AQ AB" }),
  "e with more padding than there is": beside({ ...rsaKey(KID, oddNumber(2_048)), e: "AQAB===" }),
  "n of 512 bits": beside(rsaKey(KID, oddNumber(512))),
  "n of 1024 bits": real(() => createRsa(1_024, 65_537)),
  "n of 1920 bits": real(() => createRsa(1_920, 65_537)),
  "n of 2047 bits": beside(rsaKey(KID, oddNumber(2_047))),
  "n of 1024 bits after as many zeros": beside({
    ...rsaKey(KID, 1n),
    n: Buffer.concat([
      Buffer.alloc(128),
      Buffer.from(uint(oddNumber(1_024)), "base64url"),
    ]).toString("base64url"),
  }),
  "n of 8193 bits": beside(rsaKey(KID, oddNumber(8_193))),
  "n of 16384 bits": beside(rsaKey(KID, oddNumber(16_384))),
  "n of 0": beside(rsaKey(KID, 0n)),
  "no n": beside({ kty: "RSA", kid: KID, e: "AQAB" }),
  "an even n": beside(rsaKey(KID, oddNumber(2_048) - 1n)),
  "n of the ROCA kind": beside(rsaKey(KID, rocaModulus(2_048, 2n ** 200n + 12_345n))),
  "n of the ROCA kind, of the least power": beside(rsaKey(KID, rocaModulus(2_048, 1n))),
  "n of the ROCA kind, of 3072 bits": beside(rsaKey(KID, rocaModulus(3_072, 3n ** 150n))),
  "n of the ROCA kind, of 4096 bits": beside(rsaKey(KID, rocaModulus(4_096, 7n ** 99n))),
  ...Object.fromEntries(
    PRIVATE.map((name) => [`the private member ${name}`, altered(() => ({ [name]: "c2VjcmV0" }))]),
  ),
  "the whole private key": async ({ good, evil }) => ({
    keys: [{ ...good.publicJwk }, { ...(await exportJWK(evil.privateKey)), kid: evil.kid }],
  }),
  "the good key's own private half under another name": async ({ good }) => ({
    keys: [{ ...good.publicJwk }, { ...(await exportJWK(good.privateKey)), kid: KID }],
  }),
  "a private key for encryption": beside({ kty: "RSA", use: "enc", kid: KID, d: "c2VjcmV0" }),
  "a private key of an unknown kind": beside({ kty: "AKP", alg: "ML-DSA-44", priv: "c2VjcmV0" }),
  "a private member that is an empty text": altered(() => ({ d: "" })),
  "a short x": curve("P-256", { ...POINT, x: coordinate(31) }),
  "a long x": curve("P-256", { ...POINT, x: coordinate(33) }),
  "a long x, with a zero before it": curve("P-256", {
    ...POINT,
    x: Buffer.concat([Buffer.alloc(1), Buffer.from(POINT.x, "base64url")]).toString("base64url"),
  }),
  "a short y": curve("P-256", { ...POINT, y: coordinate(31) }),
  "no y": curve("P-256", { x: POINT.x }),
  "an empty x": curve("P-256", { ...POINT, x: "" }),
  "a point of P-256 on P-384": curve("P-384", POINT),
  "a point that is not on its curve": curve("P-256", { x: POINT.y, y: POINT.x }),
  "the point (0, 0)": curve("P-256", { x: "A".repeat(43), y: "A".repeat(43) }),
  "coordinates over the field": curve("P-256", {
    x: `${"_".repeat(42)}8`,
    y: `${"_".repeat(42)}8`,
  }),
  "a point that is not on P-384": curve("P-384", { x: coordinate(48), y: coordinate(48) }),
  "a point that is not on P-521": curve("P-521", { x: coordinate(66), y: coordinate(66) }),
  "a short Ed25519 key": curve("Ed25519", { x: coordinate(31) }),
  "a long Ed25519 key": curve("Ed25519", { x: coordinate(33) }),
  "an Ed25519 key of 57 bytes": curve("Ed25519", { x: coordinate(57) }),
  "no Ed25519 key": curve("Ed25519", {}),
  ...Object.fromEntries(
    SMALL_ORDER.map((point) => [
      `the Ed25519 point ${point.slice(0, 4)}…${point.slice(-2)}, of small order`,
      curve("Ed25519", { x: Buffer.from(point, "hex").toString("base64url") }),
    ]),
  ),
});

const noEntries = documents("J37", "skipped", {
  "an entry that is null": ({ good }) => ({ keys: [{ ...good.publicJwk }, null] }),
  "an entry that is a text": ({ good }) => ({ keys: [{ ...good.publicJwk }, "key"] }),
  "an entry that is a list": ({ good }) => ({ keys: [{ ...good.publicJwk }, [good.publicJwk]] }),
  "an empty entry": beside({}),
  "an entry of certificates only": beside({ kid: KID, x5c: ["MIIBszCCAVmgAwIBAgIUQg"] }),
  "a name that is a number": altered(() => ({ kid: 7 })),
  "a name that is an object": altered(() => ({ kid: {} })),
  "a use that is a list": altered(() => ({ use: ["sig"] })),
  "an alg that is a list": altered(({ good }) => ({ alg: [good.alg] })),
  "key_ops that are a text": altered(() => ({ key_ops: "verify" })),
  "a kind that is null": altered(() => ({ kty: null })),
});

const otherSpellings = documents("J37", "used", {
  "e with padding": beside({ ...rsaKey(KID, oddNumber(2_048)), e: "AQAB=" }),
  "e after a zero": beside({ ...rsaKey(KID, oddNumber(2_048)), e: "AAEAAQ" }),
  "n after a zero": beside({
    ...rsaKey(KID, oddNumber(2_048)),
    n: Buffer.from(`00${oddNumber(2_048).toString(16)}`, "hex").toString("base64url"),
  }),
  "n in the other alphabet": beside({
    ...rsaKey(KID, oddNumber(2_048)),
    n: Buffer.from(oddNumber(2_048).toString(16), "hex").toString("base64"),
  }),
  "a use that is null": altered(() => ({ use: null })),
  "an alg that is null": altered(() => ({ alg: null })),
  "key_ops that are null": altered(() => ({ key_ops: null })),
  "key_ops of nothing": altered(() => ({ key_ops: [] })),
  "private members that are null": altered(() => ({ d: null, p: null, q: null, k: null })),
  "private members that are empty lists": altered(() => ({ oth: [], x5c: [] })),
});

const noKeyAtAll = documents("J37", "empty", {
  "the good key's own private half": async ({ good }) => ({
    keys: [{ ...good.publicJwk, ...(await exportJWK(good.privateKey)) }],
  }),
  "private keys only": async ({ good, evil }) => ({
    keys: await Promise.all(
      [good, evil].map(async ({ privateKey, kid }) => ({ ...(await exportJWK(privateKey)), kid })),
    ),
  }),
  "keys for encryption only": ({ good }) => ({ keys: [{ ...good.publicJwk, use: "enc" }] }),
  "secret keys only": () => ({ keys: [OCT, { ...OCT, kid: "other" }] }),
  "small keys only": () => ({ keys: [rsaKey(KID, oddNumber(1_024))] }),
});

/** Providers publish such beside their signing keys: no reason to refuse those. */
const otherUses = documents("J37", "passed over", {
  "use enc": real(() => createRsa(2_048, 65_537), { use: "enc" }),
  "use enc, and e = 1": beside({ ...rsaKey(KID, oddNumber(2_048), 1n), use: "enc" }),
  "use enc, of the attacker's": altered(() => ({ use: "enc" })),
  "a use of another name": altered(() => ({ use: "tls" })),
  "key_ops without verify": altered(() => ({ key_ops: ["encrypt"] })),
  "an algorithm of encryption": altered(() => ({ alg: "RSA-OAEP-256" })),
});

const otherKinds = documents("J38", "passed over", {
  ES256K: curve("secp256k1", { ...POINT, alg: "ES256K" }),
  "ML-DSA": beside({ kty: "AKP", alg: "ML-DSA-65", kid: KID, pub: coordinate(1_952) }),
  Ed448: beside({ kty: "OKP", crv: "Ed448", kid: KID, x: coordinate(57) }),
  X25519: beside({ kty: "OKP", crv: "X25519", kid: KID, x: coordinate(32) }),
  "a kind that nobody knows": beside({ kty: "FOO", kid: KID }),
  "the attacker's key, said to be for HS256": altered(() => ({ alg: "HS256" })),
  "the attacker's key, said to be for none": altered(() => ({ alg: "none" })),
  "the attacker's key, said to be for ES256K": altered(() => ({ alg: "ES256K" })),
  "the attacker's key, of a kind of its own": altered(() => ({ kty: "ec" })),
});

export const KEY_DOCUMENTS: readonly KeyDocument[] = [
  ...secretKeys,
  ...sharedNames,
  ...weakKeys,
  ...noEntries,
  ...otherSpellings,
  ...noKeyAtAll,
  ...otherUses,
  ...otherKinds,
];
