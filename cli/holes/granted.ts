// Holes in the scopes that an issuer gives to every one of its tokens, or to what every user has.
import { type ConfigDocument, type Issuer, type Rule, tenantsOf } from "../../src/config/schema.ts";
import type { Path } from "../config-file.ts";
import { type Hole, mayCancel, tenantAnd } from "./hole.ts";

/** What a token may do that is not about a single run. */
const STRONG_SCOPES = ["runs:register", "audit:read"];

export function grantedHoles(config: ConfigDocument): Hole[] {
  return config.issuers.flatMap((issuer, index) => {
    const path = ["issuers", index];
    return [
      ...spaces(issuer, path),
      // Whom Cloudflare Access lets in is a list already, and its tokens stop nothing.
      ...(mayCancel(issuer) ? [...strong(issuer, path), ...allRuns(issuer, config, path)] : []),
      ...(mayCancel(issuer) ? mappedToAll(issuer, config, path) : []),
    ];
  });
}

function spaces({ granted_scopes, scopes_map = {} }: Issuer, path: Path): Hole[] {
  const given = granted_scopes.map((scope, index) => ({ scope, at: ["granted_scopes", index] }));
  const mapped = Object.entries(scopes_map).flatMap(([word, scopes]) =>
    scopes.map((scope, index) => ({ scope, at: ["scopes_map", word, index] })),
  );
  return [...given, ...mapped]
    .filter(({ scope }) => scope.includes(" "))
    .map(({ scope, at }) => ({
      id: "scope-with-space",
      path: [...path, ...at],
      message: `'${scope}' is given as one scope with a space in it, and not as several`,
      cure: "write one scope per entry",
    }));
}

function strong({ granted_scopes }: Issuer, path: Path): Hole[] {
  return granted_scopes.flatMap((scope, index) =>
    STRONG_SCOPES.includes(scope)
      ? [
          {
            id: "granted-strong-scope",
            path: [...path, "granted_scopes", index],
            message: `every token of this issuer is given '${scope}', a user's too`,
            cure: "let the provider give it to the few that need it, by the scopes claim",
          },
        ]
      : [],
  );
}

function allRuns(issuer: Issuer, config: ConfigDocument, path: Path): Hole[] {
  const { granted_scopes } = issuer;
  const open = granted_scopes.length === 0 ? null : ruleForAll(issuer, config, granted_scopes);
  if (open === null) return [];
  return [
    {
      id: "granted-all-runs",
      path: [...path, "granted_scopes"],
      message: `every token of this issuer fits ${open}, so anybody may stop everybody's runs`,
      cure: "give that rule a scope that only some tokens carry, or make it 'own'",
    },
  ];
}

/**
 * Roles, groups and scopes that providers give to every user unasked, or to any app that asks. In small
 * letters, and without blanks, hyphens and underscores.
 */
const EVERYBODYS = new Set([
  ...["everyone", "everybody", "anyone", "all", "anybody", "world", "public", "default"],
  ...["user", "users", "enduser", "endusers", "basic", "basicuser", "standarduser", "regularuser"],
  ...["customer", "customers", "subscriber", "subscribers", "registered", "registereduser"],
  ...["registeredusers", "guest", "guests", "anon", "anonymous", "loggedin", "signedin", "login"],
  ...["member", "members", "org:member", "basicmember", "orgmember", "organizationmember"],
  ...["authenticated", "authenticateduser", "authenticatedusers", "allauthenticatedusers"],
  ...["allusers", "allmembers", "allcompany", "allemployees", "allstaff", "employee", "employees"],
  // Active Directory and SharePoint.
  ...["domainusers", "domainguests", "domaincomputers", "interactive", "thisorganization"],
  ...["everyoneexceptexternalusers"],
  // OpenID Connect Core §5.4 and §11, and how Ory, Okta and Google write these.
  ...["openid", "profile", "email", "address", "phone", "offlineaccess", "offline"],
  ...["onlineaccess", "devicesso", "userinfo.email", "userinfo.profile"],
  // Keycloak's default roles and client scopes, and WSO2's.
  ...["umaauthorization", "manageaccount", "manageaccountlinks", "viewprofile", "weborigins"],
  ...["acr", "microprofilejwt", "internallogin", "amapplicationscope"],
  // Cognito's, Entra ID's, ADFS's and Auth0's.
  ...["aws.cognito.signin.user.admin", "userimpersonation", "accessasuser", "user.read"],
  ...["read:currentuser", "update:currentusermetadata"],
]);
/** Windows' Everyone, Network, Interactive, Anonymous, Authenticated Users, This Organization, Users, Guests. */
const EVERYBODYS_SID = /^s-1-(1-0|5-(2|4|7|11|15|32-54[56]|21-[\d-]+-51[345]))$/i;

/**
 * `/all_users`, `ACME\Domain Users`, `CN=Domain Users,CN=Users,DC=x`, `ROLE_USER`, `everyone@acme.com` and
 * `default-roles-acme` are such names, too.
 */
function isEverybodys(word: string): boolean {
  const name = /^\s*cn\s*=\s*([^,]+)/i.exec(word)?.[1] ?? word;
  const last = name
    .replace(/[/\\]+$/, "")
    .replace(/^.*[/\\]/s, "")
    .replace(/@.*$/s, "")
    .trim();
  if (EVERYBODYS_SID.test(last) || /^default-roles-/i.test(last)) return true;
  const bare = last.toLowerCase().replace(/^(role|group)s?[\s:_-]+/, "");
  return EVERYBODYS.has(bare.replaceAll(/[\s_-]+/g, ""));
}

function mappedToAll(issuer: Issuer, config: ConfigDocument, path: Path): Hole[] {
  const { granted_scopes, scopes_map = {} } = issuer;
  const cure = "map a role or a group that only those have who may";
  return Object.entries(scopes_map)
    .filter(([word]) => isEverybodys(word))
    .flatMap(([word, scopes]): Hole[] => {
      const at = [...path, "scopes_map", word];
      const who = `'${word}' is what every user has at many providers`;
      const strong = scopes.find((scope) => STRONG_SCOPES.includes(scope));
      if (strong !== undefined) {
        const message = `${who}, and it is mapped to '${strong}'`;
        return [{ id: "mapped-strong-scope", path: at, message, cure }];
      }
      // What is open without the map is told of `granted_scopes`.
      if (ruleForAll(issuer, config, granted_scopes) !== null) return [];
      const open = ruleForAll(issuer, config, [...granted_scopes, ...scopes]);
      if (open === null) return [];
      const message = `${who}, and what it is mapped to fits ${open}, so anybody may stop everybody's runs`;
      return [{ id: "mapped-all-runs", path: at, message, cure }];
    });
}

/** In words: the rule by which a token with these scopes may stop every run of a tenant. Null: none. */
function ruleForAll(
  issuer: Issuer,
  { tenants }: ConfigDocument,
  scopes: readonly string[],
): string | null {
  const open = tenantsOf(issuer).flatMap((id) => {
    const tenant = tenants[id];
    // A grant names the run, so there a rule for the tenant's runs covers no others either.
    if (tenant === undefined || tenant.ownership.source === "grant") return [];
    const rule = tenant.rules.find(
      (each) =>
        each.runs === "tenant" &&
        each.scopes.every((scope) => scopes.includes(scope)) &&
        (each.effect === "allow" || deniesAll(each)),
    );
    return rule?.effect === "allow" ? [{ id, rule: rule.id }] : [];
  });
  const [first] = open;
  return first === undefined ? null : `rule '${first.rule}' of ${tenantAnd(first.id, open.length)}`;
}

function deniesAll({ assistants, max_age_seconds }: Rule): boolean {
  return assistants === undefined && max_age_seconds === undefined;
}
