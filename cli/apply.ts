// `gateway apply`: makes KV say what the file says, after it was seen and agreed to, and reads it back.
import { confirm, isCancel } from "@clack/prompts";
import { Command } from "commander";
import type { ConfigDocument } from "../src/config/schema.ts";
import { type Comparison, compare } from "./compare.ts";
import { type Source, UsageError } from "./config-file.ts";
import { type ConfigKv, pairsOf } from "./config-kv/kv.ts";
import { refuse, reportOf, sourceOf } from "./diff.ts";
import { findHoles } from "./holes.ts";
import { linesForChanges } from "./show-changes.ts";
import { openTarget, type TargetFlags, withTarget } from "./target.ts";
import { readTiers } from "./worker-config.ts";
import { keysIn, writeConfig } from "./write-config.ts";

interface ApplyFlags extends TargetFlags {
  readonly yes?: boolean;
  readonly thorough?: boolean;
  readonly all?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

const WRONG_SHOWN = 20;

export function applyCommand(): Command {
  return withTarget(new Command("apply"))
    .description(
      "Writes a config to KV: checks it, shows what changes, asks, writes, reads it back.",
    )
    .argument("<file>", "the config, as JSON with comments")
    .option("--yes", "do not ask")
    .option("--verbose", "show every tenant, however many there are")
    .option("--thorough", "read every value first, and do not rely on the digests beside them")
    .option("--all", "write every key, whatever KV says: to undo what was applied a moment ago")
    .option("--json", "one JSON document for machines (needs --yes)")
    .addHelpText(
      "after",
      `
Only what differs is written. A tenant that is no longer in the file is removed, and its callers are
refused. Tenants that are switched off go first, so that a kill switch waits for nobody.

A running gateway reads its config again every 30 seconds; with KV's own caches a change is everywhere
within 90. What KV itself says may be as old, so soon after another apply --all is the sure way back.
Each key is one version, whole; during that time a place may have the new of one tenant and the old of
another. What was interrupted is finished by applying again. Of two at once, the last one counts.

Ends with 0 when KV says what the file says, with 1 when it does not (the config is not valid, it was
declined, or what was read back differs), with 2 when it could not be done; it says how far it came.

Examples:
  npm run gateway -- apply gateway.jsonc --local
  npm run gateway -- apply gateway.jsonc --remote
  npm run --silent gateway -- apply gateway.jsonc --remote --yes --json`,
    )
    .action(async (file: string, flags: ApplyFlags) => {
      const asks = flags.yes !== true;
      if (asks && (flags.json === true || !process.stdin.isTTY)) {
        throw new UsageError(
          "There is nobody to ask here: look with 'diff' first, then give --yes.",
        );
      }
      const { source, document: config, problems } = await sourceOf(file);
      if (config === null) return refuse(file, problems, flags, { applied: false, wrong: [] });
      await warnOfHoles(file, source, config);
      const kv = await openTarget(flags, config);
      try {
        const { all = false, thorough = false } = flags;
        const compared = await compare(kv, pairsOf(config), { all, thorough });
        const { changes } = compared;
        const say = flags.json === true ? console.error : console.log;
        for (const line of linesForChanges(changes, flags.verbose === true)) say(line);
        const nothing = compared.writes.length + compared.removals.length === 0;
        const agreed = nothing || !asks || (await isAgreed(kv));
        const wrong = agreed ? await writeConfig(kv, compared) : [];
        for (const key of wrong.slice(0, WRONG_SHOWN)) {
          console.error(`${key}: not as it was written`);
        }
        if (wrong.length > WRONG_SHOWN) console.error(`and ${wrong.length - WRONG_SHOWN} more`);
        const applied = agreed && wrong.length === 0;
        if (flags.json === true) {
          const report = { ...reportOf(file, kv, changes), applied, wrong };
          console.log(JSON.stringify(report, null, 2));
        } else say(endOf(kv, compared, agreed, wrong.length));
        if (!applied) process.exitCode = 1;
      } finally {
        await kv.close();
      }
    });
}

async function warnOfHoles(file: string, { tree }: Source, config: ConfigDocument): Promise<void> {
  const context = { secrets: null, tiers: await readTiers() };
  const holes = tree === null ? [] : await findHoles(tree, config, context);
  if (holes.length === 0) return;
  const names = [...new Set(holes.map(({ id }) => id))].join(", ");
  console.error(
    `${file} has ${holes.length === 1 ? "a hole" : `${holes.length} holes`} (${names}): npm run gateway -- lint ${file}`,
  );
}

async function isAgreed(kv: ConfigKv): Promise<boolean> {
  const answer = await confirm({ message: `Write this to ${kv.name}?`, initialValue: false });
  return !isCancel(answer) && answer;
}

function endOf(
  kv: ConfigKv,
  { writes, removals }: Comparison,
  agreed: boolean,
  wrong: number,
): string {
  if (!agreed) return "Nothing was written.";
  const count = writes.length + removals.length;
  if (count === 0) {
    const doubt = kv.lagMs === 0 ? "" : " (If it was written in the last two minutes, give --all.)";
    return `${kv.name} says what the file says.${doubt}`;
  }
  if (wrong > 0) return `${wrong} of ${keysIn(count)} not as written. Apply it again.`;
  return `Written and read back: ${keysIn(count)} in ${kv.name}. A running gateway has it within 90 s.`;
}
