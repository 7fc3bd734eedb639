// Clients as they are: what browsers, apps, SDKs and scripts really send, and what they should get. One
// line a case. Pure data: `clients.test.ts` drives it in workerd, `test/e2e/world-clients.test.ts` over HTTP.

/** Who sends it. Ann and Ada are acme's, Gus is globex's; the stranger of acme has no scope. */
export const PEOPLE = {
  ann: { tenant: "acme", sub: "ann", scope: "runs:cancel" },
  gus: { tenant: "globex", sub: "gus", scope: "runs:cancel" },
  ada: { tenant: "acme", sub: "ada", scope: "audit:read" },
  zoe: { tenant: "acme", sub: "zoe", scope: "profile" },
} as const;
type Sender = keyof typeof PEOPLE;

const APP = "https://app.acme.test";
/** What acme's config lists; globex's has its own page. */
export const ORIGINS = {
  acme: [
    APP,
    "https://localhost",
    "http://tauri.localhost",
    "tauri://localhost",
    "capacitor://localhost",
    "ionic://localhost",
    "app://obsidian.md",
    "app://-",
    "chrome-extension://kbfnbcaeplbcioakkpcpgfkobkghlhen",
    "moz-extension://6e4b5b1c-9a33-4f9e-a3f0-3a6f0c7f3f0e",
    "safari-web-extension://5C8B8E0B-0C4F-4A8F-9E5B-2F6F6E6C9F11",
    "vscode-webview://0a1b2c",
    "file://",
    "qrc://",
    "https://app-*-team.vercel.app",
    "https://deploy-preview-*--acme.netlify.app",
    "https://*-acme.pages.test:8443",
  ],
  globex: ["https://app.globex.test"],
} as const;

export interface Expected {
  readonly status: number;
  readonly code?: string;
  readonly param?: string | null;
  /** Response headers; null: not there. */
  readonly headers?: Readonly<Record<string, string | null>>;
  /** Names that a preflight must allow, and names that it must not. */
  readonly allows?: readonly string[];
  readonly refuses?: readonly string[];
}

export interface ClientCase {
  readonly row: string;
  readonly name: string;
  readonly method: string;
  /** `{run}`, `{thread}` and `{response}` are addresses of things that are going on. */
  readonly path: string;
  readonly as: Sender | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly expected: Expected;
}

/** What a driver has to bring. */
export interface World {
  readonly send: (path: string, init: RequestInit) => Promise<Response>;
  /** A token of that person. */
  readonly token: (sender: Sender) => Promise<string>;
  /** Starts a run of Ann's. */
  readonly startRun: () => Promise<{ readonly thread: string; readonly run: string }>;
  /** Starts a response of Gus's. */
  readonly startResponse: () => Promise<string>;
}

/** Sends the case, and shows of the answer what is expected of it. */
export async function play(world: World, { expected, ...asked }: ClientCase): Promise<Expected> {
  const token = asked.as === null ? null : await world.token(asked.as);
  const response = await world.send(await addressOf(world, asked.path), {
    method: asked.method,
    headers: { ...(token !== null && { authorization: `Bearer ${token}` }), ...asked.headers },
    body: asked.body,
  });
  const text = await response.text();
  const { status, headers } = response;
  const { code, param } = errorIn(text);
  const allowed = (headers.get("access-control-allow-headers") ?? "").toLowerCase().split(",");
  return {
    status,
    ...(expected.code !== undefined && { code }),
    ...(expected.param !== undefined && { param }),
    ...(expected.headers !== undefined && {
      headers: Object.fromEntries(
        Object.keys(expected.headers).map((name) => [name, headers.get(name)]),
      ),
    }),
    ...(expected.allows !== undefined && {
      allows: expected.allows.filter((name) => allowed.includes(name)),
    }),
    ...(expected.refuses !== undefined && {
      refuses: expected.refuses.filter((name) => !allowed.includes(name)),
    }),
  };
}

async function addressOf({ startRun, startResponse }: World, path: string): Promise<string> {
  if (path.startsWith("{response}")) {
    return path.replace("{response}", `/v1/responses/${await startResponse()}`);
  }
  if (!path.startsWith("{")) return path;
  const { thread, run } = await startRun();
  return path
    .replace("{run}", `/v1/threads/${thread}/runs/${run}`)
    .replace("{thread}", `/v1/threads/${thread}`);
}

function errorIn(text: string): { readonly code?: string; readonly param?: string | null } {
  if (!text.startsWith('{"error"')) return {};
  return (JSON.parse(text) as { error: { code: string; param: string | null } }).error;
}

const STAINLESS = [
  ...["x-stainless-lang", "x-stainless-package-version", "x-stainless-os", "x-stainless-arch"],
  ...["x-stainless-runtime", "x-stainless-runtime-version", "x-stainless-retry-count"],
  ...["x-stainless-timeout", "x-stainless-helper-method", "x-stainless-poll-helper"],
];
const PREFLIGHT = { method: "OPTIONS", as: null, body: null } as const;
const SEVENTY = Array.from({ length: 70 }, (_, index) => `x-${index}`);

function asksFor(name: string, asked: string, expected: Omit<Expected, "status">): ClientCase {
  return { ...preflight("C1", APP, asked), name, expected: { status: 204, ...expected } };
}

function preflight(row: string, origin: string, asked = "authorization") {
  const headers = {
    origin,
    "access-control-request-method": "POST",
    "access-control-request-headers": asked,
  };
  return { ...PREFLIGHT, row, path: "/v1/threads/thread_1/runs/run_1/cancel", headers };
}

const allowing = (name: string, names: readonly string[]): ClientCase =>
  asksFor(name, names.join(","), { allows: names });

const C1: readonly ClientCase[] = [
  allowing("openai 4 in Firefox and Safari", [
    ...["authorization", "content-type", "openai-beta", "user-agent", ...STAINLESS],
  ]),
  allowing("openai 7", ["authorization", "content-type", "openai-organization", ...STAINLESS]),
  allowing("a key in Azure's header", ["api-key", "content-type", "x-ms-client-request-id"]),
  allowing("Sentry", ["authorization", "baggage", "sentry-trace"]),
  allowing("OpenTelemetry", ["authorization", "traceparent", "tracestate", "baggage"]),
  allowing("Datadog", ["x-datadog-origin", "x-datadog-parent-id", "x-datadog-trace-id"]),
  allowing("Zipkin, Jaeger and New Relic", ["b3", "x-b3-traceid", "uber-trace-id", "newrelic"]),
  allowing("axios", ["authorization", "x-requested-with", "x-xsrf-token"]),
  allowing("a header of the app's own", ["x-acme-tab", "x_acme.tab", "x!#$%&'*+^`|~1"]),
  allowing("as many as are taken", SEVENTY.slice(0, 64)),
  asksFor("more than are taken", SEVENTY.join(","), {
    allows: SEVENTY.slice(0, 64),
    refuses: SEVENTY.slice(64),
  }),
  asksFor("in capitals, with blanks", " Authorization ,\tUser-Agent", {
    allows: ["authorization", "user-agent"],
  }),
  asksFor("names that are none among good ones", "authorization,x y,x:y,x(y),,x\u00e9,baggage", {
    allows: ["authorization", "baggage"],
    refuses: ["x y", "x:y", "x(y)", "", "x\u00e9"],
  }),
  asksFor("nothing", "", { allows: ["authorization", "content-type", "prefer"] }),
];

const CORS = "access-control-allow-origin";
const ALL_CORS = [
  CORS,
  ...["methods", "headers", "credentials"].map((what) => `access-control-allow-${what}`),
  ...["access-control-max-age", "access-control-expose-headers"],
];
const NO_CORS = Object.fromEntries(ALL_CORS.map((name) => [name, null]));

const listed = (origin: string): ClientCase => ({
  ...preflight("C2", origin),
  name: `${origin} may call`,
  expected: {
    status: 204,
    headers: { [CORS]: origin, vary: "Origin, Access-Control-Request-Headers" },
  },
});
const notListed = (origin: string): ClientCase => ({
  ...preflight("C2", origin),
  name: `${origin} may not call`,
  expected: { status: 204, headers: NO_CORS },
});
const reply = (origin: string, sees: boolean): ClientCase => ({
  row: "C2",
  name: `${origin} ${sees ? "may" : "may not"} read the answer`,
  method: "POST",
  path: "{run}/cancel",
  as: "ann",
  headers: { origin },
  body: null,
  expected: { status: 200, headers: { [CORS]: sees ? origin : null } },
});

const C2: readonly ClientCase[] = [
  ...ORIGINS.acme.filter((origin) => !origin.includes("*")).map(listed),
  listed("https://app-git-fix-12-team.vercel.app"),
  listed("https://app-8xkq2-team.vercel.app"),
  listed("https://deploy-preview-140--acme.netlify.app"),
  listed("https://f00-acme.pages.test:8443"),
  ...[
    ...["https://app--team.vercel.app", "https://app-a.b-team.vercel.app"],
    ...["https://app-a-teem.vercel.app", "https://app-a-team.vercel.apq"],
    ...["https://app-team.vercel.app", "https://xapp-a-team.vercel.app"],
    ...["https://app-a-team.vercel.app.evil.test", "https://app-a-team.evil.test"],
    ...["https://app-a-team.vercel.app.", "https://app-a-team.vercel.app..", "qrc:///x", "qrc://x"],
    ...["https://evil.test/app-a-team.vercel.app", "https://app-a-team.vercel.app:8443"],
    ...["http://app-a-team.vercel.app", "https://app-A-team.vercel.app"],
    ...["https://app-*-team.vercel.app", "https://app-a_b-team.vercel.app"],
    ...["https://app-%61-team.vercel.app", "https://app-a@b-team.vercel.app"],
    ...[`https://app-${"a".repeat(60)}-team.vercel.app`, "https://f00-acme.pages.test"],
    ...["null", "*", "tauri://localhost.evil", "tauri://LOCALHOST", "tauri://", "tauri:localhost"],
    ...["capacitor://localhost/", "capacitor://app", "ionic://localhost:80", "file:///etc/passwd"],
    ...["chrome-extension://kbfnbcaeplbcioakkpcpgfkobkghlhem", "app://", "app://obsidian.mdx"],
    ...["safari-web-extension://5c8b8e0b-0c4f-4a8f-9e5b-2f6f6e6c9f11"],
  ].map(notListed),
  reply("tauri://localhost", true),
  reply("https://app-x-team.vercel.app", true),
  reply("https://app-x-team.vercel.app.evil.test", false),
  reply("https://app-x-team.vercel.apq", false),
  reply("null", false),
  // A page of another tenant's: the preflight passes, the answer is not shown.
  listed("https://app.globex.test"),
  reply("https://app.globex.test", false),
];

const JSON_TYPE = "application/json";
const FORM = "application/x-www-form-urlencoded";

function bodies(path: string, as: Sender): readonly ClientCase[] {
  const cancel = (
    name: string,
    body: string | null,
    type: string | null,
    expected: Expected = { status: 200 },
  ): ClientCase => ({
    row: "C3",
    name: `${path}: ${name}`,
    ...{ method: "POST", path, as, body, expected },
    headers: type === null ? {} : { "content-type": type },
  });
  const refused = (name: string, body: string, param: string | null = null): ClientCase =>
    cancel(name, body, JSON_TYPE, { status: 400, code: "invalid_request", param });
  return [
    cancel("nothing, as openai 5 to 7 and curl -X POST", null, null),
    cancel("nothing, typed as JSON: openai 4", "", JSON_TYPE),
    cancel("nothing, typed as a form: jQuery, axios, requests", "", FORM),
    cancel("nothing, typed as text: fetch with an empty string", "", "text/plain;charset=UTF-8"),
    cancel("nothing, typed as parts", "", "multipart/form-data; boundary=x"),
    cancel("null: PostAsJsonAsync, json_encode(null)", "null", JSON_TYPE),
    cancel("null with a line's end: Go's json.Encoder", "null\n", JSON_TYPE),
    cancel("null, typed as text: fetch(JSON.stringify(null))", "null", "text/plain;charset=UTF-8"),
    cancel("null, typed as a form: requests(data=json.dumps(None))", "null", FORM),
    cancel("an empty text", '""', JSON_TYPE),
    cancel("a blank text", '" "', JSON_TYPE),
    cancel("blanks without a JSON type", "\r\n", "application/octet-stream"),
    cancel("blanks with a JSON type", " \n", JSON_TYPE),
    cancel("a byte order mark alone: .NET's StreamWriter", "\uFEFF", JSON_TYPE),
    cancel("an empty object", "{}", JSON_TYPE),
    cancel("an empty object with blanks", " { }\n", "Application/JSON; charset=UTF-8"),
    cancel("a reason that is null", '{"reason":null}', JSON_TYPE),
    cancel("a reason that is empty", '{"reason":""}', JSON_TYPE),
    cancel("an empty object, typed as text: fetch with a text", "{}", "text/plain;charset=UTF-8"),
    cancel("an empty object, typed as a form: curl -d", "{}", FORM),
    cancel("an empty object, typed as an older JSON", "{}", "text/json"),
    cancel("an empty object without a type", " {}\n", "application/octet-stream"),
    cancel("an empty object after a byte order mark", "\uFEFF{}", JSON_TYPE),
    cancel("null after a byte order mark, typed as text", "\uFEFFnull\r\n", "text/plain"),
    cancel("a reason that is null, typed as text", '{"reason":null}', "text/plain"),
    cancel("a reason that is empty, typed as a form", '{"reason":""}', FORM),
    cancel("a reason that is blank, after a byte order mark", '\uFEFF{ "reason": " \\n" }', FORM),
    cancel("a text of blanks in other words", '"\\t\\u00a0"', "text/plain"),
    cancel("a reason", '{"reason":"Enough."}', JSON_TYPE),
    refused("a list", "[]"),
    refused("a list of nothing", "[null]"),
    refused("a number", "0"),
    refused("a truth value", "false"),
    refused("a text", '"stop"'),
    refused("a reason that is a number", '{"reason":0}', "reason"),
    refused("a member that it does not know", '{"reason":null,"force":true}'),
    refused("no JSON", "undefined"),
    refused("a member of every object's that is null", '{"toString":null}'),
    refused("a member that it does not know and that is null", '{"force":null}'),
    refused("a reason after a byte order mark", '\uFEFF{"reason":"x"}'),
    ...[
      ...['{"reason":"x"}', '{"reason":0}', '{"force":null}', '{"__proto__":null}', "[]", "[null]"],
      ...["0", "false", '"stop"', "undefined", "reason=", "{", "{}{}", '{"reason":[]}'],
    ].map((body) => cancel(`${body} without a JSON type`, body, FORM, { status: 415 })),
  ];
}

const C3: readonly ClientCase[] = [
  ...bodies("{run}/cancel", "ann"),
  ...bodies("{thread}/cancel", "ann"),
  ...bodies("{response}/cancel", "gus"),
];

const to = (
  row: string,
  method: string,
  path: string,
  as: Sender | null,
  expected: Expected,
): ClientCase => ({
  ...{ row, method, path, as, expected },
  name: `${method} ${path}`,
  headers: {},
  body: null,
});
const OK: Expected = { status: 200 };

const C4: readonly ClientCase[] = [
  to("C4", "POST", "{run}/cancel/", "ann", {
    status: 200,
    headers: { "cancel-outcome": "cancelling" },
  }),
  to("C4", "POST", "{thread}/cancel/", "ann", OK),
  to("C4", "POST", "{response}/cancel/", "gus", OK),
  to("C4", "GET", "{run}/", "ann", OK),
  to("C4", "GET", "{response}/", "gus", OK),
  to("C4", "GET", "/v1/audit/events/", "ada", OK),
  to("C4", "GET", "/v1/audit/export/", "ada", OK),
  to("C4", "GET", "/healthz/", null, OK),
  to("C4", "GET", "/openapi.json/", null, OK),
  to("C4", "GET", "{run}/cancel/", "ann", { status: 405, headers: { allow: "POST" } }),
  to("C4", "POST", "{run}/", "ann", { status: 405, headers: { allow: "GET, HEAD" } }),
  to("C4", "POST", "{run}/cancel//", "ann", { status: 404, code: "not_found" }),
  to("C4", "POST", "{run}//cancel", "ann", { status: 404, code: "not_found" }),
  to("C4", "POST", "{run}%2F/cancel", "ann", { status: 404, code: "run_not_found" }),
];

const unknown = (param: string): Expected => ({ status: 400, code: "invalid_request", param });
const unknownOf = (method: string, path: string, as: Sender | null, param: string): ClientCase =>
  to("C5", method, path, as, unknown(param));

const C5: readonly ClientCase[] = [
  unknownOf("GET", "/v1/audit/events?run_id=run_1", "ada", "run_id"),
  unknownOf("GET", "/v1/audit/events?limit=1&actor=ann", "ada", "actor"),
  unknownOf("GET", "/v1/audit/events?tenant=globex", "ada", "tenant"),
  unknownOf("GET", "/v1/audit/events?Limit=1", "ada", "Limit"),
  unknownOf("GET", "/v1/audit/events?__proto__=1", "ada", "__proto__"),
  unknownOf("GET", "/v1/audit/events?__proto__=1&__proto__=2", "ada", "__proto__"),
  unknownOf("GET", "/v1/audit/events?constructor=1", "ada", "constructor"),
  unknownOf("GET", "/v1/audit/events?=1", "ada", ""),
  unknownOf("GET", "/v1/audit/events?limit=0", "ada", "limit"),
  unknownOf("GET", "/v1/audit/events?limit=1&limit=2", "ada", "limit"),
  unknownOf("GET", "/v1/audit/events/0190?from=2026-01-01", "ada", "from"),
  unknownOf("GET", "/v1/audit/export?format=csv", "ada", "format"),
  unknownOf("GET", "/v1/audit/export?limit=10", "ada", "limit"),
  unknownOf("GET", "{run}?stream=true", "ann", "stream"),
  unknownOf("GET", "{response}?stream=true", "gus", "stream"),
  unknownOf("GET", "{response}?stream=1", "gus", "stream"),
  unknownOf("GET", "{response}?starting_after=4", "gus", "starting_after"),
  unknownOf("GET", "{run}?include[]=x", "ann", "include[]"),
  unknownOf("POST", "{run}/cancel?force=true", "ann", "force"),
  unknownOf("POST", "{run}/cancel?reason=x", "ann", "reason"),
  unknownOf("POST", "{run}/cancel/?wait=10", "ann", "wait"),
  unknownOf("POST", "{thread}/cancel?limit=1", "ann", "limit"),
  unknownOf("POST", "{response}/cancel?stream=true", "gus", "stream"),
  unknownOf("PUT", "{run}/owner?subject=ann", "ann", "subject"),
  unknownOf("POST", "/v1/policy/explain?run_id=run_1", "ann", "run_id"),
  unknownOf("GET", "/healthz?full=1", null, "full"),
  unknownOf("GET", "/openapi.json?format=yaml", null, "format"),
  unknownOf("GET", "/.well-known/audit-keys.json?kid=1", null, "kid"),
  // Who asks comes first: a token does not count here, and neither does what else is asked.
  to("C5", "GET", "{run}?access_token=x", null, { status: 401, code: "missing_token" }),
  // What stock clients add to these calls changes nothing.
  to("C5", "POST", "{run}/cancel?api-version=2024-05-01-preview", "ann", OK),
  to("C5", "GET", "{run}?api-version=2024-05-01-preview", "ann", OK),
  to("C5", "POST", "{thread}/cancel?api-version=v1", "ann", OK),
  to("C5", "POST", "{response}/cancel?api-version=v1&api-version=v1", "gus", OK),
  to("C5", "POST", "{response}/cancel?beta=true", "gus", OK),
  to("C5", "GET", "{response}?beta=true&api-version=preview", "gus", OK),
  to("C5", "GET", "{response}?include[]=reasoning.encrypted_content&include[]=x", "gus", OK),
  to("C5", "GET", "{response}?include%5B0%5D=x&include=y", "gus", OK),
  to("C5", "GET", "{response}?stream=false&include_obfuscation=false", "gus", OK),
  to("C5", "GET", "{run}?stream=false", "ann", OK),
  to("C5", "GET", "{run}?", "ann", OK),
  to("C5", "GET", "/v1/audit/events?limit=1", "ada", OK),
];

const challenge = (scope: string): Expected => ({
  status: 403,
  code: "insufficient_scope",
  headers: {
    "www-authenticate": `Bearer realm="stopgate", error="insufficient_scope", scope="${scope}"`,
  },
});

/** RFC 6750 §3: a refusal for want of a scope says which. */
const SCOPE: readonly ClientCase[] = [
  to("scope", "POST", "{run}/cancel", "zoe", challenge("runs:cancel")),
  to("scope", "GET", "{run}", "zoe", challenge("runs:cancel")),
  to("scope", "POST", "{thread}/cancel", "zoe", challenge("runs:cancel")),
  to("scope", "GET", "/v1/audit/events", "ann", challenge("audit:read")),
  to("scope", "PUT", "{run}/owner", "ann", challenge("runs:register")),
  // The same of a run that is not there.
  to("scope", "POST", "/v1/threads/thread_1/runs/run_none/cancel", "zoe", challenge("runs:cancel")),
];

export const CLIENT_CASES: readonly ClientCase[] = [...C1, ...C2, ...C3, ...C4, ...C5, ...SCOPE];
