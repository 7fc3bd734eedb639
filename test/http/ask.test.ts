// What a request says about itself, and how much of that goes on record or on to the upstream.
import { describe, expect, it } from "vitest";
import { ANN, createHarness, GUS, pathOf, withTenant } from "../support/harness.ts";

const gateway = await createHarness();
const token = await gateway.tokenFor(ANN);

/** The request's facts as the event of its cancel has them, and what the upstream was sent. */
async function recorded(headers: Record<string, string>) {
  const ids = await gateway.startRun();
  await gateway.forgetCalls();
  const response = await gateway.cancel(ids, token, { headers });
  const [event] = await gateway.eventsOf(ids);
  const sent = (await gateway.calls()).map((call) => call.headers["traceparent"] ?? null);
  return { response, request: event?.request, sent: [...new Set(sent)] };
}

describe("a body that does not come", () => {
  it("is waited for two seconds, and then holds its place no longer", async () => {
    const ids = await gateway.startRun();
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode("{")),
    });
    const headers = { "content-type": "application/json" };
    const response = await gateway.cancel(ids, token, { body, headers });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: "invalid_request", message: "The request body did not arrive in time." },
    });
    expect(await gateway.cancelsSent()).toEqual([]);
  });
});

describe("a body that breaks off", () => {
  const owned = { ownership: { source: "registry" } };
  const ROUTES = [
    ["POST", "/v1/threads/thread_1/runs/run_1/cancel", ANN],
    ["POST", "/v1/threads/thread_1/cancel", ANN],
    ["PUT", "/v1/threads/thread_1/runs/run_1/owner", ANN],
    ["POST", "/v1/policy/explain", ANN],
    ["POST", "/v1/responses/resp_1/cancel", GUS],
    ["PUT", "/v1/responses/resp_1/owner", GUS],
  ] as const;

  it.each(ROUTES)("is 400 at %s %s, at once or after a part of it", async (method, path, who) => {
    const registered = await createHarness({
      config: (config) => withTenant("globex", owned)(withTenant("acme", owned)(config)),
    });
    const scope = "runs:cancel runs:register";
    const authorization = `Bearer ${await registered.tokenFor({ ...who, scope })}`;
    for (const parts of [[], ["{"], ["{}"], ['{"reason":"', "x"]]) {
      const body = new ReadableStream({
        async pull(controller) {
          const part = parts.shift();
          if (part === undefined) controller.error(new Error("Network connection lost."));
          else controller.enqueue(new TextEncoder().encode(part));
        },
      });
      const headers = { authorization, "content-type": "application/json" };
      const response = await registered.request(path, { method, headers, body });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({
        error: {
          code: "invalid_request",
          message: "The request body broke off before its end.",
          param: null,
        },
      });
    }
    expect(await registered.calls()).toEqual([]);
  });
});

describe("an event", () => {
  it("has the request's id and route, and nothing that the client does not send", async () => {
    const { response, request } = await recorded({});
    expect(request).toEqual({
      id: response.headers.get("x-request-id"),
      route: "POST /v1/threads/:thread_id/runs/:run_id/cancel",
      traceparent: null,
      ip: null,
      country: null,
      user_agent: null,
    });
  });

  it("names the same route where the address ends with a slash", async () => {
    const ids = await gateway.startRun();
    await gateway.request(`${pathOf(ids)}/cancel/`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
    const [event] = await gateway.eventsOf(ids);
    expect(event?.request.route).toBe("POST /v1/threads/:thread_id/runs/:run_id/cancel");
    expect(gateway.lines.at(-2)).toContain('"route":"/v1/threads/:thread_id/runs/:run_id/cancel"');
  });

  it.each([
    ["203.0.113.77", "203.0.113.0/24"],
    ["2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3::/48"],
    ["2001:db8::1", "2001:db8:0::/48"],
    ["2001:DB8::", "2001:db8:0::/48"],
    ["::1", "0:0:0::/48"],
    ["unknown", null],
    ["::1]@evil.test/[", null],
    ["203.0.113.77, 10.0.0.1", null],
  ])(
    "of a request from %s has the network %j, and not the person's address",
    async (ip, network) => {
      const { request } = await recorded({ "cf-connecting-ip": ip });
      expect(request?.ip).toBe(network);
    },
  );

  it("takes no address from a header that anybody can send", async () => {
    const { request } = await recorded({
      "x-forwarded-for": "203.0.113.77",
      "x-real-ip": "203.0.113.77",
      forwarded: "for=203.0.113.77",
      "true-client-ip": "203.0.113.77",
    });
    expect(request?.ip).toBeNull();
  });

  it.each([
    ["DE", "DE"],
    ["T1", "T1"],
    ["de", null],
    ["Germany", null],
  ])("has the country %s as %j", async (country, expected) => {
    expect((await recorded({ "cf-ipcountry": country })).request?.country).toBe(expected);
  });

  it("has the beginning of the user agent", async () => {
    const { request } = await recorded({ "user-agent": `OpenAI/JS 7.57.0 ${"x".repeat(300)}` });
    expect(request?.user_agent).toHaveLength(256);
    expect(request?.user_agent).toMatch(/^OpenAI\/JS 7\.57\.0 x+$/);
  });
});

describe("a traceparent", () => {
  const WELL_FORMED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

  it("that is well formed is recorded, and sent on with every call", async () => {
    const { request, sent } = await recorded({ traceparent: WELL_FORMED });
    expect(request?.traceparent).toBe(WELL_FORMED);
    expect(sent).toEqual([WELL_FORMED]);
  });

  it.each([
    WELL_FORMED.toUpperCase(),
    `${WELL_FORMED}-extra`,
    WELL_FORMED.slice(0, -1),
    "x".repeat(55),
  ])("that is %s goes nowhere", async (traceparent) => {
    const { request, sent } = await recorded({ traceparent });
    expect(request?.traceparent).toBeNull();
    expect(sent).toEqual([null]);
  });
});
