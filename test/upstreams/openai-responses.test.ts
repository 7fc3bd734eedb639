// A Response in the words of a Run, member by member; what its servers' replies mean, and what a
// config can say of them.
import { describe, expect, it, test } from "vitest";
import type { Refusal } from "../../src/failure.ts";
import { openaiResponses } from "../../src/upstreams/openai-responses.ts";

const CONTEXT = { threadId: "thread_1", runId: "resp_1", cancelledAt: null };

function toRun(members: Record<string, unknown>, cancelledAt: number | null = null) {
  const body = { id: "resp_1", created_at: 1_741_386_163, status: "in_progress", ...members };
  return openaiResponses.toRun(body, { ...CONTEXT, cancelledAt });
}

describe("the thread of a response", () => {
  it("is the one that was asked for, when it names none", () => {
    for (const none of [{}, { conversation: null, metadata: {} }, { metadata: null }]) {
      expect(toRun(none).thread_id).toBe("thread_1");
    }
  });

  it("may be named by its conversation or by its metadata", () => {
    expect(toRun({ conversation: { id: "thread_1" } }).thread_id).toBe("thread_1");
    expect(toRun({ metadata: { thread_id: "thread_1" } }).thread_id).toBe("thread_1");
  });

  it.each([
    ["its conversation", { conversation: { id: "conv_2" } }],
    ["its metadata", { metadata: { thread_id: "thread_2" } }],
    [
      "its conversation, whatever its metadata says",
      {
        conversation: { id: "conv_2" },
        metadata: { thread_id: "thread_1" },
      },
    ],
  ])("is another one by %s: then there is no such run", (_, members) => {
    expect(() => toRun(members)).toThrow(
      expect.objectContaining({ reason: "run_not_found" }) as Refusal,
    );
  });
});

describe("the times of a response", () => {
  test("are whole seconds", () => {
    expect(toRun({ created_at: 1_741_386_163.9 }).created_at).toBe(1_741_386_163);
    const completed = toRun({ status: "completed", completed_at: 1_741_386_170.5 });
    expect(completed).toMatchObject({ completed_at: 1_741_386_170, cancelled_at: null });
  });

  test("have none of a cancel but what the gateway or a self-hosted server knows", () => {
    expect(toRun({ status: "cancelled" }).cancelled_at).toBeNull();
    expect(toRun({ status: "cancelled" }, 1_700_000_000).cancelled_at).toBe(1_700_000_000);
    const localAi = { status: "cancelled", completed_at: 1_741_386_170 };
    expect(toRun(localAi, 1_700_000_000)).toMatchObject({
      cancelled_at: 1_741_386_170,
      completed_at: null,
    });
  });

  test("of a cancel say nothing of a response that completed all the same", () => {
    const completed = toRun({ status: "completed", completed_at: 1_741_386_170 }, 1_700_000_000);
    expect(completed).toMatchObject({ cancelled_at: null, completed_at: 1_741_386_170 });
  });
});

describe("the words of a response", () => {
  test.each([
    [{ code: "rate_limit_exceeded", message: "Slow down." }, "rate_limit_exceeded"],
    [{ code: "vector_store_timeout", message: "Slow down." }, "server_error"],
    [{ code: 500, message: "Slow down." }, "server_error"],
  ])("for an error %j are one of three codes", (error, code) => {
    const run = toRun({ status: "failed", error });
    expect(run.last_error).toEqual({ code, message: "Slow down." });
  });

  test.each([
    [{ reason: "max_output_tokens" }, { reason: "max_completion_tokens" }],
    [{ reason: "content_filter" }, {}],
    [null, null],
  ])("for an incomplete response %j", (details, expected) => {
    const run = toRun({ status: "incomplete", incomplete_details: details });
    expect(run.incomplete_details).toEqual(expected);
  });

  test("for a status are the same; without one it is running", () => {
    for (const status of ["queued", "in_progress", "cancelled", "completed", "failed"]) {
      expect(toRun({ status }).status).toBe(status);
    }
    expect(toRun({ status: undefined }).status).toBe("in_progress");
  });

  test("for usage are those of a Run, once it has ended", () => {
    const usage = { input_tokens: 1, output_tokens: 2, total_tokens: 3 };
    const counted = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
    expect(toRun({ status: "completed", usage }).usage).toEqual(counted);
    expect(toRun({ status: "in_progress", usage }).usage).toBeNull();
  });
});

describe("the request behind a response", () => {
  test.each([
    ["Be brief.", "Be brief."],
    [null, ""],
    [
      [
        { role: "system", content: "Be brief." },
        {
          role: "developer",
          content: [{ type: "input_text", text: "Be kind." }, { type: "image" }],
        },
      ],
      "Be brief.\nBe kind.",
    ],
    [7, ""],
  ])("had the instructions %j", (instructions, expected) => {
    expect(toRun({ instructions }).instructions).toBe(expected);
  });

  it("had tools, of which a Run knows three", () => {
    const schema = { type: "object", properties: {} };
    const tools = [
      { type: "function", name: "f", description: "d", parameters: schema, strict: true },
      { type: "file_search", vector_store_ids: ["vs_1"] },
      { type: "code_interpreter", container: { type: "auto" } },
      { type: "web_search" },
      { type: "mcp", server_label: "canary", headers: { authorization: "canary" } },
      "nonsense",
    ];
    expect(toRun({ tools }).tools).toEqual([
      {
        type: "function",
        function: { name: "f", description: "d", parameters: schema, strict: true },
      },
      { type: "file_search" },
      { type: "code_interpreter" },
    ]);
    expect(toRun({ tools: null }).tools).toEqual([]);
  });

  test.each([
    ["none", "none"],
    ["required", "required"],
    [
      { type: "function", name: "f" },
      { type: "function", function: { name: "f" } },
    ],
    [{ type: "file_search" }, { type: "file_search" }],
    [{ type: "mcp", server_label: "x" }, "auto"],
    [null, "auto"],
  ])("chose the tool %j", (choice, expected) => {
    expect(toRun({ tool_choice: choice }).tool_choice).toEqual(expected);
  });

  test.each([
    [{ type: "text" }, "auto"],
    [{ type: "json_object" }, { type: "json_object" }],
    [
      { type: "json_schema", name: "n", schema: { type: "object" }, strict: true },
      { type: "json_schema", json_schema: { name: "n", schema: { type: "object" }, strict: true } },
    ],
    [null, "auto"],
  ])("wanted the format %j", (format, expected) => {
    expect(toRun({ text: { format } }).response_format).toEqual(expected);
  });

  it("had its limits, its model and its owner", () => {
    const run = toRun({
      model: "gpt-5",
      temperature: 0.5,
      top_p: 0.9,
      max_output_tokens: 1_000,
      parallel_tool_calls: false,
      metadata: { tenant: "acme" },
    });
    expect(run).toMatchObject({
      model: "gpt-5",
      temperature: 0.5,
      top_p: 0.9,
      max_completion_tokens: 1_000,
      parallel_tool_calls: false,
      metadata: { tenant: "acme" },
    });
    expect(toRun({ max_output_tokens: 16 }).max_completion_tokens).toBeNull();
  });

  it("named its assistant in its metadata, or else its prompt", () => {
    const prompt = { id: "pmpt_1" };
    expect(toRun({ prompt }).assistant_id).toBe("pmpt_1");
    expect(toRun({ prompt, metadata: { assistant_id: "asst_1" } }).assistant_id).toBe("asst_1");
    expect(toRun({}).assistant_id).toBe("");
  });
});

describe("a refusal", () => {
  const reply = (status: number, message: unknown) => {
    const body = { error: { message } };
    return { status, body, text: JSON.stringify(body), origin: "https://upstream.test" };
  };

  const STATE = [
    "Cannot cancel a completed response.",
    "Cannot cancel a synchronous response.",
    "Cannot cancel an incomplete response.",
    "Cannot cancel response 'resp_1' with status 'completed'",
    "Responses can only be cancelled if they were created with background=true.",
    "Only background responses can be cancelled.",
  ];

  test.each(STATE)("of '%s' is due to the state", (message) => {
    for (const status of [400, 409]) {
      expect(openaiResponses.meaning(reply(status, message))).toBe("refused_by_state");
      const detail = { ...reply(status, null), body: { detail: message } };
      expect(openaiResponses.meaning(detail)).toBe("refused_by_state");
    }
    for (const status of [200, 401, 422, 500]) {
      expect(openaiResponses.meaning(reply(status, message))).toBeNull();
    }
  });

  test.each(["Invalid 'response_id'.", "You cannot cancel this.", "", null, 7])(
    "of '%s' is not",
    (message) => {
      for (const status of [400, 409]) {
        expect(openaiResponses.meaning(reply(status, message))).toBeNull();
      }
    },
  );

  test.each([...STATE, "Response with id 'resp_1' not found.", "Invalid URL", null])(
    "with a 404, even of '%s', is of an unknown response",
    (message) => {
      expect(openaiResponses.meaning(reply(404, message))).toBe("run_not_found");
      expect(openaiResponses.meaning(reply(410, message))).toBeNull();
    },
  );
});

describe("the key", () => {
  const { auth } = openaiResponses.options;

  it("goes as a bearer token, or as Azure wants its own keys", () => {
    const authorization = { header: "authorization", prefix: "Bearer " };
    expect(openaiResponses.credential({})).toEqual(authorization);
    expect(openaiResponses.credential({ auth: "bearer" })).toEqual(authorization);
    expect(openaiResponses.credential({ auth: "api-key" })).toEqual({
      header: "api-key",
      prefix: "",
    });
  });

  it("goes no other way", () => {
    expect(auth?.parse(undefined)).toBe("bearer");
    for (const other of ["x-api-key", "basic", "", null]) {
      expect(auth?.safeParse(other).success).toBe(false);
    }
  });
});

describe("a dialect", () => {
  const target = { threadId: "thread_1", runId: "resp_1" };
  const { dialect } = openaiResponses.options;

  test.each([
    [undefined, "responses"],
    ["openai", "responses"],
    ["litellm", "responses"],
    ["perplexity", "agent"],
  ])("of %s has its responses at /%s", (name, collection) => {
    const options = { dialect: name };
    const { cancel, read } = openaiResponses;
    expect(cancel(target, options)).toEqual({
      method: "POST",
      path: [collection, "resp_1", "cancel"],
    });
    expect(read(target, options)).toEqual({ method: "GET", path: [collection, "resp_1"] });
    // The id alone names the response.
    const alone = { ...target, threadId: null };
    expect(cancel(alone, options)).toEqual(cancel(target, options));
  });

  it("of LiteLLM is read before it is cancelled, since a cancel overwrites what has completed", () => {
    const readsFirst = ["openai", "litellm", "perplexity", undefined].map((name) =>
      openaiResponses.readsFirst({ dialect: name }),
    );
    expect(readsFirst).toEqual([false, true, false, false]);
    expect(openaiResponses.deletesRun({ dialect: "litellm" })).toBe(false);
  });

  it("is OpenAI's own unless the config names another that is known", () => {
    expect(dialect?.parse(undefined)).toBe("openai");
    for (const other of ["vllm", "", "OpenAI", null]) {
      expect(dialect?.safeParse(other).success).toBe(false);
    }
  });

  it("of Perplexity has a word more for a response that is on its way to its end", () => {
    expect(toRun({ status: "cancelling" }).status).toBe("cancelling");
    const response = openaiResponses.toResponse?.({ id: "resp_1", status: "cancelling" }, "resp_1");
    expect(response).toMatchObject({ id: "resp_1", status: "in_progress" });
  });
});
