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
    // ASP.NET: the parameters are the names.
    if (name === "errors" && isRecord(held)) {
      found.params.push(...Object.keys(held));
      for (const words of Object.values(held)) collect(words, found, depth - 1);
    }
  }
  for (const [name, held] of members) if (WITHIN.has(name)) collect(held, found, depth - 1);
}

function collectParam(held: unknown, found: Record<keyof Problem, string[]>): void {
  if (typeof held === "string") found.params.push(held);
  // FastAPI: where it is, and its name.
  const path: unknown[] = Array.isArray(held) ? held : [];
  if (path.length > 0) found.params.push(path.filter((one) => typeof one === "string").join("."));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, "");
}

/** What stands before the words: quotes, a status, Azure's `(None)`, the class of the error (`litellm.BadRequestError:`). */
const BEFORE_WORDS =
  /^(?:["'`\s]+|\(\w*\)\s+|(?:http )?[45]\d\d[: -]+|[\w.]{0,80}(?:Error|Exception)(?:: | - ))+/i;

function bare(words: string): string {
  const whole = words.slice(0, TEXT_LENGTH).trim();
  const inner = /^(["'`])(.*)\1$/s.exec(whole)?.[2] ?? whole;
  return inner.replace(BEFORE_WORDS, "");
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

/** A parameter that is the id of what was asked for; one of a header, a query or a body is not. */
const ID_PARAM =
  /^((path|params?)[./])?(((run|thread|response|session|turn|interaction)[_-]?)?id|name)$/i;
const ID_CODES =
  /^(invalid_(value|type|id|uuid|format|parameters?)|string_(above_max|below_min)_length|uuid_(parsing|type|version)|string_(too_(long|short)|pattern_mismatch)|value_error\.uuid|int_parsing|invalid_string|value_error)/i;
const OF_ID = "(?:run|thread|response|session|turn|interaction)[_ -]?(?:id|name)";
const BAD = "(?:invalid|malformed|badly formed|incorrect|not valid|not a valid)";
const ID_WORDS: readonly RegExp[] = [
  /^invalid '\w*id'/i,
  /expected an id that begins with/i,
  /^(invalid|malformed) (id|identifier)\b/i,
  /\b(must be|is not|not) a valid (objectid|id)\b/i,
  new RegExp(`\\b${BAD}\\b[^.]{0,40}\\b(?:object ?id|resource (?:name|id)|${OF_ID})\\b`, "i"),
  new RegExp(`\\b${OF_ID}\\b[^.]{0,80}\\b(?:${BAD}|incorrect)\\b`, "i"),
  /\b(invalid|malformed|valid|must|should|bad(ly)?|expected)\b[^.]{0,80}\b(uuid|guid|ulid)\b/i,
  /\b(uuid|guid|ulid)\b[^.]{0,40}\b(invalid|malformed|expected|format)\b/i,
];
/** What is at fault is something else, which the operator has to mend. */
const NOT_OF_RUN =
  /\b(header|query|cookie|body|organi[sz]ation|project|model|assistant|tenant|user)\b|\bx-/i;
/** A database's word for an id of another kind, which servers let through as their own failure. */
const UNCAUGHT = /invalid input syntax for type (uuid|bigint|integer)/i;
const WRONG = new RegExp(`\\b${BAD}\\b`, "i");

/** The server refuses the id before it looks it up: there is no such run. */
export function isMalformedId(status: number, problem: Problem): boolean {
  if (status === 500) return says(problem, UNCAUGHT);
  if (status !== 400 && status !== 422) return false;
  // A path is where it happened, not what is at fault (Spring); `{…}` is the value (Azure).
  const params = problem.params
    .filter((param) => !param.startsWith("/"))
    .map((param) => param.replace(/\{.*\}$/s, ""));
  const isId = params.some((param) => ID_PARAM.test(param));
  if (params.length > 0 && !isId) return false;
  const messages = problem.messages.filter((message) => !NOT_OF_RUN.test(message));
  if (messages.some((message) => ID_WORDS.some((pattern) => pattern.test(message)))) return true;
  if (!isId) return false;
  const isInPath = params.some((param) => param.startsWith("path."));
  const isNamed = problem.codes.includes("INVALID_ARGUMENT") || says(problem, WRONG);
  return isInPath || isNamed || problem.codes.some((code) => ID_CODES.test(code));
}

/** A status in words, or little more: it counts only where nothing else is said. */
const PHRASES: readonly RegExp[] = [
  /^((the |this )?(requested )?(page|resource|url|object) )?(was )?not found\.?$/i,
  /^(method not (found|allowed)|not implemented|bad request)\.?$/i,
];
/** What frameworks and proxies say of an address that leads nowhere. */
const ROUTE_WORDS: readonly RegExp[] = [
  /^cannot (post|get) \//i,
  /^(the |this )?(requested )?(route|endpoint|path|url|uri|operation|api)\b.{0,300}\b(not (be )?(found|supported)|does ?n[o']t exist)/i,
  /^(unknown|invalid|unsupported|no such|no|unrecognized) (request )?(url|uri|route|endpoint|path|operation|handler)\b/i,
  /\bno route matched|no static resource|requested (url|resource) .{0,300}not found on (the|this) server/i,
  /^default backend - 404/i,
  /^</,
];

/** The address is not there, or not for this method: it says nothing of the run. */
export function isOfRoute(status: number, problem: Problem): boolean {
  if (status === 405 || status === 501) return true;
  if (status !== 404) return false;
  if (problem.codes.includes("unknown_url")) return true;
  // Nothing at all is what some frameworks answer; an empty object has been made by somebody.
  if (problem.messages.length === 0) return false;
  const said = problem.messages.filter(
    (one) => one !== "" && !PHRASES.some((phrase) => phrase.test(one)),
  );
  return said.length === 0 || ROUTE_WORDS.some((words) => said.some((one) => words.test(one)));
}

/** Of a 403. `key`: another key may do. `state`: the run's, which refuses the cancel. */
export type Forbidden = "key" | "run" | "state" | { readonly because: string };

/** A run in a sentence; after `to` and its kin, `run` is a verb. */
const NOUN =
  "(?<!\\b(?:to|can|cannot|not|may|must|and|or) )\\b(?:run|response|thread|session|turn|interaction|conversation)(?: id)?\\b";
const NAMED_RUN = `(?:(?:this|the|that) ${NOUN}(?! (?:resource|endpoint|api|object)s?\\b)|${NOUN} ['"\`]?[\\w.:=+-]*[\\d_])`;
const TO_USE = "(?:access|view|read|see|use|modify|cancel|stop|interrupt)";

function sentence(pattern: string): RegExp {
  return new RegExp(pattern, "i");
}

/** Each within one sentence that is not about the key. */
const RUN_WORDS: readonly RegExp[] = [
  sentence(`${NOUN}.{0,200}\\bnot (?:issued|owned|created|associated)\\b`),
  sentence(`${NOUN}.{0,200}\\b(?:created|owned) by (?:another|a different|someone)\\b`),
  sentence(`${NOUN}(?: ['"\`]?[\\w.:=+-]*[\\d_][^ ]*)? (?:belongs to|is owned by)\\b`),
  sentence(`\\b(?:(?:do|does|did) not|don't|doesn't|didn't) own ${NAMED_RUN}`),
  sentence(`\\bnot (?:the |an )?owner of ${NAMED_RUN}`),
  sentence(
    `\\b(?:(?:do|does) not|don't|doesn't) have (?:access|permissions?) to (?:${TO_USE} )?${NAMED_RUN}`,
  ),
  // Here `run` stands behind `to`, and an id behind it makes it a noun.
  /\b(?:(?:do|does) not|don't|doesn't) have access to run ['"`]?(?:\w+_\w+|[\da-f]{8}-[\da-f-]{27})/i,
  sentence(`\\bnot (?:authori[sz]ed|allowed|permitted) to ${TO_USE} ${NAMED_RUN}`),
  /permission to access .{0,200}or it may not exist/i,
  /(does not|doesn't|do not|don't) have (access|permission)s? to (access |view |read |cancel )?(this|the) (object|resource)/i,
];
/** The key is what lacks something, or belongs somewhere. */
const OF_KEY =
  /^\W*(?:(?:forbidden|access denied|permission denied)\W+)?(?:(?:the|this|your|that) )?(?:\w+ )?(?:key|token|credentials?|account|project|organi[sz]ation)\b/i;
/** The run's state, in a sentence about the run. */
const STATE_WORDS =
  /\bin (?:its|the|this|a) (?:\w+ )?(?:state|status)\b|\balready (?:ended|finished|completed?|cancell?ed|failed|expired|done|over|terminal)\b|\bnot (?:running|active|in progress|cancell?able)\b/i;
const OF_RUN = sentence(NOUN);

function isSaidOfRun(problem: Problem, patterns: readonly RegExp[]): boolean {
  return problem.messages
    .flatMap((words) => words.split(/[.;!](?:\s+|$)/))
    .filter((words) => !OF_KEY.test(words))
    .some((words) => patterns.every((pattern) => pattern.test(words)));
}

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
  [
    "the account's quota is used up",
    /^(insufficient_quota|quota_exceeded|billing_hard_limit_reached)$/i,
    /exceeded your (current|monthly) (quota|usage limit)/i,
  ],
  [
    "what stands before it blocks the request",
    /^(cloudflare_error|waf_blocked)$/i,
    /^error code: 1\d{3}\b|^error 1\d{3}: |\byour request was blocked|\brequest (has been |was )?blocked by/i,
  ],
  // AWS's API gateways say so of a route that they do not have.
  ["its address leads nowhere", /^MissingAuthenticationToken/i, /^missing authentication token$/i],
];

/**
 * What a 403 is about. A page comes from what stands before the server, and knows no key; in other words than these it is
 * the key that is refused, as most servers mean it, and a refused request had no effect.
 */
export function forbiddenBy({ text: whole, body }: Pick<Reply, "body" | "text">): Forbidden {
  const problem = problemIn({ body, text: whole });
  if (RUN_WORDS.some((pattern) => isSaidOfRun(problem, [pattern]))) return "run";
  if (isSaidOfRun(problem, [OF_RUN, STATE_WORDS])) return "state";
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
