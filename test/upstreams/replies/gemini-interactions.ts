// `gemini-interactions` on the wire. Not recorded: made from the shapes that Google has published and from
// the bug reports about its cancel, since the API wants a key.
import { type Exchange, json, plain, type Replies, type WireReply } from "./replies.ts";

const BASE = "https://generativelanguage.googleapis.com/v1beta";
const TARGET = { threadId: "thread_1", runId: "v1_ChdpbnRlcmFjdGlvbg" };
const HEADERS = {
  "server-timing": "gfet4t7; dur=canary",
  "alt-svc": 'h3=":443"; ma=2592000',
} as const;

const INTERACTION = {
  id: TARGET.runId,
  object: "interaction",
  status: "in_progress",
  background: true,
  agent: "deep-research-preview",
  created: "2026-11-22T18:26:40.123Z",
  updated: "2026-11-22T18:26:41Z",
  system_instruction: "Answer the customer.",
  labels: { tenant: "acme", user: "user-1" },
  tools: [{ type: "code_execution" }, { type: "mcp_server", url: "https://canary.example.com" }],
  input: [{ type: "text", text: "canary" }],
  steps: [{ type: "model_output", content: [{ type: "text", text: "canary" }] }],
};

function interaction(members: Readonly<Record<string, unknown>> = {}): WireReply {
  return json(200, JSON.stringify({ ...INTERACTION, ...members }), HEADERS);
}

/** Google's envelope (AIP-193). */
function googleError(code: number, message: string, status: string): WireReply {
  return json(code, JSON.stringify({ error: { code, message, status } }), HEADERS);
}

const ENDED = { updated: "2026-11-22T18:28:20Z" };
const CANCELLED = interaction({ status: "cancelled", ...ENDED });
const COMPLETED = interaction({
  status: "completed",
  ...ENDED,
  usage: { total_input_tokens: 12, total_output_tokens: 5, total_tokens: 40 },
});
const FAILED = interaction({
  status: "failed",
  ...ENDED,
  errors: [{ code: "internal", message: "Something broke." }],
});
const NO_CANCEL = googleError(400, "Interaction cannot be cancelled. (canary)", "INVALID_ARGUMENT");

function ended(read: WireReply): Exchange {
  return { target: TARGET, before: read, cancel: NO_CANCEL, after: read };
}

const NOT_FOUND = googleError(404, "Interaction v1_canary not found.", "NOT_FOUND");

export const geminiInteractionsReplies: Replies = {
  baseUrl: BASE,
  options: { auth: "x-goog-api-key" },
  cancelOf: ({ runId }) => `POST ${BASE}/interactions/${runId}/cancel`,
  readOf: ({ runId }) => `GET ${BASE}/interactions/${runId}`,
  credential: ["x-goog-api-key", "sk-canary-b47f0e9d2c61QZ7x"],
  headers: {},

  accepting: "cancelled",
  active: { target: TARGET, before: interaction(), cancel: CANCELLED, after: CANCELLED },
  queued: {
    target: TARGET,
    before: interaction({ status: "queued" }),
    cancel: CANCELLED,
    after: CANCELLED,
  },
  waiting: {
    target: TARGET,
    before: interaction({
      status: "requires_action",
      steps: [{ type: "function_call", id: "call_1", name: "look_up", arguments: { id: 7 } }],
    }),
    cancel: CANCELLED,
    after: CANCELLED,
    status: "requires_action",
    end: "cancelled",
  },
  windingDown: null,
  lostRace: { target: TARGET, before: interaction(), cancel: CANCELLED, after: COMPLETED },
  ended: {
    cancelled: ended(CANCELLED),
    completed: ended(COMPLETED),
    failed: ended(FAILED),
    expired: null,
    incomplete: ended(interaction({ status: "requires_continuation", ...ENDED })),
  },
  unfound: [
    { name: "an unknown interaction", target: TARGET, cancel: NOT_FOUND, read: NOT_FOUND },
    {
      name: "an unknown interaction, in a list",
      target: TARGET,
      cancel: json(404, `[${NOT_FOUND.body}]`, HEADERS),
      read: json(404, `[${NOT_FOUND.body}]`, HEADERS),
    },
  ],

  badKey: json(
    400,
    JSON.stringify({
      error: {
        code: 400,
        message: "API key not valid: sk-canar**************QZ7x. Please pass a valid API key.",
        status: "INVALID_ARGUMENT",
        details: [
          {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            reason: "API_KEY_INVALID",
            domain: "googleapis.com",
          },
        ],
      },
    }),
    HEADERS,
  ),
  rateLimited: {
    reply: json(
      429,
      '{"error":{"code":429,"message":"Quota exceeded for canary","status":"RESOURCE_EXHAUSTED"}}',
      { ...HEADERS, "retry-after": "7" },
    ),
    seconds: 7,
  },
  rateLimitedSilently: googleError(429, "Quota exceeded for canary", "RESOURCE_EXHAUSTED"),
  serverError: googleError(500, "An internal error of canary has occurred.", "INTERNAL"),
  overloaded: googleError(503, "The model canary is overloaded.", "UNAVAILABLE"),
  wrongTypes: json(
    200,
    '{"id": 12, "status": {"canary": true}, "created": "canary", "labels": "canary", "tools": 7}',
    HEADERS,
  ),
  wrongAddress: null,
  retired: null,

  dialects: [
    {
      name: "a cancel that went through can look like a call that was cancelled",
      target: TARGET,
      before: interaction(),
      replies: [googleError(499, "The operation was cancelled. (canary)", "CANCELLED"), CANCELLED],
      ends: { outcome: "cancelled", status: "cancelled" },
    },
    {
      name: "and the interaction may move for a while after it",
      target: TARGET,
      before: interaction(),
      replies: [googleError(499, "The operation was cancelled.", "CANCELLED"), interaction()],
      ends: { outcome: "cancelling", status: "cancelling" },
    },
    {
      name: "a version without the method says so in a list: that is no unknown interaction",
      target: TARGET,
      before: interaction(),
      replies: [
        json(404, '[{"error":{"code":404,"message":"Method not found.","status":"NOT_FOUND"}}]'),
        interaction(),
      ],
      ends: "unsupported_by_upstream",
    },
    {
      name: "a background agent whose id is not found after a cancel that was taken",
      target: TARGET,
      before: interaction(),
      replies: [CANCELLED, NOT_FOUND],
      ends: { outcome: "not_confirmed", status: "cancelling" },
    },
    {
      name: "a refusal is explained by an interaction that has used up its budget",
      target: TARGET,
      before: interaction(),
      replies: [NO_CANCEL, interaction({ status: "budget_exceeded", ...ENDED })],
      ends: { outcome: "already_incomplete", status: "incomplete" },
    },
    {
      name: "a foreground interaction is not cancelled, and goes on",
      target: TARGET,
      before: interaction(),
      replies: [NO_CANCEL, interaction({ background: false })],
      ends: "upstream_error",
    },
    {
      name: "an accepted cancel and then a web page is not confirmed",
      target: TARGET,
      before: interaction(),
      replies: [interaction({ status: "cancelled" }), plain(200, "<html>canary</html>")],
      ends: { outcome: "not_confirmed", status: "cancelling" },
    },
  ],
};
