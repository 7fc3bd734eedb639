// A command in a terminal of its own, and a person who types: `script` of util-linux lends the pty.
import { spawn, spawnSync } from "node:child_process";
import { stripVTControlCharacters } from "node:util";

export const hasTerminal = spawnSync("script", ["--version"]).status === 0;

export interface Terminal {
  /** Everything that was shown, without its colours. */
  readonly shown: () => string;
  /** Types once the text has been shown; what was shown before the last typing does not count. */
  readonly answer: (shown: string, keys: string) => Promise<void>;
  readonly exit: Promise<number | null>;
}

const ESCAPE = "\u001b";
export const KEYS = {
  enter: "\r",
  down: `${ESCAPE}[B`,
  up: `${ESCAPE}[A`,
  back: "\u007f",
  ctrlC: "\u0003",
} as const;
/** One key at a time, as from a keyboard; an escape sequence is one. */
const KEY = new RegExp(`${ESCAPE}\\[[A-Z]|[\\s\\S]`, "g");

export function inTerminal(command: readonly string[], cwd: string): Terminal {
  const line = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const child = spawn("script", ["-qec", `stty cols 120 rows 60; ${line}`, "/dev/null"], { cwd });
  let output = "";
  let seen = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString("utf8");
  });
  const exit = new Promise<number | null>((resolve) => child.on("close", resolve));
  const shown = (): string => stripVTControlCharacters(output);
  return {
    shown,
    exit,
    answer: async (text, keys) => {
      while (!shown().slice(seen).includes(text)) {
        if (child.exitCode !== null) throw new Error(`it ended before '${text}':\n${shown()}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      seen = shown().length;
      for (const key of keys.match(KEY) ?? []) {
        child.stdin.write(key);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  };
}
