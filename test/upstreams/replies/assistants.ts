// `assistants` on the wire: OpenAI's published examples and texts; open-assistant-api and Foundry
// classic as dialects. Not recorded anywhere: the texts for `failed` and `expired`, and the 404 of today.
import {
  altered,
  type Dialect,
  type Exchange,
  json,
  OPENAI_BAD_KEY,
  OPENAI_HEADERS,
  OPENAI_OVERLOADED,
  OPENAI_RATE_LIMITED,
  OPENAI_RATE_LIMITED_SILENTLY,
  OPENAI_SERVER_ERROR,
  openaiError,
  type Replies,
  type WireReply,
} from "./replies.ts";

const TARGET = { threadId: "thread_abc123", runId: "run_abc123" };
const BASE = "https://threads.example.com/api/v1";

/** The published example of a cancel, without some required keys and with one that is not declared. */
function run(status: string, members: Readonly<Record<string, string>> = {}): WireReply {
  const of = (name: string): string => members[name] ?? "null";
  return json(
    200,
    `{
  "id": "run_abc123",
  "object": "thread.run",
  "created_at": 1699076126,
  "assistant_id": "asst_abc123",
  "thread_id": "thread_abc123",
  "status": "${status}",
  "started_at": 1699076126,
  "expires_at": 1699076726,
  "cancelled_at": ${of("cancelled_at")},
  "failed_at": ${of("failed_at")},
  "completed_at": ${of("completed_at")},
  "required_action": ${of("required_action")},
  "last_error": ${of("last_error")},
  "incomplete_details": ${of("incomplete_details")},
  "model": "gpt-4o",
  "instructions": "You summarize books.",
  "tools": [
    {
      "type": "file_search"
    }
  ],
  "tool_resources": {
    "file_search": {
      "vector_store_ids": ["vs_canary"]
    }
  },
  "metadata": {},
  "usage": ${of("usage")},
  "temperature": 1.0,
  "top_p": 1.0,
  "response_format": "auto",
  "tool_choice": "auto",
  "parallel_tool_calls": true
}
`,
    OPENAI_HEADERS,
  );
}

const USAGE = '{"prompt_tokens": 123, "completion_tokens": 456, "total_tokens": 579}';
const CANCELLING = run("cancelling");
const CANCELLED = run("cancelled", { cancelled_at: "1699076130", usage: USAGE });
const COMPLETED = run("completed", { completed_at: "1699076131", usage: USAGE });

function refused(status: string): WireReply {
  return openaiError(400, `Cannot cancel run with status '${status}'.`);
}

function ended(status: string, read: WireReply): Exchange {
  return { target: TARGET, before: read, cancel: refused(status), after: read };
}

const NO_THREAD = "No thread found with id 'thread_canary'.";
const NO_RUN = "No run found with id 'run_canary'.";

export const assistantsReplies: Replies = {
  baseUrl: BASE,
  options: {},
  cancelOf: ({ threadId, runId }) => `POST ${BASE}/threads/${threadId}/runs/${runId}/cancel`,
  readOf: ({ threadId, runId }) => `GET ${BASE}/threads/${threadId}/runs/${runId}`,
  listed: {
    of: ({ threadId }) => [`GET ${BASE}/threads/${threadId}/runs?order=desc&limit=20`],
    replies: [
      json(
        200,
        `{"object":"list","data":[${run("requires_action").body},${run("completed").body.replaceAll(TARGET.runId, "run_before")}],"first_id":"canary","last_id":"canary","has_more":false}`,
        OPENAI_HEADERS,
      ),
    ],
    active: [TARGET.runId],
  },
  credential: ["authorization", "Bearer sk-canary-b47f0e9d2c61QZ7x"],
  headers: { "openai-beta": "assistants=v2" },

  accepting: "cancelling",
  active: { target: TARGET, before: run("in_progress"), cancel: CANCELLING, after: CANCELLED },
  queued: { target: TARGET, before: run("queued"), cancel: CANCELLING, after: CANCELLED },
  waiting: {
    target: TARGET,
    before: run("requires_action", {
      required_action:
        '{"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [{"id": "call_abc123", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}]}}',
    }),
    cancel: CANCELLING,
    after: CANCELLED,
    status: "requires_action",
    end: "cancelled",
  },
  windingDown: {
    target: TARGET,
    before: CANCELLING,
    cancel: refused("cancelling"),
    after: CANCELLED,
  },
  lostRace: { target: TARGET, before: run("in_progress"), cancel: CANCELLING, after: COMPLETED },
  ended: {
    cancelled: ended("cancelled", CANCELLED),
    completed: ended("completed", COMPLETED),
    failed: ended(
      "failed",
      run("failed", {
        failed_at: "1699076132",
        last_error: '{"code": "server_error", "message": "Sorry, something went wrong."}',
      }),
    ),
    expired: ended("expired", run("expired")),
    incomplete: ended(
      "incomplete",
      run("incomplete", { incomplete_details: '{"reason": "max_completion_tokens"}' }),
    ),
  },
  unfound: [
    {
      name: "an unknown thread",
      target: { threadId: "thread_canary", runId: "run_abc123" },
      cancel: openaiError(404, NO_THREAD),
      read: openaiError(404, NO_THREAD),
    },
    {
      name: "an unknown run",
      target: { threadId: "thread_abc123", runId: "run_canary" },
      cancel: openaiError(404, NO_RUN),
      read: openaiError(404, NO_RUN),
    },
    {
      name: "another thread's run, which the server gives away",
      target: { threadId: "thread_other", runId: "run_abc123" },
      cancel: CANCELLING,
      read: run("in_progress"),
    },
    {
      name: "an unknown run, by another server's text",
      target: { threadId: "thread_abc123", runId: "run_canary" },
      cancel: openaiError(404, "run run_canary not found", "not_found_error", "resource_not_found"),
      read: openaiError(404, "run run_canary not found", "not_found_error", "resource_not_found"),
    },
  ],

  badKey: OPENAI_BAD_KEY,
  rateLimited: OPENAI_RATE_LIMITED,
  rateLimitedSilently: OPENAI_RATE_LIMITED_SILENTLY,
  serverError: OPENAI_SERVER_ERROR,
  overloaded: OPENAI_OVERLOADED,
  wrongTypes: json(
    200,
    '{"id": 12, "object": [], "created_at": "canary", "status": {"canary": true}, "tools": "canary"}',
  ),
  wrongAddress: null,
  retired: {
    baseUrl: "https://api.openai.com/v1",
    reply: openaiError(404, "Invalid URL (POST /v1/threads/thread_abc123/canary)"),
  },

  dialects: [...openAssistant(), ...foundry()],
};

/** Cancels only what is in progress, by the run's id alone, and has an opinion of its own on nulls. */
function openAssistant(): Dialect[] {
  const cancelling = openAssistantRun("cancelling", "1699076128.25");
  const cannot = openAssistantRefusal("run run_abc123 cannot cancel");
  return [
    {
      name: "open-assistant-api sets cancelled_at at once and has times as floats",
      target: TARGET,
      replies: [cancelling],
      ends: { outcome: "cancelling", status: "cancelling" },
    },
    {
      name: "open-assistant-api has times as texts without a zone",
      target: TARGET,
      replies: [
        altered(
          altered(cancelling, "1699076126.5", '"2023-11-04T05:35:26.500000"'),
          "1699076128.25",
          '"2023-11-04T05:35:28.250000"',
        ),
      ],
      ends: { outcome: "cancelling", status: "cancelling" },
    },
    {
      name: "open-assistant-api refuses a second cancel while it is cancelling",
      target: TARGET,
      replies: [openAssistantRefusal("run run_abc123 already cancel"), cancelling],
      ends: { outcome: "cancelling", status: "cancelling" },
    },
    {
      name: "open-assistant-api cannot cancel a queued run",
      target: TARGET,
      replies: [cannot, openAssistantRun("queued", "null")],
      ends: { outcome: "not_confirmed", status: "queued" },
    },
    {
      name: "open-assistant-api cannot cancel a run that waits for its client, of whose action it shows nothing",
      target: TARGET,
      before: openAssistantRun("requires_action", "null"),
      replies: [cannot, openAssistantRun("requires_action", "null")],
      ends: { outcome: "not_confirmed", status: "requires_action" },
    },
    {
      name: "open-assistant-api cannot cancel a run that is cancelled",
      target: TARGET,
      replies: [cannot, openAssistantRun("cancelled", "1699076130.75")],
      ends: { outcome: "already_cancelled", status: "cancelled" },
    },
    {
      name: "open-assistant-api cannot cancel a run that has completed, cancelled or not",
      target: TARGET,
      replies: [cannot, openAssistantRun("completed", "1699076128.25")],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "open-assistant-api has words where others have objects",
      target: TARGET,
      replies: [
        cannot,
        altered(
          altered(
            openAssistantRun("failed", "null"),
            '"tool_choice":"auto"',
            '"tool_choice":"canary"',
          ),
          '"incomplete_details":null',
          '"incomplete_details":"canary"',
        ),
      ],
      ends: { outcome: "already_failed", status: "failed" },
    },
    {
      name: "open-assistant-api cancels a run of another thread, and shows whose it was",
      target: { threadId: "thread_other", runId: "run_abc123" },
      replies: [cancelling],
      ends: "run_not_found",
    },
    {
      name: "open-assistant-api does not find a run, in its own words",
      target: TARGET,
      replies: [
        openaiError(404, "run run_abc123 not found", "not_found_error", "resource_not_found"),
      ],
      ends: "run_not_found",
    },
  ];
}

/** Microsoft's classic agents: every request names a version, and an error may be all nulls. */
function foundry(): Dialect[] {
  const options = { api_version: "v1" };
  const error = (status: number, message: string | null) =>
    json(status, JSON.stringify({ error: { message, type: null, param: null, code: null } }));
  const blocked = run("incomplete", { incomplete_details: '{"reason": "content_filter"}' });
  return [
    {
      name: "Foundry classic cancels",
      target: TARGET,
      options,
      replies: [CANCELLING],
      ends: { outcome: "cancelling", status: "cancelling" },
    },
    {
      name: "Foundry classic has nulls for the rest of an error",
      target: TARGET,
      options,
      replies: [error(400, "Cannot cancel run with status 'completed'."), COMPLETED],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "Foundry classic refuses a second cancel while it is cancelling",
      target: TARGET,
      options,
      replies: [error(400, "Cannot cancel run with status 'cancelling'."), CANCELLING],
      ends: { outcome: "cancelling", status: "cancelling" },
    },
    {
      name: "Foundry classic leaves members of an error out, of a run that was blocked for safety",
      target: TARGET,
      options,
      replies: [
        json(400, `{"error":{"message":"Cannot cancel run with status 'incomplete'."}}`),
        blocked,
      ],
      ends: { outcome: "already_incomplete", status: "incomplete" },
    },
    {
      name: "Foundry classic does not even say what it refuses",
      target: TARGET,
      options,
      replies: [error(400, null), run("expired")],
      ends: { outcome: "already_expired", status: "expired" },
    },
    {
      name: "Foundry classic is not asked to cancel a run that was blocked for safety",
      target: TARGET,
      options,
      before: blocked,
      replies: [],
      ends: { outcome: "already_incomplete", status: "incomplete" },
    },
    {
      name: "Foundry classic does not find a run",
      target: TARGET,
      options,
      replies: [error(404, NO_RUN)],
      ends: "run_not_found",
    },
  ];
}

function openAssistantRefusal(message: string): WireReply {
  return openaiError(400, message, "invalid_request_error", "bad_request");
}

/** Nulls where OpenAI has none, words where it has objects, and keys that must not get out. */
function openAssistantRun(status: string, cancelledAt: string): WireReply {
  return json(
    200,
    `{"id":"run_abc123","object":"thread.run","created_at":1699076126.5,"updated_at":"2023-11-04T05:35:28","thread_id":"thread_abc123","assistant_id":"asst_abc123","status":"${status}","required_action":{},"last_error":null,"expires_at":null,"started_at":1699076126.5,"cancelled_at":${cancelledAt},"failed_at":null,"completed_at":null,"incomplete_details":null,"model":null,"instructions":null,"additional_instructions":"canary","tools":[],"file_ids":["file_canary"],"metadata":{},"usage":null,"truncation_strategy":null,"tool_choice":"auto","stream_options":null,"extra_body":{"tools":{"search":{"api_key":"gAAAA-canary"}}}}`,
  );
}
