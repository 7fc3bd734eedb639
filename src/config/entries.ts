// Several entries of one issuer: which of them a token is for, and whether one stands before another.

/** What tells the entries of one issuer apart. */
export interface Discriminants {
  readonly audiences: readonly string[];
  readonly audience_claim: string | readonly string[];
  readonly claims: Readonly<Record<string, ClaimWanted>>;
  readonly token_header: string;
}

type ClaimValue = string | boolean | null;
export type ClaimWanted = ClaimValue | readonly ClaimValue[];

/** The values of which a claim must have one; null: it may be missing. */
export function valuesOf(wanted: ClaimWanted): readonly ClaimValue[] {
  return Array.isArray(wanted) ? wanted : [wanted as ClaimValue];
}

/** Whether every token that is for `entry` is for `other` too, by what the two ask for. */
export function covers(other: Discriminants, entry: Discriminants): boolean {
  return (
    other.token_header === entry.token_header &&
    nameOf(other.audience_claim) === nameOf(entry.audience_claim) &&
    entry.audiences.every((audience) => other.audiences.includes(audience)) &&
    Object.entries(other.claims).every(([name, wanted]) => {
      const own = Object.hasOwn(entry.claims, name) ? entry.claims[name] : undefined;
      if (own === undefined) return false;
      return valuesOf(own).every((value) => valuesOf(wanted).includes(value));
    })
  );
}

/** One spelling of a path: a name alone and a list of that one name are the same. */
function nameOf(path: string | readonly string[]): string {
  return JSON.stringify([path].flat());
}
