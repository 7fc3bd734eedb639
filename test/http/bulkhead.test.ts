// How many requests one isolate works on at a time, and what the next one is told.
import { describe, expect, it } from "vitest";
import { ANN, createHarness } from "../support/harness.ts";

const MOST = 256;

/** Whose network answers nothing before it is told to. */
async function held() {
  const waiting: (() => void)[] = [];
  let nowMs = Date.now();
  const gateway = await createHarness({
    world: { now: () => nowMs },
    network: (simulator) => async (input, init) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return await simulator(input, init);
    },
  });
  const headers = { authorization: `Bearer ${await gateway.tokenFor(ANN)}` };
  const ask = (own: RequestInit = {}) => gateway.begin("/v1/threads/t/runs/r", { headers, ...own });
  return {
    gateway,
    ask,
    arrived: async (count: number) => {
      while (waiting.length < count) await scheduler.wait(1);
    },
    release: () => {
      for (const go of waiting.splice(0)) go();
    },
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

describe("the two hundred and fifty-seventh request at once", () => {
  it("is told to come back, before its token is looked at; the next one is served", async () => {
    const { gateway, ask, arrived, release } = await held();
    const asked = Array.from({ length: MOST }, () => ask());
    await arrived(MOST);
    for (const token of ["", "Bearer not.a.token"]) {
      const response = await ask({ headers: { authorization: token } }).response;
      expect(response.status).toBe(503);
      expect(response.headers.get("retry-after")).toBe("1");
      expect(response.headers.get("x-should-retry")).toBeNull();
      expect(await response.json()).toMatchObject({ error: { code: "overloaded" } });
    }
    const preflight = await gateway.request("/v1/threads/t/runs/r", {
      method: "OPTIONS",
      headers: { origin: "https://app.acme.test", "access-control-request-method": "GET" },
    });
    expect(preflight.status).toBe(204);
    expect((await gateway.request("/healthz")).status).toBe(200);

    release();
    const statuses = await Promise.all(asked.map(async ({ response }) => (await response).status));
    expect(new Set(statuses)).toEqual(new Set([404]));
    const next = ask();
    await arrived(1);
    release();
    expect((await next.response).status).toBe(404);
  });

  it("is served when those before it have been silent for two minutes", async () => {
    const { ask, arrived, release, pass } = await held();
    const lost = Array.from({ length: MOST }, () => ask());
    await arrived(MOST);
    pass(120_001);
    const next = ask();
    await arrived(MOST + 1);
    release();
    expect((await next.response).status).not.toBe(503);
    await Promise.all(lost.map(({ response }) => response));
  });
});
