// At most so many requests at a time in one isolate: more are told to come back, before any work is done.
import type { MiddlewareHandler } from "hono";
import { Refusal } from "../failure.ts";
import { respondRefusal } from "./respond.ts";

const MOST_IN_FLIGHT = 256;
const RETRY_AFTER_SECONDS = 1;
/**
 * No request takes so long. The runtime drops the handler of a client that has left without a word, and
 * its place must not be lost for ever.
 */
const FORGOTTEN_MS = 120_000;

/** `now`: milliseconds since the epoch. */
export function bulkhead({ now }: { readonly now: () => number }): MiddlewareHandler {
  /** When each began; the oldest comes first. */
  const inFlight = new Map<object, number>();

  function isFull(): boolean {
    for (const [request, begunAt] of inFlight) {
      if (now() - begunAt < FORGOTTEN_MS) break;
      inFlight.delete(request);
    }
    return inFlight.size >= MOST_IN_FLIGHT;
  }

  return async function bulkhead(c, next) {
    if (isFull()) {
      const detail = `${MOST_IN_FLIGHT} requests in flight`;
      return respondRefusal(
        c,
        new Refusal("overloaded", { detail, retryAfterSeconds: RETRY_AFTER_SECONDS }),
      );
    }
    const request = {};
    inFlight.set(request, now());
    try {
      await next();
    } finally {
      inFlight.delete(request);
    }
    return undefined;
  };
}
