// The catalogue's rows about published keys, by the front door: what a bad document does before there
// are good keys and after, and two providers whose keys have one name.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { Algorithm, SigningKey } from "../../../dev/issuer.ts";
import { BASE_KEY, tenantKey } from "../../../src/config/kv-keys.ts";
import { ALGORITHMS, judgeKey } from "../../../src/identity/jwk.ts";
import { AUDIENCE, createHarness, type Json, pathOf, SIMULATOR } from "../../support/harness.ts";
import { createProvider, type KeyAnswer, MINUTE, publishing } from "../../support/provider.ts";
import { refused, seen } from "../../support/reply.ts";
import { compactToken } from "../../support/tokens.ts";
import { createForge, createOpenKey, type Forge, goodToken, NOW, THREE } from "./forge.ts";
import { KEY_DOCUMENTS, type KeyDocument, type Keys, KID, type Spoiled } from "./key-documents.ts";
import { MIX_UPS, type MixUp } from "./mix-ups.ts";
import { createWatch, NOTHING } from "./watch.ts";
import { oddNumber, rocaModulus, rsaKey } from "./weak-keys.ts";

const forges = new Map<Algorithm, Forge>();
for (const alg of THREE) forges.set(alg, await createForge(alg));

function forgeOf(alg: Algorithm): Forge {
  const forge = forges.get(alg);
  if (forge === undefined) throw new Error(`no keys for ${alg}`);
  return forge;
}

const keysOf = (alg: Algorithm): Keys => ({ good: forgeOf(alg).key, evil: forgeOf(alg).stranger });

/** Nothing is shared with other isolates, so that every document comes from the provider itself. */
const NO_CACHE = { match: async () => undefined, put: async () => undefined };

/** A gateway that trusts one provider, and takes whatever algorithm its keys are for. */
async function createStage(alg: Algorithm, issuer: Json = {}) {
  const keys = keysOf(alg);
  const watch = createWatch();
  // What was applied, as it was then: several of these stand side by side.
  const applied = new Map<string, string | null>();
  const config = { get: ((key: string) => applied.get(key) ?? null) as unknown as ConfigGet };
  const algorithms = [alg, ...ALGORITHMS.filter((name) => name !== alg)];
  const { gateway, state, ...provider } = await createProvider(keys.good, {
    issuer: { algorithms, ...issuer },
    bindings: { ...watch.bindings, config, keyCache: () => Promise.resolve(NO_CACHE) },
  });
  for (const key of [BASE_KEY, tenantKey("acme")]) applied.set(key, await env.CONFIG.get(key));
  const ids = await gateway.startRun();
  const claims = (): Json => ({
    ...{ iss: provider.issuer, aud: AUDIENCE, sub: "ann", scope: "runs:cancel" },
    exp: Math.floor(state.nowMs / 1_000) + 600,
  });
  return {
    ...{ alg, keys, state, gateway, claims },
    cancelWith: (token: string) => gateway.cancel(ids, token),
    /** Whether they get in: a read costs less than a cancel. */
    statusOf: async (by: SigningKey) =>
      (await gateway.read(ids, await compactToken(by, claims()))).status,
    /** Nothing is called upstream, written or recorded while this is done. */
    inVain: async <T>(work: () => Promise<T>): Promise<T> => {
      watch.forget();
      await gateway.forgetCalls();
      const result = await work();
      const upstream = (await gateway.calls()).length;
      expect({ ...watch.counts, upstream }).toEqual({ ...NOTHING, tenants: watch.counts.tenants });
      return result;
    },
  };
}

type ConfigGet = KVNamespace["get"];
type Stage = Awaited<ReturnType<typeof createStage>>;

/** Once under each algorithm: one after the other on stage, and then all at once. */
async function underEach(play: (stage: Stage) => Promise<void>): Promise<void> {
  const stages: Stage[] = [];
  for (const alg of THREE) stages.push(await createStage(alg));
  await Promise.all(stages.map(play));
}

const answering =
  (keys: readonly unknown[]): KeyAnswer =>
  () =>
    Response.json({ keys });

/** What an attacker would present: a token of the key in question, or of his own under each name. */
async function attacks(
  { forged }: Spoiled,
  { good, evil }: Keys,
  claims: Json,
): Promise<{ kid: string; token: string }[]> {
  if (forged !== undefined) return [{ kid: KID, token: await forged(claims) }];
  return await Promise.all(
    [KID, evil.kid, good.kid].map(async (kid) => ({
      kid,
      token: await compactToken({ ...evil, kid }, claims),
    })),
  );
}

const UNAVAILABLE = {
  status: 503,
  code: "identity_unavailable",
  message: "The identity provider's keys cannot be read at the moment.",
};
const INVALID = {
  status: 401,
  code: "invalid_token",
  message: "The access token is not valid for this gateway.",
};

const documentsThatAre = (verdict: KeyDocument["verdict"]): KeyDocument[] =>
  KEY_DOCUMENTS.filter((document) => document.verdict === verdict);

const isOf = (key: unknown, kid: string): boolean =>
  typeof key === "object" && key !== null && "kid" in key && key.kid === kid;

describe("a document of keys that holds", () => {
  it.each([...documentsThatAre("skipped"), ...documentsThatAre("passed over")])(
    "$name ($id) is used without that key: $verdict",
    async ({ spoil, verdict }) => {
      await underEach(async ({ alg, keys, state, gateway, ...stage }) => {
        const { claims, cancelWith, statusOf, inVain } = stage;
        const { good } = keys;
        const spoiled = await spoil(keys);
        state.answer = answering(spoiled.keys);
        gateway.lines.length = 0;
        expect([alg, await statusOf(good)]).toEqual([alg, 200]);
        await inVain(async () => {
          for (const { kid, token } of await attacks(spoiled, keys, claims())) {
            const reply = await refused(await cancelWith(token));
            expect({ alg, kid, ...reply }).toMatchObject(INVALID);
          }
        });
        state.nowMs += 6 * MINUTE;
        expect([alg, await statusOf(good)]).toEqual([alg, 200]);
        const told = gateway.lines.filter((line) => line.includes('"identity_keys_skipped"'));
        expect(told).toHaveLength(verdict === "skipped" ? 1 : 0);
        expect(told.join()).not.toMatch(/c2VjcmV0|AQAB|MIIB/);

        // Alone, such a key takes the place of no good one.
        const alone = spoiled.keys.filter((key) => !isOf(key, good.kid));
        if (alone.length === 0) return;
        state.answer = answering(alone);
        state.nowMs += 6 * MINUTE;
        gateway.lines.length = 0;
        expect([alg, await statusOf(good)]).toEqual([alg, 200]);
        expect(gateway.lines.join("\n")).toContain('"identity_keys_unavailable"');
      });
    },
  );

  it.each(documentsThatAre("used"))(
    "$name ($id) is used, and lets no stranger in",
    async ({ spoil }) => {
      await underEach(async ({ alg, keys, state, gateway, ...stage }) => {
        const { claims, cancelWith, statusOf, inVain } = stage;
        const { good, evil } = keys;
        const stranger = await createOpenKey(alg);
        state.answer = answering((await spoil(keys)).keys);
        gateway.lines.length = 0;
        expect([alg, await statusOf(good)]).toEqual([alg, 200]);
        await inVain(async () => {
          for (const kid of [good.kid, evil.kid, KID, ""]) {
            const token = await compactToken({ ...stranger, kid }, claims());
            const reply = await refused(await cancelWith(token));
            expect({ alg, kid, ...reply }).toMatchObject(INVALID);
          }
        });
        expect(gateway.lines.join("\n")).not.toMatch(/"identity_keys_/);
      });
    },
  );

  it.each(documentsThatAre("empty"))(
    "$name ($id) is refused: 503 at first, and old keys go on working",
    async ({ spoil }) => {
      await underEach(async ({ alg, keys, state, gateway, ...stage }) => {
        const { claims, cancelWith, statusOf, inVain } = stage;
        const { good } = keys;
        const spoiled = await spoil(keys);

        state.answer = answering(spoiled.keys);
        await inVain(async () => {
          const tokens = await attacks(spoiled, keys, claims());
          for (const token of [await compactToken(good, claims()), ...tokens.map((a) => a.token)]) {
            expect({ alg, ...(await refused(await cancelWith(token))) }).toMatchObject(UNAVAILABLE);
          }
        });

        state.answer = publishing(good);
        state.nowMs += MINUTE;
        expect([alg, await statusOf(good)]).toEqual([alg, 200]);

        state.answer = answering(spoiled.keys);
        state.nowMs += 6 * MINUTE;
        gateway.lines.length = 0;
        const before = state.fetches;
        expect([alg, await statusOf(good)]).toEqual([alg, 200]);
        expect(state.fetches).toBe(before + 1);
        expect(gateway.lines.join("\n")).toContain('"identity_keys_unavailable"');
        await inVain(async () => {
          // While newer keys cannot be had, a signature that no known key fits may be one of theirs.
          for (const { kid, token } of await attacks(spoiled, keys, claims())) {
            const reply = await refused(await cancelWith(token));
            expect({ alg, kid, ...reply }).toMatchObject(UNAVAILABLE);
          }
        });
        expect([alg, await statusOf(good)]).toEqual([alg, 200]);
      });
    },
  );
});

function defectOf(key: object): string | null {
  const judged = judgeKey(key);
  return judged.verdict === "unusable" ? judged.reason : null;
}

describe("a key of RSA (J37)", () => {
  const isRoca = (n: bigint): boolean => defectOf(rsaKey("key", n))?.includes("ROCA") === true;

  it("is known for one of the ROCA kind by its modulus, whatever the power", () => {
    for (const bits of [2_048, 3_072, 4_096, 8_192]) {
      for (let exponent = 1n; exponent < 3n ** 120n; exponent *= 3n) {
        expect(isRoca(rocaModulus(bits, exponent))).toBe(true);
      }
    }
  });

  it.each<[string, bigint, bigint]>([
    ["an exponent of 1", oddNumber(2_048), 1n],
    ["an exponent of 3", oddNumber(2_048), 3n],
    ["an even exponent", oddNumber(2_048), 65_538n],
    ["an exponent of 34 bits", oddNumber(2_048), 2n ** 33n + 1n],
    ["an even modulus", oddNumber(2_048) - 1n, 65_537n],
    ["a modulus of 2047 bits", oddNumber(2_047), 65_537n],
    ["a modulus of 8193 bits", oddNumber(8_193), 65_537n],
  ])("is refused for %s, whatever the platform would import", (_, n, e) => {
    expect(defectOf(rsaKey("key", n, e))).not.toBeNull();
    expect(defectOf(rsaKey("key", oddNumber(2_048)))).toBeNull();
  });

  it("is not taken for one of that kind when it is fresh: none of 60", async () => {
    for (let made = 0; made < 60; made += 1) {
      const { publicJwk } = await createOpenKey("RS256");
      expect(defectOf(publicJwk)).toBeNull();
    }
  });

  it("is not taken for one of that kind when it is any odd number: none of 20,000", () => {
    let defects = 0;
    for (let made = 0; made < 20_000; made += 1) {
      if (defectOf(rsaKey("key", oddNumber(2_048))) !== null) defects += 1;
    }
    expect(defects).toBe(0);
  });
});

describe("a token that names no key (J5)", () => {
  const nameless = ({ privateKey, alg, publicJwk }: SigningKey): SigningKey => ({
    ...{ privateKey, alg, publicJwk },
    kid: undefined as unknown as string,
  });

  it.each(THREE)("of %s is taken where a key fits, and the config says so", async (alg) => {
    const { good, evil } = keysOf(alg);
    const other = await createOpenKey(alg === "EdDSA" ? "ES256" : "EdDSA");
    for (const [allow_missing_kid, published, by, status] of [
      [true, [good], good, 200],
      [true, [good], evil, 401],
      [true, [good, evil], good, 200],
      [true, [other, evil], good, 401],
      [true, [good, other], good, 200],
      [true, [evil], good, 401],
      [false, [good], good, 401],
    ] as const) {
      const { state, statusOf } = await createStage(alg, { allow_missing_kid });
      state.answer = publishing(...published);
      expect(await statusOf(nameless(by))).toBe(status);
    }
  });
});

describe("a key whose name is none that a token may give (J5)", () => {
  it.each<[string, string, number]>([
    ["256 bytes", "k".repeat(256), 200],
    ["257 bytes", "k".repeat(257), 401],
    ["128 letters of two bytes", "é".repeat(128), 200],
    ["129 letters of two bytes", "é".repeat(129), 401],
    ["nothing", "", 401],
    // Names like others: they lead to this key, and nowhere else.
    ["the prototype", "__proto__", 200],
    ["a path", "../../dev/null", 200],
  ])("is found or not, published under %s", async (_, kid, status) => {
    await underEach(async ({ alg, keys: { good, evil }, state, statusOf }) => {
      state.answer = publishing({ ...good, kid }, evil);
      expect([alg, await statusOf({ ...good, kid })]).toEqual([alg, status]);
      expect([alg, await statusOf({ ...evil, kid })]).toEqual([alg, 401]);
    });
  });
});

describe("a token that is refused for its looks", () => {
  it.each(THREE)("of %s costs no look-up of keys (J1)", async (alg) => {
    const { keys, state, claims, cancelWith, inVain } = await createStage(alg);
    const headers = [
      ...[{ alg: "none" }, { alg: "None" }, { alg: "HS256" }, { crit: ["exp"] }, { b64: false }],
      ...[{ cty: "JWT" }, { zip: "DEF" }, { enc: "A256GCM" }, { typ: "logout+jwt" }],
      ...[{ kid: undefined }, { kid: 7 }, { kid: "" }, { kid: "k".repeat(257) }],
    ];
    await inVain(async () => {
      for (const header of headers) {
        const token = await compactToken(keys.good, claims(), header);
        expect((await cancelWith(token)).status).toBe(401);
      }
      const [head = "", body = ""] = (await compactToken(keys.good, claims())).split(".");
      for (const token of [`${head}.${body}.`, `${head}.${body}.AA=`, `${head}.${body}.AA.AA`]) {
        expect((await cancelWith(token)).status).toBe(401);
      }
    });
    expect(state.fetches).toBe(0);
  });
});

const placeOf = (provider: MixUp["signedBy"]): string =>
  `https://${provider.toLowerCase()}.id.test`;

/** Two providers that publish keys of one name, and a gateway that trusts them for a tenant each. */
async function createTwins({ alg, key, other }: Forge) {
  const watch = createWatch();
  const published = { A: key, B: other };
  const entry = (provider: MixUp["signedBy"], tenant: string): Json => ({
    issuer: `${placeOf(provider)}/`,
    jwks_uri: `${placeOf(provider)}/jwks.json`,
    audiences: [AUDIENCE],
    algorithms: [alg],
    tenant: { fixed: tenant },
  });
  const gateway = await createHarness({
    config: (config) => ({ ...config, issuers: [entry("A", "acme"), entry("B", "globex")] }),
    world: { now: () => NOW * 1_000 },
    bindings: watch.bindings,
    network: (simulator) => async (input, init) => {
      const address = String(input);
      for (const provider of ["A", "B"] as const) {
        if (address !== `${placeOf(provider)}/jwks.json`) continue;
        return Response.json({ keys: [{ ...published[provider].publicJwk, kid: key.kid }] });
      }
      if (!address.startsWith(`${SIMULATOR}/`)) watch.counts.elsewhere += 1;
      return await simulator(input, init);
    },
  });
  const runs = { A: await gateway.startRun(), B: await gateway.startResponse({ owner: "ann" }) };
  const tokenOf = (by: MixUp["signedBy"], claimed: MixUp["signedBy"]) =>
    goodToken(
      { ...forgeOf(alg), key: { ...published[by], kid: key.kid } },
      {
        iss: `${placeOf(claimed)}/`,
      },
    );
  const send = (token: string, to: MixUp["signedBy"]) =>
    gateway.request(`${pathOf(runs[to])}/cancel`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
  return { gateway, watch, tokenOf, send };
}

const mixUps = MIX_UPS.flatMap((mixUp) =>
  THREE.map((alg) => ({ ...mixUp, alg, order: mixUp.cached.join(" and then ") || "neither" })),
);

describe("two providers whose keys share a kid (J27)", () => {
  it.each(mixUps)(
    "are told apart when $order was met before, and $signedBy signs for $claimed with $alg",
    async ({ alg, cached, signedBy, claimed }) => {
      const { gateway, watch, tokenOf, send } = await createTwins(forgeOf(alg));
      for (const provider of cached) {
        expect((await send(await tokenOf(provider, provider), provider)).status).toBe(200);
      }
      await gateway.forgetCalls();
      watch.forget();
      const replies = [];
      for (const to of ["A", "B"] as const) {
        replies.push(await seen(await send(await tokenOf(signedBy, claimed), to)));
      }
      expect(replies[0]).toMatchObject({
        status: 401,
        headers: { "www-authenticate": 'Bearer realm="stopgate", error="invalid_token"' },
      });
      expect(replies[1]).toEqual(replies[0]);
      expect({ ...watch.counts, upstream: (await gateway.calls()).length }).toEqual(NOTHING);
      for (const provider of ["A", "B"] as const) {
        expect((await send(await tokenOf(provider, provider), provider)).status).toBe(200);
      }
    },
  );
});
