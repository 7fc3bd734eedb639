// The upstream table: every case, one gateway's config for all of them, the server that plays all of their
// upstreams, and how a case is driven. Data and plain functions, so that workerd and Node use the same.
import { type Asked, type Expected, OWN, type Source, type Step, type WorldCase } from "./case.ts";
import { SHAPE_CASES } from "./shape-cases.ts";
import { STOP_CASES } from "./stop-cases.ts";

/** Each has a tenant, an upstream and keys of its own, named by its place in this list. */
export const CASES: readonly WorldCase[] = [...STOP_CASES, ...SHAPE_CASES];

export const WORLD_ISSUER = "https://id.world.test/";
export const WORLD_AUDIENCE = "https://stop.world.test";
const PERSON = "ann";

const nameOf = (index: number): string => `case-${index}`;
const secretOf = (index: number, key: number): string => `WORLD_KEY_${index}_${key}`;
const keysOf = ({ keys }: WorldCase): readonly string[] => keys ?? ["sk-world-4f1c9a7e20"];

/** `origin`: where the server that plays the upstreams is. */
export function worldConfig(
  cases: readonly WorldCase[],
  origin: string,
  jwks: unknown,
): Record<string, unknown> {
  const names = cases.map((_, index) => nameOf(index));
  return {
    issuers: [
      {
        issuer: WORLD_ISSUER,
        jwks,
        audiences: [WORLD_AUDIENCE],
        algorithms: ["ES256"],
        tenant: { claim: "org_id", allow: names },
      },
    ],
    upstreams: Object.fromEntries(
      cases.map(({ upstream }, index) => [
        nameOf(index),
        { ...upstream, base_url: `${origin}/${nameOf(index)}` },
      ]),
    ),
    tenants: Object.fromEntries(
      cases.map((given, index) => [nameOf(index), tenantOf(given, index)]),
    ),
  };
}

function tenantOf(given: WorldCase, index: number): Record<string, unknown> {
  const { ownership, tenant } = given;
  const runs = ownership === "credential" ? "tenant" : "own";
  const second = keysOf(given).length > 1 ? { secret: secretOf(index, 1) } : undefined;
  return {
    upstream: nameOf(index),
    credential: { secret: secretOf(index, 0) },
    ...(second === undefined ? {} : { second_credential: second }),
    ownership: ownershipOf(ownership),
    rules: [{ id: "stop", scopes: ["stop"], runs }],
    ...tenant,
  };
}

function ownershipOf(source: Source): Record<string, unknown> {
  if (source !== "metadata") return { source };
  return { source, tenant_key: "tenant", subject_key: "user" };
}

export function worldSecrets(cases: readonly WorldCase[]): Record<string, string> {
  return Object.fromEntries(
    cases.flatMap((given, index) =>
      keysOf(given).map((key, place): [string, string] => [secretOf(index, place), key]),
    ),
  );
}

export interface Call {
  readonly case: number;
  readonly line: string;
}

export interface World {
  /** The answer to a request at `/case-N/…`; a text that says what was wrong with it when none is expected. */
  readonly answer: (method: string, path: string) => Step;
  readonly calls: (index: number) => readonly string[];
  /** Requests that no script has. */
  readonly unexpected: readonly string[];
}

export function createWorld(cases: readonly WorldCase[]): World {
  const calls: Call[] = [];
  const unexpected: string[] = [];
  return {
    calls: (index) => calls.filter((call) => call.case === index).map(({ line }) => line),
    unexpected,
    answer: (method, pathname) => {
      const [, place = "", path = ""] = /^\/case-(\d+)(\/.*)$/.exec(pathname) ?? [];
      const index = Number(place);
      const line = `${method} ${decodeURIComponent(path)}`;
      const scripted = cases[index]?.script[line];
      if (scripted === undefined) unexpected.push(`${index}: ${line}`);
      const earlier = calls.filter((call) => call.case === index && call.line === line).length;
      calls.push({ case: index, line });
      const steps: readonly Step[] = Array.isArray(scripted) ? scripted : [scripted];
      return steps[Math.min(earlier, steps.length - 1)] ?? { status: 500, body: "not expected" };
    },
  };
}

/** The body as it goes over the wire. */
export function bodyOf(step: Exclude<Step, "breaks">, index: number): string | null {
  const { body } = step;
  if (body === undefined) return null;
  if (typeof body === "string") return body;
  const own = JSON.stringify({ tenant: nameOf(index), user: PERSON });
  return JSON.stringify(body).replaceAll(`"${OWN}"`, own);
}

export function headersOf({ body, headers = {} }: Exclude<Step, "breaks">): Headers {
  const type = typeof body === "string" ? "text/plain" : "application/json";
  const made = new Headers(headers);
  if (body !== undefined && !made.has("content-type")) made.set("content-type", type);
  return made;
}

export const placeOf = (pathname: string): number =>
  Number(/^\/case-(\d+)\//.exec(pathname)?.[1] ?? -1);

/** What drives a case: requests to the gateway, tokens, and the world behind it. */
export interface Driver {
  readonly request: (path: string, init: RequestInit) => Promise<Response>;
  readonly mint: (
    claims: { sub: string; tenant: string } & Record<string, unknown>,
  ) => Promise<string>;
  readonly world: World;
  readonly sleep: (ms: number) => Promise<void>;
}

/** The same members as are expected, so that the two can be compared whole. */
export interface Observed {
  readonly seen: Expected;
  readonly expected: Expected;
  /** Everything that was told to the caller or put on record. */
  readonly told: string;
  readonly body: string;
}

/** The requests of a case, one after the other. */
export async function drive(
  given: WorldCase,
  index: number,
  driver: Driver,
): Promise<readonly Observed[]> {
  await register(given, index, driver);
  const token = await driver.mint({
    sub: PERSON,
    tenant: nameOf(index),
    scope: "stop",
    authorization_details: grantsOf(given),
  });
  const first = await ask(given.asked, given.expected, token, index, driver);
  if (given.afterwards === undefined) return [first];
  return [
    first,
    await ask(given.afterwards.asked, given.afterwards.expected, token, index, driver),
  ];
}

const RUN = /^\/v1\/threads\/([^/]+)\/runs\/([^/]+)/;
const RESPONSE = /^\/v1\/responses\/([^/]+)/;

function grantsOf({ ownership, grants, asked }: WorldCase): unknown {
  if (ownership !== "grant") return undefined;
  const [, thread_id, run_id] = RUN.exec(asked.path) ?? [];
  const usual = [{ thread_id, run_id: run_id ?? RESPONSE.exec(asked.path)?.[1] }];
  return (grants ?? usual).map((grant) => ({ type: "run_cancel", ...grant }));
}

async function register(given: WorldCase, index: number, driver: Driver): Promise<void> {
  const { ownership, registered, asked } = given;
  if (ownership !== "registry" || registered === null) return;
  const path =
    registered === undefined
      ? (RUN.exec(asked.path)?.[0] ?? RESPONSE.exec(asked.path)?.[0])
      : `/v1/threads/${registered.threadId}/runs/${registered.runId}`;
  const token = await driver.mint({ sub: "app", tenant: nameOf(index), scope: "runs:register" });
  const response = await driver.request(`${path}/owner`, {
    method: "PUT",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ subject: PERSON }),
  });
  if (response.status !== 204) throw new Error(`not registered: ${await response.text()}`);
}

async function ask(
  { method, path }: Asked,
  expected: Expected,
  token: string,
  index: number,
  driver: Driver,
): Promise<Observed> {
  const earlier = driver.world.calls(index).length;
  const headers = { authorization: `Bearer ${token}` };
  const response = await driver.request(path, { method, headers });
  const body = await response.text();
  const calls = driver.world.calls(index).slice(earlier);
  // An answer to a read leaves no event.
  const isRecorded = method === "POST" || response.status >= 400;
  const isWanted = expected.event !== undefined || expected.hides !== undefined;
  const events = isRecorded && isWanted ? await eventsOf(index, driver) : [];
  const answer = JSON.parse(body) as Record<string, unknown>;
  const code = (answer["error"] as { code?: string } | undefined)?.code;
  const newest = events[0];
  const seen = {
    status: response.status,
    code,
    outcome: response.headers.get("cancel-outcome") ?? undefined,
    retryAfter: response.headers.get("retry-after") ?? undefined,
    answer: membersOf(expected.answer, answer),
    cancels: calls.filter((line) => !line.startsWith("GET ")).length,
    reads: calls.filter((line) => line.startsWith("GET ")).length,
    event: {
      type: newest?.type,
      code: newest?.decision.code,
      result: newest?.outcome?.result ?? null,
    },
  };
  const told = body + JSON.stringify([...response.headers]) + JSON.stringify(events);
  return {
    seen: membersOf(
      { ...expected, hides: undefined, logs: undefined },
      seen,
    ) as unknown as Expected,
    expected: membersOf(
      { ...expected, hides: undefined, logs: undefined },
      expected,
    ) as unknown as Expected,
    told,
    body,
  };
}

/** Of `from` the members that `wanted` has, as deep as `wanted` goes. */
function membersOf(wanted: unknown, from: unknown): Record<string, unknown> | undefined {
  if (wanted === undefined) return undefined;
  const source = (from ?? {}) as Record<string, unknown>;
  const isTree = (value: unknown): boolean =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  const entries = Object.entries(wanted as Record<string, unknown>)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, isTree(value) ? membersOf(value, source[name]) : source[name]]);
  return Object.fromEntries(entries) as Record<string, unknown>;
}

interface EventJson {
  readonly type: string;
  readonly decision: { readonly code: string | null };
  readonly outcome: { readonly result: string } | null;
}

/** The tenant's events, once none of them is open. */
async function eventsOf(index: number, driver: Driver): Promise<readonly EventJson[]> {
  const token = await driver.mint({ sub: "ada", tenant: nameOf(index), scope: "audit:read" });
  const headers = { authorization: `Bearer ${token}` };
  for (;;) {
    const response = await driver.request("/v1/audit/events?limit=50", { headers });
    const { data } = (await response.json()) as { readonly data: readonly EventJson[] };
    const isClosed = (event: EventJson) => event.type !== "cancel" || event.outcome !== null;
    if (data.length > 0 && data.every(isClosed)) return data;
    await driver.sleep(50);
  }
}
