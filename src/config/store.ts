// The config as a request sees it: read from KV, checked, secrets resolved, kept in memory by age.
// Never default-open: what cannot be read or does not pass the schema is `config_invalid`.
import QuickLRU from "quick-lru";
import { Refusal } from "../failure.ts";
import type { Log } from "../logger.ts";
import type { Loaded } from "./credentials.ts";
import { BASE_KEY, tenantKey } from "./kv-keys.ts";
import { type Base, type LoadContext, loadBase, loadTenant, type Tenant } from "./load.ts";

/** How long a value is used before it is read again: with KV's own cache, a kill switch is everywhere within 90 s. */
const FRESH_MS = 30_000;
/** The least that KV accepts as `cacheTtl`. */
const KV_CACHE_SECONDS = 30;
/** How long a good value outlives a KV that cannot be read. */
const LAST_GOOD_MS = 15 * 60_000;
/** A KV that does not answer counts as one that cannot be read. */
const READ_TIMEOUT_MS = 2_000;
/** Bounds the memory of an isolate that serves many tenants. */
const TENANTS_KEPT = 2_000;

export interface ConfigStore {
  /** Issuers, upstreams and origins. Throws `config_invalid`. */
  base(): Promise<Base>;
  /** One tenant, or null when there is none of that id. Throws `config_invalid`. */
  tenant(id: string): Promise<Tenant | null>;
}

export interface ConfigSource extends LoadContext {
  readonly kv: Pick<KVNamespace, "get">;
  readonly now: () => number;
  readonly log: Log;
}

interface Entry<T> {
  readonly loaded: Loaded<T>;
  readonly readAt: number;
  /** When KV was last asked, whether it answered or not: while it is down, not every request waits for it. */
  readonly askedAt: number;
}

export function createConfigStore(source: ConfigSource): ConfigStore {
  const bases = new QuickLRU<string, Entry<Base>>({ maxSize: 1 });
  const tenants = new QuickLRU<string, Entry<Tenant | null>>({ maxSize: TENANTS_KEPT });

  async function read<T>(
    cache: QuickLRU<string, Entry<T>>,
    key: string,
    parse: (text: string | null) => Loaded<T> | Promise<Loaded<T>>,
  ): Promise<T> {
    const kept = cache.get(key);
    const usable = kept !== undefined && source.now() - kept.readAt < LAST_GOOD_MS;
    if (usable && source.now() - kept.askedAt < FRESH_MS) return unwrap(kept.loaded);
    const askedAt = source.now();
    const text = await readText(source.kv, key).catch((error: unknown) => {
      source.log("error", "config_unreadable", { key, detail: String(error) });
      return undefined;
    });
    if (text === undefined) {
      if (!usable) throw new Refusal("config_invalid", { detail: `${key} cannot be read` });
      return unwrap(keepNewest(cache, key, { ...kept, askedAt }).loaded);
    }
    const loaded = await parse(text);
    if ("problem" in loaded) {
      source.log("error", "config_invalid", { key, detail: loaded.problem });
    }
    return unwrap(keepNewest(cache, key, { loaded, readAt: askedAt, askedAt }).loaded);
  }

  let last: { readonly text: string | null; readonly loaded: Loaded<Base> } | undefined;
  /** The same text is the same object: what is kept by issuer, such as imported keys, stays good. */
  function loadBaseOnce(text: string | null): Loaded<Base> {
    if (last?.text !== text) last = { text, loaded: loadBase(source, text) };
    return last.loaded;
  }
  const base = (): Promise<Base> => read(bases, BASE_KEY, loadBaseOnce);

  return {
    base,
    tenant: async (id) => {
      const loaded = await base();
      return read(tenants, tenantKey(id), (text) => loadTenant(source, id, loaded, text));
    },
  };
}

/** An answer that was slow may be older than one that has come since: a kill switch must not flip back. */
function keepNewest<T>(cache: QuickLRU<string, Entry<T>>, key: string, entry: Entry<T>): Entry<T> {
  const kept = cache.get(key);
  if (kept !== undefined && kept.askedAt > entry.askedAt) return kept;
  cache.set(key, entry);
  return entry;
}

/** A value that is no good is remembered as such: it is not parsed again for every request. */
function unwrap<T>(loaded: Loaded<T>): T {
  if ("problem" in loaded) throw new Refusal("config_invalid", { detail: loaded.problem });
  return loaded.value;
}

async function readText(kv: Pick<KVNamespace, "get">, key: string): Promise<string | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("timed out")), READ_TIMEOUT_MS);
  });
  try {
    return await Promise.race([kv.get(key, { type: "text", cacheTtl: KV_CACHE_SECONDS }), late]);
  } finally {
    clearTimeout(timer);
  }
}
