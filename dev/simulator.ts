// `npm run simulator`: the simulated upstream by itself, to try a config of one's own against; and runs
// in one that is running, as a tenant's backend would start them. For this machine only.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { UsageError } from "../cli/config-file.ts";
import { outliveClosedPipe } from "../cli/shell.ts";
import { startRun, startSimulator } from "./simulator/server.ts";

interface Flags {
  readonly port: number;
  readonly startRun?: boolean;
  readonly key?: string;
  readonly tenant?: string;
  readonly user?: string;
  readonly tenantKey: string;
  readonly subjectKey: string;
  readonly seconds: number;
  readonly json?: boolean;
}

/** As `npm run gateway -- init` writes it into a config. */
const DEFAULT_PORT = 8788;

const command = new Command("npm run simulator --")
  .description(
    "Serves a simulated upstream on this machine, or starts a run in one that is running.",
  )
  .option("--port <number>", "where it listens", readPort, DEFAULT_PORT)
  .option("--start-run", "do not serve: ask the one at --port to start a run")
  .option("--tenant <id>", "whose run, for its metadata")
  .option("--user <id>", "and which person's: the sub of their tokens")
  .option("--key <key>", "the upstream key, any that begins with sk- (default: sk-local-TENANT)")
  .option("--tenant-key <name>", "the metadata key of the tenant", "tenant")
  .option("--subject-key <name>", "the metadata key of the person", "user")
  .option("--seconds <number>", "how long the run takes by itself", readSeconds, 540)
  .option("--json", "the run as one JSON document")
  .allowExcessArguments(false)
  .showHelpAfterError("(add --help for what can be said here)")
  .exitOverride()
  .addHelpText(
    "after",
    `
It forgets everything when it ends. Any key that begins with sk- is good, and finds the runs that were
started with it and no others: so the key here has to be the one that your config's credential names.

With --start-run it prints THREAD_ID=… and RUN_ID=…, which the shell takes with eval. Ends with 0, or
with 2 when it could not do what was asked.

Examples:
  npm run simulator
  eval "$(npm run --silent simulator -- --start-run --tenant acme --user ann)"
  npm run --silent simulator -- --start-run --tenant acme --user ann --key sk-mine --json`,
  );

try {
  const flags = command.parse().opts<Flags>();
  if (flags.startRun === true) {
    outliveClosedPipe();
    await start(flags);
  } else await serve(flags.port);
} catch (error) {
  if (error instanceof Error && "exitCode" in error) {
    process.exit(error.exitCode === 0 ? 0 : 2);
  }
  console.error(error instanceof UsageError ? error.message : error);
  process.exit(2);
}

async function serve(port: number): Promise<void> {
  // What it knows is in memory; the runtime wants a folder all the same.
  const folder = await mkdtemp(join(tmpdir(), "stopgate-simulator-"));
  const forget = (): Promise<void> => rm(folder, { recursive: true, force: true, maxRetries: 5 });
  const starting = startSimulator(port, folder);
  let asked = false;
  const end = async (code: number): Promise<never> => {
    const server = await starting.catch(() => null);
    await server?.stop();
    await forget();
    process.exit(code);
  };
  const endAsAsked = (): void => {
    asked = true;
    void end(0);
  };
  outliveClosedPipe(endAsAsked);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, endAsAsked);
  console.log("Starting the simulated upstream …");
  const server = await starting.catch(async (error: unknown) => {
    await forget();
    throw error;
  });
  console.log(welcome(server.origin, port));
  await server.ended;
  if (asked) return;
  console.error("The local runtime has ended.");
  await end(2);
}

function welcome(origin: string, port: number): string {
  const threads = `${origin}/assistants/v1/threads`;
  const where = port === DEFAULT_PORT ? "" : ` --port ${port}`;
  const headers = `-H 'Authorization: Bearer sk-local-acme' -H 'OpenAI-Beta: assistants=v2'`;
  return `
The simulated upstream runs at ${origin}

  ${origin}/assistants/v1   "kind": "assistants"
  ${origin}/responses/v1    "kind": "openai-responses"

Any key that begins with sk- is good, and finds only what was started with it: send here the one that
your config's credential names. Start a run as your backend would, a thread first and then a run on it:

curl ${threads} -X POST ${headers}
curl ${threads}/THREAD_ID/runs ${headers} \\
    -H 'Content-Type: application/json' \\
    -d '{"assistant_id":"asst_support","metadata":{"tenant":"acme","user":"ann"}}'

Or both at once: npm run --silent simulator -- --start-run${where} --tenant acme --user ann

What it was asked: ${origin}/simulator/calls. Stop with Ctrl-C; it forgets everything then.
`;
}

async function start({ tenant, user, ...flags }: Flags): Promise<void> {
  if (tenant === undefined || user === undefined) {
    throw new UsageError("--start-run needs --tenant and --user: whose run it is.");
  }
  const { key = `sk-local-${tenant}`, tenantKey, subjectKey, seconds } = flags;
  const origin = `http://127.0.0.1:${flags.port}`;
  const wish = {
    key,
    metadata: { [tenantKey]: tenant, [subjectKey]: user },
    runMs: seconds * 1_000,
  };
  const { threadId, runId } = await startRun(origin, wish).catch((error: unknown) => {
    // fetch says why no connection came about in its cause; anything else is the simulator's answer.
    if (error instanceof Error && error.cause === undefined) throw new UsageError(error.message);
    throw new UsageError(
      `No simulator answers at ${origin}: start one with 'npm run simulator', or say where it is with --port.`,
    );
  });
  if (flags.json === true) console.log(JSON.stringify({ thread_id: threadId, run_id: runId }));
  else console.log(`THREAD_ID=${threadId}\nRUN_ID=${runId}`);
}

function readPort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError("A port is a number from 1 to 65535.");
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d{1,3}$/.test(text) && seconds >= 1 && seconds <= 600) return seconds;
  throw new InvalidArgumentError("A run takes 1 to 600 seconds.");
}
