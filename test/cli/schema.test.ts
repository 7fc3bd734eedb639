// The JSON Schema for editors, by a validator that editors use: it takes what the gateway takes, and marks
// what people get wrong.
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { parse } from "jsonc-parser";
import { describe, expect, it } from "vitest";
import { SCHEMA_WORDS } from "../../dev/schema-words.ts";
import { ConfigDocument } from "../../src/config/schema.ts";
import { CLEAN } from "../e2e/support/clean-config.ts";

const ROOT = join(import.meta.dirname, "../..");
const SCHEMA = JSON.parse(await readFile(join(ROOT, "gateway.schema.json"), "utf8")) as object;
const ajv = new Ajv2020({ allErrors: true, strict: false });
const validate = ajv.compile(SCHEMA);

async function sample(name: string): Promise<Record<string, unknown>> {
  return parse(await readFile(join(ROOT, name), "utf8")) as Record<string, unknown>;
}

describe("the JSON Schema", () => {
  it("is the one that the gateway's own makes now", async () => {
    const script = join(ROOT, "dev/schema.ts");
    await promisify(execFile)(process.execPath, [script, "--check"]);
  });

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
      "an http address",
      (_, issuer) => Object.assign(issuer, { jwks_uri: "http://id.acme.com/keys" }),
      "/issuers/0/jwks_uri",
    ],
    [
      "a wildcard origin",
      (acme) => Object.assign(acme, { origins: ["https://*.acme.com"] }),
      "/tenants/acme/origins/0",
    ],
    [
      "an origin with a path",
      (acme) => Object.assign(acme, { origins: ["tauri://localhost/"] }),
      "/tenants/acme/origins/0",
    ],
    [
      "a rule that allows without a scope",
      (acme) => Object.assign(acme, { rules: [{ id: "r", scopes: [], runs: "own" }] }),
      "/tenants/acme/rules/0/scopes",
    ],
    [
      "a denial that asks for a reason",
      (acme) =>
        Object.assign(acme, {
          rules: [{ id: "r", effect: "deny", scopes: [], runs: "own", reason_required: true }],
        }),
      "/tenants/acme/rules/0/reason_required",
    ],
    [
      "rules of which none allows",
      (acme) =>
        Object.assign(acme, { rules: [{ id: "r", effect: "deny", scopes: [], runs: "own" }] }),
      "/tenants/acme/rules",
    ],
    [
      "own runs where only the tenant is proved",
      (acme) => Object.assign(acme, { ownership: { source: "credential" } }),
      "/tenants/acme/rules/0/runs",
    ],
    [
      "a secret of the gateway's own",
      (acme) => Object.assign(acme, { credential: { secret: "AUDIT_SIGNING_KEY" } }),
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
    const silent = [...membersOf(SCHEMA as Json)].filter(
      ({ schema }) => !("description" in schema),
    );
    // What a key holds is RFC 7517's to say.
    expect(silent.map(({ path }) => path).filter((path) => !path.includes(".jwks.keys."))).toEqual(
      [],
    );
  });

  it("marks nothing that the gateway takes, whatever is changed", async () => {
    const documents = [JSON.parse(CLEAN) as Json, await sample("dev/sample.config.jsonc")];
    let [taken, marked] = [0, 0];
    fc.assert(
      fc.property(
        fc.constantFrom(...documents),
        fc.array(change, { maxLength: 3 }),
        (from, all) => {
          const document = structuredClone(from);
          for (const [at, value] of all) alter(document, at, value);
          const isTaken = ConfigDocument.safeParse(document).success;
          const isMarked = !validate(document);
          taken += Number(isTaken);
          marked += Number(isMarked);
          expect(isTaken && isMarked, JSON.stringify(validate.errors)).toBe(false);
        },
      ),
      { numRuns: 10_000 },
    );
    // Neither side has had nothing to say.
    expect(Math.min(taken, marked)).toBeGreaterThan(500);
  });
});

type Json = Record<string, unknown>;

/** Every member that a schema names, with the part that is said of it. */
function* membersOf(schema: Json, path = ""): Generator<{ path: string; schema: Json }> {
  const { properties = {}, items, additionalProperties, anyOf = [], oneOf = [] } = schema;
  for (const [name, inside] of Object.entries(properties as Json)) {
    yield { path: `${path}.${name}`, schema: inside as Json };
    yield* membersOf(inside as Json, `${path}.${name}`);
  }
  const parts = [items, additionalProperties, ...(anyOf as unknown[]), ...(oneOf as unknown[])];
  for (const part of parts) {
    if (typeof part === "object" && part !== null) yield* membersOf(part as Json, path);
  }
}

/** Where to go, by a share of the members at each step, and what to put there; nothing: take it out. */
const change = fc.tuple(
  fc.array(fc.nat({ max: 999 }), { minLength: 1, maxLength: 7 }),
  fc.constantFrom<unknown>(
    ...[
      undefined,
      null,
      true,
      false,
      0,
      1,
      400,
      -1,
      1.5,
      "",
      "a",
      "own",
      "tenant",
      "deny",
      "allow",
    ],
    ...["credential", "metadata", "KEY", "RATE_GOLD", "AUDIT", "https://acme.com", "https://*"],
    ...["https://acme.com/a?b", "https://acme.com/#", "http://localhost:1", "http://acme.com"],
    ...["https://u:p@acme.com/", "https://acme.com:8443", "gold", "ES256", "HS256", "asst_*", "*"],
    ...[[], ["a"], ["tools"], ["https://acme.com"], {}, { secret: "KEY" }, { sealed: "a..b.c.d" }],
    ...[{ source: "grant" }, { source: "registry" }, { source: "credential" }, { fixed: "acme" }],
    ...[
      { claim: ["a", "b"], map: {} },
      { id: "x", effect: "deny", scopes: [], runs: "own" },
    ],
  ),
);

function alter(document: Json, at: readonly number[], value: unknown): void {
  let place: Json | unknown[] = document;
  for (const [depth, share] of at.entries()) {
    const names: string[] = Object.keys(place);
    const name = names[share % Math.max(names.length, 1)] ?? "odd";
    const inside: unknown = Reflect.get(place, name);
    if (depth < at.length - 1 && typeof inside === "object" && inside !== null) {
      place = inside as Json;
    } else {
      if (value === undefined) Reflect.deleteProperty(place, name);
      else Reflect.set(place, name, structuredClone(value));
      return;
    }
  }
}
