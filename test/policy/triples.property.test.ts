// Ten thousand times somebody stops something, for each source of ownership: whose run it is, and what
// the caller brings, are drawn at random, and a model says what may reach the upstream. The upstream is
// a careless one, which cancels whatever it is told to; it counts.
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createIssuer } from "../../dev/issuer.ts";
import { createApp } from "../../src/app.ts";
import type { LedgerRpc } from "../../src/audit/ledger.ts";
import { createGateway } from "../../src/gateway.ts";
import { applyConfig, executionContext, type Json, limitsOf } from "../support/harness.ts";
import { TEST_SECRETS } from "../support/secrets.ts";

const TENANTS = ["t1", "t2", "t3"] as const;
/** The same names everywhere: only together with the tenant do they say who somebody is. */
const PEOPLE = ["ann", "ben", "cem"] as const;
const THREADS = ["thread_1", "thread_2", "thread_3"] as const;
type Tenant = (typeof TENANTS)[number];
type Source = "grant" | "metadata" | "registry" | "credential";

const UPSTREAM = "https://upstream.test/v1";
const AUDIENCE = "https://stop.test";
const issuer = await createIssuer({ issuer: "https://id.test/", alg: "ES256", audience: AUDIENCE });

interface Run {
  readonly id: string;
  readonly thread: string;
  readonly tenant: Tenant;
  readonly owner: string;
  /** What its creator wrote on it; some forget, some write half of it, some write nonsense. */
  readonly metadata: Json;
  readonly registered: boolean;
}

const RUNS: readonly Run[] = TENANTS.flatMap((tenant, t) =>
  PEOPLE.flatMap((owner, p) =>
    [0, 1, 2, 3].map((kind): Run => {
      const written: Json[] = [
        { tenant, user: owner },
        { tenant },
        { user: owner },
        { tenant: [tenant], user: { toString: owner } },
      ];
      return {
        id: `run_${tenant}_${owner}_${kind}`,
        thread: THREADS[(t + p + kind) % THREADS.length] ?? "thread_1",
        tenant,
        owner,
        metadata: written[kind] ?? {},
        registered: kind % 2 === 0,
      };
    }),
  ),
);

/** All tenants but those whose key is the proof share one: it is the gateway that keeps them apart. */
const keyOf = (source: Source, tenant: Tenant): string =>
  source === "credential" ? `sk-${tenant}` : "sk-shared";

function configFor(source: Source): Json {
  const ownership =
    source === "metadata" ? { source, tenant_key: "tenant", subject_key: "user" } : { source };
  const own = { id: "own", scopes: ["stop"], runs: "own" };
  const all = { id: "all", scopes: ["stop:all"], runs: "tenant" };
  const tenants = TENANTS.map((id) => [
    id,
    {
      upstream: "main",
      credential: { secret: source === "credential" ? `KEY_${id.toUpperCase()}` : "KEY_SHARED" },
      ownership,
      rules: source === "credential" ? [all] : [own, all],
    },
  ]);
  return {
    issuers: [
      {
        issuer: "https://id.test/",
        jwks: issuer.publicJwks,
        audiences: [AUDIENCE],
        algorithms: ["ES256"],
        tenant: { claim: "org_id", allow: TENANTS },
      },
    ],
    upstreams: { main: { kind: "assistants", base_url: UPSTREAM } },
    tenants: Object.fromEntries(tenants),
  };
}

interface Grant {
  readonly thread: string;
  readonly run: string | null;
}
interface Triple {
  readonly tenant: Tenant;
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly grants: readonly Grant[];
  readonly run: Run | null;
  /** The thread in the path: the caller's own word. */
  readonly thread: string;
}

const AnyRun = fc.constantFrom(...RUNS);
const AnyThread = fc.constantFrom(...THREADS);
const Grants = fc.array(
  fc.oneof(
    AnyRun.map(({ id, thread }): Grant => ({ thread, run: id })),
    AnyThread.map((thread): Grant => ({ thread, run: null })),
    fc.tuple(AnyThread, AnyRun).map(([thread, { id }]): Grant => ({ thread, run: id })),
  ),
  { maxLength: 3 },
);
/** Half of them mean it well: a run of their own tenant, with its own thread. */
const AnyTriple: fc.Arbitrary<Triple> = fc
  .record({
    tenant: fc.constantFrom(...TENANTS),
    subject: fc.constantFrom(...PEOPLE),
    scopes: fc.subarray(["stop", "stop:all", "openid"]),
    grants: Grants,
    run: fc.option(AnyRun, { freq: 20 }),
    thread: AnyThread,
    well: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ well, ...triple }) => {
    const { run, grants } = triple;
    if (run === null || well < 2) return triple;
    const granted = well === 3 ? [...grants, { thread: run.thread, run: run.id }] : grants;
    return { ...triple, tenant: run.tenant, thread: run.thread, grants: granted };
  });

/** What the policy says in a sentence: whose the run is, by this source, and which scope that takes. */
function covered(source: Source, { run, ...by }: Triple): boolean {
  if (run === null) return false;
  const proof = {
    grant: () => {
      const granted = by.grants.some(
        (grant) => grant.thread === by.thread && (grant.run === run.id || grant.run === null),
      );
      return granted && run.thread === by.thread ? "own" : "no";
    },
    metadata: () => {
      if (run.thread !== by.thread || run.metadata["tenant"] !== by.tenant) return "no";
      return run.metadata["user"] === by.subject ? "own" : "all";
    },
    registry: () => {
      if (!run.registered || run.tenant !== by.tenant || run.thread !== by.thread) return "no";
      return run.owner === by.subject ? "own" : "all";
    },
    credential: () => (run.tenant === by.tenant && run.thread === by.thread ? "all" : "no"),
  }[source]();
  const mayOwn = source !== "credential" && by.scopes.includes("stop");
  return (proof === "own" && mayOwn) || (proof !== "no" && by.scopes.includes("stop:all"));
}

/** Cancels by the run's id alone, whatever thread is named; a read tells the truth. */
function carelessUpstream(source: Source, cancelled: Map<string, string>): typeof fetch {
  return async (input, init) => {
    const [, id = "", cancel] = /\/runs\/(\w+)(\/cancel)?$/.exec(String(input)) ?? [];
    const run = RUNS.find((each) => each.id === id);
    const headers = new Headers(init?.headers);
    const key = headers.get("authorization")?.replace("Bearer ", "");
    if (run === undefined || key !== keyOf(source, run.tenant)) {
      return Response.json({ error: { message: "No run found" } }, { status: 404 });
    }
    if (cancel !== undefined) cancelled.set(headers.get("traceparent") ?? "", id);
    return Response.json({
      id,
      object: "thread.run",
      thread_id: run.thread,
      status: cancel === undefined ? "in_progress" : "cancelling",
      created_at: 1,
      metadata: run.metadata,
    });
  };
}

const SECRETS: Readonly<Record<string, string>> = {
  ...TEST_SECRETS,
  KEY_SHARED: "sk-shared",
  KEY_T1: "sk-t1",
  KEY_T2: "sk-t2",
  KEY_T3: "sk-t3",
};

function gatewayFor(source: Source, cancelled: Map<string, string>) {
  const gateway = createGateway(
    {
      config: env.CONFIG,
      audit: env.AUDIT,
      ledger: (tenant) => env.LEDGER.getByName(`${source}-${tenant}`) as unknown as LedgerRpc,
      keyCache: () => Promise.reject(new Error("none")),
      limits: limitsOf(() => undefined),
      secret: (name) => SECRETS[name],
    },
    {
      fetch: carelessUpstream(source, cancelled),
      now: () => Date.now(),
      sleep: () => new Promise(() => undefined),
      newId: uuid,
      random: () => 0.5,
      log: () => undefined,
    },
  );
  const app = createApp(gateway);
  return async (path: string, init: RequestInit): Promise<Response> => {
    const { context, settle } = executionContext();
    const response = await app.request(`https://stop.test${path}`, init, {}, context);
    await settle();
    return response;
  };
}

/** A UUIDv7 of now: a thousand a second are made here. */
function uuid(): string {
  const time = Date.now().toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`;
}

const traceparent = (): string =>
  `00-${crypto.randomUUID().replaceAll("-", "")}-00f067aa0ba902b7-01`;

// Nothing here is late, and the runtime counts the timers that are left over.
beforeAll(() => {
  vi.spyOn(AbortSignal, "timeout").mockImplementation(() => new AbortController().signal);
});
afterAll(() => {
  vi.restoreAllMocks();
});

const TRIPLES = 10_000;
const AT_ONCE = 50;

describe.each<Source>(["grant", "metadata", "registry", "credential"])("by %s", (source) => {
  const cancelled = new Map<string, string>();
  const request = gatewayFor(source, cancelled);

  beforeAll(async () => {
    await applyConfig(configFor(source));
    if (source !== "registry") return;
    const registered = RUNS.filter((run) => run.registered).map(async (run) => {
      const claims = { sub: "backend", tenant: run.tenant, scope: "runs:register" };
      const response = await request(`/v1/threads/${run.thread}/runs/${run.id}/owner`, {
        method: "PUT",
        headers: {
          authorization: `Bearer ${await issuer.mint(claims)}`,
          "content-type": "application/json",
        },
        body: JSON.stringify({ subject: run.owner }),
      });
      expect(response.status).toBe(204);
    });
    await Promise.all(registered);
  });

  async function stop(
    triple: Triple,
  ): Promise<{ readonly sent: boolean; readonly status: number }> {
    const { tenant, subject, scopes, grants, thread, run } = triple;
    const token = await issuer.mint({
      sub: subject,
      tenant,
      scope: scopes.join(" "),
      authorization_details: grants.map((grant) => ({
        type: "run_cancel",
        thread_id: grant.thread,
        ...(grant.run === null ? {} : { run_id: grant.run }),
      })),
    });
    const trace = traceparent();
    const response = await request(`/v1/threads/${thread}/runs/${run?.id ?? "run_none"}/cancel`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, traceparent: trace },
    });
    await response.body?.cancel();
    return { sent: cancelled.delete(trace), status: response.status };
  }

  it(`no run that is not covered is cancelled, of ${TRIPLES} triples`, async () => {
    const seen = { covered: 0, uncovered: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(AnyTriple, { minLength: AT_ONCE, maxLength: AT_ONCE }),
        async (triples) => {
          const results = await Promise.all(triples.map(stop));
          for (const [index, { sent, status }] of results.entries()) {
            const triple = triples[index] as Triple;
            const may = covered(source, triple);
            seen[may ? "covered" : "uncovered"] += 1;
            if (!may) {
              expect({ sent, told: status === 200 }, JSON.stringify(triple)).toEqual({
                sent: false,
                told: false,
              });
            }
            // Clicks at the same time share a cancel, so that not each of them sends one.
            else expect(status, JSON.stringify(triple)).toBe(200);
          }
        },
      ),
      { numRuns: TRIPLES / AT_ONCE, endOnFailure: true },
    );
    expect(cancelled.size).toBe(0);
    expect(seen.covered).toBeGreaterThan(500);
    expect(seen.uncovered).toBeGreaterThan(4_000);
  }, 300_000);
});
