// The ledger: one event per cancel, one upstream cancel per click-storm, no gap in the chain, and an
// end for every intent, whatever is lost on the way.
import { reset } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { chainDefects, genesis } from "../../src/audit/chain.ts";
import type { AuditEvent } from "../../src/audit/event.ts";
import { UNKNOWN_AFTER_MS } from "../../src/audit/event.ts";
import type { StopResult } from "../../src/upstreams/stop.ts";
import { ADA, ANN, type AuditJson, createHarness, type RunIds } from "../support/harness.ts";
import {
  aDenial,
  anEvent,
  cancelled,
  finishOf,
  gate,
  intentOf,
  ledgerWith,
  OUTCOME,
  openLedger,
  realLedger,
  START_MS,
  STOPPED,
} from "./support.ts";

afterEach(async () => {
  await reset();
});

const DAY_MS = 24 * 60 * 60_000;

describe("an event", () => {
  it("is one for intent and outcome, with the next place in the chain", async () => {
    const ledger = await openLedger("acme");
    const first = await cancelled(ledger);
    const second = await cancelled(ledger);
    const events = await ledger.events();
    expect(events).toEqual([
      { ...first, outcome: OUTCOME, seq: 1, prev: genesis("acme"), hash: expect.any(String) },
      { ...second, outcome: OUTCOME, seq: 2, prev: events[0]?.hash, hash: expect.any(String) },
    ]);
    expect(chainDefects("acme", events)).toEqual([]);
  });

  it("has no place while its outcome is open", async () => {
    const ledger = await openLedger("acme");
    const event = anEvent();
    expect(await ledger.rpc.begin(intentOf(event))).toBeNull();
    expect(await ledger.events()).toEqual([event]);
  });

  it("takes its place when it closes, not when it begins", async () => {
    const ledger = await openLedger("acme");
    const slow = anEvent({ run: "run_slow" });
    await ledger.rpc.begin(intentOf(slow));
    const quick = await cancelled(ledger, { run: "run_quick" });
    await ledger.rpc.finish(finishOf(slow));
    expect(placesOf(await ledger.events())).toEqual([
      [1, quick.id],
      [2, slow.id],
    ]);
  });

  it("that is a denial is closed from the start", async () => {
    const ledger = await openLedger("acme");
    const denial = aDenial();
    await ledger.rpc.record(denial, 400);
    expect(placesOf(await ledger.events())).toEqual([[1, denial.id]]);
  });

  it("is in one tenant's chain only", async () => {
    const acme = await openLedger("acme");
    const globex = await openLedger("globex");
    await cancelled(acme);
    await cancelled(globex, { tenant: "globex" });
    expect(await acme.events()).toMatchObject([{ seq: 1, prev: genesis("acme") }]);
    expect(await globex.events()).toMatchObject([{ seq: 1, prev: genesis("globex") }]);
    expect(genesis("acme")).not.toBe(genesis("globex"));
  });

  it("is taken once, however often the gateway repeats it", async () => {
    const ledger = await openLedger("acme");
    const event = anEvent();
    const denial = aDenial();
    await ledger.rpc.begin(intentOf(event));
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await ledger.rpc.finish(finishOf(event));
      await ledger.rpc.record(denial, 400);
    }
    expect(placesOf(await ledger.events())).toEqual([
      [1, event.id],
      [2, denial.id],
    ]);
  });

  it("is taken once across an eviction and its publication", async () => {
    const ledger = await openLedger("acme");
    const event = await cancelled(ledger);
    await ledger.ring();
    await ledger.evict();
    await ledger.rpc.finish(finishOf(event));
    expect(await ledger.events()).toEqual([]);
  });

  it("begun before an eviction is closed after it as the same event", async () => {
    const ledger = await openLedger("acme");
    await cancelled(ledger);
    const event = anEvent();
    await ledger.rpc.begin(intentOf(event));
    await ledger.evict();
    await ledger.rpc.finish(finishOf(event));
    const events = await ledger.events();
    expect(events[1]).toMatchObject({ id: event.id, seq: 2, outcome: OUTCOME, intent_id: null });
    expect(chainDefects("acme", events)).toEqual([]);
  });
});

describe("an intent that nobody closes", () => {
  it("is open for 120 seconds", async () => {
    const ledger = await openLedger("acme");
    await ledger.rpc.begin(intentOf(anEvent()));
    ledger.pass(UNKNOWN_AFTER_MS - 1);
    expect(await ledger.events()).toMatchObject([{ seq: null, outcome: null }]);
  });

  it("is then closed as unknown by whoever reads", async () => {
    const ledger = await openLedger("acme");
    await ledger.rpc.begin(intentOf(anEvent()));
    ledger.pass(UNKNOWN_AFTER_MS);
    expect(await ledger.events()).toMatchObject([{ seq: 1, outcome: { result: "unknown" } }]);
  });

  it("is closed as unknown by the alarm, and published", async () => {
    const ledger = await openLedger("acme");
    await ledger.rpc.begin(intentOf(anEvent()));
    expect(await ledger.wakesIn()).toBe(120_000);
    await ledger.ring();
    expect(await ledger.events()).toEqual([]);
    expect((await ledger.rpc.unpublished()).seq).toBe(1);
  });

  it("is waited for by an alarm of its own when another one rang before", async () => {
    const ledger = await openLedger("acme");
    await ledger.rpc.begin(intentOf(anEvent({ run: "run_open" })));
    ledger.pass(10_000);
    await cancelled(ledger, { run: "run_closed" });
    expect(await ledger.wakesIn()).toBe(1_000);
    await ledger.ring();
    expect(await ledger.wakesIn()).toBe(109_000);
  });

  it("is waited for across an eviction", async () => {
    const ledger = await openLedger("acme");
    await ledger.rpc.begin(intentOf(anEvent()));
    await ledger.evict();
    expect(await ledger.wakesIn()).toBe(120_000);
    await ledger.ring();
    expect((await ledger.rpc.unpublished()).seq).toBe(1);
  });

  it("gets a second event that names it, when its outcome comes late", async () => {
    const ledger = await openLedger("acme");
    const event = anEvent();
    await ledger.rpc.begin(intentOf(event));
    ledger.pass(UNKNOWN_AFTER_MS);
    await ledger.events();
    const late = finishOf(event);
    await ledger.rpc.finish(late);
    await ledger.rpc.finish(late);
    const events = await ledger.events();
    expect(events).toMatchObject([
      { id: event.id, seq: 1, outcome: { result: "unknown" }, intent_id: null },
      { id: late.lateId, seq: 2, outcome: OUTCOME, intent_id: event.id },
    ]);
    expect(chainDefects("acme", events)).toEqual([]);
  });

  it("that the ledger never saw gets such a second event too", async () => {
    const ledger = await openLedger("acme");
    const direct = anEvent();
    const finish = finishOf(direct);
    await ledger.rpc.finish(finish);
    expect(await ledger.events()).toMatchObject([
      { id: finish.lateId, seq: 1, intent_id: direct.id },
    ]);
  });
});

describe("cancels of one run that overlap", () => {
  it("share the first one's result", async () => {
    const ledger = await openLedger("acme");
    const [leader, follower] = [anEvent(), anEvent()];
    expect(await ledger.rpc.begin(intentOf(leader))).toBeNull();
    expect(await ledger.rpc.begin(intentOf(follower))).toBe(leader.id);
    const joined = ledger.rpc.join(intentOf(follower), leader.id);
    await ledger.rpc.finish(finishOf(leader));
    expect(await joined).toEqual({ leader: leader.id, result: STOPPED });
    expect(await ledger.events()).toMatchObject([
      { id: leader.id, seq: 1, outcome: { attempts: 1, joined: null } },
      { id: follower.id, seq: 2, outcome: { ...OUTCOME, attempts: 0, joined: leader.id } },
    ]);
  });

  it("share it also when it comes before the second one asks for it", async () => {
    const ledger = await openLedger("acme");
    const [leader, follower] = [anEvent(), anEvent()];
    await ledger.rpc.begin(intentOf(leader));
    await ledger.rpc.begin(intentOf(follower));
    await ledger.rpc.finish(finishOf(leader));
    expect(await ledger.rpc.join(intentOf(follower), leader.id)).toMatchObject({
      leader: leader.id,
    });
  });

  it("share a failure", async () => {
    const ledger = await openLedger("acme");
    const [leader, follower] = [anEvent(), anEvent()];
    await ledger.rpc.begin(intentOf(leader));
    await ledger.rpc.begin(intentOf(follower));
    await ledger.rpc.finish(finishOf(leader, { result: FAILED }));
    expect(await ledger.rpc.join(intentOf(follower), leader.id)).toEqual({
      leader: leader.id,
      result: FAILED,
    });
    expect((await ledger.events())[1]?.outcome?.result).toBe("upstream_error");
  });

  it("go on with a second one when the first is lost, and the others wait for that", async () => {
    const ledger = await openLedger("acme");
    const [lost, third, second] = [anEvent(), anEvent(), anEvent()];
    for (const event of [lost, third, second]) await ledger.rpc.begin(intentOf(event));
    const taking = ledger.rpc.join(intentOf(second), lost.id);
    ledger.pass(31);
    expect(await taking).toBeNull();
    const joined = ledger.rpc.join(intentOf(third), lost.id);
    await ledger.rpc.finish(finishOf(second));
    expect(await joined).toMatchObject({ leader: second.id });
    ledger.pass(UNKNOWN_AFTER_MS);
    const events = await ledger.events();
    expect(events).toMatchObject([
      { id: second.id, outcome: { joined: null } },
      { id: third.id, outcome: { joined: second.id } },
      { id: lost.id, outcome: { result: "unknown" } },
    ]);
    expect(chainDefects("acme", events)).toEqual([]);
  });

  it("wait no longer for a first one that turns out to have been refused", async () => {
    const ledger = await openLedger("acme");
    const [refused, follower] = [anEvent(), anEvent()];
    await ledger.rpc.begin(intentOf(refused, 60_000));
    await ledger.rpc.begin(intentOf(follower));
    const joined = ledger.rpc.join(intentOf(follower), refused.id);
    await ledger.rpc.record({ ...refused, type: "denied" }, 400);
    expect(await joined).toBeNull();
  });

  it("wait on when the object is evicted in between", async () => {
    const ledger = await openLedger("acme");
    const [leader, follower] = [anEvent(), anEvent()];
    await ledger.rpc.begin(intentOf(leader));
    await ledger.rpc.begin(intentOf(follower));
    await ledger.evict();
    const joined = ledger.rpc.join(intentOf(follower), leader.id);
    await ledger.rpc.finish(finishOf(leader));
    expect(await joined).toMatchObject({ leader: leader.id });
  });

  it("are handed a result also after their own time was up, and stay one event", async () => {
    const ledger = await openLedger("acme");
    const [lost, follower, leader] = [anEvent(), anEvent(), anEvent()];
    await ledger.rpc.begin(intentOf(lost, 1));
    await ledger.rpc.begin(intentOf(follower));
    ledger.pass(100_000);
    expect(await ledger.rpc.begin(intentOf(leader, 30_000))).toBeNull();
    // By now it has given up the lost one; it will wait for the other from its first moment on.
    await scheduler.wait(50);
    const joined = ledger.rpc.join(intentOf(follower), lost.id);
    ledger.pass(20_000);
    await ledger.events();
    await ledger.rpc.finish(finishOf(leader));
    expect(await joined).toMatchObject({ leader: leader.id });
    const events = await ledger.events();
    expect(events).toHaveLength(3);
    expect(new Map(events.map(({ id, outcome }) => [id, outcome?.result]))).toEqual(
      new Map([
        [lost.id, "unknown"],
        [follower.id, "unknown"],
        [leader.id, "cancelling"],
      ]),
    );
  });

  it("do not join one that was over when they were asked for", async () => {
    const ledger = await openLedger("acme");
    await cancelled(ledger);
    const later = anEvent({ at: START_MS + 1 });
    expect(await ledger.rpc.begin(intentOf(later))).toBeNull();
  });

  it("do not join one whose time is up", async () => {
    const ledger = await openLedger("acme");
    await ledger.rpc.begin(intentOf(anEvent()));
    ledger.pass(30);
    expect(await ledger.rpc.begin(intentOf(anEvent()))).toBeNull();
  });

  it("are joined by thread and run together, whatever the ids look like", async () => {
    const ledger = await openLedger("acme");
    const targets: [string | null, string | null][] = [
      ["thread_1", "run_1"],
      ["thread_1", "run_2"],
      ["thread_2", "run_1"],
      ["ab", "c"],
      ["a", "bc"],
      ["a-b", "c"],
      ["a", "b-c"],
      ["a_", "_b"],
      ["a__b", "-"],
      ["-", "a__b"],
      ["null", "null"],
      ["null", "undefined"],
      ["x".repeat(128), "y".repeat(127)],
      ["x".repeat(127), "y".repeat(128)],
      ["RUN", "run"],
      ["run", "RUN"],
    ];
    for (const [thread, run] of targets) {
      const event = anEvent({ thread, run });
      expect(await ledger.rpc.begin(intentOf(event, 60_000)), `${thread} ${run}`).toBeNull();
    }
  });
});

describe("an object that rests", () => {
  it("keeps no row of what it has published", async () => {
    const ledger = await openLedger("acme");
    await cancelled(ledger);
    await ledger.rpc.record(aDenial(), 400);
    await ledger.rpc.begin(intentOf(anEvent()));
    ledger.pass(10 * 60_000 + 1);
    await ledger.ring();
    expect(await ledger.rows()).toEqual({ intents: 0, outbox: 0, taken: 0, stops: 0, owners: 0 });
  });
});

describe("the registry of owners", () => {
  const registration = (days = 30, subject = "ann") => ({
    event: { ...anEvent(), type: "owner_registered" as const, owner: subject },
    retentionDays: 400,
    subject,
    days,
  });
  const DAY_MS = 24 * 60 * 60_000;

  it("knows whose a run is, for as long as was said", async () => {
    const ledger = await openLedger("acme");
    expect(await ledger.rpc.ownerOf("thread_1", "run_1")).toBeNull();
    await ledger.rpc.register(registration(2));
    ledger.pass(2 * DAY_MS - 1);
    expect(await ledger.rpc.ownerOf("thread_1", "run_1")).toBe("ann");
    expect(await ledger.rpc.ownerOf("thread_1", "run_2")).toBeNull();
    expect(await ledger.rpc.ownerOf("thread_2", "run_1")).toBeNull();
    ledger.pass(1);
    expect(await ledger.rpc.ownerOf("thread_1", "run_1")).toBeNull();
  });

  it("takes what is said last, from then on", async () => {
    const ledger = await openLedger("acme");
    await ledger.rpc.register(registration(1, "eve"));
    ledger.pass(DAY_MS / 2);
    await ledger.rpc.register(registration(1));
    ledger.pass(DAY_MS - 1);
    expect(await ledger.rpc.ownerOf("thread_1", "run_1")).toBe("ann");
  });

  it("outlives the object, and forgets what is past", async () => {
    const ledger = await openLedger("acme");
    await ledger.rpc.register(registration(1));
    await ledger.evict();
    expect(await ledger.rpc.ownerOf("thread_1", "run_1")).toBe("ann");
    expect(await ledger.rows()).toMatchObject({ owners: 1 });
    ledger.pass(DAY_MS);
    await ledger.ring();
    expect(await ledger.rows()).toMatchObject({ owners: 0, outbox: 0 });
  });

  it("puts each registration on record once, however often it is said", async () => {
    const ledger = await openLedger("acme");
    const said = registration();
    await ledger.rpc.register(said);
    await ledger.rpc.register(said);
    const events = await ledger.events();
    expect(events).toMatchObject([{ type: "owner_registered", seq: 1, owner: "ann" }]);
  });

  it("is not turned back by a registration that arrives a second time, late", async () => {
    const ledger = await openLedger("acme");
    const first = registration(30, "ann");
    await ledger.rpc.register(first);
    await ledger.rpc.register(registration(30, "eve"));
    await ledger.rpc.register(first);
    expect(await ledger.rpc.ownerOf("thread_1", "run_1")).toBe("eve");
    expect((await ledger.events()).map(({ owner }) => owner)).toEqual(["ann", "eve"]);
  });

  it("takes no registration whose refusal is on record", async () => {
    const ledger = await openLedger("acme");
    const late = registration();
    await ledger.rpc.record({ ...late.event, type: "denied" }, 400);
    await ledger.rpc.register(late);
    expect(await ledger.rpc.ownerOf("thread_1", "run_1")).toBeNull();
  });

  it("begins nothing under the id of an event that is closed", async () => {
    const ledger = await openLedger("acme");
    await ledger.rpc.register(registration());
    const intent = intentOf(anEvent());
    await ledger.rpc.record({ ...intent.event, type: "denied" }, 400);
    const rules = { person: "own", tenant: null };
    const begun = ledger.rpc.beginIfOwned({ subject: "ann", rules, intent });
    await expect(begun).rejects.toThrow("closed");
    expect((await ledger.events()).filter(({ seq }) => seq === null)).toEqual([]);
  });

  it.each<[string, string | null, string | null, unknown]>([
    ["ann", "own", "support", { proof: "person", leader: null }],
    ["ann", null, "support", { proof: "person", leader: null }],
    ["eve", "own", "support", { proof: "tenant", leader: null }],
    ["eve", "own", null, { proof: "tenant", leader: null }],
  ])("begins for %s by the rule for what it proves: %s, %s", async (subject, own, all, begun) => {
    const ledger = await openLedger("acme");
    await ledger.rpc.register(registration());
    const intent = intentOf(anEvent());
    const rules = { person: own, tenant: all };
    expect(await ledger.rpc.beginIfOwned({ subject, rules, intent })).toEqual(begun);
    const rule = subject === "ann" ? own : all;
    const open = (await ledger.events()).filter(({ seq }) => seq === null);
    expect(open.map(({ decision }) => decision)).toEqual(
      rule === null ? [] : [{ allowed: true, rule, code: null }],
    );
  });

  it("begins nothing for a run that nobody has registered", async () => {
    const ledger = await openLedger("acme");
    const rules = { person: "own", tenant: "support" };
    const claim = { subject: "ann", rules, intent: intentOf(anEvent()) };
    expect(await ledger.rpc.beginIfOwned(claim)).toEqual({ proof: "nothing", leader: null });
    expect(await ledger.events()).toEqual([]);
  });

  it("joins a cancel that is under way, of an owner only", async () => {
    const ledger = await openLedger("acme");
    await ledger.rpc.register(registration());
    const leader = anEvent();
    const rules = { person: "own", tenant: null };
    await ledger.rpc.beginIfOwned({ subject: "ann", rules, intent: intentOf(leader) });
    const follow = (subject: string) =>
      ledger.rpc.beginIfOwned({ subject, rules, intent: intentOf(anEvent()) });
    expect(await follow("ann")).toEqual({ proof: "person", leader: leader.id });
    expect(await follow("eve")).toEqual({ proof: "tenant", leader: null });
  });
});

describe("the memory of cancels, for upstreams that forget them", () => {
  it("keeps when a run was first cancelled, in Unix seconds", async () => {
    const ledger = await openLedger("acme");
    const event = anEvent();
    await ledger.rpc.finish(finishOf(event, { remember: true }));
    const at = Math.floor(ledger.now() / 1_000);
    ledger.pass(5_000);
    await ledger.rpc.finish(finishOf(anEvent(), { remember: true }));
    expect(await ledger.rpc.cancelledAt("thread_1", "run_1")).toBe(at);
    expect(await ledger.rpc.cancelledAt("thread_1", "run_2")).toBeNull();
  });

  it("keeps the time that the reply told, not that of the record after a long wait", async () => {
    const ledger = await openLedger("acme");
    const told = Math.floor(ledger.now() / 1_000);
    const { result } = finishOf(anEvent());
    ledger.pass(25_000);
    const finish = { remember: true, result: { ...result, cancelledAt: told } as StopResult };
    await ledger.rpc.finish(finishOf(anEvent(), finish));
    expect(await ledger.rpc.cancelledAt("thread_1", "run_1")).toBe(told);
  });

  it("holds nothing that it was not told to remember", async () => {
    const ledger = await openLedger("acme");
    await cancelled(ledger);
    expect(await ledger.rpc.cancelledAt("thread_1", "run_1")).toBeNull();
  });

  it("ends after 30 days", async () => {
    const ledger = await openLedger("acme");
    await ledger.rpc.finish(finishOf(anEvent(), { remember: true }));
    ledger.pass(30 * DAY_MS);
    await ledger.ring();
    expect(await ledger.rpc.cancelledAt("thread_1", "run_1")).not.toBeNull();
    ledger.pass(1);
    await cancelled(ledger, { run: "run_2" });
    await ledger.ring();
    expect(await ledger.rpc.cancelledAt("thread_1", "run_1")).toBeNull();
  });
});

const CLICKS = 50;

/** Click-storms on runs whose upstream answers only when every click has been begun. */
async function storm(clicksPerRun: number, runs: number) {
  let begun = 0;
  const all = gate();
  const gateway = await createHarness({
    bindings: {
      ledger: (tenant) => {
        const ledger = realLedger(tenant);
        return ledgerWith(ledger, {
          begin: async (intent) => {
            const leader = await ledger.begin(intent);
            begun += 1;
            if (begun === clicksPerRun * runs) all.open();
            return leader;
          },
        });
      },
    },
    network: (simulator) => async (input, init) => {
      const isCancel = String(input).endsWith("/cancel");
      if (isCancel) await all.opened();
      return simulator(input, init);
    },
  });
  const targets = await Promise.all(Array.from({ length: runs }, () => gateway.startRun()));
  const token = await gateway.tokenFor(ANN);
  return {
    gateway,
    targets,
    click: () =>
      Promise.all(
        targets.flatMap((target) =>
          Array.from({ length: clicksPerRun }, () => gateway.cancel(target, token)),
        ),
      ),
    cancelCalls: async (target: RunIds) =>
      (await gateway.calls()).filter(({ path }) => path.endsWith(`/${target.run}/cancel`)).length,
    events: async () => (await gateway.events(await gateway.tokenFor(ADA))).data,
  };
}

describe("fifty clicks at once, by the front door", () => {
  it("are one upstream cancel, fifty equal answers and fifty events", async () => {
    const { click, cancelCalls, targets, events } = await storm(CLICKS, 1);
    const responses = await click();
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(await bodiesOf(responses)).size).toBe(1);
    for (const target of targets) expect(await cancelCalls(target)).toBe(1);
    const recorded = await events();
    expectOneLeader(recorded);
    expect(new Set(responses.map(({ headers }) => headers.get("audit-id")))).toEqual(
      new Set(recorded.map(({ id }) => id)),
    );
    expect(new Set(recorded.map(({ outcome }) => outcome?.result))).toEqual(
      new Set(["cancelling"]),
    );
  });

  it("get the same failure when the upstream fails", async () => {
    const { gateway, click, cancelCalls, targets, events } = await storm(CLICKS, 1);
    await gateway.fault({ match: { path: "/cancel$" }, reply: { status: 500, delay_ms: 50 } });
    const responses = await click();
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([502]));
    const bodies = new Set(await bodiesOf(responses));
    expect(bodies.size).toBe(1);
    expect(JSON.parse([...bodies][0] ?? "")).toMatchObject({ error: { code: "upstream_error" } });
    // Of them all one is sent, and once more after the error.
    for (const target of targets) expect(await cancelCalls(target)).toBe(2);
    const recorded = await events();
    expectOneLeader(recorded);
    expect(new Set(recorded.map(({ outcome }) => outcome?.result))).toEqual(
      new Set(["upstream_error"]),
    );
  });

  it("on several runs are one upstream cancel each", async () => {
    const { click, cancelCalls, targets, events } = await storm(5, 4);
    const responses = await click();
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
    for (const target of targets) expect(await cancelCalls(target)).toBe(1);
    const recorded = await events();
    expect(recorded.filter(({ outcome }) => outcome?.joined === null)).toHaveLength(4);
    for (const { target, outcome } of recorded.filter(({ outcome }) => outcome?.joined !== null)) {
      const leader = recorded.find(({ id }) => id === outcome?.joined);
      expect(leader?.target).toEqual(target);
    }
  });
});

const FAILED: StopResult = {
  before: "in_progress",
  after: null,
  upstreamStatus: 500,
  upstreamRequestId: null,
  attempts: 1,
  accepted: false,
  ms: 3,
  failure: "upstream_error",
  detail: "status 500",
  words: null,
  retryAfterSeconds: null,
};

function placesOf(events: readonly AuditEvent[]): [number | null, string][] {
  return events.map(({ seq, id }) => [seq, id]);
}

function bodiesOf(responses: readonly Response[]): Promise<string[]> {
  return Promise.all(responses.map((response) => response.text()));
}

/** One event led, the others name it; no place in the chain is free. */
function expectOneLeader(events: readonly AuditJson[]): void {
  expect(events).toHaveLength(CLICKS);
  const leaders = events.filter(({ outcome }) => outcome?.joined === null);
  expect(leaders).toHaveLength(1);
  const followers = events.filter(({ outcome }) => outcome?.joined === leaders[0]?.id);
  expect(followers).toHaveLength(CLICKS - 1);
  expect(events.map(({ seq }) => seq ?? 0).toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: CLICKS }, (_, index) => index + 1),
  );
  expect(chainDefects("acme", events as unknown as AuditEvent[])).toEqual([]);
}
