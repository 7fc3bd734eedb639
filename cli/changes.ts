// What applying a config would change, for whom: the pairs that KV has against those that serve the file.
// Pure.
import { isDeepStrictEqual } from "node:util";
import { BASE_KEY, TENANT_PREFIX } from "../src/config/kv-keys.ts";
import type { Pair } from "./config-kv/kv.ts";

export interface Change {
  readonly key: string;
  /** The tenant; null for what all share. */
  readonly tenant: string | null;
  readonly kind: "added" | "removed" | "changed";
  /** Of what has changed: the members, with what they were and will be. */
  readonly members: readonly MemberChange[];
  /** What there is to know about it. */
  readonly notes: readonly string[];
}

export interface MemberChange {
  readonly member: string;
  /** Undefined: it is not there. */
  readonly before: unknown;
  readonly after: unknown;
}

type Json = Readonly<Record<string, unknown>>;

/** `present`: the keys that are there; `current`: the values of those that differ, or may. */
export function changesFor(
  present: ReadonlySet<string>,
  current: ReadonlyMap<string, string>,
  wanted: readonly Pair[],
): readonly Change[] {
  const kept = new Set(wanted.map(({ key }) => key));
  const removed = [...present]
    .filter((key) => !kept.has(key))
    .map((key) => change(key, "removed", [], ["its callers are refused"]));
  const others = wanted.flatMap(({ key, value }): Change[] => {
    if (!present.has(key)) return [change(key, "added", [], [])];
    const before = current.get(key);
    if (before === undefined || before === value) return [];
    const old = parse(before);
    if (old === null) return [change(key, "changed", [], ["unreadable as it is; replaced"])];
    const members = membersOf(key, old, JSON.parse(value) as Json);
    // The same, written otherwise: it is written again, and nobody need hear of it.
    return [change(key, "changed", members, notesFor(members))];
  });
  return [...removed, ...others];
}

function change(
  key: string,
  kind: Change["kind"],
  members: readonly MemberChange[],
  notes: readonly string[],
): Change {
  const tenant = key === BASE_KEY ? null : key.slice(TENANT_PREFIX.length);
  return { key, tenant, kind, members, notes };
}

function parse(text: string): Json | null {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null && !Array.isArray(json)
      ? (json as Json)
      : null;
  } catch {
    return null;
  }
}

function membersOf(key: string, before: Json, after: Json): readonly MemberChange[] {
  if (key !== BASE_KEY) return differing("", before, after);
  return [
    ...differing("issuers ", byIssuer(before["issuers"]), byIssuer(after["issuers"])),
    ...differing("upstreams ", recordOf(before["upstreams"]), recordOf(after["upstreams"])),
    ...differing("", sharedOf(before), sharedOf(after)),
  ];
}

function sharedOf({ origins, shared_credentials: shared }: Json): Json {
  // Each is the JSON of what it names.
  const named = Array.isArray(shared)
    ? shared.map((name: unknown) => (typeof name === "string" ? (parse(name) ?? name) : name))
    : shared;
  return { origins, shared_credentials: named };
}

/** By the name of each; a second entry of the same name is told from the first by its number. */
function byIssuer(issuers: unknown): Json {
  if (!Array.isArray(issuers)) return {};
  const met = new Map<string, number>();
  return Object.fromEntries(
    issuers.map((issuer: unknown, index) => {
      const name =
        typeof issuer === "object" && issuer !== null && "issuer" in issuer
          ? String(issuer.issuer)
          : String(index);
      const count = (met.get(name) ?? 0) + 1;
      met.set(name, count);
      return [count === 1 ? name : `${name} (${count})`, issuer];
    }),
  );
}

function recordOf(value: unknown): Json {
  return typeof value === "object" && value !== null ? (value as Json) : {};
}

function differing(prefix: string, before: Json, after: Json): readonly MemberChange[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names]
    .filter((name) => !isDeepStrictEqual(before[name], after[name]))
    .map((name) => ({
      member: `${prefix}${name}`,
      before: before[name],
      after: after[name],
    }));
}

function notesFor(members: readonly MemberChange[]): readonly string[] {
  return members.flatMap(({ member, before, after }) => {
    if (member === "enabled") return [after === false ? "switched off" : "switched on"];
    const [old, now] = [addressOf(before), addressOf(after)];
    if (!member.startsWith("upstreams ") || old === null || now === null || old === now) return [];
    return [
      "for up to 90 s some places send the key that belongs to the old address to the new one, or the other way round; if these are two services, give the new address a name of its own",
    ];
  });
}

function addressOf(value: unknown): string | null {
  return typeof value === "object" && value !== null && "base_url" in value
    ? String(value.base_url)
    : null;
}

/** A change to whose tokens count and one to what they may do arrive at different moments. */
export function mixtureNote(changes: readonly Change[]): string | null {
  const base = changes.find(({ tenant }) => tenant === null);
  const issuers = base?.members.some(({ member }) => member.startsWith("issuers ")) === true;
  const policy = changes.some(
    ({ tenant, members }) =>
      tenant !== null &&
      members.some(({ member }) => ["rules", "ownership", "assistants"].includes(member)),
  );
  if (!issuers || !policy) return null;
  return "Issuers and rules change together: for up to 90 s some places have the new of one and the old of the other. Where that could let somebody through, apply the stricter part first.";
}

/**
 * Switched off first: a kill switch waits for nobody. Then what is shared, so that whose tokens count no
 * longer, and which credentials have come to prove nothing, is known before a tenant relies on it; one
 * whose upstream is gone, or not there yet, is refused meanwhile. No order makes every half of an apply as
 * strict as the stricter version, since a place reads each key on its own: `mixtureNote` and the note on
 * addresses say where that matters.
 */
export function inOrder(pairs: readonly Pair[]): readonly Pair[] {
  const rank = ({ key, value }: Pair): number =>
    key === BASE_KEY ? 1 : parse(value)?.["enabled"] === false ? 0 : 2;
  const ranked = pairs.map((pair) => ({ pair, rank: rank(pair) }));
  return ranked.toSorted((one, other) => one.rank - other.rank).map(({ pair }) => pair);
}
