// An issuer → its keys. Inline keys are taken as they are; remote ones are fetched and kept by age.
// Data is shared between requests, promises are not: one that another request owns may never settle.
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import QuickLRU from "quick-lru";
import * as z from "zod";
import { describeProblem, type Issuer } from "../config/schema.ts";
import { Refusal } from "../failure.ts";
import { parseJson, readBytes } from "../http/body.ts";
import type { Log } from "../logger.ts";

const FRESH_MS = 5 * 60_000;
/** How long good keys outlive an endpoint that does not give new ones. */
const STALE_MS = 60 * 60_000;
/** Between two attempts, successful or not: an unknown `kid` or an outage must not hammer the provider. */
const COOLDOWN_MS = 10_000;
const FETCH_TIMEOUT_MS = 2_000;
/** How often a request looks whether another one's fetch has come back. */
const WAIT_STEP_MS = 20;
const NEVER = Number.NEGATIVE_INFINITY;
const DOCUMENT_BYTES = 64 * 1024;
const ISSUERS_KEPT = 256;

const PublishedKey = z.looseObject({
  kty: z.string(),
  kid: z.string().optional(),
  use: z.string().optional(),
});
type PublishedKey = z.infer<typeof PublishedKey>;

const KeySet = z.object({
  keys: z
    .array(PublishedKey)
    .min(1)
    .max(64)
    .refine((keys) => keys.every((key) => key.kty !== "oct" && !("d" in key)), {
      error: "one of them must not be public",
    })
    .refine(haveNamesOfTheirOwn, { error: "two of them share a kid" }),
});

/** Which of two keys was meant cannot be told; one that encrypts is never meant. */
function haveNamesOfTheirOwn(keys: readonly PublishedKey[]): boolean {
  const kids = keys.flatMap(({ kid, use }) => (kid === undefined || use === "enc" ? [] : [kid]));
  return new Set(kids).size === kids.length;
}

/** Throws `identity_unavailable` when no usable keys can be had. */
export type Keys = (issuer: Issuer, kid: string | undefined) => Promise<JWTVerifyGetKey>;

export interface KeySource {
  readonly fetch: typeof fetch;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly log: Log;
}

interface Kept {
  keys: JWTVerifyGetKey | null;
  kids: ReadonlySet<string>;
  fetchedAt: number;
  attemptedAt: number;
  /** An attempt is under way, in whichever request began it. */
  fetching: boolean;
  /** The last attempt brought no keys. */
  failing: boolean;
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
    kept.attemptedAt = source.now();
    kept.fetching = true;
    try {
      const document = await fetchKeySet(source.fetch, address);
      kept.keys = createLocalJWKSet(document as JSONWebKeySet);
      kept.kids = new Set(document.keys.flatMap(({ kid }) => (kid === undefined ? [] : [kid])));
      kept.fetchedAt = source.now();
      kept.failing = false;
    } catch (error) {
      kept.failing = true;
      source.log("warn", "identity_keys_unavailable", {
        issuer: issuer.issuer,
        detail: error instanceof Error ? error.message : "unknown",
      });
    } finally {
      kept.fetching = false;
    }
  }

  /** Until the request that is fetching has brought its keys, or is taken for dead. */
  async function othersFetch(kept: Kept): Promise<void> {
    const begun = kept.attemptedAt;
    for (let waited = 0; kept.fetching && waited <= FETCH_TIMEOUT_MS; waited += WAIT_STEP_MS) {
      await source.sleep(WAIT_STEP_MS);
    }
    if (kept.fetching && kept.attemptedAt === begun) kept.attemptedAt = NEVER;
  }

  return async (issuer, kid) => {
    if (issuer.jwks !== undefined) return inlineKeys(issuer, issuer.jwks);
    const address = issuer.jwks_uri ?? "";
    const id = `${issuer.issuer}\n${address}`;
    const kept = remote.get(id) ?? noKeys();
    remote.set(id, kept);

    if (!hasKey(kept, kid) && kept.fetching) await othersFetch(kept);
    const due = !hasKey(kept, kid) || source.now() - kept.fetchedAt > FRESH_MS;
    const rested = source.now() - kept.attemptedAt >= COOLDOWN_MS;
    if (due && rested) await refresh(kept, issuer, address);

    const { keys } = kept;
    const old = source.now() - kept.fetchedAt > STALE_MS;
    // A key that is unknown here may be one that the endpoint would have told us about.
    const untold = kept.failing && !hasKey(kept, kid);
    if (keys === null || old || untold) {
      throw new Refusal("identity_unavailable", { detail: issuer.issuer, retryAfterSeconds: 10 });
    }
    return keys;
  };
}

function noKeys(): Kept {
  return {
    keys: null,
    kids: new Set(),
    fetchedAt: NEVER,
    attemptedAt: NEVER,
    fetching: false,
    failing: false,
  };
}

function hasKey({ keys, kids }: Kept, kid: string | undefined): boolean {
  return keys !== null && (kid === undefined || kids.has(kid));
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
  const bytes = await readBytes(response.body, DOCUMENT_BYTES);
  if (bytes === null) throw new Error("the key document is over 64 KiB");
  const parsed = KeySet.safeParse(parseJson(bytes));
  if (!parsed.success) throw new Error(describeProblem(parsed.error));
  return parsed.data;
}
