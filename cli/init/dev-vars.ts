// The secrets of this machine: what is in the file stays as it is, and what is new is added at its end.
import { readFile } from "node:fs/promises";
import { readText, UsageError } from "../config-file.ts";
import { readSecretsFile, type Secrets } from "../secrets-file.ts";
import { fromHere } from "../shell.ts";
import { writeText } from "../write-text.ts";
import { isIgnoredByGit } from "./git.ts";

/** Nobody's but the owner's. */
const MODE = 0o600;

function headOf(file: string): string {
  const git = isIgnoredByGit(file) === true ? "Git ignores it." : "Keep it out of Git.";
  return `# The secrets of this machine, for \`npm start -- --secrets\` and \`npm run gateway\`. ${git}
# On the Worker each is set with: npx wrangler secret put NAME
`;
}

/** Empty when there is no such file. Throws `UsageError` when it cannot be read. */
export async function readOwnSecrets(file: string): Promise<Secrets> {
  return (await isThere(file)) ? await readSecretsFile(file) : {};
}

/** Returns the names that were added. Throws `UsageError`. */
export async function addSecrets(file: string, wanted: Secrets): Promise<readonly string[]> {
  const there = await readOwnSecrets(file);
  const added = Object.entries(wanted).filter(([name]) => (there[name] ?? "") === "");
  if (added.length === 0) return [];
  const lines = added.map(([name, value]) => `${name}=${quoted(name, value)}\n`).join("");
  const text = (await isThere(file)) ? await readText(file) : headOf(file);
  const gap = text.endsWith("\n") || text === "" ? "" : "\n";
  await writeText(file, text + gap + lines, MODE);
  return added.map(([name]) => name);
}

/** Quoted, since `#` would begin a comment. */
function quoted(name: string, value: string): string {
  const quote = ["'", "`", '"'].find((candidate) => !value.includes(candidate));
  // Between double quotes `\\n` would become a line break.
  if (quote !== undefined && !(quote === '"' && value.includes("\\"))) return quote + value + quote;
  throw new UsageError(
    `The value of ${name} has all kinds of quote, which no line of a file can hold.`,
  );
}

async function isThere(file: string): Promise<boolean> {
  try {
    await readFile(fromHere(file));
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ENOENT");
  }
}
