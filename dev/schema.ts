// `npm run schema`: the JSON Schema that editors check a config with, from the one that the gateway uses.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import * as z from "zod";
import { readFlags } from "../cli/shell.ts";
import { ConfigDocument } from "../src/config/schema.ts";
import { SCHEMA_REFINEMENTS } from "./schema-refinements.ts";
import { SCHEMA_WORDS } from "./schema-words.ts";

const FILE = join(import.meta.dirname, "../gateway.schema.json");

type Json = Record<string, unknown>;

/** Both credentials, and the secret of a client, are described once. */
const CREDENTIAL = /^tenants\.\*\.(second_)?credential\./;
/** What a JWK holds is RFC 7517's to say. */
const FOREIGN = /^issuers\.\[\]\.jwks\.keys\./;

const flags = readFlags<{ readonly check?: boolean }>(
  new Command("npm run schema --")
    .description("Writes gateway.schema.json, which editors check a config with, from the schema.")
    .option("--check", "write nothing: end with 1 when the file is out of date"),
);
const missing = new Set<string>();
const used = new Set<string>();
const text = `${JSON.stringify(description(), null, 2)}\n`;
const unused = [...Object.keys(SCHEMA_WORDS), ...Object.keys(SCHEMA_REFINEMENTS)].filter(
  (path) => !used.has(path),
);
if (missing.size + unused.length > 0) {
  console.error("dev/schema-words.ts says nothing of:", [...missing].join(", ") || "–");
  console.error("and something of what is not there:", unused.join(", ") || "–");
  process.exitCode = 1;
} else if (flags.check === true) {
  if ((await readFile(FILE, "utf8").catch(() => "")) !== text) {
    console.error("gateway.schema.json is out of date: npm run schema");
    process.exitCode = 1;
  }
} else {
  await writeFile(FILE, text);
}

function description(): Json {
  const schema = z.toJSONSchema(ConfigDocument, { io: "input" }) as Json;
  return {
    ...withWords(schema, ""),
    title: "Stopgate: the gateway's config",
    allowTrailingCommas: true,
  };
}

function withWords(schema: Json, path: string): Json {
  const { properties, items, additionalProperties, anyOf, oneOf, ...rest } = schema;
  const below = (name: string): string => (path === "" ? name : `${path}.${name}`);
  const inside = (value: unknown, name: string): unknown =>
    isSchema(value) ? withWords(value, below(name)) : value;
  const same = (value: unknown): unknown[] =>
    (value as Json[]).map((option) => withWords(option, path));
  const words = wordsFor(path);
  return {
    ...(words === undefined ? {} : { description: words }),
    ...rest,
    ...refinementOf(path),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties as Json).map(([name, value]) => [name, inside(value, name)]),
          ),
        }),
    ...(items === undefined ? {} : { items: inside(items, "[]") }),
    ...(additionalProperties === undefined
      ? {}
      : { additionalProperties: inside(additionalProperties, "*") }),
    ...(anyOf === undefined ? {} : { anyOf: same(anyOf) }),
    ...(oneOf === undefined ? {} : { oneOf: same(oneOf) }),
  };
}

function isSchema(value: unknown): value is Json {
  return typeof value === "object" && value !== null;
}

function wordsFor(path: string): string | undefined {
  // An entry of a list is described by its list.
  if (path === "" || path.endsWith("[]") || FOREIGN.test(path)) return undefined;
  const name = nameOf(path);
  used.add(name);
  const words = SCHEMA_WORDS[name];
  if (words === undefined) missing.add(name);
  return words;
}

function refinementOf(path: string): Json {
  const name = nameOf(path);
  const refinement = SCHEMA_REFINEMENTS[name];
  if (refinement !== undefined) used.add(name);
  return refinement ?? {};
}

function nameOf(path: string): string {
  return path
    .replace(CREDENTIAL, "credential.")
    .replace("credential.client_credentials.client_secret.", "credential.");
}
