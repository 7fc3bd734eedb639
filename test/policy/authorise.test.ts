// The tenant's rules as a pure function: a truth table, and what holds for all rules there can be.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Rule } from "../../src/config/schema.ts";
import type { Reason } from "../../src/failure.ts";
import { authorise, dependsOnRun, type Proof, type Question } from "../../src/policy/authorise.ts";

const NOW = 1_800_000_000;

const rule = (id: string, over: Partial<Rule> = {}): Rule => ({
  id,
  effect: "allow",
  scopes: ["stop"],
  runs: "own",
  reason_required: false,
  ...over,
});
const runOf = (assistant: string, age = 10): Question["run"] => ({
  assistant_id: assistant,
  created_at: NOW - age,
});

type Verdict = { readonly rule: string } | { readonly refused: Reason; readonly by: string | null };

function verdictOf(question: Question): Verdict {
  const { rule: decided, code } = authorise(question);
  if (code === null) return { rule: decided?.id ?? "" };
  return { refused: code, by: decided?.id ?? null };
}

const ask = (over: Partial<Question>): Question => ({
  rules: [rule("r")],
  assistants: undefined,
  scopes: new Set(["stop"]),
  proof: "person",
  run: null,
  nowSeconds: NOW,
  reason: null,
  ...over,
});
const ALLOWED: Verdict = { rule: "r" };
const refused = (code: Reason, by: string | null = null): Verdict => ({ refused: code, by });

describe("a rule", () => {
  it.each<[Rule["runs"], Proof, Verdict]>([
    ["own", "person", ALLOWED],
    ["own", "tenant", refused("run_not_found")],
    ["own", "nothing", refused("run_not_found")],
    ["tenant", "person", ALLOWED],
    ["tenant", "tenant", ALLOWED],
    ["tenant", "nothing", refused("run_not_found")],
  ])("for runs: %s, where %s is proved: %j", (runs, proof, verdict) => {
    expect(verdictOf(ask({ rules: [rule("r", { runs })], proof }))).toEqual(verdict);
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
    const verdict = verdictOf(ask({ rules: [rule("r", { scopes })], scopes: new Set(held) }));
    expect(verdict).toEqual(allowed ? ALLOWED : refused("insufficient_scope"));
  });

  it.each<[string | null | undefined, Verdict]>([
    [null, refused("reason_required", "r")],
    [undefined, ALLOWED],
    ["because", ALLOWED],
  ])("that requires a reason, given %j", (reason, verdict) => {
    const rules = [rule("r", { reason_required: true })];
    expect(verdictOf(ask({ rules, reason }))).toEqual(verdict);
  });

  it.each<[string, Rule["effect"], Question["run"], boolean]>([
    ["one that it names", "allow", runOf("asst_a"), true],
    ["another", "allow", runOf("asst_b"), false],
    ["none", "allow", runOf(""), false],
    ["one that nobody has looked for", "allow", null, false],
    ["one that it names", "deny", runOf("asst_a"), true],
    ["another", "deny", runOf("asst_b"), false],
    ["none", "deny", runOf(""), true],
    ["one that nobody has looked for", "deny", null, true],
  ])("for assistants, on a run of %s, to %s: it matches %3$s", (_, effect, run, matches) => {
    const rules = [rule("r", { effect, assistants: ["asst_a"] }), rule("else")];
    const other: Verdict = { rule: "else" };
    const own = effect === "allow" ? ALLOWED : refused("policy_denied", "r");
    expect(verdictOf(ask({ rules, run }))).toEqual(matches ? own : other);
  });

  it.each<[string, Rule["effect"], number | null, boolean]>([
    ["younger", "allow", NOW - 59, true],
    ["just as old", "allow", NOW - 60, true],
    ["older", "allow", NOW - 61, false],
    ["of a clock that is ahead", "allow", NOW + 60, true],
    ["of another unit of time", "allow", NOW * 1_000, false],
    ["of no known age", "allow", 0, false],
    ["that nobody has looked at", "allow", null, false],
    ["younger", "deny", NOW - 59, true],
    ["older", "deny", NOW - 61, false],
    ["of another unit of time", "deny", NOW * 1_000, true],
    ["of no known age", "deny", 0, true],
    ["that nobody has looked at", "deny", null, true],
  ])("for runs up to an age, on one that is %s, to %s: %s", (_, effect, createdAt, matches) => {
    const rules = [rule("r", { effect, max_age_seconds: 60 }), rule("else")];
    const run = createdAt === null ? null : { assistant_id: "", created_at: createdAt };
    const own = effect === "allow" ? ALLOWED : refused("policy_denied", "r");
    expect(verdictOf(ask({ rules, run }))).toEqual(matches ? own : { rule: "else" });
  });
});

describe("of several rules", () => {
  const own = rule("own");
  const support = rule("support", { scopes: ["help"], runs: "tenant", reason_required: true });
  const anyone = rule("anyone", { runs: "tenant" });
  const both = new Set(["stop", "help"]);

  it("the first that matches decides, though a later one would be kinder", () => {
    expect(verdictOf(ask({ rules: [support, anyone], scopes: both }))).toEqual(
      refused("reason_required", "support"),
    );
    expect(verdictOf(ask({ rules: [anyone, support], scopes: both }))).toEqual({ rule: "anyone" });
  });

  it("one whose scopes are missing, or that does not cover the run, is passed over", () => {
    expect(verdictOf(ask({ rules: [support, anyone] }))).toEqual({ rule: "anyone" });
    expect(verdictOf(ask({ rules: [own, anyone], proof: "tenant" }))).toEqual({ rule: "anyone" });
  });

  it("none is needed to say that a run is not there", () => {
    const question = ask({ rules: [own, support], scopes: both, proof: "nothing" });
    expect(verdictOf(question)).toEqual(refused("run_not_found"));
  });

  it("none that matches means no, of a run that is the caller's", () => {
    const rules = [rule("r", { max_age_seconds: 5 }), rule("s", { assistants: ["asst_b"] })];
    expect(verdictOf(ask({ rules, run: runOf("asst_a") }))).toEqual(refused("policy_denied"));
  });
});

describe("a rule that denies", () => {
  const deny = rule("no", { effect: "deny", scopes: [], runs: "tenant" });

  it("decides where it comes first, whatever comes after", () => {
    expect(verdictOf(ask({ rules: [deny, rule("r")] }))).toEqual(refused("policy_denied", "no"));
    expect(verdictOf(ask({ rules: [rule("r"), deny] }))).toEqual(ALLOWED);
  });

  it("concerns those who have its scopes, and with none everybody", () => {
    const interns = { ...deny, scopes: ["intern"] };
    expect(verdictOf(ask({ rules: [interns, rule("r")] }))).toEqual(ALLOWED);
    const scopes = new Set(["stop", "intern"]);
    expect(verdictOf(ask({ rules: [interns, rule("r")], scopes }))).toEqual(
      refused("policy_denied", "no"),
    );
  });

  it("does not tell those who could not touch the run anyway that it is there", () => {
    for (const proof of ["nothing", "tenant"] as const) {
      expect(verdictOf(ask({ rules: [deny, rule("r")], proof }))).toEqual(refused("run_not_found"));
    }
  });

  it("is no rule to be let in by", () => {
    const rules = [{ ...deny, scopes: ["intern"] }, rule("r")];
    expect(verdictOf(ask({ rules, scopes: new Set(["intern"]) }))).toEqual(
      refused("insufficient_scope"),
    );
  });
});

describe("the tenant's list of assistants", () => {
  it.each<[string[], string | null, boolean]>([
    [["asst_1"], "asst_1", true],
    [["asst_1"], "asst_12", false],
    [["asst_*"], "asst_1", true],
    [["asst_*"], "asst_", true],
    [["asst_*"], "ASST_1", false],
    [["asst_*"], "xasst_1", false],
    [["*"], "anything", true],
    [["*"], "", false],
    [["*"], null, false],
    [["a*t_1"], "asst_1", false],
    [["other", "asst_1"], "asst_1", true],
  ])("%j, with assistant %j: %s", (assistants, assistant, allowed) => {
    const run = assistant === null ? null : runOf(assistant);
    const verdict = verdictOf(ask({ assistants, run }));
    expect(verdict).toEqual(allowed ? ALLOWED : refused("policy_denied", "r"));
  });

  it("says nothing about a run that is not the caller's", () => {
    const question = ask({ assistants: ["other"], proof: "tenant", run: runOf("asst_1") });
    expect(verdictOf(question)).toEqual(refused("run_not_found"));
  });
});

describe("what kept a rule from matching", () => {
  it("is told of each up to the one that decided, and of none after it", () => {
    const rules = [
      rule("help", { scopes: ["help", "more"] }),
      rule("other", { assistants: ["asst_b"] }),
      rule("old", { max_age_seconds: 5 }),
      rule("no", { effect: "deny", assistants: ["asst_b"] }),
      rule("r", { runs: "tenant" }),
      rule("later"),
    ];
    const { checks } = authorise(ask({ rules, run: runOf("asst_a") }));
    expect(checks.map(({ rule: { id }, mismatch }) => [id, mismatch?.why ?? null])).toEqual([
      ["help", "the token lacks the scope help more"],
      ["other", "its assistant is not on the list"],
      ["old", "the run is older than 5 s"],
      ["no", "its assistant is not on the list"],
      ["r", null],
    ]);
  });

  it("is told of all when none matches", () => {
    const rules = [rule("own"), rule("tenants", { runs: "tenant" })];
    const { checks } = authorise(ask({ rules, proof: "nothing" }));
    expect(checks.map(({ mismatch }) => mismatch?.why)).toEqual([
      "the run is not proved to be the caller's own",
      "the run is not proved to be the tenant's",
    ]);
  });
});

describe("whatever the rules, the scopes and the proof", () => {
  const Scope = fc.constantFrom("a", "b", "c");
  const Assistants = fc.option(fc.constantFrom(["x"], ["x*"], ["*"], ["y", "z"]), {
    nil: undefined,
  });
  const Rules = fc.uniqueArray(
    fc.record({
      id: fc.constantFrom("r1", "r2", "r3", "r4", "r5"),
      effect: fc.constantFrom("allow" as const, "allow" as const, "deny" as const),
      scopes: fc.array(Scope, { maxLength: 3 }),
      runs: fc.constantFrom("own" as const, "tenant" as const),
      assistants: Assistants,
      max_age_seconds: fc.option(fc.constantFrom(1, 60, 3_600), { nil: undefined }),
      reason_required: fc.boolean(),
    }),
    { selector: ({ id }) => id, minLength: 1 },
  ) as fc.Arbitrary<Rule[]>;
  const Case = fc.record({
    rules: Rules,
    assistants: Assistants,
    scopes: fc.array(Scope).map((scopes) => new Set<string>(scopes)),
    proof: fc.constantFrom("nothing" as const, "tenant" as const, "person" as const),
    run: fc.option(
      fc.record({
        assistant_id: fc.constantFrom("", "x", "xx", "y"),
        created_at: fc.constantFrom(0, NOW - 30, NOW - 600, NOW - 7_200, NOW + 10_000),
      }),
    ),
    nowSeconds: fc.constant(NOW),
    reason: fc.constantFrom(null, undefined, "because"),
  });
  type Case = typeof Case extends fc.Arbitrary<infer T> ? T : never;

  /** Said once more, in other words. `sure` is what has to be known for the condition to hold. */
  function matches(each: Rule, { scopes, proof, run }: Case): boolean {
    const unsure = each.effect === "deny";
    const scoped = each.scopes.filter((scope) => !scopes.has(scope)).length === 0;
    const owned = each.runs === "own" ? proof === "person" : proof !== "nothing";
    const assistant = run === null || run.assistant_id === "" ? null : run.assistant_id;
    const named =
      each.assistants === undefined ||
      (assistant !== null && each.assistants.includes("*")) ||
      (assistant === null
        ? unsure
        : each.assistants.some((pattern) =>
            pattern === "x*" ? assistant[0] === "x" : pattern === assistant,
          ));
    const age = run === null || run.created_at === 0 ? null : NOW - run.created_at;
    const young =
      each.max_age_seconds === undefined ||
      (age === null || age < -60 ? unsure : age <= each.max_age_seconds);
    return scoped && owned && named && young;
  }

  it("nothing is allowed that no rule allows, and the first that matches decides", () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(Case, (given) => {
        const verdict = verdictOf(given);
        const kind = "rule" in verdict ? "allowed" : verdict.refused;
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
        const first = given.rules.find((each) => matches(each, given));
        if ("rule" in verdict) {
          expect(first).toMatchObject({ id: verdict.rule, effect: "allow" });
          expect(first?.reason_required === true && given.reason === null).toBe(false);
        } else if (verdict.by !== null) {
          expect(first?.id).toBe(verdict.by);
        } else if (verdict.refused === "policy_denied") {
          expect(first).toBeUndefined();
        } else {
          // Nobody is refused for what the run is, or for who has it, who holds an allowing rule for it.
          const usable = given.rules.filter(
            (each) => each.effect === "allow" && matches({ ...each, effect: "allow" }, given),
          );
          expect(usable).toEqual([]);
        }
      }),
      { numRuns: 5_000 },
    );
    expect([...seen.keys()].sort()).toEqual([
      "allowed",
      "insufficient_scope",
      "policy_denied",
      "reason_required",
      "run_not_found",
    ]);
  });

  it("a rule that is added at the end takes nothing away", () => {
    fc.assert(
      fc.property(Case, Rules, (given, more) => {
        const before = verdictOf(given);
        if (!("rule" in before)) return;
        const rules = [...given.rules, ...more.map((each) => ({ ...each, id: `more-${each.id}` }))];
        expect(verdictOf({ ...given, rules })).toEqual(before);
      }),
      { numRuns: 1_000 },
    );
  });

  it("a rule that denies, wherever it is put, opens nothing", () => {
    fc.assert(
      fc.property(Case, Rules, fc.nat(), (given, [extra], at) => {
        if (extra === undefined) return;
        const deny = { ...extra, id: "deny", effect: "deny" as const };
        const rules = given.rules.toSpliced(at % (given.rules.length + 1), 0, deny);
        if ("rule" in verdictOf({ ...given, rules }))
          expect(verdictOf(given)).toHaveProperty("rule");
      }),
      { numRuns: 1_000 },
    );
  });

  it("more proof never takes anything away that no rule denies", () => {
    fc.assert(
      fc.property(Case, (given) => {
        const rules = given.rules.filter(({ effect }) => effect === "allow");
        const question = { ...given, rules, reason: "because" };
        if ("rule" in verdictOf({ ...question, proof: "tenant" })) {
          expect(verdictOf({ ...question, proof: "person" })).toHaveProperty("rule");
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("what does not depend on the run is decided alike whatever the run is", () => {
    fc.assert(
      fc.property(Case, Case, (given, { run }) => {
        if (dependsOnRun(given.rules, given.assistants, given.scopes)) return;
        expect(verdictOf({ ...given, run })).toEqual(verdictOf(given));
      }),
      { numRuns: 1_000 },
    );
  });
});
