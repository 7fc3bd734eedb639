// The audit steps of a journey when a store fails: the ledger, KV, or both, before the cancel or
// after it. And what is put on record of those who are refused.
import { reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import canonicalize from "canonicalize";
import fc from "fast-check";
import { compactVerify, importJWK, type JWK } from "jose";
import { v7 } from "uuid";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { chainDefects } from "../../src/audit/chain.ts";
import type { AuditEvent } from "../../src/audit/event.ts";
import type { LedgerRpc } from "../../src/audit/ledger.ts";
import {
  ADA,
  ANN,
  createHarness,
  type Harness,
  type HarnessOptions,
  limitsOf,
  type Person,
  type RunIds,
  SAM,
  withTenant,
} from "../support/harness.ts";
import {
  kvNoting,
  kvWith,
  ledgerDown,
  ledgerWith,
  openLedger,
  realLedger,
  STOPPED,
  stoppedTime,
  type TestLedger,
} from "./support.ts";

afterEach(async () => {
  await reset();
});

const PROCEED = withTenant("acme", { audit: { on_failure: "proceed" } });

async function inKv(): Promise<AuditEvent[]> {
  const { keys } = await env.AUDIT.list({ prefix: "a1:acme:" });
  const events = keys.map(({ name }) => env.AUDIT.get<AuditEvent>(name, "json"));
  return (await Promise.all(events)).filter((event) => event !== null);
}

async function cancelCalls(gateway: Harness): Promise<number> {
  return (await gateway.calls()).filter(({ path }) => path.endsWith("/cancel")).length;
}

/** Whether the event's signature holds, as anybody can check who has the published keys. */
async function isSigned(gateway: Harness, { signature, ...event }: AuditEvent): Promise<boolean> {
  const response = await gateway.request("/.well-known/audit-keys.json");
  const { keys }: { keys: JWK[] } = await response.json();
  const key = keys.find(({ kid }) => kid === signature?.kid);
  if (key === undefined || signature === null) return false;
  const payload = Buffer.from(canonicalize(event) ?? "").toString("base64url");
  const jws = signature.value.replace("..", `.${payload}.`);
  return await compactVerify(jws, await importJWK(key)).then(
    () => true,
    () => false,
  );
}

type Storm = { readonly gateway: Harness; readonly target: RunIds; readonly response: Response };

/** Ann cancels her run while the stores are in the given state. */
async function cancelWith(options: HarnessOptions): Promise<Storm> {
  const gateway = await createHarness(options);
  const target = await gateway.startRun();
  const response = await gateway.cancel(target, await gateway.tokenFor(ANN));
  return { gateway, target, response };
}

async function errorCode(response: Response): Promise<unknown> {
  const body: { error: { code: string } } = await response.json();
  return body.error.code;
}

describe("a ledger that is reset while it is called", () => {
  const reset = (marks: object): Error => Object.assign(new Error("reset"), marks);
  /** The call is carried out or not, and its answer lost with the object; the next one is answered. */
  function resetOnce(rpc: LedgerRpc, isCarriedOut: boolean, marks: object) {
    let lost = 0;
    const begin: LedgerRpc["begin"] = async (intent) => {
      if (lost > 0) return await rpc.begin(intent);
      lost += 1;
      if (isCarriedOut) await rpc.begin(intent);
      throw reset(marks);
    };
    return ledgerWith(rpc, { begin });
  }

  it.each([
    ["before it stored the intent", false, { durableObjectReset: true }],
    ["after it stored the intent", true, { durableObjectReset: true }],
    ["with its machine", true, { retryable: true }],
  ])("%s, is asked once more, and has one event", async (_, isCarriedOut, marks) => {
    const ledger = await openLedger("acme");
    const rpc = resetOnce(ledger.rpc, isCarriedOut, marks);
    const { gateway, response } = await cancelWith({ bindings: { ledger: () => rpc } });
    expect(response.status).toBe(200);
    expect(await inKv()).toEqual([]);
    expect(await ledger.events()).toMatchObject([
      { id: response.headers.get("audit-id"), seq: 1, signature: null },
    ]);
    expect(await cancelCalls(gateway)).toBe(1);
    expect(gateway.lines.join("\n")).toContain('"event":"ledger_reset"');
  });

  it.each([
    ["is overloaded", { retryable: true, overloaded: true }],
    ["fails by its own code", {}],
  ])("is not asked once more when it %s", async (_, marks) => {
    const ledger = await openLedger("acme");
    const rpc = resetOnce(ledger.rpc, false, marks);
    const { response } = await cancelWith({
      bindings: { ledger: () => rpc },
      world: { sleep: stoppedTime().sleep },
    });
    const auditId = response.headers.get("audit-id");
    expect(await inKv()).toMatchObject([{ id: auditId, seq: null }]);
  });

  it("for real, loses no cancel and no record", async () => {
    const real = (tenant: string) => env.LEDGER.getByName(tenant) as unknown as LedgerRpc;
    let aborted = false;
    const gateway = await createHarness({
      bindings: {
        ledger: (tenant) =>
          ledgerWith(real(tenant), {
            begin: async (intent) => {
              const stub = env.LEDGER.getByName(tenant);
              if (!aborted) {
                aborted = true;
                await runInDurableObject(stub, (_, state) => state.abort("reset")).catch(
                  () => null,
                );
              }
              return await (stub as unknown as LedgerRpc).begin(intent);
            },
          }),
      },
    });
    const target = await gateway.startRun();
    const response = await gateway.cancel(target, await gateway.tokenFor(ANN));
    expect(response.status).toBe(200);
    const [event] = await gateway.eventsOf(target);
    expect(event).toMatchObject({ id: response.headers.get("audit-id"), signature: null });
    expect(gateway.lines.join("\n")).toContain('"event":"ledger_reset"');
  });
});

describe("a ledger that cannot be reached", () => {
  for (const [how, down] of [
    ["rejects", () => ({ ledger: ledgerDown(), sleep: stoppedTime().sleep })],
    [
      "hangs",
      () => {
        const { sleep, hang } = stoppedTime();
        return { ledger: ledgerDown(hang), sleep };
      },
    ],
    [
      "throws",
      () => {
        const fail = (): never => {
          throw new Error("no such object");
        };
        return { ledger: ledgerDown(fail), sleep: stoppedTime().sleep };
      },
    ],
  ] as const) {
    describe(`because it ${how}`, () => {
      const cancel = () => {
        const { ledger, sleep } = down();
        return cancelWith({ bindings: { ledger: () => ledger }, world: { sleep } });
      };

      it("does not keep a run from being cancelled", async () => {
        const { gateway, response } = await cancel();
        expect(response.status).toBe(200);
        expect(response.headers.get("cancel-outcome")).toBe("cancelling");
        expect(await cancelCalls(gateway)).toBe(1);
      });

      it("leaves the intent in KV: signed, out of sequence, under the id of the reply", async () => {
        const { gateway, target, response } = await cancel();
        const events = await inKv();
        const intent = events.find(({ id }) => id === response.headers.get("audit-id"));
        expect(intent).toMatchObject({
          seq: null,
          prev: null,
          hash: null,
          type: "cancel",
          actor: { sub: "ann" },
          target: { thread_id: target.thread, run_id: target.run },
          decision: { allowed: true, rule: "owner" },
          outcome: null,
          intent_id: null,
        });
        expect(intent !== undefined && (await isSigned(gateway, intent))).toBe(true);
      });

      it("leaves the outcome in a second event that names the first", async () => {
        const { gateway, response } = await cancel();
        const events = await inKv();
        expect(events).toHaveLength(2);
        const outcome = events.find(({ id }) => id !== response.headers.get("audit-id"));
        expect(outcome).toMatchObject({
          seq: null,
          intent_id: response.headers.get("audit-id"),
          outcome: { result: "cancelling", attempts: 1, upstream_status: 200 },
        });
        expect(outcome !== undefined && (await isSigned(gateway, outcome))).toBe(true);
      });

      it("hides nothing from an auditor", async () => {
        const { gateway } = await cancel();
        const auditor = await gateway.tokenFor(ADA);
        const events = await inKv();
        expect((await gateway.events(auditor)).data).toEqual(events);
        for (const event of events) {
          const found = await gateway.request(`/v1/audit/events/${event.id}`, {
            headers: { authorization: `Bearer ${auditor}` },
          });
          expect(await found.json()).toEqual(event);
        }
      });
    });
  }

  it("writes signatures that do not hold for an altered event", async () => {
    const { gateway } = await cancelWith({
      bindings: { ledger: () => ledgerDown() },
      world: { sleep: stoppedTime().sleep },
    });
    const [event] = await inKv();
    expect(event).toBeDefined();
    if (event === undefined) return;
    expect(await isSigned(gateway, event)).toBe(true);
    expect(await isSigned(gateway, { ...event, tenant: "globex" })).toBe(false);
    expect(await isSigned(gateway, { ...event, reason: "because" })).toBe(false);
    expect(await isSigned(gateway, { ...event, actor: { ...event.actor, sub: "bob" } })).toBe(
      false,
    );
  });

  it("for the intent alone, has the outcome in sequence", async () => {
    const ledger = await openLedger("acme");
    const { sleep, hang } = stoppedTime();
    const { response } = await cancelWith({
      bindings: { ledger: () => ledgerWith(ledger.rpc, { begin: hang }) },
      world: { sleep },
    });
    const auditId = response.headers.get("audit-id");
    expect(await inKv()).toMatchObject([{ id: auditId, seq: null, outcome: null }]);
    expect(await ledger.events()).toMatchObject([
      { seq: 1, intent_id: auditId, outcome: { result: "cancelling" }, signature: null },
    ]);
  });

  it("but took the intent all the same, has two records and never the same id twice", async () => {
    const ledger = await openLedger("acme");
    const { sleep, hang } = stoppedTime();
    const { gateway, response } = await cancelWith({
      bindings: {
        ledger: () =>
          ledgerWith(ledger.rpc, {
            begin: async (intent) => {
              await ledger.rpc.begin(intent);
              return hang();
            },
          }),
      },
      world: { sleep },
    });
    expect(response.status).toBe(200);
    await publishAll(ledger);
    const events = await inKv();
    expect(events.map(({ outcome }) => outcome?.result).toSorted()).toEqual([
      "cancelling",
      "unknown",
      undefined,
    ]);
    expect(new Set(events.map(({ id }) => id)).size).toBe(3);
    expect(chainDefects("acme", events)).toEqual([]);
    expect(await cancelCalls(gateway)).toBe(1);
  });

  it("once a follower waits, makes it go on with a record of its own", async () => {
    for (const end of ["rejects", "hangs"]) {
      const { sleep, hang } = stoppedTime();
      const join = end === "hangs" ? hang : () => Promise.reject(new Error("object was reset"));
      const { gateway, response } = await cancelWith({
        bindings: {
          ledger: () =>
            ledgerWith(ledgerDown(), { begin: () => Promise.resolve("a-leader"), join }),
        },
        world: { sleep },
      });
      expect(response.status).toBe(200);
      expect(await cancelCalls(gateway)).toBe(1);
      const intents = (await inKv()).filter(({ outcome }) => outcome === null);
      expect(intents.map(({ id }) => id)).toContain(response.headers.get("audit-id"));
    }
  });
});

describe("when neither ledger nor KV can be written", () => {
  const bothReject = (): HarnessOptions => ({
    bindings: { ledger: () => ledgerDown(), audit: kvNoting(() => true).kv },
    world: { sleep: stoppedTime().sleep },
  });
  const bothHang = (): HarnessOptions => {
    const { sleep, hang } = stoppedTime();
    return {
      bindings: { ledger: () => ledgerDown(hang), audit: kvWith(hang) },
      world: { sleep },
    };
  };

  for (const [how, down] of [
    ["because both reject", bothReject],
    ["because both hang", bothHang],
  ] as const) {
    it(`${how}, a tenant that refuses then answers 503 and leaves the run alone`, async () => {
      const { gateway, target, response } = await cancelWith(down());
      expect(response.status).toBe(503);
      expect(await errorCode(response)).toBe("audit_unavailable");
      expect(response.headers.get("x-should-retry")).not.toBe("false");
      expect(await cancelCalls(gateway)).toBe(0);
      const run = await gateway.read(target, await gateway.tokenFor(ANN));
      expect(await run.json()).toMatchObject({ status: "in_progress" });
    });

    it(`${how}, a tenant that proceeds cancels and says that there is no record`, async () => {
      const { gateway, response } = await cancelWith({ ...down(), config: PROCEED });
      expect(response.status).toBe(200);
      expect(response.headers.get("audit-id")).toBe("none");
      expect(await cancelCalls(gateway)).toBe(1);
      expect(gateway.lines.some((line) => line.includes("audit_unwritten"))).toBe(true);
    });
  }

  it("only one of an event's two keys is not enough", async () => {
    const { gateway, response } = await cancelWith({
      bindings: {
        ledger: () => ledgerDown(),
        audit: kvNoting((key) => key.startsWith("a1r:")).kv,
      },
      world: { sleep: stoppedTime().sleep },
    });
    expect(response.status).toBe(503);
    expect(await cancelCalls(gateway)).toBe(0);
  });

  it("and the ledger comes back, the refusal is on record", async () => {
    const ledger = await openLedger("acme");
    const { response } = await cancelWith({
      bindings: {
        ledger: () => ledgerWith(ledgerDown(), { record: ledger.rpc.record }),
        audit: kvNoting(() => true).kv,
      },
      world: { sleep: stoppedTime().sleep },
    });
    // The reply could not know yet.
    expect(response.headers.get("audit-id")).toBe("none");
    expect(await ledger.events()).toMatchObject([
      {
        type: "denied",
        decision: { allowed: false, code: "audit_unavailable" },
      },
    ]);
  });
});

describe("a record that fails after the reply", () => {
  it("leaves the reply as it is, and the outcome in KV", async () => {
    const ledger = await openLedger("acme");
    let attempts = 0;
    const { gateway, target, response } = await cancelWith({
      bindings: {
        ledger: () =>
          ledgerWith(ledger.rpc, {
            finish: () => {
              attempts += 1;
              return Promise.reject(new Error("overloaded"));
            },
          }),
      },
      world: { sleep: stoppedTime().sleep },
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ id: target.run, status: "cancelling" });
    expect(attempts).toBe(3);
    const auditId = response.headers.get("audit-id");
    const [outcome] = await inKv();
    expect(outcome).toMatchObject({ intent_id: auditId, outcome: { result: "cancelling" } });
    expect(outcome !== undefined && (await isSigned(gateway, outcome))).toBe(true);
    expect(await ledger.events()).toMatchObject([{ id: auditId, seq: null, outcome: null }]);
  });

  it("is repeated, and taken once", async () => {
    const ledger = await openLedger("acme");
    let attempts = 0;
    const { response } = await cancelWith({
      bindings: {
        ledger: () =>
          ledgerWith(ledger.rpc, {
            finish: async (finish) => {
              attempts += 1;
              await ledger.rpc.finish(finish);
              if (attempts < 3) throw new Error("Network connection lost.");
            },
          }),
      },
      world: { sleep: stoppedTime().sleep },
    });
    expect(attempts).toBe(3);
    expect(await ledger.events()).toMatchObject([
      { id: response.headers.get("audit-id"), seq: 1, intent_id: null },
    ]);
    expect(await inKv()).toEqual([]);
  });

  it("though the ledger took it, never overwrites what has its place in the chain", async () => {
    const ledger = await openLedger("acme");
    const lost = (): Promise<never> => Promise.reject(new Error("Network connection lost."));
    const gateway = await createHarness({
      bindings: {
        ledger: () =>
          ledgerWith(ledger.rpc, {
            // Unknown to the ledger, so that the outcome is a second event there too.
            begin: lost,
            finish: (finish) => ledger.rpc.finish(finish).then(lost),
            record: async (event, days) => {
              await ledger.rpc.record(event, days);
              await publishAll(ledger);
              return lost();
            },
          }),
      },
      // Ids of the ledger's own time, as they would be.
      world: { sleep: stoppedTime().sleep, newId: () => v7({ msecs: ledger.now() }) },
    });
    await gateway.cancel(await gateway.startRun(), await gateway.tokenFor(ANN));
    const refused = await gateway.startRun({ owner: "bob" });
    const denied = await gateway.cancel(refused, await gateway.tokenFor(ANN));
    expect(denied.status).toBe(404);
    await publishAll(ledger);
    const events = await inKv();
    expect(chainDefects("acme", events)).toEqual([]);
    expect(events.filter(({ seq }) => seq !== null)).toHaveLength(2);
  });

  it("in KV too, is said in the log and changes no reply", async () => {
    const { gateway, response } = await cancelWith({
      bindings: {
        ledger: (tenant) =>
          ledgerWith(realLedger(tenant), { finish: () => Promise.reject(new Error("overloaded")) }),
        audit: kvNoting(() => true).kv,
      },
      world: { sleep: stoppedTime().sleep },
    });
    expect(response.status).toBe(200);
    expect(gateway.lines.filter((line) => line.includes("audit_unwritten"))).toHaveLength(1);
  });
});

describe("a refusal of somebody who is known", () => {
  const SUPPORT_ONLY = withTenant("acme", { assistants: ["asst_billing*"] });

  for (const { code, rule, config, person, owner } of [
    { code: "insufficient_scope", rule: null, person: { ...ANN, scope: "audit:read" } },
    { code: "run_not_found", rule: null, person: ANN, owner: "bob" },
    { code: "policy_denied", rule: "owner", person: ANN, config: SUPPORT_ONLY },
    { code: "reason_required", rule: "support", person: SAM },
    {
      code: "tenant_not_allowed",
      rule: null,
      person: ANN,
      config: withTenant("acme", { enabled: false }),
    },
  ] as readonly {
    code: string;
    rule: string | null;
    person: Person;
    owner?: string;
    config?: HarnessOptions["config"];
  }[]) {
    it(`is on record with its code and the rule that decided: ${code}`, async () => {
      const ledger = await openLedger("acme");
      const gateway = await createHarness({
        ...(config === undefined ? {} : { config }),
        bindings: { ledger: () => ledger.rpc },
      });
      const target = await gateway.startRun(owner === undefined ? {} : { owner });
      const response = await gateway.cancel(target, await gateway.tokenFor(person));
      expect(await errorCode(response)).toBe(code);
      expect(await cancelCalls(gateway)).toBe(0);
      expect(await ledger.events()).toMatchObject([
        {
          seq: 1,
          type: "denied",
          actor: { sub: person.sub },
          target: { upstream: "threads", thread_id: target.thread, run_id: target.run },
          decision: { allowed: false, rule, code },
          outcome: null,
          signature: null,
        },
      ]);
    });
  }

  it("goes to KV, signed and under the id of the reply, when the ledger is down", async () => {
    const gateway = await createHarness({
      bindings: { ledger: () => ledgerDown() },
      world: { sleep: stoppedTime().sleep },
    });
    const target = await gateway.startRun();
    const response = await gateway.cancel(target, await gateway.tokenFor(SAM));
    expect(await errorCode(response)).toBe("reason_required");
    const [event] = await inKv();
    expect(event).toMatchObject({
      id: response.headers.get("audit-id"),
      seq: null,
      decision: { allowed: false, rule: "support", code: "reason_required" },
    });
    expect(event !== undefined && (await isSigned(gateway, event))).toBe(true);
  });

  it("leaves no record when it is for asking too often: a flood would flood the log", async () => {
    const ledger = await openLedger("acme");
    const limit = { limit: () => Promise.resolve({ success: false }) };
    const { response } = await cancelWith({
      config: withTenant("acme", { rate: "strict" }),
      bindings: { ledger: () => ledger.rpc, limits: limitsOf(() => limit) },
    });
    expect(response.status).toBe(429);
    expect(await ledger.events()).toEqual([]);
    expect(await inKv()).toEqual([]);
  });
});

describe("somebody who is not known", () => {
  it("leaves no record: no KV write, no call of a ledger", async () => {
    const { kv, tried } = kvNoting();
    let ledgers = 0;
    const gateway = await createHarness({
      bindings: {
        audit: kv,
        ledger: (tenant) => {
          ledgers += 1;
          return realLedger(tenant);
        },
      },
    });
    const target = await gateway.startRun();
    const good = await gateway.tokenFor(ANN);
    const tokens = [
      "",
      "x",
      "a.b.c",
      `${good}x`,
      good.slice(0, -4),
      good.split(".").toReversed().join("."),
      await gateway.tokenFor(ANN, { iss: "https://id.evil.test/" }),
      await gateway.tokenFor(ANN, { aud: "https://elsewhere.test" }),
      await gateway.tokenFor(ANN, { exp: 1 }),
      await gateway.tokenFor(ANN, { sub: "" }),
      await gateway.tokenFor(ANN, { sub: "x".repeat(256) }),
    ];
    for (const token of tokens) {
      const response = await gateway.cancel(target, token);
      expect(response.status, token.slice(0, 20)).toBe(401);
      const listed = await gateway.request("/v1/audit/events", {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(listed.status, token.slice(0, 20)).toBe(401);
    }
    expect(tried).toEqual([]);
    expect(ledgers).toBe(0);
  });
});

describe("whatever the stores do", () => {
  type Begin = "leads" | "follows" | "rejects" | "hangs" | "takes it and hangs";
  type Join = "hands over" | "lost" | "rejects" | "hangs";
  type Write = "works" | "rejects" | "hangs" | "takes it and hangs";
  interface Weather {
    readonly begin: Begin;
    readonly join: Join;
    readonly finish: readonly Write[];
    readonly puts: readonly Write[];
    readonly proceed: boolean;
  }
  const write = fc.constantFrom<Write>("works", "rejects", "hangs", "takes it and hangs");
  const weather: fc.Arbitrary<Weather> = fc.record({
    begin: fc.constantFrom<Begin>("leads", "follows", "rejects", "hangs", "takes it and hangs"),
    join: fc.constantFrom<Join>("hands over", "lost", "rejects", "hangs"),
    finish: fc.array(write, { minLength: 1, maxLength: 3 }),
    puts: fc.array(write, { minLength: 1, maxLength: 4 }),
    proceed: fc.boolean(),
  });

  let current: Weather;
  /** In the order they happened: a record that was confirmed, a cancel that went out. */
  let trace: ("recorded" | "cancelled")[];
  let gateway: Harness;

  beforeEach(async () => {
    const { sleep, hang } = stoppedTime();
    const perform = (how: Write): Promise<void> => {
      if (how === "rejects") return Promise.reject(new Error("unavailable"));
      return how === "works" ? Promise.resolve() : hang();
    };
    let puts = 0;
    let finishes = 0;
    const halves = new Set<string>();
    const ledger = (): LedgerRpc => ({
      ...ledgerDown(),
      begin: async () => {
        const { begin } = current;
        if (begin === "rejects") throw new Error("unavailable");
        if (begin === "hangs" || begin === "takes it and hangs") return hang();
        trace.push("recorded");
        return begin === "leads" ? null : "a-leader";
      },
      join: async (_, leader) => {
        const { join } = current;
        if (join === "rejects") throw new Error("unavailable");
        if (join === "hangs") return hang();
        return join === "lost" ? null : { leader, result: STOPPED };
      },
      finish: () => perform(nextOf(current.finish, finishes++)),
      record: () => perform(nextOf(current.finish, finishes++)),
    });
    gateway = await createHarness({
      bindings: {
        ledger,
        audit: kvWith(async (key) => {
          await perform(nextOf(current.puts, puts++));
          // An event has two keys, and is on record when both are.
          const id = key.split(":").slice(-2).join(":");
          if (halves.has(id)) trace.push("recorded");
          halves.add(id);
        }),
      },
      world: { sleep },
      config: (config) => {
        const { acme } = config["tenants"] as Record<string, Record<string, unknown>>;
        return withTenant("globex", {
          ...acme,
          credential: { secret: "UPSTREAM_KEY_GLOBEX" },
          origins: [],
          audit: { on_failure: "proceed" },
        })(config);
      },
      network: (simulator) => (input, init) => {
        if (String(input).endsWith("/cancel")) trace.push("cancelled");
        return simulator(input, init);
      },
    });
  });

  it("no cancel reaches an upstream before somebody's asking is on record", async () => {
    await fc.assert(
      fc.asyncProperty(weather, async (drawn) => {
        current = drawn;
        trace = [];
        const tenant = drawn.proceed ? "globex" : "acme";
        const person: Person = { tenant, sub: "ann", scope: "runs:cancel" };
        const target = await gateway.startRun({ tenant, owner: "ann" });
        const response = await gateway.cancel(target, await gateway.tokenFor(person));
        const auditId = response.headers.get("audit-id");
        const cancels = trace.filter((step) => step === "cancelled").length;
        if (response.status === 503) {
          expect([drawn.proceed, cancels]).toEqual([false, 0]);
          return;
        }
        expect(response.status).toBe(200);
        expect(cancels).toBeLessThanOrEqual(1);
        if (auditId === "none") expect(drawn.proceed).toBe(true);
        else expect(trace[0]).toBe("recorded");
      }),
      { numRuns: 200 },
    );
  });

  function nextOf(writes: readonly Write[], index: number): Write {
    return writes[index % writes.length] ?? "works";
  }
});

/** Lets every alarm ring that is due within the next minutes. */
async function publishAll(ledger: TestLedger): Promise<void> {
  for (let rings = 0; rings < 5 && (await ledger.ring()); rings += 1);
}
