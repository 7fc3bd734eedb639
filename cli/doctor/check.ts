// What one look at a gateway found, and how it is asked: bounded in time and size, never redirected.
import * as z from "zod";
import { readBytes } from "../../src/http/body.ts";

export interface Check {
  /** For machines. */
  readonly id: string;
  readonly status: "ok" | "problem" | "not_checked";
  /** What was found, or why it was not looked at. */
  readonly message: string;
  /** What to do about a problem; null for everything else. */
  readonly cure: string | null;
}

export function ok(id: string, message: string): Check {
  return { id, status: "ok", message, cure: null };
}

export function problem(id: string, message: string, cure: string): Check {
  return { id, status: "problem", message, cure };
}

export function notChecked(id: string, message: string): Check {
  return { id, status: "not_checked", message, cure: null };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The parsed JSON; undefined when it is none. */
  readonly body: unknown;
  /** The code of an error in the gateway's envelope; null when it is none. */
  readonly code: string | null;
  /** When it was asked and when the head of the answer came, in milliseconds since the epoch. */
  readonly askedMs: number;
  readonly answeredMs: number;
}

/** Nobody answered, in words. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

/** More than the gateway lets any upstream take. */
const TIMEOUT_MS = 30_000;
const BODY_BYTES = 512 * 1024;

/** All four, always. */
const Envelope = z.object({
  error: z.strictObject({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string(),
  }),
});

/** Throws `NoAnswer`. */
export async function ask(
  fetcher: typeof fetch,
  url: string,
  init: RequestInit = {},
  timeoutMs = TIMEOUT_MS,
): Promise<Answer> {
  const signal = AbortSignal.timeout(timeoutMs);
  const askedMs = Date.now();
  try {
    const response = await fetcher(url, { ...init, redirect: "manual", signal });
    const answeredMs = Date.now();
    const bytes = await readBytes(response.body, BODY_BYTES);
    const body = bytes === null ? undefined : parseJson(Buffer.from(bytes).toString("utf8"));
    const code = Envelope.safeParse(body).data?.error.code ?? null;
    return {
      status: response.status,
      headers: response.headers,
      body,
      code,
      askedMs,
      answeredMs,
    };
  } catch (error) {
    throw new NoAnswer(reasonOf(error, timeoutMs));
  }
}

/** An answer in a few words: its code where it has one. */
export function nameOf({ status, code, headers }: Answer): string {
  if (code !== null) return `${status} ${code}`;
  const location = headers.get("location");
  return location === null ? `${status}` : `${status}, a redirect to ${location.slice(0, 200)}`;
}

/** The address may be of a host that is not there, may refuse, or may just say nothing. */
function reasonOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return "no reason given";
  if (error.name === "TimeoutError") return `no answer within ${timeoutMs / 1_000} s`;
  const { cause } = error;
  return cause instanceof Error && "code" in cause ? String(cause.code) : error.message;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
