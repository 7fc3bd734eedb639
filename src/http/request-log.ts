// One line per request, with the reason behind a refusal that the client is not told.
import type { MiddlewareHandler } from "hono";
import type { RequestIdVariables } from "hono/request-id";
import { routePath } from "hono/route";
import { Refusal } from "../failure.ts";
import type { Gateway } from "../gateway.ts";

export function logged({ log, now }: Pick<Gateway, "log" | "now">): MiddlewareHandler<{
  Variables: RequestIdVariables & { refusal?: Refusal };
}> {
  return async function logRequest(c, next) {
    const startedAt = now();
    await next();
    const refusal: unknown = c.get("refusal");
    log(c.res.status >= 500 ? "error" : "info", "request", {
      request_id: c.get("requestId"),
      method: c.req.method,
      // The pattern, not the path: ids are the caller's own text.
      route: routePath(c, -1),
      status: c.res.status,
      ms: now() - startedAt,
      ...(refusal instanceof Refusal ? { code: refusal.reason, detail: refusal.detail } : {}),
      ...(c.error instanceof Refusal ? {} : { exception: placeOf(c.error) }),
    });
  };
}

/** Where an accident happened. Its message stays out: it may quote what it choked on. */
function placeOf(error: Error | undefined): string | undefined {
  if (error === undefined) return undefined;
  const frames = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  return [error.name, ...frames.slice(0, 4).map((line) => line.trim())].join(" ");
}
