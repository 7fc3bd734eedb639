// The gateway: everything a journey may use, made once per isolate from bindings and world. Decides
// nothing but that without its signing key it serves nobody.
import type { AuditTools } from "./audit/journal.ts";
import type { LedgerRpc } from "./audit/ledger.ts";
import type { AuditKv } from "./audit/log.ts";
import { createSigner, NO_SIGNER } from "./audit/sign.ts";
import { createNameSubject } from "./audit/subject.ts";
import { createAccessTokens } from "./config/access-tokens.ts";
import { createEncryptionKeys } from "./config/credentials.ts";
import { type ConfigStore, createConfigStore } from "./config/store.ts";
import { Refusal } from "./failure.ts";
import { createKeyShelf } from "./identity/key-shelf.ts";
import { createKeys, type Keys } from "./identity/keys.ts";
import type { Log } from "./logger.ts";
import type { RateLimits } from "./policy/rate.ts";
import { createHealths, type Health } from "./upstreams/health.ts";
import { createRoom, type Room } from "./upstreams/room.ts";

/** What the Worker's environment gives, in a narrower type. */
export interface Bindings {
  readonly config: Pick<KVNamespace, "get">;
  readonly audit: AuditKv;
  readonly ledger: (tenant: string) => LedgerRpc;
  /** Shared by the isolates of one place, for identity providers' keys. */
  readonly keyCache: () => Promise<Pick<Cache, "match" | "put">>;
  readonly limits: RateLimits;
  readonly secret: (name: string) => string | undefined;
}

/** What would be a global otherwise. */
export interface World {
  readonly fetch: typeof fetch;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** A new UUIDv7. */
  readonly newId: () => string;
  /** At least 0, less than 1. For jitter only. */
  readonly random: () => number;
  readonly log: Log;
}

export interface Gateway extends World {
  readonly config: ConfigStore;
  readonly keys: Keys;
  readonly limits: RateLimits;
  readonly healthOf: (baseUrl: string) => Health;
  readonly room: Room;
  readonly audit: AuditTools;
}

export function createGateway(bindings: Bindings, world: World): Gateway {
  const { secret } = bindings;
  const signer = createSigner(secret("AUDIT_SIGNING_KEY"));
  const store = createConfigStore({
    ...world,
    kv: bindings.config,
    secret,
    encryptionKeys: createEncryptionKeys(secret),
    accessTokens: createAccessTokens(world),
    hasTier: (name) => bindings.limits.tier(name) !== undefined,
    allowLoopbackHttp: secret("ALLOW_LOOPBACK_HTTP") === "true",
  });
  return {
    ...world,
    config: signer === null ? refusing(world.log) : store,
    keys: createKeys({ ...world, shelf: createKeyShelf(bindings.keyCache, world.sleep) }),
    limits: bindings.limits,
    healthOf: createHealths(world.now),
    room: createRoom(world.now),
    audit: {
      ...world,
      ledger: bindings.ledger,
      kv: bindings.audit,
      signer: signer ?? NO_SIGNER,
      nameSubject: createNameSubject(secret("AUDIT_SUBJECT_KEY")),
    },
  };
}

/** Without its signing key the gateway could not keep its promise of a record, so it serves nobody. */
function refusing(log: Log): ConfigStore {
  const detail = "the secret AUDIT_SIGNING_KEY is not a private Ed25519 JWK with a kid";
  log("error", "config_invalid", { detail });
  const refuse = (): Promise<never> => Promise.reject(new Refusal("config_invalid", { detail }));
  return { base: refuse, tenant: refuse };
}
