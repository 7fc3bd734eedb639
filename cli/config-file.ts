// A config file → a checked document, or one sentence that says where it is wrong.
import { readFile } from "node:fs/promises";
import {
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from "jsonc-parser";
import { ConfigDocument, describeIssue } from "../src/config/schema.ts";
import { hintFor, meantBy, valueAt } from "./hints.ts";
import { fromHere } from "./shell.ts";

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

/** A file's text, parsed once: to be judged, and to say where something stands. */
export interface Source {
  readonly text: string;
  /** Null when it is no JSON. */
  readonly tree: Node | null;
  readonly errors: readonly ParseError[];
  /** The line of a member, or of the nearest one around it that is there. */
  readonly lineOf: (path: Path) => number;
  readonly lineAt: (offset: number) => number;
}

export function parseSource(text: string): Source {
  const errors: ParseError[] = [];
  const tree = parseTree(text, errors, { allowTrailingComma: true }) ?? null;
  const starts = [0, ...text.matchAll(/\n/g).map(({ index }) => index + 1)];
  const lineAt = (offset: number): number => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
  const memberOf = createMemberOf();
  const lineOf = (path: Path): number => lineAt(tree === null ? 0 : offsetOf(tree, path, memberOf));
  return { text, tree, errors, lineOf, lineAt };
}

export function checkConfig(text: string): CheckedConfig {
  return checkSource(parseSource(text));
}

export function checkSource({ tree, errors, lineOf, lineAt }: Source): CheckedConfig {
  const [error] = errors;
  if (error !== undefined || tree === null) {
    const what = error === undefined ? "it is empty" : printParseErrorCode(error.error);
    const line = lineAt(error?.offset ?? 0);
    return { document: null, problems: [{ line, path: [], message: `not valid JSON (${what})` }] };
  }
  const value: unknown = getNodeValue(tree);
  const parsed = ConfigDocument.safeParse(value);
  if (parsed.success) return { document: parsed.data, problems: [] };
  const issues = parsed.error.issues.map((issue) => {
    const path = issue.path.filter((part) => typeof part !== "symbol");
    return { issue, path, value: valueAt(value, path) };
  });
  // A member that is missing because its name is misspelt is no problem of its own.
  const misspelt = new Set(
    issues.flatMap(({ issue, path }) => meantBy(issue, path).map((name) => [...path, name].join())),
  );
  const problems = issues
    .filter(({ path, value: there }) => there !== undefined || !misspelt.has(path.join()))
    .map(({ issue, path }) => {
      const message = describeIssue(issue) + hintFor(issue, path, value);
      return { line: lineOf(path), path, message };
    });
  return { document: null, problems: problems.toSorted((one, other) => one.line - other.line) };
}

export async function readText(file: string): Promise<string> {
  try {
    return await readFile(fromHere(file), "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new UsageError(`${file}: cannot be read (${code}).`);
  }
}

type MemberOf = (node: Node, name: string | number) => Node | undefined;

/**
 * Looks members up by name, in ten thousand as fast as in two. Of a name that is written twice it is the
 * last, since that is the one that counts.
 */
function createMemberOf(): MemberOf {
  const known = new WeakMap<Node, ReadonlyMap<unknown, Node | undefined>>();
  return (node, name) => {
    const children = node.children ?? [];
    if (node.type === "array") return typeof name === "number" ? children[name] : undefined;
    if (node.type !== "object") return undefined;
    const members = known.get(node) ?? membersOf(children);
    known.set(node, members);
    return members.get(String(name));
  };
}

function membersOf(children: readonly Node[]): ReadonlyMap<unknown, Node | undefined> {
  return new Map(children.map(({ children: [name, value] = [] }) => [name?.value, value]));
}

/** Of the member, or of the nearest one around it that is there. */
function offsetOf(tree: Node, path: Path, memberOf: MemberOf): number {
  let nearest = tree;
  for (const name of path) {
    const node = memberOf(nearest, name);
    if (node === undefined) break;
    nearest = node;
  }
  return nearest.offset;
}
