// Holes in what a tenant shows and trusts.

import { isWildcard } from "../../src/config/origins.ts";
import {
  type ConfigDocument,
  isLoopbackHttp,
  rateBinding,
  type TenantEntry,
} from "../../src/config/schema.ts";
import type { Path } from "../config-file.ts";
import { entriesByTenant, type Hole } from "./hole.ts";

/** What of a Run is the operator's secret more than the user's. */
const CONFIDENTIAL = "instructions";
/** The runs of these kinds have none. */
const WITHOUT_INSTRUCTIONS = ["langgraph"];

/** `tiers`: those that wrangler.toml has; null when it cannot be read. */
export function tenantHoles(config: ConfigDocument, tiers: ReadonlySet<string> | null): Hole[] {
  const reached = entriesByTenant(config);
  return Object.entries(config.tenants).flatMap(([id, tenant]) => {
    const path = ["tenants", id];
    return [
      ...unreached(id, tenant, reached, path),
      ...exposed(tenant, config, path),
      ...openOrigins(tenant, path),
      ...sameKeyTwice(tenant, path),
      ...oneKeyForBoth(tenant, path),
      ...missingTier(tenant, tiers, path),
    ];
  });
}

function unreached(
  id: string,
  { enabled }: TenantEntry,
  reached: ReadonlyMap<string, number[]>,
  path: Path,
): Hole[] {
  // One that is switched off is not meant to be reached.
  if (reached.has(id) || !enabled) return [];
  return [
    {
      id: "tenant-unreachable",
      path,
      message: `no issuer's tokens can name tenant ${id}, so nobody can stop anything there`,
      cure: "add it to an issuer's 'allow' or 'map', or take it out",
    },
  ];
}

function exposed(
  { origins, redact, upstream }: TenantEntry,
  { upstreams }: ConfigDocument,
  path: Path,
): Hole[] {
  if (origins.length === 0 || redact.includes(CONFIDENTIAL)) return [];
  if (WITHOUT_INSTRUCTIONS.includes(upstreams[upstream]?.kind ?? "")) return [];
  return [
    {
      id: "exposed-instructions",
      path: [...path, "origins"],
      message: "pages of this tenant are shown the run's instructions, which is your prompt",
      cure: `add "redact": ["${CONFIDENTIAL}"], and "tools" if they are nobody's business either`,
    },
  ];
}

function openOrigins({ origins }: TenantEntry, path: Path): Hole[] {
  return origins.flatMap((origin, index): Hole[] => {
    const at = [...path, "origins", index];
    const isLocal = isLoopbackHttp(origin) || /\.localhost(:\d+)?$/.test(origin);
    if (origin.startsWith("http:") && !isLocal) {
      const message =
        "a page without https can be changed on its way, and then sends its token to the attacker";
      return [
        {
          id: "origin-http",
          path: at,
          message,
          cure: "serve the page over https and name that origin",
        },
      ];
    }
    if (origin.startsWith("file:")) {
      const message = "every file on a person's machine that an app opens has this origin";
      return [
        {
          id: "origin-file",
          path: at,
          message,
          cure: "serve the app's pages under a scheme of its own",
        },
      ];
    }
    if (isWildcard(origin)) {
      const host = origin.slice(origin.indexOf(".") + 1);
      const message = `the star stands for any text: everyone who can register such a name at ${host} has a page that may call`;
      const cure =
        "write out each origin, or keep to text around the star that only your team can have";
      return [{ id: "origin-wildcard", path: at, message, cure }];
    }
    return [];
  });
}

function sameKeyTwice({ credential, second_credential }: TenantEntry, path: Path): Hole[] {
  return JSON.stringify(credential) === JSON.stringify(second_credential)
    ? [secondIsFirst(path)]
    : [];
}

/** `path`: the tenant's. */
export function secondIsFirst(path: Path): Hole {
  return {
    id: "second-is-first",
    path: [...path, "second_credential"],
    message: "the second credential is the first, so it is no way out when that one is refused",
    cure: "name another key, or take it out until there is one",
  };
}

function oneKeyForBoth({ ownership, rules }: TenantEntry, path: Path): Hole[] {
  if (ownership.source !== "metadata" || ownership.tenant_key !== ownership.subject_key) return [];
  if (!rules.some(({ runs }) => runs === "own")) return [];
  return [
    {
      id: "one-metadata-key",
      path: [...path, "ownership", "subject_key"],
      message: "one and the same pair cannot say both whose run it is and which tenant's",
      cure: "have your backend write two pairs on the run, and name both",
    },
  ];
}

function missingTier({ rate }: TenantEntry, tiers: ReadonlySet<string> | null, path: Path): Hole[] {
  if (rate === undefined || tiers === null || tiers.has(rateBinding(rate))) return [];
  return [
    {
      id: "rate-unknown",
      path: [...path, "rate"],
      message: `wrangler.toml has no rate limit ${rateBinding(rate)}, so the gateway answers 503 for this tenant`,
      cure: "add the binding to 'ratelimits' in wrangler.toml and deploy, or name a tier that is there",
    },
  ];
}
