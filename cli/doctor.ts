// `gateway doctor`: looks at a running gateway from outside, and says what is well, what is not, and
// what to do about it.
import { Command } from "commander";
import { type ConfigDocument, isLoopbackHttp } from "../src/config/schema.ts";
import { readConfigFile, UsageError } from "./config-file.ts";
import { type Check, NoAnswer, notChecked, problem } from "./doctor/check.ts";
import {
  auditKeys,
  clock,
  cors,
  type Gateway,
  noToken,
  reach,
  version,
} from "./doctor/open-routes.ts";
import { providers, upstreams } from "./doctor/surroundings.ts";
import { type Presented, presentedToken } from "./doctor/token.ts";
import { auditLog, identityAndRun } from "./doctor/with-token.ts";
import { readStdin } from "./seal/read-key.ts";
import { readSecretsFile } from "./secrets-file.ts";

export function doctorCommand(): Command {
  return new Command("doctor")
    .description(
      "Looks at a running gateway from outside, and says what to do about what is not well.",
    )
    .argument("<url>", "where it answers, without a path")
    .option("--config <file>", "the config that it serves: looks at what that leans on, too")
    .option("--secrets <file>", "with the local issuer's key in it, it makes a token of its own")
    .option("--token <token>", "a token to try it with; - reads it from stdin")
    .option("--tenant <id>", "of which tenant the token of its own is")
    .option("--json", "one JSON document for machines")
    .addHelpText(
      "after",
      `
✓ is well, ✗ is not, – was not looked at. Without a file or a token it looks at what anybody can see.
With --config also at the identity providers and the upstreams, from this machine and without a key;
with a token at whether it is taken, whether the upstream takes the tenant's key, and whether the audit
log can be read. It asks about a run that is not there, which is refused and put on record, as 'doctor'
where the token is its own. It cancels nothing.

A token on the command line is seen by every process of the machine: on a shared one, use --token -.
Over http it is sent to this machine only.

Ends with 0 when nothing is wrong, with 1 when something is, with 2 when it could not look.

Examples:
  npm run gateway -- doctor http://127.0.0.1:8787 --config gateway.jsonc --secrets .dev.vars
  npm run gateway -- doctor https://stop.example.com --config gateway.jsonc
  echo "$TOKEN" | npm run --silent gateway -- doctor https://stop.example.com --token - --json`,
    )
    .action(async (url: string, flags: DoctorFlags) => {
      const report = await examine(url, flags);
      if (flags.json === true) console.log(JSON.stringify(report, null, 2));
      else for (const line of linesFor(report)) console.log(line);
      if (!report.ok) process.exitCode = 1;
    });
}

interface DoctorFlags {
  readonly config?: string;
  readonly secrets?: string;
  readonly token?: string;
  readonly tenant?: string;
  readonly json?: boolean;
}

/** What `--json` prints. */
interface Report {
  readonly url: string;
  /** Nothing that was looked at is wrong. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

/** Throws `UsageError` when it cannot look. */
async function examine(address: string, flags: DoctorFlags): Promise<Report> {
  const gateway: Gateway = { url: originOf(address), fetch };
  const config = flags.config === undefined ? null : await readConfigFile(flags.config);
  const presented = await presentedToken({
    config,
    secrets: flags.secrets === undefined ? {} : await readSecretsFile(flags.secrets),
    given: flags.token === "-" ? await readStdin() : flags.token,
    tenant: flags.tenant,
  });
  const [atGateway, around] = await Promise.all([
    checkGateway(gateway, config, presented),
    checkSurroundings(config),
  ]);
  const checks = [...atGateway, ...around];
  return { url: gateway.url, ok: checks.every(({ status }) => status !== "problem"), checks };
}

async function checkGateway(
  gateway: Gateway,
  config: ConfigDocument | null,
  presented: Presented | null,
): Promise<readonly Check[]> {
  const { check, answer, serves } = await reach(gateway);
  if (answer === null) return [check];
  if (!serves) return [check, clock(answer)];
  const origins = new Set(Object.values(config?.tenants ?? {}).flatMap((entry) => entry.origins));
  const looks: readonly (readonly [id: string, look: () => Promise<readonly Check[]>])[] = [
    ["version", () => one(version(gateway))],
    ["clock", () => one(Promise.resolve(clock(answer)))],
    ["audit-keys", () => one(auditKeys(gateway))],
    ["no-token", () => one(noToken(gateway))],
    ["cors", () => one(cors(gateway, [...origins]))],
    ["token", () => tokenChecks(gateway, presented)],
  ];
  const found = await Promise.all(looks.map(([id, look]) => look().catch(asProblem(id))));
  return [check, ...found.flat()];
}

async function tokenChecks(
  gateway: Gateway,
  presented: Presented | null,
): Promise<readonly Check[]> {
  if (presented === null) {
    const why =
      "there is no token: give one with --token, or --config and --secrets with the local issuer's key";
    return ["identity", "upstream-key", "audit-log"].map((id) => notChecked(id, why));
  }
  const { token, holder } = presented;
  return [...(await identityAndRun(gateway, token, holder)), await auditLog(gateway, token)];
}

async function checkSurroundings(config: ConfigDocument | null): Promise<readonly Check[]> {
  if (config === null) {
    return ["identity-provider", "upstream"].map((id) => notChecked(id, "there is no --config"));
  }
  const found = await Promise.all([providers(fetch, config), upstreams(fetch, config)]);
  return found.flat();
}

async function one(check: Promise<Check>): Promise<readonly Check[]> {
  return [await check];
}

/** It answered a moment ago. */
function asProblem(id: string): (error: unknown) => readonly Check[] {
  return (error) => {
    if (!(error instanceof NoAnswer)) throw error;
    return [problem(id, `no answer now (${error.message})`, "try again; is it overloaded?")];
  };
}

/** Throws `UsageError`: also for http to elsewhere, where a token could be read on its way. */
function originOf(address: string): string {
  const url = URL.parse(address);
  const isWeb = url?.protocol === "https:" || isLoopbackHttp(address);
  if (url === null || !isWeb || url.username !== "" || url.pathname !== "/" || url.search !== "") {
    throw new UsageError(
      `'${address}' is no address of a gateway: https://stop.example.com, or http://127.0.0.1:8787 on this machine; no path.`,
    );
  }
  return url.origin;
}

const MARKS = { ok: "✓", problem: "✗", not_checked: "–" } as const;

function linesFor({ url, checks }: Report): string[] {
  const width = Math.max(...checks.map(({ id }) => id.length));
  const gap = " ".repeat(width + 4);
  const counts = { ok: 0, problem: 0, not_checked: 0 };
  for (const { status } of checks) counts[status] += 1;
  return [
    url,
    ...checks.flatMap(({ id, status, message, cure }) => [
      `${MARKS[status]} ${id.padEnd(width)}  ${message}`,
      ...(cure === null ? [] : [`${gap}→ ${cure}`]),
    ]),
    `${counts.ok} well, ${counts.problem} not, ${counts.not_checked} not looked at.`,
  ];
}
