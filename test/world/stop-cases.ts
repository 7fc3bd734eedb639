// The cases of stopping: refusals that are none, success that is none, words, keys, threads. Data.
import { look, OWN, type Source, stop, stopResponse, stopThread, type WorldCase } from "./case.ts";

const ASSISTANTS = { kind: "assistants" } as const;
const RESPONSES = { kind: "openai-responses" } as const;
const LANGGRAPH = { kind: "langgraph" } as const;
const AGENTS = { kind: "openai-agents" } as const;
const GEMINI = { kind: "gemini-interactions" } as const;
const SOURCES: readonly Source[] = ["metadata", "grant", "credential", "registry"];

const ok = (body: unknown) => ({ status: 200, body });
const NOT_FOUND = { status: 404, code: "run_not_found" } as const;

const run = (status: string, more: object = {}) => ({
  id: "run_1",
  object: "thread.run",
  thread_id: "thread_1",
  assistant_id: "asst_1",
  status,
  created_at: 1,
  metadata: OWN,
  ...more,
});
const response = (status: string, more: object = {}) => ({
  id: "resp_1",
  object: "response",
  status,
  created_at: 1,
  output: [],
  metadata: OWN,
  ...more,
});

const THREADS_RUN = "/threads/thread_1/runs/run_1";
const OTHER_RUN = "/threads/thread_2/runs/run_1";

// ── D5: the wrong thread in the path ────────────────────────────────────────────────────────────

const wrongThread: readonly WorldCase[] = SOURCES.flatMap((ownership): WorldCase[] => [
  {
    row: "D5",
    name: "a run that is on another thread is not cancelled",
    upstream: ASSISTANTS,
    ownership,
    script: { [`GET ${OTHER_RUN}`]: ok(run("in_progress")) },
    asked: stop("thread_2", "run_1"),
    expected: { ...NOT_FOUND, cancels: 0, reads: 1 },
  },
  {
    row: "D5",
    name: "a run that names no thread is cancelled under any",
    upstream: ASSISTANTS,
    ownership,
    script: {
      [`GET ${OTHER_RUN}`]: ok(run("in_progress", { thread_id: undefined })),
      [`POST ${OTHER_RUN}/cancel`]: ok(run("cancelling", { thread_id: undefined })),
    },
    asked: stop("thread_2", "run_1"),
    expected: { status: 200, outcome: "cancelling", cancels: 1, reads: 1 },
  },
  {
    row: "D5",
    name: "a thread that only the answer to the cancel names undoes nothing",
    upstream: ASSISTANTS,
    ownership,
    script: {
      [`GET ${OTHER_RUN}`]: ok(run("in_progress", { thread_id: undefined })),
      [`POST ${OTHER_RUN}/cancel`]: ok(run("cancelling")),
    },
    asked: stop("thread_2", "run_1"),
    expected: {
      status: 200,
      outcome: "cancelling",
      answer: { id: "run_1", thread_id: "thread_2", status: "cancelling" },
      cancels: 1,
      event: { type: "cancel", code: null, result: "cancelling" },
    },
  },
  {
    row: "D5",
    name: "a response whose conversation is another is not cancelled",
    upstream: RESPONSES,
    ownership,
    script: { "GET /responses/resp_1": ok(response("in_progress", { conversation: { id: "c" } })) },
    asked: stop("thread_2", "resp_1"),
    expected: { ...NOT_FOUND, cancels: 0, reads: 1 },
  },
  {
    row: "D5",
    name: "a response that names no thread is cancelled under any",
    upstream: RESPONSES,
    ownership,
    script: {
      "GET /responses/resp_1": [ok(response("in_progress")), ok(response("cancelled"))],
      "POST /responses/resp_1/cancel": ok(response("cancelled")),
    },
    asked: stop("thread_2", "resp_1"),
    expected: { status: 200, outcome: "cancelled", cancels: 1, reads: 2 },
  },
]);

const threadCosts: readonly WorldCase[] = [
  {
    row: "D5",
    name: "a response that is named alone is not read before",
    upstream: RESPONSES,
    ownership: "credential",
    script: {
      "GET /responses/resp_1": ok(response("cancelled")),
      "POST /responses/resp_1/cancel": ok(response("cancelled")),
    },
    asked: stopResponse("resp_1"),
    expected: { status: 200, outcome: "cancelled", cancels: 1, reads: 1 },
  },
  {
    row: "D5",
    name: "a run of an upstream that checks the thread is not read before",
    upstream: LANGGRAPH,
    ownership: "credential",
    script: {
      [`GET ${THREADS_RUN}`]: ok({ run_id: "run_1", thread_id: "thread_1", status: "interrupted" }),
      [`POST ${THREADS_RUN}/cancel`]: { status: 202 },
    },
    asked: stop("thread_1", "run_1"),
    expected: { status: 200, outcome: "cancelled", cancels: 1, reads: 1 },
  },
  {
    row: "D5",
    name: "a run that a list has just shown is not read again",
    upstream: ASSISTANTS,
    ownership: "credential",
    script: {
      "GET /threads/thread_1/runs": ok({ object: "list", data: [run("in_progress")] }),
      [`POST ${THREADS_RUN}/cancel`]: ok(run("cancelling")),
    },
    asked: stopThread("thread_1"),
    expected: { status: 200, cancels: 1, reads: 1 },
  },
];

// ── D7: a state that nobody knows, where a cancel hits whatever is active ───────────────────────

const turn = (status: unknown) => ({ id: "run_1", session_id: "thread_1", status, created_at: 1 });
const SESSION = ok({ id: "thread_1", metadata: OWN });

const unknownStates: readonly WorldCase[] = [
  ...SOURCES.flatMap((ownership) =>
    ["hibernating", "interrupted", undefined, null, 7, ""].map(
      (status): WorldCase => ({
        row: "D7",
        name: `a turn in the state ${JSON.stringify(status)} is sent no cancel`,
        upstream: AGENTS,
        ownership,
        script: {
          "GET /agents/sessions/thread_1": SESSION,
          "GET /agents/sessions/thread_1/turns/run_1": ok(turn(status)),
        },
        asked: stop("thread_1", "run_1"),
        expected: {
          status: 502,
          code: "upstream_error",
          cancels: 0,
          event: { type: "cancel", code: null, result: "upstream_error" },
        },
      }),
    ),
  ),
  {
    row: "D7",
    name: "a turn that waits is sent none beside one in a state that nobody knows",
    upstream: AGENTS,
    ownership: "credential",
    script: {
      "GET /agents/sessions/thread_1": SESSION,
      "GET /agents/sessions/thread_1/turns/run_1": ok(turn("queued")),
      "GET /agents/sessions/thread_1/turns": ok({
        data: [turn("queued"), { ...turn("hibernating"), id: "run_2" }],
        has_more: false,
      }),
    },
    asked: stop("thread_1", "run_1"),
    expected: { status: 501, code: "unsupported_by_upstream", cancels: 0 },
  },
  {
    row: "D7",
    name: "elsewhere such a run counts as running, and is cancelled",
    upstream: ASSISTANTS,
    ownership: "credential",
    script: {
      [`GET ${THREADS_RUN}`]: ok(run("hibernating")),
      [`POST ${THREADS_RUN}/cancel`]: ok(run("cancelling")),
    },
    asked: stop("thread_1", "run_1"),
    expected: { status: 200, outcome: "cancelling", cancels: 1 },
  },
];

// ── U9: words of status in another spelling ─────────────────────────────────────────────────────

const WORDS: readonly [word: string, status: string][] = [
  ["CANCELLED", "cancelled"],
  ["canceled", "cancelled"],
  ["Completed", "completed"],
  ["SUCCEEDED", "completed"],
  ["success", "completed"],
  ["error", "failed"],
  ["timed_out", "expired"],
  ["RunStatus.CANCELED", "cancelled"],
  ["canceling", "cancelling"],
  ["input-required", "requires_action"],
  ["Requires Action", "requires_action"],
  ["hibernating", "in_progress"],
];

const words: readonly WorldCase[] = WORDS.flatMap(([word, status]): WorldCase[] => {
  const base = { row: "U9", name: `${word} is ${status}`, ownership: "metadata" } as const;
  const expected = { status: 200, answer: { status }, cancels: 0 } as const;
  const asked = look("thread_1", "run_1");
  const interaction = { id: "run_1", status: word, labels: OWN };
  const own = { run_id: "run_1", thread_id: "thread_1", status: word, metadata: OWN };
  // A Response has no word for these.
  const inResponse = { expired: "incomplete", cancelling: "in_progress" }[status] ?? status;
  const shownInResponse = inResponse === "requires_action" ? "in_progress" : inResponse;
  return [
    {
      ...base,
      upstream: ASSISTANTS,
      script: { [`GET ${THREADS_RUN}`]: ok(run(word)) },
      asked,
      expected,
    },
    { ...base, upstream: LANGGRAPH, script: { [`GET ${THREADS_RUN}`]: ok(own) }, asked, expected },
    {
      ...base,
      upstream: GEMINI,
      script: { "GET /interactions/run_1": ok(interaction) },
      asked,
      expected,
    },
    {
      ...base,
      upstream: AGENTS,
      script: {
        "GET /agents/sessions/thread_1": SESSION,
        "GET /agents/sessions/thread_1/turns/run_1": ok(turn(word)),
      },
      asked,
      expected,
    },
    {
      ...base,
      upstream: RESPONSES,
      script: { "GET /responses/run_1": ok(response(word, { id: "run_1" })) },
      asked,
      expected,
    },
    {
      ...base,
      name: `${word} is ${shownInResponse} of a response`,
      upstream: RESPONSES,
      script: { "GET /responses/resp_1": ok(response(word)) },
      asked: { method: "GET", path: "/v1/responses/resp_1" },
      expected: { status: 200, answer: { status: shownInResponse }, cancels: 0 },
    },
  ];
});

// ── D10: another's run that makes no sense is not found, as any other of another's ──────────────

const ANOTHERS = { tenant: "another", user: "ann" };
const HUGE = "x".repeat(17 * 1024 * 1024);
const ODD: readonly [name: string, members: object][] = [
  ["no status", { status: undefined }],
  ["null for a status", { status: null }],
  ["a number for a status", { status: 7 }],
  ["a list for a status", { status: ["in_progress"] }],
  ["the id of another run", { id: "run_2" }],
  ["an object for an id", { id: {} }],
];
/** The rules look at the run itself, so that it is read wherever its owner is known from. */
const LISTED = {
  rules: [{ id: "stop", scopes: ["stop"], runs: "own", assistants: ["asst_*"] }],
};

const oddRuns: readonly WorldCase[] = [
  ...ODD.flatMap(([name, members]): WorldCase[] => {
    const odd = (metadata: unknown) => ok(run("in_progress", { ...members, metadata }));
    const base = { row: "D10", upstream: ASSISTANTS } as const;
    const read = `GET ${THREADS_RUN}`;
    return [stop("thread_1", "run_1"), look("thread_1", "run_1")].flatMap((asked): WorldCase[] => [
      {
        ...base,
        name: `another's run with ${name} is not found`,
        ownership: "metadata",
        script: { [read]: odd(ANOTHERS) },
        asked,
        expected: { ...NOT_FOUND, cancels: 0, reads: 1 },
      },
      {
        ...base,
        name: `the caller's own with ${name} makes no sense`,
        ownership: "metadata",
        script: { [read]: odd(OWN) },
        asked,
        expected: { status: 502, code: "upstream_error", cancels: 0 },
      },
      {
        ...base,
        name: `a run with ${name} that is registered for nobody is not found`,
        ownership: "registry",
        tenant: LISTED,
        registered: null,
        script: { [read]: odd(OWN) },
        asked,
        expected: { ...NOT_FOUND, cancels: 0 },
      },
      {
        ...base,
        name: `the caller's own with ${name}, by registry, makes no sense`,
        ownership: "registry",
        tenant: LISTED,
        script: { [read]: odd(OWN) },
        asked,
        expected: { status: 502, code: "upstream_error", cancels: 0 },
      },
      {
        ...base,
        name: `a run with ${name} on a granted thread, which it does not name, is not found`,
        ownership: "grant",
        grants: [{ thread_id: "thread_1" }],
        script: { [read]: ok(run("in_progress", { ...members, thread_id: undefined })) },
        asked,
        expected: { ...NOT_FOUND, cancels: 0 },
      },
    ]);
  }),
  ...(["metadata", "registry"] as const).map(
    (ownership): WorldCase => ({
      row: "D10",
      name: "another's run that is too large to be read is not found",
      upstream: ASSISTANTS,
      ownership,
      ...(ownership === "registry" ? { tenant: LISTED, registered: null } : {}),
      script: { [`GET ${THREADS_RUN}`]: ok(run("in_progress", { metadata: ANOTHERS, HUGE })) },
      asked: stop("thread_1", "run_1"),
      expected: { ...NOT_FOUND, cancels: 0 },
    }),
  ),
  ...[
    { status: 500, body: "Internal Server Error" },
    ok("<html>Sign in</html>"),
    ok({}),
    ok({ error: { message: "The backend is gone.", code: 502 } }),
  ].map(
    (reply): WorldCase => ({
      row: "D10",
      name: `what says nothing of any run stays what it is: ${JSON.stringify(reply.body)}`,
      upstream: ASSISTANTS,
      ownership: "metadata",
      script: { [`GET ${THREADS_RUN}`]: reply },
      asked: look("thread_1", "run_1"),
      expected: { status: 502, code: "upstream_error", cancels: 0 },
    }),
  ),
  {
    row: "D10",
    name: "a limit stays what it is",
    upstream: ASSISTANTS,
    ownership: "metadata",
    script: { [`GET ${THREADS_RUN}`]: { status: 429, body: {} } },
    asked: look("thread_1", "run_1"),
    expected: { status: 429, code: "upstream_rate_limited", cancels: 0 },
  },
  {
    row: "D10",
    name: "another's turn in a state that is none is not found",
    upstream: AGENTS,
    ownership: "metadata",
    script: {
      "GET /agents/sessions/thread_1": ok({ id: "thread_1", metadata: ANOTHERS }),
      "GET /agents/sessions/thread_1/turns/run_1": ok({ ...turn("in_progress"), id: "run_2" }),
    },
    asked: stop("thread_1", "run_1"),
    expected: { ...NOT_FOUND, cancels: 0 },
  },
  {
    row: "D10",
    name: "another's response with an id that is none is not found",
    upstream: RESPONSES,
    ownership: "metadata",
    script: {
      "GET /responses/resp_1": ok(response("in_progress", { id: "resp_2", metadata: {} })),
    },
    asked: stopResponse("resp_1"),
    expected: { ...NOT_FOUND, cancels: 0 },
  },
];

// ── D11: a crowded thread of others ─────────────────────────────────────────────────────────────

const CROWD = Array.from({ length: 120 }, (_, index) => `run_${index + 2}`);
const crowdOf = (ids: readonly string[], members: object = {}) =>
  ok({
    object: "list",
    has_more: false,
    data: ids.map((id) => run("in_progress", { id, ...members })),
  });
const graphsOf = (ids: readonly string[]) =>
  ok(ids.map((id) => ({ run_id: id, thread_id: "thread_1", status: "running", metadata: OWN })));
const LIST = "GET /threads/thread_1/runs";
const NONE = { object: "list", data: [], has_more: false } as const;

const crowded: readonly WorldCase[] = [
  ...[
    { what: "no grant at all", grants: [] },
    { what: "a grant of a run elsewhere", grants: [{ thread_id: "thread_2", run_id: "run_2" }] },
    {
      what: "a grant of a run that has ended",
      grants: [{ thread_id: "thread_1", run_id: "run_1" }],
    },
    { what: "a grant of another thread", grants: [{ thread_id: "thread_2" }] },
  ].flatMap(({ what, grants }): WorldCase[] => {
    const base = { row: "D11", name: `${what} says nothing of a crowded thread`, grants } as const;
    const rest = {
      ownership: "grant",
      asked: stopThread("thread_1"),
      expected: { status: 200, answer: NONE, cancels: 0 },
    } as const;
    return [
      { ...base, ...rest, upstream: ASSISTANTS, script: { [LIST]: crowdOf(CROWD) } },
      { ...base, ...rest, upstream: LANGGRAPH, script: { [LIST]: graphsOf(CROWD) } },
    ];
  }),
  {
    row: "D11",
    name: "a registration of another's says nothing of a crowded thread",
    upstream: ASSISTANTS,
    ownership: "registry",
    registered: { threadId: "thread_2", runId: "run_2" },
    script: { [LIST]: crowdOf(CROWD) },
    asked: stopThread("thread_1"),
    expected: { status: 200, answer: NONE, cancels: 0 },
  },
  {
    row: "D11",
    name: "the metadata of another says nothing of a crowded thread",
    upstream: ASSISTANTS,
    ownership: "metadata",
    script: { [LIST]: crowdOf(CROWD, { metadata: ANOTHERS }) },
    asked: stopThread("thread_1"),
    expected: { status: 200, answer: NONE, cancels: 0 },
  },
  {
    row: "D11",
    name: "another's session says nothing of its turns",
    upstream: AGENTS,
    ownership: "metadata",
    script: {
      "GET /agents/sessions/thread_1": ok({ id: "thread_1", metadata: ANOTHERS }),
      "GET /agents/sessions/thread_1/turns": ok({
        data: CROWD.map((id) => ({ ...turn("queued"), id })),
        has_more: false,
      }),
      ...Object.fromEntries(
        CROWD.map((id) => [
          `GET /agents/sessions/thread_1/turns/${id}`,
          ok({ ...turn("queued"), id }),
        ]),
      ),
    },
    asked: stopThread("thread_1"),
    expected: { status: 200, answer: NONE, cancels: 0 },
  },
  {
    row: "D11",
    name: "a grant of the thread says that there are more",
    upstream: LANGGRAPH,
    ownership: "grant",
    grants: [{ thread_id: "thread_1" }],
    script: {
      [LIST]: graphsOf(CROWD.slice(0, 25)),
      ...Object.fromEntries(
        CROWD.flatMap((id) => [
          [`GET /threads/thread_1/runs/${id}`, ok({ run_id: id, status: "success" })],
          [`POST /threads/thread_1/runs/${id}/cancel`, { status: 202 }],
        ]),
      ),
    },
    asked: stopThread("thread_1"),
    expected: { status: 200, answer: { has_more: true }, cancels: 20 },
  },
];

// ── D12: a reply that repeats the key it was sent ───────────────────────────────────────────────

/** Of a shape that no list of shapes has. */
const KEY = "Wq7dK9/Lm2+XtRvC0b=nHy4.zZ81";
const ECHOES: readonly [name: string, spelled: string][] = [
  ["as it is", KEY],
  ["in base64", btoa(`user:${KEY}`)],
  ["percent-encoded", encodeURIComponent(KEY)],
  ["nearly whole", KEY.slice(0, -3)],
  ["in capitals", KEY.toUpperCase()],
];
/** What is left of it in any of these. */
const PIECES = ECHOES.map(([, spelled]) => spelled.slice(8, 20));

const echoes: readonly WorldCase[] = ECHOES.flatMap(([name, spelled]): WorldCase[] => {
  const base = { row: "D12", ownership: "metadata", keys: [KEY] } as const;
  const words = `The key ${spelled} is not allowed to do this.`;
  const error = { code: "server_error", message: words };
  const hidden = "The key [hidden] is not allowed to do this.";
  const hides = PIECES;
  const status = "failed";
  const own = { session_id: "thread_1", created_at: 1 };
  const asked = look("thread_1", "run_1");
  // Base64 also has what stood before the key, and one of its ends.
  const isWhole = name !== "in base64";
  const last_error = isWhole ? { message: hidden } : {};
  const expected = { status: 200, answer: { status, last_error }, cancels: 0, hides };
  return [
    {
      ...base,
      name: `in the error of a run, ${name}`,
      upstream: ASSISTANTS,
      script: {
        [`GET ${THREADS_RUN}`]: ok(run(status, { last_error: error, instructions: spelled })),
      },
      asked,
      expected,
    },
    {
      ...base,
      name: `in the error of a turn, ${name}`,
      upstream: AGENTS,
      script: {
        "GET /agents/sessions/thread_1": SESSION,
        "GET /agents/sessions/thread_1/turns/run_1": ok({ ...own, id: "run_1", status, error }),
      },
      asked,
      expected,
    },
    {
      ...base,
      name: `in the error of an interaction, ${name}`,
      upstream: GEMINI,
      script: {
        "GET /interactions/run_1": ok({ id: "run_1", status, errors: [error], labels: OWN }),
      },
      asked,
      expected,
    },
    {
      ...base,
      name: `in the metadata of a run, ${name}`,
      upstream: LANGGRAPH,
      ownership: "credential",
      script: {
        [`GET ${THREADS_RUN}`]: ok({
          run_id: "run_1",
          status: "error",
          metadata: { key: spelled },
        }),
      },
      asked,
      expected: { ...expected, answer: { status } },
    },
    {
      ...base,
      name: `in the error and the output of a response, ${name}`,
      upstream: RESPONSES,
      script: {
        "GET /responses/resp_1": ok(
          response(status, {
            error,
            output: [
              { type: "message", id: "m", content: [{ type: "output_text", text: spelled }] },
            ],
          }),
        ),
      },
      asked: { method: "GET", path: "/v1/responses/resp_1" },
      expected: { ...expected, answer: { status } },
    },
    {
      ...base,
      name: `in a refusal and in the request's id, ${name}`,
      upstream: ASSISTANTS,
      script: {
        [`GET ${THREADS_RUN}`]: ok(run("in_progress")),
        [`POST ${THREADS_RUN}/cancel`]: {
          status: 400,
          headers: { "x-request-id": spelled },
          body: { error },
        },
      },
      asked: stop("thread_1", "run_1"),
      expected: { status: 502, code: "upstream_error", cancels: 1, hides },
    },
  ];
});

export const STOP_CASES: readonly WorldCase[] = [
  ...echoes,
  ...crowded,
  ...oddRuns,
  ...wrongThread,
  ...threadCosts,
  ...unknownStates,
  ...words,
];
