// Every hole that lint knows, planted alone into a config that has none: it is found, on its line, with a
// cure, and nothing else is.
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LintOptions, lint } from "../../cli/lint.ts";
import { newSigningKey } from "../../cli/signing-key.ts";
import { readTiers } from "../../cli/worker-config.ts";
import { createKey } from "../../dev/issuer.ts";
import { readEncryptionKey, seal } from "../../src/config/sealing.ts";
import { temporaryFolder } from "./support/black-box.ts";
import { runGateway } from "./support/command.ts";

const ROOT = join(import.meta.dirname, "../..");
const { publicJwk } = await createKey("ES256");
const kekText = (kid: string): string =>
  JSON.stringify({ kty: "oct", kid, k: Buffer.alloc(32, kid).toString("base64url") });
const kek = await readEncryptionKey(kekText("now"));
const gone = await readEncryptionKey(kekText("gone"));
if (kek === null || gone === null) throw new Error("no key");
const SEALED = await seal(kek, "globex", "sk-globex");
const SEALED_BEFORE = await seal(gone, "globex", "sk-globex");

/** A config without a hole, a member a line. */
const CLEAN = `{
  "issuers": [
    {
      "issuer": "https://id.acme.com/",
      "jwks_uri": "https://id.acme.com/keys",
      "audiences": ["https://stop.acme.com"],
      "algorithms": ["ES256"],
      "tenant": { "claim": "org_id", "allow": ["acme"] },
      "scopes_claim": "scope",
      "granted_scopes": ["profile"]
    },
    {
      "issuer": "https://id.globex.com/",
      "jwks": { "keys": [${JSON.stringify(publicJwk)}] },
      "audiences": ["https://stop.globex.com"],
      "tenant": { "fixed": "globex" }
    }
  ],
  "upstreams": {
    "openai": { "kind": "openai-responses", "base_url": "https://api.openai.com/v1" },
    "threads": { "kind": "assistants", "base_url": "https://threads.acme.com/v1" }
  },
  "tenants": {
    "acme": {
      "upstream": "openai",
      "credential": { "secret": "OPENAI_KEY_ACME" },
      "second_credential": { "secret": "OPENAI_KEY_ACME_NEXT" },
      "ownership": { "source": "metadata", "tenant_key": "tenant", "subject_key": "user" },
      "rules": [
        { "id": "frozen", "effect": "deny", "scopes": ["intern"], "runs": "tenant" },
        { "id": "owner", "scopes": ["stop"], "runs": "own" },
        { "id": "help", "scopes": ["stop"], "runs": "tenant", "reason_required": true },
        { "id": "old", "scopes": ["clean"], "runs": "tenant", "max_age_seconds": 60 }
      ],
      "rate": "standard",
      "redact": ["instructions"],
      "origins": ["https://app.acme.com"],
      "audit": { "subject": "clear" }
    },
    "globex": {
      "upstream": "threads",
      "credential": { "sealed": "${SEALED}" },
      "ownership": { "source": "credential" },
      "rules": [{ "id": "all", "scopes": ["stop"], "runs": "tenant" }]
    }
  }
}
`;
const SECRETS: Readonly<Record<string, string>> = {
  OPENAI_KEY_ACME: "sk-acme",
  OPENAI_KEY_ACME_NEXT: "sk-acme-2",
  KEY_ENCRYPTION_KEY: kekText("now"),
  AUDIT_SIGNING_KEY: await newSigningKey(),
};

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let tiers: ReadonlySet<string> | null;
beforeAll(async () => {
  folder = await temporaryFolder();
  tiers = await readTiers();
});
afterAll(async () => folder?.remove());

async function findings(text: string, options: Partial<LintOptions> = {}) {
  const file = join(folder.path, "gateway.jsonc");
  await writeFile(file, text);
  const usual = { online: false, allow: [], secrets: SECRETS, tiers, fetch };
  return await lint(file, { ...usual, ...options });
}

const lineOf = (text: string, mark: string): number =>
  text.slice(0, text.indexOf(mark)).split("\n").length;

/** What is replaced, by what, the name of the hole, and a piece of its line. */
type Planted = readonly [name: string, from: string, to: string, id: string, at: string];

const RULES = '"runs": "tenant", "max_age_seconds": 60 }';
const META = '{ "source": "metadata", "tenant_key": "tenant", "subject_key": "user" }';
const SHARED =
  '"credential": { "secret": "OPENAI_KEY_ACME" },\n      "ownership": { "source": "credential" }';
const GLOBEX_SEALED = `"credential": { "sealed": "${SEALED}" },\n      "ownership": { "source": "credential" }`;

const REFUSED: readonly Planted[] = [
  [
    "a key that is the proof and shared",
    GLOBEX_SEALED,
    SHARED,
    "schema",
    '"credential": { "secret": "OPENAI_KEY_ACME" },\n      "ownership": { "source": "credential" }',
  ],
  [
    "a second key that is the proof and shared",
    `"credential": { "sealed": "${SEALED}" }`,
    `"credential": { "sealed": "${SEALED}" },\n      "second_credential": { "secret": "OPENAI_KEY_ACME" }`,
    "schema",
    '"second_credential": { "secret": "OPENAI_KEY_ACME" }',
  ],
  [
    "own runs with no proof of a person",
    '"scopes": ["stop"], "runs": "tenant" }]',
    '"scopes": ["stop"], "runs": "own" }]',
    "schema",
    '"rules": [{ "id": "all"',
  ],
  [
    "a wildcard origin",
    '"https://app.acme.com"',
    '"https://*.acme.com"',
    "schema",
    '"https://*.acme.com"',
  ],
  ["any origin", '"https://app.acme.com"', '"*"', "schema", '"origins": ["*"]'],
  [
    "a symmetric algorithm",
    '"algorithms": ["ES256"]',
    '"algorithms": ["ES256", "HS256"]',
    "schema",
    "HS256",
  ],
  [
    "an http key address",
    "https://id.acme.com/keys",
    "http://id.acme.com/keys",
    "schema",
    "jwks_uri",
  ],
  [
    "an http upstream",
    "https://api.openai.com/v1",
    "http://api.openai.com/v1",
    "schema",
    '"http://api',
  ],
  [
    "an issuer without audience",
    '"audiences": ["https://stop.acme.com"]',
    '"audiences": []',
    "schema",
    '"audiences": []',
  ],
  [
    "an issuer without keys",
    '\n      "jwks_uri": "https://id.acme.com/keys",',
    "",
    "schema",
    '{\n      "issuer": "https://id.acme.com/"',
  ],
  [
    "an unknown member",
    '"rate": "standard"',
    '"rate": "standard",\n      "allow_all": true',
    "schema",
    '"acme": {',
  ],
  ["an issuer twice", "https://id.globex.com/", "https://id.acme.com/", "schema", '"issuers"'],
  ["an unknown upstream", '"upstream": "openai"', '"upstream": "openia"', "schema", "openia"],
  ["an issuer of no tenant", '"fixed": "globex"', '"fixed": "initech"', "schema", "initech"],
  ["two rules of one id", '"id": "help"', '"id": "owner"', "schema", '"rules": ['],
  [
    "the gateway's own key as a credential",
    '"OPENAI_KEY_ACME"',
    '"AUDIT_SIGNING_KEY"',
    "schema",
    "AUDIT_SIGNING_KEY",
  ],
  [
    "a denial that asks for a reason",
    '"runs": "tenant" },\n        { "id": "owner"',
    '"runs": "tenant", "reason_required": true },\n        { "id": "owner"',
    "schema",
    '"reason_required": true },\n        { "id": "owner"',
  ],
  ["a rule that needs no scope", '"scopes": ["clean"]', '"scopes": []', "schema", '"scopes": []'],
  [
    "no rule that allows",
    '{ "id": "all", "scopes"',
    '{ "id": "all", "effect": "deny", "scopes"',
    "schema",
    '"rules": [{ "id": "all"',
  ],
];

const HOLES: readonly Planted[] = [
  [
    "an upstream that nobody uses",
    '"threads": {',
    '"spare": { "kind": "langgraph", "base_url": "https://x.acme.com" },\n    "threads": {',
    "upstream-unused",
    '"spare"',
  ],
  [
    "an upstream that is switched off",
    "https://threads.acme.com/v1",
    "https://api.openai.com/v1",
    "upstream-retired",
    '"kind": "assistants"',
  ],
  [
    "a tenant that no issuer reaches",
    '"globex": {\n      "upstream"',
    `"initech": {\n      "upstream": "openai", "credential": { "secret": "OPENAI_KEY_INITECH" }, "ownership": ${META}, "rules": [{ "id": "o", "scopes": ["stop"], "runs": "own" }]\n    },\n    "globex": {\n      "upstream"`,
    "tenant-unreachable",
    '"initech"',
  ],
  [
    "an issuer for a tenant that is not there",
    '"allow": ["acme"]',
    '"allow": ["acme", "initech"]',
    "tenant-missing",
    "initech",
  ],
  [
    "an issuer that maps to a tenant that is not there",
    '"allow": ["acme"]',
    '"map": { "org_1": "acme", "org_2": "initech" }',
    "tenant-missing",
    "initech",
  ],
  [
    "a page that is shown the prompt",
    '\n      "redact": ["instructions"],',
    '\n      "redact": ["tools"],',
    "exposed-instructions",
    '"origins"',
  ],
  [
    "one pair for person and tenant",
    '"subject_key": "user"',
    '"subject_key": "tenant"',
    "one-metadata-key",
    '"subject_key": "tenant"',
  ],
  [
    "a rule that an earlier one hides",
    RULES,
    `${RULES},\n        { "id": "late", "scopes": ["clean", "stop"], "runs": "own" }`,
    "rule-never-reached",
    '"late"',
  ],
  [
    "a denial that comes too late",
    RULES,
    `${RULES},\n        { "id": "no", "effect": "deny", "scopes": ["stop"], "runs": "tenant" }`,
    "rule-never-reached",
    '"no"',
  ],
  [
    "a rule that a denial hides",
    '"scopes": ["intern"]',
    '"scopes": ["clean"]',
    "rule-never-reached",
    '"old"',
  ],
  [
    "a narrower rule that comes too late",
    RULES,
    `${RULES},\n        { "id": "late", "scopes": ["clean"], "runs": "tenant", "max_age_seconds": 30, "assistants": ["asst_1"] }`,
    "rule-never-reached",
    '"late"',
  ],
  [
    "own runs that are everybody's",
    ', "reason_required": true',
    "",
    "own-is-everybodys",
    '"owner"',
  ],
  ["a scope with a space", '["clean"]', '["clean up"]', "scope-with-space", "clean up"],
  [
    "a scope that every token has",
    '"granted_scopes": ["profile"]',
    '"granted_scopes": ["clean"]',
    "granted-all-runs",
    '["clean"]\n    }',
  ],
  [
    "everybody registers owners",
    '"granted_scopes": ["profile"]',
    '"granted_scopes": ["runs:register"]',
    "granted-strong-scope",
    "runs:register",
  ],
  [
    "everybody reads the log",
    '"granted_scopes": ["profile"]',
    '"granted_scopes": ["audit:read"]',
    "granted-strong-scope",
    "audit:read",
  ],
  [
    "a tenant of the user's own choice",
    '"claim": "org_id"',
    '"claim": ["user_metadata", "org"]',
    "claim-users-own",
    "user_metadata",
  ],
  [
    "scopes of the user's own choice",
    '"scopes_claim": "scope"',
    '"scopes_claim": ["unsafe_metadata", "scopes"]',
    "claim-users-own",
    "unsafe_metadata",
  ],
  [
    "a page without https",
    '"https://app.acme.com"',
    '"http://app.acme.com"',
    "origin-http",
    '"http://app.acme.com"',
  ],
  [
    "an issuer without https",
    '"issuer": "https://id.acme.com/"',
    '"issuer": "http://id.acme.com/"',
    "issuer-http",
    '"http://id.acme.com/"',
  ],
  [
    "two issuers for one tenant's people",
    '"fixed": "globex" }\n    }',
    '"fixed": "globex" }\n    },\n    {\n      "issuer": "https://other.acme.com/", "jwks_uri": "https://other.acme.com/keys", "audiences": ["x"],\n      "tenant": { "fixed": "acme" }\n    }',
    "two-issuers",
    '"tenant": { "fixed": "acme" }',
  ],
  [
    "a shared key and a registry",
    GLOBEX_SEALED,
    SHARED.replace('"credential" }', '"registry" }'),
    "shared-key",
    '"credential": { "secret": "OPENAI_KEY_ACME" },\n      "ownership": { "source": "registry" }',
  ],
  [
    "a shared key and another's grants",
    GLOBEX_SEALED,
    SHARED.replace('"credential" }', '"grant" }'),
    "shared-key",
    '"credential": { "secret": "OPENAI_KEY_ACME" },\n      "ownership": { "source": "grant" }',
  ],
  [
    "a second key that is the first",
    "OPENAI_KEY_ACME_NEXT",
    "OPENAI_KEY_ACME",
    "second-is-first",
    '"second_credential"',
  ],
  ["a tier that is not there", '"rate": "standard"', '"rate": "gold"', "rate-unknown", '"gold"'],
  [
    "tokens that live for weeks",
    '"algorithms": ["ES256"],',
    '"algorithms": ["ES256"],\n      "max_lifetime_hours": 720,',
    "long-lived-tokens",
    "720",
  ],
  [
    "an audience with a star",
    '"https://stop.acme.com"',
    '"https://*.acme.com"',
    "audience-star",
    '"https://*.acme.com"',
  ],
  [
    "an audience that is the upstream's",
    '"https://stop.acme.com"',
    '"https://api.openai.com/v1"',
    "audience-upstream",
    '"https://api.openai.com/v1"]',
  ],
  [
    "a member written twice",
    '"rate": "standard"',
    '"rate": "strict",\n      "rate": "standard"',
    "written-twice",
    '"rate": "strict"',
  ],
  [
    "a whole tenant written twice",
    '"globex": {\n      "upstream"',
    '"globex": {},\n    "globex": {\n      "upstream"',
    "written-twice",
    '"globex": {}',
  ],
  [
    "a key where a name belongs",
    '"scopes": ["clean"]',
    '"scopes": ["sk-proj-abcdefgh12345678"]',
    "secret-in-file",
    "sk-proj",
  ],
  [
    "a token in the file",
    '"profile"',
    '"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln"',
    "secret-in-file",
    "eyJhbGciOiJFUzI1NiJ9",
  ],
];

const SECRET_HOLES: readonly (readonly [
  string,
  Readonly<Record<string, string | undefined>>,
  string,
])[] = [
  ["a secret that is missing", { OPENAI_KEY_ACME: undefined }, "secret-missing"],
  ["a secret that is empty", { OPENAI_KEY_ACME_NEXT: "" }, "secret-missing"],
  ["a key that no header carries", { OPENAI_KEY_ACME: "sk-äcme" }, "key-unsendable"],
  ["a signing key that is none", { AUDIT_SIGNING_KEY: "hunter2" }, "signing-key-malformed"],
  ["an encryption key that is none", { KEY_ENCRYPTION_KEY: "hunter2" }, "encryption-key-malformed"],
  ["a sealed key that does not open", { KEY_ENCRYPTION_KEY: kekText("gone") }, "sealed-unopened"],
  ["one key under two names", { OPENAI_KEY_ACME: "sk-globex" }, "same-key"],
];

describe("the config that holes are planted in", () => {
  it("has none", async () => {
    expect(await findings(CLEAN)).toMatchObject({ ok: true, findings: [] });
  });
});

describe.each([
  ["that the gateway itself refuses", REFUSED],
  ["that only lint finds", HOLES],
])("a hole %s", (_, planted) => {
  it.each(planted)("%s", async (_name, from, to, id, at) => {
    expect(CLEAN.split(from).length, from).toBe(2);
    const text = CLEAN.replace(from, () => to);
    // Names of secrets that only this hole brings along are no holes of their own.
    const secrets = { ...SECRETS, OPENAI_KEY_INITECH: "sk-initech" };
    const { ok, findings: found } = await findings(text, { secrets });
    expect(found.map((finding) => finding.id)).toEqual([id]);
    expect(ok).toBe(false);
    expect(found[0]?.line).toBe(lineOf(text, at));
    if (id !== "schema") expect(found[0]?.cure).toMatch(/^\S.{10,}[^.]$/);
    expect(found[0]?.message).not.toMatch(/sk-|hunter2|eyJ/);
  });
});

describe("a hole in the secrets", () => {
  it.each(SECRET_HOLES)("%s", async (_, over, id) => {
    const all = Object.entries({ ...SECRETS, ...over });
    const secrets = Object.fromEntries(all.filter(([, value]) => value !== undefined)) as Record<
      string,
      string
    >;
    const { findings: found } = await findings(CLEAN, { secrets });
    expect(found.map((finding) => finding.id)).toEqual([id]);
    for (const value of ["hunter2", "sk-globex", "sk-äcme"]) {
      expect(JSON.stringify(found)).not.toContain(value);
    }
  });

  it("a sealed key of another tenant, and one under a key that is gone", async () => {
    for (const sealed of [SEALED_BEFORE, await seal(kek, "acme", "sk-globex")]) {
      const { findings: found } = await findings(CLEAN.replace(SEALED, sealed));
      expect(found.map(({ id, line }) => [id, line])).toEqual([
        ["sealed-unopened", lineOf(CLEAN, `"sealed": "${SEALED}"`)],
      ]);
    }
  });

  it("pseudonyms without their key", async () => {
    const text = CLEAN.replace('"subject": "clear"', '"subject": "hmac"');
    const { findings: found } = await findings(text);
    expect(found).toMatchObject([{ id: "secret-missing", line: lineOf(text, '"audit"') }]);
    expect(found[0]?.message).toContain("AUDIT_SUBJECT_KEY");
  });

  it("more names than a Worker has room for", async () => {
    const names = Array.from({ length: 130 }, (_, index) => `KEY_${index}`);
    const tenants = names.map(
      (name, index) =>
        `"t${index}": { "upstream": "openai", "credential": { "secret": "${name}" }, "ownership": ${META}, "rules": [{ "id": "o", "scopes": ["stop"], "runs": "own" }] },`,
    );
    const allow = names.map((_, index) => `"t${index}"`).join(", ");
    const text = CLEAN.replace('"acme": {', () => `${tenants.join("\n")}\n    "acme": {`).replace(
      '"allow": ["acme"]',
      `"allow": ["acme", ${allow}]`,
    );
    const secrets = { ...SECRETS, ...Object.fromEntries(names.map((name) => [name, "sk-1"])) };
    const { findings: found } = await findings(text, { secrets });
    expect(found.map(({ id }) => id)).toEqual(["too-many-secrets"]);
  });
});

describe("what is no hole", () => {
  it.each<[string, string, string]>([
    [
      "a narrower rule before a wider one",
      '{ "id": "owner"',
      '{ "id": "first", "scopes": ["clean", "stop"], "runs": "own", "assistants": ["asst_1"] },\n        { "id": "owner"',
    ],
    [
      "a rule for other assistants",
      RULES,
      `${RULES},\n        { "id": "x", "scopes": ["clean"], "runs": "tenant", "assistants": ["asst_*"], "max_age_seconds": 600 }`,
    ],
    [
      "a denial that also holds where the age is not known",
      RULES,
      `${RULES},\n        { "id": "x", "effect": "deny", "scopes": ["clean"], "runs": "tenant", "max_age_seconds": 30 }`,
    ],
    [
      "a key that tenants with metadata share",
      `"credential": { "sealed": "${SEALED}" },\n      "ownership": { "source": "credential" }`,
      `"credential": { "secret": "OPENAI_KEY_ACME" },\n      "ownership": ${META}`,
    ],
    ["an issuer on this machine", "https://id.acme.com/keys", "http://127.0.0.1:8080/keys"],
    ["a page on this machine", '"https://app.acme.com"', '"http://localhost:3000"'],
    [
      "a metadata claim that only the backend writes",
      '"claim": "org_id"',
      '"claim": ["app_metadata", "org"]',
    ],
  ])("%s", async (_, from, to) => {
    expect(CLEAN).toContain(from);
    expect((await findings(CLEAN.replace(from, () => to))).findings).toEqual([]);
  });

  it("any of the samples", async () => {
    const samples = (await readdir(join(ROOT, "docs/identity"))).map(
      (name) => `docs/identity/${name}`,
    );
    expect(samples).toHaveLength(8);
    for (const sample of [...samples, "dev/sample.config.jsonc"]) {
      const options = { online: false, allow: [], secrets: null, tiers, fetch };
      const { findings: found } = await lint(join(ROOT, sample), options);
      expect(found, sample).toEqual([]);
    }
  });

  it("what is known and kept, though it is still said", async () => {
    const text = CLEAN.replace('"redact": ["instructions"]', '"redact": []');
    const { ok, findings: found } = await findings(text, { allow: ["exposed-instructions"] });
    expect(ok).toBe(true);
    expect(found).toMatchObject([{ id: "exposed-instructions", isProblem: false }]);
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
    await writeFile(secrets, "OPENAI_KEY_ACME=sk-acme\n");
    const { code, stdout } = await runGateway("lint", file, "--json", "--secrets", secrets);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      findings: [
        { id: "secret-missing", path: ["tenants", "acme", "second_credential"], isProblem: true },
        { id: "secret-missing", path: ["tenants", "globex", "credential"] },
        { id: "sealed-unopened" },
      ],
    });
    expect((await runGateway("lint", join(folder.path, "none.jsonc"))).code).toBe(2);
  });

  it("takes a config of ten thousand tenants", async () => {
    const tenants = Array.from({ length: 10_000 }, (_, index) => `t${index}`);
    const entries = tenants.map(
      (id, index) =>
        `"${id}": { "upstream": "openai", "credential": { "secret": "SHARED" }, "ownership": ${META}, "origins": ["https://${id}.acme.com"], "redact": ["instructions"], "rules": [{ "id": "o", "scopes": ["stop"], "runs": "own" }]${index === 9_999 ? ', "rate": "gold"' : ""} }`,
    );
    const text = CLEAN.replace('"acme": {', () => `${entries.join(",\n")},\n    "acme": {`).replace(
      '"allow": ["acme"]',
      `"allow": ["acme", ${tenants.map((id) => `"${id}"`).join(", ")}]`,
    );
    const { findings: found } = await findings(text, { secrets: { ...SECRETS, SHARED: "sk-1" } });
    expect(found).toMatchObject([{ id: "rate-unknown", line: lineOf(text, '"gold"') }]);
  });
});
