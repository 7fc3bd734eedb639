// Holes in the scopes that an issuer gives to every one of its tokens.
import type { ConfigDocument, Issuer, Rule } from "../../src/config/schema.ts";
import { type Hole, mayCancel, tenantAnd, tenantsOf } from "./hole.ts";

/** What a token may do that is not about a single run. */
const STRONG_SCOPES = ["runs:register", "audit:read"];

export function grantedHoles(config: ConfigDocument): Hole[] {
  return config.issuers.flatMap((issuer, index) => {
    const path = ["issuers", index, "granted_scopes"];
    return [
      ...spaces(issuer, path),
      // Whom Cloudflare Access lets in is a list already, and its tokens stop nothing.
      ...(mayCancel(issuer) ? [...strong(issuer, path), ...allRuns(issuer, config, path)] : []),
    ];
  });
}

function spaces({ granted_scopes }: Issuer, path: Hole["path"]): Hole[] {
  return granted_scopes.flatMap((scope, index) =>
    scope.includes(" ")
      ? [
          {
            id: "scope-with-space",
            path: [...path, index],
            message: `'${scope}' is given as one scope with a space in it, and not as several`,
            cure: "write one scope per entry",
          },
        ]
      : [],
  );
}

function strong({ granted_scopes }: Issuer, path: Hole["path"]): Hole[] {
  return granted_scopes.flatMap((scope, index) =>
    STRONG_SCOPES.includes(scope)
      ? [
          {
            id: "granted-strong-scope",
            path: [...path, index],
            message: `every token of this issuer is given '${scope}', a user's too`,
            cure: "let the provider give it to the few that need it, by the scopes claim",
          },
        ]
      : [],
  );
}

function allRuns(issuer: Issuer, { tenants }: ConfigDocument, path: Hole["path"]): Hole[] {
  const { granted_scopes } = issuer;
  if (granted_scopes.length === 0) return [];
  const open = tenantsOf(issuer).flatMap((id) => {
    const tenant = tenants[id];
    // A grant names the run, so there a rule for the tenant's runs covers no others either.
    if (tenant === undefined || tenant.ownership.source === "grant") return [];
    const rule = tenant.rules.find(
      (each) =>
        each.runs === "tenant" &&
        each.scopes.every((scope) => granted_scopes.includes(scope)) &&
        (each.effect === "allow" || deniesAll(each)),
    );
    return rule?.effect === "allow" ? [{ id, rule: rule.id }] : [];
  });
  const [first] = open;
  if (first === undefined) return [];
  return [
    {
      id: "granted-all-runs",
      path,
      message: `every token of this issuer fits rule '${first.rule}' of ${tenantAnd(first.id, open.length)}, so anybody may stop everybody's runs`,
      cure: "give that rule a scope that only some tokens carry, or make it 'own'",
    },
  ];
}

function deniesAll({ assistants, max_age_seconds }: Rule): boolean {
  return assistants === undefined && max_age_seconds === undefined;
}
