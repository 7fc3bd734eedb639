// Kill switch, rate, scopes, ownership, rules: what each keeps out, in that order, by the front door.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import {
  ACME_ISSUER,
  ADA,
  ANN,
  byCredential,
  createHarness,
  GIA,
  type Harness,
  type Json,
  limitsOf,
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

  it.each([[["asst_suppor"]], [["asst_support_2*"]], [["ASST_*"]]])(
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
      'Bearer realm="stopgate", error="insufficient_scope", scope="runs:cancel"',
    );
    expect(await refused(response)).toMatchObject({ status: 403, code: "insufficient_scope" });
    expect(await gateway.calls()).toEqual([]);
    expect((await gateway.eventsOf(ids))[0]?.decision.code).toBe("insufficient_scope");
  });

  it.each([
    ["the first rule that allows", [["a", "b"], ["c"]], ', scope="a b"'],
    ["nothing that the header cannot hold", [["r\u00fcn"]], ""],
    ["nothing that would end the value", [['a", x="']], ""],
    ["nothing where one scope has a blank", [["a", "b c"]], ""],
  ] as const)("such a caller is told the scopes of %s", async (_, scopes, told) => {
    const deny = { id: "deny", effect: "deny", scopes: [], runs: "tenant", assistants: ["x"] };
    const allow = scopes.map((list, index) => ({ id: `r${index}`, scopes: list, runs: "own" }));
    const gateway = await createHarness({
      config: withTenant("acme", { rules: [deny, ...allow] }),
    });
    const ids = { thread: "thread_1", run: "run_1" };
    const response = await gateway.cancel(ids, await gateway.tokenFor(ADA));
    expect(response.headers.get("www-authenticate")).toBe(
      `Bearer realm="stopgate", error="insufficient_scope"${told}`,
    );
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
      bindings: { limits: limitsOf((name) => (name === "strict" ? counter : unused)) },
    });
    return { gateway, asked };
  }

  it("that is over the tier's is 429 with Retry-After, before anything is read and without a record", async () => {
    const { gateway, asked } = await gatewayWith(async (key) => ({
      success: key !== `acme\n${ACME_ISSUER}\nann`,
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
    expect(asked).toEqual([`acme\n${ACME_ISSUER}\nann`]);
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
    ["hangs", () => new Promise(() => undefined)],
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

describe("the rate of an address", () => {
  async function gatewayWith(limit: (key: string) => Promise<{ success: boolean }>) {
    const asked: string[] = [];
    const counter = {
      limit: ({ key }: { key: string }) => {
        asked.push(key);
        return limit(key);
      },
    };
    const gateway = await createHarness({
      bindings: { limits: limitsOf(() => undefined, counter) },
    });
    return { gateway, asked };
  }
  const from = (address: string): RequestInit => ({ headers: { "cf-connecting-ip": address } });

  it("is counted before it is looked who asks, and over it nothing else is done", async () => {
    const { gateway, asked } = await gatewayWith(async () => ({ success: false }));
    const ids = await gateway.startRun();
    await gateway.forgetCalls();
    for (const token of [await gateway.tokenFor(ANN), "nonsense"]) {
      const response = await gateway.cancel(ids, token, from("203.0.113.7"));
      expect(await refused(response)).toMatchObject({
        status: 429,
        code: "rate_limited",
        retryAfter: "10",
        shouldRetry: null,
      });
    }
    expect(asked).toEqual(["203.0.113.7", "203.0.113.7"]);
    expect(await gateway.calls()).toEqual([]);
    expect(await gateway.eventsOf(ids)).toEqual([]);
  });

  it.each<[string, string | null]>([
    ["203.0.113.7", "203.0.113.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:0001:2::9", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:0:0:1:2:3:4:5", "2001:0:0:1::/64"],
    ["::ffff:203.0.113.7", "0:0:0:0::/64"],
    ["127.0.0.1", null],
    ["::1", null],
    ["no:address", null],
  ])("of %s is counted as that of %s", async (address, key) => {
    const { gateway, asked } = await gatewayWith(async () => ({ success: true }));
    const ids = await gateway.startRun();
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN), from(address));
    expect(response.status).toBe(200);
    expect(asked).toEqual(key === null ? [] : [key]);
  });

  it("is let through by a counter that fails, which is logged", async () => {
    const { gateway } = await gatewayWith(() => Promise.reject(new Error("out of order")));
    const ids = await gateway.startRun();
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN), from("203.0.113.7"));
    expect(response.status).toBe(200);
    expect(gateway.lines.join("\n")).toContain("rate_limit_failed");
  });

  it("is not taken from what a client can write itself", async () => {
    const { gateway, asked } = await gatewayWith(async () => ({ success: false }));
    const ids = await gateway.startRun();
    const headers = { "x-forwarded-for": "203.0.113.7", "x-real-ip": "203.0.113.7" };
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN), { headers });
    expect(response.status).toBe(200);
    expect(asked).toEqual([]);
  });

  it("is counted by the platform's own counter, sixty a minute in that tier", async () => {
    const address = `203.0.113.${1 + Math.floor(Math.random() * 250)}`;
    const { limit } = env.RATE_STRICT;
    const gateway = await createHarness({
      bindings: { limits: limitsOf(() => undefined, { limit: limit.bind(env.RATE_STRICT) }) },
    });
    const statuses: number[] = [];
    for (let count = 0; count < 62; count += 1) {
      const response = await gateway.request("/v1/threads/t/runs/r", from(address));
      statuses.push(response.status);
    }
    expect(statuses.slice(0, 60)).toEqual(Array(60).fill(401));
    expect(statuses.slice(60)).toEqual([429, 429]);
  });
});

describe("a tier", () => {
  it("is whatever wrangler.toml has, by its name", async () => {
    const asked: string[] = [];
    const gateway = await createHarness({
      config: withTenant("acme", { rate: "gold_2" }),
      bindings: {
        limits: limitsOf((name) => {
          asked.push(name);
          return { limit: async () => ({ success: true }) };
        }),
      },
    });
    const ids = await gateway.startRun();
    expect((await gateway.cancel(ids, await gateway.tokenFor(ANN))).status).toBe(200);
    expect(new Set(asked)).toEqual(new Set(["gold_2"]));
  });

  it("that wrangler.toml does not have is a config that is not valid", async () => {
    const gateway = await createHarness({ config: withTenant("acme", { rate: "gold" }) });
    const ids = await gateway.startRun();
    const reply = await refused(await gateway.cancel(ids, await gateway.tokenFor(ANN)));
    expect(reply).toMatchObject({ status: 503, code: "config_invalid" });
    expect(gateway.lines.join("\n")).toContain(
      "tenant acme: there is no binding RATE_GOLD for its rate",
    );
  });
});
