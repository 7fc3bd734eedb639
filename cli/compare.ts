// The config that KV has against the one in a file.
import { type Change, changesFor } from "./changes.ts";
import { type ConfigKv, digestOf, type Pair, type Progress } from "./config-kv/kv.ts";

export interface Comparison {
  readonly changes: readonly Change[];
  /** What is to be written. */
  readonly writes: readonly Pair[];
  readonly removals: readonly string[];
}

export interface CompareOptions {
  /** Read all values; or else only those whose digest, which stands beside them, differs. */
  readonly thorough: boolean;
  readonly done: Progress;
}

export async function compare(
  kv: ConfigKv,
  wanted: readonly Pair[],
  { thorough, done }: CompareOptions,
): Promise<Comparison> {
  const listed = await kv.list();
  const unsure = wanted.filter(
    ({ key, value }) => listed.has(key) && (thorough || listed.get(key) !== digestOf(value)),
  );
  const current = await kv.read(
    unsure.map(({ key }) => key),
    done,
  );
  const changes = changesFor(new Set(listed.keys()), current, wanted);
  const changed = new Set(changes.filter(({ kind }) => kind !== "removed").map(({ key }) => key));
  return {
    changes,
    writes: wanted.filter(({ key }) => changed.has(key)),
    removals: changes.filter(({ kind }) => kind === "removed").map(({ key }) => key),
  };
}
