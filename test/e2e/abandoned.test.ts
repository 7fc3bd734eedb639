// Requests that share an isolate: a client that leaves must neither hang nor poison those that follow.
// Under `wrangler dev`, since the vitest plugin turns the runtime's own rule for this off.
// Here the runtime goes on with the request of a client that has left; where it does not, as in production, is
// `leaving.test.ts`.
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createIssuer, type Issuer } from "../../dev/issuer.ts";
import { SAMPLE_AUDIENCE } from "../../dev/local/sample.ts";
import type { StartedRun } from "../../dev/simulator/server.ts";
import { type BlackBox, startBlackBox, until } from "./support/black-box.ts";
import { startUpstream, type Upstream } from "./support/sample.ts";

const KEYS_AFTER_MS = 1_000;

let upstream: Upstream;
let gateway: BlackBox;
let issuer: Issuer;
let keyServer: Server;
let keyRequests = 0;

beforeAll(async () => {
  upstream = await startUpstream();
  issuer = await createIssuer({ issuer: "slow", alg: "RS256", audience: SAMPLE_AUDIENCE });
  keyServer = createServer((_, response) => {
    keyRequests += 1;
    const body = JSON.stringify(issuer.publicJwks);
    setTimeout(() => response.end(body), KEYS_AFTER_MS);
  });
  await new Promise<void>((resolve) => keyServer.listen(0, "127.0.0.1", resolve));
  const { port } = keyServer.address() as AddressInfo;
  const { config, secrets } = upstream;
  const [sample] = config.issuers;
  const slow = { ...sample, issuer: "slow", jwks_uri: `http://127.0.0.1:${port}/jwks` };
  gateway = await startBlackBox({ config: { ...config, issuers: [slow] }, secrets });
});
afterAll(async () => {
  keyServer?.close();
  await gateway?.stop();
  await upstream?.stop();
});

describe("a client that stops in the middle of its request's body", () => {
  it("is told so after two seconds, off the network as well, and holds its place no longer", async () => {
    const { threadId, runId } = await upstream.startRun("ann");
    const { hostname, port } = new URL(gateway.origin);
    const socket = connect(Number(port), hostname);
    const answer = new Promise<string>((resolve, reject) => {
      socket.once("data", (chunk) => resolve(String(chunk)));
      socket.once("error", reject);
    });
    socket.write(
      [
        `POST /v1/threads/${threadId}/runs/${runId}/cancel HTTP/1.1`,
        `Host: ${hostname}:${port}`,
        `Authorization: Bearer ${await tokenOf("ann")}`,
        "Content-Type: application/json",
        "Content-Length: 100",
        "",
        "{",
      ].join("\r\n"),
    );
    expect(await answer).toMatch(/^HTTP\/1.1 400 /);
    socket.destroy();
  });
});

const tokenOf = (sub: string) => issuer.mint({ sub, tenant: "acme", scope: "runs:cancel" });

async function cancel({ threadId, runId }: StartedRun, token: string, signal?: AbortSignal) {
  const response = await fetch(`${gateway.origin}/v1/threads/${threadId}/runs/${runId}/cancel`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    signal: signal ?? AbortSignal.timeout(15_000),
  });
  return { status: response.status, body: (await response.json()) as { status: string } };
}

async function read({ threadId, runId }: StartedRun, token: string, signal?: AbortSignal) {
  const response = await fetch(`${gateway.origin}/v1/threads/${threadId}/runs/${runId}`, {
    headers: { authorization: `Bearer ${token}` },
    signal: signal ?? AbortSignal.timeout(15_000),
  });
  await response.body?.cancel();
  return response.status;
}

describe("a client that leaves", () => {
  it("while the first keys are being fetched, takes none of two hundred with it", async () => {
    const target = await upstream.startRun("ann");
    const token = await tokenOf("ann");
    const leaving = new AbortController();
    const gone = read(target, token, leaving.signal).catch(() => "gone");
    await until(() => keyRequests > 0);
    leaving.abort();
    expect(await gone).toBe("gone");

    const followers = Array.from({ length: 200 }, () => read(target, token));
    expect(await Promise.all(followers)).toEqual(followers.map(() => 200));
    expect(keyRequests).toBe(1);
    // Nor is the isolate the worse for it.
    expect(await read(target, token)).toBe(200);
    expect((await cancel(target, token)).status).toBe(200);
    expect(keyRequests).toBe(1);
  });

  it("while its cancel is under way, leaves the others who pressed Stop with its result", async () => {
    const target = await upstream.startRun("ann");
    const token = await tokenOf("ann");
    const match = { method: "POST", path: `${target.runId}/cancel$` };
    await upstream.fault({ match, reply: { apply: true, delay_ms: 1_000 } });
    const leaving = new AbortController();
    const gone = cancel(target, token, leaving.signal).catch(() => "gone");
    const sent = async () =>
      (await upstream.calls()).filter(({ path }) => path.includes(`${target.runId}/cancel`));
    await until(async () => (await sent()).length > 0);
    const joined = Array.from({ length: 5 }, () => cancel(target, token));
    await new Promise((resolve) => setTimeout(resolve, 300));
    leaving.abort();
    expect(await gone).toBe("gone");
    const replies = await Promise.all(joined);
    expect(replies.every(({ status }) => status === 200)).toBe(true);
    expect(new Set(replies.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(await sent()).toHaveLength(1);
  });
});
