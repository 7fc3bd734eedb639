// The Worker's secrets on this machine: checked against what the config names, with an audit key, and
// as the file that wrangler reads.
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UsageError } from "../../cli/config-file.ts";
import { type Secrets, secretsNeeded } from "../../cli/secrets-file.ts";
import { newSigningKey } from "../../cli/signing-key.ts";
import { createSigner } from "../../src/audit/sign.ts";
import type { ConfigDocument } from "../../src/config/schema.ts";

/** The public half is what an auditor checks with, so the key outlives a restart. */
const SIGNING_KEY_FILE = "audit-signing-key.json";

/** Throws `UsageError` for a secret that the config names and nobody gave. */
export function assertSecrets(config: ConfigDocument, secrets: Secrets, source: string): void {
  const missing = secretsNeeded(config).find(({ name }) => (secrets[name] ?? "") === "");
  if (missing !== undefined) {
    const { name, tenant } = missing;
    throw new UsageError(`The secret ${name}, which tenant ${tenant} needs, is not in ${source}.`);
  }
  const key = secrets["AUDIT_SIGNING_KEY"];
  if (key !== undefined && createSigner(key) === null) {
    throw new UsageError(
      `AUDIT_SIGNING_KEY in ${source} is not a private Ed25519 JWK with a kid; leave it out to have one made.`,
    );
  }
}

/** The secrets with an audit key among them: the given one, or the one kept in `persist`. */
export async function withSigningKey(secrets: Secrets, persist: string): Promise<Secrets> {
  if (secrets["AUDIT_SIGNING_KEY"] !== undefined) return secrets;
  const file = join(persist, SIGNING_KEY_FILE);
  const kept = await readFile(file, "utf8").catch(() => undefined);
  if (kept !== undefined && createSigner(kept) !== null) {
    return { ...secrets, AUDIT_SIGNING_KEY: kept };
  }
  const key = await newSigningKey();
  await mkdir(persist, { recursive: true });
  await writeFile(file, key, { mode: 0o600 });
  await chmod(file, 0o600);
  return { ...secrets, AUDIT_SIGNING_KEY: key };
}

/**
 * The secrets as the file that wrangler reads. Quoted, since it would take `#` for a comment, with
 * `\$` for `$`, since it would put a variable there.
 */
export function toEnvFile(secrets: Secrets): string {
  return Object.entries(secrets)
    .map(([name, value]) => {
      const quote = ["'", "`", '"'].find((candidate) => !value.includes(candidate));
      if (quote === undefined || /[\r\n]/.test(value)) {
        throw new UsageError(`The value of ${name} has a line break or all three kinds of quote.`);
      }
      return `${name}=${quote}${value.replaceAll("$", "\\$")}${quote}\n`;
    })
    .join("");
}
