// A sample of docs/identity, filled in: its issuer's entry with all of its comments, and what its first
// lines say has to be done at the provider.
import { join } from "node:path";
import { findNodeAtLocation, getNodeValue, type Node } from "jsonc-parser";
import { parseConfig, parseSource, readText } from "../config-file.ts";
import { jsonText } from "./json-text.ts";
import type { Blanks, Provider } from "./providers.ts";

const FOLDER = join(import.meta.dirname, "../../docs/identity");
const ENTRY = ["issuers", 0];
/** How far the samples indent the members of an entry. */
const INDENT = 6;

export interface FilledSample {
  /** The entry, as it stands in a config. */
  readonly entry: string;
  /** Comment lines: whose tokens these are, and what to do at the provider. */
  readonly about: readonly string[];
  /** The scopes of those who may stop other people's runs, as this provider can say them. */
  readonly supportScopes: readonly string[];
  readonly grantedScopes: readonly string[];
}

export async function fillSample(
  { id, members }: Provider,
  blanks: Blanks,
  tenant: string,
): Promise<FilledSample> {
  const file = join(FOLDER, `${id}.jsonc`);
  const text = await readText(file);
  const { tenants, issuers } = parseConfig(file, text);
  const rules = Object.values(tenants)[0]?.rules ?? [];
  const filled = Object.entries(members(blanks, tenant)).reduce(withMember, text);
  const node = nodeAt(filled, ENTRY);
  return {
    entry: filled.slice(node.offset, node.offset + node.length),
    about: (/^(\/\/.*\n)+/.exec(text)?.[0] ?? "").trimEnd().split("\n"),
    supportScopes: rules.find((rule) => rule.runs === "tenant")?.scopes ?? [],
    grantedScopes: issuers[0]?.granted_scopes ?? [],
  };
}

/** The text with one member of the entry changed. Every such member is there, and has no comment in it. */
function withMember(text: string, [name, value]: readonly [string, unknown]): string {
  const { offset, length } = nodeAt(text, [...ENTRY, name]);
  const used = INDENT + JSON.stringify(name).length + 2;
  return text.slice(0, offset) + jsonText(value, INDENT, used) + text.slice(offset + length);
}

function nodeAt(text: string, path: readonly (string | number)[]): Node {
  const { tree } = parseSource(text);
  const node = tree === null ? undefined : findNodeAtLocation(tree, [...path]);
  if (node !== undefined) return node;
  throw new Error(
    `the sample has no ${path.join(".")}: ${JSON.stringify(tree && getNodeValue(tree))}`,
  );
}
