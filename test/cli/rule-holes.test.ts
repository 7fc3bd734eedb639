// Rules that can never be reached, against the gateway's own judgement: lint says so of a rule just when
// no caller and no run whatever gets past the one before it.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ruleHoles } from "../../cli/holes/rules.ts";
import { ConfigDocument, type Rule, Rule as RuleSchema } from "../../src/config/schema.ts";
import { authorise, type Proof, type Question } from "../../src/policy/authorise.ts";

const NOW = 1_800_000_000;
const SCOPES = [[], ["a"], ["b"], ["a", "b"]];
/** What lists may hold, and one id for each way to be on one or off it. */
const PATTERNS = ["asst_*", "asst_1", "a*", "*", "x"];
const ASSISTANTS = [undefined, "", "asst_", "asst_1", "asst_12", "a", "ab", "x", "xy", "z"];
const LIMITS = [10, 60];
/** Unknown, new, on a limit, past it, and past all. */
const CREATED = [0, NOW, NOW - 10, NOW - 11, NOW - 60, NOW - 61, NOW - 9_999];

const rule = fc
  .record(
    {
      effect: fc.constantFrom<Rule["effect"]>("allow", "deny"),
      scopes: fc.constantFrom(...SCOPES),
      runs: fc.constantFrom<Rule["runs"]>("own", "tenant"),
      assistants: fc.uniqueArray(fc.constantFrom(...PATTERNS), { minLength: 1, maxLength: 3 }),
      max_age_seconds: fc.constantFrom(...LIMITS),
    },
    { requiredKeys: ["effect", "scopes", "runs"] },
  )
  .filter(({ effect, scopes }) => effect === "deny" || scopes.length > 0);

const OWNERSHIP = {
  metadata: { source: "metadata", tenant_key: "tenant", subject_key: "user" },
  registry: { source: "registry" },
  grant: { source: "grant" },
};
type Source = keyof typeof OWNERSHIP;

function proofsOf(source: Source): readonly Proof[] {
  return source === "grant" ? ["nothing", "person"] : ["nothing", "tenant", "person"];
}

function* questions(source: Source): Generator<Omit<Question, "rules">> {
  for (const scopes of SCOPES) {
    for (const proof of proofsOf(source)) {
      for (const assistant of ASSISTANTS) {
        for (const created_at of CREATED) {
          const run = { assistant_id: assistant as string, created_at };
          const asked = { scopes: new Set(scopes), proof, run, nowSeconds: NOW };
          yield { ...asked, assistants: undefined, reason: undefined };
        }
      }
    }
  }
}

function matches(one: Rule, question: Omit<Question, "rules">): boolean {
  return authorise({ ...question, rules: [one] }).checks[0]?.mismatch === null;
}

const configOf = (source: Source, rules: readonly object[]): ConfigDocument =>
  ConfigDocument.parse({
    issuers: [
      {
        issuer: "https://id.acme.com/",
        jwks_uri: "https://id.acme.com/keys",
        audiences: ["x"],
        tenant: { fixed: "acme" },
      },
    ],
    upstreams: { o: { kind: "openai-responses", base_url: "https://api.openai.com/v1" } },
    tenants: {
      acme: { upstream: "o", credential: { secret: "K" }, ownership: OWNERSHIP[source], rules },
    },
  });

describe("a rule that can never be reached", () => {
  it.each<Source>(["metadata", "registry", "grant"])("by %s", (source) => {
    fc.assert(
      fc.property(rule, rule, (one, other) => {
        const earlier = RuleSchema.parse({ id: "earlier", ...one });
        const later = RuleSchema.parse({ id: "later", ...other });
        // A scope that no token of the test has, so that some rule allows.
        const allowing = { id: "allowing", scopes: ["c"], runs: "own", assistants: ["never"] };
        const config = configOf(source, [earlier, later, allowing]);
        const said = ruleHoles(config).some(
          ({ id, path }) => id === "rule-never-reached" && path.at(-1) === 1,
        );
        const reached = questions(source).some(
          (question) => matches(later, question) && !matches(earlier, question),
        );
        expect(said).toBe(!reached);
      }),
      { numRuns: 1_500 },
    );
  });
});
