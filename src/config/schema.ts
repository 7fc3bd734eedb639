// The config document: one zod schema that the Worker, the linter and the editors' JSON Schema share.
// Checks shape and cross-references; reads nothing and resolves no secret.
import * as z from "zod";
import { ALGORITHMS } from "../identity/jwk.ts";
import { PublishedKeys } from "../identity/key-set.ts";
import { REDACTABLE } from "../runs/normalise.ts";
import { adapterOf, UPSTREAMS } from "../upstreams/index.ts";
import { covers } from "./entries.ts";
import { isOrigin } from "./origins.ts";

/** Also a KV key part and a Durable Object name, so it is narrow and compared byte by byte. */
export const TENANT_ID = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const TenantId = z
  .string()
  .regex(TENANT_ID, "a tenant id is 1-63 of a-z, 0-9, '_' and '-', and starts with neither sign");

/**
 * Names that are the gateway's own: a tenant that could name one of its secrets would have it sent
 * upstream, and its bindings are no secrets.
 */
const OWN_NAMES: readonly string[] = [
  ...["AUDIT_SIGNING_KEY", "AUDIT_SUBJECT_KEY", "ALLOW_LOOPBACK_HTTP", "LOCAL_ISSUER_KEY"],
  ...["KEY_ENCRYPTION_KEY", "KEY_ENCRYPTION_KEY_PREVIOUS", "CONFIG", "AUDIT", "LEDGER"],
  "ADDRESS_RATE",
];
/** Rate tiers are bindings of this name. */
const RATE_PREFIX = "RATE_";
/** The binding in wrangler.toml that counts a tier. */
export const rateBinding = (tier: string): string => `${RATE_PREFIX}${tier.toUpperCase()}`;

const SecretName = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{0,63}$/, "a secret's name is upper case, such as OPENAI_KEY_ACME")
  .refine((name) => !OWN_NAMES.includes(name) && !name.startsWith(RATE_PREFIX), {
    error: "this name is the gateway's own and must not be sent to an upstream",
  });

/** Cloudflare Access puts its token in a header of its own, which only the console's routes take. */
export const TOKEN_HEADERS = ["authorization", "cf-access-jwt-assertion"] as const;

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** True for the plain-http addresses that only a gateway on one's own machine accepts. */
export function isLoopbackHttp(address: string): boolean {
  const url = URL.parse(address);
  return url?.protocol === "http:" && LOOPBACK.has(url.hostname);
}

/** Without user, fragment and query: an empty one of these leaves no trace in the parsed address. */
function isPlainUrl(address: string): boolean {
  return !address.includes("?") && isFetchable(address);
}

function isFetchable(address: string): boolean {
  // What a parser would drop without a word is no part of an address that people compare.
  if (!/^[!-~]+$/.test(address)) return false;
  const url = URL.parse(address);
  if (url === null || url.username !== "" || url.password !== "") return false;
  if (address.includes("#")) return false;
  return isLoopbackHttp(address) || (url.protocol === "https:" && !isInside(url.hostname));
}

/** Names and numbers of one's own network: no place for a key, or a token, to be sent by mistake. */
function isInside(hostname: string): boolean {
  const name = hostname.replace(/\.$/, "");
  // The parser has made four numbers of every other way to write an IPv4 address.
  return /^(\d+\.){3}\d+$|^\[|^localhost$|\.(localhost|local|internal)$/.test(name);
}

export const Address = z.string().max(512).refine(isPlainUrl, {
  error: "must be an https URL of a public host name, without user, query or fragment",
});

/** Some providers tell apps apart by a query: `?appid=` of Entra ID. */
export const KeyAddress = z.string().max(512).refine(isFetchable, {
  error: "must be an https URL of a public host name, without user or fragment",
});

const Origin = z.string().refine(isOrigin, {
  error:
    "must be an exact origin such as https://app.example.com, or one with a '*' inside its first label, as https://app-*-team.vercel.app: no path",
});

const ClaimName = z.string().min(1).max(128);
/** A claim by its name, or by the names that lead to it: `["realm_access", "roles"]`. */
const ClaimPath = z.union([ClaimName, z.array(ClaimName).min(1).max(4)], {
  error: "give a claim's name, or the list of names that lead to it",
});
export type ClaimPath = z.infer<typeof ClaimPath>;
/** null: the claim is not there. */
const ClaimValue = z.union([z.string().max(512), z.boolean(), z.null()]);
const ClaimWanted = z.union([ClaimValue, z.array(ClaimValue).min(1).max(64)], {
  error: "give a text, true, false or null, or a list of 1-64 of these",
});

const ScopesMap = z
  .record(z.string().min(1).max(255), z.array(z.string().min(1).max(128)).min(1).max(16))
  .refine((map) => Object.keys(map).length > 0, { error: "maps nothing, so no token has a scope" });

const IssuerTenant = z.union(
  [
    z.strictObject({ claim: ClaimPath, allow: z.array(TenantId).min(1) }),
    // For providers whose own ids of organisations are no tenant ids.
    z.strictObject({ claim: ClaimPath, map: z.record(z.string().min(1).max(255), TenantId) }),
    z.strictObject({ fixed: TenantId }),
  ],
  {
    error: "give a claim and the tenants to allow, a claim and a map to tenants, or a fixed tenant",
  },
);

export const Issuer = z
  .strictObject({
    issuer: z.string().min(1).max(512),
    jwks_uri: KeyAddress.optional(),
    jwks: z.strictObject({ keys: PublishedKeys }).optional(),
    audiences: z.array(z.string().min(1).max(512)).min(1),
    /** Where the audience stands: some providers' access tokens have no `aud`. */
    audience_claim: ClaimPath.default("aud"),
    algorithms: z.array(z.enum(ALGORITHMS)).min(1).default(["RS256"]),
    /** A token without `typ` counts as `JWT`. */
    types: z.array(z.string().min(1).max(64)).min(1).default(["at+jwt", "JWT"]),
    /**
     * Claims that must have exactly this value, such as `{"token_use": "access"}`; null: must not be there;
     * of a list, any value will do.
     */
    claims: z.record(ClaimName, ClaimWanted).default({}),
    tenant: IssuerTenant,
    /** Where the person's id stands: what runs are owned by, and what events call the actor. */
    subject_claim: ClaimPath.default("sub"),
    scopes_claim: ClaimPath.default("scope"),
    /** What stands at `scopes_claim`, such as roles or groups, to scopes. What is not here gives none. */
    scopes_map: ScopesMap.optional(),
    /** Scopes that every token of this issuer has, for providers whose tokens carry none. */
    granted_scopes: z.array(z.string().min(1).max(128)).max(16).default([]),
    max_lifetime_hours: z.int().min(1).max(744).default(24),
    /** How long keys outlive an endpoint that gives no new ones; 0: not at all. */
    max_stale_minutes: z.int().min(0).max(1_440).default(60),
    allow_missing_kid: z.boolean().default(false),
    accept_id_tokens: z.boolean().default(false),
    token_header: z.enum(TOKEN_HEADERS).default("authorization"),
  })
  .refine((issuer) => (issuer.jwks_uri === undefined) !== (issuer.jwks === undefined), {
    error:
      "give exactly one of jwks_uri and jwks ('npm run gateway -- lint FILE --online' finds jwks_uri)",
  });
export type Issuer = z.infer<typeof Issuer>;

/** One entry per registered adapter: its `kind`, a base URL and the options that the adapter states. */
function upstreamEntry() {
  const [first, ...others] = UPSTREAMS.map((adapter) =>
    z.strictObject({ kind: z.literal(adapter.kind), base_url: Address, ...adapter.options }),
  );
  if (first === undefined) throw new Error("no upstream adapter is registered");
  return z.discriminatedUnion("kind", [first, ...others]);
}
export const UpstreamEntry = upstreamEntry();
export type UpstreamEntry = z.infer<typeof UpstreamEntry>;

/**
 * The issuers whose subjects are the names of owners. Default: the one issuer whose tokens name the tenant. Two
 * issuers may give the same subject to two people, so that several have to be listed by hand, and are then
 * taken to name the same people.
 */
const SubjectIssuers = z.array(z.string().min(1).max(512)).min(1).max(64).optional();

const Ownership = z.discriminatedUnion("source", [
  z.strictObject({ source: z.literal("grant") }),
  z.strictObject({
    source: z.literal("metadata"),
    tenant_key: z.string().min(1).max(64),
    subject_key: z.string().min(1).max(64),
    subject_issuers: SubjectIssuers,
  }),
  z.strictObject({
    source: z.literal("registry"),
    subject_issuers: SubjectIssuers,
    /** How long a registration counts, in days. */
    retention_days: z.int().min(1).max(365).default(30),
  }),
  z.strictObject({ source: z.literal("credential") }),
]);
export type Ownership = z.infer<typeof Ownership>;

/** `asst_*` covers every id that begins so. */
const AssistantPattern = z
  .string()
  .max(128)
  .regex(/^[^*]*\*$|^[^*]+$/, "an assistant's id, or the beginning of one and a star at the end");
const Assistants = z.array(AssistantPattern).min(1);

export const Rule = z
  .strictObject({
    id: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, "a rule's id is 1-64 letters, digits, '_.-'"),
    effect: z.enum(["allow", "deny"]).default("allow"),
    /** All of them are needed. */
    scopes: z.array(z.string().min(1).max(128)).max(64),
    runs: z.enum(["own", "tenant"]),
    assistants: Assistants.optional(),
    /** How old a run may be to be covered, counted from its creation. */
    max_age_seconds: z.int().min(1).max(31_536_000).optional(),
    reason_required: z.boolean().default(false),
  })
  .refine(({ effect, scopes }) => effect === "deny" || scopes.length > 0, {
    path: ["scopes"],
    error: "a rule that allows needs a scope, or every token of the tenant would do",
  })
  .refine(({ effect, reason_required }) => effect === "allow" || !reason_required, {
    path: ["reason_required"],
    error: "a rule that denies asks for no reason",
  });
export type Rule = z.infer<typeof Rule>;

/** A compact JWE (RFC 7516 §7.1) of `gateway seal`, with `dir` and so an empty second part. */
const Sealed = z
  .string()
  .max(8_192)
  .regex(
    /^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/,
    "not a sealed key: make one with 'npm run gateway -- seal'",
  );
const StoredKey = z.union(
  [z.strictObject({ secret: SecretName }), z.strictObject({ sealed: Sealed })],
  { error: 'give {"secret": "NAME"} or {"sealed": "…"}' },
);
export type StoredKey = z.infer<typeof StoredKey>;

/** OAuth 2.0 client credentials (RFC 6749 §4.4): Entra ID's, for instance. */
const ClientCredentials = z.strictObject({
  token_url: Address,
  client_id: z.string().min(1).max(256),
  client_secret: StoredKey,
  scope: z.string().min(1).max(512).optional(),
});
export type ClientCredentials = z.infer<typeof ClientCredentials>;

const Credential = z.union(
  [...StoredKey.options, z.strictObject({ client_credentials: ClientCredentials })],
  { error: 'give {"secret": "NAME"}, {"sealed": "…"} or {"client_credentials": {…}}' },
);
export type Credential = z.infer<typeof Credential>;

const Audit = z.strictObject({
  on_failure: z.enum(["refuse", "proceed"]).default("refuse"),
  retention_days: z.int().min(1).max(3650).default(400),
  subject: z.enum(["clear", "hmac"]).default("clear"),
});

const uniqueIds = (rules: readonly Rule[]): boolean =>
  new Set(rules.map((rule) => rule.id)).size === rules.length;

const TenantShape = z.strictObject({
  enabled: z.boolean().default(true),
  upstream: z.string().min(1).max(64),
  credential: Credential,
  /** Tried once when the upstream refuses the first, so that keys can be changed without a gap. */
  second_credential: Credential.optional(),
  ownership: Ownership,
  rules: z
    .array(Rule)
    .min(1)
    .refine(uniqueIds, { error: "two rules share an id" })
    .refine((rules) => rules.some(({ effect }) => effect === "allow"), {
      error: "no rule allows anything; to switch a tenant off, set enabled to false",
    }),
  assistants: Assistants.optional(),
  origins: z.array(Origin).default([]),
  /** A tier of wrangler.toml. */
  rate: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,31}$/, "a tier is 1-32 of a-z, 0-9 and '_', as 'standard'")
    .optional(),
  /** A cancel may delete the run, and with it what the run has done: some upstreams can do that. */
  accepts_deletion: z.boolean().default(false),
  on_terminal: z.enum(["run", "error"]).default("run"),
  redact: z.array(z.enum([...REDACTABLE, "output"])).default([]),
  /** Tokens that are refused before their time, by `jti`. */
  revoked_tokens: z.array(z.string().min(1).max(255)).max(1_000).default([]),
  audit: Audit.prefault({}),
});

/** A rule that could never match is a mistake, not a precaution. */
export const TenantEntry = TenantShape.refine(
  ({ ownership, rules }) =>
    ownership.source !== "credential" || rules.every((rule) => rule.runs === "tenant"),
  { path: ["rules"], error: "a credential proves no person, so a rule cannot cover 'own' runs" },
);
export type TenantEntry = z.infer<typeof TenantEntry>;

/** Two entries may share an issuer where a token can tell which of them is meant. */
const Issuers = z
  .array(Issuer)
  .min(1)
  .refine(
    (issuers) =>
      issuers.every((entry, index) =>
        issuers
          .slice(0, index)
          .filter(({ issuer }) => issuer === entry.issuer)
          .every((other) => !covers(other, entry) || !covers(entry, other)),
      ),
    { error: "two entries have the same issuer, and the same audiences and claims" },
  );
const UpstreamName = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, "an upstream's name is 1-64 letters, digits, '_' and '-'");
const Upstreams = z.record(UpstreamName, UpstreamEntry);

/** The whole document, as the platform team keeps it under version control. */
export const ConfigDocument = z
  .strictObject({
    $schema: z.string().optional(),
    issuers: Issuers,
    upstreams: Upstreams,
    tenants: z.record(TenantId, TenantEntry),
  })
  .superRefine((document, context) => {
    for (const [index, { tenant }] of document.issuers.entries()) {
      if (!("fixed" in tenant) || Object.hasOwn(document.tenants, tenant.fixed)) continue;
      const path = ["issuers", index, "tenant", "fixed"];
      context.addIssue({ code: "custom", path, message: `there is no tenant '${tenant.fixed}'` });
    }
    const tenants = Object.entries(document.tenants);
    const holders = holdersOf(tenants);
    const reaching = issuersByTenant(document.issuers);
    for (const [id, { upstream, ownership, ...tenant }] of tenants) {
      const refuse = (member: string, message: string): void =>
        context.addIssue({ code: "custom", path: ["tenants", id, member], message });
      const entry = Object.hasOwn(document.upstreams, upstream)
        ? document.upstreams[upstream]
        : undefined;
      if (entry === undefined) refuse("upstream", `there is no upstream named '${upstream}'`);
      else if (!tenant.accepts_deletion && deletesRuns(entry)) {
        refuse("accepts_deletion", NO_DELETION);
      }
      const names = subjectIssuersOf(reaching.get(id) ?? [], { ownership, ...tenant });
      if ("problem" in names) refuse("ownership", names.problem);
      if (ownership.source !== "credential") continue;
      for (const { member, name } of namesIn(tenant)) {
        const sharer = holders.get(name)?.find((other) => other !== id);
        if (sharer !== undefined) refuse(member, provesNothing(`tenant ${sharer}`));
      }
    }
  });
export type ConfigDocument = z.infer<typeof ConfigDocument>;

export const CREDENTIALS = ["credential", "second_credential"] as const;
type Credentials = Pick<TenantEntry, (typeof CREDENTIALS)[number]>;

/** By the name of a credential: the tenants that have it. */
export function holdersOf(
  tenants: readonly (readonly [string, Credentials])[],
): ReadonlyMap<string, readonly string[]> {
  const holders = new Map<string, string[]>();
  for (const [id, tenant] of tenants) {
    for (const name of new Set(namesIn(tenant).map((named) => named.name))) {
      const others = holders.get(name);
      if (others === undefined) holders.set(name, [id]);
      else others.push(id);
    }
  }
  return holders;
}

/** The tenants that an entry's tokens may name. */
export function tenantsOf({ tenant }: Pick<Issuer, "tenant">): readonly string[] {
  if ("fixed" in tenant) return [tenant.fixed];
  return [...new Set("map" in tenant ? Object.values(tenant.map) : tenant.allow)];
}

/**
 * By tenant: the issuers whose tokens can act on its runs, each once. An entry whose tokens come in a header
 * of their own is not among them: they count on the audit routes only.
 */
export function issuersByTenant(
  issuers: readonly Pick<Issuer, "issuer" | "tenant" | "token_header">[],
): ReadonlyMap<string, readonly string[]> {
  const reaching = new Map<string, string[]>();
  for (const entry of issuers) {
    if (entry.token_header !== "authorization") continue;
    for (const tenant of tenantsOf(entry)) {
      const known = reaching.get(tenant) ?? [];
      if (!known.includes(entry.issuer)) known.push(entry.issuer);
      reaching.set(tenant, known);
    }
  }
  return reaching;
}

/**
 * The issuers whose subjects name the owners of a tenant's runs; none where a subject proves nothing. A
 * problem where several issuers reach the tenant and the config does not say which.
 */
export function subjectIssuersOf(
  reaching: readonly string[],
  { ownership, rules, audit }: Pick<TenantEntry, "ownership" | "rules" | "audit">,
): readonly string[] | { readonly problem: string } {
  if (ownership.source !== "metadata" && ownership.source !== "registry") return [];
  const { subject_issuers: named } = ownership;
  const stranger = named?.find((issuer) => !reaching.includes(issuer));
  if (stranger !== undefined) {
    return { problem: `subject_issuers: no token of ${stranger} can act for this tenant` };
  }
  if (named !== undefined) return named;
  if (reaching.length <= 1) return reaching;
  // Where the registry's owners are written as pseudonyms, these are made with the issuer, too.
  const areNamed = ownership.source === "registry" && audit.subject === "hmac";
  if (!areNamed && !rules.some(({ runs }) => runs === "own")) return [];
  const problem = `subject_issuers is missing: tokens of ${reaching.length} issuers reach this tenant, and the same subject of two issuers can be two people`;
  return { problem };
}

/** What a tenant's credentials are called, so that two of the same can be told. */
export function namesIn(tenant: Credentials) {
  return CREDENTIALS.flatMap((member) =>
    (tenant[member] === undefined ? [] : credentialNames(tenant[member])).map((name) => ({
      member,
      name,
    })),
  );
}

/** Where a tenant's credentials are exchanged for tokens. */
export function tokenUrlsIn(tenant: Credentials): string[] {
  return CREDENTIALS.flatMap((member) => tenant[member] ?? []).flatMap((credential) =>
    "client_credentials" in credential ? credential.client_credentials.token_url : [],
  );
}

/** Where issuers' keys and runs are. */
export function addressesIn({ issuers, upstreams }: Addressed): string[] {
  return [
    ...issuers.flatMap(({ jwks_uri }) => jwks_uri ?? []),
    ...Object.values(upstreams).map(({ base_url }) => base_url),
  ];
}
type Addressed = Pick<BaseDocument, "issuers" | "upstreams">;

/** Two keys to turn: the upstream's entry, and the consent of each tenant there. */
export const NO_DELETION =
  "the upstream's cancel deletes the run and what it has done: set it to true to accept that";

export function deletesRuns({ kind, base_url: _, ...options }: UpstreamEntry): boolean {
  return adapterOf(kind).deletesRun(options);
}

export function provesNothing(who: string): string {
  return `proves nothing, since ${who} has the same`;
}

/** What would be the same where two credentials are: a secret's name, a ciphertext, a client. */
function credentialNames(credential: Credential): string[] {
  if (!("client_credentials" in credential)) return [JSON.stringify(credential)];
  const { token_url, client_id, client_secret } = credential.client_credentials;
  const endpoint = new URL(token_url).href.replace(/\/+$/, "");
  return [JSON.stringify([endpoint, client_id]), JSON.stringify(client_secret)];
}

/** What every request needs: one small KV value, however many tenants there are. */
export const BaseDocument = z.strictObject({
  issuers: Issuers,
  upstreams: Upstreams,
  /** Every tenant's origins: a preflight carries no token, so no tenant. */
  origins: z.array(Origin),
  /** The names of credentials that several tenants have: to have one proves no tenant. */
  shared_credentials: z.array(z.string()).default([]),
});
export type BaseDocument = z.infer<typeof BaseDocument>;

export function baseOf(document: ConfigDocument): BaseDocument {
  const origins = new Set(Object.values(document.tenants).flatMap((tenant) => tenant.origins));
  return {
    issuers: document.issuers,
    upstreams: document.upstreams,
    origins: [...origins].sort(),
    shared_credentials: [...holdersOf(Object.entries(document.tenants))]
      .filter(([, holders]) => holders.length > 1)
      .map(([name]) => name)
      .sort(),
  };
}

/** The first problem in one line: where it is, and what it is. */
export function describeProblem(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue === undefined ? "not valid" : describeIssue(issue);
}

export function describeIssue(issue: z.core.$ZodIssue): string {
  // What is wrong with a key is said one level deeper.
  const { message } = (issue.code === "invalid_key" && issue.issues[0]) || issue;
  const where = issue.path.map(String).join(".");
  return where === "" ? message : `${where}: ${message}`;
}
