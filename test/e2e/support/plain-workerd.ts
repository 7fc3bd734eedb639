// The gateway's bundle in plain workerd, with neither wrangler nor Miniflare before it: only there does a
// client that leaves end its handler, as it does in production.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "../../../dev/local/server.ts";
import { BASE_KEY, tenantKey } from "../../../src/config/kv-keys.ts";
import { baseOf, ConfigDocument } from "../../../src/config/schema.ts";
import { temporaryFolder, until } from "./black-box.ts";
import { type KvServer, startKv } from "./kv-server.ts";

const ROOT = join(import.meta.dirname, "../../..");
const LEASH = join(ROOT, "dev/local/leash.ts");
const WRANGLER = join(ROOT, "node_modules/wrangler/bin/wrangler.js");

export interface PlainWorkerd {
  readonly origin: string;
  readonly port: number;
  readonly config: KvServer;
  readonly audit: KvServer;
  /** Everything that the runtime has printed so far. */
  readonly output: () => string;
  /** Ends the process at once, as a power cut does; its storage stays. */
  readonly kill: () => Promise<void>;
  /** Starts it again over the same storage. */
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface PlainOptions {
  /** A config document, as an operator writes it. */
  readonly config: unknown;
  readonly secrets: Readonly<Record<string, string>>;
}

export async function startPlainWorkerd({ config, secrets }: PlainOptions): Promise<PlainWorkerd> {
  const folder = await temporaryFolder();
  const [configKv, auditKv, port] = [await startKv(), await startKv(), await freePort()];
  const document = ConfigDocument.parse(config);
  configKv.set(BASE_KEY, JSON.stringify(baseOf(document)));
  for (const [id, tenant] of Object.entries(document.tenants)) {
    configKv.set(tenantKey(id), JSON.stringify(tenant));
  }
  await bundleInto(folder.path);
  await mkdir(join(folder.path, "do"));
  const file = join(folder.path, "gateway.capnp");
  await writeFile(file, await capnp(folder.path, port, configKv, auditKv, secrets));

  const origin = `http://127.0.0.1:${port}`;
  let output = "";
  let child: ChildProcess;
  const start = async (): Promise<void> => {
    const parameters = [LEASH, workerdPath(), "serve", file, "--experimental"];
    child = spawn(process.execPath, parameters, {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        output += chunk.toString("utf8");
      });
    }
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`workerd ended:\n${output}`);
      return await fetch(`${origin}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      );
    });
  };
  const kill = async (): Promise<void> => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    // When its stdin ends, the leash kills the whole process group.
    child.stdin?.end();
    await ended;
  };
  await start();
  return {
    origin,
    port,
    config: configKv,
    audit: auditKv,
    output: () => output,
    kill,
    start,
    stop: async () => {
      await kill();
      await Promise.all([configKv.close(), auditKv.close()]);
      await folder.remove();
    },
  };
}

/** The Worker as `wrangler deploy` would upload it. */
async function bundleInto(folder: string): Promise<void> {
  const parameters = [WRANGLER, "deploy", "--dry-run", "--minify", "--outdir", folder];
  const child = spawn(process.execPath, parameters, { cwd: ROOT, stdio: "pipe" });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString("utf8");
    });
  }
  const code = await promisify<number>((done) =>
    child.on("exit", (exit) => done(null, exit ?? 1)),
  )();
  if (code !== 0) throw new Error(`wrangler could not bundle the Worker:\n${output}`);
}

/** The one that wrangler brings, so that both run the same. */
function workerdPath(): string {
  const load = createRequire(WRANGLER);
  return (load("workerd") as { default: string }).default;
}

/** workerd's own config. Rate limits are left out: the gateway works without them. */
async function capnp(
  folder: string,
  port: number,
  config: KvServer,
  audit: KvServer,
  secrets: Readonly<Record<string, string>>,
): Promise<string> {
  const toml = await readFile(join(ROOT, "wrangler.toml"), "utf8");
  const [, date] = /^compatibility_date = "([\d-]+)"$/m.exec(toml) ?? [];
  const [, flags = ""] = /^compatibility_flags = \[(.*)\]$/m.exec(toml) ?? [];
  const texts = Object.entries({ ...secrets, ALLOW_LOOPBACK_HTTP: "true" }).map(
    ([name, value]) => `    (name = ${JSON.stringify(name)}, text = ${JSON.stringify(value)}),`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .gateway),
    (name = "config", external = (address = "127.0.0.1:${config.port}", http = ())),
    (name = "audit", external = (address = "127.0.0.1:${audit.port}", http = ())),
    (name = "internet", network = (allow = ["public", "private", "local"])),
    (name = "storage", disk = (path = ${JSON.stringify(join(folder, "do"))}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const gateway :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed "index.js")],
  compatibilityDate = "${date}",
  compatibilityFlags = [${flags}],
  bindings = [
    (name = "CONFIG", kvNamespace = "config"),
    (name = "AUDIT", kvNamespace = "audit"),
    (name = "LEDGER", durableObjectNamespace = "Ledger"),
${texts.join("\n")}
  ],
  durableObjectNamespaces = [(className = "Ledger", uniqueKey = "stopgate-ledger", enableSql = true)],
  durableObjectStorage = (localDisk = "storage"),
);
`;
}
