// A file of NAME=value lines, as `.dev.vars` is, and which names a config needs in it.
import { parseEnv } from "node:util";
import { type ConfigDocument, CREDENTIALS, type TenantEntry } from "../src/config/schema.ts";
import { readText, UsageError } from "./config-file.ts";

export type Secrets = Readonly<Record<string, string>>;

export async function readSecretsFile(file: string): Promise<Secrets> {
  const lines = (await readText(file)).split("\n");
  const bad = lines.findIndex((line) => !/^\s*(#.*|(export\s+)?[A-Za-z_]\w*\s*=.*)?$/.test(line));
  if (bad >= 0) throw new UsageError(`${file}:${bad + 1}: not a line of the form NAME=value.`);
  // The type says that a value may be undefined; for a name that is there it is not.
  return parseEnv(lines.join("\n")) as Secrets;
}

export interface Need {
  /** The secret's name. */
  readonly name: string;
  /** The tenant that needs it, and the member that says so. */
  readonly tenant: string;
  readonly member: string;
}

/** Every secret that a config cannot do without, once for each tenant that needs it. */
export function secretsNeeded(config: ConfigDocument): readonly Need[] {
  return Object.entries(config.tenants).flatMap(([tenant, entry]) =>
    needsOf(entry).map((need) => ({ tenant, ...need })),
  );
}

function needsOf(entry: TenantEntry): readonly Omit<Need, "tenant">[] {
  const stored = CREDENTIALS.flatMap((member) => {
    const credential = entry[member];
    if (credential === undefined) return [];
    const key =
      "client_credentials" in credential ? credential.client_credentials.client_secret : credential;
    return [{ member, name: "secret" in key ? key.secret : "KEY_ENCRYPTION_KEY" }];
  });
  const pseudonyms = entry.audit.subject === "hmac";
  return [...stored, ...(pseudonyms ? [{ member: "audit", name: "AUDIT_SUBJECT_KEY" }] : [])];
}
