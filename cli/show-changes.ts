// Changes as people read them, before they say yes.
import { type Change, mixtureNote } from "./changes.ts";
import { linesForDifference } from "./detail.ts";

const SHOWN = 20;
/** Of one tenant, or of what all share. */
const LINES_SHOWN = 30;
/** What takes away first. */
const KINDS = ["removed", "changed", "added"] as const;
const SIGNS = { added: "+", removed: "-", changed: "~" } as const;

/** `all`: also where there are very many. */
export function linesForChanges(changes: readonly Change[], all: boolean): string[] {
  if (changes.length === 0) return ["Nothing changes."];
  const shared = changes.filter(({ tenant }) => tenant === null);
  const tenants = changes.filter(({ tenant }) => tenant !== null);
  const count = (kind: Change["kind"]): string =>
    tenants.filter((change) => change.kind === kind).length.toLocaleString("en");
  const note = mixtureNote(changes);
  return [
    ...shared.flatMap((change) => linesFor(change, all)),
    // Each kind is cut on its own: a mass of new tenants must not hide the one that is switched off.
    ...KINDS.flatMap((kind) => linesForKind(kind, tenants, all)),
    `Tenants: ${count("added")} added, ${count("changed")} changed, ${count("removed")} removed.`,
    ...(note === null ? [] : [note]),
  ];
}

function linesForKind(kind: Change["kind"], tenants: readonly Change[], all: boolean): string[] {
  const those = tenants
    .filter((change) => change.kind === kind)
    .toSorted((one, other) => Number(other.notes.length > 0) - Number(one.notes.length > 0));
  const shown = all ? those : those.slice(0, SHOWN);
  const more = those.length - shown.length;
  return [
    ...shown.flatMap((change) => linesFor(change, all)),
    ...(more === 0
      ? []
      : [`  and ${more.toLocaleString("en")} more ${kind} (--verbose shows them)`]),
  ];
}

function linesFor({ tenant, kind, members, notes }: Change, all: boolean): string[] {
  const what = tenant === null ? "issuers, upstreams, origins" : `tenant ${tenant}`;
  const noted = notes.length === 0 ? "" : `: ${notes.join("; ")}`;
  const lines = members.flatMap(({ member, before, after }) =>
    linesForDifference(member, before, after),
  );
  const shown = all ? lines : lines.slice(0, LINES_SHOWN);
  const more = lines.length - shown.length;
  return [
    `${SIGNS[kind]} ${what}${noted}`,
    ...shown.map((line) => `    ${line}`),
    ...(more === 0 ? [] : [`    and ${more.toLocaleString("en")} more (--verbose shows them)`]),
  ];
}
