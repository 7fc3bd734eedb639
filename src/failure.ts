// Every reason a request can be refused for, with its status and public words. One closed table:
// leaving a reason out does not compile. Knows no HTTP framework; `respond.ts` writes the envelope.

/** Each is also the `code` on the wire. */
export type Reason =
  | "invalid_request"
  | "run_not_cancellable"
  | "reason_required"
  | "missing_token"
  | "invalid_token"
  | "insufficient_scope"
  | "tenant_not_allowed"
  | "policy_denied"
  | "run_not_found"
  | "not_found"
  | "method_not_allowed"
  | "payload_too_large"
  | "unsupported_media_type"
  | "rate_limited"
  | "upstream_rate_limited"
  | "unsupported_by_upstream"
  | "upstream_error"
  | "upstream_unreachable"
  | "upstream_rejected_credentials"
  | "upstream_retired"
  | "identity_unavailable"
  | "audit_unavailable"
  | "config_invalid"
  | "overloaded"
  | "upstream_timeout"
  | "outcome_unknown"
  | "internal_error";

type ErrorType =
  | "invalid_request_error"
  | "authentication_error"
  | "permission_error"
  | "rate_limit_error"
  | "server_error";

export interface PublicFailure {
  readonly status: 400 | 401 | 403 | 404 | 405 | 413 | 415 | 429 | 500 | 501 | 502 | 503 | 504;
  readonly type: ErrorType;
  readonly message: string;
  /** Final: the stock client must not try again by itself (`x-should-retry: false`). */
  readonly final: boolean;
}

const badRequest = { status: 400, type: "invalid_request_error", final: true } as const;
const unauthorised = { status: 401, type: "authentication_error", final: true } as const;
const forbidden = { status: 403, type: "permission_error", final: true } as const;
const notFound = { status: 404, type: "invalid_request_error", final: true } as const;
const badGateway = { status: 502, type: "server_error", final: true } as const;

/** Status, type and public words of every reason. The code on the wire is the reason itself. */
export const FAILURES: { readonly [R in Reason]: PublicFailure } = {
  invalid_request: { ...badRequest, message: "The request is not valid." },
  run_not_cancellable: { ...badRequest, message: "Cannot cancel the run in its present status." },
  reason_required: {
    ...badRequest,
    message: 'The rule that allows this cancel requires a reason: send {"reason": "…"}.',
  },
  missing_token: {
    ...unauthorised,
    message: "No access token was sent. Send it as 'Authorization: Bearer <token>'.",
  },
  invalid_token: { ...unauthorised, message: "The access token is not valid for this gateway." },
  insufficient_scope: { ...forbidden, message: "The access token lacks a scope that this needs." },
  tenant_not_allowed: {
    ...forbidden,
    message: "The access token's tenant may not use this gateway.",
  },
  policy_denied: { ...forbidden, message: "The tenant's policy does not allow this." },
  run_not_found: { ...notFound, message: "No run found with this id." },
  not_found: { ...notFound, message: "There is nothing at this address." },
  method_not_allowed: {
    status: 405,
    type: "invalid_request_error",
    message: "This address does not answer to this method; see the Allow header.",
    final: true,
  },
  payload_too_large: {
    status: 413,
    type: "invalid_request_error",
    message: "The request body is too large: 4 KiB at most.",
    final: true,
  },
  unsupported_media_type: {
    status: 415,
    type: "invalid_request_error",
    message: "A request body must be JSON, sent as 'Content-Type: application/json'.",
    final: true,
  },
  rate_limited: {
    status: 429,
    type: "rate_limit_error",
    message: "Too many requests. Try again later.",
    final: false,
  },
  upstream_rate_limited: {
    status: 429,
    type: "rate_limit_error",
    message: "The upstream is limiting requests. Try again later.",
    final: false,
  },
  unsupported_by_upstream: {
    status: 501,
    type: "invalid_request_error",
    message: "The tenant's upstream cannot do this.",
    final: true,
  },
  upstream_error: { ...badGateway, message: "The upstream gave an answer that makes no sense." },
  upstream_unreachable: { ...badGateway, message: "The upstream cannot be reached." },
  upstream_rejected_credentials: {
    ...badGateway,
    message: "The upstream refused the gateway's credential. Tell the gateway's operator.",
  },
  upstream_retired: { ...badGateway, message: "The upstream has switched this API off." },
  identity_unavailable: {
    status: 503,
    type: "server_error",
    message: "The identity provider's keys cannot be read at the moment.",
    final: false,
  },
  audit_unavailable: {
    status: 503,
    type: "server_error",
    message: "The audit log cannot be written, so nothing was cancelled.",
    final: false,
  },
  config_invalid: {
    status: 503,
    type: "server_error",
    message: "The gateway's configuration is not valid. Tell the gateway's operator.",
    final: true,
  },
  overloaded: {
    status: 503,
    type: "server_error",
    message: "The gateway is busy. Try again shortly.",
    final: false,
  },
  upstream_timeout: {
    status: 504,
    type: "server_error",
    message: "The upstream did not answer in time.",
    final: true,
  },
  outcome_unknown: {
    status: 504,
    type: "server_error",
    message: "The cancel was sent, but its outcome could not be read. Read the run to find out.",
    final: true,
  },
  internal_error: {
    status: 500,
    type: "server_error",
    message: "Something went wrong in the gateway.",
    final: true,
  },
};

export interface RefusalDetails {
  /** What really happened, for the log and the audit event. Never a secret, never a claim's value. */
  readonly detail?: string | undefined;
  /** Public words in place of the table's, where one request differs from another. */
  readonly words?: string | undefined;
  /** The member of the request at fault, as the envelope's `param`. */
  readonly param?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
  /** The rule that decided, for the audit event. */
  readonly rule?: string | undefined;
  /** What a token would need: told to the client with `insufficient_scope`. */
  readonly scopes?: readonly string[] | undefined;
  /** It happened before anything was sent that could have had an effect upstream. */
  readonly unsent?: boolean | undefined;
}

/** What a request has left behind by the time it is refused: the reply says it, whatever the end. */
export interface Trail {
  /** The audit event's id; null when none could be written. */
  readonly auditId: string | null;
  /** The tenant's own origins, once the tenant is known. */
  readonly origins: readonly string[];
}

/** The one thing any step throws to refuse. Everything else that is thrown is `internal_error`. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly reason: Reason;
  readonly detail: string | undefined;
  readonly words: string | undefined;
  readonly param: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly rule: string | undefined;
  readonly scopes: readonly string[];
  readonly unsent: boolean;
  readonly trail: Trail | undefined;

  constructor(reason: Reason, details: RefusalDetails = {}, trail?: Trail) {
    super(details.detail === undefined ? reason : `${reason}: ${details.detail}`);
    this.reason = reason;
    this.detail = details.detail;
    this.words = details.words;
    this.param = details.param;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.rule = details.rule;
    this.scopes = details.scopes ?? [];
    this.unsent = details.unsent === true;
    this.trail = trail;
  }
  /** The same refusal, with what the journey has left behind so far. */
  leaving(trail: Trail): Refusal {
    return new Refusal(this.reason, this, trail);
  }
}

/** Anything thrown, as a refusal. An accident keeps the name of its error and nothing else. */
export function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  return new Refusal("internal_error", {
    detail: error instanceof Error ? error.name : "not an error",
  });
}
