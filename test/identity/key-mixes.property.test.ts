// Documents of good and odd keys in any mix and order: a good key always works, an odd one never does.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readKeyDocument } from "../../src/identity/key-set.ts";
import { verifyCompact } from "../../src/identity/verify.ts";
import { EC, EC_384, ED, type Pair, RSA, RSA_3, shown, UNUSABLE } from "../world/identity-keys.ts";
import { tokenOf } from "../world/identity-stage.ts";

/** More finds more; this many take a quarter of a minute. */
const MIXES = 10_000;

interface Published {
  readonly entry: unknown;
  /** Signed with it: with its `kid`, and without. */
  readonly tokens: readonly string[];
}

async function signedBy(by: Pair): Promise<readonly string[]> {
  const headers = [{}, { kid: undefined }];
  return await Promise.all(headers.map((header) => tokenOf({ by, header }, "https://id.test/", 0)));
}

const GOOD: readonly Published[] = await Promise.all(
  [RSA, RSA_3, EC, EC_384, ED].map(async (by) => ({
    entry: shown(by),
    tokens: await signedBy(by),
  })),
);
const ODD: readonly Published[] = await Promise.all(
  Object.values(UNUSABLE).map(async ({ entry, by }) => ({
    entry,
    tokens: by === undefined ? [] : await signedBy(by),
  })),
);
const JUNK = fc.jsonValue({ maxDepth: 2 }).map((entry): Published => ({ entry, tokens: [] }));

const mixes = fc
  .record({
    good: fc.subarray([...GOOD], { maxLength: 3 }),
    odd: fc.uniqueArray(fc.constantFrom(...ODD), { maxLength: 5 }),
    junk: fc.array(JUNK, { maxLength: 2 }),
  })
  .chain(({ good, odd, junk }) => {
    const all = [...good, ...odd, ...junk];
    const order = fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length });
    return fc.record({ good: fc.constant(good), odd: fc.constant(odd), all: order });
  });

const read = (all: readonly Published[]) =>
  readKeyDocument(
    new TextEncoder().encode(JSON.stringify({ keys: all.map((each) => each.entry) })),
  );

describe(`${MIXES} documents of good and odd keys`, () => {
  it("give what their good keys signed, and nothing else", { timeout: 300_000 }, async () => {
    const seen = { good: 0, odd: 0, empty: 0 };
    const allowed = { allowMissingKid: true };
    await fc.assert(
      fc.asyncProperty(mixes, async ({ good, odd, all }) => {
        if (good.length === 0) {
          await expect(read(all)).rejects.toThrow("the key document");
          seen.empty += 1;
          return;
        }
        const keys = await read(all);
        expect(keys.keys).toHaveLength(good.length);
        for (const token of good.flatMap(({ tokens }) => tokens)) {
          expect(await verifyCompact(token, keys, allowed)).toBeInstanceOf(Uint8Array);
          seen.good += 1;
        }
        for (const token of odd.flatMap(({ tokens }) => tokens)) {
          const verified = await verifyCompact(token, keys, allowed).then(
            () => true,
            () => false,
          );
          expect(verified).toBe(false);
          seen.odd += 1;
        }
      }),
      { numRuns: MIXES },
    );
    // The mix is no straw man.
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(MIXES / 20);
  });
});
