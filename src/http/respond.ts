// Answers and refusals → responses. The one envelope; these headers and no others.
import type { Context, MiddlewareHandler } from "hono";
import type { RequestIdVariables } from "hono/request-id";
import type { Answer } from "../answer.ts";
import type { ThreadAnswer } from "../cancel-thread.ts";
import { FAILURES, type Refusal, type Trail } from "../failure.ts";
import { narrowCors } from "./cors.ts";

const REALM = 'Bearer realm="stopgate"';

/** What every reply carries, whoever made it. */
export const stamped: MiddlewareHandler<{ Variables: RequestIdVariables }> = async (c, next) => {
  await next();
  c.res.headers.set("x-request-id", c.get("requestId"));
  c.res.headers.set("cache-control", "no-store");
};

export function respond(context: Context, { shown, origins, cancel }: Answer): Response {
  if (cancel !== null) {
    context.header("audit-id", cancel.auditId ?? "none");
    context.header("cancel-outcome", cancel.outcome);
    if (cancel.preferenceApplied !== null) {
      context.header("preference-applied", cancel.preferenceApplied);
    }
  }
  narrowCors(context, origins);
  return context.json(shown, 200);
}

/** The headers are lists in the order of `data`. */
export function respondThread(
  context: Context,
  { answers, failures, hasMore, origins }: ThreadAnswer,
): Response {
  const cancels = answers.flatMap(({ cancel }) => cancel ?? []);
  if (cancels.length > 0) {
    context.header("audit-id", cancels.map(({ auditId }) => auditId ?? "none").join(", "));
    context.header("cancel-outcome", cancels.map(({ outcome }) => outcome).join(", "));
  }
  const applied = cancels[0]?.preferenceApplied ?? null;
  if (applied !== null) context.header("preference-applied", applied);
  narrowCors(context, origins);
  const data = answers.map(({ shown }) => shown);
  const errors = failures.map(({ runId, refusal }) => ({
    run_id: runId,
    audit_id: refusal.trail?.auditId ?? null,
    error: errorOf(refusal),
  }));
  return context.json({
    object: "list",
    data,
    first_id: data[0]?.["id"] ?? null,
    last_id: data.at(-1)?.["id"] ?? null,
    has_more: hasMore,
    ...(errors.length === 0 ? {} : { errors }),
  });
}

export function respondRegistered(context: Context, { auditId, origins }: Trail): Response {
  context.header("audit-id", auditId ?? "none");
  narrowCors(context, origins);
  return context.body(null, 204);
}

/** The one envelope. What really happened stays in the log. */
export function respondRefusal(context: Context, refusal: Refusal): Response {
  const { reason, trail } = refusal;
  context.set("refusal", refusal);
  const failure = FAILURES[reason];
  if (failure.final) context.header("x-should-retry", "false");
  if (refusal.retryAfterSeconds !== undefined) {
    context.header("retry-after", String(refusal.retryAfterSeconds));
  }
  const challenge = challengeFor(refusal);
  if (challenge !== null) context.header("www-authenticate", challenge);
  // A malformed id is refused before there is a record or a tenant: with either of them in the reply
  // it could be told from a run that is another's.
  if (trail !== undefined && reason !== "run_not_found") respondTrail(context, trail);
  return context.json({ error: errorOf(refusal) }, failure.status);
}

/** All four keys, always. */
function errorOf({ reason, words, param }: Refusal) {
  const { message, type } = FAILURES[reason];
  return { message: words ?? message, type, param: param ?? null, code: reason };
}

function respondTrail(context: Context, trail: Trail): void {
  context.header("audit-id", trail.auditId ?? "none");
  narrowCors(context, trail.origins);
}

/** RFC 6749 §3.3: what a scope is written with, and so what this header can tell. */
const SCOPE = /^[!#-[\]-~]+$/;

/** RFC 6750 §3: no error code for a request that brought no credentials, and the scopes that one lacks. */
function challengeFor({ reason, scopes }: Refusal): string | null {
  switch (reason) {
    case "missing_token":
      return REALM;
    case "invalid_token":
      return `${REALM}, error="${reason}"`;
    case "insufficient_scope": {
      const told = scopes.length > 0 && scopes.every((scope) => SCOPE.test(scope));
      return `${REALM}, error="${reason}"${told ? `, scope="${scopes.join(" ")}"` : ""}`;
    }
    default:
      return null;
  }
}
