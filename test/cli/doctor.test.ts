// `npm run gateway -- doctor`: over the real gateway when all is well and when what it leans on is not,
// and over one that is made up for what the real one does not do.
import { writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Check } from "../../cli/doctor/check.ts";
import { newIssuerKey } from "../../cli/new-keys.ts";
import { readLocalKey } from "../../cli/token/local-key.ts";
import { VERSION } from "../../src/version.ts";
import { type BlackBox, startBlackBox, temporaryFolder } from "../e2e/support/black-box.ts";
import { type Ran, runGatewayWith } from "../e2e/support/command.ts";
import { startUpstream, type Upstream } from "../e2e/support/sample.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(async () => folder?.remove());

interface Report {
  readonly url: string;
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

interface Seen {
  readonly code: number | null;
  readonly ok: boolean;
  /** By id: the mark, and what was said. Of several the last. */
  readonly of: Readonly<Record<string, string>>;
}

async function doctor(url: string, ...flags: readonly string[]): Promise<Seen> {
  return await doctorHearing("", url, ...flags);
}

async function doctorHearing(stdin: string, ...parameters: readonly string[]): Promise<Seen> {
  const { code, stdout, stderr } = await run(stdin, ...parameters, "--json");
  expect(stderr).toBe("");
  const { ok, checks } = JSON.parse(stdout) as Report;
  for (const { status, cure } of checks) expect(cure !== null).toBe(status === "problem");
  const marked = checks.map(({ id, status, message }) => [id, `${status}: ${message}`]);
  return { code, ok, of: Object.fromEntries(marked) };
}

async function run(stdin: string, ...parameters: readonly string[]): Promise<Ran> {
  return await runGatewayWith({ cwd: folder.path, stdin }, "doctor", ...parameters);
}

async function written(name: string, value: unknown): Promise<string> {
  const file = join(folder.path, name);
  await writeFile(file, typeof value === "string" ? value : JSON.stringify(value));
  return file;
}

describe("doctor, over the real gateway,", () => {
  const LOCAL = "https://local.issuer.invalid/";
  const sources = {
    acme: { source: "metadata", tenant_key: "tenant", subject_key: "user" },
    granted: { source: "grant" },
    registered: { source: "registry" },
    alone: { source: "credential" },
    refused: { source: "credential" },
    retired: { source: "credential" },
    off: { source: "grant" },
  };
  let upstream: Upstream;
  let gateway: BlackBox;
  let config: string;
  let secrets: string;

  beforeAll(async () => {
    upstream = await startUpstream();
    const sample = upstream.config.issuers[0]?.issuer;
    const key = await newIssuerKey();
    const local = await readLocalKey({ LOCAL_ISSUER_KEY: key });
    const tenants = Object.entries(sources).map(([id, ownership]) => {
      const runs = ownership.source === "credential" ? "tenant" : "own";
      const entry = {
        enabled: id !== "off",
        upstream: id === "retired" ? "gone" : "threads",
        credential: { secret: `KEY_${id.toUpperCase()}` },
        // Tokens of both issuers reach this one.
        ownership: id === "acme" ? { ...ownership, subject_issuers: [sample, LOCAL] } : ownership,
        rules: [{ id: "stop", scopes: ["runs:cancel"], runs }],
        origins: [`https://${id}.example.com`],
        redact: ["instructions"],
      };
      return [id, entry] as const;
    });
    const [issuer] = upstream.config.issuers;
    const document = {
      issuers: [
        { ...issuer, tenant: { claim: "org_id", allow: ["acme", "ghost"] } },
        {
          issuer: LOCAL,
          jwks: { keys: [local?.publicJwk] },
          audiences: ["stopgate"],
          algorithms: ["ES256"],
          tenant: { claim: "tenant", allow: Object.keys(sources) },
        },
      ],
      upstreams: {
        threads: upstream.config.upstreams["threads"],
        gone: { kind: "assistants", base_url: "http://127.0.0.1:9/v1" },
      },
      tenants: Object.fromEntries(tenants),
    };
    const keys = Object.fromEntries(
      Object.keys(sources).map((id) => [
        `KEY_${id.toUpperCase()}`,
        `${id === "refused" ? "no" : "sk"}-${id}`,
      ]),
    );
    gateway = await startBlackBox({ config: document, secrets: keys });
    config = await written("gateway.json", document);
    secrets = await written("vars", `LOCAL_ISSUER_KEY='${key}'\n`);
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  const local = (tenant: string): Promise<Seen> =>
    doctor(gateway.origin, "--config", config, "--secrets", secrets, "--tenant", tenant);

  it("looks at what anybody can see, and at no more", async () => {
    const { code, of } = await doctor(gateway.origin);
    expect(code).toBe(0);
    expect(of).toMatchObject({
      reachable: "ok: /healthz answers ok",
      version: `ok: ${VERSION}, as this checkout`,
      "audit-keys": expect.stringMatching(/^ok: publishes '/),
      "no-token": "ok: a request without a token is refused (401 missing_token)",
      cors: "ok: a stranger's page may not call it",
      identity: expect.stringMatching(/^not_checked: there is no token/),
      "identity-provider": "not_checked: there is no --config",
    });
  });

  it("says that all is well, with a token of its own", async () => {
    const { of } = await local("acme");
    expect(of).toMatchObject({
      identity: "ok: the token is taken, and tenant acme is known",
      "upstream-key": expect.stringMatching(/^ok: the upstream was asked and did not refuse/),
      "audit-log": "ok: can be read",
      "identity-provider": expect.stringMatching(/^ok: \S+ publishes 1 key for RS256$/),
      cors: expect.stringMatching(/^ok: its pages may call it \(https:\/\/acme\.example\.com,/),
    });
    const calls = await upstream.calls();
    const runs = calls.filter(({ path }) => path.startsWith("/assistants/v1/threads"));
    expect(runs).toEqual([
      expect.objectContaining({ method: "GET", path: expect.stringMatching(/doctor$/) }),
    ]);
  });

  it.each([
    ["granted", /^ok: the upstream was asked/],
    ["alone", /^ok: the upstream was asked/],
    ["registered", /^not_checked: not asked: with ownership by registry/],
    ["refused", /^problem: .* 502 upstream_rejected_credentials$/],
    ["retired", /^problem: .* 502 upstream_unreachable$/],
  ])("asks with %s's key as far as its ownership lets it", async (tenant, says) => {
    const { of } = await local(tenant);
    expect(of["upstream-key"]).toMatch(says);
    expect(of["identity"]).toBe(`ok: the token is taken, and tenant ${tenant} is known`);
  });

  it("says which tenant is switched off, and which upstream is not there, and ends with 1", async () => {
    const { code, ok, of } = await local("off");
    expect({ code, ok }).toEqual({ code: 1, ok: false });
    expect(of["identity"]).toMatch(/^problem: the token is good, but tenant off may not use/);
    expect(of["upstream-key"]).toBe("not_checked: not asked: see above");
    expect(of["upstream"]).toMatch(/^problem: gone cannot be reached at .* \(E?\w+.*\)$/);
  });

  it("takes a given token, also from stdin, and says what it may not do", async () => {
    const token = await upstream.token({ sub: "ann", tenant: "acme", scope: "runs:cancel" });
    const given = await doctor(gateway.origin, "--token", token, "--config", config);
    expect(given.of).toMatchObject({
      identity: "ok: the token is taken, and tenant acme is known",
      "upstream-key": expect.stringMatching(/^ok: the upstream was asked/),
      "audit-log": "not_checked: the token has not the scope audit:read",
    });
    const heard = await doctorHearing(`${token}\n`, gateway.origin, "--token", "-");
    expect(heard).toMatchObject({
      code: 0,
      of: {
        identity: "ok: the token is taken, and its tenant is known",
        "upstream-key": expect.stringMatching(/^not_checked: whether the upstream was asked/),
      },
    });
  });

  it.each<[string, (token: string) => string, RegExp]>([
    [
      "altered",
      (token) => `${token.slice(0, -8)}AAAAAAAA`,
      /^problem: the token is not taken \(401 invalid_token\)$/,
    ],
    ["none", () => "abc", /^problem: the token is not taken \(401 invalid_token\)$/],
  ])("says when a token is %s", async (_, altered, says) => {
    const token = await upstream.token({ sub: "ann", tenant: "acme", scope: "runs:cancel" });
    const { code, of } = await doctor(
      gateway.origin,
      "--token",
      altered(token),
      "--config",
      config,
    );
    expect(code).toBe(1);
    expect(of["identity"]).toMatch(says);
    expect(of["audit-log"]).toBe("not_checked: not asked: see above");
  });

  it("says when the token's tenant is nobody's, or it may do nothing", async () => {
    const ghost = await upstream.token({ sub: "ann", tenant: "ghost", scope: "runs:cancel" });
    const first = await doctor(gateway.origin, "--token", ghost, "--config", config);
    expect(first.of["identity"]).toMatch(/may not use this gateway \(403 tenant_not_allowed\)$/);
    const idle = await upstream.token({ sub: "ann", tenant: "acme", scope: "x" });
    const second = await doctor(gateway.origin, "--token", idle, "--config", config);
    expect(second.of).toMatchObject({
      identity: "ok: the token is taken, and tenant acme is known",
      "upstream-key": "not_checked: not asked: the token has the scopes of no rule",
    });
  });

  it("is a list that lines up, for people", async () => {
    const { code, stdout } = await run(
      "",
      gateway.origin,
      "--config",
      config,
      "--secrets",
      secrets,
    );
    const lines = stdout.trimEnd().split("\n");
    expect(code).toBe(1);
    expect(lines[0]).toBe(gateway.origin);
    const listed = lines.slice(1, -1);
    for (const line of listed) expect(line).toMatch(/^([✓✗–] [a-z-]+ +| {21}→ )\S/);
    const columns = listed.filter((line) => !/^ /.test(line)).map((line) => /^..\S+ +/.exec(line));
    expect(new Set(columns.map((match) => match?.[0].length)).size).toBe(1);
    expect(lines.at(-1)).toMatch(/^\d+ well, 1 not, \d+ not looked at\.$/);
  });
});

describe("doctor, over a gateway that is not well,", () => {
  type Answering = (request: IncomingMessage, response: ServerResponse) => void;
  let server: Server;
  let origin: string;
  /** By method and path; what is not here is as of a gateway that is well. */
  let odd: Readonly<Record<string, Answering>>;
  let asked: string[];

  const json =
    (status: number, body: unknown, headers: Record<string, string> = {}): Answering =>
    (_, response) => {
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(JSON.stringify(body));
    };
  const refusal = (status: number, code: string): Answering =>
    json(status, { error: { message: "No.", type: "server_error", param: null, code } });
  const RUN = "/v1/threads/doctor/runs/doctor";
  const well: Readonly<Record<string, Answering>> = {
    "GET /healthz": json(200, { status: "ok" }),
    "GET /openapi.json": json(200, { info: { title: "Stopgate", version: "0.0.9" } }),
    "GET /.well-known/audit-keys.json": json(200, {
      keys: [{ kty: "OKP", crv: "Ed25519", kid: "one", x: "x" }],
    }),
    [`GET ${RUN}`]: refusal(401, "missing_token"),
    [`OPTIONS ${RUN}/cancel`]: json(204, null),
    "GET /v1/audit/events?limit=1": json(200, { object: "list", data: [] }),
  };

  beforeAll(async () => {
    server = createServer((request, response) => {
      const route = `${request.method} ${request.url}`;
      asked.push(route);
      (odd[route] ?? well[route] ?? refusal(404, "not_found"))(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server?.close());
  beforeEach(() => {
    odd = {};
    asked = [];
  });

  it("knows one that is well when it sees one, with its clock", async () => {
    expect(await doctor(`${origin}/`)).toMatchObject({
      code: 0,
      of: {
        version: `ok: 0.0.9, this checkout is ${VERSION}`,
        clock: "ok: as this machine's (to a second or so: Date has no fractions)",
        "audit-keys": "ok: publishes 'one'",
      },
    });
  });

  /** At the moment of the answer. */
  const dated =
    (seconds: number): Answering =>
    (request, response) => {
      const date = new Date(Date.now() + seconds * 1_000).toUTCString();
      json(200, { status: "ok" }, { date })(request, response);
    };
  it.each<[string, string, Answering, string, RegExp]>([
    [
      "serves nobody",
      "GET /healthz",
      refusal(503, "config_invalid"),
      "reachable",
      /^problem: it serves nobody: its config does not pass/,
    ],
    [
      "stands behind a login",
      "GET /healthz",
      json(302, null, { location: "https://acme.cloudflareaccess.com/login" }),
      "reachable",
      /^problem: \/healthz answers 302, a redirect to https:\/\/acme\.cloudflareaccess\.com\/login/,
    ],
    [
      "is something else",
      "GET /healthz",
      json(200, "hi"),
      "reachable",
      /answers 200, which no gat/,
    ],
    ["is an older API", "GET /openapi.json", json(200, { info: {} }), "version", /^problem: /],
    ["is behind", "GET /healthz", dated(-100), "clock", /^problem: (99|100|101) s behind/],
    ["is ahead", "GET /healthz", dated(100), "clock", /^problem: (99|100|101) s ahead of/],
    ["is a bit ahead", "GET /healthz", dated(12), "clock", /^ok: 1[123] s from this mach/],
    [
      "has no audit key",
      "GET /.well-known/audit-keys.json",
      json(200, { keys: [] }),
      "audit-keys",
      /^problem: no Ed25519 key is published/,
    ],
    [
      "shows a private one",
      "GET /.well-known/audit-keys.json",
      json(200, { keys: [{ kty: "OKP", crv: "Ed25519", kid: "one", d: "d" }] }),
      "audit-keys",
      /^problem: a private key is published$/,
    ],
    [
      "lets in whoever has no token",
      `GET ${RUN}`,
      json(200, { object: "thread.run" }),
      "no-token",
      /^problem: a request without a token is answered 200,/,
    ],
    [
      "lets every page in",
      `OPTIONS ${RUN}/cancel`,
      json(204, null, { "access-control-allow-origin": "*" }),
      "cors",
      /^problem: a page of anybody's may call it$/,
    ],
  ])("sees one that %s", async (_, route, answer, id, says) => {
    odd = { [route]: answer };
    const { code, of } = await doctor(origin);
    expect(of[id]).toMatch(says);
    expect(code).toBe(says.source.startsWith("^ok") ? 0 : 1);
  });

  it("asks nothing more of one that does not serve", async () => {
    odd = { "GET /healthz": refusal(503, "config_invalid") };
    await doctor(origin, "--token", "abc");
    expect(asked).toEqual(["GET /healthz"]);
  });

  it("sees a page that the config lets in, and the gateway does not", async () => {
    const config = await written("pages.json", {
      issuers: [
        {
          issuer: "https://id.test/",
          jwks_uri: "http://127.0.0.1:9/keys",
          audiences: ["stop"],
          tenant: { fixed: "acme" },
        },
      ],
      upstreams: { threads: { kind: "assistants", base_url: origin } },
      tenants: {
        acme: {
          upstream: "threads",
          credential: { secret: "KEY" },
          ownership: { source: "credential" },
          rules: [{ id: "all", scopes: ["x"], runs: "tenant" }],
          origins: ["https://app.acme.com", "https://app-*-team.vercel.app"],
        },
      },
    });
    const { of } = await doctor(origin, "--config", config);
    expect(of).toMatchObject({
      cors: "problem: https://app.acme.com, https://app-preview-team.vercel.app may not call it, though the config says so",
      "identity-provider": expect.stringMatching(/^problem: https:\/\/id\.test\/ has no keys to/),
      upstream: `ok: threads answers at ${origin} (404, without a key)`,
      identity: expect.stringMatching(/^not_checked: there is no token/),
    });
  });

  it.each([
    ["identity_unavailable", 503, "identity", /^problem: the gateway cannot get the issuer's keys/],
    [
      "config_invalid",
      503,
      "identity",
      /^problem: the token is good, but the config of its tenant/,
    ],
    ["rate_limited", 429, "identity", /^not_checked: the gateway answered 429 rate_limited$/],
    ["upstream_retired", 502, "upstream-key", /^problem: .* 502 upstream_retired$/],
    ["upstream_timeout", 504, "upstream-key", /^problem: .* 504 upstream_timeout$/],
    ["audit_unavailable", 503, "upstream-key", /^problem: whose run it is cannot be looked up/],
    ["policy_denied", 403, "upstream-key", /^not_checked: whether the upstream was asked/],
    ["bad_gateway", 502, "identity", /^problem: something else answered \(502/],
    ["bad_gateway", 502, "upstream-key", /^not_checked: not asked: see above$/],
  ])("knows what %s says to a token", async (code, status, id, says) => {
    odd = {
      [`GET ${RUN}`]: (request, response) => {
        const anonymous = request.headers.authorization === undefined;
        refusal(anonymous ? 401 : status, anonymous ? "missing_token" : code)(request, response);
      },
    };
    const { of } = await doctor(origin, "--token", "abc");
    expect(of[id]).toMatch(says);
    expect(of["no-token"]).toMatch(/^ok/);
  });

  it("takes no page of a proxy's for a run", async () => {
    odd = {
      [`GET ${RUN}`]: (request, response) => {
        if (request.headers.authorization === undefined) {
          return refusal(401, "missing_token")(request, response);
        }
        response.end("<html>");
      },
    };
    const { code, of } = await doctor(origin, "--token", "abc");
    expect(of["identity"]).toMatch(/^problem: something else answered/);
    expect(of["upstream-key"]).toMatch(/^not_checked/);
    expect(code).toBe(1);
  });

  it("says when the audit log cannot be read", async () => {
    odd = { "GET /v1/audit/events?limit=1": refusal(500, "internal_error") };
    const { of } = await doctor(origin, "--token", "abc");
    expect(of["audit-log"]).toBe("problem: reading it ends with 500 internal_error");
  });

  it("says when nobody is there", async () => {
    const { code, of } = await doctor("http://127.0.0.1:9");
    expect(code).toBe(1);
    expect(of["reachable"]).toMatch(/^problem: \S/);
    expect(Object.keys(of)).toEqual(["reachable", "identity-provider", "upstream"]);
  });

  it.each([
    ["no address", ["stop.example.com"], /is no address of a gateway/],
    ["http to elsewhere", ["http://stop.example.com"], /is no address of a gateway/],
    ["a path", ["https://stop.example.com/v1"], /no path/],
    ["a file that is not there", ["http://127.0.0.1:9", "--config", "nowhere"], /cannot be read/],
    ["nothing", [], /missing required argument 'url'/],
  ])("ends with 2 for %s", async (_, parameters, says) => {
    const { code, stdout, stderr } = await run("", ...parameters);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(says);
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});
