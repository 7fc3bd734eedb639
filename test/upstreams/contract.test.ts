// One contract for every upstream: whatever server it is, the same things come out. Made from tables,
// so that a new adapter gets all of this for one file of recorded replies.
import { describe, expect, it } from "vitest";
import { asRefusal, type Reason, type Refusal } from "../../src/failure.ts";
import type { Outcome } from "../../src/runs/outcome.ts";
import { isTerminal, Run, type RunStatus, TERMINAL_STATUSES } from "../../src/runs/run.ts";
import type { Connection } from "../../src/upstreams/call.ts";
import { UPSTREAMS } from "../../src/upstreams/index.ts";
import { type ActiveRun, listActiveRuns } from "../../src/upstreams/list.ts";
import { type ReadRun, readUpstreamRun, shown } from "../../src/upstreams/read.ts";
import {
  cancelUpstreamRun,
  handedOn,
  readsFirst,
  type StopResult,
} from "../../src/upstreams/stop.ts";
import type { Target, Upstream } from "../../src/upstreams/upstream.ts";
import { waitUntilTerminal } from "../../src/upstreams/wait.ts";
import { VERSION } from "../../src/version.ts";
import { REPLIES } from "./replies/index.ts";
import { type Exchange, plain, type Replies, SECRETS, type WireReply } from "./replies/replies.ts";
import {
  answering,
  CONNECTION_LOST,
  connectionTo,
  NOW_SECONDS,
  type Script,
  toolsWith,
} from "./support.ts";

const WAIT_MS = 25_000;
const RECALLED_SECONDS = NOW_SECONDS - 60;

type Ends =
  | { readonly outcome: Outcome; readonly status: RunStatus }
  | { readonly failure: Reason; readonly retryAfterSeconds?: number };

interface Case {
  readonly name: string;
  readonly target: Target;
  /** Where it is not the usual one. */
  readonly baseUrl?: string;
  /** Options of the config, over the usual ones. */
  readonly options?: Readonly<Record<string, string>>;
  /** The run as it was read before; absent when it was not. */
  readonly before?: WireReply;
  /** What a read before the cancel would say, where the adapter has to make one. */
  readonly firstRead?: WireReply;
  /** The ledger remembers an earlier cancel. */
  readonly recalls?: true;
  /** The replies to what is sent from then on. */
  readonly replies: readonly WireReply[];
  readonly sends: readonly ("cancel" | "read")[];
  readonly waits?: true;
  readonly ends: Ends;
}

/** The kinds that the contract knows nothing of. */
function unrecorded(adapters: readonly Upstream[]): string[] {
  return adapters.map(({ kind }) => kind).filter((kind) => !REPLIES.has(kind));
}

describe("the registry", () => {
  it("has recorded replies for every adapter, and for nothing else", () => {
    expect(unrecorded(UPSTREAMS)).toEqual([]);
    expect([...REPLIES.keys()].toSorted()).toEqual(UPSTREAMS.map(({ kind }) => kind).toSorted());
  });

  it("would report an adapter that comes without them", () => {
    const unknown = UPSTREAMS.map((adapter) => ({ ...adapter, kind: `new-${adapter.kind}` }));
    expect(unrecorded([...UPSTREAMS, ...unknown])).toEqual(unknown.map(({ kind }) => kind));
  });

  it("names each kind once", () => {
    expect(new Set(UPSTREAMS.map(({ kind }) => kind)).size).toBe(UPSTREAMS.length);
  });
});

describe.each(UPSTREAMS)("$kind", (adapter) => {
  const replies = REPLIES.get(adapter.kind);
  if (replies === undefined) {
    it("needs its recorded replies", () => expect.fail("there are none in test/upstreams/replies"));
    return;
  }

  describe("stopping a run", () => {
    const cases = stopCases(replies, adapter).map((given) => lookingFirst(given, replies, adapter));
    it.each(cases)("$name", async (given) => {
      const { result, script, asked } = await stop(adapter, replies, given);
      expectEnd(result, given);
      expectRequests(script, replies, given);
      if (!adapter.forgetsCancel) expect(asked).toEqual([]);
      expectNoSecret(handedOn(result));
      const cancels = given.sends.filter((sent) => sent === "cancel").length;
      const lastCancel = given.replies[given.sends.lastIndexOf("cancel")];
      expect(cancels).toBeLessThanOrEqual(adapter.repeatsCancel ? 2 : 1);
      expect(result).toMatchObject({
        attempts: cancels,
        upstreamStatus: cancels === 0 ? null : lastCancel?.status,
        after: "run" in result ? result.run.status : null,
      });
    });
  });

  describe("listing a thread's runs", () => {
    const { listed } = replies;
    const { target } = replies.active;
    const connection = connectionTo(adapter, replies.baseUrl, replies.options);
    const listFrom = async (answers: readonly WireReply[]) => {
      const script = scriptedInOrder(answers);
      const listing = listActiveRuns(toolsWith(script), connection, target.threadId ?? "");
      const found = listing.then(({ runs }) => runs);
      return { found: await found.catch(asRefusal), script };
    };

    if (listed === undefined) {
      it("is more than it can do", async () => {
        const { found, script } = await listFrom([]);
        expect(found).toMatchObject({ reason: "unsupported_by_upstream" });
        expect(script.lines()).toEqual([]);
      });
      return;
    }

    it("finds those that still move", async () => {
      const { found, script } = await listFrom(listed.replies);
      const isWhole = adapter.alongside === undefined;
      for (const { id, read } of found as readonly ActiveRun[]) {
        expect(read === null ? null : read.run.id).toBe(isWhole ? id : null);
      }
      expect(found).toMatchObject(listed.active.map((id) => ({ id })));
      expect(found).toHaveLength(listed.active.length);
      expect(script.lines()).toEqual(listed.of(target));
    });

    it("finds none on a thread that is not there", async () => {
      const unknown = replies.unfound[0]?.read ?? expect.fail("there is none");
      const { found } = await listFrom(listed.replies.map(() => unknown));
      expect(found).toEqual([]);
    });

    it.each([
      ["a bad key", replies.badKey, "upstream_rejected_credentials"],
      ["a limit", replies.rateLimitedSilently, "upstream_rate_limited"],
      ["a server error", replies.serverError, "upstream_error"],
      ["a web page", plain(200, PAGE), "upstream_error"],
      ["half of the JSON", plain(200, '[{"id":'), "upstream_error"],
      ["no list", plain(200, '{"canary":1}'), "upstream_error"],
    ])("fails by %s", async (_, reply, reason) => {
      const { found } = await listFrom([reply, ...listed.replies.slice(1)]);
      expect(found).toMatchObject({ reason });
      const { message, detail, words } = found as Refusal;
      expectNoSecret({ message, detail, words });
    });

    it("leaves out what is no run, and spoils none of the others", async () => {
      const junk = '[null, 7, "canary", {}, {"id": "../canary"}, {"run_id": 7}, []]';
      const { found } = await listFrom(listed.replies.map(() => plain(200, junk)));
      expect(found).toEqual([]);
    });
  });

  describe("reading a run", () => {
    it.each(readCases(replies, adapter))("$name", async (given) => {
      const script = scriptedWith(replies, given);
      const tools = toolsWith(script, given.recalls === undefined ? null : RECALLED_SECONDS);
      const connection = connectionOf(adapter, replies, given);
      const found = await readUpstreamRun(tools, connection, given.target).catch(asRefusal);
      expectRequests(script, replies, given);
      expectRead(found, given);
      expect(tools.asked).toEqual(adapter.forgetsCancel ? [given.target] : []);
    });
  });
});

// ── The cases of a stop ─────────────────────────────────────────────────────────────────────────

function stopCases(replies: Replies, adapter: Upstream): Case[] {
  return [
    ...cancelCases("an active run", replies.active, "cancelled", replies),
    ...cancelCases("a queued run", replies.queued, "cancelled", replies),
    ...waitingCases(replies),
    ...cancelCases("a run that wins the race", replies.lostRace, "already_completed", replies),
    ...settledCases(replies, adapter),
    ...unconfirmedCases(replies),
    ...malformedCases(replies, adapter),
    ...refusedCases(replies).map((given) => {
      // An address that is not there may be the cancel's alone: the run is asked for.
      const isWrong = given.replies[0] === replies.wrongAddress;
      return {
        ...given,
        name: `refuses ${given.name}`,
        firstRead: replies.active.before,
        replies: isWrong ? [...given.replies, ...given.replies] : given.replies,
        sends: isWrong ? (["cancel", "read"] as const) : (["cancel"] as const),
      };
    }),
    ...repeatedCases(replies, adapter),
    ...replies.unfound.map(({ name, target, cancel, read }) => ({
      name: `knows nothing of ${name}`,
      target,
      firstRead: read,
      // Some say the same of a run that has ended.
      replies: cancel.status < 300 ? [cancel] : [cancel, read],
      sends: cancel.status < 300 ? (["cancel"] as const) : (["cancel", "read"] as const),
      ends: { failure: "run_not_found" } as const,
    })),
    ...dialectCases(replies),
  ];
}

/** With and without a read before, with and without waiting: always the same truth in the end. */
function cancelCases(name: string, exchange: Exchange, end: Outcome, replies: Replies): Case[] {
  const { target, before, cancel, after } = exchange;
  const settled = { outcome: end, status: statusOf(end) };
  const underWay = { outcome: "cancelling", status: "cancelling" } as const;
  const confirmed = replies.accepting !== "cancelling";
  const once = {
    target,
    firstRead: before,
    replies: confirmed ? [cancel, after] : [cancel],
    sends: confirmed ? (["cancel", "read"] as const) : (["cancel"] as const),
    ends: confirmed ? settled : underWay,
  };
  const waited = {
    target,
    firstRead: before,
    replies: [cancel, after],
    sends: ["cancel", "read"] as const,
    waits: true as const,
    ends: settled,
  };
  return [
    { name: `${name}, not read before`, ...once },
    { name: `${name}, read before`, before, ...once },
    { name: `${name}, waited for`, ...waited },
    { name: `${name}, read before and waited for`, before, ...waited },
  ];
}

function waitingCases(replies: Replies): Case[] {
  const { waiting } = replies;
  if (waiting === null) return [];
  const name = "a run that waits for an action";
  const cases = cancelCases(name, waiting, waiting.end, replies);
  return isTerminal(waiting.status) ? cases.filter(({ before }) => before === undefined) : cases;
}

/** Nothing is sent to what has ended, or is on its way there, when that was read before. */
function settledCases(replies: Replies, adapter: Upstream): Case[] {
  const { windingDown } = replies;
  const underWay = { outcome: "cancelling", status: "cancelling" } as const;
  const silent = { replies: [], sends: [] } as const;
  const ended = TERMINAL_STATUSES.flatMap((status): Case[] => {
    const exchange = replies.ended[status];
    if (exchange === null) return [];
    const { target, before, cancel, after } = exchange;
    const recalls = status === "cancelled" && adapter.forgetsCancel ? { recalls: true } : {};
    // Some servers take a second cancel as they took the first: then nothing tells them apart.
    const taken = status === "cancelled" && cancel.status < 300;
    const already = { outcome: `already_${status}`, status } as const;
    return [
      { name: `a run that was ${status}`, target, before, ...recalls, ...silent, ends: already },
      {
        name: `a run that was ${status}, not read before`,
        target,
        firstRead: before,
        ...recalls,
        replies: [cancel, after],
        sends: ["cancel", "read"],
        ends: taken ? { outcome: "cancelled", status } : already,
      },
    ] as Case[];
  });
  const second: Case[] = [];
  if (windingDown !== null) {
    const { target, before, cancel } = windingDown;
    const name = "a run that is winding down";
    second.push({ name, target, before, ...silent, ends: underWay });
    second.push({
      name: `${name}, not read before`,
      target,
      firstRead: before,
      replies: [cancel, before],
      sends: ["cancel", "read"],
      ends: underWay,
    });
  }
  return [...ended, ...second];
}

/** The upstream took the cancel, and then the run could not be read. */
function unconfirmedCases(replies: Replies): Case[] {
  const { accepting, active, serverError } = replies;
  if (accepting === "cancelling") return [];
  const { target, before, cancel } = active;
  const unread = { replies: [cancel, serverError], sends: ["cancel", "read"] } as const;
  const unconfirmed = { outcome: "not_confirmed", status: "cancelling" } as const;
  return [
    {
      name: "does not say cancelled of a run that cannot be read",
      target,
      before,
      ...unread,
      ends: unconfirmed,
    },
    {
      name: "does not say cancelled of a run that cannot be read and was not before",
      target,
      firstRead: before,
      ...unread,
      ends: unconfirmed,
    },
  ];
}

/** A 200 that is no run: what was done shows only in a read. */
function malformedCases(replies: Replies, adapter: Upstream): Case[] {
  const { target, before, after } = replies.lostRace;
  const sends = ["cancel", "read"] as const;
  return malformed(replies).flatMap(([name, body]): Case[] => {
    const isTaken = adapter.acknowledgesOnly && ["", "null"].includes(body.body);
    const status = isTaken ? "cancelling" : "in_progress";
    const unread = { outcome: "not_confirmed", status } as const;
    return [
      {
        name: `reads the run when the cancel is answered with ${name}`,
        target,
        firstRead: before,
        replies: [body, after],
        sends,
        ends: { outcome: "already_completed", status: "completed" },
      },
      {
        name: `does not know the outcome when everything is answered with ${name}`,
        target,
        firstRead: before,
        replies: [body, body],
        sends,
        ends: isTaken || looksFirst(replies, adapter) ? unread : { failure: "outcome_unknown" },
      },
      {
        name: `claims nothing when everything since is answered with ${name}`,
        target,
        before,
        replies: [body, body],
        sends,
        ends: unread,
      },
    ];
  });
}

function malformed({ active, wrongTypes }: Replies): [string, WireReply][] {
  const { body, headers } = active.before;
  return [
    ["an empty body", { status: 200, headers, body: "" }],
    ["a web page", { ...plain(200, PAGE), headers: { "content-type": "text/html" } }],
    ["half of the JSON", { status: 200, headers, body: body.slice(0, body.length / 2) }],
    ["values of the wrong types", wrongTypes],
    ["a list", { status: 200, headers, body: `[${body}]` }],
    ["null", { status: 200, headers, body: "null" }],
  ];
}

const PAGE =
  "<!DOCTYPE html><html><head><title>canary</title></head><body>Sign in to canary</body></html>";

/** What is asked for once more, and then is what the run's state says. */
function repeatedCases(replies: Replies, adapter: Upstream): Case[] {
  const { repeatsCancel } = adapter;
  const { active, rateLimited, serverError, overloaded } = replies;
  const { target, before, cancel, after } = active;
  // Where a run that waits has the same word, only an accepted cancel tells them apart.
  const read = adapter.toRun(JSON.parse(after.body), { ...target, cancelledAt: null });
  const saysCancelled = read.status === "cancelled";
  const failing = (name: string, reply: WireReply): Case[] => [
    {
      name: `refuses ${name}, when the run goes on`,
      target,
      firstRead: before,
      replies: repeatsCancel ? [reply, before, reply, before] : [reply, before],
      sends: repeatsCancel ? ["cancel", "read", "cancel", "read"] : ["cancel", "read"],
      ends: { failure: "upstream_error" },
    },
    {
      name: `tells of a run that was cancelled by what was answered with ${name}`,
      target,
      firstRead: before,
      replies: saysCancelled ? [reply, after] : [reply, after, cancel, after],
      sends: saysCancelled ? ["cancel", "read"] : ["cancel", "read", "cancel", "read"],
      ends: { outcome: "cancelled", status: "cancelled" },
    },
  ];
  const { reply, seconds } = rateLimited;
  return [
    ...failing("a server error", serverError),
    ...failing("an overload", overloaded),
    {
      name: "refuses too many requests, after it has waited as long as it was told",
      target,
      firstRead: before,
      replies: repeatsCancel ? [reply, reply, before] : [reply, before],
      sends: repeatsCancel ? ["cancel", "cancel", "read"] : ["cancel", "read"],
      ends: { failure: "upstream_rate_limited", retryAfterSeconds: seconds },
    },
  ];
}

function looksFirst({ active, options }: Replies, adapter: Upstream, own = {}): boolean {
  return readsFirst({ adapter, options: { ...options, ...own } }, active.target);
}

/** A cancel that must not be sent unseen begins with a read, and a run that has ended is sent none. */
function lookingFirst(given: Case, replies: Replies, adapter: Upstream): Case {
  const { before, firstRead, target } = given;
  if (!looksFirst(replies, adapter, given.options)) return given;
  if (before !== undefined || firstRead === undefined) return given;
  const settled = [...Object.values(replies.ended), replies.windingDown];
  const all = settled.flatMap((exchange) => exchange?.before ?? []);
  const isUnfound = "failure" in given.ends && given.ends.failure === "run_not_found";
  const goesNoFurther = isUnfound || all.includes(firstRead);
  if (!goesNoFurther) {
    return {
      ...given,
      replies: [firstRead, ...given.replies],
      sends: ["read", ...given.sends],
    };
  }
  const { ends } = given;
  const already = "outcome" in ends && ends.outcome === "cancelled";
  return {
    ...given,
    target,
    replies: [firstRead],
    sends: ["read"],
    ends: already ? { ...ends, outcome: "already_cancelled" } : ends,
  };
}

/** Whatever is asked, this is the answer to it: no state of the run explains it. */
function refusedCases(replies: Replies): Omit<Case, "sends">[] {
  const { target } = replies.active;
  const { badKey, rateLimitedSilently, retired, wrongAddress } = replies;
  const as = (name: string, reply: WireReply, ends: Ends, baseUrl?: string) => ({
    name,
    target,
    replies: [reply],
    ends,
    ...(baseUrl === undefined ? {} : { baseUrl }),
  });
  const limited = (retryAfterSeconds: number) =>
    ({ failure: "upstream_rate_limited", retryAfterSeconds }) as const;
  // It may even look like the run that was asked for.
  const { before } = replies.active;
  const location = "https://canary.example.com/";
  const away = { ...before, status: 302, headers: { ...before.headers, location } };
  return [
    as("a bad key", badKey, { failure: "upstream_rejected_credentials" }),
    as("too many requests without saying how long", rateLimitedSilently, limited(1)),
    as("a redirect", away, { failure: "upstream_error" }),
    ...(wrongAddress === null
      ? []
      : [as("a wrong address", wrongAddress, { failure: "upstream_error" })]),
    ...(retired === null
      ? []
      : [
          as(
            "an API that is gone",
            retired.reply,
            { failure: "upstream_retired" },
            retired.baseUrl,
          ),
        ]),
  ];
}

function dialectCases({ dialects }: Replies): Case[] {
  return dialects.map(({ name, target, before, options, replies, ends }) => ({
    name,
    target,
    // Where the run has to be seen first, it was in motion then, or is not found.
    firstRead: (ends === "run_not_found" ? replies[0] : undefined) ?? inMotion(target),
    ...(before === undefined ? {} : { before }),
    ...(options === undefined ? {} : { options }),
    replies,
    sends: replies.map((_, index) => (index === 0 ? "cancel" : "read")),
    ends: typeof ends === "string" ? { failure: ends } : ends,
  }));
}

function inMotion({ threadId, runId }: Target): WireReply {
  return plain(200, JSON.stringify({ id: runId, thread_id: threadId, status: "in_progress" }));
}

// ── The cases of a read ─────────────────────────────────────────────────────────────────────────

type ReadCase = Omit<Case, "ends"> & {
  readonly ends: { readonly status: RunStatus } | Extract<Ends, { failure: Reason }>;
};

function readCases(replies: Replies, adapter: Upstream): ReadCase[] {
  const { active, queued, waiting, windingDown, ended } = replies;
  const sends = ["read"] as const;
  const states: [string, RunStatus, Exchange | null][] = [
    ["an active run", "in_progress", active],
    ["a queued run", "queued", queued],
    ["a run that waits for an action", waiting?.status ?? "requires_action", waiting],
    ["a run that is winding down", "cancelling", windingDown],
    ...TERMINAL_STATUSES.map(
      (status) =>
        [`a run that was ${status}`, status, ended[status]] as [string, RunStatus, Exchange],
    ),
  ];
  const found = states.flatMap(([name, status, exchange]): ReadCase[] => {
    if (exchange === null) return [];
    const { target, before } = exchange;
    const recalls = status === "cancelled" ? { recalls: true as const } : {};
    return [{ name, target, ...recalls, replies: [before], sends, ends: { status } }];
  });
  const remembered: ReadCase[] = adapter.forgetsCancel
    ? [
        {
          name: "an active run whose cancel the ledger remembers",
          target: active.target,
          recalls: true,
          replies: [active.before],
          sends,
          ends: { status: "cancelling" },
        },
      ]
    : [];
  return [
    ...found,
    ...remembered,
    ...replies.unfound.map(({ name, target, read }) => ({
      name,
      target,
      replies: [read],
      sends,
      ends: { failure: "run_not_found" } as const,
    })),
    ...malformed(replies).map(([name, reply]) => ({
      name: `an answer of ${name}`,
      target: active.target,
      replies: [reply],
      sends,
      ends: { failure: "upstream_error" } as const,
    })),
    ...(refusedCases(replies).map((given) => ({ ...given, sends })) as ReadCase[]),
    ...failedReads(replies),
  ];
}

/** A read is not tried again: who asked can. */
function failedReads(replies: Replies): ReadCase[] {
  const { target } = replies.active;
  const { rateLimited, serverError, overloaded } = replies;
  const { reply, seconds } = rateLimited;
  const sends = ["read"] as const;
  const failure = "upstream_error" as const;
  const limited = { failure: "upstream_rate_limited", retryAfterSeconds: seconds } as const;
  return [
    { name: "too many requests", target, replies: [reply], sends, ends: limited },
    { name: "a server error", target, replies: [serverError], sends, ends: { failure } },
    { name: "an overload", target, replies: [overloaded], sends, ends: { failure } },
  ];
}

// ── What each case is held to ───────────────────────────────────────────────────────────────────

async function stop(
  adapter: Upstream,
  replies: Replies,
  given: Case,
): Promise<{ result: StopResult; script: Script; asked: readonly Target[] }> {
  const connection = connectionOf(adapter, replies, given);
  const recalled = given.recalls === undefined ? null : RECALLED_SECONDS;
  const read =
    given.before === undefined
      ? null
      : await readUpstreamRun(
          toolsWith(scriptedWith(replies, { ...given, replies: [given.before] }), recalled),
          connection,
          given.target,
        );
  const script = scriptedWith(replies, given);
  const tools = toolsWith(script, recalled);
  const stopped = await cancelUpstreamRun(tools, connection, given.target, read);
  const until = tools.now() + (given.waits === undefined ? 0 : WAIT_MS);
  const result = await waitUntilTerminal(tools, connection, given.target, stopped, until);
  return { result, script, asked: tools.asked };
}

function connectionOf(
  adapter: Upstream,
  replies: Replies,
  { baseUrl, options }: Pick<Case, "baseUrl" | "options">,
): Connection {
  return connectionTo(adapter, baseUrl ?? replies.baseUrl, { ...replies.options, ...options });
}

function scriptedInOrder(answers: readonly WireReply[]): Script {
  const rest = [...answers];
  return answering(() => rest.shift() ?? CONNECTION_LOST);
}

/** What the other object of a read is answered does not count as one of the replies. */
function scriptedWith(
  replies: Replies,
  given: Pick<Case, "replies" | "target" | "baseUrl">,
): Script {
  const rest = [...given.replies];
  const beside = besidesOf(replies, given);
  return answering(
    ({ method, url }) => beside.get(`${method} ${url}`) ?? rest.shift() ?? CONNECTION_LOST,
  );
}

/** What is asked beside the run itself, and its answer. */
function besidesOf(
  { alongside, listed, baseUrl: usual }: Replies,
  { target, baseUrl = usual }: Pick<Case, "target" | "baseUrl">,
): ReadonlyMap<string, WireReply> {
  const lists = listed?.of(target).map((line, index) => [line, listed.replies[index]]) ?? [];
  const objects = alongside === undefined ? [] : [[alongside.of(target), alongside.reply]];
  const pairs = [...lists, ...objects] as [string, WireReply][];
  return new Map(pairs.map(([line, reply]) => [line.replace(usual, baseUrl), reply]));
}

function expectEnd(result: StopResult, { ends, target }: Case): void {
  if ("failure" in ends) {
    expect(result).toMatchObject({
      failure: ends.failure,
      retryAfterSeconds: ends.retryAfterSeconds ?? null,
    });
    return;
  }
  expect(result).toMatchObject({ outcome: ends.outcome, run: { status: ends.status } });
  if (!("run" in result)) return;
  expectRun(result.run, target);
  // Of a run that was never seen nobody knows when it began.
  if (ends.outcome !== "not_confirmed") expect(result.run.created_at).toBeGreaterThan(BEGINNING);
}

function expectRead(found: ReadRun | Refusal, { ends, target }: ReadCase): void {
  if ("failure" in ends) {
    expect(found).toMatchObject({ reason: ends.failure });
    const { message, detail, words, retryAfterSeconds } = found as Refusal;
    expect(retryAfterSeconds).toBe(ends.retryAfterSeconds);
    expectNoSecret({ message, detail, words });
    return;
  }
  const run = shown(found as ReadRun);
  expect(run.status).toBe(ends.status);
  expectRun(run, target);
  expect(run.created_at).toBeGreaterThan(BEGINNING);
  expectNoSecret(run);
  // Told by the upstream or else by the ledger: an adapter that needs the ledger has to say so.
  if (run.status === "cancelled") expect(run.cancelled_at).not.toBeNull();
}

/** No run of the fixtures is older, in Unix seconds. */
const BEGINNING = 1_600_000_000;

/** The whole Run and nothing but it. */
function expectRun(run: Run, { threadId, runId }: Target): void {
  expect(run).toEqual(Run.parse(run));
  expect(Object.keys(run)).toEqual(Object.keys(Run.shape));
  expect(Object.keys(run)).toHaveLength(27);
  expect(run).toMatchObject({ id: runId, thread_id: threadId, object: "thread.run" });
  expect(run.cancelled_at !== null && run.status !== "cancelled").toBe(false);
}

function expectRequests(script: Script, replies: Replies, given: Omit<Case, "ends">): void {
  const lines = { cancel: replies.cancelOf(given.target), read: replies.readOf(given.target) };
  const { baseUrl = replies.baseUrl } = given;
  const beside = besidesOf(replies, given);
  const sent = script.lines().filter((line) => !beside.has(line));
  // A dialect may have an address of its own; its method tells what it is.
  if (given.options === undefined) {
    const expected = given.sends.map((name) => lines[name].replace(replies.baseUrl, baseUrl));
    expect(sent).toEqual(expected);
  } else {
    const methods = given.sends.map((name) => (name === "cancel" ? "POST" : "GET"));
    expect(sent.map((line) => line.split(" ")[0])).toEqual(methods);
  }
  const { alongside } = replies;
  const besides = script.lines().filter((line) => line === alongside?.of(given.target));
  const reads = given.sends.filter((name) => name === "read").length;
  if (baseUrl === replies.baseUrl) expect(besides).toHaveLength(alongside ? reads : 0);
  const [name, value] = replies.credential;
  const headers = {
    accept: "application/json",
    "user-agent": `stopgate/${VERSION}`,
    [name]: value,
    ...replies.headers,
  };
  for (const request of script.requests) {
    const { cancelBody } = replies;
    const hasBody = cancelBody !== undefined && request.method === "POST";
    expect(Object.fromEntries(request.headers)).toEqual({
      ...headers,
      ...(hasBody ? { "content-type": "application/json" } : {}),
    });
    expect(script.bodies.get(request)).toBe(hasBody ? cancelBody : "");
    expect(request.redirect).toBe("manual");
  }
}

/** Nothing of the upstream's texts and nothing of the key, in whatever was made of them. */
function expectNoSecret(made: unknown): void {
  const text = JSON.stringify(made);
  for (const secret of SECRETS) expect(text).not.toContain(secret);
}

function statusOf(outcome: Outcome): RunStatus {
  return outcome.replace("already_", "") as RunStatus;
}
