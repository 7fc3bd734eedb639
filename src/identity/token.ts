// The request's token → its parts, before any key is looked up. No crypto, no I/O, bounded work.

import { Refusal } from "../failure.ts";
import { parseJson } from "../http/body.ts";
import { type KeyHint, readThumbprint } from "./key-set.ts";

/** Longer tokens are refused unread: the work on one is bounded by this (RFC 8725bis §3). */
const MAX_TOKEN_BYTES = 16 * 1024;
/** A JOSE header names a key and a type; one that needs more is an attack on its reader. */
const MAX_HEADER_BYTES = 1_024;
const MAX_HEADER_MEMBERS = 32;
const MAX_KID_BYTES = 256;
/** Deeper than any provider's claims, and no danger to what walks through them later. */
const MAX_DEPTH = 16;
const BASE64URL = /^[A-Za-z0-9_-]*$/;

/** A compact JWS (RFC 7515 §7.1) of the one shape that this gateway reads. Nothing in it is verified. */
export interface Jws {
  /** The token as it came, for verification only: never a key, never logged. */
  readonly compact: string;
  readonly header: KeyHint & {
    readonly alg: string;
    readonly typ: string | undefined;
  };
  readonly payload: Uint8Array;
}

export interface Jwt extends Jws {
  /** What the token claims. Not verified: it only selects whose keys to try. */
  readonly claimed: Readonly<Record<string, unknown>> & { readonly iss: string };
}

export function invalidToken(detail: string): Refusal {
  return new Refusal("invalid_token", { detail });
}

/** The one bearer token of an Authorization header. Throws `invalid_request`, `invalid_token`. */
export function readBearer(authorization: string): string {
  // The runtime joins repeated headers with a comma, which no token has.
  if (authorization.includes(",")) {
    throw new Refusal("invalid_request", {
      words: "Send exactly one Authorization header.",
      detail: "more than one Authorization header",
    });
  }
  const [, scheme, token] = /^([A-Za-z]+) (\S+)$/.exec(authorization) ?? [];
  if (scheme?.toLowerCase() !== "bearer" || token === undefined) {
    throw invalidToken("not a bearer token");
  }
  return token;
}

/** Checks the shape of a JWT and reads its header and `iss`. Throws `invalid_token`. */
export function readJwt(compact: string): Jwt {
  const jws = readJws(compact);
  const claimed = readObject(jws.payload, "payload");
  const { iss } = claimed;
  if (typeof iss !== "string") throw invalidToken("claim iss: not a string");
  return { ...jws, claimed: { ...claimed, iss } };
}

/** Checks the shape of a compact JWS and reads its header, whatever it carries. Throws `invalid_token`. */
export function readJws(compact: string): Jws {
  if (compact.length > MAX_TOKEN_BYTES) throw invalidToken("longer than 16 KiB");
  const parts = compact.split(".", 4);
  const [header, payload, signature] = parts;
  if (
    header === undefined ||
    payload === undefined ||
    signature === undefined ||
    parts[3] !== undefined
  ) {
    throw invalidToken("not three parts");
  }
  if (signature === "") throw invalidToken("not signed");
  decode(signature, "signature");
  return { compact, header: readHeader(header), payload: decode(payload, "payload") };
}

function readHeader(part: string): Jws["header"] {
  const bytes = decode(part, "header");
  if (bytes.byteLength > MAX_HEADER_BYTES) throw invalidToken("the header is over 1 KiB");
  const members = readObject(bytes, "header");
  if (Object.keys(members).length > MAX_HEADER_MEMBERS) {
    throw invalidToken("the header has over 32 members");
  }
  for (const name of ["crit", "b64", "cty", "zip", "enc"]) {
    if (Object.hasOwn(members, name)) throw invalidToken(`header ${name}: not taken`);
  }
  const { alg, typ } = members;
  if (typeof alg !== "string") throw invalidToken("header alg: not a string");
  if (typ !== undefined && typeof typ !== "string") throw invalidToken("header typ: not a string");
  return {
    alg,
    typ,
    kid: readKid(members["kid"]),
    // Only compared with what the issuer publishes; nothing is looked up by it.
    x5t: readThumbprint(members["x5t"]),
    x5tS256: readThumbprint(members["x5t#S256"]),
  };
}

/** An empty one, or null, names no key: some servers write the member all the same. */
function readKid(kid: unknown): string | undefined {
  if (kid === undefined || kid === null || kid === "") return undefined;
  if (typeof kid === "string" && Buffer.byteLength(kid) <= MAX_KID_BYTES) return kid;
  throw invalidToken(`header kid: not a string of 1-${MAX_KID_BYTES} bytes`);
}

/** The claims of a payload that has been verified. Throws `invalid_token`. */
export function readPayload(payload: Uint8Array): Readonly<Record<string, unknown>> {
  return readObject(payload, "payload");
}

function readObject(bytes: Uint8Array, name: string): Record<string, unknown> {
  const value = parseJson(bytes);
  if (value === undefined) throw invalidToken(`the ${name} is not JSON`);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidToken(`the ${name} is not an object`);
  }
  if (membersWritten(new TextDecoder().decode(bytes)) !== membersOf(value, 0)) {
    throw invalidToken(`the ${name} has a member twice`);
  }
  return value as Record<string, unknown>;
}

/** As the text has them. JSON.parse keeps the last of two, another reader the first (RFC 7519 §4). */
function membersWritten(json: string): number {
  const strings = json.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g);
  return [...strings].filter(([, colon]) => colon !== undefined).length;
}

function membersOf(value: unknown, depth: number): number {
  if (typeof value !== "object" || value === null) return 0;
  if (depth === MAX_DEPTH) throw invalidToken("nested too deeply");
  const held: unknown[] = Object.values(value);
  const own = Array.isArray(value) ? 0 : held.length;
  return held.reduce<number>((sum, inner) => sum + membersOf(inner, depth + 1), own);
}

/** Canonical base64url only: one token has one spelling (RFC 7515 §2, RFC 4648 §3.5). */
function decode(part: string, name: string): Buffer {
  const bytes = BASE64URL.test(part) ? Buffer.from(part, "base64url") : undefined;
  if (bytes?.toString("base64url") !== part) throw invalidToken(`the ${name} is not base64url`);
  return bytes;
}
