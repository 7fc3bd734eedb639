// Which pages may call, and what of a reply they may read. Listed origins only, no credentials.
import type { Context, MiddlewareHandler } from "hono";
import { isCovered } from "../config/origins.ts";
import type { Gateway } from "../gateway.ts";

/** What is allowed unasked, so that a browser's kept answer serves the page's next call too. */
const ALLOWED_HEADERS = [
  "authorization",
  "content-type",
  "prefer",
  "traceparent",
  "openai-beta",
  "openai-organization",
  "openai-project",
];
/**
 * Clients, and what traces pages, send headers that nobody here has heard of. None of them means
 * anything to the gateway, and a page that a tenant has listed may send what it likes.
 */
const MOST_ALLOWED = 64;
/** A field's name (RFC 9110 §5.1). */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
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
 * the tenant is known. Of a page that no tenant has listed nothing is allowed.
 */
export function crossOrigin({ config }: Pick<Gateway, "config">): MiddlewareHandler {
  return async function crossOrigin(c, next) {
    const origin = c.req.header("origin") ?? "";
    const isListed = origin !== "" && (await config.base()).origins.has(origin);
    c.header("vary", "Origin");
    if (isListed) c.header("access-control-allow-origin", origin);
    if (c.req.method !== "OPTIONS") {
      if (isListed) c.header("access-control-expose-headers", EXPOSED_HEADERS.join(","));
      await next();
      return undefined;
    }
    c.header("vary", "Access-Control-Request-Headers", { append: true });
    if (isListed) {
      c.header("access-control-allow-methods", "GET,POST");
      c.header("access-control-allow-headers", allowedHeaders(c).join(","));
      c.header("access-control-max-age", String(PREFLIGHT_SECONDS));
    }
    return c.body(null, 204);
  };
}

function allowedHeaders(context: Context): string[] {
  const asked = (context.req.header("access-control-request-headers") ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => TOKEN.test(name));
  return [...new Set([...asked, ...ALLOWED_HEADERS])].slice(0, MOST_ALLOWED);
}

/** Before the tenant was known, any tenant's origin was let through; now only its own are. */
export function narrowCors(context: Context, origins: readonly string[]): void {
  const origin = context.req.header("origin");
  if (origin !== undefined && !isCovered(origins, origin)) {
    context.header("access-control-allow-origin", undefined);
    context.header("access-control-expose-headers", undefined);
  }
}
