// The graph to cancel: it works for about a minute and leaves a trace of when it stopped.
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  Annotation,
  END,
  type LangGraphRunnableConfig,
  START,
  StateGraph,
} from "@langchain/langgraph";

const STEPS = 240;
const STEP_MS = 250;

const State = Annotation.Root({ steps: Annotation<number> });

/** One line per event: step number, run id, event. A test reads that the ticks came to an end. */
function trace(step: number, runId: string, event: "tick" | "stopped" | "done"): void {
  const file = process.env["SLEEPER_LOG"];
  if (file) appendFileSync(file, `${step} ${runId} ${event}\n`);
}

async function work(_state: typeof State.State, config: LangGraphRunnableConfig) {
  const runId = String(config.configurable?.["run_id"]);
  // The server reports a run as interrupted as soon as it has aborted the signal, whether or not
  // the node listens. Only because this one does, "interrupted" also means that work has ceased.
  const options = config.signal ? { signal: config.signal } : {};
  let step = 0;
  try {
    while (step < STEPS) {
      step += 1;
      trace(step, runId, "tick");
      await sleep(STEP_MS, undefined, options);
    }
  } catch (error) {
    trace(step, runId, "stopped");
    throw error;
  }
  trace(step, runId, "done");
  return { steps: step };
}

export const graph = new StateGraph(State)
  .addNode("work", work)
  .addEdge(START, "work")
  .addEdge("work", END)
  .compile();
