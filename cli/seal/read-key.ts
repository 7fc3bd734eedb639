// The upstream key, from a prompt that does not show it or from stdin: never from the command line,
// which the shell writes into its history and shows to every process of the machine.
import { isCancel, password } from "@clack/prompts";
import { UsageError } from "../config-file.ts";

/** Far more than any key has, and little enough to read whole. */
const MOST_CHARACTERS = 64 * 1024;

/** Throws `UsageError` when none is given. The prompt is on stderr: stdout is for what is asked for. */
export async function readUpstreamKey(message: string): Promise<string> {
  return process.stdin.isTTY ? await promptForKey(message) : await readKeyFromStdin();
}

async function promptForKey(message: string): Promise<string> {
  const validate = (value = ""): string | undefined => defectOfKey(value.trim());
  const answer = await password({ message, validate, output: process.stderr });
  if (isCancel(answer)) throw new UsageError("Stopped: nothing was sealed and nothing written.");
  return answer.trim();
}

/** The whole of stdin as one key. */
export async function readKeyFromStdin(): Promise<string> {
  const key = await readStdin();
  const defect = defectOfKey(key);
  if (defect === undefined) return key;
  throw new UsageError(`stdin: ${defect}.`);
}

/** The whole of stdin, but for white space around it, such as the line break at its end. */
export async function readStdin(): Promise<string> {
  let text = "";
  process.stdin.setEncoding("utf8");
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.length > MOST_CHARACTERS) throw new UsageError("stdin: far too long to be one.");
  }
  return text.trim();
}

/** What no header could carry, and so no upstream would be sent. */
export function defectOfKey(key: string): string | undefined {
  if (key === "") return "there is no key";
  if (key.length > 4_096 || !/^[ -~]+$/.test(key)) {
    return "an upstream key is one line of 1 to 4096 printable ASCII characters";
  }
  return undefined;
}
