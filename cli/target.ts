// Where a config goes: the KV on this machine or Cloudflare's. There is no default: the wrong one is no
// small mistake.
import type { Command } from "commander";
import {
  addressesIn,
  type ConfigDocument,
  isLoopbackHttp,
  tokenUrlsIn,
} from "../src/config/schema.ts";
import { UsageError } from "./config-file.ts";
import type { ConfigKv } from "./config-kv/kv.ts";
import { openLocalKv } from "./config-kv/local.ts";
import { openRemoteKv } from "./config-kv/remote.ts";
import { LOCAL_ISSUER } from "./init/issuers.ts";
import { isLocalKid } from "./new-keys.ts";
import { fromHere } from "./shell.ts";

export interface TargetFlags {
  readonly local?: boolean;
  readonly remote?: boolean;
  readonly persist: string;
  readonly namespaceId?: string;
}

export function withTarget(command: Command): Command {
  return command
    .option("--local", "the KV on this machine, that `npm start` serves from")
    .option("--persist <folder>", "where that is kept", fromHere, ".wrangler/stopgate")
    .option("--remote", "Cloudflare's KV, of the Worker that is deployed (needs wrangler login)")
    .option("--namespace-id <id>", "another namespace there than the Worker's own");
}

/** Throws `UsageError` when it is not said which, or when the config cannot be served from there. */
export async function openTarget(
  { local = false, remote = false, persist, namespaceId }: TargetFlags,
  config: ConfigDocument,
): Promise<ConfigKv> {
  if (local === remote) throw new UsageError("Say where to: --local or --remote.");
  if (local && namespaceId !== undefined) {
    throw new UsageError("--namespace-id is of Cloudflare's KV: it goes with --remote.");
  }
  if (local) return await openLocalKv(persist);
  const localIssuer = config.issuers.find(
    ({ issuer, jwks }) => issuer === LOCAL_ISSUER || jwks?.keys.some(({ kid }) => isLocalKid(kid)),
  );
  if (localIssuer !== undefined) {
    throw new UsageError(
      `The config trusts ${localIssuer.issuer}, whose key lies in a file here: take that issuer out first.`,
    );
  }
  const address = loopbackIn(config);
  if (address !== undefined) {
    throw new UsageError(
      `${address} is on this machine: a deployed gateway allows https only, and would serve nobody.`,
    );
  }
  return openRemoteKv(namespaceId);
}

function loopbackIn(config: ConfigDocument): string | undefined {
  const tokenUrls = Object.values(config.tenants).flatMap(tokenUrlsIn);
  return [...addressesIn(config), ...tokenUrls].find(isLoopbackHttp);
}
