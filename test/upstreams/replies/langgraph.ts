// `langgraph` on the wire: `langgraphjs dev` 1.5.1 as it answered on 2026-11-22, body by body. Its
// second cancels, its ends by cancel and its 404s are all recorded; `timeout`, the refusals of a key
// and of a rate are not, and follow the Python servers' `{"detail": …}`.
import { type Exchange, json, plain, type Replies, type WireReply } from "./replies.ts";

const BASE = "https://graphs.example.com";

/** 202, no content type, no body. */
const ACCEPTED: WireReply = {
  status: 202,
  headers: { "access-control-allow-origin": "*" },
  body: "",
};

/** The server's CORS headers are for its own browsers, not for ours. */
function recorded(body: string): WireReply {
  return json(200, body, {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "content-location,x-pagination-total",
  });
}

const SLEEPER = {
  threadId: "01a20484-d8f7-76de-b543-d076dd056da3",
  runId: "01a20484-d900-70ee-939f-874047c80ca3",
};
/** get run running */
const RUNNING = recorded(
  '{"run_id":"01a20484-d900-70ee-939f-874047c80ca3","thread_id":"01a20484-d8f7-76de-b543-d076dd056da3","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","metadata":{"created_by":"system","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","tenant":"acme","user":"user-1"},"status":"running","kwargs":{"input":{},"config":{"configurable":{"user-agent":"node","run_id":"01a20484-d900-70ee-939f-874047c80ca3","thread_id":"01a20484-d8f7-76de-b543-d076dd056da3","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd"},"metadata":{"created_by":"system","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","tenant":"acme","user":"user-1"}},"context":{},"stream_mode":["values"],"temporary":false,"subgraphs":false,"resumable":false},"multitask_strategy":"reject","created_at":"2026-11-22T18:29:04.897Z","updated_at":"2026-11-22T18:29:04.897Z"}',
);
/** get run +0ms, and the same text after a second cancel */
const INTERRUPTED = recorded(
  '{"run_id":"01a20484-d900-70ee-939f-874047c80ca3","thread_id":"01a20484-d8f7-76de-b543-d076dd056da3","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","metadata":{"created_by":"system","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","tenant":"acme","user":"user-1"},"status":"interrupted","kwargs":{"input":{},"config":{"configurable":{"user-agent":"node","run_id":"01a20484-d900-70ee-939f-874047c80ca3","thread_id":"01a20484-d8f7-76de-b543-d076dd056da3","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd"},"metadata":{"created_by":"system","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","tenant":"acme","user":"user-1"}},"context":{},"stream_mode":["values"],"temporary":false,"subgraphs":false,"resumable":false},"multitask_strategy":"reject","created_at":"2026-11-22T18:29:04.897Z","updated_at":"2026-11-22T18:29:06.532Z"}',
);

const DELAYED = {
  threadId: "01a20484-e403-73d9-8ff6-e47f3d293666",
  runId: "01a20484-e406-7401-a6e3-73eeae041e56",
};
/** get pending run */
const PENDING = recorded(
  '{"run_id":"01a20484-e406-7401-a6e3-73eeae041e56","thread_id":"01a20484-e403-73d9-8ff6-e47f3d293666","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","metadata":{"created_by":"system","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","tenant":"acme","user":"user-1"},"status":"pending","kwargs":{"input":{},"config":{"configurable":{"user-agent":"node","run_id":"01a20484-e406-7401-a6e3-73eeae041e56","thread_id":"01a20484-e403-73d9-8ff6-e47f3d293666","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd"},"metadata":{"created_by":"system","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","tenant":"acme","user":"user-1"}},"context":{},"stream_mode":["values"],"temporary":false,"subgraphs":false,"resumable":false},"multitask_strategy":"reject","created_at":"2026-11-22T18:29:37.718Z","updated_at":"2026-11-22T18:29:07.718Z"}',
);
/** get run after cancel of pending */
const PENDING_INTERRUPTED = recorded(
  '{"run_id":"01a20484-e406-7401-a6e3-73eeae041e56","thread_id":"01a20484-e403-73d9-8ff6-e47f3d293666","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","metadata":{"created_by":"system","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","tenant":"acme","user":"user-1"},"status":"interrupted","kwargs":{"input":{},"config":{"configurable":{"user-agent":"node","run_id":"01a20484-e406-7401-a6e3-73eeae041e56","thread_id":"01a20484-e403-73d9-8ff6-e47f3d293666","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd"},"metadata":{"created_by":"system","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","tenant":"acme","user":"user-1"}},"context":{},"stream_mode":["values"],"temporary":false,"subgraphs":false,"resumable":false},"multitask_strategy":"reject","created_at":"2026-11-22T18:29:37.718Z","updated_at":"2026-11-22T18:29:07.727Z"}',
);

const HUMAN = {
  threadId: "01a20484-fe94-77dc-b2ab-99bd43ef6deb",
  runId: "01a20484-fe96-7228-9897-f734dffaf378",
};
/** get human run waiting, and the same text after its cancel: only the thread says `interrupted` */
const HUMAN_WAITING = recorded(
  '{"run_id":"01a20484-fe96-7228-9897-f734dffaf378","thread_id":"01a20484-fe94-77dc-b2ab-99bd43ef6deb","assistant_id":"b33929e2-0ee8-5d59-a8a4-0d204a19e61f","metadata":{"created_by":"system","graph_id":"human","assistant_id":"b33929e2-0ee8-5d59-a8a4-0d204a19e61f","tenant":"acme","user":"user-1"},"status":"success","kwargs":{"input":{},"config":{"configurable":{"user-agent":"node","run_id":"01a20484-fe96-7228-9897-f734dffaf378","thread_id":"01a20484-fe94-77dc-b2ab-99bd43ef6deb","graph_id":"human","assistant_id":"b33929e2-0ee8-5d59-a8a4-0d204a19e61f"},"metadata":{"created_by":"system","graph_id":"human","assistant_id":"b33929e2-0ee8-5d59-a8a4-0d204a19e61f","tenant":"acme","user":"user-1"}},"context":{},"stream_mode":["values"],"temporary":false,"subgraphs":false,"resumable":false},"multitask_strategy":"reject","created_at":"2026-11-22T18:29:14.519Z","updated_at":"2026-11-22T18:29:14.628Z"}',
);

const QUICK = {
  threadId: "01a20484-e373-7149-af98-20b936cc6b5e",
  runId: "01a20484-e377-72d9-8391-603fa3a495f0",
};
/** get quick run success, and the same text after its cancel */
const SUCCESS = recorded(
  '{"run_id":"01a20484-e377-72d9-8391-603fa3a495f0","thread_id":"01a20484-e373-7149-af98-20b936cc6b5e","assistant_id":"11c71cb5-7655-5e38-a797-ade71597b0b0","metadata":{"created_by":"system","graph_id":"quick","assistant_id":"11c71cb5-7655-5e38-a797-ade71597b0b0","tenant":"acme","user":"user-1"},"status":"success","kwargs":{"input":{},"config":{"configurable":{"user-agent":"node","run_id":"01a20484-e377-72d9-8391-603fa3a495f0","thread_id":"01a20484-e373-7149-af98-20b936cc6b5e","graph_id":"quick","assistant_id":"11c71cb5-7655-5e38-a797-ade71597b0b0"},"metadata":{"created_by":"system","graph_id":"quick","assistant_id":"11c71cb5-7655-5e38-a797-ade71597b0b0","tenant":"acme","user":"user-1"}},"context":{},"stream_mode":["values"],"temporary":false,"subgraphs":false,"resumable":false},"multitask_strategy":"reject","created_at":"2026-11-22T18:29:07.576Z","updated_at":"2026-11-22T18:29:07.614Z"}',
);

const ROLLED_BACK = {
  threadId: "01a20484-e42d-7245-9d59-704b405bfd81",
  runId: "01a20484-e431-71fd-b3d5-01b9a0c7aaba",
};
/** get run after rollback */
const ERROR = recorded(
  '{"run_id":"01a20484-e431-71fd-b3d5-01b9a0c7aaba","thread_id":"01a20484-e42d-7245-9d59-704b405bfd81","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","metadata":{"created_by":"system","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","tenant":"acme","user":"user-1"},"status":"error","kwargs":{"input":{},"config":{"configurable":{"user-agent":"node","run_id":"01a20484-e431-71fd-b3d5-01b9a0c7aaba","thread_id":"01a20484-e42d-7245-9d59-704b405bfd81","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd"},"metadata":{"created_by":"system","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","tenant":"acme","user":"user-1"}},"context":{},"stream_mode":["values"],"temporary":false,"subgraphs":false,"resumable":false},"multitask_strategy":"reject","created_at":"2026-11-22T18:29:07.762Z","updated_at":"2026-11-22T18:29:08.596Z"}',
);

const DISPLACED = {
  threadId: "01a20485-033f-7348-996d-6f6ada5af908",
  runId: "01a20485-0343-742f-900c-baacf424c6db",
};
/** get displaced run: a new run took its thread */
const DISPLACED_INTERRUPTED = recorded(
  '{"run_id":"01a20485-0343-742f-900c-baacf424c6db","thread_id":"01a20485-033f-7348-996d-6f6ada5af908","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd","metadata":{"created_by":"system","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd"},"status":"interrupted","kwargs":{"input":{},"config":{"configurable":{"user-agent":"node","run_id":"01a20485-0343-742f-900c-baacf424c6db","thread_id":"01a20485-033f-7348-996d-6f6ada5af908","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd"},"metadata":{"created_by":"system","graph_id":"sleeper","assistant_id":"02afb2ea-2bbc-5326-9320-4fd170a6dffd"}},"context":{},"stream_mode":["values"],"temporary":false,"subgraphs":false,"resumable":false},"multitask_strategy":"reject","created_at":"2026-11-22T18:29:15.715Z","updated_at":"2026-11-22T18:29:16.141Z"}',
);

/** Not recorded: the run that was, with the word and the time of another end. */
const TIMED_OUT = recorded(RUNNING.body.replace('"running"', '"timeout"'));
/** Not recorded: the race is lost when the run is over before the cancel arrives. */
const OVERTAKEN = recorded(RUNNING.body.replace('"running"', '"success"'));

function ended(target: Exchange["target"], read: WireReply): Exchange {
  return { target, before: read, cancel: ACCEPTED, after: read };
}

const NO_RUN = plain(404, "Run not found");
const NO_UUID = {
  run: json(
    400,
    '{"success":false,"error":{"issues":[{"validation":"uuid","code":"invalid_string","message":"Invalid uuid","path":["run_id"]}],"name":"ZodError"}}',
  ),
  thread: json(
    400,
    '{"success":false,"error":{"issues":[{"validation":"uuid","code":"invalid_string","message":"Invalid uuid","path":["thread_id"]}],"name":"ZodError"}}',
  ),
};
const UNKNOWN_ID = "01900000-0000-7000-8000-000000000000";

export const langgraphReplies: Replies = {
  baseUrl: BASE,
  options: { action: "interrupt" },
  cancelOf: ({ threadId, runId }) =>
    `POST ${BASE}/threads/${threadId}/runs/${runId}/cancel?action=interrupt`,
  readOf: ({ threadId, runId }) => `GET ${BASE}/threads/${threadId}/runs/${runId}`,
  listed: {
    of: ({ threadId }) =>
      ["pending", "running"].map(
        (status) => `GET ${BASE}/threads/${threadId}/runs?status=${status}&limit=20`,
      ),
    replies: [recorded("[]"), recorded(`[${RUNNING.body}]`)],
    active: [SLEEPER.runId],
  },
  credential: ["x-api-key", "sk-canary-b47f0e9d2c61QZ7x"],
  headers: {},

  accepting: "nothing",
  active: { target: SLEEPER, before: RUNNING, cancel: ACCEPTED, after: INTERRUPTED },
  queued: { target: DELAYED, before: PENDING, cancel: ACCEPTED, after: PENDING_INTERRUPTED },
  waiting: {
    target: HUMAN,
    before: HUMAN_WAITING,
    cancel: ACCEPTED,
    after: HUMAN_WAITING,
    status: "completed",
    end: "already_completed",
  },
  windingDown: null,
  lostRace: { target: SLEEPER, before: RUNNING, cancel: ACCEPTED, after: OVERTAKEN },
  ended: {
    cancelled: ended(SLEEPER, INTERRUPTED),
    completed: ended(QUICK, SUCCESS),
    failed: ended(ROLLED_BACK, ERROR),
    expired: ended(SLEEPER, TIMED_OUT),
    incomplete: null,
  },
  unfound: [
    {
      name: "an unknown run",
      target: { threadId: SLEEPER.threadId, runId: UNKNOWN_ID },
      cancel: NO_RUN,
      read: NO_RUN,
    },
    {
      name: "an unknown thread",
      target: { threadId: UNKNOWN_ID, runId: SLEEPER.runId },
      cancel: NO_RUN,
      read: plain(404, "Thread with ID 01900000-0000-7000-8000-000000000000 not found"),
    },
    {
      name: "another thread's run",
      target: { threadId: QUICK.threadId, runId: SLEEPER.runId },
      cancel: NO_RUN,
      read: NO_RUN,
    },
    {
      name: "a run id that is no UUID",
      target: { threadId: SLEEPER.threadId, runId: "run_123" },
      cancel: NO_UUID.run,
      read: NO_UUID.run,
    },
    {
      name: "a thread id that is no UUID",
      target: { threadId: "thread_123", runId: SLEEPER.runId },
      cancel: NO_UUID.thread,
      read: NO_UUID.thread,
    },
    {
      name: "an unknown run, as the Python servers say it",
      target: { threadId: SLEEPER.threadId, runId: UNKNOWN_ID },
      cancel: json(404, '{"detail":"No runs found to cancel."}'),
      read: json(404, '{"detail":"Run not found"}'),
    },
    {
      name: "an id that is no UUID, as the Python servers say it",
      target: { threadId: "thread_123", runId: SLEEPER.runId },
      cancel: json(422, '{"detail":"Invalid thread ID: must be a UUID"}'),
      read: json(422, '{"detail":"Invalid thread ID: must be a UUID"}'),
    },
    {
      name: "an unknown run, as Aegra says it",
      target: { threadId: "thread_123", runId: "run_123" },
      cancel: json(404, `{"error":"not_found","message":"Run 'run_123' not found","details":null}`),
      read: json(404, `{"error":"not_found","message":"Run 'run_123' not found","details":null}`),
    },
  ],

  badKey: json(403, '{"detail":"Invalid API key: sk-canar**************QZ7x"}'),
  rateLimited: {
    reply: json(429, '{"detail":"Too many requests of canary"}', { "retry-after": "7" }),
    seconds: 7,
  },
  rateLimitedSilently: json(429, '{"detail":"Too many requests of canary"}'),
  serverError: plain(500, "Internal Server Error of canary"),
  overloaded: plain(503, "no healthy upstream canary"),
  wrongTypes: recorded(
    '{"run_id": 12, "thread_id": [], "created_at": "canary", "status": {"canary": true}, "metadata": "canary"}',
  ),
  wrongAddress: plain(404, "404 Not Found"),
  retired: null,

  dialects: [
    {
      name: "a run that another one displaced is interrupted too",
      target: DISPLACED,
      replies: [ACCEPTED, DISPLACED_INTERRUPTED],
      ends: { outcome: "cancelled", status: "cancelled" },
    },
    {
      name: "a server that waits answers 204",
      target: SLEEPER,
      replies: [{ ...ACCEPTED, status: 204 }, INTERRUPTED],
      ends: { outcome: "cancelled", status: "cancelled" },
    },
    {
      name: "the run goes on for a while after its cancel",
      target: SLEEPER,
      replies: [ACCEPTED, RUNNING],
      ends: { outcome: "cancelling", status: "cancelling" },
    },
    {
      name: "a hosted server refuses to cancel an ended run, as the docs have it",
      target: QUICK,
      replies: [json(409, '{"detail":"Run is not cancellable"}'), SUCCESS],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "Aegra answers with the run, which may have ended",
      target: SLEEPER,
      replies: [aegraRun("success"), aegraRun("success")],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "Aegra answers with a run that still moves",
      target: SLEEPER,
      replies: [aegraRun("running")],
      ends: { outcome: "cancelling", status: "cancelling" },
    },
    {
      name: "Aegra says interrupted of a run that waits for a human, which a refusal does not cancel",
      target: SLEEPER,
      before: aegraRun("interrupted"),
      replies: [
        json(409, '{"error":"conflict","message":"canary","details":null}'),
        aegraRun("interrupted"),
      ],
      ends: { outcome: "not_confirmed", status: "requires_action" },
    },
  ],
};

/** No metadata, and members that must not get out. */
function aegraRun(status: string): WireReply {
  return json(
    200,
    `{"run_id":"${SLEEPER.runId}","thread_id":"${SLEEPER.threadId}","assistant_id":"agent","status":"${status}","input":{"text":"canary"},"output":null,"error_message":"canary","config":{"configurable":{"api_key":"canary"}},"context":{},"user_id":"canary","created_at":"2026-11-22T18:29:04.897Z","updated_at":"2026-11-22T18:29:06.532Z"}`,
  );
}
