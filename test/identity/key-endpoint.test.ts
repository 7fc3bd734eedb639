// The key endpoint over real HTTP: counted where the requests arrive, and unwell in every way that a
// server can be. The clock is the test's own, but not the time that a connection takes.
import { describe, expect, inject, it } from "vitest";
import { createKey } from "../../dev/issuer.ts";
import type { KeyServerAnswer, KeyServerCounts } from "../support/key-server.ts";
import {
  createProvider,
  documentOf,
  MINUTE,
  type ProviderOptions,
  SECOND,
  strangers,
} from "../support/provider.ts";
import { TEST_SECRETS } from "../support/secrets.ts";

const FIRST = await createKey("RS256");
const NEXT = await createKey("RS256");

const times = <T>(count: number, value: T): T[] => Array<T>(count).fill(value);

/** A provider whose keys are really fetched, from `key-server.ts`. */
async function createHttpProvider(options: ProviderOptions = {}) {
  const place = `${inject("keyServer")}/${crypto.randomUUID()}`;
  const answer = async (how: KeyServerAnswer): Promise<void> => {
    await fetch(place, { method: "PUT", body: JSON.stringify(how) });
  };
  await answer({ document: documentOf(FIRST) });
  const secrets: Record<string, string> = { ...TEST_SECRETS, ALLOW_LOOPBACK_HTTP: "true" };
  const provider = await createProvider(FIRST, {
    ...options,
    issuer: { jwks_uri: `${place}/keys`, ...options.issuer },
    bindings: { secret: (name) => secrets[name] },
  });
  provider.state.answer = (input, init) => fetch(input, init);
  const counts = async (): Promise<KeyServerCounts> => await (await fetch(place)).json();
  return { ...provider, answer, counts, fetches: async () => (await counts()).fetches };
}

describe("a key endpoint", () => {
  it("is asked once by two hundred requests at once that find no keys", async () => {
    const { statusesOf, fetches } = await createHttpProvider();
    expect(await statusesOf(times(200, FIRST))).toEqual([200]);
    expect(await fetches()).toBe(1);
  });

  it("is asked at most three times by a burst of two hundred and fifty keys that it does not have", async () => {
    const { statusBy, statusesOf, fetches } = await createHttpProvider();
    await statusBy(FIRST);
    expect(await statusesOf(strangers(NEXT, 250))).toEqual([401]);
    expect((await fetches()) - 1).toBeLessThanOrEqual(3);
  });

  it("is asked once by fifty requests at once with the key of a rotation", async () => {
    const { statusBy, statusesOf, answer, fetches } = await createHttpProvider();
    await statusBy(FIRST);
    await answer({ document: documentOf(FIRST, NEXT) });
    expect(await statusesOf(times(50, NEXT))).toEqual([200]);
    expect(await fetches()).toBe(2);
  });

  it("is never asked about tokens that are malformed or of an unknown issuer", async () => {
    const { statusBy, gateway, fetches } = await createHttpProvider();
    expect(await statusBy(FIRST, { iss: "https://evil.test/" })).toBe(401);
    const headers = { authorization: "Bearer a.b.c" };
    expect((await gateway.request("/v1/threads/t/runs/r", { headers })).status).toBe(401);
    expect(await fetches()).toBe(0);
  });
});

const UNWELL: Record<string, KeyServerAnswer> = {
  "that fails": { status: 500 },
  "that is overloaded": { status: 429 },
  "that is gone": { status: 404 },
  "that hangs": { fault: "hang" },
  "that hangs after its headers": { fault: "hang after the headers" },
  "that drips": { fault: "drip" },
  "that resets": { fault: "reset" },
  "that is empty": { text: "" },
  "that has no keys": { document: { keys: [] } },
  "that is a page": { text: "<!doctype html><title>Down for maintenance</title>" },
  "that redirects": { fault: "redirect" },
  "of ten megabytes": { fault: "huge" },
};

describe("a key endpoint", () => {
  it.each(Object.entries(UNWELL))(
    "%s is not felt within the bound by those whose keys are known, is 503 beyond it, and recovers",
    { timeout: 60_000 },
    async (_, unwell) => {
      const { state, statusBy, statusesOf, answer, counts } = await createHttpProvider();
      expect(await statusBy(FIRST)).toBe(200);
      const start = state.nowMs;
      await answer(unwell);
      for (const minutes of [4.5, 31, 60]) {
        state.nowMs = start + minutes * MINUTE;
        expect(await statusesOf(times(20, FIRST))).toEqual([200]);
      }
      expect(await statusBy(NEXT)).toBe(503);
      state.nowMs = start + 60 * MINUTE + 1;
      expect(await statusesOf([...times(20, FIRST), ...strangers(NEXT, 5)])).toEqual([503]);
      expect(await statusBy(FIRST, { iss: "https://id.healthy.test/" })).toBe(200);
      const { fetches, elsewhere } = await counts();
      expect(fetches).toBeLessThanOrEqual(6);
      expect(elsewhere).toBe(0);
      const endless = "fault" in unwell && unwell.fault !== "redirect";
      // That somebody hung up is heard a little later at the other end.
      await expect.poll(async () => (await counts()).cut).toBe(endless ? fetches - 1 : 0);
      state.nowMs += 30 * SECOND;
      await answer({ document: documentOf(NEXT) });
      expect(await statusBy(NEXT)).toBe(200);
      expect(await statusBy(FIRST)).toBe(401);
    },
  );

  it.each(Object.entries(UNWELL))(
    "%s and never gave a key is 503 for all, and recovers",
    { timeout: 60_000 },
    async (_, unwell) => {
      const { state, statusBy, statusesOf, answer, fetches } = await createHttpProvider();
      await answer(unwell);
      expect(await statusesOf([...times(50, FIRST), ...strangers(NEXT, 50)])).toEqual([503]);
      expect(await fetches()).toBe(1);
      await answer({ document: documentOf(FIRST) });
      state.nowMs += SECOND;
      expect(await statusBy(FIRST)).toBe(200);
    },
  );
});
