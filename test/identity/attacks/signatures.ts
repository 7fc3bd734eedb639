// J15 and J16: signatures that no key made, and second ones that some key might as well have made.
import type { Algorithm } from "../../../dev/issuer.ts";
import { base64url, compactToken } from "../../support/tokens.ts";
import {
  ALL,
  accepted,
  claimsOf,
  type Forge,
  goodToken,
  type Maker,
  NOW,
  REVOKED,
  type Row,
  type Variant,
} from "./forge.ts";

const RSA: readonly Algorithm[] = ["RS256", "PS256"];
const EC: readonly Algorithm[] = ["ES256", "ES384"];
const EDWARDS: readonly Algorithm[] = ["EdDSA"];

const P256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const P384 = BigInt(
  "0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
);
/** The orders of the groups: how many different numbers a signature can be made of. */
const orderOf = ({ alg }: Forge): bigint => (alg === "ES256" ? P256 : P384);
const ED25519 = 2n ** 252n + 27742317777372353535851937790883648493n;

const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
const bytesOf = (number: bigint, length: number): Uint8Array =>
  Buffer.from(number.toString(16).padStart(length * 2, "0"), "hex");
const join = (...parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);
const zeros = (length: number): Uint8Array => new Uint8Array(length);

type Resign = (signature: Uint8Array, forge: Forge) => Uint8Array;

/** The token under another signature, made of its own. */
function resigned(token: string, resign: Resign, forge: Forge): string {
  const dot = token.lastIndexOf(".");
  const signature = Buffer.from(token.slice(dot + 1), "base64url");
  return `${token.slice(0, dot)}.${base64url(resign(signature, forge))}`;
}

const signature =
  (resign: Resign): Maker =>
  async (forge) =>
    resigned(await goodToken(forge), resign, forge);

const of = (
  algorithms: readonly Algorithm[],
  makers: Record<string, Resign>,
): Record<string, Variant> =>
  Object.fromEntries(
    Object.entries(makers).map(([name, resign]) => [
      name,
      { maker: signature(resign), algorithms },
    ]),
  );

/** From the pair of numbers that an ECDSA signature is, and the order of their group. */
const pair =
  (change: (r: bigint, s: bigint, n: bigint) => readonly [bigint, bigint]): Resign =>
  (bytes, forge) => {
    const width = bytes.byteLength / 2;
    const [r, s] = change(
      numberOf(bytes.subarray(0, width)),
      numberOf(bytes.subarray(width)),
      orderOf(forge),
    );
    return join(bytesOf(r, width), bytesOf(s, width));
  };

/** X.690: an INTEGER is signed, so a high first bit takes a zero before it. */
function derInteger(bytes: Uint8Array): Uint8Array {
  const [first = 0] = bytes;
  const body = first > 0x7f ? join(zeros(1), bytes) : bytes;
  return join(new Uint8Array([2, body.byteLength]), body);
}

const der: Resign = (bytes) => {
  const width = bytes.byteLength / 2;
  const body = join(derInteger(bytes.subarray(0, width)), derInteger(bytes.subarray(width)));
  return join(new Uint8Array([0x30, body.byteLength]), body);
};

const rsa =
  (change: (s: bigint, n: bigint) => bigint, more = 0): Resign =>
  (bytes, { key }) => {
    const n = numberOf(Buffer.from(key.publicJwk.n ?? "", "base64url"));
    return bytesOf(change(numberOf(bytes), n), bytes.byteLength + more);
  };

const littleEndian = (number: bigint): Uint8Array => bytesOf(number, 32).toReversed();

/** From the point and the number that an EdDSA signature is. */
const edwards =
  (change: (point: Uint8Array, s: bigint) => readonly [Uint8Array, bigint]): Resign =>
  (bytes) => {
    const s = numberOf(Uint8Array.from(bytes.subarray(32)).toReversed());
    const [point, number] = change(bytes.subarray(0, 32), s);
    return join(point, littleEndian(number));
  };

/** The point that adds nothing, and another of small order. */
const IDENTITY = littleEndian(1n);
const SMALL = zeros(32);

export const J15: Row = {
  id: "J15",
  attack: "a signature that no key made",
  reply: "invalid_token",
  algorithms: ALL,
  variants: {
    ...of(ALL, {
      "all zeros": (bytes) => zeros(bytes.byteLength),
      "all ones": (bytes) => zeros(bytes.byteLength).fill(0xff),
      "one byte": () => zeros(1),
      "its last byte left out": (bytes) => bytes.subarray(0, -1),
      "its first half": (bytes) => bytes.subarray(0, bytes.byteLength / 2),
      "a zero before it": (bytes) => join(zeros(1), bytes),
      "a zero after it": (bytes) => join(bytes, zeros(1)),
      "itself twice": (bytes) => join(bytes, bytes),
      "one bit of it flipped": (bytes) => bytes.with(0, (bytes[0] ?? 0) ^ 1),
      "one bit at its end flipped": (bytes) => bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1),
    }),
    ...of(EC, {
      "(0, 0)": pair(() => [0n, 0n]),
      "r = 0": pair((_, s) => [0n, s]),
      "s = 0": pair((r) => [r, 0n]),
      "(0, 1)": pair(() => [0n, 1n]),
      "(1, 0)": pair(() => [1n, 0n]),
      "(1, 1)": pair(() => [1n, 1n]),
      "(n, n)": pair((_r, _s, n) => [n, n]),
      "r = n": pair((_, s, n) => [n, s]),
      "s = n": pair((r, _, n) => [r, n]),
      "r = n + 1": pair((_, s, n) => [n + 1n, s]),
      "s = n + 1": pair((r, _, n) => [r, n + 1n]),
      "r = n - 1": pair((_, s, n) => [n - 1n, s]),
      "s = n - 1": pair((r, _, n) => [r, n - 1n]),
      "(n - 1, n - 1)": pair((_r, _s, n) => [n - 1n, n - 1n]),
      "r and s changed about": pair((r, s) => [s, r]),
      "r turned over": pair((r, s, n) => [n - r, s]),
      DER: der,
      "DER, filled up": (bytes, forge) => join(der(bytes, forge), zeros(bytes.byteLength)),
      "a zero before each half": (bytes) => {
        const width = bytes.byteLength / 2;
        return join(zeros(1), bytes.subarray(0, width), zeros(1), bytes.subarray(width));
      },
    }),
    ...of(RSA, {
      "0": rsa(() => 0n),
      "1": rsa(() => 1n),
      n: rsa((_, n) => n),
      "n - 1": rsa((_, n) => n - 1n),
      "n + 1": rsa((_, n) => n + 1n),
      "the padding itself": (bytes) =>
        join(new Uint8Array([0, 1]), zeros(bytes.byteLength - 3).fill(0xff), zeros(1)),
    }),
    ...of(EDWARDS, {
      "the point that adds nothing, and 0": edwards(() => [IDENTITY, 0n]),
      "a point of small order, and 0": edwards(() => [SMALL, 0n]),
      "its own point, and 0": edwards((point) => [point, 0n]),
      "its own point, and the group's order": edwards((point) => [point, ED25519]),
      "the point that adds nothing, and its own number": edwards((_, s) => [IDENTITY, s]),
      "its own point turned over": edwards((point, s) => [
        point.with(31, (point[31] ?? 0) ^ 0x80),
        s,
      ]),
    }),
  },
};

/** The twin of a valid ECDSA signature, and as valid: (r, n - s). */
const twin: Resign = pair((r, s, n) => [r, n - s]);

export const twinOfToken = (token: string, forge: Forge): string => resigned(token, twin, forge);

/** The twin of what the issuer signed with these claims. */
const twinOf =
  (over: Record<string, unknown>, signer: "key" | "stranger" = "key"): Maker =>
  async (forge) => {
    const key = { ...forge[signer], kid: forge.key.kid };
    return twinOfToken(await compactToken(key, claimsOf(forge, over)), forge);
  };

export const J16: Row = {
  id: "J16",
  attack: "the second signature that fits, without the key",
  reply: "invalid_token",
  algorithms: ALL,
  variants: {
    "the twin": { ...accepted(signature(twin)), algorithms: EC },
    "the twin's twin": {
      ...accepted(signature((bytes, forge) => twin(twin(bytes, forge), forge))),
      algorithms: EC,
    },
    "the twin of a token that names its id": {
      ...accepted(twinOf({ jti: "token-1" })),
      algorithms: EC,
    },
    "the twin of a revoked token": {
      maker: twinOf({ jti: REVOKED }),
      reply: "revoked",
      algorithms: EC,
    },
    "the twin of a token whose time is over": {
      maker: twinOf({ exp: NOW - 61 }),
      algorithms: EC,
    },
    "the twin of an attacker's": { maker: twinOf({}, "stranger"), algorithms: EC },
    ...of(EC, {
      "the twin, in DER": (bytes, forge) => der(twin(bytes, forge), forge),
      "r turned over too": pair((r, s, n) => [n - r, n - s]),
    }),
    ...of(RSA, {
      "its number turned over": rsa((s, n) => n - s),
      "its number and n, in a byte more": rsa((s, n) => s + n, 1),
      "its number and twice n, in a byte more": rsa((s, n) => s + 2n * n, 1),
      "its number and a hundred times n, in a byte more": rsa((s, n) => s + 100n * n, 1),
      "itself in a byte more": rsa((s) => s, 1),
    }),
    ...of(EDWARDS, {
      "its number and the order": edwards((point, s) => [point, s + ED25519]),
      "its number and twice the order": edwards((point, s) => [point, s + 2n * ED25519]),
      "its number and seven times the order": edwards((point, s) => [point, s + 7n * ED25519]),
      "its number taken from the order": edwards((point, s) => [point, ED25519 - s]),
      "its number and a high bit": edwards((point, s) => [point, s + 2n ** 255n]),
    }),
  },
};
