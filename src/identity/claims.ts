// A verified payload → the caller. Every claim is checked before it is used; none is trusted by shape.
import * as z from "zod";
import { type Issuer, TENANT_ID } from "../config/schema.ts";
import { Refusal } from "../failure.ts";
import type { Target } from "../upstreams/upstream.ts";
import { invalidToken } from "./token.ts";

/** Clocks differ: a token is taken this long after its end and before its beginning. */
export const SKEW_SECONDS = 60;
const MAX_LIFETIME_SECONDS = 24 * 60 * 60;
const MAX_AUDIENCES = 16;
const MAX_SCOPES = 256;
const MAX_GRANTS = 64;

/** What a token grants by itself: one run, or every run of a thread (RFC 9396, `run_cancel`). */
export interface Grant {
  readonly threadId: string;
  readonly runId: string | null;
}

/** Who is asking. Only `authenticate` makes one. */
export interface Caller {
  readonly issuer: string;
  readonly subject: string;
  readonly tenant: string;
  readonly scopes: ReadonlySet<string>;
  readonly grants: readonly Grant[];
  readonly clientId: string | null;
  readonly tokenId: string | null;
}

/** C0, C1 and bidirectional controls have no place in a name that people will read in a log. */
const CONTROLS = /[\p{Cc}\p{Bidi_Control}]/u;
const Name = z
  .string()
  .min(1)
  .max(255)
  .refine((name) => name.isWellFormed() && !CONTROLS.test(name));
/** Finite by zod's own rule, so an `exp` of 1e400 is none. */
const Instant = z.number();

const Claims = z.object({
  sub: Name,
  aud: z.union([z.string(), z.array(z.string()).max(MAX_AUDIENCES)]),
  exp: Instant,
  iat: Instant.optional(),
  nbf: Instant.optional(),
});

const GrantDetail = z.object({
  type: z.literal("run_cancel"),
  thread_id: z.string(),
  run_id: z.string().optional(),
});

/**
 * Throws `invalid_token` for a claim that is missing or no good, `tenant_not_allowed` when the token
 * names a tenant that its issuer may not speak for.
 */
export function readClaims(
  payload: Readonly<Record<string, unknown>>,
  issuer: Issuer,
  nowSeconds: number,
): Caller {
  const parsed = Claims.safeParse(payload);
  if (!parsed.success) throw invalidToken(String(parsed.error.issues[0]?.path[0] ?? "claims"));
  const { sub, exp, iat } = parsed.data;
  // jose has compared exp, nbf and aud; these are the bounds that it leaves to its caller.
  if (exp > nowSeconds + MAX_LIFETIME_SECONDS + SKEW_SECONDS)
    throw invalidToken("exp too far away");
  if (iat !== undefined && iat > nowSeconds + SKEW_SECONDS) throw invalidToken("iat in the future");
  return {
    issuer: issuer.issuer,
    subject: sub,
    tenant: tenantOf(payload, issuer),
    scopes: scopesOf(payload[issuer.scopes_claim]),
    grants: grantsOf(payload["authorization_details"]),
    clientId: nameOrNull(payload["client_id"] ?? payload["azp"]),
    tokenId: nameOrNull(payload["jti"]),
  };
}

/** The verified issuer chooses the tenant: a fixed one, or one of its own list. */
function tenantOf(payload: Readonly<Record<string, unknown>>, { tenant }: Issuer): string {
  if ("fixed" in tenant) return tenant.fixed;
  const named = payload[tenant.claim];
  if (typeof named !== "string" || !TENANT_ID.test(named)) {
    throw new Refusal("tenant_not_allowed", { detail: `claim ${tenant.claim} names no tenant` });
  }
  if (!tenant.allow.includes(named)) {
    throw new Refusal("tenant_not_allowed", { detail: "not on the issuer's list" });
  }
  return named;
}

/** A space-separated string (RFC 8693 §4.2), or the array that some providers send. */
function scopesOf(value: unknown): ReadonlySet<string> {
  const list: unknown[] =
    typeof value === "string" ? value.split(" ") : Array.isArray(value) ? value : [];
  const scopes = list.filter((scope) => typeof scope === "string").filter((scope) => scope !== "");
  return new Set(scopes.slice(0, MAX_SCOPES));
}

/** Details of other types, or malformed ones, grant nothing; they spoil nothing either. */
function grantsOf(value: unknown): Grant[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, MAX_GRANTS).flatMap((detail: unknown) => {
    const parsed = GrantDetail.safeParse(detail);
    if (!parsed.success) return [];
    return [{ threadId: parsed.data.thread_id, runId: parsed.data.run_id ?? null }];
  });
}

export function isGranted(grants: readonly Grant[], { threadId, runId }: Target): boolean {
  return grants.some(
    (grant) => grant.threadId === threadId && (grant.runId === null || grant.runId === runId),
  );
}

function nameOrNull(value: unknown): string | null {
  const name = Name.safeParse(value);
  return name.success ? name.data : null;
}
