// `npm run gateway -- init`, as a new user runs it: from flags, at a terminal, and all the way from
// nothing to a stopped run.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { parse } from "jsonc-parser";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readAnswers } from "../../cli/init/answers.ts";
import { askNobody } from "../../cli/init/ask.ts";
import { composeConfig } from "../../cli/init/compose.ts";
import { upstreamChoices } from "../../cli/init/upstreams.ts";
import { createKey } from "../../dev/issuer.ts";
import { freePort } from "../../dev/local/server.ts";
import { createSigner } from "../../src/audit/sign.ts";
import { readEncryptionKey } from "../../src/config/sealing.ts";
import { runStart, temporaryFolder, until } from "../e2e/support/black-box.ts";
import { type Ran, runGatewayWith } from "../e2e/support/command.ts";
import { hasTerminal, inTerminal, KEYS } from "../e2e/support/terminal.ts";

const ROOT = join(import.meta.dirname, "../..");
const GATEWAY = join(ROOT, "cli/gateway.ts");
const SIMULATOR = join(ROOT, "dev/simulator.ts");
const KEY = "sk-upstream-canary-4711";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(async () => folder?.remove());

const inFolder = (name: string): string => join(folder.path, name);
const text = (name = "gateway.jsonc"): Promise<string> => readFile(inFolder(name), "utf8");
const secrets = async () => parseEnv(await text(".dev.vars"));
const isUntouched = (): boolean =>
  !existsSync(inFolder("gateway.jsonc")) && !existsSync(inFolder(".dev.vars"));

async function run(stdin: string, ...parameters: readonly string[]): Promise<Ran> {
  return await runGatewayWith({ cwd: folder.path, stdin }, ...parameters);
}
const init = (...flags: readonly string[]): Promise<Ran> => run("", "init", ...flags);
const lint = (): Promise<Ran> => run("", "lint", "gateway.jsonc", "--secrets", ".dev.vars");

const TRY_OUT = [
  ...["--yes", "--tenant", "acme", "--issuer", "local", "--upstream", "simulator"],
] as const;
const REAL = [
  "--yes",
  "--key-stdin",
  "--tenant",
  "acme",
  "--upstream",
  "openai-responses",
] as const;
const ACCESS = [
  ...["--access-team", "acme", "--access-audience"],
  "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2",
] as const;

/** What each provider asks, and what its sample of docs/identity has; the tenant is another. */
const PROVIDERS: readonly (readonly [string, readonly string[]])[] = [
  [
    "auth0",
    [
      ...["--domain", "acme.eu.auth0.com", "--audience", "https://stop.example.com"],
      ...["--organization", "org_9ybsU1dN2dKfDkBi"],
    ],
  ],
  [
    "clerk",
    [
      ...["--domain", "clerk.acme.com", "--audience", "https://app.acme.com"],
      ...["--organization", "org_2abcDEFghiJKLmnoPQRstuVWXyz"],
    ],
  ],
  ["supabase", ["--project", "abcdefghijklmnopqrst"]],
  ["cognito", ["--pool", "eu-central-1_AbCdEfGhI", "--client-id", "57cbishk4j24pabc1234567890"]],
  ["firebase", ["--project", "acme-app"]],
  ["keycloak", ["--realm", "https://id.acme.com/realms/acme", "--client-id", "acme-web"]],
  [
    "entra-id",
    [
      ...["--directory", "aaaabbbb-0000-cccc-1111-dddd2222eeee"],
      ...["--audience", "00001111-aaaa-2222-bbbb-3333cccc4444"],
      ...["--client-id", "11112222-bbbb-3333-cccc-4444dddd5555"],
    ],
  ],
];

/** `--client-id x` as commander hands it over. */
function flagsIn(flags: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    flags.flatMap((flag, index) =>
      flag.startsWith("--")
        ? [
            [
              flag.slice(2).replaceAll(/-(\w)/g, (_, letter) => letter.toUpperCase()),
              flags[index + 1] ?? "",
            ],
          ]
        : [],
    ),
  );
}

describe("init, from flags,", () => {
  it.each(PROVIDERS)(
    "makes %s's entry as its sample has it, comments and all",
    async (id, flags) => {
      const made = await run(KEY, "init", ...REAL, "--issuer", id, ...flags);
      expect(made).toMatchObject({ code: 0, stderr: "" });
      const sample = await readFile(join(ROOT, `docs/identity/${id}.jsonc`), "utf8");
      const written = await text();
      expect(parse(written).issuers).toEqual(parse(sample).issuers);
      for (const [comment] of sample.slice(0, sample.indexOf('"upstreams"')).matchAll(/\/\/ .*/g)) {
        expect(written).toContain(comment);
      }
      expect(await lint()).toMatchObject({ code: 0, stdout: "gateway.jsonc: no problem.\n" });
    },
  );

  it.each(PROVIDERS)("has no hole with %s, whatever proves whose run it is", async (id, flags) => {
    for (const ownership of ["metadata", "grant", "registry", "credential"]) {
      for (const support of [true, false]) {
        const origin = ["https://app.acme.com"];
        const said = { tenant: "globex", upstream: "langgraph", baseUrl: "https://g.globex.com" };
        const all = { ...said, ...flagsIn(flags), issuer: id, ownership, support, origin };
        const answers = await readAnswers(askNobody(true), all, { fetch, givenKey: KEY });
        // Throws when there is one.
        const written = await composeConfig(answers, {
          secrets: {},
          schema: null,
          secretsFile: ".dev.vars",
        });
        const { rules } = parse(written).tenants.globex;
        const own = rules.filter(({ runs }: { runs: string }) => runs === "own");
        expect(own.length).toBe(ownership === "credential" ? 0 : 1);
        if (support) expect(rules.at(-1)).toMatchObject({ id: "support", reason_required: true });
      }
    }
  });

  it("lets auditors in by Cloudflare Access, beside the users' provider", async () => {
    const [id = "", flags = []] = PROVIDERS[0] ?? [];
    await run(KEY, "init", ...REAL, "--issuer", id, ...flags, ...ACCESS);
    const { issuers } = parse(await text());
    expect(issuers).toMatchObject([
      { issuer: "https://acme.cloudflareaccess.com", token_header: "cf-access-jwt-assertion" },
      { issuer: "https://acme.eu.auth0.com/" },
    ]);
    expect(await lint()).toMatchObject({ code: 0 });
  });

  it.each(upstreamChoices().map(({ value }) => value))("takes the upstream %s", async (kind) => {
    const flags = ["--tenant", "acme-1", "--issuer", "local", "--upstream", kind];
    const base = ["--base-url", "https://runs.acme.com/v1"];
    expect(await run(KEY, "init", "--yes", "--key-stdin", ...flags, ...base)).toMatchObject({
      code: 0,
    });
    const { upstreams, tenants } = parse(await text());
    const name = tenants["acme-1"].credential.secret;
    expect(name).toMatch(/^[A-Z]+_KEY_ACME_1$/);
    expect((await secrets())[name]).toBe(KEY);
    expect(Object.values(upstreams)).toEqual([
      { kind: kind === "simulator" ? "assistants" : kind, base_url: "https://runs.acme.com/v1" },
    ]);
    expect(await lint()).toMatchObject({ code: 0 });
  });

  it("makes every key that is needed, for the owner's eyes alone", async () => {
    const { code, stdout } = await init(...TRY_OUT);
    expect(code).toBe(0);
    const made = await secrets();
    expect(Object.keys(made)).toEqual([
      ...["AUDIT_SIGNING_KEY", "KEY_ENCRYPTION_KEY", "LOCAL_ISSUER_KEY", "SIMULATOR_KEY_ACME"],
    ]);
    expect(createSigner(made["AUDIT_SIGNING_KEY"])).not.toBeNull();
    expect(await readEncryptionKey(made["KEY_ENCRYPTION_KEY"] ?? "")).not.toBeNull();
    expect((await stat(inFolder(".dev.vars"))).mode & 0o777).toBe(0o600);
    const written = await text();
    for (const value of Object.values(made)) {
      const secret = value?.startsWith("{") ? (JSON.parse(value).d ?? JSON.parse(value).k) : value;
      expect(written + stdout).not.toContain(secret);
    }
    expect(await lint()).toMatchObject({ code: 0 });
  });

  it("keeps what is in the secrets file, and takes the local issuer's key from it", async () => {
    await init(...TRY_OUT);
    const first = parse(await text()).issuers[0].jwks;
    const kept = `# mine\nOTHER=1\n${await text(".dev.vars")}`.trimEnd();
    await writeFile(inFolder(".dev.vars"), kept.replace(/^SIMULATOR_KEY_ACME=.*/m, ""), {
      mode: 0o644,
    });
    const again = await init(...TRY_OUT, "--force");
    expect(again.stdout).toContain("Added to .dev.vars: SIMULATOR_KEY_ACME.");
    expect(again.stdout).toContain(
      "Kept as it is in .dev.vars: AUDIT_SIGNING_KEY, KEY_ENCRYPTION_KEY, LOCAL_ISSUER_KEY.",
    );
    expect(await text(".dev.vars")).toBe(
      `${kept.replace(/^SIMULATOR_KEY_ACME=.*/m, "")}SIMULATOR_KEY_ACME='sk-local-acme'\n`,
    );
    expect((await stat(inFolder(".dev.vars"))).mode & 0o777).toBe(0o600);
    expect(parse(await text()).issuers[0].jwks).toEqual(first);
  });

  it("fills in a name that stands there without a value", async () => {
    await writeFile(inFolder(".dev.vars"), "LOCAL_ISSUER_KEY=\nKEY_ENCRYPTION_KEY=''\n");
    expect(await init(...TRY_OUT)).toMatchObject({ code: 0 });
    expect(Object.values(await secrets()).every((value) => value !== "")).toBe(true);
    expect(await lint()).toMatchObject({ code: 0 });
  });

  it("leaves a key open that was not given, and says where it goes", async () => {
    const [id = "", flags = []] = PROVIDERS[2] ?? [];
    const real = REAL.filter((flag) => flag !== "--key-stdin");
    const { stdout } = await init(...real, "--issuer", id, ...flags);
    expect(stdout).toContain("put a line OPENAI_KEY_ACME=… into .dev.vars");
    expect(await secrets()).not.toHaveProperty("OPENAI_KEY_ACME");
  });

  it("quotes a key that has signs of its own", async () => {
    const odd = `sk-'#$\`{x}\\n end`;
    const [id = "", flags = []] = PROVIDERS[2] ?? [];
    expect(await run(`${odd}\n`, "init", ...REAL, "--issuer", id, ...flags)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("OPENAI_KEY_ACME has all kinds of quote"),
    });
    expect(isUntouched()).toBe(true);
    const possible = odd.replace("`", "");
    await run(`${possible}\n`, "init", ...REAL, "--issuer", id, ...flags);
    expect((await secrets())["OPENAI_KEY_ACME"]).toBe(possible);
  });

  it("loses no key that it is given: another one of that name is said, and nothing written", async () => {
    await writeFile(inFolder(".dev.vars"), "UPSTREAM_KEY_ACME='sk-old'\n");
    const { code, stderr } = await run(
      "sk-new",
      ...["init", "gateway.jsonc", "--yes", "--tenant", "acme", "--issuer", "local"],
      ...["--upstream", "assistants", "--base-url", "https://threads.acme.test/v1", "--key-stdin"],
    );
    expect(code).toBe(2);
    expect(stderr).toContain("UPSTREAM_KEY_ACME is among the secrets already");
    expect(stderr).not.toContain("sk-");
    expect(await readFile(inFolder(".dev.vars"), "utf8")).toBe("UPSTREAM_KEY_ACME='sk-old'\n");
  });

  it("does not replace a file unless told to", async () => {
    await writeFile(inFolder("gateway.jsonc"), "{}");
    expect(await init(...TRY_OUT)).toEqual({
      code: 2,
      stdout: "",
      stderr: "gateway.jsonc is there already: give another name, or --force.\n",
    });
    expect(await text()).toBe("{}");
    expect(existsSync(inFolder(".dev.vars"))).toBe(false);
    expect(await init(...TRY_OUT, "--force")).toMatchObject({ code: 0 });
    expect(await init("other.jsonc", ...TRY_OUT)).toMatchObject({ code: 0 });
  });

  it("says every flag that is missing, and asks nobody", async () => {
    expect(await init("--yes", "--issuer", "auth0")).toEqual({
      code: 2,
      stdout: "",
      stderr:
        "Nothing was written. Say also --tenant <id>, --domain <host>, --audience <text>, --organization <id>, --upstream <kind> (run it in a terminal to be asked).\n",
    });
    const { code, stderr } = await init("--tenant", "acme", "--issuer", "local");
    expect(code).toBe(2);
    expect(stderr).toBe(
      "Nothing was written. Say also --upstream <kind>, --ownership <source>, --origin <url>, --support or --no-support (--yes takes the default of what has one; in a terminal you are asked).\n",
    );
    expect(isUntouched()).toBe(true);
  });

  it.each<[string, readonly string[], string]>([
    ["a tenant", ["--tenant", "Acme Corp"], "--tenant: a tenant id is 1-63 of a-z, 0-9"],
    ["an issuer", ["--issuer", "okta"], "--issuer: 'okta' is none of auth0, clerk,"],
    [
      "Access alone",
      ["--issuer", "cloudflare-access"],
      "Cloudflare Access lets nobody stop a run.",
    ],
    ["a kind", ["--upstream", "foundry"], "--upstream: 'foundry' is none of openai-responses,"],
    ["an address", ["--base-url", "http://runs.acme.com"], "--base-url: must be an https URL"],
    ["an origin", ["--origin", "https://*.acme.com"], "--origin: must be an exact origin"],
    [
      "the second of two origins",
      ["--origin", "https://app.acme.com", "--origin", "https://Help.acme.com"],
      "browsers send it in small letters: https://help.acme.com",
    ],
    ["a plain page", ["--origin", "http://app.acme.com"], "[origin-http].\n    → serve the page"],
    ["a proof", ["--ownership", "trust"], "--ownership: 'trust' is none of metadata,"],
    ["one key for both", ["--subject-key", "tenant"], "--subject-key: one pair cannot say both."],
    ["a flag of another", ["--pool", "eu-central-1_A"], "--pool answers nothing"],
  ])("refuses %s that cannot be, before anything is written", async (_, flags, says) => {
    const { code, stdout, stderr } = await init(...TRY_OUT, ...flags);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(says);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(isUntouched()).toBe(true);
  });

  it.each([
    ["LOCAL_ISSUER_KEY=abc", /LOCAL_ISSUER_KEY is not a private JWK: take the line out/],
    ["LOCAL_ISSUER_KEY abc", /\.dev\.vars:1: not a line of the form NAME=value/],
  ])("refuses a secrets file with %s", async (line, says) => {
    await writeFile(inFolder(".dev.vars"), `${line}\n`);
    const { code, stderr } = await init(...TRY_OUT);
    expect(code).toBe(2);
    expect(stderr).toMatch(says);
    expect(await text(".dev.vars")).toBe(`${line}\n`);
    expect(existsSync(inFolder("gateway.jsonc"))).toBe(false);
  });

  it("names the schema for editors where it is near, and nowhere else", async () => {
    await init(...TRY_OUT);
    expect(parse(await text())).not.toHaveProperty("$schema");
    await mkdir(join(ROOT, ".wrangler"), { recursive: true });
    const near = await mkdtemp(join(ROOT, ".wrangler/init-"));
    try {
      await init(join(near, "gateway.jsonc"), ...TRY_OUT);
      const config = await readFile(join(near, "gateway.jsonc"), "utf8");
      expect(parse(config).$schema).toBe("../../gateway.schema.json");
    } finally {
      await rm(near, { recursive: true });
    }
  });
});

describe("init, of a provider without a sample,", () => {
  let server: Server;
  let origin: string;
  let answers: Record<string, unknown>;
  beforeAll(async () => {
    const key = await createKey("ES384");
    server = createServer((request, response) => {
      const body = answers[request.url ?? ""];
      response.statusCode = body === undefined ? 404 : 200;
      response.end(JSON.stringify(body ?? {}));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    answers = {
      "/.well-known/openid-configuration": { issuer: origin, jwks_uri: `${origin}/keys` },
      "/keys": { keys: [key.publicJwk] },
    };
  });
  afterAll(() => server?.close());

  const another = (...flags: readonly string[]): Promise<Ran> =>
    init(
      ...["--yes", "--tenant", "acme", "--upstream", "simulator", "--issuer", "another"],
      ...["--audience", "https://stop.example.com", ...flags],
    );

  it("finds its keys and their algorithms by itself", async () => {
    expect(await another("--issuer-url", origin)).toMatchObject({ code: 0, stderr: "" });
    expect(parse(await text()).issuers).toEqual([
      {
        issuer: origin,
        jwks_uri: `${origin}/keys`,
        audiences: ["https://stop.example.com"],
        algorithms: ["ES384"],
        tenant: { fixed: "acme" },
        scopes_claim: "scope",
      },
    ]);
    expect(await lint()).toMatchObject({ code: 0 });
  });

  it("takes the claim that tells its tenants apart", async () => {
    await another("--issuer-url", origin, "--tenant-claim", "https://acme.com/tenant");
    expect(parse(await text()).issuers[0].tenant).toEqual({
      claim: "https://acme.com/tenant",
      allow: ["acme"],
    });
  });

  it("asks for the address where it publishes no discovery", async () => {
    const url = `${origin}/elsewhere`;
    const { code, stderr } = await another("--issuer-url", url);
    expect(code).toBe(2);
    expect(stderr).toContain(`${url} publishes no discovery`);
    expect(stderr).toContain("Say also --jwks-uri <url>");
    expect(isUntouched()).toBe(true);
    expect(await another("--issuer-url", url, "--jwks-uri", `${origin}/keys`)).toMatchObject({
      code: 0,
    });
  });
});

describe.skipIf(!hasTerminal)("init, at a terminal,", () => {
  const start = (...flags: readonly string[]) =>
    inTerminal([process.execPath, GATEWAY, "init", ...flags], folder.path);

  it("asks what was not said, says at once what is wrong, and writes after the last answer", async () => {
    const { answer, exit, shown } = start("--issuer", "local");
    await answer("tenant's id", `Acme${KEYS.enter}`);
    await answer("a tenant id is 1-63 of", `${KEYS.back.repeat(4)}acme${KEYS.enter}`);
    await answer("Where do the runs execute?", `${KEYS.enter}`);
    await answer("Its base URL", `${KEYS.enter}`);
    await answer("The upstream key of acme", `${KEY}${KEYS.enter}`);
    await answer("whose run it is?", `${KEYS.down}${KEYS.enter}`);
    await answer("origins of the pages", `https://a.acme.com https://b.acme.com${KEYS.enter}`);
    expect(isUntouched()).toBe(true);
    await answer("stop anybody's runs?", `${KEYS.up}${KEYS.enter}`);
    expect(await exit).toBe(0);
    expect(shown()).toContain("Wrote gateway.jsonc.");
    expect(shown()).not.toContain(KEY);
    expect(parse(await text())).toMatchObject({
      upstreams: { openai: { base_url: "https://api.openai.com/v1" } },
      tenants: {
        acme: {
          ownership: { source: "grant" },
          origins: ["https://a.acme.com", "https://b.acme.com"],
          rules: [{ id: "owner" }, { id: "support" }],
        },
      },
    });
    expect((await secrets())["OPENAI_KEY_ACME"]).toBe(KEY);
    expect(await lint()).toMatchObject({ code: 0 });
  });

  it("ends with 2 at Ctrl-C, with nothing written", async () => {
    const { answer, exit, shown } = start("--tenant", "acme");
    await answer("Who issues the users' tokens?", `${KEYS.enter}`);
    await answer("The Auth0 domain", KEYS.ctrlC);
    expect(await exit).toBe(2);
    expect(shown()).toContain("Stopped: nothing was written.");
    expect(isUntouched()).toBe(true);
  });

  it("asks before it replaces a file", async () => {
    await writeFile(inFolder("gateway.jsonc"), "{}");
    const { answer, exit } = start(...TRY_OUT.slice(1));
    await answer("is there already. Replace it?", KEYS.enter);
    expect(await exit).toBe(2);
    expect(await text()).toBe("{}");
  });
});

describe("the simulator", () => {
  const simulator = (...parameters: readonly string[]) => {
    const child = spawn(process.execPath, [SIMULATOR, ...parameters]);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        output += chunk.toString("utf8");
      });
    }
    const exit = new Promise<number | null>((resolve) => child.on("close", resolve));
    return { child, exit, output: () => output };
  };

  it("serves until Ctrl-C, and starts runs for whoever has a key", async () => {
    const port = String(await freePort());
    const serving = simulator("--port", port);
    await until(() => serving.output().includes("Stop with Ctrl-C"));
    const who = ["--port", port, "--start-run", "--tenant", "acme", "--user", "ann"];
    const started = simulator(...who);
    expect(await started.exit).toBe(0);
    expect(started.output()).toMatch(/^THREAD_ID=thread_\w+\nRUN_ID=run_\w+\n$/);
    const json = simulator(...who, "--json", "--seconds", "5", "--tenant-key", "org");
    expect(await json.exit).toBe(0);
    const { thread_id, run_id } = JSON.parse(json.output());
    const url = `http://127.0.0.1:${port}/assistants/v1/threads/${thread_id}/runs/${run_id}`;
    const headers = { authorization: "Bearer sk-local-acme", "openai-beta": "assistants=v2" };
    expect(await (await fetch(url, { headers })).json()).toMatchObject({
      metadata: { org: "acme", user: "ann" },
    });
    const refused = simulator(...who, "--key", "hunter2");
    expect(await refused.exit).toBe(2);
    expect(refused.output()).toContain("401");
    expect(refused.output()).not.toMatch(/\n\s+at /);
    serving.child.kill("SIGINT");
    expect(await serving.exit).toBe(0);
    expect(serving.output()).not.toContain("has ended");
    const late = simulator(...who);
    expect(await late.exit).toBe(2);
    expect(late.output()).toBe(
      `No simulator answers at http://127.0.0.1:${port}: start one with 'npm run simulator', or say where it is with --port.\n`,
    );
  });

  it.each([
    [["--start-run", "--tenant", "acme"], /--start-run needs --tenant and --user/],
    [["--port", "0"], /A port is a number from 1/],
    [["--seconds", "1000"], /A run takes 1 to 600 seconds/],
    [["serve"], /too many arguments/],
  ])("refuses %j in a sentence", async (parameters, says) => {
    const { exit, output } = simulator(...parameters);
    expect(await exit).toBe(2);
    expect(output()).toMatch(says);
    expect(output()).not.toMatch(/\n\s+at /);
  });
});

describe("a new user", () => {
  const children: { kill: (signal: NodeJS.Signals) => void }[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGTERM");
  });

  it.each(["metadata", "grant", "registry", "credential"])(
    "gets from nothing to a stopped run by the commands that init prints, with %s",
    async (source) => {
      const [simulatorPort, port] = [await freePort(), await freePort()];
      const [config, vars] = [inFolder("gateway.jsonc"), inFolder(".dev.vars")];
      const { stdout } = await init(
        ...[config, "--secrets", vars, ...TRY_OUT, "--ownership", source],
        ...["--base-url", `http://127.0.0.1:${simulatorPort}/assistants/v1`],
        ...["--origin", "https://app.acme.com", "--support"],
      );
      const printed = stdout
        .slice(stdout.indexOf("# 1."), stdout.indexOf("And when"))
        .replaceAll("--local", `--local --persist ${inFolder("state")} --yes`)
        .replaceAll("127.0.0.1:8787", `127.0.0.1:${port}`);
      const steps = printed.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      const servers = [
        `npm run simulator -- --port ${simulatorPort}`,
        `npm start -- --config ${config} --secrets ${vars}`,
      ];
      expect(steps).toEqual(expect.arrayContaining(servers));

      const simulator = spawn(process.execPath, [SIMULATOR, "--port", String(simulatorPort)]);
      children.push(simulator);
      let welcome = "";
      simulator.stdout.on("data", (chunk: Buffer) => {
        welcome += chunk.toString("utf8");
      });
      const gateway = runStart([
        ...["--config", config, "--secrets", vars, "--port", String(port)],
        ...["--persist", inFolder("state")],
      ]);
      children.push(gateway.child);
      await until(() => welcome.includes("runs at") && gateway.output().includes("at http"));

      const typed = steps.filter((line) => !servers.includes(line)).join("\n");
      const shell = spawn("bash", ["-euo", "pipefail", "-c", typed], { cwd: ROOT });
      let said = "";
      for (const stream of [shell.stdout, shell.stderr]) {
        stream.on("data", (chunk: Buffer) => {
          said += chunk.toString("utf8");
        });
      }
      expect(await new Promise((resolve) => shell.on("close", resolve)), said).toBe(0);
      expect(said).toContain("gateway.jsonc: no problem.");
      expect(said).toMatch(/in the local KV|says what the file says/);
      expect(said).toMatch(/HTTP\/1\.1 200 OK[\s\S]*cancel-outcome: cancell/);
      expect(said).toMatch(/\n\d+ well, 0 not, \d not looked at\./);
      expect(said).not.toContain("✗");
      const asked = source === "registry" ? "– upstream-key " : "✓ upstream-key ";
      expect(said).toContain(asked);
    },
  );
});
