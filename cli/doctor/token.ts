// The token that the gateway is asked with: the given one, or one of the local issuer's; and whose it is,
// as far as the config can tell.
import { decodeJwt } from "jose";
import { trustedIssuer } from "../../src/config/load.ts";
import type { ConfigDocument } from "../../src/config/schema.ts";
import { Refusal } from "../../src/failure.ts";
import { entryFor, readClaims } from "../../src/identity/claims.ts";
import type { Secrets } from "../secrets-file.ts";
import { readLocalKey } from "../token/local-key.ts";
import { localIssuers, mintToken, tenantsNamedBy } from "../token/mint.ts";
import { NO_RUN } from "./open-routes.ts";
import type { Holder } from "./with-token.ts";

export interface Presented {
  readonly token: string;
  /** Null: the config does not say, or there is none. */
  readonly holder: Holder | null;
}

export interface TokenSources {
  readonly config: ConfigDocument | null;
  readonly secrets: Secrets;
  readonly given: string | undefined;
  readonly tenant: string | undefined;
}

/** Null when there is no token to be had. Throws `UsageError` for a local key that is none. */
export async function presentedToken(sources: TokenSources): Promise<Presented | null> {
  const { config, given } = sources;
  const token = given ?? (config === null ? null : await localToken(config, sources));
  if (token === null) return null;
  return { token, holder: config === null ? null : holderOf(config, token) };
}

const EXPIRES_IN_SECONDS = 300;

/** With every scope that a rule asks for, and the audit log's: it is to get as far as one can. */
async function localToken(
  config: ConfigDocument,
  { secrets, tenant: wished }: TokenSources,
): Promise<string | null> {
  const key = await readLocalKey(secrets);
  if (key === null) return null;
  const reached = (await localIssuers(config, key)).flatMap(({ issuer }) => [
    ...tenantsNamedBy(issuer).keys(),
  ]);
  const tenant = wished ?? reached.find((id) => config.tenants[id]?.enabled === true);
  if (tenant === undefined) return null;
  const allowing = (config.tenants[tenant]?.rules ?? []).filter(({ effect }) => effect === "allow");
  const { token } = await mintToken(config, key, {
    sub: "doctor",
    tenant,
    scopes: [...new Set([...allowing.flatMap(({ scopes }) => scopes), "audit:read"])],
    expiresInSeconds: EXPIRES_IN_SECONDS,
    grants: [NO_RUN],
  });
  return token;
}

/** Nothing is verified here: that the gateway does. This only tells what its answer means. */
function holderOf(config: ConfigDocument, token: string): Holder | null {
  try {
    const payload = decodeJwt(token);
    const entries = config.issuers.filter(({ issuer }) => issuer === payload.iss);
    if (entries.length === 0) return null;
    const nowSeconds = Math.floor(Date.now() / 1_000);
    const issuer = entryFor(entries.map(trustedIssuer), payload);
    const { tenant, scopes, grants } = readClaims(payload, issuer, nowSeconds);
    const entry = config.tenants[tenant];
    return entry === undefined ? null : { tenant, entry, scopes, grants };
  } catch (error) {
    // What is no token, or none of this issuer's, the gateway will refuse in its own words.
    if (error instanceof Refusal || (error instanceof Error && "code" in error)) return null;
    throw error;
  }
}
