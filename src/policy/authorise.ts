// The tenant's rules: first match wins, none matches means no. Pure: no clock, no I/O.
import type { Rule } from "../config/schema.ts";
import { Refusal } from "../failure.ts";
import type { Proof } from "./ownership.ts";

/** The rules whose scopes the caller has, in order. Throws `insufficient_scope` when there is none. */
export function rulesFor(rules: readonly Rule[], scopes: ReadonlySet<string>): readonly Rule[] {
  const held = rules.filter((rule) => rule.scopes.every((scope) => scopes.has(scope)));
  if (held.length === 0) throw new Refusal("insufficient_scope", { detail: "no rule's scopes" });
  return held;
}

export interface Question {
  /** The rules of `rulesFor`. */
  readonly rules: readonly Rule[];
  readonly proof: Proof;
  /** The tenant's allow-list of assistants; undefined allows all. */
  readonly assistants: readonly string[] | undefined;
  /** The reason that the caller gave; undefined where none is asked for, as on a read. */
  readonly reason: string | null | undefined;
}

/**
 * The rule that allows it. Throws `Refusal`: `run_not_found` when no rule covers a run so little
 * proved, `policy_denied`, `reason_required`.
 */
export function authorise({ rules, proof, assistants, reason }: Question): Rule {
  const rule = rules.find((candidate) => covers(candidate, proof));
  if (rule === undefined) {
    const detail = proof.tenant ? "another person's run" : "not proved to be the tenant's run";
    throw new Refusal("run_not_found", { detail });
  }
  if (assistants !== undefined && !isListed(assistants, proof.read?.run.assistant_id)) {
    throw new Refusal("policy_denied", {
      rule: rule.id,
      detail: "the assistant is not on the list",
    });
  }
  if (rule.reason_required && reason === null) {
    throw new Refusal("reason_required", { param: "reason", rule: rule.id });
  }
  return rule;
}

function covers(rule: Rule, proof: Proof): boolean {
  return rule.runs === "tenant" ? proof.tenant : proof.tenant && proof.person;
}

/** `asst_*` covers every id that begins so; a pattern without a star is compared whole. */
function isListed(patterns: readonly string[], assistant: string | undefined): boolean {
  if (assistant === undefined) return false;
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? assistant.startsWith(pattern.slice(0, -1)) : assistant === pattern,
  );
}
