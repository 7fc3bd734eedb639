// `gateway lint`: what is wrong with a config file, and every hole in it, each with its line. Online it
// also asks the identity providers, and writes down where they say that their keys are.
import { Command } from "commander";
import { findNodeAtLocation, getNodeValue, type ParseError, parseTree } from "jsonc-parser";
import * as z from "zod";
import type { ConfigDocument } from "../src/config/schema.ts";
import { checkSource, type Path, parseSource, readText, type Source } from "./config-file.ts";
import type { Hole } from "./holes/hole.ts";
import { oneEach } from "./holes/one-cause.ts";
import { cureOf } from "./holes/refusals.ts";
import { commentHoles, textHoles, withoutSecrets } from "./holes/text.ts";
import { findHoles, type HoleContext } from "./holes.ts";
import { describeKeys, discoverJwksUri, ProviderProblem } from "./providers.ts";
import { readSecretsFile } from "./secrets-file.ts";
import { readTiers } from "./worker-config.ts";
import { writeText } from "./write-text.ts";

export function lintCommand(): Command {
  return new Command("lint")
    .description("Says what is wrong with a config, and every hole in it, each with its line.")
    .argument("<file>", "the config, as JSON with comments")
    .option("--secrets <file>", "look at the secrets too, NAME=value lines such as .dev.vars")
    .option("--online", "ask the identity providers too: finds jwks_uri, looks at the keys")
    .option(
      "--allow <names>",
      "holes that you know of and keep, by the name in brackets, with commas",
    )
    .option("--json", "one JSON document for machines")
    .addHelpText(
      "after",
      `
A problem is what the gateway itself would refuse: with one, it serves nobody. A hole is what it would
serve, and you would not want: two tenants whose key is the proof and the same, a rule that can never
match, a page that is shown your prompt. Each is told with its line, and how to close it. One that you
know of and keep is still told, and is no problem any more: --allow, with the name in brackets.

With --secrets the secrets are looked at too: which are missing or no good, which sealed keys do not
open, where two names are one key. No value is ever printed.

With --online an issuer needs neither jwks_uri nor jwks where its provider publishes OpenID discovery:
the address is looked up and written into the file, so that the gateway itself never has to ask. Of
every issuer the keys are fetched and judged as the gateway would.

Ends with 0 when there is no problem, with 1 when there is one, and with 2 when it could not look. For
machines: --json prints {file, ok, problems, notes}, each of both {id, line, path, message, cure}, and
{tenants} where several have one cause in common: it is told once, at the first of them.

Examples:
  npm run gateway -- lint gateway.jsonc
  npm run gateway -- lint gateway.jsonc --secrets .dev.vars --online
  npm run gateway -- lint gateway.jsonc --allow upstream-unused`,
    )
    .action(async (file: string, flags: LintFlags) => {
      const secrets = flags.secrets === undefined ? null : await readSecretsFile(flags.secrets);
      const { online = false } = flags;
      const allow = (flags.allow ?? "").split(",").map((name) => name.trim());
      const report = await lint(file, { online, allow, secrets, tiers: await readTiers(), fetch });
      if (flags.json === true) console.log(JSON.stringify(report, null, 2));
      else for (const line of linesFor(report)) console.log(line);
      if (!report.ok) process.exitCode = 1;
    });
}

interface LintFlags {
  readonly online?: boolean;
  readonly secrets?: string;
  readonly allow?: string;
  readonly json?: boolean;
}

export interface LintOptions extends HoleContext {
  /** Ask the identity providers. */
  readonly online: boolean;
  /** The ids of holes that are known and kept. */
  readonly allow: readonly string[];
  readonly fetch: typeof fetch;
}

/** What `--json` prints. */
export interface LintReport {
  readonly file: string;
  /** There is no problem. */
  readonly ok: boolean;
  /** In the order of the text. */
  readonly problems: readonly Finding[];
  /** Holes that are known and kept, and what the providers said. */
  readonly notes: readonly Finding[];
}

export interface Finding {
  /** `schema` for what the gateway refuses, `provider` for what one said, or the hole's own. */
  readonly id: string;
  readonly line: number;
  readonly path: Path;
  readonly message: string;
  /** How to close it; null where the message says it. */
  readonly cure: string | null;
  /** All whom it is about, where they are several. */
  readonly tenants?: readonly string[];
}

/** A finding that is a problem, or else a thing worth knowing. */
type Judged = Finding & { readonly isProblem: boolean };

/** Throws `UsageError` when the file cannot be read or written. */
export async function lint(file: string, options: LintOptions): Promise<LintReport> {
  const written = await readText(file);
  const { text, findings: pinned } = options.online
    ? await pinKeyAddresses(written, options.fetch)
    : { text: written, findings: [] };
  if (text !== written) await writeText(file, text);
  const source = parseSource(text);
  const { document, problems } = checkSource(source);
  const said = new Set(pinned.map(({ path }) => path.join()));
  const safe = source.tree === null ? String : withoutSecrets(source.tree);
  const refused = problems
    // That an issuer has no keys need not be said again where it was said why.
    .filter(({ path }) => !said.has(path.join()))
    .map(({ line, path, message }) => ({
      ...{ id: "schema", line, path, message: safe(message) },
      ...{ cure: cureOf(message), isProblem: true },
    }));
  const holes = await holesIn(source, document, options);
  const judged =
    options.online && document !== null ? await judgeKeys(source, document, options.fetch) : [];
  return reportOf(file, [...pinned, ...refused, ...judged, ...holes]);
}

async function holesIn(
  { text, tree, errors, lineOf, lineAt }: Source,
  document: ConfigDocument | null,
  { allow, ...context }: LintOptions,
): Promise<Judged[]> {
  if (tree === null || errors.length > 0) return [];
  const inside = document === null ? textHoles(tree) : await findHoles(tree, document, context);
  return [...inside, ...commentHoles(text)].map(({ offset, ...hole }: Hole) => ({
    ...hole,
    line: offset === undefined ? lineOf(hole.path) : lineAt(offset),
    isProblem: !allow.includes(hole.id),
  }));
}

function reportOf(file: string, found: readonly Judged[]): LintReport {
  const inOrder = found.toSorted((one, other) => one.line - other.line);
  const those = (wanted: boolean): Finding[] =>
    oneEach(inOrder.filter(({ isProblem }) => isProblem === wanted)).map(
      ({ id, line, path, message, cure, tenants }) => ({
        ...{ id, line, path, message, cure },
        ...(tenants === undefined ? {} : { tenants }),
      }),
    );
  const problems = those(true);
  return { file, ok: problems.length === 0, problems, notes: those(false) };
}

function linesFor({ file, problems, notes }: LintReport): string[] {
  const count = problems.length;
  const end = count === 0 ? "no problem" : count === 1 ? "1 problem" : `${count} problems`;
  const known = new Set(notes);
  const all = [...problems, ...notes].toSorted((one, other) => one.line - other.line);
  return [
    ...all.flatMap((finding) => {
      const { id, line, message, cure } = finding;
      const kept = known.has(finding) ? " (kept)" : "";
      const named = id === "schema" || id === "provider" ? "" : ` [${id}]${kept}`;
      const advice = cure === null ? [] : [`    → ${cure}.`];
      return [`${file}:${line}: ${message}.${named}`, ...advice];
    }),
    `${file}: ${end}.`,
  ];
}

const RawIssuer = z.looseObject({
  issuer: z.string(),
  jwks_uri: z.undefined().optional(),
  jwks: z.undefined().optional(),
});
const RawIssuers = z.object({ issuers: z.array(z.unknown()) });

interface Pinning {
  /** The config, with each address that was found. */
  readonly text: string;
  readonly findings: readonly Judged[];
}

/** Writes `jwks_uri` into every issuer that names neither it nor its keys. */
async function pinKeyAddresses(text: string, fetcher: typeof fetch): Promise<Pinning> {
  const errors: ParseError[] = [];
  const tree = parseTree(text, errors, { allowTrailingComma: true });
  if (tree === undefined || errors.length > 0) return { text, findings: [] };
  const raw = RawIssuers.safeParse(getNodeValue(tree));
  const lookUps = (raw.data?.issuers ?? []).map(async (value, index) => {
    const entry = RawIssuer.safeParse(value);
    if (!entry.success) return null;
    const { issuer } = entry.data;
    const path = ["issuers", index];
    return { ...(await outcomeOf(discoverJwksUri(fetcher, issuer))), path, issuer };
  });
  const outcomes = (await Promise.all(lookUps)).filter((outcome) => outcome !== null);
  const pinned = outcomes.reduce(
    (edited, { path, value }) =>
      value === null ? edited : withMemberBefore(edited, [...path, "issuer"], "jwks_uri", value),
    text,
  );
  const { lineOf } = parseSource(pinned);
  const findings = outcomes.map(({ path, issuer, value, problem }) => ({
    id: "provider",
    cure: null,
    path,
    line: lineOf(value === null ? path : [...path, "jwks_uri"]),
    message: value === null ? `${issuer} ${problem}` : `wrote jwks_uri, as ${issuer} publishes it`,
    isProblem: value === null,
  }));
  return { text: pinned, findings };
}

/**
 * Puts a member before one that is there. Nothing else moves: a comma after the last member, or a
 * comment behind one, would be in the way anywhere else.
 */
function withMemberBefore(text: string, there: Path, name: string, value: string): string {
  const tree = parseTree(text, [], { allowTrailingComma: true });
  const offset = (tree && findNodeAtLocation(tree, [...there])?.parent?.offset) ?? 0;
  const [lead = ""] = /(\r?\n)?[ \t]*$/.exec(text.slice(0, offset)) ?? [];
  const member = `${JSON.stringify(name)}: ${JSON.stringify(value)},${lead}`;
  return text.slice(0, offset) + member + text.slice(offset);
}

/** Fetches every issuer's keys, and says what they are. */
async function judgeKeys(
  { lineOf }: Source,
  { issuers }: ConfigDocument,
  fetcher: typeof fetch,
): Promise<Judged[]> {
  const judged = issuers.map(async (issuer, index): Promise<Judged[]> => {
    if (issuer.jwks_uri === undefined) return [];
    const { value, problem } = await outcomeOf(describeKeys(fetcher, issuer));
    const path = ["issuers", index, "jwks_uri"];
    const message = `${issuer.issuer} ${value ?? problem}`;
    const line = lineOf(path);
    return [{ id: "provider", cure: null, path, line, message, isProblem: value === null }];
  });
  return (await Promise.all(judged)).flat();
}

type Outcome =
  | { readonly value: string; readonly problem: null }
  | { readonly value: null; readonly problem: string };

async function outcomeOf(work: Promise<string>): Promise<Outcome> {
  try {
    return { value: await work, problem: null };
  } catch (error) {
    if (error instanceof ProviderProblem) return { value: null, problem: error.message };
    throw error;
  }
}
