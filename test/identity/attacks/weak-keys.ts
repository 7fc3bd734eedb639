// Keys that nobody should trust, made by hand: small, even, of a bad exponent, of the ROCA kind.
import { createHash } from "node:crypto";
import type { Json } from "../../support/harness.ts";

const bytesOf = (number: bigint): Buffer => {
  const hex = number.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
};
export const uint = (number: bigint): string => bytesOf(number).toString("base64url");

/** An RSA key of this modulus, as it would be published. */
export const rsaKey = (kid: string, n: bigint, e = 65_537n): Json => ({
  ...{ kty: "RSA", alg: "RS256", use: "sig", kid },
  ...{ n: uint(n), e: uint(e) },
});

/** Fair as far as anybody can see who does not factor it: odd, and of exactly so many bits. */
export function oddNumber(bits: number): bigint {
  const bytes = crypto.getRandomValues(new Uint8Array(Math.ceil(bits / 8)));
  const random = BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  const top = 1n << BigInt(bits - 1);
  return (random % top) | top | 1n;
}

function primes(count: number): bigint[] {
  const found: bigint[] = [];
  for (let next = 2n; found.length < count; next += 1n) {
    if (found.every((prime) => next % prime !== 0n)) found.push(next);
  }
  return found;
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let [result, square] = [1n, base % modulus];
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

/**
 * A modulus as Infineon's library made them (CVE-2017-15361): a power of 65537 modulo the product of
 * the first primes, of which there were the more, the longer the key.
 */
export function rocaModulus(bits: number, exponent: bigint): bigint {
  const product = primes(bits < 3_968 ? 126 : 225).reduce((whole, prime) => whole * prime, 1n);
  const top = 1n << BigInt(bits - 1);
  const times = top / product + 1n + (exponent % 1_000_003n);
  return product * times + power(65_537n, exponent, product);
}

/** PKCS #1 v1.5 over SHA-256: to whoever has e = 1, the padded hash is the signature. */
export function paddedHash(input: Uint8Array, length: number): Uint8Array {
  const prefix = Buffer.from("3031300d060960864801650304020105000420", "hex");
  const hash = createHash("sha256").update(input).digest();
  const filling = Buffer.alloc(length - 3 - prefix.byteLength - hash.byteLength, 0xff);
  return Buffer.concat([Buffer.from([0, 1]), filling, Buffer.from([0]), prefix, hash]);
}
