// The hash chain that shows if an event was ever altered. Pure: the ledger and any verifier share it.
import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import type { AuditEvent } from "./event.ts";

/** Keeps a chain's first link apart from anything else that is hashed. */
const GENESIS_DOMAIN = "stopgate-genesis-v1\0";

export type SealedEvent = AuditEvent & {
  readonly seq: number;
  readonly prev: string;
  readonly hash: string;
};

/** What the first event of a tenant has as `prev`: fixed by the tenant, so that it cannot be cut. */
export function genesis(tenant: string): string {
  return sha256(GENESIS_DOMAIN + tenant);
}

/**
 * SHA-256, in hex, of the event's canonical JSON (RFC 8785) without `hash`; `prev` is inside. Throws
 * for what has no canonical form: half a surrogate pair.
 */
export function hashOf(event: AuditEvent): string {
  const { hash: _, ...hashed } = event;
  return sha256(canonicalize(hashed) ?? "");
}

/** The event with its place in the chain. */
export function seal(event: AuditEvent, seq: number, prev: string): SealedEvent {
  const placed = { ...event, seq, prev, hash: null };
  return { ...placed, hash: hashOf(placed) };
}

/**
 * Recomputes the chain over events of one tenant, in any order, and says in words what does not
 * hold; empty when all does. An event that went straight to KV is not of the chain: its signature
 * vouches for it, and is not checked here.
 */
export function chainDefects(tenant: string, events: readonly AuditEvent[]): string[] {
  const sealed = events.filter(isPlaced).sort((a, b) => a.seq - b.seq);
  const defects = events
    .filter((event) => !isPlaced(event) && [event.seq, event.prev, event.hash].some(isSet))
    .map(({ id }) => `event ${typeof id === "string" ? id : "?"} has lost its sequence number`);
  let prev = genesis(tenant);
  let expected = 1;
  for (const event of sealed) {
    if (event.seq > expected) {
      defects.push(`sequence ${expected} is missing before ${event.seq}`);
    } else if (event.seq < expected) {
      defects.push(`sequence ${event.seq} was given twice`);
    } else if (event.prev !== prev) {
      defects.push(`event ${event.seq} does not follow the one before it`);
    }
    if (!isWhole(event)) defects.push(`event ${event.seq} was altered`);
    if (event.tenant !== tenant) defects.push(`event ${event.seq} is of another tenant`);
    prev = event.hash;
    expected = event.seq + 1;
  }
  return defects;
}

/** Events come from files, too: a member may hold anything. */
function isPlaced(event: AuditEvent): event is SealedEvent {
  return typeof event.seq === "number";
}

function isSet(member: unknown): boolean {
  return member !== null;
}

function isWhole(event: SealedEvent): boolean {
  try {
    return hashOf(event) === event.hash;
  } catch {
    return false;
  }
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
