// A power cut between the upstream call and its outcome: the intent survives, and becomes `unknown`.
import { afterAll, beforeAll, expect, it } from "vitest";
import { chainDefects } from "../../src/audit/chain.ts";
import type { AuditEvent } from "../../src/audit/event.ts";
import { type BlackBox, startBlackBox, temporaryFolder, until } from "./support/black-box.ts";
import { startUpstream, type Upstream } from "./support/sample.ts";

let upstream: Upstream;
let gateway: BlackBox;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
  upstream = await startUpstream();
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  await folder?.remove();
});

async function events(path = "events"): Promise<AuditEvent[]> {
  const token = await upstream.token({ sub: "ada", tenant: "acme", scope: "audit:read" });
  const response = await fetch(`${gateway.origin}/v1/audit/${path}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { data: AuditEvent[] }).data;
}

it("keeps the intent of a cancel whose outcome it never saw", async () => {
  const { config, secrets } = upstream;
  const options = { config, secrets, persist: folder.path };
  gateway = await startBlackBox(options);
  const { port } = gateway;
  const { threadId, runId } = await upstream.startRun("ann");
  const token = await upstream.token({ sub: "ann", tenant: "acme", scope: "runs:cancel" });
  // The upstream takes the cancel and never says so.
  const reply = { apply: true, hang: true };
  await upstream.fault({ match: { method: "POST", path: "/cancel$" }, reply });
  const click = fetch(`${gateway.origin}/v1/threads/${threadId}/runs/${runId}/cancel`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  }).catch(() => undefined);
  const arrived = async () => (await upstream.calls()).some(({ path }) => path.includes("/cancel"));
  await until(arrived);
  await gateway.kill();
  await click;
  await upstream.forgetFaults();

  gateway = await startBlackBox({ ...options, port });
  const [open] = await events();
  expect(open).toMatchObject({
    type: "cancel",
    actor: { sub: "ann" },
    target: { thread_id: threadId, run_id: runId },
    decision: { allowed: true, rule: "owner" },
  });
  expect(open?.outcome).toBeNull();

  // 120 s after it began, and no sooner.
  await until(async () => (await events())[0]?.outcome !== null);
  const [closed] = await events();
  expect(closed).toMatchObject({ id: open?.id, seq: 1, outcome: { result: "unknown" } });
  const age = Date.now() - Date.parse(closed?.time ?? "");
  expect(age).toBeGreaterThanOrEqual(120_000);
  expect(chainDefects("acme", await events())).toEqual([]);
  // Never re-sent.
  const cancels = (await upstream.calls()).filter(({ path }) => path.includes("/cancel"));
  expect(cancels).toHaveLength(1);
});
