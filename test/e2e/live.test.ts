// What an operator changes while the gateway runs: by `gateway apply`, without a restart, and at most 90
// seconds later. The gateway is a process of its own; nothing but KV, the identity provider and the
// upstream tells it anything.
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createKey, type Issuer, issuerWith, type SigningKey } from "../../dev/issuer.ts";
import { readEncryptionKey, seal } from "../../src/config/sealing.ts";
import { type BlackBox, startBlackBox, temporaryFolder, until } from "./support/black-box.ts";
import { runGateway } from "./support/command.ts";

type Json = Record<string, unknown>;

/** What the docs promise, and a little for the machine. */
const PROMISED_MS = 90_000;
const kekText = (kid: string): string =>
  JSON.stringify({ kty: "oct", kid, k: Buffer.alloc(32, kid).toString("base64url") });
const kek = await readEncryptionKey(kekText("2026"));
if (kek === null) throw new Error("no key");

const THREAD = "thread_1";
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let outside: Server;
let origin: string;
let gateway: BlackBox;
let keys: SigningKey[];
let issuer: Issuer;
/** The upstream keys that are good at the moment. */
let taken: string[] = [];

/** The identity provider and the upstream, in one: keys at /keys, runs below /v1. */
beforeAll(async () => {
  folder = await temporaryFolder();
  keys = [await createKey("ES256")];
  outside = createServer((request, response) => {
    const reply = (status: number, body: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (request.url === "/keys")
      return reply(200, { keys: keys.map(({ publicJwk }) => publicJwk) });
    const key = (request.headers.authorization ?? "").replace("Bearer ", "");
    if (!taken.includes(key)) return reply(401, { error: { message: `bad key ${key}` } });
    const [, id = "", cancel] = /\/runs\/(\w+)(\/cancel)?$/.exec(request.url ?? "") ?? [];
    const [tenant, user] = id.split("_").slice(1);
    reply(200, {
      id,
      object: "thread.run",
      thread_id: THREAD,
      assistant_id: "asst_1",
      status: cancel === undefined ? "in_progress" : "cancelling",
      created_at: 1,
      metadata: { tenant, user },
    });
  });
  await new Promise<void>((resolve) => outside.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(outside.address() as AddressInfo).port}`;
  const [key] = keys;
  if (key === undefined) throw new Error("no key");
  issuer = issuerWith(key, { issuer: "https://id.test/", audience: "stop" });
  taken = ["sk-first", "sk-other"];
  gateway = await startBlackBox({
    config: await config({}),
    secrets: { SHARED: "sk-first", NEXT: "sk-next", KEY_ENCRYPTION_KEY: kekText("2026") },
    persist: join(folder.path, "state"),
  });
});
afterAll(async () => {
  await gateway?.stop();
  await new Promise((resolve) => outside?.close(resolve));
  await folder?.remove();
});

const OWNER = { id: "owner", scopes: ["stop"], runs: "own" };

async function config(over: Readonly<Record<string, Json>>): Promise<Json> {
  const tenant = (members: Json): Json => ({
    upstream: "main",
    credential: { secret: "SHARED" },
    ownership: { source: "metadata", tenant_key: "tenant", subject_key: "user" },
    rules: [OWNER],
    ...members,
  });
  const ids = ["still", "off", "rule", "scope", "second", "sealed", "gone", "stolen"];
  const tenants = ids.map((id): [string, Json] => [id, tenant(over[id] ?? {})]);
  return {
    issuers: [
      {
        issuer: "https://id.test/",
        jwks_uri: `${origin}/keys`,
        audiences: ["stop"],
        algorithms: ["ES256"],
        tenant: { claim: "org_id", allow: [...ids, "new"] },
      },
    ],
    upstreams: { main: { kind: "assistants", base_url: `${origin}/v1` } },
    tenants: Object.fromEntries(
      [...tenants, ...(over["new"] === undefined ? [] : [["new", tenant({})] as const])].filter(
        ([id]) => over[id]?.["removed"] !== true,
      ),
    ),
  };
}

async function stop(tenant: string, by: Issuer = issuer, claims: Json = {}): Promise<string> {
  const token = await by.mint({ sub: "ann", tenant, scope: "stop", ...claims });
  const url = `${gateway.origin}/v1/threads/${THREAD}/runs/run_${tenant}_ann/cancel`;
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  });
  const { error } = (await response.json()) as { error?: { code: string } };
  return error?.code ?? "stopped";
}

describe("while the gateway runs", () => {
  it("everything works as it stands", async () => {
    for (const tenant of ["still", "off", "rule", "scope", "second", "sealed", "gone", "stolen"]) {
      expect(await stop(tenant), tenant).toBe("stopped");
    }
    expect(await stop("new")).toBe("tenant_not_allowed");
  });

  it("one apply changes many things, each in its time, and nothing else", async () => {
    const file = join(folder.path, "next.json");
    const sealed = await seal(kek, "sealed", "sk-next");
    const next = await config({
      off: { enabled: false },
      rule: {
        rules: [
          { ...OWNER, id: "nobody", effect: "deny" },
          { ...OWNER, scopes: ["x"] },
        ],
      },
      scope: { rules: [{ ...OWNER, scopes: ["stop", "extra"] }] },
      second: { second_credential: { secret: "NEXT" } },
      sealed: { credential: { sealed } },
      gone: { removed: true },
      stolen: { revoked_tokens: ["jti-stolen"] },
      new: {},
    });
    await writeFile(file, JSON.stringify(next));
    const persist = join(folder.path, "state");
    const applied = await runGateway("apply", file, "--local", "--persist", persist, "--yes");
    expect(applied.code).toBe(0);
    const appliedAt = Date.now();
    // The upstream withdraws the first key: whoever has another is served by that.
    taken = ["sk-first", "sk-next"];
    const expected: Readonly<Record<string, string>> = {
      still: "stopped",
      off: "tenant_not_allowed",
      rule: "insufficient_scope",
      scope: "insufficient_scope",
      second: "stopped",
      sealed: "stopped",
      gone: "tenant_not_allowed",
      stolen: "invalid_token",
      new: "stopped",
    };
    const claims: Readonly<Record<string, Json>> = { stolen: { jti: "jti-stolen" } };
    const ask = async (): Promise<Record<string, string>> => {
      const names = Object.keys(expected);
      const told = await Promise.all(names.map((name) => stop(name, issuer, claims[name])));
      return Object.fromEntries(names.map((name, index) => [name, told[index] ?? ""]));
    };
    let seen = await ask();
    while (JSON.stringify(seen) !== JSON.stringify(expected)) {
      if (Date.now() - appliedAt > PROMISED_MS) break;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      seen = await ask();
    }
    expect(seen).toEqual(expected);
    expect(await stop("rule", issuer, { scope: "stop x" })).toBe("policy_denied");
    expect(await stop("scope", issuer, { scope: "stop extra" })).toBe("stopped");
    expect(await stop("stolen", issuer, { jti: "another" })).toBe("stopped");

    taken = ["sk-next"];
    expect(await stop("still")).toBe("upstream_rejected_credentials");
    expect(await stop("second")).toBe("stopped");
    expect(await stop("sealed")).toBe("stopped");
    await until(() => gateway.output().includes("upstream_key_refused"));
    for (const key of ["sk-first", "sk-next"]) expect(gateway.output()).not.toContain(key);
    taken = ["sk-first", "sk-next"];
  });

  it("a new signing key of the provider is good at once", async () => {
    const key = await createKey("ES256");
    const renewed = issuerWith(key, { issuer: "https://id.test/", audience: "stop" });
    keys = [...keys, key];
    expect(await stop("still", renewed)).toBe("stopped");
    expect(await stop("still")).toBe("stopped");
  });
});
