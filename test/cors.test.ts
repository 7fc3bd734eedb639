// CORS: which pages may call the gateway, and which replies they may read. Bearer only: no credentials.
import { describe, expect, it } from "vitest";
import { ADA, ANN, createHarness, GUS, pathOf, SAM, withTenant } from "./support/harness.ts";

const OWN = "https://app.acme.test";
const OTHER = "https://app.globex.test";
const CANCEL = "/v1/threads/thread_1/runs/run_1/cancel";

/** What stock `openai` clients make a browser ask for, in every version. */
const ASKED = [
  "authorization",
  "content-type",
  "openai-beta",
  "openai-organization",
  "openai-project",
  "x-stainless-lang",
  "x-stainless-package-version",
  "x-stainless-os",
  "x-stainless-arch",
  "x-stainless-runtime",
  "x-stainless-runtime-version",
  "x-stainless-retry-count",
  "x-stainless-timeout",
  "x-stainless-helper-method",
  "x-stainless-poll-helper",
  "x-stainless-custom-poll-interval",
];
const EXPOSED = [
  "x-request-id",
  "audit-id",
  "cancel-outcome",
  "preference-applied",
  "retry-after",
  "x-should-retry",
];
const NOT_LISTED = [
  "https://evil.test",
  "null",
  "",
  "*",
  "https://app.acme.test.evil.test",
  "https://evil-app.acme.test",
  "https://xapp.acme.test",
  "https://acme.test",
  "https://www.app.acme.test",
  "https://app.acme.tes",
  "https://app.acme.test:443",
  "https://app.acme.test:8443",
  "https://app.acme.test/",
  "https://app.acme.test/path",
  "https://APP.acme.test",
  "HTTPS://app.acme.test",
  "http://app.acme.test",
  "https://app.acme.test,https://evil.test",
  "https://user@app.acme.test",
  "https://app.acme.test.",
  "https://app%2eacme.test",
  "constructor",
];

const gateway = await createHarness();
const token = await gateway.tokenFor(ANN);
const words = (header: string | null): string[] => (header ?? "").toLowerCase().split(/, ?/);

function preflight(origin: string, headers: readonly string[] = ASKED): Promise<Response> {
  return gateway.request(CANCEL, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": headers.join(","),
    },
  });
}

describe("a preflight", () => {
  it.each([OWN, OTHER])(
    "from %s, which a tenant listed, allows all that a stock client sends",
    async (origin) => {
      const response = await preflight(origin);
      expect(response.status).toBe(204);
      expect(await response.text()).toBe("");
      expect(response.headers.get("access-control-allow-origin")).toBe(origin);
      expect(words(response.headers.get("access-control-allow-headers"))).toEqual(
        expect.arrayContaining([...ASKED, "prefer", "traceparent"]),
      );
      expect(words(response.headers.get("access-control-allow-methods"))).toEqual(
        expect.arrayContaining(["get", "post"]),
      );
      expect(words(response.headers.get("vary"))).toContain("origin");
    },
  );

  it("allows nothing to a page that is not listed, whatever it asks for", async () => {
    const { headers } = await preflight("https://evil.test", [...ASKED, "x-evil"]);
    expect([...headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
  });

  it.each(NOT_LISTED)("from %j allows nothing", async (origin) => {
    const response = await preflight(origin);
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
    expect(words(response.headers.get("vary"))).toContain("origin");
  });

  it("needs no token and touches nothing", async () => {
    await gateway.forgetCalls();
    await preflight(OWN);
    expect(await gateway.calls()).toEqual([]);
    expect((await gateway.eventsOf({ thread: "thread_1", run: "run_1" })).length).toBe(0);
  });
});

/** The origin that a reply may be read from; everything else that all replies have in common is checked. */
async function readableFrom(asked: Promise<Response>): Promise<string | null> {
  const { headers } = await asked;
  expect(words(headers.get("vary"))).toContain("origin");
  expect(headers.get("access-control-allow-credentials")).toBeNull();
  const origin = headers.get("access-control-allow-origin");
  if (origin !== null) {
    expect(words(headers.get("access-control-expose-headers"))).toEqual(EXPOSED);
  }
  return origin;
}

describe("a reply", () => {
  it("to the tenant's own page can be read by it, success or not", async () => {
    const ids = await gateway.startRun();
    const from = { headers: { origin: OWN } };
    expect(await readableFrom(gateway.cancel(ids, token, from))).toBe(OWN);
    const unknown = { thread: "thread_1", run: "run_none" };
    expect(await readableFrom(gateway.cancel(unknown, token, from))).toBe(OWN);
    const noReason = gateway.cancel(ids, await gateway.tokenFor(SAM), from);
    expect(await readableFrom(noReason)).toBe(OWN);
  });

  it("to a program, which sends no origin, says Vary all the same", async () => {
    expect(await readableFrom(gateway.cancel(await gateway.startRun(), token))).toBeNull();
  });

  it.each(NOT_LISTED)("cannot be read from %j", async (origin) => {
    const ids = await gateway.startRun();
    const from = { headers: { origin } };
    expect(await readableFrom(gateway.cancel(ids, token, from))).toBeNull();
    expect(await readableFrom(gateway.request(CANCEL, { method: "POST", ...from }))).toBeNull();
  });

  it("cannot be read from another tenant's page: a Run, a refusal, a failure", async () => {
    const from = { headers: { origin: OTHER } };
    const ids = await gateway.startRun();
    expect(await readableFrom(gateway.cancel(ids, token, from))).toBeNull();
    const read = gateway.request(pathOf(ids), {
      headers: { authorization: `Bearer ${token}`, origin: OTHER },
    });
    expect(await readableFrom(read)).toBeNull();
    const noReason = gateway.cancel(ids, await gateway.tokenFor(SAM), from);
    expect(await readableFrom(noReason)).toBeNull();
    const ended = await gateway.startRun({ timing: { run_ms: 0 } });
    const strictly = { headers: { origin: OTHER, prefer: "handling=strict" } };
    expect(await readableFrom(gateway.cancel(ended, token, strictly))).toBeNull();
  });

  it("to an auditor can be read from the tenant's own page only", async () => {
    const authorization = `Bearer ${await gateway.tokenFor(ADA)}`;
    for (const path of ["events", "events/none", "events?cursor=none", "export"]) {
      const from = (origin: string) =>
        gateway.request(`/v1/audit/${path}`, { headers: { authorization, origin } });
      expect(await readableFrom(from(OWN))).toBe(OWN);
      expect(await readableFrom(from(OTHER))).toBeNull();
    }
  });

  it("to a foreign page is no different for being narrowed afterwards: the run is cancelled", async () => {
    const ids = await gateway.startRun();
    await gateway.cancel(ids, token, { headers: { origin: OTHER } });
    expect(await (await gateway.read(ids, token)).json()).toMatchObject({ status: "cancelling" });
  });

  it("follows the token's tenant, not the page's", async () => {
    const ids = await gateway.startResponse();
    const gus = await gateway.tokenFor(GUS);
    const from = (origin: string) => gateway.cancel(ids, gus, { headers: { origin } });
    expect(await readableFrom(from(OTHER))).toBe(OTHER);
    expect(await readableFrom(from(OWN))).toBeNull();
  });

  it("that comes before the tenant is known can be read from any listed page", async () => {
    for (const origin of [OWN, OTHER]) {
      const post = (path: string, init: RequestInit = {}) =>
        gateway.request(path, {
          method: "POST",
          ...init,
          headers: { origin, ...(init.headers as Record<string, string>) },
        });
      expect(await readableFrom(post(CANCEL))).toBe(origin);
      expect(await readableFrom(post(CANCEL, { headers: { authorization: "Bearer x" } }))).toBe(
        origin,
      );
      expect(await readableFrom(post("/v1/threads/t/runs/run~1/cancel"))).toBe(origin);
      expect(await readableFrom(post("/v1/nowhere"))).toBe(origin);
      expect(await readableFrom(post(CANCEL, { body: "x".repeat(9_000) }))).toBe(origin);
    }
  });

  it("of a tenant that lists no origin cannot be read from any page", async () => {
    const shut = await createHarness({ config: withTenant("acme", { origins: [] }) });
    const ids = await shut.startRun();
    for (const origin of [OWN, OTHER]) {
      expect(await readableFrom(shut.cancel(ids, token, { headers: { origin } }))).toBeNull();
    }
  });
});
