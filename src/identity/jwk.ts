// One published key: whether it may be used, for which algorithm, and whether it is so wrong that its
// whole document is refused. Pure; RFC 7517, and the key hygiene of RFC 8725 §3.5.
import * as z from "zod";

/** Asymmetric ones only: a key that verifies must not be able to sign. */
export const ALGORITHMS = [
  ...(["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"] as const),
  ...(["RS384", "RS512", "PS384", "PS512"] as const),
] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

export const PublishedKey = z.looseObject({
  kty: z.string(),
  kid: z.string().optional(),
  use: z.string().optional(),
  key_ops: z.array(z.string()).optional(),
  alg: z.string().optional(),
  crv: z.string().optional(),
  n: z.string().optional(),
  e: z.string().optional(),
  x: z.string().optional(),
  y: z.string().optional(),
});
export type PublishedKey = z.infer<typeof PublishedKey>;

const RSA_MIN_BITS = 2_048;
const RSA_MAX_BITS = 8_192;
const E_MIN = 65_537n;
/** What BoringSSL takes at most; a larger one buys nothing but the verifier's time. */
const E_MAX = 2n ** 33n;

const BASE64URL = /^[A-Za-z0-9_-]+$/;

/** RFC 7518 §6: what holds the secret half, and what is a secret by itself. */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/** What a key of this kind could be used for; of `EdDSA` and `Ed25519` the older name (RFC 9864). */
function algorithmsOf({ kty, crv }: PublishedKey): readonly Algorithm[] {
  if (kty === "RSA") return ["RS256", "PS256", "RS384", "RS512", "PS384", "PS512"];
  if (kty === "EC" && crv === "P-256") return ["ES256"];
  if (kty === "EC" && crv === "P-384") return ["ES384"];
  if (kty === "OKP" && crv === "Ed25519") return ["EdDSA"];
  return [];
}

/** Two names of one algorithm are one: `Ed25519` says of `EdDSA` which curve it means (RFC 9864 §2.2). */
export function plainAlgorithm(name: string): string {
  return name === "Ed25519" ? "EdDSA" : name;
}

/** False for keys of other uses and kinds: providers publish such beside their signing keys. */
export function isForUs(key: PublishedKey): boolean {
  const { use, key_ops, alg } = key;
  if (use !== undefined && use !== "sig") return false;
  if (key_ops !== undefined && !key_ops.includes("verify")) return false;
  const fitting = algorithmsOf(key);
  return alg === undefined
    ? fitting.length > 0
    : fitting.some((name) => name === plainAlgorithm(alg));
}

/** One key, one algorithm: its own, or else the first on the issuer's list that it fits. */
export function algorithmFor(key: PublishedKey, listed: readonly Algorithm[]): string {
  if (key.alg !== undefined) return plainAlgorithm(key.alg);
  const fitting: readonly string[] = algorithmsOf(key);
  return listed.map(plainAlgorithm).find((name) => fitting.includes(name)) ?? fitting[0] ?? "none";
}

/** Why the whole document must be refused, or null. A provider that publishes such a key is not well. */
export function defectOf(key: PublishedKey): string | null {
  if (key.kty === "oct") return "a secret key: only public keys are wanted";
  if (PRIVATE_MEMBERS.some((name) => Object.hasOwn(key, name))) {
    return "a private key: give its public half only";
  }
  if (!isForUs(key)) return null;
  return key.kty === "RSA" ? rsaDefectOf(key) : curveDefectOf(key);
}

function rsaDefectOf(key: PublishedKey): string | null {
  const n = integerOf(key.n);
  const e = integerOf(key.e);
  if (n === null || e === null) return "an RSA key without n or e";
  const bits = n.toString(2).length;
  if (bits < RSA_MIN_BITS || bits > RSA_MAX_BITS) return `an RSA key of ${bits} bits`;
  if (e < E_MIN || e > E_MAX || e % 2n === 0n) return "an RSA key with an unsafe exponent";
  if (n % 2n === 0n) return "an RSA key with an even modulus";
  return isRoca(n) ? "an RSA key of the ROCA kind (CVE-2017-15361)" : null;
}

/** Bytes of a coordinate (RFC 7518 §6.2.1, RFC 8037 §2). Whether the point is on its curve, the import tells. */
const COORDINATE_BYTES: Readonly<Record<string, number>> = {
  "P-256": 32,
  "P-384": 48,
  Ed25519: 32,
};

function curveDefectOf({ kty, crv = "", x, y }: PublishedKey): string | null {
  const coordinates = kty === "EC" ? [x, y] : [x];
  const whole = coordinates.every(
    (text) =>
      text !== undefined &&
      BASE64URL.test(text) &&
      Buffer.from(text, "base64url").byteLength === COORDINATE_BYTES[crv],
  );
  if (!whole) return `a key on ${crv} without whole coordinates`;
  return crv === "Ed25519" && isOfSmallOrder(x ?? "") ? "an Ed25519 key of small order" : null;
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

/** RFC 7518 §2, Base64urlUInt. Null when it is none, or too long to be worth reading. */
function integerOf(text: string | undefined): bigint | null {
  if (text === undefined || text.length > 2_048 || !BASE64URL.test(text)) return null;
  return BigInt(`0x${Buffer.from(text, "base64url").toString("hex") || "0"}`);
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
