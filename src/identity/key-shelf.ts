// Key documents that the isolates of one place share, in the Cache API, so that a new isolate need not
// ask the provider. A document keeps the time at which the provider gave it: moving does not rejuvenate.
import * as z from "zod";

/** A cache that does not answer at once is no help. */
const TIMEOUT_MS = 250;

export interface Shelved {
  /** When the provider was asked for it, in milliseconds since the epoch. */
  readonly fetchedAt: number;
  /** The document as it was published; it is checked again by whoever takes it. */
  readonly document: string;
}

/** Never throws: a shelf that cannot be reached is an empty one. */
export interface KeyShelf {
  read(id: string): Promise<Shelved | null>;
  write(id: string, shelved: Shelved, keepSeconds: number): Promise<void>;
}

const Entry = z.object({ fetchedAt: z.number(), document: z.string() });

export function createKeyShelf(
  open: () => Promise<Pick<Cache, "match" | "put">>,
  sleep: (ms: number) => Promise<void>,
): KeyShelf {
  const inTime = async <T>(work: Promise<T>): Promise<T | undefined> =>
    await Promise.race([work.catch(() => undefined), sleep(TIMEOUT_MS).then(() => undefined)]);

  async function match(id: string): Promise<unknown> {
    const response = await (await open()).match(addressOf(id));
    return response === undefined ? undefined : await response.json();
  }

  return {
    read: async (id) => Entry.safeParse(await inTime(match(id))).data ?? null,
    write: async (id, shelved, keepSeconds) => {
      const headers = { "cache-control": `max-age=${keepSeconds}` };
      const response = Response.json(shelved, { headers });
      await inTime(open().then((cache) => cache.put(addressOf(id), response)));
    },
  };
}

/** The cache is keyed by address; nobody is ever asked at this one (RFC 2606 §2). */
function addressOf(id: string): string {
  return `https://keys.invalid/?${new URLSearchParams({ id })}`;
}
