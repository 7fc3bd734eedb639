// Nothing secret ever comes out: recognisable secrets go down every refusal there is, and then every
// reply, log line and stored event is searched for them.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { FAILURES, type Reason } from "../src/failure.ts";
import {
  ADA,
  ANN,
  AUDIENCE,
  byCredential,
  createHarness,
  type Harness,
  type HarnessOptions,
  type Json,
  limitsOf,
  type Person,
  SAM,
  withTenant,
} from "./support/harness.ts";
import { TEST_SECRETS, UPSTREAM_KEYS } from "./support/secrets.ts";

const SUBJECT = "subject-canary-93c1";
const CLAIMS = {
  email: "email-canary-0b77@acme.test",
  picture: "picture-canary-51d2",
  roles: ["role-canary-8e4f"],
  authorization_details: [{ type: "other", note: "detail-canary-2a6b" }],
};
const UPSTREAM_TEXT = "upstream-canary-c40e";
const BODY_TEXT = "body-canary-77a3";
const REASON = "reason-canary-1f08";
const COOKIE = "cookie-canary-d915";

/** What must be found nowhere, whatever happens. Tokens are added as they are made. */
const forbidden = new Set([
  UPSTREAM_KEYS.acme,
  UPSTREAM_KEYS.globex,
  // As a 401 of OpenAI's echoes it.
  "sk-acme-",
  TEST_SECRETS.AUDIT_SUBJECT_KEY,
  (JSON.parse(TEST_SECRETS.AUDIT_SIGNING_KEY) as { d: string }).d,
  AUDIENCE,
  CLAIMS.email,
  CLAIMS.picture,
  "role-canary-8e4f",
  "detail-canary-2a6b",
  UPSTREAM_TEXT,
  "org-Simulated1234",
  BODY_TEXT,
  COOKIE,
]);

/** The canaries that occur in a text, as they are or as JSON, an address or base64 would write them. */
function hitsIn(text: string, canaries: Iterable<string>): string[] {
  return [...canaries].filter((canary) =>
    [
      canary,
      encodeURIComponent(canary),
      JSON.stringify(canary).slice(1, -1),
      // Any of the three ways in which base64 may cut it; the ends depend on what is around it.
      ...[0, 1, 2].map((shift) =>
        Buffer.from(`${"x".repeat(shift)}${canary}`)
          .toString("base64")
          .slice(4, -4),
      ),
    ].some((spelled) => spelled.length > 7 && text.includes(spelled)),
  );
}

/** What came out of the gateway, by where it came out. */
const out = { replies: [] as string[], lines: [] as string[] };
const codes = new Set<string>();

async function note(response: Response): Promise<void> {
  const body = await response.text();
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`);
  out.replies.push([response.status, ...headers, body].join("\n"));
  const code = /"code":"([a-z_]+)"/.exec(body)?.[1];
  if (response.status >= 400 && code !== undefined) codes.add(code);
}

const WHO: Person = { ...ANN, sub: SUBJECT };

async function tokenOf(gateway: Harness, person: Person, claims: Json = {}): Promise<string> {
  const token = await gateway.tokenFor(person, { ...CLAIMS, ...claims });
  const [, payload = "", signature = ""] = token.split(".");
  for (const part of [token, payload, signature]) forbidden.add(part);
  return token;
}

const leaking = (message: string) => () => Promise.reject(new TypeError(message));
const OWN_RUN = { status: "queued", metadata: { tenant: "acme", user: SUBJECT } };
const fails = { status: 500, body: UPSTREAM_TEXT, headers: { "x-request-id": UPSTREAM_TEXT } };

interface Drive {
  readonly options?: HarnessOptions;
  readonly person?: Person;
  readonly claims?: Json;
  readonly init?: RequestInit;
  readonly path?: string;
  readonly faults?: readonly Json[];
  readonly token?: (token: string) => string;
  readonly timing?: Json;
}

const down = () => Promise.reject(new Error("out of order"));
const nowhere = { put: down, list: down, get: down } as unknown as KVNamespace;

const DRIVES: Record<Reason | `${Reason}, ${string}`, Drive> = {
  invalid_request: { init: { body: `{"${BODY_TEXT}":1}` } },
  "invalid_request, malformed": { init: { body: `{"reason":"${BODY_TEXT}` } },
  "invalid_request, two tokens": { token: (token) => `${token}, Bearer ${token}` },
  run_not_cancellable: { timing: { run_ms: 0 }, init: { headers: { prefer: "handling=strict" } } },
  reason_required: { person: { ...SAM, sub: SUBJECT } },
  missing_token: { token: () => "" },
  invalid_token: { token: (token) => token.slice(0, -2) },
  "invalid_token, expired": { claims: { exp: 1_000_000_000 } },
  "invalid_token, of another audience": { claims: { aud: [`${AUDIENCE}/other`] } },
  "invalid_token, for a login": { claims: { nonce: CLAIMS.picture } },
  "invalid_token, revoked": {
    claims: { jti: "token-1" },
    options: { config: withTenant("acme", { revoked_tokens: ["token-1"] }) },
  },
  "invalid_token, of no issuer": { claims: { iss: "https://issuer-canary.test/" } },
  insufficient_scope: { person: { ...WHO, scope: "scope-canary" } },
  tenant_not_allowed: { claims: { org_id: "tenant-canary" } },
  "tenant_not_allowed, switched off": {
    options: { config: withTenant("acme", { enabled: false }) },
  },
  policy_denied: { options: { config: withTenant("acme", { assistants: ["other"] }) } },
  run_not_found: { person: { ...WHO, sub: `${SUBJECT}-not-the-owner` } },
  "run_not_found, upstream": { faults: [{ match: {}, reply: { ...fails, status: 404 } }] },
  not_found: { path: `/v1/${BODY_TEXT}` },
  method_not_allowed: { init: { method: "PUT" } },
  payload_too_large: { init: { body: BODY_TEXT.repeat(1_000) } },
  unsupported_media_type: {
    init: { body: BODY_TEXT, headers: { "content-type": `text/${BODY_TEXT}` } },
  },
  rate_limited: {
    options: {
      config: withTenant("acme", { rate: "strict" }),
      bindings: {
        limits: limitsOf((tier) => ({
          limit: tier === "strict" ? async () => ({ success: false }) : down,
        })),
      },
    },
  },
  upstream_rate_limited: { faults: [{ match: {}, reply: { status: 429 } }] },
  upstream_error: { faults: [{ match: {}, reply: fails }] },
  "upstream_error, after the record": { faults: [{ match: { method: "POST" }, reply: fails }] },
  "upstream_error, a redirect": {
    faults: [{ match: {}, reply: { ...fails, status: 302, headers: { location: UPSTREAM_TEXT } } }],
  },
  "upstream_error, a run that is none": {
    // The caller's own, or it would not even be there.
    faults: [{ match: {}, reply: { status: 200, body: { ...OWN_RUN, id: UPSTREAM_TEXT } } }],
  },
  upstream_unreachable: {
    options: { network: () => leaking(`to ${UPSTREAM_KEYS.acme} at ${UPSTREAM_TEXT}`) },
  },
  upstream_rejected_credentials: { faults: [{ match: {}, reply: { status: 401 } }] },
  "upstream_rejected_credentials, after the record": {
    faults: [{ match: { method: "POST" }, reply: { status: 401 } }],
  },
  upstream_retired: {
    options: {
      config: (config) => ({
        ...config,
        upstreams: { threads: { kind: "assistants", base_url: "https://api.openai.com/v1" } },
        issuers: [(config["issuers"] as Json[])[0]],
        tenants: { acme: (config["tenants"] as Json)["acme"] },
      }),
      network: () => async () => Response.json({ error: UPSTREAM_TEXT }, { status: 404 }),
    },
  },
  upstream_timeout: {
    options: {
      network: () => async (_, init) => {
        const signal = init?.signal;
        await new Promise((resolve) => signal?.addEventListener("abort", resolve));
        throw new Error(`no answer for ${UPSTREAM_KEYS.acme}`);
      },
    },
  },
  outcome_unknown: {
    options: {
      config: byCredential("acme"),
      network: () => {
        let isLost = false;
        return async (input, init) => {
          const id = new URL(String(input)).pathname.split("/").at(-1);
          if (isLost) return new Response(UPSTREAM_TEXT, { status: 500 });
          if (init?.method !== "POST") return Response.json({ id, status: "queued" });
          isLost = true;
          throw new TypeError(`lost: ${UPSTREAM_KEYS.acme}`);
        };
      },
    },
  },
  identity_unavailable: {
    options: {
      config: (config) => ({
        ...config,
        issuers: (config["issuers"] as Json[]).map(({ jwks: _, ...issuer }) => ({
          ...issuer,
          jwks_uri: "https://keys.test/jwks.json",
        })),
      }),
      network: () => async () => new Response(`<html>${UPSTREAM_TEXT}</html>`),
    },
  },
  audit_unavailable: {
    options: {
      bindings: {
        audit: nowhere,
        ledger: () => {
          throw new Error("out of order");
        },
      },
    },
  },
  config_invalid: { options: { bindings: { secret: () => undefined } } },
  "config_invalid, of one tenant": {
    options: {
      bindings: {
        secret: (name) =>
          name === "AUDIT_SIGNING_KEY" ? TEST_SECRETS.AUDIT_SIGNING_KEY : undefined,
      },
    },
  },
  internal_error: {
    options: {
      bindings: {
        secret: (name) => {
          if (name === "UPSTREAM_KEY_ACME") throw new Error(`cannot tell ${UPSTREAM_KEYS.acme}`);
          return TEST_SECRETS.AUDIT_SIGNING_KEY;
        },
      },
    },
  },
  // Nothing refuses for these two reasons yet.
  unsupported_by_upstream: {},
  overloaded: {},
};
const NOT_YET: readonly string[] = ["unsupported_by_upstream", "overloaded"];

async function drive(name: string, given: Drive): Promise<void> {
  const plain = await createHarness();
  const metadata = { user: SUBJECT };
  const ids = await plain.startRun({ metadata, ...(given.timing && { timing: given.timing }) });
  const gateway = await createHarness({ network: () => plain.simulator, ...given.options });
  const token = await tokenOf(gateway, given.person ?? WHO, given.claims);
  for (const fault of given.faults ?? []) await plain.fault(fault);
  const { headers, ...init } = given.init ?? {};
  const sent = (given.token ?? ((same) => same))(token);
  const response = await gateway.request(
    given.path ?? `/v1/threads/${ids.thread}/runs/${ids.run}/cancel`,
    {
      method: "POST",
      ...init,
      headers: {
        ...(sent !== "" && { authorization: `Bearer ${sent}` }),
        cookie: `session=${COOKIE}`,
        referer: `https://app.acme.test/?token=${token}`,
        ...(init.body !== undefined && { "content-type": "application/json" }),
        ...(headers as Record<string, string>),
      },
    },
  );
  const [reason] = name.split(",");
  expect([name, /"code":"([a-z_]+)"/.exec(await response.clone().text())?.[1]]).toEqual([
    name,
    reason,
  ]);
  await note(response);
  out.lines.push(...gateway.lines);
}

interface Stored {
  readonly key: string;
  readonly metadata: unknown;
  readonly value: string;
}

async function storedEvents(): Promise<Stored[]> {
  const { keys } = await env.AUDIT.list();
  return await Promise.all(
    keys.map(async ({ name, metadata }) => ({
      key: name,
      metadata,
      value: (await env.AUDIT.get(name)) ?? "",
    })),
  );
}

/** An event without the two members that are there to hold what a person is called and has said. */
function anonymous(json: Json): string {
  const { actor, reason, sub, ...rest } = json;
  const { sub: _, ...others } = (actor ?? {}) as Json;
  return JSON.stringify({ ...rest, actor: others });
}

describe("no secret", () => {
  it("comes out of any refusal, in a reply, a log line or an event", async () => {
    for (const [name, given] of Object.entries(DRIVES)) {
      if (!NOT_YET.includes(name)) await drive(name, given);
    }
    // And out of what goes well.
    const gateway = await createHarness();
    const ids = await gateway.startRun({ metadata: { user: SUBJECT } });
    const token = await tokenOf(gateway, WHO);
    const body = JSON.stringify({ reason: REASON });
    const headers = { "content-type": "application/json", cookie: `session=${COOKIE}` };
    const cancelled = await gateway.cancel(ids, token, { headers, body });
    expect(cancelled.status).toBe(200);
    // The Run itself has the owner's name in its metadata: it is the owner's.
    const run: Json = await cancelled.json();
    out.replies.push(JSON.stringify({ ...run, metadata: {} }), ...[...cancelled.headers].flat());
    out.lines.push(...gateway.lines);

    const { data } = await gateway.events(await gateway.tokenFor(ADA));
    const stored = await storedEvents();
    const expected = Object.keys(FAILURES).filter((reason) => !NOT_YET.includes(reason));
    expect([...codes].sort()).toEqual(expected.sort());
    expect(out.lines.length).toBeGreaterThanOrEqual(expected.length);
    expect(data.length).toBeGreaterThan(10);

    const places = {
      replies: out.replies.join("\n"),
      lines: out.lines.join("\n"),
      events: data.map((event) => anonymous(event as unknown as Json)).join("\n"),
      stored: stored
        .map(({ key, metadata, value }) =>
          [
            key,
            anonymous((metadata ?? {}) as Json),
            value.startsWith("{") ? anonymous(JSON.parse(value)) : value,
          ].join("\n"),
        )
        .join("\n"),
    };
    const canaries = [...forbidden, SUBJECT, REASON];
    for (const [place, text] of Object.entries(places)) {
      expect({ place, hits: hitsIn(text, canaries) }).toEqual({ place, hits: [] });
    }
    // Where a person's name and words do belong, this search finds them.
    expect(hitsIn(JSON.stringify(data), canaries).sort()).toEqual([REASON, SUBJECT].sort());
  });

  it("would go unnoticed, however it were written", () => {
    for (const canary of forbidden) {
      for (const leak of [
        `x-debug: ${canary}`,
        JSON.stringify({ detail: `with "${canary}"` }),
        `https://app.test/?q=${encodeURIComponent(canary)}`,
      ]) {
        expect(hitsIn(leak, forbidden)).toContain(canary);
      }
    }
    const encoded = Buffer.from(`{"key":"${UPSTREAM_KEYS.acme}"}`).toString("base64url");
    expect(hitsIn(`trace=${encoded}`, [UPSTREAM_KEYS.acme])).toEqual([UPSTREAM_KEYS.acme]);
  });
});
