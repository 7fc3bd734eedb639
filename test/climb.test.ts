// No id that a client sends may lead the gateway, or the upstream, to another place: every way to climb out of
// a path, in every id of every route, as it stands on the wire.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ANN, byCredential, createHarness, GUS, type Person } from "./support/harness.ts";

/** As a client may write them into an address; the router decodes them once. */
const CLIMBS = [
  ...["..", ".", "...", "%2e%2e", "%2E%2e", ".%2e", "..%2f", "..%2F..%2F", "%2e%2e%2fadmin"],
  ...["%252e%252e", "%252e%252e%252f", "%25252e", "..%5c", "%5c%5cevil.test", "%c0%ae%c0%ae"],
  ...["%e2%80%a5", "%ef%bc%8e%ef%bc%8e", "%ef%bc%8f", "%0d", "%0a", "%0d%0ax-evil:%201", "%00"],
  ...["run_1%00", "", "/", "//", "%2f", "%2f%2fevil.test", "run_1%2f..%2f..", "run_1%3faction=x"],
  ...["run_1%23", "run_1;a=b", "..;", "https:%2f%2fevil.test", "@evil.test", "%20", "%", "%zz"],
  ...["run_1/..", "run_1/../../admin", "~", "*", "'", "run_1%2fcancel", "%ed%a0%80"],
  ...["....", "%2e%2e%2e%2e", "..=%2f..", ":%2f%2fevil.test", "a".repeat(1_025), "a,b", "a%25b"],
];

/** Of which ids may consist, beside letters and digits. */
const LETTERS = ["-", "_", ".", ":", "=", "+", "%3a", "%3d", "%2b", "%2e"];

const ROUTES: readonly [name: string, method: string, path: (id: string) => string, Person][] = [
  ["the run's id of a cancel", "POST", (id) => `/v1/threads/thread_1/runs/${id}/cancel`, ANN],
  ["the thread's id of a cancel", "POST", (id) => `/v1/threads/${id}/runs/run_1/cancel`, ANN],
  ["both ids of a cancel", "POST", (id) => `/v1/threads/${id}/runs/${id}/cancel`, ANN],
  ["the run's id of a read", "GET", (id) => `/v1/threads/thread_1/runs/${id}`, ANN],
  ["the thread's id of a read", "GET", (id) => `/v1/threads/${id}/runs/run_1`, ANN],
  ["the id of a thread's cancel", "POST", (id) => `/v1/threads/${id}/cancel`, ANN],
  ["the id of a response's cancel", "POST", (id) => `/v1/responses/${id}/cancel`, GUS],
  ["the id of a response's read", "GET", (id) => `/v1/responses/${id}`, GUS],
];

/** An id as it goes upstream: one segment, encoded, and never dots alone. */
const ID = "(?!\\.+(?:/|$))(?:[A-Za-z0-9_.-]|%3A|%3D|%2B){1,1024}";
/** Everything that an upstream may ever be asked for. */
const PATHS = new RegExp(
  `^(/assistants/v1/threads/${ID}/runs(/${ID}(/cancel)?)?|/responses/v1/responses/${ID}(/cancel)?)$`,
);
const QUERIES = ["", "?order=desc&limit=20"];

/** Nothing is read before a cancel, so that an id that gets in goes straight to the upstream. */
const asked: URL[] = [];
const gateway = await createHarness({
  config: (config) => byCredential("globex")(byCredential("acme")(config)),
  network: () => async (input) => {
    asked.push(new URL(input instanceof Request ? input.url : String(input)));
    return Response.json({ data: [] }, { status: 200 });
  },
});
const tokens = new Map([
  [ANN, await gateway.tokenFor(ANN)],
  [GUS, await gateway.tokenFor(GUS)],
]);

async function ask(method: string, path: string, person: Person): Promise<Response> {
  asked.length = 0;
  const headers = { authorization: `Bearer ${tokens.get(person)}` };
  return await gateway.request(path, { method, headers });
}

function expectInPlace(): void {
  for (const { origin, pathname, search, hash } of asked) {
    expect(origin).toBe("https://simulator.test");
    expect(pathname).toMatch(PATHS);
    expect(QUERIES).toContain(search);
    expect(hash).toBe("");
  }
}

describe.each(ROUTES)("%s", (_, method, path, person) => {
  it.each(["run_1", "..:", "..a", ".a", "a..", "=", "+.."])(
    "leads '%s' to the upstream",
    async (id) => {
      await ask(method, path(id), person);
      expect(asked.length).toBeGreaterThan(0);
      expectInPlace();
    },
  );

  const others = CLIMBS.filter((climb) => !becomesAnother(path(climb)));
  it.each(others)("is refused as '%s', and nothing is sent", async (climb) => {
    const response = await ask(method, path(climb), person);
    expect(asked).toEqual([]);
    expect([400, 404, 405]).toContain(response.status);
    expect(await response.json()).toMatchObject({ error: { code: expect.any(String) } });
  });

  it("keeps any other in its place, or refuses it", async () => {
    const piece = fc.constantFrom(...CLIMBS, ...LETTERS, "run_1", "a", "%41", "%2d");
    const id = fc.oneof(
      fc.array(piece, { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join("")),
      fc.string({ unit: "binary", minLength: 1 }).map((text) => encoded(text)),
      fc.webPath(),
    );
    await fc.assert(
      fc.asyncProperty(id, async (text) => {
        await ask(method, path(text), person);
        expectInPlace();
      }),
      { numRuns: 150 },
    );
  });
});

/**
 * A client that resolves dots, as the URL standard has it, asks for another route: for a thread's cancel,
 * say, in place of a run's. It never sends what was written, so there is nothing to refuse.
 */
function becomesAnother(path: string): boolean {
  const { pathname } = new URL(path, "https://stop.test");
  return pathname !== path && new RegExp(`^/v1/threads/${ID}/cancel$`).test(pathname);
}

/** A lone surrogate cannot be encoded: a client could not send it either. */
function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}
