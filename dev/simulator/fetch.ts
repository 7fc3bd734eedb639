// The simulator as a `fetch`, for tests in one process. Unlike `app.request` it obeys the caller's
// abort signal, so that a hanging upstream ends in the caller's own timeout, as over a network.
import type { Hono } from "hono";

export function fetchOf(app: Hono): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const { signal } = request;
    signal.throwIfAborted();
    return Promise.race([
      app.fetch(request),
      new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      }),
    ]);
  };
}
