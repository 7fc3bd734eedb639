// Kill switch, rate, scopes, ownership, rules: what each keeps out, in that order, by the front door.
import { describe, expect, it } from "vitest";
import {
  ADA,
  ANN,
  byCredential,
  createHarness,
  GIA,
  type Harness,
  type Json,
  type Person,
  withTenant,
} from "../support/harness.ts";
import { refused } from "../support/reply.ts";

describe("the list of assistants", () => {
  async function cancelWith(members: Json) {
    const gateway = await createHarness({ config: withTenant("acme", members) });
    const ids = await gateway.startRun();
    await gateway.forgetCalls();
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN));
    const [event] = await gateway.eventsOf(ids);
    return { response, event, cancels: await gateway.cancelsSent() };
  }

  it.each([[["asst_*"]], [["asst_support"]], [["asst_1", "*"]]])(
    "%j lets an assistant on it through",
    async (assistants) => {
      expect((await cancelWith({ assistants })).response.status).toBe(200);
    },
  );

  it.each([[["asst_suppor"]], [["asst_support_2*"]], [["ASST_*"]], [["*_support"]]])(
    "%j keeps any other out, on record",
    async (assistants) => {
      const { response, event, cancels } = await cancelWith({ assistants });
      expect(await refused(response)).toMatchObject({
        status: 403,
        code: "policy_denied",
        shouldRetry: "false",
      });
      expect(event).toMatchObject({
        type: "denied",
        decision: { allowed: false, rule: "owner", code: "policy_denied" },
      });
      expect(cancels).toEqual([]);
    },
  );

  it("costs a read where the proof of ownership did not take one", async () => {
    const gateway = await createHarness({
      config: (config) =>
        withTenant("acme", { assistants: ["asst_other"] })(byCredential("acme")(config)),
    });
    const ids = await gateway.startRun();
    const reply = await refused(await gateway.cancel(ids, await gateway.tokenFor(ANN)));
    expect(reply.code).toBe("policy_denied");
  });
});

describe("who may not", () => {
  it("every caller of a tenant that is switched off is refused, on record, upstream untouched", async () => {
    const gateway = await createHarness({ config: withTenant("acme", { enabled: false }) });
    const ids = await gateway.startRun();
    await gateway.forgetCalls();
    const token = await gateway.tokenFor(ANN);
    for (const response of [await gateway.cancel(ids, token), await gateway.read(ids, token)]) {
      expect(await refused(response)).toMatchObject({
        status: 403,
        code: "tenant_not_allowed",
        shouldRetry: "false",
      });
    }
    expect(await gateway.calls()).toEqual([]);
    const on = await createHarness();
    const events = await on.eventsOf(ids);
    expect(events.map(({ type, decision }) => [type, decision.code])).toEqual(
      Array(2).fill(["denied", "tenant_not_allowed"]),
    );
  });

  it("a caller without any rule's scopes is refused before anything is read", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    await gateway.forgetCalls();
    const response = await gateway.cancel(ids, await gateway.tokenFor(ADA));
    expect(response.headers.get("www-authenticate")).toBe(
      'Bearer realm="stopgate", error="insufficient_scope"',
    );
    expect(await refused(response)).toMatchObject({ status: 403, code: "insufficient_scope" });
    expect(await gateway.calls()).toEqual([]);
    expect((await gateway.eventsOf(ids))[0]?.decision.code).toBe("insufficient_scope");
  });

  it("a colleague's run is 404, and the attempt is on record with the actor's name", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun({ owner: "bob" });
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN));
    expect(await refused(response)).toMatchObject({ status: 404, code: "run_not_found" });
    expect((await gateway.eventsOf(ids))[0]).toMatchObject({
      type: "denied",
      actor: { sub: "ann" },
      decision: { allowed: false, code: "run_not_found" },
    });
    expect(await gateway.cancelsSent()).toEqual([]);
  });
});

describe("an auditor", () => {
  const audit = async (gateway: Harness, person: Person) =>
    gateway.request("/v1/audit/events", {
      headers: { authorization: `Bearer ${await gateway.tokenFor(person)}` },
    });
  const denials = async (gateway: Harness) =>
    (await gateway.events(await gateway.tokenFor(ADA))).data
      .filter(({ type, target }) => type === "denied" && target.run_id === null)
      .map(({ actor, decision }) => [actor.sub, decision.code]);

  it("is whoever has the scope audit:read, and nobody else, which goes on record", async () => {
    const gateway = await createHarness();
    expect((await audit(gateway, ADA)).status).toBe(200);
    const reply = await refused(await audit(gateway, { ...ANN, sub: "eve" }));
    expect(reply).toMatchObject({ status: 403, code: "insufficient_scope" });
    expect(await denials(gateway)).toContainEqual(["eve", "insufficient_scope"]);
  });

  it("of a tenant that is switched off is refused like everybody", async () => {
    const off = await createHarness({ config: withTenant("acme", { enabled: false }) });
    const reply = await refused(await audit(off, { ...ADA, sub: "amy" }));
    expect(reply).toMatchObject({ status: 403, code: "tenant_not_allowed" });
    expect(await denials(await createHarness())).toContainEqual(["amy", "tenant_not_allowed"]);
  });

  it("sees the own tenant's events only", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    await gateway.cancel(ids, await gateway.tokenFor(ANN));
    const [event] = await gateway.eventsOf(ids);
    expect(event?.tenant).toBe("acme");
    expect(await gateway.eventsOf(ids, GIA)).toEqual([]);
    const authorization = `Bearer ${await gateway.tokenFor(GIA)}`;
    const path = `/v1/audit/events/${event?.id}`;
    expect((await gateway.request(path, { headers: { authorization } })).status).toBe(404);
  });
});

describe("the rate of a person", () => {
  type Limit = (key: string) => Promise<{ success: boolean }>;

  /** A tier that notes whom it was asked about. */
  function tier(limit: Limit) {
    const asked: string[] = [];
    const counter = {
      limit: ({ key }: { key: string }) => {
        asked.push(key);
        return limit(key);
      },
    };
    return { asked, counter };
  }

  async function gatewayWith(limit: Limit, rate = "strict") {
    const { asked, counter } = tier(limit);
    const unused = tier(() => Promise.reject(new Error("the other tier was asked"))).counter;
    const gateway = await createHarness({
      config: withTenant("acme", { rate }),
      bindings: { limits: { standard: unused, strict: counter } },
    });
    return { gateway, asked };
  }

  it("that is over the tier's is 429 with Retry-After, before anything is read and without a record", async () => {
    const { gateway, asked } = await gatewayWith(async (key) => ({
      success: key !== "acme\nann",
    }));
    const ids = await gateway.startRun();
    await gateway.forgetCalls();
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN));
    expect(response.headers.get("audit-id")).toBe("none");
    expect(await refused(response)).toMatchObject({
      status: 429,
      code: "rate_limited",
      retryAfter: "10",
      shouldRetry: null,
    });
    expect(asked).toEqual(["acme\nann"]);
    expect(await gateway.calls()).toEqual([]);
    expect(await gateway.eventsOf(ids)).toEqual([]);
  });

  it("that is within the tier's is let through", async () => {
    const { gateway, asked } = await gatewayWith(async () => ({ success: true }));
    const ids = await gateway.startRun();
    expect((await gateway.cancel(ids, await gateway.tokenFor(ANN))).status).toBe(200);
    expect(asked).toHaveLength(1);
  });

  it.each<[string, () => Promise<{ success: boolean }>]>([
    ["rejects", () => Promise.reject(new Error("out of order"))],
    [
      "throws",
      () => {
        throw new Error("out of order");
      },
    ],
  ])("under a counter that %s is not held against anybody, and is logged", async (_, limit) => {
    const { gateway } = await gatewayWith(limit);
    const ids = await gateway.startRun();
    expect((await gateway.cancel(ids, await gateway.tokenFor(ANN))).status).toBe(200);
    expect(gateway.lines.join("\n")).toContain("rate_limit_failed");
  });

  it("is not counted for a tenant that names no tier", async () => {
    const { gateway, asked } = await gatewayWith(async () => ({ success: false }));
    const unlimited = await createHarness();
    const ids = await unlimited.startRun();
    expect((await unlimited.cancel(ids, await gateway.tokenFor(ANN))).status).toBe(200);
    expect(asked).toEqual([]);
  });
});
