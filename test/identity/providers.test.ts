// The samples of docs/identity: a token of the shape that the provider documents gets in by the front door,
// and nothing else does that the provider signs with the same key.
/// <reference types="vite/types/importMeta.d.ts" />
import { v7 } from "uuid";
import { beforeAll, describe, expect, it } from "vitest";
import { parseConfig } from "../../cli/config-file.ts";
import { createKey, type SigningKey } from "../../dev/issuer.ts";
import type { Issuer } from "../../src/config/schema.ts";
import {
  type AuditJson,
  createHarness,
  type Harness,
  type Json,
  pathOf,
  SIMULATOR,
} from "../support/harness.ts";
import { refused } from "../support/reply.ts";
import { compactToken } from "../support/tokens.ts";

const NOW = 1_790_000_000;

const files = import.meta.glob<string>("../../docs/identity/*.jsonc", {
  query: "?raw",
  import: "default",
  eager: true,
});
const SAMPLES = new Map(
  Object.entries(files).map(([path, text]) => [/([^/]+)\.jsonc$/.exec(path)?.[1] ?? path, text]),
);

interface Token {
  readonly header: Json;
  readonly payload: Json;
}

/** Members put over the documented token's; undefined leaves one out. */
interface Change {
  readonly header?: Json;
  readonly payload?: Json;
}

interface Refused extends Change {
  /** How the log begins to say what was wrong. */
  readonly at: string;
}

interface Provider {
  readonly key: SigningKey;
  /** Where the provider publishes its keys, and how the document looks. */
  readonly keysAt: string;
  readonly keys: Json;
  /** The usual one first: the changes below are to that one. */
  readonly tokens: Readonly<Record<string, Token>>;
  /** What the person's token says when the person may stop everybody's runs. */
  readonly support: Json;
  /** And the audit log's readers'; null where no token of the provider says so. */
  readonly auditor: Json | null;
  /** Signed with the same key, for something else: 401. */
  readonly others: Readonly<Record<string, Refused>>;
  /** Of no tenant of the sample's: 403. Empty where the issuer is the tenant. */
  readonly strangers: Readonly<Record<string, Json>>;
}

/** The members of a published key that make it one. */
function bare({ publicJwk: { kty, n, e, crv, x, y } }: SigningKey): Json {
  return { kty, n, e, crv, x, y };
}

/** The documented name of a key over a fresh one. */
async function keyNamed(kid: string, alg: SigningKey["alg"] = "RS256"): Promise<SigningKey> {
  return { ...(await createKey(alg)), kid };
}

/** Published beside the others, and never signed with. */
const SPARE = bare(await createKey("RS256"));
const CERTIFICATES = {
  x5c: ["MIIC+DCCAeCgAwIBAgIJBIGjYW6hFpn2"],
  x5t: "i6lGk3FZzxRcUb2C3nEQ7syHJlY",
};

const AUTH0_API = "https://stop.example.com";
const AUTH0_USERINFO = "https://acme.eu.auth0.com/userinfo";

async function auth0(): Promise<Provider> {
  const key = await keyNamed("NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg");
  const claims = {
    iss: "https://acme.eu.auth0.com/",
    sub: "auth0|6553da60a54af58e29493993",
    aud: [AUTH0_API, AUTH0_USERINFO],
    iat: NOW,
    exp: NOW + 86_400,
    scope: "openid profile runs:cancel",
    org_id: "org_9ybsU1dN2dKfDkBi",
    permissions: ["runs:cancel"],
  };
  const app = "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja";
  const published = { alg: "RS256", use: "sig", ...CERTIFICATES };
  return {
    key,
    keysAt: "https://acme.eu.auth0.com/.well-known/jwks.json",
    keys: {
      keys: [
        { ...bare(key), ...published, kid: key.kid },
        { ...SPARE, ...published, kid: "next" },
      ],
    },
    tokens: {
      "of the Auth0 profile": { header: { typ: "JWT" }, payload: { ...claims, azp: app } },
      "of the RFC 9068 profile": {
        header: { typ: "at+jwt" },
        payload: { ...claims, client_id: app, jti: "73WakrfVbNJBaAmhQtEeDv" },
      },
    },
    support: { scope: "openid profile runs:cancel runs:cancel:support" },
    auditor: { scope: "audit:read" },
    others: {
      "an ID token": {
        payload: {
          aud: app,
          azp: undefined,
          scope: undefined,
          permissions: undefined,
          nonce: "n-0S6_WzA2Mj",
          sid: "UzPoInBMpqKYmkb6FnaOYM0GvX8jEXxX",
          name: "Ann",
          email: "ann@acme.com",
        },
        at: "claim aud:",
      },
      "a token for another API": {
        payload: { aud: "https://acme.eu.auth0.com/api/v2/" },
        at: "claim aud:",
      },
      "a token for the profile alone": { payload: { aud: AUTH0_USERINFO }, at: "claim aud:" },
      "a token of another Auth0 tenant": {
        payload: { iss: "https://globex.eu.auth0.com/" },
        at: "claim iss:",
      },
    },
    strangers: {
      "another organization": { org_id: "org_A1bC2dE3fG4hI5jK" },
      "another organization of the same name": { org_id: "org_A1bC2dE3fG4hI5jK", org_name: "acme" },
      "somebody outside all organizations": { org_id: undefined },
      "an app in its own name": {
        sub: `${app}@clients`,
        aud: AUTH0_API,
        org_id: undefined,
        gty: "client-credentials",
      },
    },
  };
}

async function clerk(): Promise<Provider> {
  const key = await keyNamed("ins_3DIJTtuppU5CF2sSonyEKqi4q88");
  const o = {
    id: "org_2abcDEFghiJKLmnoPQRstuVWXyz",
    slg: "acme",
    rol: "member",
    per: "read,manage",
    fpm: "3,2",
  };
  const sessionOnly = { sid: undefined, sts: undefined, v: undefined, fva: undefined };
  const unbound = { ...sessionOnly, pla: undefined, fea: undefined, o: undefined };
  return {
    key,
    keysAt: "https://clerk.acme.com/.well-known/jwks.json",
    keys: { keys: [{ use: "sig", alg: "RS256", ...bare(key), kid: key.kid }] },
    tokens: {
      "of version 2": {
        header: { cat: "cl_B7d4PD111AAA", typ: "JWT" },
        payload: {
          azp: "https://app.acme.com",
          exp: NOW + 60,
          fea: "o:dashboard,o:impersonation",
          fva: [7, -1],
          iat: NOW,
          iss: "https://clerk.acme.com",
          jti: "10db7f531a90cb2faea4",
          nbf: NOW - 10,
          o,
          pla: "u:free,o:pro",
          sid: "sess_3DIdzHWMcbIyptbOTiTw70i8JCq",
          sts: "active",
          sub: "user_3DIXtSzhIs4Hj7mhfMvABoE2E40",
          v: 2,
        },
      },
    },
    support: { o: { ...o, rol: "admin" } },
    auditor: null,
    others: {
      "a token that another origin got": {
        payload: { azp: "https://blog.acme.com" },
        at: "claim azp:",
      },
      "a token that no origin got": { payload: { azp: undefined }, at: "claim azp:" },
      "a session with a step still to do": { payload: { sts: "pending" }, at: "claim sts:" },
      "a token of somebody who impersonates the person": {
        payload: { act: { iss: "https://dashboard.clerk.com", sid: "sess_2", sub: "user_2" } },
        at: "claim act:",
      },
      "a token of a JWT template": {
        header: { cat: "cl_B7d4PD222AAA" },
        payload: { ...unbound, aud: "https://service.example.com" },
        at: "claim sts:",
      },
      "a token of version 1": {
        payload: { ...unbound, sid: "sess_1", org_id: o.id, org_slug: "acme" },
        at: "claim sts:",
      },
      "an OAuth application's token": {
        header: { typ: "at+jwt" },
        payload: { ...unbound, client_id: "d9g4CT4WYiCBm7EU", scope: "runs:cancel" },
        at: "header typ:",
      },
      "a token of another instance": {
        payload: { iss: "https://clean-mayfly-62.clerk.accounts.dev" },
        at: "claim iss:",
      },
    },
    strangers: {
      "another organization": { o: { ...o, id: "org_2zyxWVUtsrQPOnmlKJIhgfEDCba" } },
      "somebody with no active organization": { o: undefined },
    },
  };
}

async function supabase(): Promise<Provider> {
  const key = await keyNamed("5e4f3a2b-1c0d-4e8f-9a6b-5c4d9a8b7c6d", "ES256");
  const provided = { provider: "email", providers: ["email"] };
  return {
    key,
    keysAt: "https://abcdefghijklmnopqrst.supabase.co/auth/v1/.well-known/jwks.json",
    keys: {
      keys: [
        { alg: "ES256", ext: true, key_ops: ["verify"], use: "sig", ...bare(key), kid: key.kid },
      ],
    },
    tokens: {
      "of a signed-in person": {
        header: { typ: "JWT" },
        payload: {
          aal: "aal1",
          amr: [{ method: "password", timestamp: NOW - 3_600 }],
          app_metadata: { ...provided, tenant: "acme" },
          aud: "authenticated",
          email: "ann@acme.com",
          exp: NOW + 3_600,
          iat: NOW,
          iss: "https://abcdefghijklmnopqrst.supabase.co/auth/v1",
          is_anonymous: false,
          phone: "",
          role: "authenticated",
          session_id: "123e4567-e89b-42d3-a456-426614174001",
          sub: "123e4567-e89b-42d3-a456-426614174000",
          user_metadata: { name: "Ann" },
        },
      },
    },
    support: {
      app_metadata: { ...provided, tenant: "acme", scopes: ["runs:cancel:support"] },
    },
    auditor: { app_metadata: { ...provided, tenant: "acme", scopes: ["audit:read"] } },
    others: {
      "an OAuth client's token": {
        payload: { client_id: "9a8b7c6d-5e4f-4a2b-9c0d-9e8f7a6b5c4d" },
        at: "claim client_id:",
      },
      "a token of another Postgres role": {
        payload: { role: "service_role" },
        at: "claim role:",
      },
      "a legacy API key": {
        payload: { iss: "supabase", ref: "abcdefghijklmnopqrst", role: "anon", sub: undefined },
        at: "claim iss:",
      },
      "a token under the shared secret": { header: { alg: "HS256" }, at: "header alg:" },
      "a token of another project": {
        payload: { iss: "https://tsrqponmlkjihgfedcba.supabase.co/auth/v1" },
        at: "claim iss:",
      },
    },
    strangers: {
      "another tenant": { app_metadata: { ...provided, tenant: "globex" } },
      "an anonymous person": {
        amr: [{ method: "anonymous", timestamp: NOW }],
        app_metadata: {},
        email: "",
        is_anonymous: true,
      },
      "a person who wrote it themselves": {
        app_metadata: provided,
        user_metadata: { name: "Eve", tenant: "acme" },
      },
    },
  };
}

async function cognito(): Promise<Provider> {
  const key = await keyNamed("1234example=");
  const published = { alg: "RS256", use: "sig" };
  const asIdToken = {
    token_use: "id",
    aud: "57cbishk4j24pabc1234567890",
    scope: undefined,
    username: undefined,
    "cognito:username": "ann",
    email: "ann@acme.com",
    email_verified: true,
  };
  return {
    key,
    keysAt:
      "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI/.well-known/jwks.json",
    keys: {
      keys: [
        { ...published, ...SPARE, kid: "5678example=" },
        { ...published, ...bare(key), kid: key.kid },
      ],
    },
    tokens: {
      "for access": {
        header: { typ: undefined },
        payload: {
          sub: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
          device_key: "eu-central-1_aaaaaaaa-bbbb-4ccc-8ddd-ffffffffffff",
          "cognito:groups": ["admin"],
          iss: "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI",
          version: 2,
          client_id: "57cbishk4j24pabc1234567890",
          origin_jti: "aaaaaaaa-bbbb-4ccc-8ddd-000000000001",
          event_id: "aaaaaaaa-bbbb-4ccc-8ddd-000000000002",
          token_use: "access",
          scope: "openid profile aws.cognito.signin.user.admin",
          auth_time: NOW - 60,
          exp: NOW + 3_600,
          iat: NOW,
          jti: "aaaaaaaa-bbbb-4ccc-8ddd-000000000003",
          username: "ann",
        },
      },
    },
    support: { "cognito:groups": ["admin", "runs:cancel:support"] },
    auditor: { "cognito:groups": ["audit:read"] },
    others: {
      "an ID token": { payload: { ...asIdToken, client_id: undefined }, at: "claim client_id:" },
      "an ID token to which a trigger added a client_id": {
        payload: asIdToken,
        at: "claim token_use:",
      },
      "another app client's token": {
        payload: { client_id: "1example23456789" },
        at: "claim client_id:",
      },
      "a token of another pool": {
        payload: { iss: "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_IhGfEdCbA" },
        at: "claim iss:",
      },
    },
    strangers: {},
  };
}

async function firebase(): Promise<Provider> {
  const key = await keyNamed("6f8c1f6b3a2d4e5f60718293a4b5c6d7e8f90a1b");
  const published = { alg: "RS256", use: "sig" };
  const uid = "dHPYRbQh4mNBV8bbUDAqBrtwNjC3";
  return {
    key,
    keysAt:
      "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
    keys: {
      keys: [
        { ...published, ...bare(key), kid: key.kid },
        { ...published, ...SPARE, kid: "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d" },
      ],
    },
    tokens: {
      "of a signed-in person": {
        header: { typ: "JWT" },
        payload: {
          name: "Ann",
          picture: "https://lh3.googleusercontent.com/a/ann",
          tenant: "acme",
          iss: "https://securetoken.google.com/acme-app",
          aud: "acme-app",
          auth_time: NOW - 60,
          user_id: uid,
          sub: uid,
          iat: NOW,
          exp: NOW + 3_600,
          email: "ann@acme.com",
          email_verified: true,
          firebase: {
            identities: { "google.com": ["117663451187"], email: ["ann@acme.com"] },
            sign_in_provider: "google.com",
          },
        },
      },
    },
    support: { scopes: ["runs:cancel:support"] },
    auditor: { scopes: ["audit:read"] },
    others: {
      "a token of another project": {
        payload: { iss: "https://securetoken.google.com/globex-app", aud: "globex-app" },
        at: "claim iss:",
      },
      "a token for another project": { payload: { aud: "globex-app" }, at: "claim aud:" },
      "a session cookie": {
        payload: { iss: "https://session.firebase.google.com/acme-app" },
        at: "claim iss:",
      },
      "a custom token, before it is exchanged": {
        payload: {
          iss: "firebase-adminsdk@acme-app.iam.gserviceaccount.com",
          sub: "firebase-adminsdk@acme-app.iam.gserviceaccount.com",
          aud: "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit",
          uid,
        },
        at: "claim iss:",
      },
    },
    strangers: {
      "another tenant": { tenant: "globex" },
      "an anonymous person": {
        provider_id: "anonymous",
        tenant: undefined,
        firebase: { identities: {}, sign_in_provider: "anonymous" },
      },
    },
  };
}

async function keycloak(): Promise<Provider> {
  const key = await keyNamed("FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE");
  const account = { roles: ["manage-account", "manage-account-links", "view-profile"] };
  const withRoles = (...roles: string[]): Json => ({
    resource_access: { stopgate: { roles }, account },
  });
  const payload = {
    exp: NOW + 300,
    iat: NOW,
    auth_time: NOW - 60,
    jti: "onrtac:d58f5dc8-fd8f-462b-8a19-716f8f83985b",
    iss: "https://id.acme.com/realms/acme",
    aud: ["stopgate", "account"],
    sub: "36fa0f91-f94d-4a0c-afed-6b7d952e47da",
    typ: "Bearer",
    azp: "acme-web",
    sid: "2a88c258-f73a-4103-b862-e1fbd8f4e04e",
    acr: "1",
    "allowed-origins": ["https://app.acme.com"],
    realm_access: { roles: ["default-roles-acme", "offline_access", "uma_authorization"] },
    ...withRoles("runs:cancel"),
    scope: "openid profile email organization",
    email_verified: true,
    organization: "acme",
    name: "Ann Example",
    preferred_username: "ann",
    given_name: "Ann",
    family_name: "Example",
    email: "ann@acme.com",
  };
  const ofType = (typ: string, over: Json = {}): Refused => ({
    payload: { typ, ...over },
    at: "claim typ:",
  });
  const logout = { "http://schemas.openid.net/event/backchannel-logout": {} };
  return {
    key,
    keysAt: "https://id.acme.com/realms/acme/protocol/openid-connect/certs",
    keys: {
      keys: [
        { ...SPARE, alg: "RSA-OAEP", use: "enc", kid: "enc-1", ...CERTIFICATES },
        { ...bare(key), alg: "RS256", use: "sig", kid: key.kid, ...CERTIFICATES },
      ],
    },
    tokens: {
      "as a client's usually is": { header: { typ: "JWT" }, payload },
      "whose client wants at+jwt in the header": { header: { typ: "at+jwt" }, payload },
    },
    support: withRoles("runs:cancel:support"),
    auditor: withRoles("audit:read"),
    others: {
      "an ID token": {
        payload: {
          typ: "ID",
          aud: "acme-web",
          nonce: "n-0S6_WzA2Mj",
          at_hash: "MTIzNDU2Nzg5MDEyMzQ1Ng",
          scope: undefined,
          realm_access: undefined,
          resource_access: undefined,
        },
        at: "claim aud:",
      },
      "an ID token that a mapper made for the gateway": ofType("ID"),
      "a refresh token": ofType("Refresh"),
      "an offline token": ofType("Offline"),
      "a logout token": ofType("Logout", { events: logout }),
      "another client's token": { payload: { azp: "acme-wiki" }, at: "claim azp:" },
      "a token for the account console": {
        payload: { aud: "account", resource_access: { account } },
        at: "claim aud:",
      },
      "a token of another realm": {
        payload: { iss: "https://id.acme.com/realms/globex" },
        at: "claim iss:",
      },
    },
    strangers: {
      "another organization": { organization: "globex" },
      "a list of organizations": { organization: ["acme"] },
      "an object of organizations": {
        organization: { acme: { id: "42c3e46f-2477-44d7-a85b-d3b43f6b31fa" } },
      },
      "somebody who named none": { organization: undefined },
    },
  };
}

async function entra(): Promise<Provider> {
  const key = await keyNamed("i6lGk3FZzxRcUb2C3nEQ7syHJlY");
  const directory = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
  const published = { use: "sig", ...CERTIFICATES };
  const ofDirectory = "https://login.microsoftonline.com/{tenantid}/v2.0";
  const asIdToken = { azp: undefined, azpacr: undefined, scp: undefined };
  return {
    key,
    keysAt: `https://login.microsoftonline.com/${directory}/discovery/v2.0/keys`,
    keys: {
      keys: [
        { ...published, ...SPARE, kid: "yreX2PsLi-qkbR8QDOmB_ySxp8Q", issuer: ofDirectory },
        { ...published, ...bare(key), kid: key.kid, x5t: key.kid, issuer: ofDirectory },
      ],
    },
    tokens: {
      "of version 2.0": {
        header: { typ: "JWT" },
        payload: {
          aud: "00001111-aaaa-2222-bbbb-3333cccc4444",
          iss: `https://login.microsoftonline.com/${directory}/v2.0`,
          iat: NOW,
          nbf: NOW,
          exp: NOW + 3_900,
          aio: "AXQAi/8IAAAAtAaZLo3ChMif6KOnttRB7eBq4/DccQzjcJGxPYy/C3jDaNGxXd6wNIIVGRghNRnwJ1lOcA==",
          azp: "11112222-bbbb-3333-cccc-4444dddd5555",
          azpacr: "0",
          name: "Ann Example",
          oid: "690222be-ff1a-4d56-abd1-7e4f7d38e474",
          preferred_username: "ann@acme.com",
          rh: "1.AUsAA6po3-tICUufPorsxY4gfG7szMh0n-FNps0Y5mXD5oUZAT9LAA.",
          scp: "access_as_user",
          sub: "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
          tid: directory,
          uti: "fqiBqXLPj0eQa82S-IYFAA",
          ver: "2.0",
          xms_ftd: "M0m3OkVNpKrj-2KgQavA_nk7IlIGALCLyRhaXj7PGAs",
        },
      },
    },
    support: { roles: ["runs:cancel:support"] },
    auditor: { roles: ["audit:read"] },
    others: {
      "an ID token": {
        payload: {
          ...asIdToken,
          aud: "11112222-bbbb-3333-cccc-4444dddd5555",
          nonce: "678910",
        },
        at: "claim aud:",
      },
      "an ID token of a registration that app and gateway share": {
        payload: asIdToken,
        at: "claim azp:",
      },
      "another app's token": {
        payload: { azp: "22223333-cccc-4444-dddd-5555eeee6666" },
        at: "claim azp:",
      },
      "another app's token in its own name": {
        payload: {
          azp: "22223333-cccc-4444-dddd-5555eeee6666",
          azpacr: "1",
          scp: undefined,
          sub: "35135f8a-30f8-4832-a317-22f1aca2b821",
          oid: "35135f8a-30f8-4832-a317-22f1aca2b821",
        },
        at: "claim azp:",
      },
      "a token for Microsoft Graph": {
        payload: { aud: "00000003-0000-0000-c000-000000000000" },
        at: "claim aud:",
      },
      "a token of version 1.0": {
        payload: {
          iss: `https://sts.windows.net/${directory}/`,
          aud: "api://00001111-aaaa-2222-bbbb-3333cccc4444",
          azp: undefined,
          appid: "11112222-bbbb-3333-cccc-4444dddd5555",
          ver: "1.0",
        },
        at: "claim iss:",
      },
      "a token of another directory": {
        payload: {
          iss: "https://login.microsoftonline.com/bbbbcccc-1111-dddd-2222-eeee3333ffff/v2.0",
          tid: "bbbbcccc-1111-dddd-2222-eeee3333ffff",
        },
        at: "claim iss:",
      },
    },
    strangers: {},
  };
}

const AUTH0 = await auth0();
const PROVIDERS: Readonly<Record<string, Provider>> = {
  auth0: AUTH0,
  clerk: await clerk(),
  supabase: await supabase(),
  cognito: await cognito(),
  firebase: await firebase(),
  keycloak: await keycloak(),
  "entra-id": await entra(),
};
const ACCESS = "cloudflare-access";
/** The last of an event that there is not. */
const AUDIT_PATHS = [
  "/v1/audit/events",
  "/v1/audit/export",
  "/v1/audit/events/01a2049a-0000-7000-8000-000000000000",
];

/** The sample as it is, but for what cannot be had in a test: OpenAI, and a tenant's key for it. */
async function open(
  name: string,
  documents: Readonly<Record<string, Json>>,
  keep: (issuer: Issuer) => boolean = () => true,
): Promise<Harness> {
  const { issuers, upstreams, tenants } = parseConfig(name, SAMPLES.get(name) ?? "");
  const openai = { ...upstreams["openai"], base_url: `${SIMULATOR}/responses/v1` };
  const acme = { ...tenants["acme"], credential: { secret: "UPSTREAM_KEY_ACME" } };
  return await createHarness({
    config: () => ({ issuers: issuers.filter(keep), upstreams: { openai }, tenants: { acme } }),
    // An event's time is its id's.
    world: { now: () => NOW * 1_000, newId: () => v7({ msecs: NOW * 1_000 }) },
    network: (simulator) => async (input, init) => {
      const address = String(input);
      if (address.startsWith(SIMULATOR)) return await simulator(input, init);
      const document = documents[address];
      if (document === undefined) throw new TypeError(`nobody is at ${address}`);
      return Response.json(document);
    },
  });
}

function ownerOf({ tokens }: Provider): string {
  return String(Object.values(tokens)[0]?.payload["sub"]);
}

function sign({ key, tokens }: Provider, { header = {}, payload = {} }: Change): Promise<string> {
  const [usual] = Object.values(tokens);
  return compactToken(key, { ...usual?.payload, ...payload }, { ...usual?.header, ...header });
}

/** What the client is told, and what only the log says. */
async function outcomeOf({ lines }: Harness, response: Response) {
  const { status, code } = await refused(response);
  const { detail }: { detail?: string } = JSON.parse(lines.at(-1) ?? "{}");
  return { status, code, detail };
}

describe("the samples", () => {
  it("all have their tokens here", () => {
    expect([...SAMPLES.keys()].sort()).toEqual([...Object.keys(PROVIDERS), ACCESS].sort());
  });

  it.each([...SAMPLES])("%s is a whole config, with one tenant on one upstream", (name, text) => {
    const { issuers, upstreams, tenants } = parseConfig(name, text);
    for (const issuer of issuers) expect(issuer.jwks_uri).toMatch(/^https:/);
    expect(Object.values(upstreams)).toMatchObject([
      { kind: "openai-responses", base_url: "https://api.openai.com/v1" },
    ]);
    expect(Object.keys(tenants)).toEqual(["acme"]);
    expect(tenants["acme"]).toMatchObject({
      credential: { secret: "OPENAI_KEY_ACME" },
      ownership: { source: "metadata" },
      origins: ["https://app.acme.com"],
    });
  });
});

describe.each(Object.entries(PROVIDERS))("%s.jsonc", (name, provider) => {
  let gateway: Harness;
  const owner = ownerOf(provider);

  beforeAll(async () => {
    gateway = await open(name, { [provider.keysAt]: provider.keys });
  });

  const audit = (token: string): Promise<Response> =>
    gateway.request("/v1/audit/events", { headers: { authorization: `Bearer ${token}` } });

  it.each(Object.entries(provider.tokens))(
    "takes a token %s for its person's own runs, and nobody else's",
    async (_, { header, payload }) => {
      const token = await compactToken(provider.key, payload, header);
      const own = await gateway.startResponse({ tenant: "acme", owner });
      expect((await gateway.read(own, token)).status).toBe(200);
      expect((await gateway.cancel(own, token)).status).toBe(200);
      for (const run of [
        await gateway.startResponse({ tenant: "acme", owner: "bob" }),
        await gateway.startResponse({ tenant: "acme", owner, metadata: { tenant: "globex" } }),
      ]) {
        expect((await gateway.read(run, token)).status).toBe(404);
      }
    },
  );

  it("lets those stop another's run whose token says so", async () => {
    const run = await gateway.startResponse({ tenant: "acme", owner: "bob" });
    const token = await sign(provider, { payload: provider.support });
    expect(await refused(await gateway.cancel(run, token))).toMatchObject({
      code: "reason_required",
    });
    const body = JSON.stringify({ reason: "asked to" });
    const headers = { "content-type": "application/json" };
    expect((await gateway.cancel(run, token, { body, headers })).status).toBe(200);
  });

  it("lets those read the audit log whose token says so", async () => {
    expect(await outcomeOf(gateway, await audit(await sign(provider, {})))).toMatchObject({
      status: 403,
      code: "insufficient_scope",
    });
    if (provider.auditor === null) return;
    const token = await sign(provider, { payload: provider.auditor });
    expect((await audit(token)).status).toBe(200);
  });

  it.each(Object.entries(provider.others))("refuses %s", async (_, { at, ...change }) => {
    const own = await gateway.startResponse({ tenant: "acme", owner });
    const response = await gateway.read(own, await sign(provider, change));
    expect(await outcomeOf(gateway, response)).toEqual({
      status: 401,
      code: "invalid_token",
      detail: expect.stringContaining(at),
    });
  });

  it("takes no token of a type that is not among the documented ones", async () => {
    const own = await gateway.startResponse({ tenant: "acme", owner });
    const documented = Object.values(provider.tokens).map(({ header }) => header["typ"] ?? "JWT");
    const others = ["JWT", "at+jwt", "logout+jwt"].filter((typ) => !documented.includes(typ));
    for (const typ of others) {
      const response = await gateway.read(own, await sign(provider, { header: { typ } }));
      expect(await outcomeOf(gateway, response)).toMatchObject({
        status: 401,
        detail: expect.stringContaining("header typ:"),
      });
    }
  });

  it("has no tenant for whom it does not list, where the issuer is not the tenant", async () => {
    const strangers = Object.entries(provider.strangers);
    const [issuer] = parseConfig(name, SAMPLES.get(name) ?? "").issuers;
    expect(strangers.length === 0).toBe("fixed" in (issuer?.tenant ?? {}));
    const own = await gateway.startResponse({ tenant: "acme", owner });
    for (const [who, payload] of strangers) {
      const response = await gateway.read(own, await sign(provider, { payload }));
      const { status, code } = await refused(response);
      expect({ who, status, code }).toEqual({ who, status: 403, code: "tenant_not_allowed" });
    }
  });
});

describe(`${ACCESS}.jsonc`, async () => {
  const key = await keyNamed("1a1c3986a44ce6390be42ec772b031df8f433fdc71716db821dc0c39af3bce49");
  const TEAM = "https://acme.cloudflareaccess.com";
  const certificate = {
    kid: key.kid,
    cert: "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n",
  };
  const published = { alg: "RS256", use: "sig" };
  const documents = {
    [AUTH0.keysAt]: AUTH0.keys,
    [`${TEAM}/cdn-cgi/access/certs`]: {
      keys: [
        { ...published, ...bare(key), kid: key.kid },
        { ...published, ...SPARE, kid: "6c3bffef71bb0a90c9cbef3b7c0d4a1c7b4b8b76b80292a623afd9da" },
      ],
      public_cert: certificate,
      public_certs: [certificate],
    },
  };
  const aud = ["4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"];
  const times = { iat: NOW, nbf: NOW, exp: NOW + 86_400 };
  const documented = {
    ...times,
    aud,
    email: "ada@acme.com",
    iss: TEAM,
    type: "app",
    identity_nonce: "6ei69kawdKzMIAPF",
    sub: "7335d417-61da-459d-899c-0a01c76a2f94",
    country: "US",
  };
  const assertion = (over: Json = {}): Promise<string> =>
    compactToken(key, { ...documented, ...over }, { typ: "JWT" });
  const appToken = await sign(AUTH0, {});
  const owner = ownerOf(AUTH0);

  let gateway: Harness;
  beforeAll(async () => {
    gateway = await open(ACCESS, documents);
  });

  const ask = (path: string, token: string, headers: Record<string, string> = {}, by = gateway) =>
    by.request(path, { headers: { "cf-access-jwt-assertion": token, ...headers } });

  it("opens the audit log to whom Access lets in, on each of its routes", async () => {
    const own = await gateway.startResponse({ tenant: "acme", owner });
    const cancelled = await gateway.cancel(own, appToken);
    expect(cancelled.status).toBe(200);
    const id = cancelled.headers.get("audit-id") ?? "";
    const token = await assertion();
    const list = await ask("/v1/audit/events", token);
    expect(list.status).toBe(200);
    const { data }: { data: AuditJson[] } = await list.json();
    expect(data.find((event) => event.id === id)).toMatchObject({ actor: { sub: owner } });
    const event = await ask(`/v1/audit/events/${id}`, token);
    expect(event.status).toBe(200);
    expect(await event.json()).toMatchObject({ id, tenant: "acme" });
    const exported = await ask("/v1/audit/export", token);
    expect(exported.status).toBe(200);
    expect(new TextDecoder().decode(await exported.arrayBuffer())).toContain(id);
  });

  it("has the app's own provider beside it, as auth0.jsonc has it", () => {
    const [, beside] = parseConfig(ACCESS, SAMPLES.get(ACCESS) ?? "").issuers;
    expect(beside).toEqual(parseConfig("auth0", SAMPLES.get("auth0") ?? "").issuers[0]);
  });

  it("opens nothing else to them: the header is not looked at there", async () => {
    const own = await gateway.startResponse({ tenant: "acme", owner: documented.sub });
    const headers = { "cf-access-jwt-assertion": await assertion() };
    for (const response of [
      await gateway.request(pathOf(own), { headers }),
      await gateway.request(`${pathOf(own)}/cancel`, { method: "POST", headers }),
    ]) {
      expect(await refused(response)).toMatchObject({ status: 401, code: "missing_token" });
    }
    expect((await gateway.read(own, appToken)).status).toBe(404);
  });

  it("does not look at the header either when no issuer is configured for it", async () => {
    const without = await open(
      ACCESS,
      documents,
      ({ token_header }) => token_header === "authorization",
    );
    for (const path of AUDIT_PATHS) {
      const response = await ask(path, await assertion(), {}, without);
      expect(await refused(response)).toMatchObject({ status: 401, code: "missing_token" });
    }
  });

  it.each([
    ["cross-site", [401, 401, 401]],
    ["same-site", [401, 401, 401]],
    ["same-origin", [200, 200, 404]],
    ["none", [200, 200, 404]],
  ])("looks at the header of a browser that says %s as it should", async (site, statuses) => {
    const headers = { "sec-fetch-site": site };
    const answers = AUDIT_PATHS.map(async (path) => {
      const response = await ask(path, await assertion(), headers);
      await response.arrayBuffer();
      return response.status;
    });
    expect(await Promise.all(answers)).toEqual(statuses);
  });

  it("takes no issuer's token from the other issuer's header", async () => {
    const auditor = await sign(AUTH0, { payload: { scope: "audit:read" } });
    const headers = { authorization: `Bearer ${auditor}` };
    expect((await gateway.request("/v1/audit/events", { headers })).status).toBe(200);
    expect(await outcomeOf(gateway, await ask("/v1/audit/events", auditor))).toEqual({
      status: 401,
      code: "invalid_token",
      detail: "not taken from the header cf-access-jwt-assertion",
    });
    const bearer = { authorization: `Bearer ${await assertion()}` };
    const response = await gateway.request("/v1/audit/events", { headers: bearer });
    expect(await outcomeOf(gateway, response)).toEqual({
      status: 401,
      code: "invalid_token",
      detail: "not taken from the header authorization",
    });
  });

  it("goes by the bearer token when there is one beside the header", async () => {
    const headers = { authorization: `Bearer ${appToken}` };
    const response = await ask("/v1/audit/events", await assertion(), headers);
    expect(await refused(response)).toMatchObject({ status: 403, code: "insufficient_scope" });
  });

  it.each<[string, Json, string]>([
    [
      "a service token",
      { sub: "", common_name: "e367826f93b8d71185e03fe518aff3b4.access", email: undefined },
      "claim sub:",
    ],
    [
      "another application's token",
      { aud: ["32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"] },
      "claim aud:",
    ],
    ["the team's session", { type: "org" }, "claim type:"],
    ["another team's token", { iss: "https://globex.cloudflareaccess.com" }, "claim iss:"],
    ["a session longer than a day", { exp: NOW + 7 * 86_400 }, "claim exp:"],
  ])("refuses %s", async (_, over, at) => {
    expect(await outcomeOf(gateway, await ask("/v1/audit/events", await assertion(over)))).toEqual({
      status: 401,
      code: "invalid_token",
      detail: expect.stringContaining(at),
    });
  });
});
