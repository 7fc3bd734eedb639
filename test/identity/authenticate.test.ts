// Who gets in, by the front door: every algorithm, every claim, every way a token can be wrong.
import { describe, expect, it } from "vitest";
import { createKey, type SigningKey } from "../../dev/issuer.ts";
import { AUDIENCE, createHarness, type Json, pathOf } from "../support/harness.ts";
import { refused, seen } from "../support/reply.ts";
import { base64url, compactToken } from "../support/tokens.ts";

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
const STRANGERS_KEY = await createKey("ES256");
const OTHER_KEY = await createKey("ES256");

let fetches = 0;
const audited: string[] = [];

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
  config: (config) => ({ ...config, issuers }),
  world: { now: () => NOW * 1_000 },
  network: (simulator) => (input, init) => {
    if (!String(input).startsWith("https://simulator.test")) fetches += 1;
    return simulator(input, init);
  },
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

  it.each(Object.entries(KEYS))("signed with %s by a stranger is not", async (algorithm, key) => {
    const iss = algorithm === "ES256" ? ISSUER : `${ISSUER}${algorithm}`;
    const stranger = await createKey(key.alg);
    const token = await compactToken({ ...stranger, kid: key.kid }, claims({ iss }));
    expect(await statusOf(token)).toBe(401);
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

  it("is taken by the issuer's key alone, though another issuer's key has the same kid", async () => {
    const kid = KEY.kid;
    const byOther = { ...OTHER_KEY, kid };
    expect(await statusOf(await compactToken(byOther, claims()))).toBe(401);
    const forOther = await compactToken(KEY, claims({ iss: OTHER_ISSUER }));
    expect(await statusOf(forOther)).toBe(401);
    const others = claims({ iss: OTHER_ISSUER, permissions: ["runs:cancel"] });
    expect(await statusOf(await compactToken(byOther, others))).toBe(404);
  });
});

describe("the claim", () => {
  it.each<[string, unknown, number]>([
    ["aud", AUDIENCE, 200],
    ["aud", "https://stop2.test", 200],
    ["aud", ["https://api.test", AUDIENCE], 200],
    ["aud", undefined, 401],
    ["aud", null, 401],
    ["aud", "", 401],
    ["aud", [], 401],
    ["aud", "https://api.test", 401],
    ["aud", `${AUDIENCE}/`, 401],
    ["aud", AUDIENCE.toUpperCase(), 401],
    ["aud", [[AUDIENCE]], 401],
    ["aud", { 0: AUDIENCE }, 401],
    ["aud", [AUDIENCE, 7], 401],
    ["aud", [AUDIENCE, ...Array<string>(15).fill("x")], 200],
    ["aud", [AUDIENCE, ...Array<string>(16).fill("x")], 401],
    ["iss", undefined, 401],
    ["iss", null, 401],
    ["iss", [ISSUER], 401],
    ["iss", ISSUER.slice(0, -1), 401],
    ["iss", ISSUER.toUpperCase(), 401],
    ["iss", `${ISSUER} `, 401],
    ["iss", "https://evil.test/", 401],
    ["iss", "__proto__", 401],
    ["exp", NOW + 1, 200],
    ["exp", NOW - 59, 200],
    ["exp", NOW - 61, 401],
    ["exp", NOW + 24 * 3_600, 200],
    ["exp", NOW + 24 * 3_600 + 61, 401],
    ["exp", undefined, 401],
    ["exp", null, 401],
    ["exp", String(NOW + 600), 401],
    ["exp", [NOW + 600], 401],
    ["exp", {}, 401],
    ["exp", -1, 401],
    ["exp", 0, 401],
    ["exp", 9e15, 401],
    ["exp", true, 401],
    ["nbf", NOW, 200],
    ["nbf", NOW + 59, 200],
    ["nbf", NOW + 61, 401],
    ["nbf", String(NOW), 401],
    ["nbf", null, 401],
    ["iat", undefined, 200],
    ["iat", NOW - 3_600, 200],
    ["iat", NOW + 59, 200],
    ["iat", NOW + 61, 401],
    ["iat", String(NOW), 401],
    ["iat", null, 401],
    ["sub", "auth0|ann", 200],
    ["sub", "ann@acme.test", 200],
    ["sub", undefined, 401],
    ["sub", null, 401],
    ["sub", "", 401],
    ["sub", 7, 401],
    ["sub", ["ann"], 401],
    ["sub", { name: "ann" }, 401],
    ["sub", "a\0nn", 401],
    ["sub", "ann\n", 401],
    ["sub", "ann\u0085", 401],
    ["sub", "\u202enna", 401],
    ["sub", "a".repeat(256), 401],
  ])("%s of %j makes it %s", async (name, value, status) => {
    const probe = await statusWith({ [name]: value });
    // Somebody else's run is nobody's business: then the token itself was accepted.
    const accepted = name === "sub" && status === 200 ? [200, 404] : [status];
    expect(accepted).toContain(probe);
  });

  it.each([
    '"exp":1e400',
    '"exp":1790000600,"nbf":-1e400',
    '"exp":1790000600,"iat":-1e400',
    '"exp":1790000600,"sub":"\\ud800"',
  ])("written as %s is not accepted", async (written) => {
    const { exp: _, sub, ...others } = CLAIMS;
    const json = JSON.stringify(written.includes("sub") ? others : { ...others, sub });
    expect(await statusOf(await compactToken(KEY, `${json.slice(0, -1)},${written}}`))).toBe(401);
  });

  it.each(["exp", "iss", "sub", "org_id", "aud", "scope", "other"])(
    "%s written twice is not accepted, in either order or spelling",
    async (name) => {
      const members = JSON.stringify(claims({ other: 1 })).slice(1, -1);
      const spelled = `"\\u${name.charCodeAt(0).toString(16).padStart(4, "0")}${name.slice(1)}"`;
      for (const twin of [`"${name}":"x"`, `${spelled}:"x"`, `"${name}" :"x"`]) {
        expect(await statusOf(await compactToken(KEY, `{${members},${twin}}`))).toBe(401);
        expect(await statusOf(await compactToken(KEY, `{${twin},${members}}`))).toBe(401);
      }
    },
  );

  it("that only looks as if it were written twice is accepted", async () => {
    const note = { text: '{"sub":"bob","sub":"eve"} \\" : "', sub: { sub: ["sub", "iss"] } };
    const written = JSON.stringify(claims({ note }), null, 1).replaceAll("/", "\\/");
    expect(await statusOf(await compactToken(KEY, written))).toBe(200);
  });

  it("nested 16 deep is accepted, and any deeper is not, nor is it an accident", async () => {
    const nested = (levels: number) =>
      JSON.stringify(claims({ x: 1 })).replace(
        '"x":1',
        `"x":${"[".repeat(levels)}${"]".repeat(levels)}`,
      );
    expect(await statusOf(await compactToken(KEY, nested(15)))).toBe(200);
    expect(await statusOf(await compactToken(KEY, nested(16)))).toBe(401);
    expect(await statusOf(await compactToken(KEY, nested(2_500)))).toBe(401);
  });

  it("__proto__ or constructor lends nothing to the caller", async () => {
    const { scope: _, ...others } = CLAIMS;
    const json = JSON.stringify(others).slice(0, -1);
    for (const name of ["__proto__", "constructor"]) {
      const token = await compactToken(KEY, `${json},"${name}":{"scope":"runs:cancel"}}`);
      expect(await statusOf(token)).toBe(403);
    }
  });
});

describe("the header", () => {
  it.each<[Json, number]>([
    [{ typ: "at+jwt" }, 200],
    [{ typ: "JWT" }, 200],
    [{ typ: "jwt" }, 200],
    [{ typ: "application/at+jwt" }, 200],
    [{ typ: undefined }, 200],
    [{ typ: "logout+jwt" }, 401],
    [{ typ: "secevent+jwt" }, 401],
    [{ typ: "dpop+jwt" }, 401],
    [{ typ: "JWE" }, 401],
    [{ typ: "" }, 401],
    [{ typ: 7 }, 401],
    [{ typ: null }, 401],
    [{ alg: "none" }, 401],
    [{ alg: "None" }, 401],
    [{ alg: "HS256" }, 401],
    [{ alg: "es256" }, 401],
    [{ alg: "ES256K" }, 401],
    [{ alg: "ES384" }, 401],
    [{ alg: "RS256" }, 401],
    [{ alg: undefined }, 401],
    [{ alg: ["ES256"] }, 401],
    [{ kid: undefined }, 401],
    [{ kid: "another" }, 401],
    [{ kid: "../../dev/null" }, 401],
    [{ kid: "' OR 1=1 --" }, 401],
    [{ kid: "https://evil.test/key" }, 401],
    [{ kid: "k".repeat(257) }, 401],
    [{ kid: 7 }, 401],
    [{ kid: [KEY.kid] }, 401],
    [{ kid: null }, 401],
    [{ crit: ["exp"] }, 401],
    [{ crit: [] }, 401],
    [{ b64: false }, 401],
    [{ b64: true }, 401],
    [{ cty: "JWT" }, 401],
    [{ zip: "DEF" }, 401],
    [{ enc: "A256GCM" }, 401],
    [{ x5t: "aGVsbG8" }, 200],
    [{ jku: "https://evil.test/jwks.json" }, 200],
    [{ x5u: "https://evil.test/cert.pem" }, 200],
  ])("%j makes it %s", async (header, status) => {
    expect(await statusWith({}, header)).toBe(status);
  });

  it("that brings its own key is verified with the issuer's all the same", async () => {
    const { publicJwk } = STRANGERS_KEY;
    const own = { jwk: publicJwk, kid: KEY.kid };
    expect(await statusOf(await compactToken(STRANGERS_KEY, claims(), own))).toBe(401);
  });

  it("that points to a key has nothing fetched", async () => {
    fetches = 0;
    const header = { jku: "https://evil.test/jwks.json", x5u: "https://evil.test/x", kid: KEY.kid };
    await ask(await compactToken(STRANGERS_KEY, claims(), header));
    expect(fetches).toBe(0);
  });

  it("that names a member twice is not accepted", async () => {
    const header = `{"alg":"none","alg":"ES256","kid":"${KEY.kid}"}`;
    expect(await statusOf(await compactToken(KEY, claims(), header))).toBe(401);
  });

  it("in HS256 under the public key as the secret is not accepted", async () => {
    const header = { alg: "HS256", kid: KEY.kid };
    const input = `${base64url(header)}.${base64url(claims())}`;
    for (const secret of [JSON.stringify(KEY.publicJwk), KEY.publicJwk.x ?? ""]) {
      const raw = new TextEncoder().encode(secret);
      const algorithm = { name: "HMAC", hash: "SHA-256" };
      const key = await crypto.subtle.importKey("raw", raw, algorithm, false, ["sign"]);
      const mac = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(input));
      expect(await statusOf(`${input}.${base64url(new Uint8Array(mac))}`)).toBe(401);
    }
  });
});

/** Every defect of the token's own shape, from one good token. */
async function misshapen(): Promise<Record<string, string>> {
  const good = await compactToken(KEY, claims());
  const [header = "", payload = "", signature = ""] = good.split(".");
  const bom = await compactToken(KEY, new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0x7d]));
  return {
    "no dots": "token",
    "one dot": `${header}.${payload}`,
    "four parts": `${good}.x`,
    "five parts, as a JWE has": `${good}.x.y`,
    "no signature": `${header}.${payload}.`,
    "no header": `.${payload}.${signature}`,
    "only dots": "..",
    "a million dots": ".".repeat(8_000),
    padding: `${good}=`,
    "an escaped letter": good.replace(
      /[A-Za-z]/,
      (letter) => `%${letter.charCodeAt(0).toString(16)}`,
    ),
    "the other alphabet": `${header}.${payload}.${signature.slice(0, -2)}+/`,
    "unused bits set": twin(good),
    "JSON in place of base64url": JSON.stringify({ payload }),
    "a payload with a byte order mark": bom,
    "a payload that is no object": await compactToken(KEY, "[]"),
    "a payload that is null": await compactToken(KEY, "null"),
    "a payload that is no JSON": await compactToken(KEY, "{"),
    "a payload of invalid UTF-8": await compactToken(KEY, new Uint8Array([0x22, 0xff, 0x22])),
    "a header that is no JSON": await compactToken(KEY, claims(), "{"),
    "a header that is an array": await compactToken(KEY, claims(), "[]"),
    "8 KiB and more": await compactToken(KEY, claims({ x: "x".repeat(8_000) })),
  };
}

/** The same signature with a spare bit of its last letter flipped: another spelling of the token. */
function twin(token: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return token.slice(0, -1) + (alphabet[alphabet.indexOf(token.slice(-1)) ^ 1] ?? "");
}

describe("a 401", () => {
  it("is one and the same, to the byte, whatever is wrong with the token", async () => {
    const tokens = {
      ...(await misshapen()),
      expired: await compactToken(KEY, claims({ exp: NOW - 3_600 })),
      "not yet valid": await compactToken(KEY, claims({ nbf: NOW + 3_600 })),
      "for another audience": await compactToken(KEY, claims({ aud: "x" })),
      "of an unknown issuer": await compactToken(KEY, claims({ iss: "https://evil.test/" })),
      "of a stranger": await compactToken(STRANGERS_KEY, claims()),
      "under a stolen kid": await compactToken({ ...STRANGERS_KEY, kid: KEY.kid }, claims()),
      "of another type": await compactToken(KEY, claims(), { typ: "logout+jwt" }),
      unsigned: `${base64url({ alg: "none" })}.${base64url(claims())}.`,
      "with no subject": await compactToken(KEY, claims({ sub: undefined })),
      "with a member twice": await compactToken(KEY, '{"iss":"a","iss":"b"}'),
    };
    const expected = {
      status: 401,
      body: JSON.stringify({
        error: {
          message: "The access token is not valid for this gateway.",
          type: "authentication_error",
          param: null,
          code: "invalid_token",
        },
      }),
    };
    const first = await seen(await ask(tokens.expired));
    expect(first).toMatchObject(expected);
    expect(first.headers["www-authenticate"]).toBe(
      'Bearer realm="stopgate", error="invalid_token"',
    );
    for (const [name, token] of Object.entries(tokens)) {
      expect({ name, ...(await seen(await ask(token))) }).toEqual({ name, ...first });
    }
  });

  it("without credentials names no error in its challenge", async () => {
    const response = await gateway.request(pathOf(ids));
    expect(response.headers.get("www-authenticate")).toBe('Bearer realm="stopgate"');
    expect(await refused(response)).toMatchObject({
      status: 401,
      code: "missing_token",
      shouldRetry: "false",
    });
  });

  it("says in the log, and only there, what was wrong", async () => {
    gateway.lines.length = 0;
    await ask(await compactToken(KEY, claims({ aud: "x" })));
    expect(JSON.parse(gateway.lines.at(-1) ?? "")).toMatchObject({
      status: 401,
      code: "invalid_token",
      detail: "claim aud: no audience of this gateway",
    });
  });

  it("for an unknown issuer costs no fetch, no record and no read of the config", async () => {
    const keysRead: string[] = [];
    const watched = await createHarness({
      config: (config) => ({ ...config, issuers }),
      world: { now: () => NOW * 1_000 },
      network: () => () => {
        fetches += 1;
        throw new Error("no fetch was expected");
      },
      bindings: {
        config: {
          get: (async (key: string) => {
            keysRead.push(key);
            return JSON.stringify({ issuers, upstreams: {}, origins: [] });
          }) as unknown as KVNamespace["get"],
        },
        ledger: (tenant) => {
          audited.push(tenant);
          throw new Error("no ledger was expected");
        },
      },
    });
    const token = await compactToken(KEY, claims({ iss: "https://evil.test/" }));
    await watched.read(ids, token);
    fetches = 0;
    keysRead.length = 0;
    for (const _ of [1, 2, 3]) expect((await watched.read(ids, token)).status).toBe(401);
    expect({ fetches, keysRead, audited }).toEqual({ fetches: 0, keysRead: [], audited: [] });
  });
});

describe("the tenant", () => {
  it.each<[string, unknown]>([
    ["another issuer's tenant", "globex"],
    ["no tenant of this gateway", "initech"],
    ["another case", "ACME"],
    ["a longer name", "acme2"],
    ["white space", "acme "],
    ["full-width letters", "ａｃｍｅ"],
    ["a list", ["acme"]],
    ["a number", 7],
    ["nothing", undefined],
    ["null", null],
    ["the empty string", ""],
  ])("that is %s is 403 tenant_not_allowed, with one reply for all", async (_, org_id) => {
    const reply = await seen(await ask(await compactToken(KEY, claims({ org_id }))));
    expect(reply).toMatchObject({ status: 403, headers: { "x-should-retry": "false" } });
    expect(JSON.parse(reply.body)).toEqual({
      error: {
        message: "The access token's tenant may not use this gateway.",
        type: "permission_error",
        param: null,
        code: "tenant_not_allowed",
      },
    });
    const unknown = await compactToken(KEY, claims({ org_id: "initech" }));
    expect(reply).toEqual(await seen(await ask(unknown)));
  });

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
      config: (config) => ({
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
    await createHarness({ config: (config) => ({ ...config, issuers }) });
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
    [{ "runs:cancel": true }, 403],
    ["RUNS:CANCEL", 403],
    ["runs:cancel:support2", 403],
    ["runs:cancelx", 403],
    ["xruns:cancel", 403],
    ["runs:cancel,openid", 403],
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
      'Bearer realm="stopgate", error="insufficient_scope"',
    );
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
      config: (config) => ({
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
    await createHarness({ config: (config) => ({ ...config, issuers }) });
  });

  it.each([{ jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }, { "x5t#S256": "b" }, {}, null])(
    "never are a cnf such as %j: whoever sends it has proved nothing",
    async (cnf) => {
      expect(await statusWith({ cnf })).toBe(401);
    },
  );
});

describe("the types of an issuer", () => {
  it("may be narrower than the usual ones", async () => {
    const key: SigningKey = { ...OTHER_KEY, kid: KEY.kid };
    const payload = claims({ iss: OTHER_ISSUER, permissions: ["runs:cancel"] });
    expect(await statusOf(await compactToken(key, payload, { typ: "at+jwt" }))).toBe(404);
    expect(await statusOf(await compactToken(key, payload, { typ: "JWT" }))).toBe(401);
  });
});
