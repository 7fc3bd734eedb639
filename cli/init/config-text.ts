// The answers → the config's text: JSON with comments that say what each part is for.
import type { Answers } from "./answers.ts";
import type { IssuerText } from "./issuers.ts";
import { jsonText } from "./json-text.ts";
import { secretNameFor } from "./upstreams.ts";

/** What an issuer gives to every token, and what lets everybody stop their own runs. */
const CANCEL = "runs:cancel";

export interface ConfigParts {
  /** Where the editors' schema is, seen from the file; null: nowhere near. */
  readonly schema: string | null;
  readonly secretsFile: string;
  /** Whether wrangler.toml has the tier `standard`. */
  readonly hasStandardRate: boolean;
}

export function configText(answers: Answers, issuers: IssuerText, parts: ConfigParts): string {
  const { upstream, tenant } = answers;
  const schema = parts.schema === null ? "" : `  "$schema": ${JSON.stringify(parts.schema)},\n`;
  const entry = { kind: upstream.choice.kind, base_url: upstream.baseUrl };
  const name = `    ${JSON.stringify(upstream.choice.name)}: `;
  return `// The config of a Stopgate, begun by \`npm run gateway -- init\`. docs/config.md has every member;
// \`npm run gateway -- lint\` says what is wrong with one, and what it leaves open.
${issuers.about.map((line) => `${line}\n`).join("")}{
${schema}  // Whose tokens count. The verified issuer says which tenant a caller is of, and nothing else does.
  "issuers": [
    ${issuers.entries.join(",\n    ")}
  ],
  // Where cancels go.
  "upstreams": {
${name}${jsonText(entry, 4, name.length)}
  },
  "tenants": {
    ${JSON.stringify(tenant)}: {
${tenantText(answers, issuers, parts)}
    }
  }
}
`;
}

interface Member {
  /** Without its slashes, a line each. */
  readonly comments: readonly string[];
  readonly name: string;
  readonly value: string;
}

function tenantText(answers: Answers, issuers: IssuerText, parts: ConfigParts): string {
  const { upstream, tenant, origins } = answers;
  const credential = { secret: secretNameFor(upstream.choice, tenant) };
  const members: readonly Member[] = [
    member([], "upstream", upstream.choice.name),
    member(
      [
        `The name of a secret, never the key itself: here in ${parts.secretsFile}, and on the Worker by`,
        "`npx wrangler secret put`. For more tenants than there is room for: `npm run gateway -- seal`.",
      ],
      "credential",
      credential,
    ),
    ownershipMember(answers),
    {
      comments: ["The first rule that matches decides; when none does, the answer is no."],
      name: "rules",
      value: rulesText(answers, issuers),
    },
    ...(origins.length === 0
      ? []
      : [
          member(["The pages that may call, to the letter."], "origins", origins),
          member(["What they are not shown of a run: your prompt."], "redact", [
            "instructions",
            "tools",
          ]),
        ]),
    ...(parts.hasStandardRate
      ? [member(["How often one person may ask: a tier of wrangler.toml."], "rate", "standard")]
      : []),
  ];
  return members
    .map(({ comments, name, value }) =>
      [...comments.map((line) => `      // ${line}`), `      "${name}": ${value}`].join("\n"),
    )
    .join(",\n");
}

function member(comments: readonly string[], name: string, value: unknown): Member {
  return { comments, name, value: jsonText(value, 6, 6 + name.length + 4) };
}

function ownershipMember({ ownership, tenant }: Answers): Member {
  switch (ownership.source) {
    case "metadata": {
      const { tenant_key, subject_key } = ownership;
      const pairs = `{ "${tenant_key}": "${tenant}", "${subject_key}": the user's id as in sub }`;
      const comments = ["Whose run it is. Your backend puts both on each run when it starts it:"];
      return member([...comments, `metadata: ${pairs}`], "ownership", ownership);
    }
    case "grant":
      return member(
        [
          "Whose run it is: the token itself names it, as your own issuer has to write it there,",
          '"authorization_details": [{ "type": "run_cancel", "thread_id": "…", "run_id": "…" }]',
        ],
        "ownership",
        ownership,
      );
    case "registry":
      return member(
        [
          "Whose run it is. Your backend says so when it has started one, with the scope runs:register:",
          'PUT /v1/threads/{thread_id}/runs/{run_id}/owner {"subject": "…"}',
        ],
        "ownership",
        ownership,
      );
    case "credential":
      return member(
        [
          "Whose run it is: to have this tenant's upstream key is the proof, so no other tenant may have",
          "it. It tells no person from another.",
        ],
        "ownership",
        ownership,
      );
  }
}

interface WrittenRule {
  readonly comment: string;
  readonly rule: unknown;
}

function rulesText(answers: Answers, { supportScopes, grantedScopes }: IssuerText): string {
  const noPerson = answers.ownership.source === "credential";
  // With a scope that every token has, everybody could stop everybody's.
  const everybodys = noPerson && grantedScopes.includes(CANCEL);
  const first: WrittenRule = noPerson
    ? {
        comment: "Whoever has the scope may stop any run of the tenant.",
        rule: { id: "all", scopes: [CANCEL], runs: "tenant" },
      }
    : {
        comment: "Everybody may stop their own runs.",
        rule: { id: "owner", scopes: [CANCEL], runs: "own" },
      };
  const support: WrittenRule = {
    comment: "Some may stop anybody's, and have to say why.",
    rule: { id: "support", scopes: supportScopes, runs: "tenant", reason_required: true },
  };
  const rules = [
    ...(everybodys ? [] : [first]),
    ...(answers.support || everybodys ? [support] : []),
  ];
  const lines = rules.map(
    ({ comment, rule }) => `        // ${comment}\n        ${jsonText(rule, 8, 8)}`,
  );
  return `[\n${lines.join(",\n")}\n      ]`;
}
