// The cases of shapes: ids of any letters, replies and lists of any size, servers that rename what they are asked
// for, items of a response. Data.
import {
  look,
  OWN,
  type Script,
  type Source,
  stop,
  stopResponse,
  stopThread,
  type WorldCase,
} from "./case.ts";

const ok = (body: unknown) => ({ status: 200, body });
const KB = 1_000;
const MIB = 1_024 * 1_024;
const SOURCES: readonly Source[] = ["metadata", "grant", "credential", "registry"];

interface Wire {
  readonly upstream: WorldCase["upstream"];
  /** The word for one that moves, and for one that was cancelled. */
  readonly words: readonly [moving: string, cancelled: string];
  readonly run: (thread: string, id: string, status: string, more?: object) => unknown;
  readonly paths: (
    thread: string,
    id: string,
  ) => { readonly read: string; readonly cancel: string };
  /** What is read beside the run. */
  readonly beside?: (thread: string) => Script;
  /** The list of a thread's runs, where there is one. */
  readonly list?: (thread: string) => string;
}

const belowThread = (thread: string, id: string) => ({
  read: `/threads/${thread}/runs/${id}`,
  cancel: `/threads/${thread}/runs/${id}/cancel`,
});

const ASSISTANTS: Wire = {
  upstream: { kind: "assistants" },
  words: ["in_progress", "cancelled"],
  run: (thread_id, id, status, more = {}) => ({ id, thread_id, status, metadata: OWN, ...more }),
  paths: belowThread,
  list: (thread) => `/threads/${thread}/runs`,
};
const LANGGRAPH: Wire = {
  upstream: { kind: "langgraph" },
  words: ["running", "interrupted"],
  run: (thread_id, run_id, status, more = {}) => ({
    run_id,
    thread_id,
    status,
    metadata: OWN,
    ...more,
  }),
  paths: belowThread,
  list: (thread) => `/threads/${thread}/runs`,
};
const AGENTS: Wire = {
  upstream: { kind: "openai-agents" },
  words: ["in_progress", "cancelled"],
  run: (session_id, id, status, more = {}) => ({ id, session_id, status, ...more }),
  paths: (thread, id) => ({
    read: `/agents/sessions/${thread}/turns/${id}`,
    cancel: `/agents/sessions/${thread}/events`,
  }),
  beside: (thread) => ({ [`GET /agents/sessions/${thread}`]: ok({ id: thread, metadata: OWN }) }),
  list: (thread) => `/agents/sessions/${thread}/turns`,
};
const alone = (name: string) => (_: string, id: string) => ({
  read: `/${name}/${id}`,
  cancel: `/${name}/${id}/cancel`,
});
const RESPONSES: Wire = {
  upstream: { kind: "openai-responses" },
  words: ["in_progress", "cancelled"],
  run: (_, id, status, more = {}) => ({
    id,
    object: "response",
    status,
    output: [],
    metadata: OWN,
    ...more,
  }),
  paths: alone("responses"),
};
const LITELLM: Wire = { ...RESPONSES, upstream: { kind: "openai-responses", dialect: "litellm" } };
const PERPLEXITY: Wire = {
  ...RESPONSES,
  upstream: { kind: "openai-responses", dialect: "perplexity" },
  paths: alone("agent"),
};
const GEMINI: Wire = {
  upstream: { kind: "gemini-interactions" },
  words: ["in_progress", "cancelled"],
  run: (_, id, status, more = {}) => ({ id, status, labels: OWN, ...more }),
  paths: alone("interactions"),
};
const WIRES = [ASSISTANTS, LANGGRAPH, AGENTS, RESPONSES, LITELLM, PERPLEXITY, GEMINI];

/** Moves until it is cancelled; `more`: members of every reply. */
function stoppable(wire: Wire, thread: string, id: string, more: object = {}): Script {
  const { read, cancel } = wire.paths(thread, id);
  const [moving, cancelled] = wire.words;
  const after = ok(wire.run(thread, id, cancelled, more));
  return {
    // Proof of its owner, or of its thread, takes a read before.
    [`GET ${read}`]: [ok(wire.run(thread, id, moving, more)), after],
    [`POST ${cancel}`]: after,
    ...wire.beside?.(thread),
  };
}

// ── U2: ids are opaque ──────────────────────────────────────────────────────────────────────────

const LITELLMS = `resp_v3:gcm:${"aB3-_".repeat(86)}==`;
const OPAQUE = [LITELLMS, `resp_${"Zm9v".repeat(53)}=`, "a.b:c+d", "x".repeat(1_024)];

const ids: readonly WorldCase[] = [
  ...WIRES.flatMap((wire) =>
    OPAQUE.map(
      (id): WorldCase => ({
        row: "U2",
        name: `the id ${id.slice(0, 16)}… of ${id.length} characters, of a run and of its thread`,
        upstream: wire.upstream,
        ownership: "metadata",
        script: stoppable(wire, id, id),
        asked: stop(id, id),
        expected: { status: 200, outcome: "cancelled", answer: { id }, cancels: 1 },
      }),
    ),
  ),
  ...WIRES.map(
    (wire): WorldCase => ({
      row: "U2",
      name: "LiteLLM's id, read",
      upstream: wire.upstream,
      ownership: "metadata",
      script: stoppable(wire, LITELLMS, LITELLMS),
      asked: look(LITELLMS, LITELLMS),
      expected: { status: 200, answer: { id: LITELLMS }, cancels: 0 },
    }),
  ),
  ...SOURCES.map(
    (ownership): WorldCase => ({
      row: "U2",
      name: "LiteLLM's id, as a response",
      upstream: LITELLM.upstream,
      ownership,
      script: stoppable(LITELLM, "", LITELLMS),
      asked: stopResponse(LITELLMS),
      expected: {
        status: 200,
        outcome: "cancelled",
        answer: { id: LITELLMS, object: "response" },
        cancels: 1,
        event: { type: "cancel", result: "cancelled" },
      },
    }),
  ),
  ...["....", "x".repeat(1_025), "a~b", "a%2Fb"].map(
    (id): WorldCase => ({
      row: "U2",
      name: `what is no id: ${id.slice(0, 8)}`,
      upstream: RESPONSES.upstream,
      ownership: "credential",
      script: {},
      asked: stopResponse(id),
      expected: { status: 404, code: "run_not_found", cancels: 0, reads: 0 },
    }),
  ),
];

// ── U3: another id in each reply ────────────────────────────────────────────────────────────────

const renaming = (wire: Wire): Script => {
  const { read, cancel } = wire.paths("thread_1", "resp_aaa");
  const [moving, cancelled] = wire.words;
  const under = (id: string, status: string) => ok(wire.run("thread_1", id, status));
  return {
    [`GET ${read}`]: [under("resp_bbb", moving), under("resp_ccc", cancelled)],
    [`POST ${cancel}`]: under("resp_ddd", cancelled),
    ...wire.beside?.("thread_1"),
  };
};

const otherIds: readonly WorldCase[] = [
  ...SOURCES.flatMap((ownership) =>
    [stop("thread_1", "resp_aaa"), stopResponse("resp_aaa")].map(
      (asked): WorldCase => ({
        row: "U3",
        name: `LiteLLM answers under another id (${asked.path.split("/")[2]})`,
        upstream: LITELLM.upstream,
        ownership,
        script: renaming(LITELLM),
        asked,
        expected: {
          status: 200,
          outcome: "cancelled",
          answer: { id: "resp_aaa" },
          cancels: 1,
          hides: ["resp_bbb", "resp_ccc", "resp_ddd"],
        },
      }),
    ),
  ),
  ...WIRES.filter((wire) => wire !== LITELLM).map(
    (wire): WorldCase => ({
      row: "U3",
      name: "no other answers under another id",
      upstream: wire.upstream,
      ownership: "credential",
      script: renaming(wire),
      asked: look("thread_1", "resp_aaa"),
      expected: { status: 502, code: "upstream_error", cancels: 0 },
    }),
  ),
];

// ── U4: large replies ───────────────────────────────────────────────────────────────────────────

const heavy = (bytes: number) => ({ kwargs: { input: "x".repeat(bytes) } });
const image = (bytes: number) => ({
  output: [
    { type: "image_generation_call", id: "ig_1", status: "completed", result: "x".repeat(bytes) },
  ],
});

const large: readonly WorldCase[] = [
  ...WIRES.map(
    (wire): WorldCase => ({
      row: "U4",
      name: "a run with an input of 300 kB",
      upstream: wire.upstream,
      ownership: "metadata",
      script: stoppable(wire, "thread_1", "run_1", heavy(300 * KB)),
      asked: stop("thread_1", "run_1"),
      expected: { status: 200, outcome: "cancelled", cancels: 1 },
    }),
  ),
  {
    row: "U4",
    name: "a response with an image of 900 kB",
    upstream: RESPONSES.upstream,
    ownership: "metadata",
    script: stoppable(RESPONSES, "", "resp_1", image(900 * KB)),
    asked: stopResponse("resp_1"),
    expected: { status: 200, outcome: "cancelled", answer: image(900 * KB), cancels: 1 },
  },
  {
    row: "U4",
    name: "a cancel that was taken, of a run that is larger than any reply",
    upstream: LANGGRAPH.upstream,
    ownership: "credential",
    script: {
      "POST /threads/thread_1/runs/run_1/cancel": { status: 202 },
      "GET /threads/thread_1/runs/run_1": ok(
        LANGGRAPH.run("thread_1", "run_1", "interrupted", heavy(17 * MIB)),
      ),
    },
    asked: stop("thread_1", "run_1"),
    expected: {
      status: 200,
      outcome: "not_confirmed",
      answer: { id: "run_1", object: "thread.run", status: "cancelling" },
      cancels: 1,
    },
  },
  {
    row: "U4",
    name: "a cancel of a response whose every reply is larger than is read",
    upstream: RESPONSES.upstream,
    ownership: "credential",
    script: {
      "POST /responses/resp_1/cancel": ok(
        RESPONSES.run("", "resp_1", "cancelled", image(17 * MIB)),
      ),
      "GET /responses/resp_1": ok(RESPONSES.run("", "resp_1", "cancelled", image(17 * MIB))),
    },
    asked: stopResponse("resp_1"),
    expected: {
      status: 200,
      outcome: "not_confirmed",
      answer: { id: "resp_1", object: "response", output: [] },
      cancels: 1,
    },
  },
];

// ── U5: large lists ─────────────────────────────────────────────────────────────────────────────

const runsOf = (wire: Wire, from: number, count: number, status: string, bytes: number) =>
  Array.from({ length: count }, (_, index) =>
    wire.run("thread_1", `run_${from + index}`, status, heavy(bytes)),
  );

const lists: readonly WorldCase[] = [
  ...[ASSISTANTS, AGENTS].map(
    (wire): WorldCase => ({
      row: "U5",
      name: "a hundred runs of 3.6 kB, of which the newest moves",
      upstream: wire.upstream,
      ownership: "credential",
      script: {
        ...stoppable(wire, "thread_1", "run_0"),
        [`GET ${wire.list?.("thread_1")}`]: [
          ok({
            data: [
              ...runsOf(wire, 0, 1, wire.words[0], 3_600),
              ...runsOf(wire, 1, 99, "completed", 3_600),
            ],
            has_more: false,
          }),
        ],
      },
      asked: stopThread("thread_1"),
      expected: { status: 200, answer: { has_more: false, first_id: "run_0" }, cancels: 1 },
    }),
  ),
  {
    row: "U5",
    name: "LangGraph's heavy runs, page by page",
    upstream: LANGGRAPH.upstream,
    ownership: "metadata",
    script: {
      // Of those that wait there are none; those at work come in two pages.
      "GET /threads/thread_1/runs": [
        ok([]),
        ok(runsOf(LANGGRAPH, 0, 20, "running", 100 * KB).map(notMine)),
        ok(runsOf(LANGGRAPH, 20, 3, "running", 100 * KB)),
      ],
      ...Object.fromEntries(
        [20, 21, 22].flatMap((index) => Object.entries(cancelledAtOnce(`run_${index}`))),
      ),
    },
    asked: stopThread("thread_1"),
    expected: {
      status: 200,
      answer: { has_more: false, first_id: "run_20", last_id: "run_22" },
      cancels: 3,
    },
  },
  {
    row: "U5",
    name: "a page that fails after others: what was found is stopped",
    upstream: LANGGRAPH.upstream,
    ownership: "metadata",
    script: {
      "GET /threads/thread_1/runs": [
        ok([]),
        ok([
          ...runsOf(LANGGRAPH, 0, 1, "running", 0),
          ...runsOf(LANGGRAPH, 1, 19, "running", 0).map(notMine),
        ]),
        { status: 500, body: "canary" },
      ],
      ...cancelledAtOnce("run_0"),
    },
    asked: stopThread("thread_1"),
    expected: {
      status: 200,
      answer: { has_more: true, first_id: "run_0", last_id: "run_0" },
      cancels: 1,
      hides: ["canary"],
    },
  },
];

function notMine(run: unknown): unknown {
  return { ...(run as object), metadata: { tenant: "another" } };
}

function cancelledAtOnce(id: string): Script {
  return {
    [`POST /threads/thread_1/runs/${id}/cancel`]: { status: 202 },
    [`GET /threads/thread_1/runs/${id}`]: ok(LANGGRAPH.run("thread_1", id, "interrupted")),
  };
}

// ── U13: items of a response ────────────────────────────────────────────────────────────────────

const shown = (
  name: string,
  output: readonly unknown[],
  answer: readonly unknown[],
): WorldCase => ({
  row: "U13",
  name,
  upstream: RESPONSES.upstream,
  ownership: "metadata",
  script: { "GET /responses/resp_1": ok(RESPONSES.run("", "resp_1", "completed", { output })) },
  asked: { method: "GET", path: "/v1/responses/resp_1" },
  expected: { status: 200, answer: { output: answer }, cancels: 0, hides: ["canary"] },
});

const LOGPROB = { token: "hi", bytes: [104, 105], logprob: -0.1 };
const MESSAGE = {
  type: "message",
  id: "msg_1",
  role: "assistant",
  status: "completed",
  content: [
    {
      type: "output_text",
      text: "hi",
      annotations: [],
      logprobs: [{ ...LOGPROB, top_logprobs: [LOGPROB] }],
    },
  ],
};
const CALL = { type: "function_call", call_id: "c", name: "f", arguments: '{"token":"t"}' };
const SECRETS = Object.fromEntries(
  ["connectionString", "tokens", "cookies", "jwt", "sas_url", "headers", "env", "new_one"].map(
    (name) => [name, { value: "canary" }],
  ),
);

const items: readonly WorldCase[] = [
  shown("log probabilities keep their tokens", [MESSAGE], [MESSAGE]),
  shown("a call that the client answers keeps its arguments", [CALL], [CALL]),
  shown(
    "what no type names is not shown",
    [
      { ...MESSAGE, ...SECRETS },
      { ...CALL, ...SECRETS },
    ],
    [MESSAGE, CALL],
  ),
  shown(
    "what an MCP server was told, and where it is, is not shown",
    [
      {
        type: "mcp_call",
        name: "f",
        server_label: "w",
        arguments: '{"a":"canary"}',
        server_url: "canary",
      },
    ],
    [{ type: "mcp_call", name: "f", server_label: "w", arguments: "" }],
  ),
  shown(
    "of an item of an unknown type its words are shown",
    [
      {
        type: "vendor_call",
        id: "v",
        content: [{ type: "text", text: "hi", ...SECRETS }],
        ...SECRETS,
      },
    ],
    [{ type: "vendor_call", id: "v", content: [{ type: "text", text: "hi" }] }],
  ),
];

export const SHAPE_CASES: readonly WorldCase[] = [
  ...ids,
  ...otherIds,
  ...large,
  ...lists,
  ...items,
];
