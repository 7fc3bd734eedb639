// Every hole that is known, of a config that passes the schema.
import type { Node } from "jsonc-parser";
import type { ConfigDocument } from "../src/config/schema.ts";
import type { Hole } from "./holes/hole.ts";
import { issuerHoles } from "./holes/issuers.ts";
import { ruleHoles } from "./holes/rules.ts";
import { secretHoles } from "./holes/secrets.ts";
import { tenantHoles } from "./holes/tenants.ts";
import { textHoles } from "./holes/text.ts";
import { upstreamHoles } from "./holes/upstreams.ts";
import type { Secrets } from "./secrets-file.ts";

export interface HoleContext {
  /** The names of wrangler.toml's rate limits; null when they are not known. */
  readonly tiers: ReadonlySet<string> | null;
  /** Null when nobody has said which there are. */
  readonly secrets: Secrets | null;
}

export async function findHoles(
  tree: Node,
  config: ConfigDocument,
  { tiers, secrets }: HoleContext,
): Promise<readonly Hole[]> {
  return [
    ...textHoles(tree),
    ...issuerHoles(config),
    ...upstreamHoles(config),
    ...tenantHoles(config, tiers),
    ...ruleHoles(config),
    ...(secrets === null ? [] : await secretHoles(config, secrets)),
  ];
}
