// The cases of stopping: refusals that are none, success that is none, words, keys, threads. Data.
import {
  look,
  OWN,
  type Source,
  stop,
  stopResponse,
  stopThread,
  type WorldCase,
  type WorldReply,
} from "./case.ts";

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
  ["terminated", "failed"],
  ["killed", "failed"],
  ["canceled_by_user", "cancelled"],
  ["Cancelled.", "cancelled"],
  ["TaskState.TASK_STATE_CANCELED", "cancelled"],
  ["cancelation_requested", "cancelling"],
  ["crashed", "failed"],
  ["SYSTEM_FAILURE", "failed"],
  ["system_error", "failed"],
  ["ended", "completed"],
  ["partial-succeeded", "completed"],
  ["requires_approval", "requires_action"],
  ["waiting_for_input", "requires_action"],
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

/** Answers to a list that would tell of others' runs. */
const TELLING: readonly [name: string, reply: WorldReply][] = [
  ["a run that is too large", ok("x".repeat(17 * 1_024 * 1_024))],
  ["an error", { status: 500 }],
  ["another's run", crowdOf(["run_2"])],
];
const unlisted: readonly WorldCase[] = TELLING.flatMap(([name, reply]): WorldCase[] => {
  const base = { row: "D11", upstream: ASSISTANTS, script: { [LIST]: reply } } as const;
  const nothing = { status: 200, answer: NONE, cancels: 0 } as const;
  const asked = stopThread("thread_1");
  return [
    {
      ...base,
      name: `without a grant on the thread nothing is asked: ${name}`,
      ownership: "grant",
      grants: [{ thread_id: "thread_2" }],
      asked,
      expected: { ...nothing, reads: 0 },
    },
    {
      ...base,
      name: `without a registration on the thread nothing is asked: ${name}`,
      ownership: "registry",
      registered: { threadId: "thread_2", runId: "run_2" },
      asked,
      expected: { ...nothing, reads: 0 },
    },
    ...(name === "a run that is too large"
      ? [
          {
            ...base,
            name: "metadata that cannot be read proves nothing",
            ownership: "metadata",
            asked,
            expected: nothing,
          } as const,
          {
            ...base,
            name: "a grant on the thread is told that a run is too large",
            ownership: "grant",
            grants: [{ thread_id: "thread_1" }],
            asked,
            expected: { status: 502, code: "upstream_error", cancels: 0 },
          } as const,
        ]
      : []),
  ];
});

const crowded: readonly WorldCase[] = [
  ...unlisted,
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

// ── U1: a refusal of the cancel that comes as 404 or 405 ────────────────────────────────────────

const graph = (status: string) =>
  ok({ run_id: "run_1", thread_id: "thread_1", assistant_id: "asst_1", status, metadata: OWN });
const KEYS = ["first-key-4f1c9a7e20", "second-key-8b2d6e5f31"] as const;
const said = (status: number, body: unknown) => ({ status, body });
const detail = (status: number, words: unknown) => said(status, { detail: words });
const openai = (status: number, message: string, more: object = {}) =>
  said(status, {
    error: { message, type: "invalid_request_error", param: null, code: null, ...more },
  });

/** Of the run, as far as it says anything. */
const OF_RUN: readonly { readonly status: number; readonly body?: unknown }[] = [
  detail(404, "No matching runs to cancel. Please verify the thread ID and run IDs."),
  detail(404, "Run not found"),
  openai(404, "No run found with id 'run_1'."),
  said(404, { error: "not_found", message: "Run 'run_1' not found", details: null }),
  said(410, { detail: "The run is gone." }),
  said(404, { statusCode: 404, message: "No matching runs to cancel", error: "Not Found" }),
  said(404, { title: "Not Found", status: 404, detail: "The run is not running." }),
  said(404, { title: "Resource not found", status: 404, detail: "The run is not running." }),
  said(404, { status: 404, error: "Not Found", message: "Run run_1 is not active", path: "/x" }),
  said(412, { error: "The run has moved on." }),
  said(423, "Locked"),
];
/** Of the address alone. */
const OF_ROUTE: readonly { readonly status: number; readonly body?: unknown }[] = [
  detail(404, "Not Found"),
  said(404, "404 Not Found"),
  said(404, "404 page not found"),
  said(404, "<!DOCTYPE html><html><body><pre>Cannot POST /cancel</pre></body></html>"),
  said(404, { statusCode: 404, message: "Cannot POST /cancel", error: "Not Found" }),
  said(404, { message: "Route POST:/cancel not found", error: "Not Found", statusCode: 404 }),
  openai(404, "Invalid URL (POST /v1/responses/run_1/cancel)"),
  openai(404, "Unknown request URL: POST /v1/cancel.", { code: "unknown_url" }),
  said(404, { error: { code: "404", message: "Resource not found" } }),
  said(404, { statusCode: 404, message: "Not Found", error: "Not Found" }),
  said(404, { title: "Not Found", status: 404 }),
  said(404, { status: 404, error: "Not Found", message: "No static resource x.", path: "/x" }),
  said(404, { error: "Route not found" }),
  said(404, { message: "Endpoint not found" }),
  said(404, { error: { message: "Unknown endpoint" } }),
  said(404, { message: "The requested endpoint /x does not exist" }),
  said(404, "default backend - 404"),
  { status: 501 },
  said(501, { detail: "Not Implemented" }),
  { status: 404 },
  { status: 405 },
  detail(405, "Method Not Allowed"),
];

/** The states of a run on each wire, and where its two addresses are. */
const WIRES = [
  {
    upstream: ASSISTANTS,
    base: THREADS_RUN,
    moving: ok(run("in_progress")),
    done: ok(run("completed")),
    isSeen: true,
  },
  {
    upstream: LANGGRAPH,
    base: THREADS_RUN,
    moving: graph("running"),
    done: graph("success"),
    isSeen: false,
  },
  {
    upstream: RESPONSES,
    base: "/responses/run_1",
    moving: ok(response("in_progress", { id: "run_1" })),
    done: ok(response("completed", { id: "run_1" })),
    isSeen: true,
  },
  {
    upstream: GEMINI,
    base: "/interactions/run_1",
    moving: ok({ id: "run_1", status: "in_progress", labels: OWN }),
    done: ok({ id: "run_1", status: "completed", labels: OWN }),
    isSeen: true,
  },
] as const;

const refusals: readonly WorldCase[] = WIRES.flatMap((wire) =>
  [...OF_RUN, ...OF_ROUTE].flatMap((refusal): WorldCase[] => {
    const { upstream, base, moving, done, isSeen } = wire;
    const isOfRoute = OF_ROUTE.includes(refusal);
    const cancel = `POST ${base}/cancel`;
    const read = `GET ${base}`;
    const asked = stop("thread_1", "run_1");
    const what = `${refusal.status} ${JSON.stringify(refusal.body) ?? "of nothing"}`;
    const goesOn = isOfRoute
      ? ({ status: 501, code: "unsupported_by_upstream" } as const)
      : ({ status: 502, code: "upstream_error" } as const);
    // Only where nothing else is read first does it matter what proves the ownership.
    const sources = isSeen ? (["credential"] as const) : (["credential", "metadata"] as const);
    const isFirst = refusal === OF_RUN[0] || refusal === OF_ROUTE[0];
    return sources.flatMap((ownership): WorldCase[] => {
      const isReadBefore = isSeen || ownership === "metadata";
      const first = isReadBefore ? [moving] : [];
      const reads = first.length + 1;
      const common = { row: "U1", upstream, ownership, asked } as const;
      const always: readonly WorldCase[] = [
        {
          ...common,
          name: `${what}, of a run that has ended`,
          script: { [read]: [...first, done], [cancel]: refusal },
          expected: { status: 200, outcome: "already_completed", cancels: 1, reads },
        },
        {
          ...common,
          name: `${what}, of a run that goes on`,
          script: { [read]: [...first, moving], [cancel]: refusal },
          expected: { ...goesOn, cancels: 1, reads },
        },
      ];
      if (!isFirst) return [...always];
      return [
        ...always,
        {
          ...common,
          name: `${what}, of a run that is gone`,
          script: { [read]: [...first, said(404, { detail: "Run not found" })], [cancel]: refusal },
          expected: { ...NOT_FOUND, cancels: 1, reads },
        },
        {
          ...common,
          name: `an unknown run costs one read, or one and a cancel: ${what}`,
          script: { [read]: said(404, { detail: "Run not found" }), [cancel]: refusal },
          expected: { ...NOT_FOUND, cancels: isReadBefore ? 0 : 1, reads: 1 },
        },
      ];
    });
  }),
);

const alone: readonly WorldCase[] = [
  { done: response("completed"), outcome: "already_completed" },
  { done: response("failed"), outcome: "already_failed" },
].map(
  ({ done, outcome }): WorldCase => ({
    row: "U1",
    name: `404, of a response that is named alone and is ${outcome}`,
    upstream: RESPONSES,
    ownership: "credential",
    script: {
      "GET /responses/resp_1": ok(done),
      "POST /responses/resp_1/cancel": detail(404, "Not Found"),
    },
    asked: stopResponse("resp_1"),
    expected: { status: 200, outcome, cancels: 1, reads: 1 },
  }),
);

const STATE_403 = [
  "This run cannot be cancelled in its current state",
  "The run has already ended.",
  "Run run_1 is not active",
];
const forbiddenStates: readonly WorldCase[] = WIRES.flatMap(
  ({ upstream, base, moving, done, isSeen }) =>
    STATE_403.flatMap((message): WorldCase[] => {
      const first = isSeen ? [moving] : [];
      const common = {
        row: "U1",
        upstream,
        ownership: "credential",
        keys: KEYS,
        asked: stop("thread_1", "run_1"),
      } as const;
      const cancel = { [`POST ${base}/cancel`]: said(403, { message }) };
      return [
        {
          ...common,
          name: `403 "${message}", of a run that has ended`,
          script: { ...cancel, [`GET ${base}`]: [...first, done] },
          expected: { status: 200, outcome: "already_completed", cancels: 1 },
        },
        {
          ...common,
          name: `403 "${message}", of a run that goes on`,
          script: { ...cancel, [`GET ${base}`]: [...first, moving] },
          expected: { status: 200, outcome: "not_confirmed", cancels: 1 },
        },
      ];
    }),
);

const agents: readonly WorldCase[] = [
  { refusal: { status: 405 }, after: turn("in_progress"), expected: { status: 501 } },
  {
    refusal: detail(404, "Session not found"),
    after: turn("in_progress"),
    expected: { status: 502 },
  },
  { refusal: { status: 404 }, after: turn("completed"), expected: { status: 200 } },
].map(
  ({ refusal, after, expected }): WorldCase => ({
    row: "U1",
    name: `${refusal.status} to the event that cancels, of a turn that is ${after.status}`,
    upstream: AGENTS,
    ownership: "metadata",
    script: {
      "GET /agents/sessions/thread_1": SESSION,
      "GET /agents/sessions/thread_1/turns/run_1": [ok(turn("in_progress")), ok(after)],
      "POST /agents/sessions/thread_1/events": refusal,
    },
    asked: stop("thread_1", "run_1"),
    expected: { ...expected, cancels: 1 },
  }),
);

// ── U6: an id that the server calls malformed ───────────────────────────────────────────────────

const MALFORMED = [
  openai(400, "Invalid 'response_id': 'run_1'. Expected an ID that begins with 'resp'.", {
    param: "response_id",
    code: "invalid_value",
  }),
  openai(400, "Invalid 'run_id': string too long. Expected a string with maximum length 64.", {
    param: "run_id",
    code: "string_above_max_length",
  }),
  openai(400, "That is none.", { param: "thread_id", code: "invalid_value" }),
  detail(422, "Invalid run ID: must be a UUID"),
  detail(422, [
    {
      type: "uuid_parsing",
      loc: ["path", "run_id"],
      msg: "Input should be a valid UUID",
      input: "x",
    },
  ]),
  detail(422, [{ type: "string_pattern_mismatch", loc: ["path", "thread_id"], msg: "No match" }]),
  detail(400, "badly formed hexadecimal UUID string"),
  said(400, {
    error: {
      code: 400,
      message: "Request contains an invalid argument.",
      status: "INVALID_ARGUMENT",
      details: [{ fieldViolations: [{ field: "name", description: "Invalid interaction name." }] }],
    },
  }),
  said(400, [
    { error: { code: 400, message: "Invalid interaction id: run_1", status: "INVALID_ARGUMENT" } },
  ]),
  said(400, {
    success: false,
    error: {
      name: "ZodError",
      issues: [{ code: "invalid_string", message: "No.", path: ["run_id"] }],
    },
  }),
  said(400, { object: "error", message: "Invalid 'response_id': 'run_1'", code: 400 }),
  openai(400, "Malformed identifier.", {
    param: "responseId{run_1}",
    code: "invalid_parameters",
  }),
  detail(422, [{ type: "string_pattern_mismatch", loc: ["path", "runId"], msg: "No match" }]),
  said(400, {
    title: "One or more validation errors occurred.",
    status: 400,
    errors: { runId: ["The value 'run_1' is not valid."] },
  }),
  said(400, { error: "Response ID 'run_1' is malformed" }),
  said(400, { message: "run_id is invalid" }),
  said(400, { message: "Invalid ID: run_1" }),
  said(422, { message: "id must be of type ULID" }),
  said(500, { error: { message: 'invalid input syntax for type uuid: "run_1"' } }),
  said(410, { message: "Gone" }),
] as const;
const NOT_ABOUT_THE_ID = [
  openai(400, "Unsupported parameter.", { param: "stream", code: "unsupported_parameter" }),
  openai(400, "No.", { param: "response_id" }),
  detail(422, [{ type: "missing", loc: ["body", "action"], msg: "Field required" }]),
  detail(400, "Header X-Request-UUID is missing or not a valid UUID"),
  detail(422, [{ type: "uuid_parsing", loc: ["header", "x-tenant-id"], msg: "Invalid UUID" }]),
  openai(400, "Invalid value.", { param: "organization_id", code: "invalid_value" }),
  openai(400, "Invalid value.", { param: "project_id", code: "invalid_value" }),
  openai(400, "Invalid 'assistant_id'.", { param: "assistant_id", code: "invalid_value" }),
  said(400, { message: "model id is invalid" }),
];

const malformedIds: readonly WorldCase[] = WIRES.flatMap(({ upstream, base, isSeen }) =>
  SOURCES.flatMap((ownership): WorldCase[] => {
    const asked = stop("thread_1", "run_1");
    const isReadBefore = isSeen || ownership === "metadata";
    const scriptOf = (reply: { status: number; body: unknown }) => ({
      [`GET ${base}`]: reply,
      [`POST ${base}/cancel`]: reply,
    });
    const common = { row: "U6", upstream, ownership, asked } as const;
    return [
      ...(ownership === "credential" ? MALFORMED : MALFORMED.slice(0, 2)).map(
        (reply): WorldCase => ({
          ...common,
          name: `is not found: ${JSON.stringify(reply.body)}`,
          script: scriptOf(reply),
          expected: { ...NOT_FOUND, cancels: isReadBefore ? 0 : 1, reads: 1 },
        }),
      ),
      ...(ownership === "credential" ? NOT_ABOUT_THE_ID : []).map(
        (reply): WorldCase => ({
          ...common,
          name: `of something else it is an error: ${JSON.stringify(reply.body)}`,
          script: scriptOf(reply),
          expected: { status: 502, code: "upstream_error", cancels: isReadBefore ? 0 : 1 },
        }),
      ),
    ];
  }),
);

// ── U7: success that is none ────────────────────────────────────────────────────────────────────

const NO_SUCCESS: readonly [name: string, body: unknown][] = [
  ["an error", { error: { message: "The backend is gone.", code: 502 } }],
  ["an error in a word", { error: "bad gateway" }],
  ["a detail", { detail: "Internal error" }],
  ["a page", "<!DOCTYPE html><html><body>Sign in</body></html>"],
  ["failure", { success: false }],
];
const NO_RUN: readonly [name: string, body: unknown][] = [
  ...NO_SUCCESS,
  ["an empty object", {}],
  ["nothing", undefined],
  ["another object", { id: "run_2", run_id: "run_2", status: "cancelled" }],
  ["a list", []],
];

const noSuccess: readonly WorldCase[] = WIRES.flatMap(({ upstream, base, moving, done, isSeen }) =>
  (upstream === LANGGRAPH ? NO_SUCCESS : NO_RUN).flatMap(([name, body]): WorldCase[] => {
    const read = `GET ${base}`;
    const first = isSeen ? [moving] : [];
    const common = {
      row: "U7",
      upstream,
      ownership: "credential",
      asked: stop("thread_1", "run_1"),
    } as const;
    const cancel = { [`POST ${base}/cancel`]: { status: 200, body } };
    const later = { asked: look("thread_1", "run_1") } as const;
    return [
      {
        ...common,
        name: `${name} is not taken for a cancel, and not remembered`,
        script: { ...cancel, [read]: [...first, moving] },
        expected: {
          status: 200,
          outcome: "not_confirmed",
          answer: { status: "in_progress" },
          cancels: 1,
        },
        afterwards: {
          ...later,
          expected: { status: 200, answer: { status: "in_progress" }, cancels: 0 },
        },
      },
      {
        ...common,
        name: `${name}, and the run has ended`,
        script: { ...cancel, [read]: [...first, done] },
        expected: { status: 200, outcome: "already_completed", cancels: 1 },
      },
      {
        ...common,
        name: `${name}, and the run cannot be read`,
        script: { ...cancel, [read]: [...first, { status: 500, body: "" }] },
        expected: isSeen
          ? { status: 200, outcome: "not_confirmed", cancels: 1 }
          : { status: 504, code: "outcome_unknown", cancels: 1 },
      },
    ];
  }),
);

/** Where an answer without the run may do, it has to be one that says so. */
const NO_ACKNOWLEDGEMENT: readonly unknown[] = [
  { object: "error", message: "bad gateway", code: 502 },
  [{ error: { code: 502 } }],
  { message: "Internal server error" },
  { statusCode: 502, message: "Bad Gateway" },
  { title: "Bad Gateway", status: 502 },
  { code: 502, message: "The backend is gone." },
  { status: "error", message: "The backend is gone." },
  { status: "error" },
  { success: true, error: "The backend is gone." },
  { ok: false },
  { errors: ["bad gateway"] },
  { message: "The run could not be cancelled: no cancellation was sent." },
  { run_id: "run_2", status: "cancelled" },
  { hello: "world" },
  "upstream connect error or disconnect/reset before headers",
  "OK",
  ["run_1"],
];
const ACKNOWLEDGEMENTS: readonly unknown[] = [
  undefined,
  null,
  {},
  { error: false },
  { error: "" },
  { error: null },
  { detail: null },
  { error: [], errors: [] },
  { success: true, error: null },
  { status: "ok" },
  { status: "cancelled" },
  { status: "cancelling", message: "Cancellation requested." },
  { message: "Run cancelled" },
  { detail: "Run run_1 was canceled." },
  { run_id: "run_1" },
];
const TURN = "GET /agents/sessions/thread_1/turns/run_1";
const EVENTS = "POST /agents/sessions/thread_1/events";

const acknowledgements: readonly WorldCase[] = [
  ...NO_ACKNOWLEDGEMENT.map((body) => ({ body, isTaken: false })),
  ...ACKNOWLEDGEMENTS.map((body) => ({ body, isTaken: true })),
].flatMap(({ body, isTaken }): WorldCase[] => {
  const reply = { status: 200, ...(body === undefined ? {} : { body }) };
  const what = JSON.stringify(body) ?? "nothing";
  const status = isTaken ? "cancelling" : "in_progress";
  const common = {
    row: "U7",
    name: `200 with ${what} is ${isTaken ? "" : "not "}taken for a cancel`,
    ownership: "credential",
    asked: stop("thread_1", "run_1"),
    expected: {
      status: 200,
      outcome: isTaken ? "cancelling" : "not_confirmed",
      answer: { status },
      cancels: 1,
    },
    afterwards: {
      asked: look("thread_1", "run_1"),
      expected: { status: 200, answer: { status }, cancels: 0 },
    },
  } as const;
  return [
    {
      ...common,
      upstream: LANGGRAPH,
      script: { [`POST ${THREADS_RUN}/cancel`]: reply, [`GET ${THREADS_RUN}`]: graph("running") },
    },
    {
      ...common,
      upstream: AGENTS,
      script: {
        "GET /agents/sessions/thread_1": SESSION,
        [TURN]: ok(turn("in_progress")),
        [EVENTS]: reply,
      },
    },
  ];
});

const cancelledCalls: readonly WorldCase[] = [
  ...[
    ok({ error: { code: 499, status: "CANCELLED", message: "The operation was cancelled." } }),
    ok([{ error: { code: 499 } }]),
    ok({ error: { status: "CANCELLED" } }),
    { status: 499, body: { error: { code: 499, status: "CANCELLED" } } },
  ].map((reply) => ({ reply, outcome: "cancelling" })),
  { reply: ok({ error: { code: 503, status: "UNAVAILABLE" } }), outcome: "not_confirmed" },
  { reply: ok({ id: "run_2", status: "CANCELLED" }), outcome: "not_confirmed" },
].map(
  ({ reply, outcome }): WorldCase => ({
    row: "U7",
    name: `${JSON.stringify(reply)} to Google's cancel is ${outcome}`,
    upstream: GEMINI,
    ownership: "credential",
    script: {
      "GET /interactions/run_1": ok({ id: "run_1", status: "in_progress", labels: OWN }),
      "POST /interactions/run_1/cancel": reply,
    },
    asked: stop("thread_1", "run_1"),
    expected: { status: 200, outcome, cancels: 1 },
  }),
);

const silentSuccess: readonly WorldCase[] = (
  [
    [202, undefined],
    [204, undefined],
    [200, {}],
    [200, null],
  ] as const
).map(
  ([status, body]): WorldCase => ({
    row: "U7",
    name: `${status} with ${JSON.stringify(body) ?? "nothing"} is how LangGraph takes a cancel`,
    upstream: LANGGRAPH,
    ownership: "credential",
    script: {
      [`POST ${THREADS_RUN}/cancel`]: { status, ...(body === undefined ? {} : { body }) },
      [`GET ${THREADS_RUN}`]: [graph("running"), graph("interrupted")],
    },
    asked: stop("thread_1", "run_1"),
    expected: { status: 200, outcome: "cancelling", cancels: 1 },
    afterwards: {
      asked: look("thread_1", "run_1"),
      expected: { status: 200, answer: { status: "cancelled" }, cancels: 0 },
    },
  }),
);

// ── U8: a 403 that is not about the key ─────────────────────────────────────────────────────────

const FOREIGN = [
  openai(
    403,
    "The response id is not associated with the user, who this key belongs to. To disable this …",
  ),
  detail(
    403,
    "The response id is not associated with the user, who this key belongs to. To disable …",
  ),
  said(403, {
    error: {
      code: 403,
      message: "You do not have permission to access the Interaction run_1 or it may not exist.",
      status: "PERMISSION_DENIED",
    },
  }),
  ...[
    "Forbidden. This response id was not issued by this proxy, so the proxy cannot tell who owns it. To let keys address responses this proxy did not issue, set general_settings::allow_unmanaged_response_ids to True in the config.yaml file.",
    "User does not own this run",
    "You don't have access to run run_1",
    "You do not have permission to cancel this thread.",
    "Not authorized to access this thread",
    "Not authorised to access this session.",
    "Run run_1 was created by another user",
    "This run belongs to another tenant.",
    "Thread thread_1 is owned by somebody else",
    "You are not the owner of this interaction",
  ].map((words) => detail(403, words)),
];
const ELSEWHERE: readonly [log: string, reply: { status: number; body: unknown }][] = [
  [
    "country or region",
    openai(403, "Country, region, or territory not supported", {
      type: "request_forbidden",
      code: "unsupported_country_region_territory",
    }),
  ],
  [
    "country or region",
    said(403, {
      code: "unsupported_country_region_territory",
      message: "Country, region, or territory not supported",
    }),
  ],
  [
    "this network",
    said(403, {
      error: { code: "403", message: "Access denied due to Virtual Network/Firewall rules." },
    }),
  ],
  [
    "not enabled",
    said(403, [
      {
        error: {
          code: 403,
          message: "The API has not been used in project 1 before or it is disabled.",
          status: "PERMISSION_DENIED",
          details: [{ reason: "SERVICE_DISABLED" }],
        },
      },
    ]),
  ],
  [
    "the model",
    openai(403, "Project `p` does not have access to model `m`", { code: "model_not_found" }),
  ],
  ["blocks the request", said(403, "error code: 1020")],
  [
    "blocks the request",
    said(403, { title: "Error 1010: Access denied", status: 403, error_code: 1010 }),
  ],
  ["blocks the request", openai(403, "Your request was blocked.")],
  ["leads nowhere", said(403, { message: "Missing Authentication Token" })],
  ["quota", openai(403, "You exceeded your current quota.", { code: "insufficient_quota" })],
  ["quota", openai(403, "No.", { type: "insufficient_quota" })],
  [
    "a page",
    said(403, "<html><head><title>Attention Required! | Cloudflare</title></head></html>"),
  ],
];
const OF_KEY = [
  { status: 403 },
  detail(403, "Forbidden"),
  openai(403, "You have insufficient permissions for this operation.", { code: "missing_scope" }),
  said(403, { message: "The security token included in the request is invalid." }),
  ...[
    "You are not allowed to run this operation. Ask your organization owner to change your role.",
    "You are not allowed to run this operation, which belongs to another plan",
    "This API key cannot be used to run requests; it belongs to a disabled project",
    "The API key does not have access to the response resource.",
    "You do not have access to the response API.",
    "This API key was created by another user, who does not own the thread",
    "This key is not active",
    "Your token does not have permission to cancel this run",
    "The project is not in an active state",
  ].map((words) => openai(403, words)),
  openai(401, "Country, region, or territory not supported", {
    code: "unsupported_country_region_territory",
  }),
  openai(401, "The response id is not associated with the user, who this key belongs to."),
];

const forbidden: readonly WorldCase[] = WIRES.flatMap(({ upstream, base, isSeen }): WorldCase[] => {
  const common = {
    row: "U8",
    upstream,
    ownership: "credential",
    keys: KEYS,
    asked: stop("thread_1", "run_1"),
  } as const;
  const scriptOf = (reply: { status: number; body?: unknown }) => ({
    [`GET ${base}`]: reply,
    [`POST ${base}/cancel`]: reply,
  });
  const cancels = isSeen ? 0 : 1;
  return [
    ...FOREIGN.map(
      (reply): WorldCase => ({
        ...common,
        name: `of another's run is not found: ${JSON.stringify(reply.body)}`,
        script: scriptOf(reply),
        expected: { ...NOT_FOUND, cancels, reads: 1 },
      }),
    ),
    ...ELSEWHERE.map(
      ([log, reply]): WorldCase => ({
        ...common,
        name: `of ${log} tries no second key: ${JSON.stringify(reply.body)}`,
        script: scriptOf(reply),
        expected: {
          status: 502,
          code: "upstream_error",
          cancels,
          reads: isSeen ? 1 : 0,
          logs: [log],
        },
      }),
    ),
    ...OF_KEY.map(
      (reply): WorldCase => ({
        ...common,
        name: `of the key tries the second: ${reply.status} ${JSON.stringify(reply) ?? ""}`,
        script: scriptOf(reply),
        expected: {
          status: 502,
          code: "upstream_rejected_credentials",
          cancels: isSeen ? 0 : 2,
          reads: isSeen ? 2 : 0,
        },
      }),
    ),
  ];
});

// ── U10: error bodies in another shape ──────────────────────────────────────────────────────────

const IN_OTHER_SHAPES = (words: string) => [
  openai(400, words),
  said(400, { object: "error", message: words, type: "BadRequestError", param: null, code: 400 }),
  said(400, { error: words }),
  detail(400, words),
  detail(400, [{ type: "value_error", loc: ["body"], msg: words }]),
  detail(400, { error: { message: words } }),
  said(400, [{ error: { code: 400, message: words, status: "FAILED_PRECONDITION" } }]),
  said(400, { type: "about:blank", title: "Bad Request", status: 400, detail: words }),
  said(400, { error: { error: { message: words } } }),
  said(400, {
    error: { message: `OpenAIException - ${JSON.stringify({ error: { message: words } })}` },
  }),
  said(400, { message: words }),
  said(400, { Message: words }),
  said(400, { errorMessage: words }),
  said(400, { error_message: words }),
  said(400, { code: "invalid_state", reason: words }),
  said(400, { error: { code: "400", message: `(None) ${words}` } }),
  said(400, { message: `  ${words}` }),
  said(400, { message: `"${words}"` }),
  said(400, { message: `litellm.BadRequestError: OpenAIException - ${words}` }),
  said(400, { message: `Error: 400 ${words}` }),
  said(400, `'${words}'`),
  said(400, words),
];

const shapes: readonly WorldCase[] = [
  ...IN_OTHER_SHAPES("Cannot cancel a synchronous response.").map(
    (reply): WorldCase => ({
      row: "U10",
      name: `a state that refuses is read in ${JSON.stringify(reply.body)}`,
      upstream: RESPONSES,
      ownership: "credential",
      script: {
        "GET /responses/resp_1": ok(response("in_progress")),
        "POST /responses/resp_1/cancel": reply,
      },
      asked: stop("thread_1", "resp_1"),
      expected: { status: 200, outcome: "not_confirmed", cancels: 1 },
    }),
  ),
  ...IN_OTHER_SHAPES("Cannot cancel run with status 'completed'.").map(
    (reply): WorldCase => ({
      row: "U10",
      name: `a state that refuses a run is read in ${JSON.stringify(reply.body)}`,
      upstream: ASSISTANTS,
      ownership: "credential",
      script: {
        [`GET ${THREADS_RUN}`]: ok(run("in_progress")),
        [`POST ${THREADS_RUN}/cancel`]: reply,
      },
      asked: stop("thread_1", "run_1"),
      expected: { status: 200, outcome: "not_confirmed", cancels: 1 },
    }),
  ),
];

// ── U11: when to come back ──────────────────────────────────────────────────────────────────────

const LIMITS: readonly [headers: Record<string, string>, seconds: string][] = [
  [{ "retry-after": "59.5" }, "60"],
  [{ "retry-after": "60" }, "60"],
  [{ "retry-after": "30.000001" }, "31"],
  [{ "retry-after-ms": "59500" }, "60"],
  [{ "retry-after-ms": "59500.5", "retry-after": "1" }, "60"],
  [{ "retry-after": "60s" }, "60"],
  [{ "retry-after": "59.5s" }, "60"],
  [{ "retry-after": "59." }, "59"],
  [{ "retry-after": "+60" }, "60"],
  [{ "retry-after": "59,5" }, "60"],
  [{ "retry-after": "-5" }, "1"],
  [{ "retry-after": "soon" }, "1"],
  [{ "retry-after": "Fri, 01 Jan 2100 00:00:00 GMT" }, "3600"],
];
const limits: readonly WorldCase[] = LIMITS.map(
  ([headers, retryAfter]): WorldCase => ({
    row: "U11",
    name: `${JSON.stringify(headers)} is ${retryAfter} s, and the cancel is sent once`,
    upstream: LANGGRAPH,
    ownership: "credential",
    script: {
      [`POST ${THREADS_RUN}/cancel`]: { status: 429, headers, body: {} },
      [`GET ${THREADS_RUN}`]: graph("running"),
    },
    asked: stop("thread_1", "run_1"),
    expected: { status: 429, code: "upstream_rate_limited", retryAfter, cancels: 1 },
  }),
);

// ── U12: a stateless run whose thread is gone after the cancel ──────────────────────────────────

const gone: readonly WorldCase[] = SOURCES.flatMap((ownership) =>
  [{ status: 202 }, { status: 204 }, { status: 200, body: {} }].map(
    (taken): WorldCase => ({
      row: "U12",
      name: `a run that is gone after its cancel (${taken.status}) is not confirmed, and whole`,
      upstream: LANGGRAPH,
      ownership,
      script: {
        [`GET ${THREADS_RUN}`]: [
          ...(ownership === "metadata" ? [graph("running")] : []),
          detail(404, "Thread with ID thread_1 not found"),
        ],
        [`POST ${THREADS_RUN}/cancel`]: taken,
      },
      asked: stop("thread_1", "run_1"),
      expected: {
        status: 200,
        outcome: "not_confirmed",
        answer: {
          id: "run_1",
          object: "thread.run",
          thread_id: "thread_1",
          status: "cancelling",
          tools: [],
          usage: null,
        },
        cancels: 1,
      },
    }),
  ),
);

const unreadable: readonly [name: string, reply: WorldReply][] = [
  ["500", { status: 500 }],
  ["429", { status: 429, headers: { "retry-after": "9" } }],
  ["410", { status: 410 }],
  ["401", { status: 401, body: { error: "no" } }],
  ["404 as a text", { status: 404, body: "404 Not Found" }],
  ["another's 200", ok({ id: "x" })],
  ["a page", ok("<html>")],
];

/** A cancel that was taken, of what cannot be read afterwards. */
const unread: readonly WorldCase[] = [
  ...SOURCES.flatMap((ownership) =>
    unreadable.map(
      ([name, reply]): WorldCase => ({
        row: "U12",
        name: `a run that cannot be read after its cancel (${name}) is not confirmed, and whole`,
        upstream: LANGGRAPH,
        ownership,
        script: {
          [`GET ${THREADS_RUN}`]: [...(ownership === "metadata" ? [graph("running")] : []), reply],
          [`POST ${THREADS_RUN}/cancel`]: { status: 202 },
        },
        asked: stop("thread_1", "run_1"),
        expected: {
          status: 200,
          outcome: "not_confirmed",
          answer: { id: "run_1", object: "thread.run", thread_id: "thread_1", tools: [] },
          cancels: 1,
          event: { type: "cancel", result: "not_confirmed" },
        },
      }),
    ),
  ),
  ...SOURCES.flatMap((ownership) =>
    unreadable.map(([name, reply]): WorldCase => {
      const isRead = ownership === "metadata";
      return {
        row: "U12",
        name: `a response that cannot be read after its cancel (${name}) is not confirmed, and whole`,
        upstream: RESPONSES,
        ownership,
        grants: [{ thread_id: "t", run_id: "resp_1" }],
        script: {
          "GET /responses/resp_1": [...(isRead ? [ok(response("in_progress"))] : []), reply],
          "POST /responses/resp_1/cancel": ok(response("cancelled", { model: "m" })),
        },
        asked: stopResponse("resp_1"),
        expected: {
          status: 200,
          outcome: "not_confirmed",
          answer: { id: "resp_1", object: "response", model: "m", output: [] },
          cancels: 1,
          reads: isRead ? 2 : 1,
        },
      };
    }),
  ),
];

/** Has what .NET, Go and PHP escape in JSON although nothing says that they must. */
const ESCAPED_KEY = "k3y&9f_2<z8-x>1q&77+ab'cd&ef";
const escaping = (letters: string) => (text: string) =>
  Array.from(text, (one) =>
    letters.includes(one) ? `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}` : one,
  ).join("");
const HTML: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const ESCAPERS: readonly [name: string, escaped: (text: string) => string][] = [
  ["as .NET does", escaping("&<>'\"+")],
  ["as Go does", escaping("&<>")],
  ["as .NET does, in JSON in JSON", (text) => escaping("&<>'+")(text).replaceAll("\\", "\\\\")],
  ["as in HTML", (text) => text.replace(/[&<>]/g, (one) => HTML[one] ?? one)],
  ["as in HTML, by numbers", (text) => text.replace(/['+]/g, (one) => `&#${one.charCodeAt(0)};`)],
];

const escapes: readonly WorldCase[] = ESCAPERS.map(([name, escaped]): WorldCase => {
  const parts = ["k3y&9f_2<z8-x>", "1q&77+ab'cd&ef"].map(escaped);
  const words = `The key ${escaped(ESCAPED_KEY)} is not allowed.`;
  const body = { ...run("failed", { last_error: { code: "server_error", message: "{words}" } }) };
  const named = JSON.stringify({ ...body, metadata: { [OWN]: 1 } });
  return {
    row: "D12",
    name: `in the error of a run, escaped ${name}`,
    upstream: ASSISTANTS,
    ownership: "credential",
    keys: [ESCAPED_KEY],
    script: {
      [`GET ${THREADS_RUN}`]: ok(
        named.replace("{words}", words).replace(OWN, `k ${escaped(ESCAPED_KEY)}`),
      ),
    },
    asked: look("thread_1", "run_1"),
    expected: {
      status: 200,
      answer: {
        last_error: { message: "The key [hidden] is not allowed." },
        metadata: { "k [hidden]": "1" },
      },
      cancels: 0,
      hides: ["k3y&9f_2<z8-x>", "1q&77+ab'cd&ef", "f_2", "ab'cd", ...parts],
    },
  };
});

/** A key that is a word of JSON, or of every run. */
const plainKeys: readonly WorldCase[] = ["null", "true", "none", "12345678", "status", "false"].map(
  (key): WorldCase => ({
    row: "D12",
    name: `a reply stays JSON whatever the key is: ${key}`,
    upstream: ASSISTANTS,
    ownership: "credential",
    keys: [key],
    script: {
      [`GET ${THREADS_RUN}`]: [
        ok(run("in_progress", { created_at: 12_345_678, last_error: null, is_on: [true, false] })),
        ok(
          run("cancelled", {
            created_at: 12_345_678,
            instructions: `key ${key}.`,
            last_error: null,
            is_on: [true, false],
          }),
        ),
      ],
      [`POST ${THREADS_RUN}/cancel`]: ok(run("cancelled", { last_error: null })),
    },
    asked: stop("thread_1", "run_1"),
    expected: {
      status: 200,
      outcome: "cancelled",
      answer: { created_at: 12_345_678, instructions: "key [hidden]." },
      cancels: 1,
    },
  }),
);

export const STOP_CASES: readonly WorldCase[] = [
  ...unread,
  ...escapes,
  ...plainKeys,
  ...refusals,
  ...alone,
  ...agents,
  ...forbiddenStates,
  ...malformedIds,
  ...noSuccess,
  ...silentSuccess,
  ...acknowledgements,
  ...cancelledCalls,
  ...forbidden,
  ...shapes,
  ...limits,
  ...gone,
  ...echoes,
  ...crowded,
  ...oddRuns,
  ...wrongThread,
  ...threadCosts,
  ...unknownStates,
  ...words,
];
