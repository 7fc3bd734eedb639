// `openai-responses` on the wire: OpenAI's published example and its Azure contract texts; what other
// servers do differently as dialects, from their sources and docs. Not recorded anywhere: the text for
// `incomplete`, and Perplexity's words for a run that has ended.
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
    ...refusedLate(),
    ...vllm(),
    ...sglang(),
    ...litellm(),
    ...ogx(),
    ...localAi(),
    ...azure(),
    ...perplexity(),
    {
      name: "a server refuses an ended response in words that nobody has seen yet",
      target: TARGET,
      replies: [openaiError(400, "Only background responses can be cancelled. (canary)"), FAILED],
      ends: { outcome: "already_failed", status: "failed" },
    },
    {
      name: "a server without a background mode says that it has none",
      target: TARGET,
      replies: [
        openaiError(501, "Background responses are not implemented. (canary)"),
        response("in_progress"),
      ],
      ends: "unsupported_by_upstream",
    },
    {
      name: "a response without a status is taken to be running, and is read",
      target: TARGET,
      replies: [
        json(200, `{"id":"${ID}","object":"response","created_at":1741386163.9}`),
        json(200, `{"id":"${ID}","object":"response","created_at":1741386163.9}`),
      ],
      ends: { outcome: "not_confirmed", status: "in_progress" },
    },
  ],
};

/** Servers made with FastAPI. */
function detail(status: number, words: string): WireReply {
  return json(status, JSON.stringify({ detail: words }));
}

/** OpenAI's own contract, where the text says less than the state. */
function refusedLate(): Dialect[] {
  return [
    {
      name: "OpenAI refuses a response that was not made in the background",
      target: TARGET,
      replies: [openaiError(400, "Cannot cancel a synchronous response."), COMPLETED],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "OpenAI does not find a response that is not in the background until it has finished",
      target: TARGET,
      replies: [openaiError(404, `Response with id '${ID}' not found.`)],
      ends: "run_not_found",
    },
    {
      name: "the other text for an incomplete response",
      target: TARGET,
      replies: [openaiError(400, "Cannot cancel an incomplete response."), INCOMPLETE],
      ends: { outcome: "already_incomplete", status: "incomplete" },
    },
  ];
}

/** The code of an error is its HTTP status, as a number. */
function vllm(): Dialect[] {
  const refused = json(
    400,
    '{"error":{"message":"Cannot cancel a synchronous response.","type":"BadRequestError","param":"response_id","code":400}}',
  );
  return [
    {
      name: "vLLM refuses a second cancel for a wrong reason, with a number for a code",
      target: TARGET,
      replies: [refused, CANCELLED],
      ends: { outcome: "already_cancelled", status: "cancelled" },
    },
    {
      name: "vLLM refuses a completed response for the same wrong reason",
      target: TARGET,
      replies: [refused, COMPLETED],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "vLLM does not find a response that its store has lost",
      target: TARGET,
      replies: [
        json(
          404,
          `{"error":{"message":"Response with id '${ID}' not found.","type":"NotFoundError","param":"response_id","code":404}}`,
        ),
      ],
      ends: "run_not_found",
    },
  ];
}

/** Responses may lack `background`. */
function sglang(): Dialect[] {
  const bare = (reply: WireReply) => altered(reply, '  "background": true,\n', "");
  return [
    {
      name: "SGLang returns a completed response unchanged",
      target: TARGET,
      replies: [bare(COMPLETED), bare(COMPLETED)],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "SGLang returns a failed response unchanged",
      target: TARGET,
      replies: [bare(FAILED), bare(FAILED)],
      ends: { outcome: "already_failed", status: "failed" },
    },
    {
      name: "SGLang takes the cancel of what is not in the background, and lets it go on",
      target: TARGET,
      replies: [bare(response("in_progress")), bare(response("in_progress"))],
      ends: { outcome: "not_confirmed", status: "in_progress" },
    },
    {
      name: "SGLang refuses what is not in the background, in its own words",
      target: TARGET,
      replies: [
        openaiError(
          400,
          "Responses can only be cancelled if they were created with background=true.",
        ),
        bare(response("in_progress")),
      ],
      ends: { outcome: "not_confirmed", status: "in_progress" },
    },
    {
      name: "SGLang of old refuses a second cancel in vLLM's words",
      target: TARGET,
      replies: [openaiError(400, "Cannot cancel a synchronous response."), bare(CANCELLED)],
      ends: { outcome: "already_cancelled", status: "cancelled" },
    },
  ];
}

/** The proxy's own responses, kept in its cache. A cancel overwrites whatever state they are in. */
function litellm(): Dialect[] {
  const runId = "litellm_poll_adff0089-f9d3-4135-b49e-f582597deedd";
  const target = { threadId: "thread_1", runId };
  const options = { dialect: "litellm" };
  const polled = (status: string) =>
    json(
      200,
      `{"id":"${runId}","object":"response","status":"${status}","status_details":{"reason":"canary"},"output":[],"usage":null,"metadata":{},"created_at":1764913614,"_polling_state":{"canary":true}}`,
    );
  return [
    {
      name: "LiteLLM cancels a response that is under way",
      target,
      options,
      before: polled("in_progress"),
      replies: [polled("cancelled"), polled("cancelled")],
      ends: { outcome: "cancelled", status: "cancelled" },
    },
    {
      name: "LiteLLM is not asked to cancel a response that has completed",
      target,
      options,
      before: polled("completed"),
      replies: [],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "LiteLLM is not asked to cancel a response twice",
      target,
      options,
      before: polled("cancelled"),
      replies: [],
      ends: { outcome: "already_cancelled", status: "cancelled" },
    },
    {
      name: "LiteLLM has dropped the response from its cache since it was read",
      target,
      options,
      before: polled("in_progress"),
      replies: [
        detail(404, `Polling response ${runId} not found`),
        detail(404, `Polling response ${runId} not found`),
      ],
      ends: "run_not_found",
    },
    {
      name: "LiteLLM fails after it has cancelled",
      target,
      options,
      before: polled("in_progress"),
      replies: [detail(500, "Redis at canary:6379 is gone"), polled("cancelled")],
      ends: { outcome: "cancelled", status: "cancelled" },
    },
    {
      name: "LiteLLM knows no such polling id",
      target: TARGET,
      replies: [detail(404, "Polling response litellm_poll_canary not found")],
      ends: "run_not_found",
    },
    {
      name: "LiteLLM, not known as such, overwrites a completed response: nothing else can be read",
      target: TARGET,
      replies: [CANCELLED, CANCELLED],
      ends: { outcome: "cancelled", status: "cancelled" },
    },
  ];
}

/** Was llama-stack. Refuses with 409, in OpenAI's envelope or as `detail`. */
function ogx(): Dialect[] {
  const completed = `Cannot cancel response '${ID}' with status 'completed'`;
  const foreground = `Cannot cancel response '${ID}': only background responses can be cancelled`;
  return [
    {
      name: "OGX refuses an ended response with a 409",
      target: TARGET,
      replies: [openaiError(409, completed), COMPLETED],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "OGX refuses an ended response with a 409 that is a mere detail",
      target: TARGET,
      replies: [detail(409, completed), COMPLETED],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "OGX refuses what is not in the background with a 409",
      target: TARGET,
      replies: [detail(409, foreground), response("in_progress")],
      ends: { outcome: "not_confirmed", status: "in_progress" },
    },
    {
      name: "OGX of old takes a queued response for one that is not in the background",
      target: TARGET,
      before: response("queued"),
      replies: [openaiError(409, foreground), response("queued")],
      ends: { outcome: "not_confirmed", status: "queued" },
    },
    {
      name: "OGX returns a cancelled response again",
      target: TARGET,
      before: response("in_progress"),
      replies: [CANCELLED, CANCELLED],
      ends: { outcome: "cancelled", status: "cancelled" },
    },
    {
      name: "OGX knows no such response, and says so in a detail",
      target: TARGET,
      replies: [detail(404, "Response 'resp_canary' not found.")],
      ends: "run_not_found",
    },
  ];
}

/** Tells when a response was cancelled, where OpenAI tells when it was completed. */
function localAi(): Dialect[] {
  const cancelled = response("cancelled", { completed_at: "1741386168" });
  return [
    {
      name: "LocalAI says when it has cancelled",
      target: TARGET,
      replies: [cancelled, cancelled],
      ends: { outcome: "cancelled", status: "cancelled" },
    },
    {
      name: "LocalAI returns a completed response unchanged",
      target: TARGET,
      replies: [COMPLETED, COMPLETED],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "LocalAI returns an incomplete response unchanged",
      target: TARGET,
      replies: [INCOMPLETE, INCOMPLETE],
      ends: { outcome: "already_incomplete", status: "incomplete" },
    },
    {
      name: "LocalAI does not find a response, in its own words",
      target: TARGET,
      replies: [openaiError(404, "response not found: resp_canary")],
      ends: "run_not_found",
    },
  ];
}

/** Azure OpenAI, and the agents of Foundry that speak the same API. */
function azure(): Dialect[] {
  const filtered = (reply: WireReply) =>
    altered(
      reply,
      '"store": true,',
      '"store": true,\n  "content_filters": [{"source_type": "canary"}],\n  "agent_reference": {"name": "canary"},',
    );
  return [
    {
      name: "Azure says cancelled of a response that a read finds completed",
      target: TARGET,
      before: response("in_progress"),
      replies: [filtered(CANCELLED), filtered(COMPLETED)],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "Azure refuses the second cancel of a response that has completed since the first",
      target: TARGET,
      before: response("in_progress"),
      replies: [openaiError(400, "Cannot cancel a completed response."), filtered(COMPLETED)],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "Azure takes a second cancel as it took the first",
      target: TARGET,
      replies: [filtered(CANCELLED), filtered(CANCELLED)],
      ends: { outcome: "cancelled", status: "cancelled" },
    },
    {
      name: "Foundry does not find a response of the resource below a project",
      target: TARGET,
      replies: [
        json(
          404,
          `{"error":{"code":"not_found","message":"Response with id '${ID}' not found.","param":"response_id","type":"invalid_request_error","details":[],"additionalInfo":{"request_id":"canary"}}}`,
        ),
      ],
      ends: "run_not_found",
    },
    {
      name: "Foundry names the conversation, which is the thread",
      target: TARGET,
      replies: [
        response("cancelled", { conversation: '{"id": "thread_1"}' }),
        response("cancelled", { conversation: '{"id": "thread_1"}' }),
      ],
      ends: { outcome: "cancelled", status: "cancelled" },
    },
  ];
}

/** Its Agent API: another address, and a cancel that is only under way when it is answered. */
function perplexity(): Dialect[] {
  const options = { dialect: "perplexity" };
  const acknowledged = json(200, `{"response_id":"${ID}","status":"cancelling"}`);
  const cancelling = response("cancelling");
  return [
    {
      name: "Perplexity acknowledges a cancel without the response",
      target: TARGET,
      options,
      replies: [acknowledged, response("in_progress")],
      ends: { outcome: "cancelling", status: "cancelling" },
    },
    {
      name: "Perplexity acknowledges a cancel, and the read says the same",
      target: TARGET,
      options,
      replies: [acknowledged, cancelling],
      ends: { outcome: "cancelling", status: "cancelling" },
    },
    {
      name: "Perplexity says that it is cancelling of the response itself",
      target: TARGET,
      options,
      replies: [cancelling],
      ends: { outcome: "cancelling", status: "cancelling" },
    },
    {
      name: "Perplexity has cancelled by the time of the read",
      target: TARGET,
      options,
      replies: [acknowledged, CANCELLED],
      ends: { outcome: "cancelled", status: "cancelled" },
    },
    {
      name: "Perplexity acknowledges a cancel that comes too late",
      target: TARGET,
      options,
      replies: [acknowledged, COMPLETED],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "Perplexity is not asked to cancel twice",
      target: TARGET,
      options,
      before: cancelling,
      replies: [],
      ends: { outcome: "cancelling", status: "cancelling" },
    },
    {
      name: "Perplexity refuses an ended response, in words that nobody has published",
      target: TARGET,
      options,
      replies: [
        json(400, '{"error":{"message":"canary","type":"invalid_request","code":400}}'),
        COMPLETED,
      ],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "Perplexity does not find what is unknown or another's",
      target: TARGET,
      options,
      replies: [json(404, '{"error":{"message":"canary","type":"not_found","code":404}}')],
      ends: "run_not_found",
    },
  ];
}
