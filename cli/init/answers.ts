// The questions, in the order in which they are asked.
import type { Ownership } from "../../src/config/schema.ts";
import { UsageError } from "../config-file.ts";
import { defectOfKey } from "../seal/read-key.ts";
import { discover, publishedAlgorithms } from "./another.ts";
import type { Asker, ChoiceQuestion, TextQuestion } from "./ask.ts";
import {
  areOrigins,
  isAddress,
  isAudience,
  isClaim,
  isMetadataKey,
  isTenantId,
  wordsOf,
} from "./checks.ts";
import type { Another, IssuerAnswer } from "./issuers.ts";
import {
  BLANKS,
  type Blank,
  type Blanks,
  CLOUDFLARE_ACCESS,
  PROVIDERS,
  type Provider,
} from "./providers.ts";
import { type UpstreamChoice, upstreamChoices } from "./upstreams.ts";

/** What the flags said already; every one of them answers a question. */
export interface AnswerFlags extends Partial<Blanks> {
  readonly tenant?: string;
  readonly issuer?: string;
  readonly issuerUrl?: string;
  readonly jwksUri?: string;
  readonly tenantClaim?: string;
  readonly upstream?: string;
  readonly baseUrl?: string;
  readonly ownership?: string;
  readonly tenantKey?: string;
  readonly subjectKey?: string;
  readonly origin?: readonly string[];
  readonly support?: boolean;
}

export interface Answers {
  readonly tenant: string;
  readonly issuer: IssuerAnswer;
  /** The way of auditors to the log, where it is another than the users'. */
  readonly access: Blanks | null;
  readonly upstream: { readonly choice: UpstreamChoice; readonly baseUrl: string };
  /** Null: it is set later. */
  readonly upstreamKey: string | null;
  readonly ownership: Ownership;
  readonly origins: readonly string[];
  readonly support: boolean;
}

export interface AskContext {
  readonly fetch: typeof fetch;
  /** The upstream key, where it came by stdin. */
  readonly givenKey: string | null;
}

/** Throws `UsageError` when an answer is missing or wrong. */
export async function readAnswers(
  asker: Asker,
  flags: AnswerFlags,
  { fetch: fetcher, givenKey }: AskContext,
): Promise<Answers> {
  const asked = new Set<string>();
  const ask = noting(asker, asked);
  const tenant = await ask.text(TENANT, flags.tenant);
  const issuer = await askIssuer(ask, flags, fetcher);
  const upstream = await askUpstream(ask, flags);
  const key = givenKey ?? (await askKey(ask, upstream?.choice ?? null, tenant));
  const ownership = await askOwnership(ask, flags);
  const origins = wordsOf(await ask.text(ORIGINS, flags.origin?.join(" ")));
  const support = await ask.yesNo(SUPPORT, flags.support);
  ask.finish();
  assertAsked(flags, asked);
  if (issuer === null || upstream === null || ownership === null) {
    throw new Error("an answer is missing that was not missed");
  }
  return { tenant, ...issuer, upstream, upstreamKey: key, ownership, origins, support };
}

/** The same, with the flag of each question put down. */
function noting(ask: Asker, asked: Set<string>): Asker {
  const note = ({ flag }: { readonly flag: string }): void => {
    asked.add(flag.split(" ")[0] ?? "");
  };
  return {
    ...ask,
    text: (question, given) => {
      note(question);
      return ask.text(question, given);
    },
    choice: (question, given) => {
      note(question);
      return ask.choice(question, given);
    },
    yesNo: (question, given) => {
      note(question);
      return ask.yesNo(question, given);
    },
  };
}

/** A flag that answers no question was meant to: better said than passed over. */
function assertAsked(flags: AnswerFlags, asked: ReadonlySet<string>): void {
  const idle = Object.entries(flags)
    .filter(([, value]) => value !== undefined)
    .map(([name]) => `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`)
    .find((flag) => !asked.has(flag));
  if (idle === undefined) return;
  throw new UsageError(
    `Nothing was written: ${idle} answers nothing that these other answers ask.`,
  );
}

const TENANT: TextQuestion = {
  flag: "--tenant <id>",
  message: "The tenant's id: a customer, a team, or your whole app",
  placeholder: "acme",
  check: isTenantId,
};

const ISSUERS = {
  flag: "--issuer <name>",
  message: "Who issues the users' tokens?",
} as const;
const LOCAL = {
  value: "local",
  label: "A local issuer, to try it out",
  hint: "tokens by npm run gateway -- token",
};
const ANOTHER = {
  value: "another",
  label: "Another",
  hint: "any that publishes its keys, by its issuer URL",
};

async function askIssuer(
  ask: Asker,
  flags: AnswerFlags,
  fetcher: typeof fetch,
): Promise<Pick<Answers, "issuer" | "access"> | null> {
  const users = [...PROVIDERS.map(({ id, label }) => ({ value: id, label })), ANOTHER, LOCAL];
  const auditors = {
    value: CLOUDFLARE_ACCESS.id,
    label: `${CLOUDFLARE_ACCESS.label} for auditors`,
    hint: "lets nobody stop a run, so you are asked for the users' next",
  };
  if (flags.issuer === CLOUDFLARE_ACCESS.id) {
    throw new UsageError(
      `--issuer: ${CLOUDFLARE_ACCESS.label} lets nobody stop a run. Name the users' provider, and add ${BLANKS.accessTeam} and ${BLANKS.accessAudience} for the auditors.`,
    );
  }
  const byFlags = flags.accessTeam !== undefined || flags.accessAudience !== undefined;
  let access = byFlags ? await askBlanks(ask, flags, CLOUDFLARE_ACCESS) : null;
  const first: ChoiceQuestion = {
    ...ISSUERS,
    options: byFlags ? users : [...users.slice(0, -2), auditors, ...users.slice(-2)],
  };
  let chosen = await ask.choice(first, flags.issuer);
  if (chosen === CLOUDFLARE_ACCESS.id) {
    access = await askBlanks(ask, flags, CLOUDFLARE_ACCESS);
    chosen = await ask.choice({ ...ISSUERS, options: users }, undefined);
  }
  if (chosen === null) return null;
  if (chosen === LOCAL.value) return { issuer: { kind: "local" }, access };
  if (chosen === ANOTHER.value) {
    return { issuer: { kind: "another", another: await askAnother(ask, flags, fetcher) }, access };
  }
  const provider = PROVIDERS.find(({ id }) => id === chosen);
  if (provider === undefined) throw new Error(`no provider ${chosen}`);
  const blanks = await askBlanks(ask, flags, provider);
  return { issuer: { kind: "sample", provider, blanks }, access };
}

async function askBlanks(ask: Asker, flags: AnswerFlags, { blanks }: Provider): Promise<Blanks> {
  const answers: Partial<Record<Blank, string>> = {};
  for (const blank of Object.keys(blanks) as Blank[]) {
    const question = blanks[blank];
    if (question === undefined) continue;
    answers[blank] = await ask.text({ ...question, flag: BLANKS[blank] }, flags[blank]);
  }
  // What this provider does not ask for it does not read either.
  return answers as Blanks;
}

async function askAnother(ask: Asker, flags: AnswerFlags, fetcher: typeof fetch): Promise<Another> {
  const issuer = await ask.text(ISSUER_URL, flags.issuerUrl);
  const audience = await ask.text(AUDIENCE, flags.audience);
  const jwksUri = await askJwksUri(ask, issuer, flags.jwksUri, fetcher);
  const claim = await ask.text(TENANT_CLAIM, flags.tenantClaim);
  const algorithms = await publishedAlgorithms(fetcher, jwksUri);
  return { issuer, audience, jwksUri, algorithms, tenantClaim: claim === "" ? null : claim };
}

const ISSUER_URL: TextQuestion = {
  flag: "--issuer-url <url>",
  message: "Its issuer URL, to the letter as tokens have it in iss",
  placeholder: "https://id.acme.com/",
  check: isAddress,
};
const AUDIENCE: TextQuestion = {
  flag: BLANKS.audience,
  message: "The audience of the tokens that are for the gateway (aud)",
  placeholder: "https://stop.example.com",
  check: isAudience,
};
const TENANT_CLAIM: TextQuestion = {
  flag: "--tenant-claim <name>",
  message: "The claim that says which tenant; none if every token is this tenant's",
  fallback: "",
  check: (answer) => (answer === "" ? undefined : isClaim(answer)),
};

async function askJwksUri(
  ask: Asker,
  issuer: string,
  given: string | undefined,
  fetcher: typeof fetch,
): Promise<string> {
  const question: TextQuestion = {
    flag: "--jwks-uri <url>",
    message: "The address of its keys (jwks_uri)",
    placeholder: "https://id.acme.com/.well-known/jwks.json",
    check: isAddress,
  };
  // Without its name there is nobody to ask, and the name is missed already.
  if (given === undefined && issuer === "") return "";
  const found = given === undefined ? await discover(fetcher, issuer) : { jwksUri: given };
  if ("jwksUri" in found) return await ask.text(question, found.jwksUri);
  ask.tell(`${found.problem}.`);
  return await ask.text(question, undefined);
}

async function askUpstream(ask: Asker, flags: AnswerFlags): Promise<Answers["upstream"] | null> {
  const choices = upstreamChoices();
  const question: ChoiceQuestion = {
    flag: "--upstream <kind>",
    message: "Where do the runs execute?",
    options: choices.map(({ value, label, hint }) => ({ value, label, hint })),
  };
  const chosen = await ask.choice(question, flags.upstream);
  const choice = choices.find(({ value }) => value === chosen);
  if (choice === undefined) return null;
  const base: TextQuestion = {
    flag: "--base-url <url>",
    message: "Its base URL, with the version that stands before every path",
    check: isAddress,
    ...("usual" in choice.baseUrl && { fallback: choice.baseUrl.usual }),
    ...("like" in choice.baseUrl && { placeholder: choice.baseUrl.like }),
  };
  const fixed = "fixed" in choice.baseUrl ? choice.baseUrl.fixed : undefined;
  return { choice, baseUrl: await ask.text(base, flags.baseUrl ?? fixed) };
}

async function askKey(
  ask: Asker,
  choice: UpstreamChoice | null,
  tenant: string,
): Promise<string | null> {
  if (choice === null) return null;
  // The simulator takes any that begins so; its own --start-run uses this one.
  if ("fixed" in choice.baseUrl) return `sk-local-${tenant}`;
  return await ask.secret({
    flag: "--key-stdin",
    message: `The upstream key of ${tenant} (Enter: set it later)`,
    check: defectOfKey,
  });
}

const OWNERSHIPS: ChoiceQuestion = {
  flag: "--ownership <source>",
  message: "How is it proved whose run it is?",
  fallback: "metadata",
  options: [
    {
      value: "metadata",
      label: "Metadata on the run",
      hint: "your backend writes two pairs on each run; one upstream call more per cancel",
    },
    {
      value: "grant",
      label: "The token names the run",
      hint: "your own issuer writes authorization_details into it; no call more",
    },
    {
      value: "registry",
      label: "Your backend registers it here",
      hint: "one call to the gateway per run started; no call more per cancel",
    },
    {
      value: "credential",
      label: "The upstream key is this tenant's alone",
      hint: "no call more; proves the tenant and no person, so nobody has runs of their own",
    },
  ],
};

async function askOwnership(ask: Asker, flags: AnswerFlags): Promise<Answers["ownership"] | null> {
  const source = await ask.choice(OWNERSHIPS, flags.ownership);
  if (source === "grant" || source === "credential") return { source };
  if (source === "registry") return { source, retention_days: 30 };
  if (source !== "metadata") return null;
  const tenantKey: TextQuestion = {
    flag: "--tenant-key <name>",
    message: "The metadata key that holds the tenant's id",
    fallback: "tenant",
    check: isMetadataKey,
  };
  const tenant_key = await ask.text(tenantKey, flags.tenantKey);
  const subjectKey: TextQuestion = {
    flag: "--subject-key <name>",
    message: "And the one that holds the user's id, as it is in their token's sub",
    fallback: "user",
    check: (answer) => (answer === tenant_key ? "one pair cannot say both" : isMetadataKey(answer)),
  };
  return { source, tenant_key, subject_key: await ask.text(subjectKey, flags.subjectKey) };
}

const ORIGINS: TextQuestion = {
  flag: "--origin <url>",
  message: "The origins of the pages that call it, with spaces between (none: backends only)",
  placeholder: "https://app.acme.com",
  fallback: "",
  check: areOrigins,
};

const SUPPORT = {
  flag: "--support or --no-support",
  message: "May some people, with a scope of their own and a reason, stop anybody's runs?",
};
