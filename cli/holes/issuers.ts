// Holes in whose tokens count, and for what.
import { type ConfigDocument, type Issuer, isLoopbackHttp } from "../../src/config/schema.ts";
import type { Path } from "../config-file.ts";
import { type Hole, issuersByTenant, mayCancel, tenantsOf } from "./hole.ts";

/** Claims that several providers let their users write themselves. */
const USERS_OWN = ["user_metadata", "unsafe_metadata", "unsafeMetadata"];
/** What a token may do that is not about a single run. */
const STRONG_SCOPES = ["runs:register", "audit:read"];
const LONG_HOURS = 7 * 24;

export function issuerHoles(config: ConfigDocument): Hole[] {
  const each = config.issuers.flatMap((issuer, index) => {
    const path = ["issuers", index];
    return [
      ...plainHttp(issuer, path),
      ...audiences(issuer, config, path),
      ...strangers(issuer, config, path),
      ...usersOwnWord(issuer, path),
      ...givenToEveryToken(issuer, config, path),
      ...longLives(issuer, path),
    ];
  });
  return [...each, ...onePersonTwice(config)];
}

function plainHttp({ issuer }: Issuer, path: Path): Hole[] {
  if (!issuer.startsWith("http:") || isLoopbackHttp(issuer)) return [];
  return [
    {
      id: "issuer-http",
      path: [...path, "issuer"],
      message: "the issuer's name is an http address, which anybody on the way can answer for",
      cure: "use the provider's https name, as its discovery document has it",
    },
  ];
}

function audiences(
  { audiences: named }: Issuer,
  { upstreams }: ConfigDocument,
  path: Path,
): Hole[] {
  const foreign = new Set(
    Object.values(upstreams).flatMap(({ base_url }) => addressesOf(base_url)),
  );
  return named.flatMap((audience, index): Hole[] => {
    const at = [...path, "audiences", index];
    if (audience.includes("*")) {
      const message = "an audience is compared to the letter, so with a star in it no token fits";
      return [{ id: "audience-star", path: at, message, cure: "write out each audience" }];
    }
    if (!foreign.has(audience.replace(/\/+$/, ""))) return [];
    const message = "the audience is an upstream's: a token that was made for it is good here too";
    const cure = "register the gateway at the provider as an API of its own, and name that";
    return [{ id: "audience-upstream", path: at, message, cure }];
  });
}

function addressesOf(baseUrl: string): string[] {
  return [baseUrl.replace(/\/+$/, ""), new URL(baseUrl).origin];
}

function strangers(issuer: Issuer, { tenants }: ConfigDocument, path: Path): Hole[] {
  const { tenant } = issuer;
  if ("fixed" in tenant) return [];
  const named: readonly (readonly [string | number, string])[] =
    "map" in tenant ? Object.entries(tenant.map) : [...tenant.allow.entries()];
  const member = "map" in tenant ? "map" : "allow";
  return named
    .filter(([, id]) => !Object.hasOwn(tenants, id))
    .map(([key, id]) => ({
      id: "tenant-missing",
      path: [...path, "tenant", member, key],
      message: `there is no tenant '${id}': whoever adds one of that name lets this issuer in unseen`,
      cure: "take the name out, or add the tenant",
    }));
}

function usersOwnWord({ tenant, scopes_claim }: Issuer, path: Path): Hole[] {
  const claims = [
    { at: [...path, "tenant", "claim"], claim: "claim" in tenant ? tenant.claim : [] },
    { at: [...path, "scopes_claim"], claim: scopes_claim },
  ];
  return claims
    .filter(({ claim }) => [claim].flat().some((name) => USERS_OWN.includes(name)))
    .map(({ at, claim }) => ({
      id: "claim-users-own",
      path: at,
      message: `users write '${[claim].flat().join(".")}' themselves, so anybody can give it any value`,
      cure: "use a claim that only your backend or the provider sets, such as one under app_metadata",
    }));
}

function givenToEveryToken(issuer: Issuer, { tenants }: ConfigDocument, path: Path): Hole[] {
  const { granted_scopes } = issuer;
  if (!mayCancel(issuer)) return [];
  const at = [...path, "granted_scopes"];
  const strong = granted_scopes
    .filter((scope) => STRONG_SCOPES.includes(scope))
    .map((scope) => ({
      id: "granted-strong-scope",
      path: at,
      message: `every token of this issuer is given '${scope}', a user's too`,
      cure: "let the provider give it to the few that need it, by the scopes claim",
    }));
  if (granted_scopes.length === 0) return strong;
  const wide = tenantsOf(issuer).flatMap((id) =>
    (tenants[id]?.rules ?? [])
      .filter(({ effect, runs }) => effect === "allow" && runs === "tenant")
      .filter(({ scopes }) => scopes.every((scope) => granted_scopes.includes(scope)))
      .map((rule) => ({
        id: "granted-all-runs",
        path: at,
        message: `every token of this issuer fits rule '${rule.id}' of tenant ${id}, so anybody may stop everybody's runs`,
        cure: "give that rule a scope that only some tokens carry, or make it 'own'",
      })),
  );
  return [...strong, ...wide];
}

function longLives({ max_lifetime_hours }: Issuer, path: Path): Hole[] {
  if (max_lifetime_hours <= LONG_HOURS) return [];
  return [
    {
      id: "long-lived-tokens",
      path: [...path, "max_lifetime_hours"],
      message: `a stolen token is good for up to ${Math.floor(max_lifetime_hours / 24)} days`,
      cure: "let the provider make tokens that live for hours, and keep this at 24",
    },
  ];
}

function onePersonTwice(config: ConfigDocument): Hole[] {
  return [...issuersByTenant(config)].flatMap(([id, [first, second]]): Hole[] => {
    const tenant = config.tenants[id];
    if (first === undefined || second === undefined || tenant === undefined) return [];
    const bySubject = ["metadata", "registry"].includes(tenant.ownership.source);
    const own = tenant.rules.some(({ effect, runs }) => effect === "allow" && runs === "own");
    if (!bySubject || !own) return [];
    return [
      {
        id: "two-issuers",
        path: ["issuers", second, "tenant"],
        message: `tenant ${id} is reached by ${config.issuers[first]?.issuer} too, and a run's owner is told by 'sub' alone: the same 'sub' at both is one person`,
        cure: "give each issuer a tenant of its own, or use ownership by 'grant'",
      },
    ];
  });
}
