// J1-J4 and J38: the algorithm, as the token would like to have it.
import { createHmac } from "node:crypto";
import { exportJWK, exportSPKI, importJWK } from "jose";
import type { Algorithm } from "../../../dev/issuer.ts";
import { base64url } from "../../support/tokens.ts";
import {
  ALL,
  accepted,
  byStranger,
  claimsOf,
  each,
  type Forge,
  header,
  type Maker,
  type Row,
  rejoined,
  signedBy,
  type Variant,
} from "./forge.ts";

const unsigned =
  (alg: unknown, signature = ""): Maker =>
  (forge) =>
    `${base64url({ alg, kid: forge.key.kid })}.${base64url(claimsOf(forge))}.${signature}`;

const NONES = ["none", "None", "NONE", "nOnE", "none ", "", "null"];

export const J1: Row = {
  id: "J1",
  attack: "a token that is not signed",
  reply: "invalid_token",
  algorithms: ALL,
  variants: {
    ...each(
      NONES,
      (alg) => `alg "${alg}" and no signature`,
      (alg) => unsigned(alg),
    ),
    ...each(
      NONES,
      (alg) => `alg "${alg}" and some signature`,
      (alg) => unsigned(alg, "AAAA"),
    ),
    ...each(
      NONES,
      (alg) => `alg "${alg}" and a true signature`,
      (alg) => header({ alg }),
    ),
    "alg null": header({ alg: null }),
    "alg left out": header({ alg: undefined }),
    "the true alg and no signature": rejoined((head, body) => `${head}.${body}.`),
    "the true alg and no third part": rejoined((head, body) => `${head}.${body}`),
    "alg none and no kid": header({ alg: "none", kid: undefined }),
  },
};

type Hash = "sha256" | "sha384" | "sha512";
const hmacName = (hash: Hash): string => `HS${hash.slice(3)}`;
const mac = (hash: Hash, secret: string | Uint8Array) => (input: Uint8Array) =>
  new Uint8Array(createHmac(hash, secret).update(input).digest());

const symmetric =
  (
    secretOf: (forge: Forge) => string | Uint8Array | Promise<string | Uint8Array>,
    hash: Hash = "sha256",
    over: Record<string, unknown> = {},
  ): Maker =>
  async (forge) => {
    const head = { alg: hmacName(hash), kid: forge.key.kid, typ: "at+jwt", ...over };
    return await signedBy(head, claimsOf(forge), mac(hash, await secretOf(forge)));
  };

async function publicKeyOf({ key }: Forge): Promise<CryptoKey> {
  const imported = await importJWK(key.publicJwk);
  if (!(imported instanceof CryptoKey)) throw new Error("not a public key");
  return imported;
}

const pem = async (forge: Forge): Promise<string> => await exportSPKI(await publicKeyOf(forge));
const der = async (forge: Forge): Promise<Uint8Array> =>
  new Uint8Array((await crypto.subtle.exportKey("spki", await publicKeyOf(forge))) as ArrayBuffer);
/** The number that a public key is, or begins with. */
const number = ({ key: { publicJwk } }: Forge): string => publicJwk.x ?? publicJwk.n ?? "";

export const J2: Row = {
  id: "J2",
  attack: "a public key used as the secret of an HMAC",
  reply: "invalid_token",
  algorithms: ALL,
  variants: {
    "its PEM": symmetric(pem),
    "its PEM, under HS384": symmetric(pem, "sha384"),
    "its PEM, under HS512": symmetric(pem, "sha512"),
    "its PEM with a line's end": symmetric(async (forge) => `${await pem(forge)}\n`),
    "its PEM after white space": symmetric(async (forge) => ` \n\t${await pem(forge)}`),
    "its PEM with the line ends of Windows": symmetric(async (forge) =>
      (await pem(forge)).replaceAll("\n", "\r\n"),
    ),
    "its PEM without header and footer": symmetric(async (forge) =>
      (await pem(forge)).replace(/-----.*-----|\n/g, ""),
    ),
    "its bytes": symmetric(der),
    "its JWK as published": symmetric(({ key }) => JSON.stringify(key.publicJwk)),
    "its JWK without names": symmetric(async (forge) =>
      JSON.stringify(await exportJWK(await publicKeyOf(forge))),
    ),
    "the whole set": symmetric(({ key }) => JSON.stringify({ keys: [key.publicJwk] })),
    "its number, as text": symmetric(number),
    "its number, as bytes": symmetric((forge) => Buffer.from(number(forge), "base64url")),
    "its kid": symmetric(({ key }) => key.kid),
    "its PEM, and no kid": symmetric(pem, "sha256", { kid: undefined }),
    "its PEM, under the key's own algorithm": async (forge) =>
      await symmetric(pem, "sha256", { alg: forge.alg })(forge),
    "its JWK, brought along as an oct key": async (forge) => {
      const k = base64url(JSON.stringify(forge.key.publicJwk));
      return await symmetric(() => Buffer.from(k, "base64url"), "sha256", {
        jwk: { kty: "oct", k },
      })(forge);
    },
  },
};

const WEAK = ["", "\0", "secret", "password", "changeme", "123456", "your-256-bit-secret"];

export const J3: Row = {
  id: "J3",
  attack: "an HMAC under a secret that can be guessed",
  reply: "invalid_token",
  variants: {
    ...each(
      WEAK,
      (secret) => JSON.stringify(secret),
      (secret) => symmetric(() => secret),
    ),
    "a blank one, and no kid": symmetric(() => "", "sha256", { kid: undefined }),
    "a blank one, under HS512": symmetric(() => "", "sha512"),
    "a blank one, under a kid of nobody": symmetric(() => "", "sha256", { kid: "secret" }),
  },
};

/** Which list every algorithm: only the key can say which is its own. */
const LENIENT = ["liberal", "silent"] as const;
type Lenient = (typeof LENIENT)[number];

const toIssuer =
  (issuer: keyof Forge["issuers"]) =>
  ({ issuers }: Forge) => ({ iss: issuers[issuer] });

const renamed = (alg: string, issuer: keyof Forge["issuers"]): Maker =>
  header({ alg }, toIssuer(issuer));

/** The private half, put to a use of another algorithm's. */
const misused =
  (name: string, algorithm: SubtleCryptoSignAlgorithm, hash: string, issuer: Lenient): Maker =>
  async ({ key, ...forge }) => {
    const jwk = (await crypto.subtle.exportKey("jwk", key.privateKey)) as JsonWebKey;
    const { alg: _, key_ops: __, ...bare } = jwk;
    const kind = { ...(key.privateKey.algorithm as { name: string }), name: algorithm.name, hash };
    const other = await crypto.subtle.importKey("jwk", bare, kind, false, ["sign"]);
    const body = claimsOf({ ...forge, key }, { iss: forge.issuers[issuer] });
    return await signedBy({ alg: name, kid: key.kid, typ: "at+jwt" }, body, async (input) => {
      return new Uint8Array(await crypto.subtle.sign(algorithm, other, input));
    });
  };

/** To a key that says what it is for; where it does not, it is for all that its kind can and the list has. */
const misuse = (
  name: Algorithm | "RS384" | "RS512" | "PS384" | "ES512",
  algorithm: SubtleCryptoSignAlgorithm,
  hash: string,
  algorithms: readonly Algorithm[],
): Record<string, Variant> =>
  Object.fromEntries(
    LENIENT.map((issuer) => [
      `an honest signature of ${name}, to a ${issuer} issuer`,
      {
        maker: misused(name, algorithm, hash, issuer),
        algorithms,
        ...(issuer === "silent" && /^[RP]S/.test(name) ? { reply: "accepted" as const } : {}),
      },
    ]),
  );

const LISTED = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "RS384", "PS512"] as const;
const RSA: readonly Algorithm[] = ["RS256", "PS256"];
const EC: readonly Algorithm[] = ["ES256", "ES384"];

export const J4: Row = {
  id: "J4",
  attack: "an algorithm that is not the key's",
  reply: "invalid_token",
  algorithms: ALL,
  variants: {
    ...Object.fromEntries(
      LISTED.flatMap((alg) =>
        LENIENT.map((issuer) => [
          `${alg} in name only, to a ${issuer} issuer`,
          { maker: renamed(alg, issuer), algorithms: ALL.filter((own) => own !== alg) },
        ]),
      ),
    ),
    "its own in lower case": header(({ alg }) => ({ alg: alg.toLowerCase() })),
    "its own with a blank": header(({ alg }) => ({ alg: `${alg} ` })),
    "its own in a list": header(({ alg }) => ({ alg: [alg] })),
    ...misuse("PS256", { name: "RSA-PSS", saltLength: 32 }, "SHA-256", ["RS256"]),
    ...misuse("PS384", { name: "RSA-PSS", saltLength: 48 }, "SHA-384", RSA),
    ...misuse("RS256", { name: "RSASSA-PKCS1-v1_5" }, "SHA-256", ["PS256"]),
    ...misuse("RS384", { name: "RSASSA-PKCS1-v1_5" }, "SHA-384", RSA),
    ...misuse("RS512", { name: "RSASSA-PKCS1-v1_5" }, "SHA-512", RSA),
    ...misuse("ES256", { name: "ECDSA", hash: "SHA-256" }, "SHA-256", ["ES384"]),
    ...misuse("ES384", { name: "ECDSA", hash: "SHA-384" }, "SHA-384", ["ES256"]),
    ...misuse("ES512", { name: "ECDSA", hash: "SHA-512" }, "SHA-512", EC),
  },
};

const UNLISTED = [
  ...["ES256K", "ES512", "Ed448", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "SLH-DSA-SHA2-128s"],
  ...["HS256", "HS384", "HS512", "RS1", "RSA1_5", "dir", "A256GCMKW", "ESB256", "__proto__"],
];

export const J38: Row = {
  id: "J38",
  attack: "an algorithm that is on nobody's list",
  reply: "invalid_token",
  algorithms: ALL,
  variants: {
    ...each(UNLISTED, String, (alg) => header({ alg })),
    ...each(
      UNLISTED,
      (alg) => `${alg}, to an issuer that lists all there are`,
      (alg) => header({ alg }, toIssuer("liberal")),
    ),
    ...each(
      ["RS384", "RS512", "PS384", "PS512"],
      (alg) => `${alg}, for which the issuer has not asked`,
      (alg) => header({ alg }),
    ),
    "Ed25519, for which the issuer has not asked": {
      maker: header({ alg: "Ed25519" }),
      algorithms: ALL.filter((alg) => alg !== "EdDSA"),
    },
    "Ed25519, which is EdDSA by its newer name": {
      ...accepted(header({ alg: "Ed25519" })),
      algorithms: ["EdDSA"],
    },
    "ES256K of an attacker's": byStranger(({ key }) => ({ alg: "ES256K", kid: key.kid })),
    "one that is no text": header({ alg: 256 }),
    "one that is an object": header({ alg: { name: "ECDSA", hash: "SHA-256" } }),
  },
};
