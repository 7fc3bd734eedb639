// The tenant's rules: first match wins, none matches means no. Pure: data in, a decision out.
import type { Rule } from "../config/schema.ts";
import type { Reason } from "../failure.ts";
import type { Run } from "../runs/run.ts";

/** How much is proved of a run: nothing, that it is the tenant's, or that it is the caller's own too. */
export type Proof = "nothing" | "tenant" | "person";

export interface Question {
  readonly rules: readonly Rule[];
  /** The tenant's allow-list of assistants; undefined allows all. */
  readonly assistants: readonly string[] | undefined;
  readonly scopes: ReadonlySet<string>;
  readonly proof: Proof;
  /** What conditions look at; null where the run was not read. */
  readonly run: Pick<Run, "assistant_id" | "created_at"> | null;
  readonly nowSeconds: number;
  /** The reason that the caller gave; undefined where none is asked for, as on a read. */
  readonly reason: string | null | undefined;
}

type Code = Extract<
  Reason,
  "insufficient_scope" | "run_not_found" | "policy_denied" | "reason_required"
>;

export interface Decision {
  /** The rule that decided; null when none matches. */
  readonly rule: Rule | null;
  /** Why not; null when it is allowed. */
  readonly code: Code | null;
  /** In words for the log, and for whoever explains. */
  readonly detail: string;
  /** Every rule up to the one that decided, in order. */
  readonly checks: readonly RuleCheck[];
}

export interface RuleCheck {
  readonly rule: Rule;
  /** Null: it matches. */
  readonly mismatch: Mismatch | null;
}

/** What keeps a rule from matching. */
export interface Mismatch {
  readonly why: string;
  /** It says something of the run, and not only of the caller. */
  readonly tellsOfRun: boolean;
}

/**
 * The first rule that matches decides. A run that no rule would let the caller touch, whatever the
 * conditions, is `run_not_found`: also a rule that denies must not tell that it is there.
 */
export function authorise(question: Question): Decision {
  const { rules, assistants, proof, run, reason } = question;
  const checks = rules.map((rule) => ({ rule, mismatch: mismatchOf(rule, question) }));
  const matched = checks.findIndex(({ mismatch }) => mismatch === null);
  const rule = checks[matched]?.rule ?? null;
  const decide = (by: Rule | null, code: Code | null, detail: string): Decision => ({
    rule: by,
    code,
    detail,
    checks: by === null ? checks : checks.slice(0, matched + 1),
  });

  const held = heldRules(rules, question.scopes).filter(({ effect }) => effect === "allow");
  if (held.length === 0) return decide(null, "insufficient_scope", "no rule's scopes");
  if (!held.some(({ runs }) => covers(runs, proof))) {
    const detail =
      proof === "tenant" ? "another person's run" : "not proved to be the tenant's run";
    return decide(null, "run_not_found", detail);
  }
  if (rule === null) return decide(null, "policy_denied", "no rule matches");
  if (rule.effect === "deny") return decide(rule, "policy_denied", "the rule denies it");
  if (assistants !== undefined && !isListed(assistants, run?.assistant_id)) {
    return decide(rule, "policy_denied", "the assistant is not on the tenant's list");
  }
  if (rule.reason_required && reason === null) {
    return decide(rule, "reason_required", "no reason was given");
  }
  return decide(rule, null, "the rule allows it");
}

/** The rules whose scopes the caller has, in order. */
export function heldRules(rules: readonly Rule[], scopes: ReadonlySet<string>): readonly Rule[] {
  return rules.filter((rule) => rule.scopes.every((scope) => scopes.has(scope)));
}

/** Whether a decision may depend on what only a read of the run tells. */
export function dependsOnRun(
  rules: readonly Rule[],
  assistants: readonly string[] | undefined,
  scopes: ReadonlySet<string>,
): boolean {
  return (
    assistants !== undefined ||
    heldRules(rules, scopes).some(
      (rule) => rule.assistants !== undefined || rule.max_age_seconds !== undefined,
    )
  );
}

function mismatchOf(rule: Rule, { scopes, proof, run, nowSeconds }: Question): Mismatch | null {
  const missing = rule.scopes.filter((scope) => !scopes.has(scope));
  if (missing.length > 0) {
    return { why: `the token lacks the scope ${missing.join(" ")}`, tellsOfRun: false };
  }
  if (!covers(rule.runs, proof)) {
    const what = rule.runs === "own" ? "the caller's own" : "the tenant's";
    return { why: `the run is not proved to be ${what}`, tellsOfRun: true };
  }
  return assistantMismatch(rule, run?.assistant_id) ?? ageMismatch(rule, run, nowSeconds);
}

/** Whether what is proved of a run is what a rule asks for. */
export function covers(runs: Rule["runs"], proof: Proof): boolean {
  return proof === "person" || (proof === "tenant" && runs === "tenant");
}

/** What is not known cannot fulfil a rule that allows, and cannot escape one that denies. */
function assistantMismatch(
  { effect, assistants }: Rule,
  assistant: string | undefined,
): Mismatch | null {
  if (assistants === undefined || isListed(assistants, assistant)) return null;
  const known = assistant !== undefined && assistant !== "";
  if (!known && effect === "deny") return null;
  const why = known ? "its assistant is not on the list" : "the run names no assistant";
  return { why, tellsOfRun: true };
}

/** A time so far ahead is none: another unit, or another clock. */
const SKEW_SECONDS = 60;

function ageMismatch(
  { effect, max_age_seconds }: Rule,
  run: Question["run"],
  nowSeconds: number,
): Mismatch | null {
  if (max_age_seconds === undefined) return null;
  const created = run?.created_at ?? 0;
  const known = created > 0 && created <= nowSeconds + SKEW_SECONDS;
  if (known ? nowSeconds - created <= max_age_seconds : effect === "deny") return null;
  const why = known ? `the run is older than ${max_age_seconds} s` : "the run's age is not known";
  return { why, tellsOfRun: true };
}

/** `asst_*` covers every id that begins so; a pattern without a star is compared whole. */
function isListed(patterns: readonly string[], assistant: string | undefined): boolean {
  if (assistant === undefined || assistant === "") return false;
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? assistant.startsWith(pattern.slice(0, -1)) : assistant === pattern,
  );
}
