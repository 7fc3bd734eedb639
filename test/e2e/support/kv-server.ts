// A KV namespace as workerd reaches it, over HTTP and in memory, so that a test can make it slow or failing.
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface KvServer {
  readonly port: number;
  readonly set: (key: string, value: string) => void;
  readonly get: (key: string) => string | undefined;
  readonly keys: () => string[];
  /** Milliseconds before each answer from now on. Default: 0. */
  readonly delay: (ms: number) => void;
  readonly close: () => Promise<void>;
}

interface Entry {
  readonly value: Buffer;
  readonly metadata: string | undefined;
}

interface Answer {
  readonly status: number;
  readonly body: string | Buffer;
  readonly metadata?: string | undefined;
}

export async function startKv(): Promise<KvServer> {
  const entries = new Map<string, Entry>();
  let delayMs = 0;
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request);
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    const { status, body: answer, metadata } = answerTo(entries, request, body);
    if (metadata !== undefined) response.setHeader("cf-kv-metadata", metadata);
    response.writeHead(status).end(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    set: (key, value) => void entries.set(key, { value: Buffer.from(value), metadata: undefined }),
    get: (key) => entries.get(key)?.value.toString("utf8"),
    keys: () => [...entries.keys()].sort(),
    delay: (ms) => {
      delayMs = ms;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answerTo(entries: Map<string, Entry>, request: IncomingMessage, body: Buffer): Answer {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://kv");
  if (request.method === "POST" && pathname === "/bulk/get") return bulkGet(entries, body);
  if (request.method === "GET" && pathname === "/") return list(entries, searchParams);
  const key = decodeURIComponent(pathname.slice(1));
  if (request.method === "PUT") {
    const metadata = request.headers["cf-kv-metadata"];
    entries.set(key, {
      value: body,
      metadata: typeof metadata === "string" ? metadata : undefined,
    });
    return { status: 200, body: "" };
  }
  const entry = entries.get(key);
  if (request.method === "DELETE") entries.delete(key);
  if (entry === undefined) return { status: 404, body: "" };
  return { status: 200, body: entry.value, metadata: entry.metadata };
}

function bulkGet(entries: Map<string, Entry>, body: Buffer): Answer {
  const { keys, type } = JSON.parse(body.toString("utf8")) as { keys: string[]; type?: string };
  const pairs = keys.map((key) => {
    const text = entries.get(key)?.value.toString("utf8");
    if (text === undefined) return [key, null];
    return [key, type === "json" ? (JSON.parse(text) as unknown) : text];
  });
  return { status: 200, body: JSON.stringify(Object.fromEntries(pairs)) };
}

function list(entries: Map<string, Entry>, query: URLSearchParams): Answer {
  const prefix = query.get("prefix") ?? "";
  const limit = Number(query.get("key_count_limit") ?? 1_000);
  const after = query.get("cursor") ?? "";
  const names = [...entries.keys()].filter((key) => key.startsWith(prefix)).sort();
  const left = names.filter((name) => after === "" || name > after);
  const keys = left.slice(0, limit).map((name) => {
    const metadata = entries.get(name)?.metadata;
    return {
      name,
      ...(metadata === undefined ? {} : { metadata: JSON.parse(metadata) as unknown }),
    };
  });
  const isComplete = left.length <= limit;
  const cursor = isComplete ? {} : { cursor: keys.at(-1)?.name };
  return { status: 200, body: JSON.stringify({ keys, list_complete: isComplete, ...cursor }) };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
