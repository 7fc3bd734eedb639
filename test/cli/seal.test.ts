// `npm run gateway -- seal`: one key, every key again, and what it refuses. What comes out is opened with
// the Worker's own code.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "jsonc-parser";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newEncryptionKey } from "../../cli/new-keys.ts";
import { type EncryptionKey, readEncryptionKey, seal, unseal } from "../../src/config/sealing.ts";
import { temporaryFolder } from "../e2e/support/black-box.ts";
import { type Ran, runGatewayWith } from "../e2e/support/command.ts";
import { hasTerminal, inTerminal, KEYS } from "../e2e/support/terminal.ts";

const GATEWAY = join(import.meta.dirname, "../../cli/gateway.ts");
const CANARY = "sk-canary-of-acme-4711";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const [newText, oldText] = [newEncryptionKey(), newEncryptionKey()];
const NEW = await imported(newText);
const OLD = await imported(oldText);

async function imported(text: string): Promise<EncryptionKey> {
  const key = await readEncryptionKey(text);
  if (key === null) throw new Error("no key");
  return key;
}

beforeEach(async () => {
  folder = await temporaryFolder();
  await secrets({ KEY_ENCRYPTION_KEY: newText });
});
afterEach(async () => folder?.remove());

const file = (name: string): string => join(folder.path, name);
const config = (): Promise<string> => readFile(file("gateway.jsonc"), "utf8");
const written = (text: string): Promise<void> => writeFile(file("gateway.jsonc"), text);

async function secrets(values: Readonly<Record<string, string>>): Promise<void> {
  const lines = Object.entries(values).map(([name, value]) => `${name}='${value}'\n`);
  await writeFile(file(".dev.vars"), lines.join(""));
}

async function run(stdin: string, ...flags: readonly string[]): Promise<Ran> {
  return await runGatewayWith({ cwd: folder.path, stdin }, "seal", ...flags);
}

const CONFIG = ["--config", "gateway.jsonc"] as const;

/** As people write it; `tenants` are lines of its own. */
function configWith(tenants: string): string {
  return `{
  // Whose tokens count.
  "issuers": [{ "issuer": "https://id.acme.test/", "jwks_uri": "https://id.acme.test/keys", "audiences": ["stop"], "tenant": { "claim": "org", "allow": ["acme", "globex"] } }],
  "upstreams": { "openai": { "kind": "openai-responses", "base_url": "https://api.openai.com/v1" }, },
  "tenants": {
${tenants}
  },
}
`;
}

function tenant(id: string, credential: string, more = ""): string {
  return `    "${id}": { // ${id} GmbH
      "upstream": "openai",
      "credential": ${credential}, // the key of ${id}${more}
      "ownership": { "source": "metadata", "tenant_key": "tenant", "subject_key": "user" },
      "rules": [{ "id": "owner", "scopes": ["runs:cancel"], "runs": "own" }], // last
    },`;
}

const client = (secret: string): string =>
  `{ "client_credentials": { "token_url": "https://login.acme.test/token", "client_id": "c", /* of */ "client_secret": ${secret} } }`;

/** The comments, which no edit may lose. */
const commentsIn = (text: string): string[] => text.match(/\/\/ .*|\/\*.*?\*\//g) ?? [];

describe("seal, of one key,", () => {
  it("prints the credential, which opens for this tenant alone", async () => {
    const { code, stdout, stderr } = await run(`${CANARY}\n`, "--tenant", "acme");
    expect(code).toBe(0);
    const { credential } = JSON.parse(`{${stdout}}`);
    expect(await unseal([NEW], "acme", credential.sealed)).toBe(CANARY);
    await expect(unseal([NEW], "globex", credential.sealed)).rejects.toThrow("another tenant");
    expect(stderr).toContain(`Sealed for acme with '${NEW.kid}'`);
    expect(stdout + stderr).not.toContain(CANARY);
  });

  it("prints one document with --json, and no two that are alike", async () => {
    const first = JSON.parse((await run(CANARY, "--tenant", "acme", "--json")).stdout);
    const second = JSON.parse((await run(CANARY, "--tenant", "acme", "--json")).stdout);
    expect(first).toMatchObject({ tenant: "acme", member: "credential", kid: NEW.kid });
    expect(first.sealed).not.toBe(second.sealed);
  });

  it.each<[string, string, readonly string[], (entry: Entry) => string | undefined]>([
    ["a secret", '{ "secret": "KEY" }', [], ({ credential }) => credential.sealed],
    ["a client's", client('{ "secret": "KEY" }'), [], (entry) => secretOf(entry.credential)],
    [
      "a second where there is none",
      '{ "secret": "KEY" }',
      ["--second"],
      ({ second_credential }) => second_credential?.sealed,
    ],
  ])("puts it in place of %s in the config, and leaves all else", async (_, there, flags, read) => {
    const text = configWith(`${tenant("globex", there)}\n${tenant("acme", there)}`);
    await written(text);
    const ran = await run(CANARY, "--tenant", "acme", ...CONFIG, "--write", ...flags);
    expect(ran).toMatchObject({ code: 0, stdout: "" });
    const now = await config();
    const { acme, globex } = parse(now).tenants;
    expect(await unseal([NEW], "acme", read(acme) ?? "")).toBe(CANARY);
    const { tenants, ...others } = parse(text);
    expect(parse(now)).toMatchObject({ ...others, tenants: { globex: tenants.globex } });
    expect(globex).toEqual(tenants.globex);
    expect(acme.rules).toEqual(tenants.acme.rules);
    expect(commentsIn(now)).toEqual(commentsIn(text));
    expect(now + ran.stderr).not.toContain(CANARY);
  });

  interface Entry {
    readonly credential: { readonly sealed?: string };
    readonly second_credential?: { readonly sealed?: string };
  }
  function secretOf(credential: Entry["credential"]): string | undefined {
    return (credential as ReturnType<typeof parse>).client_credentials?.client_secret?.sealed;
  }

  it.each<[string, string, readonly string[], RegExp]>([
    ["no tenant", CANARY, [], /^Say for which tenant with --tenant/],
    ["a tenant that is none", CANARY, ["--tenant", "Acme"], /^'Acme' is no tenant id/],
    ["a tenant that is not there", CANARY, ["--tenant", "x", ...CONFIG], /has no tenant 'x'/],
    ["--write to nowhere", CANARY, ["--tenant", "acme", "--write"], /--write needs the file/],
    ["no key", "\n", ["--tenant", "acme"], /^stdin: there is no key/],
    ["a key of two lines", `${CANARY}\nx`, ["--tenant", "acme"], /^stdin: an upstream key is one/],
    ["a key with an umlaut", "sk-ü", ["--tenant", "acme"], /^stdin: an upstream key is one line/],
    ["far too much", "x".repeat(70_000), ["--tenant", "acme"], /^stdin: far too long/],
    [
      "a file that is not there",
      CANARY,
      ["--tenant", "acme", "--config", "x"],
      /^x: cannot be read/,
    ],
    ["the key as a parameter", "", ["--tenant", "acme", CANARY], /too many arguments/],
  ])("refuses %s", async (_, stdin, flags, says) => {
    await written(configWith(tenant("acme", '{ "secret": "KEY" }')));
    const before = await config();
    const { code, stdout, stderr } = await run(stdin, ...flags);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(says);
    expect(stderr).not.toMatch(/\n\s+at /);
    if (!flags.includes(CANARY)) expect(stderr).not.toContain(CANARY);
    expect(await config()).toBe(before);
  });

  it.each([
    ["none", {}, /^KEY_ENCRYPTION_KEY is not in \.dev\.vars: .*--new-key/],
    ["one that is none", { KEY_ENCRYPTION_KEY: "hunter2" }, /not a symmetric JWK of 256 bits/],
    [
      "two of one name",
      { KEY_ENCRYPTION_KEY: newText, KEY_ENCRYPTION_KEY_PREVIOUS: newText },
      /have the same kid/,
    ],
  ])("refuses to seal with %s", async (_, values, says) => {
    await secrets(values as Record<string, string>);
    const { code, stderr } = await run(CANARY, "--tenant", "acme");
    expect(code).toBe(2);
    expect(stderr).toMatch(says);
    expect(stderr).not.toContain("hunter2");
  });

  it.skipIf(!hasTerminal)("asks for the key at a terminal, and does not show it", async () => {
    const terminal = inTerminal(
      [process.execPath, GATEWAY, "seal", "--tenant", "acme", "--json"],
      folder.path,
    );
    await terminal.answer("The upstream key of acme", `${CANARY}${KEYS.enter}`);
    expect(await terminal.exit).toBe(0);
    expect(terminal.shown()).not.toContain(CANARY);
    const [json = ""] = /\{.*\}/.exec(terminal.shown()) ?? [];
    expect(await unseal([NEW], "acme", JSON.parse(json).sealed)).toBe(CANARY);
  });

  it.skipIf(!hasTerminal)("writes nothing at Ctrl-C", async () => {
    const text = configWith(tenant("acme", '{ "secret": "KEY" }'));
    await written(text);
    const terminal = inTerminal(
      [process.execPath, GATEWAY, "seal", "--tenant", "acme", ...CONFIG, "--write"],
      folder.path,
    );
    await terminal.answer("The upstream key of acme", `sk-1${KEYS.ctrlC}`);
    expect(await terminal.exit).toBe(2);
    expect(await config()).toBe(text);
  });
});

describe("seal --rotate", () => {
  const under = async (key: EncryptionKey, id: string, plain: string): Promise<string> =>
    `{ "sealed": "${await seal(key, id, plain)}" }`;
  const rotate = (...flags: readonly string[]): Promise<Ran> =>
    run("", "--rotate", ...CONFIG, ...flags);
  beforeEach(() => secrets({ KEY_ENCRYPTION_KEY: newText, KEY_ENCRYPTION_KEY_PREVIOUS: oldText }));

  it("seals again what is under the previous key, wherever it stands, and touches nothing else", async () => {
    const second = `,\n      "second_credential": ${await under(OLD, "globex", "sk-2")}`;
    const text = configWith(
      [
        tenant("acme", await under(OLD, "acme", CANARY)),
        tenant("globex", '{ "secret": "KEY" }', second.slice(1)).replace(
          "// the key of globex",
          "",
        ),
        tenant("initech", client(await under(OLD, "initech", "sk-3"))),
        tenant("umbrella", await under(NEW, "umbrella", "sk-4")),
      ].join("\n"),
    ).replace(/("second_credential": \{.*\})/, "$1,");
    await written(text);
    const ran = await rotate("--json");
    expect(ran.code, ran.stderr).toBe(0);
    expect(JSON.parse(ran.stdout)).toEqual({
      file: "gateway.jsonc",
      kid: NEW.kid,
      rotated: 3,
      current: 1,
    });
    expect(ran.stderr).toContain(`3 sealed again with '${NEW.kid}'; 1 were already.`);
    const now = await config();
    const blank = (each: string): string => each.replaceAll(/"ey[\w.-]+"/g, '""');
    expect(blank(now)).toBe(blank(text));
    const { acme, globex, initech, umbrella } = parse(now).tenants;
    // The previous key is taken away: all of them open without it.
    const open = (id: string, sealed: string) => unseal([NEW], id, sealed);
    expect(await open("acme", acme.credential.sealed)).toBe(CANARY);
    expect(await open("globex", globex.second_credential.sealed)).toBe("sk-2");
    const { client_secret } = initech.credential.client_credentials;
    expect(await open("initech", client_secret.sealed)).toBe("sk-3");
    expect(umbrella).toEqual(parse(text).tenants.umbrella);

    expect(await rotate()).toMatchObject({
      code: 0,
      stderr: `gateway.jsonc: 0 sealed again with '${NEW.kid}'; 4 were already.\n`,
    });
    expect(await config()).toBe(now);
  });

  it.each<[string, () => Promise<string>, string]>([
    [
      "is under a third",
      async () => await under(await imported(newEncryptionKey()), "globex", "x"),
      "which is not set",
    ],
    ["is another tenant's", async () => await under(OLD, "acme", "x"), "sealed for another tenant"],
    [
      "was altered",
      async () =>
        // The first sign of the ciphertext: of the last one some bits mean nothing.
        (await under(OLD, "globex", "x")).replace(/(?<=\.\.[\w-]+\.)./, (sign) =>
          sign === "A" ? "B" : "A",
        ),
      "it was altered",
    ],
  ])("writes nothing when one key %s, and says its line", async (_, broken, says) => {
    const text = configWith(
      `${tenant("acme", await under(OLD, "acme", CANARY))}\n${tenant("globex", await broken())}`,
    );
    await written(text);
    const line = text.slice(0, text.lastIndexOf('"sealed"')).split("\n").length;
    const { code, stdout, stderr } = await rotate();
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(new RegExp(`^gateway.jsonc:${line}: tenant globex: .*${says}`));
    expect(stderr).toContain("Nothing was written.");
    expect(stderr).not.toContain("gateway.jsonc:11");
    expect(await config()).toBe(text);
  });

  it("needs a config that passes", async () => {
    await written(configWith(tenant("acme", '{ "sealed": "abc" }')));
    expect(await rotate()).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^gateway\.jsonc:\d+: .*not a sealed key.*Nothing was written/),
    });
    expect(await run("", "--rotate")).toMatchObject({
      code: 2,
      stderr: "--rotate needs the file: --config FILE.\n",
    });
  });

  it("is quick with thousands, and says how far it is", async () => {
    const ids = Array.from({ length: 3_000 }, (_, index) => `tenant-${index}`);
    const tenants = await Promise.all(
      ids.map(async (id) => tenant(id, await under(OLD, id, `sk-${id}`))),
    );
    await written(configWith(tenants.join("\n")));
    const started = performance.now();
    const { code, stderr } = await rotate();
    expect(code).toBe(0);
    expect(performance.now() - started).toBeLessThan(20_000);
    expect(stderr).toMatch(/1,500 of 3,000[\s\S]*3000 sealed again/);
    const { tenants: now } = parse(await config());
    expect(await unseal([NEW], "tenant-2999", now["tenant-2999"].credential.sealed)).toBe(
      "sk-tenant-2999",
    );
  });
});

describe("seal --new-key", () => {
  it("prints a new key as the secret takes it, and nothing else", async () => {
    const first = await run("", "--new-key");
    expect(first.code).toBe(0);
    expect(await readEncryptionKey(first.stdout.trim())).not.toBeNull();
    expect(first.stdout).not.toBe((await run("", "--new-key")).stdout);
  });

  it("explains the rotation in steps, and why no key is a parameter", async () => {
    const { stdout } = await run("", "--help");
    expect(stdout).toMatch(/1\. Make one[\s\S]*5\. 90 s later/);
    expect(stdout).toContain("never a parameter");
  });
});

describe("what a review found", () => {
  const WRITE = [...CONFIG, "--write", "--secrets", ".dev.vars", "--tenant", "acme"];

  it("a client's second secret stays that client's, and is no key for the upstream", async () => {
    await written(configWith(tenant("acme", client('{ "secret": "CLIENT" }'))));
    expect((await run(CANARY, ...WRITE, "--second")).code).toBe(0);
    const { second_credential } =
      (
        parse(await config()) as {
          tenants: Record<
            string,
            { second_credential: { client_credentials: Record<string, unknown> } }
          >;
        }
      ).tenants["acme"] ?? {};
    expect(second_credential).toMatchObject({
      client_credentials: {
        token_url: "https://login.acme.test/token",
        client_id: "c",
        client_secret: { sealed: expect.stringMatching(/^eyJ/) },
      },
    });
  });

  it("a member that is written twice is not sealed where it does not count", async () => {
    const twice = configWith(
      tenant("acme", '{ "secret": "OLD" }', '\n      "credential": { "secret": "X" },'),
    );
    await written(twice);
    const { code, stderr } = await run(CANARY, ...WRITE);
    expect(code).toBe(2);
    expect(stderr).toContain("the credential of acme is written twice");
    expect(await config()).toBe(twice);
  });

  it("one thing is done at a time", async () => {
    const { code, stderr } = await run("", "--new-key", "--rotate", ...CONFIG);
    expect({ code, says: stderr.includes("give one of them") }).toEqual({ code: 2, says: true });
  });
});
