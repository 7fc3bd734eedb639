// `gateway token`: an access token of the local issuer, to try a gateway out with.
import { Command, InvalidArgumentError, Option } from "commander";
import { ID } from "../src/upstreams/upstream.ts";
import { readConfigFile, UsageError } from "./config-file.ts";
import { readSecretsFile } from "./secrets-file.ts";
import { LOCAL_ISSUER_KEY, readLocalKey } from "./token/local-key.ts";
import { type Grant, mintToken } from "./token/mint.ts";

export function tokenCommand(): Command {
  return new Command("token")
    .description("Makes an access token of the local issuer, to try a gateway out with.")
    .requiredOption("--sub <id>", "whose token it is: the user's id, as on the runs")
    .option("--tenant <id>", "of which tenant; may be left out where the issuer has one only")
    .option("--scope <text>", "scopes, with spaces between (default: the first rule's)")
    .option("--audience <text>", "one of the issuer's audiences (default: its first)")
    .addOption(
      new Option("--expires <time>", "how long it is good: 90s, 30m, 1h")
        .argParser(readDuration)
        .default(3_600, "1h"),
    )
    .option(
      "--grant <thread[/run]>",
      "let it name a run, a whole thread, or by /id a response; may be repeated",
      addGrant,
    )
    .option("--config <file>", "the config that the gateway serves", "gateway.jsonc")
    .option("--secrets <file>", `where ${LOCAL_ISSUER_KEY} is`, ".dev.vars")
    .addHelpText(
      "after",
      `
The local issuer is an entry of the config whose "jwks" holds the public half of ${LOCAL_ISSUER_KEY};
'npm run gateway -- init --issuer local' makes both. The token is made as that entry wants it (tenant,
audience, scopes, type, required claims) and checked by the gateway's own code before it is printed, so
that one which comes out is one which goes in. It is printed alone: with npm's --silent, $(…) takes it.

The tokens of a real provider cannot be made here: sign in there to get one.

Examples:
  TOKEN=$(npm run --silent gateway -- token --tenant acme --sub ann)
  npm run --silent gateway -- token --tenant acme --sub ada --scope audit:read --expires 15m
  npm run --silent gateway -- token --tenant acme --sub ann --grant thread_1/run_1
  npm run --silent gateway -- token --tenant acme --sub backend --scope runs:register`,
    )
    .action(async (flags: TokenFlags) => {
      console.log(await tokenFor(flags));
    });
}

interface TokenFlags {
  readonly sub: string;
  readonly tenant?: string;
  readonly scope?: string;
  readonly audience?: string;
  readonly expires: number;
  readonly grant?: readonly Grant[];
  readonly config: string;
  readonly secrets: string;
}

/** Throws `UsageError`. */
async function tokenFor({ sub, tenant, scope, audience, ...flags }: TokenFlags): Promise<string> {
  const config = await readConfigFile(flags.config);
  const key = await readLocalKey(await readSecretsFile(flags.secrets));
  if (key === null) {
    throw new UsageError(
      `${LOCAL_ISSUER_KEY} is not in ${flags.secrets}, and only a local issuer's tokens can be made here. 'npm run gateway -- init --issuer local' sets one up; a real provider's tokens you get by signing in there.`,
    );
  }
  const { token } = await mintToken(config, key, {
    sub,
    tenant,
    audience,
    scopes: scope?.split(" ").filter((each) => each !== ""),
    expiresInSeconds: flags.expires,
    grants: flags.grant ?? [],
  });
  return token;
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

function readDuration(text: string): number {
  const [, count = "", unit = ""] = /^(\d{1,7})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * (UNITS[unit] ?? 0);
  if (seconds > 0) return seconds;
  throw new InvalidArgumentError("A time is a number and its unit: 90s, 30m, 1h.");
}

function addGrant(text: string, others: readonly Grant[] = []): readonly Grant[] {
  const [thread = "", run = null, ...more] = text.split("/");
  const threadId = thread === "" ? null : thread;
  const ids = [threadId, run].filter((id) => id !== null);
  const isGrant = ids.length > 0 && ids.every((id) => ID.test(id)) && more.length === 0;
  if (isGrant) return [...others, { threadId, runId: run }];
  throw new InvalidArgumentError(
    "A grant is a thread's id, or a thread's and a run's: thread_1/run_1. A response's is /resp_1.",
  );
}
