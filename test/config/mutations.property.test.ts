// A valid config, changed in a thousand ways. Each either means what the changed file says, by a second
// reading of it that shares no code with the first, or is refused: by lint with a line, and by the Worker
// that meets it in KV. None opens a door.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { checkConfig } from "../../cli/config-file.ts";
import { createIssuer, type TokenClaims } from "../../dev/issuer.ts";
import { createApp } from "../../src/app.ts";
import type { LedgerRpc } from "../../src/audit/ledger.ts";
import { BASE_KEY, tenantKey } from "../../src/config/kv-keys.ts";
import { ConfigDocument, holdersOf } from "../../src/config/schema.ts";
import { createGateway } from "../../src/gateway.ts";
import { executionContext, type Json } from "../support/harness.ts";
import { TEST_SECRETS } from "../support/secrets.ts";

const NOW = 1_800_000_000;
const AUDIENCE = "https://stop.test";
const UPSTREAM = "https://upstream.test/v1";
const ISSUERS = { a: "https://id.a.test/", b: "https://id.b.test/" } as const;
const issuers = {
  a: await createIssuer({
    issuer: ISSUERS.a,
    alg: "RS256",
    audience: AUDIENCE,
    now: () => NOW * 1_000,
  }),
  b: await createIssuer({
    issuer: ISSUERS.b,
    alg: "ES256",
    audience: AUDIENCE,
    now: () => NOW * 1_000,
  }),
};
const SECRETS: Readonly<Record<string, string>> = {
  ...TEST_SECRETS,
  // As for a file that is served locally, which is all that lint knows of it.
  ALLOW_LOOPBACK_HTTP: "true",
  KEY_A: "sk-a",
  KEY_B: "sk-b",
  KEY_C: "sk-c",
};

const ORIGINAL: Json = {
  issuers: [
    {
      issuer: ISSUERS.a,
      jwks: issuers.a.publicJwks,
      audiences: [AUDIENCE],
      algorithms: ["RS256"],
      types: ["at+jwt"],
      tenant: { claim: "org_id", allow: ["acme", "cred"] },
      granted_scopes: ["everybody"],
      max_lifetime_hours: 2,
    },
    {
      issuer: ISSUERS.b,
      jwks: issuers.b.publicJwks,
      audiences: [AUDIENCE],
      algorithms: ["ES256"],
      tenant: { fixed: "globex" },
      scopes_claim: "scope",
      claims: { use: "access" },
    },
  ],
  upstreams: {
    main: { kind: "assistants", base_url: UPSTREAM },
    spare: { kind: "assistants", base_url: `${UPSTREAM}/spare` },
  },
  tenants: {
    acme: {
      enabled: true,
      upstream: "main",
      credential: { secret: "KEY_A" },
      ownership: { source: "metadata", tenant_key: "tenant", subject_key: "user" },
      rules: [
        { id: "frozen", effect: "deny", scopes: ["intern"], runs: "tenant" },
        { id: "owner", scopes: ["stop"], runs: "own", max_age_seconds: 3600 },
        { id: "help", scopes: ["help"], runs: "tenant", reason_required: true },
      ],
      assistants: ["asst_*"],
      origins: ["https://app.a.test"],
      on_terminal: "run",
      redact: ["instructions"],
      audit: { on_failure: "refuse", retention_days: 400, subject: "clear" },
    },
    cred: {
      upstream: "main",
      credential: { secret: "KEY_C" },
      ownership: { source: "credential" },
      rules: [{ id: "all", scopes: ["help"], runs: "tenant" }],
    },
    globex: {
      upstream: "main",
      credential: { secret: "KEY_B" },
      ownership: { source: "metadata", tenant_key: "tenant", subject_key: "user" },
      rules: [{ id: "owner", scopes: ["stop"], runs: "own" }],
      revoked_tokens: ["stolen"],
    },
  },
};

interface UpstreamRun {
  readonly key: string;
  readonly metadata: Json;
  readonly assistant: string;
}
const RUNS: Readonly<Record<string, UpstreamRun>> = {
  run_ann: { key: "sk-a", metadata: { tenant: "acme", user: "ann" }, assistant: "asst_1" },
  run_ben: { key: "sk-a", metadata: { tenant: "acme", user: "ben" }, assistant: "other" },
  run_cred: { key: "sk-c", metadata: {}, assistant: "asst_1" },
  run_gus: { key: "sk-b", metadata: { tenant: "globex", user: "gus" }, assistant: "asst_1" },
};

interface Caller {
  readonly by: keyof typeof issuers;
  readonly claims: TokenClaims;
  readonly token: string;
}
async function caller(by: keyof typeof issuers, claims: TokenClaims): Promise<Caller> {
  const whole = { use: "access", jti: "t-1", ...claims };
  return { by, claims: whole, token: await issuers[by].mint(whole, { expiresInSeconds: 3_600 }) };
}
const CALLERS: Readonly<Record<string, Caller>> = {
  owner: await caller("a", { sub: "ann", tenant: "acme", scope: "stop" }),
  ben: await caller("a", { sub: "ben", tenant: "acme", scope: "stop" }),
  intern: await caller("a", { sub: "ann", tenant: "acme", scope: "stop intern" }),
  helper: await caller("a", { sub: "sam", tenant: "acme", scope: "help" }),
  nobody: await caller("a", { sub: "ann", tenant: "acme", scope: "" }),
  cred: await caller("a", { sub: "cem", tenant: "cred", scope: "help" }),
  crossing: await caller("a", { sub: "gus", tenant: "globex", scope: "stop help" }),
  gus: await caller("b", { sub: "gus", scope: "stop" }),
  stolen: await caller("b", { sub: "gus", scope: "stop", jti: "stolen" }),
  idToken: await caller("b", { sub: "gus", scope: "stop", use: "id" }),
};
/** Each with whatever it might want to stop. */
const REQUESTS: readonly (readonly [string, string])[] = Object.entries(CALLERS).flatMap(
  ([name, { claims }]) =>
    Object.keys(RUNS)
      .filter((run) => name !== "crossing" || run === "run_gus")
      .filter(
        (run) =>
          run.endsWith(claims.sub) ||
          run === "run_ann" ||
          run === "run_cred" ||
          name === "crossing",
      )
      .map((run) => [name, run] as const),
);

type Result = "cancelled" | "config_invalid" | "refused";

/** What the Worker makes of a config that stands in KV in its parts, whoever put it there. */
async function servedBy(document: Json): Promise<readonly Result[]> {
  const stored = partsOf(document);
  const cancelled = new Set<string>();
  const gateway = createGateway(
    {
      config: {
        get: (async (key: string) => stored.get(key) ?? null) as unknown as KVNamespace["get"],
      },
      audit: { put: async () => undefined } as never,
      ledger: () => LEDGER,
      keyCache: () => Promise.reject(new Error("none")),
      limits: { address: undefined, tier: (name) => (name === "standard" ? OPEN : undefined) },
      secret: (name) => SECRETS[name],
    },
    {
      fetch: upstreamNoting(cancelled),
      now: () => NOW * 1_000,
      sleep: () => new Promise(() => undefined),
      newId: () => "01890a5d-ac96-774b-bcce-b302099a8057",
      random: () => 0.5,
      log: () => undefined,
    },
  );
  const app = createApp(gateway);
  const results: Result[] = [];
  for (const [name, run] of REQUESTS) {
    cancelled.clear();
    const { context, settle } = executionContext();
    const init = {
      method: "POST",
      headers: {
        authorization: `Bearer ${CALLERS[name]?.token}`,
        "content-type": "application/json",
      },
      body: '{"reason":"asked"}',
    };
    const path = `/v1/threads/thread_1/runs/${run}/cancel`;
    const response = await app.request(`https://stop.test${path}`, init, {}, context);
    const { error } = (await response.json()) as { error?: { code: string } };
    await settle();
    // Only what reached the upstream counts, not what was said.
    if (cancelled.size > 0) results.push("cancelled");
    else results.push(error?.code === "config_invalid" ? "config_invalid" : "refused");
  }
  return results;
}

const OPEN = { limit: async () => ({ success: true }) };
/** Takes everything, so that only the config decides. Nobody is registered for anything. */
const LEDGER = {
  begin: async () => null,
  beginIfOwned: async () => ({ proof: "nothing", leader: null }),
  ownerOf: async () => null,
  finish: async () => undefined,
  record: async () => undefined,
} as unknown as LedgerRpc;

/** As `gateway apply` splits it, but without a look at what it says. */
function partsOf(document: Json): Map<string, string> {
  const { issuers: some, upstreams, tenants } = document;
  const entries = typeof tenants === "object" && tenants !== null ? Object.entries(tenants) : [];
  const valid = ConfigDocument.shape.tenants.safeParse(tenants);
  const shared = valid.success
    ? [...holdersOf(Object.entries(valid.data))].filter(([, ids]) => ids.length > 1)
    : [];
  const base = {
    issuers: some,
    upstreams,
    origins: [],
    shared_credentials: shared.map(([name]) => name),
  };
  return new Map([
    [BASE_KEY, JSON.stringify(base)],
    ...entries.map(([id, tenant]): [string, string] => [tenantKey(id), JSON.stringify(tenant)]),
  ]);
}

function upstreamNoting(cancelled: Set<string>): typeof fetch {
  return async (input, init) => {
    const url = String(input);
    const [, id = "", cancel] = /\/threads\/thread_1\/runs\/(\w+)(\/cancel)?$/.exec(url) ?? [];
    const run = RUNS[id];
    const key = new Headers(init?.headers).get("authorization")?.replace("Bearer ", "");
    if (!url.startsWith(`${UPSTREAM}/threads/`) || run === undefined || run.key !== key) {
      return Response.json({ error: { message: "No run found" } }, { status: 404 });
    }
    if (cancel !== undefined) cancelled.add(id);
    return Response.json({
      id,
      object: "thread.run",
      thread_id: "thread_1",
      assistant_id: run.assistant,
      status: cancel === undefined ? "in_progress" : "cancelling",
      created_at: NOW - 100,
      metadata: run.metadata,
    });
  };
}

/** What the file says, read once more and by other means. */
function said(document: ConfigDocument): readonly Result[] {
  return REQUESTS.map(([name, run]) => {
    const who = CALLERS[name];
    const on = RUNS[run];
    if (who === undefined || on === undefined) throw new Error("no such request");
    return saidOf(document, who, run, on);
  });
}

function saidOf(
  document: ConfigDocument,
  { by, claims }: Caller,
  id: string,
  run: UpstreamRun,
): Result {
  const issuer = document.issuers.find((entry) => entry.issuer === ISSUERS[by]);
  const { tenant: org_id, ...rest } = claims;
  const payload: Json = { iss: ISSUERS[by], aud: AUDIENCE, org_id, ...rest };
  const at = (path: string | readonly string[]): unknown =>
    typeof path === "string" || path.length === 1 ? payload[String(path)] : undefined;
  if (
    issuer === undefined ||
    issuer.jwks === undefined ||
    issuer.token_header !== "authorization" ||
    !issuer.jwks.keys.some(({ kid }) => kid === issuers[by].publicJwks.keys[0]?.kid) ||
    !(issuer.algorithms as readonly string[]).includes(by === "a" ? "RS256" : "ES256") ||
    !issuer.types.some((type) => type.toLowerCase().replace(/^application\//, "") === "at+jwt") ||
    !issuer.audiences.includes(String(at(issuer.audience_claim))) ||
    Object.entries(issuer.claims).some(([claim, value]) => (payload[claim] ?? null) !== value)
  ) {
    return "refused";
  }
  const { tenant: mapping } = issuer;
  const named = "fixed" in mapping ? mapping.fixed : at(mapping.claim);
  const tenantId =
    "fixed" in mapping
      ? mapping.fixed
      : "map" in mapping
        ? mapping.map[String(named)]
        : mapping.allow.find((allowed) => allowed === named);
  const tenant = tenantId === undefined ? undefined : document.tenants[tenantId];
  if (tenant === undefined || tenantId === undefined) return "refused";
  const secret = "secret" in tenant.credential ? SECRETS[tenant.credential.secret] : undefined;
  // What only the running Worker can see: a secret or a tier that is not there.
  if (secret === undefined || (tenant.rate !== undefined && tenant.rate !== "standard")) {
    return "config_invalid";
  }
  if (!tenant.enabled || tenant.revoked_tokens.includes(String(claims["jti"]))) return "refused";
  const scopes = new Set([
    ...String(at(issuer.scopes_claim) ?? "").split(" "),
    ...issuer.granted_scopes,
  ]);
  const { ownership } = tenant;
  let owns: "no" | "tenant" | "person" = "no";
  if (ownership.source === "credential") owns = "tenant";
  if (ownership.source === "metadata" && run.metadata[ownership.tenant_key] === tenantId) {
    owns = run.metadata[ownership.subject_key] === claims.sub ? "person" : "tenant";
  }
  const upstream = document.upstreams[tenant.upstream];
  const reachable =
    upstream?.kind === "assistants" &&
    upstream.base_url.replace(/\/+$/, "") === UPSTREAM &&
    run.key === secret;
  const listed = (list: readonly string[] | undefined): boolean =>
    list === undefined ||
    list.some((one) =>
      one.endsWith("*") ? run.assistant.startsWith(one.slice(0, -1)) : one === run.assistant,
    );
  const first = tenant.rules.find(
    (rule) =>
      rule.scopes.every((scope) => scopes.has(scope)) &&
      (owns === "person" || (owns === "tenant" && rule.runs === "tenant")) &&
      listed(rule.assistants) &&
      (rule.max_age_seconds ?? 100) >= 100,
  );
  const allowed = first?.effect === "allow" && listed(tenant.assistants);
  return allowed && reachable && id in RUNS ? "cancelled" : "refused";
}

type Path = readonly (string | number)[];

function pathsIn(value: unknown, at: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [at];
  const members = Array.isArray(value) ? value.map((_, index) => index) : Object.keys(value);
  return [at, ...members.flatMap((name) => pathsIn((value as Json)[name], [...at, name]))];
}
// The keys themselves are issue 3's: there are enough ways to spoil one.
const PATHS = pathsIn(ORIGINAL).filter((path) => path.length > 0 && !path.includes("keys"));

function at(document: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, name) => (value as Json | undefined)?.[name], document);
}

const VALUES: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1, 1e9, "", " ", "*", "none", "acme", "globex", "cred", [], {}],
  ...["stop", "help", "everybody", "HS256", "RS256", "ES256", "own", "tenant", "deny", "allow"],
  ...[
    "metadata",
    "credential",
    "registry",
    "grant",
    "KEY_A",
    "KEY_B",
    "KEY_C",
    "AUDIT_SIGNING_KEY",
  ],
  ...["https://evil.test/", "http://evil.test", "http://127.0.0.1:1", UPSTREAM, AUDIENCE, "sub"],
  ...[
    "main",
    "spare",
    "standard",
    "gold",
    "user",
    "jwt",
    "assistants",
    "langgraph",
    ["*"],
    ["stop"],
  ],
  ...[{ source: "credential" }, { source: "grant" }, { source: "registry" }, { fixed: "acme" }],
  ...[
    { secret: "KEY_C" },
    { secret: "KEY_A" },
    { secret: "KEY_MISSING" },
    { claim: "sub", allow: ["acme"] },
  ],
  ...[
    { claim: "org_id", map: { acme: "globex" } },
    ["acme", "globex"],
    ["HS256"],
    ["RS256", "none"],
  ],
];

type Change = (document: Json, path: Path) => void;
function holderOf(document: Json, path: Path): Json {
  return at(document, path.slice(0, -1)) as Json;
}
const last = (path: Path): string => String(path.at(-1));

const Changing: fc.Arbitrary<readonly [string, Change]> = fc.oneof(
  { weight: 2, arbitrary: fc.constant(["taken away", take] as const) },
  {
    weight: 6,
    arbitrary: fc
      .constantFrom(...VALUES)
      .map((value) => [`made ${JSON.stringify(value)}`, put(() => value)] as const),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(...PATHS)
      .map((from) => [`made as ${from.join(".")}`, put((_, all) => at(all, from))] as const),
  },
  { weight: 1, arbitrary: fc.constant(["doubled", double] as const) },
  { weight: 1, arbitrary: fc.constant(["given more", give] as const) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom("*", " ", "/", "A", "\u0000", "é")
      .map(
        (more) =>
          [`longer by ${JSON.stringify(more)}`, put((old) => `${String(old)}${more}`)] as const,
      ),
  },
);

function take(document: Json, path: Path): void {
  const holder = holderOf(document, path);
  if (Array.isArray(holder)) holder.splice(Number(last(path)), 1);
  else delete holder[last(path)];
}
function put(value: (old: unknown, document: Json) => unknown): Change {
  return (document, path) => {
    const holder = holderOf(document, path);
    holder[last(path)] = structuredClone(value(holder[last(path)], document));
  };
}
function double(document: Json, path: Path): void {
  const holder = holderOf(document, path);
  if (Array.isArray(holder)) holder.push(structuredClone(holder[Number(last(path))]));
  else holder[`${last(path)}_2`] = structuredClone(holder[last(path)]);
}
function give(document: Json, path: Path): void {
  const value = at(document, path);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    (value as Json)["allow_all"] = true;
  } else holderOf(document, path)["allow_all"] = true;
}

// Nothing here is late, and the runtime counts the timers that are left over.
beforeAll(() => {
  vi.spyOn(AbortSignal, "timeout").mockImplementation(() => new AbortController().signal);
});
afterAll(() => {
  vi.restoreAllMocks();
});

describe("the config that is changed", () => {
  it("means what it says, before it is", async () => {
    const document = ConfigDocument.parse(ORIGINAL);
    const served = await servedBy(ORIGINAL);
    expect(served).toEqual(said(document));
    const stops = REQUESTS.filter((_, index) => served[index] === "cancelled");
    expect(stops.map((request) => request.join(" "))).toEqual([
      "owner run_ann",
      "helper run_ann",
      "cred run_cred",
      "gus run_gus",
    ]);
  });

  it("means what it says, or is refused by lint and by the Worker, a thousand times", async () => {
    const seen = { kept: 0, changed: 0, refused: 0, opened: 0 };
    const original = await servedBy(ORIGINAL);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...PATHS), Changing, async (path, [what, change]) => {
        const document = structuredClone(ORIGINAL);
        change(document, path);
        const where = `${path.join(".")} ${what}`;
        const { document: checked, problems } = checkConfig(JSON.stringify(document));
        const served = await servedBy(document);
        if (checked !== null) {
          expect(served, where).toEqual(said(checked));
          const same = served.every((result, index) => result === original[index]);
          if (!same) seen.changed += 1;
          else seen.kept += 1;
          // It happens, and then the file says so: a rule without its condition, a scope for everybody.
          if (
            served.some((result, index) => result === "cancelled" && original[index] !== result)
          ) {
            seen.opened += 1;
          }
          return;
        }
        seen.refused += 1;
        expect(problems[0]?.line, where).toBeGreaterThan(0);
        for (const [index, result] of served.entries()) {
          // Whom it does not concern is served as before; nobody is served by what was refused.
          if (result === "cancelled") expect(original[index], where).toBe(result);
        }
        if (isReachable(path)) expect(served, where).toContain("config_invalid");
      }),
      { numRuns: 1_000 },
    );
    expect(seen.refused).toBeGreaterThan(300);
    expect(seen.changed).toBeGreaterThan(100);
    expect(seen.opened).toBeGreaterThan(5);
  }, 120_000);
});

/** A member that no part in KV has cannot be met there: of the document itself, or a tenant of no name. */
function isReachable(path: Path): boolean {
  return path.length > 1;
}
