// The recorded replies of every adapter, by its kind. An adapter that is missing here fails the contract.
import { assistantsReplies } from "./assistants.ts";
import { langgraphReplies } from "./langgraph.ts";
import { openaiResponsesReplies } from "./openai-responses.ts";
import type { Replies } from "./replies.ts";

export const REPLIES: ReadonlyMap<string, Replies> = new Map([
  ["assistants", assistantsReplies],
  ["langgraph", langgraphReplies],
  ["openai-responses", openaiResponsesReplies],
]);
