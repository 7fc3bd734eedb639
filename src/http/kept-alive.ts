// Keeps a request's work alive when its client leaves. The runtime ends the handler of a client that has
// left at its next await: what comes after, `finally` too, would never run.
import type { MiddlewareHandler } from "hono";

/**
 * Comes before all that takes something it has to give back. The work is not prolonged by it: each step
 * has a time limit of its own, and the runtime's is 30 s after the client has left.
 */
export const keptAlive: MiddlewareHandler = async (c, next) => {
  const work = next();
  c.executionCtx.waitUntil(work);
  await work;
};
