// `npm run gateway -- COMMAND`: the operator's commands.
import { Command } from "commander";
import { UsageError } from "./config-file.ts";
import { lint } from "./lint.ts";

const program = new Command("npm run gateway --")
  .description("The operator's side of Stopgate.")
  .showHelpAfterError("(add --help for what can be said here)");

program
  .command("lint")
  .description("Says what is wrong with a config, each with its line.")
  .argument("<file>", "the config, as JSON with comments")
  .option("--online", "ask the identity providers too: finds jwks_uri, looks at the keys")
  .addHelpText(
    "after",
    `
With --online an issuer needs neither jwks_uri nor jwks where its provider publishes OpenID discovery:
the address is looked up and written into the file, so that the gateway itself never has to ask. Of
every issuer the keys are fetched and judged as the gateway would.

Ends with 0 when there is no problem, with 1 when there is one.

Examples:
  npm run gateway -- lint gateway.jsonc
  npm run gateway -- lint gateway.jsonc --online`,
  )
  .action(async (file: string, { online = false }: { online?: boolean }) => {
    const clean = await lint(file, { online, fetch, print: console.log });
    if (!clean) process.exitCode = 1;
  });

try {
  await program.parseAsync();
} catch (error) {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = 1;
}
