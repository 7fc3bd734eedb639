// The stock `openai` clients, unmodified, with two settings changed: where they talk to, and as whom.
import OpenAI7 from "openai";
import OpenAI4 from "openai-v4";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StartedRun } from "../../dev/simulator/server.ts";
import { type BlackBox, startBlackBox, until } from "./support/black-box.ts";
import { startUpstream, type Upstream } from "./support/sample.ts";

let upstream: Upstream;
let gateway: BlackBox;
beforeAll(async () => {
  upstream = await startUpstream();
  const { config, secrets } = upstream;
  gateway = await startBlackBox({ config, secrets });
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

interface Stock {
  readonly name: string;
  readonly cancel: (
    token: string,
    target: StartedRun,
    prefer?: string,
  ) => Promise<{ status: string }>;
  readonly retrieve: (token: string, target: StartedRun) => Promise<{ status: string }>;
  readonly errors: typeof OpenAI7 | typeof OpenAI4;
}

const headersFor = (prefer?: string) =>
  prefer === undefined ? {} : { headers: { Prefer: prefer } };

const CLIENTS: readonly Stock[] = [
  {
    name: "openai@7",
    cancel: async (apiKey, { threadId, runId }, prefer) =>
      await client7(apiKey).cancel(runId, { thread_id: threadId }, headersFor(prefer)),
    retrieve: async (apiKey, { threadId, runId }) =>
      await client7(apiKey).retrieve(runId, { thread_id: threadId }),
    errors: OpenAI7,
  },
  {
    name: "openai@4",
    cancel: async (apiKey, { threadId, runId }, prefer) =>
      await client4(apiKey).cancel(threadId, runId, headersFor(prefer)),
    retrieve: async (apiKey, { threadId, runId }) =>
      await client4(apiKey).retrieve(threadId, runId),
    errors: OpenAI4,
  },
];

function client7(apiKey: string) {
  return new OpenAI7({ baseURL: `${gateway.origin}/v1`, apiKey }).beta.threads.runs;
}
function client4(apiKey: string) {
  return new OpenAI4({ baseURL: `${gateway.origin}/v1`, apiKey }).beta.threads.runs;
}

const ann = (scope = "runs:cancel") => upstream.token({ sub: "ann", tenant: "acme", scope });

describe.each(CLIENTS)("$name", ({ cancel, retrieve, errors }) => {
  it("cancels a run, and reads it", async () => {
    const target = await upstream.startRun("ann");
    const token = await ann();
    expect((await cancel(token, target)).status).toBe("cancelling");
    expect((await cancel(token, target, "wait=10")).status).toBe("cancelled");
    expect((await retrieve(token, target)).status).toBe("cancelled");
  });

  interface Failure {
    readonly status: number;
    readonly error:
      | "BadRequestError"
      | "AuthenticationError"
      | "PermissionDeniedError"
      | "NotFoundError"
      | "RateLimitError"
      | "InternalServerError";
    readonly code: string;
    readonly requests: number;
    readonly provoke: () => Promise<unknown>;
  }
  const finishedRun = async () => {
    const target = await upstream.startRun("ann", 0);
    const token = await ann();
    await until(async () => (await retrieve(token, target)).status === "completed");
    return target;
  };
  const faulty = async (reply: unknown) => {
    const target = await upstream.startRun("ann");
    await upstream.fault({ match: { method: "POST", path: "/cancel$" }, reply });
    return await cancel(await ann(), target).finally(upstream.forgetFaults);
  };
  const failures: readonly Failure[] = [
    {
      status: 400,
      error: "BadRequestError",
      code: "run_not_cancellable",
      requests: 1,
      provoke: async () => await cancel(await ann(), await finishedRun(), "handling=strict"),
    },
    {
      status: 401,
      error: "AuthenticationError",
      code: "invalid_token",
      requests: 1,
      provoke: async () => await cancel("sk-not-a-jwt", await upstream.startRun("ann")),
    },
    {
      status: 403,
      error: "PermissionDeniedError",
      code: "insufficient_scope",
      requests: 1,
      provoke: async () => await cancel(await ann("openid"), await upstream.startRun("ann")),
    },
    {
      status: 404,
      error: "NotFoundError",
      code: "run_not_found",
      requests: 1,
      provoke: async () => await cancel(await ann(), await upstream.startRun("bob")),
    },
    {
      // Not final: the client waits as it is told and tries twice more.
      status: 429,
      error: "RateLimitError",
      code: "upstream_rate_limited",
      requests: 3,
      provoke: () => faulty({ status: 429, headers: { "retry-after": "1" } }),
    },
    {
      status: 502,
      error: "InternalServerError",
      code: "upstream_error",
      requests: 1,
      provoke: () => faulty({ status: 500 }),
    },
    {
      status: 502,
      error: "InternalServerError",
      code: "upstream_rejected_credentials",
      requests: 1,
      provoke: () => faulty({ status: 401 }),
    },
  ];
  it.each(failures)(
    "throws $error for $status $code, and sends $requests request(s)",
    async ({ status, error, code, requests, provoke }) => {
      const cancels = () => gateway.requests().filter(({ method }) => method === "POST").length;
      const before = cancels();
      const thrown: unknown = await provoke().catch((refusal: unknown) => refusal);
      expect(thrown).toBeInstanceOf(errors[error]);
      expect(thrown).toMatchObject({ status, code });
      const { message = "", requestID, request_id } = thrown as Record<string, string>;
      expect(message).not.toContain("sk-local");
      // The log may lag behind the reply; the last request's line comes last.
      const id = requestID ?? request_id ?? "";
      expect(id).toMatch(/^req_/);
      await until(() => gateway.requests().some((request) => request.request_id === id));
      expect(cancels() - before).toBe(requests);
    },
  );
});

describe("openai@7 on the Responses API", () => {
  const client = (apiKey: string) => new OpenAI7({ baseURL: `${gateway.origin}/v1`, apiKey });
  const gus = () => upstream.token({ sub: "gus", tenant: "globex", scope: "runs:cancel" });

  /** Started as the tenant's own backend would, with its own key and the upstream's own address. */
  async function start(user: string): Promise<string> {
    const backend = new OpenAI7({
      baseURL: `${upstream.origin}/responses/v1`,
      apiKey: upstream.secrets.UPSTREAM_KEY_GLOBEX,
    });
    const { id } = await backend.responses.create({
      model: "gpt-5",
      input: "Count to a million.",
      background: true,
      metadata: { tenant: "globex", user },
    });
    return id;
  }

  it("cancels a response, and reads it, with two settings changed", async () => {
    const id = await start("gus");
    const { responses } = client(await gus());
    const { data, response } = await responses.cancel(id).withResponse();
    expect(data).toMatchObject({ id, object: "response", status: "cancelled" });
    expect(response.headers.get("cancel-outcome")).toBe("cancelled");
    const later = await responses.retrieve(id);
    expect(later.status).toBe("cancelled");
    // The client puts it together from `output`, so that has to be whole.
    expect(later.output_text).toEqual(expect.any(String));
  });

  it("is told that another's response is not there", async () => {
    const id = await start("gil");
    const attempt = client(await gus()).responses.cancel(id);
    await expect(attempt).rejects.toMatchObject({ status: 404, code: "run_not_found" });
  });
});
