// The config as requests meet it, by the front door over real KV: how long it is kept, what happens
// when it is bad, missing or cannot be read. The clock is the test's own.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { BASE_KEY, tenantKey } from "../../src/config/kv-keys.ts";
import {
  ANN,
  applyConfig,
  createHarness,
  GUS,
  type HarnessOptions,
  type Json,
  withSharedSubjects,
  withTenant,
} from "../support/harness.ts";
import { refused } from "../support/reply.ts";
import { TEST_SECRETS } from "../support/secrets.ts";

const SECOND = 1_000;
const MINUTE = 60_000;

/** A gateway over the real KV that can be made to fail, and that counts what it is asked. */
async function createGateway(options: HarnessOptions = {}) {
  const state = {
    laterMs: 0,
    reads: [] as string[],
    kv: "up" as "up" | "down" | "silent",
    /** Answers in KV's place; null leaves it to KV. */
    intercept: (_key: string): Promise<string | null> | null => null,
  };
  let applied: Json = {};
  const get = async (key: string): Promise<string | null> => {
    state.reads.push(key);
    const intercepted = state.intercept(key);
    if (intercepted !== null) return await intercepted;
    if (state.kv === "down") throw new Error("KV is down");
    if (state.kv === "silent") return new Promise(() => undefined);
    return await env.CONFIG.get(key, "text");
  };
  const gateway = await createHarness({
    ...options,
    config: (sample) => {
      applied = (options.config ?? ((same: Json) => same))(sample);
      return applied;
    },
    world: { now: () => Date.now() + state.laterMs },
    bindings: { config: { get: get as KVNamespace["get"] }, ...options.bindings },
  });
  const ids = await gateway.startRun();
  /** A token of that moment, whenever it is. */
  const token = (): Promise<string> =>
    gateway.tokenFor(ANN, { exp: Math.floor((Date.now() + state.laterMs) / SECOND) + 600 });
  return {
    state,
    gateway,
    change: async (change: (config: Json) => Json) => applyConfig(change(applied)),
    read: async () => gateway.read(ids, await token()),
    cancel: async () => gateway.cancel(ids, await token()),
  };
}

const CONFIG_INVALID = {
  status: 503,
  message: "The gateway's configuration is not valid. Tell the gateway's operator.",
  type: "server_error",
  param: null,
  code: "config_invalid",
  retryAfter: null,
  shouldRetry: "false",
};

describe("a config", () => {
  it("is read once, and kept while it is younger than 30 seconds", async () => {
    const { state, read } = await createGateway();
    for (const _ of [1, 2, 3]) expect((await read()).status).toBe(200);
    state.laterMs = 29 * SECOND;
    expect((await read()).status).toBe(200);
    expect(state.reads).toEqual([BASE_KEY, tenantKey("acme")]);
  });

  it("is read again when it is 30 seconds old", async () => {
    const { state, read } = await createGateway();
    await read();
    state.laterMs = 31 * SECOND;
    await read();
    expect(state.reads).toHaveLength(4);
  });

  it("that was switched off stays off, though an older answer comes in later", async () => {
    const { state, gateway, change, read } = await createGateway();
    await read();
    let slow: ((text: string | null) => void) | null = null;
    const older = await env.CONFIG.get(tenantKey("acme"));
    await change(withTenant("acme", { enabled: false }));
    state.laterMs = 31 * SECOND;
    state.intercept = (key) =>
      key === tenantKey("acme") && slow === null
        ? new Promise((resolve) => {
            slow = resolve;
          })
        : null;
    const first = read();
    while (slow === null) await scheduler.wait(1);
    state.laterMs += 1;
    expect((await read()).status).toBe(403);
    (slow as (text: string | null) => void)(older);
    expect((await first).status).toBe(403);
    expect((await read()).status).toBe(403);
    expect(gateway.lines.join()).not.toContain("config_unreadable");
  });

  it("that switches a tenant off does so when the kept one is 30 seconds old", async () => {
    const { state, change, read, cancel } = await createGateway();
    await read();
    await change(withTenant("acme", { enabled: false }));
    expect((await read()).status).toBe(200);
    state.laterMs = 31 * SECOND;
    expect(await refused(await cancel())).toMatchObject({ code: "tenant_not_allowed" });
    await change(withTenant("acme", { enabled: true }));
    state.laterMs = 62 * SECOND;
    expect((await cancel()).status).toBe(200);
  });

  it("that changes a rule does so when the kept one is 30 seconds old", async () => {
    const { state, change, read } = await createGateway();
    await read();
    const rules = [{ id: "owner", scopes: ["runs:stop"], runs: "own" }];
    await change(withTenant("acme", { rules }));
    expect((await read()).status).toBe(200);
    state.laterMs = 31 * SECOND;
    expect(await refused(await read())).toMatchObject({ code: "insufficient_scope" });
  });

  it("that moves an upstream does so for its tenants too", async () => {
    const { state, change, read } = await createGateway();
    await read();
    const gone = { kind: "assistants", base_url: "https://simulator.test/nowhere" };
    await change((config) => ({
      ...config,
      upstreams: { ...(config["upstreams"] as Json), threads: gone },
    }));
    state.laterMs = 31 * SECOND;
    expect(await refused(await read())).toMatchObject({ code: "run_not_found" });
  });
});

describe("when KV cannot be read", () => {
  it("the last good config serves for 15 minutes, and then nobody is served", async () => {
    const { state, gateway, read } = await createGateway();
    await read();
    state.kv = "down";
    for (const minutes of [1, 5, 10, 14.9]) {
      state.laterMs = minutes * MINUTE;
      expect((await read()).status).toBe(200);
    }
    expect(gateway.lines.join("\n")).toContain("config_unreadable");
    state.laterMs = 15.1 * MINUTE;
    expect(await refused(await read())).toEqual(CONFIG_INVALID);
  });

  it("and no config was ever read, nobody is served", async () => {
    const { state, read } = await createGateway();
    state.kv = "down";
    expect(await refused(await read())).toEqual(CONFIG_INVALID);
    state.kv = "up";
    expect((await read()).status).toBe(200);
  });

  it("and a tenant was not read yet, only that tenant is not served", async () => {
    const { state, gateway, read } = await createGateway();
    await read();
    state.kv = "down";
    const theirs = await gateway.startResponse();
    const response = await gateway.read(theirs, await gateway.tokenFor(GUS));
    expect(await refused(response)).toEqual(CONFIG_INVALID);
    expect((await read()).status).toBe(200);
  });

  it("it is not asked again by every request", async () => {
    const { state, read } = await createGateway();
    await read();
    state.kv = "down";
    state.laterMs = 31 * SECOND;
    for (const _ of [1, 2, 3]) expect((await read()).status).toBe(200);
    expect(state.reads).toHaveLength(4);
    state.kv = "up";
    state.laterMs = 62 * SECOND;
    await read();
    expect(state.reads).toHaveLength(6);
  });

  it("because it does not answer, it counts as down", async () => {
    const { state, read } = await createGateway();
    await read();
    state.kv = "silent";
    state.laterMs = 31 * SECOND;
    expect((await read()).status).toBe(200);
    state.laterMs = 16 * MINUTE;
    expect((await read()).status).toBe(503);
  });
});

/** Every kind of route, as anybody may ask for it. */
const ROUTES: readonly [string, string][] = [
  ["POST", "/v1/threads/thread_1/runs/run_1/cancel"],
  ["GET", "/v1/threads/thread_1/runs/run_1"],
  ["GET", "/v1/audit/events"],
  ["GET", "/v1/audit/events/0"],
  ["GET", "/v1/audit/export"],
  ["GET", "/healthz"],
  ["GET", "/.well-known/audit-keys.json"],
  ["GET", "/nowhere"],
  ["PUT", "/healthz"],
  ["OPTIONS", "/v1/threads/thread_1/runs/run_1/cancel"],
];

const BASES: Record<string, string | null> = {
  "that was never applied": null,
  "that is empty": "",
  "that is no JSON": "{",
  "that is null": "null",
  "of another shape": "[]",
  "with an unknown member": '{"issuers":[],"upstreams":{},"origins":[],"open":true}',
  "without issuers": '{"issuers":[],"upstreams":{},"origins":[]}',
};

describe("a config", () => {
  it.each(Object.entries(BASES))("%s answers 503 on every route", async (_, text) => {
    const { state, gateway } = await createGateway();
    if (text === null) await env.CONFIG.delete(BASE_KEY);
    else await env.CONFIG.put(BASE_KEY, text);
    for (const [method, path] of ROUTES) {
      const headers = {
        origin: "https://app.acme.test",
        authorization: `Bearer ${await gateway.tokenFor(ANN)}`,
      };
      const response = await gateway.request(path, { method, headers });
      expect(response.headers.get("access-control-allow-origin")).toBeNull();
      expect(await refused(response)).toEqual(CONFIG_INVALID);
    }
    expect(state.reads).toEqual([BASE_KEY]);
    const complaints = gateway.lines.filter((line) => line.includes('"event":"config_invalid"'));
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toMatch(/"detail":"[^"\\]+("|\\")/);
  });

  it("that is mended serves again 30 seconds later", async () => {
    const { state, change, read } = await createGateway();
    await env.CONFIG.put(BASE_KEY, "{");
    expect((await read()).status).toBe(503);
    await change((same) => same);
    expect((await read()).status).toBe(503);
    state.laterMs = 31 * SECOND;
    expect((await read()).status).toBe(200);
  });

  it("that was good and is bad now serves nobody: the last good one is for a KV that is down", async () => {
    const { state, read } = await createGateway();
    await read();
    await env.CONFIG.put(BASE_KEY, "{");
    state.laterMs = 31 * SECOND;
    expect(await refused(await read())).toEqual(CONFIG_INVALID);
  });
});

describe("a tenant's config", () => {
  const TENANTS: Record<string, string> = {
    "is no JSON": "{",
    "has an unknown member": JSON.stringify({ open: true }),
    "names an upstream that is not there": JSON.stringify({
      upstream: "nowhere",
      credential: { secret: "UPSTREAM_KEY_ACME" },
      ownership: { source: "grant" },
      rules: [{ id: "owner", scopes: ["runs:cancel"], runs: "own" }],
    }),
    "names the gateway's own secret": JSON.stringify({
      upstream: "threads",
      credential: { secret: "AUDIT_SIGNING_KEY" },
      ownership: { source: "grant" },
      rules: [{ id: "owner", scopes: ["runs:cancel"], runs: "own" }],
    }),
  };

  it.each(Object.entries(TENANTS))("that %s is 503 for that tenant only", async (_, text) => {
    const { gateway, read } = await createGateway();
    await env.CONFIG.put(tenantKey("acme"), text);
    expect(await refused(await read())).toEqual(CONFIG_INVALID);
    expect(gateway.lines.filter((line) => line.includes('"detail":"tenant acme: '))).not.toEqual(
      [],
    );
    const theirs = await gateway.startResponse();
    expect((await gateway.read(theirs, await gateway.tokenFor(GUS))).status).toBe(200);
    expect((await gateway.request("/healthz")).status).toBe(200);
  });

  it.each<[string, Partial<Record<string, string>>]>([
    ["is not set", { UPSTREAM_KEY_ACME: undefined }],
    ["is empty", { UPSTREAM_KEY_ACME: "" }],
  ])("whose secret %s is 503 for that tenant only", async (_, over) => {
    const secrets: Partial<Record<string, string>> = { ...TEST_SECRETS, ...over };
    const { gateway, read } = await createGateway({
      bindings: { secret: (name) => secrets[name] },
    });
    expect(await refused(await read())).toEqual(CONFIG_INVALID);
    expect(gateway.lines.join("\n")).toContain("the secret UPSTREAM_KEY_ACME is not set");
    const theirs = await gateway.startResponse();
    expect((await gateway.read(theirs, await gateway.tokenFor(GUS))).status).toBe(200);
  });

  it("that wants pseudonyms without the key for them is 503", async () => {
    const secrets: Partial<Record<string, string>> = { ...TEST_SECRETS };
    delete secrets["AUDIT_SUBJECT_KEY"];
    const { read } = await createGateway({
      config: withTenant("acme", { audit: { subject: "hmac" } }),
      bindings: { secret: (name) => secrets[name] },
    });
    expect(await refused(await read())).toEqual(CONFIG_INVALID);
  });

  it("whose credential is said to prove it, and is another's too, is 503 for that tenant only", async () => {
    const { state, gateway, read } = await createGateway();
    await read();
    const base = JSON.parse((await env.CONFIG.get(BASE_KEY)) ?? "") as Json;
    const shared_credentials = ['{"secret":"UPSTREAM_KEY_ACME"}'];
    await env.CONFIG.put(BASE_KEY, JSON.stringify({ ...base, shared_credentials }));
    const tenant = JSON.parse((await env.CONFIG.get(tenantKey("acme"))) ?? "") as Json;
    const rules = [{ id: "all", scopes: ["runs:cancel"], runs: "tenant" }];
    const entry = { ...tenant, ownership: { source: "credential" }, rules };
    await env.CONFIG.put(tenantKey("acme"), JSON.stringify(entry));
    state.laterMs = 31 * SECOND;
    expect(await refused(await read())).toEqual(CONFIG_INVALID);
    expect(gateway.lines.join("\n")).toContain(
      "tenant acme: credential: proves nothing, since another tenant has the same",
    );
    const theirs = await gateway.startResponse();
    expect((await gateway.read(theirs, await gateway.tokenFor(GUS))).status).toBe(200);
  });

  it("that an issuer is fixed to, and that is not there, is a config that is wrong", async () => {
    const { gateway } = await createGateway();
    await env.CONFIG.delete(tenantKey("globex"));
    const theirs = await gateway.startResponse();
    expect(await refused(await gateway.read(theirs, await gateway.tokenFor(GUS)))).toEqual(
      CONFIG_INVALID,
    );
  });

  it("that is taken away is as if the tenant had never been", async () => {
    const { state, read } = await createGateway();
    await read();
    await env.CONFIG.delete(tenantKey("acme"));
    state.laterMs = 31 * SECOND;
    expect(await refused(await read())).toMatchObject({ status: 403, code: "tenant_not_allowed" });
  });
});

describe("the gateway's own secrets", () => {
  it.each([undefined, "", "no key", '{"kty":"oct","k":"eA"}', '{"kty":"OKP","crv":"Ed25519"}'])(
    "with a signing key of %j serve nobody, on any route",
    async (signingKey) => {
      const { gateway } = await createGateway({
        bindings: {
          secret: (name) =>
            name === "AUDIT_SIGNING_KEY"
              ? signingKey
              : (TEST_SECRETS as Record<string, string>)[name],
        },
      });
      for (const [method, path] of ROUTES) {
        const response = await gateway.request(path, { method });
        expect(await refused(response)).toEqual(CONFIG_INVALID);
      }
    },
  );

  it.each<[string, (config: Json) => Json]>([
    [
      "an upstream",
      (config) => ({
        ...config,
        upstreams: {
          ...(config["upstreams"] as Json),
          threads: { kind: "assistants", base_url: "http://127.0.0.1:8788/assistants/v1" },
        },
      }),
    ],
    [
      "an issuer's keys",
      (config) =>
        withSharedSubjects({
          ...config,
          issuers: [
            ...(config["issuers"] as Json[]),
            {
              issuer: "local",
              jwks_uri: "http://localhost:8788/jwks.json",
              audiences: ["x"],
              tenant: { fixed: "acme" },
            },
          ],
        }),
    ],
  ])("decide whether %s may be on loopback over http", async (_, config) => {
    const deployed = await createGateway({ config });
    expect(await refused(await deployed.read())).toEqual(CONFIG_INVALID);
    expect(deployed.gateway.lines.join("\n")).toContain("a deployed gateway allows https only");
    const secrets: Record<string, string> = { ...TEST_SECRETS, ALLOW_LOOPBACK_HTTP: "true" };
    const local = await createGateway({ config, bindings: { secret: (name) => secrets[name] } });
    expect((await local.read()).status).not.toBe(503);
  });
});
