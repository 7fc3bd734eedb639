// What every command has to know of the shell that it is run from: where the person stands, what was said on
// the command line, and that a pipe may be closed.
import { join, resolve } from "node:path";
import { type Command, CommanderError } from "commander";

const ROOT = join(import.meta.dirname, "..");

/**
 * A path as the person meant it. `npm run` goes to the folder of the package and leaves where it was called
 * in INIT_CWD; anywhere else that may be left over from another call.
 */
export function fromHere(path: string): string {
  const here = process.cwd();
  return resolve(here === ROOT ? (process.env["INIT_CWD"] ?? here) : here, path);
}

/**
 * Goes on in silence when `head` has read enough: what was begun, such as writing a config, is finished.
 * With `end`, for what would go on for ever, that is called instead.
 */
export function outliveClosedPipe(end: () => void = () => undefined): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      end();
    });
  }
}

/**
 * For a script that does one thing: its flags. Ends the process with 0 after --help, and with 2, in one
 * sentence, for what it does not know.
 */
export function readFlags<Flags extends object>(command: Command): Flags {
  outliveClosedPipe();
  command.allowExcessArguments(false).showHelpAfterError("(add --help)").exitOverride();
  try {
    return command.parse().opts<Flags>();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exit(error.exitCode === 0 ? 0 : 2);
  }
}
