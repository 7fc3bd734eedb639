// A config file → a checked document, or one sentence that says where it is wrong.
import { readFile } from "node:fs/promises";
import {
  findNodeAtLocation,
  getNodeValue,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from "jsonc-parser";
import { ConfigDocument, describeProblem } from "../src/config/schema.ts";

/** What a person has to mend. Its message is shown as it is, without a stack. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Reads JSON with comments. Throws `UsageError`, with the line where that is known. */
export async function readConfigFile(file: string): Promise<ConfigDocument> {
  return parseConfig(file, await readText(file));
}

export function parseConfig(file: string, text: string): ConfigDocument {
  const errors: ParseError[] = [];
  const tree = parseTree(text, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (error !== undefined || tree === undefined) {
    const what = error === undefined ? "it is empty" : printParseErrorCode(error.error);
    throw new UsageError(`${file}:${lineOf(text, error?.offset ?? 0)}: not valid JSON (${what}).`);
  }
  const parsed = ConfigDocument.safeParse(getNodeValue(tree));
  if (parsed.success) return parsed.data;
  const path = (parsed.error.issues[0]?.path ?? []).filter((part) => typeof part !== "symbol");
  const offset = nearestOffset(tree, path);
  throw new UsageError(`${file}:${lineOf(text, offset)}: ${describeProblem(parsed.error)}.`);
}

export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new UsageError(`${file}: cannot be read (${code}).`);
  }
}

/** Where the member stands, or the nearest one around it that is there. */
function nearestOffset(
  tree: NonNullable<ReturnType<typeof parseTree>>,
  path: readonly (string | number)[],
): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node = findNodeAtLocation(tree, path.slice(0, length));
    if (node !== undefined) return node.offset;
  }
  return tree.offset;
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
