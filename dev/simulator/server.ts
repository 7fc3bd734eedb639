// The simulator as a server of its own, and what its users do with it: start runs, get tokens.
import { join } from "node:path";
import { type Server, startServer } from "../local/server.ts";

const TOML = join(import.meta.dirname, "wrangler.toml");

export async function startSimulator(port: number, persist: string): Promise<Server> {
  const health = "/simulator/health";
  return await startServer({ toml: TOML, port, persist, health, onLine: () => undefined });
}

export interface TokenWish {
  readonly sub: string;
  readonly tenant: string;
  readonly scope: string;
}

/** A token of the local issuer, good for 12 hours. */
export async function tokenFrom(
  origin: string,
  wish: TokenWish,
  audience: string,
): Promise<string> {
  const body = { ...wish, aud: audience, expires_in: 12 * 60 * 60 };
  const { access_token } = await post<{ access_token: string }>(`${origin}/issuer/token`, {}, body);
  return access_token;
}

export interface RunWish {
  readonly key: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** How long the run would take by itself. */
  readonly runMs: number;
}

export interface StartedRun {
  readonly threadId: string;
  readonly runId: string;
}

/** Starts a run on the threads wire, as the tenant's own backend would. */
export async function startRun(origin: string, wish: RunWish): Promise<StartedRun> {
  const headers = {
    authorization: `Bearer ${wish.key}`,
    "openai-beta": "assistants=v2",
    "x-simulate-timing": JSON.stringify({ run_ms: wish.runMs }),
  };
  const base = `${origin}/assistants/v1/threads`;
  const thread = await post<{ id: string }>(base, headers, {});
  const run = await post<{ id: string }>(`${base}/${thread.id}/runs`, headers, {
    assistant_id: "asst_support",
    instructions: "Answer the customer.",
    metadata: wish.metadata,
  });
  return { threadId: thread.id, runId: run.id };
}

async function post<Answer>(url: string, headers: HeadersInit, body: unknown): Promise<Answer> {
  const response = await fetch(url, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}
