// Whatever JSON comes in: a strict Run comes out, or one of two refusals, and nothing else.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Refusal } from "../../src/failure.ts";
import { normaliseRun } from "../../src/runs/normalise.ts";
import {
  ErrorCode,
  IncompleteReason,
  isTerminal,
  Ranker,
  Run,
  RunStatus,
  ToolMode,
} from "../../src/runs/run.ts";

const TARGET = { threadId: "thread_1", runId: "run_1" };
const KEYS = Object.keys(Run.shape);
/** Members whose keys belong to the tenant: nothing in them has another spelling. */
const FREE = ["metadata", "parameters", "schema"];

type Members = Record<string, unknown>;

// ── Any JSON ────────────────────────────────────────────────────────────────────────────────────

const character = fc.constantFrom("a", "B", "_", "-", "0", " ", "\u0000", "😀", "\ud83d", "\ude00");
const oddText = fc.string({ unit: character, maxLength: 8 });
const oddNumber = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -0, 1, 256, 1e11, 1e11 + 1, 1e14, 1e14 + 1e3, 1e300, Number.POSITIVE_INFINITY),
);
const NAMES = [
  ...["type", "function", "name", "arguments", "description", "parameters", "schema", "strict"],
  ...["submit_tool_outputs", "tool_calls", "file_search", "max_num_results", "ranking_options"],
  ...["score_threshold", "ranker", "code", "message", "reason", "json_schema", "last_messages"],
  ...["prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"],
];
const name = fc.oneof(
  fc.constantFrom(...KEYS, ...NAMES, ...[...KEYS, ...NAMES].map(camelCase)),
  fc.constantFrom("run_id", "runId", "__proto__", "constructor", "toString", "extra_body"),
  oddText,
);
const leaf = fc.oneof(
  fc.constantFrom(null, true, false, "", "true", "0"),
  fc.constantFrom(...RunStatus.options, ...ToolMode.options, "function", "code_interpreter"),
  fc.date().map(String),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  oddNumber,
  oddNumber.map(String),
  oddText,
  fc.string({ unit: "binary" }),
  // One character across each of the lengths at which texts are cut.
  fc.constantFrom(63, 511, 1023).map((length) => `${"x".repeat(length)}😀`),
);
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.array(tie("json"), { maxLength: 4 }),
    // From entries, so that `__proto__` is a member, as it is after JSON.parse.
    fc.array(fc.tuple(name, tie("json")), { maxLength: 6 }).map(Object.fromEntries),
  ),
}));

// ── A valid Run, in the one spelling that `normaliseRun` gives it ───────────────────────────────

const text = fc.string({ unit: "binary" });
const label = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 20 });
const time = fc.oneof(fc.constant(null), fc.integer({ min: 0, max: 1e11 }));
const limit = fc.oneof(fc.constant(null), fc.integer({ min: 256, max: 1e9 }));
const count = fc.nat({ max: 1e9 });
const decimal = fc
  .double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 })
  .map((number) => (number === 0 ? 0 : number));
const free = fc.dictionary(
  label.filter((key) => key !== "__proto__"),
  // `__proto__` is never kept, so a Run in the usual spelling has none, at no depth.
  fc
    .jsonValue({ maxDepth: 3 })
    .map((value) => JSON.parse(JSON.stringify(value).replaceAll("__proto__", "proto"))),
  { noNullPrototype: true, maxKeys: 5 },
);

type Arbitraries = Record<string, fc.Arbitrary<unknown>>;

/** The members that are always there, with any of those that need not be. */
function members(required: Arbitraries, optional: Arbitraries = {}) {
  return fc.record(
    { ...required, ...optional },
    { requiredKeys: Object.keys(required), noNullPrototype: true },
  );
}

const definition = members(
  { name: label },
  { description: text, parameters: free, strict: fc.boolean() },
);
const tool = fc.oneof(
  fc.constant({ type: "code_interpreter" }),
  members({ type: fc.constant("function"), function: definition }),
  members(
    { type: fc.constant("file_search") },
    {
      file_search: members(
        {},
        {
          max_num_results: fc.integer({ min: 1, max: 50 }),
          ranking_options: members(
            { score_threshold: fc.constantFrom(0, 0.25, 1) },
            { ranker: fc.constantFrom(...Ranker.options) },
          ),
        },
      ),
    },
  ),
);
const call = members({
  id: label,
  type: fc.constant("function"),
  function: members({ name: label, arguments: text }),
});
const action = members({
  type: fc.constant("submit_tool_outputs"),
  submit_tool_outputs: members({ tool_calls: fc.array(call, { maxLength: 3 }) }),
});
const usage = members({ prompt_tokens: count, completion_tokens: count, total_tokens: count });
const choice = fc.oneof(
  fc.constantFrom(...ToolMode.options),
  fc.constantFrom({ type: "code_interpreter" }, { type: "file_search" }),
  members({ type: fc.constant("function"), function: members({ name: label }) }),
);
const format = fc.oneof(
  fc.constantFrom("auto", { type: "text" }, { type: "json_object" }),
  members({
    type: fc.constant("json_schema"),
    json_schema: members(
      { name: label },
      { description: text, schema: free, strict: fc.boolean() },
    ),
  }),
);

const validRun: fc.Arbitrary<Run> = fc
  .constantFrom(...RunStatus.options)
  .chain((status) =>
    members({
      id: fc.constant(TARGET.runId),
      object: fc.constant("thread.run"),
      created_at: count,
      thread_id: fc.constant(TARGET.threadId),
      assistant_id: text,
      status: fc.constant(status),
      required_action: fc.option(action),
      last_error: fc.option(
        members({ code: fc.constantFrom(...ErrorCode.options), message: text }),
      ),
      expires_at: time,
      started_at: time,
      cancelled_at: status === "cancelled" ? time : fc.constant(null),
      failed_at: time,
      completed_at: time,
      incomplete_details: fc.option(
        members(
          status === "incomplete" ? {} : { reason: fc.constantFrom(...IncompleteReason.options) },
        ),
      ),
      model: text,
      instructions: text,
      tools: fc.array(tool, { maxLength: 20 }),
      metadata: fc.dictionary(
        label.filter((key) => key !== "__proto__"),
        fc.string({ maxLength: 512 }),
        { maxKeys: 16, noNullPrototype: true },
      ),
      usage: isTerminal(status) ? fc.option(usage) : fc.constant(null),
      temperature: fc.option(decimal),
      top_p: fc.option(decimal),
      max_prompt_tokens: limit,
      max_completion_tokens: limit,
      truncation_strategy: members({
        type: fc.constantFrom("auto", "last_messages"),
        last_messages: fc.option(fc.integer({ min: 1, max: 1e6 })),
      }),
      tool_choice: choice,
      parallel_tool_calls: fc.boolean(),
      response_format: format,
    }),
  )
  .map((run) => Run.parse(run));

// ── Damage ──────────────────────────────────────────────────────────────────────────────────────

/** What can be done to the member `key` of `holder`. */
const DAMAGE: Record<string, (holder: Members, key: string, name: string, value: unknown) => void> =
  {
    delete: (holder, key) => remove(holder, key),
    retype: (holder, key, _, value) => set(holder, key, value),
    asText: (holder, key) => set(holder, key, JSON.stringify(holder[key])),
    nest: (holder, key, name) => set(holder, key, Object.fromEntries([[name, holder[key]]])),
    wrap: (holder, key) => set(holder, key, [holder[key]]),
    repeat: (holder, key) => set(holder, key, Array(25).fill(holder[key])),
    add: (holder, _, name, value) => {
      if (Array.isArray(holder)) holder.push(value);
      else set(holder, name, value);
    },
    camel: (holder, key) => rename(holder, key, camelCase(key)),
    rename: (holder, key, name) => rename(holder, key, name),
  };

function set(holder: Members, key: string, value: unknown): void {
  Object.defineProperty(holder, key, {
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  });
}

function remove(holder: Members, key: string): void {
  if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else Reflect.deleteProperty(holder, key);
}

/** In a list, where nothing has a name: removed. */
function rename(holder: Members, from: string, to: string): void {
  const held = holder[from];
  remove(holder, from);
  if (!Array.isArray(holder)) set(holder, to, held);
}

/** Every object and list in `value`, with each of its keys. */
function places(value: unknown): [Members, string][] {
  if (typeof value !== "object" || value === null) return [];
  const holder = value as Members;
  return Object.keys(holder).flatMap((key) => [[holder, key], ...places(holder[key])]);
}

const damage = fc.tuple(fc.constantFrom(...Object.values(DAMAGE)), fc.nat(), name, json);
const damagedRun = fc
  .tuple(validRun, fc.array(damage, { minLength: 1, maxLength: 6 }))
  .map(([run, damages]) => {
    const damaged = structuredClone(run);
    for (const [inflict, index, name, value] of damages) {
      const all = places(damaged);
      const place = all[index % all.length];
      if (place !== undefined) inflict(...place, name, structuredClone(value));
    }
    return damaged;
  });

// ── What must hold ──────────────────────────────────────────────────────────────────────────────

/** The Run, if there was one, having checked all that must hold in either case. */
function attempt(input: unknown): Run | undefined {
  const before = JSON.stringify(input);
  try {
    const run = normaliseRun(input, TARGET);
    assertStrict(run);
    return run;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    expect(["upstream_error", "run_not_found"]).toContain(error.reason);
    return undefined;
  } finally {
    expect(JSON.stringify(input)).toBe(before);
  }
}

function assertStrict(run: Run): void {
  expect(Object.keys(run)).toEqual(KEYS);
  // Equal to what the schema makes of it: nothing was left for the schema to strip.
  assertSame(Run.parse(run), run);
  assertSame(JSON.parse(JSON.stringify(run)), run);
  assertSame(normaliseRun(run, TARGET), run);
  expect(texts(run).every((words) => words.isWellFormed())).toBe(true);
  expect([run.id, run.thread_id]).toEqual([TARGET.runId, TARGET.threadId]);
  if (run.status !== "cancelled") expect(run.cancelled_at).toBeNull();
  if (!isTerminal(run.status)) expect(run.usage).toBeNull();
}

/**
 * The same down to undefined members, -0 and the order of keys. `toStrictEqual` takes a member
 * named "constructor" for the constructor.
 */
function assertSame(value: unknown, expected: unknown): void {
  expect(fc.stringify(value)).toBe(fc.stringify(expected));
}

function texts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return [...Object.keys(value), ...Object.values(value).flatMap(texts)];
}

describe("normaliseRun", () => {
  test("gives a strict Run or refuses, whatever JSON comes in", () => {
    fc.assert(
      fc.property(json, (input) => void attempt(input)),
      { numRuns: 200 },
    );
  });

  test("gives a strict Run of any JSON with the right id and a known status", () => {
    const status = fc.constantFrom(...RunStatus.options);
    const fields = fc.dictionary(fc.constantFrom(...KEYS), json, { noNullPrototype: true });
    fc.assert(
      fc.property(status, fields, (status, fields) => {
        const input = { ...fields, id: "run_1", thread_id: "thread_1", status };
        expect(attempt(input)?.status).toBe(status);
      }),
      { numRuns: 200 },
    );
  });

  test("gives a strict Run of a damaged one, or refuses it", () => {
    let runs = 0;
    fc.assert(
      fc.property(damagedRun, (input) => {
        if (attempt(input) !== undefined) runs += 1;
      }),
      { numRuns: 300 },
    );
    // Otherwise the damage is so bad that nothing was tested.
    expect(runs).toBeGreaterThan(150);
  });

  test("leaves a Run in the usual spelling as it is", () => {
    fc.assert(
      fc.property(validRun, (run) => {
        assertSame(attempt(run), run);
      }),
    );
  });

  test("reads camelCase as it reads snake_case, at every level", () => {
    fc.assert(
      fc.property(validRun, (run) => {
        const spelled = rewrite(run, (key, value) => [[camelCase(key), value]]);
        assertSame(attempt(spelled), run);
      }),
    );
  });

  test("drops what it does not know, at every level", () => {
    fc.assert(
      fc.property(validRun, name, json, (run, name, value) => {
        const odd = `x_${name}`;
        const fuller = rewrite(run, (key, held) => [
          [odd, value],
          [key, held],
        ]);
        assertSame(attempt(fuller), run);
      }),
    );
  });

  test.each(KEYS)("survives a bottomless %s", (key) => {
    const depth = 100_000;
    const bombs = [
      JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`),
      JSON.parse(`${'{"type":'.repeat(depth)}1${"}".repeat(depth)}`),
    ];
    for (const bomb of bombs) {
      const calls = [{ id: "c", function: { name: "f", arguments: bomb, parameters: bomb } }];
      const tools = [{ type: "function", function: { name: "f", parameters: bomb } }];
      const around = [bomb, [bomb], { a: bomb }, { submit_tool_outputs: { tool_calls: calls } }];
      for (const value of [...around, tools, { type: "json_schema", json_schema: bomb }]) {
        const input = { id: "run_1", status: "completed", [key]: value };
        try {
          assertStrict(normaliseRun(input, TARGET));
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal);
        }
      }
    }
  });
});

/** The same JSON with each member of an object that the Run defines rewritten as new members. */
function rewrite(
  value: unknown,
  as: (key: string, value: unknown) => [string, unknown][],
): unknown {
  if (Array.isArray(value)) return value.map((item) => rewrite(item, as));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).flatMap(([key, held]) =>
    as(key, FREE.includes(key) ? held : rewrite(held, as)),
  );
  return Object.fromEntries(entries);
}

function camelCase(snake: string): string {
  return snake
    .split("_")
    .map((part, index) => (index === 0 ? part : part.charAt(0).toUpperCase() + part.slice(1)))
    .join("");
}
