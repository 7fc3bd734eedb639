// What a journey comes to, before it is a response: the Run, or the Response, as the tenant shows it, and
// its headers.
import type { Entry } from "./audit/journal.ts";
import type { Tenant } from "./config/load.ts";
import { Refusal, type Trail } from "./failure.ts";
import { appliedPreferences, type Preferences } from "./http/preferences.ts";
import { FILLS } from "./runs/normalise.ts";
import type { Outcome } from "./runs/outcome.ts";
import { type ResponseObject, redactedResponse, responseOfRun } from "./runs/response.ts";
import { isTerminal, type Run } from "./runs/run.ts";
import { type ReadRun, readUpstreamRun, shown, type UpstreamTools } from "./upstreams/read.ts";
import type { Stopped, StopResult } from "./upstreams/stop.ts";
import type { Target } from "./upstreams/upstream.ts";

export interface Answer {
  /** In the words that the caller asked in. */
  readonly shown: Run | ResponseObject;
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

/** Throws `Refusal` when there is nothing to show, or when strict handling wants an error instead. */
export async function answerWith(
  tools: UpstreamTools,
  tenant: Tenant,
  { target, prefer }: { readonly target: Target; readonly prefer: Preferences },
  { auditId }: Entry,
  result: StopResult,
): Promise<Answer> {
  const { origins } = tenant;
  const trail: Trail = { auditId, origins };
  if ("failure" in result) {
    const retryAfterSeconds = result.retryAfterSeconds ?? undefined;
    const { failure, detail, words } = result;
    throw new Refusal(failure, { detail, words: words ?? undefined, retryAfterSeconds }, trail);
  }
  const { run, outcome } = result;
  const strict =
    prefer.handling === null ? tenant.on_terminal === "error" : prefer.handling === "strict";
  if (strict && outcome.startsWith("already_") && isTerminal(run.status)) {
    const words = `Cannot cancel run with status '${run.status}'.`;
    throw new Refusal("run_not_cancellable", { words }, trail);
  }
  const cancel = { outcome, auditId, preferenceApplied: appliedPreferences(prefer) };
  if (target.threadId !== null) return { shown: redacted(run, tenant.redact), origins, cancel };
  const response = await responseOfResult(tools, tenant, target, result);
  return { shown: response, origins, cancel };
}

/** Never rejects: whatever was done is done, and on record. What cannot be read is shown as far as it is known. */
async function responseOfResult(
  tools: UpstreamTools,
  tenant: Tenant,
  target: Target,
  { run, object, objectBytes }: Stopped,
): Promise<ResponseObject> {
  const known = (): ResponseObject => redactedResponse(responseOfRun(run), tenant.redact);
  if (object === null && objectBytes === 0) return known();
  try {
    // Not held, or read by another request that had the same run to stop.
    const body = object ?? (await readUpstreamRun(tools, tenant.connection, target)).body;
    return responseOf(tenant, body, target);
  } catch {
    return known();
  }
}

export function answerWithRun(tenant: Tenant, target: Target, read: ReadRun): Answer {
  const { origins } = tenant;
  const object =
    target.threadId === null
      ? responseOf(tenant, read.body, target)
      : redacted(shown(read), tenant.redact);
  return { shown: object, origins, cancel: null };
}

/** A hidden field keeps its place and takes its neutral value: the Run stays a whole Run. */
function redacted(run: Run, hidden: Tenant["redact"]): Run {
  const neutral = Object.fromEntries(
    hidden.filter((field) => field !== "output").map((field) => [field, FILLS[field]]),
  );
  return { ...run, ...neutral };
}

/** Throws `upstream_error` for an object that is no Response. */
function responseOf(tenant: Tenant, body: unknown, { runId }: Target): ResponseObject {
  const { toResponse } = tenant.connection.adapter;
  if (toResponse === undefined) throw new Refusal("unsupported_by_upstream");
  return redactedResponse(toResponse(body, runId), tenant.redact);
}
