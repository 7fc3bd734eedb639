// The log: one JSON line per thing, which no value in it can forge, reorder or flood.
import { describe, expect, it } from "vitest";
import { createLog, type Fields, type Level } from "../src/logger.ts";
import { ANN, createHarness } from "./support/harness.ts";

function lineOf(fields: Fields): string {
  const lines: [Level, string][] = [];
  createLog((level, line) => lines.push([level, line]))("warn", "tested", fields);
  expect(lines).toHaveLength(1);
  const [level, line] = lines[0] ?? [];
  expect(level).toBe("warn");
  return line ?? "";
}

describe("a line", () => {
  it("says its level, its event and its fields", () => {
    expect(JSON.parse(lineOf({ text: "a", number: 1, flag: true, none: null }))).toEqual({
      level: "warn",
      event: "tested",
      text: "a",
      number: 1,
      flag: true,
      none: null,
    });
  });

  it.each([
    "\n{}",
    "\r\n",
    "\0",
    "\x1b[2J",
    "\x7f",
    "\x85",
    "\x9b31m",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u2066",
    "\u200f",
  ])("has nothing in it that acts on a screen: %j", (text) => {
    const line = lineOf({ text });
    expect(line).not.toMatch(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u);
    expect(JSON.parse(line)["text"]).toBe(text);
  });

  it("has at most 2,048 characters of each field, all of them whole", () => {
    const { long, half } = JSON.parse(lineOf({ long: "x".repeat(9_000), half: "\ud83d" }));
    expect(long).toHaveLength(2_048);
    expect(half).toBe("\ufffd");
  });
});

describe("the line of a request", () => {
  it("has the route's pattern, and none of the caller's own text", async () => {
    const gateway = await createHarness();
    const ids = { thread: "thread_of_the_caller", run: "run_of_the_caller" };
    const response = await gateway.cancel(ids, await gateway.tokenFor(ANN));
    const line = gateway.lines.find((each) => each.includes('"event":"request"')) ?? "";
    expect(JSON.parse(line)).toMatchObject({
      level: "info",
      request_id: response.headers.get("x-request-id"),
      method: "POST",
      route: "/v1/threads/:thread_id/runs/:run_id/cancel",
      status: 404,
      code: "run_not_found",
      detail: "the upstream answered 404",
    });
    expect(line).not.toContain("of_the_caller");
  });
});
