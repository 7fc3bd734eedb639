// An issuer → its keys. Inline keys are taken as they are; remote ones are fetched and kept by age.
// Data is shared between requests, promises are not: one that another request owns may never settle.
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import QuickLRU from "quick-lru";
import * as z from "zod";
import type { Issuer } from "../config/schema.ts";
import { Refusal } from "../failure.ts";
import type { Log } from "../log.ts";

const FRESH_MS = 5 * 60_000;
/** How long good keys outlive an endpoint that does not give new ones. */
const STALE_MS = 60 * 60_000;
/** Between two attempts, successful or not: an unknown `kid` or an outage must not hammer the provider. */
const COOLDOWN_MS = 10_000;
const FETCH_TIMEOUT_MS = 2_000;
const DOCUMENT_BYTES = 64 * 1024;
const ISSUERS_KEPT = 256;

const KeySet = z.object({
  keys: z
    .array(z.looseObject({ kty: z.string(), kid: z.string().optional() }))
    .min(1)
    .max(64),
});

/** Throws `identity_unavailable` when no usable keys can be had. */
export type Keys = (issuer: Issuer, kid: string | undefined) => Promise<JWTVerifyGetKey>;

export interface KeySource {
  readonly fetch: typeof fetch;
  readonly now: () => number;
  readonly log: Log;
}

interface Kept {
  keys: JWTVerifyGetKey | null;
  kids: ReadonlySet<string>;
  fetchedAt: number;
  attemptedAt: number;
  failedAt: number;
}

export function createKeys(source: KeySource): Keys {
  const inline = new WeakMap<Issuer, JWTVerifyGetKey>();
  const remote = new QuickLRU<string, Kept>({ maxSize: ISSUERS_KEPT });

  function inlineKeys(issuer: Issuer, jwks: NonNullable<Issuer["jwks"]>): JWTVerifyGetKey {
    const known = inline.get(issuer);
    if (known !== undefined) return known;
    const keys = createLocalJWKSet(jwks as JSONWebKeySet);
    inline.set(issuer, keys);
    return keys;
  }

  async function refresh(kept: Kept, issuer: Issuer, address: string): Promise<void> {
    // Set before the fetch, or every request in the meantime would start its own.
    kept.attemptedAt = source.now();
    try {
      const document = await fetchKeySet(source.fetch, address);
      kept.keys = createLocalJWKSet(document as JSONWebKeySet);
      kept.kids = new Set(document.keys.flatMap(({ kid }) => (kid === undefined ? [] : [kid])));
      kept.fetchedAt = source.now();
    } catch (error) {
      kept.failedAt = source.now();
      source.log("warn", "identity_keys_unavailable", {
        issuer: issuer.issuer,
        detail: error instanceof Error ? error.message : "unknown",
      });
    }
  }

  return async (issuer, kid) => {
    if (issuer.jwks !== undefined) return inlineKeys(issuer, issuer.jwks);
    const address = issuer.jwks_uri ?? "";
    const id = `${issuer.issuer}\n${address}`;
    const kept = remote.get(id) ?? {
      keys: null,
      kids: new Set<string>(),
      fetchedAt: 0,
      attemptedAt: Number.NEGATIVE_INFINITY,
      failedAt: Number.NEGATIVE_INFINITY,
    };
    remote.set(id, kept);
    const now = source.now();
    // Cold requests each fetch for themselves, unless one has just failed.
    const cold = kept.keys === null && now - kept.failedAt >= COOLDOWN_MS;
    const due = now - kept.fetchedAt > FRESH_MS || (kid !== undefined && !kept.kids.has(kid));
    const rested = now - kept.attemptedAt >= COOLDOWN_MS;
    if (cold || (kept.keys !== null && due && rested)) await refresh(kept, issuer, address);
    if (kept.keys === null || source.now() - kept.fetchedAt > STALE_MS) {
      throw new Refusal("identity_unavailable", { detail: issuer.issuer, retryAfterSeconds: 10 });
    }
    return kept.keys;
  };
}

async function fetchKeySet(
  fetcher: typeof fetch,
  address: string,
): Promise<z.infer<typeof KeySet>> {
  const response = await fetcher(address, {
    headers: { accept: "application/json" },
    redirect: "manual",
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`the key endpoint answered ${response.status}`);
  }
  const text = await response.text();
  if (text.length > DOCUMENT_BYTES) throw new Error("the key document is over 64 KiB");
  return KeySet.parse(JSON.parse(text));
}
