// A hole: what a config that passes the schema still lets happen, and how to close it.
import { type ConfigDocument, type Issuer, tenantsOf } from "../../src/config/schema.ts";
import type { Path } from "../config-file.ts";

export interface Hole {
  /** A name for machines, and for `--allow`. */
  readonly id: string;
  /** The member at fault. */
  readonly path: Path;
  /** Where it stands, when the path does not say: a comment, the first of two members of one name. */
  readonly offset?: number;
  /** What is wrong, and what it lets happen. No value that could be a secret. */
  readonly message: string;
  /** How to close it. */
  readonly cure: string;
  /** What several tenants have in common, where the message cannot show it: it names one of them. */
  readonly cause?: string;
}

/** Tokens that come in a header of their own count on the audit routes only. */
export function mayCancel({ token_header }: Issuer): boolean {
  return token_header === "authorization";
}

/** By tenant: the places in `issuers` of those whose tokens can cancel there. */
export function entriesByTenant({ issuers }: ConfigDocument): ReadonlyMap<string, number[]> {
  const reached = new Map<string, number[]>();
  for (const [index, issuer] of issuers.entries()) {
    if (!mayCancel(issuer)) continue;
    for (const tenant of tenantsOf(issuer)) {
      const others = reached.get(tenant);
      if (others === undefined) reached.set(tenant, [index]);
      else others.push(index);
    }
  }
  return reached;
}

/** One line, and not ten thousand, where one member is at fault for many tenants. */
export function tenantAnd(first: string, count: number): string {
  if (count < 2) return `tenant ${first}`;
  return `tenant ${first} and ${count === 2 ? "one more" : `${count - 1} others`}`;
}
