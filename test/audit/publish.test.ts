// Publication: what the ledger has closed comes to KV, whole and in its place, once KV takes it.
import { reset, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { chainDefects } from "../../src/audit/chain.ts";
import { type AuditEvent, ROW_BYTES, rowOf } from "../../src/audit/event.ts";
import { eventKey, publish, runKey } from "../../src/audit/log.ts";
import { ADA, ANN, createHarness, withTenant } from "../support/harness.ts";
import {
  aDenial,
  anEvent,
  cancelled,
  finishOf,
  gate,
  intentOf,
  kvNoting,
  kvWith,
  OUTCOME,
  openLedger,
  START_MS,
} from "./support.ts";

afterEach(async () => {
  await reset();
});

const DAY_SECONDS = 24 * 60 * 60;

async function stored(prefix: string): Promise<AuditEvent[]> {
  const { keys } = await env.AUDIT.list({ prefix });
  const events = keys.map(({ name }) => env.AUDIT.get<AuditEvent>(name, "json"));
  return (await Promise.all(events)).filter((event) => event !== null);
}

async function namesOf(prefix: string): Promise<string[]> {
  return (await env.AUDIT.list({ prefix })).keys.map(({ name }) => name);
}

describe("a closed event", () => {
  it("is published one second after it was closed, together with what came meanwhile", async () => {
    const ledger = await openLedger("acme");
    await cancelled(ledger);
    ledger.pass(900);
    await cancelled(ledger);
    expect(await ledger.wakesIn()).toBe(100);
    await ledger.ring();
    expect(await stored("a1:acme:")).toHaveLength(2);
    expect(await ledger.events()).toEqual([]);
    expect(await ledger.wakesIn()).toBeNull();
  });

  it("is published by the deployed ledger's own alarm", async () => {
    const gateway = await createHarness();
    const response = await gateway.cancel(await gateway.startRun(), await gateway.tokenFor(ANN));
    // False when the runtime has been faster.
    await runDurableObjectAlarm(env.LEDGER.getByName("acme"));
    expect(await stored("a1:acme:")).toMatchObject([
      { id: response.headers.get("audit-id"), seq: 1, outcome: { result: "cancelling" } },
    ]);
  });

  it("lies under tenant, day, inverse time and id, newest first", async () => {
    const ledger = await openLedger("acme");
    const events: AuditEvent[] = [];
    for (const pause of [0, 1, 999]) {
      ledger.pass(pause);
      events.push(await cancelled(ledger));
    }
    await ledger.ring();
    const inverse = (ms: number) => String(9_999_999_999_999 - ms);
    expect(await namesOf("a1:")).toEqual([
      `a1:acme:2100-03-01:${inverse(START_MS + 1_000)}:${events[2]?.id}`,
      `a1:acme:2100-03-01:${inverse(START_MS + 1)}:${events[1]?.id}`,
      `a1:acme:2100-03-01:${inverse(START_MS)}:${events[0]?.id}`,
    ]);
  });

  it("is found by its run, too", async () => {
    const ledger = await openLedger("acme");
    const event = await cancelled(ledger, { thread: "thread_7", run: "run_7" });
    await cancelled(ledger, { thread: "thread_7", run: "run_77" });
    await ledger.ring();
    const names = await namesOf("a1r:acme:thread_7:run_7:");
    expect(names).toEqual([runKey(event)]);
    expect(names[0]).toMatch(/^a1r:acme:thread_7:run_7:\d{13}:[0-9a-f-]{36}$/);
    expect(await env.AUDIT.get(names[0] ?? "")).toBe(eventKey(event));
  });

  it("of a response, which is named alone, is found by it, and by no thread called null", async () => {
    const ledger = await openLedger("acme");
    await ledger.rpc.record(aDenial({ thread: null, run: "resp_1" }), 400);
    await ledger.ring();
    expect(await namesOf("a1r:acme::resp_1:")).toHaveLength(1);
    expect(await namesOf("a1r:acme:null:")).toEqual([]);
  });

  it("of ids that are long, or have colons, is found by a digest of the two", async () => {
    const ledger = await openLedger("acme");
    const run = `resp_v3:gcm:${"a".repeat(430)}==`;
    await ledger.rpc.record(aDenial({ thread: null, run }), 400);
    await ledger.ring();
    const digest = createHash("sha256")
      .update(JSON.stringify([null, run]))
      .digest("base64url");
    expect(await namesOf(`a1r:acme:#${digest}:`)).toHaveLength(1);
  });

  it("is never found by another run's key, nor by the beginning of one", () => {
    const letters = fc.constantFrom("a", "b", ":", "=", "+", ".", "-");
    const id = fc.oneof(
      fc.array(letters, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("")),
      fc.constantFrom("a".repeat(128), "a".repeat(129), "null"),
    );
    const pair = fc.tuple(fc.option(id), id);
    const keyOf = ([thread, run]: [string | null, string]): string => {
      const key = runKey(aDenial({ thread, run })) ?? "";
      // What a reader lists: all but the event's position.
      return `${key.split(":").slice(0, -2).join(":")}:`;
    };
    fc.assert(
      fc.property(pair, pair, (one, other) => {
        fc.pre(JSON.stringify(one) !== JSON.stringify(other));
        expect(keyOf(other).startsWith(keyOf(one))).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  it("that names no run has no key by run", async () => {
    const ledger = await openLedger("acme");
    await ledger.rpc.record(aDenial({ thread: null, run: null }), 400);
    await ledger.rpc.record(aDenial({ thread: "thread_1", run: null }), 400);
    await ledger.ring();
    expect(await stored("a1:acme:")).toHaveLength(2);
    expect(await namesOf("a1r:")).toEqual([]);
  });

  it("expires with the tenant's retention, by either key", async () => {
    const { kv, taken } = kvNoting();
    const ledger = await openLedger("acme", kv);
    const event = anEvent();
    await ledger.rpc.begin({ ...intentOf(event), retentionDays: 30 });
    await ledger.rpc.finish({ ...finishOf(event), retentionDays: 30 });
    await ledger.rpc.record(aDenial({ run: "run_2" }), 1);
    await ledger.ring();
    expect(
      taken.map(({ key, options }) => [key.split(":")[0], options?.expirationTtl]).toSorted(),
    ).toEqual([
      ["a1", 30 * DAY_SECONDS],
      ["a1", DAY_SECONDS],
      ["a1r", 30 * DAY_SECONDS],
      ["a1r", DAY_SECONDS],
    ]);
  });

  it("expires with the retention that its intent had, when nobody closes it", async () => {
    const { kv, taken } = kvNoting();
    const ledger = await openLedger("acme", kv);
    await ledger.rpc.begin({ ...intentOf(anEvent()), retentionDays: 30 });
    await ledger.ring();
    expect(taken.map(({ options }) => options?.expirationTtl)).toEqual([
      30 * DAY_SECONDS,
      30 * DAY_SECONDS,
    ]);
  });

  it("is in KV what the API showed before", async () => {
    const ledger = await openLedger("acme");
    const gateway = await createHarness({
      config: withTenant("acme", { audit: { retention_days: 90 } }),
      bindings: { ledger: () => ledger.rpc },
    });
    const token = await gateway.tokenFor(ANN);
    const auditor = await gateway.tokenFor(ADA);
    await gateway.cancel(await gateway.startRun(), token);
    await gateway.cancel(await gateway.startRun({ owner: "bob" }), token);
    const before = (await gateway.events(auditor)).data;
    expect(before).toHaveLength(2);
    expect(await namesOf("a1:")).toEqual([]);
    await ledger.ring();
    expect(await ledger.events()).toEqual([]);
    expect(await stored("a1:acme:")).toEqual(before);
    expect((await gateway.events(auditor)).data).toEqual(before);
  });
});

describe("the metadata of a key", () => {
  it("is the row that a list shows", async () => {
    const ledger = await openLedger("acme");
    await cancelled(ledger);
    await ledger.ring();
    const { keys } = await env.AUDIT.list({ prefix: "a1" });
    const row = {
      seq: 1,
      type: "cancel",
      sub: "ann",
      run: "run_1",
      rule: "owner",
      code: null,
      result: "cancelling",
    };
    expect(keys.map(({ metadata }) => metadata)).toEqual([row, row]);
  });

  for (const [kind, character] of [
    ["control characters", "\u0001"],
    ["half surrogates", "\ud800"],
    ["quotes", '"'],
    ["emoji", "😀"],
    ["three-byte characters", "\u2028"],
    ["plain letters", "x"],
  ] as const) {
    it(`fits into KV for the largest event, with a subject of ${kind}`, async () => {
      const event = largestEvent(character.repeat(255).slice(0, 255));
      await publish(env.AUDIT, event, 3_650);
      const { keys } = await env.AUDIT.list<{ sub: string }>({ prefix: "a1" });
      expect(keys).toHaveLength(2);
      for (const { name, metadata } of keys) {
        expect(new TextEncoder().encode(JSON.stringify(metadata)).byteLength).toBeLessThanOrEqual(
          ROW_BYTES,
        );
        expect(name.length).toBeLessThanOrEqual(512);
        expect(event.actor.sub.startsWith(metadata?.sub ?? "-")).toBe(true);
        expect(metadata?.sub).not.toBe("");
      }
    });
  }

  it("cuts a subject between characters, never inside one", () => {
    expect(rowOf(largestEvent("😀".repeat(127))).sub).toBe("😀".repeat(64));
    expect(rowOf(largestEvent(`x${"😀".repeat(127)}`)).sub).toBe(`x${"😀".repeat(63)}`);
    expect(rowOf(largestEvent("x".repeat(255))).sub).toBe("x".repeat(255));
  });
});

describe("while KV fails", () => {
  it("events stay in the ledger and go to KV later, once and unchanged", async () => {
    let down = true;
    const { kv, taken } = kvNoting(() => down);
    const ledger = await openLedger("acme", kv);
    await cancelled(ledger);
    await ledger.ring();
    await cancelled(ledger);
    await ledger.ring();
    const waiting = await ledger.events();
    expect(waiting.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(taken).toEqual([]);

    down = false;
    await ledger.ring();
    expect(await ledger.events()).toEqual([]);
    expect((await stored("a1:acme:")).toReversed()).toEqual(waiting);
    expect(taken.map(({ key }) => key)).toHaveLength(4);
    expect(chainDefects("acme", waiting)).toEqual([]);

    await cancelled(ledger);
    await ledger.ring();
    expect(taken).toHaveLength(6);
  });

  it("it is tried again after 2 seconds, then ever less often, at least every minute", async () => {
    const ledger = await openLedger("acme", kvNoting(() => true).kv);
    await cancelled(ledger);
    const pauses: (number | null)[] = [];
    for (let attempt = 0; attempt < 8; attempt += 1) {
      await ledger.ring();
      pauses.push(await ledger.wakesIn());
    }
    expect(pauses).toEqual([2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1_000));
  });

  it("it starts over with 2 seconds after each success", async () => {
    let down = true;
    const ledger = await openLedger("acme", kvNoting(() => down).kv);
    await cancelled(ledger);
    await ledger.ring();
    await ledger.ring();
    down = false;
    await ledger.ring();
    down = true;
    await cancelled(ledger);
    await ledger.ring();
    expect(await ledger.wakesIn()).toBe(2_000);
  });

  it("no new event makes it try again sooner", async () => {
    const { kv, tried } = kvNoting(() => true);
    const ledger = await openLedger("acme", kv);
    await cancelled(ledger);
    await ledger.ring();
    ledger.pass(500);
    await cancelled(ledger);
    expect(await ledger.wakesIn()).toBe(1_500);
    expect(tried).toHaveLength(2);
  });

  it("no intent whose time is up makes it try again sooner", async () => {
    const { kv, tried } = kvNoting(() => true);
    const ledger = await openLedger("acme", kv);
    await ledger.rpc.begin(intentOf(anEvent({ run: "run_open" })));
    ledger.pass(118_500);
    await cancelled(ledger, { run: "run_closed" });
    await ledger.ring();
    expect(tried).toHaveLength(2);
    expect(await ledger.wakesIn()).toBe(500);
    await ledger.ring();
    expect(tried).toHaveLength(2);
    expect(await ledger.wakesIn()).toBe(1_500);
    await ledger.ring();
    expect(tried).toHaveLength(6);
  });

  it("an event that closes during the attempt that succeeds is not forgotten", async () => {
    const hold = gate();
    const started = gate();
    let puts = 0;
    const ledger = await openLedger(
      "acme",
      kvWith(async () => {
        puts += 1;
        if (puts <= 2) throw new Error("KV PUT failed: 500");
        started.open();
        await hold.opened();
      }),
    );
    await cancelled(ledger);
    await ledger.ring();
    const ringing = ledger.ring();
    await started.opened();
    const second = await cancelled(ledger);
    hold.open();
    await ringing;
    expect(await ledger.events()).toMatchObject([{ id: second.id, seq: 2 }]);
    expect(await ledger.wakesIn()).toBe(1_000);
  });

  it("for some keys, the others are published and not written again", async () => {
    let down = true;
    const { kv, taken } = kvNoting((key) => down && key.includes(":run_bad:"));
    const ledger = await openLedger("acme", kv);
    await cancelled(ledger, { run: "run_good" });
    const bad = await cancelled(ledger, { run: "run_bad" });
    await cancelled(ledger, { run: "run_good" });
    await ledger.ring();
    expect(await ledger.events()).toMatchObject([{ id: bad.id, seq: 2 }]);
    down = false;
    await ledger.ring();
    const good = taken.filter(({ key }) => key.includes(":run_good:"));
    expect(good).toHaveLength(2);
    const events = await stored("a1:acme:");
    expect(events.map(({ seq }) => seq).toSorted()).toEqual([1, 2, 3]);
    expect(chainDefects("acme", events)).toEqual([]);
  });

  it("and the object is evicted, it is tried again all the same", async () => {
    let down = true;
    const ledger = await openLedger("acme", kvNoting(() => down).kv);
    const event = await cancelled(ledger);
    await ledger.ring();
    await ledger.evict();
    expect(await ledger.wakesIn()).toBe(2_000);
    down = false;
    await ledger.ring();
    expect(await stored("a1:acme:")).toMatchObject([{ id: event.id, outcome: OUTCOME }]);
  });

  it("cancels go on, by the front door", async () => {
    const ledger = await openLedger("acme", kvNoting(() => true).kv);
    const gateway = await createHarness({ bindings: { ledger: () => ledger.rpc } });
    const token = await gateway.tokenFor(ANN);
    for (let round = 0; round < 3; round += 1) {
      const response = await gateway.cancel(await gateway.startRun(), token);
      expect(response.status).toBe(200);
      await ledger.ring();
    }
    const { data } = await gateway.events(await gateway.tokenFor(ADA));
    expect(data.map(({ seq }) => seq)).toEqual([3, 2, 1]);
  });
});

describe("a backlog", () => {
  it("is published a hundred at a time, with no pause but what an alarm takes", async () => {
    const ledger = await openLedger("acme");
    const denials = Array.from({ length: 150 }, (_, index) => aDenial({ at: START_MS + index }));
    await ledger.recordAll(denials);
    await ledger.ring();
    expect((await ledger.events()).map(({ seq }) => seq)).toEqual(
      Array.from({ length: 50 }, (_, index) => 101 + index),
    );
    // Never the present moment: the runtime would leave such an alarm lying.
    expect(await ledger.wakesIn()).toBe(100);
    await ledger.ring();
    expect(await ledger.events()).toEqual([]);
    const events = await stored("a1:acme:");
    expect(events).toHaveLength(150);
    expect(chainDefects("acme", events)).toEqual([]);
  });
});

describe("an alarm that is past", () => {
  it("counts as none when the ledger is loaded again, as after a power cut", async () => {
    const ledger = await openLedger("acme");
    await cancelled(ledger);
    ledger.pass(60_000);
    await ledger.evict();
    expect(await ledger.wakesIn()).toBe(100);
    await ledger.ring();
    expect(await stored("a1:acme:")).toHaveLength(1);
  });

  it("counts from the very moment it is due, and one that is not stays as it is", async () => {
    const ledger = await openLedger("acme");
    await cancelled(ledger);
    ledger.pass(999);
    await ledger.evict();
    expect(await ledger.wakesIn()).toBe(1);
    ledger.pass(1);
    await ledger.evict();
    expect(await ledger.wakesIn()).toBe(100);
  });

  it("of an intent that was left open closes it", async () => {
    const ledger = await openLedger("acme");
    await ledger.rpc.begin(intentOf(anEvent()));
    ledger.pass(3_600_000);
    await ledger.evict();
    expect(await ledger.wakesIn()).toBe(100);
    await ledger.ring();
    expect(await ledger.events()).toMatchObject([]);
    expect(await stored("a1:acme:")).toMatchObject([{ outcome: { result: "unknown" } }]);
  });

  it("that never rang is set again by the next event, at once", async () => {
    const ledger = await openLedger("acme");
    await cancelled(ledger);
    ledger.pass(60_000);
    await cancelled(ledger, { run: "run_2" });
    expect(await ledger.wakesIn()).toBe(100);
  });

  it("that is about to ring is not put off by those who come meanwhile", async () => {
    const ledger = await openLedger("acme");
    await cancelled(ledger);
    ledger.pass(1_500);
    await cancelled(ledger, { run: "run_2" });
    expect(await ledger.wakesIn()).toBe(-500);
  });
});

/** Every member that a row shows, and every part of a key, at its longest. */
function largestEvent(sub: string): AuditEvent {
  const base = anEvent({
    tenant: "t".repeat(63),
    thread: "=".repeat(1_024),
    run: ":".repeat(1_024),
  });
  return {
    ...base,
    seq: Number.MAX_SAFE_INTEGER,
    type: "owner_registered",
    actor: { ...base.actor, sub },
    decision: { allowed: false, rule: "u".repeat(64), code: "upstream_rejected_credentials" },
    outcome: { ...OUTCOME, result: "upstream_rejected_credentials" },
    signature: { kid: "k".repeat(64), value: "v".repeat(128) },
  };
}
