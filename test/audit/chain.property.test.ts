// The hash chain, as whoever verifies an export relies on it: nothing inside can be altered, removed,
// doubled or moved without being named.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chainDefects, genesis, hashOf, type SealedEvent, seal } from "../../src/audit/chain.ts";
import type { AuditEvent } from "../../src/audit/event.ts";
import { aDenial, anEvent, OUTCOME } from "./support.ts";

const TENANT = "acme";

/** Events of either kind with whatever text a person or an upstream may have put into them. */
const someEvent: fc.Arbitrary<AuditEvent> = fc
  .record({
    denied: fc.boolean(),
    sub: fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }),
    reason: fc.option(fc.string({ unit: "binary", maxLength: 40 })),
    run: fc.stringMatching(/^[A-Za-z0-9_-]{1,24}$/),
    ms: fc.nat(30_000),
  })
  .map(({ denied, sub, reason, run, ms }) => {
    const event = denied ? aDenial({ run }) : { ...anEvent({ run }), outcome: { ...OUTCOME, ms } };
    return { ...event, reason, actor: { ...event.actor, sub } };
  });

const someChain: fc.Arbitrary<readonly SealedEvent[]> = fc
  .array(someEvent, { minLength: 2, maxLength: 8 })
  .map(chainOf);

function chainOf(events: readonly AuditEvent[]): SealedEvent[] {
  const chain: SealedEvent[] = [];
  for (const [index, event] of events.entries()) {
    chain.push(seal(event, index + 1, chain.at(-1)?.hash ?? genesis(TENANT)));
  }
  return chain;
}

const someIndex = fc.nat();
const at = (index: number, length: number): number => index % length;

/** The export that a verifier reads: each event went through JSON. */
function defectsOf(events: readonly unknown[]): string[] {
  return chainDefects(TENANT, JSON.parse(JSON.stringify(events)) as AuditEvent[]);
}

/** Where each member of an event is, at any depth. */
function pathsOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [path];
  const inside = Object.entries(value).flatMap(([key, member]) => pathsOf(member, [...path, key]));
  return path.length === 0 ? inside : [path, ...inside];
}

/** A copy with another value at the path; undefined takes the member away. */
function changed(value: unknown, [key, ...rest]: readonly string[], to: unknown): unknown {
  if (key === undefined) return to;
  const members = value as Record<string, unknown>;
  return { ...members, [key]: changed(members[key], rest, to) };
}

const memberAt = (value: unknown, path: readonly string[]): unknown =>
  path.reduce((inner, key) => (inner as Record<string, unknown>)[key], value);

describe("a chain", () => {
  it("as it was made has no defect, in whatever order its events come", () => {
    fc.assert(
      fc.property(someChain, fc.func(fc.integer()), (chain, rank) => {
        const shuffled = chain.toSorted((a, b) => rank(a.id) - rank(b.id));
        expect(defectsOf(shuffled)).toEqual([]);
      }),
    );
  });

  it("without events has no defect", () => {
    expect(defectsOf([])).toEqual([]);
  });

  it("shows the change of any member, at any depth, in any event", () => {
    fc.assert(
      fc.property(someChain, someIndex, someIndex, fc.jsonValue(), (chain, index, member, to) => {
        const place = at(index, chain.length);
        const event = chain[place];
        const paths = pathsOf(event);
        const path = paths[at(member, paths.length)] ?? [];
        fc.pre(JSON.stringify(memberAt(event, path)) !== JSON.stringify(to));
        const altered = changed(event, path, to) as SealedEvent;
        expect(defectsOf(chain.with(place, altered))).not.toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it("shows each single member that is changed, emptied or taken away", () => {
    const chain = chainOf([anEvent(), { ...anEvent(), outcome: OUTCOME }, aDenial()]);
    for (const [place, event] of chain.entries()) {
      for (const path of pathsOf(event)) {
        const was = memberAt(event, path);
        const others = ["changed", null, undefined, 7, true, {}].filter((to) => to !== was);
        for (const to of others) {
          const altered = changed(event, path, to) as SealedEvent;
          expect(
            defectsOf(chain.with(place, altered)),
            `event ${place + 1}: ${path.join(".")} to ${to}`,
          ).not.toEqual([]);
        }
      }
    }
  });

  it("shows a member that was added, at any depth", () => {
    fc.assert(
      fc.property(someChain, someIndex, someIndex, fc.jsonValue(), (chain, index, inside, to) => {
        const place = at(index, chain.length);
        const objects = [[], ["actor"], ["target"], ["decision"], ["request"], ["gateway"]];
        const path = [...(objects[at(inside, objects.length)] ?? []), "note"];
        const altered = changed(chain[place], path, to) as SealedEvent;
        expect(defectsOf(chain.with(place, altered))).not.toEqual([]);
      }),
    );
  });

  it("shows any byte that was changed in an exported line", () => {
    fc.assert(
      fc.property(
        someChain,
        someIndex,
        someIndex,
        fc.integer({ min: 1, max: 127 }),
        (chain, index, offset, flip) => {
          const place = at(index, chain.length);
          const event = chain[place];
          const bytes = new TextEncoder().encode(JSON.stringify(event));
          const spot = at(offset, bytes.length);
          bytes[spot] = (bytes[spot] ?? 0) ^ flip;
          const read = parsed(new TextDecoder().decode(bytes));
          // A line that is no JSON any more is found by whoever reads it; one that still says the
          // same (an escape in capitals) is not altered.
          fc.pre(typeof read === "object" && read !== null);
          fc.pre(JSON.stringify(read) !== JSON.stringify(event));
          expect(defectsOf(chain.with(place, read as SealedEvent))).not.toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("shows an event that was removed before its end, by its number", () => {
    fc.assert(
      fc.property(someChain, someIndex, (chain, index) => {
        const place = at(index, chain.length - 1);
        expect(defectsOf(chain.toSpliced(place, 1))).toContain(
          `sequence ${place + 1} is missing before ${place + 2}`,
        );
      }),
    );
  });

  it("shows an event that is there twice, by its number", () => {
    fc.assert(
      fc.property(someChain, someIndex, someIndex, (chain, index, where) => {
        const event = chain[at(index, chain.length)];
        expect(
          defectsOf(
            [...chain].toSpliced(at(where, chain.length + 1), 0, ...(event ? [event] : [])),
          ),
        ).toEqual([`sequence ${event?.seq} was given twice`]);
      }),
    );
  });

  it("shows two events that changed places", () => {
    fc.assert(
      fc.property(someChain, someIndex, someIndex, (chain, one, other) => {
        const [a, b] = [chain[at(one, chain.length)], chain[at(other, chain.length)]];
        fc.pre(a !== undefined && b !== undefined && a.seq !== b.seq);
        if (a === undefined || b === undefined) return;
        // With their numbers swapped, and even with hashes that fit them again.
        const moved = [
          { ...a, seq: b.seq },
          { ...b, seq: a.seq },
        ];
        const rehashed = moved.map((event) => ({ ...event, hash: hashOf(event) }));
        for (const pair of [moved, rehashed]) {
          const rest = chain.filter((event) => event !== a && event !== b);
          expect(defectsOf([...rest, ...pair])).not.toEqual([]);
        }
      }),
    );
  });

  it("shows an event that was altered and hashed again, unless it is the last", () => {
    fc.assert(
      fc.property(someChain, someIndex, fc.string(), (chain, index, reason) => {
        const place = at(index, chain.length - 1);
        const event = chain[place];
        fc.pre(event !== undefined && reason !== event.reason);
        if (event === undefined) return;
        const altered = { ...event, reason };
        const forged = { ...altered, hash: hashOf(altered) };
        expect(defectsOf(chain.with(place, forged))).toEqual([
          `event ${place + 2} does not follow the one before it`,
        ]);
      }),
    );
  });

  it("shows events of another tenant, and another tenant's chain", () => {
    fc.assert(
      fc.property(fc.array(someEvent, { minLength: 1, maxLength: 4 }), (events) => {
        const chain = chainOf(events);
        expect(chainDefects("globex", chain)).toContain("event 1 is of another tenant");
        expect(chainDefects("globex", chain)).toContain(
          "event 1 does not follow the one before it",
        );
      }),
    );
  });

  it("takes no notice of events that went straight to KV", () => {
    const chain = chainOf([anEvent(), aDenial()]);
    const signature = { kid: "test-1", value: "e30..c2ln" };
    expect(defectsOf([...chain, { ...anEvent(), signature }])).toEqual([]);
  });

  it.each([{ toString: false }, "1", true, []])(
    "reports a sequence number that is %j, and ids of any kind",
    (seq) => {
      const [event, ...rest] = chainOf([anEvent(), anEvent()]);
      const altered = { ...event, seq, id: { toString: false } } as unknown as AuditEvent;
      expect(defectsOf([altered, ...rest])).toContain("event ? has lost its sequence number");
    },
  );

  it("reports half a surrogate pair as the alteration it is", () => {
    const [event, ...rest] = chainOf([anEvent(), anEvent()]);
    expect(defectsOf([{ ...event, reason: "\ud800" }, ...rest])).toEqual(["event 1 was altered"]);
  });
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
