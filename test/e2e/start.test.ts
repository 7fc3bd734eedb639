// `npm start` with something wrong: one clear sentence, a non-zero exit, and nothing started.
import { existsSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SAMPLE_SECRETS, sampleConfig } from "../../dev/local/sample.ts";
import { freePort } from "../../dev/local/server.ts";
import { runStart, temporaryFolder, until } from "./support/black-box.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let good: Record<string, unknown>;
beforeAll(async () => {
  folder = await temporaryFolder();
  good = await sampleConfig("http://127.0.0.1:8788");
});
afterAll(() => folder?.remove());

async function attempt(config: string, secrets: string, ...flags: string[]) {
  const state = join(folder.path, `state-${Math.random()}`);
  const file = (name: string) => join(folder.path, name);
  await writeFile(file("gateway.json"), config);
  await writeFile(file("secrets.env"), secrets);
  const { exit, output } = runStart([
    ...["--config", file("gateway.json"), "--secrets", file("secrets.env")],
    ...["--port", "18787", "--persist", state, ...flags],
  ]);
  const code = await exit;
  return { code, output: output().trim().replaceAll(folder.path, ""), started: existsSync(state) };
}

const SECRETS = Object.entries(SAMPLE_SECRETS)
  .map((pair) => pair.join("="))
  .join("\n");

describe("npm start refuses", () => {
  it.each([
    {
      what: "a config that is no JSON",
      config: () => '{\n  "issuers": [\n',
      says: /^\/gateway\.json:\d+: not valid JSON \(\w+\)\.$/,
    },
    {
      what: "a config with a defect, at its line",
      config: () => JSON.stringify({ ...good, upstreams: {} }, null, 2),
      says: /^\/gateway\.json:\d+: tenants\.acme\.upstream: there is no upstream named 'threads'\.$/,
    },
    {
      what: "a config with a member nobody knows",
      config: () => JSON.stringify({ ...good, tenant: {} }),
      says: /^\/gateway\.json:1: Unrecognized key: "tenant" \(did you mean 'tenants'\?\)\.$/,
    },
    {
      what: "a secret that the config names and the file does not have",
      secrets: "UPSTREAM_KEY_ACME=sk-1\n",
      says: /^The secret UPSTREAM_KEY_GLOBEX, which tenant globex needs, is not in \/secrets\.env\.$/,
    },
    {
      what: "a secrets file with a line that is none",
      secrets: "UPSTREAM_KEY_ACME sk-1\n",
      says: /^\/secrets\.env:1: not a line of the form NAME=value\.$/,
    },
    {
      what: "an audit key that is none",
      secrets: `${SECRETS}\nAUDIT_SIGNING_KEY=abc\n`,
      says: /^AUDIT_SIGNING_KEY in \/secrets\.env is not a private Ed25519 JWK with a kid/,
    },
    { what: "an unknown flag", flags: ["--prot", "1"], says: /^error: unknown option '--prot'/ },
    { what: "a port that is none", flags: ["--port", "70000"], says: /A port is a number from 1/ },
  ])("$what", async ({ config, secrets = SECRETS, flags = [], says }) => {
    const text = config?.() ?? JSON.stringify(good);
    const { code, output, started } = await attempt(text, secrets, ...flags);
    expect(output).toMatch(says);
    expect(code).toBe(1);
    expect(started).toBe(false);
    expect(output).not.toContain("sk-");
  });

  it("a port that is taken", async () => {
    const { createServer } = await import("node:net");
    const server = createServer().listen(18787, "127.0.0.1");
    const { code, output } = await attempt(JSON.stringify(good), SECRETS);
    server.close();
    expect(output).toBe("Port 18787 cannot be used (EADDRINUSE); choose another with --port.");
    expect(code).toBe(1);
  });

  it("to leave the secrets behind when it is interrupted before it is up", async () => {
    const temporary = join(folder.path, "temporary");
    await mkdir(temporary);
    await writeFile(join(folder.path, "gateway.json"), JSON.stringify(good));
    await writeFile(join(folder.path, "secrets.env"), SECRETS);
    const { child, exit } = runStart(
      [
        ...["--config", join(folder.path, "gateway.json")],
        ...["--secrets", join(folder.path, "secrets.env")],
        ...["--port", String(await freePort()), "--persist", join(folder.path, "state")],
      ],
      { TMPDIR: temporary },
    );
    const written = async () =>
      (await readdir(temporary, { recursive: true })).filter((path) =>
        path.endsWith("secrets.env"),
      );
    await until(async () => (await written()).length > 0);
    child.kill("SIGINT");
    await exit;
    expect(await written()).toEqual([]);
  });

  it("nothing when asked for help, which teaches the flags", async () => {
    const { exit, output } = runStart(["--help"]);
    expect(await exit).toBe(0);
    for (const flag of ["--config", "--secrets", "--port", "--persist"]) {
      expect(output()).toContain(flag);
    }
  });
});

describe("npm start", () => {
  it("finds files where the person stands, keeps state there, and ends when its reader has gone", async () => {
    await writeFile(join(folder.path, "here.json"), JSON.stringify(good));
    await writeFile(join(folder.path, "here.env"), SECRETS);
    const port = await freePort();
    const { child, exit, output } = runStart(
      [
        ...["--config", "here.json", "--secrets", "here.env"],
        ...["--port", String(port), "--persist", "here-state"],
      ],
      { INIT_CWD: folder.path },
    );
    await until(() => output().includes(`Stopgate serves here.json at http://127.0.0.1:${port}`));
    expect(await readdir(folder.path)).toContain("here-state");
    // As `| head -1` does. The next line that it writes is the last, and its request may end with it.
    child.stdout?.destroy();
    await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => undefined);
    expect(await exit).toBe(0);
    expect(output()).not.toMatch(/EPIPE|\n\s+at /);
    await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow();
  });
});
