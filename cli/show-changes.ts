// Changes as people read them, before they say yes.
import type { Change } from "./changes.ts";

const SHOWN = 20;
const VALUE_CHARACTERS = 100;
const SIGNS = { added: "+", removed: "-", changed: "~" } as const;

/** `all`: also where there are very many. */
export function linesForChanges(changes: readonly Change[], all: boolean): string[] {
  if (changes.length === 0) return ["Nothing changes."];
  const shared = changes.filter(({ tenant }) => tenant === null);
  const tenants = changes.filter(({ tenant }) => tenant !== null);
  const shown = all ? tenants : tenants.slice(0, SHOWN);
  const more = tenants.length - shown.length;
  const count = (kind: Change["kind"]): number =>
    tenants.filter((change) => change.kind === kind).length;
  return [
    ...shared.flatMap(linesFor),
    ...shown.flatMap(linesFor),
    ...(more === 0 ? [] : [`  and ${more.toLocaleString("en")} more (--verbose shows them)`]),
    `Tenants: ${count("added")} added, ${count("changed")} changed, ${count("removed")} removed.`,
  ];
}

function linesFor({ tenant, kind, members, notes }: Change): string[] {
  const what = tenant === null ? "issuers, upstreams, origins" : `tenant ${tenant}`;
  const noted = notes.length === 0 ? "" : `: ${notes.join("; ")}`;
  return [
    `${SIGNS[kind]} ${what}${noted}`,
    ...members.map(
      ({ member, before, after }) => `    ${member}: ${short(before)} → ${short(after)}`,
    ),
  ];
}

function short(value: unknown): string {
  if (value === undefined) return "(not there)";
  const text = JSON.stringify(value);
  return text.length <= VALUE_CHARACTERS ? text : `${text.slice(0, VALUE_CHARACTERS)}…`;
}
