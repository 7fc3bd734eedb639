// A stored text → what the journey uses: checked, cross-references followed, credentials resolved.
import type * as z from "zod";
import type { Connection } from "../upstreams/call.ts";
import { adapterOf } from "../upstreams/index.ts";
import { type CredentialTools, type Loaded, loadCredentials } from "./credentials.ts";
import { type Origins, originsOf } from "./origins.ts";
import {
  addressesIn,
  BaseDocument,
  type CREDENTIALS,
  deletesRuns,
  describeProblem,
  type Issuer,
  isLoopbackHttp,
  issuersByTenant,
  NO_DELETION,
  namesIn,
  provesNothing,
  rateBinding,
  subjectIssuersOf,
  TenantEntry,
  tokenUrlsIn,
  type UpstreamEntry,
} from "./schema.ts";

/** An issuer with its tenants ready to be looked up: by what its claim says, or always the same. */
export interface TrustedIssuer extends Issuer {
  readonly tenants: ReadonlyMap<string, string> | null;
}

export interface Base {
  /** By the exact text of the `iss` claim: the entries of that issuer, in the order of the config. */
  readonly issuers: ReadonlyMap<string, readonly TrustedIssuer[]>;
  readonly upstreams: ReadonlyMap<string, UpstreamEntry>;
  readonly origins: Origins;
  readonly sharedCredentials: ReadonlySet<string>;
  /** By tenant: the issuers whose tokens can act on its runs. */
  readonly issuersByTenant: ReadonlyMap<string, readonly string[]>;
}

export interface Tenant extends Omit<TenantEntry, "upstream" | (typeof CREDENTIALS)[number]> {
  readonly id: string;
  readonly connection: Connection;
  /** The issuers whose subjects are the names of owners; none where a subject proves nothing. */
  readonly subjectIssuers: readonly string[];
}

export interface LoadContext extends CredentialTools {
  /** Whether wrangler.toml has such a tier. */
  readonly hasTier: (name: string) => boolean;
  /** Only a gateway on one's own machine accepts http: on loopback. */
  readonly allowLoopbackHttp: boolean;
}

export function loadBase(
  context: Pick<LoadContext, "allowLoopbackHttp">,
  text: string | null,
): Loaded<Base> {
  if (text === null) return { problem: "no configuration has been applied" };
  const parsed = parse(BaseDocument, text);
  if ("problem" in parsed) return parsed;
  const { issuers, upstreams, origins, shared_credentials } = parsed.value;
  if (!context.allowLoopbackHttp) {
    const local = addressesIn(parsed.value).find(isLoopbackHttp);
    if (local !== undefined) return { problem: httpsOnly(local) };
  }
  return {
    value: {
      issuers: Map.groupBy(issuers.map(trustedIssuer), ({ issuer }) => issuer),
      upstreams: new Map(Object.entries(upstreams)),
      origins: originsOf(origins),
      sharedCredentials: new Set(shared_credentials),
      issuersByTenant: issuersByTenant(issuers),
    },
  };
}

function httpsOnly(address: string): string {
  return `${address}: a deployed gateway allows https only`;
}

/** An entry as the journey uses it. */
export function trustedIssuer(issuer: Issuer): TrustedIssuer {
  const { tenant } = issuer;
  if ("fixed" in tenant) return { ...issuer, tenants: null };
  const named = "map" in tenant ? Object.entries(tenant.map) : tenant.allow.map((id) => [id, id]);
  return { ...issuer, tenants: new Map(named as [string, string][]) };
}

/** Null when there is no such tenant, which is no defect of the config. */
export async function loadTenant(
  context: LoadContext,
  id: string,
  { upstreams, sharedCredentials, issuersByTenant: reaching }: Base,
  text: string | null,
): Promise<Loaded<Tenant | null>> {
  if (text === null) return { value: null };
  const bad = (problem: string) => ({ problem: `tenant ${id}: ${problem}` });
  const parsed = parse(TenantEntry, text);
  if ("problem" in parsed) return bad(parsed.problem);
  const { upstream: name, credential, second_credential, ...policy } = parsed.value;
  const entry = upstreams.get(name);
  if (entry === undefined) return bad(`there is no upstream named '${name}'`);
  if (deletesRuns(entry) && !policy.accepts_deletion)
    return bad(`accepts_deletion: ${NO_DELETION}`);
  const local = context.allowLoopbackHttp
    ? undefined
    : tokenUrlsIn(parsed.value).find(isLoopbackHttp);
  if (local !== undefined) return bad(httpsOnly(local));
  const shared = namesIn(parsed.value).find(({ name: held }) => sharedCredentials.has(held));
  if (policy.ownership.source === "credential" && shared !== undefined) {
    return bad(`${shared.member}: ${provesNothing("another tenant")}`);
  }
  const subjectIssuers = subjectIssuersOf(reaching.get(id) ?? [], policy);
  if ("problem" in subjectIssuers) return bad(`ownership: ${subjectIssuers.problem}`);
  const keys = await loadCredentials(context, id, { credential, second_credential });
  if ("problem" in keys) return bad(keys.problem);
  if (policy.audit.subject === "hmac" && !context.secret("AUDIT_SUBJECT_KEY")) {
    return bad("audit.subject needs the secret AUDIT_SUBJECT_KEY");
  }
  if (policy.rate !== undefined && !context.hasTier(policy.rate)) {
    return bad(`there is no binding ${rateBinding(policy.rate)} for its rate`);
  }
  const { kind, base_url, ...options } = entry;
  const baseUrl = base_url.replace(/\/+$/, "");
  const adapter = adapterOf(kind);
  const connection = { name, tenant: id, adapter, baseUrl, options, nextKey: keys.value };
  return { value: { ...policy, id, connection, subjectIssuers } };
}

function parse<Schema extends z.ZodType>(schema: Schema, text: string): Loaded<z.infer<Schema>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { problem: "not valid JSON" };
  }
  const parsed = schema.safeParse(json);
  return parsed.success ? { value: parsed.data } : { problem: describeProblem(parsed.error) };
}
