// `POST /v1/policy/explain`, by the front door: why, or why not, as a cancel would decide. Cancels
// nothing, and tells of a run that is not the caller's no more than of one that is not there.
import { describe, expect, it } from "vitest";
import { ledgerDown } from "../audit/support.ts";
import {
  ANN,
  createHarness,
  type Harness,
  type Json,
  type Person,
  pathOf,
  type RunIds,
  SAM,
  withTenant,
} from "../support/harness.ts";
import { refused } from "../support/reply.ts";

const EVE: Person = { ...ANN, sub: "eve" };

async function ask(gateway: Harness, person: Person, body: unknown): Promise<Response> {
  return await gateway.request("/v1/policy/explain", {
    method: "POST",
    headers: {
      authorization: `Bearer ${await gateway.tokenFor(person)}`,
      "content-type": "application/json",
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}
const bodyOf = ({ thread, run }: RunIds) => ({ thread_id: thread, run_id: run });

async function explained(gateway: Harness, person: Person, ids: RunIds): Promise<Json> {
  const response = await ask(gateway, person, bodyOf(ids));
  expect(response.status).toBe(200);
  return await response.json();
}

describe("an explanation", () => {
  it("names the rule that allows it", async () => {
    const gateway = await createHarness();
    expect(await explained(gateway, ANN, await gateway.startRun())).toEqual({
      allowed: true,
      rule: "owner",
      reason: "the rule allows it",
      code: null,
      reason_required: false,
      rules: [{ id: "owner", effect: "allow", mismatch: null }],
    });
  });

  it("says why each earlier rule did not match, and that a reason will be wanted", async () => {
    const gateway = await createHarness();
    expect(await explained(gateway, SAM, await gateway.startRun())).toEqual({
      allowed: true,
      rule: "support",
      reason: "the rule allows it",
      code: null,
      reason_required: true,
      rules: [
        { id: "owner", effect: "allow", mismatch: "the token lacks the scope runs:cancel" },
        { id: "support", effect: "allow", mismatch: null },
      ],
    });
  });

  it("says which rule denies it", async () => {
    const rules = [
      { id: "frozen", effect: "deny", scopes: [], runs: "tenant", assistants: ["asst_support"] },
      { id: "owner", scopes: ["runs:cancel"], runs: "own" },
    ];
    const gateway = await createHarness({ config: withTenant("acme", { rules }) });
    expect(await explained(gateway, ANN, await gateway.startRun())).toMatchObject({
      allowed: false,
      rule: "frozen",
      code: "policy_denied",
      reason: "The tenant's policy does not allow this. (the rule denies it)",
      rules: [{ id: "frozen", effect: "deny", mismatch: null }],
    });
  });

  it("says that the caller has no rule's scopes, and asks the upstream nothing then", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    await gateway.forgetCalls();
    expect(await explained(gateway, { ...ANN, scope: "openid" }, ids)).toMatchObject({
      allowed: false,
      code: "insufficient_scope",
      rules: [
        { mismatch: "the token lacks the scope runs:cancel" },
        { mismatch: "the token lacks the scope runs:cancel:support" },
      ],
    });
    expect(await gateway.calls()).toEqual([]);
  });

  it.each<[string, Json]>([
    ["metadata", {}],
    [
      "metadata, where a rule denies what the tenant has",
      {
        rules: [
          { id: "no", effect: "deny", scopes: [], runs: "tenant" },
          { id: "owner", scopes: ["runs:cancel"], runs: "own" },
        ],
      },
    ],
    ["registry", { ownership: { source: "registry" } }],
    ["grant", { ownership: { source: "grant" } }],
  ])("is the same, byte for byte, of another's run and of none, by %s", async (_, members) => {
    const gateway = await createHarness({ config: withTenant("acme", members) });
    const ids = await gateway.startRun();
    const replies = [];
    for (const target of [
      ids,
      { ...ids, run: "run_unknown" },
      { thread: "thread_unknown", run: "run_unknown" },
      { thread: "a/../b", run: "x y" },
      { thread: "", run: "" },
    ]) {
      const response = await ask(gateway, EVE, bodyOf(target));
      const headers = Object.fromEntries(response.headers);
      delete headers["x-request-id"];
      replies.push({ status: response.status, headers, body: await response.text() });
    }
    expect(JSON.parse(replies[0]?.body ?? "")).toMatchObject({
      allowed: false,
      rule: null,
      code: "run_not_found",
      reason: "No run found with this id.",
    });
    for (const reply of replies) expect(reply).toEqual(replies[0]);
  });

  it("decides as the cancel does that follows, and cancels nothing itself", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    for (const person of [ANN, EVE, SAM, { ...ANN, scope: "" }]) {
      await gateway.forgetCalls();
      const { allowed, code, reason_required } = await explained(gateway, person, ids);
      expect((await gateway.calls()).every(({ method }) => method === "GET")).toBe(true);
      const init = {
        body: '{"reason":"asked"}',
        headers: { "content-type": "application/json" },
      };
      const response = await gateway.cancel(ids, await gateway.tokenFor(person), init);
      expect(response.status === 200).toBe(allowed);
      if (allowed !== true) expect(await refused(response)).toMatchObject({ code });
      expect(reason_required).toBe(person === SAM);
    }
  });

  it("leaves no record of itself", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    await explained(gateway, ANN, ids);
    await explained(gateway, EVE, ids);
    expect(await gateway.eventsOf(ids)).toEqual([]);
  });
});

describe("no explanation is given", () => {
  it.each<[string, unknown, Json]>([
    ["without a body", "", { status: 400, code: "invalid_request" }],
    ["without a run", { thread_id: "thread_1" }, { status: 400, param: "run_id" }],
    ["with a number for a thread", { thread_id: 1, run_id: "run_1" }, { param: "thread_id" }],
    [
      "with more than it takes",
      { thread_id: "t", run_id: "r", subject: "ann" },
      { message: "The request body takes no member but 'thread_id' and 'run_id'." },
    ],
  ])("%s", async (_, body, reply) => {
    const gateway = await createHarness();
    expect(await refused(await ask(gateway, ANN, body))).toMatchObject(reply);
  });

  it("without a token, or with another method", async () => {
    const gateway = await createHarness();
    const init = { method: "POST", body: "{" };
    expect((await gateway.request("/v1/policy/explain", init)).status).toBe(401);
    expect((await gateway.request("/v1/policy/explain")).status).toBe(405);
  });

  it("when the run cannot be read", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun();
    await gateway.fault({ match: { path: pathOf(ids) }, reply: { status: 500 } });
    await gateway.fault({ match: {}, reply: { status: 500 } });
    expect(await refused(await ask(gateway, ANN, bodyOf(ids)))).toMatchObject({ status: 502 });
  });

  it("when the registry cannot be read", async () => {
    const gateway = await createHarness({
      config: withTenant("acme", { ownership: { source: "registry" } }),
      bindings: { ledger: () => ledgerDown() },
    });
    const reply = await refused(await ask(gateway, ANN, { thread_id: "t", run_id: "r" }));
    expect(reply).toMatchObject({ status: 503, code: "audit_unavailable" });
  });
});
