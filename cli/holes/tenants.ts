// Holes in what a tenant shows, shares and trusts.
import {
  type ConfigDocument,
  holdersOf,
  isLoopbackHttp,
  namesIn,
  rateBinding,
  type TenantEntry,
} from "../../src/config/schema.ts";
import type { Path } from "../config-file.ts";
import { type Hole, issuersByTenant } from "./hole.ts";

/** What of a Run is the operator's secret more than the user's. */
const CONFIDENTIAL = "instructions";

/** `tiers`: those that wrangler.toml has; null when it cannot be read. */
export function tenantHoles(config: ConfigDocument, tiers: ReadonlySet<string> | null): Hole[] {
  const holders = holdersOf(Object.entries(config.tenants));
  const reached = issuersByTenant(config);
  return Object.entries(config.tenants).flatMap(([id, tenant]) => {
    const path = ["tenants", id];
    return [
      ...unreached(id, reached, path),
      ...exposed(tenant, path),
      ...plainOrigins(tenant, path),
      ...sameKeyTwice(tenant, path),
      ...oneKeyForBoth(tenant, path),
      ...sharedKey(id, config, holders, reached),
      ...missingTier(tenant, tiers, path),
    ];
  });
}

function unreached(id: string, reached: ReadonlyMap<string, number[]>, path: Path): Hole[] {
  if (reached.has(id)) return [];
  return [
    {
      id: "tenant-unreachable",
      path,
      message: `no issuer's tokens can name tenant ${id}, so nobody can stop anything there`,
      cure: "add it to an issuer's 'allow' or 'map', or take it out",
    },
  ];
}

function exposed({ origins, redact }: TenantEntry, path: Path): Hole[] {
  if (origins.length === 0 || redact.includes(CONFIDENTIAL)) return [];
  return [
    {
      id: "exposed-instructions",
      path: [...path, "origins"],
      message: "pages of this tenant are shown the run's instructions, which is your prompt",
      cure: `add "redact": ["${CONFIDENTIAL}"], and "tools" if they are nobody's business either`,
    },
  ];
}

function plainOrigins({ origins }: TenantEntry, path: Path): Hole[] {
  return origins.flatMap((origin, index) =>
    origin.startsWith("http:") && !isLoopbackHttp(origin)
      ? [
          {
            id: "origin-http",
            path: [...path, "origins", index],
            message:
              "a page without https can be changed on its way, and sends its token for whoever did",
            cure: "serve the page over https and name that origin",
          },
        ]
      : [],
  );
}

function sameKeyTwice({ credential, second_credential }: TenantEntry, path: Path): Hole[] {
  if (JSON.stringify(credential) !== JSON.stringify(second_credential)) return [];
  return [
    {
      id: "second-is-first",
      path: [...path, "second_credential"],
      message: "the second credential is the first, so it is no way out when that one is refused",
      cure: "name another key, or take it out until there is one",
    },
  ];
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

/** A key that several tenants have opens all of their runs: then all hangs on the proof. */
function sharedKey(
  id: string,
  { tenants }: ConfigDocument,
  holders: ReadonlyMap<string, readonly string[]>,
  reached: ReadonlyMap<string, number[]>,
): Hole[] {
  const tenant = tenants[id];
  if (tenant === undefined) return [];
  const { ownership } = tenant;
  const issuers = String(reached.get(id));
  const differs = (other: string): boolean => {
    if (ownership.source === "registry") return true;
    if (ownership.source === "grant") return String(reached.get(other)) !== issuers;
    const theirs = tenants[other]?.ownership;
    return (
      ownership.source === "metadata" &&
      theirs?.source === "metadata" &&
      theirs.tenant_key !== ownership.tenant_key
    );
  };
  for (const { member, name } of namesIn(tenant)) {
    const sharer = firstOther(holders.get(name) ?? [], id, differs);
    if (sharer === undefined) continue;
    const how = {
      registry: "its backend can register the other's runs as its own",
      grant: "its issuer, which is not the other's, can grant the other's runs",
      metadata:
        "its runs are told by another metadata key than the other's, which may hold anything",
      credential: "it proves nothing",
    }[ownership.source];
    return [
      {
        id: "shared-key",
        path: ["tenants", id, member],
        message: `tenant ${sharer} has the same upstream key, and ${how}`,
        cure: "give each of them an upstream key (a project, a workspace) of its own",
      },
    ];
  }
  return [];
}

/** Ten thousand may hold one key: a few are looked at, which is enough to find one that differs. */
const LOOKED_AT = 100;

function firstOther(
  holders: readonly string[],
  id: string,
  differs: (other: string) => boolean,
): string | undefined {
  if (holders.length < 2) return undefined;
  return holders.slice(0, LOOKED_AT).find((other) => other !== id && differs(other));
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
