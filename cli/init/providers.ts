// The identity providers that a config can be made for: what differs from one customer of theirs to the
// next. All the rest is in the tested samples of docs/identity, which are filled in with it.
import type { TextQuestion } from "./ask.ts";
import { isAddress, isAudience, isMatch, isOrigin } from "./checks.ts";

/** Each is a flag of its own. */
export const BLANKS = {
  domain: "--domain <host>",
  project: "--project <id>",
  organization: "--organization <id>",
  pool: "--pool <id>",
  realm: "--realm <url>",
  directory: "--directory <id>",
  clientId: "--client-id <id>",
  audience: "--audience <text>",
  accessTeam: "--access-team <name>",
  accessAudience: "--access-audience <tag>",
} as const;
export type Blank = keyof typeof BLANKS;
export type Blanks = Readonly<Record<Blank, string>>;

export interface Provider {
  /** The name of its sample in docs/identity. */
  readonly id: string;
  readonly label: string;
  readonly blanks: Readonly<Partial<Record<Blank, Omit<TextQuestion, "flag">>>>;
  /** The members of the sample's entry that differ. */
  readonly members: (blanks: Blanks, tenant: string) => Readonly<Record<string, unknown>>;
}

const HOST = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/i;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const isHost = isMatch(HOST, "a host, such as acme.eu.auth0.com: no https://, no slash");
const isUuid = isMatch(UUID, "an id such as aaaabbbb-0000-cccc-1111-dddd2222eeee");
const isOrganization = isMatch(/^org_\w+$/, "an organization's id, which begins with org_");
const isId = isMatch(/^[\w.:-]{1,128}$/, "an id of 1-128 letters, digits and '_.:-'");

const AUTH0: Provider = {
  id: "auth0",
  label: "Auth0",
  blanks: {
    domain: { message: "The Auth0 domain", placeholder: "acme.eu.auth0.com", check: isHost },
    audience: {
      message: "The identifier of the API that stands for the gateway",
      placeholder: "https://stop.example.com",
      check: isAudience,
    },
    organization: {
      message: "The id of the tenant's Auth0 organization",
      placeholder: "org_9ybsU1dN2dKfDkBi",
      check: isOrganization,
    },
  },
  members: ({ domain, audience, organization }, tenant) => ({
    issuer: `https://${domain}/`,
    jwks_uri: `https://${domain}/.well-known/jwks.json`,
    audiences: [audience],
    tenant: { claim: "org_id", map: { [organization]: tenant } },
  }),
};

const CLERK: Provider = {
  id: "clerk",
  label: "Clerk",
  blanks: {
    domain: { message: "The Frontend API host", placeholder: "clerk.acme.com", check: isHost },
    audience: {
      message: "The origin of the app's page, as azp has it",
      placeholder: "https://app.acme.com",
      check: isOrigin,
    },
    organization: {
      message: "The id of the tenant's Clerk organization",
      placeholder: "org_2abcDEFghiJKLmnoPQRstuVWXyz",
      check: isOrganization,
    },
  },
  members: ({ domain, audience, organization }, tenant) => ({
    issuer: `https://${domain}`,
    jwks_uri: `https://${domain}/.well-known/jwks.json`,
    audiences: [audience],
    tenant: { claim: ["o", "id"], map: { [organization]: tenant } },
  }),
};

const SUPABASE: Provider = {
  id: "supabase",
  label: "Supabase",
  blanks: {
    project: {
      message: "The project's reference",
      placeholder: "abcdefghijklmnopqrst",
      check: isMatch(/^[a-z0-9]{8,40}$/, "the first part of the project's address, a-z and 0-9"),
    },
  },
  members: ({ project }, tenant) => ({
    issuer: `https://${project}.supabase.co/auth/v1`,
    jwks_uri: `https://${project}.supabase.co/auth/v1/.well-known/jwks.json`,
    tenant: { claim: ["app_metadata", "tenant"], allow: [tenant] },
  }),
};

const COGNITO: Provider = {
  id: "cognito",
  label: "Amazon Cognito",
  blanks: {
    pool: {
      message: "The user pool's id",
      placeholder: "eu-central-1_AbCdEfGhI",
      check: isMatch(/^[a-z]{2}(-[a-z]+)+-\d+_\w+$/, "a pool's id, such as eu-central-1_AbCdEfGhI"),
    },
    clientId: {
      message: "The id of the page's app client",
      placeholder: "57cbishk4j24pabc1234567890",
      check: isId,
    },
  },
  members: ({ pool, clientId }, tenant) => {
    const issuer = `https://cognito-idp.${pool.split("_")[0]}.amazonaws.com/${pool}`;
    return {
      issuer,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      audiences: [clientId],
      tenant: { fixed: tenant },
    };
  },
};

const FIREBASE: Provider = {
  id: "firebase",
  label: "Firebase",
  blanks: {
    project: {
      message: "The project's id",
      placeholder: "acme-app",
      check: isMatch(/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/, "a project's id, such as acme-app"),
    },
  },
  members: ({ project }, tenant) => ({
    issuer: `https://securetoken.google.com/${project}`,
    audiences: [project],
    tenant: { claim: "tenant", allow: [tenant] },
  }),
};

const KEYCLOAK: Provider = {
  id: "keycloak",
  label: "Keycloak",
  blanks: {
    realm: {
      message: "The realm's address",
      placeholder: "https://id.acme.com/realms/acme",
      check: isAddress,
    },
    audience: {
      message: "The client that stands for the gateway",
      fallback: "stopgate",
      check: isId,
    },
    clientId: { message: "The app's own client", placeholder: "acme-web", check: isId },
  },
  members: ({ realm, audience, clientId }, tenant) => {
    const issuer = realm.replace(/\/+$/, "");
    return {
      issuer,
      jwks_uri: `${issuer}/protocol/openid-connect/certs`,
      audiences: [audience],
      claims: { typ: "Bearer", azp: clientId },
      tenant: { claim: "organization", allow: [tenant] },
      scopes_claim: ["resource_access", audience, "roles"],
    };
  },
};

const ENTRA_ID: Provider = {
  id: "entra-id",
  label: "Microsoft Entra ID",
  blanks: {
    directory: {
      message: "The directory's (tenant's) id",
      placeholder: "aaaabbbb-0000-cccc-1111-dddd2222eeee",
      check: isUuid,
    },
    audience: {
      message: "The client id of the gateway's app registration",
      placeholder: "00001111-aaaa-2222-bbbb-3333cccc4444",
      check: isUuid,
    },
    clientId: {
      message: "The client id of the app whose page may stop runs",
      placeholder: "11112222-bbbb-3333-cccc-4444dddd5555",
      check: isUuid,
    },
  },
  members: ({ directory, audience, clientId }, tenant) => ({
    issuer: `https://login.microsoftonline.com/${directory}/v2.0`,
    jwks_uri: `https://login.microsoftonline.com/${directory}/discovery/v2.0/keys`,
    audiences: [audience],
    claims: { azp: clientId },
    tenant: { fixed: tenant },
  }),
};

/** Lets nobody stop a run, so it stands beside one of the others: for those who read the audit log. */
export const CLOUDFLARE_ACCESS: Provider = {
  id: "cloudflare-access",
  label: "Cloudflare Access",
  blanks: {
    accessTeam: {
      message: "The team's name at Cloudflare",
      placeholder: "acme",
      check: isMatch(/^[a-z0-9-]{1,63}$/, "the team's name, as in NAME.cloudflareaccess.com"),
    },
    accessAudience: {
      message: "The AUD tag of the Access application",
      placeholder: "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2",
      check: isMatch(/^[0-9a-f]{64}$/, "an AUD tag is 64 of 0-9 and a-f"),
    },
  },
  members: ({ accessTeam, accessAudience }, tenant) => ({
    issuer: `https://${accessTeam}.cloudflareaccess.com`,
    jwks_uri: `https://${accessTeam}.cloudflareaccess.com/cdn-cgi/access/certs`,
    audiences: [accessAudience],
    tenant: { fixed: tenant },
  }),
};

/** Those whose tokens can stop a run. */
export const PROVIDERS: readonly Provider[] = [
  ...[AUTH0, CLERK, SUPABASE, COGNITO, FIREBASE, KEYCLOAK, ENTRA_ID],
];
