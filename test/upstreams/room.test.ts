// What the replies of upstreams may take of an isolate's memory, and who goes without when it is taken.
import { describe, expect, it } from "vitest";
import { createRoom, ROOM, type Share } from "../../src/upstreams/room.ts";

const MIB = 1_024 * 1_024;
const LARGE = new Uint8Array(MIB);

function open() {
  let nowMs = 0;
  const room = createRoom(() => nowMs);
  return {
    begin: room.begin,
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** A reply of that tenant, as far as it can be read. */
    take: (tenant: string, mebibytes: number): { share: Share; reason: string | null } => {
      const share = room.begin(tenant);
      for (let taken = 0; taken < mebibytes; taken += 1) {
        const unread = share.take(LARGE);
        if (unread === null) continue;
        share.end();
        return { share, reason: unread.reason };
      }
      return { share, reason: null };
    },
  };
}

describe("one reply", () => {
  it("may be 16 MiB, and not a byte more", () => {
    const { share, reason } = open().take("acme", 16);
    expect(reason).toBeNull();
    expect(share.take(new Uint8Array(1))?.reason).toBe("upstream_error");
  });

  it("weighs by what it holds, too: a list of empty lists takes far more than its bytes", () => {
    const lists = new TextEncoder().encode("[],".repeat(MIB));
    expect(open().begin("acme").take(lists)?.reason).toBeUndefined();
    const share = open().begin("acme");
    const taken = Array.from({ length: 5 }, () => share.take(lists)?.reason ?? null);
    expect(taken.at(-1)).toBe("upstream_error");
    expect(5 * lists.byteLength).toBeLessThan(16 * MIB);
  });
});

describe("the replies of one tenant", () => {
  it("leave room for another's", () => {
    const { take } = open();
    expect(take("acme", 16).reason).toBeNull();
    expect(take("acme", 5).reason).toBe("overloaded");
    expect(take("globex", 8).reason).toBeNull();
  });
});

describe("all replies together", () => {
  it("take no more than an isolate has, and what is over gives its room back", () => {
    const { take } = open();
    const first = take("acme", 16);
    expect(take("globex", 12).reason).toBeNull();
    expect(take("initech", 1).reason).toBe("overloaded");
    first.share.end();
    expect(take("initech", 16).reason).toBeNull();
  });

  it("never keep an ordinary run from being read", () => {
    const { take, begin } = open();
    take("acme", 16);
    take("globex", 12);
    for (let run = 0; run < 256; run += 1) {
      expect(begin("acme").take(new Uint8Array(ROOM.free))).toBeNull();
    }
  });

  it("weigh nothing once they are refused, before their connections are closed", () => {
    const { begin } = open();
    const shares = ["acme", "globex", "initech"].map((tenant) => {
      const share = begin(tenant);
      for (let taken = 0; taken < 9; taken += 1) share.take(LARGE);
      return share;
    });
    const refusals = shares.map((share) => share.take(LARGE)?.reason ?? null);
    expect(refusals).toEqual([null, "overloaded", null]);
    const tooLarge = begin("hooli");
    expect(tooLarge.take(new Uint8Array(17 * MIB))?.reason).toBe("upstream_error");
    expect(begin("umbrella").take(new Uint8Array(8 * MIB))).toBeNull();
  });

  it("are forgotten after half a minute, when their requests have ended without a word", () => {
    const { take, pass } = open();
    take("acme", 16);
    take("globex", 12);
    pass(29_999);
    expect(take("initech", 1).reason).toBe("overloaded");
    pass(1);
    expect(take("initech", 8).reason).toBeNull();
  });
});
