// How often one may ask: an address before it is known who asks, a person after. Counted by the
// platform, per location.
import { Refusal } from "../failure.ts";
import { ipv6Network } from "../http/address.ts";
import type { Log } from "../logger.ts";
import { within } from "../within.ts";
import type { Person } from "./person.ts";

export type Limit = Pick<RateLimit, "limit">;

export interface RateLimits {
  /** Of one address; undefined when wrangler.toml has no such binding. */
  readonly address: Limit | undefined;
  /** Of one person, by the name that a tenant's `rate` gives. */
  readonly tier: (name: string) => Limit | undefined;
}

const RETRY_AFTER_SECONDS = 10;

export interface RateTools {
  readonly limits: RateLimits;
  readonly sleep: (ms: number) => Promise<void>;
  readonly log: Log;
}

/** A counter that does not answer in this time counts as one that fails. */
const TIMEOUT_MS = 500;

/** Throws `rate_limited`. An address of this machine is no visitor's: nobody comes from there over a network. */
export async function assertAddressRate(
  { limits, sleep, log }: RateTools,
  address: string | undefined,
): Promise<void> {
  const network = address === undefined ? null : networkOf(address);
  if (network === null) return;
  await assertWithin(limits.address, network, sleep, (detail) =>
    log("error", "rate_limit_failed", { detail }),
  );
}

/** Throws `rate_limited`. */
export async function assertPersonRate(
  { limits, sleep, log }: RateTools,
  tier: string | undefined,
  tenant: string,
  { issuer, subject }: Person,
): Promise<void> {
  if (tier === undefined) return;
  await assertWithin(limits.tier(tier), `${tenant}\n${issuer}\n${subject}`, sleep, (detail) =>
    log("error", "rate_limit_failed", { tenant, detail }),
  );
}

/** A counter that fails lets everybody through: a stop is a safety action. */
async function assertWithin(
  limit: Limit | undefined,
  key: string,
  sleep: RateTools["sleep"],
  failed: (detail: string) => void,
): Promise<void> {
  if (limit === undefined) return;
  let isWithin = true;
  try {
    isWithin = (await within({ sleep }, TIMEOUT_MS, limit.limit({ key }))).success;
  } catch (error) {
    failed(String(error));
  }
  if (!isWithin) throw new Refusal("rate_limited", { retryAfterSeconds: RETRY_AFTER_SECONDS });
}

/** An IPv4 address, or the /64 of an IPv6 one: whoever has one of its addresses has them all. */
export function networkOf(address: string): string | null {
  if (address.startsWith("127.") || address === "::1") return null;
  return address.includes(":") ? ipv6Network(address, 4) : address;
}
