// OAuth 2.0 client credentials (RFC 6749 §4.4): a token per client, kept until shortly before it expires.
// Data is shared between requests, promises are not; who waits looks again.
import QuickLRU from "quick-lru";
import * as z from "zod";
import { asRefusal, Refusal } from "../failure.ts";
import { parseJson, readBytes } from "../http/body.ts";

const TIMEOUT_MS = 4_000;
const BODY_BYTES = 64 * 1024;
const CLIENTS_KEPT = 2_000;
/** A token is renewed this long before its end; the old one serves until the new one is there. */
const RENEW_BEFORE_MS = 5 * 60_000;
/** Not used any more: a request takes time to arrive, and clocks differ. */
const MARGIN_MS = 60_000;
/** RFC 6749 §5.1 lets the lifetime be left out; then it is taken for short. */
const UNTOLD_LIFETIME_SECONDS = 600;
/** How long a failure stands for those who ask next, so that nobody hammers an endpoint that is down. */
const FAILURE_KEPT_MS = 1_000;
/** A token that is refused so young is not refused for its age: another one would be too. */
const YOUNG_MS = 60_000;
const LOOK_AGAIN_MS = 20;
const PATIENCE_MS = 250;

export interface AccessTokenTools {
  readonly fetch: typeof fetch;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

export interface Client {
  /** Whose token it is. Two tenants share none, whatever they say of themselves. */
  readonly tenant: string;
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly scope: string | undefined;
  readonly secret: () => Promise<string>;
}

/**
 * The client's token; null when it is the one that was just `refused` and a new one would not help.
 * Throws `Refusal`: `upstream_rejected_credentials`, `upstream_unreachable`, `upstream_timeout`,
 * `upstream_error`.
 */
export type AccessTokens = (
  client: Client,
  refused: string | null,
  signal: AbortSignal,
  defer: (work: Promise<unknown>) => void,
) => Promise<string | null>;

interface Kept {
  token: string | null;
  gotAt: number;
  renewAt: number;
  expiresAt: number;
  /** When somebody began to ask for a new one; null when nobody is asking. */
  askedAt: number | null;
  failure: { readonly refusal: Refusal; readonly at: number } | null;
}

export function createAccessTokens(tools: AccessTokenTools): AccessTokens {
  const clients = new QuickLRU<string, Kept>({ maxSize: CLIENTS_KEPT });

  return async (client, refused, signal, defer) => {
    const secret = await client.secret();
    const name = await nameOf(client, secret);
    const kept = clients.get(name) ?? unasked();
    clients.set(name, kept);
    if (refused !== null && kept.token === refused) {
      if (tools.now() - kept.gotAt < YOUNG_MS) return null;
      kept.token = null;
    }
    for (;;) {
      const now = tools.now();
      const usable = kept.token !== null && now < kept.expiresAt ? kept.token : null;
      if (usable !== null && now < kept.renewAt) return usable;
      const asking = kept.askedAt !== null && now - kept.askedAt < TIMEOUT_MS;
      const failed = kept.failure !== null && now - kept.failure.at < FAILURE_KEPT_MS;
      if (usable !== null && (asking || failed)) return usable;
      if (kept.failure !== null && failed) throw kept.failure.refusal;
      if (!asking && usable !== null) return await renewBeside(kept, client, secret, usable, defer);
      if (!asking) return await renew(kept, client, secret, signal);
      await tools.sleep(LOOK_AGAIN_MS);
      if (signal.aborted) throw new Refusal("upstream_timeout", { detail: "no access token" });
    }
  };

  /** Who holds a good token waits a moment for the next one, and no longer. */
  async function renewBeside(
    kept: Kept,
    client: Client,
    secret: string,
    usable: string,
    defer: (work: Promise<unknown>) => void,
  ): Promise<string> {
    const renewal = renew(kept, client, secret, AbortSignal.timeout(TIMEOUT_MS)).catch(
      () => usable,
    );
    // The request is over before it: without this the runtime would end the renewal with the request, and
    // those who come next would wait for one that never comes back.
    defer(renewal);
    return await Promise.race([renewal, tools.sleep(PATIENCE_MS).then(() => usable)]);
  }

  async function renew(
    kept: Kept,
    client: Client,
    secret: string,
    signal: AbortSignal,
  ): Promise<string> {
    kept.askedAt = tools.now();
    try {
      const { token, lifetimeMs } = await askForToken(tools.fetch, client, secret, signal);
      const now = tools.now();
      kept.token = token;
      kept.gotAt = now;
      kept.expiresAt = now + Math.max(lifetimeMs - MARGIN_MS, lifetimeMs / 2);
      kept.renewAt = now + Math.max(lifetimeMs - RENEW_BEFORE_MS, lifetimeMs / 2);
      kept.failure = null;
      return token;
    } catch (error) {
      const refusal = asRefusal(error);
      // Whose time has run out says nothing of the endpoint.
      if (!signal.aborted) kept.failure = { refusal, at: tools.now() };
      throw refusal;
    } finally {
      kept.askedAt = null;
    }
  }
}

function unasked(): Kept {
  return { token: null, gotAt: 0, renewAt: 0, expiresAt: 0, askedAt: null, failure: null };
}

/** A secret that was changed is another client: the token that the old one got is not used on. */
async function nameOf(client: Client, secret: string): Promise<string> {
  const { tenant, tokenUrl, clientId, scope } = client;
  const text = JSON.stringify([tenant, tokenUrl, clientId, scope, secret]);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Buffer.from(digest).toString("base64url");
}

const TokenAnswer = z.object({
  access_token: z.string().min(1).max(16_384),
  token_type: z.string().regex(/^bearer$/i),
  expires_in: z.coerce.number().positive().max(31_536_000).optional(),
});

async function askForToken(
  fetcher: typeof fetch,
  { tokenUrl, clientId, scope }: Client,
  secret: string,
  signal: AbortSignal,
): Promise<{ readonly token: string; readonly lifetimeMs: number }> {
  const body = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: clientId,
    client_secret: secret,
    ...(scope === undefined ? {} : { scope }),
  });
  const bound = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const response = await fetcher(tokenUrl, {
    method: "POST",
    headers: { accept: "application/json" },
    body,
    // Followed, a redirect would carry the secret.
    redirect: "manual",
    signal: bound,
  }).catch((error: unknown): never => {
    throw unreachable(error, bound);
  });
  const bytes = await readBytes(response.body, BODY_BYTES).catch((error: unknown): never => {
    throw unreachable(error, bound);
  });
  const { status } = response;
  // RFC 6749 §5.2. Its text may name the client or repeat what was sent, and goes nowhere.
  if (status === 400 || status === 401 || status === 403) {
    const detail = `the token endpoint answered ${status}`;
    throw new Refusal("upstream_rejected_credentials", { detail });
  }
  const answer = TokenAnswer.safeParse(bytes === null ? undefined : parseJson(bytes));
  if (status !== 200 || !answer.success) {
    const what = status === 200 ? "with no bearer token" : String(status);
    throw new Refusal("upstream_error", { detail: `the token endpoint answered ${what}` });
  }
  const { access_token, expires_in = UNTOLD_LIFETIME_SECONDS } = answer.data;
  return { token: access_token, lifetimeMs: expires_in * 1_000 };
}

function unreachable(error: unknown, signal: AbortSignal): Refusal {
  const detail = `token endpoint: ${error instanceof Error ? error.name : "unknown"}`;
  return new Refusal(signal.aborted ? "upstream_timeout" : "upstream_unreachable", { detail });
}
