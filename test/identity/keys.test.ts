// An identity provider's keys over HTTP: how often they are fetched, and what happens when they change
// or cannot be had. By the front door; the clock is the test's own.
import { describe, expect, it } from "vitest";
import { createKey, type SigningKey } from "../../dev/issuer.ts";
import { AUDIENCE, createHarness, type Json } from "../support/harness.ts";
import { refused } from "../support/reply.ts";
import { compactToken } from "../support/tokens.ts";

const ISSUER = "https://id.keys.test/";
const JWKS_URI = "https://id.keys.test/jwks.json";
const START_MS = 1_790_000_000_000;
const SECOND = 1_000;
const MINUTE = 60_000;

const FIRST = await createKey("ES256");
const SECOND_KEY = await createKey("ES256");

type Answer = () => Response | Promise<Response>;
const publishing =
  (...keys: SigningKey[]): Answer =>
  () =>
    Response.json({ keys: keys.map(({ publicJwk, kid }) => ({ ...publicJwk, kid })) });
const down: Answer = () => Promise.reject(new TypeError("Network connection lost."));

async function createProvider() {
  const state = { fetches: 0, nowMs: START_MS, answer: publishing(FIRST) };
  const asked: RequestInit[] = [];
  const gateway = await createHarness({
    world: { now: () => state.nowMs },
    config: (config) => ({
      ...config,
      issuers: [
        {
          issuer: ISSUER,
          jwks_uri: JWKS_URI,
          audiences: [AUDIENCE],
          algorithms: ["ES256"],
          tenant: { fixed: "acme" },
        },
        {
          issuer: "https://id.healthy.test/",
          jwks: { keys: [FIRST.publicJwk] },
          audiences: [AUDIENCE],
          algorithms: ["ES256"],
          tenant: { fixed: "acme" },
        },
      ],
    }),
    network: (simulator) => async (input, init) => {
      if (String(input) !== JWKS_URI) return simulator(input, init);
      state.fetches += 1;
      asked.push(init ?? {});
      // As over a network: nobody gets the keys in the same instant.
      await scheduler.wait(5);
      return state.answer();
    },
  });
  const ids = await gateway.startRun();
  const tokenBy = (key: SigningKey, over: Json = {}): Promise<string> => {
    const now = state.nowMs / 1_000;
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: "ann", scope: "runs:cancel", exp: now + 600 };
    return compactToken(key, { ...claims, ...over });
  };
  const readBy = async (key: SigningKey, over: Json = {}): Promise<Response> =>
    gateway.read(ids, await tokenBy(key, over));
  return {
    state,
    asked,
    gateway,
    readBy,
    statusBy: async (key: SigningKey, over: Json = {}) => (await readBy(key, over)).status,
    statusesOf: async (keys: readonly SigningKey[]) => {
      const statuses = await Promise.all(keys.map(async (key) => (await readBy(key)).status));
      return [...new Set(statuses)];
    },
  };
}

const times = <T>(count: number, value: T): T[] => Array<T>(count).fill(value);
/** Keys that nobody published, each under a name of its own. */
const strangers = (count: number): SigningKey[] =>
  times(count, SECOND_KEY).map((key, index) => ({ ...key, kid: `stranger-${index}` }));

describe("the keys of a provider", () => {
  it("are fetched once, as what they are, and then used", async () => {
    const { state, asked, statusBy } = await createProvider();
    for (const _ of [1, 2, 3]) expect(await statusBy(FIRST)).toBe(200);
    state.nowMs += 5 * MINUTE;
    expect(await statusBy(FIRST)).toBe(200);
    expect(state.fetches).toBe(1);
    expect(asked[0]).toMatchObject({ redirect: "manual", headers: { accept: "application/json" } });
    expect(asked[0]?.signal).toBeInstanceOf(AbortSignal);
  });

  it("are fetched once by any number of requests that find none", async () => {
    const { state, statusesOf } = await createProvider();
    expect(await statusesOf(times(50, FIRST))).toEqual([200]);
    expect(state.fetches).toBe(1);
  });

  it("are fetched again when they are older than five minutes", async () => {
    const { state, statusBy } = await createProvider();
    await statusBy(FIRST);
    state.nowMs += 5 * MINUTE + 1;
    expect(await statusBy(FIRST)).toBe(200);
    expect(state.fetches).toBe(2);
  });

  it("may be without a name where there is only one", async () => {
    const { state, statusBy } = await createProvider();
    const { kid: _, ...nameless } = FIRST.publicJwk;
    state.answer = () => Response.json({ keys: [nameless] });
    const token = { ...FIRST, kid: undefined as unknown as string };
    expect(await statusBy(token)).toBe(200);
  });
});

describe("a rotation", () => {
  it("is followed at once: one fetch, and nobody is refused", async () => {
    const { state, statusBy, statusesOf } = await createProvider();
    await statusBy(FIRST);
    state.nowMs += 10 * SECOND;
    state.answer = publishing(FIRST, SECOND_KEY);
    expect(await statusesOf(times(50, SECOND_KEY))).toEqual([200]);
    expect(await statusBy(FIRST)).toBe(200);
    expect(state.fetches).toBe(2);
  });

  it("does not end a key that is still published, and ends one that is not within five minutes", async () => {
    const { state, statusBy } = await createProvider();
    state.answer = publishing(FIRST, SECOND_KEY);
    expect(await statusBy(FIRST)).toBe(200);
    state.answer = publishing(SECOND_KEY);
    state.nowMs += 5 * MINUTE + 1;
    expect(await statusBy(FIRST)).toBe(401);
    expect(await statusBy(SECOND_KEY)).toBe(200);
  });
});

describe("a key that nobody knows", () => {
  it("is 401, and however many there are, the provider is asked once in ten seconds", async () => {
    const { state, statusBy, statusesOf } = await createProvider();
    await statusBy(FIRST);
    state.nowMs += 10 * SECOND;
    expect(await statusesOf(strangers(50))).toEqual([401]);
    expect(state.fetches).toBe(2);
    state.nowMs += 10 * SECOND - 1;
    expect(await statusesOf(strangers(5))).toEqual([401]);
    expect(state.fetches).toBe(2);
    state.nowMs += 1;
    expect(await statusesOf(strangers(5))).toEqual([401]);
    expect(state.fetches).toBe(3);
  });

  it("costs no fetch when the token is refused for something cheaper", async () => {
    const { state, statusBy } = await createProvider();
    expect(await statusBy(await createKey("EdDSA"))).toBe(401);
    expect(await statusBy(FIRST, { iss: "https://evil.test/" })).toBe(401);
    expect(state.fetches).toBe(0);
  });
});

describe("a provider that is down", () => {
  it("before any keys were had is 503 with Retry-After, never 401, and is left alone for a while", async () => {
    const { state, readBy, statusBy, statusesOf } = await createProvider();
    state.answer = down;
    const response = await readBy(FIRST);
    expect(await refused(response)).toEqual({
      status: 503,
      message: "The identity provider's keys cannot be read at the moment.",
      type: "server_error",
      param: null,
      code: "identity_unavailable",
      retryAfter: "10",
      shouldRetry: null,
    });
    expect(await statusesOf([...times(20, FIRST), ...strangers(20)])).toEqual([503]);
    expect(state.fetches).toBe(1);
    state.nowMs += 10 * SECOND;
    state.answer = publishing(FIRST);
    expect(await statusBy(FIRST)).toBe(200);
    expect(state.fetches).toBe(2);
    expect(await statusesOf(strangers(2))).toEqual([401]);
  });

  it("is not felt for an hour by those whose keys are known", async () => {
    const { state, statusBy } = await createProvider();
    await statusBy(FIRST);
    state.answer = down;
    for (let minutes = 6; minutes <= 60; minutes += 6) {
      state.nowMs = START_MS + minutes * MINUTE;
      expect(await statusBy(FIRST)).toBe(200);
    }
    expect(state.fetches).toBe(11);
    state.nowMs += 1;
    expect(await statusBy(FIRST)).toBe(503);
  });

  it("is 503 for a key that it might have told us about", async () => {
    const { state, statusBy, statusesOf } = await createProvider();
    await statusBy(FIRST);
    state.answer = down;
    state.nowMs += 10 * SECOND;
    expect(await statusesOf(times(5, SECOND_KEY))).toEqual([503]);
    state.answer = publishing(SECOND_KEY);
    state.nowMs += 10 * SECOND;
    expect(await statusBy(SECOND_KEY)).toBe(200);
  });

  it("does no harm to another provider's people", async () => {
    const { state, statusBy } = await createProvider();
    state.answer = down;
    expect(await statusBy(FIRST)).toBe(503);
    expect(await statusBy(FIRST, { iss: "https://id.healthy.test/" })).toBe(200);
  });

  it("is not waited for by those who have keys, however old", async () => {
    const { state, statusBy } = await createProvider();
    await statusBy(FIRST);
    let answer: (response: Response) => void = () => undefined;
    state.answer = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    state.nowMs += 6 * MINUTE;
    const first = statusBy(FIRST);
    await scheduler.wait(20);
    expect(await statusBy(FIRST)).toBe(200);
    answer(Response.json({ keys: [FIRST.publicJwk] }));
    expect(await first).toBe(200);
    expect(state.fetches).toBe(2);
  });

  it("in a request that never comes back holds the others up, but not for good", async () => {
    const { state, statusBy } = await createProvider();
    state.answer = () => new Promise(() => undefined);
    const lost = statusBy(FIRST);
    await scheduler.wait(20);
    state.answer = publishing(FIRST);
    expect(await statusBy(FIRST)).toBe(200);
    expect(state.fetches).toBe(2);
    expect(await Promise.race([lost, scheduler.wait(1).then(() => "still waiting")])).toBe(
      "still waiting",
    );
  });
});

const garbage: Record<string, Answer> = {
  "404": () => new Response("not here", { status: 404 }),
  "500": () => new Response("oops", { status: 500 }),
  "a redirect": () =>
    Response.json(
      { keys: [FIRST.publicJwk] },
      { status: 302, headers: { location: "https://evil.test/jwks.json" } },
    ),
  "204": () => new Response(null, { status: 204 }),
  "a page": () => new Response("<html>down for maintenance</html>"),
  nothing: () => new Response(""),
  "no object": () => Response.json([FIRST.publicJwk]),
  "no keys": () => Response.json({ keys: [] }),
  "keys that are no list": () => Response.json({ keys: { 0: FIRST.publicJwk } }),
  "keys that are no objects": () => Response.json({ keys: ["key"] }),
  "too many keys": publishing(FIRST, ...strangers(64)),
  "a secret key": () =>
    Response.json({ keys: [FIRST.publicJwk, { kty: "oct", k: "c2VjcmV0", alg: "HS256" }] }),
  "two keys of one name": () =>
    Response.json({ keys: [FIRST.publicJwk, { ...SECOND_KEY.publicJwk, kid: FIRST.kid }] }),
  "a private key": () => Response.json({ keys: [{ ...FIRST.publicJwk, d: "c2VjcmV0" }] }),
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
      const { state, gateway, statusBy } = await createProvider();
      await statusBy(FIRST);
      state.answer = bad;
      state.nowMs += 6 * MINUTE;
      gateway.lines.length = 0;
      expect(await statusBy(FIRST)).toBe(200);
      expect(state.fetches).toBe(2);
      const warning = gateway.lines
        .map((line) => JSON.parse(line))
        .find(({ level }) => level === "warn");
      expect(warning).toMatchObject({ event: "identity_keys_unavailable", issuer: ISSUER });
      expect(JSON.stringify(warning)).not.toMatch(/maintenance|c2VjcmV0|evil/);
    },
  );

  it.each(Object.entries(garbage))("%s and never gave a key is 503", async (_, bad) => {
    const { state, statusBy } = await createProvider();
    state.answer = bad;
    expect(await statusBy(FIRST)).toBe(503);
  });

  it("keys of unknown kinds among the good ones is none the worse for it", async () => {
    const { state, statusBy } = await createProvider();
    state.answer = () =>
      Response.json({
        keys: [
          { kty: "AKP", alg: "ML-DSA-44", kid: "pq", pub: "eA" },
          { kty: "RSA", use: "enc", kid: FIRST.kid, n: "eA", e: "AQAB" },
          FIRST.publicJwk,
        ],
      });
    expect(await statusBy(FIRST)).toBe(200);
  });
});
