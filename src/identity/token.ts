// The Authorization header → the parts of one JWT, before any key is looked up. No crypto, no I/O.

import { Refusal } from "../failure.ts";
import { parseJson } from "../http/body.ts";

/** Longer tokens are refused unread: the work on one is bounded by this (RFC 8725bis §3). */
const MAX_TOKEN_BYTES = 8 * 1024;
/** Deeper than any provider's claims, and no danger to what walks through them later. */
const MAX_DEPTH = 16;
const BASE64URL = /^[A-Za-z0-9_-]+$/;

export interface TokenParts {
  /** The token as it came, for verification only: never a key, never logged. */
  readonly compact: string;
  readonly header: {
    readonly alg: string;
    readonly kid: string | undefined;
    readonly typ: string | undefined;
  };
  /** The issuer the token claims. Not verified: it only selects whose keys to try. */
  readonly claimedIssuer: string;
}

export function invalidToken(detail: string): Refusal {
  return new Refusal("invalid_token", { detail });
}

/** The one bearer token of the request. Tokens anywhere else are ignored (RFC 6750 §2.1). */
export function readBearer(authorization: string | undefined): string {
  if (authorization === undefined || authorization === "") {
    throw new Refusal("missing_token", { detail: "no Authorization header" });
  }
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
  if (token.length > MAX_TOKEN_BYTES) throw invalidToken("longer than 8 KiB");
  return token;
}

/** Checks the shape of a compact JWS and reads its header and `iss`. Throws `invalid_token`. */
export function readToken(compact: string): TokenParts {
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
  if (decode(signature) === undefined) throw invalidToken("the signature is not base64url");
  const members = readObject(header, "header");
  for (const name of ["crit", "b64", "cty", "zip", "enc"]) {
    if (Object.hasOwn(members, name)) throw invalidToken(`header member ${name}`);
  }
  const { alg, kid, typ } = members;
  if (typeof alg !== "string") throw invalidToken("alg");
  if (kid !== undefined && (typeof kid !== "string" || kid.length > 256)) throw invalidToken("kid");
  if (typ !== undefined && typeof typ !== "string") throw invalidToken("typ");
  const { iss } = readObject(payload, "payload");
  if (typeof iss !== "string") throw invalidToken("iss");
  return { compact, header: { alg, kid, typ }, claimedIssuer: iss };
}

function readObject(part: string, name: string): Record<string, unknown> {
  const bytes = decode(part);
  if (bytes === undefined) throw invalidToken(`the ${name} is not base64url`);
  const value = parseJson(bytes);
  if (value === undefined) throw invalidToken(`the ${name} is not JSON`);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidToken(`the ${name} is not an object`);
  }
  if (membersWritten(bytes.toString("utf8")) !== membersOf(value, 0)) {
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
function decode(part: string): Buffer | undefined {
  if (!BASE64URL.test(part)) return undefined;
  const bytes = Buffer.from(part, "base64url");
  return bytes.toString("base64url") === part ? bytes : undefined;
}
