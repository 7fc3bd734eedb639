// Bodies that break off, on a real socket: the client is at fault, and the gateway says so. In plain
// workerd, since wrangler's proxy answers such requests itself.
import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newSigningKey } from "../../cli/signing-key.ts";
import { type PlainWorkerd, startPlainWorkerd } from "./support/plain-workerd.ts";
import { startUpstream, type Upstream } from "./support/sample.ts";

let upstream: Upstream;
let gateway: PlainWorkerd;

beforeAll(async () => {
  upstream = await startUpstream();
  const { config, secrets } = upstream;
  const ownership = { source: "registry" };
  const { acme, globex } = config.tenants;
  const tenants = { acme: { ...acme, ownership }, globex: { ...globex, ownership } };
  gateway = await startPlainWorkerd({
    config: { ...config, tenants },
    secrets: { ...secrets, AUDIT_SIGNING_KEY: await newSigningKey() },
  });
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

const ROUTES = [
  ["POST", "/v1/threads/thread_1/runs/run_1/cancel", "acme"],
  ["POST", "/v1/threads/thread_1/cancel", "acme"],
  ["PUT", "/v1/threads/thread_1/runs/run_1/owner", "acme"],
  ["POST", "/v1/policy/explain", "acme"],
  ["POST", "/v1/responses/resp_1/cancel", "globex"],
  ["PUT", "/v1/responses/resp_1/owner", "globex"],
] as const;

const CHUNKED = "Transfer-Encoding: chunked";
const BROKEN: readonly (readonly [name: string, framing: string, body: string])[] = [
  ["whose first chunk has no size", CHUNKED, "zz\r\n{}\r\n0\r\n\r\n"],
  ["whose second chunk has no size", CHUNKED, "1\r\n{\r\nzz\r\n}\r\n0\r\n\r\n"],
  ["with a chunk longer than its size", CHUNKED, '1\r\n{"reason":"x"}\r\n0\r\n\r\n'],
  ["without its last chunk", CHUNKED, "2\r\n{}\r\n"],
  ["with fewer bytes than announced", "Content-Length: 100", '{"reason":"x"}'],
  ["with none of the bytes announced", "Content-Length: 100", ""],
];

/** Sends the request, ends its own side of the connection, and reads the answer to its end. */
async function send(head: readonly string[], body: string): Promise<string> {
  const socket = connect({ port: gateway.port, host: "127.0.0.1", allowHalfOpen: true });
  let answer = "";
  socket.setEncoding("utf8").on("data", (text) => {
    answer += text;
  });
  socket.end([...head, "", body].join("\r\n"));
  await once(socket, "close");
  return answer;
}

describe.each(ROUTES)("%s %s", (method, path, tenant) => {
  it.each(BROKEN)("answers 400 to a body %s", async (_, framing, body) => {
    const scope = "runs:cancel runs:register";
    const token = await upstream.token({ sub: "ann", tenant, scope });
    const head = [
      `${method} ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${gateway.port}`,
      `Authorization: Bearer ${token}`,
      "Content-Type: application/json",
      "Connection: close",
      framing,
    ];
    const answer = await send(head, body);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain("The request body broke off before its end.");
  });
});
