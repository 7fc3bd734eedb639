// `gateway explain`: what the gateway would decide, and why, from a file and the claims of a token. Asks
// nobody, and verifies no signature.
import { Command, Option } from "commander";
import { decodeJwt } from "jose";
import * as z from "zod";
import { loadBase } from "../src/config/load.ts";
import {
  baseOf,
  type ConfigDocument,
  issuersByTenant,
  subjectIssuersOf,
  type TenantEntry,
} from "../src/config/schema.ts";
import { Refusal } from "../src/failure.ts";
import { ResponseParams, RunParams } from "../src/http/ask.ts";
import {
  type Caller,
  entryFor,
  grantedThreads,
  grantsRun,
  readClaims,
  unmetClaim,
} from "../src/identity/claims.ts";
import { authorise, type Decision, type Proof, type Question } from "../src/policy/authorise.ts";
import { proofBy, proofIn } from "../src/policy/ownership.ts";
import { ownerNameOf } from "../src/policy/person.ts";
import { readConfigFile, readText, UsageError } from "./config-file.ts";

interface ExplainFlags {
  readonly config: string;
  readonly claims: string;
  readonly thread?: string;
  readonly run: string;
  readonly metadata?: string;
  readonly owner?: string;
  readonly assistant?: string;
  readonly age?: number;
  readonly reason?: string;
  readonly json?: boolean;
}

export function explainCommand(): Command {
  return new Command("explain")
    .description(
      "Says whether a caller may cancel a run, by which rule, and why the others do not match.",
    )
    .requiredOption("--config <file>", "the config, as JSON with comments")
    .requiredOption("--claims <file>", "the token's claims as JSON, or the token itself")
    .option("--thread <id>", "the thread in the path; none for a response, which is named alone")
    .requiredOption("--run <id>", "the run, or the response, in the path")
    .option("--metadata <json>", "the run's metadata, for ownership by metadata")
    .option("--owner <subject>", "who is registered as its owner, for ownership by registry")
    .option("--assistant <id>", "the run's assistant, for rules that look at it")
    .addOption(
      new Option("--age <seconds>", "how old the run is, for rules that look at it").argParser(
        Number,
      ),
    )
    .option("--reason <text>", "the reason that the cancel would give")
    .option("--json", "one JSON document for machines")
    .addHelpText(
      "after",
      `
Nothing is asked of anybody: what is not said of the run is not known, as it would be of an upstream
that does not say. Of the claims, those that only say that the token is good ('aud', 'exp', 'iat') may
be left out; they are taken as right then. The same is answered by a running gateway, for the caller's
own token and the run as it is: POST /v1/policy/explain.

Ends with 0 when it is allowed, with 1 when it is not.

Examples:
  npm run gateway -- explain --config gateway.jsonc --claims claims.json --thread thread_1 --run run_1 \\
    --metadata '{"tenant": "acme", "user": "ann"}'
  npm run gateway -- explain --config gateway.jsonc --claims token.txt --thread thread_1 --run run_1 --owner ann
  npm run gateway -- explain --config gateway.jsonc --claims token.txt --run resp_1 --owner ann`,
    )
    .action(async (flags: ExplainFlags) => {
      const config = await readConfigFile(flags.config);
      const nowSeconds = Math.floor(Date.now() / 1_000);
      const { payload, notes } = withWhatIsTakenAsRight(
        await readClaimsFile(flags.claims),
        config,
        nowSeconds,
      );
      const explanation = explainOffline(config, payload, flags, nowSeconds);
      const told = { ...explanation, notes: [...notes, ...explanation.notes] };
      if (flags.json === true) console.log(JSON.stringify(told, null, 2));
      else for (const line of linesFor(told)) console.log(line);
      if (!told.allowed) process.exitCode = 1;
    });
}

type Payload = Readonly<Record<string, unknown>>;

async function readClaimsFile(file: string): Promise<Payload> {
  const text = (await readText(file)).trim();
  try {
    const json: unknown = text.startsWith("{")
      ? JSON.parse(text)
      : decodeJwt(text.replace(/^Bearer /i, ""));
    return z.record(z.string(), z.unknown()).parse(json);
  } catch {
    throw new UsageError(`${file}: neither a JSON object of claims nor a token.`);
  }
}

const LIFETIME_SECONDS = 300;

/** A file of claims that somebody wrote by hand says who it is, and not that the token is good. */
function withWhatIsTakenAsRight(
  claims: Payload,
  { issuers }: ConfigDocument,
  nowSeconds: number,
): { readonly payload: Payload; readonly notes: readonly string[] } {
  const entries = issuers.filter(({ issuer }) => issuer === claims["iss"]);
  const issuer = entries.find((entry) => unmetClaim(claims, entry) === null) ?? entries[0];
  const usual: Payload = {
    iat: nowSeconds,
    exp: nowSeconds + LIFETIME_SECONDS,
    ...(issuer?.audience_claim === "aud" ? { aud: issuer.audiences[0] } : {}),
  };
  const added = Object.keys(usual).filter((name) => !Object.hasOwn(claims, name));
  const notes = added.length === 0 ? [] : [`taken as right, since not said: ${added.join(", ")}`];
  return { payload: { ...usual, ...claims }, notes };
}

interface Offline {
  readonly allowed: boolean;
  readonly rule: string | null;
  readonly code: string | null;
  readonly reason: string;
  /** The rule that allows it wants a reason with the cancel. */
  readonly reason_required: boolean;
  /** Null where it did not come that far. */
  readonly caller: {
    readonly tenant: string;
    readonly subject: string;
    readonly scopes: string[];
  } | null;
  readonly proof: Proof | null;
  readonly rules: readonly {
    readonly id: string;
    readonly effect: "allow" | "deny";
    readonly mismatch: string | null;
  }[];
  readonly notes: readonly string[];
}

/** As the journey has it: the caller, the tenant, whose run it is, the rules. Pure. */
export function explainOffline(
  config: ConfigDocument,
  payload: Payload,
  flags: Omit<ExplainFlags, "config" | "claims" | "json">,
  nowSeconds: number,
): Offline {
  const refused = (code: string, reason: string, caller: Caller | null): Offline => ({
    allowed: false,
    rule: null,
    code,
    reason,
    reason_required: false,
    caller: caller === null ? null : shown(caller),
    proof: null,
    rules: [],
    notes: [],
  });
  let caller: Caller;
  try {
    caller = callerOf(config, payload, nowSeconds);
  } catch (error) {
    if (error instanceof Refusal) return refused(error.reason, error.detail ?? error.reason, null);
    throw error;
  }
  const { thread, run } = flags;
  const ids =
    thread === undefined
      ? ResponseParams.safeParse({ response_id: run })
      : RunParams.safeParse({ thread_id: thread, run_id: run });
  const tenant = config.tenants[caller.tenant];
  if (tenant === undefined) return refused("tenant_not_allowed", "there is no such tenant", caller);
  if (caller.tokenId !== null && tenant.revoked_tokens.includes(caller.tokenId)) {
    return refused("invalid_token", "the tenant has revoked the token (jti)", caller);
  }
  if (!tenant.enabled) return refused("tenant_not_allowed", "the tenant is switched off", caller);
  if (!ids.success) return refused("run_not_found", "no run has such an id", caller);
  const { proof, notes } = prove(config, tenant, caller, flags);
  const decision = authorise({
    rules: tenant.rules,
    assistants: tenant.assistants,
    scopes: caller.scopes,
    proof,
    run: runOf(flags, nowSeconds),
    nowSeconds,
    // A reason that was not said is one that can still be given.
    reason: flags.reason?.trim() === "" ? undefined : flags.reason,
  });
  return { ...told(decision), caller: shown(caller), proof, notes };
}

function callerOf(config: ConfigDocument, payload: Payload, nowSeconds: number): Caller {
  const base = loadBase({ allowLoopbackHttp: true }, JSON.stringify(baseOf(config)));
  if ("problem" in base) throw new UsageError(base.problem);
  const entries = base.value.issuers.get(String(payload["iss"]));
  if (entries === undefined) {
    throw new Refusal("invalid_token", { detail: "claim iss: not an issuer of this config" });
  }
  return readClaims(payload, entryFor(entries, payload), nowSeconds);
}

function shown({ tenant, subject, scopes }: Caller) {
  return { tenant, subject, scopes: [...scopes] };
}

function prove(
  config: ConfigDocument,
  tenant: TenantEntry,
  caller: Caller,
  { thread, run, metadata, owner }: Pick<ExplainFlags, "thread" | "run" | "metadata" | "owner">,
): { readonly proof: Proof; readonly notes: readonly string[] } {
  const { ownership } = tenant;
  const reaching = issuersByTenant(config.issuers).get(caller.tenant) ?? [];
  const subjectIssuers = subjectIssuersOf(reaching, tenant);
  const name = "problem" in subjectIssuers ? null : ownerNameOf({ subjectIssuers }, caller);
  switch (ownership.source) {
    case "credential":
      return { proof: "tenant", notes: [] };
    case "grant": {
      const target = { threadId: thread ?? null, runId: run };
      const named = grantsRun(caller.grants, target);
      const granted = named || grantedThreads(caller.grants, target).length > 0;
      const notes =
        granted && !named ? ["the run is taken to be on the thread that is granted"] : [];
      return { proof: granted ? "person" : "nothing", notes };
    }
    case "registry": {
      const notes = owner === undefined ? ["without --owner nobody is registered for the run"] : [];
      return { proof: proofBy(owner ?? null, name), notes };
    }
    case "metadata": {
      const notes =
        metadata === undefined ? ["without --metadata the run says nothing of itself"] : [];
      const pairs = metadata === undefined ? {} : parseMetadata(metadata);
      return { proof: proofIn(pairs, ownership, caller.tenant, name), notes };
    }
  }
}

function parseMetadata(text: string): unknown {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text));
  } catch {
    throw new UsageError(`--metadata takes a JSON object, such as '{"tenant": "acme"}'.`);
  }
}

function runOf(
  { assistant, age }: Pick<ExplainFlags, "assistant" | "age">,
  nowSeconds: number,
): Question["run"] {
  if (age !== undefined && !(age >= 0)) throw new UsageError("--age takes a number of seconds.");
  if (assistant === undefined && age === undefined) return null;
  return { assistant_id: assistant ?? "", created_at: age === undefined ? 0 : nowSeconds - age };
}

function told({ rule, code, detail, checks }: Decision) {
  return {
    allowed: code === null,
    rule: rule?.id ?? null,
    code,
    reason: detail,
    reason_required: code === null && rule?.reason_required === true,
    rules: checks.map(({ rule: { id, effect }, mismatch }) => ({
      id,
      effect,
      mismatch: mismatch?.why ?? null,
    })),
  };
}

function linesFor({
  allowed,
  rule,
  code,
  reason,
  caller,
  rules,
  notes,
  ...offline
}: Offline): string[] {
  const by = rule === null ? "" : ` by rule '${rule}'`;
  const who =
    caller === null
      ? []
      : [
          `  ${caller.subject} of tenant ${caller.tenant}, scopes: ${caller.scopes.join(" ") || "none"}`,
        ];
  const width = Math.max(0, ...rules.map(({ id }) => id.length));
  return [
    allowed
      ? `Allowed${by}${offline.reason_required ? ", with a reason" : ""}.`
      : `Refused${by}: ${code} (${reason}).`,
    ...who,
    ...rules.map(
      ({ id, effect, mismatch }) =>
        `  ${id.padEnd(width)}  ${mismatch === null ? `matches, and ${effect === "allow" ? "allows" : "denies"}` : `does not match: ${mismatch}`}`,
    ),
    ...notes.map((note) => `  (${note})`),
  ];
}
