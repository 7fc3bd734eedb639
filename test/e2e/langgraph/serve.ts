// Starts LangGraph's own server with the graphs of this folder, and ends all of it again.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const FOLDER = dirname(fileURLToPath(import.meta.url));
const STAMP = join(FOLDER, "node_modules", ".stopgate-lock");
const HOST = "127.0.0.1";
const START_MS = 90_000;
const STOP_MS = 10_000;
const TAIL_CHARS = 4_000;

export interface LangGraphOptions {
  readonly port: number;
  /** Added to this process's environment, for example `SLEEPER_LOG`. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface LangGraphServer {
  readonly url: string;
  /** Resolves when no process of the server is left; rejects when one survived. */
  stop(): Promise<void>;
}

export async function startLangGraph(options: LangGraphOptions): Promise<LangGraphServer> {
  const { port } = options;
  await install();
  // On a taken port the readiness check below would be answered by a stranger.
  await assertFree(port);
  forgetRuns();

  const cli = join(FOLDER, "node_modules", ".bin", "langgraphjs");
  // No reload: a saved file must not restart the server in the middle of a test, and without the
  // watcher a server that cannot start exits instead of waiting for an edit.
  const args = ["dev", "--port", String(port), "--host", HOST, "--no-browser", "--no-reload"];
  // Detached makes it the leader of a process group, the one handle on the processes it starts.
  const child = spawn(process.execPath, [cli, ...args], {
    cwd: FOLDER,
    detached: true,
    env: environment(options.env),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = collect(child);
  const release = killWithUs(child.pid);
  const stop = async () => {
    await endGroup(child.pid);
    release();
    forgetRuns();
  };

  const url = `http://${HOST}:${port}`;
  try {
    await untilUp(url, child);
  } catch (error) {
    await stop();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`LangGraph's server ${reason}; its output ends:\n${output()}`);
  }
  return { url, stop };
}

/** A stamp of our own, because an `npm ci` that was cut short leaves a node_modules behind too. */
async function install(): Promise<void> {
  const hash = createHash("sha256");
  for (const name of ["package.json", "package-lock.json"]) {
    hash.update(readFileSync(join(FOLDER, name)));
  }
  // Platform and Node belong to it: some of the packages are binaries.
  const wanted = `${hash.digest("hex")} ${process.platform} ${process.arch} ${process.version}\n`;
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted) return;

  console.log("LangGraph's server: npm ci (189 packages, about 15 s) ...");
  const npm = spawn("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: FOLDER,
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = collect(npm);
  const code = await new Promise<number | null>((resolve, reject) => {
    npm.once("error", reject);
    npm.once("close", resolve);
  });
  if (code !== 0) throw new Error(`npm ci ended with ${code}; its output ends:\n${output()}`);
  writeFileSync(STAMP, wanted);
}

function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return {
    ...process.env,
    // npm and the command-line tool look up `node` on the PATH; it has to be the one that runs us.
    PATH: `${dirname(process.execPath)}${delimiter}${process.env["PATH"] ?? ""}`,
    // A test talks to nobody else: no usage reports, no traces, whatever the developer has set.
    LANGGRAPH_CLI_NO_ANALYTICS: "1",
    LANGSMITH_TRACING: "false",
    LANGSMITH_TRACING_V2: "false",
    LANGCHAIN_TRACING: "false",
    LANGCHAIN_TRACING_V2: "false",
    ...extra,
  };
}

/** The server keeps its runs in a file, and the next one would pick up those still pending. */
function forgetRuns(): void {
  rmSync(join(FOLDER, ".langgraph_api"), { recursive: true, force: true });
}

function assertFree(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(port, HOST, () => probe.close(() => resolve()));
  });
}

function collect(child: ChildProcess): () => string {
  let tail = "";
  const add = (chunk: Buffer) => {
    tail = (tail + chunk.toString("utf8")).slice(-TAIL_CHARS);
  };
  child.stdout?.on("data", add);
  child.stderr?.on("data", add);
  return () => tail;
}

/** Its rejections are worded to follow "LangGraph's server". */
async function untilUp(url: string, child: ChildProcess): Promise<void> {
  let failure: string | undefined;
  child.once("error", (error) => {
    failure = `could not be started (${error.message})`;
  });
  child.once("exit", (code, signal) => {
    failure ??= `ended with ${code ?? signal} before it answered`;
  });
  const deadline = Date.now() + START_MS;
  while (Date.now() < deadline) {
    if (failure) throw new Error(failure);
    const up = await fetch(`${url}/ok`, { signal: AbortSignal.timeout(1_000) }).then(
      (reply) => reply.ok,
      () => false,
    );
    if (up) return;
    await sleep(200);
  }
  throw new Error(`did not answer within ${START_MS / 1_000} s`);
}

/** False when there is nobody left to signal. */
function signalGroup(pid: number | undefined, signal: NodeJS.Signals | 0): boolean {
  if (pid === undefined) return false;
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

/** A test process that ends without stop(), or by Ctrl-C, must not leave a server behind. */
function killWithUs(group: number | undefined): () => void {
  const onExit = () => {
    signalGroup(group, "SIGKILL");
  };
  const onSignal = (signal: NodeJS.Signals) => {
    onExit();
    // Our handler has suppressed the default action; where nobody else handles it, restore that.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  process.once("exit", onExit);
  for (const signal of signals) process.once(signal, onSignal);
  return () => {
    process.removeListener("exit", onExit);
    for (const signal of signals) process.removeListener(signal, onSignal);
  };
}

async function endGroup(pid: number | undefined): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    signalGroup(pid, signal);
    const deadline = Date.now() + STOP_MS / 2;
    while (Date.now() < deadline) {
      if (!isRunning(pid)) return;
      await sleep(50);
    }
  }
  throw new Error(`LangGraph's server: process group ${pid} survived SIGKILL`);
}

/**
 * Whether any process of the group still runs. In a container whose first process does not reap
 * orphans, dead ones keep the group signallable for ever; only /proc tells them apart.
 */
function isRunning(group: number | undefined): boolean {
  if (!signalGroup(group, 0)) return false;
  if (!existsSync("/proc/self/stat")) return true;
  return readdirSync("/proc").some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      // "pid (command) state parent group ...", where the command may hold spaces and brackets.
      const stat = readFileSync(join("/proc", name, "stat"), "utf8");
      const [state, , itsGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(itsGroup) === group && state !== "Z" && state !== "X";
    } catch {
      return false; // It ended while we were looking.
    }
  });
}
