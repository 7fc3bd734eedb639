// A config file → a checked document, or one sentence that says where it is wrong.
import { readFile } from "node:fs/promises";
import {
  findNodeAtLocation,
  getNodeValue,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from "jsonc-parser";
import { ConfigDocument, describeIssue } from "../src/config/schema.ts";

/** What a person has to mend. Its message is shown as it is, without a stack. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Reads JSON with comments. Throws `UsageError`, with the line where that is known. */
export async function readConfigFile(file: string): Promise<ConfigDocument> {
  return parseConfig(file, await readText(file));
}

/** Throws `UsageError` for the first problem. */
export function parseConfig(file: string, text: string): ConfigDocument {
  const { document, problems } = checkConfig(text);
  if (document !== null) return document;
  const [problem] = problems;
  throw new UsageError(`${file}:${problem?.line ?? 1}: ${problem?.message ?? "not valid"}.`);
}

export interface Problem {
  /** Counted from 1. */
  readonly line: number;
  /** The member at fault, as far down as is known. */
  readonly path: Path;
  readonly message: string;
}

export interface CheckedConfig {
  /** Null when there is a problem. */
  readonly document: ConfigDocument | null;
  /** Every one of them, in the order of the text. */
  readonly problems: readonly Problem[];
}

export type Path = readonly (string | number)[];

export function checkConfig(text: string): CheckedConfig {
  const errors: ParseError[] = [];
  const tree = parseTree(text, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (error !== undefined || tree === undefined) {
    const what = error === undefined ? "it is empty" : printParseErrorCode(error.error);
    const line = lineOf(text, error?.offset ?? 0);
    return { document: null, problems: [{ line, path: [], message: `not valid JSON (${what})` }] };
  }
  const parsed = ConfigDocument.safeParse(getNodeValue(tree));
  if (parsed.success) return { document: parsed.data, problems: [] };
  const problems = parsed.error.issues.map((issue) => {
    const path = issue.path.filter((part) => typeof part !== "symbol");
    return { line: lineOfMember(text, path), path, message: describeIssue(issue) };
  });
  return { document: null, problems: problems.toSorted((one, other) => one.line - other.line) };
}

/** The line of a member, or of the nearest one around it that is there. */
export function lineOfMember(text: string, path: Path): number {
  const tree = parseTree(text, [], { allowTrailingComma: true });
  return tree === undefined ? 1 : lineOf(text, nearestOffset(tree, path));
}

export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new UsageError(`${file}: cannot be read (${code}).`);
  }
}

function nearestOffset(tree: NonNullable<ReturnType<typeof parseTree>>, path: Path): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node = findNodeAtLocation(tree, path.slice(0, length));
    if (node !== undefined) return node.offset;
  }
  return tree.offset;
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
