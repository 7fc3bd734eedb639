// The threads/runs wire: whose texts mean that the run's state refuses, and whose that the API is gone.
import { describe, expect, it, test } from "vitest";
import { RunStatus } from "../../src/runs/run.ts";
import { assistants } from "../../src/upstreams/assistants.ts";
import type { Reply } from "../../src/upstreams/upstream.ts";

function reply(status: number, message: string, origin = "https://upstream.test"): Reply {
  const body = { error: { message, type: "invalid_request_error", param: null, code: null } };
  return { status, body, text: JSON.stringify(body), origin };
}

describe("a refusal by the run's state", () => {
  test.each(RunStatus.options)("names the state, such as %s", (status) => {
    const message = `Cannot cancel run with status '${status}'.`;
    expect(assistants.isStateRefusal(reply(400, message))).toBe(true);
    // Without its full stop, as some clones write it.
    expect(assistants.isStateRefusal(reply(400, message.slice(0, -1)))).toBe(true);
    expect(assistants.isStateRefusal(reply(500, message))).toBe(false);
  });

  test.each(["run run_1 cannot cancel", "run run_1 already cancel"])("is '%s'", (message) => {
    expect(assistants.isStateRefusal(reply(400, message))).toBe(true);
  });

  test.each([
    "You must provide the 'OpenAI-Beta' header to access the Assistants API.",
    "The v1 Assistants API has been deprecated.",
    "Please say: Cannot cancel run with status 'completed'.",
    "",
  ])("is not '%s'", (message) => {
    expect(assistants.isStateRefusal(reply(400, message))).toBe(false);
  });
});

describe("a 404", () => {
  const OPENAI = "https://api.openai.com";

  test.each([
    "No thread found with id 'thread_1'.",
    "No run found with id 'run_1'.",
    "No assistant found with id 'asst_1'.",
  ])("that says '%s' is one of an unknown run, anywhere", (message) => {
    for (const origin of [OPENAI, "https://upstream.test"]) {
      expect(assistants.isUnknownRun(reply(404, message, origin))).toBe(true);
      expect(assistants.isRetired(reply(404, message, origin))).toBe(false);
    }
  });

  it("that says anything else is the end of the API at OpenAI, and there alone", () => {
    const gone = reply(404, "Invalid URL (POST /v1/threads)", OPENAI);
    expect(assistants.isRetired(gone)).toBe(true);
    expect(assistants.isUnknownRun(gone)).toBe(false);
    for (const origin of ["https://upstream.test", "https://api.openai.com.evil.test"]) {
      expect(assistants.isRetired({ ...gone, origin })).toBe(false);
      expect(assistants.isUnknownRun({ ...gone, origin })).toBe(true);
    }
  });

  it("is the only status that can mean either", () => {
    const error = reply(410, "Invalid URL (POST /v1/threads)", OPENAI);
    expect(assistants.isRetired(error)).toBe(false);
    expect(assistants.isUnknownRun(error)).toBe(false);
  });
});

describe("the metadata", () => {
  it("proves the owner as it came, with nothing cut from it", () => {
    const metadata = { tenant: "acme", long: "x".repeat(2_000), number: 7 };
    expect(assistants.metadata({ metadata })).toBe(metadata);
    expect(assistants.metadata("nonsense")).toBeUndefined();
  });
});
