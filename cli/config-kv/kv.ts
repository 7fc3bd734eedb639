// The KV namespace that the config lives in, as the commands use it: here or at Cloudflare.
import { createHash } from "node:crypto";
import { BASE_KEY, TENANT_PREFIX, tenantKey } from "../../src/config/kv-keys.ts";
import { baseOf, type ConfigDocument } from "../../src/config/schema.ts";

export interface Pair {
  readonly key: string;
  readonly value: string;
}

/** Called with how many more are done. */
export type Progress = (count: number) => void;

export interface ConfigKv {
  /** What messages call it. */
  readonly name: string;
  /** Every key of a config, and the digest that was written with it; null where there is none. */
  readonly list: () => Promise<ReadonlyMap<string, string | null>>;
  /** The values of those keys; a key that is not there is left out. */
  readonly read: (keys: readonly string[], done: Progress) => Promise<ReadonlyMap<string, string>>;
  readonly write: (pairs: readonly Pair[], done: Progress) => Promise<void>;
  readonly remove: (keys: readonly string[], done: Progress) => Promise<void>;
  /** How long a read may lag behind a write, in milliseconds. */
  readonly lagMs: number;
  readonly close: () => Promise<void>;
}

/** The pairs that serve a config: one for what all share, one per tenant. */
export function pairsOf(config: ConfigDocument): readonly Pair[] {
  const tenants = Object.entries(config.tenants).map(([id, tenant]) => ({
    key: tenantKey(id),
    value: JSON.stringify(tenant),
  }));
  return [{ key: BASE_KEY, value: JSON.stringify(baseOf(config)) }, ...tenants];
}

export function isConfigKey(key: string): boolean {
  return key === BASE_KEY || key.startsWith(TENANT_PREFIX);
}
/** Both begin so: a list needs one prefix. */
export const CONFIG_PREFIX = "c1:";

/** Written beside each value, so that a list tells which have changed. */
export interface Metadata {
  readonly sha256: string;
}

export function digestOf(value: string): string {
  return createHash("sha256").update(value).digest("base64url");
}

export function digestIn(metadata: unknown): string | null {
  const digest: unknown =
    typeof metadata === "object" && metadata !== null && "sha256" in metadata
      ? metadata.sha256
      : null;
  return typeof digest === "string" ? digest : null;
}

export function chunksOf<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
