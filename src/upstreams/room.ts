// What the replies of upstreams may take of an isolate's memory while they are read: one budget for all of
// its requests. Numbers only: what a request holds is shared with no other.
import { Refusal } from "../failure.ts";

const KIB = 1_024;
const MIB = 1_024 * KIB;

/** In bytes, after decoding. An isolate has 128 MB; a reply that is parsed takes up to four times its size. */
export const ROOM = {
  /** The most that is read of one reply. */
  reply: 16 * MIB,
  /** The most that the replies of one tenant weigh at the same time. */
  tenant: 20 * MIB,
  /** The most that all replies weigh at the same time. */
  isolate: 28 * MIB,
  /** Of each reply so much is not counted: an ordinary run is read while large ones take all the room. */
  free: 32 * KIB,
} as const;

export type RoomLimits = { readonly [Limit in keyof typeof ROOM]: number };

/** What each bracket and each comma weighs beside its own byte: it begins a value, which takes memory. */
const VALUE_WEIGHT = 8;
/**
 * No reply takes so long. A request whose client has left is kept alive, but after 30 s the runtime ends it without
 * a word, and the room that it took must not be lost for ever.
 */
const FORGOTTEN_MS = 30_000;
const RETRY_AFTER_SECONDS = 1;

export interface Room {
  readonly limits: RoomLimits;
  /** A reply to that tenant's request begins to arrive. */
  begin(tenant: string): Share;
}

/** What one reply takes. */
export interface Share {
  /**
   * Counts what has arrived. Answers why no more may be read, or null: `upstream_error` when the reply is
   * over its own limit, `overloaded` when those of others leave no room for it.
   */
  take(chunk: Uint8Array): UnreadBody | null;
  /** The reply has been read, or given up. */
  end(): void;
}

interface Taken {
  readonly tenant: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  weight: number;
}

/** One isolate's. `now`: milliseconds since the epoch. */
export function createRoom(now: () => number, limits: RoomLimits = ROOM): Room {
  /** The oldest comes first. */
  const taken = new Set<Taken>();

  function forget(): void {
    for (const one of taken) {
      if (now() - one.since < FORGOTTEN_MS) break;
      taken.delete(one);
    }
  }

  function weightOf(tenant?: string): number {
    let sum = 0;
    for (const one of taken) if (tenant === undefined || one.tenant === tenant) sum += one.weight;
    return sum;
  }

  return {
    limits,
    begin: (tenant) => {
      const own: Taken = { tenant, since: now(), weight: 0 };
      let bytes = 0;
      let weight = 0;
      // What is refused is not read on: it weighs nothing while its connection is still being closed.
      const refused = (why: UnreadBody): UnreadBody => {
        taken.delete(own);
        return why;
      };
      return {
        take: (chunk) => {
          bytes += chunk.byteLength;
          if (bytes > limits.reply)
            return refused(tooLarge(`the reply is over ${limits.reply} bytes`));
          weight += weightIn(chunk);
          if (weight > limits.tenant) return refused(tooLarge("the reply has too many parts"));
          if (weight <= limits.free) return null;
          forget();
          taken.add(own);
          own.weight = weight;
          const isFull = weightOf(tenant) > limits.tenant || weightOf() > limits.isolate;
          return isFull ? refused(noRoom()) : null;
        },
        end: () => {
          taken.delete(own);
        },
      };
    },
  };
}

const OPENING_BRACKET = 0x5b;
const OPENING_BRACE = 0x7b;
const COMMA = 0x2c;

/** A list of a million empty lists has few bytes and takes much memory, so what it holds is weighed too. */
function weightIn(chunk: Uint8Array): number {
  let values = 0;
  for (const byte of chunk) {
    if (byte === COMMA || byte === OPENING_BRACKET || byte === OPENING_BRACE) values += 1;
  }
  return chunk.byteLength + values * VALUE_WEIGHT;
}

/** A reply came, and what it says was not read to its end. */
export class UnreadBody extends Refusal {}

function tooLarge(detail: string): UnreadBody {
  return new UnreadBody("upstream_error", {
    detail,
    words: "The upstream's answer is larger than this gateway reads.",
  });
}

function noRoom(): UnreadBody {
  return new UnreadBody("overloaded", {
    detail: "no room for the reply",
    words: "The gateway is busy with other large answers. Try again shortly.",
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
