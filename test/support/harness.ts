// The gateway as tests use it: the Worker's own wiring over real KV and Durable Objects, with the
// simulator as its network. Everything enters by the front door.
import { env } from "cloudflare:workers";
import { v7 as newId } from "uuid";
import { createIssuer } from "../../dev/issuer.ts";
import { createSimulator } from "../../dev/simulator/app.ts";
import { fetchOf } from "../../dev/simulator/fetch.ts";
import { createApp } from "../../src/app.ts";
import type { LedgerRpc } from "../../src/audit/ledger.ts";
import { BASE_KEY, tenantKey } from "../../src/config/kv-keys.ts";
import { baseOf, ConfigDocument, Issuer, issuersByTenant } from "../../src/config/schema.ts";
import { type Bindings, createGateway, type World } from "../../src/gateway.ts";
import { createLog } from "../../src/logger.ts";
import type { Limit, RateLimits } from "../../src/policy/rate.ts";
import { TEST_SECRETS, UPSTREAM_KEYS } from "./secrets.ts";

export const SIMULATOR = "https://simulator.test";
export const AUDIENCE = "https://stop.test";
export const ACME_ISSUER = "https://id.acme.test/";
export const GLOBEX_ISSUER = "https://id.globex.test/";

export type Json = Record<string, unknown>;

export interface HarnessOptions {
  /** Members put over the config that `sampleConfig` makes. */
  readonly config?: (config: Json) => Json;
  readonly bindings?: Partial<Bindings>;
  readonly world?: Partial<World>;
  /** Stands between the gateway and the simulator. */
  readonly network?: (simulator: typeof fetch) => typeof fetch;
}

/** Made once per file: an RSA key pair costs more than most tests. */
const issuers = {
  acme: await createIssuer({ issuer: ACME_ISSUER, alg: "RS256", audience: AUDIENCE }),
  globex: await createIssuer({ issuer: GLOBEX_ISSUER, alg: "ES256", audience: AUDIENCE }),
};

export async function createHarness(options: HarnessOptions = {}) {
  const config = (options.config ?? ((same) => same))(sampleConfig());
  await applyConfig(config);

  const lines: string[] = [];
  const simulator = fetchOf(
    createSimulator({
      now: () => Date.now(),
      newId: (prefix) => `${prefix}_${newId().replaceAll("-", "")}`,
      sleep: (ms) => scheduler.wait(ms),
    }),
  );
  const network = (options.network ?? ((same) => same))(simulator);
  const world: World = {
    fetch: network,
    now: () => Date.now(),
    sleep: (ms) => scheduler.wait(ms),
    newId: () => newId(),
    random: () => Math.random(),
    log: createLog((_, line) => lines.push(line)),
    ...options.world,
  };
  // Each gateway of a test is alone at its place, unless the test says otherwise.
  const cacheName = `keys-${newId()}`;
  const bindings: Bindings = {
    config: env.CONFIG,
    audit: env.AUDIT,
    ledger: (tenant) => env.LEDGER.getByName(tenant) as unknown as LedgerRpc,
    keyCache: () => caches.open(cacheName),
    limits: limitsOf((name) => ({ standard: env.RATE_STANDARD, strict: env.RATE_STRICT })[name]),
    secret: (name) => (TEST_SECRETS as Record<string, string>)[name],
    ...options.bindings,
  };
  const app = createApp(createGateway(bindings, world));

  /** The reply as soon as the client has it, and the end of the work behind it. */
  function begin(path: string, init: RequestInit = {}) {
    const { context, settle } = executionContext();
    const response = Promise.resolve(app.request(`https://stop.test${path}`, init, {}, context));
    return { response, settled: response.then(settle) };
  }

  /** Answers only when the work behind the reply is done too. */
  async function request(path: string, init: RequestInit = {}): Promise<Response> {
    const { response, settled } = begin(path, init);
    await settled;
    return await response;
  }

  const events = async (token: string, query = "?limit=200"): Promise<EventPage> => {
    const response = await request(`/v1/audit/events${query}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return await response.json();
  };

  const calls = async (): Promise<UpstreamCall[]> =>
    await (await simulator(`${SIMULATOR}/simulator/calls`)).json();

  return {
    issuers,
    lines,
    simulator,
    begin,
    request,
    tokenFor: (person: Person, claims: Json = {}) => tokenFor(person, claims),
    cancel: async (target: RunIds, token: string, init: RequestInit = {}) => {
      const response = await request(`${pathOf(target)}/cancel`, {
        method: "POST",
        ...init,
        headers: { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string>) },
      });
      // Clicks of the same millisecond overlap, and without a network the next one may be as quick.
      await scheduler.wait(2);
      return response;
    },
    read: (target: RunIds, token: string) =>
      request(pathOf(target), { headers: { authorization: `Bearer ${token}` } }),
    events,
    /** The events of one run, newest first: the log itself is shared by the tests of a file. */
    eventsOf: async (target: RunIds, auditor = ADA): Promise<AuditJson[]> => {
      const { data } = await events(await tokenFor(auditor, {}));
      return data.filter((event) => event.target.run_id === target.run);
    },
    calls,
    /** The paths of the cancels that reached the upstream. */
    cancelsSent: async (): Promise<string[]> =>
      (await calls()).map(({ path }) => path).filter((path) => path.includes("/cancel")),
    forgetCalls: async () => {
      await simulator(`${SIMULATOR}/simulator/calls`, { method: "DELETE" });
    },
    fault: async (fault: Json) => {
      await simulator(`${SIMULATOR}/simulator/faults`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(fault),
      });
    },
    startRun: (run: StartRun = {}) => startRun(simulator, run),
    startResponse: (run: StartRun = {}) => startResponse(simulator, run),
  };
}

/** The vitest plugin's own leaves a timer of 30 s behind for each request, and a test has 10,000 timers. */
export function executionContext() {
  const pending: Promise<unknown>[] = [];
  const context: ExecutionContext = Object.create(null, {
    waitUntil: { value: (work: Promise<unknown>) => void pending.push(work) },
    passThroughOnException: { value: () => undefined },
    props: { value: {} },
  });
  const settle = async (): Promise<void> => {
    // What is awaited may add to it.
    for (let done = 0; done < pending.length; done += 1) await pending[done];
  };
  return { context, settle };
}

/** Tiers only; addresses are not counted unless a test gives `address`. */
export function limitsOf(tier: RateLimits["tier"], address?: Limit): RateLimits {
  return { tier, address };
}

export type Harness = Awaited<ReturnType<typeof createHarness>>;
type EventPage = { data: AuditJson[] } & Json;

export interface AuditJson {
  id: string;
  seq: number | null;
  prev: string | null;
  hash: string | null;
  type: string;
  tenant: string;
  reason: string | null;
  actor: { sub: string; iss: string };
  target: { upstream: string; thread_id: string; run_id: string };
  decision: { allowed: boolean; rule: string | null; code: string | null };
  outcome: { result: string; attempts: number; joined: string | null; status_after: string } | null;
  request: {
    id: string;
    route: string;
    traceparent: string | null;
    ip: string | null;
    country: string | null;
    user_agent: string | null;
  };
  intent_id: string | null;
  signature: { kid: string; value: string } | null;
}

export interface UpstreamCall {
  method: string;
  path: string;
  status: number | null;
  headers: Record<string, string>;
}

export interface RunIds {
  readonly thread: string;
  readonly run: string;
}

export const pathOf = ({ thread, run }: RunIds): string => `/v1/threads/${thread}/runs/${run}`;

export interface Person {
  readonly tenant: "acme" | "globex";
  readonly sub: string;
  readonly scope?: string;
}

export const ANN: Person = { tenant: "acme", sub: "ann", scope: "runs:cancel" };
export const ADA: Person = { tenant: "acme", sub: "ada", scope: "audit:read" };
export const SAM: Person = { tenant: "acme", sub: "sam", scope: "runs:cancel:support" };
export const GUS: Person = { tenant: "globex", sub: "gus", scope: "runs:cancel" };
export const GIA: Person = { tenant: "globex", sub: "gia", scope: "audit:read" };

async function tokenFor({ tenant, sub, scope = "" }: Person, claims: Json): Promise<string> {
  return await issuers[tenant].mint({ sub, tenant, scope, ...claims }, { expiresInSeconds: 600 });
}

export interface StartRun {
  readonly tenant?: "acme" | "globex";
  readonly owner?: string;
  readonly metadata?: Json;
  readonly timing?: Json;
  readonly body?: Json;
}

/** The ways in which a run may end by itself. */
export const ENDS = ["completed", "failed", "expired", "incomplete"] as const;
/** A run that is over before anybody can click. */
export const ended = (ends: (typeof ENDS)[number]): StartRun => ({ timing: { run_ms: 0, ends } });

/** Two tenants: acme on the threads wire, globex on the Responses API; both prove by metadata. */
function sampleConfig(): Json {
  const ownership = { source: "metadata", tenant_key: "tenant", subject_key: "user" };
  const rules = [
    { id: "owner", scopes: ["runs:cancel"], runs: "own" },
    { id: "support", scopes: ["runs:cancel:support"], runs: "tenant", reason_required: true },
  ];
  return {
    issuers: [
      {
        issuer: ACME_ISSUER,
        jwks: issuers.acme.publicJwks,
        audiences: [AUDIENCE],
        algorithms: ["RS256"],
        tenant: { claim: "org_id", allow: ["acme"] },
      },
      {
        issuer: GLOBEX_ISSUER,
        jwks: issuers.globex.publicJwks,
        audiences: [AUDIENCE],
        algorithms: ["ES256"],
        tenant: { fixed: "globex" },
      },
    ],
    upstreams: {
      threads: { kind: "assistants", base_url: `${SIMULATOR}/assistants/v1` },
      responses: { kind: "openai-responses", base_url: `${SIMULATOR}/responses/v1` },
    },
    tenants: {
      acme: {
        upstream: "threads",
        credential: { secret: "UPSTREAM_KEY_ACME" },
        ownership,
        rules,
        origins: ["https://app.acme.test"],
      },
      globex: {
        upstream: "responses",
        credential: { secret: "UPSTREAM_KEY_GLOBEX" },
        ownership,
        rules,
        origins: ["https://app.globex.test"],
      },
    },
  };
}

/** Puts a tenant's members over the sample's: `withTenant("acme", { enabled: false })`. */
export function withTenant(id: string, members: Json): (config: Json) => Json {
  return (config) => {
    const tenants = config["tenants"] as Record<string, Json>;
    return { ...config, tenants: { ...tenants, [id]: { ...tenants[id], ...members } } };
  };
}

/** Says of each tenant that all issuers who reach it name the same people. */
export function withSharedSubjects(config: Json): Json {
  const issuers = (config["issuers"] as Json[]).map((entry) => Issuer.parse(entry));
  const reaching = issuersByTenant(issuers);
  const tenants = Object.entries(config["tenants"] as Record<string, Json>).map(([id, tenant]) => {
    const ownership = { ...(tenant["ownership"] as Json), subject_issuers: reaching.get(id) };
    return [id, reaching.has(id) ? { ...tenant, ownership } : tenant];
  });
  return { ...config, tenants: Object.fromEntries(tenants) as Json };
}

/** The credential proves the tenant and no person; nothing is read before a cancel. */
export function byCredential(tenant: Person["tenant"]): (config: Json) => Json {
  return withTenant(tenant, {
    ownership: { source: "credential" },
    rules: [{ id: "anyone", scopes: ["runs:cancel"], runs: "tenant" }],
  });
}

/** What `npm start` does with a file: checked whole, one key for the base, one per tenant. */
export async function applyConfig(config: Json): Promise<void> {
  const document = ConfigDocument.parse(config);
  await env.CONFIG.put(BASE_KEY, JSON.stringify(baseOf(document)));
  for (const [id, tenant] of Object.entries(document.tenants)) {
    await env.CONFIG.put(tenantKey(id), JSON.stringify(tenant));
  }
}

async function startRun(upstream: typeof fetch, run: StartRun): Promise<RunIds> {
  const { tenant = "acme", owner = "ann" } = run;
  const post = async (path: string, body: Json): Promise<{ id: string }> => {
    const response = await upstream(`${SIMULATOR}/assistants/v1${path}`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${UPSTREAM_KEYS[tenant]}`,
        "openai-beta": "assistants=v2",
        "content-type": "application/json",
        "x-simulate-timing": JSON.stringify({ queued_ms: 0, ...run.timing }),
      },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`simulator: ${await response.text()}`);
    return await response.json();
  };
  const { id: thread } = await post("/threads", {});
  const { id } = await post(`/threads/${thread}/runs`, {
    assistant_id: "asst_support",
    metadata: { tenant, user: owner, ...run.metadata },
    ...run.body,
  });
  return { thread, run: id };
}

async function startResponse(upstream: typeof fetch, run: StartRun): Promise<RunIds> {
  const { tenant = "globex", owner = "gus" } = run;
  const response = await upstream(`${SIMULATOR}/responses/v1/responses`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${UPSTREAM_KEYS[tenant]}`,
      "content-type": "application/json",
      "x-simulate-timing": JSON.stringify({ queued_ms: 0, ...run.timing }),
    },
    body: JSON.stringify({
      model: "gpt-5",
      input: "Say hello.",
      background: true,
      metadata: { tenant, user: owner, ...run.metadata },
      ...run.body,
    }),
  });
  if (!response.ok) throw new Error(`simulator: ${await response.text()}`);
  const { id }: { id: string } = await response.json();
  return { thread: "thread_1", run: id };
}
