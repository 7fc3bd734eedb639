// The stock clients in a real Firefox, from another origin. Unlike Chromium it lets a page set `user-agent`,
// which `openai` 4 does, and so asks for it in the preflight.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Browser, launch } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../dev/local/server.ts";
import type { StartedRun } from "../../dev/simulator/server.ts";
import { type BlackBox, startBlackBox, temporaryFolder } from "./support/black-box.ts";
import { servePage } from "./support/pages.ts";
import { startUpstream, type Upstream } from "./support/sample.ts";

const FIREFOX = process.env["FIREFOX"] ?? "/usr/bin/firefox-esr";

let upstream: Upstream;
let gateway: BlackBox;
let pages: Server;
let browser: Browser;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let port: number;

beforeAll(async () => {
  folder = await temporaryFolder();
  port = await freePort();
  upstream = await startUpstream();
  const { config, secrets } = upstream;
  const { acme } = config.tenants;
  const origins = [`http://localhost:${port}`];
  gateway = await startBlackBox({
    config: { ...config, tenants: { ...config.tenants, acme: { ...acme, origins } } },
    secrets,
  });
  pages = servePage(PAGE, port);
  browser = await launch({
    browser: "firefox",
    executablePath: FIREFOX,
    // It wants a home that it can write to.
    env: { ...process.env, HOME: folder.path },
  });
});
afterAll(async () => {
  await browser?.close();
  pages?.close();
  await gateway?.stop();
  await upstream?.stop();
  await folder?.remove();
});

/** Version 4 names its shims by a path of its own package. */
const PAGE = `<!doctype html><title>Stop</title>
<script type="importmap">
  {"imports": {"openai/_shims/auto/runtime": "/openai-v4/_shims/auto/runtime.mjs"}}
</script>
<script type="module">
  import OpenAI4 from "/openai-v4/index.mjs";
  import OpenAI7 from "/openai/index.mjs";
  const clients = { 4: OpenAI4, 7: OpenAI7 };
  window.stop = async (version, { gateway, token, thread, run, headers }) => {
    const client = new clients[version]({
      baseURL: gateway + "/v1",
      apiKey: token,
      dangerouslyAllowBrowser: true,
      maxRetries: 0,
    });
    const { runs } = client.beta.threads;
    const named = version === 4 ? [thread, run] : [run, { thread_id: thread }];
    try {
      const { data, response } = await runs.cancel(...named, { headers }).withResponse();
      return [data.status, response.headers.get("cancel-outcome"), response.headers.has("audit-id")];
    } catch (error) {
      return [error.constructor.name, error.message, error.code];
    }
  };
</script>`;

interface Wish {
  readonly gateway: string;
  readonly token: string;
  readonly thread: string;
  readonly run: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the page shows of it. */
async function stop(version: 4 | 7, origin: string, wish: Partial<Wish> & { target: StartedRun }) {
  const { target, ...over } = wish;
  const token = await upstream.token({ sub: "ann", tenant: "acme", scope: "runs:cancel" });
  const { threadId: thread, runId: run } = target;
  const page = await browser.newPage();
  try {
    await page.goto(origin);
    await page.waitForFunction("window.stop !== undefined");
    const whole = { gateway: gateway.origin, token, thread, run, headers: {}, ...over };
    return await page.evaluate(`window.stop(${version}, ${JSON.stringify(whole)})`);
  } finally {
    await page.close();
  }
}

const own = () => `http://localhost:${port}`;

describe("a page in Firefox", () => {
  it.each([4, 7] as const)("stops a run with openai %i from another origin", async (version) => {
    const target = await upstream.startRun("ann");
    const headers = { Prefer: "wait=10" };
    expect(await stop(version, own(), { target, headers })).toEqual([
      "cancelled",
      "cancelled",
      true,
    ]);
  });

  it("stops it when what traces the page adds headers of its own", async () => {
    const target = await upstream.startRun("ann");
    const headers = { baggage: "sentry-environment=production", "sentry-trace": "0-0-1" };
    expect(await stop(4, own(), { target, headers })).toEqual(["cancelling", "cancelling", true]);
  });

  it("can read why it was refused", async () => {
    const target = await upstream.startRun("bob");
    expect(await stop(4, own(), { target })).toEqual([
      "NotFoundError",
      "404 No run found with this id.",
      "run_not_found",
    ]);
  });

  it("gets nowhere from an origin that the tenant did not list", async () => {
    const target = await upstream.startRun("ann");
    const [name] = (await stop(4, `http://127.0.0.1:${port}`, { target })) as string[];
    expect(name).toBe("APIConnectionError");
    const reached = (await upstream.calls()).filter(({ path }) => path.includes(target.runId));
    expect(reached).toEqual([]);
  });

  it("asks for user-agent in its preflight, so that a list without it refuses openai 4", async () => {
    const asked: string[] = [];
    const listing = createServer((request, response) => {
      asked.push(String(request.headers["access-control-request-headers"]));
      response.setHeader("access-control-allow-origin", own());
      response.setHeader("access-control-allow-headers", "authorization,content-type,openai-beta");
      response.end();
    });
    await new Promise<void>((resolve) => listing.listen(0, "127.0.0.1", resolve));
    const { port: listingPort } = listing.address() as AddressInfo;
    const target = { threadId: "thread_1", runId: "run_1" };
    const told = await stop(4, own(), { target, gateway: `http://127.0.0.1:${listingPort}` });
    listing.close();
    expect(told).toMatchObject(["APIConnectionError", "Connection error.", undefined]);
    expect(asked[0]?.split(",")).toContain("user-agent");
  });
});
