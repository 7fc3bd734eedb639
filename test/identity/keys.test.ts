// An identity provider's keys: how often they are asked for, and what happens when they change or cannot
// be had. By the front door; the clock is the test's own. Over real HTTP: `key-endpoint.test.ts`.
import { describe, expect, it } from "vitest";
import { createKey, type SigningKey } from "../../dev/issuer.ts";
import { Issuer } from "../../src/config/schema.ts";
import { createKeys } from "../../src/identity/keys.ts";
import { VERSION } from "../../src/version.ts";
import { AUDIENCE, createHarness, type Json, pathOf } from "../support/harness.ts";
import {
  createProvider,
  type KeyAnswer,
  MINUTE,
  publishing,
  SECOND,
  strangers,
} from "../support/provider.ts";
import { refused } from "../support/reply.ts";
import { compactToken } from "../support/tokens.ts";

const FIRST = await createKey("ES256");
const NEXT = await createKey("ES256");
/** The coordinates of a key on another curve. */
const P384 = await crypto.subtle
  .generateKey({ name: "ECDSA", namedCurve: "P-384" }, true, ["sign", "verify"])
  .then((pair) => crypto.subtle.exportKey("jwk", (pair as CryptoKeyPair).publicKey))
  .then((jwk) => ({ x: (jwk as JsonWebKey).x, y: (jwk as JsonWebKey).y }));

const down: KeyAnswer = () => Promise.reject(new TypeError("Network connection lost."));
const document =
  (...keys: Json[]): KeyAnswer =>
  () =>
    Response.json({ keys });

const times = <T>(count: number, value: T): T[] => Array<T>(count).fill(value);

describe("the keys of a provider", () => {
  it("are fetched once, as what they are, and then used", async () => {
    const { state, asked, statusBy } = await createProvider(FIRST);
    for (const _ of [1, 2, 3]) expect(await statusBy(FIRST)).toBe(200);
    state.nowMs += 4 * MINUTE;
    expect(await statusBy(FIRST)).toBe(200);
    expect(state.fetches).toBe(1);
    expect(asked[0]).toMatchObject({
      redirect: "manual",
      headers: {
        accept: "application/json, application/jwk-set+json, */*;q=0.1",
        "user-agent": `stopgate/${VERSION}`,
      },
    });
    expect(asked[0]?.signal).toBeInstanceOf(AbortSignal);
  });

  it("are fetched once by any number of requests that find none", async () => {
    const { state, statusesOf } = await createProvider(FIRST);
    expect(await statusesOf(times(200, FIRST))).toEqual([200]);
    expect(state.fetches).toBe(1);
  });

  it("are renewed beside a request in the last of their five minutes: nobody waits", async () => {
    const { state, statusBy, begin } = await createProvider(FIRST);
    await statusBy(FIRST);
    state.nowMs += 4 * MINUTE + 1;
    const { promise, resolve: answer } = Promise.withResolvers<Response>();
    state.answer = () => promise;
    const { response, settled } = await begin(FIRST);
    expect((await response).status).toBe(200);
    expect((await (await begin(FIRST)).response).status).toBe(200);
    answer(await publishing(FIRST)());
    await settled;
    state.nowMs += 3 * MINUTE;
    expect(await statusBy(FIRST)).toBe(200);
    expect(state.fetches).toBe(2);
  });

  it("are waited for when they are older, so that a withdrawn one does not pass", async () => {
    const { state, statusBy, statusesOf } = await createProvider(FIRST);
    await statusBy(FIRST);
    state.answer = publishing(NEXT);
    state.nowMs += 5 * MINUTE + 1;
    expect(await statusesOf(times(20, FIRST))).toEqual([401]);
    expect(await statusBy(NEXT)).toBe(200);
    expect(state.fetches).toBe(2);
  });

  it("may be without a name where the issuer's config says so", async () => {
    const nameless: SigningKey = { ...FIRST, kid: undefined as unknown as string };
    const { kid: _, ...published } = FIRST.publicJwk;
    const only: KeyAnswer = () => Response.json({ keys: [published] });
    const two: KeyAnswer = () => Response.json({ keys: [published, NEXT.publicJwk] });
    for (const [allow_missing_kid, answer, status] of [
      [true, only, 200],
      [true, publishing(FIRST), 200],
      [true, two, 200],
      [false, only, 401],
    ] as const) {
      const { state, statusBy } = await createProvider(FIRST, { issuer: { allow_missing_kid } });
      state.answer = answer;
      expect(await statusBy(nameless)).toBe(status);
    }
  });

  it("of other uses and unknown kinds may stand among the good ones", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    state.answer = () =>
      Response.json({
        keys: [
          { kty: "AKP", alg: "ML-DSA-44", kid: "pq", pub: "eA" },
          { kty: "RSA", use: "enc", kid: FIRST.kid, n: "eA", e: "AQAB" },
          { kty: "RSA", alg: "RSA-OAEP", kid: FIRST.kid, n: "eA", e: "AQAB" },
          { ...NEXT.publicJwk, key_ops: ["encrypt"], kid: FIRST.kid },
          { kty: "EC", crv: "secp256k1", kid: FIRST.kid, x: "eA", y: "eA" },
          { ...FIRST.publicJwk, x5c: ["MIIB"], x5t: "eA", issuer: "https://id.test" },
        ],
      });
    expect(await statusBy(FIRST)).toBe(200);
  });

  it("that are no keys for tokens verify none", async () => {
    for (const members of [{ use: "enc" }, { key_ops: ["sign"] }, { alg: "ES384" }]) {
      const { state, statusBy } = await createProvider(FIRST);
      state.answer = () =>
        Response.json({ keys: [NEXT.publicJwk, { ...FIRST.publicJwk, ...members }] });
      expect(await statusBy(FIRST)).toBe(401);
    }
  });
});

describe("a rotation", () => {
  it("is followed at once: one fetch, and nobody is refused", async () => {
    const { state, statusBy, statusesOf } = await createProvider(FIRST);
    await statusBy(FIRST);
    state.nowMs += SECOND;
    state.answer = publishing(FIRST, NEXT);
    expect(await statusesOf(times(50, NEXT))).toEqual([200]);
    expect(await statusBy(FIRST)).toBe(200);
    expect(state.fetches).toBe(2);
  });

  it("that comes in the middle of a burst of unknown keys is followed too", async () => {
    const { state, statusBy, statusesOf } = await createProvider(FIRST);
    await statusBy(FIRST);
    const burst = statusesOf(strangers(NEXT, 50));
    await expect.poll(() => state.fetches, { interval: 1 }).toBe(2);
    state.answer = publishing(FIRST, NEXT);
    expect(await statusesOf(times(50, NEXT))).toEqual([200]);
    expect(await burst).toEqual([401]);
    expect(state.fetches).toBe(3);
  });

  it("replaces the whole set", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    state.answer = publishing(FIRST, NEXT);
    expect(await statusBy(FIRST)).toBe(200);
    state.answer = publishing(NEXT);
    state.nowMs += 5 * MINUTE + 1;
    expect(await statusBy(FIRST)).toBe(401);
    expect(await statusBy(NEXT)).toBe(200);
  });
});

describe("a rotation that no new kid tells", () => {
  const nameless = (key: SigningKey): SigningKey => ({ ...key, kid: undefined as never });
  const sameKid: SigningKey = { ...NEXT, kid: FIRST.kid };
  const { kid: _, ...first } = FIRST.publicJwk;
  const { kid: __, ...next } = NEXT.publicJwk;

  it.each<[string, Json, KeyAnswer, KeyAnswer, SigningKey]>([
    ["no kid", { allow_missing_kid: true }, document(first), document(first, next), nameless(NEXT)],
    ["the same kid", {}, publishing(FIRST), publishing(sameKid), sameKid],
    ["the same kid beside it", {}, publishing(FIRST), publishing(FIRST, sameKid), sameKid],
    [
      "another algorithm of the same kid",
      { algorithms: ["ES256", "ES384"] },
      document({ ...first, kid: "one", alg: "ES384", crv: "P-384", ...P384 }),
      document({ ...next, kid: "one" }),
      { ...NEXT, kid: "one" },
    ],
  ])("by %s is followed at once: one fetch, and no request is refused", async (...row) => {
    const [, issuer, before, after, by] = row;
    const { state, statusBy, statusesOf } = await createProvider(FIRST, { issuer });
    state.answer = before;
    await statusBy(FIRST);
    const { fetches } = state;
    state.nowMs += 30 * SECOND;
    state.answer = after;
    expect(await statusesOf(times(50, by))).toEqual([200]);
    expect(state.fetches).toBe(fetches + 1);
    expect(await statusBy(by)).toBe(200);
    expect(state.fetches).toBe(fetches + 1);
  });

  it("is 503, and not 401, while the provider cannot be asked", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    await statusBy(FIRST);
    state.answer = down;
    expect(await statusBy(sameKid)).toBe(503);
    expect(await statusBy(FIRST)).toBe(200);
    state.answer = publishing(sameKid);
    state.nowMs += SECOND;
    expect(await statusBy(sameKid)).toBe(200);
    expect(await statusBy(FIRST)).toBe(401);
  });

  it("is heard of by the isolates of one place, each from the provider", async () => {
    const cache = caches.open(`rotation-${crypto.randomUUID()}`);
    const options = { bindings: { keyCache: () => cache } };
    const old = await createProvider(FIRST, options);
    await old.statusBy(FIRST);
    const young = await createProvider(FIRST, options);
    young.state.nowMs += SECOND;
    old.state.nowMs += SECOND;
    for (const { state } of [old, young]) state.answer = publishing(sameKid);
    expect(await young.statusBy(sameKid)).toBe(200);
    expect(await old.statusBy(sameKid)).toBe(200);
    expect([old.state.fetches, young.state.fetches]).toEqual([2, 1]);
  });
});

describe("signatures that are made up under a published kid", () => {
  const forged: SigningKey = { ...NEXT, kid: FIRST.kid };

  it("cost one fetch in thirty seconds, however many there are", async () => {
    const { state, statusBy, statusesOf } = await createProvider(FIRST);
    await statusBy(FIRST);
    expect(await statusesOf(times(250, forged))).toEqual([401]);
    expect(state.fetches).toBe(2);
    for (let asked = 0; asked < 500; asked += 1) {
      state.nowMs += 240;
      expect(await statusBy(forged)).toBe(401);
    }
    expect(state.fetches - 2).toBeLessThanOrEqual(4);
    state.answer = publishing(FIRST, { ...NEXT, kid: "another" });
    expect(await statusBy({ ...NEXT, kid: "another" })).toBe(200);
  });

  it("cost no second fetch in the request that has just fetched the keys", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    expect(await statusBy(forged)).toBe(401);
    expect(state.fetches).toBe(1);
    expect(await statusBy(forged)).toBe(401);
    expect(state.fetches).toBe(1);
  });

  it("share the three questions with kids that no key has", async () => {
    const issuer = { allow_missing_kid: true };
    const { state, statusBy, begin } = await createProvider(FIRST, { issuer });
    await statusBy(FIRST);
    expect(await statusBy(forged)).toBe(401);
    const nameless: SigningKey = { ...NEXT, kid: undefined as never };
    for (let at = 0; at < 20; at += 1) {
      const { response } = await begin(nameless, {}, { x5t: `made-up-${at}` });
      expect((await response).status).toBe(401);
    }
    for (const stranger of strangers(NEXT, 10)) expect(await statusBy(stranger)).toBe(401);
    expect(state.fetches - 1).toBe(3);
    expect(await statusBy(FIRST)).toBe(200);
  });
});

describe("a token without a kid that names a certificate", () => {
  const nameless = (key: SigningKey): SigningKey => ({ ...key, kid: undefined as never });
  const certified = (key: SigningKey, members: Json): Json => ({ ...key.publicJwk, ...members });
  const issuer = { allow_missing_kid: true };

  it("asks for newer keys when the document has none with that thumbprint", async () => {
    const { state, begin } = await createProvider(FIRST, { issuer });
    const statusOf = async (header: Json): Promise<number> =>
      (await (await begin(nameless(NEXT), {}, header)).response).status;
    state.answer = document(certified(FIRST, { x5t: "first", "x5t#S256": "FIRST" }));
    expect(await statusOf({ x5t: "next" })).toBe(401);
    expect(state.fetches).toBe(1);
    state.nowMs += 30 * SECOND;
    state.answer = document(
      certified(FIRST, { x5t: "first", "x5t#S256": "FIRST" }),
      certified(NEXT, { x5t: "next", "x5t#S256": "NEXT" }),
    );
    expect(await statusOf({ x5t: "next" })).toBe(200);
    expect(await statusOf({ "x5t#S256": "NEXT" })).toBe(200);
    expect(state.fetches).toBe(2);
    // A signature that does not fit: the provider may have another key of that thumbprint by now.
    expect(await statusOf({ x5t: "first" })).toBe(401);
    expect(await statusOf({ x5t: "first" })).toBe(401);
    expect(state.fetches).toBe(3);
  });

  it("is taken in an outage, with a thumbprint that fits no key, and asks for no others", async () => {
    const { state, begin } = await createProvider(FIRST, { issuer });
    state.answer = document(certified(FIRST, { x5t: "first" }));
    const statusOf = async (): Promise<number> =>
      (await (await begin(nameless(FIRST), {}, { x5t: "other" })).response).status;
    for (const _ of [1, 2, 3]) expect(await statusOf()).toBe(200);
    expect(state.fetches).toBe(1);
    state.answer = down;
    state.nowMs += 6 * MINUTE;
    for (const _ of [1, 2, 3]) expect(await statusOf()).toBe(200);
    expect(state.fetches).toBe(2);
  });

  it("is tried with all keys, and asks for no others, where the document has no thumbprints", async () => {
    const { state, begin } = await createProvider(FIRST, { issuer });
    state.answer = publishing(FIRST, NEXT);
    for (const by of [FIRST, NEXT, FIRST]) {
      const { response } = await begin(nameless(by), {}, { x5t: "unknown" });
      expect((await response).status).toBe(200);
    }
    expect(state.fetches).toBe(1);
  });
});

describe("a key that nobody knows", () => {
  it("is 401, and three of them are asked about at once, then one every thirty seconds", async () => {
    const { state, statusBy, statusesOf } = await createProvider(FIRST);
    await statusBy(FIRST);
    const fetchesFor = async (count: number, name: string): Promise<number> => {
      const before = state.fetches;
      for (const stranger of strangers(NEXT, count, name)) {
        expect(await statusBy(stranger)).toBe(401);
      }
      return state.fetches - before;
    };
    expect(await fetchesFor(10, "a")).toBe(3);
    state.nowMs += 30 * SECOND - 1;
    expect(await fetchesFor(5, "b")).toBe(0);
    state.nowMs += 1;
    expect(await fetchesFor(5, "c")).toBe(1);
    state.nowMs += 60 * SECOND;
    expect(await fetchesFor(5, "d")).toBe(2);
    state.nowMs += 59 * MINUTE;
    await statusBy(FIRST);
    expect(await fetchesFor(5, "e")).toBe(3);
    expect(await statusesOf([FIRST])).toEqual([200]);
  });

  it("costs a burst of two hundred and fifty at most two fetches, and none when it comes again", async () => {
    const { state, statusBy, statusesOf } = await createProvider(FIRST);
    await statusBy(FIRST);
    const burst = strangers(NEXT, 200);
    expect(await statusesOf([...strangers(NEXT, 50, "other"), ...burst])).toEqual([401]);
    const { fetches } = state;
    expect(fetches - 1).toBeLessThanOrEqual(2);
    expect(await statusesOf(burst)).toEqual([401]);
    expect(state.fetches).toBe(fetches);
  });

  it("costs two thousand in a minute at most five", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    await statusBy(FIRST);
    for (const stranger of strangers(NEXT, 2_000)) {
      state.nowMs += 29;
      expect(await statusBy(stranger)).toBe(401);
    }
    expect(state.fetches - 1).toBeLessThanOrEqual(5);
  });

  it("is not asked about twice, until the provider has answered again", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    await statusBy(FIRST);
    for (const _ of [1, 2, 3, 4]) expect(await statusBy(NEXT)).toBe(401);
    expect(state.fetches).toBe(2);
    state.answer = publishing(FIRST, NEXT);
    expect(await statusBy(NEXT)).toBe(401);
    expect(await statusBy(strangers(NEXT, 1)[0] ?? NEXT)).toBe(401);
    expect(await statusBy(NEXT)).toBe(200);
    expect(state.fetches).toBe(3);
  });

  it("is asked about again when the provider has answered since", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    const [stranger = NEXT] = strangers(NEXT, 1);
    expect(await statusBy(NEXT)).toBe(401);
    expect(await statusBy(stranger)).toBe(401);
    state.answer = publishing(FIRST, NEXT);
    expect(await statusBy(stranger)).toBe(401);
    expect(await statusBy(NEXT)).toBe(200);
    expect(state.fetches).toBe(3);
  });

  it("is asked about again after thirty seconds: some are used before they are published", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    await statusBy(FIRST);
    expect(await statusBy(NEXT)).toBe(401);
    state.nowMs += 30 * SECOND - 1;
    state.answer = publishing(FIRST, NEXT);
    expect(await statusBy(NEXT)).toBe(401);
    expect(state.fetches).toBe(2);
    state.nowMs += 1;
    expect(await statusBy(NEXT)).toBe(200);
    expect(state.fetches).toBe(3);
  });

  it("is taken half a minute after it was published, however long it was used before", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    await statusBy(FIRST);
    const start = state.nowMs;
    for (let seconds = 1; seconds <= 240; seconds += 1) {
      state.nowMs = start + seconds * SECOND;
      if (seconds === 170) state.answer = publishing(FIRST, NEXT);
      const status = await statusBy(NEXT);
      if (seconds < 170) expect(status).toBe(401);
      if (seconds >= 200) expect(status).toBe(200);
    }
    // One question in thirty seconds, and not the burst: that is left for another key.
    expect(state.fetches).toBeLessThanOrEqual(2 + 200 / 30);
  });

  it("costs one question in thirty seconds when it comes all the time", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    await statusBy(FIRST);
    for (let asked = 0; asked < 1_000; asked += 1) {
      state.nowMs += 240;
      expect(await statusBy(NEXT)).toBe(401);
    }
    expect(state.fetches - 1).toBeLessThanOrEqual(9);
    state.answer = publishing(FIRST, { ...NEXT, kid: "another" });
    expect(await statusBy({ ...NEXT, kid: "another" })).toBe(200);
  });

  it("costs no fetch when the token is refused for something cheaper", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    expect(await statusBy(await createKey("EdDSA"))).toBe(401);
    expect(await statusBy(FIRST, { iss: "https://evil.test/" })).toBe(401);
    expect(state.fetches).toBe(0);
  });
});

describe("a provider that is down", () => {
  it("before any keys were had is 503 with Retry-After, never 401", async () => {
    const { state, readBy, statusBy, statusesOf } = await createProvider(FIRST);
    state.answer = down;
    expect(await refused(await readBy(FIRST))).toEqual({
      status: 503,
      message: "The identity provider's keys cannot be read at the moment.",
      type: "server_error",
      param: null,
      code: "identity_unavailable",
      retryAfter: "1",
      shouldRetry: null,
    });
    expect(await statusesOf([...times(20, FIRST), ...strangers(NEXT, 20)])).toEqual([503]);
    expect(state.fetches).toBe(1);
    state.nowMs += SECOND;
    state.answer = publishing(FIRST);
    expect(await statusBy(FIRST)).toBe(200);
    expect(state.fetches).toBe(2);
    expect(await statusesOf(strangers(NEXT, 2))).toEqual([401]);
  });

  it.each([
    ["the longest", 0.999_999, [1, 2, 4, 8, 16, 30, 30, 30]],
    ["the shortest", 0, [0.5, 1, 2, 4, 8, 15, 15, 15]],
  ])("is tried again after pauses that double, %s", async (_, random, pauses) => {
    const world = { random: () => random };
    const { state, statusBy, readBy } = await createProvider(FIRST, { world });
    state.answer = down;
    await statusBy(FIRST);
    for (const [index, pause] of pauses.entries()) {
      state.nowMs += pause * SECOND - 50;
      const early = await refused(await readBy(FIRST));
      expect(early).toMatchObject({ status: 503, retryAfter: "1" });
      expect(state.fetches).toBe(1 + index);
      state.nowMs += 50;
      expect(await statusBy(FIRST)).toBe(503);
      expect(state.fetches).toBe(2 + index);
    }
    const { retryAfter } = await refused(await readBy(FIRST));
    expect(Number(retryAfter)).toBe(Math.ceil(30 * (0.5 + random / 2)));
  });

  it("is not felt for an hour by those whose keys are known, and no longer", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    await statusBy(FIRST);
    const start = state.nowMs;
    state.answer = down;
    for (let minutes = 4.5; minutes <= 60; minutes += 0.5) {
      state.nowMs = start + minutes * MINUTE;
      expect(await statusBy(FIRST)).toBe(200);
    }
    expect(state.nowMs).toBe(start + 60 * MINUTE);
    expect(state.fetches).toBeLessThanOrEqual(2 + 56 * 2);
    state.nowMs += 1;
    expect(await statusBy(FIRST)).toBe(503);
    state.nowMs += MINUTE;
    state.answer = publishing(FIRST);
    expect(await statusBy(FIRST)).toBe(200);
  });

  it.each([
    [0, 5],
    [3, 5],
    [10, 10],
    [1_440, 1_440],
  ])(
    "is borne for as long as the issuer's max_stale_minutes of %i say: %i",
    async (max_stale_minutes, minutes) => {
      const { state, statusBy } = await createProvider(FIRST, { issuer: { max_stale_minutes } });
      await statusBy(FIRST);
      state.answer = down;
      state.nowMs += minutes * MINUTE;
      expect(await statusBy(FIRST)).toBe(200);
      state.nowMs += 1;
      expect(await statusBy(FIRST)).toBe(503);
    },
  );

  it("is 503 for a key that it might have told us about", async () => {
    const { state, statusBy, statusesOf } = await createProvider(FIRST);
    await statusBy(FIRST);
    state.answer = down;
    expect(await statusesOf(times(5, NEXT))).toEqual([503]);
    expect(await statusBy(FIRST)).toBe(200);
    state.answer = publishing(NEXT);
    state.nowMs += SECOND;
    expect(await statusBy(NEXT)).toBe(200);
  });

  it("is asked again when it is back, also about a key that it did not have before", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    const [stranger = NEXT, another = NEXT] = strangers(NEXT, 2);
    expect(await statusBy(stranger)).toBe(401);
    state.answer = down;
    expect(await statusBy(another)).toBe(503);
    state.answer = publishing(FIRST);
    state.nowMs += SECOND;
    expect(await statusBy(stranger)).toBe(401);
  });

  it("does no harm to another provider's people", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    state.answer = down;
    expect(await statusBy(FIRST)).toBe(503);
    expect(await statusBy(FIRST, { iss: "https://id.healthy.test/" })).toBe(200);
  });

  it("for a moment does not let a withdrawn key pass once more", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    await statusBy(FIRST);
    state.answer = down;
    state.nowMs += 299 * SECOND;
    expect(await statusBy(FIRST)).toBe(200);
    state.answer = publishing(NEXT);
    state.nowMs += 59.5 * SECOND;
    expect(await statusBy(FIRST)).toBe(401);
  });

  it("is waited for by one of those who have old keys, and by none of the others", async () => {
    const { state, statusBy, begin } = await createProvider(FIRST);
    await statusBy(FIRST);
    state.nowMs += 6 * MINUTE;
    state.answer = down;
    expect(await statusBy(FIRST)).toBe(200);
    state.nowMs += 5 * SECOND;
    const { promise, resolve: answer } = Promise.withResolvers<Response>();
    state.answer = () => promise;
    const waiting = await begin(FIRST);
    await expect.poll(() => state.fetches).toBe(3);
    expect((await (await begin(FIRST)).response).status).toBe(200);
    answer(publishing(NEXT)());
    expect((await waiting.response).status).toBe(401);
  });

  it("in a request that never comes back holds the others up, but not for good", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    state.answer = () => new Promise(() => undefined);
    const lost = statusBy(FIRST);
    await expect.poll(() => state.fetches).toBe(1);
    state.answer = publishing(FIRST);
    expect(await statusBy(FIRST)).toBe(200);
    expect(state.fetches).toBe(2);
    const outcome = Promise.race([lost, scheduler.wait(1).then(() => "still waiting")]);
    expect(await outcome).toBe("still waiting");
  });

  it("and answers an attempt that was given up does not undo a later one", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    const { promise, resolve: late } = Promise.withResolvers<Response>();
    state.answer = () => promise;
    const lost = statusBy(FIRST);
    await expect.poll(() => state.fetches).toBe(1);
    state.answer = publishing(NEXT);
    state.nowMs += 1;
    expect(await statusBy(NEXT)).toBe(200);
    late(await publishing(FIRST)());
    expect(await lost).toBe(401);
    expect(await statusBy(NEXT)).toBe(200);
  });

  it("and fails an attempt that was given up is no outage once a later one was answered", async () => {
    const { state, statusBy } = await createProvider(FIRST);
    const { promise, reject } = Promise.withResolvers<Response>();
    state.answer = () => promise;
    const lost = statusBy(FIRST);
    await expect.poll(() => state.fetches).toBe(1);
    state.answer = publishing(FIRST);
    expect(await statusBy(FIRST)).toBe(200);
    reject(new TypeError("Network connection lost."));
    expect(await lost).toBe(200);
    expect(await statusBy(NEXT)).toBe(401);
  });
});

const garbage: Record<string, KeyAnswer> = {
  "404": () => new Response("not here", { status: 404 }),
  "500": () => new Response("oops", { status: 500 }),
  "201": () => Response.json({ keys: [FIRST.publicJwk] }, { status: 201 }),
  "204": () => new Response(null, { status: 204 }),
  "a redirect": () =>
    Response.json(
      { keys: [FIRST.publicJwk] },
      { status: 302, headers: { location: "https://evil.test/jwks.json" } },
    ),
  "a page": () => new Response("<html>down for maintenance</html>"),
  nothing: () => new Response(""),
  "a byte order mark": () => new Response(`\ufeff${JSON.stringify({ keys: [FIRST.publicJwk] })}`),
  "half a document": () => new Response(JSON.stringify({ keys: [FIRST.publicJwk] }).slice(0, -5)),
  "no object": () => Response.json([FIRST.publicJwk]),
  "no keys": document(),
  "keys that are no list": () => Response.json({ keys: { 0: FIRST.publicJwk } }),
  "keys that are no objects": () => Response.json({ keys: ["key"] }),
  "too many keys": publishing(FIRST, ...strangers(NEXT, 64)),
  "a name that is no text": document({ ...FIRST.publicJwk, kid: 7 }),
  "a secret key only": document({ kty: "oct", k: "c2VjcmV0", alg: "HS256" }),
  "a private key": document({ ...FIRST.publicJwk, d: "c2VjcmV0" }),
  "keys of another use only": document({ ...FIRST.publicJwk, use: "enc" }),
  "a document without end": () =>
    new Response(
      new ReadableStream({
        pull: (controller) => controller.enqueue(new TextEncoder().encode(" ".repeat(8_192))),
      }),
    ),
};

describe("a provider that answers with", () => {
  it.each(Object.entries(garbage))(
    "%s keeps the good keys in use, and is logged",
    async (_, bad) => {
      const { state, gateway, statusBy } = await createProvider(FIRST);
      await statusBy(FIRST);
      state.answer = bad;
      state.nowMs += 6 * MINUTE;
      gateway.lines.length = 0;
      expect(await statusBy(FIRST)).toBe(200);
      expect(state.fetches).toBe(2);
      const warnings = gateway.lines
        .map((line) => JSON.parse(line))
        .filter(({ level }) => level === "warn");
      expect(warnings).toMatchObject([{ event: "identity_keys_unavailable", failures: 1 }]);
      expect(JSON.stringify(warnings)).not.toMatch(/maintenance|c2VjcmV0|evil/);
    },
  );

  it.each(Object.entries(garbage))("%s and never gave a key is 503", async (_, bad) => {
    const { state, statusBy } = await createProvider(FIRST);
    state.answer = bad;
    expect(await statusBy(FIRST)).toBe(503);
  });
});

/** Isolates of one place: each a gateway of its own, with the same Cache API behind it. */
async function createPlace() {
  const keyCache = () => caches.open(`place-${crypto.randomUUID()}`);
  const cache = keyCache();
  const isolate = (issuer: Json = {}) =>
    createProvider(FIRST, { issuer, bindings: { keyCache: () => cache } });
  return { cache, isolate };
}

describe("isolates of one place", () => {
  it("share what one of them was given: the next does not ask", async () => {
    const { isolate } = await createPlace();
    const [first, second] = [await isolate(), await isolate()];
    expect(await first.statusBy(FIRST)).toBe(200);
    second.state.nowMs += 3 * MINUTE;
    expect(await second.statusesOf(times(20, FIRST))).toEqual([200]);
    expect([first.state.fetches, second.state.fetches]).toEqual([1, 0]);
  });

  it("do not make keys younger by sharing them", async () => {
    const { isolate } = await createPlace();
    const [first, second] = [await isolate(), await isolate()];
    expect(await first.statusBy(FIRST)).toBe(200);
    second.state.nowMs += 3 * MINUTE;
    expect(await second.statusBy(FIRST)).toBe(200);
    second.state.answer = publishing(NEXT);
    second.state.nowMs += 2 * MINUTE + 1;
    expect(await second.statusBy(FIRST)).toBe(401);
    expect(second.state.fetches).toBe(1);
  });

  it("do not take from another what is about to be too old, when the provider can be asked", async () => {
    for (const minutes of [4.5, 6, 59]) {
      const { isolate } = await createPlace();
      await (await isolate()).statusBy(FIRST);
      const fresh = await isolate();
      fresh.state.answer = publishing(NEXT);
      fresh.state.nowMs += minutes * MINUTE;
      expect(await fresh.statusBy(FIRST)).toBe(401);
      expect(fresh.state.fetches).toBe(1);
    }
  });

  it("are not kept from the provider's answer by a clock that is ahead", async () => {
    const { isolate } = await createPlace();
    const [ahead, behind] = [await isolate(), await isolate()];
    ahead.state.nowMs += 50 * SECOND;
    await ahead.statusBy(FIRST);
    expect(await behind.statusBy(FIRST)).toBe(200);
    expect(behind.state.fetches).toBe(0);
    behind.state.nowMs += 10 * SECOND;
    behind.state.answer = publishing(FIRST, NEXT);
    expect(await behind.statusBy(NEXT)).toBe(200);
  });

  it("ask the provider about a key that none of them has heard of", async () => {
    const { isolate } = await createPlace();
    const [first, second] = [await isolate(), await isolate()];
    await second.statusBy(FIRST);
    for (const { state } of [first, second]) state.nowMs += 4 * MINUTE + 1;
    await first.statusBy(FIRST);
    expect(first.state.fetches).toBe(1);
    second.state.answer = publishing(FIRST, NEXT);
    expect(await second.statusBy(NEXT)).toBe(200);
    expect(second.state.fetches).toBe(2);
  });

  it("get through an outage on shared keys, within the bound", async () => {
    const { isolate } = await createPlace();
    expect(await (await isolate()).statusBy(FIRST)).toBe(200);
    for (const [minutes, status] of [
      [59, 200],
      [60, 200],
      [60.001, 503],
    ] as const) {
      const fresh = await isolate();
      fresh.state.answer = down;
      fresh.state.nowMs += minutes * MINUTE;
      expect(await fresh.statusBy(FIRST)).toBe(status);
    }
  });

  it("hear of a rotation from one another", async () => {
    const { isolate } = await createPlace();
    const [first, second] = [await isolate(), await isolate()];
    await first.statusBy(FIRST);
    await second.statusBy(FIRST);
    first.state.nowMs += SECOND;
    second.state.nowMs += 2 * SECOND;
    first.state.answer = publishing(FIRST, NEXT);
    expect(await first.statusBy(NEXT)).toBe(200);
    expect(await second.statusBy(NEXT)).toBe(200);
    expect([first.state.fetches, second.state.fetches]).toEqual([2, 0]);
  });

  it("do not share the keys of one issuer with another, nor those of one address with another", async () => {
    const { isolate } = await createPlace();
    await (await isolate()).statusBy(FIRST);
    for (const members of [
      { issuer: "https://other.test/" },
      { jwks_uri: "https://id.keys.test/other.json" },
    ]) {
      const other = await isolate(members);
      other.state.answer = publishing(NEXT);
      const iss = members.issuer === undefined ? {} : { iss: members.issuer };
      expect(await other.statusBy(FIRST, iss)).toBe(401);
      expect(await other.statusBy(NEXT, iss)).toBe(200);
    }
  });

  it.each<[string, (fetchedAt: number) => BodyInit]>([
    ["is no JSON", () => "<html>"],
    ["has another form", () => JSON.stringify({ keys: [NEXT.publicJwk] })],
    ["holds no keys", (fetchedAt) => JSON.stringify({ fetchedAt, document: '{"keys":[]}' })],
    [
      "holds a secret key",
      (fetchedAt) => JSON.stringify({ fetchedAt, document: '{"keys":[{"kty":"oct","k":"eA"}]}' }),
    ],
    [
      "comes from the future",
      (fetchedAt) =>
        JSON.stringify({
          fetchedAt: fetchedAt + 2 * MINUTE,
          document: JSON.stringify({ keys: [{ ...NEXT.publicJwk, kid: FIRST.kid }] }),
        }),
    ],
  ])("ask the provider when what they share %s", async (_, entry) => {
    const { cache, isolate } = await createPlace();
    const first = await isolate();
    await first.statusBy(FIRST);
    const shelf = await cache;
    const id = JSON.stringify([first.issuer, first.jwksUri]);
    const address = `https://keys.invalid/?${new URLSearchParams({ id })}`;
    expect(await shelf.match(address)).toBeDefined();
    const headers = { "cache-control": "max-age=300" };
    await shelf.put(address, new Response(entry(first.state.nowMs), { headers }));
    const second = await isolate();
    expect(await second.statusBy(FIRST)).toBe(200);
    expect(second.state.fetches).toBe(1);
  });

  it.each<[string, () => Promise<Cache>]>([
    ["does not answer", () => new Promise(() => undefined)],
    ["fails", () => Promise.reject(new Error("no cache here"))],
    ["fails at every turn", () => Promise.resolve({ match: down, put: down } as unknown as Cache)],
  ])("do without a cache that %s", async (_, keyCache) => {
    const { state, statusBy } = await createProvider(FIRST, { bindings: { keyCache } });
    expect(await statusBy(FIRST)).toBe(200);
    expect(await statusBy(FIRST)).toBe(200);
    expect(state.fetches).toBe(1);
  });
});

describe("a key that is skipped", () => {
  const small = { kty: "RSA", kid: "small", e: "AQAB", n: `${"_".repeat(170)}8` };
  const skipped = (lines: readonly string[]): Json[] =>
    lines.map((line) => JSON.parse(line)).filter(({ event }) => event === "identity_keys_skipped");

  it("is logged once per document, by its place and the reason", async () => {
    const { state, gateway, statusBy } = await createProvider(FIRST);
    state.answer = document(FIRST.publicJwk as Json, small, { ...NEXT.publicJwk, d: "c2VjcmV0" });
    for (const minutes of [0, 0, 6, 12]) {
      state.nowMs += minutes * MINUTE;
      expect(await statusBy(FIRST)).toBe(200);
    }
    expect(state.fetches).toBe(3);
    expect(skipped(gateway.lines)).toMatchObject([
      {
        level: "warn",
        skipped: 2,
        detail: "keys.1: an RSA key of 1024 bits; keys.2: a private key: give its public half only",
      },
    ]);
    state.answer = document(small, FIRST.publicJwk as Json);
    state.nowMs += 6 * MINUTE;
    expect(await statusBy(FIRST)).toBe(200);
    state.answer = publishing(FIRST);
    state.nowMs += 6 * MINUTE;
    expect(await statusBy(FIRST)).toBe(200);
    expect(skipped(gateway.lines).map(({ detail }) => detail)).toEqual([
      expect.stringContaining("keys.1"),
      "keys.0: an RSA key of 1024 bits",
    ]);
    expect(gateway.lines.join()).not.toMatch(/c2VjcmV0|____/);
  });
});

describe("a document of keys for something else", () => {
  it("is logged with what each of them lacks", async () => {
    const { state, gateway, statusBy } = await createProvider(FIRST);
    const key = FIRST.publicJwk as Json;
    state.answer = document(
      { ...key, use: "enc" },
      { kty: "oct", k: "c2VjcmV0" },
      { ...key, key_ops: ["sign"] },
      { ...key, alg: "RSA-OAEP" },
    );
    expect(await statusBy(FIRST)).toBe(503);
    const lines: Json[] = gateway.lines.map((line) => JSON.parse(line));
    expect(lines.filter(({ event }) => event === "identity_keys_unavailable")).toMatchObject([
      {
        detail:
          "the key document: holds no key that can verify a token (keys.0: a key whose use is not sig; " +
          "keys.1: a secret key: only public keys are wanted; keys.2: a key whose key_ops lack verify; " +
          "keys.3: a key for no algorithm that is taken)",
      },
    ]);
  });
});

describe("entries of one issuer", () => {
  it("share the keys of one address, whatever algorithms each takes", async () => {
    const { state, gateway, jwksUri, statusBy } = await createProvider(FIRST);
    const entry = {
      issuer: "https://id.keys.test/",
      jwks_uri: jwksUri,
      audiences: [AUDIENCE],
      tenant: { fixed: "acme" },
    };
    const only = (algorithms: string[], claims: Json): Json => ({ ...entry, algorithms, claims });
    const issuers = [
      only(["ES256", "RS256"], { azp: "web" }),
      only(["ES256"], { azp: "mobile" }),
      only(["RS256"], { azp: "old" }),
    ];
    // Written before the gateway has read any.
    await createHarness({ config: (config) => ({ ...config, issuers }) });
    expect(gateway.lines).toEqual([]);
    expect(await statusBy(FIRST, { azp: "web" })).toBe(200);
    expect(await statusBy(FIRST, { azp: "mobile" })).toBe(200);
    // Its own list has no such algorithm, and the lists of the others do not count.
    expect(await statusBy(FIRST, { azp: "old" })).toBe(401);
    expect(await statusBy(FIRST)).toBe(401);
    expect(state.fetches).toBe(1);
  });
});

describe("an attempt", () => {
  it("is kept alive after the request that began it has gone", async () => {
    const { promise, resolve: answer } = Promise.withResolvers<Response>();
    const deferred: Promise<unknown>[] = [];
    const keys = createKeys({
      fetch: () => promise,
      now: () => 0,
      sleep: (ms) => scheduler.wait(ms),
      random: () => 0,
      shelf: { read: async () => null, write: async () => undefined },
      log: () => undefined,
    });
    const issuer = Issuer.parse({
      issuer: "https://id.test/",
      jwks_uri: "https://id.test/keys",
      audiences: ["stop"],
      algorithms: ["ES256"],
      tenant: { fixed: "acme" },
    });
    const hint = { kid: FIRST.kid, x5t: undefined, x5tS256: undefined };
    const leaving = keys(issuer, hint, (work) => deferred.push(work));
    expect(deferred).toHaveLength(1);
    const [kept] = deferred;
    answer(publishing(FIRST)());
    await kept;
    expect((await keys(issuer, hint, () => undefined)).byKid.has(FIRST.kid)).toBe(true);
    await leaving;
  });
});

describe("keys written into the config", () => {
  it("are served without any network; one that is no key refuses that issuer's people only", async () => {
    const { statusBy, gateway } = await createProvider(FIRST);
    expect(await statusBy(FIRST, { iss: "https://id.healthy.test/" })).toBe(200);
    expect(gateway.lines.join("\n")).not.toContain("identity_keys_unavailable");
    // A point that is not on its curve: only the import can tell.
    const offCurve = { ...FIRST.publicJwk, x: FIRST.publicJwk.y };
    const broken = await createHarness({
      config: (config) => ({
        ...config,
        issuers: (config["issuers"] as Json[]).map((issuer, index) =>
          index === 0 ? { ...issuer, algorithms: ["ES256"], jwks: { keys: [offCurve] } } : issuer,
        ),
      }),
    });
    const ids = await broken.startRun();
    const exp = Math.floor(Date.now() / 1_000) + 600;
    const claims = { iss: broken.issuers.acme.issuer, aud: AUDIENCE, sub: "ann", exp };
    const token = await compactToken(FIRST, claims);
    const response = await broken.request(pathOf(ids), {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(await refused(response)).toMatchObject({ status: 503, code: "config_invalid" });
    const theirs = await broken.startResponse();
    const gus = await broken.tokenFor({ tenant: "globex", sub: "gus", scope: "runs:cancel" });
    expect((await broken.read(theirs, gus)).status).toBe(200);
  });
});
