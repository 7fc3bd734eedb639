// Makes the local KV say what the config says: every tenant of it, and none that it no longer has.
import { join } from "node:path";
import { getPlatformProxy } from "wrangler";
import { BASE_KEY, TENANT_PREFIX, tenantKey } from "../../src/config/kv-keys.ts";
import { baseOf, type ConfigDocument } from "../../src/config/schema.ts";

const SEED_CONFIG = join(import.meta.dirname, "seed.toml");
/** The folder that wrangler makes below `--persist-to`. */
const STATE_VERSION = "v3";

export async function applyLocally(config: ConfigDocument, persist: string): Promise<void> {
  const platform = await getPlatformProxy<{ CONFIG: KVNamespace }>({
    configPath: SEED_CONFIG,
    persist: { path: join(persist, STATE_VERSION) },
  });
  try {
    const { CONFIG } = platform.env;
    for (const name of await tenantKeys(CONFIG)) {
      if (!Object.hasOwn(config.tenants, name.slice(TENANT_PREFIX.length))) {
        await CONFIG.delete(name);
      }
    }
    for (const [id, tenant] of Object.entries(config.tenants)) {
      await CONFIG.put(tenantKey(id), JSON.stringify(tenant));
    }
    await CONFIG.put(BASE_KEY, JSON.stringify(baseOf(config)));
  } finally {
    await platform.dispose();
  }
}

async function tenantKeys(kv: KVNamespace): Promise<string[]> {
  const names: string[] = [];
  let cursor: string | null = null;
  do {
    const page: KVNamespaceListResult<unknown> = await kv.list({ prefix: TENANT_PREFIX, cursor });
    names.push(...page.keys.map(({ name }) => name));
    cursor = page.list_complete ? null : page.cursor;
  } while (cursor !== null);
  return names;
}
