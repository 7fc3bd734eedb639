// Holes in the file as it is written: what a parser passes over in silence, and what should not be there.
import type { Node } from "jsonc-parser";
import type { Path } from "../config-file.ts";
import type { Hole } from "./hole.ts";

/** Beginnings of keys that people paste where a name belongs. */
const KEYS = /^(sk-|sk_|lsv2_|xai-|gsk_|ghp_|github_pat_|AIza|AKIA)[\w-]{8,}|-----BEGIN /;
const JWT = /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/;

export function textHoles(tree: Node): Hole[] {
  return [...writtenTwice(tree, []), ...secretsIn(tree, [])];
}

function membersOf(
  node: Node,
): readonly { readonly name: string; readonly value: Node | undefined }[] {
  return (node.children ?? []).map(({ children: [name, value] = [] }) => ({
    name: String(name?.value),
    value,
  }));
}

function writtenTwice(node: Node, path: Path): Hole[] {
  if (node.type === "array") {
    return (node.children ?? []).flatMap((child, index) => writtenTwice(child, [...path, index]));
  }
  if (node.type !== "object") return [];
  const seen = new Set<string>();
  return membersOf(node).flatMap(({ name, value }) => {
    const again = seen.has(name);
    seen.add(name);
    const inside = value === undefined ? [] : writtenTwice(value, [...path, name]);
    if (!again) return inside;
    const hole = {
      id: "written-twice",
      path: [...path, name],
      message: `'${name}' is written twice here, and only the last one counts`,
      cure: "leave one of them",
    };
    return [hole, ...inside];
  });
}

function secretsIn(node: Node, path: Path): Hole[] {
  if (node.type === "array") {
    return (node.children ?? []).flatMap((child, index) => secretsIn(child, [...path, index]));
  }
  if (node.type === "object") {
    return membersOf(node).flatMap(({ name, value }) =>
      value === undefined ? [] : secretsIn(value, [...path, name]),
    );
  }
  const text: unknown = node.value;
  if (typeof text !== "string" || !(KEYS.test(text) || JWT.test(text))) return [];
  return [
    {
      id: "secret-in-file",
      path,
      message: "this looks like a secret itself, in a file that is kept and shared",
      cure: "revoke it, and name a Worker secret or seal it instead (npm run gateway -- seal)",
    },
  ];
}
