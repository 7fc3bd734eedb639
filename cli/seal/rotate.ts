// Every sealed key of a config, moved from the previous key-encryption key to the present one. All or
// nothing; only the sealed texts change, so comments and layout stay.
import { decodeProtectedHeader } from "jose";
import type { Node } from "jsonc-parser";
import { CREDENTIALS } from "../../src/config/schema.ts";
import { SealingProblem, seal, unseal } from "../../src/config/sealing.ts";
import { checkSource, parseSource, UsageError } from "../config-file.ts";
import { withBar } from "../progress.ts";
import type { EncryptionKeys } from "./encryption-keys.ts";

export interface Rotation {
  readonly text: string;
  /** How many were sealed again. */
  readonly rotated: number;
  /** How many were under the present key before. */
  readonly current: number;
}

/** Throws `UsageError`: the config does not pass, or a key does not open. */
export async function rotate(file: string, text: string, keys: EncryptionKeys): Promise<Rotation> {
  const source = parseSource(text);
  const { document, problems } = checkSource(source);
  if (document === null || source.tree === null) {
    const { line, message } = problems[0] ?? { line: 1, message: "not valid" };
    throw new UsageError(`${file}:${line}: ${message}. Nothing was written.`);
  }
  const found = sealedKeys(source.tree);
  const resealed = await withBar("Sealing again", found.length, async (done) => {
    const all: Resealed[] = [];
    for (const each of found) {
      all.push(await reseal(each, keys));
      done(1);
    }
    return all;
  });
  const defects = resealed.flatMap(({ node, tenant, problem }) =>
    problem === null
      ? []
      : [`${file}:${source.lineAt(node.offset)}: tenant ${tenant}: ${problem}.`],
  );
  if (defects.length > 0) throw new UsageError([...defects, "Nothing was written."].join("\n"));
  const changed = resealed.filter(({ sealed, again }) => sealed !== again);
  return {
    text: withTexts(text, changed),
    rotated: changed.length,
    current: found.length - changed.length,
  };
}

interface Resealed extends SealedKey {
  /** As it stood, where it was under the present key already. */
  readonly again: string;
  /** Why it does not open; null when it does. */
  readonly problem: string | null;
}

async function reseal(each: SealedKey, { current, previous }: EncryptionKeys): Promise<Resealed> {
  const { tenant, sealed } = each;
  const openers = previous === null ? [current] : [current, previous];
  try {
    // Also one that stays: what does not open today is better found today.
    const plain = await unseal(openers, tenant, sealed);
    const again = kidOf(sealed) === current.kid ? sealed : await seal(current, tenant, plain);
    return { ...each, again, problem: null };
  } catch (error) {
    if (!(error instanceof SealingProblem)) throw error;
    return { ...each, again: sealed, problem: error.message };
  }
}

/** In one pass: a config of ten thousand tenants is long. */
function withTexts(text: string, changed: readonly Resealed[]): string {
  let end = 0;
  const pieces = changed.flatMap(({ node, again }) => {
    const before = text.slice(end, node.offset);
    end = node.offset + node.length;
    return [before, JSON.stringify(again)];
  });
  return pieces.join("") + text.slice(end);
}

interface SealedKey {
  readonly tenant: string;
  /** The text itself, quotes and all. */
  readonly node: Node;
  readonly sealed: string;
}

/** In the order of the text. */
function sealedKeys(tree: Node): readonly SealedKey[] {
  const tenants = member(tree, "tenants")?.children ?? [];
  return tenants
    .flatMap(({ children: [name, entry] = [] }) =>
      CREDENTIALS.flatMap((each) => {
        const credential = member(entry, each);
        const client = member(credential, "client_credentials");
        const stored = client === undefined ? credential : member(client, "client_secret");
        const node = member(stored, "sealed");
        if (node === undefined) return [];
        return [{ tenant: String(name?.value), node, sealed: String(node.value) }];
      }),
    )
    .toSorted((one, other) => one.node.offset - other.node.offset);
}

/** The last of that name: the one that counts, where it is written twice. */
function member(node: Node | undefined, name: string): Node | undefined {
  const found = node?.children?.findLast(({ children: [key] = [] }) => key?.value === name);
  return found?.children?.[1];
}

function kidOf(sealed: string): unknown {
  return decodeProtectedHeader(sealed)["kid"];
}
