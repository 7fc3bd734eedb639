// The cases of stopping: refusals that are none, success that is none, words, keys, threads. Data.
import { OWN, type Source, stop, stopResponse, stopThread, type WorldCase } from "./case.ts";

const ASSISTANTS = { kind: "assistants" } as const;
const RESPONSES = { kind: "openai-responses" } as const;
const LANGGRAPH = { kind: "langgraph" } as const;
const SOURCES: readonly Source[] = ["metadata", "grant", "credential", "registry"];

const ok = (body: unknown) => ({ status: 200, body });
const NOT_FOUND = { status: 404, code: "run_not_found" } as const;

const run = (status: string, more: object = {}) => ({
  id: "run_1",
  object: "thread.run",
  thread_id: "thread_1",
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

export const STOP_CASES: readonly WorldCase[] = [...wrongThread, ...threadCosts];
