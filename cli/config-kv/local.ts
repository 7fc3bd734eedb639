// The KV on this machine, in the folder that `npm start` keeps it in. Also while that is running.
import { join } from "node:path";
import {
  CONFIG_PREFIX,
  type ConfigKv,
  chunksOf,
  digestIn,
  digestOf,
  isConfigKey,
  type Metadata,
} from "./kv.ts";

const SEED_CONFIG = join(import.meta.dirname, "local.toml");
/** The folder that wrangler makes below `--persist-to`. */
const STATE_VERSION = "v3";
const AT_ONCE = 50;
/** The most that one read of several keys may ask for. */
const READ_KEYS = 100;

export async function openLocalKv(persist: string): Promise<ConfigKv> {
  // Only here: it takes most of a second, and every other command would wait for it.
  const { getPlatformProxy } = await import("wrangler");
  const platform = await getPlatformProxy<{ CONFIG: KVNamespace }>({
    configPath: SEED_CONFIG,
    persist: { path: join(persist, STATE_VERSION) },
  });
  const { CONFIG } = platform.env;

  async function inBatches<T>(
    items: readonly T[],
    work: (item: T) => Promise<unknown>,
    done: (count: number) => void,
  ): Promise<void> {
    for (const batch of chunksOf(items, AT_ONCE)) {
      await Promise.all(batch.map(work));
      done(batch.length);
    }
  }

  return {
    name: `the local KV in ${persist}`,
    lagMs: 0,
    list: async () => {
      const found = new Map<string, string | null>();
      let cursor: string | null = null;
      do {
        const page: KVNamespaceListResult<Metadata> = await CONFIG.list<Metadata>({
          prefix: CONFIG_PREFIX,
          cursor,
        });
        for (const { name, metadata } of page.keys) {
          if (isConfigKey(name)) found.set(name, digestIn(metadata));
        }
        cursor = page.list_complete ? null : page.cursor;
      } while (cursor !== null);
      return found;
    },
    read: async (keys, done) => {
      const found = new Map<string, string>();
      for (const chunk of chunksOf(keys, READ_KEYS)) {
        for (const [key, value] of await CONFIG.get([...chunk], "text")) {
          if (value !== null) found.set(key, value);
        }
        done(chunk.length);
      }
      return found;
    },
    write: (pairs, done) =>
      inBatches(
        pairs,
        ({ key, value }) => CONFIG.put(key, value, { metadata: { sha256: digestOf(value) } }),
        done,
      ),
    remove: (keys, done) => inBatches(keys, (key) => CONFIG.delete(key), done),
    close: () => platform.dispose(),
  };
}
