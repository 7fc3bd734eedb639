// A server that names the run otherwise than it was asked for: LiteLLM makes a new id for each reply, and only of
// it that is taken. By the front door.
import { reset } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { UPSTREAMS } from "../../src/upstreams/index.ts";
import {
  ANN,
  byCredential,
  createHarness,
  type Json,
  pathOf,
  withTenant,
} from "../support/harness.ts";
import { REPLIES } from "./replies/index.ts";

// That a run was cancelled is remembered by the tenant's ledger.
afterEach(async () => {
  await reset();
});

const ASKED = "resp_asked";

/** acme on a server that answers each request with the response under a new id. */
async function open(entry: Json, members: Json = {}) {
  let replies = 0;
  let status = "in_progress";
  const ids: unknown[] = [];
  const metadata = { tenant: "acme", user: "ann" };
  const gateway = await createHarness({
    network: () => async (input, init) => {
      const { method } = new Request(input, init);
      if (method === "POST") status = "cancelled";
      replies += 1;
      const id = "answersId" in members ? members["answersId"] : `resp_new_${replies}`;
      ids.push(id);
      const item = { id: "msg_1", type: "message", role: "assistant", content: [] };
      const own = { run_id: id, thread_id: "thread_1", session_id: "thread_1", labels: metadata };
      return Response.json({ ...own, id, object: "response", status, metadata, output: [item] });
    },
    config: (config) => {
      const upstreams = { ...(config["upstreams"] as Json), own: entry };
      const source =
        members["ownership"] === undefined ? byCredential("acme") : (same: Json) => same;
      return withTenant("acme", { upstream: "own" })(source({ ...config, upstreams }));
    },
  });
  const headers = { authorization: `Bearer ${await gateway.tokenFor(ANN)}` };
  const ask = (method: string, path: string) => gateway.request(path, { method, headers });
  return { gateway, ids, ask };
}

const LITELLM = {
  kind: "openai-responses",
  base_url: "https://litellm.test/v1",
  dialect: "litellm",
};
const RUN = pathOf({ thread: "thread_1", run: ASKED });

describe.each(["credential", "metadata"])("LiteLLM, with ownership by %s", (source) => {
  const members = source === "metadata" ? { ownership: source } : {};

  it.each([
    ["a response", `/v1/responses/${ASKED}`],
    ["a run", RUN],
  ])("reads and stops %s under the id that was asked for", async (_, path) => {
    const { ask, ids, gateway } = await open(LITELLM, members);
    const read = await ask("GET", path);
    expect(read.status).toBe(200);
    expect(await read.json()).toMatchObject({ id: ASKED, status: "in_progress" });
    const cancelled = await ask("POST", `${path}/cancel`);
    expect(cancelled.headers.get("cancel-outcome")).toBe("cancelled");
    const body = await cancelled.text();
    expect(JSON.parse(body)).toMatchObject({ id: ASKED, status: "cancelled" });
    expect(body).not.toContain("resp_new_");
    expect(new Set(ids).size).toBe(ids.length);
    const event = (await gateway.eventsOf({ thread: "thread_1", run: ASKED }))[0];
    expect(event).toMatchObject({ target: { run_id: ASKED }, outcome: { result: "cancelled" } });
  });
});

describe("LiteLLM", () => {
  it.each([null, "", 7, undefined, { a: 1 }])(
    "without an id (%j) answers nothing",
    async (answersId) => {
      const { ask } = await open(LITELLM, { answersId });
      const response = await ask("GET", `/v1/responses/${ASKED}`);
      expect(response.status).toBe(502);
    },
  );
});

const OTHERS: readonly Json[] = [
  { ...LITELLM, dialect: "openai" },
  { ...LITELLM, dialect: "perplexity" },
  ...UPSTREAMS.map(({ kind }) => ({
    ...REPLIES.get(kind)?.options,
    kind,
    base_url: REPLIES.get(kind)?.baseUrl,
  })),
];

describe.each(OTHERS)("$kind $dialect", (entry) => {
  it("refuses another's id in a read", async () => {
    const { ask } = await open(entry);
    const response = await ask("GET", RUN);
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: "upstream_error" } });
  });

  it("claims nothing of a cancel that is answered with one", async () => {
    const { ask } = await open(entry);
    const response = await ask("POST", `${RUN}/cancel`);
    expect([502, 504]).toContain(response.status);
    expect(response.headers.get("cancel-outcome")).toBeNull();
  });
});
