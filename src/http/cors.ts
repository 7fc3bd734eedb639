// Which pages may call, and what of a reply they may read. Exact origins, no credentials, no wildcards.
import type { Context, MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { Gateway } from "../gateway.ts";

/** What the page's own code and the stock `openai` clients send. */
const ALLOWED_HEADERS = [
  "authorization",
  "content-type",
  "prefer",
  "traceparent",
  "openai-beta",
  "openai-organization",
  "openai-project",
];
/** The clients describe themselves in a dozen headers of this kind, and in new ones now and then. */
const STAINLESS = /^x-stainless-[a-z-]{1,64}$/;
const EXPOSED_HEADERS = [
  "x-request-id",
  "audit-id",
  "cancel-outcome",
  "preference-applied",
  "retry-after",
  "x-should-retry",
];
const PREFLIGHT_SECONDS = 600;

/**
 * A preflight carries no token, so any tenant's origin passes here; `narrowCors` does the rest once
 * the tenant is known.
 */
export function crossOrigin({ config }: Pick<Gateway, "config">): MiddlewareHandler {
  const answer = cors({
    origin: async (origin) => ((await config.base()).origins.has(origin) ? origin : null),
    allowMethods: ["GET", "POST"],
    allowHeaders: ALLOWED_HEADERS,
    exposeHeaders: EXPOSED_HEADERS,
    maxAge: PREFLIGHT_SECONDS,
  });
  return async function crossOrigin(c, next) {
    const response = await answer(c, next);
    if (response instanceof Response) {
      const allowed = [...ALLOWED_HEADERS, ...stainlessIn(c)].join(",");
      // On the context: what it has is put over what a middleware returns.
      c.res.headers.set("access-control-allow-headers", allowed);
    }
    return response;
  };
}

function stainlessIn(context: Context): string[] {
  const asked = context.req.header("access-control-request-headers") ?? "";
  const names = asked.split(",").map((name) => name.trim().toLowerCase());
  return names.filter((name) => STAINLESS.test(name));
}

/** Before the tenant was known, any tenant's origin was let through; now only its own are. */
export function narrowCors(context: Context, origins: readonly string[]): void {
  const origin = context.req.header("origin");
  if (origin !== undefined && !origins.includes(origin)) {
    context.header("access-control-allow-origin", undefined);
    context.header("access-control-expose-headers", undefined);
  }
}
