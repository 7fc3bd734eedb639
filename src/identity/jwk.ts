// One entry of a key document: usable, and for what; or for something else; or unusable, and why. An
// unusable key is as good as not published. Pure; RFC 7517, and the key hygiene of RFC 8725 §3.5.
import * as z from "zod";

/** Asymmetric ones only: a key that verifies must not be able to sign. */
export const ALGORITHMS = [
  ...(["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"] as const),
  ...(["RS384", "RS512", "PS384", "PS512", "ES512"] as const),
] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** A usable key as a JWK. Members that are not named here stay as they were published. */
export interface PublicKey {
  readonly kty: string;
  readonly crv?: string;
  readonly n?: string;
  readonly e?: string;
  readonly x?: string;
  readonly y?: string;
  readonly kid?: string;
  readonly alg?: string;
}

/** Providers publish keys of other uses beside their signing keys; those are no defect. */
export type Judged =
  | { readonly verdict: "usable"; readonly key: PublicKey }
  | { readonly verdict: "for something else"; readonly reason: string }
  | { readonly verdict: "unusable"; readonly reason: string };

const RSA_MIN_BITS = 2_048;
const RSA_MAX_BITS = 8_192;
const E_MIN = 65_537n;
/** What BoringSSL takes at most; a larger one buys nothing but the verifier's time. */
const E_MAX = 2n ** 33n;

/** RFC 7518 §2 wants neither padding nor the letters `+` and `/`; some providers publish them. */
const BASE64 = /^[A-Za-z0-9_+/-]+={0,2}$/;
/** Far more than any number or coordinate of a key takes: longer ones are not read. */
const MAX_TEXT = 2_048;

/** RFC 7518 §6: what holds the secret half, and what is a secret by itself. */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

const Entry = z.record(z.string(), z.unknown());
/** What an entry says of itself. Its numbers are read by the judge of its kind. */
const About = z.looseObject({
  kty: z.string(),
  crv: z.string().optional(),
  kid: z.string().optional(),
  use: z.string().optional(),
  key_ops: z.array(z.unknown()).optional(),
  alg: z.string().optional(),
});
type About = z.infer<typeof About>;

/**
 * Judges one entry of a document's `keys`. A reason is in words for the log, which hold nothing of the
 * entry.
 */
export function judgeKey(entry: unknown): Judged {
  const members = Entry.safeParse(entry);
  if (!members.success) return unusable("an entry that is no object");
  const said = withoutUnset(members.data);
  if (said["kty"] === "oct") return unusable("a secret key: only public keys are wanted");
  if (PRIVATE_MEMBERS.some((name) => Object.hasOwn(said, name))) {
    return unusable("a private key: give its public half only");
  }
  const parsed = About.safeParse(said);
  if (!parsed.success) {
    return unusable(
      `a key whose ${String(parsed.error.issues[0]?.path[0])} is missing or malformed`,
    );
  }
  const about = parsed.data;
  const purpose = otherPurposeOf(about);
  if (purpose !== null) return { verdict: "for something else", reason: purpose };
  return about.kty === "RSA" ? judgeRsa(about) : judgeCurve(about);
}

function unusable(reason: string): Judged {
  return { verdict: "unusable", reason };
}

/**
 * What an entry says. Libraries write members that nobody has set all the same: as null, as an empty list
 * (`"key_ops": [], "oth": []` of Microsoft.IdentityModel) or one of nulls, and names as an empty text.
 */
function withoutUnset(entry: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const isUnset = ([name, value]: readonly [string, unknown]): boolean =>
    value === null ||
    (Array.isArray(value) && value.every((each) => each === null)) ||
    (["kid", "use", "alg"].includes(name) && value === "");
  return Object.fromEntries(Object.entries(entry).filter((member) => !isUnset(member)));
}

interface Kind {
  readonly kty: string;
  readonly crv?: string | undefined;
  readonly alg?: string | undefined;
}

/** What a key of this kind can be used for; of `EdDSA` and `Ed25519` the older name (RFC 9864). */
function algorithmsOfKind({ kty, crv }: Kind): readonly Algorithm[] {
  if (kty === "RSA") return ["RS256", "PS256", "RS384", "PS384", "RS512", "PS512"];
  if (kty === "EC" && crv === "P-256") return ["ES256"];
  if (kty === "EC" && crv === "P-384") return ["ES384"];
  if (kty === "EC" && crv === "P-521") return ["ES512"];
  if (kty === "OKP" && crv === "Ed25519") return ["EdDSA"];
  return [];
}

/** Two names of one algorithm are one: `Ed25519` says of `EdDSA` which curve it means (RFC 9864 §2.2). */
export function plainAlgorithm(name: string): string {
  return name === "Ed25519" ? "EdDSA" : name;
}

/** What a key verifies, in plain names: its own `alg` and nothing else, or else all that its kind can. */
export function algorithmsOf(key: Kind): readonly string[] {
  const { alg } = key;
  const fitting: readonly string[] = algorithmsOfKind(key);
  if (alg === undefined) return fitting;
  return fitting.filter((name) => name === plainAlgorithm(alg));
}

/** Null when it is for the signatures of tokens. */
function otherPurposeOf(about: About): string | null {
  const { use, key_ops } = about;
  if (use !== undefined && use.toLowerCase() !== "sig") return "a key whose use is not sig";
  if (key_ops !== undefined && !key_ops.includes("verify")) {
    return "a key whose key_ops lack verify";
  }
  return algorithmsOf(about).length > 0 ? null : "a key for no algorithm that is taken";
}

function judgeRsa(about: About): Judged {
  const n = integerOf(about["n"]);
  const e = integerOf(about["e"]);
  if (n === null || e === null) return unusable("an RSA key without n or e");
  const bits = n.toString(2).length;
  if (bits < RSA_MIN_BITS || bits > RSA_MAX_BITS) return unusable(`an RSA key of ${bits} bits`);
  if (e < E_MIN || e > E_MAX || e % 2n === 0n) {
    return unusable("an RSA key with an unsafe exponent");
  }
  if (n % 2n === 0n) return unusable("an RSA key with an even modulus");
  if (isRoca(n)) return unusable("an RSA key of the ROCA kind (CVE-2017-15361)");
  return usable(about, { n: textOf(n), e: textOf(e) });
}

function usable(about: About, numbers: Partial<PublicKey>): Judged {
  return { verdict: "usable", key: { ...about, ...numbers } as PublicKey };
}

/** Bytes of a coordinate (RFC 7518 §6.2.1, RFC 8037 §2). Whether the point is on its curve, the import tells. */
const COORDINATE_BYTES: Readonly<Record<string, number>> = {
  "P-256": 32,
  "P-384": 48,
  "P-521": 66,
  Ed25519: 32,
};

function judgeCurve(about: About): Judged {
  const { kty, crv = "" } = about;
  const [x, y] = [about["x"], about["y"]].map((text) => coordinateOf(text, crv));
  if (x === null || x === undefined || (kty === "EC" && (y === null || y === undefined))) {
    return unusable(`a key on ${crv} without whole coordinates`);
  }
  if (crv === "Ed25519" && isOfSmallOrder(x)) return unusable("an Ed25519 key of small order");
  return usable(about, { x, ...(kty === "EC" && y ? { y } : {}) });
}

/** In base64url, or null when it is none: every coordinate is written in full (RFC 7518 §6.2.1.2). */
function coordinateOf(text: unknown, crv: string): string | null {
  if (typeof text !== "string" || text.length > MAX_TEXT || !BASE64.test(text)) return null;
  const bytes = Buffer.from(text, "base64url");
  return bytes.byteLength === COORDINATE_BYTES[crv] ? bytes.toString("base64url") : null;
}

/**
 * The y coordinates of the points whose order divides eight, as 255 bits little-endian, and the two that
 * stand for the same ones beyond the field. Signatures under them are true of almost any message
 * (RFC 8032 §5.1.3 decodes them all).
 */
const SMALL_ORDER = new Set([
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  ...["ec", "ed", "ee"].map((low) => `${low}${"ff".repeat(30)}7f`),
]);

function isOfSmallOrder(x: string): boolean {
  const point = Buffer.from(x, "base64url");
  // The highest bit is the sign of the other coordinate.
  point.writeUInt8(point.readUInt8(31) & 0x7f, 31);
  return SMALL_ORDER.has(point.toString("hex"));
}

/** RFC 7518 §2, Base64urlUInt, with or without zeros before it. Null when it is none, or too long. */
function integerOf(text: unknown): bigint | null {
  if (typeof text !== "string" || text.length > MAX_TEXT || !BASE64.test(text)) return null;
  return BigInt(`0x${Buffer.from(text, "base64url").toString("hex") || "0"}`);
}

/** The one spelling of a number: no zero before it, no padding. */
function textOf(number: bigint): string {
  const hex = number.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex").toString("base64url");
}

/**
 * The primes of such a key are powers of 65537 modulo a product of small primes, so its modulus is
 * one too; modulo each of these few a fair one is so only now and then, by all of them hardly ever.
 */
const ROCA_PRIMES = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
const ROCA_POWERS = ROCA_PRIMES.map((prime) => ({ prime: BigInt(prime), powers: powersOf(prime) }));

function powersOf(prime: number): ReadonlySet<bigint> {
  const powers = new Set<bigint>();
  for (let power = 1; !powers.has(BigInt(power)); power = (power * 65_537) % prime) {
    powers.add(BigInt(power));
  }
  return powers;
}

function isRoca(n: bigint): boolean {
  return ROCA_POWERS.every(({ prime, powers }) => powers.has(n % prime));
}
