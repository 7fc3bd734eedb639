// `gateway init`: asks a few questions and writes a config that passes, with the secrets that go with it.
import { access } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { confirm, intro, outro } from "@clack/prompts";
import { Command } from "commander";
import { UsageError } from "./config-file.ts";
import { type AnswerFlags, type Answers, readAnswers } from "./init/answers.ts";
import { answered, askNobody, askPerson } from "./init/ask.ts";
import { composeConfig } from "./init/compose.ts";
import { addSecrets, readOwnSecrets } from "./init/dev-vars.ts";
import { isIgnoredByGit } from "./init/git.ts";
import { nextSteps } from "./init/next-steps.ts";
import { BLANKS, CLOUDFLARE_ACCESS, PROVIDERS } from "./init/providers.ts";
import { secretNameFor, upstreamChoices } from "./init/upstreams.ts";
import { newEncryptionKey, newIssuerKey } from "./new-keys.ts";
import { readUpstreamKey } from "./seal/read-key.ts";
import type { Secrets } from "./secrets-file.ts";
import { fromHere } from "./shell.ts";
import { newSigningKey } from "./signing-key.ts";
import { LOCAL_ISSUER_KEY } from "./token/local-key.ts";
import { writeText } from "./write-text.ts";

const ROOT = join(import.meta.dirname, "..");
const SCHEMA = join(ROOT, "gateway.schema.json");

export function initCommand(): Command {
  const providers = PROVIDERS.map(({ id }) => id).join(", ");
  const upstreams = upstreamChoices()
    .map(({ value }) => value)
    .join(", ");
  return new Command("init")
    .description("Asks a few questions, and writes a config and the secrets that go with it.")
    .argument("[file]", "the config to write", "gateway.jsonc")
    .option("--secrets <file>", "where secrets of this machine go", ".dev.vars")
    .option("--yes", "ask nothing: what was not said takes its default")
    .option("--force", "replace the file if it is there")
    .optionsGroup("The answers:")
    .option("--tenant <id>", "the tenant's id")
    .option("--issuer <name>", `${providers}, another or local`)
    .option("--upstream <kind>", upstreams)
    .option("--base-url <url>", "where the upstream is")
    .option("--key-stdin", "read the upstream key from stdin; it is never a parameter")
    .option("--ownership <source>", "metadata, grant, registry or credential")
    .option("--tenant-key <name>", "of metadata: the key that holds the tenant")
    .option("--subject-key <name>", "of metadata: the key that holds the user's id")
    .option("--origin <url>", "a page that may call; may be repeated", addTo)
    .option("--support", "some may stop anybody's runs, with a reason")
    .option("--no-support", "everybody only their own")
    .optionsGroup("What the issuers ask:")
    .option(BLANKS.domain, "auth0, clerk: its host")
    .option(BLANKS.project, "supabase: the reference; firebase: the id")
    .option(BLANKS.organization, "auth0, clerk: the organization that is the tenant")
    .option(BLANKS.pool, "cognito: the user pool")
    .option(BLANKS.realm, "keycloak: the realm's address")
    .option(BLANKS.directory, "entra-id: the directory")
    .option(BLANKS.clientId, "cognito, keycloak, entra-id: the app whose page it is")
    .option(BLANKS.audience, "auth0, clerk, keycloak, entra-id, another: whom tokens are for")
    .option("--issuer-url <url>", "another: its name, as in iss")
    .option("--jwks-uri <url>", "another: where its keys are, if it publishes no discovery")
    .option("--tenant-claim <name>", "another: the claim that says which tenant")
    .option(BLANKS.accessTeam, `${CLOUDFLARE_ACCESS.label}, for auditors: the team`)
    .option(BLANKS.accessAudience, "and the application's AUD tag")
    .addHelpText("after", HELP)
    .action(init);
}

const HELP = `
In a terminal it asks for whatever no flag says. Anywhere else, or with --yes, it asks nothing, and says
which flags are missing. Nothing is written before the last answer; Ctrl-C ends it with 2.

The config passes the gateway's own schema and has none of the holes that lint looks for. The secrets
file gets AUDIT_SIGNING_KEY, KEY_ENCRYPTION_KEY and, for the local issuer, LOCAL_ISSUER_KEY; a name that
is in it already keeps its value. It ends with the commands that come next.

Examples:
  npm run gateway -- init
  npm run gateway -- init --yes --tenant acme --issuer local --upstream simulator
  npm run gateway -- init prod.jsonc --yes --tenant acme --issuer auth0 --domain acme.eu.auth0.com \\
      --audience https://stop.example.com --organization org_9ybsU1dN2dKfDkBi \\
      --upstream openai-responses --origin https://app.acme.com --support`;

interface Flags extends AnswerFlags {
  readonly secrets: string;
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly keyStdin?: boolean;
}

function addTo(value: string, others: readonly string[] = []): readonly string[] {
  return [...others, value];
}

/** Throws `UsageError`. */
async function init(file: string, all: Flags): Promise<void> {
  const { secrets: secretsFile, yes = false, force = false, keyStdin = false, ...flags } = all;
  const inTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const asks = inTerminal && !yes && !keyStdin;
  if (asks) intro(`A config for Stopgate, in ${file}`);
  if (!force) await assertReplaceable(file, asks);
  const there = await readOwnSecrets(secretsFile);
  const answers = await readAnswers(asks ? askPerson() : askNobody(yes), flags, {
    fetch,
    givenKey: keyStdin ? await readUpstreamKey("The upstream key") : null,
  });
  const wanted = await secretsFor(answers, there);
  const text = await composeConfig(answers, {
    secrets: wanted,
    schema: await schemaFor(file),
    secretsFile,
  });

  // The keys first: a config whose keys are nowhere would be worth nothing.
  const added = await addSecrets(secretsFile, wanted);
  await writeText(file, text);

  const kept = Object.keys(wanted).filter((name) => !added.includes(name));
  const summary = [
    `Wrote ${file}.`,
    ...(added.length > 0 ? [`Added to ${secretsFile}: ${added.join(", ")}.`] : []),
    ...(kept.length > 0 ? [`Kept as it is in ${secretsFile}: ${kept.join(", ")}.`] : []),
  ].join(" ");
  if (asks) outro(summary);
  else console.log(summary);
  if (isIgnoredByGit(secretsFile) === false) {
    console.error(
      `Git does not ignore ${secretsFile}, which holds keys: add it to .gitignore before you commit.`,
    );
  }
  const name = secretNameFor(answers.upstream.choice, answers.tenant);
  const keyIsSet = (wanted[name] ?? there[name] ?? "") !== "";
  console.log(`Next:\n\n${nextSteps(answers, { config: file, secrets: secretsFile }, keyIsSet)}`);
}

async function assertReplaceable(file: string, asks: boolean): Promise<void> {
  if (!(await isThere(file))) return;
  if (!asks) throw new UsageError(`${file} is there already: give another name, or --force.`);
  const message = `${file} is there already. Replace it?`;
  if (answered(await confirm({ message, initialValue: false }))) return;
  throw new UsageError(`Nothing was written: ${file} stays as it is.`);
}

/** The secrets that the config cannot do without, and those that the gateway wants: as they are, or new. */
async function secretsFor(answers: Answers, there: Secrets): Promise<Secrets> {
  const { upstream, tenant, upstreamKey, issuer } = answers;
  const keyName = secretNameFor(upstream.choice, tenant);
  const made: Readonly<Record<string, () => string | Promise<string>>> = {
    AUDIT_SIGNING_KEY: newSigningKey,
    KEY_ENCRYPTION_KEY: () => newEncryptionKey(),
    ...(issuer.kind === "local" && { [LOCAL_ISSUER_KEY]: newIssuerKey }),
    ...(upstreamKey !== null && { [keyName]: () => upstreamKey }),
  };
  const wanted: Record<string, string> = {};
  for (const [name, make] of Object.entries(made)) {
    const kept = there[name] ?? "";
    if (kept !== "" && name === keyName && kept !== upstreamKey) {
      throw new UsageError(
        `${name} is among the secrets already, with another value: take that line out, or leave the key out here.`,
      );
    }
    wanted[name] = kept === "" ? await make() : kept;
  }
  return wanted;
}

/** Seen from the config, where that is in this repository; a path out of it would be nobody else's. */
async function schemaFor(file: string): Promise<string | null> {
  const folder = dirname(fromHere(file));
  const inRepository = folder === ROOT || folder.startsWith(ROOT + sep);
  if (!inRepository || !(await isThere(SCHEMA))) return null;
  const path = relative(folder, SCHEMA).split(sep).join("/");
  return path.startsWith(".") ? path : `./${path}`;
}

async function isThere(file: string): Promise<boolean> {
  return await access(fromHere(file)).then(
    () => true,
    () => false,
  );
}
