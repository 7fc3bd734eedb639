// The architecture, read off the files' own imports: who may know whom. One pure function over a map
// of sources, so that each violation can also be shown once, on a tree made up for it.
/// <reference types="vite/types/importMeta.d.ts" />
import { describe, expect, it } from "vitest";
import { UPSTREAMS } from "../src/upstreams/index.ts";

/** By path from the root of the repository, such as `src/app.ts`. */
type Sources = Readonly<Record<string, string>>;
/** The path of a file of ours, or the name of a package. */
type Imports = ReadonlyMap<string, readonly string[]>;

/** Values, types, re-exports, bare imports and `import()` alike. */
const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*)"([^"]+)"/g;
const COMMENTS = /\/\*[\s\S]*?\*\/|(?<!:)\/\/.*/g;

function importsOf(sources: Sources): Imports {
  return new Map(
    Object.entries(sources).map(([path, source]) => [
      path,
      [...source.replace(COMMENTS, "").matchAll(IMPORT)].map(([, to = ""]) =>
        to.startsWith(".") ? new URL(to, `file:///${path}`).pathname.slice(1) : to,
      ),
    ]),
  );
}

/** The files of src/upstreams that hold no fact about any one upstream. */
const NO_ADAPTERS = [
  "index",
  "call",
  "echo",
  "health",
  "list",
  "read",
  "receive",
  "room",
  "stop",
  "wait",
].map((name) => `src/upstreams/${name}.ts`);
/** What adapters are written with: known by the adapters, knowing none. */
const FOR_ADAPTERS = ["upstream", "json", "problem"].map((name) => `src/upstreams/${name}.ts`);

function violations(sources: Sources, kinds: readonly string[]): string[] {
  const imports = importsOf(sources);
  return [
    ...adaptersThatKnowTooMuch(imports),
    ...filesThatKnowAnUpstream(sources, imports, kinds),
    ...circles(imports),
    ...filesThatSeeEnv(sources),
    ...filesThatLeaveSrc(imports),
  ];
}

function adaptersThatKnowTooMuch(imports: Imports): string[] {
  return edges(imports)
    .filter(([from]) => from.startsWith("src/upstreams/") && !NO_ADAPTERS.includes(from))
    .filter(([, to]) => {
      const near = to.startsWith("src/upstreams/") && !NO_ADAPTERS.includes(to);
      return to.startsWith("src/") && !near && !/^src\/(runs\/|failure\.ts$)/.test(to);
    })
    .map(([from, to]) => `${from} is an adapter and imports ${to}`);
}

function filesThatKnowAnUpstream(
  sources: Sources,
  imports: Imports,
  kinds: readonly string[],
): string[] {
  const outside = (path: string): boolean => !path.startsWith("src/upstreams/");
  const isAdapter = (path: string): boolean =>
    !outside(path) && ![...NO_ADAPTERS, ...FOR_ADAPTERS].includes(path);
  const imported = edges(imports)
    .filter(([from, to]) => outside(from) && isAdapter(to))
    .map(([from, to]) => `${from} imports the adapter ${to}`);
  const named = Object.entries(sources)
    .filter(([path]) => outside(path))
    .flatMap(([path, source]) =>
      kinds
        .filter((kind) => names(source.replace(COMMENTS, ""), kind))
        .map((kind) => `${path} names the upstream ${kind}`),
    );
  return [...imported, ...named];
}

/** As a whole string. A kind that is no ordinary word, which `assistants` is, must not occur at all. */
function names(code: string, kind: string): boolean {
  const quoted = new RegExp(`["'\`]${kind}["'\`]`);
  return quoted.test(code) || (kind !== "assistants" && code.toLowerCase().includes(kind));
}

function circles(imports: Imports): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      found.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
      return;
    }
    if (done.has(path)) return;
    for (const next of imports.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
  return found;
}

/** The ledger is built by the runtime, which hands every Durable Object the bindings; it passes them on. */
const LEDGER_PASSES_ENV = [
  "LedgerObject<Env>",
  "DurableObject<Env>",
  "env: Env, tools",
  "super(ctx, env)",
];
/** A member of OpenAI's `local_shell_call`. */
const RESPONSE_SAYS_ENV = ["env: () => ({})", "env: {}"];
const PASSED: Readonly<Record<string, readonly string[]>> = {
  "src/audit/ledger.ts": LEDGER_PASSES_ENV,
  "src/runs/items.ts": RESPONSE_SAYS_ENV,
};

function filesThatSeeEnv(sources: Sources): string[] {
  return Object.entries(sources)
    .filter(([path]) => path !== "src/index.ts")
    .filter(([path, source]) => {
      const passed = PASSED[path] ?? [];
      const code = passed.reduce((text, words) => text.replace(words, ""), source);
      return /\b(env|Env)\b/.test(code.replace(COMMENTS, ""));
    })
    .map(([path]) => `${path} sees env`);
}

function filesThatLeaveSrc(imports: Imports): string[] {
  return edges(imports)
    .filter(([, to]) => /^(dev|test|cli|bench)\//.test(to))
    .map(([from, to]) => `${from} imports ${to}`);
}

function edges(imports: Imports): [from: string, to: string][] {
  return [...imports].flatMap(([from, to]) => to.map((each): [string, string] => [from, each]));
}

const files = import.meta.glob<string>(["../src/**/*.ts", "!../src/**/*.d.ts"], {
  query: "?raw",
  import: "default",
  eager: true,
});
const SRC: Sources = Object.fromEntries(
  Object.entries(files).map(([path, source]) => [path.replace("../", ""), source]),
);
const KINDS = UPSTREAMS.map(({ kind }) => kind);

describe("the files of src", () => {
  it("are all read, with all their imports", () => {
    const imports = importsOf(SRC);
    expect(imports.size).toBeGreaterThan(40);
    expect(imports.get("src/cancel.ts")).toEqual(
      expect.arrayContaining(["src/answer.ts", "src/http/ask.ts", "src/upstreams/stop.ts"]),
    );
    for (const [path, to] of imports) {
      const missing = to.filter(
        (each) => each.startsWith("src/") && each.endsWith(".ts") && !(each in SRC),
      );
      expect({ path, missing }).toEqual({ path, missing: [] });
    }
    expect(KINDS.length).toBeGreaterThan(1);
  });

  it("keep to their layers", () => {
    expect(violations(SRC, KINDS)).toEqual([]);
  });
});

describe("this test", () => {
  /** A tree in order; each case below spoils one file of it. */
  const GOOD: Sources = {
    "src/index.ts":
      'import { app } from "./app.ts";\nexport default { fetch: (r, env: Env) => app };',
    "src/app.ts":
      'import { UPSTREAMS } from "./upstreams/index.ts"; // for any env\nexport const app = 1;',
    "src/failure.ts": "export class Refusal {}",
    "src/config.ts": 'import type { Run } from "./runs/run.ts";',
    "src/runs/run.ts": 'import * as z from "zod";',
    "src/upstreams/index.ts": 'import { acme } from "./acme.ts";',
    "src/upstreams/call.ts": 'import { Refusal } from "../failure.ts";',
    "src/upstreams/upstream.ts": 'import type { Run } from "../runs/run.ts";',
    "src/upstreams/acme.ts":
      'import * as z from "zod";\nimport type { Upstream } from "./upstream.ts";\nimport { Refusal } from "../failure.ts";\nconst kind = "acme-runs";',
    "src/audit/ledger.ts":
      "export class LedgerObject<Env> extends DurableObject<Env> {\n  constructor(ctx: Ctx, env: Env, tools: Tools) {\n    super(ctx, env);",
  };
  const spoiled = (path: string, code: string): string[] =>
    violations({ ...GOOD, [path]: `${GOOD[path] ?? ""}\n${code}` }, ["acme-runs", "assistants"]);

  it("has nothing to say of a tree in order", () => {
    expect(violations(GOOD, ["acme-runs", "assistants"])).toEqual([]);
  });

  it.each<[string, string, string, string[]]>([
    [
      "an adapter that imports the config, were it only a type",
      "src/upstreams/acme.ts",
      'import type {\n  Config,\n} from "../config.ts";',
      ["src/upstreams/acme.ts is an adapter and imports src/config.ts"],
    ],
    [
      "an adapter that does I/O",
      "src/upstreams/acme.ts",
      'import { call } from "./call.ts";',
      ["src/upstreams/acme.ts is an adapter and imports src/upstreams/call.ts"],
    ],
    [
      "a file outside that names an upstream",
      "src/app.ts",
      'if (kind === "acme-runs") stop();',
      ["src/app.ts names the upstream acme-runs"],
    ],
    [
      "a file outside that names an upstream with an ordinary word",
      "src/app.ts",
      'if (kind === "assistants") stop(tenant.assistants);',
      ["src/app.ts names the upstream assistants"],
    ],
    [
      "a file outside that imports an adapter",
      "src/app.ts",
      'export { acme } from "./upstreams/acme.ts";',
      ["src/app.ts imports the adapter src/upstreams/acme.ts"],
    ],
    [
      "a circle",
      "src/runs/run.ts",
      'import { app } from "../config.ts";',
      ["src/runs/run.ts → src/config.ts → src/runs/run.ts"],
    ],
    [
      "a circle of types, through import()",
      "src/runs/run.ts",
      'type Config = import("../config.ts").Config;',
      ["src/runs/run.ts → src/config.ts → src/runs/run.ts"],
    ],
    [
      "a second file that sees env",
      "src/app.ts",
      "export const key = env.KEY;",
      ["src/app.ts sees env"],
    ],
    [
      "a file that takes the type of env",
      "src/config.ts",
      "export function load(bindings: Env) {}",
      ["src/config.ts sees env"],
    ],
    [
      "a ledger that reads env",
      "src/audit/ledger.ts",
      "const kv = env.AUDIT;",
      ["src/audit/ledger.ts sees env"],
    ],
    [
      "a file that imports what is for development",
      "src/app.ts",
      'import { createIssuer } from "../dev/issuer.ts";',
      ["src/app.ts imports dev/issuer.ts"],
    ],
    [
      "a file that imports a test's help for its effect",
      "src/config.ts",
      'import "../test/support/harness.ts";',
      ["src/config.ts imports test/support/harness.ts"],
    ],
  ])("notices %s", (_, path, code, found) => {
    expect(spoiled(path, code)).toEqual(found);
  });
});
