// The registry: every upstream that a config may name. A new one is a file, this line and its replies.
import { assistants } from "./assistants.ts";
import { geminiInteractions } from "./gemini-interactions.ts";
import { langgraph } from "./langgraph.ts";
import { openaiAgents } from "./openai-agents.ts";
import { openaiResponses } from "./openai-responses.ts";
import type { Upstream } from "./upstream.ts";

export const UPSTREAMS: readonly Upstream[] = [
  openaiResponses,
  assistants,
  langgraph,
  openaiAgents,
  geminiInteractions,
];

/** The adapter of a kind that the config schema has let through. */
export function adapterOf(kind: string): Upstream {
  const adapter = UPSTREAMS.find((candidate) => candidate.kind === kind);
  if (adapter === undefined) throw new Error(`no adapter of kind ${kind}`);
  return adapter;
}
