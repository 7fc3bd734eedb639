// `openai-agents` on the wire. Not recorded: made from the shapes that OpenAI has published, since the API
// is in beta and wants a key. A cancel is answered with 202 and nothing; the turn and its session are read.
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
  plain,
  type Replies,
  type WireReply,
} from "./replies.ts";

const BASE = "https://api.openai.com/v1";
const TARGET = { threadId: "sess_68f1", runId: "turn_68f2" };

const ACCEPTED: WireReply = { status: 202, headers: { ...OPENAI_HEADERS }, body: "" };

const TURN = {
  id: TARGET.runId,
  object: "agent.session.turn",
  session_id: TARGET.threadId,
  agent_id: "agent_68f0",
  subagent_id: null,
  status: "in_progress",
  created_at: 1_795_372_000,
  started_at: 1_795_372_001,
  completed_at: null,
  error: null,
  usage: null,
};

function turn(members: Readonly<Record<string, unknown>> = {}): WireReply {
  return json(200, JSON.stringify({ ...TURN, ...members }), OPENAI_HEADERS);
}

const SESSION = json(
  200,
  JSON.stringify({
    id: TARGET.threadId,
    object: "agent.session",
    status: "requires_action",
    agent: {
      id: "agent_68f0",
      model: "gpt-5",
      instructions: "Help the customer.",
      tools: [
        { type: "function", name: "look_up", description: "Looks up.", parameters: {} },
        { type: "mcp", server_url: "https://canary.example.com", authorization: "canary" },
      ],
    },
    metadata: { tenant: "acme", user: "user-1" },
    required_actions: [
      {
        type: "function_call",
        turn_id: TARGET.runId,
        call_id: "call_1",
        name: "look_up",
        arguments: { id: 7 },
      },
      {
        type: "function_call",
        turn_id: "turn_other",
        call_id: "call_canary",
        name: "canary",
        arguments: "{}",
      },
    ],
  }),
  OPENAI_HEADERS,
);

const ENDED_AT = 1_795_372_100;
const CANCELLED = turn({ status: "cancelled", completed_at: ENDED_AT });
const COMPLETED = turn({
  status: "completed",
  completed_at: ENDED_AT,
  usage: { input_tokens: 12, output_tokens: 5, total_tokens: 17 },
});
const FAILED = turn({
  status: "failed",
  completed_at: ENDED_AT,
  error: { code: "rate_limit_exceeded", message: "The model was busy." },
});

function ended(read: WireReply): Exchange {
  return { target: TARGET, before: read, cancel: ACCEPTED, after: read };
}

const NO_TURN = openaiError(404, "No turn found with id 'turn_canary'.");
const NO_SESSION = openaiError(404, "No session found with id 'sess_canary'.");

export const openaiAgentsReplies: Replies = {
  baseUrl: BASE,
  options: {},
  cancelOf: ({ threadId }) => `POST ${BASE}/agents/sessions/${threadId}/events`,
  readOf: ({ threadId, runId }) => `GET ${BASE}/agents/sessions/${threadId}/turns/${runId}`,
  cancelBody: '{"events":[{"type":"agent.session.input.cancel"}]}',
  alongside: {
    of: ({ threadId }) => `GET ${BASE}/agents/sessions/${threadId}`,
    reply: SESSION,
  },
  listed: {
    of: ({ threadId }) => [`GET ${BASE}/agents/sessions/${threadId}/turns?order=desc&limit=20`],
    replies: [
      json(
        200,
        JSON.stringify({
          data: [
            { ...TURN, status: "queued" },
            { ...TURN, id: "turn_before", status: "completed", completed_at: 1_795_371_000 },
            { ...TURN, id: "turn_elsewhere", session_id: "sess_other" },
          ],
          has_more: false,
        }),
        OPENAI_HEADERS,
      ),
    ],
    active: [TARGET.runId],
  },
  credential: ["authorization", "Bearer sk-canary-b47f0e9d2c61QZ7x"],
  headers: { "openai-beta": "agents=v1" },

  accepting: "nothing",
  active: { target: TARGET, before: turn(), cancel: ACCEPTED, after: CANCELLED },
  // Alone in its session, so that it is the one that a cancel hits.
  queued: {
    target: TARGET,
    before: turn({ status: "queued", started_at: null }),
    cancel: ACCEPTED,
    after: CANCELLED,
  },
  waiting: {
    target: TARGET,
    before: turn({ status: "waiting" }),
    cancel: ACCEPTED,
    after: CANCELLED,
    status: "requires_action",
    end: "cancelled",
  },
  windingDown: null,
  lostRace: { target: TARGET, before: turn(), cancel: ACCEPTED, after: COMPLETED },
  ended: {
    cancelled: ended(CANCELLED),
    completed: ended(COMPLETED),
    failed: ended(FAILED),
    expired: null,
    incomplete: null,
  },
  unfound: [
    { name: "an unknown turn", target: TARGET, cancel: NO_TURN, read: NO_TURN },
    {
      name: "an unknown session",
      target: { ...TARGET, threadId: "sess_unknown" },
      cancel: NO_SESSION,
      read: NO_SESSION,
    },
    {
      name: "another session's turn",
      target: { ...TARGET, threadId: "sess_other" },
      cancel: NO_TURN,
      read: NO_TURN,
    },
    {
      name: "a turn that says it is of another session",
      target: { ...TARGET, threadId: "sess_other" },
      cancel: NO_TURN,
      read: turn(),
    },
  ],

  badKey: OPENAI_BAD_KEY,
  rateLimited: OPENAI_RATE_LIMITED,
  rateLimitedSilently: OPENAI_RATE_LIMITED_SILENTLY,
  serverError: OPENAI_SERVER_ERROR,
  overloaded: OPENAI_OVERLOADED,
  wrongTypes: json(
    200,
    '{"id": 12, "session_id": [], "agent_id": {}, "status": {"canary": true}, "created_at": "canary"}',
    OPENAI_HEADERS,
  ),
  wrongAddress: null,
  retired: null,

  dialects: [
    {
      name: "the turn goes on for a while after its cancel",
      target: TARGET,
      before: turn(),
      replies: [ACCEPTED, turn()],
      ends: { outcome: "cancelling", status: "cancelling" },
    },
    {
      name: "an accepted cancel may have a body",
      target: TARGET,
      before: turn(),
      replies: [json(202, '{"object":"list","data":[]}'), CANCELLED],
      ends: { outcome: "cancelled", status: "cancelled" },
    },
    {
      name: "a refusal, whatever it says, is explained by a turn that has ended",
      target: TARGET,
      before: turn(),
      replies: [openaiError(400, "There is no active turn. (canary)"), COMPLETED],
      ends: { outcome: "already_completed", status: "completed" },
    },
    {
      name: "a refusal does not cancel a turn that goes on",
      target: TARGET,
      before: turn(),
      replies: [openaiError(409, "Try again. (canary)"), turn()],
      ends: { outcome: "not_confirmed", status: "in_progress" },
    },
    {
      name: "a turn of a sub-agent cannot be cancelled by itself",
      target: TARGET,
      before: turn({ subagent_id: "agent_canary" }),
      replies: [],
      ends: "unsupported_by_upstream",
    },
    {
      name: "a turn in a state that nobody knows yet is sent nothing",
      target: TARGET,
      before: turn({ status: "thinking" }),
      replies: [],
      ends: "upstream_error",
    },
    {
      name: "an accepted cancel and then a web page is not confirmed",
      target: TARGET,
      before: turn(),
      replies: [ACCEPTED, plain(200, "<html>canary</html>")],
      ends: { outcome: "not_confirmed", status: "cancelling" },
    },
  ],
};
