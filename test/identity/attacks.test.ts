// The attack catalogue, by the front door: row by row, each in variants, under each algorithm.
import { describe, expect, it, vi } from "vitest";
import type { Algorithm } from "../../dev/issuer.ts";
import { Issuer } from "../../src/config/schema.ts";
import { Refusal } from "../../src/failure.ts";
import { readJwt } from "../../src/identity/token.ts";
import {
  createHarness,
  type Json,
  pathOf,
  withSharedSubjects,
  withTenant,
} from "../support/harness.ts";
import { type Seen, seen } from "../support/reply.ts";
import { ROWS } from "./attacks/catalogue.ts";
import {
  ALL,
  createForge,
  type Forge,
  goodToken,
  issuersOf,
  type Maker,
  NOW,
  type Presented,
  REVOKED,
  type Reply,
  type Row,
  THREE,
  type Unsendable,
} from "./attacks/forge.ts";
import { KEY_DOCUMENTS } from "./attacks/key-documents.ts";
import { MIX_UPS } from "./attacks/mix-ups.ts";
import { twinOfToken } from "./attacks/signatures.ts";
import { createWatch, NOTHING } from "./attacks/watch.ts";

const forges = new Map<Algorithm, Forge>();
for (const alg of ALL) forges.set(alg, await createForge(alg));

const watch = createWatch();
const gateway = await createHarness({
  config: (config) => {
    const issuers = [...forges.values()].flatMap(issuersOf);
    const revoking = withTenant("acme", { revoked_tokens: [REVOKED] });
    const others = withTenant("globex", { revoked_tokens: ["token-of-globex"] });
    return withSharedSubjects({ ...others(revoking(config)), issuers });
  },
  world: { now: () => NOW * 1_000 },
  bindings: watch.bindings,
  network: watch.network,
});
const ids = await gateway.startRun();
/** What reaches the network past the gateway's own `fetch`. */
const pastTheGateway = vi.spyOn(globalThis, "fetch");

const send = (init: RequestInit, query = ""): Promise<Response> =>
  gateway.request(`${pathOf(ids)}/cancel${query}`, { method: "POST", ...init });
const bearer = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } });

const INVALID = await seen(await send(bearer("x")));
const MISSING = await seen(await send({}));
const SEVERAL = await seen(await send(bearer("x, y")));
const FOREIGN = await seen(
  await send(bearer(await goodToken(forgeOf("ES256"), { org_id: "initech" }))),
);

interface Case {
  readonly name: string;
  readonly alg: Algorithm;
  readonly reply: Reply;
  readonly maker: Maker;
}

const casesOf = (row: Row): Case[] =>
  Object.entries(row.variants).flatMap(([name, variant]) => {
    const { maker, ...own } = typeof variant === "function" ? { maker: variant } : variant;
    const { reply = row.reply, algorithms = row.algorithms ?? THREE } = own as Partial<
      Pick<Row, "reply" | "algorithms">
    >;
    return algorithms.map((alg) => ({ name, alg, reply, maker }));
  });

function forgeOf(alg: Algorithm): Forge {
  const forge = forges.get(alg);
  if (forge === undefined) throw new Error(`no keys for ${alg}`);
  return forge;
}

/** The reader's own answer to what HTTP cannot carry. */
function reasonOf(token: string): string {
  try {
    readJwt(token);
    return "read";
  } catch (error) {
    return error instanceof Refusal ? error.reason : "accident";
  }
}

async function present(presented: Exclude<Presented, Unsendable>): Promise<Seen> {
  const { init, query } =
    typeof presented === "string" ? { init: bearer(presented), query: "" } : presented;
  return await seen(await send(init, query));
}

const codeOf = ({ body }: Seen): string => JSON.parse(body).error.code;

/** The reply of each kind, and what may have happened behind it. */
const EXPECTED: Readonly<Record<Reply, (reply: Seen) => void>> = {
  invalid_token: (reply) => {
    expect(reply).toEqual(INVALID);
    expect(watch.counts).toEqual(NOTHING);
  },
  missing_token: (reply) => {
    expect(reply).toEqual(MISSING);
    expect(watch.counts).toEqual(NOTHING);
  },
  invalid_request: (reply) => {
    expect(reply).toEqual(SEVERAL);
    expect(watch.counts).toEqual(NOTHING);
  },
  tenant_not_allowed: (reply) => {
    expect(reply).toEqual(FOREIGN);
    expect(watch.counts).toEqual(NOTHING);
  },
  insufficient_scope: (reply) => {
    expect([reply.status, codeOf(reply)]).toEqual([403, "insufficient_scope"]);
    expect(watch.counts).toMatchObject({ upstream: 0, elsewhere: 0 });
    expectRecordOf("insufficient_scope");
  },
  run_not_found: (reply) => {
    expect([reply.status, codeOf(reply)]).toEqual([404, "run_not_found"]);
    expect(watch.counts.elsewhere).toBe(0);
    expectRecordOf("run_not_found");
  },
  revoked: ({ status, headers: { "audit-id": auditId, ...headers }, body }) => {
    expect({ status, headers, body }).toEqual(INVALID);
    expect(watch.counts).toMatchObject({ upstream: 0, elsewhere: 0 });
    expectRecordOf("invalid_token");
    expect(watch.recorded[0]?.id).toBe(auditId);
  },
  accepted: (reply) => {
    expect(reply.status).toBe(200);
    expect(watch.counts.elsewhere).toBe(0);
    expect(watch.recorded).toEqual([]);
  },
};

function expectRecordOf(code: string): void {
  const records = watch.recorded.map(({ type, decision }) => ({ type, ...decision }));
  expect(records).toEqual([{ type: "denied", allowed: false, rule: null, code }]);
}

describe("the reply to everything of one kind", () => {
  const invalid = "The access token is not valid for this gateway.";
  const missing = "No access token was sent. Send it as 'Authorization: Bearer <token>'.";
  const several = "Send exactly one Authorization header.";
  const foreign = "The access token's tenant may not use this gateway.";
  const realm = 'Bearer realm="stopgate"';

  it.each<[string, string, string, number, string | null, Seen]>([
    ["invalid_token", "authentication", invalid, 401, `${realm}, error="invalid_token"`, INVALID],
    ["missing_token", "authentication", missing, 401, realm, MISSING],
    ["invalid_request", "invalid_request", several, 400, null, SEVERAL],
    ["tenant_not_allowed", "permission", foreign, 403, null, FOREIGN],
  ])("%s says what it must and no more", (code, kind, message, status, challenge, reply) => {
    const { "www-authenticate": challenged = null, ...headers } = reply.headers;
    expect([reply.status, challenged]).toEqual([status, challenge]);
    const error = { message, type: `${kind}_error`, param: null, code };
    expect(reply.body).toBe(JSON.stringify({ error }));
    expect(headers).toMatchObject({ "x-should-retry": "false", "cache-control": "no-store" });
    expect(headers).not.toHaveProperty("audit-id");
  });
});

describe.each(ROWS)("$id: $attack", (row) => {
  it.each(casesOf(row))("$name, of $alg: $reply", async ({ alg, reply, maker }) => {
    const presented = await maker(forgeOf(alg));
    if (typeof presented === "object" && "unsendable" in presented) {
      expect(reasonOf(presented.unsendable)).toBe(reply);
      return;
    }
    watch.forget();
    gateway.lines.length = 0;
    EXPECTED[reply](await present(presented));
    expect(pastTheGateway).not.toHaveBeenCalled();
    const logged = gateway.lines.join("\n");
    for (const part of partsOf(presented)) expect(logged.includes(part)).toBe(false);
    expect(logged).not.toMatch(/evil|dev\/null|UNION|jndi|curl|randomize/);
  });
});

/** What is long enough to be recognised. */
function partsOf(presented: Exclude<Presented, Unsendable>): string[] {
  const text = typeof presented === "string" ? presented : (presented.query ?? "");
  return text.split(/[.=]/, 4).filter(({ length }) => length > 20);
}

describe("a twin of a token, which is another text and as good", () => {
  it.each(["ES256", "ES384"] as const)("of %s is told from it by nobody", async (alg) => {
    const forge = forgeOf(alg);
    const token = await goodToken(forge, { jti: "token-1" });
    const twin = twinOfToken(token, forge);
    expect(twin).not.toBe(token);
    for (const text of [token, twin, twin, token]) {
      expect((await present(text)).status).toBe(200);
    }
    // Nor does it outlive it: the list names a token by its id.
    const revoked = await goodToken(forge, { jti: REVOKED });
    for (const text of [twinOfToken(revoked, forge), revoked, twinOfToken(revoked, forge)]) {
      expect((await present(text)).status).toBe(401);
    }
  });
});

describe("a stolen token", () => {
  it.each(THREE)("of %s leaves a record of every use", async (alg) => {
    const { counts, begun } = watch;
    const token = await goodToken(forgeOf(alg), { jti: "token-1" });
    watch.forget();
    for (const _ of [1, 2]) expect((await present(token)).status).toBe(200);
    expect(begun.map(({ actor }) => actor)).toMatchObject([{ sub: "ann" }, { sub: "ann" }]);
    expect(new Set(begun.map(({ id }) => id)).size).toBe(2);
    expect(counts.elsewhere).toBe(0);
  });
});

describe("an issuer's list of algorithms", () => {
  const usual = {
    issuer: "https://id.test/",
    jwks_uri: "https://id.test/jwks.json",
    audiences: ["x"],
  };
  const isTaken = (members: Json): boolean =>
    Issuer.safeParse({ ...usual, tenant: { fixed: "acme" }, ...members }).success;

  it.each([
    ...["HS256", "HS384", "HS512", "none", "None", "", "ES256K", "es512", "Ed448", "RS1", "dir"],
    ...["ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "rs256", "RS256 ", "RSA-OAEP-256", "__proto__"],
  ])("has no place for %j", (alg) => {
    expect(isTaken({ algorithms: ["RS256"] })).toBe(true);
    expect(isTaken({ algorithms: ["RS256", alg] })).toBe(false);
  });

  it("is RS256 alone where it is not given", () => {
    expect(Issuer.parse({ ...usual, tenant: { fixed: "acme" } }).algorithms).toEqual(["RS256"]);
  });
});

describe("the catalogue", () => {
  const counted = new Map<string, number>();
  const count = (id: string, alg: Algorithm, more: number): void => {
    counted.set(`${id} ${alg}`, (counted.get(`${id} ${alg}`) ?? 0) + more);
  };
  for (const row of ROWS) for (const { alg } of casesOf(row)) count(row.id, alg, 1);
  for (const alg of THREE) {
    for (const { id } of KEY_DOCUMENTS) count(id, alg, 1);
    count("J27", alg, MIX_UPS.length);
  }

  it.each(Array.from({ length: 38 }, (_, index) => `J${index + 1}`))(
    "has five variants of %s at least, under each of three algorithms",
    (id) => {
      for (const alg of THREE) expect(counted.get(`${id} ${alg}`)).toBeGreaterThanOrEqual(5);
    },
  );

  it("has no row of another name", () => {
    const ids = new Set([...counted.keys()].map((key) => key.split(" ")[0]));
    expect(ids.size).toBe(38);
  });
});
