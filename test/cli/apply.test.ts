// `gateway diff` and `gateway apply` as an operator runs them: over the real local KV, and with the real
// wrangler over an API that stands in for Cloudflare's.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { getPlatformProxy } from "wrangler";
import { type Change, changesFor, inOrder } from "../../cli/changes.ts";
import { compare } from "../../cli/compare.ts";
import { UsageError } from "../../cli/config-file.ts";
import { type ConfigKv, digestOf, type Pair } from "../../cli/config-kv/kv.ts";
import { openLocalKv } from "../../cli/config-kv/local.ts";
import { linesForDifference } from "../../cli/detail.ts";
import { newIssuerKey } from "../../cli/new-keys.ts";
import { linesForChanges } from "../../cli/show-changes.ts";
import { writeConfig } from "../../cli/write-config.ts";
import { temporaryFolder } from "../e2e/support/black-box.ts";
import { type CloudflareApi, startCloudflareApi } from "../e2e/support/cloudflare-api.ts";
import { type Ran, runGatewayWith } from "../e2e/support/command.ts";
import { hasTerminal, inTerminal, KEYS } from "../e2e/support/terminal.ts";

type Json = Record<string, unknown>;

const tenant = (over: Json = {}): Json => ({
  upstream: "openai",
  credential: { secret: "OPENAI_KEY" },
  ownership: { source: "metadata", tenant_key: "tenant", subject_key: "user" },
  rules: [{ id: "owner", scopes: ["stop"], runs: "own" }],
  ...over,
});

function config(tenants: Record<string, Json>, over: Json = {}): Json {
  return {
    issuers: [
      {
        issuer: "https://id.test/",
        jwks_uri: "https://id.test/keys",
        audiences: ["stop"],
        tenant: { claim: "org_id", allow: Object.keys(tenants) },
      },
    ],
    upstreams: { openai: { kind: "openai-responses", base_url: "https://api.openai.com/v1" } },
    tenants,
    ...over,
  };
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(async () => folder?.remove());

async function fileWith(document: unknown): Promise<string> {
  const file = join(folder.path, "gateway.json");
  await writeFile(file, typeof document === "string" ? document : JSON.stringify(document));
  return file;
}

describe("changes", () => {
  const wanted = (value: Json) => [{ key: "c1:tenant:acme", value: JSON.stringify(value) }];
  const between = (before: unknown, after: Json): readonly Change[] =>
    changesFor(
      new Set(["c1:tenant:acme"]),
      new Map([["c1:tenant:acme", typeof before === "string" ? before : JSON.stringify(before)]]),
      wanted(after),
    );

  it("are told by member, with what was and what will be", () => {
    expect(between({ a: 1, b: [1], c: 3 }, { a: 1, b: [2], d: 4 })).toEqual([
      {
        key: "c1:tenant:acme",
        tenant: "acme",
        kind: "changed",
        notes: [],
        members: [
          { member: "b", before: [1], after: [2] },
          { member: "c", before: 3, after: undefined },
          { member: "d", before: undefined, after: 4 },
        ],
      },
    ]);
  });

  it("of two entries of one issuer are told apart", () => {
    const base = (...audiences: string[]): Json => ({
      issuers: audiences.map((audience) => ({ issuer: "https://id.test/", audience })),
    });
    const key = "c1:base";
    const change = changesFor(
      new Set([key]),
      new Map([[key, JSON.stringify(base("web", "ios"))]]),
      [{ key, value: JSON.stringify(base("web", "android")) }],
    );
    expect(change).toMatchObject([
      {
        members: [
          {
            member: "issuers https://id.test/ (2)",
            before: { audience: "ios" },
            after: { audience: "android" },
          },
        ],
      },
    ]);
  });

  it.each(["not JSON", "[1]", "null", '"text"'])("of %s are a replacement", (before) => {
    expect(between(before, { a: 1 })).toMatchObject([
      { kind: "changed", notes: ["unreadable as it is; replaced"] },
    ]);
  });

  it("are written in the order that takes away first", () => {
    const pairs = [
      { key: "c1:tenant:on", value: '{"enabled":true}' },
      { key: "c1:base", value: "{}" },
      { key: "c1:tenant:off", value: '{"enabled":false}' },
    ];
    expect(inOrder(pairs).map(({ key }) => key)).toEqual([
      "c1:tenant:off",
      "c1:base",
      "c1:tenant:on",
    ]);
  });

  it("of many tenants leave what matters in sight", () => {
    const tenants = Array.from({ length: 10_000 }, (_, index) => `c1:tenant:t${index}`);
    const off = "c1:tenant:zz";
    const value = '{"enabled":true}';
    const wanted = [
      ...tenants.map((key) => ({ key, value })),
      { key: off, value: '{"enabled":false}' },
    ];
    const lines = linesForChanges(
      changesFor(new Set([off, "c1:tenant:gone"]), new Map([[off, value]]), wanted),
      false,
    );
    expect(lines.slice(0, 4)).toEqual([
      "- tenant gone: its callers are refused",
      "~ tenant zz: switched off",
      "    enabled: true → false",
      "+ tenant t0",
    ]);
    expect(lines.slice(-2)).toEqual([
      "  and 9,980 more added (--verbose shows them)",
      "Tenants: 10,000 added, 1 changed, 1 removed.",
    ]);
  });
});

describe("a difference", () => {
  const rule = (id: string, over: Json = {}): Json => ({
    id,
    scopes: ["a-scope-with-a-long-name", "and-another-one"],
    runs: "own",
    ...over,
  });

  it("in the last of long rules is shown, and nothing else", () => {
    const before = [rule("a"), rule("b"), rule("c")];
    const after = [rule("a"), rule("b"), rule("c", { runs: "tenant" })];
    expect(linesForDifference("rules", before, after)).toEqual(['rules[c].runs: "own" → "tenant"']);
  });

  it("of a rule's place is one, for the first that matches decides", () => {
    const [a, b, c] = ["a", "b", "c"].map((id) => ({ id, runs: "own" }));
    expect(linesForDifference("rules", [a, b], [b, a])).toEqual(["rules, in this order: b, a"]);
    expect(linesForDifference("rules", [a, b], [c, b])).toEqual([
      'rules: - {"id":"a","runs":"own"}',
      'rules: + {"id":"c","runs":"own"}',
      "rules, in this order: c, b",
    ]);
    expect(linesForDifference("rules", [a, b], [b])).toEqual(['rules: - {"id":"a","runs":"own"}']);
  });

  it("of long lists is what came and went", () => {
    const many = Array.from({ length: 10_000 }, (_, index) => `https://t${index}.test`);
    expect(linesForDifference("origins", many, [...many, "https://new.test"])).toEqual([
      'origins: + "https://new.test"',
    ]);
    expect(linesForDifference("origins", many, many.slice(0, 4))).toEqual([
      'origins: - "https://t4.test", "https://t5.test", "https://t6.test", "https://t7.test", "https://t8.test" and 9,991 more',
    ]);
    expect(linesForDifference("redact", ["a", "b"], ["b", "a"])).toHaveLength(1);
    expect(linesForDifference("redact", ["a"], ["a", "a"])).toHaveLength(1);
  });

  it("far inside long texts is shown from where they part", () => {
    const long = "x".repeat(500);
    const [line = ""] = linesForDifference("sealed", `${long}A`, `${long}B`);
    expect(line).toMatch(/^sealed: …x{20}A" → …x{20}B"$/);
  });

  it("of any two values is at least one line", () => {
    const values: unknown[] = [undefined, null, 0, "", "a", [], [1], [{ id: "a" }], {}, { a: 1 }];
    for (const [index, before] of values.entries()) {
      for (const [other, after] of values.entries()) {
        const lines = linesForDifference("it", before, after);
        expect(lines.length > 0, `${index} and ${other}`).toBe(index !== other);
      }
    }
  });
});

describe("a KV", () => {
  const pairs: readonly Pair[] = [
    { key: "c1:base", value: "{}" },
    { key: "c1:tenant:acme", value: '{"enabled":true}' },
  ];
  const removals = ["c1:tenant:gone"];

  /** `afterWrite` may change what was written, behind the back of who wrote it. */
  function memoryKv(afterWrite: (store: Map<string, string>) => void): ConfigKv {
    const store = new Map([["c1:tenant:gone", "{}"]]);
    return {
      name: "memory",
      lagMs: 0,
      list: async () => new Map([...store].map(([key, value]) => [key, digestOf(value)])),
      read: async (keys) =>
        new Map(keys.flatMap((key) => [...store].filter(([stored]) => stored === key))),
      write: async (written, done) => {
        for (const { key, value } of written) store.set(key, value);
        done(written.length);
        afterWrite(store);
      },
      remove: async (keys, done) => {
        for (const key of keys) store.delete(key);
        done(keys.length);
      },
      close: async () => undefined,
    };
  }

  it("that holds something else than was written is found out, and so is one that keeps what was removed", async () => {
    const work = { writes: pairs, removals };
    expect(
      await writeConfig(
        memoryKv(() => undefined),
        work,
      ),
    ).toEqual([]);
    const changed = memoryKv((store) => {
      store.set("c1:tenant:acme", '{"enabled":false}');
      store.set("c1:tenant:gone", "{}");
    });
    expect(await writeConfig(changed, work)).toEqual(["c1:tenant:acme", "c1:tenant:gone"]);
    const lost = memoryKv((store) => store.delete("c1:base"));
    expect(await writeConfig(lost, work)).toEqual(["c1:base"]);
  });

  it("that fails half way is told of, with how far it came", async () => {
    const kv: ConfigKv = {
      ...memoryKv(() => undefined),
      write: async (_, done) => {
        done(1);
        throw new UsageError("no more");
      },
    };
    await expect(writeConfig(kv, { writes: pairs, removals })).rejects.toThrow(
      "no more\nBefore that, 1 of 1 keys were removed and 1 of 2 written;",
    );
  });

  it("whose list is older than its values is written to all the same", async () => {
    const stale: ConfigKv = {
      ...memoryKv(() => undefined),
      list: async () => new Map([["c1:tenant:acme", "of what was there"]]),
    };
    const { writes, changes } = await compare(stale, pairs, { all: false, thorough: false });
    expect(writes).toEqual(pairs);
    expect(changes.map(({ kind }) => kind)).toEqual(["added", "added"]);
  });
});

describe("the local KV", () => {
  let persist: string;
  let count = 0;
  beforeEach(() => {
    count += 1;
    persist = join(folder.path, `state-${count}`);
  });

  const run = async (command: string, document: unknown, ...flags: string[]): Promise<Ran> =>
    await runGatewayWith(
      {},
      command,
      await fileWith(document),
      "--local",
      "--persist",
      persist,
      ...flags,
    );

  async function stored(): Promise<Record<string, unknown>> {
    const kv = await openLocalKv(persist);
    try {
      const keys = [...(await kv.list()).keys()];
      const values = await kv.read(keys, () => undefined);
      return Object.fromEntries([...values].map(([key, value]) => [key, JSON.parse(value)]));
    } finally {
      await kv.close();
    }
  }

  it("says what the file says, and then there is no difference", async () => {
    const document = config({ acme: tenant(), globex: tenant() });
    const before = await run("diff", document);
    expect(before.code).toBe(1);
    expect(before.stdout.trim().split("\n")).toEqual([
      "+ issuers, upstreams, origins",
      "+ tenant acme",
      "+ tenant globex",
      "Tenants: 2 added, 0 changed, 0 removed.",
    ]);
    expect(await stored()).toEqual({});
    const applied = await run("apply", document, "--yes");
    expect(applied.code).toBe(0);
    expect(applied.stdout).toContain("Written and read back: 3 keys in the local KV");
    expect(Object.keys(await stored()).sort()).toEqual([
      "c1:base",
      "c1:tenant:acme",
      "c1:tenant:globex",
    ]);
    const after = await run("diff", document);
    expect(after).toMatchObject({ code: 0, stdout: "Nothing changes.\n" });
  });

  it("gets what differs, and loses who is gone", async () => {
    await run("apply", config({ acme: tenant(), globex: tenant(), initech: tenant() }), "--yes");
    const rules = [{ id: "owner", scopes: ["stop"], runs: "tenant" }];
    const next = config({ acme: tenant({ rules }), globex: tenant({ enabled: false }) });
    const { stdout } = await run("diff", next);
    expect(stdout.trim().split("\n")).toEqual([
      "~ issuers, upstreams, origins",
      '    issuers https://id.test/ tenant allow: - "initech"',
      "- tenant initech: its callers are refused",
      "~ tenant globex: switched off",
      "    enabled: true → false",
      "~ tenant acme",
      '    rules[owner].runs: "own" → "tenant"',
      "Tenants: 0 added, 2 changed, 1 removed.",
      expect.stringContaining("Issuers and rules change together"),
    ]);
    const applied = await run("apply", next, "--yes", "--json");
    expect(applied.code).toBe(0);
    expect(JSON.parse(applied.stdout)).toMatchObject({
      file: join(folder.path, "gateway.json"),
      problems: [],
      target: `the local KV in ${persist}`,
      note: expect.stringContaining("Issuers and rules change together"),
      applied: true,
      wrong: [],
      changes: [
        { tenant: "initech", kind: "removed" },
        { tenant: null, kind: "changed" },
        { tenant: "acme", kind: "changed", members: [{ member: "rules" }] },
        { tenant: "globex", kind: "changed", notes: ["switched off"] },
      ],
    });
    expect(applied.stderr).toContain("Issuers and rules change together");
    expect(await stored()).toMatchObject({ "c1:tenant:globex": { enabled: false } });
    expect(await stored()).not.toHaveProperty("c1:tenant:initech");
  });

  it("warns of an upstream whose address changes under the keys of its tenants", async () => {
    await run("apply", config({ acme: tenant() }), "--yes");
    const upstreams = { openai: { kind: "openai-responses", base_url: "https://other.test/v1" } };
    const { stdout } = await run("diff", config({ acme: tenant() }, { upstreams }));
    expect(stdout).toContain("give the new address a name of its own");
  });

  it("is not touched by a file that is not valid, and every problem is told with its line", async () => {
    const bad = `{\n  "issuers": [],\n  "upstreams": {},\n  "tenants": { "ACME": {} }\n}`;
    const { code, stderr } = await run("apply", bad, "--yes");
    expect(code).toBe(1);
    expect(stderr).toContain("gateway.json:2: issuers: Too small");
    expect(stderr).toContain("gateway.json:4: ");
    const asJson = await run("apply", bad, "--yes", "--json");
    expect(asJson.code).toBe(1);
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      problems: [{ line: 2, path: ["issuers"] }, { line: 4 }],
      target: null,
      changes: [],
      applied: false,
    });
    expect(await stored()).toEqual({});
  });

  it("is not touched where nobody can be asked, or it was not said where to", async () => {
    const document = config({ acme: tenant() });
    const unasked = await run("apply", document);
    expect(unasked.code).toBe(2);
    expect(unasked.stderr).toContain("There is nobody to ask here");
    const both = await run("apply", document, "--remote", "--yes");
    expect(both).toMatchObject({ code: 2, stderr: "Say where to: --local or --remote.\n" });
    const elsewhere = await run("apply", document, "--yes", "--namespace-id", "1");
    expect(elsewhere).toMatchObject({ code: 2, stderr: expect.stringContaining("--remote") });
    expect(await stored()).toEqual({});
  });

  it.runIf(hasTerminal).each([
    ["no", KEYS.enter, 1, "Nothing was written."],
    ["yes", "y", 0, "Written and read back: 2 keys"],
    ["Ctrl-C", KEYS.ctrlC, 1, "Nothing was written."],
  ])("is asked about on a terminal: %s", async (_, keys, code, says) => {
    const file = await fileWith(config({ acme: tenant() }));
    const gateway = join(import.meta.dirname, "../../cli/gateway.ts");
    const command = [process.execPath, gateway, "apply", file, "--local", "--persist", persist];
    const terminal = inTerminal(command, folder.path);
    await terminal.answer("Write this to the local KV", keys);
    expect(await terminal.exit).toBe(code);
    expect(terminal.shown()).toContain("+ tenant acme");
    expect(terminal.shown()).toContain(says);
    expect(Object.keys(await stored())).toHaveLength(code === 0 ? 2 : 0);
  });

  it("is not told twice of a hole, but told of it", async () => {
    const open = tenant({ origins: ["https://app.test"] });
    const { code, stderr } = await run("apply", config({ acme: open }), "--yes");
    expect(code).toBe(0);
    expect(stderr).toMatch(/has a hole \(exposed-instructions\): npm run gateway -- lint /);
  });

  /** As somebody does who edits a value and leaves what stands beside it. */
  async function writeUnder(key: string, value: string): Promise<void> {
    const platform = await getPlatformProxy<{ CONFIG: KVNamespace }>({
      configPath: join(import.meta.dirname, "../../cli/config-kv/local.toml"),
      persist: { path: join(persist, "v3") },
    });
    const { CONFIG } = platform.env;
    const { metadata } = await CONFIG.getWithMetadata(key, "text");
    await CONFIG.put(key, value, { metadata });
    await platform.dispose();
  }

  it("is mended where somebody else has written, by its digest or by a thorough look", async () => {
    const document = config({ acme: tenant() });
    await run("apply", document, "--yes");
    const kv = await openLocalKv(persist);
    await kv.write([{ key: "c1:tenant:acme", value: "{}" }], () => undefined);
    await kv.close();
    const { code, stdout } = await run("diff", document);
    expect({ code, says: stdout.includes("~ tenant acme") }).toEqual({ code: 1, says: true });
    await run("apply", document, "--yes");
    await writeUnder("c1:tenant:acme", "{}");
    expect((await run("diff", document)).code).toBe(0);
    expect((await run("diff", document, "--thorough")).code).toBe(1);
    const all = await run("apply", document, "--yes", "--all");
    expect(all.stdout).toContain("Written and read back: 2 keys");
    expect(await stored()).toMatchObject({ "c1:tenant:acme": { enabled: true } });
  });

  it("may hold anything: what cannot be read is replaced", async () => {
    const kv = await openLocalKv(persist);
    const values = { "c1:base": "[]", "c1:tenant:acme": "not JSON", "c1:tenant:OLD": '{"v":0}' };
    const pairs = Object.entries(values).map(([key, value]) => ({ key, value }));
    await kv.write(pairs, () => undefined);
    await kv.close();
    const document = config({ acme: tenant() });
    const { stdout } = await run("diff", document);
    expect(stdout.trim().split("\n")).toEqual([
      "~ issuers, upstreams, origins: unreadable as it is; replaced",
      "- tenant OLD: its callers are refused",
      "~ tenant acme: unreadable as it is; replaced",
      "Tenants: 0 added, 1 changed, 1 removed.",
    ]);
    expect((await run("apply", document, "--yes")).code).toBe(0);
    expect(Object.keys(await stored()).sort()).toEqual(["c1:base", "c1:tenant:acme"]);
  });

  it("takes two thousand tenants, with a word now and then, and then one of them", async () => {
    const many = Object.fromEntries(
      Array.from({ length: 2_000 }, (_, index) => [`t${index}`, tenant()]),
    );
    const first = await run("apply", config(many), "--yes");
    expect(first.code).toBe(0);
    expect(first.stdout).toContain("and 1,980 more added (--verbose shows them)");
    expect(first.stderr).toMatch(/Writing: \d+ of 2,001[\s\S]*Reading back: 2,001 done/);
    const off = { ...many, t1234: tenant({ enabled: false }) };
    const second = await run("apply", config(off), "--yes");
    expect(second.stdout).toContain("~ tenant t1234: switched off");
    expect(second.stdout).toContain("Written and read back: 1 key in");
    const verbose = await run(
      "diff",
      config({}, { issuers: config({ t1: tenant() })["issuers"] }),
      "--verbose",
    );
    expect(verbose.stdout.match(/^- tenant /gm)).toHaveLength(2_000);
  });
});

describe("Cloudflare's KV", () => {
  let api: CloudflareApi;
  beforeEach(async () => {
    api = await startCloudflareApi();
  });
  afterEach(async () => api.stop());

  const run = async (command: string, document: unknown, ...flags: string[]): Promise<Ran> =>
    await runGatewayWith({ env: api.env }, command, await fileWith(document), "--remote", ...flags);
  const many = (length: number): Record<string, Json> =>
    Object.fromEntries(Array.from({ length }, (_, index) => [`t${index}`, tenant()]));

  it("says what the file says, in the namespace that the deployed Worker has", async () => {
    const document = config({ acme: tenant(), globex: tenant() });
    const { code, stdout } = await run("apply", document, "--yes");
    expect(code).toBe(0);
    expect(stdout).toContain("Written and read back: 3 keys in Cloudflare's KV.");
    expect([...api.store.keys()].sort()).toEqual(["c1:base", "c1:tenant:acme", "c1:tenant:globex"]);
    expect(api.asked.some((asked) => asked.endsWith("/scripts/stopgate/settings"))).toBe(true);
    expect(await run("diff", document)).toMatchObject({ code: 0, stdout: "Nothing changes.\n" });
    const next = config({ acme: tenant({ enabled: false }) });
    expect((await run("apply", next, "--yes")).code).toBe(0);
    expect([...api.store.keys()].sort()).toEqual(["c1:base", "c1:tenant:acme"]);
    expect(JSON.parse(api.store.get("c1:tenant:acme")?.value ?? "")).toMatchObject({
      enabled: false,
    });
  });

  it("may be another namespace", async () => {
    const id = "ffffffffffffffffffffffffffffffff";
    const { code } = await run("apply", config({ acme: tenant() }), "--yes", "--namespace-id", id);
    expect(code).toBe(0);
    expect(api.asked.some((asked) => asked.endsWith("/settings"))).toBe(false);
  });

  it("gets no address of this machine", async () => {
    const upstreams = { openai: { kind: "openai-responses", base_url: "http://127.0.0.1:1/v1" } };
    const { code, stderr } = await run("apply", config({ acme: tenant() }, { upstreams }), "--yes");
    expect(code).toBe(2);
    expect(stderr).toContain("http://127.0.0.1:1/v1 is on this machine");
    expect(api.asked).toEqual([]);
  });

  it("gets no config that trusts the local issuer", async () => {
    const trusting = config({ acme: tenant() });
    const [issuer] = trusting["issuers"] as Json[];
    const { jwks_uri: _, ...renamed } = issuer as Json;
    const key = JSON.parse(await newIssuerKey()) as Json;
    const { d: _private, ...publicJwk } = key;
    for (const trusted of [
      { ...issuer, issuer: "https://local.issuer.invalid/" },
      { ...renamed, jwks: { keys: [publicJwk] } },
    ]) {
      const { code, stderr } = await run("apply", { ...trusting, issuers: [trusted] }, "--yes");
      expect(code).toBe(2);
      expect(stderr).toContain("take that issuer out first");
    }
    expect(api.asked).toEqual([]);
  });

  it("that fails half way is finished by applying again", async () => {
    let puts = 0;
    api.fails = (asked) => {
      if (asked !== "PUT /bulk") return false;
      puts += 1;
      return puts > 1;
    };
    // Long, and of letters that take three bytes: they must survive being read in pieces.
    const rules = [{ id: "owner", scopes: ["止".repeat(120), "停".repeat(120)], runs: "own" }];
    const tenants = Object.entries(many(1_200)).map(([id, each]) => [id, { ...each, rules }]);
    const document = config(Object.fromEntries(tenants));
    const broken = await run("apply", document, "--yes");
    expect(broken.code).toBe(2);
    expect(broken.stderr).toContain("wrangler kv bulk put failed");
    expect(broken.stderr).toContain("0 of 0 keys were removed and 1,000 of 1,201 written");
    expect(api.store.size).toBe(1_000);
    expect(api.store.has("c1:base")).toBe(true);
    api.fails = () => false;
    const again = await run("apply", document, "--yes");
    expect(again.stdout).toContain("Written and read back: 201 keys");
    expect(api.store.size).toBe(1_201);
    expect(await run("diff", document, "--thorough")).toMatchObject({ code: 0 });
    expect(api.asked.filter((asked) => asked === "GET /keys").length).toBeGreaterThan(3);
  });

  it("is that of a Worker; without one, it is said what to do", async () => {
    api.isDeployed = false;
    const { code, stderr } = await run("apply", config({ acme: tenant() }), "--yes");
    expect(code).toBe(2);
    expect(stderr).toContain("npx wrangler kv namespace list shows their ids");
    expect(stderr).not.toContain("\u001b");
    expect(api.store.size).toBe(0);
  });

  it("that cannot be read is left alone", async () => {
    api.fails = (asked) => asked === "GET /keys";
    const { code, stderr } = await run("apply", config({ acme: tenant() }), "--yes");
    expect(code).toBe(2);
    expect(stderr).toContain("wrangler kv key list failed");
    expect(api.store.size).toBe(0);
  });

  it("that lags behind is looked at again", async () => {
    let reads = 0;
    api.fails = () => false;
    api.afterWrite = () => {
      const written = api.store.get("c1:tenant:acme");
      if (written === undefined || reads > 0) return;
      reads += 1;
      const { value } = written;
      written.value = "{}";
      setTimeout(() => {
        written.value = value;
      }, 3_000);
    };
    const { code, stdout, stderr } = await run("apply", config({ acme: tenant() }), "--yes");
    expect({ code, reads }).toEqual({ code: 0, reads: 1 });
    expect(stdout).toContain("Written and read back: 2 keys");
    expect(stderr).toContain("1 key not yet read as written");
    expect(api.asked.filter((asked) => asked === "POST /bulk/get").length).toBeGreaterThan(1);
  });

  it("holds no secret: a sealed key and a name is all there is", async () => {
    await run("apply", config({ acme: tenant() }), "--yes");
    const text = [...api.store.values()].map(({ value }) => value).join("\n");
    expect(text).toContain('"secret":"OPENAI_KEY"');
    expect(await readFile(join(folder.path, "gateway.json"), "utf8")).not.toContain("sk-");
  });
});
