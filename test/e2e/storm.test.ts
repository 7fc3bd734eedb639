// Fifty people press Stop at the same moment, over real connections to the real runtime.
import { afterAll, beforeAll, expect, it } from "vitest";
import { chainDefects } from "../../src/audit/chain.ts";
import type { AuditEvent } from "../../src/audit/event.ts";
import { type BlackBox, startBlackBox, until } from "./support/black-box.ts";
import { startUpstream, type Upstream } from "./support/sample.ts";

const CLICKS = 50;

let upstream: Upstream;
let gateway: BlackBox;
beforeAll(async () => {
  upstream = await startUpstream();
  const { config, secrets } = upstream;
  gateway = await startBlackBox({ config, secrets });
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

it("sends one cancel, gives fifty replies with the same Run, and keeps fifty events", async () => {
  const { threadId, runId } = await upstream.startRun("ann");
  const token = await upstream.token({ sub: "ann", tenant: "acme", scope: "runs:cancel" });
  const click = async (): Promise<{ status: number; body: string }> => {
    const url = `${gateway.origin}/v1/threads/${threadId}/runs/${runId}/cancel`;
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(url, { method: "POST", headers });
    return { status: response.status, body: await response.text() };
  };
  const replies = await Promise.all(Array.from({ length: CLICKS }, click));
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
  expect(new Set(replies.map(({ body }) => body)).size).toBe(1);
  const cancels = (await upstream.calls()).filter(({ path }) => path.endsWith("/cancel"));
  expect(cancels).toHaveLength(1);

  const auditor = await upstream.token({ sub: "ada", tenant: "acme", scope: "audit:read" });
  let events: AuditEvent[] = [];
  await until(async () => {
    const response = await fetch(`${gateway.origin}/v1/audit/events?limit=200`, {
      headers: { authorization: `Bearer ${auditor}` },
    });
    events = ((await response.json()) as { data: AuditEvent[] }).data;
    return events.every(({ outcome }) => outcome !== null);
  });
  expect(events.map(({ seq }) => seq ?? 0).toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: CLICKS }, (_, index) => index + 1),
  );
  expect(events.filter(({ outcome }) => outcome?.attempts === 1)).toHaveLength(1);
  expect(chainDefects("acme", events)).toEqual([]);
});
