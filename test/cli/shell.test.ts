// The commands as a shell runs them: from any folder, into a pipe that closes, asked for help.
import { spawn, spawnSync } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "../e2e/support/black-box.ts";
import { CLEAN, SECRETS } from "../e2e/support/clean-config.ts";
import { runGatewayWith } from "../e2e/support/command.ts";

const ROOT = join(import.meta.dirname, "../..");

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
  await writeFile(join(folder.path, "clean.jsonc"), CLEAN);
  const lines = Object.entries(SECRETS).map(([name, value]) => `${name}='${value}'\n`);
  await writeFile(join(folder.path, "clean.env"), lines.join(""));
  await writeFile(join(folder.path, "bad.jsonc"), CLEAN.replace('"issuers":', '"issuer":'));
});
afterAll(async () => {
  await folder?.remove();
});

describe("a path", () => {
  /** As npm runs a script: in the folder of the package, whatever folder it was called in. */
  const fromFolder = (...parameters: string[]) =>
    runGatewayWith({ cwd: ROOT, env: { INIT_CWD: folder.path } }, ...parameters);

  it("is where the person stands, in every command", async () => {
    const ran = await Promise.all([
      fromFolder("lint", "clean.jsonc", "--secrets", "clean.env"),
      fromFolder("explain", "clean.jsonc", "--help"),
      fromFolder("diff", "clean.jsonc", "--local", "--persist", "state"),
    ]);
    expect(ran.map(({ stderr }) => stderr).join("")).not.toMatch(/cannot be read/);
    expect(ran.map(({ code }) => code)).toEqual([0, 0, 1]);
    expect(ran[0]?.stdout).toBe("clean.jsonc: no problem.\n");
    expect(await readdir(folder.path)).toContain("state");
  });

  it("that is written is there too, and so is what is written next", async () => {
    const there = join(folder.path, "new");
    await mkdir(there);
    const run = (...parameters: string[]) =>
      runGatewayWith({ cwd: ROOT, env: { INIT_CWD: there } }, ...parameters);
    const answers = ["--yes", "--tenant", "acme", "--issuer", "local", "--upstream", "simulator"];
    expect((await run("init", ...answers)).code).toBe(0);
    expect(await readdir(there)).toEqual([".dev.vars", "gateway.jsonc"]);
    expect((await run("lint", "gateway.jsonc", "--secrets", ".dev.vars")).code).toBe(0);
    expect((await run("token", "--tenant", "acme", "--sub", "ann")).stdout).toMatch(/^eyJ/);
    const rotated = await run("seal", "--rotate", "--config", "gateway.jsonc");
    expect(rotated.stderr).not.toMatch(/cannot be read/);
  });

  it("is in the working folder where npm has not gone elsewhere", async () => {
    const options = { cwd: folder.path, env: { INIT_CWD: ROOT } };
    expect((await runGatewayWith(options, "lint", "clean.jsonc")).code).toBe(0);
  });

  it("is found so by npm itself", () => {
    const { stdout, status } = spawnSync(
      "npm",
      ["run", "--silent", "gateway", "--", "lint", "sample.config.jsonc"],
      { cwd: join(ROOT, "dev"), encoding: "utf8" },
    );
    expect([status, stdout]).toEqual([0, "sample.config.jsonc: no problem.\n"]);
  });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `closed`: the pipes that nobody reads any more. */
async function run(
  script: string,
  parameters: readonly string[],
  closed: readonly ("stdout" | "stderr")[] = [],
): Promise<Ended> {
  const child = spawn(process.execPath, [join(ROOT, script), ...parameters], {
    cwd: folder.path,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const heard = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text) => {
      heard[name] += text;
    });
    if (closed.includes(name)) child[name].destroy();
  }
  const code = await new Promise<number | null>((resolve) => child.on("exit", resolve));
  return { code, ...heard };
}

describe("a pipe that closes, as head closes it,", () => {
  it.each<[script: string, parameters: string[], code: number]>([
    ["cli/gateway.ts", ["--help"], 0],
    ["cli/gateway.ts", ["lint", "clean.jsonc"], 0],
    ["cli/gateway.ts", ["lint", "bad.jsonc"], 1],
    ["cli/gateway.ts", ["lint", "bad.jsonc", "--json"], 1],
    ["cli/gateway.ts", ["lint", "none.jsonc"], 2],
    ["cli/gateway.ts", ["lint", "--nope"], 2],
    ["cli/gateway.ts", ["diff", "clean.jsonc", "--local", "--persist", "piped"], 1],
    ["cli/gateway.ts", ["apply", "clean.jsonc", "--local", "--persist", "piped", "--yes"], 0],
    ["cli/gateway.ts", ["seal", "--new-key"], 0],
    ["cli/audit-key.ts", [], 0],
    ["cli/audit-key.ts", ["--help"], 0],
    ["dev/openapi.ts", ["--check"], 0],
    ["dev/schema.ts", ["--help"], 0],
    ["dev/demo.ts", ["--help"], 0],
    ["dev/simulator.ts", ["--help"], 0],
    ["dev/start.ts", ["--help"], 0],
  ])("is no trouble to %s %j, which ends as it would have", async (script, parameters, code) => {
    const ended = await run(script, parameters, ["stdout"]);
    expect(ended.code).toBe(code);
    expect(ended.stderr).not.toMatch(/EPIPE|\n\s+at /);
    expect((await run(script, parameters, ["stdout", "stderr"])).code).toBe(code);
  });

  it("keeps no config from being written whole", async () => {
    const state = ["--local", "--persist", "whole"];
    await run("cli/gateway.ts", ["apply", "clean.jsonc", ...state, "--yes"], ["stdout", "stderr"]);
    const { code, stdout } = await run("cli/gateway.ts", ["diff", "clean.jsonc", ...state]);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/nothing|no change|same/i)]);
  });
});

describe("help", () => {
  const SCRIPTS = [
    ...["cli/gateway.ts", "cli/audit-key.ts", "dev/start.ts", "dev/demo.ts"],
    ...["dev/simulator.ts", "dev/openapi.ts", "dev/schema.ts"],
  ];

  it.each(SCRIPTS)("of %s is all that --help prints", async (script) => {
    for (const flag of ["--help", "-h"]) {
      const { code, stdout, stderr } = await run(script, [flag]);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(/^Usage: npm /);
      // No key.
      expect(stdout).not.toContain('"d":');
    }
  });

  it.each(SCRIPTS)("is what %s points to for what it does not know", async (script) => {
    for (const parameters of [["--nope"], ["nope"]]) {
      const { code, stdout, stderr } = await run(script, parameters);
      expect(code).not.toBe(0);
      expect(stdout).toBe("");
      expect(stderr).toMatch(/^error: (unknown option|too many arguments|unknown command)/);
    }
  });
});

describe("git", () => {
  const git = (...parameters: string[]) =>
    spawnSync("git", parameters, { cwd: ROOT, encoding: "utf8" });

  it.each([
    ...[".dev.vars", "docs/.dev.vars", ".dev.vars.production", "prod.vars", ".env", "prod.env"],
    ...["audit-key.json", "audit-key-2027.json", ".wrangler/stopgate/v3", "state/v3"],
    ...["state/audit-signing-key.json", "my-state/audit-signing-key.json", "export.ndjson"],
  ])("ignores %s, which the docs have people make", (path) => {
    expect(git("check-ignore", "--quiet", path).status).toBe(0);
  });

  it("ignores no file of the project's own", () => {
    expect(git("ls-files", "--cached", "--ignored", "--exclude-standard").stdout).toBe("");
  });

  it.each([
    ["that ignores them", ".dev.vars\n", false, "Git ignores it."],
    ["that does not", "", true, "Keep it out of Git."],
    ["that has them already", null, true, "Keep it out of Git."],
  ])(
    "is looked at by init before secrets lie in a repository %s",
    async (_, ignore, warns, head) => {
      const { path, remove } = await temporaryFolder();
      try {
        const inPath = { cwd: path };
        spawnSync("git", ["init", "--quiet"], inPath);
        await writeFile(join(path, ".gitignore"), ignore ?? ".dev.vars\n");
        if (ignore === null) {
          await writeFile(join(path, ".dev.vars"), "");
          spawnSync("git", ["add", "--force", ".dev.vars"], inPath);
        }
        const answers = [
          "--yes",
          "--tenant",
          "acme",
          "--issuer",
          "local",
          "--upstream",
          "simulator",
        ];
        const { code, stderr } = await runGatewayWith(inPath, "init", ...answers);
        expect(code).toBe(0);
        const warning =
          "Git does not ignore .dev.vars, which holds keys: add it to .gitignore before you commit.\n";
        expect(stderr).toBe(warns ? warning : "");
        if (ignore !== null) {
          expect(await readFile(join(path, ".dev.vars"), "utf8")).toContain(head);
        }
      } finally {
        await remove();
      }
    },
  );
});
