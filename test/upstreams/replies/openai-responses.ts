// `openai-responses` on the wire: OpenAI's published example and its Azure contract texts; what the
// self-hosted servers do differently as dialects. Not recorded anywhere: the text for `incomplete`.
import {
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

const ID = "resp_67cb71b351908190a308f3859487620d06981a8637e6bc44";
const TARGET = { threadId: "thread_1", runId: ID };
const BASE = "https://responses.example.com/v1";

/** The published example of a cancel: partial output, and no usage. */
function response(status: string, members: Readonly<Record<string, string>> = {}): WireReply {
  const of = (name: string): string => members[name] ?? "null";
  return json(
    200,
    `{
  "id": "${ID}",
  "object": "response",
  "created_at": 1741386163,
  "status": "${status}",
  "background": true,
  "completed_at": ${of("completed_at")},
  "conversation": ${of("conversation")},
  "error": ${of("error")},
  "incomplete_details": ${of("incomplete_details")},
  "instructions": null,
  "max_output_tokens": null,
  "model": "gpt-4o-2024-08-06",
  "output": [
    {
      "type": "message",
      "id": "msg_67cb71b3c2b0819084d481baaaf148f206981a8637e6bc44",
      "status": "in_progress",
      "role": "assistant",
      "content": [
        {
          "type": "output_text",
          "text": "Silent canaries hum,  \\nThoughts emerge in data streams—  \\nDigital dawn breaks.",
          "annotations": []
        }
      ]
    }
  ],
  "parallel_tool_calls": true,
  "previous_response_id": null,
  "reasoning": {
    "effort": null,
    "summary": null
  },
  "store": true,
  "temperature": 1.0,
  "text": {
    "format": {
      "type": "text"
    }
  },
  "tool_choice": "auto",
  "tools": [],
  "top_p": 1.0,
  "truncation": "disabled",
  "usage": ${of("usage")},
  "user": null,
  "metadata": ${members["metadata"] ?? "{}"}
}
`,
    OPENAI_HEADERS,
  );
}

const USAGE = `{
    "input_tokens": 123,
    "input_tokens_details": {
      "cached_tokens": 0
    },
    "output_tokens": 456,
    "output_tokens_details": {
      "reasoning_tokens": 0
    },
    "total_tokens": 579
  }`;
const CANCELLED = response("cancelled");
const COMPLETED = response("completed", { completed_at: "1741386170.5", usage: USAGE });
const FAILED = response("failed", {
  error:
    '{"code": "vector_store_timeout", "message": "An error occurred while processing your request."}',
});
const INCOMPLETE = response("incomplete", {
  incomplete_details: '{"reason": "max_output_tokens"}',
  usage: USAGE,
});

function ended(read: WireReply, message: string): Exchange {
  return { target: TARGET, before: read, cancel: openaiError(400, message), after: read };
}

const NOT_FOUND = openaiError(404, "Response with id 'resp_canary' not found.");
const FOREIGN_CONVERSATION = '{"id": "thread_canary"}';
const FOREIGN_METADATA = '{"thread_id": "thread_canary"}';

export const openaiResponsesReplies: Replies = {
  baseUrl: BASE,
  options: {},
  cancelOf: ({ runId }) => `POST ${BASE}/responses/${runId}/cancel`,
  readOf: ({ runId }) => `GET ${BASE}/responses/${runId}`,
  credential: ["authorization", "Bearer sk-canary-b47f0e9d2c61QZ7x"],
  headers: {},

  accepting: "cancelled",
  active: { target: TARGET, before: response("in_progress"), cancel: CANCELLED, after: CANCELLED },
  queued: { target: TARGET, before: response("queued"), cancel: CANCELLED, after: CANCELLED },
  // An unanswered function call ends the response: it is `completed`.
  waiting: null,
  windingDown: null,
  // Azure: a read said cancelled, and minutes later completed, with the whole output.
  lostRace: {
    target: TARGET,
    before: response("in_progress"),
    cancel: CANCELLED,
    after: COMPLETED,
  },
  ended: {
    // Only `cancelled` keeps the promise that a second cancel returns the final object.
    cancelled: { target: TARGET, before: CANCELLED, cancel: CANCELLED, after: CANCELLED },
    completed: ended(COMPLETED, "Cannot cancel a completed response."),
    failed: ended(FAILED, "Cannot cancel a failed response."),
    expired: null,
    incomplete: ended(INCOMPLETE, "Cannot cancel a response in terminal state."),
  },
  unfound: [
    {
      name: "an unknown response",
      target: { threadId: "thread_1", runId: "resp_canary" },
      cancel: NOT_FOUND,
      read: NOT_FOUND,
    },
    {
      name: "a response of another conversation",
      target: TARGET,
      cancel: response("cancelled", { conversation: FOREIGN_CONVERSATION }),
      read: response("in_progress", { conversation: FOREIGN_CONVERSATION }),
    },
    {
      name: "a response that its metadata puts on another thread",
      target: TARGET,
      cancel: response("cancelled", { metadata: FOREIGN_METADATA }),
      read: response("in_progress", { metadata: FOREIGN_METADATA }),
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
  retired: null,

  dialects: [
    {
      name: "OpenAI refuses a response that was not made in the background",
      target: TARGET,
      replies: [openaiError(400, "Cannot cancel a synchronous response."), COMPLETED],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "vLLM refuses a second cancel for a wrong reason, with a number for a code",
      target: TARGET,
      replies: [
        json(
          400,
          '{"error":{"message":"Cannot cancel a synchronous response.","type":"BadRequestError","param":"response_id","code":400}}',
        ),
        CANCELLED,
      ],
      ends: { outcome: "already_cancelled", status: "cancelled" },
    },
    {
      name: "SGLang and LocalAI return an ended response unchanged",
      target: TARGET,
      replies: [COMPLETED, COMPLETED],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "SGLang refuses what is not in the background, in its own words",
      target: TARGET,
      replies: [
        openaiError(
          400,
          "Responses can only be cancelled if they were created with background=true.",
        ),
        response("in_progress"),
      ],
      ends: { outcome: "not_confirmed", status: "in_progress" },
    },
    {
      name: "OGX refuses an ended response with a 409",
      target: TARGET,
      replies: [
        openaiError(409, `Cannot cancel response '${ID}' with status 'completed'`),
        COMPLETED,
      ],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "LiteLLM knows no such polling id",
      target: TARGET,
      replies: [json(404, '{"detail":"Polling response litellm_poll_canary not found"}')],
      ends: "run_not_found",
    },
    {
      name: "LiteLLM overwrites a completed response with cancelled: nothing else can be read",
      target: TARGET,
      replies: [CANCELLED, CANCELLED],
      ends: { outcome: "cancelled", status: "cancelled" },
    },
    {
      name: "LocalAI puts a plain text after its 404",
      target: TARGET,
      replies: [openaiError(404, "response not found: resp_canary")],
      ends: "run_not_found",
    },
    {
      name: "a response without a status is taken to be running, so an accepted cancel is under way",
      target: TARGET,
      replies: [json(200, `{"id":"${ID}","object":"response","created_at":1741386163.9}`)],
      ends: { outcome: "cancelling", status: "cancelling" },
    },
  ],
};
