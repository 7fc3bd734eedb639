// The graph that stops by itself to ask a human: an interrupt that nobody cancelled.
import { Annotation, END, interrupt, START, StateGraph } from "@langchain/langgraph";

const State = Annotation.Root({ answer: Annotation<string> });

export const graph = new StateGraph(State)
  .addNode("ask", () => ({ answer: interrupt<{ question: string }, string>({ question: "Go?" }) }))
  .addEdge(START, "ask")
  .addEdge("ask", END)
  .compile();
