// The recorded replies of every adapter, by its kind. An adapter that is missing here fails the contract.
import { assistantsReplies } from "./assistants.ts";
import { geminiInteractionsReplies } from "./gemini-interactions.ts";
import { langgraphReplies } from "./langgraph.ts";
import { openaiAgentsReplies } from "./openai-agents.ts";
import { openaiResponsesReplies } from "./openai-responses.ts";
import type { Replies } from "./replies.ts";

export const REPLIES: ReadonlyMap<string, Replies> = new Map([
  ["openai-responses", openaiResponsesReplies],
  ["assistants", assistantsReplies],
  ["langgraph", langgraphReplies],
  ["openai-agents", openaiAgentsReplies],
  ["gemini-interactions", geminiInteractionsReplies],
]);
