// How many of an isolate's requests at a time may be one address's, one person's or one tenant's, so that
// none of them can shut out the others.

import { ipv6Network } from "../http/address.ts";
import type { Person } from "./person.ts";
import { networkOf } from "./rate.ts";

export interface Share {
  readonly kind: "isolate" | "address" | "person" | "tenant";
  /** Two requests of one name are counted together. */
  readonly name: string;
  /** Requests at a time that are worked on. */
  readonly most: number;
  /** Requests at a time that wait for a run to end. Default: as many as there is room for. */
  readonly mostWaiting?: number;
  /** Requests that wait count as worked on, too. Default: false. */
  readonly includesWaiting?: boolean;
}

const PER_ADDRESS = 128;
/** Of an IPv6 /48: one site may have 65,536 networks that count as one address each. */
const PER_SITE = 256;
/** Far more than a page needs: a backend that stops the runs of many users is one person, too. */
const PER_PERSON = 200;
const PER_TENANT = 256;
/** Requests of one tenant that wait for a run to end. */
const WAITING_PER_TENANT = 512;

/** Before it is known who asks. None for an address of this machine, as for its rate. */
export function sharesOfAddress(address: string | undefined): readonly Share[] {
  const network = address === undefined ? null : networkOf(address);
  if (address === undefined || network === null) return [];
  const kind = "address";
  const own: Share = { kind, name: `address\n${network}`, most: PER_ADDRESS };
  const site = ipv6Network(address, 3);
  return site === null ? [own] : [own, { kind, name: `site\n${site}`, most: PER_SITE }];
}

/** Once it is known who asks. `person`: null for a backend that acts for many users. */
export function sharesOfCaller(tenant: string, person: Person | null): readonly Share[] {
  const name = `tenant\n${tenant}`;
  const shares: Share[] = [
    { kind: "tenant", name, most: PER_TENANT, mostWaiting: WAITING_PER_TENANT },
  ];
  if (person === null) return shares;
  const own = `person\n${tenant}\n${person.issuer}\n${person.subject}`;
  return [{ kind: "person", name: own, most: PER_PERSON, includesWaiting: true }, ...shares];
}
