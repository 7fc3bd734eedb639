// What the caller is shown in the end, by the front door: strict or lenient, whole or redacted.
import { describe, expect, it } from "vitest";
import { FILLS, REDACTABLE } from "../src/runs/normalise.ts";
import {
  ANN,
  createHarness,
  ENDS,
  ended,
  type Json,
  type StartRun,
  withTenant,
} from "./support/harness.ts";
import { refused } from "./support/reply.ts";

describe("handling", () => {
  const strict = { headers: { prefer: "handling=strict" } };
  const lenient = { headers: { prefer: "handling=lenient" } };
  const asError = withTenant("acme", { on_terminal: "error" });

  it.each(ENDS)("strict refuses a %s run in OpenAI's own words", async (status) => {
    const gateway = await createHarness();
    const ids = await gateway.startRun(ended(status));
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN), strict);
    expect(response.headers.get("audit-id")).toBe((await gateway.eventsOf(ids))[0]?.id);
    expect(response.headers.get("cancel-outcome")).toBeNull();
    expect(await refused(response)).toEqual({
      status: 400,
      message: `Cannot cancel run with status '${status}'.`,
      type: "invalid_request_error",
      param: null,
      code: "run_not_cancellable",
      retryAfter: null,
      shouldRetry: "false",
    });
  });

  it("strict refuses a cancelled run, and shows one that it cancels itself", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun({ timing: { cancelling_ms: 0 } });
    const token = await gateway.tokenFor(ANN);
    const first = await gateway.cancel(ids, token, strict);
    expect(first.headers.get("cancel-outcome")).toBe("cancelled");
    expect(first.headers.get("preference-applied")).toBe("handling=strict");
    const second = await refused(await gateway.cancel(ids, token, strict));
    expect(second.message).toBe("Cannot cancel run with status 'cancelled'.");
  });

  it("is what the tenant's on_terminal says when the caller says nothing", async () => {
    const gateway = await createHarness({ config: asError });
    const ids = await gateway.startRun(ended("completed"));
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN));
    const { status, message } = await refused(response);
    expect({ status, message }).toEqual({
      status: 400,
      message: "Cannot cancel run with status 'completed'.",
    });
    expect((await gateway.eventsOf(ids))[0]).toMatchObject({
      type: "cancel",
      outcome: { result: "already_completed" },
    });
  });

  it("lenient wins over an on_terminal of error", async () => {
    const gateway = await createHarness({ config: asError });
    const ids = await gateway.startRun(ended("completed"));
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN), lenient);
    expect(response.status).toBe(200);
    expect(response.headers.get("preference-applied")).toBe("handling=lenient");
  });

  it("names every preference that was applied, and only those", async () => {
    const gateway = await createHarness();
    const token = await gateway.tokenFor(ANN);
    const applied = async (prefer: string) => {
      const ids = await gateway.startRun(ended("completed"));
      const response = await gateway.cancel(ids, token, { headers: { prefer } });
      return response.headers.get("preference-applied");
    };
    expect(await applied("wait=3, handling=lenient")).toBe("wait=3, handling=lenient");
    expect(await applied("wait=999")).toBe("wait=25");
    expect(await applied("respond-async, wait=soon")).toBeNull();
  });
});

describe("redaction", () => {
  /** A run whose every field that a client may set is set. */
  const full: StartRun = {
    timing: { run_ms: 0, ends: "requires_action" },
    body: {
      model: "gpt-secret",
      instructions: "Be discreet.",
      tools: [{ type: "code_interpreter" }],
      temperature: 0.3,
      top_p: 0.4,
      max_prompt_tokens: 300,
      max_completion_tokens: 400,
      truncation_strategy: { type: "last_messages", last_messages: 3 },
      tool_choice: "none",
      parallel_tool_calls: false,
      response_format: { type: "json_object" },
    },
  };

  it.each(REDACTABLE)("hides %s and leaves a Run of 27 keys", async (field) => {
    const plain = await createHarness();
    const ids = await plain.startRun(full);
    const shown: Json = await (await plain.read(ids, await plain.tokenFor(ANN))).json();

    const gateway = await createHarness({
      config: withTenant("acme", { redact: [field] }),
      network: () => plain.simulator,
    });
    const token = await gateway.tokenFor(ANN);
    expect(await (await gateway.read(ids, token)).json()).toEqual({
      ...shown,
      [field]: FILLS[field],
    });
    const cancelled: Json = await (await gateway.cancel(ids, token)).json();
    expect(Object.keys(cancelled)).toEqual(Object.keys(shown));
    expect(cancelled[field]).toEqual(FILLS[field]);
  });

  it("hides nothing that the config does not name", async () => {
    const gateway = await createHarness();
    const ids = await gateway.startRun(full);
    const run = await (await gateway.cancel(ids, await gateway.tokenFor(ANN))).json();
    expect(run).toMatchObject(full.body ?? {});
  });
});
