// `gateway lint`: what is wrong with a config file, each with its line. Online it also asks the identity
// providers, and writes down where they say that their keys are.
import { writeFile } from "node:fs/promises";
import { Command } from "commander";
import { findNodeAtLocation, getNodeValue, type ParseError, parseTree } from "jsonc-parser";
import * as z from "zod";
import type { ConfigDocument } from "../src/config/schema.ts";
import { checkConfig, lineOfMember, type Path, readText, UsageError } from "./config-file.ts";
import { describeKeys, discoverJwksUri, ProviderProblem } from "./providers.ts";

export function lintCommand(): Command {
  return new Command("lint")
    .description("Says what is wrong with a config, each with its line.")
    .argument("<file>", "the config, as JSON with comments")
    .option("--online", "ask the identity providers too: finds jwks_uri, looks at the keys")
    .addHelpText(
      "after",
      `
With --online an issuer needs neither jwks_uri nor jwks where its provider publishes OpenID discovery:
the address is looked up and written into the file, so that the gateway itself never has to ask. Of
every issuer the keys are fetched and judged as the gateway would.

Examples:
  npm run gateway -- lint gateway.jsonc
  npm run gateway -- lint gateway.jsonc --online`,
    )
    .action(async (file: string, { online = false }: { online?: boolean }) => {
      const clean = await lint(file, { online, fetch, print: console.log });
      if (!clean) process.exitCode = 1;
    });
}

export interface LintOptions {
  /** Ask the identity providers. */
  readonly online: boolean;
  readonly fetch: typeof fetch;
  readonly print: (line: string) => void;
}

interface Finding {
  readonly path: Path;
  readonly line: number;
  readonly message: string;
  /** Or else a thing worth knowing. */
  readonly isProblem: boolean;
}

/** True when nothing is wrong. Throws `UsageError` when the file cannot be read or written. */
export async function lint(file: string, options: LintOptions): Promise<boolean> {
  const { online, print } = options;
  const written = await readText(file);
  const { text, findings } = online
    ? await pinKeyAddresses(written, options.fetch)
    : { text: written, findings: [] };
  if (text !== written) await writeText(file, text);
  const { document, problems } = checkConfig(text);
  const said = new Set(findings.map(({ path }) => path.join()));
  const all = [
    ...findings,
    // That an issuer has no keys need not be said again where it was said why.
    ...problems
      .filter(({ path }) => !said.has(path.join()))
      .map((problem) => ({ ...problem, isProblem: true })),
    ...(online && document !== null ? await judgeKeys(text, document, options.fetch) : []),
  ];
  for (const { line, message } of all) print(`${file}:${line}: ${message}.`);
  const count = all.filter(({ isProblem }) => isProblem).length;
  print(
    `${file}: ${count === 0 ? "no problem" : count === 1 ? "1 problem" : `${count} problems`}.`,
  );
  return count === 0;
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
  readonly findings: readonly Finding[];
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
  const findings = outcomes.map(({ path, issuer, value, problem }) => ({
    path,
    line: lineOfMember(pinned, value === null ? path : [...path, "jwks_uri"]),
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
  text: string,
  { issuers }: ConfigDocument,
  fetcher: typeof fetch,
): Promise<Finding[]> {
  const judged = issuers.map(async (issuer, index): Promise<Finding[]> => {
    if (issuer.jwks_uri === undefined) return [];
    const { value, problem } = await outcomeOf(describeKeys(fetcher, issuer));
    const path = ["issuers", index, "jwks_uri"];
    const message = `${issuer.issuer} ${value ?? problem}`;
    return [{ path, line: lineOfMember(text, path), message, isProblem: value === null }];
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

async function writeText(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unwritable";
    throw new UsageError(`${file}: cannot be written (${code}).`);
  }
}
