// A verified payload → the caller. Every claim is checked before it is used; none is trusted by shape.
import * as z from "zod";
import { valuesOf } from "../config/entries.ts";
import type { TrustedIssuer } from "../config/load.ts";
import type { ClaimPath } from "../config/schema.ts";
import { Refusal } from "../failure.ts";
import type { Target } from "../upstreams/upstream.ts";
import { invalidToken } from "./token.ts";

/** Clocks differ: a token is taken this long after its end and before its beginning. */
const SKEW_SECONDS = 60;
const MAX_AUDIENCES = 64;
const MAX_GRANTS = 64;
/** Where providers write which app got the token: RFC 9068, OpenID Connect, ADFS and Entra ID 1.0, Okta. */
const CLIENT_CLAIMS = ["client_id", "azp", "appid", "cid"];
const UNMET = "not as the issuer's config requires";
/** What OpenID Connect Core §2 and §3.3.2.11 put in ID tokens, which say who somebody is, not what may be done. */
const ID_TOKEN_CLAIMS = ["nonce", "at_hash", "c_hash"];

/**
 * What a token grants by itself: one run, or every run of a thread (RFC 9396, `run_cancel`). One of the
 * two is named; without a thread it is a run that is named alone.
 */
export interface Grant {
  readonly threadId: string | null;
  readonly runId: string | null;
}

/** Who is asking. Only `authenticate` makes one. */
export interface Caller {
  readonly issuer: string;
  readonly subject: string;
  readonly tenant: string;
  /** The config chose the tenant, and not the token. */
  readonly isTenantFixed: boolean;
  readonly scopes: ReadonlySet<string>;
  readonly grants: readonly Grant[];
  readonly clientId: string | null;
  readonly tokenId: string | null;
}

type Payload = Readonly<Record<string, unknown>>;

/** C0, C1 and bidirectional controls have no place in a name that people will read in a log. */
const CONTROLS = /[\p{Cc}\p{Bidi_Control}]/u;
export const Name = z
  .string()
  .min(1)
  .max(255)
  .refine((name) => name.isWellFormed() && !CONTROLS.test(name));
/** Seconds since the epoch. Finite by zod's own rule, so an `exp` of 1e400 is none. */
const Instant = z.number();

const Times = z.object({
  exp: Instant,
  iat: Instant.optional(),
  nbf: Instant.optional(),
});

/** One audience may stand for a list of one (RFC 7519 §4.1.3). */
const Audiences = z.union([z.string().transform((audience) => [audience]), z.array(z.string())]);

/** Strict: a member that is not known here may narrow the grant, and a misspelt one must not widen it. */
const GrantDetail = z.strictObject({
  type: z.literal("run_cancel"),
  // An empty name names nothing: a backend that had no id to write in has granted nothing.
  thread_id: z.string().min(1).optional(),
  run_id: z.string().min(1).optional(),
});

/**
 * The one of an issuer's entries that a token is for: the first whose audience and `claims` it has. An
 * only entry is it unasked, so that what the token lacks is told by name. The payload may be unverified;
 * whoever takes the caller from it has to verify it with that entry's keys.
 * Throws `invalid_token` when the token is for none of several.
 */
export function entryFor(entries: readonly TrustedIssuer[], payload: Payload): TrustedIssuer {
  const [only, ...others] = entries;
  if (only !== undefined && others.length === 0) return only;
  const entry = entries.find((each) => strangeness(payload, each) === null);
  if (entry !== undefined) return entry;
  const why = new Set(entries.map((each) => strangeness(payload, each)));
  throw invalidToken(`for none of its issuer's entries (${[...why].join("; ")})`);
}

/** Why the token is not for this entry, or null. */
function strangeness(payload: Payload, entry: TrustedIssuer): string | null {
  const audience = audienceDefect(payload, entry);
  if (audience !== null) return `claim ${nameOf(entry.audience_claim)}: ${audience}`;
  const unmet = unmetClaim(payload, entry);
  return unmet === null ? null : `claim ${unmet}: ${UNMET}`;
}

/**
 * Throws `invalid_token` for a claim that is missing or no good, `tenant_not_allowed` when the token
 * names a tenant that its issuer may not speak for.
 */
export function readClaims(payload: Payload, issuer: TrustedIssuer, nowSeconds: number): Caller {
  const subject = Name.safeParse(claimAt(payload, issuer.subject_claim));
  if (!subject.success) throw badClaim(issuer.subject_claim, "missing or malformed");
  const times = Times.safeParse(payload);
  if (!times.success) {
    throw badClaim(String(times.error.issues[0]?.path[0]), "missing or malformed");
  }
  if (payload["iss"] !== issuer.issuer) throw badClaim("iss", "not the issuer whose keys fit");
  assertTimes(times.data, issuer, nowSeconds);
  const defect = audienceDefect(payload, issuer);
  if (defect !== null) throw badClaim(issuer.audience_claim, defect);
  assertPurpose(payload, issuer);
  const tokenId = nameOrNull(payload["jti"]);
  // One that cannot be named cannot be revoked.
  if (tokenId === null && Object.hasOwn(payload, "jti")) throw badClaim("jti", "malformed");
  return {
    issuer: issuer.issuer,
    subject: subject.data,
    tenant: tenantOf(payload, issuer),
    isTenantFixed: "fixed" in issuer.tenant,
    scopes: scopesOf(payload, issuer),
    grants: grantsOf(payload["authorization_details"]),
    clientId: clientOf(payload),
    tokenId,
  };
}

/** For the log: the claim by its name, never by its value. */
function badClaim(path: ClaimPath, what: string): Refusal {
  return invalidToken(`claim ${nameOf(path)}: ${what}`);
}

function nameOf(path: ClaimPath): string {
  return typeof path === "string" ? path : path.join(".");
}

/** RFC 7519 §4.1.4–4.1.6, with bounds: a token for ever is a password. */
function assertTimes(
  { exp, nbf, iat }: z.infer<typeof Times>,
  { max_lifetime_hours }: TrustedIssuer,
  now: number,
): void {
  if (exp <= now - SKEW_SECONDS) throw badClaim("exp", "past");
  const begun = Math.min(iat ?? now, now);
  if (exp - begun > max_lifetime_hours * 3_600 + SKEW_SECONDS)
    throw badClaim("exp", "too far away");
  if (nbf !== undefined && nbf > now + SKEW_SECONDS) throw badClaim("nbf", "in the future");
  if (iat !== undefined && iat > now + SKEW_SECONDS) throw badClaim("iat", "in the future");
}

/** Why the token is not for this gateway, or null. */
function audienceDefect(
  payload: Payload,
  { audiences, audience_claim }: TrustedIssuer,
): string | null {
  const named = Audiences.safeParse(claimAt(payload, audience_claim));
  if (!named.success) return "missing or malformed";
  if (named.data.length > MAX_AUDIENCES) return `more than ${MAX_AUDIENCES} audiences`;
  const isOurs = named.data.some((audience) => audiences.includes(audience));
  return isOurs ? null : "no audience of this gateway";
}

/** The first claim that is not as the entry wants it, or null. */
export function unmetClaim(
  payload: Payload,
  { claims }: Pick<TrustedIssuer, "claims">,
): string | null {
  const unmet = Object.entries(claims).find(([name, wanted]) => {
    const value = claimAt(payload, name) ?? null;
    return !valuesOf(wanted).some((each) => each === value);
  });
  return unmet?.[0] ?? null;
}

/** RFC 8725 §3.12: a token that its issuer made for something else is none for this. */
function assertPurpose(payload: Payload, issuer: TrustedIssuer): void {
  const unmet = unmetClaim(payload, issuer);
  if (unmet !== null) throw badClaim(unmet, UNMET);
  // RFC 7800 §3: it is worth something to whoever proves a key, and no proof is taken here.
  if (Object.hasOwn(payload, "cnf")) throw badClaim("cnf", "bound to its sender");
  // RFC 8417 §2.2: an event, such as a logout, is no permission, whatever its `typ` says.
  if (Object.hasOwn(payload, "events")) throw badClaim("events", "a security event");
  const mark = ID_TOKEN_CLAIMS.find((name) => Object.hasOwn(payload, name));
  if (mark !== undefined && !issuer.accept_id_tokens)
    throw badClaim(mark, "only ID tokens have it");
}

/** Own members only: a claim named `constructor` or `__proto__` leads nowhere. */
function claimAt(payload: Payload, path: ClaimPath): unknown {
  const names = typeof path === "string" ? [path] : path;
  return names.reduce<unknown>((value, name) => {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name))
      return undefined;
    return (value as Payload)[name];
  }, payload);
}

/** The verified issuer chooses the tenant: a fixed one, or one of its own list. */
function tenantOf(payload: Payload, { tenant, tenants }: TrustedIssuer): string {
  if ("fixed" in tenant) return tenant.fixed;
  const named = claimAt(payload, tenant.claim);
  if (typeof named !== "string") {
    const detail = `claim ${nameOf(tenant.claim)}: names no tenant`;
    throw new Refusal("tenant_not_allowed", { detail });
  }
  const allowed = tenants?.get(named);
  if (allowed === undefined) {
    throw new Refusal("tenant_not_allowed", { detail: "not on the issuer's list" });
  }
  return allowed;
}

function scopesOf(payload: Payload, issuer: TrustedIssuer): Set<string> {
  const { scopes_claim, scopes_map, granted_scopes } = issuer;
  const value = claimAt(payload, scopes_claim);
  const scopes =
    scopes_map === undefined
      ? wordsOf(value)
      : mappedNamesIn(value, scopes_map).flatMap((name) => scopes_map[name] ?? []);
  return new Set([...granted_scopes, ...scopes]);
}

/** Scopes in the shapes that providers have. The size of a token bounds them. */
function wordsOf(value: unknown): string[] {
  return typeof value === "string" ? scopesIn(value) : namesOf(value);
}

/** ASCII only: a name with a no-break space in it looks like another name, and is not that one. */
const BLANK = /[ \t\r\n]/;
const SEPARATOR = /[ \t\r\n]*,[ \t\r\n]+|[ \t\r\n]+/;

/** Without the blanks at its ends. By hand: an expression for it takes quadratic time. */
function stripped(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && BLANK.test(text.charAt(start))) start += 1;
  while (end > start && BLANK.test(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

/**
 * A text is parted at white space (RFC 8693 §4.2). Clerk's templates write commas, which RFC 6749 §3.3
 * allows within a scope: so a comma parts a text that has no blanks, or has a blank behind that comma.
 */
function scopesIn(text: string): string[] {
  const inner = stripped(text);
  const parts = inner.split(BLANK.test(inner) ? SEPARATOR : ",");
  return parts.filter((part) => part !== "");
}

/** A list of names, an object whose names they are (Zitadel), or a list of such objects. */
function namesOf(value: unknown): string[] {
  const names = [value].flat().flatMap((each: unknown) => {
    if (typeof each === "string") return [each];
    if (typeof each !== "object" || each === null || Array.isArray(each)) return [];
    // A name that is there to say no says no.
    return Object.entries(each).flatMap(([name, given]) => (saysYes(given) ? [name] : []));
  });
  return names.filter((name) => name !== "");
}

const NO = /^\s*(false|no|off|none|null|0)?\s*$/i;

/** An empty object or list says no, and so does one in which nothing says yes. */
function saysYes(value: unknown): boolean {
  if (typeof value === "string") return !NO.test(value);
  if (typeof value !== "object" || value === null) return Boolean(value);
  return Object.values(value).some(saysYes);
}

/**
 * The names that the map has. A text is one name, blanks and commas included: a group's, where a person
 * is in one only. It is a list with commas only where the map has every part of it.
 */
function mappedNamesIn(value: unknown, map: Readonly<Record<string, unknown>>): string[] {
  const isMapped = (name: string): boolean => Object.hasOwn(map, name);
  if (typeof value !== "string") return namesOf(value).filter(isMapped);
  if (isMapped(value)) return [value];
  const parts = value.split(",").map(stripped);
  return parts.every(isMapped) ? parts : [];
}

function clientOf(payload: Payload): string | null {
  const names = CLIENT_CLAIMS.map((claim) => nameOrNull(payload[claim]));
  return names.find((name) => name !== null) ?? null;
}

/** Details of other types, or malformed ones, grant nothing; they spoil nothing either. */
function grantsOf(value: unknown): Grant[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, MAX_GRANTS).flatMap((detail: unknown) => {
    const parsed = GrantDetail.safeParse(detail);
    if (!parsed.success) return [];
    const { thread_id: threadId = null, run_id: runId = null } = parsed.data;
    return threadId === null && runId === null ? [] : [{ threadId, runId }];
  });
}

/** The run is granted by its name. Who names it alone means the one run of that id that there is. */
export function grantsRun(grants: readonly Grant[], { threadId, runId }: Target): boolean {
  return grants.some(
    (grant) => grant.runId === runId && (threadId === null || grant.threadId === threadId),
  );
}

/** The threads that are granted whole, and on one of which the run may be. */
export function grantedThreads(grants: readonly Grant[], { threadId }: Target): string[] {
  const threads = grants.flatMap((grant) => (grant.runId === null ? (grant.threadId ?? []) : []));
  return threadId === null ? threads : threads.filter((thread) => thread === threadId);
}

function nameOrNull(value: unknown): string | null {
  const name = Name.safeParse(value);
  return name.success ? name.data : null;
}
