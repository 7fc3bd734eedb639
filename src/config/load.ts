// A stored text → what the journey uses: checked, cross-references followed, secrets resolved. Pure.
import type * as z from "zod";
import type { Connection } from "../upstreams/call.ts";
import { adapterOf } from "../upstreams/index.ts";
import {
  BaseDocument,
  describeProblem,
  type Issuer,
  isLoopbackHttp,
  TenantEntry,
  type UpstreamEntry,
} from "./schema.ts";

export type Loaded<T> = { readonly value: T } | { readonly problem: string };

/** An issuer with its tenants ready to be looked up: by what its claim says, or always the same. */
export interface TrustedIssuer extends Issuer {
  readonly tenants: ReadonlyMap<string, string> | null;
}

export interface Base {
  /** By the exact text of the `iss` claim. */
  readonly issuers: ReadonlyMap<string, TrustedIssuer>;
  readonly upstreams: ReadonlyMap<string, UpstreamEntry>;
  readonly origins: ReadonlySet<string>;
}

export interface Tenant extends Omit<TenantEntry, "upstream" | "credential"> {
  readonly id: string;
  readonly connection: Connection;
}

export interface LoadContext {
  readonly secret: (name: string) => string | undefined;
  readonly allowLoopbackHttp: boolean;
}

export function loadBase(context: LoadContext, text: string | null): Loaded<Base> {
  if (text === null) return { problem: "no configuration has been applied" };
  const parsed = parse(BaseDocument, text);
  if ("problem" in parsed) return parsed;
  const { issuers, upstreams, origins } = parsed.value;
  if (!context.allowLoopbackHttp) {
    const addresses = [
      ...issuers.map((issuer) => issuer.jwks_uri ?? ""),
      ...Object.values(upstreams).map((upstream) => upstream.base_url),
    ];
    const local = addresses.find(isLoopbackHttp);
    if (local !== undefined) return { problem: `${local}: a deployed gateway allows https only` };
  }
  return {
    value: {
      issuers: new Map(issuers.map((issuer) => [issuer.issuer, trusted(issuer)])),
      upstreams: new Map(Object.entries(upstreams)),
      origins: new Set(origins),
    },
  };
}

function trusted(issuer: Issuer): TrustedIssuer {
  const { tenant } = issuer;
  if ("fixed" in tenant) return { ...issuer, tenants: null };
  const named = "map" in tenant ? Object.entries(tenant.map) : tenant.allow.map((id) => [id, id]);
  return { ...issuer, tenants: new Map(named as [string, string][]) };
}

/** Null when there is no such tenant, which is no defect of the config. */
export function loadTenant(
  context: LoadContext,
  id: string,
  upstreams: Base["upstreams"],
  text: string | null,
): Loaded<Tenant | null> {
  if (text === null) return { value: null };
  const parsed = parse(TenantEntry, text);
  if ("problem" in parsed) return { problem: `tenant ${id}: ${parsed.problem}` };
  const { upstream: name, credential, ...policy } = parsed.value;
  const entry = upstreams.get(name);
  if (entry === undefined) {
    return { problem: `tenant ${id}: there is no upstream named '${name}'` };
  }
  const key = context.secret(credential.secret);
  if (key === undefined || key === "") {
    return { problem: `tenant ${id}: the secret ${credential.secret} is not set` };
  }
  if (policy.audit.subject === "hmac" && !context.secret("AUDIT_SUBJECT_KEY")) {
    return { problem: `tenant ${id}: audit.subject needs the secret AUDIT_SUBJECT_KEY` };
  }
  const { kind, base_url, ...options } = entry;
  const baseUrl = base_url.replace(/\/+$/, "");
  const connection = { name, adapter: adapterOf(kind), baseUrl, options, key };
  return { value: { ...policy, id, connection } };
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
