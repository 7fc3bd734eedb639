// Holes in whose tokens count: what an issuer is called, whom its tokens are for, and for whom they speak.
import { covers } from "../../src/config/entries.ts";
import { type ConfigDocument, type Issuer, isLoopbackHttp } from "../../src/config/schema.ts";
import type { Path } from "../config-file.ts";
import { entriesByTenant, type Hole, tenantAnd } from "./hole.ts";

/** Claims that several providers let their users write themselves. */
const USERS_OWN = ["user_metadata", "unsafe_metadata", "unsafeMetadata"];
/** Those of OpenID Connect Core §5.1 that people type into their profile. */
const PROFILE = [
  ...["name", "given_name", "family_name", "middle_name", "nickname"],
  ...["profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale"],
];
/** OpenID Connect Core §5.7: these change, and pass to another person; only `sub` does neither. */
const PASSED_ON = [
  ...["email", "preferred_username", "phone_number", "upn", "unique_name", "username"],
  ...["cognito:username", "login"],
];
/** What many people's tokens have in common. */
const OF_MANY = [
  ...["client_id", "azp", "appid", "cid", "tid", "org_id", "iss", "aud", "scope", "scp"],
  ...["organization", "groups", "roles"],
];
const LONG_HOURS = 7 * 24;

export function issuerHoles(config: ConfigDocument): Hole[] {
  const each = config.issuers.flatMap((issuer, index) => {
    const path = ["issuers", index];
    return [
      ...plainHttp(issuer, path),
      ...nobodysName(issuer, path),
      ...audiences(issuer, config, path),
      ...strangers(issuer, config, path),
      ...usersOwnWord(issuer, path),
      ...subjects(issuer, path),
      ...neverReached(issuer, index, config),
      ...longLives(issuer, path),
    ];
  });
  return [...each, ...sharedSubjects(config), ...twoSubjectClaims(config)];
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

/** Entra ID's addresses for any directory: what they publish has a directory's id in its place. */
function nobodysName({ issuer }: Issuer, path: Path): Hole[] {
  if (!/^https:\/\/login\.microsoftonline\.com\/(common|organizations|\{)/.test(issuer)) return [];
  return [
    {
      id: "issuer-of-no-token",
      path: [...path, "issuer"],
      message: "no token has this issuer: Entra ID puts the directory's own id there",
      cure: "name the directory: https://login.microsoftonline.com/DIRECTORY-ID/v2.0",
    },
  ];
}

function audiences(entry: Issuer, { upstreams }: ConfigDocument, path: Path): Hole[] {
  const foreign = new Set(
    Object.values(upstreams).flatMap(({ base_url }) => addressesOf(base_url)),
  );
  return entry.audiences.flatMap((audience, index): Hole[] => {
    const at = [...path, "audiences", index];
    if (audience.includes("*")) {
      const message = "an audience is compared to the letter, so with a star in it no token fits";
      return [{ id: "audience-star", path: at, message, cure: "write out each audience" }];
    }
    const cure = "register the gateway at the provider as an API of its own, and name that";
    if (foreign.has(audience.replace(/\/+$/, ""))) {
      const message =
        "the audience is an upstream's: a token that was made for it is good here too";
      return [{ id: "audience-upstream", path: at, message, cure }];
    }
    if (isProvidersOwn(entry, audience)) {
      const message =
        "the audience is the provider's own API: every app's tokens are for it, and all are good here";
      return [{ id: "audience-provider", path: at, message, cure }];
    }
    return [];
  });
}

function addressesOf(baseUrl: string): string[] {
  return [baseUrl.replace(/\/+$/, ""), new URL(baseUrl).origin];
}

/**
 * Auth0's user info and management API, and Keycloak's account console, which are in most tokens unasked;
 * no matter where `claims` says which app's tokens count.
 */
function isProvidersOwn({ issuer, audience_claim, claims }: Issuer, audience: string): boolean {
  const saysWhichApp = ["client_id", "azp", "appid", "cid"].some((name) => name in claims);
  if (audience_claim !== "aud" || saysWhichApp) return false;
  if (issuer.endsWith("/")) return [`${issuer}userinfo`, `${issuer}api/v2/`].includes(audience);
  return audience === "account" && /\/realms\/[^/]+$/.test(issuer);
}

function strangers({ tenant }: Issuer, { tenants }: ConfigDocument, path: Path): Hole[] {
  if ("fixed" in tenant) return [];
  const named: readonly (readonly [string | number, string])[] =
    "map" in tenant ? Object.entries(tenant.map) : [...tenant.allow.entries()];
  const member = "map" in tenant ? "map" : "allow";
  if (named.length === 0) {
    const message = "the map is empty, so every token of this issuer is refused";
    const cure = "map the provider's organisations to tenants, or take the issuer out";
    return [{ id: "issuer-without-tenant", path: [...path, "tenant", member], message, cure }];
  }
  return named
    .filter(([, id]) => !Object.hasOwn(tenants, id))
    .map(([key, id]) => ({
      id: "tenant-missing",
      path: [...path, "tenant", member, key],
      message: `there is no tenant '${id}': whoever adds one of that name lets this issuer in unseen`,
      cure: "take the name out, or add the tenant",
    }));
}

function usersOwnWord({ tenant, scopes_claim, subject_claim }: Issuer, path: Path): Hole[] {
  const claims = [
    { at: [...path, "subject_claim"], claim: subject_claim },
    { at: [...path, "tenant", "claim"], claim: "claim" in tenant ? tenant.claim : [] },
    { at: [...path, "scopes_claim"], claim: scopes_claim },
  ];
  return claims
    .filter(({ claim }) => isUsersOwn([claim].flat()))
    .map(({ at, claim }) => ({
      id: "claim-users-own",
      path: at,
      message: `users write '${[claim].flat().join(".")}' themselves, so anybody can give it any value`,
      cure: "use a claim that only your backend or the provider sets, such as one under app_metadata",
    }));
}

function isUsersOwn(names: readonly string[]): boolean {
  const [first = ""] = names;
  return (
    // Auth0 wants claims of one's own to begin with an address.
    names.some((name) => USERS_OWN.includes(name.slice(name.lastIndexOf("/") + 1))) ||
    (names.length === 1 && PROFILE.includes(first))
  );
}

function subjects({ tenant, subject_claim }: Issuer, path: Path): Hole[] {
  const at = [...path, "subject_claim"];
  const names = [subject_claim].flat();
  const claim = names.join(".");
  const last = names.at(-1) ?? "";
  if (PASSED_ON.includes(last.slice(last.lastIndexOf("/") + 1))) {
    const message = `'${claim}' can change, and can pass to another person, who then owns the runs`;
    const cure = "use a claim that stays one person's, such as 'sub', or 'oid' of Entra ID";
    return [{ id: "subject-passed-on", path: at, message, cure }];
  }
  const isTenants = "claim" in tenant && claim === [tenant.claim].flat().join(".");
  if (!isTenants && !(names.length === 1 && OF_MANY.includes(claim))) return [];
  const message = `tokens of many people have the same '${claim}', so all of them are one person here`;
  return [{ id: "subject-of-many", path: at, message, cure: "use a claim that names the person" }];
}

/** The first entry that fits a token is the only one that judges it. */
function neverReached(entry: Issuer, index: number, { issuers }: ConfigDocument): Hole[] {
  const before = issuers
    .slice(0, index)
    .findIndex((other) => other.issuer === entry.issuer && covers(other, entry));
  if (before === -1) return [];
  return [
    {
      id: "entry-never-reached",
      path: ["issuers", index, "issuer"],
      message: `every token for this entry is for entry ${before + 1} of the same issuer, too, and the first one that fits judges it`,
      cure: "put this entry before the other, or let the other's 'claims' leave these tokens out",
    },
  ];
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

/** Owners' names of several issuers: one person, if the operator is right. */
function sharedSubjects(config: ConfigDocument): Hole[] {
  const sharing = Object.entries(config.tenants).flatMap(([id, { ownership }]) => {
    const names = "subject_issuers" in ownership ? (ownership.subject_issuers ?? []) : [];
    return names.length > 1 && asksForPerson(config, id) ? [{ id, names }] : [];
  });
  return [...Map.groupBy(sharing, ({ names }) => names.join(" and "))].flatMap(
    ([names, [one, ...more]]): Hole[] => {
      if (one === undefined) return [];
      const who = tenantAnd(one.id, more.length + 1);
      return [
        {
          id: "two-issuers",
          path: ["tenants", one.id, "ownership", "subject_issuers"],
          message: `in ${who} the same subject of ${names} is one person, who may stop that person's runs`,
          cure: "keep it if both issuers name the same people by the same subject; otherwise name one issuer",
        },
      ];
    },
  );
}

/** Entries of one issuer that take the subject from different claims. Said once of each such entry. */
function twoSubjectClaims(config: ConfigDocument): Hole[] {
  const { issuers } = config;
  const claimOf = (index: number): string => [issuers[index]?.subject_claim].flat().join(".");
  const met = [...entriesByTenant(config)].flatMap(([id, indexes]) =>
    asksForPerson(config, id)
      ? indexes.flatMap((other, place) =>
          indexes
            .slice(0, place)
            .filter((first) => issuers[first]?.issuer === issuers[other]?.issuer)
            .filter((first) => claimOf(first) !== claimOf(other))
            .slice(0, 1)
            .map((first) => ({ id, first, other })),
        )
      : [],
  );
  return [...Map.groupBy(met, ({ other }) => other)].flatMap(([other, [one, ...more]]): Hole[] => {
    if (one === undefined) return [];
    const who = tenantAnd(one.id, more.length + 1);
    return [
      {
        id: "two-subject-claims",
        path: ["issuers", other, "subject_claim"],
        message: `for ${who} another entry of this issuer takes the subject from '${claimOf(one.first)}', this one from '${claimOf(other)}': the same text in both is one person`,
        cure: "take the subject from the same claim in both entries",
      },
    ];
  });
}

/** Some runs are somebody's there, and whose is told by the `sub`. */
function asksForPerson({ tenants }: ConfigDocument, id: string): boolean {
  const tenant = tenants[id];
  if (tenant === undefined || !["metadata", "registry"].includes(tenant.ownership.source)) {
    return false;
  }
  return tenant.rules.some(({ effect, runs }) => effect === "allow" && runs === "own");
}
