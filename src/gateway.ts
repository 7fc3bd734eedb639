// Everything a journey may use: stores, keys, clock, network. Made once per isolate by `index.ts`.
import type { AuditTools } from "./audit/journal.ts";
import type { ConfigStore } from "./config/store.ts";
import type { Keys } from "./identity/keys.ts";
import type { Log } from "./log.ts";
import type { RateLimits } from "./policy/rate.ts";

export interface Gateway {
  readonly config: ConfigStore;
  readonly keys: Keys;
  readonly limits: RateLimits;
  readonly audit: AuditTools;
  readonly fetch: typeof fetch;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** A new UUIDv7. */
  readonly newId: () => string;
  readonly log: Log;
}
