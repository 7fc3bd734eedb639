// `npm run gateway -- COMMAND`: the operator's commands, in the order in which one needs them.
import { Command, CommanderError } from "commander";
import { applyCommand } from "./apply.ts";
import { UsageError } from "./config-file.ts";
import { diffCommand } from "./diff.ts";
import { doctorCommand } from "./doctor.ts";
import { explainCommand } from "./explain.ts";
import { initCommand } from "./init.ts";
import { lintCommand } from "./lint.ts";
import { sealCommand } from "./seal.ts";
import { outliveClosedPipe } from "./shell.ts";
import { tokenCommand } from "./token.ts";

const program = new Command("npm run gateway --")
  .description("The operator's side of Stopgate.")
  .exitOverride()
  .showHelpAfterError("(add --help for what can be said here)")
  .addHelpText(
    "after",
    `
Every command ends with 0 when all is well, with 1 when the answer is no (a problem, a refusal), and
with 2 when it could not do what was asked. With --json it prints one JSON document to stdout, for
machines; what is meant for people goes to stderr then.`,
  );

for (const command of [
  ...[initCommand(), lintCommand(), sealCommand(), explainCommand()],
  ...[diffCommand(), applyCommand(), tokenCommand(), doctorCommand()],
]) {
  program.addCommand(command.copyInheritedSettings(program));
}

outliveClosedPipe();
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    console.error(error instanceof UsageError ? error.message : error);
    process.exitCode = 2;
  }
}
