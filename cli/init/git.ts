// Whether git would take a file up into a commit.
import { spawnSync } from "node:child_process";
import { basename, dirname } from "node:path";
import { fromHere } from "../shell.ts";

/** Null where there is no git, or no repository around the file. */
export function isIgnoredByGit(file: string): boolean | null {
  const path = fromHere(file);
  // A file that is tracked counts as not ignored, whatever .gitignore says.
  const { status } = spawnSync("git", ["check-ignore", "--quiet", "--", basename(path)], {
    cwd: dirname(path),
    stdio: "ignore",
  });
  return status === 0 || status === 1 ? status === 0 : null;
}
