// The way in: the order in which a request is refused, and that each refusal of a known caller is on record.
import { describe, expect, it } from "vitest";
import {
  ADA,
  ANN,
  type AuditJson,
  createHarness,
  type HarnessOptions,
  limitsOf,
  withTenant,
} from "./support/harness.ts";

const JSON_TYPE = { "content-type": "application/json" };
/** Bodies that no cancel takes, each refused for a reason of its own. */
const NO_BODIES = [
  ["not JSON", { body: "{", headers: JSON_TYPE }, "invalid_request"],
  ["a list", { body: "[]", headers: JSON_TYPE }, "invalid_request"],
  ["an unknown member", { body: '{"why":"x"}', headers: JSON_TYPE }, "invalid_request"],
  [
    "too large",
    { body: `{"reason":"${"x".repeat(5_000)}"}`, headers: JSON_TYPE },
    "payload_too_large",
  ],
  [
    "not declared as JSON",
    { body: "reason", headers: { "content-type": "text/plain" } },
    "unsupported_media_type",
  ],
] as const;

const LOST = { thread: "thread_1", run: "run_1" };

/** The reply to a cancel, and the event that its `audit-id` names. */
async function refused(options: HarnessOptions, init: RequestInit, claims = {}) {
  const gateway = await createHarness(options);
  const token = await gateway.tokenFor(ANN, claims);
  const response = await gateway.cancel(LOST, token, init);
  const { error } = (await response.json()) as { error: { code: string } };
  const id = response.headers.get("audit-id");
  const { data } = await (await createHarness()).events(await gateway.tokenFor(ADA));
  const event = data.find((one: AuditJson) => one.id === id);
  return { code: error.code, event, calls: await gateway.calls() };
}

describe("a cancel whose body is not valid", () => {
  it.each(NO_BODIES)("%s, is refused on record", async (_, init, code) => {
    const reply = await refused({}, init);
    expect(reply.code).toBe(code);
    expect(reply.event).toMatchObject({ type: "denied", decision: { code }, reason: null });
    expect(reply.calls).toEqual([]);
  });

  it.each(NO_BODIES)("%s, is refused for the kill switch before", async (_, init) => {
    const reply = await refused({ config: withTenant("acme", { enabled: false }) }, init);
    expect(reply.code).toBe("tenant_not_allowed");
    expect(reply.event).toMatchObject({ decision: { code: "tenant_not_allowed" } });
  });

  it.each(NO_BODIES)("%s, is refused for a revoked token before", async (_, init) => {
    const config = withTenant("acme", { revoked_tokens: ["stolen"] });
    const reply = await refused({ config }, init, { jti: "stolen" });
    expect(reply.code).toBe("invalid_token");
    expect(reply.event).toMatchObject({ decision: { code: "invalid_token" } });
  });

  it.each(NO_BODIES)("%s, counts for the caller's rate", async (_, init) => {
    const counted: string[] = [];
    const limits = limitsOf(() => ({
      limit: async ({ key }) => {
        counted.push(key);
        return { success: false };
      },
    }));
    const config = withTenant("acme", { rate: "strict" });
    const reply = await refused({ config, bindings: { limits } }, init);
    expect(reply.code).toBe("rate_limited");
    expect(counted).toHaveLength(1);
  });
});

describe("an auditor's cursor that no page has given", () => {
  it.each(["events", "export"])("is refused on record, for %s", async (route) => {
    const gateway = await createHarness();
    const headers = { authorization: `Bearer ${await gateway.tokenFor(ADA)}` };
    const response = await gateway.request(`/v1/audit/${route}?cursor=made-up`, { headers });
    expect(response.status).toBe(400);
    const id = response.headers.get("audit-id");
    const { data } = await gateway.events(await gateway.tokenFor(ADA));
    expect(data.find((event) => event.id === id)).toMatchObject({
      type: "denied",
      decision: { code: "invalid_request" },
      request: { route: `GET /v1/audit/${route}` },
    });
  });
});
