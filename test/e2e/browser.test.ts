// A real browser: a page with a Stop button, the stock client inside it, no API key anywhere.
import type { Server } from "node:http";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../dev/local/server.ts";
import type { StartedRun } from "../../dev/simulator/server.ts";
import { type BlackBox, startBlackBox, temporaryFolder } from "./support/black-box.ts";
import { servePage } from "./support/pages.ts";
import { startUpstream, type Upstream } from "./support/sample.ts";

const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
/** Keeps Chromium from asking the network for anything but the page. */
const FLAGS = `--no-sandbox --disable-gpu --disable-quic --no-first-run
  --disable-background-networking --disable-component-update --disable-sync`.split(/\s+/);

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
  browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
});
afterAll(async () => {
  await browser?.close();
  pages?.close();
  await gateway?.stop();
  await upstream?.stop();
  await folder?.remove();
});

/** All that an app has to write: two settings, and whose run to stop. */
const PAGE = `<!doctype html><title>Stop</title>
<button>Stop</button><output></output>
<script type="module">
  import OpenAI from "/openai/index.mjs";
  const wish = new URLSearchParams(location.hash.slice(1));
  const client = new OpenAI({
    baseURL: wish.get("gateway") + "/v1",
    apiKey: wish.get("token"),
    dangerouslyAllowBrowser: true,
    maxRetries: 0,
  });
  const output = document.querySelector("output");
  document.querySelector("button").onclick = async () => {
    try {
      const { data, response } = await client.beta.threads.runs
        .cancel(wish.get("run"), { thread_id: wish.get("thread") }, { headers: { Prefer: "wait=10" } })
        .withResponse();
      const names = ["cancel-outcome", "audit-id", "x-request-id", "preference-applied"];
      output.value = [data.status, ...names.filter((name) => response.headers.has(name))].join(" ");
    } catch (error) {
      output.value = [error.name, error.constructor.name, error.status, error.code].join(" ");
    }
  };
</script>`;

async function clickStop(origin: string, target: StartedRun, token: string): Promise<string> {
  const page: Page = await browser.newPage();
  const wish = { gateway: gateway.origin, token, thread: target.threadId, run: target.runId };
  await page.goto(`${origin}/#${new URLSearchParams(wish)}`);
  await page.getByRole("button", { name: "Stop" }).click();
  const output = page.locator("output");
  await expect.poll(() => output.textContent(), { timeout: 20_000 }).not.toBe("");
  const text = (await output.textContent()) ?? "";
  await page.close();
  return text;
}

const ann = (scope = "runs:cancel") => upstream.token({ sub: "ann", tenant: "acme", scope });

describe("a page with a Stop button", () => {
  it("stops the run, and sees what the gateway exposes", async () => {
    const target = await upstream.startRun("ann");
    const seen = await clickStop(`http://localhost:${port}`, target, await ann());
    expect(seen).toBe("cancelled cancel-outcome audit-id x-request-id preference-applied");
  });

  it("can read why it was refused", async () => {
    const target = await upstream.startRun("bob");
    const seen = await clickStop(`http://localhost:${port}`, target, await ann());
    expect(seen).toMatch(/404 run_not_found$/);
    expect(await clickStop(`http://localhost:${port}`, target, "expired")).toMatch(
      /401 invalid_token$/,
    );
  });

  it("gets nowhere from an origin that the tenant did not list", async () => {
    const target = await upstream.startRun("ann");
    const seen = await clickStop(`http://127.0.0.1:${port}`, target, await ann());
    expect(seen).toContain("APIConnectionError");
    const reached = (await upstream.calls()).filter(({ path }) => path.includes(target.runId));
    expect(reached).toEqual([]);
  });
});
