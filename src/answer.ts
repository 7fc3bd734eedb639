// What a journey comes to, before it is a response: the Run as the tenant shows it, and its headers.
import type { Entry } from "./audit/journal.ts";
import type { Tenant } from "./config/load.ts";
import { Refusal, type Trail } from "./failure.ts";
import { appliedPreferences, type Preferences } from "./http/preferences.ts";
import { FILLS } from "./runs/normalise.ts";
import type { Outcome } from "./runs/outcome.ts";
import { isTerminal, type Run } from "./runs/run.ts";
import type { StopResult } from "./upstreams/stop.ts";

export interface Answer {
  readonly run: Run;
  /** The tenant's own. */
  readonly origins: readonly string[];
  /** What only a cancel has to tell; null on a read, which leaves no record. */
  readonly cancel: CancelHeaders | null;
}

interface CancelHeaders {
  readonly outcome: Outcome;
  readonly auditId: string | null;
  readonly preferenceApplied: string | null;
}

/** Throws `Refusal` when there is no Run to show, or when strict handling wants an error instead. */
export function answerWith(
  tenant: Tenant,
  prefer: Preferences,
  { auditId }: Entry,
  result: StopResult,
): Answer {
  const trail: Trail = { auditId, origins: tenant.origins };
  if ("failure" in result) {
    const retryAfterSeconds = result.retryAfterSeconds ?? undefined;
    throw new Refusal(result.failure, { detail: result.detail, retryAfterSeconds }, trail);
  }
  const { run, outcome } = result;
  const strict =
    prefer.handling === null ? tenant.on_terminal === "error" : prefer.handling === "strict";
  if (strict && outcome.startsWith("already_") && isTerminal(run.status)) {
    const words = `Cannot cancel run with status '${run.status}'.`;
    throw new Refusal("run_not_cancellable", { words }, trail);
  }
  return {
    run: redacted(run, tenant.redact),
    origins: tenant.origins,
    cancel: { outcome, auditId, preferenceApplied: appliedPreferences(prefer) },
  };
}

export function answerWithRun(tenant: Tenant, run: Run): Answer {
  return { run: redacted(run, tenant.redact), origins: tenant.origins, cancel: null };
}

/** A hidden field keeps its place and takes its neutral value: the Run stays a whole Run. */
function redacted(run: Run, hidden: Tenant["redact"]): Run {
  const neutral = Object.fromEntries(hidden.map((field) => [field, FILLS[field]]));
  return { ...run, ...neutral };
}
