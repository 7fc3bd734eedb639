// Holes in a tenant's rules: what they let by, and what they never do.
import type { ConfigDocument, Rule, TenantEntry } from "../../src/config/schema.ts";
import type { Hole } from "./hole.ts";

export function ruleHoles({ tenants }: ConfigDocument): Hole[] {
  return Object.entries(tenants).flatMap(([id, tenant]) =>
    tenant.rules.flatMap((rule, index) => {
      const path = ["tenants", id, "rules", index];
      return [
        ...oddScopes(rule, path),
        ...neverReached(rule, index, tenant, path),
        ...nobodysAssistants(rule, tenant, path),
        ...everybodysAnyway(rule, index, tenant, path),
      ];
    }),
  );
}

function oddScopes({ scopes }: Rule, path: Hole["path"]): Hole[] {
  return scopes.flatMap((scope, index) =>
    scope.includes(" ")
      ? [
          {
            id: "scope-with-space",
            path: [...path, "scopes", index],
            message: `scopes that come as one text are split at spaces, so '${scope}' is never among them`,
            cure: "write one scope per entry; all of a rule's are needed",
          },
        ]
      : [],
  );
}

function neverReached(
  rule: Rule,
  index: number,
  { rules, ownership }: TenantEntry,
  path: Hole["path"],
): Hole[] {
  // A grant proves tenant and person at once.
  const isOneProof = ownership.source === "grant";
  const before = rules.slice(0, index);
  const hiding = before.find((earlier) => matchesAll(earlier, rule, isOneProof));
  if (hiding === undefined) return tooLate(rule, before, isOneProof, path);
  const what = rule.effect === "deny" ? "denies nothing" : "allows nothing";
  return [
    {
      id: "rule-never-reached",
      path,
      message: `rule '${rule.id}' ${what}: '${hiding.id}' before it matches whatever it would`,
      cure: "put it first, make the other narrower, or take it out",
    },
  ];
}

/** A denial that is left with the runs of which nothing is known is not what anybody meant. */
function tooLate(
  rule: Rule,
  before: readonly Rule[],
  isOneProof: boolean,
  path: Hole["path"],
): Hole[] {
  if (rule.effect === "allow") return [];
  const named = { ...rule, effect: "allow" } as const;
  const allowing = before.find(
    (earlier) => earlier.effect === "allow" && matchesAll(earlier, named, isOneProof),
  );
  if (allowing === undefined) return [];
  return [
    {
      id: "denial-too-late",
      path,
      message: `rule '${rule.id}' denies only runs of which too little is known: '${allowing.id}' before it allows all others that it means`,
      cure: "put it first",
    },
  ];
}

/** Whether `earlier` matches every caller and run that `later` would. */
function matchesAll(earlier: Rule, later: Rule, isOneProof: boolean): boolean {
  const scopes = earlier.scopes.every((scope) => later.scopes.includes(scope));
  const runs = isOneProof || earlier.runs === "tenant" || later.runs === "own";
  // A rule that denies also matches what is not known of a run; one that allows does not.
  const unknown = later.effect === "allow" || earlier.effect === "deny";
  const listed = later.assistants;
  const assistants =
    earlier.assistants === undefined ||
    (earlier.effect === "deny" && earlier.assistants.includes("*")) ||
    (unknown &&
      listed?.every((each) => earlier.assistants?.some((pattern) => covers(pattern, each))) ===
        true);
  const { max_age_seconds: limit = Number.POSITIVE_INFINITY } = earlier;
  const age =
    earlier.max_age_seconds === undefined ||
    (unknown && later.max_age_seconds !== undefined && later.max_age_seconds <= limit);
  return scopes && runs && assistants && age;
}

function covers(pattern: string, other: string): boolean {
  if (!pattern.endsWith("*")) return pattern === other;
  const prefix = pattern.slice(0, -1);
  return other.startsWith(prefix);
}

/** What a rule allows, the tenant's own list must allow too. */
function nobodysAssistants(
  { id, effect, assistants }: Rule,
  { assistants: listed }: TenantEntry,
  path: Hole["path"],
): Hole[] {
  if (effect === "deny" || assistants === undefined || listed === undefined) return [];
  const meet = (one: string, other: string): boolean => covers(one, other) || covers(other, one);
  if (assistants.some((each) => listed.some((pattern) => meet(pattern, each)))) return [];
  return [
    {
      id: "assistants-disjoint",
      path: [...path, "assistants"],
      message: `rule '${id}' allows nothing: none of its assistants is on the tenant's own list`,
      cure: "add them to the tenant's 'assistants', or take the rule out",
    },
  ];
}

/** `own` says that there is a difference; with the same scopes and no condition there is none. */
function everybodysAnyway(
  rule: Rule,
  index: number,
  { rules, ownership }: TenantEntry,
  path: Hole["path"],
): Hole[] {
  if (rule.effect === "deny" || rule.runs !== "own" || ownership.source === "grant") return [];
  const after = rules
    .slice(index + 1)
    .filter(({ scopes }) => scopes.every((scope) => rule.scopes.includes(scope)));
  const wider = after.findIndex(
    (other) =>
      other.effect === "allow" &&
      other.runs === "tenant" &&
      !other.reason_required &&
      other.assistants === undefined &&
      other.max_age_seconds === undefined,
  );
  const isDenied = after.slice(0, wider).some(({ effect }) => effect === "deny");
  const name = after[wider]?.id;
  if (name === undefined || isDenied) return [];
  return [
    {
      id: "own-is-everybodys",
      path,
      message: `whoever rule '${rule.id}' lets stop their own runs may stop everybody's by rule '${name}'`,
      cure: `give '${name}' a scope that only some have, or let it require a reason`,
    },
  ];
}
