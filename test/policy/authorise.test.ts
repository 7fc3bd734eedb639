// The tenant's rules as a pure function: a truth table, and what holds for all rules there can be.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Rule } from "../../src/config/schema.ts";
import { type Reason, Refusal } from "../../src/failure.ts";
import { authorise, type Question, rulesFor } from "../../src/policy/authorise.ts";
import type { Proof } from "../../src/policy/ownership.ts";
import { normaliseRun } from "../../src/runs/normalise.ts";
import type { ReadRun } from "../../src/upstreams/read.ts";

const NOTHING: Proof = { tenant: false, person: false, read: null };
const TENANT: Proof = { tenant: true, person: false, read: null };
const OWN: Proof = { tenant: true, person: true, read: null };

const rule = (id: string, over: Partial<Rule> = {}): Rule => ({
  id,
  scopes: ["stop"],
  runs: "own",
  reason_required: false,
  ...over,
});
const readOf = (assistant: string): ReadRun => ({
  run: normaliseRun(
    { id: "run_1", status: "queued", assistant_id: assistant },
    { threadId: "thread_1", runId: "run_1" },
  ),
  metadata: null,
  thread: "thread_1",
  cancelledAt: null,
});

type Verdict = { readonly rule: string } | { readonly refused: Reason; readonly by: string | null };

function verdictOf(scopes: readonly string[], question: Question): Verdict {
  try {
    const rules = rulesFor(question.rules, new Set(scopes));
    return { rule: authorise({ ...question, rules }).id };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { refused: error.reason, by: error.rule ?? null };
  }
}

const ask = (over: Partial<Question>): Question => ({
  rules: [rule("own")],
  proof: OWN,
  assistants: undefined,
  reason: null,
  ...over,
});

describe("a rule", () => {
  it.each<[string, Rule["runs"], Proof, Verdict]>([
    ["one's own run", "own", OWN, { rule: "r" }],
    ["a colleague's run", "own", TENANT, { refused: "run_not_found", by: null }],
    ["nobody's run", "own", NOTHING, { refused: "run_not_found", by: null }],
    ["one's own run", "tenant", OWN, { rule: "r" }],
    ["a colleague's run", "tenant", TENANT, { rule: "r" }],
    ["nobody's run", "tenant", NOTHING, { refused: "run_not_found", by: null }],
    [
      "a run proved to be the person's and not the tenant's",
      "own",
      { tenant: false, person: true, read: null },
      { refused: "run_not_found", by: null },
    ],
  ])("on %s with runs: %s", (_, runs, proof, verdict) => {
    expect(verdictOf(["stop"], ask({ rules: [rule("r", { runs })], proof }))).toEqual(verdict);
  });

  it.each<[string[], string[], boolean]>([
    [["stop"], ["stop"], true],
    [["stop"], ["openid", "stop"], true],
    [["stop", "admin"], ["stop"], false],
    [["stop", "admin"], ["admin", "stop"], true],
    [["stop"], [], false],
    [["stop"], ["STOP"], false],
    [["stop"], ["stop:all"], false],
    [["stop:all"], ["stop"], false],
  ])("with scopes %j for a caller with %j: %s", (scopes, held, allowed) => {
    const verdict = verdictOf(held, ask({ rules: [rule("r", { scopes })] }));
    expect(verdict).toEqual(allowed ? { rule: "r" } : { refused: "insufficient_scope", by: null });
  });

  it.each<[string | null | undefined, Verdict]>([
    [null, { refused: "reason_required", by: "r" }],
    [undefined, { rule: "r" }],
    ["because", { rule: "r" }],
  ])("that requires a reason, given %j", (reason, verdict) => {
    const rules = [rule("r", { reason_required: true })];
    expect(verdictOf(["stop"], ask({ rules, reason }))).toEqual(verdict);
  });
});

describe("of several rules", () => {
  const own = rule("own", { scopes: ["stop"] });
  const support = rule("support", { scopes: ["help"], runs: "tenant", reason_required: true });
  const anyone = rule("anyone", { scopes: ["stop"], runs: "tenant" });

  it("the first that matches decides, though a later one would be kinder", () => {
    const both = ["stop", "help"];
    const first = ask({ rules: [support, anyone] });
    expect(verdictOf(both, first)).toEqual({ refused: "reason_required", by: "support" });
    expect(verdictOf(both, ask({ rules: [anyone, support] }))).toEqual({ rule: "anyone" });
  });

  it("one whose scopes are missing, or that does not cover the run, is passed over", () => {
    expect(verdictOf(["stop"], ask({ rules: [support, anyone] }))).toEqual({ rule: "anyone" });
    expect(verdictOf(["stop"], ask({ rules: [own, anyone], proof: TENANT }))).toEqual({
      rule: "anyone",
    });
  });

  it("none is needed to say that a run is not there", () => {
    expect(verdictOf(["stop", "help"], ask({ rules: [own, support], proof: NOTHING }))).toEqual({
      refused: "run_not_found",
      by: null,
    });
  });
});

describe("a list of assistants", () => {
  it.each<[string[], string | null, boolean]>([
    [["asst_1"], "asst_1", true],
    [["asst_1"], "asst_12", false],
    [["asst_*"], "asst_1", true],
    [["asst_*"], "asst_", true],
    [["asst_*"], "ASST_1", false],
    [["asst_*"], "xasst_1", false],
    [["*"], "anything", true],
    [["*"], "", true],
    [["*"], null, false],
    [["a*t_1"], "asst_1", false],
    [["other", "asst_1"], "asst_1", true],
  ])("%j, with assistant %j: %s", (assistants, assistant, allowed) => {
    const read = assistant === null ? null : readOf(assistant);
    const verdict = verdictOf(["stop"], ask({ assistants, proof: { ...OWN, read } }));
    expect(verdict).toEqual(allowed ? { rule: "own" } : { refused: "policy_denied", by: "own" });
  });

  it("says nothing about a run that is not the caller's", () => {
    const question = ask({ assistants: ["other"], proof: { ...TENANT, read: readOf("asst_1") } });
    expect(verdictOf(["stop"], question)).toEqual({ refused: "run_not_found", by: null });
  });
});

describe("whatever the rules, the scopes and the proof", () => {
  const Scope = fc.constantFrom("a", "b", "c");
  const Rules = fc.uniqueArray(
    fc.record({
      id: fc.constantFrom("r1", "r2", "r3", "r4"),
      scopes: fc.array(Scope, { minLength: 1, maxLength: 3 }),
      runs: fc.constantFrom("own" as const, "tenant" as const),
      reason_required: fc.boolean(),
    }),
    { selector: ({ id }) => id, minLength: 1 },
  );
  const Case = fc.record({
    rules: Rules,
    scopes: fc.array(Scope),
    proof: fc.constantFrom(NOTHING, TENANT, OWN),
    reason: fc.constantFrom(null, undefined, "because"),
  });
  type Case = typeof Case extends fc.Arbitrary<infer T> ? T : never;

  /** Said once more, in other words: the rules that this caller could use on this run. */
  const usable = ({ rules, scopes, proof }: Case): Rule[] =>
    rules.filter(
      (each) =>
        each.scopes.filter((scope) => !scopes.includes(scope)).length === 0 &&
        (each.runs === "own" ? proof === OWN : proof !== NOTHING),
    );

  it("nothing is allowed that no rule allows, and the first that allows it decides", () => {
    fc.assert(
      fc.property(Case, (given) => {
        const verdict = verdictOf(given.scopes, { ...given, assistants: undefined });
        const [first] = usable(given);
        if (first === undefined) {
          expect(verdict).toMatchObject({ by: null });
          return;
        }
        const wants = first.reason_required && given.reason === null;
        expect(verdict).toEqual(
          wants ? { refused: "reason_required", by: first.id } : { rule: first.id },
        );
      }),
      { numRuns: 1_000 },
    );
  });

  it("a rule that is added at the end takes nothing away", () => {
    fc.assert(
      fc.property(Case, Rules, (given, more) => {
        const question = { ...given, assistants: undefined };
        const before = verdictOf(given.scopes, question);
        if (!("rule" in before)) return;
        const rules = [...given.rules, ...more.map((each) => ({ ...each, id: `more-${each.id}` }))];
        expect(verdictOf(given.scopes, { ...question, rules })).toEqual(before);
      }),
    );
  });
});
