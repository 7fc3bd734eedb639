// The graph that is over before anyone can cancel it.
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";

const State = Annotation.Root({ answer: Annotation<string> });

export const graph = new StateGraph(State)
  .addNode("reply", () => ({ answer: "done" }))
  .addEdge(START, "reply")
  .addEdge("reply", END)
  .compile();
