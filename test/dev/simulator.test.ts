// The simulator through its front door, on an injected clock: every state, every exact text.
import { createLocalJWKSet, decodeJwt, jwtVerify } from "jose";
import { beforeEach, describe, expect, it } from "vitest";
import { createSimulator } from "../../dev/simulator/app.ts";
import { fetchOf } from "../../dev/simulator/fetch.ts";
import { Run } from "../../src/runs/run.ts";

const KEY = "sk-simulated-project-acme-0001";
const OTHER_KEY = "sk-simulated-project-globex-0002";
const START_MS = 1_790_000_000_000;
const START = 1_790_000_000;
const ORIGIN = "http://simulator.test";

let nowMs = START_MS;
let app = simulator();

/** Waiting moves the clock, so nothing here takes real time. */
function simulator(sleep = async (ms: number) => advance(ms)) {
  const counts = new Map<string, number>();
  return createSimulator({
    now: () => nowMs,
    newId: (prefix) => {
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
      return `${prefix}_${counts.get(prefix)}`;
    },
    sleep,
    algorithm: "ES256",
  });
}

function advance(ms: number): void {
  nowMs += ms;
}

beforeEach(() => {
  nowMs = START_MS;
  app = simulator();
});

type Json = Record<string, unknown>;

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json;
}

interface Sent {
  readonly key?: string;
  readonly json?: unknown;
  readonly timing?: Json;
  readonly headers?: Record<string, string>;
}

async function send(method: string, path: string, sent: Sent = {}): Promise<Answer> {
  const response = await app.request(`${ORIGIN}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${sent.key ?? KEY}`,
      "openai-beta": "assistants=v2",
      ...(sent.timing && { "x-simulate-timing": JSON.stringify(sent.timing) }),
      ...sent.headers,
    },
    ...(sent.json !== undefined && { body: JSON.stringify(sent.json) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === "" ? {} : (JSON.parse(text) as Json),
  };
}

function error(message: string, rest: Json = {}) {
  return { error: { message, type: "invalid_request_error", param: null, code: null, ...rest } };
}

describe("the assistants wire", () => {
  const BASE = "/assistants/v1";

  async function createdRun(timing: Json = {}, json: Json = {}): Promise<string> {
    const thread = await send("POST", `${BASE}/threads`);
    const path = `${BASE}/threads/${thread.body["id"]}/runs`;
    const run = await send("POST", path, { json: { assistant_id: "asst_1", ...json }, timing });
    expect(run.status).toBe(200);
    return `${path}/${run.body["id"]}`;
  }

  it("creates and reads a thread", async () => {
    const created = await send("POST", `${BASE}/threads`, { json: { metadata: { user: "u1" } } });
    const thread = {
      id: "thread_1",
      object: "thread",
      created_at: START,
      metadata: { user: "u1" },
      tool_resources: {},
    };
    expect(created).toMatchObject({ status: 200, body: thread });
    expect((await send("GET", `${BASE}/threads/thread_1`)).body).toEqual(thread);
  });

  it("sends a run with exactly the 27 fields, filled in", async () => {
    const run = await send("GET", await createdRun());
    expect(run.body).toEqual({
      id: "run_1",
      object: "thread.run",
      created_at: START,
      thread_id: "thread_1",
      assistant_id: "asst_1",
      status: "queued",
      required_action: null,
      last_error: null,
      expires_at: START + 600,
      started_at: null,
      cancelled_at: null,
      failed_at: null,
      completed_at: null,
      incomplete_details: null,
      model: "gpt-4o",
      instructions: "",
      tools: [],
      metadata: {},
      usage: null,
      temperature: 1,
      top_p: 1,
      max_prompt_tokens: null,
      max_completion_tokens: null,
      truncation_strategy: { type: "auto", last_messages: null },
      tool_choice: "auto",
      parallel_tool_calls: true,
      response_format: "auto",
    });
    expect(Object.keys(run.body)).toHaveLength(27);
  });

  it("gives back what the run was created with", async () => {
    const asked = {
      model: "gpt-5",
      instructions: "Be brief.",
      tools: [{ type: "code_interpreter" }, { type: "function", function: { name: "look_up" } }],
      metadata: { tenant: "acme", user: "u1" },
      temperature: 0.2,
      top_p: 0.5,
      max_prompt_tokens: 256,
      max_completion_tokens: 1000,
      truncation_strategy: { type: "last_messages", last_messages: 3 },
      tool_choice: { type: "function", function: { name: "look_up" } },
      parallel_tool_calls: false,
      response_format: { type: "json_object" },
    };
    const run = await send("GET", await createdRun({}, asked));
    expect(run.body).toMatchObject(asked);
    expect(Run.safeParse(run.body).error).toBeUndefined();
  });

  it("goes from queued through in_progress to completed by itself", async () => {
    const path = await createdRun({ queued_ms: 1000, run_ms: 5000 });
    const at = async (ms: number) => {
      nowMs = START_MS + ms;
      return (await send("GET", path)).body;
    };
    expect(await at(999)).toMatchObject({ status: "queued", started_at: null });
    expect(await at(1000)).toMatchObject({ status: "in_progress", started_at: START + 1 });
    expect(await at(5999)).toMatchObject({ status: "in_progress", usage: null });
    expect(await at(6000)).toMatchObject({
      status: "completed",
      started_at: START + 1,
      completed_at: START + 6,
      expires_at: null,
      usage: { prompt_tokens: 123, completion_tokens: 456, total_tokens: 579 },
    });
  });

  it("runs for a minute by default", async () => {
    const path = await createdRun();
    advance(200);
    expect((await send("GET", path)).body).toMatchObject({ status: "in_progress" });
    advance(59_999);
    expect((await send("GET", path)).body).toMatchObject({ status: "in_progress" });
    advance(1);
    expect((await send("GET", path)).body).toMatchObject({ status: "completed" });
  });

  it.each([
    ["failed", { failed_at: START + 6, last_error: { code: "server_error" } }],
    ["incomplete", { incomplete_details: { reason: "max_completion_tokens" } }],
    ["expired", { expires_at: START + 6, completed_at: null }],
  ])("ends %s when told to", async (ends, fields) => {
    const path = await createdRun({ queued_ms: 1000, run_ms: 5000, ends });
    advance(6000);
    const { body } = await send("GET", path);
    expect(body).toMatchObject({ status: ends, ...fields });
    expect(Run.safeParse(body).error).toBeUndefined();
    expect(await send("POST", `${path}/cancel`)).toMatchObject({
      status: 400,
      body: error(`Cannot cancel run with status '${ends}'.`),
    });
  });

  it("waits for a tool in requires_action, is cancellable there, and expires", async () => {
    const timing = { queued_ms: 0, run_ms: 1000, ends: "requires_action" };
    const tools = [{ type: "function", function: { name: "look_up" } }];
    const path = await createdRun(timing, { tools });
    advance(1000);
    const waiting = await send("GET", path);
    expect(waiting.body).toMatchObject({
      status: "requires_action",
      required_action: {
        type: "submit_tool_outputs",
        submit_tool_outputs: {
          tool_calls: [
            { id: "call_1", type: "function", function: { name: "look_up", arguments: "{}" } },
          ],
        },
      },
    });
    expect(Run.safeParse(waiting.body).error).toBeUndefined();

    const other = await createdRun(timing);
    advance(1000);
    expect((await send("POST", `${other}/cancel`)).body).toMatchObject({
      status: "cancelling",
      required_action: null,
    });

    nowMs = START_MS + 600_000;
    expect((await send("GET", path)).body).toMatchObject({
      status: "expired",
      expires_at: START + 600,
    });
  });

  it("answers a cancel with cancelling, and is cancelled later", async () => {
    const path = await createdRun({ queued_ms: 0, cancelling_ms: 2000 });
    advance(3000);
    const accepted = await send("POST", `${path}/cancel`);
    expect(accepted).toMatchObject({
      status: 200,
      body: { status: "cancelling", cancelled_at: null, started_at: START, usage: null },
    });
    advance(1999);
    expect((await send("GET", path)).body).toMatchObject({ status: "cancelling" });
    advance(1);
    const { body } = await send("GET", path);
    expect(body).toMatchObject({
      status: "cancelled",
      cancelled_at: START + 5,
      completed_at: null,
      expires_at: null,
    });
    expect(Run.safeParse(body).error).toBeUndefined();
  });

  it("cancels a run that is still queued", async () => {
    const path = await createdRun({ queued_ms: 10_000 });
    expect((await send("POST", `${path}/cancel`)).body).toMatchObject({ status: "cancelling" });
    advance(400);
    expect((await send("GET", path)).body).toMatchObject({
      status: "cancelled",
      started_at: null,
      usage: { total_tokens: 0 },
    });
  });

  it("refuses every further cancel, in OpenAI's words", async () => {
    const path = await createdRun({ run_ms: 5000 });
    await send("POST", `${path}/cancel`);
    expect(await send("POST", `${path}/cancel`)).toMatchObject({
      status: 400,
      body: error("Cannot cancel run with status 'cancelling'."),
    });
    advance(400);
    expect((await send("POST", `${path}/cancel`)).body).toEqual(
      error("Cannot cancel run with status 'cancelled'."),
    );
    const done = await createdRun({ run_ms: 5000 });
    advance(6000);
    expect((await send("POST", `${done}/cancel`)).body).toEqual(
      error("Cannot cancel run with status 'completed'."),
    );
    expect((await send("GET", path)).body).toMatchObject({ status: "cancelled" });
  });

  it("loses the race when told to: accepted, yet completed", async () => {
    const path = await createdRun({ queued_ms: 0, cancelling_ms: 1000, on_cancel: "completed" });
    advance(1000);
    expect((await send("POST", `${path}/cancel`)).body).toMatchObject({ status: "cancelling" });
    advance(1000);
    expect((await send("GET", path)).body).toMatchObject({
      status: "completed",
      completed_at: START + 2,
      cancelled_at: null,
    });
  });

  it("loses the race even from the queue, having begun", async () => {
    const path = await createdRun({ queued_ms: 10_000, on_cancel: "completed" });
    advance(1000);
    await send("POST", `${path}/cancel`);
    advance(1000);
    expect((await send("GET", path)).body).toMatchObject({
      status: "completed",
      started_at: START + 1,
    });
  });

  it("expires while cancelling when its ten minutes end first", async () => {
    const path = await createdRun({ run_ms: 900_000, cancelling_ms: 60_000 });
    advance(590_000);
    expect((await send("POST", `${path}/cancel`)).body).toMatchObject({ status: "cancelling" });
    advance(10_000);
    expect((await send("GET", path)).body).toMatchObject({
      status: "expired",
      expires_at: START + 600,
      cancelled_at: null,
    });
  });

  it("knows no thread or run but the project's own", async () => {
    const path = await createdRun();
    const noThread = error("No thread found with id 'thread_9'.");
    const thread = { json: { assistant_id: "asst_1" } };
    expect(await send("GET", `${BASE}/threads/thread_9`)).toMatchObject({ status: 404 });
    for (const call of [
      await send("GET", `${BASE}/threads/thread_9/runs`),
      await send("POST", `${BASE}/threads/thread_9/runs`, thread),
      await send("GET", `${BASE}/threads/thread_9/runs/run_1`),
      await send("POST", `${BASE}/threads/thread_9/runs/run_1/cancel`),
    ]) {
      expect(call).toMatchObject({ status: 404, body: noThread });
    }
    expect(await send("POST", `${BASE}/threads/thread_1/runs/run_9/cancel`)).toMatchObject({
      status: 404,
      body: error("No run found with id 'run_9'."),
    });
    expect(await send("POST", `${path}/cancel`, { key: OTHER_KEY })).toMatchObject({
      status: 404,
      body: error("No thread found with id 'thread_1'."),
    });
    expect((await send("GET", path)).body).toMatchObject({ status: "queued" });
  });

  it("does not find a run by way of another thread", async () => {
    await createdRun();
    await createdRun();
    expect(await send("POST", `${BASE}/threads/thread_2/runs/run_1/cancel`)).toMatchObject({
      status: 404,
      body: error("No run found with id 'run_1'."),
    });
  });

  it("refuses a wrong key with a text that holds part of it", async () => {
    const path = await createdRun();
    const refused = await send("POST", `${path}/cancel`, { key: "nokey-abcdefghijklmnop-WXYZ" });
    expect(refused).toMatchObject({
      status: 401,
      body: error(
        "Incorrect API key provided: nokey-ab***************WXYZ. You can find your API key at " +
          "https://platform.openai.com/account/api-keys.",
        { code: "invalid_api_key" },
      ),
    });
    expect((await send("GET", path, { key: "short" })).body).toMatchObject({
      error: { message: expect.stringContaining("provided: sh***. You") },
    });
    expect(await send("GET", path, { headers: { authorization: "" } })).toMatchObject({
      status: 401,
      body: { error: { message: expect.stringMatching(/^You didn't provide an API key\./) } },
    });
  });

  it("demands the beta header of version 2", async () => {
    const path = await createdRun();
    const withBeta = (beta: string) => send("GET", path, { headers: { "openai-beta": beta } });
    expect(await withBeta("")).toMatchObject({
      status: 400,
      body: error(
        "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try " +
          "again by setting the header 'OpenAI-Beta: assistants=v2'.",
        { code: "invalid_beta" },
      ),
    });
    expect(await withBeta("assistants=v1")).toMatchObject({
      status: 400,
      body: {
        error: { message: expect.stringMatching(/^The v1 Assistants API has been deprecated\./) },
      },
    });
    expect(await withBeta("agents=v1, assistants=v2")).toMatchObject({ status: 200 });
  });

  it("lists the runs of a thread by page", async () => {
    const thread = (await send("POST", `${BASE}/threads`)).body["id"];
    const path = `${BASE}/threads/${thread}/runs`;
    for (let count = 0; count < 5; count += 1) {
      await send("POST", path, { json: { assistant_id: "asst_1" } });
    }
    const page = async (query: string) => {
      const { body } = await send("GET", `${path}${query}`);
      const data = body["data"] as Json[];
      return [data.map((run) => run["id"]).join(" "), body["has_more"]];
    };
    expect((await send("GET", `${path}?limit=2`)).body).toMatchObject({
      object: "list",
      data: [{ id: "run_5", object: "thread.run" }, { id: "run_4" }],
      first_id: "run_5",
      last_id: "run_4",
      has_more: true,
    });
    expect(await page("")).toEqual(["run_5 run_4 run_3 run_2 run_1", false]);
    expect(await page("?limit=2&order=asc")).toEqual(["run_1 run_2", true]);
    expect(await page("?limit=2&after=run_4")).toEqual(["run_3 run_2", true]);
    expect(await page("?limit=3&after=run_4")).toEqual(["run_3 run_2 run_1", false]);
    expect(await page("?limit=2&before=run_2")).toEqual(["run_4 run_3", true]);
    expect(await page("?after=run_5&before=run_3")).toEqual(["run_4", false]);
    expect(await send("GET", `${path}?limit=101`)).toMatchObject({ status: 400 });
    expect(await send("GET", `${path}?order=up`)).toMatchObject({ status: 400 });

    await send("POST", `${BASE}/threads`);
    expect((await send("GET", `${BASE}/threads/thread_2/runs`)).body).toEqual({
      object: "list",
      data: [],
      first_id: null,
      last_id: null,
      has_more: false,
    });
  });

  it("refuses a run that cannot be created", async () => {
    const { id } = (await send("POST", `${BASE}/threads`)).body;
    const path = `${BASE}/threads/${id}/runs`;
    expect(await send("POST", path)).toMatchObject({
      status: 400,
      body: { error: { param: "assistant_id" } },
    });
    const json = { assistant_id: "asst_1" };
    expect((await send("POST", path, { json: { ...json, colour: "red" } })).body).toEqual(
      error("Unknown parameter: 'colour'.", { param: "colour" }),
    );
    expect(await send("POST", path, { json, timing: { run_ms: "soon" } })).toMatchObject({
      status: 400,
      body: { error: { param: "x-simulate-timing" } },
    });
    const broken = await app.request(`${ORIGIN}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${KEY}`, "openai-beta": "assistants=v2" },
      body: "{",
    });
    expect(broken.status).toBe(400);
    expect(await broken.text()).toContain("We could not parse the JSON body of your request.");
  });
});

describe("the openai-responses wire", () => {
  const BASE = "/responses/v1/responses";

  async function created(timing: Json = {}, json: Json = {}): Promise<string> {
    const response = await send("POST", BASE, { json: { background: true, ...json }, timing });
    expect(response.status).toBe(200);
    return `${BASE}/${response.body["id"]}`;
  }

  it("sends a response with all its fields", async () => {
    const response = await send("POST", BASE, {
      json: { background: true, model: "gpt-5", input: "Hello", metadata: { user: "u1" } },
    });
    expect(response.body).toEqual({
      id: "resp_1",
      object: "response",
      created_at: START,
      status: "queued",
      background: true,
      billing: { payer: "developer" },
      completed_at: null,
      error: null,
      incomplete_details: null,
      instructions: null,
      max_output_tokens: null,
      max_tool_calls: null,
      metadata: { user: "u1" },
      model: "gpt-5",
      output: [],
      parallel_tool_calls: true,
      previous_response_id: null,
      prompt_cache_key: null,
      prompt_cache_retention: null,
      reasoning: { effort: null, summary: null },
      safety_identifier: null,
      service_tier: "default",
      store: true,
      temperature: 1,
      text: { format: { type: "text" }, verbosity: "medium" },
      tool_choice: "auto",
      tools: [],
      top_logprobs: 0,
      top_p: 1,
      truncation: "disabled",
      usage: null,
      user: null,
    });
  });

  it("gives back what the response was created with", async () => {
    const tools = [{ type: "function", name: "look_up", parameters: {}, strict: true }];
    const asked = { instructions: "Be brief.", tools, temperature: 0.2, max_output_tokens: 300 };
    const path = await created({}, { ...asked, conversation: "conv_1" });
    expect((await send("GET", path)).body).toMatchObject({
      ...asked,
      conversation: { id: "conv_1" },
    });
    const other = await created({}, { conversation: { id: "conv_2" }, prompt: { id: "pmpt_1" } });
    expect((await send("GET", other)).body).toMatchObject({
      conversation: { id: "conv_2" },
      prompt: { id: "pmpt_1" },
    });
  });

  it("goes from queued through in_progress to completed by itself", async () => {
    const path = await created({ queued_ms: 1000, run_ms: 5000 });
    expect((await send("GET", path)).body).toMatchObject({ status: "queued" });
    advance(1000);
    expect((await send("GET", path)).body).toMatchObject({ status: "in_progress", usage: null });
    advance(5000);
    expect((await send("GET", path)).body).toMatchObject({
      status: "completed",
      completed_at: START + 6,
      output: [{ type: "message", status: "completed", content: [{ type: "output_text" }] }],
      usage: { input_tokens: 123, output_tokens: 456, total_tokens: 579 },
    });
  });

  it("is cancelled at once, and again", async () => {
    for (const waitMs of [0, 1000]) {
      const path = await created();
      advance(waitMs);
      const first = await send("POST", `${path}/cancel`);
      expect(first).toMatchObject({
        status: 200,
        body: { status: "cancelled", completed_at: null, output: [], usage: null },
      });
      advance(100_000);
      expect(await send("POST", `${path}/cancel`)).toMatchObject({ status: 200, body: first.body });
      expect((await send("GET", path)).body).toEqual(first.body);
    }
  });

  it.each([
    ["completed", "Cannot cancel a completed response.", {}],
    ["failed", "Cannot cancel a failed response.", { error: { code: "server_error" } }],
    [
      "incomplete",
      "Cannot cancel a response in terminal state.",
      { incomplete_details: { reason: "max_output_tokens" } },
    ],
  ])("refuses to cancel once %s", async (ends, message, fields) => {
    const path = await created({ run_ms: 1000, ends });
    advance(2000);
    expect(await send("POST", `${path}/cancel`)).toMatchObject({
      status: 400,
      body: error(message),
    });
    expect((await send("GET", path)).body).toMatchObject({ status: ends, ...fields });
  });

  it("loses the race when told to: cancelled, later completed", async () => {
    const path = await created({ on_cancel: "completed", cancelling_ms: 3000 });
    advance(1000);
    expect((await send("POST", `${path}/cancel`)).body).toMatchObject({ status: "cancelled" });
    advance(2999);
    expect((await send("GET", path)).body).toMatchObject({ status: "cancelled" });
    advance(1);
    expect((await send("GET", path)).body).toMatchObject({
      status: "completed",
      completed_at: START + 4,
    });
    expect(await send("POST", `${path}/cancel`)).toMatchObject({ status: 400 });
  });

  it("completes with an unanswered call where a run would require action", async () => {
    const tools = [{ type: "function", name: "look_up" }];
    const path = await created({ run_ms: 1000, ends: "requires_action" }, { tools });
    advance(2000);
    expect((await send("GET", path)).body).toMatchObject({
      status: "completed",
      output: [{ type: "function_call", call_id: "call_1", name: "look_up", arguments: "{}" }],
    });
    const timing = { run_ms: 9000, ends: "requires_action", on_cancel: "completed" };
    const raced = await created(timing, { tools });
    await send("POST", `${raced}/cancel`);
    advance(400);
    expect((await send("GET", raced)).body).toMatchObject({
      status: "completed",
      output: [{ type: "message" }],
    });
  });

  it("makes a synchronous caller wait, and cannot be cancelled", async () => {
    const { body } = await send("POST", BASE, { json: {}, timing: { run_ms: 5000 } });
    expect(nowMs).toBe(START_MS + 5000);
    expect(body).toMatchObject({ status: "completed", background: false });
    const path = `${BASE}/${body["id"]}`;
    expect((await send("GET", path)).body).toEqual(body);
    expect(await send("POST", `${path}/cancel`)).toMatchObject({
      status: 400,
      body: error("Cannot cancel a synchronous response."),
    });
  });

  it("does not find a synchronous response in flight", async () => {
    const waiting = Promise.withResolvers<void>();
    app = simulator(() => waiting.promise);
    const reply = send("POST", BASE, { json: {}, timing: { run_ms: 5000 } });
    await new Promise((resolve) => setTimeout(resolve, 0));
    const notFound = { status: 404, body: error("Response with id 'resp_1' not found.") };
    expect(await send("GET", `${BASE}/resp_1`)).toMatchObject(notFound);
    expect(await send("POST", `${BASE}/resp_1/cancel`)).toMatchObject(notFound);
    advance(5000);
    waiting.resolve();
    expect((await reply).body).toMatchObject({ id: "resp_1", status: "completed" });
    expect(await send("GET", `${BASE}/resp_1`)).toMatchObject({ status: 200 });
  });

  it("finds no response that is unknown, another's, deleted or not stored", async () => {
    const path = await created();
    const notFound = (id: string) => ({
      status: 404,
      body: error(`Response with id '${id}' not found.`),
    });
    expect(await send("POST", `${BASE}/resp_9/cancel`)).toMatchObject(notFound("resp_9"));
    expect(await send("GET", path, { key: OTHER_KEY })).toMatchObject(notFound("resp_1"));
    expect(await send("POST", `${path}/cancel`, { key: OTHER_KEY })).toMatchObject(
      notFound("resp_1"),
    );
    expect(await send("DELETE", path)).toMatchObject({
      status: 200,
      body: { id: "resp_1", object: "response", deleted: true },
    });
    for (const method of ["GET", "DELETE"]) {
      expect(await send(method, path)).toMatchObject(notFound("resp_1"));
    }
    await send("POST", BASE, { json: { store: false } });
    expect(await send("GET", `${BASE}/resp_2`)).toMatchObject(notFound("resp_2"));
  });

  it("refuses a wrong key, an expiring response, an unstored one in the background, a stream", async () => {
    expect(await send("POST", BASE, { key: "wrong", json: {} })).toMatchObject({
      status: 401,
      body: { error: { code: "invalid_api_key" } },
    });
    expect(await send("POST", BASE, { json: {}, timing: { ends: "expired" } })).toMatchObject({
      status: 400,
    });
    expect(await send("POST", BASE, { json: { background: true, store: false } })).toMatchObject({
      status: 400,
      body: { error: { param: "background" } },
    });
    expect(await send("POST", BASE, { json: { stream: true } })).toMatchObject({
      status: 400,
      body: { error: { param: "stream" } },
    });
  });
});

describe("faults", () => {
  const PATH = "/responses/v1/responses";
  const RESPONSE = `${PATH}/resp_1`;

  async function fault(json: Json): Promise<void> {
    expect(await send("POST", "/simulator/faults", { json })).toMatchObject({ status: 201 });
  }
  beforeEach(async () => {
    await send("POST", PATH, { json: { background: true }, timing: { queued_ms: 0 } });
  });

  it("meets what matches, as often as told, then lets the truth through", async () => {
    await fault({
      match: { method: "post", path: "/cancel$" },
      reply: { status: 503, headers: { "retry-after": "2" }, body: { error: "busy" } },
      times: 2,
    });
    expect(await send("GET", RESPONSE)).toMatchObject({ status: 200 });
    for (let count = 0; count < 2; count += 1) {
      const met = await send("POST", `${RESPONSE}/cancel`);
      expect(met).toMatchObject({ status: 503, body: { error: "busy" } });
      expect(met.headers.get("retry-after")).toBe("2");
    }
    expect((await send("GET", RESPONSE)).body).toMatchObject({ status: "in_progress" });
    expect(await send("POST", `${RESPONSE}/cancel`)).toMatchObject({ status: 200 });
  });

  it("stays until deleted without a number of times", async () => {
    await fault({ match: {}, reply: { status: 500 } });
    for (let count = 0; count < 3; count += 1) {
      expect(await send("GET", RESPONSE)).toMatchObject({ status: 500 });
    }
    expect(await send("DELETE", "/simulator/faults")).toMatchObject({ status: 204 });
    expect(await send("GET", RESPONSE)).toMatchObject({ status: 200 });
  });

  it.each([
    [401, "invalid_api_key", /^Incorrect API key provided: sk-simul\*+0001\. /],
    [404, null, /^Invalid URL \(GET \/responses\/v1\/responses\/resp_1\)$/],
    [429, "rate_limit_exceeded", /in organization org-Simulated1234 on/],
    [500, null, /^The server had an error/],
    [503, "server_is_overloaded", /overloaded/],
  ])("has OpenAI's own body for a %d", async (status, code, message) => {
    await fault({ match: {}, reply: { status } });
    const met = await send("GET", RESPONSE);
    expect(met).toMatchObject({
      status,
      body: { error: { code, message: expect.stringMatching(message) } },
    });
    expect(met.headers.get("content-type")).toBe("application/json");
    expect(met.headers.get("x-request-id")).toMatch(/^req_/);
    expect(met.headers.has("retry-after")).toBe(false);
  });

  it("sends a text as it is", async () => {
    await fault({ match: {}, reply: { status: 502, body: "<html>Bad gateway</html>" } });
    const met = await app.request(`${ORIGIN}${RESPONSE}`);
    expect(met.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(await met.text()).toBe("<html>Bad gateway</html>");
  });

  it("can be slow, and then tells the truth", async () => {
    await fault({ match: {}, reply: { delay_ms: 3000 } });
    expect(await send("GET", RESPONSE)).toMatchObject({ status: 200 });
    expect(nowMs).toBe(START_MS + 3000);
  });

  it("can apply a request and answer falsely", async () => {
    await fault({ match: { path: "/cancel$" }, reply: { apply: true, status: 500 }, times: 1 });
    const lost = await send("POST", `${RESPONSE}/cancel`);
    expect(lost).toMatchObject({ status: 500, body: { error: { type: "server_error" } } });
    expect((await send("GET", RESPONSE)).body).toMatchObject({ status: "cancelled" });
  });

  it("can apply a request at once and answer late", async () => {
    const waiting = Promise.withResolvers<void>();
    app = simulator(() => waiting.promise);
    await send("POST", PATH, { json: { background: true } });
    await fault({ match: { path: "/cancel$" }, reply: { apply: true, delay_ms: 9000 } });
    const late = send("POST", `${RESPONSE}/cancel`);
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect((await send("GET", RESPONSE)).body).toMatchObject({ status: "cancelled" });
    await send("DELETE", "/simulator/calls");
    waiting.resolve();
    expect(await late).toMatchObject({ status: 200, body: { status: "cancelled" } });
    expect((await send("GET", "/simulator/calls")).body).toEqual([]);
  });

  it("can hang until the caller gives up", async () => {
    app = simulator(() => Promise.withResolvers<void>().promise);
    await fault({ match: {}, reply: { hang: true } });
    const hanging = fetchOf(app)(`${ORIGIN}${RESPONSE}`, { signal: AbortSignal.timeout(20) });
    await expect(hanging).rejects.toMatchObject({ name: "TimeoutError" });
    const calls = await (await app.request("/simulator/calls")).json();
    expect(calls).toMatchObject([{ path: RESPONSE, status: null }]);
    const given = fetchOf(app)(`${ORIGIN}${RESPONSE}`, { signal: AbortSignal.abort() });
    await expect(given).rejects.toMatchObject({ name: "AbortError" });
  });

  it("refuses a fault that says nothing or cannot match", async () => {
    for (const json of [
      { match: {}, reply: {} },
      { match: {}, reply: { apply: true } },
      { match: { path: "(" }, reply: { status: 500 } },
      { reply: { status: 500 } },
    ]) {
      expect(await send("POST", "/simulator/faults", { json })).toMatchObject({ status: 400 });
    }
    expect(await send("GET", RESPONSE)).toMatchObject({ status: 200 });
  });
});

describe("the controls", () => {
  it("lists the calls, without keys, until they are deleted", async () => {
    await send("POST", "/responses/v1/responses/resp_1/cancel?x=1", {
      headers: { "X-Trace": "t-1", "api-key": "another-secret" },
    });
    const list = await send("GET", "/simulator/calls");
    expect(list.body).toEqual([
      {
        method: "POST",
        path: "/responses/v1/responses/resp_1/cancel?x=1",
        at: START_MS,
        status: 404,
        headers: expect.objectContaining({
          authorization: "0001",
          "api-key": "cret",
          "openai-beta": "assistants=v2",
          "x-trace": "t-1",
        }),
      },
    ]);
    expect(await send("DELETE", "/simulator/calls")).toMatchObject({ status: 204 });
    expect((await send("GET", "/simulator/calls")).body).toEqual([]);
  });

  it("is healthy, and gives every upstream reply a request id", async () => {
    expect(await send("GET", "/simulator/health")).toMatchObject({
      status: 200,
      body: { status: "ok" },
    });
    const unknown = await send("PUT", "/responses/v1/nothing");
    expect(unknown).toMatchObject({
      status: 404,
      body: error("Invalid URL (PUT /responses/v1/nothing)"),
    });
    expect(unknown.headers.get("x-request-id")).toBe("req_1");
  });

  it("forgets the oldest of too many", async () => {
    for (let count = 0; count < 20_001; count += 1) await app.request("/issuer/nothing");
    const calls = await (await app.request("/simulator/calls")).json();
    expect(calls).toHaveLength(20_000);
  });
});

describe("the local issuer", () => {
  it("describes itself by its own address", async () => {
    const { body } = await send("GET", "/issuer/.well-known/openid-configuration");
    expect(body).toMatchObject({
      issuer: `${ORIGIN}/issuer`,
      jwks_uri: `${ORIGIN}/issuer/.well-known/jwks.json`,
      token_endpoint: `${ORIGIN}/issuer/token`,
    });
  });

  it("mints tokens that its key set verifies", async () => {
    const json = {
      sub: "u1",
      tenant: "acme",
      scope: "runs:cancel",
      client_id: "web",
      expires_in: 60,
    };
    const { status, body } = await send("POST", "/issuer/token", { json });
    expect(status).toBe(200);
    expect(body).toEqual({
      access_token: expect.any(String),
      token_type: "Bearer",
      expires_in: 60,
    });
    const keys = await (await app.request("/issuer/.well-known/jwks.json")).json();
    const { payload } = await jwtVerify(
      String(body["access_token"]),
      createLocalJWKSet(keys as Parameters<typeof createLocalJWKSet>[0]),
      {
        issuer: `${ORIGIN}/issuer`,
        audience: "stopgate",
        typ: "at+jwt",
        currentDate: new Date(nowMs),
      },
    );
    expect(payload).toEqual({
      iss: `${ORIGIN}/issuer`,
      aud: "stopgate",
      sub: "u1",
      org_id: "acme",
      scope: "runs:cancel",
      client_id: "web",
      iat: START,
      exp: START + 60,
      jti: "jti_1",
    });
  });

  it("lasts twelve hours by default, and takes another audience", async () => {
    const { body } = await send("POST", "/issuer/token", { json: { sub: "u1", aud: "elsewhere" } });
    const payload = decodeJwt(String(body["access_token"]));
    expect(payload).toMatchObject({ aud: "elsewhere", exp: START + 43_200 });
    expect(payload).not.toHaveProperty("org_id");
    expect(await send("POST", "/issuer/token", { json: {} })).toMatchObject({ status: 400 });
  });

  it("keeps one key when the first requests come together", async () => {
    const sets = await Promise.all(
      [1, 2, 3].map(async () => (await app.request("/issuer/.well-known/jwks.json")).text()),
    );
    const later = await (await app.request("/issuer/.well-known/jwks.json")).text();
    expect(new Set([...sets, later]).size).toBe(1);
  });
});
