// Reads a body within bounds: what arrives is counted, whatever its headers say.
import type * as z from "zod";
import { Refusal } from "../failure.ts";

const TOO_SLOW = "The request body did not arrive in time.";
const BROKEN_OFF = "The request body broke off before its end.";
/** A reason of 256 characters, each written as two JSON escapes, and its envelope. */
const BODY_BYTES = 4_096;
/** Whoever sends it slower keeps a place that others wait for. */
const BODY_MS = 2_000;

/**
 * A request's body, checked. `empty` is what stands for no body, however a client says that it has none;
 * without it there has to be one.
 * Throws `payload_too_large`, `unsupported_media_type`, `invalid_request`.
 */
export async function readBody<Schema extends z.ZodObject>(
  request: Request,
  schema: Schema,
  empty?: z.infer<Schema>,
): Promise<z.infer<Schema>> {
  const late = request.body === null ? undefined : AbortSignal.timeout(BODY_MS);
  const bytes = await readBytes(request.body, BODY_BYTES, late).catch((): never => {
    // The client's connection has ended, or its framing is none (RFC 9112 §7.1, §8).
    throw new Refusal("invalid_request", { words: BROKEN_OFF });
  });
  if (late?.aborted && bytes !== null) throw new Refusal("invalid_request", { words: TOO_SLOW });
  if (bytes === null) throw new Refusal("payload_too_large");
  if (empty !== undefined && saysNothing(bytes, schema)) return empty;
  if (bytes.byteLength === 0) {
    throw new Refusal("invalid_request", { words: `The request body must be ${shapeOf(schema)}.` });
  }
  if (!/^application\/(\S+\+)?json\s*(;|$)/i.test(request.headers.get("content-type") ?? "")) {
    throw new Refusal("unsupported_media_type");
  }
  const json = parseJson(bytes);
  if (json === undefined) {
    throw new Refusal("invalid_request", { words: "The request body is not valid JSON." });
  }
  const body = schema.safeParse(json);
  if (body.success) return body.data;
  throw bodyRefusal(body.error, schema);
}

/**
 * Clients that must send something send blanks, or JSON without content, under any type or none: a
 * serialiser makes `null` of an absent object, and `{}` of one whose members are absent.
 */
function saysNothing(bytes: Uint8Array, schema: z.ZodObject): boolean {
  // The decoder drops a byte order mark, which .NET's writers put first.
  const text = new TextDecoder().decode(bytes).trim();
  if (text === "") return true;
  const value = parseText(text);
  if (isNothing(value)) return true;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.entries(value).every(
    ([name, member]) => Object.hasOwn(schema.shape, name) && isNothing(member),
  );
}

function isNothing(value: unknown): boolean {
  return value === null || (typeof value === "string" && value.trim() === "");
}

function bodyRefusal(error: z.ZodError, schema: z.ZodObject): Refusal {
  const issue = error.issues[0];
  const param = issue?.path.join(".");
  const members = namesOf(schema).join(" and ");
  const words =
    issue?.code === "unrecognized_keys"
      ? `The request body takes no member but ${members}.`
      : issue?.code === "too_big" || issue?.code === "custom"
        ? issue.message
        : `The request body must be ${shapeOf(schema)}.`;
  return new Refusal("invalid_request", { words, param: param === "" ? undefined : param });
}

function namesOf(schema: z.ZodObject): string[] {
  return Object.keys(schema.shape).map((name) => `'${name}'`);
}

function shapeOf(schema: z.ZodObject): string {
  const names = namesOf(schema);
  const what = names.length === 1 ? "a string" : "strings";
  return `a JSON object, and ${names.join(" and ")} ${what}`;
}

/** Null when there is more than `limit`; the rest is not read, nor what has not come when `signal` ends it. */
export async function readBytes(
  body: ReadableStream<Uint8Array> | null,
  limit: number,
  signal?: AbortSignal,
): Promise<Uint8Array | null> {
  if (body === null) return new Uint8Array();
  const reader = body.getReader();
  // A read that waits ends with the stream.
  signal?.addEventListener("abort", () => void reader.cancel().catch(() => undefined));
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      // A body off the network ends its waiting reads with an error when it is cancelled.
      if (signal?.aborted) return { done: true, value: undefined } as const;
      throw error;
    });
    if (done) return Buffer.concat(chunks);
    bytes += value.byteLength;
    if (bytes > limit) {
      await reader.cancel();
      return null;
    }
    chunks.push(value);
  }
}

/** JSON as RFC 8259 has it: strict UTF-8 without a byte order mark. Undefined when it is none. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    // `ignoreBOM` keeps the mark, which JSON.parse then refuses.
    return parseText(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** Undefined when it is no JSON. */
function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
