// How far long work has come: a bar for people, a line now and then for logs. On stderr, so that stdout
// stays the answer.
import { progress } from "@clack/prompts";

export interface Bar {
  readonly done: (count: number) => void;
  readonly end: (message: string) => void;
}

const SHORT = 200;
const LINES = 10;

/** Nothing is shown of work that is done at once. */
export function startBar(what: string, total: number): Bar {
  if (total < SHORT) return { done: () => undefined, end: () => undefined };
  if (process.stderr.isTTY) {
    const bar = progress({ max: total, output: process.stderr });
    bar.start(what);
    return { done: (count) => bar.advance(count), end: (message) => bar.stop(message) };
  }
  let finished = 0;
  let told = 0;
  const figure = (count: number): string => count.toLocaleString("en");
  return {
    done: (count) => {
      finished += count;
      const step = Math.floor((finished * LINES) / total);
      if (step <= told || step === LINES) return;
      told = step;
      console.error(`${what}: ${figure(finished)} of ${figure(total)}`);
    },
    end: (message) => console.error(message),
  };
}

/** Runs the work with a bar of its own. */
export async function withBar<T>(
  what: string,
  total: number,
  work: (done: Bar["done"]) => Promise<T>,
): Promise<T> {
  const bar = startBar(what, total);
  try {
    const result = await work(bar.done);
    bar.end(`${what}: ${total.toLocaleString("en")} done`);
    return result;
  } catch (error) {
    bar.end(`${what}: not finished`);
    throw error;
  }
}
