// The front door: which requests get in at all, and what every reply looks like whatever became of it.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { appliedPreferences, readPreferences } from "../src/http/preferences.ts";
import {
  ADA,
  ANN,
  createHarness,
  GUS,
  type Harness,
  pathOf,
  SAM,
  withTenant,
} from "./support/harness.ts";
import { refused, type Seen, seen } from "./support/reply.ts";
import { TEST_SECRETS } from "./support/secrets.ts";

const RUN = "/v1/threads/thread_1/runs/run_1";
const CANCEL = `${RUN}/cancel`;

const gateway = await createHarness();
const annsToken = await gateway.tokenFor(ANN);
const asAnn = { authorization: `Bearer ${annsToken}` };

describe("an address", () => {
  it.each([
    "/",
    "/v1",
    "/v2/threads/thread_1/runs/run_1",
    "/v1/threads/thread_1/runs",
    "/v1/threads//runs/run_1",
    `${RUN}//`,
    `${CANCEL}/now`,
    "/V1/threads/thread_1/runs/run_1",
    "/v1/threads/../runs/run_1",
    "/v1/threads/%2e%2e/runs/run_1",
  ])("%s is 404 not_found", async (path) => {
    expect(await refused(await gateway.request(path, { headers: asAnn }))).toEqual({
      status: 404,
      message: "There is nothing at this address.",
      type: "invalid_request_error",
      param: null,
      code: "not_found",
      retryAfter: null,
      shouldRetry: "false",
    });
  });

  it.each([
    ["GET", CANCEL, "POST"],
    ["PUT", CANCEL, "POST"],
    ["DELETE", CANCEL, "POST"],
    ["PATCH", CANCEL, "POST"],
    ["POST", RUN, "GET, HEAD"],
    ["PUT", RUN, "GET, HEAD"],
    ["DELETE", RUN, "GET, HEAD"],
    ["POST", "/healthz", "GET, HEAD"],
    ["POST", "/v1/audit/events", "GET, HEAD"],
  ])("%s %s is 405, and Allow says %s", async (method, path, allow) => {
    const response = await gateway.request(path, { method, headers: asAnn });
    expect(response.headers.get("allow")).toBe(allow);
    expect(await refused(response)).toMatchObject({
      status: 405,
      code: "method_not_allowed",
      shouldRetry: "false",
    });
  });

  it("answers HEAD where it answers GET, without a body, and 405 where it does not", async () => {
    const head = (path: string) => gateway.request(path, { method: "HEAD", headers: asAnn });
    const ids = await gateway.startRun();
    const read = await head(pathOf(ids));
    expect([read.status, await read.text()]).toEqual([200, ""]);
    const cancel = await head(`${pathOf(ids)}/cancel`);
    expect([cancel.status, cancel.headers.get("allow")]).toEqual([405, "POST"]);
  });

  it("heeds no header that would change the method", async () => {
    const ids = await gateway.startRun();
    const response = await gateway.request(pathOf(ids), {
      headers: { ...asAnn, "x-http-method-override": "POST", "x-method-override": "DELETE" },
    });
    expect(await response.json()).toMatchObject({ status: "in_progress" });
  });

  it("/healthz says ok to anybody", async () => {
    const response = await gateway.request("/healthz");
    expect(await response.json()).toEqual({ status: "ok" });
  });
});

describe("the body of a cancel", () => {
  async function cancelWith(body: BodyInit | null, contentType?: string): Promise<Response> {
    const ids = await gateway.startRun();
    return await gateway.request(`${pathOf(ids)}/cancel`, {
      method: "POST",
      headers: { ...asAnn, ...(contentType !== undefined && { "content-type": contentType }) },
      body,
    });
  }
  const json = (text: BodyInit | null) => cancelWith(text, "application/json");

  it.each<[string, BodyInit | null, string | undefined]>([
    ["none", null, undefined],
    ["none, with a JSON content type, as openai v4 sends it", null, "application/json"],
    ["an empty one with a JSON content type", "", "application/json"],
    ["an empty one with another content type", "", "text/plain"],
    ["{}", "{}", "application/json"],
    ["{} with a charset", "{}", "application/json; charset=utf-8"],
    ["{} as a kind of JSON", "{}", "application/merge-patch+json"],
    ["a reason", '{"reason":"Enough."}', "application/json"],
    ["an empty reason", '{"reason":""}', "application/json"],
  ])("may be %s", async (_, body, contentType) => {
    expect((await cancelWith(body, contentType)).status).toBe(200);
  });

  it("does not depend on the word undefined", async () => {
    expect(await refused(await json("undefined"))).toMatchObject({ code: "invalid_request" });
  });

  it.each<[string, BodyInit]>([
    ["malformed JSON", '{"reason":'],
    ["two documents", "{}{}"],
    ["invalid UTF-8", new Uint8Array([...new TextEncoder().encode('{"reason":"'), 0xff, 34, 125])],
    ["JSON behind a byte order mark", '\uFEFF{"reason":"x"}'],
  ])("that is %s is 400", async (_, body) => {
    expect(await refused(await json(body))).toMatchObject({
      status: 400,
      message: "The request body is not valid JSON.",
      param: null,
      code: "invalid_request",
      shouldRetry: "false",
    });
  });

  it.each(["[]", '"stop"', "7", "true", '[{"reason":"x"}]'])(
    "that is %s, no object, is 400",
    async (body) => {
      expect(await refused(await json(body))).toMatchObject({
        status: 400,
        message: "The request body must be a JSON object, and 'reason' a string.",
        param: null,
        code: "invalid_request",
      });
    },
  );

  it.each(["7", "{}", "[]", "true"])(
    "whose reason is %s, no string, is 400 and names it",
    async (reason) => {
      expect(await refused(await json(`{"reason":${reason}}`))).toMatchObject({
        status: 400,
        param: "reason",
        code: "invalid_request",
      });
    },
  );

  it.each(['{"reasons":"x"}', '{"reason":"x","force":true}', '{"__proto__":1}'])(
    "with another member, as in %s, is 400",
    async (body) => {
      expect(await refused(await json(body))).toMatchObject({
        status: 400,
        message: "The request body takes no member but 'reason'.",
        code: "invalid_request",
      });
    },
  );

  it.each([
    ["letters", "x"],
    ["characters outside the basic plane", "🛑"],
  ])("takes a reason of 256 %s, however they are written, and none of 257", async (_, letter) => {
    const reason = (length: number) => JSON.stringify({ reason: letter.repeat(length) });
    const escaped = reason(256).replace(
      /[^\x20-\x7e]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16)}`,
    );
    expect((await json(reason(256))).status).toBe(200);
    expect((await json(escaped)).status).toBe(200);
    expect(await refused(await json(reason(257)))).toMatchObject({
      status: 400,
      message: "'reason' takes at most 256 characters.",
      param: "reason",
      code: "invalid_request",
    });
  });

  it.each(["text/plain", "application/x-www-form-urlencoded", "application/jsonp", undefined])(
    "of type %s is 415",
    async (contentType) => {
      const body = new TextEncoder().encode('{"reason":"x"}');
      expect(await refused(await cancelWith(body, contentType))).toMatchObject({
        status: 415,
        code: "unsupported_media_type",
        shouldRetry: "false",
      });
    },
  );

  const LARGE = JSON.stringify({ reason: "x".repeat(8_000) });

  it("that is too large is 413, by what arrives and not by what is declared", async () => {
    const expected = { status: 413, code: "payload_too_large", shouldRetry: "false" };
    expect(await refused(await json(LARGE))).toMatchObject(expected);
    const declared = await gateway.request(CANCEL, {
      method: "POST",
      headers: { ...asAnn, "content-type": "application/json", "content-length": "2" },
      body: LARGE,
    });
    expect(await refused(declared)).toMatchObject(expected);
  });

  it("that is too large is 413 in chunks too, and is not read to its end", async () => {
    let chunks = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        chunks += 1;
        controller.enqueue(new TextEncoder().encode(" ".repeat(1_024)));
      },
    });
    expect(await refused(await json(endless))).toMatchObject({ status: 413 });
    expect(chunks).toBeLessThan(20);
  });
});

const MALFORMED = [
  "..%2f..%2fadmin",
  "%252e%252e",
  "run%2f1",
  "run%5c1",
  "run%00",
  "run%0d%0aX-Evil:%201",
  "run%09",
  "run%201",
  "%20run_1",
  "run_1%20",
  "...",
  "run;1",
  "run@1",
  "run*",
  "run~1",
  "run$1",
  "run'1",
  "run,1",
  "run%3fadmin",
  "run%23x",
  "r%C3%BCn",
  "%EF%BD%92un_1",
  "run%E2%80%8B1",
  "%F0%9F%9B%91",
  "%ff",
  "%",
  "%zz",
  "[object%20Object]",
  "x".repeat(1_025),
];

describe("an id", () => {
  it.each(MALFORMED)("%s is 404 run_not_found in either place, upstream untouched", async (id) => {
    await gateway.forgetCalls();
    for (const path of [`/v1/threads/thread_1/runs/${id}`, `/v1/threads/${id}/runs/run_1`]) {
      for (const [method, route] of [
        ["GET", path],
        ["POST", `${path}/cancel`],
      ] as const) {
        const response = await gateway.request(route, { method, headers: asAnn });
        expect(await refused(response)).toMatchObject({ status: 404, code: "run_not_found" });
      }
    }
    expect(await gateway.calls()).toEqual([]);
  });

  it("of 1,024 characters, or written with escapes, is well formed", async () => {
    const ids = await gateway.startRun();
    const escaped = pathOf(ids).replaceAll("_", "%5f");
    expect((await gateway.request(escaped, { headers: asAnn })).status).toBe(200);
    await gateway.forgetCalls();
    const long = { thread: "t".repeat(1_024), run: "r".repeat(1_024) };
    expect((await gateway.read(long, annsToken)).status).toBe(404);
    expect((await gateway.calls()).map(({ path }) => path)).toEqual([
      `/assistants/v1/threads/${long.thread}/runs/${long.run}`,
    ]);
  });

  it("that is malformed is refused before the token is looked at", async () => {
    const response = await gateway.request("/v1/threads/thread_1/runs/run~1");
    expect(await refused(response)).toMatchObject({ status: 404, code: "run_not_found" });
  });
});

describe("a run that is not the caller's", () => {
  /** Every way in which a run may not be there for Ann. */
  async function absentRuns(): Promise<string[]> {
    const tenants = await gateway.startRun({ tenant: "globex", owner: "ann" });
    const sharedKey = await gateway.startRun({ metadata: { tenant: "globex", user: "ann" } });
    const colleagues = await gateway.startRun({ owner: "bob" });
    const nobodys = await gateway.startRun({ metadata: { user: "" } });
    const own = await gateway.startRun();
    const malformed = ["run~1", "..%2fadmin", "x".repeat(1_025)];
    return [
      ...[tenants, sharedKey, colleagues, nobodys].map(pathOf),
      // Unknown: both, the run, the run on this thread.
      pathOf({ thread: "thread_none", run: "run_none" }),
      pathOf({ thread: own.thread, run: "run_none" }),
      pathOf({ thread: colleagues.thread, run: own.run }),
      ...malformed.map((run) => pathOf({ thread: own.thread, run })),
      ...malformed.map((thread) => pathOf({ thread, run: own.run })),
    ];
  }

  const ORIGINS = {
    "no origin": undefined,
    "the tenant's own origin": "https://app.acme.test",
    "another tenant's origin": "https://app.globex.test",
    "an origin that nobody listed": "https://evil.test",
  };

  it.each(Object.entries(ORIGINS))(
    "looks like one that does not exist or has a malformed id, to the byte, from %s",
    async (_, origin) => {
      const paths = await absentRuns();
      await gateway.forgetCalls();
      const headers = { ...asAnn, ...(origin !== undefined && { origin }) };
      for (const [method, suffix] of [
        ["POST", "/cancel"],
        ["GET", ""],
      ]) {
        const replies: Seen[] = [];
        for (const path of paths) {
          const init = { method: method ?? "", headers };
          replies.push(await seen(await gateway.request(`${path}${suffix}`, init)));
        }
        expect(replies[0]).toMatchObject({
          status: 404,
          body: JSON.stringify({
            error: {
              message: "No run found with this id.",
              type: "invalid_request_error",
              param: null,
              code: "run_not_found",
            },
          }),
        });
        expect(replies).toEqual(paths.map(() => replies[0]));
      }
      const cancels = (await gateway.calls()).filter(({ method }) => method !== "GET");
      expect(cancels).toEqual([]);
    },
  );

  it("looks so to a supporter of another tenant as well, whatever reason is given", async () => {
    const theirs = await gateway.startResponse();
    const token = await gateway.tokenFor({ ...SAM, scope: "runs:cancel runs:cancel:support" });
    const replies = await Promise.all(
      [theirs, { thread: "thread_1", run: "run_none" }].map(async (ids) =>
        seen(
          await gateway.cancel(ids, token, {
            headers: { "content-type": "application/json" },
            body: '{"reason":"because"}',
          }),
        ),
      ),
    );
    expect(replies[0]?.status).toBe(404);
    expect(replies[1]).toEqual(replies[0]);
  });
});

const HEADERS_OF_DESIGN = [
  "content-type",
  "cache-control",
  "x-request-id",
  "audit-id",
  "cancel-outcome",
  "preference-applied",
  "retry-after",
  "x-should-retry",
  "www-authenticate",
  "allow",
  "vary",
  "access-control-allow-origin",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "access-control-expose-headers",
  "access-control-max-age",
  "content-security-policy",
  "cross-origin-resource-policy",
  "referrer-policy",
  "strict-transport-security",
  "x-content-type-options",
  "x-frame-options",
];
const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** No part of the gateway expects this one to throw. */
function brokenSecret(name: string): string | undefined {
  if (name === "UPSTREAM_KEY_ACME") throw new Error("a secret in a message");
  return TEST_SECRETS.AUDIT_SIGNING_KEY;
}

type Ask = (gateway: Harness) => Promise<Response>;

/** One request for each way a reply may come about. */
const REPLIES: Record<string, Ask> = {
  "a cancel": async (gateway) =>
    gateway.cancel(await gateway.startRun(), annsToken, { headers: { prefer: "wait=0" } }),
  "a read": async (gateway) => gateway.read(await gateway.startRun(), annsToken),
  "a list of events": async (gateway) =>
    gateway.request("/v1/audit/events", {
      headers: { authorization: `Bearer ${await gateway.tokenFor(ADA)}` },
    }),
  "an export": async (gateway) =>
    gateway.request("/v1/audit/export", {
      headers: { authorization: `Bearer ${await gateway.tokenFor(ADA)}` },
    }),
  "an event that is not there": async (gateway) =>
    gateway.request("/v1/audit/events/none", {
      headers: { authorization: `Bearer ${await gateway.tokenFor(ADA)}` },
    }),
  "a limit of events that is none": async (gateway) =>
    gateway.request("/v1/audit/events?limit=0", {
      headers: { authorization: `Bearer ${await gateway.tokenFor(ADA)}` },
    }),
  health: (gateway) => gateway.request("/healthz"),
  keys: (gateway) => gateway.request("/.well-known/audit-keys.json"),
  "a preflight": (gateway) =>
    gateway.request(CANCEL, { method: "OPTIONS", headers: { origin: "https://app.acme.test" } }),
  "an unknown address": (gateway) => gateway.request("/nowhere"),
  "a wrong method": (gateway) => gateway.request(CANCEL),
  "a malformed id": (gateway) => gateway.request("/v1/threads/t/runs/run~1"),
  "no token": (gateway) => gateway.request(RUN),
  "a bad token": (gateway) => gateway.read({ thread: "t", run: "r" }, "a.b.c"),
  "two tokens": (gateway) => gateway.read({ thread: "t", run: "r" }, `${annsToken}, Bearer x`),
  "no scope": async (gateway) =>
    gateway.read({ thread: "t", run: "r" }, await gateway.tokenFor(ADA)),
  "an unknown run": (gateway) => gateway.read({ thread: "t", run: "r" }, annsToken),
  "a body too large": (gateway) =>
    gateway.request(CANCEL, { method: "POST", body: "x".repeat(9_000) }),
  "a body of another type": (gateway) =>
    gateway.request(CANCEL, { method: "POST", body: "x", headers: { "content-type": "a/b" } }),
  "a terminal run, strictly": async (gateway) =>
    gateway.cancel(await gateway.startRun({ timing: { run_ms: 0 } }), annsToken, {
      headers: { prefer: "handling=strict" },
    }),
  "an upstream with headers of its own": async (gateway) => {
    const ids = await gateway.startRun();
    const headers = {
      "set-cookie": "session=1",
      server: "upstream/1",
      "openai-organization": "org-1",
      "access-control-allow-origin": "*",
      "access-control-allow-credentials": "true",
      "cache-control": "public, max-age=600",
      "x-request-id": "req_upstream",
      "x-powered-by": "PHP",
    };
    const body = await (await gateway.read(ids, annsToken)).json();
    await gateway.fault({ match: {}, reply: { status: 200, headers, body }, times: 2 });
    return gateway.cancel(ids, annsToken);
  },
  "an upstream that limits": async (gateway) => {
    const ids = await gateway.startRun();
    await gateway.fault({
      match: { method: "POST" },
      reply: { status: 429, headers: { "retry-after": "3" } },
      times: 1,
    });
    return gateway.cancel(ids, annsToken);
  },
  "an upstream that fails": async (gateway) => {
    const ids = await gateway.startRun();
    await gateway.fault({ match: {}, reply: { status: 500 }, times: 1 });
    return gateway.read(ids, annsToken);
  },
  "a tenant switched off": async () => {
    const off = await createHarness({ config: withTenant("acme", { enabled: false }) });
    const response = await off.read({ thread: "t", run: "r" }, annsToken);
    await createHarness();
    return response;
  },
  "an accident": async () => {
    const broken = await createHarness({ bindings: { secret: brokenSecret } });
    return broken.cancel({ thread: "t", run: "r" }, annsToken);
  },
};

describe("every reply", () => {
  it.each(Object.entries(REPLIES))("to %s has the headers of the design only", async (_, ask) => {
    const response = await ask(gateway);
    const names = [...response.headers.keys()];
    expect(names.filter((name) => !HEADERS_OF_DESIGN.includes(name))).toEqual([]);
    expect(Object.fromEntries(response.headers)).toMatchObject(SECURITY_HEADERS);
    expect(response.headers.get("x-request-id")).toMatch(/^req_[0-9a-f-]{36}$/);
    expect(response.headers.get("vary") ?? "").not.toMatch(/(origin).*\1/i);
  });

  it.each(Object.entries(REPLIES))("to %s that is an error is the envelope", async (_, ask) => {
    const response = await ask(gateway);
    if (response.status < 400) return;
    expect(response.headers.get("content-type")).toMatch(/^application\/json/);
    const body: { error: Record<string, unknown> } = await response.json();
    expect(Object.keys(body)).toEqual(["error"]);
    expect(Object.keys(body.error)).toEqual(["message", "type", "param", "code"]);
    expect(body.error["message"]).toEqual(expect.stringMatching(/^[A-Z'][^\n]+\.?$/));
  });

  it("has a request id of its own, never the client's", async () => {
    const ids = new Set<string | null>();
    for (const _ of [1, 2, 3]) {
      const headers = { "x-request-id": "req_client", "cf-ray": "ray", "request-id": "mine" };
      const response = await gateway.request("/healthz", { headers });
      ids.add(response.headers.get("x-request-id"));
    }
    expect(ids.size).toBe(3);
    expect([...ids]).not.toContain("req_client");
  });

  it("to an accident is 500 with no detail, which the log has", async () => {
    const broken = await createHarness({ bindings: { secret: brokenSecret } });
    const response = await broken.read({ thread: "t", run: "r" }, annsToken);
    expect(await refused(response)).toMatchObject({
      status: 500,
      message: "Something went wrong in the gateway.",
      code: "internal_error",
      shouldRetry: "false",
    });
    expect(broken.lines.join("\n")).toContain('"exception":"Error at');
    expect(broken.lines.join("\n")).not.toContain("a secret in a message");
  });
});

describe("the Authorization header", () => {
  const read = (authorization: string) =>
    gateway.request(RUN, { headers: { authorization } }).then(refused);

  it("sent twice is 400, even when both are good", async () => {
    const headers = new Headers([
      ["authorization", `Bearer ${annsToken}`],
      ["authorization", `Bearer ${annsToken}`],
    ]);
    expect(await refused(await gateway.request(RUN, { headers }))).toMatchObject({
      status: 400,
      message: "Send exactly one Authorization header.",
      code: "invalid_request",
      shouldRetry: "false",
    });
  });

  it("may spell the scheme in any case", async () => {
    for (const scheme of ["bearer", "BEARER", "Bearer"]) {
      expect((await read(`${scheme} ${annsToken}`)).code).toBe("run_not_found");
    }
  });

  it.each(["Basic", "Token", "DPoP", "Bearer:", "Bearer\t", "Bearer ", ""])(
    "with the scheme %j is 401",
    async (scheme) => {
      expect(await read(`${scheme} ${annsToken}`)).toMatchObject({
        status: 401,
        code: "invalid_token",
      });
    },
  );

  it("is the only place where a token counts", async () => {
    const response = await gateway.request(`${RUN}?access_token=${annsToken}`, {
      headers: {
        cookie: `token=${annsToken}`,
        "x-forwarded-authorization": `Bearer ${annsToken}`,
        "x-api-key": annsToken,
      },
    });
    expect(await refused(response)).toMatchObject({ status: 401, code: "missing_token" });
  });

  it("of another tenant's person finds nothing of this one's", async () => {
    const ids = await gateway.startRun({ owner: "gus" });
    const response = await gateway.cancel(ids, await gateway.tokenFor(GUS));
    expect(await refused(response)).toMatchObject({ status: 404, code: "run_not_found" });
  });
});

describe("Prefer", () => {
  it.each<[string | undefined, number | null, "strict" | "lenient" | null]>([
    [undefined, null, null],
    ["", null, null],
    ["wait=10", 10, null],
    ["wait=0", 0, null],
    ["wait=25", 25, null],
    ["wait=26", 25, null],
    ["wait=999999", 25, null],
    ["wait=1000000", null, null],
    ['wait="10"', 10, null],
    ["Wait=10", 10, null],
    ["WAIT = 10 ", 10, null],
    ["wait=007", 7, null],
    ["wait=-1", null, null],
    ["wait=+1", null, null],
    ["wait=1.5", null, null],
    ["wait=1e1", null, null],
    ["wait=10s", null, null],
    ["wait=١٠", null, null],
    ["wait", null, null],
    ["wait=", null, null],
    ['wait=""', null, null],
    ["wait=5=6", null, null],
    ["wait=5, wait=9", 5, null],
    ["wait=soon, wait=9", null, null],
    ["wait=5; foo=1", 5, null],
    ["respond-async, wait=5", 5, null],
    ["handling=strict", null, "strict"],
    ["Handling=Strict", null, "strict"],
    ['handling="lenient"', null, "lenient"],
    ["handling=harsh", null, null],
    ["handling=strict, handling=lenient", null, "strict"],
    ["wait=3, handling=lenient", 3, "lenient"],
    ["handling=strict,wait=3", 3, "strict"],
    [",,;;==,wait=2", 2, null],
    ['note="a, wait=9, b"', null, null],
    ['note="a \\", wait=9", wait=4', 4, null],
    [`wait=9, note="${"x".repeat(1_024)}"`, null, null],
    ["constructor=1, __proto__=2", null, null],
  ])("%j is a wait of %j and a handling of %j", (header, waitSeconds, handling) => {
    expect(readPreferences(header)).toEqual({ waitSeconds, handling });
  });

  it("never throws, and never waits longer than it may, whatever is sent", () => {
    const token = fc.constantFrom("wait", "handling", "=", ",", ";", '"', "\\", " ", "9", "strict");
    const header = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(token).map((tokens) => tokens.join("")),
    );
    fc.assert(
      fc.property(header, (text) => {
        const preferences = readPreferences(text);
        const { waitSeconds, handling } = preferences;
        expect(waitSeconds === null || (waitSeconds >= 0 && waitSeconds <= 25)).toBe(true);
        expect([null, "strict", "lenient"]).toContain(handling);
        const applied = appliedPreferences(preferences);
        expect(readPreferences(applied ?? undefined)).toEqual(preferences);
      }),
    );
  });
});
