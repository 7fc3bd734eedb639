// `gateway diff`: what `apply` would change, and for whom. Writes nothing.
import { Command } from "commander";
import { type Change, mixtureNote } from "./changes.ts";
import { compare } from "./compare.ts";
import {
  type CheckedConfig,
  checkSource,
  type Problem,
  parseSource,
  readText,
  type Source,
} from "./config-file.ts";
import { type ConfigKv, pairsOf } from "./config-kv/kv.ts";
import { linesForChanges } from "./show-changes.ts";
import { openTarget, type TargetFlags, withTarget } from "./target.ts";

interface DiffFlags extends TargetFlags {
  readonly thorough?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

export function diffCommand(): Command {
  return withTarget(new Command("diff"))
    .description("Shows what applying a config would change, and for whom. Writes nothing.")
    .argument("<file>", "the config, as JSON with comments")
    .option("--verbose", "every tenant, however many there are")
    .option("--thorough", "read every value, and do not rely on the digests beside them")
    .option("--json", "one JSON document for machines")
    .addHelpText(
      "after",
      `
Of each change it says what was and what would be; of a tenant that is switched off or removed, or an
upstream whose address changes, also what that means. What is stored and cannot be read is replaced.

Each value has its digest beside it, so what is the same need not be read. Whoever writes a value by
other means may leave the digest as it was; --thorough reads every value and finds that.

Ends with 0 when nothing would change, with 1 when something would (or the file is not valid).

Examples:
  npm run gateway -- diff gateway.jsonc --local
  npm run gateway -- diff gateway.jsonc --remote --verbose
  npm run --silent gateway -- diff gateway.jsonc --remote --json`,
    )
    .action(async (file: string, flags: DiffFlags) => {
      const { document: config, problems } = await sourceOf(file);
      if (config === null) return refuse(file, problems, flags, {});
      const kv = await openTarget(flags, config);
      try {
        const options = { all: false, thorough: flags.thorough === true };
        const { changes } = await compare(kv, pairsOf(config), options);
        if (flags.json === true) console.log(JSON.stringify(reportOf(file, kv, changes), null, 2));
        else for (const line of linesForChanges(changes, flags.verbose === true)) console.log(line);
        if (changes.length > 0) process.exitCode = 1;
      } finally {
        await kv.close();
      }
    });
}

/** The file, read once: as it stands, and as it was judged. */
export async function sourceOf(file: string): Promise<CheckedConfig & { readonly source: Source }> {
  const source = parseSource(await readText(file));
  return { source, ...checkSource(source) };
}

/** Says every problem of a file that is not valid; with `--json` the same to machines. */
export function refuse(
  file: string,
  problems: readonly Problem[],
  { json }: { readonly json?: boolean },
  more: object,
): void {
  for (const { line, message } of problems) console.error(`${file}:${line}: ${message}.`);
  const report: Report = { file, problems, target: null, changes: [], note: null };
  if (json === true) console.log(JSON.stringify({ ...report, ...more }, null, 2));
  process.exitCode = 1;
}

/** What `--json` prints, of `apply` too. */
interface Report {
  readonly file: string;
  /** Of the file. With one, nothing was compared or written. */
  readonly problems: readonly Problem[];
  readonly target: string | null;
  readonly changes: readonly Change[];
  /** What is to be known of all changes together. */
  readonly note: string | null;
}

export function reportOf(file: string, kv: ConfigKv, changes: readonly Change[]): Report {
  return { file, problems: [], target: kv.name, changes, note: mixtureNote(changes) };
}
