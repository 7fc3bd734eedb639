// An access token of the local issuer, made as the config wants it and judged as the gateway would.
// Signs with LOCAL_ISSUER_KEY alone: nobody else's tokens can be made here.
import { randomUUID } from "node:crypto";
import { calculateJwkThumbprint, type JWK, SignJWT } from "jose";
import { type ClaimWanted, valuesOf } from "../../src/config/entries.ts";
import { trustedIssuer } from "../../src/config/load.ts";
import type { ClaimPath, ConfigDocument, Issuer } from "../../src/config/schema.ts";
import { Refusal } from "../../src/failure.ts";
import { authenticate } from "../../src/identity/authenticate.ts";
import { algorithmsOf, type PublicKey, plainAlgorithm } from "../../src/identity/jwk.ts";
import { importKeys } from "../../src/identity/key-set.ts";
import { UsageError } from "../config-file.ts";
import { LOCAL_ISSUER_KEY, type LocalKey } from "./local-key.ts";

export interface Grant {
  /** Null: the run is named alone, as a response is. */
  readonly threadId: string | null;
  /** Null: every run of the thread. */
  readonly runId: string | null;
}

export interface TokenWish {
  readonly sub: string;
  /** Undefined: the only one that the issuer's tokens can name. */
  readonly tenant?: string | undefined;
  /** Undefined: those of the tenant's first rule that allows. */
  readonly scopes?: readonly string[] | undefined;
  /** Undefined: the first of the issuer's list. */
  readonly audience?: string | undefined;
  readonly expiresInSeconds: number;
  readonly grants: readonly Grant[];
}

export interface MintedToken {
  readonly token: string;
  readonly tenant: string;
}

/** An issuer of the config that publishes the local key's public half. */
export interface LocalIssuer {
  readonly issuer: Issuer;
  readonly published: PublicKey;
}

/** Those of the config's issuers that the local key can sign for. */
export async function localIssuers(
  { issuers }: ConfigDocument,
  { thumbprint }: Pick<LocalKey, "thumbprint">,
): Promise<readonly LocalIssuer[]> {
  const pairs = issuers.flatMap((issuer) =>
    (issuer.jwks?.keys ?? []).map(async (published) =>
      (await calculateJwkThumbprint(published as JWK)) === thumbprint
        ? [{ issuer, published }]
        : [],
    ),
  );
  return (await Promise.all(pairs)).flat();
}

/** The tenants that an issuer's tokens can name, each with what its claim says. */
export function tenantsNamedBy({ tenant }: Issuer): ReadonlyMap<string, string> {
  if ("fixed" in tenant) return new Map([[tenant.fixed, tenant.fixed]]);
  if ("allow" in tenant) return new Map(tenant.allow.map((id) => [id, id]));
  return new Map(Object.entries(tenant.map).map(([named, id]) => [id, named]));
}

/** Throws `UsageError` when no token of the local issuer can be as wished. */
export async function mintToken(
  config: ConfigDocument,
  key: LocalKey,
  wish: TokenWish,
  nowMs: number = Date.now(),
): Promise<MintedToken> {
  const candidates = await localIssuers(config, key);
  if (candidates.length === 0) {
    throw new UsageError(
      `No issuer of the config publishes the public half of ${LOCAL_ISSUER_KEY} in its 'jwks', so this key signs for nobody here. The tokens of a real provider cannot be made by this command: get one by signing in there.`,
    );
  }
  const { chosen, tenant, named } = choose(candidates, wish.tenant);
  const { issuer, published } = chosen;
  if (config.tenants[tenant] === undefined) {
    throw new UsageError(`The config has no tenant '${tenant}'.`);
  }
  const seconds = Math.floor(nowMs / 1_000);
  assertLifetime(issuer, wish.expiresInSeconds);
  const payload: Record<string, unknown> = { ...requiredClaims(issuer) };
  setClaim(payload, issuer.scopes_claim, scopesClaim(issuer, scopesFor(config, tenant, wish)));
  if (!("fixed" in issuer.tenant)) setClaim(payload, issuer.tenant.claim, named);
  setClaim(payload, issuer.audience_claim, audienceFor(issuer, wish.audience));
  setClaim(payload, issuer.subject_claim, wish.sub);
  Object.assign(payload, {
    iss: issuer.issuer,
    iat: seconds,
    exp: seconds + wish.expiresInSeconds,
    jti: randomUUID(),
    ...(wish.grants.length > 0 && { authorization_details: wish.grants.map(detailOf) }),
  });
  const alg = algorithmOf(issuer, published);
  const token = await new SignJWT(payload)
    .setProtectedHeader({ alg, typ: typeFor(issuer), ...kidOf(published) })
    .sign(await key.importFor(plainAlgorithm(alg)));
  await assertAccepted(config, issuer, { token, tenant }, nowMs);
  return { token, tenant };
}

interface Choice {
  readonly chosen: LocalIssuer;
  readonly tenant: string;
  /** What the tenant's claim says. */
  readonly named: string;
}

function choose(candidates: readonly LocalIssuer[], wished: string | undefined): Choice {
  const reached = candidates.flatMap((chosen) =>
    [...tenantsNamedBy(chosen.issuer)].map(([tenant, named]) => ({ chosen, tenant, named })),
  );
  const ids = [...new Set(reached.map(({ tenant }) => tenant))];
  const [only] = ids;
  const tenant = wished ?? (ids.length === 1 ? only : undefined);
  if (tenant === undefined) {
    throw new UsageError(`Say for which tenant with --tenant: ${listed(ids)}.`);
  }
  const choice = reached.find((each) => each.tenant === tenant);
  if (choice !== undefined) return choice;
  throw new UsageError(
    `Tenant '${tenant}' cannot be reached by the local issuer: its tokens can name ${listed(ids)} only, as 'tenant' of its entry says.`,
  );
}

const LISTED = 10;

function listed(ids: readonly string[]): string {
  const more = ids.length > LISTED ? ` and ${ids.length - LISTED} more` : "";
  return `${ids.slice(0, LISTED).join(", ") || "no tenant"}${more}`;
}

function assertLifetime({ max_lifetime_hours: hours }: Issuer, seconds: number): void {
  if (seconds <= hours * 3_600) return;
  throw new UsageError(
    `The gateway takes no token of this issuer that lives longer than ${hours} h (max_lifetime_hours).`,
  );
}

function audienceFor({ audiences }: Issuer, wished: string | undefined): string {
  if (wished === undefined) return audiences[0] ?? "";
  if (audiences.includes(wished)) return wished;
  throw new UsageError(
    `'${wished}' is no audience of the issuer, so the gateway would not take the token: ${audiences.join(", ")}.`,
  );
}

function scopesFor(
  { tenants }: ConfigDocument,
  tenant: string,
  { scopes }: TokenWish,
): readonly string[] {
  if (scopes !== undefined) return scopes;
  return tenants[tenant]?.rules.find(({ effect }) => effect === "allow")?.scopes ?? [];
}

/**
 * What stands for these scopes where the provider's own words are mapped to scopes: a word that gives no
 * other. Throws `UsageError` when there is none.
 */
function scopesClaim({ scopes_map }: Issuer, scopes: readonly string[]): string | string[] {
  if (scopes_map === undefined) return scopes.join(" ");
  const words = scopes.map((scope) => {
    const fitting = Object.entries(scopes_map).filter(([, given]) => given.includes(scope));
    const [word] = fitting.find(([, given]) => given.every((each) => scopes.includes(each))) ?? [];
    if (word !== undefined) return word;
    throw new UsageError(
      `No token of this issuer has the scope '${scope}' and no other: 'scopes_map' of its entry gives ${listed([...new Set(Object.values(scopes_map).flat())])}.`,
    );
  });
  return [...new Set(words)];
}

/** Null in the config means that the claim must not be there; of several values the first will do. */
function requiredClaims({ claims }: Issuer): Record<string, unknown> {
  const first = (wanted: ClaimWanted) => valuesOf(wanted)[0] ?? null;
  return Object.fromEntries(
    Object.entries(claims)
      .map(([name, wanted]) => [name, first(wanted)] as const)
      .filter(([, value]) => value !== null),
  );
}

/** Writes a claim at the end of the names that lead to it. */
function setClaim(payload: Record<string, unknown>, path: ClaimPath, value: unknown): void {
  const names = typeof path === "string" ? [path] : path;
  const last = names.at(-1) ?? "";
  let holder = payload;
  for (const name of names.slice(0, -1)) {
    const inner = Object.hasOwn(holder, name) ? holder[name] : undefined;
    const next = typeof inner === "object" && inner !== null ? { ...inner } : {};
    define(holder, name, next);
    holder = next;
  }
  define(holder, last, value);
}

/** A claim may be called `__proto__`, which an assignment would not write. */
function define(holder: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(holder, name, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
}

function detailOf({ threadId, runId }: Grant) {
  return {
    type: "run_cancel",
    ...(threadId !== null && { thread_id: threadId }),
    ...(runId !== null && { run_id: runId }),
  };
}

function algorithmOf({ algorithms }: Issuer, published: PublicKey): string {
  const own = algorithmsOf(published);
  return algorithms.find((name) => own.includes(plainAlgorithm(name))) ?? own[0] ?? "none";
}

/** The name that RFC 9068 gives to an access token, where the entry takes it. */
function typeFor({ types }: Issuer): string {
  return types.find((type) => /^(application\/)?at\+jwt$/i.test(type)) ?? types[0] ?? "JWT";
}

function kidOf({ kid }: PublicKey): { readonly kid?: string } {
  return kid === undefined ? {} : { kid };
}

/** Asks the gateway's own code, so that what is handed out is what is taken. Throws `UsageError`. */
async function assertAccepted(
  { issuers }: ConfigDocument,
  { issuer, token_header }: Issuer,
  { token, tenant }: MintedToken,
  nowMs: number,
): Promise<void> {
  const entries = issuers.filter((entry) => entry.issuer === issuer).map(trustedIssuer);
  const bearer = token_header === "authorization";
  try {
    const caller = await authenticate(
      { keys: ({ jwks }) => importKeys(jwks?.keys ?? []), now: () => nowMs },
      new Map([[issuer, entries]]),
      {
        authorization: bearer ? `Bearer ${token}` : undefined,
        assertion: bearer ? undefined : token,
        defer: () => undefined,
      },
    );
    if (caller.tenant === tenant) return;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const detail = error.detail ?? error.reason;
    throw new UsageError(`The gateway would not take such a token (${detail}).`);
  }
  throw new UsageError(
    `The gateway would take such a token for another entry of ${issuer}, which comes first.`,
  );
}
