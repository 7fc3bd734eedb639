// Faults on demand: which request gets a false, late or missing reply. Picks the fault and writes
// its reply; `app.ts` does the waiting.
import * as z from "zod";
import { type ErrorBody, errorBody, incorrectKey, invalidUrl } from "./errors.ts";

const Pattern = z.string().refine(isPattern, "not a regular expression");

export const Fault = z.strictObject({
  match: z.strictObject({
    method: z.string().toUpperCase().optional(),
    /** A regular expression, searched for in path and query. */
    path: Pattern.optional(),
  }),
  reply: z
    .strictObject({
      /** Answer this status instead of the true one. */
      status: z.int().min(200).max(599).optional(),
      headers: z.record(z.string(), z.string()).optional(),
      /** A string goes out as it is, anything else as JSON. Absent: OpenAI's text for the status. */
      body: z.unknown().optional(),
      /** Wait this long first. */
      delay_ms: z.number().nonnegative().optional(),
      /** Never answer. */
      hang: z.literal(true).optional(),
      /** Carry the request out before the waiting, hanging or false reply: the answer is lost. */
      apply: z.literal(true).optional(),
    })
    .refine(
      (reply) => reply.status !== undefined || reply.delay_ms !== undefined || reply.hang === true,
      "one of status, delay_ms and hang is needed",
    ),
  /** How many requests it meets before it is gone; without it, all until faults are deleted. */
  times: z.int().min(1).optional(),
});
export type Fault = z.infer<typeof Fault>;

/** The first fault that matches, used up by one. */
export function takeFault(faults: Fault[], method: string, path: string): Fault | undefined {
  const index = faults.findIndex((fault) => meets(fault, method, path));
  const fault = faults[index];
  if (fault?.times === undefined) return fault;
  if (fault.times > 1) faults[index] = { ...fault, times: fault.times - 1 };
  else faults.splice(index, 1);
  return fault;
}

export function faultReply(status: number, reply: Fault["reply"], request: Request): Response {
  const body = reply.body ?? openAIBody(status, request);
  const headers = new Headers(reply.headers);
  if (body === null || status === 204 || status === 304) {
    return new Response(null, { status, headers });
  }
  const isText = typeof body === "string";
  if (!headers.has("content-type")) {
    headers.set("content-type", isText ? "text/plain; charset=utf-8" : "application/json");
  }
  return new Response(isText ? body : JSON.stringify(body), { status, headers });
}

function meets({ match }: Fault, method: string, path: string): boolean {
  if (match.method !== undefined && match.method !== method) return false;
  return match.path === undefined || new RegExp(match.path).test(path);
}

/** The texts a gateway must not relay: part of the key in the 401, the organisation in the 429. */
function openAIBody(status: number, request: Request): ErrorBody | null {
  switch (status) {
    case 401:
      return incorrectKey(request.headers.get("authorization")?.slice("Bearer ".length) ?? "").body;
    case 404:
      return invalidUrl(request.method, new URL(request.url).pathname);
    case 429:
      return errorBody(
        "Rate limit reached for gpt-4o in organization org-Simulated1234 on requests per min " +
          "(RPM): Limit 500, Used 500, Requested 1. Please try again in 120ms. Visit " +
          "https://platform.openai.com/account/rate-limits to learn more.",
        { type: "requests", code: "rate_limit_exceeded" },
      );
    case 500:
      return errorBody("The server had an error while processing your request. Sorry about that!", {
        type: "server_error",
      });
    case 503:
      return errorBody("Our servers are currently overloaded. Please try again later.", {
        type: "service_unavailable_error",
        code: "server_is_overloaded",
      });
    default:
      return null;
  }
}

function isPattern(pattern: string): boolean {
  try {
    return new RegExp(pattern) instanceof RegExp;
  } catch {
    return false;
  }
}
