// Cloudflare's API for KV, as far as wrangler's kv commands use it. Keeps what it is given, and fails when
// it is told to. The addresses and bodies are those of developers.cloudflare.com/api, KV.
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface Stored {
  value: string;
  metadata?: unknown;
}

export interface CloudflareApi {
  readonly env: Readonly<Record<string, string>>;
  readonly store: Map<string, Stored>;
  /** What was asked, as `METHOD path`. */
  readonly asked: string[];
  /** Whether there is a Worker: only then is there a binding. */
  isDeployed: boolean;
  /** Set to answer 500 to the requests it picks. */
  fails: (asked: string, body: string) => boolean;
  /** Set to change what is stored behind the back of whoever wrote it. */
  afterWrite: () => void;
  readonly stop: () => Promise<void>;
}

const NAMESPACE = "0123456789abcdef0123456789abcdef";
const PAGE = 1_000;

export async function startCloudflareApi(): Promise<CloudflareApi> {
  const store = new Map<string, Stored>();
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    void readText(request).then((body) => {
      const url = new URL(request.url ?? "", "http://api");
      const path = url.pathname.replace(/^.*\/namespaces\/\w+/, "").replace(/^\/client\/v4/, "");
      const what = `${request.method} ${path}`;
      asked.push(what);
      const failed = api.fails(what, body);
      const isMissing = !api.isDeployed && path.endsWith("/settings");
      const { result, ...rest } = failed
        ? { result: null, status: 500 }
        : isMissing
          ? { result: null, status: 404 }
          : answer(store, request.method ?? "", path, url.searchParams, body);
      if (request.method === "PUT" && !failed) api.afterWrite();
      const { status = 200, ...extra } = rest as { status?: number };
      const success = status < 400;
      const error = isMissing
        ? { code: 10_007, message: "This Worker does not exist on your account." }
        : { code: 10_013, message: "an internal error" };
      const errors = success ? [] : [error];
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify({ success, errors, messages: [], result, ...extra }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const api: CloudflareApi = {
    env: {
      CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${port}/client/v4`,
      CLOUDFLARE_API_TOKEN: "made-up",
      CLOUDFLARE_ACCOUNT_ID: "fedcba9876543210fedcba9876543210",
    },
    store,
    asked,
    isDeployed: true,
    fails: () => false,
    afterWrite: () => undefined,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
  return api;
}

function answer(
  store: Map<string, Stored>,
  method: string,
  path: string,
  query: URLSearchParams,
  body: string,
): { readonly result: unknown; readonly status?: number; readonly result_info?: unknown } {
  const counted = { result: { successful_key_count: 1, unsuccessful_keys: [] } };
  if (path.endsWith("/settings")) {
    // What the deployed Worker has; so a binding without an id is found.
    const binding = { type: "kv_namespace", name: "CONFIG", namespace_id: NAMESPACE };
    return { result: { bindings: [binding] } };
  }
  if (method === "GET" && path === "/keys") {
    const prefix = query.get("prefix") ?? "";
    const names = [...store.keys()].filter((name) => name.startsWith(prefix)).sort();
    const from = Number(query.get("cursor") || 0);
    const page = names.slice(from, from + PAGE);
    const keys = page.map((name) => ({ name, metadata: store.get(name)?.metadata }));
    const cursor = from + PAGE < names.length ? String(from + PAGE) : "";
    return { result: keys, result_info: { count: keys.length, cursor } };
  }
  if (method === "POST" && path === "/bulk/get") {
    const { keys } = JSON.parse(body) as { keys: string[] };
    if (keys.length > 100) return { result: null, status: 400 };
    const values = keys.map((key) => [key, store.get(key)?.value ?? null]);
    return { result: { values: Object.fromEntries(values) } };
  }
  if (method === "PUT" && path === "/bulk") {
    for (const { key, ...rest } of JSON.parse(body) as (Stored & { key: string })[]) {
      store.set(key, rest);
    }
    return counted;
  }
  if (method === "DELETE" && path === "/bulk") {
    for (const key of JSON.parse(body) as string[]) store.delete(key);
    return counted;
  }
  return { result: null, status: 404 };
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = "";
  // A character may be cut in two where one chunk ends.
  for await (const chunk of request.setEncoding("utf8")) text += String(chunk);
  return text;
}
