// Reading the audit log: the caller's own tenant, all of it, in order, once, whoever writes or
// publishes meanwhile and whatever the cursor has been through.
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { v7 } from "uuid";
import { afterEach, describe, expect, it } from "vitest";
import { exportEvents, listEvents, type ReadTools } from "../../src/audit/api.ts";
import { chainDefects } from "../../src/audit/chain.ts";
import { AuditEvent } from "../../src/audit/event.ts";
import type { LedgerRpc } from "../../src/audit/ledger.ts";
import { type AuditKv, eventKey, positionOf, publish } from "../../src/audit/log.ts";
import { Refusal } from "../../src/failure.ts";
import { ADA, ANN, createHarness, GIA, type Harness, type Person } from "../support/harness.ts";
import {
  aDenial,
  anEvent,
  cancelled,
  finishOf,
  intentOf,
  ledgerDown,
  openLedger,
  type TestLedger,
} from "./support.ts";

afterEach(async () => {
  await reset();
});

const DAY_MS = 24 * 60 * 60_000;
const JANUARY_2 = Date.parse("2026-01-02T00:00:00.000Z");
const quiet = (): void => undefined;

interface Page {
  readonly object: string;
  readonly data: readonly AuditEvent[];
  readonly has_more: boolean;
  readonly next_cursor: string | null;
}

async function get(gateway: Harness, path: string, person: Person = ADA): Promise<Response> {
  const token = await gateway.tokenFor(person);
  return gateway.request(`/v1/audit/${path}`, { headers: { authorization: `Bearer ${token}` } });
}

async function list(gateway: Harness, query = "", person: Person = ADA): Promise<Page> {
  const response = await get(gateway, `events${query}`, person);
  expect(response.status).toBe(200);
  return await response.json();
}

/** The gateway over one ledger whose publication the test decides. */
async function withLedger() {
  const ledger = await openLedger("acme");
  const gateway = await createHarness({ bindings: { ledger: () => ledger.rpc } });
  return { ledger, gateway };
}

/** Denials at these ages, in sequence. */
async function record(ledger: TestLedger, tenant: string, agesMs: readonly number[]) {
  const events = agesMs.map((age) => aDenial({ tenant, at: Date.now() - age }));
  await ledger.recordAll(events);
  return events;
}

const idsOf = (events: readonly { readonly id: string }[]): string[] => events.map(({ id }) => id);
const newestFirst = (events: readonly AuditEvent[]): string[] =>
  idsOf(events.toSorted((a, b) => (positionOf(a) < positionOf(b) ? -1 : 1)));

describe("who may read the audit log", () => {
  it("a caller with the scope audit:read", async () => {
    const { gateway } = await withLedger();
    expect(await list(gateway)).toEqual({
      object: "list",
      data: [],
      has_more: false,
      next_cursor: null,
    });
  });

  for (const path of ["events", `events/${v7()}`, "export"]) {
    it(`nobody else: /v1/audit/${path}`, async () => {
      const { gateway, ledger } = await withLedger();
      expect((await gateway.request(`/v1/audit/${path}`)).status).toBe(401);
      const refused = await get(gateway, path, ANN);
      expect(refused.status).toBe(403);
      expect(await refused.json()).toMatchObject({ error: { code: "insufficient_scope" } });
      expect(refused.headers.get("www-authenticate")).toContain('error="insufficient_scope"');
      expect(await ledger.events()).toMatchObject([
        {
          type: "denied",
          actor: { sub: "ann" },
          target: { upstream: null, thread_id: null, run_id: null },
          decision: { code: "insufficient_scope" },
        },
      ]);
    });
  }

  it("each tenant its own, published or not", async () => {
    const ledgers = {
      acme: await openLedger("acme"),
      globex: await openLedger("globex"),
    } as Record<string, TestLedger>;
    const ledgerOf = (tenant: string): LedgerRpc => ledgers[tenant]?.rpc ?? ledgerDown();
    const gateway = await createHarness({ bindings: { ledger: ledgerOf } });
    const own: Record<string, AuditEvent[]> = {};
    for (const [tenant, ledger] of Object.entries(ledgers)) {
      const old = await record(ledger, tenant, [3 * DAY_MS, 5_000]);
      await ledger.ring();
      own[tenant] = [...old, ...(await record(ledger, tenant, [4_000, 3_000]))];
    }
    for (const [person, tenant, other] of [
      [ADA, "acme", "globex"],
      [GIA, "globex", "acme"],
    ] as const) {
      expect(idsOf((await list(gateway, "", person)).data)).toEqual(newestFirst(own[tenant] ?? []));
      const lines = JSON.stringify(await exported(gateway, person));
      for (const { id } of own[other] ?? []) {
        expect(lines).not.toContain(id);
        expect((await get(gateway, `events/${id}`, person)).status).toBe(404);
      }
    }
  });

  it("there is no parameter that names another tenant, and none is passed over", async () => {
    const { ledger, gateway } = await withLedger();
    for (const param of ["tenant", "tenant_id", "run_id"]) {
      const response = await get(gateway, `events?${param}=globex`);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { code: "invalid_request", param } });
    }
    // Who asked so is known, and so it is on record.
    expect(await ledger.events()).toMatchObject(
      Array(3).fill({
        type: "denied",
        actor: { sub: "ada" },
        decision: { code: "invalid_request" },
      }),
    );
  });
});

describe("a list of events", () => {
  it("has the newest first, across days, with what is not published among them", async () => {
    const { ledger, gateway } = await withLedger();
    const old = await record(ledger, "acme", [40 * DAY_MS, 2 * DAY_MS, DAY_MS, 9_000, 7_000]);
    await ledger.ring();
    const young = await record(ledger, "acme", [8_000, 6_000, 2 * DAY_MS + 1]);
    const open = anEvent({ at: Date.now() - 5_000 });
    await ledger.rpc.begin(intentOf(open));
    const events = await all(gateway, 200);
    expect(idsOf(events)).toEqual(newestFirst([...old, ...young, open]));
    expect(events[0]).toEqual(open);
  });

  it("shows an event that is in the ledger and in KV once", async () => {
    const { ledger, gateway } = await withLedger();
    await record(ledger, "acme", [1_000]);
    for (const event of await ledger.events()) await publish(env.AUDIT, event, 400);
    expect((await list(gateway)).data).toHaveLength(1);
  });

  it("shows events in the form that is documented", async () => {
    const { ledger, gateway } = await withLedger();
    await cancelled(ledger, { at: Date.now() - 2_000 });
    await ledger.rpc.begin(intentOf(anEvent({ at: Date.now() - 1_000 })));
    for (const event of (await list(gateway)).data) {
      expect(AuditEvent.strict().safeParse(event).error).toBeUndefined();
    }
  });

  it("has 50 events to a page unless asked otherwise, at most 200", async () => {
    const { ledger, gateway } = await withLedger();
    await record(
      ledger,
      "acme",
      Array.from({ length: 205 }, (_, index) => 1_000 + index),
    );
    expect(await list(gateway)).toMatchObject({ data: { length: 50 }, has_more: true });
    expect(await list(gateway, "?limit=1")).toMatchObject({ data: { length: 1 }, has_more: true });
    expect(await list(gateway, "?limit=200")).toMatchObject({
      data: { length: 200 },
      has_more: true,
    });
    const first = await list(gateway, "?limit=200");
    const second = await list(gateway, `?limit=200&cursor=${first.next_cursor}`);
    expect(second).toMatchObject({ data: { length: 5 }, has_more: false, next_cursor: null });
  });

  for (const limit of ["0", "-1", "201", "1.5", "abc", "", "NaN", "Infinity", "1e3"]) {
    it(`refuses a limit of '${limit}'`, async () => {
      const { gateway } = await withLedger();
      const response = await get(gateway, `events?limit=${limit}`);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({
        error: { code: "invalid_request", param: "limit" },
      });
    });
  }

  it("ends where the log begins, also when the ledger is down", async () => {
    const ledger = await openLedger("acme");
    const events = await record(ledger, "acme", [70 * DAY_MS, 1_000]);
    await ledger.ring();
    const gateway = await createHarness({ bindings: { ledger: () => ledgerDown() } });
    expect(idsOf(await all(gateway, 10))).toEqual(newestFirst(events));
  });

  it("begins with what went straight to KV before the ledger ever had an event", async () => {
    const { ledger, gateway } = await withLedger();
    const direct = { ...aDenial({ at: Date.now() - 5 * DAY_MS }), signature: SIGNATURE };
    await publish(env.AUDIT, direct, 400);
    const [known] = await record(ledger, "acme", [1_000]);
    expect(idsOf(await all(gateway, 10))).toEqual([known?.id, direct.id]);
  });

  it("ends where retention has left off, however long ago the first event was", async () => {
    const { ledger, gateway } = await withLedger();
    await record(ledger, "acme", [3_000 * DAY_MS]);
    await ledger.ring();
    for (const { name } of (await env.AUDIT.list()).keys) await env.AUDIT.delete(name);
    await record(ledger, "acme", [DAY_MS]);
    await ledger.ring();
    expect(await list(gateway)).toMatchObject({ data: { length: 1 }, has_more: false });
  });

  it("passes over an event that expires while it is read, and over no other", async () => {
    const ledger = await openLedger("acme");
    const [first, second, third] = await record(ledger, "acme", [5_000, 4_000, 3_000]);
    await ledger.ring();
    const [pending] = await record(ledger, "acme", [6_000]);
    const gone = third === undefined ? "" : eventKey(third);
    const kv = {
      ...kvOf(),
      get: (async (keys: string[]) => {
        const found = await env.AUDIT.get<AuditEvent>(keys, "json");
        found.delete(gone);
        return found;
      }) as unknown as AuditKv["get"],
    };
    const gateway = await createHarness({ bindings: { ledger: () => ledger.rpc, audit: kv } });
    for (const limit of [1, 2, 3]) {
      expect(idsOf(await all(gateway, limit))).toEqual([second?.id, first?.id, pending?.id]);
    }
  });
});

describe("paging", () => {
  type Move = "publish" | "new event" | "new open intent" | "old event straight to KV" | "nothing";
  const move = fc.constantFrom<Move>(
    "publish",
    "new event",
    "new open intent",
    "old event straight to KV",
    "nothing",
  );
  const age = fc.oneof(fc.integer({ min: 60_000, max: 60_010 }), fc.nat(45 * DAY_MS));
  let tenants = 0;

  it("comes to the whole log, each event once, whatever is written and published meanwhile", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          published: fc.array(age, { maxLength: 8 }),
          pending: fc.array(age, { maxLength: 6 }),
          limits: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
          moves: fc.array(move, { minLength: 1, maxLength: 8 }),
        }),
        async ({ published, pending, limits, moves }) => {
          tenants += 1;
          const tenant = `paging-${tenants}`;
          const ledger = await openLedger(tenant);
          const tools = toolsFor(ledger);
          const before = await record(ledger, tenant, published);
          await ledger.ring();
          before.push(...(await record(ledger, tenant, pending)));

          const perform: Record<Move, () => Promise<unknown>> = {
            publish: () => ledger.ring(),
            "new event": () => record(ledger, tenant, [0]),
            "new open intent": () =>
              ledger.rpc.begin(intentOf(anEvent({ tenant, at: Date.now(), run: v7() }))),
            "old event straight to KV": () =>
              publish(
                env.AUDIT,
                { ...aDenial({ tenant, at: Date.now() - 60_005 }), signature: SIGNATURE },
                400,
              ),
            nothing: () => Promise.resolve(),
          };
          const read: AuditEvent[] = [];
          let cursor: string | undefined;
          for (let page = 0; page < 100; page += 1) {
            const limit = limits[page % limits.length] ?? 1;
            const { data, has_more, next_cursor } = await listEvents(tools, tenant, limit, cursor);
            expect(data.length).toBeLessThanOrEqual(limit);
            read.push(...data);
            expect(has_more).toBe(next_cursor !== null);
            if (next_cursor === null) break;
            cursor = next_cursor;
            await perform[moves[page % moves.length] ?? "nothing"]();
          }
          const ids = idsOf(read);
          expect(ids).toEqual(newestFirst(read));
          expect(new Set(ids).size).toBe(ids.length);
          const known = new Set(idsOf(before));
          expect(ids.filter((id) => known.has(id))).toEqual(newestFirst(before));
        },
      ),
      { numRuns: 60 },
    );
  }, 120_000);

  it("comes to the whole log for every limit from 1 to all", async () => {
    const { ledger, gateway } = await withLedger();
    const events = await record(ledger, "acme", [35 * DAY_MS, DAY_MS, DAY_MS, 9_000, 8_000, 8_000]);
    await ledger.ring();
    events.push(...(await record(ledger, "acme", [DAY_MS + 1, 8_500, 1_000])));
    for (let limit = 1; limit <= events.length + 1; limit += 1) {
      expect(idsOf(await all(gateway, limit)), `limit ${limit}`).toEqual(newestFirst(events));
    }
  });
});

describe("a cursor", () => {
  for (const cursor of [
    "x",
    "AAAA",
    "e30",
    "bnVsbA",
    encoded([]),
    encoded({ day: "yesterday", kv: null, after: null }),
    encoded({ day: "2026-02-30", kv: null, after: null }),
    encoded({ day: "2026-01-01", kv: null }),
    encoded({ day: "2026-01-01", kv: 7, after: null }),
    encoded({ day: "2026-01-01", kv: null, after: null, tenant: "globex" }),
    encoded({ day: "2026-01-01", kv: "x".repeat(1_025), after: null }),
    "x".repeat(3_000),
    // No page leads to tomorrow, or to a position that is none or is another day's.
    encoded({ day: dayOf(new Date(Date.now() + 2 * DAY_MS)), kv: null, after: null }),
    encoded({ day: "2999-12-31", kv: null, after: null }),
    encoded({ day: "9999-12-31", kv: "x", after: null }),
    encoded({ day: "2026-01-01", kv: null, after: "" }),
    encoded({ day: "2026-01-01", kv: null, after: "~" }),
    encoded({ day: "2026-01-01", kv: null, after: `9999999999999:${v7()}` }),
    encoded({ day: "2026-01-01", kv: null, after: positionOf(anEvent({ at: JANUARY_2 })) }),
  ]) {
    it(`that is none is refused: ${cursor.slice(0, 40)}`, async () => {
      const { gateway, ledger } = await withLedger();
      await record(ledger, "acme", [1_000]);
      for (const path of ["events", "export"]) {
        const response = await get(gateway, `${path}?cursor=${cursor}`);
        expect(response.status).toBe(400);
        expect(await response.json()).toMatchObject({
          error: { code: "invalid_request", param: "cursor" },
        });
      }
    });
  }

  it("with a day before the log begins is at its end", async () => {
    const { gateway, ledger } = await withLedger();
    await record(ledger, "acme", [DAY_MS]);
    await ledger.ring();
    for (const day of ["0001-01-01", "1969-12-31", dayOf(new Date(Date.now() - 3 * DAY_MS))]) {
      const cursor = encoded({ day, kv: null, after: null });
      expect(await list(gateway, `?cursor=${cursor}`)).toMatchObject({ data: [], has_more: false });
      expect(await (await get(gateway, `export?cursor=${cursor}`)).text()).toBe("");
    }
  });

  it("that passes over all events of a day makes a bounded number of lists", async () => {
    const ledger = await openLedger("acme");
    const midnight = Date.parse(dayOf(new Date(Date.now() - DAY_MS)));
    const events = Array.from({ length: 150 }, (_, index) =>
      aDenial({ at: midnight + 10 + index }),
    );
    await ledger.recordAll(events);
    await ledger.ring();
    await ledger.ring();
    let lists = 0;
    const kv = {
      ...kvOf(),
      list: ((options) => {
        lists += 1;
        return env.AUDIT.list(options);
      }) as AuditKv["list"],
    };
    const last = positionOf(anEvent({ at: midnight }));
    const place = { day: dayOf(new Date(midnight)), kv: null, after: last };
    const page = await listEvents({ ...toolsFor(ledger), kv }, "acme", 1, encoded(place));
    expect(page).toMatchObject({ data: [], has_more: true });
    expect(lists).toBeLessThanOrEqual(101);
    // It leads on all the same.
    const end = await listEvents(toolsFor(ledger), "acme", 1, page.next_cursor ?? "");
    expect(end).toMatchObject({ data: [], has_more: false });
  });

  it("that KV does not know is refused, and a KV that fails is not taken for that", async () => {
    const cursor = encoded({ day: new Date().toISOString().slice(0, 10), kv: "x", after: null });
    for (const [answer, status] of [
      ["KV GET failed: 400 Invalid cursor", 400],
      ["KV GET failed: 500 Internal Server Error", 500],
    ] as const) {
      const ledger = await openLedger("acme");
      await record(ledger, "acme", [1_000]);
      const kv = {
        ...kvOf(),
        list: ((options) =>
          options?.cursor === undefined
            ? env.AUDIT.list(options)
            : Promise.reject(new Error(answer))) as AuditKv["list"],
      };
      const gateway = await createHarness({ bindings: { ledger: () => ledger.rpc, audit: kv } });
      expect((await get(gateway, `events?cursor=${cursor}`)).status).toBe(status);
    }
  });

  it("leads to no other tenant's events, whatever it has been turned into", async () => {
    const acme = await openLedger("acme");
    const globex = await openLedger("globex");
    for (const [ledger, tenant] of [
      [acme, "acme"],
      [globex, "globex"],
    ] as const) {
      await record(ledger, tenant, [DAY_MS, DAY_MS - 1, 5_000, 4_000, 3_000]);
      await ledger.ring();
      await record(ledger, tenant, [2_000, 1_000]);
    }
    const tools = toolsFor(acme, globex);
    const kvCursors: (string | null)[] = [null];
    const days: string[] = [];
    const afters: (string | null)[] = [null];
    for (const tenant of ["acme", "globex"]) {
      let cursor: string | undefined;
      for (;;) {
        const { next_cursor } = await listEvents(tools, tenant, 1, cursor);
        if (next_cursor === null) break;
        cursor = next_cursor;
        const place = JSON.parse(Buffer.from(next_cursor, "base64url").toString());
        kvCursors.push(place.kv);
        afters.push(place.after);
        days.push(place.day);
      }
    }
    const someText = fc.option(fc.string({ unit: "binary", maxLength: 60 }));
    const forged = fc.oneof(
      fc.string(),
      fc.base64String(),
      fc.json().map((json) => Buffer.from(json).toString("base64url")),
      fc
        .record({
          day: fc.oneof(fc.constantFrom(...days), fc.date({ noInvalidDate: true }).map(dayOf)),
          kv: fc.oneof(fc.constantFrom(...kvCursors), someText),
          after: fc.oneof(fc.constantFrom(...afters), someText),
        })
        .map(encoded),
    );
    const real = fc.constantFrom(...days).chain((day) =>
      fc.record({
        day: fc.constant(day),
        kv: fc.constantFrom(...kvCursors),
        after: fc.constantFrom(...afters),
      }),
    );
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(forged, real.map(encoded)), async (cursor) => {
        try {
          const { data } = await listEvents(tools, "acme", 200, cursor);
          expect(new Set(data.map(({ tenant }) => tenant))).not.toContain("globex");
          answered += 1;
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal);
          expect((error as Refusal).reason).toBe("invalid_request");
        }
      }),
      { numRuns: 300 },
    );
    expect(answered).toBeGreaterThan(0);
  });

  it("leads to no other tenant's events even in a KV that forgets the prefix", async () => {
    const acme = await openLedger("acme");
    const globex = await openLedger("globex");
    await record(acme, "acme", [1_000]);
    await record(globex, "globex", [1_000]);
    await acme.ring();
    await globex.ring();
    const tools: ReadTools = {
      ...toolsFor(acme),
      kv: {
        ...kvOf(),
        list: (({ limit }: KVNamespaceListOptions) =>
          env.AUDIT.list({ prefix: "a1:", limit: limit ?? 1 })) as AuditKv["list"],
      },
    };
    const cursor = encoded({ day: dayOf(new Date()), kv: "x", after: null });
    const { data } = await listEvents(tools, "acme", 200, cursor);
    expect(data.map(({ tenant }) => tenant)).toEqual(["acme"]);
  });
});

describe("one event", () => {
  it("is found by its id before and after it is published, and is the same", async () => {
    const { ledger, gateway } = await withLedger();
    const [{ id } = { id: "" }] = await record(ledger, "acme", [2 * DAY_MS]);
    const before = await (await get(gateway, `events/${id}`)).json();
    expect(before).toMatchObject({ id, seq: 1 });
    await ledger.ring();
    expect(await ledger.events()).toEqual([]);
    expect(await (await get(gateway, `events/${id}`)).json()).toEqual(before);
  });

  it("is found while it is open", async () => {
    const { ledger, gateway } = await withLedger();
    const event = anEvent({ at: Date.now() });
    await ledger.rpc.begin(intentOf(event));
    expect(await (await get(gateway, `events/${event.id}`)).json()).toEqual(event);
  });

  it("is not asked of KV before it is there: KV would remember that it was not", async () => {
    const { ledger } = await withLedger();
    let gets = 0;
    const kv = {
      ...kvOf(),
      get: ((keys: string[]) => {
        gets += 1;
        return env.AUDIT.get(keys, "json");
      }) as unknown as AuditKv["get"],
    };
    const gateway = await createHarness({ bindings: { ledger: () => ledger.rpc, audit: kv } });
    const [{ id } = { id: "" }] = await record(ledger, "acme", [1_000]);
    expect((await get(gateway, `events/${id}`)).status).toBe(200);
    expect(gets).toBe(0);
  });

  for (const id of [v7(), "x", "..", "%2e%2e%2f", "018f0000-0000-4000-8000-000000000000"]) {
    it(`that there is not is 404: ${id.slice(0, 12)}`, async () => {
      const { gateway } = await withLedger();
      const response = await get(gateway, `events/${id}`);
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ error: { code: "not_found" } });
    });
  }

  it("that there is not is 404 also when the ledger is down", async () => {
    const gateway = await createHarness({ bindings: { ledger: () => ledgerDown() } });
    expect((await get(gateway, `events/${v7()}`)).status).toBe(404);
  });

  it("of the last and the first millisecond that an id can hold is 404", async () => {
    const { gateway } = await withLedger();
    for (const time of ["ffffffff-ffff", "00000000-0000"]) {
      expect((await get(gateway, `events/${time}-7000-8000-000000000000`)).status).toBe(404);
    }
  });
});

describe("an export", () => {
  it("is NDJSON: one stored event a line, newest first, as the API shows it", async () => {
    const { ledger, gateway } = await withLedger();
    await record(ledger, "acme", [33 * DAY_MS, 5_000]);
    await ledger.ring();
    await record(ledger, "acme", [4_000]);
    const response = await get(gateway, "export");
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/x-ndjson");
    expect(response.headers.get("cache-control") ?? "no-store").toBe("no-store");
    const text = await textOf(response);
    expect(text.endsWith("}\n")).toBe(true);
    expect(linesOf(text)).toEqual(await all(gateway, 200));
  });

  it("has no line's end inside a line, for any reader, and the chain holds all the same", async () => {
    const { ledger, gateway } = await withLedger();
    const reason = "a\u2028b\u2029c\u0085d\u202ee\u{1F6D1}\n";
    const event = { ...anEvent({ at: Date.now() - 1_000 }), reason };
    await ledger.rpc.begin(intentOf(event));
    await ledger.rpc.finish(finishOf(event));
    const text = await textOf(await get(gateway, "export"));
    expect(text.split(/[\p{Cc}\u2028\u2029]/u)).toHaveLength(2);
    const events = linesOf(text);
    expect(events).toMatchObject([{ reason }]);
    expect(chainDefects("acme", events)).toEqual([]);
  });

  it("is empty when nothing is on record", async () => {
    const { gateway } = await withLedger();
    expect(await textOf(await get(gateway, "export"))).toBe("");
  });

  it("lets anybody recompute the chain", async () => {
    const { ledger, gateway } = await withLedger();
    for (let index = 0; index < 5; index += 1) {
      await cancelled(ledger, { at: Date.now() - index * DAY_MS });
      await record(ledger, "acme", [index]);
      if (index === 2) await ledger.ring();
    }
    const events = await exported(gateway);
    expect(events).toHaveLength(10);
    expect(chainDefects("acme", events)).toEqual([]);
  });

  it("leaves out intents that are still open", async () => {
    const { ledger, gateway } = await withLedger();
    const open = anEvent({ at: Date.now() });
    await ledger.rpc.begin(intentOf(open));
    await record(ledger, "acme", [1_000]);
    const events = await exported(gateway);
    expect(events).toMatchObject([{ seq: 1, type: "denied" }]);
  });

  it("has the events that went straight to KV", async () => {
    const { ledger, gateway } = await withLedger();
    await record(ledger, "acme", [1_000]);
    const direct = { ...anEvent({ at: Date.now() }), signature: SIGNATURE };
    await publish(env.AUDIT, direct, 400);
    const events = await exported(gateway);
    expect(events).toHaveLength(2);
    expect(events[0]).toEqual(direct);
  });

  it("of more events than one page has them all", async () => {
    const ledger = await openLedger("acme");
    const ages = Array.from({ length: 603 }, (_, index) => 1_000 + 7 * index);
    const events = await record(ledger, "acme", ages);
    for (let batch = 0; batch < 5; batch += 1) await ledger.ring();
    expect((await ledger.events()).length).toBe(103);
    const gateway = await createHarness({ bindings: { ledger: () => ledger.rpc } });
    const read = await exported(gateway);
    expect(idsOf(read)).toEqual(newestFirst(events));
    expect(chainDefects("acme", read)).toEqual([]);
  }, 60_000);

  it("has no gap for what is closed while it runs", async () => {
    const ledger = await openLedger("acme");
    const ages = Array.from({ length: 620 }, (_, index) => 50_000 + index);
    const old = await record(ledger, "acme", ages);
    const open = anEvent({ at: Date.now() - 1_000 });
    await ledger.rpc.begin(intentOf(open));
    let moved = false;
    const kv: AuditKv = {
      ...kvOf(),
      list: (async (options: KVNamespaceListOptions) => {
        // The page with the open intent is read; the page where the denial belongs is not.
        if (options.cursor !== undefined && !moved) {
          moved = true;
          await ledger.rpc.finish(finishOf(open));
          await record(ledger, "acme", [70_000]);
          await ledger.ring();
        }
        return env.AUDIT.list(options);
      }) as AuditKv["list"],
    };
    for (let batch = 0; batch < 6; batch += 1) await ledger.ring();
    const stream = await exportEvents({ ...toolsFor(ledger), kv }, "acme", undefined);
    const events = linesOf(await textOf(new Response(stream)));
    expect(moved).toBe(true);
    expect(await ledger.events()).toEqual([]);
    expect(idsOf(events)).toEqual(newestFirst(old));
    expect(chainDefects("acme", events)).toEqual([]);
  }, 60_000);

  it("keeps the old events of a ledger that lost its storage", async () => {
    const ledger = await openLedger("acme");
    const old = await record(ledger, "acme", [DAY_MS, DAY_MS - 1]);
    await ledger.ring();
    const fresh = await openLedger("another-object");
    const [young] = await record(fresh, "acme", [1_000]);
    const gateway = await createHarness({ bindings: { ledger: () => fresh.rpc } });
    const events = await exported(gateway);
    expect(idsOf(events)).toEqual([young?.id, old[1]?.id, old[0]?.id]);
  });

  it("has what is unpublished when the ledger was reset in the middle of the call", async () => {
    const acme = await openLedger("acme");
    await record(acme, "acme", [1_000]);
    let calls = 0;
    const unpublished = async () => {
      calls += 1;
      if (calls === 1) throw Object.assign(new Error("reset"), { durableObjectReset: true });
      return await acme.rpc.unpublished();
    };
    const tools: ReadTools = {
      ...toolsFor(acme),
      ledger: () => ({ unpublished }) as unknown as LedgerRpc,
    };
    expect((await listEvents(tools, "acme", 200, undefined)).data).toHaveLength(1);
    expect(calls).toBe(2);
  });

  it("is there, as far as KV has it, when the ledger is down", async () => {
    const ledger = await openLedger("acme");
    const events = await record(ledger, "acme", [40 * DAY_MS, 1_000]);
    await ledger.ring();
    const gateway = await createHarness({ bindings: { ledger: () => ledgerDown() } });
    const read = await exported(gateway);
    expect(idsOf(read)).toEqual(newestFirst(events));
  });
});

const SIGNATURE = { kid: "test-1", value: "e30..c2ln" };

function kvOf(): AuditKv {
  return {
    put: env.AUDIT.put.bind(env.AUDIT) as AuditKv["put"],
    list: env.AUDIT.list.bind(env.AUDIT) as AuditKv["list"],
    get: env.AUDIT.get.bind(env.AUDIT) as AuditKv["get"],
  };
}

function toolsFor(ledger: TestLedger, other: TestLedger = ledger): ReadTools {
  return {
    kv: env.AUDIT,
    ledger: (tenant) => (tenant === "globex" ? other.rpc : ledger.rpc),
    now: () => Date.now(),
    sleep: (ms) => scheduler.wait(ms),
    log: quiet,
  };
}

/** Every event, page by page; a log that does not end is a failure. */
async function all(gateway: Harness, limit: number): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  let cursor = "";
  for (let page = 0; page < 300; page += 1) {
    const { data, has_more, next_cursor } = await list(gateway, `?limit=${limit}${cursor}`);
    events.push(...data);
    if (!has_more) return events;
    cursor = `&cursor=${next_cursor}`;
  }
  throw new Error("the log does not end");
}

async function exported(gateway: Harness, person: Person = ADA): Promise<AuditEvent[]> {
  return linesOf(await textOf(await get(gateway, "export", person)));
}

/** workerd warns when `text()` meets a content type that it does not know for text. */
async function textOf(response: Response): Promise<string> {
  return new TextDecoder().decode(await response.arrayBuffer());
}

function linesOf(ndjson: string): AuditEvent[] {
  return ndjson
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as AuditEvent);
}

function encoded(place: unknown): string {
  return Buffer.from(JSON.stringify(place)).toString("base64url");
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}
