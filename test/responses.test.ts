// The Responses surface: a response by its id alone, on the same journey as a run of a thread.
import { describe, expect, it } from "vitest";
import {
  ANN,
  createHarness,
  GIA,
  GUS,
  type HarnessOptions,
  type Json,
  type Person,
  type StartRun,
  withTenant,
} from "./support/harness.ts";

const BACKEND: Person = { tenant: "globex", sub: "backend", scope: "runs:register" };
const GIL: Person = { tenant: "globex", sub: "gil", scope: "runs:cancel" };
const SUE: Person = { tenant: "globex", sub: "sue", scope: "runs:cancel:support" };

async function open(options: HarnessOptions = {}) {
  const gateway = await createHarness(options);
  const ask = async (
    method: string,
    path: string,
    { person = GUS, claims = {}, ...init }: RequestInit & { person?: Person; claims?: Json } = {},
  ) =>
    await gateway.request(`/v1/responses/${path}`, {
      ...init,
      method,
      headers: {
        authorization: `Bearer ${await gateway.tokenFor(person, claims)}`,
        ...(init.headers as Record<string, string>),
      },
    });
  return {
    gateway,
    start: async (run: StartRun = {}) => (await gateway.startResponse(run)).run,
    cancel: (id: string, init: Parameters<typeof ask>[2] = {}) => ask("POST", `${id}/cancel`, init),
    read: (id: string, init: Parameters<typeof ask>[2] = {}) => ask("GET", id, init),
    register: (id: string, subject: string) =>
      ask("PUT", `${id}/owner`, {
        person: BACKEND,
        body: JSON.stringify({ subject }),
        headers: { "content-type": "application/json" },
      }),
    eventsOf: async (id: string) =>
      (await gateway.events(await gateway.tokenFor(GIA))).data.filter(
        ({ target }) => target.run_id === id,
      ),
  };
}

const codeOf = async (response: Response) =>
  ((await response.json()) as { error: { code: string } }).error.code;

describe("a response", () => {
  it("is cancelled by its owner and answered as a response, with its record", async () => {
    const { start, cancel, eventsOf } = await open();
    const id = await start();
    const response = await cancel(id);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      id,
      object: "response",
      status: "cancelled",
      background: true,
      model: "gpt-5",
      metadata: { tenant: "globex", user: "gus" },
      output: expect.any(Array),
    });
    expect(response.headers.get("cancel-outcome")).toBe("cancelled");
    const [event] = await eventsOf(id);
    expect(response.headers.get("audit-id")).toBe(event?.id);
    expect(event).toMatchObject({
      type: "cancel",
      target: { upstream: "responses", thread_id: null, run_id: id },
      decision: { allowed: true, rule: "owner" },
      outcome: { result: "cancelled", attempts: 1 },
      request: { route: "POST /v1/responses/:response_id/cancel" },
    });
  });

  it("is read by its owner, and then there is no record", async () => {
    const { start, read, eventsOf } = await open();
    const id = await start();
    const response = await read(id);
    expect(await response.json()).toMatchObject({ id, object: "response", status: "in_progress" });
    expect(response.headers.get("audit-id")).toBeNull();
    expect(await eventsOf(id)).toEqual([]);
  });

  it("that has ended is shown as it is, or refused where the caller is strict", async () => {
    const { start, cancel } = await open();
    const id = await start({ timing: { run_ms: 0 } });
    const response = await cancel(id);
    expect(await response.json()).toMatchObject({ status: "completed" });
    expect(response.headers.get("cancel-outcome")).toBe("already_completed");
    const strict = await cancel(id, { headers: { prefer: "handling=strict" } });
    expect([strict.status, await codeOf(strict)]).toEqual([400, "run_not_cancellable"]);
  });

  it("is already cancelled the second time", async () => {
    const { start, cancel, gateway } = await open();
    const id = await start();
    await cancel(id);
    await scheduler.wait(2);
    const again = await cancel(id);
    expect(again.headers.get("cancel-outcome")).toBe("already_cancelled");
    expect(await again.json()).toMatchObject({ id, status: "cancelled" });
    expect(await gateway.cancelsSent()).toHaveLength(1);
  });

  it("is the same for everyone who asks at the same time, by one cancel", async () => {
    const { start, cancel, gateway, eventsOf } = await open();
    const id = await start();
    const responses = await Promise.all(Array.from({ length: 10 }, () => cancel(id)));
    const bodies = await Promise.all(responses.map((response) => response.text()));
    expect(new Set(bodies).size).toBe(1);
    expect(JSON.parse(bodies[0] ?? "")).toMatchObject({ object: "response", status: "cancelled" });
    expect(await gateway.cancelsSent()).toHaveLength(1);
    expect(await eventsOf(id)).toHaveLength(10);
  });

  it("of another person, another tenant or nobody is one and the same 404", async () => {
    const { start, cancel, read, gateway } = await open();
    const theirs = await start({ owner: "gil" });
    const foreign = await start({ metadata: { tenant: "acme" } });
    const nobodys = await start({ metadata: { tenant: "", user: "" } });
    const ids = [theirs, foreign, nobodys, "resp_unknown", "a~b", "x".repeat(1_025)];
    for (const ask of [cancel, read]) {
      const replies = await Promise.all(
        ids.map(async (id) => {
          const response = await ask(id);
          const headers = [...response.headers].filter(([name]) => name !== "x-request-id");
          return JSON.stringify([response.status, headers, await response.text()]);
        }),
      );
      expect(new Set(replies).size).toBe(1);
      expect(replies[0]).toContain("run_not_found");
    }
    expect(await gateway.cancelsSent()).toEqual([]);
  });

  it("is stopped by support with a reason, and not without", async () => {
    const { start, cancel, eventsOf } = await open();
    const id = await start();
    expect(await codeOf(await cancel(id, { person: SUE }))).toBe("reason_required");
    const init = {
      body: '{"reason":"runaway"}',
      headers: { "content-type": "application/json" },
    };
    expect((await cancel(id, { person: SUE, ...init })).status).toBe(200);
    expect((await eventsOf(id))[0]).toMatchObject({
      reason: "runaway",
      decision: { rule: "support" },
    });
  });

  it("of a tenant on another wire is 501, and nothing is sent", async () => {
    const { cancel, read, gateway } = await open();
    for (const ask of [cancel, read]) {
      const response = await ask("resp_1", { person: ANN });
      expect([response.status, await codeOf(response)]).toEqual([501, "unsupported_by_upstream"]);
    }
    expect(await gateway.calls()).toEqual([]);
  });

  it("that cannot be read after its cancel is not said to be cancelled", async () => {
    const { start, cancel, gateway } = await open({
      config: withTenant("globex", {
        ownership: { source: "credential" },
        rules: [{ id: "any", scopes: ["runs:cancel"], runs: "tenant" }],
      }),
    });
    const id = await start();
    await gateway.fault({ match: { method: "GET" }, reply: { status: 500 } });
    const response = await cancel(id);
    const outcome = response.headers.get("cancel-outcome");
    const { status } = (await response.json()) as { status: string };
    expect([response.status, outcome, status]).toEqual([200, "not_confirmed", "in_progress"]);
  });

  it("that is no response is an error, and nothing of it gets out", async () => {
    const { start, read, gateway } = await open();
    const id = await start();
    const body = JSON.stringify({ id: "resp_canary", metadata: { tenant: "globex", user: "gus" } });
    await gateway.fault({ match: { method: "GET" }, reply: { status: 200, body } });
    const response = await read(id);
    expect(await response.clone().text()).not.toContain("canary");
    expect(await codeOf(response)).toBe("upstream_error");
  });
});

describe("a response that flips from cancelled to completed, as has been seen on Azure", () => {
  it("is reported as what it is each time, as a response and as a run", async () => {
    const { start, cancel, read, gateway } = await open();
    const id = await start();
    expect((await cancel(id)).headers.get("cancel-outcome")).toBe("cancelled");
    const cancelled = (await (await read(id)).json()) as Json;
    expect(cancelled).toMatchObject({ status: "cancelled" });
    const body = JSON.stringify({ ...cancelled, status: "completed", completed_at: 1_795_372_300 });
    await gateway.fault({ match: { method: "GET" }, reply: { status: 200, body } });

    expect(await (await read(id)).json()).toMatchObject({ status: "completed" });
    const token = await gateway.tokenFor(GUS);
    const run = await gateway.read({ thread: "thread_1", run: id }, token);
    expect(await run.json()).toMatchObject({ status: "completed", cancelled_at: null });
    const again = await cancel(id);
    expect(again.headers.get("cancel-outcome")).toBe("already_completed");
    expect(await again.json()).toMatchObject({ status: "completed" });
  });
});

describe("what the tenant hides", () => {
  it("is hidden in a response too", async () => {
    const { start, cancel, read } = await open({
      config: withTenant("globex", { redact: ["instructions", "metadata", "output", "usage"] }),
    });
    const id = await start({ body: { instructions: "canary-prompt" } });
    for (const ask of [cancel, read]) {
      const response = (await (await ask(id)).json()) as Json;
      expect(JSON.stringify(response)).not.toContain("canary-prompt");
      expect(response).toMatchObject({ instructions: null, metadata: {}, output: [] });
      expect(response).not.toHaveProperty("usage");
    }
  });

  it("is the same words of a Run, where only a response has an output", async () => {
    const { gateway } = await open({ config: withTenant("globex", { redact: ["output"] }) });
    const ids = await gateway.startResponse();
    const response = await gateway.cancel(ids, await gateway.tokenFor(GUS));
    expect(Object.keys((await response.json()) as Json)).toHaveLength(27);
  });
});

describe("a grant", () => {
  const byGrant = withTenant("globex", { ownership: { source: "grant" } });
  const granting = (...details: Json[]) => ({
    authorization_details: details.map((detail) => ({ type: "run_cancel", ...detail })),
  });

  it("names the response, alone or with its thread", async () => {
    const { start, cancel } = await open({ config: byGrant });
    for (const thread of [{}, { thread_id: "thread_1" }]) {
      const id = await start();
      expect((await cancel(id, { claims: granting({ run_id: id, ...thread }) })).status).toBe(200);
    }
  });

  it("of a whole thread covers the responses that name it, and no others", async () => {
    const { start, cancel, gateway } = await open({ config: byGrant });
    const claims = granting({ thread_id: "thread_7" });
    const on = await start({ metadata: { thread_id: "thread_7" } });
    expect((await cancel(on, { claims })).status).toBe(200);
    const off = await start({ metadata: { thread_id: "thread_8" } });
    const nowhere = await start();
    for (const id of [off, nowhere]) expect((await cancel(id, { claims })).status).toBe(404);
    expect(await gateway.cancelsSent()).toHaveLength(1);
  });

  it("of another response, or of none, covers nothing", async () => {
    const { start, cancel, gateway } = await open({ config: byGrant });
    const id = await start();
    await gateway.forgetCalls();
    for (const claims of [granting({ run_id: "resp_other" }), granting({}), {}]) {
      expect((await cancel(id, { claims })).status).toBe(404);
    }
    expect(await gateway.calls()).toEqual([]);
  });

  it("with an empty name in it covers nothing: a backend that had no id granted nothing", async () => {
    const { start, cancel, gateway } = await open({ config: byGrant });
    const id = await start({ metadata: { thread_id: "" } });
    await gateway.forgetCalls();
    for (const detail of [
      { run_id: id, thread_id: "" },
      { thread_id: "" },
      { run_id: "" },
      { run_id: "", thread_id: "" },
      { run_id: "", thread_id: "thread_1" },
    ]) {
      expect((await cancel(id, { claims: granting(detail) })).status).toBe(404);
    }
    expect(await gateway.calls()).toEqual([]);
  });

  it("without a thread is none for a run that is named by its thread", async () => {
    const { gateway } = await open({ config: byGrant });
    const ids = await gateway.startResponse();
    const token = await gateway.tokenFor(GUS, granting({ run_id: ids.run }));
    expect((await gateway.cancel(ids, token)).status).toBe(404);
  });
});

describe("a registry", () => {
  const registry = withTenant("globex", { ownership: { source: "registry" } });

  it("knows whose response it is", async () => {
    const { start, cancel, read, register } = await open({ config: registry });
    const id = await start();
    expect((await cancel(id)).status).toBe(404);
    expect((await register(id, "gus")).status).toBe(204);
    expect((await cancel(id, { person: GIL })).status).toBe(404);
    expect((await read(id)).status).toBe(200);
    expect((await cancel(id)).status).toBe(200);
  });

  it("does not take a response of a thread called null for one without a thread", async () => {
    const { start, cancel, gateway } = await open({ config: registry });
    const id = await start();
    const response = await gateway.request(`/v1/threads/null/runs/${id}/owner`, {
      method: "PUT",
      body: '{"subject":"gus"}',
      headers: {
        authorization: `Bearer ${await gateway.tokenFor(BACKEND)}`,
        "content-type": "application/json",
      },
    });
    expect(response.status).toBe(204);
    expect((await cancel(id)).status).toBe(404);
  });
});

describe("explaining", () => {
  it("takes a response by its id alone", async () => {
    const { start, gateway } = await open();
    const explain = async (run: string) => {
      const response = await gateway.request("/v1/policy/explain", {
        method: "POST",
        body: JSON.stringify({ thread_id: null, run_id: run }),
        headers: {
          authorization: `Bearer ${await gateway.tokenFor(GUS)}`,
          "content-type": "application/json",
        },
      });
      return (await response.json()) as Json;
    };
    expect(await explain(await start())).toMatchObject({ allowed: true, rule: "owner" });
    expect(await explain("resp_unknown")).toMatchObject({ allowed: false, code: "run_not_found" });
    expect(await explain("a~b")).toMatchObject({ allowed: false, code: "run_not_found" });
  });
});
