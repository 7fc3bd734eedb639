// Every hole that is known, of a config that passes the schema.
import type { Node } from "jsonc-parser";
import type { ConfigDocument } from "../src/config/schema.ts";
import { grantedHoles } from "./holes/granted.ts";
import type { Hole } from "./holes/hole.ts";
import { issuerHoles } from "./holes/issuers.ts";
import { keyHoles } from "./holes/keys.ts";
import { ruleHoles } from "./holes/rules.ts";
import { secretHoles } from "./holes/secrets.ts";
import { heldByName, sharedKeyHoles, shownTwiceHoles } from "./holes/shared-keys.ts";
import { tenantHoles } from "./holes/tenants.ts";
import { droppedHoles, textHoles, withoutSecrets } from "./holes/text.ts";
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
  const holes = [
    ...textHoles(tree),
    ...droppedHoles(tree),
    ...issuerHoles(config),
    ...grantedHoles(config),
    ...(await keyHoles(config)),
    ...upstreamHoles(config),
    ...tenantHoles(config, tiers),
    ...sharedKeyHoles(config, heldByName(config)),
    ...shownTwiceHoles(config),
    ...ruleHoles(config),
    ...(secrets === null ? [] : await secretHoles(config, secrets)),
  ];
  const safe = withoutSecrets(tree);
  return once(holes).map((hole) => ({ ...hole, message: safe(hole.message) }));
}

/** What the names of two secrets tell already, their values tell again. */
function once(holes: readonly Hole[]): readonly Hole[] {
  const said = new Set<string>();
  return holes.filter(({ id, path, offset }) => {
    const what = JSON.stringify([id, path, offset]);
    const isNew = !said.has(what);
    said.add(what);
    return isNew;
  });
}
