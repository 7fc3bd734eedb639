// Holes in the secrets that go with a config, each alone: found, with a cure, and no value in any word.
import { afterAll, describe, expect, it } from "vitest";
import { newSigningKey } from "../../cli/signing-key.ts";
import {
  CLEAN,
  kekText,
  lineOf,
  lintOf,
  removeFolder,
  SEALED,
  SEALED_WRONG,
  SECRETS,
} from "../e2e/support/clean-config.ts";

afterAll(removeFolder);

const halves = [await newSigningKey(), await newSigningKey()].map(
  (key) => JSON.parse(key) as Record<string, string>,
);
const MISMATCHED = JSON.stringify({ ...halves[0], d: halves[1]?.["d"] });
const RFC_8037 = JSON.stringify({
  kty: "OKP",
  crv: "Ed25519",
  kid: "a",
  d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
  x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
});

const HMAC = CLEAN.replace('"subject": "clear"', '"subject": "hmac"');
const REGISTRY = CLEAN.replace('"source": "grant"', '"source": "registry"');

interface Case {
  readonly hole: string;
  readonly text?: string;
  readonly over: Readonly<Record<string, string>>;
  readonly without?: string;
  readonly id: string;
  /** Nothing: it is of no member. */
  readonly at?: string;
}

const CASES: readonly Case[] = [
  {
    hole: "a secret that is missing",
    over: {},
    without: "OPENAI_KEY_ACME",
    id: "secret-missing",
    at: '"credential": { "secret": "OPENAI_KEY_ACME" }',
  },
  {
    hole: "a secret that is empty",
    over: { OPENAI_KEY_ACME_NEXT: "" },
    id: "secret-missing",
    at: '"second_credential"',
  },
  {
    hole: "no key to open sealed keys with",
    over: {},
    without: "KEY_ENCRYPTION_KEY",
    id: "secret-missing",
    at: SEALED,
  },
  {
    hole: "pseudonyms without their key",
    text: HMAC,
    over: {},
    id: "secret-missing",
    at: '"audit"',
  },
  {
    hole: "pseudonyms with a key that can be guessed",
    text: HMAC,
    over: { AUDIT_SUBJECT_KEY: "hunter2" },
    id: "subject-key-short",
    at: '"audit"',
  },
  {
    hole: "an encryption key that is none",
    over: { KEY_ENCRYPTION_KEY: "hunter2" },
    id: "encryption-key-malformed",
    at: SEALED,
  },
  {
    hole: "a sealed key whose key is another",
    over: { KEY_ENCRYPTION_KEY: kekText("gone") },
    id: "sealed-unopened",
    at: SEALED,
  },
  ...SEALED_WRONG.map((sealed, index) => ({
    hole: ["a sealed key whose key is gone", "another tenant's sealed key"][index] ?? "",
    text: CLEAN.replace(SEALED, sealed),
    over: {},
    id: "sealed-unopened",
    at: sealed,
  })),
  {
    hole: "a key that no header carries",
    over: { OPENAI_KEY_INITECH: "sk-hüli" },
    id: "key-unsendable",
    at: "OPENAI_KEY_INITECH",
  },
  {
    hole: "a signing key that is none",
    over: { AUDIT_SIGNING_KEY: "hunter2" },
    id: "signing-key-malformed",
  },
  {
    hole: "a signing key of two halves",
    over: { AUDIT_SIGNING_KEY: MISMATCHED },
    id: "signing-key-malformed",
  },
  {
    hole: "a signing key that everybody has",
    over: { AUDIT_SIGNING_KEY: RFC_8037 },
    id: "signing-key-of-everybody",
  },
  {
    hole: "the proof, under two names",
    over: { OPENAI_KEY_INITECH: "sk-globex" },
    id: "same-key",
    at: SEALED,
  },
  {
    hole: "a second key that is the first, under two names",
    over: { OPENAI_KEY_ACME_NEXT: "sk-acme" },
    id: "second-is-first",
    at: '"second_credential"',
  },
  {
    hole: "a shared key and a registry, under two names",
    text: REGISTRY,
    over: { OPENAI_KEY_INITECH: "sk-acme" },
    id: "shared-key",
    at: "OPENAI_KEY_INITECH",
  },
];

describe("a hole in the secrets", () => {
  it.each(CASES)("$hole", async ({ text = CLEAN, over, without, id, at }) => {
    const all = Object.entries({ ...SECRETS, ...over });
    const secrets = Object.fromEntries(all.filter(([name]) => name !== without));
    const { ok, problems } = await lintOf(text, { secrets });
    expect(problems.map((problem) => problem.id)).toEqual([id]);
    expect(ok).toBe(false);
    expect(problems[0]?.line).toBe(at === undefined ? 1 : lineOf(text, at));
    expect(problems[0]?.cure).toMatch(/^\S.{10,}[^.]$/);
    const said = JSON.stringify(problems);
    for (const value of Object.values(secrets)) {
      if (value !== "") expect(said).not.toContain(value);
    }
    for (const part of ["hunter2", "sk-", MISMATCHED.slice(-40)]) expect(said).not.toContain(part);
  });

  it("no signing key is none, an empty one is", async () => {
    const { AUDIT_SIGNING_KEY: _, ...secrets } = SECRETS;
    expect((await lintOf(CLEAN, { secrets })).problems).toEqual([]);
    const { problems } = await lintOf(CLEAN, { secrets: { ...secrets, AUDIT_SIGNING_KEY: "" } });
    expect(problems.map(({ id }) => id)).toEqual(["signing-key-malformed"]);
  });

  it("one that many tenants need is said once", async () => {
    const ids = Array.from({ length: 3 }, (_, index) => `t${index}`);
    const [first = "", last = ""] = CLEAN.split('    "initech": {');
    const entry = last.slice(0, last.indexOf("\n    }") + 6);
    const text = [first, ...ids.map((id) => `"${id}": {${entry},\n`), '    "initech": {', last]
      .join("")
      .replace('["acme", "initech"]', '["acme", "initech", "t0", "t1", "t2"]');
    const { OPENAI_KEY_INITECH: _, ...secrets } = SECRETS;
    const { problems } = await lintOf(text, { secrets });
    expect(problems.map(({ message }) => message)).toEqual([
      "the secret OPENAI_KEY_INITECH is not set, so the gateway answers 503 for tenant t0 and 3 others",
    ]);
  });

  it("more names than a Worker has room for", async () => {
    const names = Array.from({ length: 130 }, (_, index) => `KEY_${index}`);
    const tenants = names.map(
      (name, index) =>
        `"t${index}": { "upstream": "openai", "credential": { "secret": "${name}" }, "ownership": { "source": "grant" }, "rules": [{ "id": "o", "scopes": ["stop"], "runs": "own" }] },\n`,
    );
    const allow = names.map((_, index) => `"t${index}"`).join(", ");
    const text = CLEAN.replace('"acme": {', () => `${tenants.join("")}    "acme": {`).replace(
      '["acme", "initech"]',
      `["acme", "initech", ${allow}]`,
    );
    const secrets = { ...SECRETS, ...Object.fromEntries(names.map((name) => [name, `k-${name}`])) };
    const { problems } = await lintOf(text, { secrets });
    expect(problems.map(({ id }) => id)).toEqual(["too-many-secrets"]);
  });
});

describe("no hole in the secrets", () => {
  it.each<[string, string, Readonly<Record<string, string>>]>([
    [
      "the encryption key before it, while it still opens all",
      CLEAN,
      { KEY_ENCRYPTION_KEY: "", KEY_ENCRYPTION_KEY_PREVIOUS: kekText("now") },
    ],
    [
      "an encryption key that is none where nothing is sealed",
      CLEAN.replace(`"sealed": "${SEALED}"`, '"secret": "GLOBEX_KEY"'),
      { KEY_ENCRYPTION_KEY: "hunter2", GLOBEX_KEY: "sk-globex" },
    ],
    [
      "a client's secret that no header would carry: it travels in a form",
      CLEAN.replace(
        '"credential": { "secret": "OPENAI_KEY_INITECH" }',
        '"credential": { "client_credentials": { "token_url": "https://login.acme.com/t", "client_id": "a", "client_secret": { "secret": "CLIENT" } } }',
      ),
      { CLIENT: "sécret" },
    ],
    ["a key with a space behind it", CLEAN, { OPENAI_KEY_INITECH: "sk-initech " }],
    [
      "one key for two tenants whose runs say whose they are",
      CLEAN.replace(
        '"source": "grant"',
        '"source": "metadata", "tenant_key": "tenant", "subject_key": "user"',
      ),
      { OPENAI_KEY_INITECH: "sk-acme" },
    ],
  ])("%s", async (_, text, over) => {
    const { problems } = await lintOf(text, { secrets: { ...SECRETS, ...over } });
    expect(problems).toEqual([]);
  });
});
