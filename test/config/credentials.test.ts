// Upstream credentials, by the front door: sealed keys, second keys, client credentials. Whatever
// happens, the plain key is where it is sent and nowhere else.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { createAccessTokens } from "../../src/config/access-tokens.ts";
import { createEncryptionKeys } from "../../src/config/credentials.ts";
import { type EncryptionKey, readEncryptionKey, seal } from "../../src/config/sealing.ts";
import { createConfigStore } from "../../src/config/store.ts";
import {
  ANN,
  applyConfig,
  createHarness,
  type HarnessOptions,
  type Json,
  withTenant,
} from "../support/harness.ts";
import { refused } from "../support/reply.ts";
import { TEST_SECRETS, UPSTREAM_KEYS } from "../support/secrets.ts";

const KEY = UPSTREAM_KEYS.acme;

function kekText(kid: string, byte: number): string {
  const k = Buffer.from(new Uint8Array(32).fill(byte)).toString("base64url");
  return JSON.stringify({ kty: "oct", k, kid });
}
async function kek(kid: string, byte: number): Promise<EncryptionKey> {
  const key = await readEncryptionKey(kekText(kid, byte));
  if (key === null) throw new Error("no key");
  return key;
}
const OLD = await kek("2025", 1);
const NEW = await kek("2026", 2);
const OLD_TEXT = kekText("2025", 1);
const NEW_TEXT = kekText("2026", 2);

type Secrets = Readonly<Record<string, string | undefined>>;

async function gatewayWith(members: Json, secrets: Secrets = {}, options: HarnessOptions = {}) {
  const all: Secrets = { ...TEST_SECRETS, ...secrets };
  const gateway = await createHarness({
    config: withTenant("acme", members),
    ...options,
    bindings: { secret: (name) => all[name], ...options.bindings },
  });
  const ids = await gateway.startRun();
  const cancel = async () => gateway.cancel(ids, await gateway.tokenFor(ANN));
  return { gateway, ids, cancel };
}

/** The upstream refuses every key that is not among these. */
const takesOnly =
  (...keys: readonly string[]): NonNullable<HarnessOptions["network"]> =>
  (simulator) =>
  async (input, init) => {
    const sent = new Headers(init?.headers).get("authorization")?.replace("Bearer ", "") ?? "";
    if (!String(input).includes("/assistants/v1/")) return await simulator(input, init);
    if (!keys.includes(sent)) return Response.json({ error: { message: sent } }, { status: 401 });
    const headers = new Headers(init?.headers);
    headers.set("authorization", `Bearer ${KEY}`);
    return await simulator(input, { ...init, headers });
  };

/** Nothing outlasts it. */
const alone = (): void => undefined;

describe("a sealed key", () => {
  it("is opened where it is sent", async () => {
    const sealed = await seal(NEW, "acme", KEY);
    const { cancel } = await gatewayWith(
      { credential: { sealed } },
      { KEY_ENCRYPTION_KEY: NEW_TEXT },
    );
    expect((await cancel()).status).toBe(200);
  });

  it("may be under the key before, while it is moved to the next", async () => {
    const secrets = { KEY_ENCRYPTION_KEY: NEW_TEXT, KEY_ENCRYPTION_KEY_PREVIOUS: OLD_TEXT };
    for (const key of [OLD, NEW]) {
      const sealed = await seal(key, "acme", KEY);
      const { cancel } = await gatewayWith({ credential: { sealed } }, secrets);
      expect((await cancel()).status).toBe(200);
    }
  });

  const flipped = (sealed: string, part: number): string => {
    const parts = sealed.split(".");
    const text = parts[part] ?? "";
    parts[part] = (text.startsWith("A") ? "B" : "A") + text.slice(1);
    return parts.join(".");
  };
  const altered =
    "the sealed key does not open with the key-encryption key '2026': it was altered, or that key is another one";

  it.each<[string, () => Promise<string>, Secrets, string]>([
    [
      "another tenant's",
      () => seal(NEW, "globex", KEY),
      { KEY_ENCRYPTION_KEY: NEW_TEXT },
      "the sealed key was sealed for another tenant",
    ],
    [
      "with a bit of its text flipped",
      async () => flipped(await seal(NEW, "acme", KEY), 3),
      { KEY_ENCRYPTION_KEY: NEW_TEXT },
      altered,
    ],
    [
      "with a bit of its nonce flipped",
      async () => flipped(await seal(NEW, "acme", KEY), 2),
      { KEY_ENCRYPTION_KEY: NEW_TEXT },
      altered,
    ],
    [
      "with a bit of its tag flipped",
      async () => flipped(await seal(NEW, "acme", KEY), 4),
      { KEY_ENCRYPTION_KEY: NEW_TEXT },
      altered,
    ],
    [
      "of another tenant with this one's name written over it",
      async () => {
        const [, ...rest] = (await seal(NEW, "globex", KEY)).split(".");
        const [header] = (await seal(NEW, "acme", KEY)).split(".");
        return [header, ...rest].join(".");
      },
      { KEY_ENCRYPTION_KEY: NEW_TEXT },
      altered,
    ],
    [
      "under a key that is no longer there",
      () => seal(OLD, "acme", KEY),
      { KEY_ENCRYPTION_KEY: NEW_TEXT },
      "the sealed key needs the key-encryption key '2025', which is not set",
    ],
    [
      "under another key of the same name",
      () => seal(NEW, "acme", KEY),
      { KEY_ENCRYPTION_KEY: kekText("2026", 3) },
      altered,
    ],
    [
      "where there is no key",
      () => seal(NEW, "acme", KEY),
      {},
      "the sealed key needs the key-encryption key '2026', which is not set",
    ],
    [
      "where the key is none",
      () => seal(NEW, "acme", KEY),
      { KEY_ENCRYPTION_KEY: "hunter2" },
      "the secret KEY_ENCRYPTION_KEY is not a symmetric JWK of 256 bits with a kid",
    ],
    [
      "whose header is none",
      async () => `AAAA${(await seal(NEW, "acme", KEY)).slice(4)}`,
      { KEY_ENCRYPTION_KEY: NEW_TEXT },
      "the sealed key is not one: its header cannot be read",
    ],
  ])("%s is refused, with one clear sentence in the log", async (_, make, secrets, sentence) => {
    const { gateway, cancel } = await gatewayWith(
      { credential: { sealed: await make() } },
      secrets,
    );
    await gateway.forgetCalls();
    expect(await refused(await cancel())).toMatchObject({ status: 503, code: "config_invalid" });
    expect(await gateway.calls()).toEqual([]);
    const said = gateway.lines.filter((line) => line.includes('"config_invalid"'));
    expect(said[0]).toContain(`tenant acme: ${sentence}`);
    for (const hidden of [KEY, "hunter2"]) expect(gateway.lines.join("\n")).not.toContain(hidden);
  });

  it("asks for A256GCM under the key itself, and for nothing else", async () => {
    const [header = "", ...rest] = (await seal(NEW, "acme", KEY)).split(".");
    const read = JSON.parse(Buffer.from(header, "base64url").toString()) as Json;
    expect(read).toEqual({ alg: "dir", enc: "A256GCM", kid: "2026", tenant: "acme" });
    for (const change of [{ alg: "A256KW" }, { enc: "A128CBC-HS256" }, { zip: "DEF" }]) {
      const text = Buffer.from(JSON.stringify({ ...read, ...change })).toString("base64url");
      const sealed = [text, ...rest].join(".");
      const { cancel } = await gatewayWith(
        { credential: { sealed } },
        { KEY_ENCRYPTION_KEY: NEW_TEXT },
      );
      expect((await cancel()).status).toBe(503);
    }
  });

  it("is nowhere in the open: not in KV, not in the log, not in what is kept of the config", async () => {
    const sealed = await seal(NEW, "acme", KEY);
    const { gateway, cancel } = await gatewayWith(
      { credential: { sealed } },
      { KEY_ENCRYPTION_KEY: NEW_TEXT, UPSTREAM_KEY_ACME: "another" },
    );
    expect((await cancel()).status).toBe(200);
    const kept = await loadedTenant("acme", { ...TEST_SECRETS, KEY_ENCRYPTION_KEY: NEW_TEXT });
    const stored: string[] = [];
    for (const kv of [env.CONFIG, env.AUDIT]) {
      const { keys } = await kv.list();
      for (const { name, metadata } of keys) {
        stored.push(name, JSON.stringify(metadata) ?? "", (await kv.get(name)) ?? "");
      }
    }
    expect(stored.join("\n")).toContain(sealed);
    const texts = { stored: stored.join("\n"), lines: gateway.lines.join("\n"), kept: dump(kept) };
    for (const [where, text] of Object.entries(texts)) {
      expect(text.includes(KEY), where).toBe(false);
      expect(text.includes(Buffer.from(KEY).toString("base64url")), where).toBe(false);
    }
    expect(texts.kept).toContain("threads");
  });
});

async function loadedTenant(id: string, secrets: Secrets): Promise<unknown> {
  const secret = (name: string): string | undefined => secrets[name];
  const store = createConfigStore({
    kv: env.CONFIG,
    now: () => Date.now(),
    log: () => undefined,
    secret,
    encryptionKeys: createEncryptionKeys(secret),
    accessTokens: createAccessTokens({ fetch, now: Date.now, sleep: (ms) => scheduler.wait(ms) }),
    hasTier: () => true,
    allowLoopbackHttp: false,
  });
  const tenant = await store.tenant(id);
  const reveal = (tenant?.connection.nextKey ?? (async () => null))(
    null,
    AbortSignal.timeout(1_000),
    () => undefined,
  );
  expect(await reveal).toBe(KEY);
  return tenant;
}

/** Everything that can be got at from outside: members of any kind, at any depth, as text. */
function dump(value: unknown, seen = new Set<unknown>()): string {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) {
    return String(value);
  }
  if (seen.has(value)) return "";
  seen.add(value);
  const members = Reflect.ownKeys(value).map((name) => {
    const { value: member } = Reflect.getOwnPropertyDescriptor(value, name) ?? {};
    return `${String(name)}: ${dump(member, seen)}`;
  });
  return [String(typeof value === "function" ? value : ""), ...members].join("\n");
}

describe("a second credential", () => {
  const both = { second_credential: { secret: "NEXT" } };
  const secrets = { NEXT: "sk-next" };

  it("is not touched while the first is taken", async () => {
    const { gateway, cancel } = await gatewayWith(both, secrets);
    await gateway.forgetCalls();
    expect((await cancel()).status).toBe(200);
    expect(await gateway.calls()).toHaveLength(2);
    expect(gateway.lines.join("\n")).not.toContain("upstream_key_refused");
  });

  it("is tried once when the first is refused, and the operator can hear of it", async () => {
    const { gateway, cancel } = await gatewayWith(both, secrets, { network: takesOnly("sk-next") });
    await gateway.forgetCalls();
    expect((await cancel()).status).toBe(200);
    expect((await gateway.cancelsSent()).length).toBe(1);
    const said = gateway.lines.filter((line) => line.includes("upstream_key_refused"));
    expect(said.map((line) => JSON.parse(line) as Json)).toMatchObject([
      { upstream: "threads", status: 401, level: "warn" },
      { upstream: "threads", status: 401, level: "warn" },
    ]);
    for (const key of [KEY, "sk-next"]) expect(gateway.lines.join("\n")).not.toContain(key);
  });

  it("that is refused too leaves it at that: two calls, and no text of the upstream", async () => {
    let calls = 0;
    const { gateway, cancel } = await gatewayWith(both, secrets, {
      network: (simulator) => {
        const upstream = takesOnly("sk-neither")(simulator);
        return async (input, init) => {
          if (String(input).includes("/assistants/v1/") && init?.redirect === "manual") calls += 1;
          return await upstream(input, init);
        };
      },
    });
    const response = await cancel();
    expect(calls).toBe(2);
    const text = await response.clone().text();
    expect(await refused(response)).toMatchObject({ code: "upstream_rejected_credentials" });
    expect(text + gateway.lines.join("\n")).not.toContain("sk-next");
  });

  it("that is the same as the first is not tried: it was refused already", async () => {
    let calls = 0;
    const { cancel } = await gatewayWith(
      { second_credential: { secret: "NEXT" } },
      { NEXT: KEY },
      {
        network: (simulator) => async (input, init) => {
          if (init?.redirect !== "manual") return await simulator(input, init);
          calls += 1;
          return new Response("{}", { status: 403 });
        },
      },
    );
    expect(await refused(await cancel())).toMatchObject({ code: "upstream_rejected_credentials" });
    expect(calls).toBe(1);
  });

  it("that nobody has set is a config that is not valid", async () => {
    const { gateway, cancel } = await gatewayWith(both);
    expect(await refused(await cancel())).toMatchObject({ code: "config_invalid" });
    expect(gateway.lines.join("\n")).toContain("tenant acme: the secret NEXT is not set");
  });

  it("lets a key be changed while the gateway runs, without one refused cancel", async () => {
    let taken: string[] = [KEY];
    let laterMs = 0;
    const secrets: Record<string, string> = { OLD: KEY, NEW: "sk-new" };
    const first = { credential: { secret: "OLD" } };
    const { gateway } = await gatewayWith(first, secrets, {
      network: (simulator) => (input, init) => takesOnly(...taken)(simulator)(input, init),
      world: { now: () => Date.now() + laterMs },
    });
    const stop = async (): Promise<number> => {
      taken.push(KEY);
      const ids = await gateway.startRun();
      taken = taken.slice(0, -1);
      const exp = Math.floor((Date.now() + laterMs) / 1_000) + 600;
      return (await gateway.cancel(ids, await gateway.tokenFor(ANN, { exp }))).status;
    };
    const change = async (members: Json): Promise<void> => {
      await applyConfig(withTenant("acme", { ...members })(await currentConfig()));
      laterMs += 31_000;
    };
    const statuses = [await stop()];
    await change({ ...first, second_credential: { secret: "NEW" } });
    statuses.push(await stop());
    taken = [KEY, "sk-new"];
    statuses.push(await stop());
    taken = ["sk-new"];
    statuses.push(await stop());
    await change({ credential: { secret: "NEW" }, second_credential: undefined });
    statuses.push(await stop());
    expect(statuses).toEqual([200, 200, 200, 200, 200]);
  });
});

/** The sample, as the harness applies it. */
async function currentConfig(): Promise<Json> {
  let current: Json = {};
  await createHarness({
    config: (config) => {
      current = config;
      return config;
    },
  });
  return current;
}

describe("client credentials", () => {
  const TOKEN_URL = "https://login.test/acme/oauth2/v2.0/token";
  const SECRET = "client-secret-canary";
  const credential = {
    client_credentials: {
      token_url: TOKEN_URL,
      client_id: "stopgate",
      client_secret: { secret: "CLIENT_SECRET" },
      scope: "https://ai.azure.com/.default",
    },
  };

  const clientOf = (tenant: string) => ({
    tenant,
    tokenUrl: TOKEN_URL,
    clientId: "stopgate",
    scope: undefined,
    secret: async () => SECRET,
  });

  type Answer = (count: number) => Response | Promise<Response>;
  const granted = (count: number, over: Json = {}): Response =>
    Response.json({
      access_token: `token-${count}`,
      token_type: "Bearer",
      expires_in: 3_600,
      ...over,
    });

  /** A gateway whose upstream takes the tokens of a token endpoint, and that endpoint. */
  async function gatewayWithTokens(answer: Answer = (count) => granted(count), over: Json = {}) {
    const state = {
      laterMs: 0,
      asked: [] as Request[],
      refuses: [] as string[],
      sent: [] as string[],
    };
    const { gateway } = await gatewayWith(
      { credential: { client_credentials: { ...credential.client_credentials, ...over } } },
      { CLIENT_SECRET: SECRET },
      {
        world: { now: () => Date.now() + state.laterMs },
        network: (simulator) => async (input, init) => {
          if (String(input) === TOKEN_URL) {
            state.asked.push(new Request(String(input), init));
            return await answer(state.asked.length);
          }
          const sent = new Headers(init?.headers).get("authorization") ?? "";
          const token = /^Bearer (token-\d+)$/.exec(sent)?.[1];
          if (token === undefined) return await simulator(input, init);
          state.sent.push(token);
          if (state.refuses.includes(token)) return new Response("{}", { status: 401 });
          const headers = new Headers(init?.headers);
          headers.set("authorization", `Bearer ${KEY}`);
          return await simulator(input, { ...init, headers });
        },
      },
    );
    const stop = async (): Promise<Response> => {
      const exp = Math.floor((Date.now() + state.laterMs) / 1_000) + 600;
      return gateway.cancel(await gateway.startRun(), await gateway.tokenFor(ANN, { exp }));
    };
    return { gateway, state, stop };
  }

  it("get a token as RFC 6749 has it, once, and use it on", async () => {
    const { gateway, state, stop } = await gatewayWithTokens();
    expect((await stop()).status).toBe(200);
    expect((await stop()).status).toBe(200);
    expect(state.asked).toHaveLength(1);
    const [request] = state.asked;
    expect(request?.method).toBe("POST");
    expect(request?.redirect).toBe("manual");
    expect(request?.headers.get("content-type")).toMatch(/^application\/x-www-form-urlencoded/);
    expect(Object.fromEntries(new URLSearchParams(await request?.text()))).toEqual({
      grant_type: "client_credentials",
      client_id: "stopgate",
      client_secret: SECRET,
      scope: "https://ai.azure.com/.default",
    });
    for (const hidden of [SECRET, "token-1"]) {
      expect(gateway.lines.join("\n")).not.toContain(hidden);
    }
  });

  it("take a secret that is sealed", async () => {
    const sealed = await seal(NEW, "acme", SECRET);
    const { cancel } = await gatewayWith(
      {
        credential: {
          client_credentials: { ...credential.client_credentials, client_secret: { sealed } },
        },
      },
      { KEY_ENCRYPTION_KEY: NEW_TEXT },
      {
        network: (simulator) => async (input, init) => {
          if (String(input) !== TOKEN_URL) return await simulator(input, init);
          const body = new URLSearchParams(await new Response(init?.body).text());
          expect(body.get("client_secret")).toBe(SECRET);
          return Response.json({ access_token: KEY, token_type: "bearer" });
        },
      },
    );
    expect((await cancel()).status).toBe(200);
  });

  it("renew it to its end, though the request that began it was served with the old one before", async () => {
    let isAnswered = false;
    const { gateway, state, stop } = await gatewayWithTokens(async (count) => {
      if (count > 1) await scheduler.wait(600);
      isAnswered = true;
      return granted(count);
    });
    await stop();
    isAnswered = false;
    state.laterMs = 56 * 60_000;
    const exp = Math.floor((Date.now() + state.laterMs) / 1_000) + 600;
    const headers = { authorization: `Bearer ${await gateway.tokenFor(ANN, { exp })}` };
    const { thread, run } = await gateway.startRun();
    const { response, settled } = gateway.begin(`/v1/threads/${thread}/runs/${run}`, { headers });
    expect((await response).status).toBe(200);
    expect(state.sent.at(-1)).toBe("token-1");
    // What `waitUntil` does not hold would end with the request.
    await settled;
    expect(isAnswered).toBe(true);
    await stop();
    expect(state.sent.at(-1)).toBe("token-2");
  });

  it("renew it five minutes before its end, and not before", async () => {
    const { state, stop } = await gatewayWithTokens();
    await stop();
    state.laterMs = 54 * 60_000;
    await stop();
    expect(state.asked).toHaveLength(1);
    state.laterMs = 56 * 60_000;
    expect((await stop()).status).toBe(200);
    expect(state.asked).toHaveLength(2);
    expect(state.sent.at(-1)).toBe("token-2");
  });

  it("go on with the old one while no new one can be had, up to its last minute", async () => {
    const { state, stop } = await gatewayWithTokens((count) =>
      count === 1 ? granted(1) : new Response("down", { status: 503 }),
    );
    await stop();
    state.laterMs = 57 * 60_000;
    expect((await stop()).status).toBe(200);
    expect(state.sent.at(-1)).toBe("token-1");
    state.laterMs = 59 * 60_000 + 1_000;
    expect(await refused(await stop())).toMatchObject({ status: 502 });
  });

  it("of two hundred at once ask for one token", async () => {
    const { gateway, state } = await gatewayWithTokens(async () => {
      await scheduler.wait(50);
      return granted(1);
    });
    const token = await gateway.tokenFor(ANN);
    const runs = await Promise.all(Array.from({ length: 200 }, () => gateway.startRun()));
    const replies = await Promise.all(runs.map((ids) => gateway.cancel(ids, token)));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(state.asked).toHaveLength(1);
  });

  it("of fifty at once that fail ask once, not fifty times", async () => {
    const { gateway, state } = await gatewayWithTokens(async () => {
      await scheduler.wait(20);
      return new Response("{}", { status: 401 });
    });
    const token = await gateway.tokenFor(ANN);
    const ids = await gateway.startRun();
    const replies = await Promise.all(Array.from({ length: 50 }, () => gateway.read(ids, token)));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([502]));
    expect(state.asked).toHaveLength(1);
  });

  it("get another token when one that is in use is refused", async () => {
    const { state, stop } = await gatewayWithTokens();
    await stop();
    state.refuses.push("token-1");
    state.laterMs = 10 * 60_000;
    expect((await stop()).status).toBe(200);
    expect(state.asked).toHaveLength(2);
  });

  it("do not ask again and again for a client that the upstream does not take", async () => {
    const { state, stop } = await gatewayWithTokens();
    state.refuses.push("token-1", "token-2");
    for (const _ of [1, 2, 3]) {
      expect(await refused(await stop())).toMatchObject({ code: "upstream_rejected_credentials" });
    }
    expect(state.asked).toHaveLength(1);
  });

  it("of a secret that was changed get a token of their own", async () => {
    const secrets: Record<string, string> = { ...TEST_SECRETS, CLIENT_SECRET: "one" };
    const asked: string[] = [];
    const gateway = await createHarness({
      config: withTenant("acme", { credential }),
      bindings: { secret: (name) => secrets[name] },
      network: (simulator) => async (input, init) => {
        if (String(input) !== TOKEN_URL) return await simulator(input, init);
        asked.push(
          new URLSearchParams(await new Response(init?.body).text()).get("client_secret") ?? "",
        );
        return Response.json({ access_token: KEY, token_type: "Bearer", expires_in: 3_600 });
      },
    });
    const ids = await gateway.startRun();
    const token = await gateway.tokenFor(ANN);
    await gateway.read(ids, token);
    secrets["CLIENT_SECRET"] = "two";
    await gateway.read(ids, token);
    await gateway.read(ids, token);
    expect(asked).toEqual(["one", "two"]);
  });

  it.each<[string, Answer, string]>([
    [
      "refuses the client",
      () =>
        Response.json(
          { error: "invalid_client", error_description: `AADSTS7000215: ${SECRET}` },
          { status: 401 },
        ),
      "upstream_rejected_credentials",
    ],
    [
      "refuses the scope",
      () => Response.json({ error: "invalid_scope" }, { status: 400 }),
      "upstream_rejected_credentials",
    ],
    ["is down", () => new Response("down", { status: 503 }), "upstream_error"],
    [
      "sends elsewhere",
      () => new Response(null, { status: 307, headers: { location: "https://evil.test/" } }),
      "upstream_error",
    ],
    ["answers with a page", () => new Response("<html>"), "upstream_error"],
    ["answers with no token", () => Response.json({ token_type: "Bearer" }), "upstream_error"],
    [
      "answers with a token of another kind",
      () => granted(1, { token_type: "DPoP" }),
      "upstream_error",
    ],
    ["answers with a token for no time", () => granted(1, { expires_in: 0 }), "upstream_error"],
    ["answers with too much", () => new Response("x".repeat(100_000)), "upstream_error"],
    [
      "cannot be reached",
      () => Promise.reject(new Error("Network connection lost.")),
      "upstream_unreachable",
    ],
  ])("whose endpoint %s stop nothing, and say so without its words", async (_, answer, code) => {
    const { gateway, state, stop } = await gatewayWithTokens(answer);
    await gateway.forgetCalls();
    const response = await stop();
    const text = await response.clone().text();
    expect(await refused(response)).toMatchObject({ status: 502, code });
    expect(state.sent).toEqual([]);
    for (const hidden of [SECRET, "AADSTS", "evil.test"]) {
      expect(text + gateway.lines.join("\n")).not.toContain(hidden);
    }
  });

  it.each([503, 401])(
    "that give no token leave no doubt: nothing was sent, also where nothing is read first (%i)",
    async (status) => {
      const { gateway, cancel, ids } = await gatewayWith(
        {
          credential,
          ownership: { source: "credential" },
          rules: [{ id: "all", scopes: ["runs:cancel"], runs: "tenant" }],
        },
        { CLIENT_SECRET: SECRET },
        {
          network: (simulator) => async (input, init) =>
            String(input) === TOKEN_URL
              ? new Response("{}", { status })
              : await simulator(input, init),
        },
      );
      await gateway.forgetCalls();
      expect(await refused(await cancel())).toMatchObject({ status: 502 });
      expect(await gateway.calls()).toEqual([]);
      const [event] = await gateway.eventsOf(ids);
      expect(event?.outcome).toMatchObject({ attempts: 0 });
    },
  );

  it("keep nobody who holds a good token waiting for an endpoint that hangs", async () => {
    const { gateway, state, stop } = await gatewayWithTokens((count) =>
      count === 1 ? granted(1) : new Promise(() => undefined),
    );
    await stop();
    state.laterMs = 56 * 60_000;
    const exp = Math.floor((Date.now() + state.laterMs) / 1_000) + 600;
    const headers = { authorization: `Bearer ${await gateway.tokenFor(ANN, { exp })}` };
    const { thread, run } = await gateway.startRun();
    const { response } = gateway.begin(`/v1/threads/${thread}/runs/${run}`, { headers });
    expect((await response).status).toBe(200);
    expect(state.sent.at(-1)).toBe("token-1");
  });

  it("whose asker runs out of time fail nobody else", async () => {
    let asked = 0;
    const tokens = createAccessTokens({
      fetch: async (_, init) => {
        asked += 1;
        const count = asked;
        const left = new Promise<never>((_resolve, reject) => {
          init?.signal?.addEventListener("abort", () => reject(new Error("aborted")));
        });
        await Promise.race([scheduler.wait(200), left]);
        return granted(count);
      },
      now: () => Date.now(),
      sleep: (ms) => scheduler.wait(ms),
    });
    const client = clientOf("acme");
    const hasty = tokens(client, null, AbortSignal.timeout(50), alone).catch(
      (error: unknown) => error,
    );
    await scheduler.wait(5);
    expect(await tokens(client, null, AbortSignal.timeout(5_000), alone)).toBe("token-2");
    expect(await hasty).toMatchObject({ reason: "upstream_timeout" });
  });

  it("are a tenant's own: another with the same client gets another token", async () => {
    const asked: string[] = [];
    const tokens = createAccessTokens({
      fetch: async (_, init) => {
        asked.push(String(init?.body));
        return granted(asked.length);
      },
      now: () => Date.now(),
      sleep: (ms) => scheduler.wait(ms),
    });
    const signal = AbortSignal.timeout(1_000);
    expect(await tokens(clientOf("acme"), null, signal, alone)).toBe("token-1");
    expect(await tokens(clientOf("globex"), null, signal, alone)).toBe("token-2");
    expect(await tokens(clientOf("acme"), null, signal, alone)).toBe("token-1");
  });

  it("of somebody who left while asking keep nobody waiting for ever", async () => {
    let asked = 0;
    let nowMs = 1_000;
    const tokens = createAccessTokens({
      fetch: async () => {
        asked += 1;
        return asked === 1 ? await new Promise(() => undefined) : granted(asked);
      },
      now: () => nowMs,
      sleep: async (ms) => {
        nowMs += ms;
      },
    });
    const client = clientOf("acme");
    void tokens(client, null, AbortSignal.timeout(60_000), alone);
    await scheduler.wait(1);
    expect(await tokens(client, null, AbortSignal.timeout(60_000), alone)).toBe("token-2");
  });

  it("from an address on this machine are for this machine only", async () => {
    const local = {
      client_credentials: {
        ...credential.client_credentials,
        token_url: "http://127.0.0.1:9/token",
      },
    };
    const { gateway, cancel } = await gatewayWith({ credential: local }, { CLIENT_SECRET: SECRET });
    expect(await refused(await cancel())).toMatchObject({ code: "config_invalid" });
    expect(gateway.lines.join("\n")).toContain("a deployed gateway allows https only");
  });
});
