// Writes a file whole or not at all: a config that is cut short by a full disk would serve nobody.
import { randomUUID } from "node:crypto";
import { realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { UsageError } from "./config-file.ts";
import { fromHere } from "./shell.ts";

const NEW_FILE_MODE = 0o644;

/** Throws `UsageError`. Without `mode` it stays as it is. What a symbolic link points to is replaced, and not the link; its mode stays. */
export async function writeText(file: string, text: string, mode?: number): Promise<void> {
  const target = await realpath(fromHere(file)).catch(() => fromHere(file));
  const beside = `${target}.${randomUUID()}.tmp`;
  try {
    const kept = await stat(target).then(
      (there) => there.mode,
      () => NEW_FILE_MODE,
    );
    await writeFile(beside, text, { mode: mode ?? kept });
    await rename(beside, target);
  } catch (error) {
    await rm(beside, { force: true }).catch(() => undefined);
    const code = error instanceof Error && "code" in error ? String(error.code) : "unwritable";
    throw new UsageError(`${file}: cannot be written (${code}).`);
  }
}
