// The journey by its front door: a Stop click, and everything that may become of it.
import { describe, expect, it } from "vitest";
import {
  ADA,
  ANN,
  byCredential,
  createHarness,
  ENDS,
  ended,
  GIA,
  GUS,
  type Json,
  pathOf,
  SAM,
  SIMULATOR,
} from "./support/harness.ts";
import { refused } from "./support/reply.ts";
import { UPSTREAM_KEYS } from "./support/secrets.ts";

describe("cancel", () => {
  it("cancels the owner's run and says what is true", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN));
    expect(response.status).toBe(200);
    expect(response.headers.get("cancel-outcome")).toBe("cancelling");
    const run: Json = await response.json();
    expect(run).toMatchObject({ id: ids.run, thread_id: ids.thread, status: "cancelling" });
    expect(Object.keys(run)).toHaveLength(27);
    const [event] = await gateway.eventsOf(ids);
    expect(event).toMatchObject({
      type: "cancel",
      decision: { allowed: true, rule: "owner", code: null },
      outcome: { result: "cancelling", attempts: 1 },
    });
    expect(response.headers.get("audit-id")).toBe(event?.id);
  });

  it("cancels a response, which is cancelled at once", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startResponse();
    const response = await gateway.cancel(ids, await gateway.tokenFor(GUS));
    expect(await response.clone().json()).toMatchObject({ id: ids.run, status: "cancelled" });
    expect(response.headers.get("cancel-outcome")).toBe("cancelled");
    const [event] = await gateway.eventsOf(ids, GIA);
    expect(event).toMatchObject({ type: "cancel", outcome: { result: "cancelled" } });
  });

  it("gives each event of a tenant the next sequence number", async () => {
    const gateway = await createHarness();
    const token = await gateway.tokenFor(ANN);
    for (const _ of [1, 2]) await gateway.cancel(await gateway.startRun(), token);
    const { data } = await gateway.events(await gateway.tokenFor(ADA));
    expect(data.map(({ seq }) => seq)).toEqual(data.map((_, index) => data.length - index));
  });
});

describe("what became of the run", () => {
  it.each(ENDS)("says already_%s, shows the run and sends no cancel", async (status) => {
    const gateway = await createHarness();
    const ids = await gateway.startRun(ended(status));
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN));
    expect(response.status).toBe(200);
    expect(response.headers.get("cancel-outcome")).toBe(`already_${status}`);
    expect(await response.json()).toMatchObject({ status });
    expect(await gateway.cancelsSent()).toEqual([]);
    expect((await gateway.eventsOf(ids))[0]?.outcome).toMatchObject({
      result: `already_${status}`,
      attempts: 0,
    });
  });

  it("says already_cancelled of a run that another click has cancelled", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun({ timing: { cancelling_ms: 0 } });
    const token = await gateway.tokenFor(ANN);
    expect((await gateway.cancel(ids, token)).headers.get("cancel-outcome")).toBe("cancelled");
    const second = await gateway.cancel(ids, token);
    expect(second.status).toBe(200);
    expect(second.headers.get("cancel-outcome")).toBe("already_cancelled");
    expect(await second.json()).toMatchObject({ status: "cancelled" });
    expect(await gateway.cancelsSent()).toHaveLength(1);
  });

  it("says cancelled when the caller waits until a read confirms it", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun({ timing: { cancelling_ms: 150 } });
    const headers = { prefer: "wait=20" };
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN), { headers });
    expect(response.headers.get("cancel-outcome")).toBe("cancelled");
    expect(response.headers.get("preference-applied")).toBe("wait=20");
    const run: Json = await response.json();
    expect(run["status"]).toBe("cancelled");
    expect(run["cancelled_at"]).toEqual(expect.any(Number));
    expect((await gateway.eventsOf(ids))[0]?.outcome?.result).toBe("cancelled");
  });

  it("says cancelling when the wait is over first", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun({ timing: { cancelling_ms: 600_000 } });
    const headers = { prefer: "wait=1" };
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN), { headers });
    expect(response.headers.get("cancel-outcome")).toBe("cancelling");
    expect(await response.json()).toMatchObject({ status: "cancelling", cancelled_at: null });
  });

  it("says already_completed when the run was faster than the cancel", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun({ timing: { on_cancel: "completed", cancelling_ms: 0 } });
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN));
    expect(response.status).toBe(200);
    expect(response.headers.get("cancel-outcome")).toBe("already_completed");
    expect(await response.json()).toMatchObject({ status: "completed", cancelled_at: null });
    expect(await gateway.cancelsSent()).toHaveLength(1);
  });

  it("says already_completed when the race is lost while the caller waits", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun({ timing: { on_cancel: "completed", cancelling_ms: 150 } });
    const headers = { prefer: "wait=20" };
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN), { headers });
    expect(response.headers.get("cancel-outcome")).toBe("already_completed");
    expect((await gateway.eventsOf(ids))[0]?.outcome?.result).toBe("already_completed");
  });

  it("says not_confirmed when the upstream said cancelled and no read does", async () => {
    let isCancelled = false;
    const gateway = await createHarness({
      config: byCredential("globex"),
      network: (upstream) => async (input, init) => {
        const { method, url } = new Request(input, init);
        if (isCancelled && method === "GET") return new Response(null, { status: 500 });
        isCancelled ||= url.endsWith("/cancel");
        return await upstream(input, init);
      },
    });
    const ids = await gateway.startResponse();
    const response = await gateway.cancel(ids, await gateway.tokenFor(GUS));
    expect(response.status).toBe(200);
    expect(response.headers.get("cancel-outcome")).toBe("not_confirmed");
    expect(await response.json()).toMatchObject({ status: "cancelling", cancelled_at: null });
  });

  it("cancels a run that waits for a tool, and one that is still queued", async () => {
    const gateway = await createHarness();
    const token = await gateway.tokenFor(ANN);
    const waiting = await gateway.startRun({ timing: { run_ms: 0, ends: "requires_action" } });
    const queued = await gateway.startRun({ timing: { queued_ms: 600_000 } });
    for (const ids of [waiting, queued]) {
      const response = await gateway.cancel(ids, token);
      expect(response.headers.get("cancel-outcome")).toBe("cancelling");
    }
  });
});

describe("a second click", () => {
  it("while the run winds down is no error and no second cancel", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun({ timing: { cancelling_ms: 600_000 } });
    const token = await gateway.tokenFor(ANN);
    await gateway.cancel(ids, token);
    const second = await gateway.cancel(ids, token, { headers: { prefer: "handling=strict" } });
    expect(second.status).toBe(200);
    expect(second.headers.get("cancel-outcome")).toBe("cancelling");
    expect(await gateway.cancelsSent()).toHaveLength(1);
    expect(await gateway.eventsOf(ids)).toHaveLength(2);
  });

  it("that the upstream refuses is answered by what a read says", async () => {
    let reads = 0;
    const gateway = await createHarness({
      config: byCredential("acme"),
      // By the time that it was looked at, the first was still on its way.
      network: (upstream) => async (input, init) => {
        const reply = await upstream(input, init);
        if (new Request(input, init).method !== "GET") return reply;
        reads += 1;
        if (reads === 3) return reply;
        const run = (await reply.json()) as Record<string, unknown>;
        return Response.json({ ...run, status: "in_progress" });
      },
    });
    const ids = await gateway.startRun({ timing: { cancelling_ms: 600_000 } });
    const token = await gateway.tokenFor(ANN);
    await gateway.cancel(ids, token);
    await gateway.forgetCalls();
    const second = await gateway.cancel(ids, token);
    expect(second.status).toBe(200);
    expect(second.headers.get("cancel-outcome")).toBe("cancelling");
    expect((await gateway.calls()).map(({ method, status }) => [method, status])).toEqual([
      ["GET", 200],
      ["POST", 400],
      ["GET", 200],
    ]);
  });

  it("at the same moment shares one cancel and one result, and has its own event", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    const token = await gateway.tokenFor(ANN);
    await gateway.fault({ match: { method: "POST" }, reply: { delay_ms: 300 } });
    const responses = await Promise.all([1, 2, 3].map(() => gateway.cancel(ids, token)));
    expect(responses.map((response) => response.headers.get("cancel-outcome"))).toEqual(
      Array(3).fill("cancelling"),
    );
    expect(await gateway.cancelsSent()).toHaveLength(1);
    expect(new Set(responses.map((response) => response.headers.get("audit-id")))).toHaveProperty(
      "size",
      3,
    );
  });
});

describe("the reason", () => {
  const because = (reason: string): RequestInit => ({
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ reason }),
  });

  it("is recorded, trimmed", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    await gateway.cancel(ids, await gateway.tokenFor(ANN), because("  It says the wrong thing. "));
    expect((await gateway.eventsOf(ids))[0]?.reason).toBe("It says the wrong thing.");
  });

  it("is asked for by a rule that requires one, and the refusal is recorded", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    const response = await gateway.cancel(ids, await gateway.tokenFor(SAM), because("   "));
    expect(await refused(response)).toMatchObject({
      status: 400,
      code: "reason_required",
      param: "reason",
      shouldRetry: "false",
    });
    expect((await gateway.eventsOf(ids))[0]).toMatchObject({
      type: "denied",
      decision: { allowed: false, rule: "support", code: "reason_required" },
      outcome: null,
    });
    expect(await gateway.cancelsSent()).toEqual([]);
  });

  it("lets that rule through when given", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    const token = await gateway.tokenFor(SAM);
    const response = await gateway.cancel(ids, token, because("The customer asked."));
    expect(response.status).toBe(200);
    expect((await gateway.eventsOf(ids))[0]).toMatchObject({
      decision: { allowed: true, rule: "support" },
      reason: "The customer asked.",
      actor: { sub: "sam" },
    });
  });
});

interface UpstreamFailure {
  readonly name: string;
  readonly reply: Json;
  readonly status: number;
  readonly code: string;
  readonly retryAfter?: string;
  readonly shouldRetry?: string | null;
  /** How many cancels are sent; 1 when it is not said. */
  readonly attempts?: number;
}

/** A bare 404 to a cancel is about its address when the run goes on; to a read, it is about the run. */
const UNFOUND: Readonly<Record<string, UpstreamFailure>> = {
  POST: { name: "404", reply: { status: 404 }, status: 501, code: "unsupported_by_upstream" },
  GET: { name: "404", reply: { status: 404 }, status: 404, code: "run_not_found" },
};
const FAILURES: readonly UpstreamFailure[] = [
  { name: "401", reply: { status: 401 }, status: 502, code: "upstream_rejected_credentials" },
  { name: "403", reply: { status: 403 }, status: 502, code: "upstream_rejected_credentials" },
  {
    name: "429 with Retry-After",
    reply: { status: 429, headers: { "retry-after": "70" } },
    status: 429,
    code: "upstream_rate_limited",
    retryAfter: "70",
    shouldRetry: null,
  },
  {
    name: "429 without Retry-After",
    reply: { status: 429 },
    status: 429,
    code: "upstream_rate_limited",
    retryAfter: "1",
    shouldRetry: null,
  },
  { name: "500", reply: { status: 500 }, status: 502, code: "upstream_error", attempts: 2 },
  { name: "503", reply: { status: 503 }, status: 502, code: "upstream_error", attempts: 2 },
  {
    name: "502 in HTML",
    reply: { status: 502, body: "<h1>Bad gateway</h1>", headers: { "content-type": "text/html" } },
    status: 502,
    code: "upstream_error",
    attempts: 2,
  },
  {
    name: "a redirect",
    reply: { status: 307, headers: { location: `${SIMULATOR}/elsewhere` }, body: "moved" },
    status: 502,
    code: "upstream_error",
  },
];

describe.each(["POST", "GET"])("an upstream that answers %s with", (method) => {
  it.each([...FAILURES, UNFOUND[method] ?? expect.fail("no such method")])(
    "$name",
    async ({ reply, status, code, retryAfter, shouldRetry, attempts = 1 }) => {
      const gateway = await createHarness();
      const ids = await gateway.startRun();
      await gateway.forgetCalls();
      await gateway.fault({ match: { method }, reply });
      const response = await gateway.cancel(ids, await gateway.tokenFor(ANN));
      const body = await response.clone().text();
      expect(await refused(response)).toMatchObject({
        status,
        code,
        param: null,
        retryAfter: retryAfter ?? null,
        shouldRetry: shouldRetry === undefined ? "false" : shouldRetry,
      });
      for (const text of ["Incorrect", "sk-", "org-", "Bad gateway", "elsewhere", "Sorry about"]) {
        expect(body).not.toContain(text);
      }
      expect((await gateway.calls()).some(({ path }) => path.includes("elsewhere"))).toBe(false);
      // A cancel that was sent is an outcome; one that was not is a refusal.
      const [event] = await gateway.eventsOf(ids);
      expect(event).toMatchObject(
        method === "POST"
          ? { type: "cancel", decision: { allowed: true }, outcome: { result: code, attempts } }
          : { type: "denied", decision: { allowed: false, code }, outcome: null },
      );
    },
  );
});

describe("an upstream that", () => {
  it("cannot be reached is 502 upstream_unreachable", async () => {
    const gateway = await createHarness({
      network: () => () => Promise.reject(new TypeError("Network connection lost.")),
    });
    const ids = await gateway.startRun();
    const reply = await refused(await gateway.cancel(ids, await gateway.tokenFor(ANN)));
    expect(reply).toMatchObject({
      status: 502,
      code: "upstream_unreachable",
      shouldRetry: "false",
    });
  });

  it("answers a cancel with a page is asked for the run, which tells", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun({ timing: { cancelling_ms: 600_000 } });
    const reply = { status: 200, body: "<html>", apply: true };
    await gateway.fault({ match: { method: "POST" }, reply });
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN));
    expect(response.status).toBe(200);
    expect(response.headers.get("cancel-outcome")).toBe("cancelling");
  });

  it("answers a read with a page is 502 upstream_error", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    await gateway.fault({ match: { method: "GET" }, reply: { status: 200, body: "<html>" } });
    const reply = await refused(await gateway.cancel(ids, await gateway.tokenFor(ANN)));
    expect(reply).toMatchObject({ status: 502, code: "upstream_error" });
    expect(await gateway.cancelsSent()).toEqual([]);
  });

  it("gets the tenant's own key, and nothing of the client's headers", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    await gateway.forgetCalls();
    await gateway.cancel(ids, await gateway.tokenFor(ANN), {
      headers: { "openai-organization": "org-mine", "x-forwarded-for": "::1", cookie: "a=b" },
    });
    for (const { headers } of await gateway.calls()) {
      expect(Object.keys(headers).sort()).toEqual([
        "accept",
        "authorization",
        "openai-beta",
        "user-agent",
      ]);
      expect(headers["authorization"]).toBe(UPSTREAM_KEYS.acme.slice(-4));
    }
  });
});

describe("a response, which does not say itself that it was cancelled", () => {
  it("keeps one cancelled_at, whenever it is read afterwards", async () => {
    let laterMs = 0;
    const gateway = await createHarness({ world: { now: () => Date.now() + laterMs } });
    const ids = await gateway.startResponse();
    const token = await gateway.tokenFor(GUS);
    await gateway.cancel(ids, token);
    const readAfter = async (ms: number): Promise<Json> => {
      laterMs = ms;
      return await (await gateway.read(ids, token)).json();
    };
    const first = await readAfter(60_000);
    const second = await readAfter(300_000);
    expect(first["status"]).toBe("cancelled");
    expect(first["cancelled_at"]).toEqual(expect.any(Number));
    expect(second["cancelled_at"]).toBe(first["cancelled_at"]);
  });

  it("is reported as completed when it turns out so later", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startResponse({
      timing: { on_cancel: "completed", cancelling_ms: 150 },
    });
    const token = await gateway.tokenFor(GUS);
    const cancelled = await gateway.cancel(ids, token);
    expect(cancelled.headers.get("cancel-outcome")).toBe("cancelled");
    await scheduler.wait(200);
    expect(await (await gateway.read(ids, token)).json()).toMatchObject({
      status: "completed",
      cancelled_at: null,
    });
  });

  it.each(["completed", "failed", "incomplete"])("says already_%s", async (ends) => {
    const gateway = await createHarness({ config: byCredential("globex") });
    const ids = await gateway.startResponse({ timing: { run_ms: 0, ends } });
    const response = await gateway.cancel(ids, await gateway.tokenFor(GUS));
    expect(response.headers.get("cancel-outcome")).toBe(`already_${ends}`);
  });

  it("is 404 under a thread that its metadata does not name", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startResponse({ metadata: { thread_id: "thread_2" } });
    const reply = await refused(await gateway.cancel(ids, await gateway.tokenFor(GUS)));
    expect(reply.code).toBe("run_not_found");
    expect(pathOf(ids)).toContain("thread_1");
  });
});

describe("pressing Stop again, when the upstream took the first cancel and then lost it", () => {
  it("sends it once more, though the ledger remembers the first", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startResponse();
    const token = await gateway.tokenFor(GUS);
    const before: Json = { id: ids.run, object: "response", status: "cancelling" };
    await gateway.fault({
      match: { method: "POST", path: `${ids.run}/cancel$` },
      reply: { status: 200, body: before },
      times: 1,
    });
    const first = await gateway.cancel(ids, token);
    expect(first.headers.get("cancel-outcome")).toBe("cancelling");
    expect(await (await gateway.read(ids, token)).json()).toMatchObject({ status: "cancelling" });

    const second = await gateway.cancel(ids, token);
    expect(second.headers.get("cancel-outcome")).toBe("cancelled");
    expect(await gateway.cancelsSent()).toHaveLength(2);
  });
});
