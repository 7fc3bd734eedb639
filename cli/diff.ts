// `gateway diff`: what `apply` would change, and for whom. Writes nothing.
import { Command } from "commander";
import type { Change } from "./changes.ts";
import { type CompareOptions, type Comparison, compare } from "./compare.ts";
import { checkedConfig } from "./config-file.ts";
import { type ConfigKv, type Pair, pairsOf } from "./config-kv/kv.ts";
import { withBar } from "./progress.ts";
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
Ends with 0 when nothing would change, with 1 when something would.

Examples:
  npm run gateway -- diff gateway.jsonc --local
  npm run gateway -- diff gateway.jsonc --remote --verbose`,
    )
    .action(async (file: string, flags: DiffFlags) => {
      const config = await checkedConfig(file);
      if (config === null) return;
      const kv = await openTarget(flags, config);
      try {
        const options = { all: false, thorough: flags.thorough === true };
        const { changes } = await compareWithBar(kv, pairsOf(config), options);
        if (flags.json === true) console.log(JSON.stringify(reportOf(file, kv, changes), null, 2));
        else for (const line of linesForChanges(changes, flags.verbose === true)) console.log(line);
        if (changes.length > 0) process.exitCode = 1;
      } finally {
        await kv.close();
      }
    });
}

export async function compareWithBar(
  kv: ConfigKv,
  wanted: readonly Pair[],
  options: Omit<CompareOptions, "done">,
): Promise<Comparison> {
  return await withBar(`Reading ${kv.name}`, options.thorough ? wanted.length : 0, (done) =>
    compare(kv, wanted, { ...options, done }),
  );
}

/** What `--json` prints, of `apply` too. */
export function reportOf(file: string, kv: ConfigKv, changes: readonly Change[]) {
  return { file, target: kv.name, changes };
}
