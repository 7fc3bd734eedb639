// Which person a caller is. The same subject of two issuers is two people, unless the tenant's config says
// that those issuers name the same people.
import type { Tenant } from "../config/load.ts";

export interface Person {
  readonly issuer: string;
  readonly subject: string;
}

type Names = Pick<Tenant, "subjectIssuers">;

/** The caller under one name, whichever of the tenant's `subject_issuers` the token is from. */
export function personOf({ subjectIssuers }: Names, caller: Person): Person {
  const [first] = subjectIssuers;
  const isOneOfThem = first !== undefined && subjectIssuers.includes(caller.issuer);
  return { issuer: isOneOfThem ? first : caller.issuer, subject: caller.subject };
}

/** The person whom a registration names. `by`: the issuer of the backend that registers. */
export function ownerOf({ subjectIssuers }: Names, subject: string, by: string): Person {
  return { issuer: subjectIssuers[0] ?? by, subject };
}

/**
 * The name that the caller's own runs carry as their owner's. Null for a caller of an issuer whose
 * subjects no owner is named by: such a caller owns no run.
 */
export function ownerNameOf({ subjectIssuers }: Names, caller: Person): string | null {
  return subjectIssuers.includes(caller.issuer) ? caller.subject : null;
}
