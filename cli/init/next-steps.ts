// What to do with a new config: the commands, in order, ready to paste.
import type { Answers } from "./answers.ts";
import { secretNameFor } from "./upstreams.ts";

const GATEWAY = "http://127.0.0.1:8787";

export interface Files {
  readonly config: string;
  readonly secrets: string;
}

interface Step {
  readonly what: string;
  readonly commands: readonly string[];
}

export function nextSteps(answers: Answers, files: Files, keyIsSet: boolean): string {
  const config = quoted(files.config);
  const secrets = quoted(files.secrets);
  const gateway = "npm run --silent gateway --";
  const simulated = "fixed" in answers.upstream.choice.baseUrl;
  const steps: readonly Step[] = [
    ...(keyIsSet ? [] : [keyStep(answers, files)]),
    {
      what: "Is the config right, and what does it leave open?",
      commands: [`npm run gateway -- lint ${config} --secrets ${secrets}`],
    },
    ...(simulated
      ? [
          {
            what: "The simulated upstream, in a terminal of its own",
            commands: [`npm run simulator${simulatorPort(answers, " --")}`],
          },
        ]
      : []),
    {
      what: "What would it change, and for whom? Say yes, and it is written",
      commands: [`npm run gateway -- apply ${config} --local`],
    },
    {
      what: `The gateway, in ${simulated ? "another" : "a terminal of its own"}`,
      commands: [`npm start -- --config ${config} --secrets ${secrets}`],
    },
    runStep(answers, simulated),
    ...registrationStep(answers, `${gateway} token --config ${config} --secrets ${secrets}`),
    tokenStep(answers, `${gateway} token --config ${config} --secrets ${secrets}`),
    {
      what: "Stop it",
      commands: [
        `curl -i -X POST "${GATEWAY}/v1/threads/$THREAD_ID/runs/$RUN_ID/cancel" -H "Authorization: Bearer $TOKEN"`,
      ],
    },
    {
      what: "Is all well?",
      commands: [`npm run gateway -- doctor ${GATEWAY} --config ${config} --secrets ${secrets}`],
    },
  ];
  const texts = steps.map(({ what, commands }, index) =>
    [`# ${index + 1}. ${what}`, ...commands, ""].join("\n"),
  );
  return `${texts.join("\n")}\nAnd when it is to be deployed: docs/deploy.md.`;
}

/** Where it is asked for elsewhere than where it listens by itself. */
function simulatorPort({ upstream }: Answers, lead: string): string {
  const { fixed } = upstream.choice.baseUrl as { readonly fixed?: string };
  if (fixed === undefined || upstream.baseUrl === fixed) return "";
  return `${lead} --port ${new URL(upstream.baseUrl).port || "80"}`;
}

function keyStep({ upstream, tenant }: Answers, { secrets }: Files): Step {
  const name = secretNameFor(upstream.choice, tenant);
  return {
    what: `The upstream key: put a line ${name}=… into ${secrets}`,
    commands: [],
  };
}

function runStep(answers: Answers, simulated: boolean): Step {
  const { tenant, ownership } = answers;
  if (!simulated) {
    return { what: "A run that is going on", commands: ["THREAD_ID=…", "RUN_ID=…"] };
  }
  const keys =
    ownership.source === "metadata" ? keyFlags(ownership.tenant_key, ownership.subject_key) : "";
  return {
    what: "A run of Ann's, as your backend would start it",
    commands: [
      `eval "$(npm run --silent simulator -- --start-run${simulatorPort(answers, "")} --tenant ${tenant} --user ann${keys})"`,
    ],
  };
}

function keyFlags(tenantKey: string, subjectKey: string): string {
  const tenant = tenantKey === "tenant" ? "" : ` --tenant-key ${quoted(tenantKey)}`;
  return tenant + (subjectKey === "user" ? "" : ` --subject-key ${quoted(subjectKey)}`);
}

function registrationStep({ ownership, issuer, tenant }: Answers, token: string): readonly Step[] {
  if (ownership.source !== "registry") return [];
  const backend =
    issuer.kind === "local"
      ? `$(${token} --tenant ${tenant} --sub backend --scope runs:register)`
      : "…";
  return [
    {
      what: "Say whose it is, as your backend would",
      commands: [
        `BACKEND="${backend}"`,
        `curl -i -X PUT "${GATEWAY}/v1/threads/$THREAD_ID/runs/$RUN_ID/owner" -H "Authorization: Bearer $BACKEND" -H "Content-Type: application/json" -d '{"subject":"ann"}'`,
      ],
    },
  ];
}

function tokenStep({ ownership, issuer, tenant }: Answers, token: string): Step {
  const what = "Her token";
  if (issuer.kind !== "local") {
    return { what: "A token of the person whose run it is", commands: ["TOKEN=…"] };
  }
  const grant = ownership.source === "grant" ? ` --grant "$THREAD_ID/$RUN_ID"` : "";
  return { what, commands: [`TOKEN="$(${token} --tenant ${tenant} --sub ann${grant})"`] };
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
