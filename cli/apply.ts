// `gateway apply`: makes KV say what the file says, after it was seen and agreed to, and reads it back.
import { setTimeout as pause } from "node:timers/promises";
import { confirm, isCancel } from "@clack/prompts";
import { Command } from "commander";
import { inOrder, mixtureNote } from "./changes.ts";
import type { Comparison } from "./compare.ts";
import { checkedConfig, parseSource, readText, UsageError } from "./config-file.ts";
import { type ConfigKv, pairsOf } from "./config-kv/kv.ts";
import { compareWithBar, reportOf } from "./diff.ts";
import { findHoles } from "./holes.ts";
import { withBar } from "./progress.ts";
import { linesForChanges } from "./show-changes.ts";
import { openTarget, type TargetFlags, withTarget } from "./target.ts";
import { readTiers } from "./worker-config.ts";

interface ApplyFlags extends TargetFlags {
  readonly yes?: boolean;
  readonly thorough?: boolean;
  readonly all?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** Between two looks at what has been written, where a read may lag behind. */
const LOOK_AGAIN_MS = 5_000;

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
Each key is one version, whole; during that time a place may have the new of one tenant and
the old of another. What was interrupted is finished by applying again.

Ends with 0 when KV says what the file says, with 1 when it does not (the config is not valid, it was
declined, or what was read back differs).

Examples:
  npm run gateway -- apply gateway.jsonc --local
  npm run gateway -- apply gateway.jsonc --remote
  npm run gateway -- apply gateway.jsonc --remote --yes --json`,
    )
    .action(async (file: string, flags: ApplyFlags) => {
      const asks = flags.yes !== true;
      if (asks && (flags.json === true || !process.stdin.isTTY)) {
        throw new UsageError(
          "There is nobody to ask here: look with 'diff' first, then give --yes.",
        );
      }
      const config = await checkedConfig(file);
      if (config === null) return;
      await warnOfHoles(file, config);
      const kv = await openTarget(flags, config);
      try {
        const { all = false, thorough = false } = flags;
        const compared = await compareWithBar(kv, pairsOf(config), { all, thorough });
        const { changes } = compared;
        const say = flags.json === true ? console.error : console.log;
        for (const line of linesForChanges(changes, flags.verbose === true)) say(line);
        const note = mixtureNote(changes);
        if (note !== null) say(note);
        const nothing = compared.writes.length + compared.removals.length === 0;
        const agreed = nothing || !asks || (await isAgreed(kv));
        const wrong = agreed ? await write(kv, compared) : [];
        for (const key of wrong) console.error(`${key}: not as it was written`);
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

async function warnOfHoles(file: string, config: Parameters<typeof findHoles>[1]): Promise<void> {
  const { tree } = parseSource(await readText(file));
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

/** The keys that do not read as they were written. */
export async function write(
  kv: ConfigKv,
  { writes, removals, changes }: Comparison,
): Promise<readonly string[]> {
  // What takes something away first. A tenant whose upstream is not there yet is refused until it is.
  await withBar("Removing", removals.length, (done) => kv.remove(removals, done));
  await withBar("Writing", writes.length, (done) => kv.write(inOrder(writes, changes), done));
  const until = Date.now() + kv.lagMs;
  for (;;) {
    const wrong = await readBack(kv, writes, removals);
    if (wrong.length === 0 || Date.now() >= until) return wrong;
    await pause(Math.min(LOOK_AGAIN_MS, Math.max(until - Date.now(), 0)));
  }
}

async function readBack(
  kv: ConfigKv,
  writes: Comparison["writes"],
  removals: Comparison["removals"],
): Promise<readonly string[]> {
  const keys = [...writes.map(({ key }) => key), ...removals];
  const found = await withBar("Reading back", keys.length, (done) => kv.read(keys, done));
  return [
    ...writes.filter(({ key, value }) => found.get(key) !== value).map(({ key }) => key),
    ...removals.filter((key) => found.has(key)),
  ];
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
  if (wrong > 0) return `${wrong} of ${count} keys are not as they were written. Apply it again.`;
  const keys = count === 1 ? "1 key" : `${count.toLocaleString("en")} keys`;
  return `Written and read back: ${keys} in ${kv.name}. A running gateway has it within 90 s.`;
}
