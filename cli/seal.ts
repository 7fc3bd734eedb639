// `gateway seal`: an upstream key, sealed so that it may stand in the config; and all of them again
// when the key that seals is changed.
import { Command } from "commander";
import { applyEdits, modify } from "jsonc-parser";
import { type ConfigDocument, type Credential, TENANT_ID } from "../src/config/schema.ts";
import { SealingProblem, seal } from "../src/config/sealing.ts";
import { parseConfig, readText, UsageError } from "./config-file.ts";
import { newEncryptionKey } from "./new-keys.ts";
import { readEncryptionKeys } from "./seal/encryption-keys.ts";
import { readUpstreamKey } from "./seal/read-key.ts";
import { rotate } from "./seal/rotate.ts";
import { writeText } from "./write-text.ts";

export function sealCommand(): Command {
  return new Command("seal")
    .description("Seals an upstream key for one tenant, so that it may stand in the config.")
    .option("--tenant <id>", "whose key it is: for no other tenant does it open")
    .option("--secrets <file>", "where KEY_ENCRYPTION_KEY is", ".dev.vars")
    .option("--config <file>", "the config, for --write and --rotate")
    .option("--write", "put it into the config, as the tenant's credential")
    .option("--second", "as its second_credential instead")
    .option("--rotate", "seal every key of the config again, with the new KEY_ENCRYPTION_KEY")
    .option("--new-key", "print a new KEY_ENCRYPTION_KEY, and do nothing else")
    .option("--json", "one JSON document for machines")
    .addHelpText("after", HELP)
    .action(async (flags: SealFlags) => {
      const asked = [flags.newKey, flags.rotate, flags.tenant].filter((flag) => flag !== undefined);
      if (asked.length > 1) {
        throw new UsageError(
          "--tenant, --rotate and --new-key are one thing each: give one of them.",
        );
      }
      if (flags.newKey === true) printNewKey(flags);
      else if (flags.rotate === true) await rotateAll(flags);
      else await sealOne(flags);
    });
}

const HELP = `
The upstream key is asked for, or read from stdin. It is never a parameter: the shell would keep it in
its history, and every process of the machine could read it. What comes out opens with
KEY_ENCRYPTION_KEY alone and for this tenant alone, so it may be kept and shared with the config. With
--write it is put in place of the credential that the tenant has (of client_credentials, its
client_secret), and comments stay. A plain key is never printed.

To change KEY_ENCRYPTION_KEY without a gap:
  1. Make one: npm run --silent gateway -- seal --new-key
  2. In the secrets, here and on the Worker (npx wrangler secret put): first put the old key under
     KEY_ENCRYPTION_KEY_PREVIOUS, then the new one under KEY_ENCRYPTION_KEY.
  3. npm run gateway -- seal --rotate --config gateway.jsonc
     It seals again what is under the old key. If one does not open, it says in which line and writes
     nothing.
  4. Lint and apply the config.
  5. 90 s later everything runs on the new key: take KEY_ENCRYPTION_KEY_PREVIOUS away.

To change an upstream key: seal the new one with --second, apply, revoke the old one at the upstream,
then make the new one the first.

Examples:
  npm run gateway -- seal --tenant acme --secrets .dev.vars
  npm run gateway -- seal --tenant acme --config gateway.jsonc --write
  pass show openai/acme | npm run --silent gateway -- seal --tenant acme --config gateway.jsonc --write`;

interface SealFlags {
  readonly tenant?: string;
  readonly secrets: string;
  readonly config?: string;
  readonly write?: boolean;
  readonly second?: boolean;
  readonly rotate?: boolean;
  readonly newKey?: boolean;
  readonly json?: boolean;
}

function printNewKey({ json }: SealFlags): void {
  const key = newEncryptionKey();
  console.log(json === true ? JSON.stringify({ KEY_ENCRYPTION_KEY: key }) : key);
  console.error(
    "A new KEY_ENCRYPTION_KEY. Keep a copy where you keep passwords: without it no sealed key opens.",
  );
}

async function sealOne(flags: SealFlags): Promise<void> {
  const { tenant, config: file, write = false, second = false } = flags;
  if (tenant === undefined) {
    throw new UsageError("Say for which tenant with --tenant, or --rotate, or --new-key.");
  }
  if (!TENANT_ID.test(tenant)) throw new UsageError(`'${tenant}' is no tenant id.`);
  if (write && file === undefined) throw new UsageError("--write needs the file: --config FILE.");
  // Whatever can be wrong is found before anybody is asked for a key.
  const { current } = await readEncryptionKeys(flags.secrets);
  const text = file === undefined ? null : await readText(file);
  if (file !== undefined && text !== null) assertTenant(file, parseConfig(file, text), tenant);
  const key = await readUpstreamKey(`The upstream key of ${tenant}`);
  const sealed = await seal(current, tenant, key).catch((error: unknown) => {
    throw error instanceof SealingProblem ? new UsageError(`${error.message}.`) : error;
  });
  const member = second ? "second_credential" : "credential";
  if (write && file !== undefined) {
    // As it is now: while somebody looked for the key, somebody else may have written.
    const now = await readText(file);
    assertTenant(file, parseConfig(file, now), tenant);
    await writeText(file, withSealed(file, now, tenant, member, sealed));
  }
  print(flags, { tenant, member, kid: current.kid, sealed });
}

function assertTenant(file: string, { tenants }: ConfigDocument, tenant: string): void {
  if (tenants[tenant] !== undefined) return;
  throw new UsageError(`${file} has no tenant '${tenant}'.`);
}

function withSealed(
  file: string,
  text: string,
  tenant: string,
  member: "credential" | "second_credential",
  sealed: string,
): string {
  const entry = parseConfig(file, text).tenants[tenant];
  const there = entry?.[member];
  const isClient = there !== undefined && "client_credentials" in there;
  const path = ["tenants", tenant, member, ...(isClient ? CLIENT_SECRET : [])];
  const value = there === undefined ? besideFirst(entry?.credential, sealed) : { sealed };
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const formattingOptions = { insertSpaces: true, tabSize: 2, eol };
  // Behind the first: a comma or a comment after the last member would be in the way there.
  const getInsertionIndex = (names: string[]): number => names.indexOf("credential") + 1;
  const options = { formattingOptions, getInsertionIndex };
  const edited = applyEdits(text, modify(text, path, value, options));
  // As it will be read: a sealed key that spoils the file must not get into it.
  const written = parseConfig(file, edited).tenants[tenant]?.[member];
  if (!JSON.stringify(written ?? null).includes(sealed)) {
    throw new UsageError(
      `${file}: the ${member} of ${tenant} is written twice; leave one of them.`,
    );
  }
  return edited;
}

/** A client's second secret is that client's, for its token endpoint, and no key for the upstream. */
function besideFirst(first: Credential | undefined, sealed: string): Credential {
  if (first === undefined || !("client_credentials" in first)) return { sealed };
  return { client_credentials: { ...first.client_credentials, client_secret: { sealed } } };
}

const CLIENT_SECRET = ["client_credentials", "client_secret"];

interface Sealed {
  readonly tenant: string;
  readonly member: string;
  readonly kid: string;
  readonly sealed: string;
}

function print({ json, write, config }: SealFlags, result: Sealed): void {
  const { tenant, member, kid, sealed } = result;
  if (json === true) console.log(JSON.stringify({ ...result, written: write === true }));
  if (write === true) {
    console.error(`${config}: the ${member} of ${tenant} is sealed now, with '${kid}'.`);
  } else if (json !== true) {
    console.log(`"${member}": { "sealed": "${sealed}" }`);
    console.error(`Sealed for ${tenant} with '${kid}': put it into that tenant's entry.`);
  }
}

async function rotateAll({ config: file, secrets, json }: SealFlags): Promise<void> {
  if (file === undefined) throw new UsageError("--rotate needs the file: --config FILE.");
  const keys = await readEncryptionKeys(secrets);
  const text = await readText(file);
  const { text: rotatedText, ...counts } = await rotate(file, text, keys);
  if (rotatedText !== text) await writeText(file, rotatedText);
  const { rotated, current } = counts;
  if (json === true) console.log(JSON.stringify({ file, kid: keys.current.kid, ...counts }));
  console.error(
    `${file}: ${rotated} sealed again with '${keys.current.kid}'; ${current} were already.`,
  );
}
