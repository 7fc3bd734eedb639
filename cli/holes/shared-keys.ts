// Holes in who else has a tenant's upstream key: another tenant, when all hangs on the proof, or another
// server.
import {
  type ConfigDocument,
  CREDENTIALS,
  isLoopbackHttp,
  namesIn,
} from "../../src/config/schema.ts";
import { entriesByTenant, type Hole } from "./hole.ts";

/** A key that a tenant has. */
export interface Held {
  readonly tenant: string;
  readonly member: string;
  /** The same where the key is. */
  readonly name: string;
}

/** By the names that the config gives to keys. */
export function heldByName({ tenants }: ConfigDocument): readonly Held[] {
  return Object.entries(tenants).flatMap(([tenant, entry]) =>
    namesIn(entry).map((named) => ({ tenant, ...named })),
  );
}

/** Those who have one key, on one server. */
interface Holders {
  readonly ids: readonly string[];
  /** One of each is enough to find one that differs, also among ten thousand. */
  readonly byIssuers: ReadonlyMap<string, string>;
  readonly byTenantKey: ReadonlyMap<string, string>;
}

/** A key that several tenants have opens all of their runs: then all hangs on the proof. */
export function sharedKeyHoles(config: ConfigDocument, held: readonly Held[]): Hole[] {
  const reached = entriesByTenant(config);
  const issuersOf = (id: string): string => String(reached.get(id));
  const groups = Map.groupBy(held, ({ tenant, name }) => `${serverOf(config, tenant)} ${name}`);
  const holes = [...groups.values()].flatMap((group) => {
    const ids = [...new Set(group.map(({ tenant }) => tenant))];
    if (ids.length < 2) return [];
    const holders = {
      ids,
      byIssuers: new Map(ids.map((id) => [issuersOf(id), id])),
      byTenantKey: new Map(
        ids.flatMap((id): [string, string][] => {
          const key = tenantKeyOf(config, id);
          return key === null ? [] : [[key, id]];
        }),
      ),
    };
    return group.flatMap(({ tenant, member, name }): Hole[] => {
      const shared = sharerOf(config, tenant, holders, issuersOf);
      if (shared === null) return [];
      const message = `tenant ${shared.sharer} has the same upstream key, and ${shared.how}`;
      const cure = "give each of them an upstream key (a project, a workspace) of its own";
      const hole = { id: "shared-key", path: ["tenants", tenant, member], message, cure };
      // Of two, each is told of the other.
      return [ids.length === 2 ? hole : { ...hole, cause: `${name} ${shared.how}` }];
    });
  });
  // A client's id and its secret are two names of one credential.
  return [...new Map(holes.map((hole) => [String(hole.path), hole])).values()];
}

function sharerOf(
  { tenants }: ConfigDocument,
  id: string,
  { ids, byIssuers, byTenantKey }: Holders,
  issuersOf: (id: string) => string,
): { readonly sharer: string; readonly how: string } | null {
  const ownership = tenants[id]?.ownership;
  const say = (sharer: string | undefined, how: string) =>
    sharer === undefined ? null : { sharer, how };
  switch (ownership?.source) {
    case "registry":
      return say(
        ids.find((other) => other !== id),
        "its backend can register the other's runs as its own",
      );
    case "grant":
      return say(
        firstBut(byIssuers, issuersOf(id)),
        "its issuers, which are not the other's, can grant the other's runs",
      );
    case "metadata":
      return say(
        firstBut(byTenantKey, ownership.tenant_key),
        "its runs are told by another metadata key than the other's, which may hold anything",
      );
    default:
      // The schema refuses it where the key is the proof.
      return null;
  }
}

function firstBut(holders: ReadonlyMap<string, string>, kind: string): string | undefined {
  return holders.entries().find(([other]) => other !== kind)?.[1];
}

function tenantKeyOf({ tenants }: ConfigDocument, id: string): string | null {
  const ownership = tenants[id]?.ownership;
  return ownership?.source === "metadata" ? ownership.tenant_key : null;
}

function serverOf({ tenants, upstreams }: ConfigDocument, id: string): string {
  return new URL(upstreams[tenants[id]?.upstream ?? ""]?.base_url ?? "").origin;
}

/** A secret that is sent to two parties: each can use it at the other's. */
export function shownTwiceHoles(config: ConfigDocument): Hole[] {
  const sent = Object.keys(config.tenants).flatMap((id) => destinationsOf(config, id));
  const first = new Map<string, Sent>();
  const said = new Set<string>();
  return sent.flatMap((each): Hole[] => {
    const { tenant, member, secret, host } = each;
    const before = first.get(secret);
    if (before === undefined) first.set(secret, each);
    if (before === undefined || areOneParty(before.host, host)) return [];
    const once = `${secret} ${host}`;
    if (said.has(once)) return [];
    said.add(once);
    return [
      {
        id: "key-shown-twice",
        path: ["tenants", tenant, member],
        message: `${secret} is sent to ${host} here, and to ${before.host} for tenant ${before.tenant}: whoever runs the one can use it at the other`,
        cure: "give each server a key of its own, under a name of its own",
      },
    ];
  });
}

interface Sent {
  readonly tenant: string;
  readonly member: string;
  /** Its name. */
  readonly secret: string;
  readonly host: string;
}

function destinationsOf(config: ConfigDocument, tenant: string): Sent[] {
  return CREDENTIALS.flatMap((member): Sent[] => {
    const credential = config.tenants[tenant]?.[member];
    if (credential === undefined) return [];
    const [stored, address] =
      "client_credentials" in credential
        ? [credential.client_credentials.client_secret, credential.client_credentials.token_url]
        : [credential, serverOf(config, tenant)];
    if (!("secret" in stored) || isLoopbackHttp(address)) return [];
    return [{ tenant, member, secret: stored.secret, host: new URL(address).hostname }];
  });
}

/** By the last two labels: `eu.api.openai.com` is `api.openai.com`'s owner's too. */
function areOneParty(one: string, other: string): boolean {
  const isAddress = (host: string): boolean => /^[\d.]+$|:/.test(host);
  const ownerOf = (host: string): string =>
    isAddress(host) ? host : host.split(".").slice(-2).join(".");
  return ownerOf(one) === ownerOf(other);
}
