// One reader for the errors of all servers: what they say, in which words, about what. Pure.
import { member } from "./json.ts";
import type { Reply } from "./upstream.ts";

/** What a reply says is wrong, wherever in its body it says so. Its texts are for recognising alone. */
export interface Problem {
  readonly messages: readonly string[];
  /** Codes, types, reasons and states, as they are written. */
  readonly codes: readonly string[];
  /** The parameters at fault. */
  readonly params: readonly string[];
}

/**
 * Where servers put them: OpenAI's envelope, also flat (SGLang) or nested (proxies), FastAPI's `detail` as text, object
 * or list, Google's list around the error with its `details` (AIP-193), RFC 9457's problem, AWS's `Message`, JSON
 * within a message. Names are compared in small letters, without separators: `error_message` is `errorMessage`.
 */
const MESSAGES: ReadonlySet<string> = new Set([
  "message",
  "detail",
  "title",
  "msg",
  "reason",
  "description",
  "errordescription",
  "errormessage",
  "errormsg",
  "error",
  "faultstring",
]);
const CODES: ReadonlySet<string> = new Set([
  "code",
  "type",
  "status",
  "statuscode",
  "errorcode",
  "reason",
  "error",
]);
const PARAMS: ReadonlySet<string> = new Set(["param", "field", "loc", "path"]);
const WITHIN: ReadonlySet<string> = new Set([
  "error",
  "errors",
  "detail",
  "details",
  "issues",
  "message",
  "errormessage",
  "fieldviolations",
  "fault",
  "ctx",
  "body",
]);
const DEEPEST = 8;
const MOST = 32;
const TEXT_LENGTH = 2_000;

export function problemIn({ body, text: whole }: Pick<Reply, "body" | "text">): Problem {
  const found = {
    messages: [] as string[],
    codes: [] as string[],
    params: [] as string[],
  };
  if (body === undefined) found.messages.push(bare(whole));
  else collect(body, found, DEEPEST);
  return found;
}

function collect(value: unknown, found: Record<keyof Problem, string[]>, depth: number): void {
  if (depth === 0 || found.messages.length >= MOST) return;
  if (typeof value === "string") {
    found.messages.push(bare(value));
    const within = jsonWithin(value);
    if (within !== undefined) collect(within, found, depth - 1);
    return;
  }
  if (Array.isArray(value)) {
    for (const one of value.slice(0, MOST)) collect(one, found, depth - 1);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const members = Object.entries(value).map(
    ([name, held]: [string, unknown]) => [plainName(name), held] as const,
  );
  for (const [name, held] of members) {
    if (MESSAGES.has(name) && typeof held === "string") found.messages.push(bare(held));
    if (CODES.has(name) && (typeof held === "string" || typeof held === "number")) {
      found.codes.push(String(held).slice(0, TEXT_LENGTH));
    }
    if (PARAMS.has(name)) collectParam(held, found);
  }
  for (const [name, held] of members) if (WITHIN.has(name)) collect(held, found, depth - 1);
}

function collectParam(held: unknown, found: Record<keyof Problem, string[]>): void {
  if (typeof held === "string") found.params.push(held);
  // FastAPI: where it is, and its name.
  const path: unknown[] = Array.isArray(held) ? held : [];
  if (path.length > 0) found.params.push(path.filter((one) => typeof one === "string").join("."));
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, "");
}

/** What stands before the words: quotes, a status, Azure's `(None)`, the class of the error (`litellm.BadRequestError:`). */
const BEFORE_WORDS =
  /^(?:["'`\s]+|\(\w*\)\s+|(?:http )?[45]\d\d[: -]+|[\w.]{0,80}(?:Error|Exception)(?:: | - ))+/i;

function bare(words: string): string {
  return words
    .slice(0, TEXT_LENGTH)
    .replace(BEFORE_WORDS, "")
    .replace(/["'`\s]+$/, "");
}

/** Proxies quote the error of the server behind them: `OpenAIException - {"error": …}`. */
function jsonWithin(words: string): unknown {
  const from = words.indexOf("{");
  const to = words.lastIndexOf("}");
  if (from < 0 || to < from) return undefined;
  try {
    return JSON.parse(words.slice(from, to + 1));
  } catch {
    return undefined;
  }
}

function says({ messages }: Problem, pattern: RegExp): boolean {
  return messages.some((message) => pattern.test(message));
}

/** A parameter that is the id of what was asked for. */
const ID_PARAM = /^(path\.)?\w*(^|_|\.)(id|name)$/i;
const ID_CODES =
  /^(invalid_(value|type|id|uuid|format)|string_(above_max|below_min)_length|uuid_(parsing|type|version)|string_(too_(long|short)|pattern_mismatch)|value_error\.uuid|int_parsing|invalid_string|value_error)/i;
const ID_WORDS: readonly RegExp[] = [
  /^Invalid '\w*id'/i,
  /expected an id that begins with/i,
  /\b(must be|is not|not) a valid (uuid|objectid|\w* ?id)\b/i,
  /\b(invalid|malformed|badly formed)\b[^.]{0,40}\b(uuid|object ?id|(run|thread|response|session|turn|interaction)[_ -]?id)\b/i,
  /\b(uuid|guid)\b/i,
  /\binvalid (interaction|resource) (name|id)\b/i,
];

/** The server refuses the id before it looks it up: there is no such run. */
export function isMalformedId(status: number, problem: Problem): boolean {
  if (status !== 400 && status !== 422) return false;
  if (ID_WORDS.some((pattern) => says(problem, pattern))) return true;
  const isId = problem.params.some((param) => ID_PARAM.test(param));
  if (!isId) return false;
  const isInPath = problem.params.some((param) => param.startsWith("path."));
  const isNamed = problem.codes.includes("INVALID_ARGUMENT");
  return isInPath || isNamed || problem.codes.some((code) => ID_CODES.test(code));
}

/** What frameworks and proxies say of an address that leads nowhere. */
const ROUTE_WORDS: readonly RegExp[] = [
  /^(page )?not found\.?$/i,
  /^cannot (post|get) \//i,
  /^route (post|get):?.* not found/i,
  /^(method not (found|allowed)\.?|resource not found)$/i,
  /^(invalid url|unknown request url)\b/i,
  /no route matched|no static resource|requested (url|resource) .{0,300}not found on (the|this) server/i,
  /^</,
];

/** The address is not there, or not for this method: it says nothing of the run. */
export function isOfRoute(status: number, problem: Problem): boolean {
  if (status === 405 || status === 501) return true;
  if (status !== 404) return false;
  // Nothing at all is what some frameworks answer; an empty object has been made by somebody.
  const isSilent = problem.messages.length > 0 && problem.messages.every((one) => one === "");
  return (
    isSilent || problem.codes.includes("unknown_url") || ROUTE_WORDS.some((p) => says(problem, p))
  );
}

/** Of a 403. `key`: another key may do. */
export type Forbidden = "key" | "run" | { readonly because: string };

const RUN_WORDS: readonly RegExp[] = [
  /not associated with the (user|team|key)/i,
  /permission to access .{0,200}or it may not exist/i,
  /(does not|doesn't|do not|don't) have (access|permission)s? to (access |view |read |cancel )?(this|the) (response|run|thread|object|resource|session|interaction|conversation)/i,
  /(response|run|thread|session|interaction) .{0,200}(belongs to|owned by|owner)/i,
];
const ELSEWHERE: readonly (readonly [because: string, code: RegExp, words: RegExp])[] = [
  [
    "it does not serve this country or region",
    /^(unsupported_country_region_territory|unsupported_country|location_not_supported)$/i,
    /country, region, or territory not supported|location is not supported/i,
  ],
  [
    "it does not serve this network",
    /^(ip_not_authorized|ip_not_allowed|network_not_allowed|request_blocked)$/i,
    /\bip\b.{0,60}\b(not (allowed|authorized|permitted)|blocked)|virtual network|firewall|public access is disabled|private endpoint/i,
  ],
  [
    "its service is not enabled, or is suspended",
    /^(service_disabled|billing_disabled|consumer_suspended|account_deactivated|billing_not_active)$/i,
    /has not been used in project|it is disabled|service has been disabled|account .{0,40}(suspended|deactivated)/i,
  ],
  [
    "the model is not open to this account",
    /^(model_not_found|model_access_denied|key_model_access_denied|team_model_access_denied)$/i,
    /(does not have|don't have|no) access to (the )?model|not allowed to access model/i,
  ],
  [
    "its policy forbids it",
    /^(policy_violation|content_policy_violation|organization_must_be_verified)$/i,
    /organization must be verified/i,
  ],
];

/**
 * What a 403 is about. A page comes from what stands before the server, and knows no key; in other words than these it is
 * the key that is refused, as most servers mean it, and a refused request had no effect.
 */
export function forbiddenBy({ text: whole, body }: Pick<Reply, "body" | "text">): Forbidden {
  const problem = problemIn({ body, text: whole });
  if (RUN_WORDS.some((pattern) => says(problem, pattern))) return "run";
  for (const [because, code, words] of ELSEWHERE) {
    if (problem.codes.some((one) => code.test(one)) || says(problem, words)) return { because };
  }
  if (/^\s*</.test(whole)) return { because: "a page was sent, and no answer of its own" };
  return "key";
}

/** Of a code that an error alone has: a status, or the word itself. */
const FAILURE_CODE = /^([45]\d\d|error|failed|failure|\w+[_ ]?error)$/i;

/** An answer with a status of success that says that there was none: an error, or a text that is no JSON. */
export function isFailure(reply: Pick<Reply, "body" | "text">): boolean {
  if (reply.body === undefined) return reply.text.trim() !== "";
  return isMarked(reply.body) || problemIn(reply).codes.some((code) => FAILURE_CODE.test(code));
}

function isMarked(body: unknown): boolean {
  if (Array.isArray(body)) return body.slice(0, MOST).some(isMarked);
  const isSaid = !isNothing(member(body, "error")) || !isNothing(member(body, "errors"));
  const isDenied = member(body, "success") === false || member(body, "ok") === false;
  return isSaid || isDenied || member(body, "object") === "error";
}

/** What servers send in place of a member that they leave out. */
export function isNothing(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === false || value === "" || value === 0;
}
