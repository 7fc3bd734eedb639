// Bindings and world → the gateway: who gets which store, clock and network. No decisions but one.
import type { LedgerRpc } from "./audit/ledger.ts";
import type { AuditKv } from "./audit/log.ts";
import { createSigner, NO_SIGNER } from "./audit/sign.ts";
import { createNameSubject } from "./audit/subject.ts";
import { type ConfigStore, createConfigStore } from "./config/store.ts";
import { Refusal } from "./failure.ts";
import type { Gateway } from "./gateway.ts";
import { createKeys } from "./identity/keys.ts";
import type { Log } from "./log.ts";
import type { RateLimits } from "./policy/rate.ts";

/** What the Worker's environment gives, in a narrower type. */
export interface Bindings {
  readonly config: Pick<KVNamespace, "get">;
  readonly audit: AuditKv;
  readonly ledger: (tenant: string) => LedgerRpc;
  readonly limits: RateLimits;
  readonly secret: (name: string) => string | undefined;
}

/** What would be a global otherwise. */
export interface World {
  readonly fetch: typeof fetch;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly newId: () => string;
  readonly log: Log;
}

export function wire(bindings: Bindings, world: World): Gateway {
  const { secret } = bindings;
  const signer = createSigner(secret("AUDIT_SIGNING_KEY"));
  const allowLoopbackHttp = secret("ALLOW_LOOPBACK_HTTP") === "true";
  const store = createConfigStore({ ...world, kv: bindings.config, secret, allowLoopbackHttp });
  return {
    ...world,
    config: signer === null ? refusing(world.log) : store,
    keys: createKeys(world),
    limits: bindings.limits,
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
