// `npm start`: the gateway on this machine, with a simulated upstream or with a team's own config.
import { resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { readConfigFile, UsageError } from "../cli/config-file.ts";
import { readSecretsFile } from "../cli/secrets-file.ts";
import { fromHere, outliveClosedPipe } from "../cli/shell.ts";
import { startGateway } from "./local/gateway.ts";
import { SAMPLE_AUDIENCE, SAMPLE_SECRETS, sampleConfig } from "./local/sample.ts";
import { freePort, type Server } from "./local/server.ts";
import { startRun, startSimulator, tokenFrom } from "./simulator/server.ts";

interface Flags {
  readonly config?: string;
  readonly secrets?: string;
  readonly port: number;
  readonly persist: string;
}

/** The printed run must still be going on when somebody has read as far as the `curl`. */
const SAMPLE_RUN_MS = 9 * 60_000;

const command = new Command("npm start --")
  .description("Serves Stopgate on this machine, in the real Workers runtime with local storage.")
  .option("--config <file>", "your config; without it, a sample with a simulated upstream")
  .option("--secrets <file>", "the secrets that the config names, as NAME=value lines")
  .option("--port <number>", "where to listen", readPort, 8787)
  .option("--persist <folder>", "where KV and the ledger are kept", fromHere, ".wrangler/stopgate")
  .allowExcessArguments(false)
  .addHelpText(
    "after",
    `
With --config only what the file says is trusted: no simulator, no local issuer. Loopback http:
addresses are allowed here and nowhere else.

Examples:
  npm start
  npm start -- --config gateway.jsonc --secrets .dev.vars --port 8080`,
  );

await main(command.parse().opts<Flags>());

async function main(flags: Flags): Promise<void> {
  const running: Server[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(running.map((server) => server.stop()));
  };
  const end = (): void => void stop().then(() => process.exit(0));
  outliveClosedPipe(end);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // Not `once`: with no listener left, a library of wrangler's ends the process on the spot.
    process.on(signal, end);
  }
  try {
    if (flags.config === undefined) await serveSample(flags, running);
    else await serveFile(flags, flags.config, running);
  } catch (error) {
    await stop();
    console.error(error instanceof UsageError ? error.message : error);
    process.exit(1);
  }
  await Promise.race(running.map((server) => server.ended));
  await stop();
  console.error("The local runtime has ended.");
  process.exit(1);
}

async function serveFile(flags: Flags, file: string, running: Server[]): Promise<void> {
  const config = await readConfigFile(file);
  const secrets = flags.secrets === undefined ? {} : await readSecretsFile(flags.secrets);
  const gateway = await startGateway({
    config,
    secrets,
    secretsSource: flags.secrets ?? "any file (give one with --secrets)",
    port: flags.port,
    persist: resolve(flags.persist),
    onLine: console.log,
  });
  running.push(gateway);
  console.log(`Stopgate serves ${file} at ${gateway.origin}`);
}

async function serveSample(flags: Flags, running: Server[]): Promise<void> {
  if (flags.secrets !== undefined) {
    throw new UsageError("--secrets goes with --config: the sample has its own.");
  }
  const persist = resolve(flags.persist);
  console.log("Starting the gateway and a simulated upstream …");
  const simulator = await startSimulator(await freePort(), persist);
  running.push(simulator);
  const gateway = await startGateway({
    config: await sampleConfig(simulator.origin),
    secrets: SAMPLE_SECRETS,
    secretsSource: "the sample",
    port: flags.port,
    persist,
    onLine: console.log,
  });
  running.push(gateway);
  console.log(await invitation(gateway.origin, simulator.origin));
}

async function invitation(gateway: string, simulator: string): Promise<string> {
  const token = (sub: string, scope: string): Promise<string> =>
    tokenFrom(simulator, { sub, tenant: "acme", scope }, SAMPLE_AUDIENCE);
  const { threadId, runId } = await startRun(simulator, {
    key: SAMPLE_SECRETS.UPSTREAM_KEY_ACME,
    metadata: { tenant: "acme", user: "ann" },
    runMs: SAMPLE_RUN_MS,
  });
  return `
Stopgate is running at ${gateway}

Ann's run is going on. Stop it with her token:

curl ${gateway}/v1/threads/${threadId}/runs/${runId}/cancel \\
    -X POST \\
    -H 'OpenAI-Beta: assistants=v2' \\
    -H 'Authorization: Bearer ${await token("ann", "runs:cancel")}'

See who stopped what with the auditor's:

curl ${gateway}/v1/audit/events \\
    -H 'Authorization: Bearer ${await token("ada", "audit:read")}'

The tokens are good for 12 hours, the run for nine minutes. Stop with Ctrl-C.
`;
}

function readPort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError("A port is a number from 1 to 65535.");
}
