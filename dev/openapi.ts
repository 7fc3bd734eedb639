// `npm run openapi`: the API description, from the schemas and the table of failures that the Worker uses.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import * as z from "zod";
import { readFlags } from "../cli/shell.ts";
import { AuditEvent } from "../src/audit/event.ts";
import { FAILURES, type Reason } from "../src/failure.ts";
import { Explanation } from "../src/policy/explanation.ts";
import { OUTCOMES } from "../src/runs/outcome.ts";
import { ResponseObject } from "../src/runs/response.ts";
import { Run } from "../src/runs/run.ts";
import { VERSION } from "../src/version.ts";

const FILE = join(import.meta.dirname, "../src/openapi.json");

type Json = Record<string, unknown>;

const STRING: Json = { type: "string" };

/** What reading the audit log can be refused for. */
const AUDIT_READS: readonly Reason[] = [
  "invalid_request",
  "missing_token",
  "invalid_token",
  "insufficient_scope",
  "tenant_not_allowed",
  "method_not_allowed",
  "rate_limited",
  "identity_unavailable",
  "config_invalid",
  "internal_error",
];
/** The console's routes also take the token of Cloudflare Access. */
const AUDITOR = [{ token: [] }, { access: [] }];
/** What a cancel can be refused for, and a read of the run. */
const CANCELS: readonly Reason[] = (Object.keys(FAILURES) as Reason[]).filter(
  (reason) => reason !== "not_found",
);
const RUN_READS: readonly Reason[] = CANCELS.filter(
  (reason) =>
    ![
      ...["payload_too_large", "unsupported_media_type", "run_not_cancellable"],
      ...["reason_required", "audit_unavailable", "outcome_unknown"],
    ].includes(reason),
);

/** What every call of a tenant's own can be refused for. */
const CALLS: readonly Reason[] = [
  ...(["invalid_request", "missing_token", "invalid_token", "tenant_not_allowed"] as const),
  ...(["method_not_allowed", "payload_too_large", "unsupported_media_type"] as const),
  ...(["rate_limited", "identity_unavailable", "audit_unavailable"] as const),
  ...(["config_invalid", "internal_error"] as const),
];
const REGISTRATIONS: readonly Reason[] = [...CALLS, "insufficient_scope", "run_not_found"];
/** A decision against the caller is an answer; what is left is what kept it from being made. */
const EXPLANATIONS: readonly Reason[] = [
  ...CALLS,
  ...(Object.keys(FAILURES) as Reason[]).filter((reason) => reason.startsWith("upstream_")),
  "unsupported_by_upstream",
  "overloaded",
];

/** What clients add to these calls; it changes nothing. */
const RUN_QUERY = [ignored("api-version", STRING)];
const RESPONSE_QUERY = [...RUN_QUERY, ignored("beta", { type: "boolean" })];

const flags = readFlags<{ readonly check?: boolean }>(
  new Command("npm run openapi --")
    .description("Writes src/openapi.json, the API description, from the schemas of the Worker.")
    .option("--check", "write nothing: end with 1 when the file is out of date"),
);
const text = `${JSON.stringify(description(), null, 2)}\n`;
if (flags.check === true) {
  if ((await readFile(FILE, "utf8")) !== text) {
    console.error("src/openapi.json is out of date: npm run openapi");
    process.exitCode = 1;
  }
} else {
  await writeFile(FILE, text);
}

function description(): Json {
  const run = { description: "The Run, whole.", ...json(ref("Run")) };
  const ids = [pathParameter("thread_id"), pathParameter("run_id")];
  const response = { description: "The Response.", ...json(ref("Response")) };
  const cancelled = (shown: Json): Json => ({ ...shown, headers: cancelHeaders() });
  const read = (shown: Json): Json => ({ ...shown, headers: requestHeaders() });
  const responseId = [pathParameter("response_id")];
  return {
    openapi: "3.1.0",
    info: {
      title: "Stopgate",
      version: VERSION,
      description: "The Stop button's other half: one cancel contract for AI runs, any upstream.",
      license: { name: "MIT", identifier: "MIT" },
    },
    security: [{ token: [] }],
    paths: {
      "/v1/threads/{thread_id}/runs/{run_id}/cancel": {
        post: {
          operationId: "cancelRun",
          summary: "Cancel a run",
          parameters: [...ids, ...RUN_QUERY, prefer()],
          requestBody: reason(),
          responses: { 200: cancelled(run), ...failures(CANCELS) },
        },
      },
      "/v1/threads/{thread_id}/runs/{run_id}": {
        get: {
          operationId: "readRun",
          summary: "Read a run, allowed as its cancel is",
          parameters: [...ids, ...RUN_QUERY, noStream()],
          responses: { 200: read(run), ...failures(RUN_READS) },
        },
      },
      "/v1/threads/{thread_id}/runs/{run_id}/owner": {
        put: {
          operationId: "registerOwner",
          summary: "Say whose run it is, for tenants whose proof is the registry",
          description: "Needs the scope `runs:register`. A later registration replaces an earlier.",
          parameters: ids,
          requestBody: owner(),
          responses: {
            204: { description: "Registered, and on record.", headers: auditHeaders() },
            ...failures(REGISTRATIONS),
          },
        },
      },
      "/v1/threads/{thread_id}/cancel": {
        post: {
          operationId: "cancelThread",
          summary: "Cancel every active run of a thread that the caller may cancel",
          description:
            "At most 20 runs in one call; `has_more` tells of more. The headers `audit-id` and `cancel-outcome` are lists in the order of `data`. Runs that others own are not mentioned.",
          parameters: [pathParameter("thread_id"), ...RUN_QUERY, prefer()],
          requestBody: reason(),
          responses: {
            200: {
              description: "What was stopped.",
              headers: {
                ...cancelHeaders(),
                "cancel-outcome": header("A word for each of `data`, in its order.", STRING),
                "audit-id": header("An event's id for each of `data`, in its order.", STRING),
              },
              ...json(ref("RunList")),
            },
            ...failures(CANCELS),
          },
        },
      },
      "/v1/responses/{response_id}/cancel": {
        post: {
          operationId: "cancelResponse",
          summary: "Cancel a background response, where the upstream speaks the Responses API",
          parameters: [...responseId, ...RESPONSE_QUERY, prefer()],
          requestBody: reason(),
          responses: { 200: cancelled(response), ...failures(CANCELS) },
        },
      },
      "/v1/responses/{response_id}": {
        get: {
          operationId: "readResponse",
          summary: "Read a response, allowed as its cancel is",
          parameters: [
            ...responseId,
            ...RESPONSE_QUERY,
            noStream(),
            ignored("include[]", { type: "array", items: STRING }),
            ignored("include_obfuscation", { type: "boolean" }),
          ],
          responses: { 200: read(response), ...failures(RUN_READS) },
        },
      },
      "/v1/responses/{response_id}/owner": {
        put: {
          operationId: "registerResponseOwner",
          summary: "Say whose response it is, for tenants whose proof is the registry",
          description: "Needs the scope `runs:register`. A later registration replaces an earlier.",
          parameters: responseId,
          requestBody: owner(),
          responses: {
            204: { description: "Registered, and on record.", headers: auditHeaders() },
            ...failures([...REGISTRATIONS, "unsupported_by_upstream"]),
          },
        },
      },
      "/v1/policy/explain": {
        post: {
          operationId: "explainPolicy",
          summary: "Why the caller may, or may not, cancel a run; cancels nothing",
          requestBody: {
            required: true,
            ...json({
              type: "object",
              properties: {
                thread_id: {
                  type: ["string", "null"],
                  description: "null for a response, which is named alone.",
                },
                run_id: { type: "string" },
              },
              required: ["thread_id", "run_id"],
              additionalProperties: false,
            }),
          },
          responses: {
            200: { description: "The decision.", ...json(ref("Explanation")) },
            ...failures(EXPLANATIONS),
          },
        },
      },
      "/v1/audit/events": {
        get: {
          operationId: "listEvents",
          security: AUDITOR,
          summary: "The tenant's audit events, newest first",
          parameters: [
            query("limit", { type: "integer", minimum: 1, maximum: 200, default: 50 }),
            query("cursor", { type: "string" }),
          ],
          responses: {
            200: { description: "A page.", ...json(ref("EventList")) },
            ...failures(AUDIT_READS),
          },
        },
      },
      "/v1/audit/events/{id}": {
        get: {
          operationId: "readEvent",
          security: AUDITOR,
          summary: "One audit event",
          parameters: [pathParameter("id")],
          responses: {
            200: { description: "The event.", ...json(ref("AuditEvent")) },
            ...failures([...AUDIT_READS, "not_found"]),
          },
        },
      },
      "/v1/audit/export": {
        get: {
          operationId: "exportEvents",
          security: AUDITOR,
          summary: "Every closed event, one a line",
          parameters: [query("cursor", { type: "string" })],
          responses: {
            200: {
              description: "NDJSON.",
              content: { "application/x-ndjson": { schema: { type: "string" } } },
            },
            ...failures(AUDIT_READS),
          },
        },
      },
      "/.well-known/audit-keys.json": {
        get: {
          operationId: "readAuditKeys",
          summary: "The public keys of signed events",
          security: [],
          responses: {
            200: { description: "A JWK set.", ...json({ type: "object" }) },
            ...failures(["invalid_request", "method_not_allowed", "config_invalid"]),
          },
        },
      },
      "/healthz": {
        get: {
          operationId: "readHealth",
          summary: "Whether the config serves",
          security: [],
          responses: {
            200: { description: "It does.", ...json({ type: "object" }) },
            ...failures(["invalid_request", "method_not_allowed", "config_invalid"]),
          },
        },
      },
      "/openapi.json": {
        get: {
          operationId: "readDescription",
          summary: "This document",
          security: [],
          responses: {
            200: { description: "OpenAPI 3.1.", ...json({ type: "object" }) },
            ...failures(["invalid_request", "method_not_allowed", "config_invalid"]),
          },
        },
      },
    },
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
        // Behind Cloudflare Access, where an issuer is configured to take it.
        access: { type: "apiKey", in: "header", name: "Cf-Access-Jwt-Assertion" },
      },
      schemas: {
        Run: schemaOf(Run),
        Response: schemaOf(ResponseObject),
        RunList: {
          type: "object",
          properties: {
            object: { const: "list" },
            data: { type: "array", items: ref("Run") },
            first_id: { type: ["string", "null"] },
            last_id: { type: ["string", "null"] },
            has_more: { type: "boolean" },
            errors: {
              description: "Runs that could not be stopped; absent when there are none.",
              type: "array",
              items: {
                type: "object",
                properties: {
                  run_id: {
                    type: ["string", "null"],
                    description: "null where it could not be read whose run it is.",
                  },
                  audit_id: { type: ["string", "null"] },
                  error: { $ref: "#/components/schemas/Error/properties/error" },
                },
                required: ["run_id", "audit_id", "error"],
              },
            },
          },
          required: ["object", "data", "first_id", "last_id", "has_more"],
        },
        Explanation: schemaOf(Explanation),
        AuditEvent: schemaOf(AuditEvent),
        EventList: {
          type: "object",
          properties: {
            object: { const: "list" },
            data: { type: "array", items: ref("AuditEvent") },
            has_more: { type: "boolean" },
            next_cursor: { type: ["string", "null"] },
          },
          required: ["object", "data", "has_more", "next_cursor"],
        },
        Error: {
          type: "object",
          properties: {
            error: {
              type: "object",
              properties: {
                message: { type: "string" },
                type: { type: "string" },
                param: { type: ["string", "null"] },
                code: { enum: Object.keys(FAILURES) },
              },
              required: ["message", "type", "param", "code"],
              additionalProperties: false,
            },
          },
          required: ["error"],
          additionalProperties: false,
        },
      },
    },
  };
}

function reason(): Json {
  return {
    required: false,
    ...json({
      type: ["object", "null"],
      properties: { reason: { type: ["string", "null"], maxLength: 256 } },
      additionalProperties: false,
    }),
  };
}

function owner(): Json {
  return {
    required: true,
    ...json({
      type: "object",
      properties: { subject: { type: "string", minLength: 1, maxLength: 255 } },
      required: ["subject"],
      additionalProperties: false,
    }),
  };
}

/** One response per status: OpenAPI has no other way to tell two codes of one status apart. */
function failures(reasons: readonly Reason[]): Json {
  const byStatus = Map.groupBy(reasons, (reason) => FAILURES[reason].status);
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      {
        description: codes.join(", "),
        headers: failureHeaders(codes),
        ...json(ref("Error")),
      },
    ]),
  );
}

function header(description: string, schema: Json): Json {
  return { description, schema };
}

function requestHeaders(): Json {
  return { "x-request-id": header("The request's id in the log.", STRING) };
}

function auditHeaders(): Json {
  return { ...requestHeaders(), "audit-id": header("The event's id.", STRING) };
}

function cancelHeaders(): Json {
  return {
    ...requestHeaders(),
    "cancel-outcome": header("What is true of the cancel.", { enum: OUTCOMES }),
    "audit-id": header("The event's id, or `none`.", STRING),
    "preference-applied": header("RFC 7240.", STRING),
  };
}

function failureHeaders(codes: readonly Reason[]): Json {
  const final = codes.some((code) => FAILURES[code].final);
  const again = codes.some((code) => !FAILURES[code].final);
  return {
    ...requestHeaders(),
    ...(codes.includes("insufficient_scope")
      ? { "www-authenticate": header("With `scope`: the scopes that would do (RFC 6750).", STRING) }
      : {}),
    ...(final
      ? { "x-should-retry": header("`false` on a final error: do not try again.", STRING) }
      : {}),
    ...(again ? { "retry-after": header("Seconds to wait, where that is known.", STRING) } : {}),
  };
}

function schemaOf(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "output" });
  return rest;
}

function json(schema: Json): Json {
  return { content: { "application/json": { schema } } };
}

function ref(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function pathParameter(name: string): Json {
  return { name, in: "path", required: true, schema: { type: "string" } };
}

function query(name: string, schema: Json): Json {
  return { name, in: "query", required: false, schema };
}

function ignored(name: string, schema: Json): Json {
  return { ...query(name, schema), description: "Taken, and changes nothing." };
}

function noStream(): Json {
  const description = "A stream is not served.";
  return { ...query("stream", { type: "boolean", const: false }), description };
}

function prefer(): Json {
  const description = "`wait=N` (seconds, at most 25), `handling=strict` or `handling=lenient`.";
  return { name: "prefer", in: "header", required: false, description, schema: { type: "string" } };
}
