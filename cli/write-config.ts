// Writes to KV what a comparison says, what takes away first, and reads all of it back.
import { setTimeout as pause } from "node:timers/promises";
import { inOrder } from "./changes.ts";
import type { Comparison } from "./compare.ts";
import { UsageError } from "./config-file.ts";
import type { ConfigKv, Progress } from "./config-kv/kv.ts";
import { withBar } from "./progress.ts";

type Work = Pick<Comparison, "writes" | "removals">;

/** Between two looks at what has been written, where a read may lag behind. */
const LOOK_AGAIN_MS = 5_000;

/** The keys that do not read as they were written. Throws `UsageError`, and says how far it came. */
export async function writeConfig(kv: ConfigKv, work: Work): Promise<readonly string[]> {
  const { writes, removals } = work;
  let [removed, written] = [0, 0];
  try {
    await withBar("Removing", removals.length, (done) =>
      kv.remove(
        removals,
        both(done, (count) => {
          removed += count;
        }),
      ),
    );
    await withBar("Writing", writes.length, (done) =>
      kv.write(
        inOrder(writes),
        both(done, (count) => {
          written += count;
        }),
      ),
    );
  } catch (error) {
    throw withWords(
      error,
      `Before that, ${figure(removed)} of ${figure(removals.length)} keys were removed and ${figure(written)} of ${figure(writes.length)} written; of the request that failed, some may have been. Apply it again: what is there is not written twice.`,
    );
  }
  try {
    return await readUntilRight(kv, work);
  } catch (error) {
    throw withWords(error, "All of it was written, and not all of it read back. Apply it again.");
  }
}

async function readUntilRight(kv: ConfigKv, work: Work): Promise<readonly string[]> {
  const until = Date.now() + kv.lagMs;
  let wrong = await readBack(kv, work);
  if (wrong.length > 0 && kv.lagMs > 0) {
    console.error(
      `${keysIn(wrong.length)} not yet read as written, as may be for a while. Looking again for up to ${kv.lagMs / 1_000} s.`,
    );
  }
  while (wrong.length > 0 && Date.now() < until) {
    await pause(Math.min(LOOK_AGAIN_MS, Math.max(until - Date.now(), 0)));
    const still = new Set(wrong);
    wrong = await readBack(kv, {
      writes: work.writes.filter(({ key }) => still.has(key)),
      removals: work.removals.filter((key) => still.has(key)),
    });
  }
  return wrong;
}

async function readBack(kv: ConfigKv, { writes, removals }: Work): Promise<readonly string[]> {
  const keys = [...writes.map(({ key }) => key), ...removals];
  const found = await withBar("Reading back", keys.length, (done) => kv.read(keys, done));
  return [
    ...writes.filter(({ key, value }) => found.get(key) !== value).map(({ key }) => key),
    ...removals.filter((key) => found.has(key)),
  ];
}

function both(one: Progress, other: Progress): Progress {
  return (count) => {
    one(count);
    other(count);
  };
}

/** What is no fault of ours keeps its stack. */
function withWords(error: unknown, words: string): unknown {
  return error instanceof UsageError ? new UsageError(`${error.message}\n${words}`) : error;
}

const figure = (count: number): string => count.toLocaleString("en");

export function keysIn(count: number): string {
  return count === 1 ? "1 key" : `${figure(count)} keys`;
}
