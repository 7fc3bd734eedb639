// The JSON Schema for editors, by a validator that editors use: it takes what the gateway takes, and marks
// what people get wrong.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "jsonc-parser";
import { describe, expect, it } from "vitest";
import { SCHEMA_WORDS } from "../../dev/schema-words.ts";

const ROOT = join(import.meta.dirname, "../..");
const SCHEMA = JSON.parse(await readFile(join(ROOT, "gateway.schema.json"), "utf8")) as object;
const ajv = new Ajv2020({ allErrors: true, strict: false });
const validate = ajv.compile(SCHEMA);

async function sample(name: string): Promise<Record<string, unknown>> {
  return parse(await readFile(join(ROOT, name), "utf8")) as Record<string, unknown>;
}

describe("the JSON Schema", () => {
  it("takes every sample", async () => {
    const names = (await readdir(join(ROOT, "docs/identity"))).map(
      (name) => `docs/identity/${name}`,
    );
    for (const name of ["dev/sample.config.jsonc", ...names]) {
      validate(await sample(name));
      expect(validate.errors, name).toBeNull();
    }
  });

  it("is what the samples point their editors at", async () => {
    const names = (await readdir(join(ROOT, "docs/identity"))).map(
      (name) => `docs/identity/${name}`,
    );
    for (const name of ["dev/sample.config.jsonc", ...names]) {
      const { $schema } = await sample(name);
      expect(join(ROOT, name, "..", String($schema)), name).toBe(join(ROOT, "gateway.schema.json"));
    }
  });

  it.each<
    [string, (acme: Record<string, unknown>, issuer: Record<string, unknown>) => void, string]
  >([
    ["a member that is misspelt", (acme) => Object.assign(acme, { origin: [] }), "/tenants/acme"],
    [
      "a symmetric algorithm",
      (_, issuer) => Object.assign(issuer, { algorithms: ["HS256"] }),
      "/issuers/0/algorithms/0",
    ],
    [
      "a key and an address",
      (_, issuer) => Object.assign(issuer, { jwks: { keys: [{ kty: "EC" }] } }),
      "/issuers/0",
    ],
    [
      "a rule for whatever runs",
      (acme) => Object.assign(acme, { rules: [{ id: "r", scopes: ["s"], runs: "any" }] }),
      "/tenants/acme/rules/0/runs",
    ],
    [
      "a source of no kind",
      (acme) => Object.assign(acme, { ownership: { source: "trust" } }),
      "/tenants/acme/ownership/source",
    ],
    [
      "a secret in place of its name",
      (acme) => Object.assign(acme, { credential: { secret: "sk-1" } }),
      "/tenants/acme/credential/secret",
    ],
    [
      "a tier with a space",
      (acme) => Object.assign(acme, { rate: "very fast" }),
      "/tenants/acme/rate",
    ],
  ])("marks %s where it stands", async (_, spoil, where) => {
    const document = await sample("dev/sample.config.jsonc");
    const { acme } = document["tenants"] as Record<string, Record<string, unknown>>;
    const [issuer] = document["issuers"] as Record<string, unknown>[];
    if (acme === undefined || issuer === undefined) throw new Error("the sample has changed");
    spoil(acme, issuer);
    expect(validate(document)).toBe(false);
    expect(validate.errors?.map(({ instancePath }) => instancePath)).toContain(where);
  });

  it("says something of every member, where the pointer rests", () => {
    expect(Object.keys(SCHEMA_WORDS).length).toBeGreaterThan(60);
    expect(JSON.stringify(SCHEMA)).toContain(SCHEMA_WORDS["tenants.*.enabled"] ?? "");
  });
});
