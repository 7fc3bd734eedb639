// Holes in a tenant's rules: what they let by, and what they never do.
import type { ConfigDocument, Rule } from "../../src/config/schema.ts";
import type { Hole } from "./hole.ts";

export function ruleHoles({ tenants }: ConfigDocument): Hole[] {
  return Object.entries(tenants).flatMap(([id, { rules }]) =>
    rules.flatMap((rule, index) => {
      const path = ["tenants", id, "rules", index];
      const before = rules.slice(0, index);
      return [
        ...oddScopes(rule, path),
        ...neverReached(rule, before, path),
        ...everybodysAnyway(rule, rules, path),
      ];
    }),
  );
}

function oddScopes({ scopes }: Rule, path: Hole["path"]): Hole[] {
  return scopes.flatMap((scope, index) =>
    /\s/.test(scope)
      ? [
          {
            id: "scope-with-space",
            path: [...path, "scopes", index],
            message: `a token's scopes are split at spaces, so none is ever '${scope}'`,
            cure: "write one scope per entry; all of a rule's are needed",
          },
        ]
      : [],
  );
}

function neverReached(rule: Rule, before: readonly Rule[], path: Hole["path"]): Hole[] {
  const hiding = before.find((earlier) => matchesAll(earlier, rule));
  if (hiding === undefined) return [];
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

/** Whether `earlier` matches every caller and run that `later` would. */
function matchesAll(earlier: Rule, later: Rule): boolean {
  const scopes = earlier.scopes.every((scope) => later.scopes.includes(scope));
  const runs = earlier.runs === "tenant" || later.runs === "own";
  // A rule that denies also matches what is not known of a run; one that allows does not.
  const unknown = later.effect === "allow" || earlier.effect === "deny";
  const listed = later.assistants;
  const assistants =
    earlier.assistants === undefined ||
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
  return other.replace(/\*$/, "").startsWith(prefix);
}

/** `own` says that there is a difference; with the same scopes and no condition there is none. */
function everybodysAnyway(rule: Rule, rules: readonly Rule[], path: Hole["path"]): Hole[] {
  if (rule.effect === "deny" || rule.runs !== "own") return [];
  const wider = rules.find(
    (other) =>
      other.effect === "allow" &&
      other.runs === "tenant" &&
      !other.reason_required &&
      other.assistants === undefined &&
      other.max_age_seconds === undefined &&
      other.scopes.every((scope) => rule.scopes.includes(scope)),
  );
  if (wider === undefined || rules.indexOf(wider) < rules.indexOf(rule)) return [];
  return [
    {
      id: "own-is-everybodys",
      path,
      message: `whoever rule '${rule.id}' lets stop their own runs may stop everybody's by rule '${wider.id}'`,
      cure: `give '${wider.id}' a scope that only some have, or let it require a reason`,
    },
  ];
}
