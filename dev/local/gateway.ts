// The gateway on one's own machine: a checked config and its secrets in, a running server out.
import { rmSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Secrets } from "../../cli/secrets-file.ts";
import type { ConfigDocument } from "../../src/config/schema.ts";
import { applyLocally } from "./apply.ts";
import { assertSecrets, toEnvFile, withSigningKey } from "./secrets-file.ts";
import { type Server, startServer } from "./server.ts";

const TOML = join(import.meta.dirname, "../../wrangler.toml");

export interface LocalGateway {
  readonly config: ConfigDocument;
  readonly secrets: Secrets;
  /** What messages call the place the secrets come from. */
  readonly secretsSource: string;
  readonly port: number;
  readonly persist: string;
  readonly onLine: (line: string) => void;
}

/** Throws `UsageError` before anything is started or written when something does not fit. */
export async function startGateway(options: LocalGateway): Promise<Server> {
  const { config, port, persist, onLine } = options;
  assertSecrets(config, options.secrets, options.secretsSource);
  const secrets = await withSigningKey(options.secrets, persist);
  const envText = toEnvFile({ ...secrets, ALLOW_LOOPBACK_HTTP: "true" });
  await applyLocally(config, persist);

  const folder = await mkdtemp(join(tmpdir(), "stopgate-"));
  const envFile = join(folder, "secrets.env");
  const forget = (): void => rmSync(folder, { recursive: true, force: true });
  // Also when Ctrl-C comes before the runtime is up.
  process.once("exit", forget);
  try {
    await writeFile(envFile, envText, { mode: 0o600 });
    return await startServer({ toml: TOML, port, persist, envFile, health: "/healthz", onLine });
  } finally {
    // The runtime has read it by the time it answers.
    forget();
    process.removeListener("exit", forget);
  }
}
