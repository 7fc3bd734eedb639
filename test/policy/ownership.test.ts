// Whose run is it? Every source of proof, by the front door.
import { describe, expect, it } from "vitest";
import {
  ANN,
  byCredential,
  createHarness,
  GUS,
  type Harness,
  type Json,
  type RunIds,
  SAM,
  withTenant,
} from "../support/harness.ts";
import { refused } from "../support/reply.ts";

describe("ownership by metadata", () => {
  /** The run as it would be with that metadata, which no upstream of ours would take in. */
  async function cancelWith(metadata: unknown, sub = "ann") {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    const token = await gateway.tokenFor({ ...ANN, sub });
    const run: Json = await (await gateway.read(ids, await gateway.tokenFor(ANN))).json();
    const reply = { status: 200, body: { ...run, metadata } };
    await gateway.fault({ match: { method: "GET" }, reply });
    const response = await gateway.cancel(ids, token);
    return { status: response.status, cancels: await gateway.cancelsSent() };
  }

  it("is proved by the tenant's and the subject's exact strings", async () => {
    expect((await cancelWith({ tenant: "acme", user: "ann", other: "x" })).status).toBe(200);
    expect((await cancelWith({ tenant: "acme", user: "7" }, "7")).status).toBe(200);
    expect((await cancelWith({ tenant: "acme", user: "null" }, "null")).status).toBe(200);
  });

  it.each<[unknown, string?]>([
    [{ tenant: "globex", user: "ann" }],
    [{ tenant: "ACME", user: "ann" }],
    [{ tenant: "acme ", user: "ann" }],
    [{ tenant: "acme", user: "Ann" }],
    [{ tenant: "acme", user: "ann " }],
    [{ tenant: "acme", user: "anna" }],
    [{ tenant: "acme", user: "an" }],
    [{ tenant: "acme", user: "e\u0301" }, "\u00e9"],
    [{ tenant: "acme", user: ["ann"] }],
    [{ tenant: ["acme"], user: "ann" }],
    [{ tenant: "acme", user: { name: "ann" } }],
    [{ tenant: "acme", user: 7 }, "7"],
    [{ tenant: "acme", user: true }, "true"],
    [{ tenant: "acme", user: null }, "null"],
    [{ tenant: "acme", user: "" }],
    [{ tenant: "acme" }, "undefined"],
    [{ tenant: 0, user: "ann" }],
    [{ user: "ann" }],
    [{ Tenant: "acme", User: "ann" }],
    [{}],
    [null],
    [[]],
    [["acme", "ann"]],
    ["acme ann"],
    [JSON.stringify({ tenant: "acme", user: "ann" })],
  ])("is not proved by %j", async (metadata, sub) => {
    expect(await cancelWith(metadata, sub)).toEqual({ status: 404, cancels: [] });
  });

  it("is not proved by what an object has from its prototype", async () => {
    const gateway = await createHarness({
      config: withTenant("acme", {
        ownership: { source: "metadata", tenant_key: "tenant", subject_key: "constructor" },
      }),
    });
    const ids = await gateway.startRun();
    const token = await gateway.tokenFor({ ...ANN, sub: "function Object() { [native code] }" });
    expect((await gateway.cancel(ids, token)).status).toBe(404);
  });

  it("is proved by the keys that the config names, and no others", async () => {
    const gateway = await createHarness({
      config: withTenant("acme", {
        ownership: { source: "metadata", tenant_key: "org", subject_key: "owner" },
      }),
    });
    const token = await gateway.tokenFor(ANN);
    const usual = await gateway.startRun();
    expect((await gateway.cancel(usual, token)).status).toBe(404);
    const named = await gateway.startRun({ metadata: { org: "acme", owner: "ann" } });
    expect((await gateway.cancel(named, token)).status).toBe(200);
  });

  it("of the tenant alone is enough for a rule about the tenant's runs", async () => {
    const gateway = await createHarness();
    const token = await gateway.tokenFor(SAM);
    const because = {
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ reason: "Asked by phone." }),
    };
    const colleagues = await gateway.startRun({ owner: "bob" });
    expect((await gateway.cancel(colleagues, token, because)).status).toBe(200);
    const foreign = await gateway.startRun({ metadata: { tenant: "globex", user: "sam" } });
    expect((await gateway.cancel(foreign, token, because)).status).toBe(404);
  });

  it("takes one read, and the cancel is the only other call", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    await gateway.forgetCalls();
    await gateway.cancel(ids, await gateway.tokenFor(ANN));
    expect((await gateway.calls()).map(({ method }) => method)).toEqual(["GET", "POST"]);
  });
});

describe("ownership by grant", () => {
  const byGrant = withTenant("acme", { ownership: { source: "grant" } });

  async function cancelGranted(details: (ids: RunIds) => unknown) {
    const gateway = await createHarness({ config: byGrant });
    const ids = await gateway.startRun();
    await gateway.forgetCalls();
    const token = await gateway.tokenFor(ANN, { authorization_details: details(ids) });
    const response = await gateway.cancel(ids, token);
    return { status: response.status, calls: await gateway.calls() };
  }

  it("cancels the run that the token names, once it has seen that it is on the thread", async () => {
    const { status, calls } = await cancelGranted(({ thread, run }) => [
      { type: "run_cancel", thread_id: thread, run_id: run },
    ]);
    expect(status).toBe(200);
    expect(calls.map(({ method }) => method)).toEqual(["GET", "POST"]);
  });

  it("cancels any run of a thread that the token names whole, once it has seen it there", async () => {
    const { status, calls } = await cancelGranted(({ thread }) => [
      { type: "run_cancel", thread_id: thread },
    ]);
    expect(status).toBe(200);
    expect(calls.map(({ method }) => method)).toEqual(["GET", "POST"]);
  });

  it("of a whole thread is none for a run that says it is on another, or says nothing", async () => {
    for (const thread_id of ["thread_2", undefined]) {
      const gateway = await createHarness({ config: byGrant });
      const ids = await gateway.startRun();
      const run: Json = await (await gateway.read(ids, await grantOf(gateway, ids))).json();
      // Some servers find a run by its id alone, whatever thread is in the path.
      const reply = { status: 200, body: { ...run, thread_id } };
      await gateway.fault({ match: { method: "GET" }, reply });
      const whole = [{ type: "run_cancel", thread_id: ids.thread }];
      const token = await gateway.tokenFor(ANN, { authorization_details: whole });
      expect((await gateway.cancel(ids, token)).status).toBe(404);
      expect(await gateway.cancelsSent()).toEqual([]);
    }
  });

  const grantOf = (gateway: Harness, { thread, run }: RunIds) =>
    gateway.tokenFor(ANN, {
      authorization_details: [{ type: "run_cancel", thread_id: thread, run_id: run }],
    });

  it("finds the right grant among others", async () => {
    const { status } = await cancelGranted(({ thread, run }) => [
      { type: "payment", amount: 3 },
      null,
      { type: "run_cancel", thread_id: thread, run_id: "run_other" },
      { type: "run_cancel", thread_id: thread, run_id: run },
    ]);
    expect(status).toBe(200);
  });

  it.each<[string, (ids: RunIds) => unknown]>([
    ["another run", ({ thread }) => [{ type: "run_cancel", thread_id: thread, run_id: "run_2" }]],
    ["another thread", ({ run }) => [{ type: "run_cancel", thread_id: "thread_2", run_id: run }]],
    ["another thread whole", () => [{ type: "run_cancel", thread_id: "thread_2" }]],
    ["another type", ({ thread, run }) => [{ type: "run_read", thread_id: thread, run_id: run }]],
    ["no thread", ({ run }) => [{ type: "run_cancel", run_id: run }]],
    [
      "a run that is no string",
      ({ thread, run }) => [{ type: "run_cancel", thread_id: thread, run_id: [run] }],
    ],
    ["an empty run", ({ thread }) => [{ type: "run_cancel", thread_id: thread, run_id: "" }]],
    ["an empty thread", ({ run }) => [{ type: "run_cancel", thread_id: "", run_id: run }]],
    ["an empty thread whole", () => [{ type: "run_cancel", thread_id: "" }]],
    ["a null run", ({ thread }) => [{ type: "run_cancel", thread_id: thread, run_id: null }]],
    [
      "the thread by a misspelt run_id",
      ({ thread }) => [{ type: "run_cancel", thread_id: thread, runId: "run_other" }],
    ],
    [
      "the run at another place",
      ({ thread, run }) => [
        { type: "run_cancel", thread_id: thread, run_id: run, locations: ["https://x.test"] },
      ],
    ],
    [
      "no list of grants",
      ({ thread, run }) => ({ type: "run_cancel", thread_id: thread, run_id: run }),
    ],
    ["nothing", () => undefined],
  ])("is 404 and no call at all for a token that grants %s", async (_, details) => {
    const { status, calls } = await cancelGranted(details);
    expect(status).toBe(404);
    expect(calls).toEqual([]);
  });
});

describe("ownership by grant, on an upstream without threads", () => {
  const byGrant = withTenant("globex", { ownership: { source: "grant" } });

  it("is proved by a grant that names the run", async () => {
    const gateway = await createHarness({ config: byGrant });
    const { thread, run } = await gateway.startResponse({ owner: "somebody" });
    const details = [{ type: "run_cancel", thread_id: thread, run_id: run }];
    const token = await gateway.tokenFor(GUS, { authorization_details: details });
    expect((await gateway.cancel({ thread, run }, token)).status).toBe(200);
  });

  it("is not proved by a grant of a whole thread, which would be one of every run there is", async () => {
    const gateway = await createHarness({ config: byGrant });
    const { run } = await gateway.startResponse({ owner: "somebody" });
    await gateway.forgetCalls();
    for (const thread of ["thread_of_gus", "responses", "cancel", "any-thread", run]) {
      const details = [{ type: "run_cancel", thread_id: thread }];
      const token = await gateway.tokenFor(GUS, { authorization_details: details });
      expect((await gateway.cancel({ thread, run }, token)).status).toBe(404);
    }
    expect(await gateway.cancelsSent()).toEqual([]);
  });

  it("is proved by a grant of the whole thread that the response itself names", async () => {
    const gateway = await createHarness({ config: byGrant });
    const { run } = await gateway.startResponse({ metadata: { thread_id: "thread_of_gus" } });
    const details = [{ type: "run_cancel", thread_id: "thread_of_gus" }];
    const token = await gateway.tokenFor(GUS, { authorization_details: details });
    expect((await gateway.cancel({ thread: "thread_of_gus", run }, token)).status).toBe(200);
  });
});

describe("a run that is not granted", () => {
  it("is not read for the list of assistants either: an unknown one costs the same", async () => {
    const gateway = await createHarness({
      config: withTenant("acme", { ownership: { source: "grant" }, assistants: ["asst_*"] }),
    });
    const ids = await gateway.startRun();
    await gateway.forgetCalls();
    expect((await gateway.cancel(ids, await gateway.tokenFor(ANN))).status).toBe(404);
    expect(await gateway.calls()).toEqual([]);
  });
});

describe("ownership by credential", () => {
  it("proves the tenant; one read says that the run is on the thread", async () => {
    const gateway = await createHarness({ config: byCredential("acme") });
    const ids = await gateway.startRun({ owner: "somebody" });
    await gateway.forgetCalls();
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN));
    expect(response.status).toBe(200);
    expect((await gateway.calls()).map(({ method }) => method)).toEqual(["GET", "POST"]);
  });

  it("is 404 for a run that the upstream does not know under this key", async () => {
    const gateway = await createHarness({ config: byCredential("acme") });
    const foreign = await gateway.startRun({ tenant: "globex" });
    const reply = await refused(await gateway.cancel(foreign, await gateway.tokenFor(ANN)));
    expect(reply).toMatchObject({ status: 404, code: "run_not_found" });
  });
});
