// Ownership by registry, by the front door: the app's backend says whose run it has started.
import { describe, expect, it } from "vitest";
import type { LedgerRpc } from "../../src/audit/ledger.ts";
import { ledgerDown, ledgerWith, realLedger } from "../audit/support.ts";
import {
  ADA,
  ANN,
  createHarness,
  GUS,
  type Harness,
  type HarnessOptions,
  type Json,
  limitsOf,
  type Person,
  pathOf,
  type RunIds,
  SAM,
  withTenant,
} from "../support/harness.ts";
import { refused } from "../support/reply.ts";

const BACKEND: Person = { tenant: "acme", sub: "backend", scope: "runs:register" };
const EVE: Person = { ...ANN, sub: "eve" };

const byRegistry = (members: Json = {}): ((config: Json) => Json) =>
  withTenant("acme", { ownership: { source: "registry" }, ...members });

const gatewayWith = (options: HarnessOptions = {}) =>
  createHarness({ config: byRegistry(), ...options });

/** A run that its metadata says nothing of. */
const startRun = (gateway: Harness): Promise<RunIds> => gateway.startRun({ owner: "nobody" });

async function register(
  gateway: Harness,
  ids: RunIds,
  body: unknown,
  { as = BACKEND, ...init }: RequestInit & { as?: Person } = {},
): Promise<Response> {
  return await gateway.request(`${pathOf(ids)}/owner`, {
    method: "PUT",
    headers: {
      authorization: `Bearer ${await gateway.tokenFor(as)}`,
      "content-type": "application/json",
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
  });
}

describe("a registered run", () => {
  it("is its owner's to stop, once a read has said that it is on the thread", async () => {
    const gateway = await gatewayWith();
    const ids = await startRun(gateway);
    const registered = await register(gateway, ids, { subject: "ann" });
    expect(registered.status).toBe(204);
    expect(await registered.text()).toBe("");
    await gateway.forgetCalls();
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN));
    expect(response.status).toBe(200);
    expect((await gateway.calls()).map(({ method }) => method)).toEqual(["GET", "POST"]);
    const [event] = await gateway.eventsOf(ids);
    expect(event).toMatchObject({
      type: "cancel",
      decision: { allowed: true, rule: "owner", code: null },
      outcome: { result: "cancelling" },
    });
  });

  it("is asked about in the call that begins: two calls of the ledger in all", async () => {
    const asked: string[] = [];
    const gateway = await gatewayWith({
      bindings: { ledger: (id) => noting(realLedger(id), asked) },
    });
    const ids = await startRun(gateway);
    await register(gateway, ids, { subject: "ann" });
    expect(asked.splice(0)).toEqual(["register"]);
    await gateway.cancel(ids, await gateway.tokenFor(ANN));
    expect(asked).toEqual(["beginIfOwned", "finish"]);
  });

  it("is nobody else's: the same bytes as for a run that nobody has registered, and the same work", async () => {
    const asked: string[] = [];
    const gateway = await gatewayWith({
      bindings: { ledger: (id) => noting(realLedger(id), asked) },
    });
    const ids = await startRun(gateway);
    const unregistered = await startRun(gateway);
    await register(gateway, ids, { subject: "ann" });
    await gateway.forgetCalls();
    const replies: unknown[] = [];
    for (const target of [ids, unregistered, { thread: "thread_x", run: "run_x" }]) {
      asked.length = 0;
      const response = await gateway.cancel(target, await gateway.tokenFor(EVE));
      replies.push([await shownOf(response), [...asked]]);
    }
    expect(replies[0]).toMatchObject([{ status: 404 }, ["beginIfOwned", "record"]]);
    expect(replies[1]).toEqual(replies[0]);
    expect(replies[2]).toEqual(replies[0]);
    expect(await gateway.calls()).toEqual([]);
    const [event] = await gateway.eventsOf(ids);
    expect(event).toMatchObject({ type: "denied", actor: { sub: "eve" }, outcome: null });
  });

  it("is the tenant's, for a rule that covers all of its runs, with that rule's reason", async () => {
    const gateway = await gatewayWith();
    const ids = await startRun(gateway);
    const token = await gateway.tokenFor(SAM);
    expect((await gateway.cancel(ids, token)).status).toBe(404);
    await register(gateway, ids, { subject: "ann" });
    expect(await refused(await gateway.cancel(ids, token))).toMatchObject({
      code: "reason_required",
      param: "reason",
    });
    const init = { body: '{"reason":"asked to"}', headers: { "content-type": "application/json" } };
    expect((await gateway.cancel(ids, token, init)).status).toBe(200);
    const [event] = await gateway.eventsOf(ids);
    expect(event).toMatchObject({ decision: { rule: "support" }, reason: "asked to" });
  });

  it("is told from another run of the thread, and from one of that name on another thread", async () => {
    const gateway = await gatewayWith();
    const ids = await startRun(gateway);
    const token = await gateway.tokenFor(ANN);
    await register(gateway, { ...ids, run: "run_other" }, { subject: "ann" });
    await register(gateway, { ...ids, thread: "thread_other" }, { subject: "ann" });
    expect((await gateway.cancel(ids, token)).status).toBe(404);
  });

  it("is not another tenant's to register", async () => {
    const gateway = await createHarness({
      config: (config) =>
        withTenant("globex", { ownership: { source: "registry" } })(byRegistry()(config)),
    });
    const ids = await startRun(gateway);
    const theirs: Person = { tenant: "globex", sub: "backend", scope: "runs:register" };
    expect((await register(gateway, ids, { subject: "ann" }, { as: theirs })).status).toBe(204);
    expect((await register(gateway, ids, { subject: "gus" }, { as: theirs })).status).toBe(204);
    expect((await gateway.cancel(ids, await gateway.tokenFor(ANN))).status).toBe(404);
    expect((await gateway.cancel(ids, await gateway.tokenFor({ ...GUS, sub: "gia" }))).status).toBe(
      404,
    );
  });

  it("belongs to whom it was last registered for", async () => {
    const gateway = await gatewayWith();
    const ids = await startRun(gateway);
    await register(gateway, ids, { subject: "ann" });
    await register(gateway, ids, { subject: "eve" });
    expect((await gateway.cancel(ids, await gateway.tokenFor(ANN))).status).toBe(404);
    expect((await gateway.cancel(ids, await gateway.tokenFor(EVE))).status).toBe(200);
  });

  it("can be read by its owner, and by nobody else", async () => {
    const gateway = await gatewayWith();
    const ids = await startRun(gateway);
    await register(gateway, ids, { subject: "ann" });
    expect((await gateway.read(ids, await gateway.tokenFor(ANN))).status).toBe(200);
    await gateway.forgetCalls();
    expect((await gateway.read(ids, await gateway.tokenFor(EVE))).status).toBe(404);
    expect(await gateway.calls()).toEqual([]);
  });

  it("is read first where a rule looks at the run, and is still nobody else's", async () => {
    const rules = [{ id: "r", scopes: ["runs:cancel"], runs: "own", assistants: ["asst_s*"] }];
    const gateway = await gatewayWith({ config: byRegistry({ rules }) });
    const ids = await startRun(gateway);
    await register(gateway, ids, { subject: "ann" });
    await gateway.forgetCalls();
    expect((await gateway.cancel(ids, await gateway.tokenFor(EVE))).status).toBe(404);
    expect((await gateway.cancel(ids, await gateway.tokenFor(ANN))).status).toBe(200);
    expect((await gateway.calls()).map(({ method }) => method)).toEqual(["GET", "GET", "POST"]);
  });

  it("that a rule would read is told from none neither by who is asked about it, nor by who is down", async () => {
    const rules = [{ id: "r", scopes: ["runs:cancel"], runs: "own", max_age_seconds: 600 }];
    const asked: string[] = [];
    const config = byRegistry({ rules });
    const gateway = await gatewayWith({
      config,
      bindings: { ledger: (id) => noting(realLedger(id), asked) },
    });
    const ids = await startRun(gateway);
    await register(gateway, ids, { subject: "ann" });
    const down = await gatewayWith({ config, bindings: { ledger: () => ledgerDown() } });
    const token = await gateway.tokenFor(EVE);
    const seen = [];
    for (const target of [ids, { ...ids, run: "run_unknown" }]) {
      asked.length = 0;
      const replies = [await gateway.cancel(target, token), await gateway.read(target, token)];
      const shown = await Promise.all(replies.map(shownOf));
      const without = [await down.cancel(target, token), await down.read(target, token)];
      seen.push([shown, [...asked], without.map(({ status }) => status)]);
    }
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[0]?.[1]).toEqual(["beginIfOwned", "record", "ownerOf", "record"]);
    expect(seen[0]?.[2]).toEqual([503, 503]);
  });

  it("is cancelled once by ten clicks at once", async () => {
    const gateway = await gatewayWith();
    const ids = await startRun(gateway);
    await register(gateway, ids, { subject: "ann" });
    await gateway.forgetCalls();
    const token = await gateway.tokenFor(ANN);
    const replies = await Promise.all(Array.from({ length: 10 }, () => gateway.cancel(ids, token)));
    expect(replies.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(await gateway.cancelsSent()).toHaveLength(1);
    expect(await gateway.eventsOf(ids)).toHaveLength(11);
  });
});

describe("without its ledger", () => {
  it.each(["refuse", "proceed"])(
    "a tenant that would %s stops nothing: nobody knows whose run it is",
    async (on_failure) => {
      const gateway = await gatewayWith({
        config: byRegistry({ audit: { on_failure } }),
        bindings: { ledger: () => ledgerDown() },
      });
      const ids = await startRun(gateway);
      await gateway.forgetCalls();
      const reply = await refused(await gateway.cancel(ids, await gateway.tokenFor(ANN)));
      expect(reply).toMatchObject({ status: 503, code: "audit_unavailable" });
      expect(await refused(await gateway.read(ids, await gateway.tokenFor(ANN)))).toMatchObject({
        status: 503,
        message: "The registry of owners cannot be read.",
      });
      expect(await gateway.calls()).toEqual([]);
    },
  );

  it("a registration is refused, and says so", async () => {
    const gateway = await gatewayWith({ bindings: { ledger: () => ledgerDown() } });
    const reply = await refused(await register(gateway, TARGET, { subject: "ann" }));
    expect(reply).toMatchObject({
      status: 503,
      code: "audit_unavailable",
      message: "The registry of owners cannot be written, so nothing was registered.",
    });
  });

  it("a registration whose first answer is lost is on record once", async () => {
    let calls = 0;
    const gateway = await gatewayWith({
      bindings: {
        ledger: (id) => {
          const ledger = realLedger(id);
          return ledgerWith(ledger, {
            register: async (registration) => {
              await ledger.register(registration);
              calls += 1;
              if (calls === 1) throw new Error("the answer was lost");
            },
          });
        },
      },
    });
    const ids = await startRun(gateway);
    expect((await register(gateway, ids, { subject: "ann" })).status).toBe(204);
    expect(calls).toBe(2);
    expect(await gateway.eventsOf(ids)).toHaveLength(1);
  });

  it("a cancel that was joined to another whose end it never hears of goes on by itself", async () => {
    const gateway = await gatewayWith({
      bindings: {
        ledger: (id) => {
          const ledger = realLedger(id);
          return ledgerWith(ledger, {
            beginIfOwned: async (claim) => ({
              ...(await ledger.beginIfOwned(claim)),
              leader: "somebody",
            }),
            join: () => Promise.reject(new Error("evicted")),
          });
        },
      },
    });
    const ids = await startRun(gateway);
    await register(gateway, ids, { subject: "ann" });
    expect((await gateway.cancel(ids, await gateway.tokenFor(ANN))).status).toBe(200);
    expect(await gateway.cancelsSent()).toHaveLength(1);
  });
});

const TARGET: RunIds = { thread: "thread_1", run: "run_1" };

describe("a registration", () => {
  it("is an event that names who was registered, and by whom", async () => {
    const gateway = await gatewayWith();
    const ids = await startRun(gateway);
    const response = await register(gateway, ids, { subject: "ann" });
    const [event] = await gateway.eventsOf(ids);
    expect(event).toMatchObject({
      id: response.headers.get("audit-id"),
      type: "owner_registered",
      actor: { sub: "backend" },
      target: { thread_id: ids.thread, run_id: ids.run },
      decision: { allowed: true, rule: null, code: null },
      owner: "ann",
      outcome: null,
      request: { route: "PUT /v1/threads/:thread_id/runs/:run_id/owner" },
    });
    expect(event?.seq).not.toBeNull();
  });

  it("names a pseudonym where the tenant wants them", async () => {
    const gateway = await gatewayWith({ config: byRegistry({ audit: { subject: "hmac" } }) });
    const ids = await startRun(gateway);
    await register(gateway, ids, { subject: "ann" });
    await gateway.cancel(ids, await gateway.tokenFor(ANN));
    const [cancel, registered] = await gateway.eventsOf(ids);
    expect(registered).toMatchObject({ owner: cancel?.actor.sub });
    expect(cancel?.actor.sub).toMatch(/^hmac:/);
  });

  it.each<[string, unknown, Json]>([
    ["no body", "", { status: 400, code: "invalid_request" }],
    ["no JSON", "{", { status: 400, message: "The request body is not valid JSON." }],
    [
      "no subject",
      {},
      {
        param: "subject",
        message: "The request body must be a JSON object, and 'subject' a string.",
      },
    ],
    ["a subject that is none", { subject: 7 }, { status: 400, param: "subject" }],
    ["an empty subject", { subject: "" }, { status: 400, param: "subject" }],
    ["a subject with a control", { subject: "ann\u0000" }, { status: 400, param: "subject" }],
    ["a subject over 255", { subject: "a".repeat(256) }, { status: 400, param: "subject" }],
    [
      "more than it knows",
      { subject: "ann", tenant: "globex" },
      { message: "The request body takes no member but 'subject'." },
    ],
    ["too much", { subject: "a".repeat(5_000) }, { status: 413, code: "payload_too_large" }],
  ])("with %s is refused and on record", async (_, body, reply) => {
    const gateway = await gatewayWith();
    const ids = await startRun(gateway);
    expect(await refused(await register(gateway, ids, body))).toMatchObject(reply);
    expect((await gateway.cancel(ids, await gateway.tokenFor(ANN))).status).toBe(404);
    const events = await gateway.eventsOf(ids);
    expect(events.map(({ type }) => type)).toEqual(["denied", "denied"]);
  });

  it("needs its scope, whatever else the caller may do", async () => {
    const gateway = await gatewayWith();
    const ids = await startRun(gateway);
    for (const as of [ANN, SAM, ADA]) {
      const reply = await refused(await register(gateway, ids, { subject: as.sub }, { as }));
      expect(reply).toMatchObject({ status: 403, code: "insufficient_scope" });
    }
    expect((await gateway.cancel(ids, await gateway.tokenFor(ANN))).status).toBe(404);
  });

  it("needs a token, and an address that is one", async () => {
    const gateway = await gatewayWith();
    const bare = { method: "PUT", body: "{" };
    expect((await gateway.request(`${pathOf(TARGET)}/owner`, bare)).status).toBe(401);
    const odd = await register(gateway, { thread: "a~b", run: "run_1" }, { subject: "ann" });
    expect(await refused(odd)).toMatchObject({ status: 404, code: "run_not_found" });
  });

  it("says so where it would prove nothing", async () => {
    const gateway = await createHarness();
    const reply = await refused(await register(gateway, TARGET, { subject: "ann" }));
    expect(reply).toMatchObject({
      status: 400,
      message:
        "The tenant's source of ownership is 'metadata', so a registration would prove nothing.",
    });
  });

  it("is not held to the rate of a person, and is switched off with its tenant", async () => {
    const limits = limitsOf(() => ({ limit: async () => ({ success: false }) }));
    const gateway = await gatewayWith({
      config: byRegistry({ rate: "strict" }),
      bindings: { limits },
    });
    expect((await register(gateway, TARGET, { subject: "ann" })).status).toBe(204);
    // Who is no service is, or anybody could fill the log.
    const eve = await register(gateway, TARGET, { subject: "eve" }, { as: EVE });
    expect(eve.status).toBe(429);
    const off = await gatewayWith({ config: byRegistry({ enabled: false }) });
    expect((await register(off, TARGET, { subject: "ann" })).status).toBe(403);
  });
});

/** What a client can tell replies apart by. */
async function shownOf(response: Response): Promise<unknown> {
  const headers = Object.fromEntries(response.headers);
  delete headers["x-request-id"];
  return { status: response.status, headers, body: await response.text() };
}

/** The ledger, which writes down what is asked of it. */
function noting(ledger: LedgerRpc, asked: string[]): LedgerRpc {
  const noted =
    <Parameters extends unknown[], Result>(
      name: string,
      method: (...parameters: Parameters) => Promise<Result>,
    ) =>
    (...parameters: Parameters): Promise<Result> => {
      asked.push(name);
      return method(...parameters);
    };
  return ledgerWith(ledger, {
    begin: noted("begin", (intent) => ledger.begin(intent)),
    beginIfOwned: noted("beginIfOwned", (claim) => ledger.beginIfOwned(claim)),
    register: noted("register", (registration) => ledger.register(registration)),
    ownerOf: noted("ownerOf", (thread, run) => ledger.ownerOf(thread, run)),
    finish: noted("finish", (finish) => ledger.finish(finish)),
    record: noted("record", (event, days) => ledger.record(event, days)),
  });
}
