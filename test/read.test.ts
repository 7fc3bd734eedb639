// The other journey by its front door: asking what has become of a run. Allowed as a cancel is.
import { describe, expect, it } from "vitest";
import {
  ADA,
  ANN,
  createHarness,
  GUS,
  type Json,
  pathOf,
  SAM,
  withTenant,
} from "./support/harness.ts";
import { refused } from "./support/reply.ts";

const gateway = await createHarness();
const token = await gateway.tokenFor(ANN);

describe("reading a run", () => {
  it("shows its owner the Run of 27 keys, and says nothing of a cancel", async () => {
    const ids = await gateway.startRun();
    const response = await gateway.read(ids, token);
    expect(response.status).toBe(200);
    const run: Json = await response.json();
    expect(run).toMatchObject({
      id: ids.run,
      object: "thread.run",
      thread_id: ids.thread,
      status: "in_progress",
    });
    expect(Object.keys(run)).toHaveLength(27);
    for (const name of ["audit-id", "cancel-outcome", "preference-applied"]) {
      expect(response.headers.get(name)).toBeNull();
    }
  });

  it("costs one read upstream and no cancel", async () => {
    const ids = await gateway.startRun();
    await gateway.forgetCalls();
    await gateway.read(ids, token);
    expect((await gateway.calls()).map(({ method }) => method)).toEqual(["GET"]);
  });

  it("leaves no record when it is allowed", async () => {
    const ids = await gateway.startRun();
    await gateway.read(ids, token);
    expect(await gateway.eventsOf(ids)).toEqual([]);
  });

  it("waits for nothing, whatever is preferred", async () => {
    const ids = await gateway.startRun();
    const response = await gateway.request(pathOf(ids), {
      headers: { authorization: `Bearer ${token}`, prefer: "wait=25, handling=strict" },
    });
    expect(await response.json()).toMatchObject({ status: "in_progress" });
    expect(response.headers.get("preference-applied")).toBeNull();
  });

  it("shows a terminal run, even to a tenant whose on_terminal is error", async () => {
    const strict = await createHarness({ config: withTenant("acme", { on_terminal: "error" }) });
    const ids = await strict.startRun({ timing: { run_ms: 0 } });
    const response = await strict.read(ids, token);
    expect(await response.json()).toMatchObject({ status: "completed" });
  });

  it("asks for no reason, even under a rule that requires one for a cancel", async () => {
    const ids = await gateway.startRun({ owner: "somebody" });
    expect((await gateway.read(ids, await gateway.tokenFor(SAM))).status).toBe(200);
  });

  it("shows a response as a Run", async () => {
    const ids = await gateway.startResponse();
    const response = await gateway.read(ids, await gateway.tokenFor(GUS));
    expect(await response.json()).toMatchObject({ object: "thread.run", status: "in_progress" });
  });

  it("hides what the tenant redacts", async () => {
    const discreet = await createHarness({ config: withTenant("acme", { redact: ["metadata"] }) });
    const ids = await discreet.startRun();
    const run: Json = await (await discreet.read(ids, token)).json();
    expect(run["metadata"]).toEqual({});
  });

  it("reads the run even where the proof of ownership did not", async () => {
    const byGrant = await createHarness({
      config: withTenant("acme", { ownership: { source: "grant" } }),
    });
    const ids = await byGrant.startRun();
    const granting = await byGrant.tokenFor(ANN, {
      authorization_details: [{ type: "run_cancel", thread_id: ids.thread }],
    });
    await byGrant.forgetCalls();
    expect(await (await byGrant.read(ids, granting)).json()).toMatchObject({ id: ids.run });
    expect((await byGrant.calls()).map(({ method }) => method)).toEqual(["GET"]);
  });
});

describe("a read that is refused", () => {
  it("is 404 for a colleague's run, and on record", async () => {
    const ids = await gateway.startRun({ owner: "bob" });
    expect(await refused(await gateway.read(ids, token))).toMatchObject({
      status: 404,
      code: "run_not_found",
    });
    const [event] = await gateway.eventsOf(ids);
    expect(event).toMatchObject({
      type: "denied",
      actor: { sub: "ann" },
      decision: { allowed: false, rule: null, code: "run_not_found" },
      reason: null,
      outcome: null,
    });
  });

  it("is 403 without a scope of any rule, and on record under the id that the reply names", async () => {
    const ids = await gateway.startRun();
    const response = await gateway.read(ids, await gateway.tokenFor(ADA));
    expect(response.status).toBe(403);
    const [event] = await gateway.eventsOf(ids);
    expect(event?.decision.code).toBe("insufficient_scope");
    expect(response.headers.get("audit-id")).toBe(event?.id);
  });

  it("is 403 for an assistant that is not on the tenant's list", async () => {
    const narrow = await createHarness({
      config: withTenant("acme", { assistants: ["asst_other"] }),
    });
    const reply = await refused(await narrow.read(await narrow.startRun(), token));
    expect(reply).toMatchObject({ status: 403, code: "policy_denied" });
  });

  it("is 401 without a token, and leaves no record: nobody knows whose log it would be", async () => {
    const ids = await gateway.startRun();
    expect((await gateway.request(pathOf(ids))).status).toBe(401);
    expect(await gateway.eventsOf(ids)).toEqual([]);
  });

  it("is what the upstream's failure means, as for a cancel", async () => {
    const ids = await gateway.startRun();
    await gateway.fault({ match: { method: "GET" }, reply: { status: 401 }, times: 1 });
    expect(await refused(await gateway.read(ids, token))).toMatchObject({
      status: 502,
      code: "upstream_rejected_credentials",
      shouldRetry: "false",
    });
  });
});
