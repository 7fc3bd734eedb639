// The config's schema: the design's own sample passes, and every hole in it is refused in one clear line.
import { describe, expect, it } from "vitest";
import { BaseDocument, baseOf, ConfigDocument, describeProblem } from "../../src/config/schema.ts";

/** The document of the design, §3, as JSON. */
const SAMPLE = {
  $schema: "./gateway.schema.json",
  issuers: [
    {
      issuer: "https://acme.eu.auth0.com/",
      jwks_uri: "https://acme.eu.auth0.com/.well-known/jwks.json",
      audiences: ["https://stop.example.com"],
      algorithms: ["RS256"],
      types: ["at+jwt", "JWT"],
      tenant: { claim: "org_id", allow: ["acme", "globex"] },
      scopes_claim: "scope",
    },
  ],
  upstreams: {
    openai: { kind: "openai-responses", base_url: "https://api.openai.com/v1" },
    graphs: { kind: "langgraph", base_url: "https://graphs.example.com", action: "interrupt" },
  },
  tenants: {
    acme: {
      enabled: true,
      upstream: "openai",
      credential: { secret: "OPENAI_KEY_ACME" },
      ownership: { source: "metadata", tenant_key: "tenant", subject_key: "user" },
      rules: [
        { id: "owner", scopes: ["runs:cancel"], runs: "own" },
        { id: "support", scopes: ["runs:cancel:support"], runs: "tenant", reason_required: true },
      ],
      assistants: ["asst_*"],
      origins: ["https://app.acme.com"],
      rate: "standard",
      on_terminal: "run",
      redact: ["instructions", "tools"],
      audit: { on_failure: "refuse", retention_days: 400, subject: "clear" },
    },
  },
};

type Path = readonly (string | number)[];

/** The sample with the member at `path` replaced; undefined takes it away. */
function sampleWith(path: Path, value: unknown): unknown {
  const [head, ...rest] = path;
  return head === undefined ? value : replaced(SAMPLE, head, rest, value);
}

function replaced(holder: unknown, key: string | number, rest: Path, value: unknown): unknown {
  const copy = Array.isArray(holder) ? [...holder] : { ...(holder as Record<string, unknown>) };
  const members = copy as Record<string | number, unknown>;
  const [next, ...others] = rest;
  const inner = next === undefined ? value : replaced(members[key], next, others, value);
  if (inner === undefined) delete members[key];
  else members[key] = inner;
  return copy;
}

function problemIn(document: unknown): string | null {
  const parsed = ConfigDocument.safeParse(document);
  return parsed.success ? null : describeProblem(parsed.error);
}

const ISSUER = ["issuers", 0] as const;
const UPSTREAM = ["upstreams", "openai"] as const;
const NO_ORIGIN =
  "tenants.acme.origins.0: must be an exact origin such as https://app.example.com, or one with a '*' inside its first label, as https://app-*-team.vercel.app: no path";
const ACME = ["tenants", "acme"] as const;
const COORDINATE = "A".repeat(43);
const JWK = { kty: "EC", crv: "P-256", x: COORDINATE, y: COORDINATE };

describe("the config document", () => {
  it("of the design passes", () => {
    expect(problemIn(SAMPLE)).toBeNull();
  });

  it("needs no more than what has no default", () => {
    const parsed = ConfigDocument.parse({
      issuers: [
        {
          issuer: "https://id.test/",
          jwks: { keys: [JWK] },
          audiences: ["stop"],
          tenant: { fixed: "acme" },
        },
      ],
      upstreams: SAMPLE.upstreams,
      tenants: {
        acme: {
          upstream: "openai",
          credential: { secret: "KEY" },
          ownership: { source: "grant" },
          rules: [{ id: "owner", scopes: ["stop"], runs: "own" }],
        },
      },
    });
    expect(parsed.issuers[0]).toMatchObject({
      algorithms: ["RS256"],
      types: ["at+jwt", "JWT"],
      scopes_claim: "scope",
    });
    expect(parsed.tenants["acme"]).toMatchObject({
      enabled: true,
      rules: [{ reason_required: false }],
      origins: [],
      on_terminal: "run",
      redact: [],
      audit: { on_failure: "refuse", retention_days: 400, subject: "clear" },
    });
  });

  it.each<[string, Path, unknown]>([
    [
      "an upstream on loopback, for one's own machine",
      [...UPSTREAM, "base_url"],
      "http://127.0.0.1:8788/v1",
    ],
    ["an upstream on localhost", [...UPSTREAM, "base_url"], "http://localhost:8788"],
    [
      "an upstream with a slash at the end",
      [...UPSTREAM, "base_url"],
      "https://api.openai.com/v1/",
    ],
    ["an origin with a port", [...ACME, "origins"], ["https://app.acme.com:8443"]],
    ["an app's origin", [...ACME, "origins"], ["tauri://localhost", "app://-", "file://"]],
    ["an app's origin without a host", [...ACME, "origins"], ["qrc://", "app://", "file://"]],
    [
      "a browser extension's origin",
      [...ACME, "origins"],
      ["chrome-extension://kbfnbcaeplbcioakkpcpgfkobkghlhen", "safari-web-extension://5C8B-0E"],
    ],
    [
      "an origin with a part that varies",
      [...ACME, "origins"],
      [
        "https://app-*-team.vercel.app",
        "https://*--acme.netlify.app",
        "https://pr-*.acme.com:8443",
      ],
    ],
    ["an origin on one's own machine", [...ACME, "origins"], ["http://localhost:3000"]],
    ["a tenant that is switched off", [...ACME, "enabled"], false],
    [
      "every algorithm there is",
      [...ISSUER, "algorithms"],
      ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
    ],
    [
      "a query in the keys' address",
      [...ISSUER, "jwks_uri"],
      "https://login.microsoftonline.com/common/discovery/v2.0/keys?appid=6731de76",
    ],
    [
      "keys of one name, as a provider publishes one for each algorithm",
      [...ISSUER],
      {
        ...SAMPLE.issuers[0],
        jwks_uri: undefined,
        jwks: { keys: [1, 2].map(() => ({ ...JWK, kid: "a", use: null })) },
      },
    ],
    [
      "two entries of one issuer that the audience tells apart",
      ["issuers"],
      [SAMPLE.issuers[0], { ...SAMPLE.issuers[0], audiences: ["https://other.example.com"] }],
    ],
    [
      "two entries of one issuer that the header tells apart",
      ["issuers"],
      [SAMPLE.issuers[0], { ...SAMPLE.issuers[0], token_header: "cf-access-jwt-assertion" }],
    ],
    [
      "two entries of one issuer with the audience at two places",
      ["issuers"],
      [SAMPLE.issuers[0], { ...SAMPLE.issuers[0], audience_claim: "client_id" }],
    ],
    [
      "two entries of one issuer that a claim tells apart",
      ["issuers"],
      [{ ...SAMPLE.issuers[0], claims: { gty: "client-credentials" } }, SAMPLE.issuers[0]],
    ],
    ["claims with several values", [...ISSUER, "claims"], { azp: ["web", "mobile", null] }],
    ["a map of roles", [...ISSUER, "scopes_map"], { "Support Team": ["runs:cancel:support"] }],
    ["a person's id elsewhere", [...ISSUER, "subject_claim"], ["ext", "oid"]],
  ])("may have %s", (_, path, value) => {
    expect(problemIn(sampleWith(path, value))).toBeNull();
  });
});

const DEFECTS: readonly [string, Path, unknown, string][] = [
  ["no document", [], null, "Invalid input: expected object, received null"],
  ["an unknown member", ["tenant"], {}, 'Unrecognized key: "tenant"'],
  [
    "an unknown member of an issuer",
    [...ISSUER, "audience"],
    "x",
    'issuers.0: Unrecognized key: "audience"',
  ],
  [
    "an unknown member of an upstream",
    [...UPSTREAM, "key"],
    "x",
    'upstreams.openai: Unrecognized key: "key"',
  ],
  [
    "another kind's member",
    [...UPSTREAM, "action"],
    "interrupt",
    'upstreams.openai: Unrecognized key: "action"',
  ],
  [
    "an unknown member of a tenant",
    [...ACME, "rule"],
    [],
    'tenants.acme: Unrecognized key: "rule"',
  ],
  [
    "an unknown member of a rule",
    [...ACME, "rules", 0, "scope"],
    "x",
    'tenants.acme.rules.0: Unrecognized key: "scope"',
  ],
  [
    "an unknown member of audit",
    [...ACME, "audit", "days"],
    1,
    'tenants.acme.audit: Unrecognized key: "days"',
  ],
  ["no issuers", ["issuers"], [], "issuers: Too small: expected array to have >=1 items"],
  [
    "two issuers of one name",
    ["issuers"],
    [SAMPLE.issuers[0], SAMPLE.issuers[0]],
    "issuers: two entries have the same issuer, and the same audiences and claims",
  ],
  [
    "two entries that ask for the same in another order",
    ["issuers"],
    [
      {
        ...SAMPLE.issuers[0],
        audiences: ["a", "b"],
        audience_claim: "aud",
        claims: { azp: ["web", "mobile"], use: "access" },
      },
      {
        ...SAMPLE.issuers[0],
        audiences: ["b", "a"],
        audience_claim: ["aud"],
        claims: { use: ["access"], azp: ["mobile", "web"] },
      },
    ],
    "issuers: two entries have the same issuer",
  ],
  [
    "a scopes_map of nothing",
    [...ISSUER, "scopes_map"],
    {},
    "issuers.0.scopes_map: maps nothing, so no token has a scope",
  ],
  [
    "a scopes_map to a text",
    [...ISSUER, "scopes_map"],
    { admin: "runs:cancel" },
    "issuers.0.scopes_map.admin: Invalid input: expected array, received string",
  ],
  [
    "a claim with no value that will do",
    [...ISSUER, "claims"],
    { azp: [] },
    "issuers.0.claims.azp: Too small: expected array to have >=1 items",
  ],
  [
    "a claim with a number for a value",
    [...ISSUER, "claims"],
    { level: 2 },
    "issuers.0.claims.level: give a text, true, false or null, or a list of 1-64 of these",
  ],
  [
    "both jwks and jwks_uri",
    [...ISSUER, "jwks"],
    { keys: [JWK] },
    "issuers.0: give exactly one of jwks_uri and jwks",
  ],
  [
    "neither jwks nor jwks_uri",
    [...ISSUER, "jwks_uri"],
    undefined,
    "issuers.0: give exactly one of jwks_uri and jwks",
  ],
  [
    "HS256",
    [...ISSUER, "algorithms"],
    ["RS256", "HS256"],
    'issuers.0.algorithms.1: Invalid option: expected one of "RS256"|"PS256"|"ES256"|"ES384"|"EdDSA"|"Ed25519"',
  ],
  [
    "none as an algorithm",
    [...ISSUER, "algorithms"],
    ["none"],
    'issuers.0.algorithms.0: Invalid option: expected one of "RS256"|"PS256"|"ES256"|"ES384"|"EdDSA"|"Ed25519"',
  ],
  [
    "no algorithm",
    [...ISSUER, "algorithms"],
    [],
    "issuers.0.algorithms: Too small: expected array to have >=1 items",
  ],
  [
    "no audience",
    [...ISSUER, "audiences"],
    [],
    "issuers.0.audiences: Too small: expected array to have >=1 items",
  ],
  [
    "a tenant claim that allows all",
    [...ISSUER, "tenant"],
    { claim: "org_id" },
    "issuers.0.tenant: give a claim and the tenants to allow, a claim and a map to tenants, or a fixed tenant",
  ],
  [
    "a tenant claim that allows any",
    [...ISSUER, "tenant"],
    { claim: "org_id", allow: ["*"] },
    "issuers.0.tenant.allow.0: a tenant id is 1-63 of a-z",
  ],
  [
    "a tenant both fixed and claimed",
    [...ISSUER, "tenant"],
    { fixed: "acme", claim: "org_id", allow: ["acme"] },
    "issuers.0.tenant: give a claim and the tenants to allow, a claim and a map to tenants, or a fixed tenant",
  ],
  [
    "keys over http",
    [...ISSUER, "jwks_uri"],
    "http://acme.eu.auth0.com/jwks.json",
    "issuers.0.jwks_uri: must be an https URL of a public host name, without user or fragment",
  ],
  [
    "a fragment in the keys' address",
    [...ISSUER, "jwks_uri"],
    "https://acme.eu.auth0.com/jwks.json?appid=1#keys",
    "issuers.0.jwks_uri: must be an https URL of a public host name, without user or fragment",
  ],
  [
    "a user in the keys' address",
    [...ISSUER, "jwks_uri"],
    "https://ann:secret@acme.eu.auth0.com/jwks.json?appid=1",
    "issuers.0.jwks_uri: must be an https URL of a public host name, without user or fragment",
  ],
  [
    "an upstream over http",
    [...UPSTREAM, "base_url"],
    "http://api.openai.com/v1",
    "upstreams.openai.base_url: must be an https URL of a public host name, without user, query or fragment",
  ],
  [
    "an upstream of another scheme",
    [...UPSTREAM, "base_url"],
    "file:///etc/passwd",
    "upstreams.openai.base_url: must be an https URL of a public host name, without user, query or fragment",
  ],
  [
    "an upstream that looks like loopback",
    [...UPSTREAM, "base_url"],
    "http://localhost.evil.test",
    "upstreams.openai.base_url: must be an https URL of a public host name, without user, query or fragment",
  ],
  [
    "a user in an upstream's address",
    [...UPSTREAM, "base_url"],
    "https://user:pw@api.openai.com/v1",
    "upstreams.openai.base_url: must be an https URL of a public host name, without user, query or fragment",
  ],
  [
    "a query in an upstream's address",
    [...UPSTREAM, "base_url"],
    "https://api.openai.com/v1?",
    "upstreams.openai.base_url: must be an https URL of a public host name, without user, query or fragment",
  ],
  [
    "a fragment in an upstream's address",
    [...UPSTREAM, "base_url"],
    "https://api.openai.com/#x",
    "upstreams.openai.base_url: must be an https URL of a public host name, without user, query or fragment",
  ],
  [
    "a private key",
    [...ISSUER],
    { ...SAMPLE.issuers[0], jwks_uri: undefined, jwks: { keys: [{ ...JWK, d: "eA" }] } },
    "issuers.0.jwks.keys.0: a private key: give its public half only",
  ],
  [
    "a secret key",
    [...ISSUER],
    { ...SAMPLE.issuers[0], jwks_uri: undefined, jwks: { keys: [{ kty: "oct", k: "eA" }] } },
    "issuers.0.jwks.keys.0: a secret key: only public keys are wanted",
  ],
  [
    "an unknown kind",
    [...UPSTREAM, "kind"],
    "bedrock",
    "upstreams.openai.kind: Invalid discriminator value. Expected 'openai-responses' | 'assistants' | 'langgraph' | 'openai-agents' | 'gemini-interactions'",
  ],
  [
    "an upstream's name with a space",
    ["upstreams", "my openai"],
    SAMPLE.upstreams.openai,
    "upstreams.my openai: an upstream's name is 1-64 letters, digits, '_' and '-'",
  ],
  [
    "an upstream that is not there",
    [...ACME, "upstream"],
    "azure",
    "tenants.acme.upstream: there is no upstream named 'azure'",
  ],
  [
    "an upstream of every object",
    [...ACME, "upstream"],
    "constructor",
    "tenants.acme.upstream: there is no upstream named 'constructor'",
  ],
  [
    "a tenant in capitals",
    ["tenants", "ACME"],
    SAMPLE.tenants.acme,
    "tenants.ACME: a tenant id is 1-63 of a-z, 0-9, '_' and '-', and starts with neither sign",
  ],
  [
    "a tenant with a colon",
    ["tenants", "a:b"],
    SAMPLE.tenants.acme,
    "tenants.a:b: a tenant id is 1-63 of a-z, 0-9, '_' and '-', and starts with neither sign",
  ],
  [
    "a secret in lower case",
    [...ACME, "credential", "secret"],
    "sk-live",
    "tenants.acme.credential.secret: a secret's name is upper case, such as OPENAI_KEY_ACME",
  ],
  [
    "the key itself beside its name",
    [...ACME, "credential", "key"],
    "sk-live",
    'tenants.acme.credential: Unrecognized key: "key"',
  ],
  [
    "the gateway's signing key",
    [...ACME, "credential", "secret"],
    "AUDIT_SIGNING_KEY",
    "tenants.acme.credential.secret: this name is the gateway's own and must not be sent to an upstream",
  ],
  [
    "the gateway's subject key",
    [...ACME, "credential", "secret"],
    "AUDIT_SUBJECT_KEY",
    "tenants.acme.credential.secret: this name is the gateway's own and must not be sent to an upstream",
  ],
  [
    "one of the gateway's bindings for a secret",
    [...ACME, "credential", "secret"],
    "CONFIG",
    "tenants.acme.credential.secret: this name is the gateway's own and must not be sent to an upstream",
  ],
  [
    "half a key",
    [...ISSUER],
    { ...SAMPLE.issuers[0], jwks_uri: undefined, jwks: { keys: [{ kty: "RSA", e: "AQAB" }] } },
    "issuers.0.jwks.keys.0: an RSA key without n or e",
  ],
  [
    "half a point",
    [...ISSUER],
    { ...SAMPLE.issuers[0], jwks_uri: undefined, jwks: { keys: [{ ...JWK, y: "eA" }] } },
    "issuers.0.jwks.keys.0: a key on P-256 without whole coordinates",
  ],
  [
    "a key that only encrypts",
    [...ISSUER],
    { ...SAMPLE.issuers[0], jwks_uri: undefined, jwks: { keys: [{ ...JWK, use: "enc" }] } },
    "issuers.0.jwks.keys: holds no key that can verify a token",
  ],
  [
    "a tenant map to no tenant id",
    [...ISSUER, "tenant"],
    { claim: ["org", "id"], map: { org_1: "Acme" } },
    "issuers.0.tenant.map.org_1: a tenant id is 1-63 of a-z",
  ],
  [
    "a token for ever",
    [...ISSUER, "max_lifetime_hours"],
    100_000,
    "issuers.0.max_lifetime_hours: Too big: expected number to be <=744",
  ],
  [
    "a token header of one's own",
    [...ISSUER, "token_header"],
    "x-token",
    'issuers.0.token_header: Invalid option: expected one of "authorization"|"cf-access-jwt-assertion"',
  ],
  [
    "an entry of keys that is no object",
    [...ISSUER],
    { ...SAMPLE.issuers[0], jwks_uri: undefined, jwks: { keys: [JWK, "key"] } },
    "issuers.0.jwks.keys.1: Invalid input: expected record, received string",
  ],
  [
    "a small key beside a good one",
    [...ISSUER],
    {
      ...SAMPLE.issuers[0],
      jwks_uri: undefined,
      jwks: { keys: [JWK, { kty: "RSA", n: `${"_".repeat(170)}8`, e: "AQAB" }] },
    },
    "issuers.0.jwks.keys.1: an RSA key of 1024 bits",
  ],
  [
    "an issuer fixed to a tenant that is not there",
    [...ISSUER, "tenant"],
    { fixed: "initech" },
    "issuers.0.tenant.fixed: there is no tenant 'initech'",
  ],
  [
    "no rules",
    [...ACME, "rules"],
    [],
    "tenants.acme.rules: Too small: expected array to have >=1 items",
  ],
  [
    "an unknown effect",
    [...ACME, "rules", 0, "effect"],
    "maybe",
    'tenants.acme.rules.0.effect: Invalid option: expected one of "allow"|"deny"',
  ],
  [
    "a rule that denies and asks for a reason",
    [...ACME, "rules", 1, "effect"],
    "deny",
    "tenants.acme.rules.1.reason_required: a rule that denies asks for no reason",
  ],
  [
    "no rule that allows",
    [...ACME, "rules"],
    [{ id: "no", effect: "deny", scopes: [], runs: "tenant" }],
    "tenants.acme.rules: no rule allows anything; to switch a tenant off, set enabled to false",
  ],
  [
    "a rule for runs of no age",
    [...ACME, "rules", 0, "max_age_seconds"],
    0,
    "tenants.acme.rules.0.max_age_seconds: Too small: expected number to be >=1",
  ],
  [
    "a rule for no assistants",
    [...ACME, "rules", 0, "assistants"],
    [],
    "tenants.acme.rules.0.assistants: Too small: expected array to have >=1 items",
  ],
  [
    "a star in the middle of an assistant's id",
    [...ACME, "assistants"],
    ["asst_*_support"],
    "tenants.acme.assistants.0: an assistant's id, or the beginning of one and a star at the end",
  ],
  [
    "a registry that forgets at once",
    [...ACME, "ownership"],
    { source: "registry", retention_days: 0 },
    "tenants.acme.ownership.retention_days: Too small: expected number to be >=1",
  ],
  [
    "a credential of an unknown kind",
    [...ACME, "credential"],
    { key: "sk-live-1" },
    'tenants.acme.credential: give {"secret": "NAME"}, {"sealed": "…"} or {"client_credentials": {…}}',
  ],
  [
    "a credential of two kinds",
    [...ACME, "credential"],
    { secret: "KEY", sealed: "eyJ.." },
    'tenants.acme.credential: give {"secret": "NAME"}, {"sealed": "…"} or {"client_credentials": {…}}',
  ],
  [
    "a key that is not sealed",
    [...ACME, "credential"],
    { sealed: "sk-live-1" },
    "tenants.acme.credential.sealed: not a sealed key: make one with 'npm run gateway -- seal'",
  ],
  [
    "a token endpoint without https",
    [...ACME, "credential"],
    {
      client_credentials: {
        token_url: "http://login.example.com/token",
        client_id: "stopgate",
        client_secret: { secret: "KEY" },
      },
    },
    "tenants.acme.credential.client_credentials.token_url: must be an https URL of a public host name, without user, query or fragment",
  ],
  ...["KEY_ENCRYPTION_KEY", "KEY_ENCRYPTION_KEY_PREVIOUS", "RATE_GOLD", "ADDRESS_RATE"].map(
    (name): [string, Path, unknown, string] => [
      `the gateway's own ${name} as a credential`,
      [...ACME, "second_credential"],
      { secret: name },
      "tenants.acme.second_credential.secret: this name is the gateway's own and must not be sent to an upstream",
    ],
  ),
  [
    "two rules of one id",
    [...ACME, "rules", 1, "id"],
    "owner",
    "tenants.acme.rules: two rules share an id",
  ],
  [
    "a rule without scopes",
    [...ACME, "rules", 0, "scopes"],
    [],
    "tenants.acme.rules.0.scopes: a rule that allows needs a scope, or every token of the tenant would do",
  ],
  [
    "a rule for all runs",
    [...ACME, "rules", 0, "runs"],
    "all",
    'tenants.acme.rules.0.runs: Invalid option: expected one of "own"|"tenant"',
  ],
  [
    "no ownership",
    [...ACME, "ownership"],
    undefined,
    "tenants.acme.ownership: Invalid input: expected object, received undefined",
  ],
  [
    "an unknown source",
    [...ACME, "ownership"],
    { source: "none" },
    "tenants.acme.ownership.source: Invalid discriminator value. Expected 'grant' | 'metadata' | 'registry' | 'credential'",
  ],
  [
    "one's own runs by credential",
    [...ACME, "ownership"],
    { source: "credential" },
    "tenants.acme.rules: a credential proves no person, so a rule cannot cover 'own' runs",
  ],
  ["a wildcard origin", [...ACME, "origins"], ["https://*.acme.com"], NO_ORIGIN],
  ["any origin", [...ACME, "origins"], ["*"], NO_ORIGIN],
  ["the null origin", [...ACME, "origins"], ["null"], NO_ORIGIN],
  ["an origin with a slash", [...ACME, "origins"], ["https://app.acme.com/"], NO_ORIGIN],
  ["an origin in capitals", [...ACME, "origins"], ["https://APP.acme.com"], NO_ORIGIN],
  ["an origin with its usual port", [...ACME, "origins"], ["https://app.acme.com:443"], NO_ORIGIN],
  ["a wildcard that is the whole label", [...ACME, "origins"], ["https://*.vercel.app"], NO_ORIGIN],
  [
    "a wildcard right under a top-level domain",
    [...ACME, "origins"],
    ["https://app-*.dev"],
    NO_ORIGIN,
  ],
  [
    "a wildcard where a country sells names",
    [...ACME, "origins"],
    ["https://app-*.co.uk"],
    NO_ORIGIN,
  ],
  [
    "a wildcard outside the first label",
    [...ACME, "origins"],
    ["https://app.*-team.vercel.app"],
    NO_ORIGIN,
  ],
  [
    "a wildcard under a top-level domain, with a dot at the end",
    [...ACME, "origins"],
    ["https://app*.com."],
    NO_ORIGIN,
  ],
  [
    "a wildcard where a country sells names, with a dot at the end",
    [...ACME, "origins"],
    ["https://app*.co.uk."],
    NO_ORIGIN,
  ],
  [
    "a wildcard with a dot at the end",
    [...ACME, "origins"],
    ["https://app-*-team.vercel.app."],
    NO_ORIGIN,
  ],
  [
    "a wildcard with a dot at the end, before a port",
    [...ACME, "origins"],
    ["https://app-*.vercel.app.:8443"],
    NO_ORIGIN,
  ],
  ["a wildcard before an empty label", [...ACME, "origins"], ["https://app-*.a..b"], NO_ORIGIN],
  [
    "a wildcard before a label that begins with a dot",
    [...ACME, "origins"],
    ["https://app-*..acme.com"],
    NO_ORIGIN,
  ],
  ["a wildcard before a label of hyphens", [...ACME, "origins"], ["https://app*.-.x"], NO_ORIGIN],
  [
    "a wildcard before a label that ends with a hyphen",
    [...ACME, "origins"],
    ["https://app*.acme-.com"],
    NO_ORIGIN,
  ],
  [
    "a wildcard before a label that is too long",
    [...ACME, "origins"],
    [`https://app-*.${"a".repeat(64)}.com`],
    NO_ORIGIN,
  ],
  ["a wildcard in the port", [...ACME, "origins"], ["https://app.acme.com:*"], NO_ORIGIN],
  ["two wildcards", [...ACME, "origins"], ["https://app-*-*.vercel.app"], NO_ORIGIN],
  ["a wildcard over http", [...ACME, "origins"], ["http://app-*-team.vercel.app"], NO_ORIGIN],
  ["a wildcard of another scheme", [...ACME, "origins"], ["app://acme-*.local.host"], NO_ORIGIN],
  ["a wildcard next to no letter", [...ACME, "origins"], ["https://-*.vercel.app"], NO_ORIGIN],
  [
    "an origin with a path, of another scheme",
    [...ACME, "origins"],
    ["capacitor://localhost/"],
    NO_ORIGIN,
  ],
  ["the web's scheme alone", [...ACME, "origins"], ["https://"], NO_ORIGIN],
  ["a scheme in capitals", [...ACME, "origins"], ["Tauri://localhost"], NO_ORIGIN],
  ["an origin without slashes", [...ACME, "origins"], ["tauri:localhost"], NO_ORIGIN],
  ["a file with its path", [...ACME, "origins"], ["file:///home"], NO_ORIGIN],
  ["a user before the host", [...ACME, "origins"], ["app://user@host"], NO_ORIGIN],
  ["data", [...ACME, "origins"], ["data:text/html,x"], NO_ORIGIN],
  [
    "a tier that names no binding",
    [...ACME, "rate"],
    "Gold!",
    "tenants.acme.rate: a tier is 1-32 of a-z, 0-9 and '_', as 'standard'",
  ],
  [
    "a field that cannot be hidden",
    [...ACME, "redact"],
    ["status"],
    "tenants.acme.redact.0: Invalid option: expected one of ",
  ],
  [
    "an empty list of assistants",
    [...ACME, "assistants"],
    [],
    "tenants.acme.assistants: Too small: expected array to have >=1 items",
  ],
  [
    "no days of retention",
    [...ACME, "audit", "retention_days"],
    0,
    "tenants.acme.audit.retention_days: Too small: expected number to be >=1",
  ],
  [
    "a part of a day of retention",
    [...ACME, "audit", "retention_days"],
    0.5,
    "tenants.acme.audit.retention_days: Invalid input: expected int, received number",
  ],
];

describe("a config with", () => {
  it.each(DEFECTS)("%s is refused", (_, path, value, problem) => {
    const said = problemIn(sampleWith(path, value));
    expect(said).not.toBeNull();
    expect(said?.startsWith(problem)).toBe(true);
    expect(said).not.toContain("\n");
    expect(said).not.toContain("sk-live");
  });

  it("a credential that proves the tenant and is another tenant's too is refused", () => {
    const shared = {
      ...SAMPLE.tenants.acme,
      ownership: { source: "credential" },
      rules: [{ id: "any", scopes: ["stop"], runs: "tenant" }],
    };
    const tenants = { acme: shared, globex: { ...SAMPLE.tenants.acme } };
    expect(problemIn({ ...SAMPLE, tenants })).toBe(
      "tenants.acme.credential: proves nothing, since tenant globex has the same",
    );
    const second = {
      ...tenants,
      globex: {
        ...tenants.globex,
        credential: { secret: "KEY_2" },
        second_credential: shared.credential,
      },
    };
    expect(problemIn({ ...SAMPLE, tenants: second })).toBe(
      "tenants.acme.credential: proves nothing, since tenant globex has the same",
    );
    const own = { ...tenants, globex: { ...tenants.globex, credential: { secret: "KEY_2" } } };
    expect(problemIn({ ...SAMPLE, tenants: own })).toBeNull();
  });
});

describe("a client that proves the tenant", () => {
  const client = (client_id: string, name: string) => ({
    client_credentials: {
      token_url: "https://login.example.com/token",
      client_id,
      client_secret: { secret: name },
    },
  });
  const respelt = ({ client_credentials }: ReturnType<typeof client>) => ({
    client_credentials: {
      ...client_credentials,
      token_url: "https://LOGIN.example.com:443/token/",
    },
  });
  const tenantsWith = (one: unknown, other: unknown) => {
    const proved = {
      ...SAMPLE.tenants.acme,
      ownership: { source: "credential" },
      rules: [{ id: "any", scopes: ["stop"], runs: "tenant" }],
    };
    return { acme: { ...proved, credential: one }, globex: { ...proved, credential: other } };
  };
  const shares = "tenants.acme.credential: proves nothing, since tenant globex has the same";

  it.each<[string, unknown, unknown, string | null]>([
    ["the same client", client("a", "KEY_1"), client("a", "KEY_2"), shares],
    ["the same secret", client("a", "KEY_1"), client("b", "KEY_1"), shares],
    ["its secret as a key", client("a", "KEY_1"), { secret: "KEY_1" }, shares],
    [
      "the same client, spelt otherwise",
      client("a", "KEY_1"),
      respelt(client("a", "KEY_2")),
      shares,
    ],
    ["nothing in common", client("a", "KEY_1"), client("b", "KEY_2"), null],
  ])("and another tenant with %s", (_, one, other, problem) => {
    expect(problemIn({ ...SAMPLE, tenants: tenantsWith(one, other) })).toBe(problem);
  });
});

describe("the base of a config", () => {
  it("has every tenant's origins once, and no tenant", () => {
    const { acme } = SAMPLE.tenants;
    const document = ConfigDocument.parse({
      ...SAMPLE,
      tenants: {
        acme,
        globex: { ...acme, origins: ["https://b.test", ...acme.origins, "https://a.test"] },
      },
    });
    const base = baseOf(document);
    expect(BaseDocument.parse(base)).toEqual(base);
    expect(Object.keys(base)).toEqual(["issuers", "upstreams", "origins", "shared_credentials"]);
    expect(base.shared_credentials).toEqual(['{"secret":"OPENAI_KEY_ACME"}']);
    expect(base.origins).toEqual(["https://a.test", "https://app.acme.com", "https://b.test"]);
  });
});
