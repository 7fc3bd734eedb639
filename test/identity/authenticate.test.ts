// Who gets in by the front door, as whom, and with which scopes. What must not: `attacks.test.ts`.
import { describe, expect, it } from "vitest";
import { createKey, type SigningKey } from "../../dev/issuer.ts";
import { AUDIENCE, createHarness, type Json, withSharedSubjects } from "../support/harness.ts";
import { seen } from "../support/reply.ts";
import { compactToken } from "../support/tokens.ts";

const NOW = 1_790_000_000;
const ISSUER = "https://id.acme.test/";
const OTHER_ISSUER = "https://id.globex.test/";

const KEYS = {
  RS256: await createKey("RS256"),
  PS256: await createKey("PS256"),
  ES256: await createKey("ES256"),
  EdDSA: await createKey("EdDSA"),
};
const KEY = KEYS.ES256;
const OTHER_KEY = await createKey("ES256");

/** One issuer per algorithm for acme, and one of another tenant. */
const issuers = [
  ...Object.entries(KEYS).map(([algorithm, key]) => ({
    issuer: algorithm === "ES256" ? ISSUER : `${ISSUER}${algorithm}`,
    jwks: { keys: [key.publicJwk] },
    audiences: [AUDIENCE, "https://stop2.test"],
    algorithms: [algorithm],
    tenant: { claim: "org_id", allow: ["acme"] },
  })),
  {
    issuer: OTHER_ISSUER,
    // The same `kid` as the first issuer's key, over another key.
    jwks: { keys: [{ ...OTHER_KEY.publicJwk, kid: KEY.kid }] },
    audiences: [AUDIENCE],
    algorithms: ["ES256"],
    types: ["at+jwt"],
    tenant: { fixed: "globex" },
    scopes_claim: "permissions",
  },
];

const gateway = await createHarness({
  config: (config) => withSharedSubjects({ ...config, issuers }),
  world: { now: () => NOW * 1_000 },
});
const ids = await gateway.startRun();

const CLAIMS = {
  iss: ISSUER,
  aud: AUDIENCE,
  sub: "ann",
  iat: NOW,
  exp: NOW + 600,
  org_id: "acme",
  scope: "runs:cancel",
};

/** Of undefined the claim is left out. */
function claims(over: Json = {}): Json {
  return { ...CLAIMS, ...over };
}

const ask = (token: string): Promise<Response> => gateway.read(ids, token);
const statusOf = async (token: string): Promise<number> => (await ask(token)).status;
const statusWith = async (over: Json, header: Json = {}): Promise<number> =>
  statusOf(await compactToken(KEY, claims(over), header));

describe("a token", () => {
  it.each(Object.entries(KEYS))("signed with %s is accepted", async (algorithm, key) => {
    const iss = algorithm === "ES256" ? ISSUER : `${ISSUER}${algorithm}`;
    expect(await statusOf(await compactToken(key, claims({ iss })))).toBe(200);
  });

  it.each(Object.entries(KEYS))(
    "signed with %s and altered in any part is not",
    async (algorithm, key) => {
      const iss = algorithm === "ES256" ? ISSUER : `${ISSUER}${algorithm}`;
      const token = await compactToken(key, claims({ iss }));
      const dots = [token.indexOf("."), token.lastIndexOf(".")] as const;
      for (const at of [3, dots[0] + 9, dots[1] - 2, dots[1] + 5]) {
        const letter = token[at] === "A" ? "B" : "A";
        const altered = token.slice(0, at) + letter + token.slice(at + 1);
        expect(await statusOf(altered)).toBe(401);
      }
    },
  );
});

describe("the claim", () => {
  it.each<[string, unknown, number]>([
    ["aud", AUDIENCE, 200],
    ["aud", "https://stop2.test", 200],
    ["aud", ["https://api.test", AUDIENCE], 200],
    ["aud", [AUDIENCE, ...Array<string>(63).fill("x")], 200],
    ["exp", NOW + 1, 200],
    ["exp", NOW - 59, 200],
    ["exp", NOW + 24 * 3_600, 200],
    ["nbf", NOW, 200],
    ["nbf", NOW + 59, 200],
    ["iat", undefined, 200],
    ["iat", NOW - 3_600, 200],
    ["iat", NOW + 59, 200],
    ["sub", "auth0|ann", 200],
    ["sub", "ann@acme.test", 200],
  ])("%s of %j makes it %s", async (name, value, status) => {
    const probe = await statusWith({ [name]: value });
    // Somebody else's run is nobody's business: then the token itself was accepted.
    const accepted = name === "sub" && status === 200 ? [200, 404] : [status];
    expect(accepted).toContain(probe);
  });

  it("that only looks as if it were written twice is accepted", async () => {
    const note = { text: '{"sub":"bob","sub":"eve"} \\" : "', sub: { sub: ["sub", "iss"] } };
    const written = JSON.stringify(claims({ note }), null, 1).replaceAll("/", "\\/");
    expect(await statusOf(await compactToken(KEY, written))).toBe(200);
  });
});

describe("the header", () => {
  it.each<[Json, number]>([
    [{ typ: "at+jwt" }, 200],
    [{ typ: "JWT" }, 200],
    [{ typ: "jwt" }, 200],
    [{ typ: "application/at+jwt" }, 200],
    [{ typ: undefined }, 200],
    [{ x5t: "aGVsbG8" }, 200],
    [{ jku: "https://evil.test/jwks.json" }, 200],
    [{ x5u: "https://evil.test/cert.pem" }, 200],
  ])("%j makes it %s", async (header, status) => {
    expect(await statusWith({}, header)).toBe(status);
  });
});

describe("a 401", () => {
  it.each<[string, Json, Json]>([
    ["claim aud: no audience of this gateway", { aud: "x" }, {}],
    ["claim aud: more than 64 audiences", { aud: [...Array<string>(64).fill("x"), AUDIENCE] }, {}],
    ["claim aud: missing or malformed", { aud: 7 }, {}],
    ["longer than 16 KiB", { x: "x".repeat(16_384) }, {}],
    ["the header is over 1 KiB", {}, { x: "x".repeat(1_024) }],
    ["header kid: not a string of 1-256 bytes", {}, { kid: "k".repeat(257) }],
    ["claim sub: missing or malformed", { sub: "a".repeat(256) }, {}],
  ])("says in the log, and only there, what was wrong: %s", async (detail, over, header) => {
    gateway.lines.length = 0;
    await ask(await compactToken(KEY, claims(over), header));
    expect(JSON.parse(gateway.lines.at(-1) ?? "")).toMatchObject({
      status: 401,
      code: "invalid_token",
      detail,
    });
  });

  it("says in the log when the token is for none of its issuer's entries", async () => {
    const entries = ["web", "ios"].map((azp) => ({ ...issuers[2], claims: { azp } }));
    const several = await createHarness({
      config: (config) => withSharedSubjects({ ...config, issuers: entries }),
      world: { now: () => NOW * 1_000 },
    });
    for (const [over, why] of [
      [{ azp: "other" }, "claim azp: not as the issuer's config requires"],
      [{ aud: Array<string>(65).fill(AUDIENCE) }, "claim aud: more than 64 audiences"],
    ] as const) {
      const token = await compactToken(KEY, claims(over));
      expect((await several.read(ids, token)).status).toBe(401);
      expect(JSON.parse(several.lines.at(-1) ?? "")).toMatchObject({
        code: "invalid_token",
        detail: `for none of its issuer's entries (${why})`,
      });
    }
    await createHarness({ config: (config) => withSharedSubjects({ ...config, issuers }) });
  });
});

describe("two entries of one issuer that differ by the header", () => {
  it("take a token from their own header each, and from no other", async () => {
    const access = {
      ...issuers[2],
      token_header: "cf-access-jwt-assertion",
      granted_scopes: ["audit:read"],
    };
    const real = await createHarness({
      config: (config) =>
        withSharedSubjects({ ...config, issuers: [access, { ...issuers[2], audiences: ["x"] }] }),
      world: { now: () => NOW * 1_000 },
    });
    const statusOf = async (name: string, aud: string): Promise<number> => {
      const token = await compactToken(KEY, claims({ aud }));
      const value = name === "authorization" ? `Bearer ${token}` : token;
      return (await real.request("/v1/audit/events", { headers: { [name]: value } })).status;
    };
    expect(await statusOf("cf-access-jwt-assertion", AUDIENCE)).toBe(200);
    expect(await statusOf("authorization", "x")).toBe(403);
    expect(await statusOf("cf-access-jwt-assertion", "x")).toBe(401);
    expect(await statusOf("authorization", AUDIENCE)).toBe(401);
    await createHarness({ config: (config) => withSharedSubjects({ ...config, issuers }) });
  });
});

describe("the client that events name", () => {
  it.each<[string | null, Json]>([
    ["app", { client_id: "app" }],
    ["app", { azp: "app" }],
    ["app", { appid: "app" }],
    ["app", { cid: "app" }],
    ["app", { client_id: "app", azp: "b", appid: "c", cid: "d" }],
    ["app", { azp: "app", cid: "d" }],
    ["app", { client_id: 7, azp: "", appid: "app" }],
    ["app", { client_id: null, cid: "app" }],
    [null, { client: "app" }],
    [null, { client_id: ["app"], cid: "a\u0000b" }],
  ])("is %j for %j", async (client, over) => {
    // By the true clock, which events are named and found by.
    const real = await createHarness({
      config: (config) => withSharedSubjects({ ...config, issuers }),
    });
    const iat = Math.floor(Date.now() / 1_000);
    const tokenOf = (more: Json): Promise<string> =>
      compactToken(KEY, claims({ iat, exp: iat + 600, ...more }));
    const run = await real.startRun();
    expect((await real.cancel(run, await tokenOf(over))).status).toBe(200);
    const { data } = await real.events(await tokenOf({ sub: "ada", scope: "audit:read" }));
    const own = data.filter(({ target }) => target.run_id === run.run);
    expect(own.map(({ actor }) => actor)).toMatchObject([{ sub: "ann", client_id: client }]);
  });
});

describe("the tenant", () => {
  it("is the fixed one of its issuer, whatever the token says", async () => {
    const response = await gateway.startResponse();
    const token = await compactToken(
      { ...OTHER_KEY, kid: KEY.kid },
      claims({ iss: OTHER_ISSUER, sub: "gus", org_id: "acme", permissions: ["runs:cancel"] }),
    );
    expect((await gateway.read(response, token)).status).toBe(200);
    expect(await statusOf(token)).toBe(404);
  });

  it("that an issuer may name and that is not configured is refused as if it might not", async () => {
    const wide = await createHarness({
      world: { now: () => NOW * 1_000 },
      config: (config) =>
        withSharedSubjects({
          ...config,
          issuers: issuers.map((issuer) =>
            issuer.issuer === ISSUER
              ? { ...issuer, tenant: { claim: "org_id", allow: ["acme", "initech"] } }
              : issuer,
          ),
        }),
    });
    const replies = await Promise.all(
      ["initech", "globex"].map(async (org_id) =>
        seen(await wide.read(ids, await compactToken(KEY, claims({ org_id })))),
      ),
    );
    expect(replies[0]?.status).toBe(403);
    expect(replies[1]).toEqual(replies[0]);
    await createHarness({ config: (config) => withSharedSubjects({ ...config, issuers }) });
  });
});

describe("scopes", () => {
  it.each<[unknown, number]>([
    ["runs:cancel", 200],
    ["openid runs:cancel email", 200],
    [["openid", "runs:cancel"], 200],
    [[7, null, "runs:cancel"], 200],
    ["", 403],
    [[], 403],
    [undefined, 403],
    [null, 403],
    [7, 403],
    [{ "runs:cancel": { "1234": "acme.test" }, other: {} }, 200],
    [{ "runs:cancel": true }, 200],
    [{ "runs:cancel": false }, 403],
    [{ "runs:cancel": null }, 403],
    [{ scopes: ["runs:cancel"] }, 403],
    [{ "openid runs:cancel": true }, 403],
    ["RUNS:CANCEL", 403],
    ["runs:cancel:support2", 403],
    ["runs:cancelx", 403],
    ["xruns:cancel", 403],
    ["runs:cancel,openid", 200],
    ["openid,runs:cancel", 200],
    ["openid, runs:cancel", 200],
    ["openid;runs:cancel", 403],
    [["openid,runs:cancel"], 403],
    [["openid runs:cancel"], 403],
    [[["runs:cancel"]], 403],
  ])("of %j are %s for a rule that asks for runs:cancel", async (scope, status) => {
    expect(await statusWith({ scope })).toBe(status);
  });

  it("are read from the claim that the issuer's config names, and no other", async () => {
    const response = await gateway.startResponse();
    const key: SigningKey = { ...OTHER_KEY, kid: KEY.kid };
    const others = { iss: OTHER_ISSUER, sub: "gus" };
    const statusFor = async (over: Json): Promise<number> =>
      (await gateway.read(response, await compactToken(key, claims({ ...others, ...over }))))
        .status;
    expect(await statusFor({ scope: undefined, permissions: ["runs:cancel"] })).toBe(200);
    expect(await statusFor({ scope: "runs:cancel", permissions: [] })).toBe(403);
  });

  it("that are too few are named in the challenge", async () => {
    const response = await ask(await compactToken(KEY, claims({ scope: "openid" })));
    expect(response.headers.get("www-authenticate")).toBe(
      'Bearer realm="stopgate", error="insufficient_scope", scope="runs:cancel"',
    );
  });
});

describe("a token that is none for this", () => {
  it.each<[string, Json]>([
    ["is a logout", { events: { "http://schemas.openid.net/event/backchannel-logout": {} } }],
    ["is an empty event", { events: {} }],
    ["has a number for a name", { jti: 7 }],
    ["has a name too long to be revoked", { jti: "j".repeat(256) }],
    ["has no text for a name", { jti: "" }],
  ])("because it %s is refused", async (_, over) => {
    expect(await statusWith(over, { typ: "JWT" })).toBe(401);
  });
});

describe("the claims that an issuer's config asks for", () => {
  const asking = { token_use: "access", verified: true, act: null, constructor: null };
  it.each<[Json, number]>([
    [{ token_use: "access", verified: true }, 200],
    [{ token_use: "access", verified: true, act: null }, 200],
    [{ token_use: "access", verified: true, act: { sub: "sam" } }, 401],
    [{ token_use: "access", verified: true, act: "" }, 401],
    [{ token_use: "access", verified: true, act: false }, 401],
    [{ token_use: "access", verified: "true" }, 401],
    [{ token_use: "access", verified: 1 }, 401],
    [{ token_use: "access", verified: false }, 401],
    [{ token_use: "access" }, 401],
    [{ token_use: ["access"], verified: true }, 401],
    [{ token_use: "id", verified: true }, 401],
    [{ verified: true }, 401],
  ])("are %j in a token that is answered %i", async (over, status) => {
    const picky = await createHarness({
      config: (config) =>
        withSharedSubjects({
          ...config,
          issuers: issuers.map((issuer) =>
            issuer.issuer === ISSUER ? { ...issuer, claims: asking } : issuer,
          ),
        }),
      world: { now: () => NOW * 1_000 },
    });
    const own = await picky.startRun();
    const token = await compactToken(KEY, claims(over));
    expect((await picky.read(own, token)).status).toBe(status);
    await createHarness({ config: (config) => withSharedSubjects({ ...config, issuers }) });
  });

  it.each([{ jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }, { "x5t#S256": "b" }, {}, null])(
    "never are a cnf such as %j: whoever sends it has proved nothing",
    async (cnf) => {
      expect(await statusWith({ cnf })).toBe(401);
    },
  );
});
