// How many requests one isolate works on at a time, and what the next one is told.
import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { bulkhead, placeIn } from "../../src/http/bulkhead.ts";
import { sharesOfAddress, sharesOfCaller } from "../../src/policy/shares.ts";
import { createHarness, GUS, type Json, limitsOf, type Person } from "../support/harness.ts";

const MOST = 512;
const PER_ADDRESS = 128;
const PER_PERSON = 200;
const PER_TENANT = 256;
const MOST_WAITING = 1_024;

const person = (tenant: Person["tenant"], index: number): Person => ({
  tenant,
  sub: `person-${index}`,
  scope: "runs:cancel",
});

/** An upstream that answers no read before it is told to, and whose runs never end. */
async function held(options: { readonly holds: boolean }) {
  const waiting: (() => void)[] = [];
  let nowMs = Date.now();
  let reads = 0;
  const gateway = await createHarness({
    world: { now: () => nowMs },
    network: () => async (input, init) => {
      const { pathname } = new URL(String(input));
      const isCancel = init?.method === "POST";
      if (!isCancel) reads += 1;
      if (!isCancel && options.holds) await new Promise<void>((resolve) => waiting.push(resolve));
      return Response.json(runAt(pathname, isCancel ? "cancelling" : "in_progress"));
    },
  });
  const headersOf = async (who: Person, own: Record<string, string> = {}) => ({
    authorization: `Bearer ${await gateway.tokenFor(who)}`,
    ...own,
  });
  return {
    gateway,
    headersOf,
    reads: () => reads,
    ask: (headers: Record<string, string>) =>
      gateway.begin("/v1/threads/t/runs/r", { headers }).response,
    arrived: async (count: number) => {
      while (waiting.length < count) await scheduler.wait(1);
    },
    release: () => {
      for (const go of waiting.splice(0)) go();
    },
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

/** On either surface; it is nobody's, so that a read answers 404. */
function runAt(path: string, status: string): Json {
  const id = path
    .replace(/\/cancel$/, "")
    .split("/")
    .at(-1);
  const owner = /owned-by-(acme|globex)-([a-z]+-\d+)/.exec(path);
  const metadata = { tenant: owner?.[1] ?? "", user: owner?.[2] ?? "" };
  return { id, object: "thread.run", thread_id: "t", status, metadata };
}

/** As many as an isolate works on: two tenants have their whole share. */
async function fill({ headersOf, ask, arrived }: Awaited<ReturnType<typeof held>>) {
  const asked: Promise<Response>[] = [];
  for (const tenant of ["acme", "globex"] as const) {
    for (const [index, count] of [PER_PERSON, PER_TENANT - PER_PERSON].entries()) {
      const headers = await headersOf(person(tenant, index));
      asked.push(...Array.from({ length: count }, () => ask(headers)));
    }
  }
  await arrived(MOST);
  return asked;
}

const codeOf = async (response: Response): Promise<unknown> =>
  ((await response.json()) as { error?: { code: string } }).error?.code;

describe("the five hundred and thirteenth request at once", () => {
  it("is refused before its token is looked at; the next one is served", async () => {
    const stage = await held({ holds: true });
    const { gateway, ask, arrived, release, headersOf } = stage;
    const asked = await fill(stage);
    for (const authorization of ["", "Bearer not.a.token"]) {
      const response = await ask({ authorization });
      expect(response.status).toBe(503);
      expect(response.headers.get("retry-after")).toBe("1");
      expect(response.headers.get("x-should-retry")).toBeNull();
      expect(await codeOf(response)).toBe("overloaded");
    }
    const preflight = await gateway.request("/v1/threads/t/runs/r", {
      method: "OPTIONS",
      headers: { origin: "https://app.acme.test", "access-control-request-method": "GET" },
    });
    expect(preflight.status).toBe(204);
    expect((await gateway.request("/healthz")).status).toBe(200);

    release();
    const statuses = await Promise.all(asked.map(async (response) => (await response).status));
    expect(new Set(statuses)).toEqual(new Set([404]));
    const next = ask(await headersOf(person("acme", 0)));
    await arrived(1);
    release();
    expect((await next).status).toBe(404);
  });
});

describe("one person", () => {
  it("has 200 requests at a time; the next is refused, and everybody else is served", async () => {
    const { headersOf, ask, arrived, release } = await held({ holds: true });
    const own = await headersOf(person("acme", 0));
    const asked = Array.from({ length: PER_PERSON }, () => ask(own));
    await arrived(PER_PERSON);
    const refused = await ask(own);
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(await codeOf(refused)).toBe("rate_limited");

    const others = [person("acme", 1), person("globex", 0)];
    const served = await Promise.all(
      others.map(async (other) => ({ response: ask(await headersOf(other)) })),
    );
    await arrived(PER_PERSON + others.length);
    release();
    for (const { response } of served) expect((await response).status).toBe(404);
    await Promise.all(asked);
    const next = ask(own);
    await arrived(1);
    release();
    expect((await next).status).toBe(404);
  });
});

describe("one tenant", () => {
  it("has 256 requests at a time; the next is refused, and another tenant is served", async () => {
    const { headersOf, ask, arrived, release } = await held({ holds: true });
    const asked: Promise<Response>[] = [];
    for (let index = 0; index < 4; index += 1) {
      const headers = await headersOf(person("acme", index));
      asked.push(...Array.from({ length: PER_TENANT / 4 }, () => ask(headers)));
    }
    await arrived(PER_TENANT);
    const refused = await ask(await headersOf(person("acme", 4)));
    expect(refused.status).toBe(429);
    expect(await codeOf(refused)).toBe("rate_limited");

    const other = ask(await headersOf(GUS));
    await arrived(PER_TENANT + 1);
    release();
    expect((await other).status).toBe(404);
    await Promise.all(asked);
  });
});

describe("one address", () => {
  it("is counted before anything is waited for", async () => {
    const counters: (() => void)[] = [];
    const hanging = {
      limit: () =>
        new Promise<{ success: boolean }>((resolve) => {
          counters.push(() => resolve({ success: true }));
        }),
    };
    const gateway = await createHarness({
      bindings: { limits: limitsOf(() => undefined, hanging) },
    });
    const from = (address: string) =>
      gateway.begin("/v1/threads/t/runs/r", { headers: { "cf-connecting-ip": address } }).response;
    const pending = Array.from({ length: PER_ADDRESS }, () => from("198.51.100.7"));
    while (counters.length < PER_ADDRESS) await scheduler.wait(1);
    expect(await codeOf(await from("198.51.100.7"))).toBe("rate_limited");
    const other = from("198.51.100.8");
    while (counters.length < PER_ADDRESS + 1) await scheduler.wait(1);
    for (const answer of counters) answer();
    expect((await other).status).toBe(401);
    await Promise.all(pending);
  });

  it("has 128 requests at a time whose callers are not known yet; another address is served", async () => {
    let answer = (): void => undefined;
    const keys = new Promise<Response>((resolve) => {
      answer = () => resolve(Response.json({ keys: [] }));
    });
    const remote = (config: Json): Json => ({
      ...config,
      issuers: [
        { ...(config["issuers"] as Json[])[0], jwks: undefined, jwks_uri: "https://id.test/jwks" },
      ],
    });
    const tenants = (config: Json): Json => ({
      ...config,
      tenants: { acme: (config["tenants"] as Json)["acme"] },
    });
    let asked = 0;
    const gateway = await createHarness({
      config: (config) => tenants(remote(config)),
      network: () => async () => {
        asked += 1;
        return await keys;
      },
    });
    const authorization = `Bearer ${await gateway.tokenFor(person("acme", 0))}`;
    const from = (address: string) =>
      gateway.begin("/v1/threads/t/runs/r", {
        headers: { authorization, "cf-connecting-ip": address },
      }).response;
    const pending = Array.from({ length: PER_ADDRESS }, () => from("198.51.100.7"));
    while (asked === 0) await scheduler.wait(1);
    const refused = await from("198.51.100.7");
    expect(refused.status).toBe(429);
    expect(await codeOf(refused)).toBe("rate_limited");
    const other = from("198.51.100.8");
    answer();
    expect((await other).status).toBe(503);
    expect(new Set((await Promise.all(pending)).map(({ status }) => status))).toEqual(
      new Set([503]),
    );
  });
});

describe("requests that wait for a run to end", () => {
  it("are no work: a tenant whose whole share waits is served all the same", async () => {
    const { gateway, ask, headersOf, reads, pass } = await held({ holds: false });
    const waiting: Promise<Response>[] = [];
    for (const [index, count] of [PER_PERSON, PER_TENANT - PER_PERSON].entries()) {
      const who = person("acme", index);
      const headers = await headersOf(who, { prefer: "wait=25" });
      const paths = Array.from(
        { length: count },
        (_, run) => `/v1/threads/t/runs/owned-by-acme-${who.sub}-${run}/cancel`,
      );
      const begun = paths.map((path) => gateway.begin(path, { method: "POST", headers }).response);
      waiting.push(...begun);
      // Each run has been read for its proof, and once more while it is waited for.
      while (reads() < waiting.length * 2) await scheduler.wait(5);
    }
    expect((await ask(await headersOf(person("acme", 9)))).status).toBe(404);
    // They are requests of the person's all the same.
    expect((await ask(await headersOf(person("acme", 0)))).status).toBe(429);
    pass(25_000);
    const statuses = await Promise.all(waiting.map(async (response) => (await response).status));
    expect(new Set(statuses)).toEqual(new Set([200]));
  });
});

/** The middleware alone, over work that ends when the test says so. */
function alone() {
  let nowMs = 0;
  const pending: (() => void)[] = [];
  const until = () => new Promise<void>((resolve) => pending.push(resolve));
  const app = new Hono();
  app.use(bulkhead({ now: () => nowMs }));
  app.onError((error, c) => c.text(error.message, 503));
  app.get("/work", async (c) => {
    await until();
    return c.text("worked");
  });
  app.get("/wait/:tenant", async (c) => {
    placeIn(c).hold(sharesOfCaller(c.req.param("tenant"), null));
    const waiting = placeIn(c).whileWaiting(until);
    await waiting;
    return c.text(waiting === null ? "not waited" : "waited");
  });
  app.get("/from/:address", async (c) => {
    placeIn(c).hold(sharesOfAddress(c.req.param("address")));
    await until();
    return c.text("worked");
  });
  app.get("/wait", async (c) => {
    const waiting = placeIn(c).whileWaiting(until);
    await waiting;
    return c.text(waiting === null ? "not waited" : "waited");
  });
  return {
    begin: (path: string, count: number) =>
      Array.from({ length: count }, async () => await app.request(path)),
    end: () => {
      for (const go of pending.splice(0)) go();
    },
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

const textsOf = async (responses: readonly Promise<Response>[]): Promise<string[]> =>
  await Promise.all(responses.map(async (response) => await (await response).text()));

describe("the places", () => {
  it("of requests that were silent for a minute are given to others, and once only", async () => {
    const { begin, end, pass } = alone();
    const lost = begin("/work", MOST);
    pass(60_000);
    const next = begin("/work", MOST);
    end();
    expect(new Set(await textsOf([...lost, ...next]))).toEqual(new Set(["worked"]));
    // The lost ones came back all the same: their places were not given back a second time.
    const again = begin("/work", MOST + 1);
    expect((await again.at(-1))?.status).toBe(503);
    end();
    expect((await textsOf(again.slice(0, MOST))).every((text) => text === "worked")).toBe(true);
  });

  it("of requests that wait are 1,024, beside those of requests that work", async () => {
    const { begin, end } = alone();
    const waiting = begin("/wait", MOST_WAITING);
    const working = begin("/work", MOST - 1);
    expect(await textsOf(begin("/wait", 1))).toEqual(["not waited"]);
    end();
    expect(new Set(await textsOf(waiting))).toEqual(new Set(["waited"]));
    expect(new Set(await textsOf(working))).toEqual(new Set(["worked"]));
    const next = begin("/wait", 1);
    end();
    expect(await textsOf(next)).toEqual(["waited"]);
  });

  it("of requests that wait are 512 of one tenant, and another tenant has its own", async () => {
    const { begin, end } = alone();
    const waiting = begin("/wait/acme", 256);
    // A tenant works on 256 at a time: the rest begin when these wait.
    await scheduler.wait(1);
    waiting.push(...begin("/wait/acme", 256));
    await scheduler.wait(1);
    expect(await textsOf(begin("/wait/acme", 1))).toEqual(["not waited"]);
    const other = begin("/wait/globex", 1);
    await scheduler.wait(1);
    end();
    expect(await textsOf(other)).toEqual(["waited"]);
    expect(new Set(await textsOf(waiting))).toEqual(new Set(["waited"]));
  });

  it("of one IPv6 site are 256, however many networks it has", async () => {
    const { begin, end } = alone();
    const networks = [1, 2, 3, 4].map((network) => `/from/2001:db8:7:${network}::1`);
    const asked = networks.flatMap((path) => begin(path, 64));
    await scheduler.wait(1);
    expect(await textsOf(begin("/from/2001:db8:7:5::1", 1))).toEqual([
      "rate_limited: 256 requests at once of one address",
    ]);
    const other = begin("/from/2001:db8:8:1::1", 1);
    await scheduler.wait(1);
    end();
    expect(new Set(await textsOf([...asked, ...other]))).toEqual(new Set(["worked"]));
  });

  it("are given back when the work fails, and while it waits too", async () => {
    const app = new Hono();
    app.use(bulkhead({ now: () => 0 }));
    app.onError((_, c) => c.text("failed", 500));
    app.get("/", async (c) => {
      await placeIn(c).whileWaiting(() => Promise.reject(new Error("lost")));
      return c.text("not reached");
    });
    for (let index = 0; index <= MOST_WAITING; index += 1) {
      expect((await app.request("/")).status).toBe(500);
    }
  });
});
