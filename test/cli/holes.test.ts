// Every hole that lint knows, planted alone into a config that has none: it is found, on its line, with a
// cure, and nothing else is.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lint } from "../../cli/lint.ts";
import { readTiers } from "../../cli/worker-config.ts";
import { temporaryFolder } from "../e2e/support/black-box.ts";
import {
  CLEAN,
  lineOf,
  lintOf,
  publicJwk,
  removeFolder,
  SEALED,
  SECRETS,
} from "../e2e/support/clean-config.ts";
import { runGateway } from "../e2e/support/command.ts";

const ROOT = join(import.meta.dirname, "../..");

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(async () => {
  await folder?.remove();
  await removeFolder();
});

interface Planted {
  readonly hole: string;
  readonly from: string;
  readonly to: string;
  /** What else has to be different for there to be this one hole. */
  readonly also?: readonly (readonly [from: string, to: string])[];
  /** What its line begins to read like; `to` where nothing is said. */
  readonly at?: string;
}

function planted({ from, to, also = [] }: Planted): string {
  return [[from, to] as const, ...also].reduce((text, [before, after]) => {
    expect(text.split(before).length, `once: ${before}`).toBe(2);
    return text.replace(before, () => after);
  }, CLEAN);
}

async function expectFound(each: Planted, id: string): Promise<void> {
  const text = planted(each);
  const { ok, problems } = await lintOf(text);
  expect(problems.map((problem) => problem.id)).toEqual([id]);
  expect(ok).toBe(false);
  expect(problems[0]?.line).toBe(lineOf(text, each.at ?? each.to));
  expect(problems[0]?.message).not.toMatch(/sk-proj|lsv2_pt|eyJ|MIIE/);
  expect(problems[0]?.cure).toMatch(/^\S.{10,}[^.]$/);
}

const GLOBEX_KEY = `"credential": { "sealed": "${SEALED}" }`;
const INITECH_KEY = '"credential": { "secret": "OPENAI_KEY_INITECH" }';
const ACME_KEY = '"credential": { "secret": "OPENAI_KEY_ACME" }';
const GRANT = '"ownership": { "source": "grant" }';
const META = '"ownership": { "source": "metadata", "tenant_key": "tenant", "subject_key": "user" }';
/** Owners' names are subjects of these issuers. */
const metaOf = (...issuers: readonly string[]): string =>
  META.replace(" }", `, "subject_issuers": ${JSON.stringify(issuers)} }`);
const ACME_ID = '"issuer": "https://id.acme.com/"';
const ACME_KEYS = '"jwks_uri": "https://id.acme.com/keys"';
const AUDIENCE = '"audiences": ["https://stop.acme.com"]';
const ALLOWED = '"claim": "org_id", "allow": ["acme", "initech"]';
const GLOBEX_KEYS = `"keys": [${JSON.stringify(publicJwk)}]`;
const LAST_RULE = '"scopes": ["clean"], "runs": "tenant", "max_age_seconds": 60 }';
const withRule = (rule: string): string => `${LAST_RULE},\n        ${rule}`;
const withIssuer = (tenant: string): readonly [string, string] => [
  '"fixed": "globex" }\n    }',
  `"fixed": "globex" }\n    },\n    {\n      "issuer": "https://other.acme.com/", "jwks_uri": "https://other.acme.com/keys", "audiences": ["x"],\n      "tenant": { "fixed": "${tenant}" }\n    }`,
];
/** A second entry of the first issuer, for one of its tenants. */
const SECOND_ENTRY = [
  '"fixed": "globex" }\n    }',
  (members: string): string =>
    `"fixed": "globex" }\n    },\n    {\n      "issuer": "https://id.acme.com/", "audiences": ["https://stop.acme.com"], "jwks_uri": "https://id.acme.com/keys",\n      ${members},\n      "tenant": { "fixed": "acme" }\n    }`,
] as const;
const { kid: _, ...namelessJwk } = publicJwk;
const WEAK_RSA = { kty: "RSA", kid: "a", e: "AQAB", n: `${"_".repeat(170)}8` };
const OFF_CURVE = { kty: "EC", crv: "P-256", kid: "a", x: "A".repeat(43), y: "A".repeat(43) };
const RFC_8037 = {
  kty: "OKP",
  kid: "a",
  crv: "Ed25519",
  x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
};

const REFUSED: readonly Planted[] = [
  {
    hole: "a key that is the proof and shared",
    from: INITECH_KEY,
    to: `${ACME_KEY},\n      "ownership": { "source": "credential" }`,
    also: [
      [`,\n      ${GRANT}`, ""],
      [
        '"scopes": ["stop"], "runs": "own", "assistants"',
        '"scopes": ["stop"], "runs": "tenant", "assistants"',
      ],
    ],
  },
  {
    hole: "a second key that is the proof and shared",
    from: GLOBEX_KEY,
    to: '"second_credential": { "secret": "OPENAI_KEY_ACME" },\n      "credential": { "secret": "KEY" }',
  },
  {
    hole: "two issuers, and no word whose subjects name owners",
    from: withIssuer("acme")[0],
    to: withIssuer("acme")[1],
    at: META,
  },
  {
    hole: "owners' names of an issuer that does not reach the tenant",
    from: META,
    to: metaOf("https://other.acme.com/"),
  },
  {
    hole: "own runs with no proof of a person",
    from: '"rules": [{ "id": "all", "scopes": ["stop"], "runs": "tenant" }]',
    to: '"rules": [{ "id": "all", "scopes": ["stop"], "runs": "own" }]',
  },
  { hole: "a wildcard origin", from: '"https://app.acme.com"', to: '"https://*.acme.com"' },
  { hole: "any origin", from: '"origins": ["https://app.acme.com"]', to: '"origins": ["*"]' },
  { hole: "an algorithm of shared secrets", from: '["ES256"]', to: '["ES256", "HS256"]' },
  { hole: "no algorithm at all", from: '["ES256"]', to: '["none"]' },
  { hole: "an http key address", from: ACME_KEYS, to: ACME_KEYS.replace("https", "http") },
  {
    hole: "an http upstream",
    from: "https://api.openai.com/v1",
    to: "http://api.openai.com/v1",
  },
  { hole: "an issuer without audience", from: AUDIENCE, to: '"audiences": []' },
  {
    hole: "an issuer without keys",
    from: `,\n      ${ACME_KEYS}`,
    to: "",
    at: `{\n      ${ACME_ID}`,
  },
  {
    hole: "an issuer with keys of two kinds",
    from: ACME_KEYS,
    to: `${ACME_KEYS},\n      "jwks": { ${GLOBEX_KEYS} }`,
    at: `{\n      ${ACME_ID}`,
  },
  {
    hole: "an unknown member",
    from: '"rate": "standard"',
    to: '"rate": "standard",\n      "allow_all": true',
    at: '"acme": {',
  },
  {
    hole: "an issuer twice",
    from: '"https://id.globex.com/"',
    to: '"https://id.acme.com/"',
    also: [['"https://stop.globex.com"', '"https://stop.acme.com"']],
    at: '"issuers"',
  },
  {
    hole: "an unknown upstream",
    from: '"upstream": "threads"',
    to: '"upstream": "thread"',
  },
  { hole: "an issuer of no tenant", from: '"fixed": "globex"', to: '"fixed": "hooli"' },
  { hole: "two rules of one id", from: '"id": "help"', to: '"id": "owner"', at: '"rules": [' },
  {
    hole: "a private key in the config",
    from: GLOBEX_KEYS,
    to: `"keys": [${JSON.stringify({ ...publicJwk, d: "A".repeat(43) })}]`,
  },
  { hole: "a weak key", from: GLOBEX_KEYS, to: `"keys": [${JSON.stringify(WEAK_RSA)}]` },
  {
    hole: "the gateway's own key as a credential",
    from: '"OPENAI_KEY_INITECH"',
    to: '"AUDIT_SIGNING_KEY"',
  },
  {
    hole: "a denial that asks for a reason",
    from: '"effect": "deny",',
    to: '"effect": "deny", "reason_required": true,',
  },
  { hole: "a rule that needs no scope", from: '"scopes": ["clean"]', to: '"scopes": []' },
  {
    hole: "no rule that allows",
    from: '"rules": [{ "id": "all", "scopes"',
    to: '"rules": [{ "id": "all", "effect": "deny", "scopes"',
  },
];

/** By the id of what is to be found. */
const HOLES: Readonly<Record<string, readonly Planted[]>> = {
  "written-twice": [
    {
      hole: "a member, of which the first is passed over",
      from: '"rate": "standard"',
      to: '"rate": "strict",\n      "rate": "standard"',
    },
    {
      hole: "a whole tenant",
      from: '"globex": {\n      "upstream"',
      to: '"globex": {},\n    "globex": {\n      "upstream"',
    },
  ],
  "member-dropped": [
    {
      hole: "a claim that a token would have to have",
      from: '"scopes_claim": "scope"',
      to: '"claims": { "__proto__": "access" }',
    },
  ],
  "secret-in-file": [
    { hole: "a key", from: '["clean"]', to: '["sk-proj-abcdefgh12345678"]' },
    { hole: "a key of LangSmith", from: '["clean"]', to: '["lsv2_pt_abcdefgh12345678"]' },
    {
      hole: "a token",
      from: '"scopes_claim": "scope"',
      to: '"claims": { "x": "Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln" }',
    },
    {
      hole: "a private key",
      from: '"scopes_claim": "scope"',
      to: '"claims": { "x": "-----BEGIN RSA PRIVATE KEY-----\\nMIIE" }',
    },
    {
      hole: "a key in a comment",
      from: '"rate": "standard",',
      to: '"rate": "standard", // was sk-proj-abcdefgh12345678',
    },
  ],
  "issuer-http": [
    { hole: "a name that is not https", from: ACME_ID, to: ACME_ID.replace("https", "http") },
  ],
  "issuer-of-no-token": [
    {
      hole: "Entra ID's address for any directory",
      from: ACME_ID,
      to: '"issuer": "https://login.microsoftonline.com/common/v2.0"',
    },
  ],
  "issuer-without-tenant": [
    {
      hole: "an empty map",
      from: '"tenant": { "fixed": "globex" }',
      to: '"tenant": { "claim": "org", "map": {} }',
      also: [[ALLOWED, '"claim": "org_id", "allow": ["acme", "initech", "globex"]']],
    },
  ],
  "audience-star": [{ hole: "a star", from: AUDIENCE, to: '"audiences": ["https://*.acme.com"]' }],
  "audience-upstream": [
    { hole: "the upstream's", from: AUDIENCE, to: '"audiences": ["https://api.openai.com/v1/"]' },
    { hole: "its origin", from: AUDIENCE, to: '"audiences": ["https://api.openai.com"]' },
  ],
  "audience-provider": [
    {
      hole: "Auth0's user info",
      from: AUDIENCE,
      to: '"audiences": ["https://id.acme.com/userinfo"]',
    },
    {
      hole: "Keycloak's account console",
      from: AUDIENCE,
      to: '"audiences": ["account"]',
      also: [[ACME_ID, '"issuer": "https://id.acme.com/realms/acme"']],
    },
  ],
  "claim-users-own": [
    {
      hole: "a tenant of the user's choice",
      from: '"claim": "org_id"',
      to: '"claim": ["user_metadata", "org"]',
    },
    {
      hole: "a tenant out of the user's profile",
      from: '"claim": "org_id"',
      to: '"claim": "nickname"',
    },
    {
      hole: "scopes of the user's choice",
      from: '"scopes_claim": "scope"',
      to: '"scopes_claim": ["unsafe_metadata", "scopes"]',
    },
    {
      hole: "scopes of the user's choice, at Auth0",
      from: '"scopes_claim": "scope"',
      to: '"scopes_claim": ["https://acme.com/user_metadata", "scopes"]',
    },
    {
      hole: "a name of the user's choice for the person",
      from: '"scopes_claim": "scope"',
      to: '"subject_claim": "nickname"',
    },
  ],
  "subject-passed-on": [
    {
      hole: "an address that is given to another person later",
      from: '"scopes_claim": "scope"',
      to: '"subject_claim": "email"',
    },
    {
      hole: "a name that a namespace stands before",
      from: '"scopes_claim": "scope"',
      to: '"subject_claim": "https://acme.com/upn"',
    },
  ],
  "subject-of-many": [
    {
      hole: "the app's id",
      from: '"scopes_claim": "scope"',
      to: '"subject_claim": "azp"',
    },
    {
      hole: "what names the tenant",
      from: '"claim": "org_id", "allow": ["acme", "initech"] },\n      "scopes_claim": "scope"',
      to: '"claim": ["o", "id"], "allow": ["acme", "initech"] },\n      "subject_claim": ["o", "id"]',
      at: '"subject_claim"',
    },
  ],
  "entry-never-reached": [
    {
      hole: "an entry with a claim after one without",
      from: SECOND_ENTRY[0],
      to: SECOND_ENTRY[1]('"claims": { "gty": "client-credentials" }'),
      at: '"issuer": "https://id.acme.com/", "audiences"',
    },
    {
      hole: "an entry whose claims say the same in a list",
      from: SECOND_ENTRY[0],
      to: SECOND_ENTRY[1]('"claims": { "azp": "web" }'),
      also: [['"scopes_claim": "scope"', '"claims": { "azp": ["mobile", "web"] }']],
      at: '"issuer": "https://id.acme.com/", "audiences"',
    },
  ],
  "long-lived-tokens": [
    {
      hole: "weeks",
      from: '"scopes_claim": "scope"',
      to: '"max_lifetime_hours": 169',
    },
  ],
  "tenant-missing": [
    { hole: "allowed", from: '["acme", "initech"]', to: '["acme", "initech", "hooli"]' },
    {
      hole: "in a map",
      from: ALLOWED,
      to: '"claim": "org_id", "map": { "a": "acme", "b": "initech", "c": "hooli" }',
    },
  ],
  "tenant-unreachable": [
    { hole: "nobody's", from: '["acme", "initech"]', to: '["acme"]', at: '"initech": {' },
    {
      hole: "auditors' only",
      from: '"tenant": { "fixed": "globex" }',
      to: '"tenant": { "fixed": "globex" }, "token_header": "cf-access-jwt-assertion"',
      at: '"globex": {\n      "upstream"',
    },
  ],
  "two-issuers": [
    {
      hole: "the same sub twice",
      from: withIssuer("acme")[0],
      to: withIssuer("acme")[1],
      also: [[META, metaOf("https://id.acme.com/", "https://other.acme.com/")]],
      at: metaOf("https://id.acme.com/", "https://other.acme.com/"),
    },
  ],
  "two-subject-claims": [
    {
      hole: "one provider's people under two of their names",
      from: SECOND_ENTRY[0],
      to: SECOND_ENTRY[1]('"claims": { "azp": "web" }, "subject_claim": "oid"'),
      also: [['"scopes_claim": "scope"', '"claims": { "azp": "mobile" }']],
      at: '"claims": { "azp": "web" }, "subject_claim": "oid"',
    },
  ],
  "granted-strong-scope": [
    { hole: "everybody registers owners", from: '["profile"]', to: '["runs:register"]' },
    { hole: "everybody reads the log", from: '["profile"]', to: '["audit:read"]' },
  ],
  "granted-all-runs": [
    {
      hole: "a scope that every token has",
      from: '["profile"]',
      to: '["clean"]',
      at: '["clean"]\n    },',
    },
    {
      hole: "two scopes that every token has",
      from: '["profile"]',
      to: '["clean", "sweep"]',
      also: [['"scopes": ["clean"]', '"scopes": ["sweep", "clean"]']],
    },
  ],
  "mapped-strong-scope": [
    {
      hole: "everybody reads the log",
      from: '"scopes_claim": "scope"',
      to: '"scopes_map": { "Everyone": ["audit:read"] }',
      at: '"scopes_map"',
    },
    {
      hole: "everybody registers owners",
      from: '"scopes_claim": "scope"',
      to: '"scopes_map": { "org:member": ["stop", "runs:register"] }',
      at: '"scopes_map"',
    },
  ],
  "mapped-all-runs": [
    {
      hole: "everybody has support's rights",
      from: '"scopes_claim": "scope"',
      to: '"scopes_map": { "support": ["clean"], "Domain Users": ["clean"] }',
      at: '"scopes_map"',
    },
    {
      hole: "everybody in a realm of Keycloak has them",
      from: '"scopes_claim": "scope"',
      to: '"scopes_map": { "default-roles-acme": ["stop"] }',
      at: '"scopes_map"',
    },
    {
      hole: "everybody has them with what every token has",
      from: '["profile"]',
      to: '["sweep"],\n      "scopes_map": { "users": ["clean"] }',
      also: [['"scopes": ["clean"]', '"scopes": ["sweep", "clean"]']],
      at: '"scopes_map"',
    },
  ],
  "keys-unfit": [
    {
      hole: "for another algorithm",
      from: '"algorithms": ["ES384", "ES256"]',
      to: '"algorithms": ["RS256"]',
      at: '"jwks": {',
    },
    { hole: "without a name", from: GLOBEX_KEYS, to: `"keys": [${JSON.stringify(namelessJwk)}]` },
    {
      hole: "with an empty name",
      from: GLOBEX_KEYS,
      to: `"keys": [${JSON.stringify({ ...publicJwk, kid: "" })}]`,
    },
    { hole: "off the curve", from: GLOBEX_KEYS, to: `"keys": [${JSON.stringify(OFF_CURVE)}]` },
  ],
  "key-of-everybody": [
    {
      hole: "an example's",
      from: GLOBEX_KEYS,
      to: `"keys": [${JSON.stringify(RFC_8037)}]`,
      also: [['"algorithms": ["ES384", "ES256"]', '"algorithms": ["EdDSA"]']],
    },
  ],
  "upstream-unused": [
    {
      hole: "nobody's",
      from: '"threads": {',
      to: '"spare": { "kind": "langgraph", "base_url": "https://x.acme.com" },\n    "threads": {',
    },
  ],
  "upstream-retired": [
    {
      hole: "OpenAI's threads",
      from: "https://threads.acme.com/v1",
      to: "https://api.openai.com/v1",
      at: '"kind": "assistants", "base_url": "https://api.openai.com/v1"',
    },
  ],
  "exposed-instructions": [
    {
      hole: "a page that is shown the prompt",
      from: '"redact": ["instructions"]',
      to: '"redact": ["tools"]',
      at: '"origins"',
    },
  ],
  "origin-http": [
    {
      hole: "a page without https",
      from: '"origins": ["https://app.acme.com"]',
      to: '"origins": ["http://app.acme.com"]',
    },
  ],
  "origin-wildcard": [
    {
      hole: "previews on a domain that many share",
      from: '"origins": ["https://app.acme.com"]',
      to: '"origins": ["https://app-*-team.vercel.app"]',
    },
  ],
  "origin-file": [
    {
      hole: "every file on a person's machine",
      from: '"origins": ["https://app.acme.com"]',
      to: '"origins": ["file://"]',
    },
  ],
  "one-metadata-key": [
    { hole: "one pair", from: '"subject_key": "user"', to: '"subject_key": "tenant"' },
  ],
  "rate-unknown": [{ hole: "no such tier", from: '"rate": "standard"', to: '"rate": "gold"' }],
  "second-is-first": [
    {
      hole: "one name",
      from: '"second_credential": { "secret": "OPENAI_KEY_ACME_NEXT" }',
      to: '"second_credential": { "secret": "OPENAI_KEY_ACME" }',
    },
  ],
  "shared-key": [
    {
      hole: "with a registry",
      from: `${INITECH_KEY},\n      ${GRANT}`,
      to: `${ACME_KEY},\n      "ownership": { "source": "registry" }`,
    },
    {
      hole: "with grants of another issuer",
      from: `${INITECH_KEY},\n      ${GRANT}`,
      to: `${ACME_KEY},\n      ${GRANT}`,
      also: [withIssuer("initech")],
    },
  ],
  "key-shown-twice": [
    {
      hole: "to another server",
      from: `${GLOBEX_KEY},\n      "ownership": { "source": "credential" }`,
      to: `${ACME_KEY},\n      ${GRANT}`,
    },
    {
      hole: "to a token endpoint",
      from: INITECH_KEY,
      to: '"credential": { "client_credentials": { "token_url": "https://login.acme.com/token", "client_id": "a", "client_secret": { "secret": "OPENAI_KEY_ACME" } } }',
    },
  ],
  "scope-with-space": [
    { hole: "in a rule", from: '["clean"]', to: '["clean up"]' },
    { hole: "given to all", from: '["profile"]', to: '["profile email"]' },
    {
      hole: "given to a role",
      from: '"scopes_claim": "scope"',
      to: '"scopes_map": { "support": ["clean", "clean up"] }',
    },
  ],
  "denial-too-late": [
    {
      hole: "after what allows the same assistants",
      from: LAST_RULE,
      to: withRule(
        '{ "id": "no", "effect": "deny", "scopes": ["clean"], "runs": "tenant", "max_age_seconds": 30 }',
      ),
      at: '{ "id": "no"',
    },
  ],
  "rule-never-reached": [
    {
      hole: "a narrower rule after a wider one",
      from: LAST_RULE,
      to: withRule('{ "id": "late", "scopes": ["stop", "clean"], "runs": "own" }'),
      at: '{ "id": "late"',
    },
    {
      hole: "a denial that comes too late",
      from: LAST_RULE,
      to: withRule('{ "id": "no", "effect": "deny", "scopes": ["stop"], "runs": "tenant" }'),
      at: '{ "id": "no"',
    },
    {
      hole: "a rule after a denial",
      from: '"scopes": ["intern"]',
      to: '"scopes": ["clean"]',
      at: '{ "id": "old"',
    },
    {
      hole: "a rule after a denial of whatever assistant",
      from: '"scopes": ["intern"]',
      to: '"assistants": ["*"], "scopes": ["clean"]',
      at: '{ "id": "old"',
    },
    {
      hole: "a rule that differs by its conditions only",
      from: LAST_RULE,
      to: withRule(
        '{ "id": "late", "scopes": ["clean"], "runs": "tenant", "max_age_seconds": 30, "assistants": ["asst_1"] }',
      ),
      at: '{ "id": "late"',
    },
    {
      hole: "a rule for all of a tenant's runs where a grant proves both",
      from: '"assistants": ["asst_1"] }',
      to: '"assistants": ["asst_1"] },\n        { "id": "late", "scopes": ["stop"], "runs": "tenant", "assistants": ["asst_1"] }',
      at: '{ "id": "late"',
    },
  ],
  "own-is-everybodys": [
    {
      hole: "a wider rule without a reason",
      from: ', "reason_required": true',
      to: "",
      at: '{ "id": "owner"',
    },
  ],
  "assistants-disjoint": [
    {
      hole: "a rule for assistants that the tenant's list leaves out",
      from: '"runs": "own", "assistants": ["asst_1"] }]',
      to: '"runs": "own", "assistants": ["asst_1"] }],\n      "assistants": ["asst_2*"]',
      at: '"rules": [{ "id": "granted"',
    },
  ],
};

describe("the config that holes are planted in", () => {
  it("has none, with its secrets and without", async () => {
    const none = { ok: true, problems: [], notes: [] };
    expect(await lintOf(CLEAN)).toMatchObject(none);
    expect(await lintOf(CLEAN, { secrets: null })).toMatchObject(none);
  });

  it("has none in any other writing of it", async () => {
    const plain: unknown = JSON.parse(CLEAN);
    const writings = [
      JSON.stringify(plain),
      JSON.stringify(plain, null, "\t"),
      JSON.stringify(backwards(plain), null, 2),
      CLEAN.replaceAll("\n", "\r\n"),
      CLEAN.replaceAll(",\n", ", // and then sk-proj-…\n").replaceAll("\n  }", ",\n  }"),
    ];
    for (const text of writings) {
      expect(await lintOf(text), text.slice(0, 80)).toMatchObject({ problems: [], notes: [] });
    }
  });
});

/** Members the other way round; lists keep their order, which says something. */
function backwards(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(backwards);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, inside]) => [name, backwards(inside)]);
  return Object.fromEntries(members.toReversed());
}

describe("a hole that the gateway itself refuses", () => {
  it.each(REFUSED)("$hole", async (each) => expectFound(each, "schema"));
});

describe.each(Object.entries(HOLES))("%s", (id, all) => {
  it.each(all)("$hole", async (each) => expectFound(each, id));
});

describe("holes that come together", () => {
  it("one key, and the tenant under two metadata keys: a hole of both", async () => {
    const text = CLEAN.replace(
      `${INITECH_KEY},\n      ${GRANT}`,
      `${ACME_KEY},\n      ${META.replace('"tenant_key": "tenant"', '"tenant_key": "team"')}`,
    );
    const { problems } = await lintOf(text);
    expect(problems.map(({ id, path }) => [id, path.join(".")])).toEqual([
      ["shared-key", "tenants.acme.credential"],
      ["shared-key", "tenants.initech.credential"],
    ]);
  });

  it("a key where its name belongs: refused, and to be revoked", async () => {
    const text = CLEAN.replace("OPENAI_KEY_INITECH", "sk-proj-abcdefgh12345678");
    const { problems } = await lintOf(text);
    expect(problems.map(({ id }) => id)).toEqual(["schema", "secret-in-file"]);
    expect(JSON.stringify(problems)).not.toContain("sk-proj");
  });

  it("a key that a sentence would repeat", async () => {
    const text = CLEAN.replace('["clean"]', '["sk-proj-abcdefgh12345678 clean"]');
    const { problems } = await lintOf(text);
    expect(problems.map(({ id }) => id)).toEqual(["secret-in-file", "scope-with-space"]);
    expect(JSON.stringify(problems)).not.toContain("abcdefgh");
  });

  it("the lines are those of the member that counts, where one is written twice", async () => {
    const first = CLEAN.slice(
      CLEAN.indexOf('"acme": {'),
      CLEAN.indexOf('    "globex": {\n      "up'),
    );
    const text = CLEAN.replace(first, () => first + first.replace('"standard"', '"gold"'));
    const { problems } = await lintOf(text);
    expect(problems.map(({ id, line }) => [id, line])).toEqual([
      ["written-twice", lineOf(text, '"acme": {')],
      ["rate-unknown", lineOf(text, '"gold"')],
    ]);
  });

  it("one cause that several tenants have in common, told once for all", async () => {
    const ids = Array.from({ length: 39 }, (_, index) => `t${index}`);
    const entry = (rate: string, upstream: string) =>
      `"upstream": "${upstream}", "rate": "${rate}", ${ACME_KEY}, ${META}, "rules": [{ "id": "o", "scopes": ["stop"], "runs": "own" }]`;
    const withTenants = (rate: string, upstream: string): string =>
      CLEAN.replace('["acme", "initech"]', JSON.stringify(["acme", "initech", ...ids])).replace(
        '    "acme": {',
        () =>
          `${ids.map((id) => `    "${id}": { ${entry(rate, upstream)} },\n`).join("")}    "acme": {`,
      );
    const of = async (text: string) =>
      (await lintOf(text)).problems.map(({ id, message, tenants }) => [id, message, tenants]);
    const others = "(so too tenants t1, t2, t3 and 35 others)";
    expect(await of(withTenants("gold", "openai"))).toEqual([
      [
        "rate-unknown",
        `wrangler.toml has no rate limit RATE_GOLD, so the gateway answers 503 for this tenant ${others}`,
        ids,
      ],
    ]);
    expect(await of(withTenants("standard", "nowhere"))).toEqual([
      ["schema", `tenants.t0.upstream: there is no upstream named 'nowhere' ${others}`, ids],
    ]);
    // What is wrong with the tenant as a whole, or with its name.
    const misspelt = withTenants("standard", "openai").replaceAll(
      /("t\d+": \{ )/g,
      '$1"orgins": [], ',
    );
    expect(await of(misspelt)).toEqual([
      ["schema", `tenants.t0: Unrecognized key: "orgins" (did you mean 'origins'?) ${others}`, ids],
    ]);
    const inCapitals = withTenants("standard", "openai").replaceAll(/"(t\d+)": \{ /g, '"$1.X": { ');
    expect(
      (await of(inCapitals)).filter(([, message]) => `${message}`.includes("a tenant id is")),
    ).toEqual([
      [
        "schema",
        "tenants.t0.X: a tenant id is 1-63 of a-z, 0-9, '_' and '-', and starts with neither sign (so too tenants t1.X, t2.X, t3.X and 35 others)",
        ids.map((id) => `${id}.X`),
      ],
    ]);
    // Two causes are two.
    const two = withTenants("gold", "openai").replace('"rate": "gold"', '"rate": "silver"');
    expect((await of(two)).map(([id]) => id)).toEqual(["rate-unknown", "rate-unknown"]);
  });

  it.each([
    ...["Everyone", "openid", "/all_users", "Domain Users", "default-roles-acme", "org:member"],
    ...["aws.cognito.signin.user.admin", "user_impersonation", "access_as_user", "basic", "public"],
    ...["api://3f1c/access_as_user", "https://stop.acme.com/user_impersonation", "customer"],
    ...[
      "Internal/everyone",
      "ROLE_USER",
      "role-user",
      "ROLE_ANONYMOUS",
      "role:guest",
      "All Company",
    ],
    ...["ACME\\\\Domain Users", "CN=Domain Users,CN=Users,DC=x", "cn = everyone,ou=groups,dc=x"],
    ...["S-1-1-0", "S-1-5-11", "s-1-5-32-545", "S-1-5-21-1004336348-1177238915-682003330-513"],
    ...[
      "NT AUTHORITY\\\\Authenticated Users",
      "BUILTIN\\\\Users",
      "allAuthenticatedUsers",
      "allUsers",
    ],
    ...[
      "everyone@acme.com",
      "offline_access",
      "phone",
      "uma_authorization",
      "view-profile",
      "User.Read",
    ],
    ...[
      "https://www.googleapis.com/auth/userinfo.email",
      "Everyone except external users",
      "/users/",
    ],
  ])("rights mapped to what every user has: %s", async (word) => {
    const map = `"scopes_map": { "${word}": ["clean"] }`;
    const { problems } = await lintOf(CLEAN.replace('"scopes_claim": "scope"', () => map));
    expect(problems.map(({ id }) => id)).toEqual(["mapped-all-runs"]);
  });

  it.each([
    ...[
      "support-team",
      "Power Users",
      "ROLE_ADMIN",
      "admin",
      "customer-support",
      "public-relations",
    ],
    ...["ACME\\\\Domain Admins", "CN=Support,CN=Users,DC=x", "everyone/support", "users\\\\admin"],
    ...[
      "S-1-5-32-544",
      "S-1-5-21-1004336348-1177238915-682003330-512",
      "S-1-1-01",
      "role_",
      "user:admin",
    ],
    ...["runs:all", "support@everyone.com", "org:admin", "basics", "xcn=everyone"],
  ])("rights mapped to what only some have: %s", async (word) => {
    const map = `"scopes_map": { "${word}": ["clean"] }`;
    const { problems } = await lintOf(CLEAN.replace('"scopes_claim": "scope"', () => map));
    expect(problems).toEqual([]);
  });

  it("two causes, where the name of one tenant begins as another's does", async () => {
    const pairs = { t1: "A", t10: "A", t2: "B", t20: "B" };
    const entry = (key: string) =>
      `{ "upstream": "threads", "credential": { "secret": "${key}" }, "ownership": { "source": "credential" }, "rules": [{ "id": "all", "scopes": ["stop"], "runs": "tenant" }] }`;
    const entries = Object.entries(pairs).map(([id, key]) => `    "${id}": ${entry(key)},\n`);
    const { problems } = await lintOf(
      CLEAN.replace('    "acme": {', () => `${entries.join("")}    "acme": {`),
    );
    expect(problems.map(({ message }) => message)).toEqual([
      "tenants.t1.credential: proves nothing, since tenant t10 has the same",
      "tenants.t10.credential: proves nothing, since tenant t1 has the same",
      "tenants.t2.credential: proves nothing, since tenant t20 has the same",
      "tenants.t20.credential: proves nothing, since tenant t2 has the same",
    ]);
  });

  it("one line of an issuer that is at fault for many tenants", async () => {
    const text = CLEAN.replace(...withIssuer("acme"))
      .replace(META, metaOf("https://id.acme.com/", "https://other.acme.com/"))
      .replace(
        '"tenant": { "fixed": "acme" }',
        '"granted_scopes": ["stop"], "tenant": { "claim": "t", "allow": ["acme", "globex"] }',
      );
    const { problems } = await lintOf(text);
    expect(problems.map(({ id, message }) => [id, message])).toMatchObject([
      ["granted-all-runs", expect.stringContaining("of tenant acme and one more")],
      ["two-issuers", expect.stringContaining("in tenant acme the same subject of")],
    ]);
  });
});

describe("what is no hole", () => {
  it.each<Planted>([
    {
      hole: "two entries of one issuer, the one with a claim first",
      from: SECOND_ENTRY[0],
      to: SECOND_ENTRY[1]('"claims": { "azp": "web" }'),
      also: [['"scopes_claim": "scope"', '"claims": { "azp": ["mobile", null] }']],
    },
    {
      hole: "roles that only some have",
      from: '"scopes_claim": "scope"',
      to: '"scopes_map": { "support-team": ["clean", "audit:read"], "everyone": ["own"] }',
    },
    {
      hole: "a person's id that stays",
      from: '"scopes_claim": "scope"',
      to: '"subject_claim": "oid"',
    },
    {
      hole: "a narrower rule before a wider one",
      from: '{ "id": "owner"',
      to: '{ "id": "first", "scopes": ["clean", "stop"], "runs": "own", "assistants": ["asst_1"] },\n        { "id": "owner"',
    },
    {
      hole: "a rule for some assistants, and older runs",
      from: LAST_RULE,
      to: withRule(
        '{ "id": "x", "scopes": ["clean"], "runs": "tenant", "assistants": ["asst_*"], "max_age_seconds": 600 }',
      ),
    },
    {
      hole: "a denial of older runs than those allowed before it",
      from: LAST_RULE,
      to: withRule(
        '{ "id": "x", "effect": "deny", "scopes": ["clean"], "runs": "tenant", "max_age_seconds": 90 }',
      ),
    },
    {
      hole: "a key that tenants with metadata share",
      from: `${INITECH_KEY},\n      ${GRANT}`,
      to: `${ACME_KEY},\n      ${META}`,
    },
    {
      hole: "a key that tenants with grants of the same issuers share",
      from: INITECH_KEY,
      to: ACME_KEY,
    },
    {
      hole: "a key at two servers of one party",
      from: `${GLOBEX_KEY},\n      "ownership": { "source": "credential" }`,
      to: `${ACME_KEY},\n      ${GRANT}`,
      also: [["https://threads.acme.com/v1", "https://eu.api.openai.com/v1"]],
    },
    {
      hole: "keys on this machine",
      from: ACME_KEYS,
      to: '"jwks_uri": "http://127.0.0.1:8080/keys"',
    },
    { hole: "an issuer on this machine", from: ACME_ID, to: '"issuer": "http://127.0.0.1:8080/"' },
    {
      hole: "a page on this machine",
      from: '"https://app.acme.com"',
      to: '"http://localhost:3000"',
    },
    {
      hole: "a metadata claim that only the backend writes",
      from: '"claim": "org_id"',
      to: '"claim": ["app_metadata", "org"]',
    },
    {
      hole: "public metadata",
      from: '"scopes_claim": "scope"',
      to: '"scopes_claim": ["public_metadata", "scopes"]',
    },
    {
      hole: "the account console's audience, of one app alone",
      from: AUDIENCE,
      to: '"audiences": ["account"], "claims": { "azp": "acme-web" }',
      also: [[ACME_ID, '"issuer": "https://id.acme.com/realms/acme"']],
    },
    {
      hole: "a scope for all where grants name the runs",
      from: '["profile"]',
      to: '["sweep"]',
      also: [
        [
          '"scopes": ["stop"], "runs": "own", "assistants"',
          '"scopes": ["sweep"], "runs": "tenant", "assistants"',
        ],
      ],
    },
    {
      hole: "an auditors' issuer whose every token reads the log",
      ...{ from: withIssuer("acme")[0], to: withIssuer("acme")[1] },
      also: [
        [
          '"tenant": { "fixed": "acme" }',
          '"tenant": { "fixed": "acme" }, "granted_scopes": ["audit:read"], "token_header": "cf-access-jwt-assertion"',
        ],
      ],
    },
    {
      hole: "a tenant that nobody reaches and nobody shall",
      from: '["acme", "initech"]',
      to: '["acme"]',
      also: [['"initech": {', '"initech": {\n      "enabled": false,']],
    },
    {
      hole: "pages that are shown what has no prompt",
      from: '"redact": ["instructions"],',
      to: "",
      also: [
        [
          '"openai": { "kind": "openai-responses", "base_url": "https://api.openai.com/v1"',
          '"openai": { "kind": "langgraph", "base_url": "https://graphs.acme.com"',
        ],
      ],
    },
    {
      hole: "a name that looks like a key",
      from: '["acme", "initech"]',
      to: '["acme", "sk-bratislava"]',
      also: [['"initech": {', '"sk-bratislava": {']],
    },
    {
      hole: "a certificate",
      from: '"scopes_claim": "scope"',
      to: '"claims": { "x": "-----BEGIN CERTIFICATE-----" }',
    },
  ])("$hole", async (each) => {
    expect((await lintOf(planted(each))).problems).toEqual([]);
  });

  it("any of the samples", async () => {
    const tiers = await readTiers();
    const samples = (await readdir(join(ROOT, "docs/identity"))).map(
      (name) => `docs/identity/${name}`,
    );
    expect(samples).toHaveLength(8);
    for (const sample of [...samples, "dev/sample.config.jsonc"]) {
      const options = { online: false, allow: [], secrets: null, tiers, fetch };
      const { problems } = await lint(join(ROOT, sample), options);
      expect(problems, sample).toEqual([]);
    }
  });

  it("the config of the docs, but for what it only hints at", async () => {
    const page = await readFile(join(ROOT, "docs/config.md"), "utf8");
    const [, text = ""] = /```jsonc\n([\s\S]*?)```/.exec(page) ?? [];
    const { problems } = await lintOf(text, { secrets: null });
    expect(problems.map(({ id }) => id)).toEqual(["tenant-missing", "upstream-unused"]);
  });

  it("what is known and kept, though it is still said", async () => {
    const text = CLEAN.replace('"redact": ["instructions"]', '"redact": []');
    const report = await lintOf(text, { allow: ["exposed-instructions"] });
    expect(report).toMatchObject({
      ok: true,
      problems: [],
      notes: [{ id: "exposed-instructions" }],
    });
  });
});

describe("the command", () => {
  it("says each hole with its line and its cure, and ends with 1", async () => {
    const file = join(folder.path, "holes.jsonc");
    await writeFile(file, CLEAN.replace('"redact": ["instructions"]', '"redact": []'));
    const { code, stdout } = await runGateway("lint", file);
    expect(code).toBe(1);
    expect(stdout.replaceAll(`${folder.path}/`, "").trim().split("\n")).toEqual([
      `holes.jsonc:${lineOf(CLEAN, '"origins"')}: pages of this tenant are shown the run's instructions, which is your prompt. [exposed-instructions]`,
      '    → add "redact": ["instructions"], and "tools" if they are nobody\'s business either.',
      "holes.jsonc: 1 problem.",
    ]);
    const kept = await runGateway("lint", file, "--allow", "exposed-instructions");
    expect(kept.code).toBe(0);
    expect(kept.stdout).toContain("(kept)");
  });

  it("speaks to machines, and looks at the secrets", async () => {
    const file = join(folder.path, "machine.jsonc");
    const secrets = join(folder.path, "secrets.env");
    await writeFile(file, CLEAN);
    const { KEY_ENCRYPTION_KEY, OPENAI_KEY_ACME } = SECRETS;
    await writeFile(secrets, `OPENAI_KEY_ACME=${OPENAI_KEY_ACME}\n`);
    const { code, stdout } = await runGateway("lint", file, "--json", "--secrets", secrets);
    expect(code).toBe(1);
    const report = JSON.parse(stdout) as { problems: object[] };
    expect(Object.keys(report)).toEqual(["file", "ok", "problems", "notes"]);
    expect(report).toMatchObject({
      ...{ file, ok: false, notes: [] },
      problems: [
        { id: "secret-missing", path: ["tenants", "acme", "second_credential"] },
        { id: "secret-missing", path: ["tenants", "globex", "credential"] },
        { id: "secret-missing", path: ["tenants", "initech", "credential"] },
      ],
    });
    expect(Object.keys(report.problems[0] ?? {})).toEqual([
      ...["id", "line", "path", "message", "cure"],
    ]);
    for (const secret of [KEY_ENCRYPTION_KEY, OPENAI_KEY_ACME])
      expect(stdout).not.toContain(secret);
  });

  it("ends with 2 when it cannot look", async () => {
    const file = join(folder.path, "clean.jsonc");
    await writeFile(file, CLEAN);
    await writeFile(join(folder.path, "odd.env"), "sk-proj-abcdefgh12345678\n");
    expect((await runGateway("lint", join(folder.path, "none.jsonc"))).code).toBe(2);
    const odd = await runGateway("lint", file, "--secrets", join(folder.path, "odd.env"));
    expect(odd.code).toBe(2);
    expect(odd.stdout + odd.stderr).not.toContain("sk-proj");
  });
});

describe("a config of ten thousand tenants", () => {
  const ids = Array.from({ length: 10_000 }, (_unused, index) => `t${index}`);
  const many = (entry: (id: string, index: number) => string): string => {
    const entries = ids.map((id, index) => `    "${id}": { ${entry(id, index)} },\n`).join("");
    const text = CLEAN.replace('    "acme": {', () => `${entries}    "acme": {`);
    return text.replace('["acme", "initech"]', JSON.stringify(["acme", "initech", ...ids]));
  };
  const RULE = '"rules": [{ "id": "o", "scopes": ["stop"], "runs": "own" }], "upstream": "openai"';

  async function timed(text: string) {
    const begun = performance.now();
    const { problems } = await lintOf(text, { secrets: { ...SECRETS, SHARED: "sk-1" } });
    // On two busy cores; anything quadratic would take minutes.
    expect(performance.now() - begun).toBeLessThan(20_000);
    return problems;
  }

  it("finds the one hole among them", async () => {
    const text = many(
      (id, index) =>
        `${RULE}, "credential": { "secret": "SHARED" }, ${META}, "redact": ["instructions"], "origins": ["https://${id}.acme.com"]${index === 9_999 ? ', "rate": "gold"' : ""}`,
    );
    expect(await timed(text)).toMatchObject([
      { id: "rate-unknown", line: lineOf(text, '"rate": "gold"') },
    ]);
  }, 60_000);

  it("finds the one that differs from all with its key, and a hole in each, each told once", async () => {
    const text = many(
      (id, index) =>
        `${RULE}, "credential": { "secret": "SHARED" }, ${index === 9_999 ? META.replace('"tenant"', '"team"') : META}, "origins": ["https://${id}.acme.com"]`,
    );
    const problems = await timed(text);
    expect(problems).toMatchObject([
      {
        id: "exposed-instructions",
        line: lineOf(text, '"t0": {'),
        message:
          "pages of this tenant are shown the run's instructions, which is your prompt (so too tenants t1, t2, t3 and 9996 others)",
        tenants: ids,
      },
      {
        id: "shared-key",
        line: lineOf(text, '"t0": {'),
        message: expect.stringMatching(/^tenant t9999 has the same upstream key/),
        tenants: ids,
      },
    ]);
  }, 60_000);
});
