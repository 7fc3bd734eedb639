// Holes in the file as it is written: what a parser passes over in silence, and what should not be there.
import { type Node, visit } from "jsonc-parser";
import type { Path } from "../config-file.ts";
import type { Hole } from "./hole.ts";

/** How keys that people paste where a name belongs begin; tokens; private keys. */
const SECRETS = [
  /(?<![\w.-])(sk-|sk_live_|sk_test_|lsv2_)[\w-]{8,}/,
  /(?<![\w.-])(xai-|gsk_|hf_|nvapi-|ghp_|github_pat_|glpat-|AIza|AKIA)\w{16,}/,
  /(?<![\w.-])eyJ[\w-]+\.[\w-]+\.[\w-]+/,
  /-----BEGIN (?!.*(PUBLIC KEY|CERTIFICATE))[\s\S]*/,
];
/** What stands for a key where one explains how they look. */
const PLACEHOLDER = /x{4}|your|example/i;

/** Holes in any file that can be parsed, whether or not the gateway would take it. */
export function textHoles(tree: Node): Hole[] {
  const secrets = secretsIn(tree).map(({ path }) => secretHole(path));
  return [...writtenTwice(tree), ...secrets];
}

/** What a comment gives away, it gives away all the same. */
export function commentHoles(text: string): Hole[] {
  const holes: Hole[] = [];
  const onComment = (offset: number, length: number): void => {
    const found = secretOf(text.slice(offset, offset + length));
    if (found === null || PLACEHOLDER.test(found.secret)) return;
    holes.push({ ...secretHole([]), offset: offset + found.index });
  };
  visit(text, { onComment }, { allowTrailingComma: true });
  return holes;
}

/** Members that go astray on their way to the schema, which never sees them. */
export function droppedHoles(tree: Node): Hole[] {
  return [...valuesIn(tree)].flatMap(({ path, node }) =>
    path.at(-1) === "__proto__"
      ? [
          {
            id: "member-dropped",
            path,
            offset: node.offset,
            message: "a member of the name '__proto__' is dropped, with whatever it says",
            cure: "take it out, or give it another name",
          },
        ]
      : [],
  );
}

/** The same sentence, without any text of the file that looks like a secret. */
export function withoutSecrets(tree: Node): (sentence: string) => string {
  const secrets = new Set(secretsIn(tree).map(({ secret }) => secret));
  return (sentence) =>
    [...secrets].reduce((shortened, secret) => shortened.replaceAll(secret, "…"), sentence);
}

interface Value {
  readonly path: Path;
  readonly node: Node;
}

/** Also those of members that a parser passes over. */
function* valuesIn(node: Node, path: Path = []): Generator<Value> {
  yield { path, node };
  for (const [index, child] of (node.children ?? []).entries()) {
    if (node.type === "array") yield* valuesIn(child, [...path, index]);
    const [name, value] = node.type === "object" ? (child.children ?? []) : [];
    if (value !== undefined) yield* valuesIn(value, [...path, String(name?.value)]);
  }
}

function writtenTwice(tree: Node): Hole[] {
  return [...valuesIn(tree)].flatMap(({ path, node: { type, children = [] } }) => {
    if (type !== "object") return [];
    const named = children.map(({ offset, children: [name] = [] }) => ({
      offset,
      name: String(name?.value),
    }));
    const last = new Map(named.map(({ name, offset }) => [name, offset]));
    return named
      .filter(({ name, offset }) => last.get(name) !== offset)
      .map(({ name, offset }) => ({
        id: "written-twice",
        path: [...path, name],
        offset,
        message: `'${name}' is written twice, and this one counts for nothing: the last one does`,
        cure: "leave one of them",
      }));
  });
}

function secretsIn(tree: Node): (Value & { readonly secret: string })[] {
  const values = [...valuesIn(tree)];
  // What a tenant or an upstream is called is no secret, whatever it looks like.
  const names = new Set(values.map(({ path }) => path.at(-1)));
  return values.flatMap((value) => {
    const text: unknown = value.node.value;
    if (typeof text !== "string" || names.has(text)) return [];
    const found = secretOf(text);
    return found === null ? [] : [{ ...value, secret: found.secret }];
  });
}

function secretOf(text: string): { readonly secret: string; readonly index: number } | null {
  for (const pattern of SECRETS) {
    const found = pattern.exec(text);
    if (found !== null) return { secret: found[0], index: found.index };
  }
  return null;
}

function secretHole(path: Path): Hole {
  return {
    id: "secret-in-file",
    path,
    message: "this looks like a secret itself, in a file that is kept and shared",
    cure: "revoke it, and name a Worker secret or seal it instead (npm run gateway -- seal)",
  };
}
