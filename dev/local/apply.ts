// Makes the local KV say what the config says: every tenant of it, and none that it no longer has.
import { compare } from "../../cli/compare.ts";
import { UsageError } from "../../cli/config-file.ts";
import { pairsOf } from "../../cli/config-kv/kv.ts";
import { openLocalKv } from "../../cli/config-kv/local.ts";
import { writeConfig } from "../../cli/write-config.ts";
import type { ConfigDocument } from "../../src/config/schema.ts";

export async function applyLocally(config: ConfigDocument, persist: string): Promise<void> {
  const kv = await openLocalKv(persist);
  try {
    const options = { all: false, thorough: true };
    const wrong = await writeConfig(kv, await compare(kv, pairsOf(config), options));
    if (wrong.length > 0) throw new UsageError(`The local KV in ${persist} cannot be written.`);
  } finally {
    await kv.close();
  }
}
