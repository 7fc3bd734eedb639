// The gateway as outsiders drive it: `npm start -- --config …` as a process of its own, and nothing else.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../../dev/local/server.ts";

const START = join(import.meta.dirname, "../../../dev/start.ts");

export interface BlackBox {
  readonly origin: string;
  readonly port: number;
  /** Everything it has printed so far. */
  readonly output: () => string;
  /** The requests it has logged so far. */
  readonly requests: () => LoggedRequest[];
  /** As Ctrl-C does. */
  readonly stop: () => Promise<void>;
  /** As a power cut does: nobody is asked. */
  readonly kill: () => Promise<void>;
}

export interface LoggedRequest {
  readonly event: string;
  readonly request_id: string;
  readonly route: string;
  readonly method: string;
  readonly status: number;
}

export interface BlackBoxOptions {
  readonly config: unknown;
  readonly secrets: Readonly<Record<string, string>>;
  readonly port?: number;
  readonly persist?: string;
}

/** A folder that is removed by the returned function. */
export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "stopgate-e2e-"));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

export async function startBlackBox(options: BlackBoxOptions): Promise<BlackBox> {
  const folder = await temporaryFolder();
  const configFile = join(folder.path, "gateway.json");
  const secretsFile = join(folder.path, "secrets.env");
  await writeFile(configFile, JSON.stringify(options.config));
  const lines = Object.entries(options.secrets).map(([name, value]) => `${name}=${value}`);
  await writeFile(secretsFile, `${lines.join("\n")}\n`);
  const port = options.port ?? (await freePort());
  const { child, output, exit } = runStart([
    ...["--config", configFile],
    ...["--secrets", secretsFile],
    ...["--port", String(port)],
    ...["--persist", options.persist ?? join(folder.path, "state")],
  ]);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await exit;
    await folder.remove();
  };
  const origin = `http://127.0.0.1:${port}`;
  await until(() => output().includes(`at ${origin}`) || child.exitCode !== null);
  if (child.exitCode !== null) throw new Error(`npm start ended:\n${output()}`);
  return {
    origin,
    port,
    output,
    requests: () => requestsIn(output()),
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
  };
}

export interface StartProcess {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly exit: Promise<number | null>;
}

/** What `npm start -- …` runs, with these parameters. */
export function runStart(
  parameters: readonly string[],
  env: Readonly<Record<string, string>> = {},
): StartProcess {
  const child = spawn(process.execPath, [START, ...parameters], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let output = "";
  const hear = (chunk: Buffer): void => {
    output += chunk.toString("utf8");
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  const exit = new Promise<number | null>((resolve) => child.on("exit", resolve));
  return { child, output: () => output, exit };
}

function requestsIn(output: string): LoggedRequest[] {
  return output
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as LoggedRequest)
    .filter(({ event }) => event === "request");
}

/** Waits for something to become true; the test's own timeout is the limit. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 50));
}
