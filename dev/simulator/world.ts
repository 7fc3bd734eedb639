// What the routes need from outside: clock, ids, waiting, keys and the store.
import type { Store } from "./store.ts";

export interface World {
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** A new id that begins with the prefix and an underscore: `run_…`. */
  readonly newId: (prefix: string) => string;
  readonly sleep: (ms: number) => Promise<void>;
  readonly acceptsKey: (key: string) => boolean;
  readonly store: Store;
}

/** As OpenAI writes times: whole seconds. */
export function unixSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}
