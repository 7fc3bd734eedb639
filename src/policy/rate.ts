// How often one person may ask: the tenant's tier, counted by the platform, per location.
import { Refusal } from "../failure.ts";
import type { Log } from "../logger.ts";

/** The tiers that a config may name; each is a binding in wrangler.toml. */
export type Tier = "standard" | "strict";
export type RateLimits = Readonly<Record<Tier, Pick<RateLimit, "limit">>>;

const RETRY_AFTER_SECONDS = 10;

export interface RateTools {
  readonly limits: RateLimits;
  readonly log: Log;
}

/** Throws `rate_limited`. A binding that fails lets everybody through: a stop is a safety action. */
export async function assertRate(
  { limits, log }: RateTools,
  tier: Tier | undefined,
  tenant: string,
  subject: string,
): Promise<void> {
  if (tier === undefined) return;
  let within = true;
  try {
    within = (await limits[tier].limit({ key: `${tenant}\n${subject}` })).success;
  } catch (error) {
    log("error", "rate_limit_failed", { tenant, detail: String(error) });
  }
  if (!within) throw new Refusal("rate_limited", { retryAfterSeconds: RETRY_AFTER_SECONDS });
}
