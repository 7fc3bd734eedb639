// Starts a Worker in the real local runtime, waits until it answers, and ends all of it again.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { stripVTControlCharacters } from "node:util";
import { UsageError } from "../../cli/config-file.ts";

const LEASH = join(import.meta.dirname, "leash.ts");
const WRANGLER = join(import.meta.dirname, "../../node_modules/wrangler/bin/wrangler.js");
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
const POLL_TIMEOUT_MS = 2_000;
const HOST = "127.0.0.1";
/** Lines of wrangler that say nothing to whoever started the gateway. */
const NOISE = /wrangler|─{5}|Using secrets|has access to|^Binding|^env\.|^⎔|^\s*$|^\[/;

/** What wrangler puts before a line that the Worker wrote as an error or a warning. */
const LOG_DECORATION = /^\S+ \[[A-Z]+\] (?=\{)/;
const TAIL_LINES = 40;

export interface ServerOptions {
  readonly toml: string;
  readonly port: number;
  readonly persist: string;
  readonly envFile?: string;
  /** A path that answers 200 once the Worker is up. */
  readonly health: string;
  /** Each line that the Worker writes. */
  readonly onLine: (line: string) => void;
}

export interface Server {
  readonly origin: string;
  readonly stop: () => Promise<void>;
  /** Resolves when the server has ended by itself. */
  readonly ended: Promise<void>;
}

/** Throws `UsageError` when the port is taken, and with the runtime's last words when it fails. */
export async function startServer(options: ServerOptions): Promise<Server> {
  await assertFree(options.port);
  const child = spawn(
    process.execPath,
    [LEASH, process.execPath, WRANGLER, ...parametersFor(options)],
    {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      env: {
        ...process.env,
        WRANGLER_SEND_METRICS: "false",
        CLOUDFLARE_CF_FETCH_ENABLED: "false",
        NO_COLOR: "1",
      },
    },
  );
  const tail: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (raw) => {
      // Errors and warnings come in colour, whatever NO_COLOR says.
      const line = stripVTControlCharacters(raw).replace(LOG_DECORATION, "");
      tail.push(line);
      if (tail.length > TAIL_LINES) tail.shift();
      if (!NOISE.test(line)) options.onLine(line);
    });
  }
  const ended = new Promise<void>((resolve) => {
    child.on("exit", () => resolve());
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await ended;
  };
  const origin = `http://${HOST}:${options.port}`;
  try {
    await answering(`${origin}${options.health}`, ended);
  } catch (error) {
    await stop();
    const why = error instanceof Error ? error.message : "";
    throw new UsageError(`The local runtime did not start (${why}):\n${tail.join("\n")}`);
  }
  return { origin, stop, ended };
}

function parametersFor({ toml, port, persist, envFile }: ServerOptions): string[] {
  return [
    "dev",
    ...["--config", toml],
    ...["--ip", HOST],
    ...["--port", String(port)],
    ...["--inspector-port", "0"],
    ...["--persist-to", persist],
    ...(envFile === undefined ? [] : ["--env-file", envFile]),
    "--show-interactive-dev-session=false",
  ];
}

async function answering(url: string, ended: Promise<void>): Promise<void> {
  let over = false;
  ended.then(() => {
    over = true;
  });
  for (const end = Date.now() + START_TIMEOUT_MS; Date.now() < end && !over; ) {
    // Until the Worker is built, the runtime takes requests and holds them.
    const signal = AbortSignal.timeout(POLL_TIMEOUT_MS);
    const response = await fetch(url, { signal }).catch(() => undefined);
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(over ? "it ended at once" : `${url} did not answer in 60 s`);
}

/** A port that is free at this moment. */
export async function freePort(): Promise<number> {
  return await listenOnce(0);
}

async function assertFree(port: number): Promise<void> {
  await listenOnce(port).catch((error: unknown) => {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unusable";
    throw new UsageError(`Port ${port} cannot be used (${code}); choose another with --port.`);
  });
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ port, host: HOST }, () => {
      const address = server.address();
      server.close(() =>
        resolve(typeof address === "object" && address !== null ? address.port : 0),
      );
    });
  });
}
