// The config that KV has against the one in a file.
import { type Change, changesFor } from "./changes.ts";
import { type ConfigKv, digestOf, type Pair } from "./config-kv/kv.ts";
import { withBar } from "./progress.ts";

export interface Comparison {
  readonly changes: readonly Change[];
  /** What is to be written. */
  readonly writes: readonly Pair[];
  readonly removals: readonly string[];
}

export interface CompareOptions {
  /** Write every key, whatever KV says of it: what it says may be older than what was last written. */
  readonly all: boolean;
  /** Read all values; or else only those whose digest, which stands beside them, differs. */
  readonly thorough: boolean;
}

export async function compare(
  kv: ConfigKv,
  wanted: readonly Pair[],
  { all, thorough }: CompareOptions,
): Promise<Comparison> {
  const listed = await kv.list();
  const unsure = wanted.filter(
    ({ key, value }) => listed.has(key) && (thorough || listed.get(key) !== digestOf(value)),
  );
  const keys = unsure.map(({ key }) => key);
  const current = await withBar("Reading", keys.length, (done) => kv.read(keys, done));
  // A list may be older than what it lists: what cannot be read is not there, and has to be written.
  const gone = new Set(keys.filter((key) => !current.has(key)));
  const present = new Set([...listed.keys()].filter((key) => !gone.has(key)));
  const changes = changesFor(present, current, wanted);
  if (all) {
    return { changes, writes: wanted, removals: removalsIn(changes) };
  }
  const changed = new Set(changes.filter(({ kind }) => kind !== "removed").map(({ key }) => key));
  return {
    changes,
    writes: wanted.filter(({ key }) => changed.has(key)),
    removals: removalsIn(changes),
  };
}

function removalsIn(changes: readonly Change[]): readonly string[] {
  return changes.filter(({ kind }) => kind === "removed").map(({ key }) => key);
}
