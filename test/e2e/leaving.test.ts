// Clients that leave, in plain workerd, which ends their handlers as production does: what they began is
// finished, what they held is given back, and everybody else is served.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { newSigningKey } from "../../cli/signing-key.ts";
import { createIssuer, type Issuer } from "../../dev/issuer.ts";
import { chainDefects } from "../../src/audit/chain.ts";
import type { AuditEvent } from "../../src/audit/event.ts";
import { until } from "./support/black-box.ts";
import { type RawRequest, sendAndLeave } from "./support/leaving.ts";
import { type PlainWorkerd, startPlainWorkerd } from "./support/plain-workerd.ts";
import { startThreadsUpstream, type ThreadsUpstream } from "./support/threads-upstream.ts";

/** More than one isolate works on at a time. */
const LEAVING = 300;
const HONEST = 50;
const CANCELS = 2_000;
const AT_ONCE = 50;
/** Longer than a cancel takes, so that some clients stay to its end. */
const MOMENTS_MS = 250;
const TENANTS = ["acme", "globex", "initech"] as const;
/** The tenant of those who stay. */
const STAYS = "umbrella";

const SCOPES = "runs:cancel runs:register audit:read";

let upstream: ThreadsUpstream;
let gateway: PlainWorkerd;
let issuer: Issuer;
let keyServer: Server;
let keysAfterMs = 0;
let runs = 0;

beforeAll(async () => {
  upstream = await startThreadsUpstream();
  issuer = await createIssuer({ issuer: "https://id.test/", alg: "ES256", audience: "stopgate" });
  keyServer = createServer((_, response) => {
    setTimeout(() => response.end(JSON.stringify(issuer.publicJwks)), keysAfterMs);
  });
  await new Promise<void>((resolve) => keyServer.listen(0, "127.0.0.1", resolve));
  const { port } = keyServer.address() as AddressInfo;
  const tenant = {
    upstream: "threads",
    credential: { secret: "UPSTREAM_KEY" },
    ownership: { source: "metadata", tenant_key: "tenant", subject_key: "user" },
    rules: [{ id: "owner", scopes: ["runs:cancel"], runs: "own" }],
  };
  const tenants = [...TENANTS, STAYS];
  gateway = await startPlainWorkerd({
    config: {
      issuers: [
        {
          issuer: "https://id.test/",
          jwks_uri: `http://127.0.0.1:${port}/jwks`,
          audiences: ["stopgate"],
          algorithms: ["ES256"],
          tenant: { claim: "org_id", allow: tenants },
        },
      ],
      upstreams: { threads: { kind: "assistants", base_url: upstream.origin } },
      tenants: Object.fromEntries(tenants.map((id) => [id, tenant])),
    },
    secrets: { UPSTREAM_KEY: "sk-test", AUDIT_SIGNING_KEY: await newSigningKey() },
  });
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.close();
  keyServer?.close();
});
beforeEach(calm);

/** Everything answers at once again. */
function calm(): void {
  keysAfterMs = 0;
  upstream.become({ readMs: 0, cancelMs: 0, ends: true, down: false });
  gateway.audit.delay(0);
}

const runPath = (tenant: string, user: string): string => {
  runs += 1;
  return `/v1/threads/thread_1/runs/run_${tenant}_${user}_${runs}`;
};

async function authorisation(tenant: string, user: string) {
  return {
    authorization: `Bearer ${await issuer.mint({ sub: user, tenant, scope: SCOPES })}`,
  };
}

interface Wish extends Partial<RawRequest> {
  readonly tenants?: readonly string[];
  /** What follows the run in the path. Default: `/cancel`. */
  readonly end?: string;
}

/** Of a person of their own each, spread over the tenants. */
async function requests(count: number, wish: Wish = {}): Promise<RawRequest[]> {
  const { tenants = TENANTS, end = "/cancel", method = "POST", body } = wish;
  return await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const tenant = tenants[index % tenants.length] ?? "acme";
      const user = `u${index}`;
      const path = wish.path ?? `${runPath(tenant, user)}${end}`;
      const headers = {
        ...(await authorisation(tenant, user)),
        ...(method === "POST" ? { "content-length": "0" } : {}),
        ...wish.headers,
      };
      return { method, path, headers, ...(body === undefined ? {} : { body }) };
    }),
  );
}

/** With tokens of the right shape, a key id that the issuer does not have, and no signature of it. */
async function strangers(method: string, end: string): Promise<RawRequest[]> {
  const [, payload = ""] = (await issuer.mint({ sub: "eve", tenant: "acme" })).split(".");
  return Array.from({ length: LEAVING }, (_, index): RawRequest => {
    const header = { alg: "ES256", typ: "at+jwt", kid: `made-up-${runs}-${index}` };
    const encoded = Buffer.from(JSON.stringify(header)).toString("base64url");
    const token = `${encoded}.${payload}.${"A".repeat(86)}`;
    const headers = { authorization: `Bearer ${token}`, "content-length": "0" };
    return { method, path: `/v1/threads/t/runs/r${end}`, headers };
  });
}

async function click(path: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const { "content-length": _, ...own } = headers;
  const response = await fetch(`${gateway.origin}${path}`, { method: "POST", headers: own });
  await response.body?.cancel();
  return response.status;
}

/** The statuses of callers who stay. */
async function honest(count = HONEST): Promise<number[]> {
  const calls = Array.from({ length: count }, async (_, index) => {
    const user = `h${index}`;
    const headers = await authorisation(STAYS, user);
    return await click(`${runPath(STAYS, user)}/cancel`, headers);
  });
  return await Promise.all(calls);
}

const allServed = (statuses: readonly number[]) =>
  expect(Object.groupBy(statuses, String)).toEqual({ 200: statuses });

/** `begin`: how far the clients get before they leave, and how long that work takes by itself. */
interface Leave {
  readonly at: string;
  readonly requests: () => Promise<RawRequest[]>;
  readonly before?: () => void;
  /** Milliseconds after which the clients leave. */
  readonly afterMs: number;
  /** Milliseconds that the work takes which they leave. */
  readonly workMs: number;
}

const SLOW_MS = 1_000;

const LEAVES: readonly Leave[] = [
  {
    at: "a read whose keys are fetched, with a token that the issuer has not signed",
    requests: () => strangers("GET", ""),
    before: () => {
      keysAfterMs = SLOW_MS;
    },
    afterMs: 400,
    // One attempt, and a second for those who came while it was under way.
    workMs: 2 * SLOW_MS,
  },
  {
    at: "a cancel whose keys are fetched, with a token that the issuer has not signed",
    requests: () => strangers("POST", "/cancel"),
    before: () => {
      keysAfterMs = SLOW_MS;
    },
    afterMs: 400,
    workMs: 2 * SLOW_MS,
  },
  {
    at: "a read of a run, while the upstream is read",
    requests: () => requests(LEAVING, { method: "GET", end: "" }),
    before: () => upstream.become({ readMs: SLOW_MS }),
    afterMs: 400,
    workMs: SLOW_MS,
  },
  {
    at: "a cancel, while the run is read for its proof",
    requests: () => requests(LEAVING),
    before: () => upstream.become({ readMs: SLOW_MS }),
    afterMs: 400,
    workMs: 2 * SLOW_MS,
  },
  {
    at: "a cancel, at the moment at which the ledger is asked",
    requests: () => requests(LEAVING),
    before: () => upstream.become({ readMs: 200 }),
    afterMs: 210,
    workMs: SLOW_MS,
  },
  {
    at: "a cancel, while the upstream cancels",
    requests: () => requests(LEAVING),
    before: () => upstream.become({ cancelMs: SLOW_MS }),
    afterMs: 500,
    workMs: SLOW_MS,
  },
  {
    at: "a cancel that waits for the end of a run that does not end",
    requests: () => requests(LEAVING, { headers: { prefer: "wait=25" } }),
    before: () => upstream.become({ ends: false }),
    afterMs: 1_500,
    workMs: SLOW_MS,
  },
  {
    at: "a cancel whose body has not come whole",
    requests: () =>
      requests(LEAVING, {
        headers: { "content-type": "application/json", "content-length": "100" },
        body: '{"reason":',
      }),
    afterMs: 400,
    workMs: 2_000,
  },
  {
    at: "an owner's registration whose body has not come whole",
    requests: () =>
      requests(LEAVING, {
        method: "PUT",
        end: "/owner",
        headers: { "content-type": "application/json", "content-length": "100" },
        body: '{"subject":',
      }),
    afterMs: 400,
    workMs: 2_000,
  },
  {
    at: "a cancel of all runs of a thread, while they are listed",
    requests: () => requests(LEAVING, { path: "/v1/threads/thread_1/cancel" }),
    before: () => upstream.become({ readMs: SLOW_MS }),
    afterMs: 400,
    workMs: SLOW_MS,
  },
  {
    at: "an explanation, while the run is read",
    requests: async () => {
      const body = JSON.stringify({ thread_id: "thread_1", run_id: "run_acme_u0_1" });
      return await requests(LEAVING, {
        path: "/v1/policy/explain",
        headers: { "content-type": "application/json", "content-length": String(body.length) },
        body,
      });
    },
    before: () => upstream.become({ readMs: SLOW_MS }),
    afterMs: 400,
    workMs: SLOW_MS,
  },
  {
    at: "a read of the audit log, while KV is slow",
    requests: () => requests(LEAVING, { method: "GET", path: "/v1/audit/events" }),
    before: () => gateway.audit.delay(SLOW_MS),
    afterMs: 400,
    workMs: 2 * SLOW_MS,
  },
];

describe("three hundred clients that leave", () => {
  it.each(LEAVES)("$at: everybody else is served a second after that work", async (leave) => {
    allServed(await honest());
    const leaving = await leave.requests();
    leave.before?.();
    await sendAndLeave(gateway.port, leaving, leave.afterMs);
    await pause(leave.workMs);
    calm();
    await pause(1_000);
    allServed(await honest());
  });

  it("do not take the probe of an upstream with them that was down and is well again", async () => {
    // Its cancels fail until it is left alone.
    upstream.become({ down: true });
    const clicks = await requests(20, { tenants: [STAYS] });
    await Promise.all(clicks.map(({ path, headers }) => click(path, headers)));
    upstream.become({ down: false, readMs: 300 });
    // For 6 s, somebody who will leave is always the next to ask.
    const wellAt = Date.now();
    let foundAfterMs = Number.POSITIVE_INFINITY;
    while (Date.now() - wellAt < 8_000) {
      const own = await requests(5, { method: "GET", end: "", tenants: [STAYS] });
      await sendAndLeave(gateway.port, own, 50);
      const [stays] = await honest(1);
      if (stays === 200) {
        foundAfterMs = Date.now() - wellAt;
        break;
      }
    }
    expect(foundAfterMs).toBeLessThan(6_500);
    calm();
    await pause(500);
    allServed(await honest(80));
  });
});

describe("two thousand cancels whose clients leave at random moments", () => {
  it("leave no cancel without an intent, no intent without an end, and no place held", async () => {
    upstream.become({ readMs: 30, cancelMs: 60 });
    upstream.cancelled.clear();
    let seed = 20_261_128;
    const random = (): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const leaving = await requests(CANCELS);
    for (let from = 0; from < CANCELS; from += AT_ONCE) {
      const batch = leaving.slice(from, from + AT_ONCE);
      const moments = batch.map(() => Math.floor(random() * MOMENTS_MS));
      await Promise.all(
        batch.map((request, index) => sendAndLeave(gateway.port, [request], moments[index] ?? 0)),
      );
    }
    calm();
    const events = new Map<string, AuditEvent[]>();
    for (const tenant of TENANTS) {
      await until(async () => (await openIntents(tenant)) === 0);
      events.set(tenant, await exportOf(tenant));
    }
    const all = [...events.values()].flat();
    const recorded = new Set(all.map(({ target }) => target.run_id));
    const unrecorded = [...upstream.cancelled].filter((run) => !recorded.has(run));
    // Some left before anything began, some were seen to the end.
    expect(upstream.cancelled.size).toBeGreaterThan(CANCELS / 10);
    expect(unrecorded).toEqual([]);
    const ends = all.filter(({ type }) => type === "cancel").map(({ outcome }) => outcome?.result);
    expect(ends.filter((result) => result === undefined || result === "unknown")).toEqual([]);
    for (const [tenant, own] of events) expect(chainDefects(tenant, own)).toEqual([]);
    allServed(await honest(100));
  });
});

async function auditor(tenant: string) {
  return { headers: await authorisation(tenant, "auditor") };
}

async function exportOf(tenant: string): Promise<AuditEvent[]> {
  const response = await fetch(`${gateway.origin}/v1/audit/export`, await auditor(tenant));
  const lines = (await response.text()).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as AuditEvent);
}

/** As far as the newest page shows; those that are open are new. */
async function openIntents(tenant: string): Promise<number> {
  const url = `${gateway.origin}/v1/audit/events?limit=200`;
  const response = await fetch(url, await auditor(tenant));
  const { data } = (await response.json()) as { data: AuditEvent[] };
  return data.filter(({ seq, signature }) => seq === null && signature === null).length;
}
