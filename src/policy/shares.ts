// How many of an isolate's requests at a time may be one address's, one person's or one tenant's, so that
// none of them can shut out the others.
import type { Person } from "./person.ts";
import { networkOf } from "./rate.ts";

export interface Share {
  readonly kind: "address" | "person" | "tenant";
  /** Two requests of one name are counted together. */
  readonly name: string;
  /** Requests at a time. */
  readonly most: number;
  /** Also counts requests that only wait for a run to end. */
  readonly includesWaiting: boolean;
}

const PER_ADDRESS = 128;
/** Far more than a page needs: a backend that stops the runs of many users is one person, too. */
const PER_PERSON = 200;
const PER_TENANT = 256;

/** Before it is known who asks. None for an address of this machine, as for its rate. */
export function sharesOfAddress(address: string | undefined): readonly Share[] {
  const network = address === undefined ? null : networkOf(address);
  if (network === null) return [];
  const name = `address\n${network}`;
  return [{ kind: "address", name, most: PER_ADDRESS, includesWaiting: true }];
}

/** Once it is known who asks. `person`: null for a backend that acts for many users. */
export function sharesOfCaller(tenant: string, person: Person | null): readonly Share[] {
  const name = `tenant\n${tenant}`;
  const shares: Share[] = [{ kind: "tenant", name, most: PER_TENANT, includesWaiting: false }];
  if (person === null) return shares;
  const own = `person\n${tenant}\n${person.issuer}\n${person.subject}`;
  return [{ kind: "person", name: own, most: PER_PERSON, includesWaiting: true }, ...shares];
}
