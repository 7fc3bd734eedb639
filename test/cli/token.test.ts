// `npm run gateway -- token`: what it makes is what the gateway takes, as the issuer's entry wants it; and
// what it cannot make it refuses. The gateway's own code judges each token.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, type JWK } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newIssuerKey } from "../../cli/new-keys.ts";
import { readLocalKey } from "../../cli/token/local-key.ts";
import { loadBase } from "../../src/config/load.ts";
import { baseOf, ConfigDocument } from "../../src/config/schema.ts";
import { authenticate } from "../../src/identity/authenticate.ts";
import type { Caller } from "../../src/identity/claims.ts";
import { importKeys } from "../../src/identity/key-set.ts";
import { temporaryFolder } from "../e2e/support/black-box.ts";
import { type Ran, runGatewayWith } from "../e2e/support/command.ts";

type Json = Record<string, unknown>;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(async () => folder?.remove());

const KEY = await newIssuerKey();
const PUBLIC = await publicHalf(KEY);
const ANOTHER = await publicHalf(await newIssuerKey());

async function publicHalf(key: string): Promise<JWK> {
  const local = await readLocalKey({ LOCAL_ISSUER_KEY: key });
  if (local === null) throw new Error("no key");
  return local.publicJwk;
}

const ISSUER = {
  issuer: "https://local.issuer.invalid/",
  jwks: { keys: [PUBLIC] },
  audiences: ["stopgate", "other"],
  algorithms: ["ES256"],
  tenant: { claim: "tenant", allow: ["acme", "globex"] },
};

function configWith(...issuers: readonly Json[]): ConfigDocument {
  const tenant = {
    upstream: "openai",
    credential: { secret: "KEY" },
    ownership: { source: "metadata", tenant_key: "tenant", subject_key: "user" },
    rules: [
      { id: "none", effect: "deny", scopes: ["blocked"], runs: "tenant" },
      { id: "owner", scopes: ["stop", "own"], runs: "own" },
      { id: "all", scopes: ["stop:all"], runs: "tenant" },
    ],
  };
  return ConfigDocument.parse({
    issuers,
    upstreams: { openai: { kind: "openai-responses", base_url: "https://api.openai.com/v1" } },
    tenants: { acme: tenant, globex: tenant },
  });
}

async function token(config: ConfigDocument, secrets: string, ...flags: string[]): Promise<Ran> {
  await writeFile(join(folder.path, "gateway.jsonc"), JSON.stringify(config));
  await writeFile(join(folder.path, ".dev.vars"), secrets);
  return await runGatewayWith({ cwd: folder.path }, "token", ...flags);
}

/** As the Worker would: the base from KV, then the door. */
async function judged(config: ConfigDocument, compact: string): Promise<Caller> {
  const loaded = loadBase(
    { allowLoopbackHttp: false } as Parameters<typeof loadBase>[0],
    JSON.stringify(baseOf(config)),
  );
  if ("problem" in loaded) throw new Error(loaded.problem);
  const { issuers } = loaded.value;
  const access = [...issuers.values()]
    .flat()
    .some(({ token_header }) => token_header !== "authorization");
  return await authenticate(
    {
      now: Date.now,
      keys: (issuer) => importKeys(issuer.jwks?.keys ?? []),
    },
    issuers,
    {
      authorization: access ? undefined : `Bearer ${compact}`,
      assertion: access ? compact : undefined,
      defer: () => undefined,
    },
  );
}

const made = async (config: ConfigDocument, ...flags: string[]): Promise<string> => {
  const ran = await token(config, `LOCAL_ISSUER_KEY='${KEY}'\n`, ...flags);
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  expect(ran.stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  return ran.stdout.trim();
};

describe("token", () => {
  it("prints a token and nothing else: the first rule's scopes, an hour", async () => {
    const config = configWith(ISSUER);
    const compact = await made(config, "--tenant", "acme", "--sub", "ann");
    const { exp = 0, iat = 0, jti, aud } = decodeJwt(compact);
    expect({ life: exp - iat, aud }).toEqual({ life: 3_600, aud: "stopgate" });
    expect(jti).toMatch(/^[0-9a-f-]{36}$/);
    expect(await judged(config, compact)).toMatchObject({
      tenant: "acme",
      subject: "ann",
      scopes: new Set(["stop", "own"]),
      grants: [],
    });
  });

  it("says what it is told to", async () => {
    const config = configWith(ISSUER);
    const compact = await made(
      config,
      ...["--tenant", "globex", "--sub", "auth0|7", "--scope", "audit:read  stop:all"],
      ...[
        "--audience",
        "other",
        "--expires",
        "90s",
        "--grant",
        "thread_1",
        "--grant",
        "t/run_1",
        "--grant",
        "/resp_1",
        "--grant",
        "/resp_v3:gcm:a-_b+c==",
      ],
    );
    const { exp = 0, iat = 0, aud } = decodeJwt(compact);
    expect({ life: exp - iat, aud }).toEqual({ life: 90, aud: "other" });
    expect(await judged(config, compact)).toMatchObject({
      tenant: "globex",
      subject: "auth0|7",
      scopes: new Set(["audit:read", "stop:all"]),
      grants: [
        { threadId: "thread_1", runId: null },
        { threadId: "t", runId: "run_1" },
        { threadId: null, runId: "resp_1" },
        { threadId: null, runId: "resp_v3:gcm:a-_b+c==" },
      ],
    });
  });

  it.each<[string, Json, Json]>([
    ["a fixed tenant", { tenant: { fixed: "acme" } }, {}],
    [
      "a map",
      { tenant: { claim: "org", map: { org_1: "globex", org_2: "acme" } } },
      { org: "org_2" },
    ],
    [
      "claims within claims",
      { tenant: { claim: ["o", "id"], allow: ["acme"] }, scopes_claim: ["o", "rol"] },
      { o: { id: "acme", rol: "stop own" } },
    ],
    ["an audience elsewhere", { audience_claim: ["azp"] }, { azp: "stopgate", aud: undefined }],
    [
      "claims that must be, and one that must not",
      { claims: { token_use: "access", client_id: null, mfa: true } },
      { token_use: "access", mfa: true, client_id: undefined },
    ],
    [
      "claims with names of the language's own",
      { tenant: { claim: ["__proto__", "constructor"], allow: ["acme"] } },
      {},
    ],
    ["a header of its own", { token_header: "cf-access-jwt-assertion" }, {}],
    ["another type", { types: ["JWT"] }, {}],
    ["no kid", { allow_missing_kid: true, jwks: { keys: [{ ...PUBLIC, kid: undefined }] } }, {}],
    ["another key before it", { jwks: { keys: [ANOTHER, PUBLIC] } }, {}],
    ["scopes for all", { granted_scopes: ["runs:cancel"] }, {}],
    [
      "a person's id elsewhere",
      { subject_claim: ["ext", "oid"] },
      { ext: { oid: "ann" }, sub: undefined },
    ],
    [
      "roles in place of scopes",
      {
        scopes_claim: "roles",
        scopes_map: { admin: ["stop", "own", "x"], agent: ["stop"], self: ["own"] },
      },
      { roles: ["agent", "self"] },
    ],
    ["claims of which one will do", { claims: { azp: ["web", "ios"] } }, { azp: "web" }],
  ])("is taken by an issuer with %s", async (_, entry, claims) => {
    const config = configWith({ ...ISSUER, ...entry });
    const compact = await made(config, "--tenant", "acme", "--sub", "ann");
    const said = decodeJwt(compact);
    for (const [name, value] of Object.entries(claims)) expect(said[name]).toEqual(value);
    expect(await judged(config, compact)).toMatchObject({ tenant: "acme", subject: "ann" });
  });

  it.each([
    ["EdDSA", ["Ed25519"]],
    ["RS256", ["ES256", "RS256"]],
    ["PS256", ["PS256"]],
    ["ES384", ["ES384"]],
  ])("signs with a key for %s, as the entry calls it", async (alg, algorithms) => {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    const key = JSON.stringify({ ...(await exportJWK(privateKey)), kid: "one", alg });
    const config = configWith({ ...ISSUER, jwks: { keys: [await publicHalf(key)] }, algorithms });
    const ran = await token(config, `LOCAL_ISSUER_KEY='${key}'`, "--tenant", "acme", "--sub", "a");
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(decodeProtectedHeader(ran.stdout).alg).toBe(algorithms.at(-1));
    expect(await judged(config, ran.stdout.trim())).toMatchObject({ tenant: "acme" });
  });

  it("needs no --tenant where there is one only", async () => {
    const config = configWith({ ...ISSUER, tenant: { fixed: "globex" } });
    expect(await judged(config, await made(config, "--sub", "ann"))).toMatchObject({
      tenant: "globex",
    });
  });

  it("picks the entry that reaches the tenant, of several with the same key", async () => {
    const config = configWith(
      { ...ISSUER, tenant: { fixed: "globex" } },
      { ...ISSUER, issuer: "https://other.issuer.invalid/", tenant: { fixed: "acme" } },
    );
    const compact = await made(config, "--sub", "ann", "--tenant", "acme");
    expect(await judged(config, compact)).toMatchObject({ tenant: "acme" });
  });

  it("is for the entry of its tenant, of several with the same issuer", async () => {
    const config = configWith(
      { ...ISSUER, claims: { azp: "web" }, tenant: { fixed: "globex" } },
      { ...ISSUER, claims: { azp: ["ios", "web"] }, tenant: { fixed: "acme" } },
    );
    const compact = await made(config, "--sub", "ann", "--tenant", "acme");
    expect(await judged(config, compact)).toMatchObject({ tenant: "acme" });
    const swallowed = configWith(
      { ...ISSUER, tenant: { fixed: "globex" } },
      { ...ISSUER, claims: { azp: "ios" }, tenant: { fixed: "acme" } },
    );
    const secrets = `LOCAL_ISSUER_KEY='${KEY}'\n`;
    const { code, stderr } = await token(swallowed, secrets, "--sub", "ann", "--tenant", "acme");
    expect(code).toBe(2);
    expect(stderr).toMatch(/for another entry of https:\/\/local\.issuer\.invalid\/, which comes/);
  });

  const OTHER = { ...ISSUER, jwks: { keys: [ANOTHER] } };
  const REMOTE = { ...ISSUER, jwks: undefined, jwks_uri: "https://id.acme.test/keys" };
  it.each<[string, Json, string[], RegExp]>([
    ["a real provider's", REMOTE, [], /real provider cannot be made by this command/],
    ["another key's", OTHER, [], /No issuer of the config publishes the public half/],
    ["which tenant is open", ISSUER, [], /^Say for which tenant with --tenant: acme, globex\.$/],
    [
      "a tenant out of reach",
      { ...ISSUER, tenant: { fixed: "acme" } },
      ["--tenant", "globex"],
      /^Tenant 'globex' cannot be reached by the local issuer: its tokens can name acme only/,
    ],
    [
      "a tenant that is not there",
      { ...ISSUER, tenant: { claim: "t", allow: ["initech"] } },
      [],
      /^The config has no tenant 'initech'\.$/,
    ],
    [
      "scopes that no role gives",
      { ...ISSUER, scopes_map: { admin: ["stop", "own", "x"], agent: ["stop"] } },
      ["--tenant", "acme"],
      /^No token of this issuer has the scope 'own' and no other: .* gives stop, own, x\.$/,
    ],
    ["a longer life", ISSUER, ["--tenant", "acme", "--expires", "2d"], /longer than 24 h/],
    ["another audience", ISSUER, ["--tenant", "acme", "--audience", "x"], /: stopgate, other\.$/],
    [
      "a name that is none",
      ISSUER,
      ["--tenant", "acme", "--sub", ""],
      /claim sub: missing or malf/,
    ],
    [
      "a claim that cannot be both",
      { ...ISSUER, claims: { tenant: "umbrella" } },
      ["--tenant", "acme"],
      /^The gateway would not take such a token \(claim tenant: not as the issuer's config/,
    ],
    ["a time that is none", ISSUER, ["--expires", "soon"], /A time is a number and its unit/],
    ["a grant that is none", ISSUER, ["--grant", "a/b/c"], /A grant is a thread's id/],
    ["a grant of dots", ISSUER, ["--grant", "thread_1/.."], /A grant is a thread's id/],
    ["a grant of nothing", ISSUER, ["--grant", "/"], /A grant is a thread's id/],
    ["a grant of no words", ISSUER, ["--grant", ""], /A grant is a thread's id/],
  ])("refuses %s in a sentence", async (_, entry, flags, says) => {
    const secrets = `LOCAL_ISSUER_KEY='${KEY}'\n`;
    const named = flags.includes("--sub") ? flags : ["--sub", "ann", ...flags];
    const { code, stdout, stderr } = await token(configWith(entry), secrets, ...named);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr.trim()).toMatch(says);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it.each([
    ["is not there", "OTHER=1\n", /^LOCAL_ISSUER_KEY is not in \.dev\.vars, and only a local/],
    ["is none", "LOCAL_ISSUER_KEY=hunter2\n", /^LOCAL_ISSUER_KEY is not a private JWK/],
    ["is public", `LOCAL_ISSUER_KEY='${JSON.stringify(PUBLIC)}'\n`, /is not a private JWK/],
    [
      "is symmetric",
      `LOCAL_ISSUER_KEY='{"kty":"oct","k":"aHVudGVyMg","d":"aHVudGVyMg"}'\n`,
      /is not a private JWK/,
    ],
    [
      "is no point of its curve",
      `LOCAL_ISSUER_KEY='${JSON.stringify({ ...JSON.parse(KEY), d: "AAAA" })}'\n`,
      /is not a private JWK/,
    ],
    ["is cut short", `LOCAL_ISSUER_KEY='{"kty":"EC","d":"x"}'\n`, /is not a private JWK/],
  ])("refuses when the key %s", async (_, secrets, says) => {
    const ran = await token(configWith(ISSUER), secrets, "--sub", "ann", "--tenant", "acme");
    expect(ran).toMatchObject({ code: 2, stdout: "" });
    expect(ran.stderr).toMatch(says);
    expect(ran.stderr).not.toContain("hunter2");
  });
});
