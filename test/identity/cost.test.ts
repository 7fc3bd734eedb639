// What a stranger's token costs us outside of this isolate: nothing, however many there are.
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createKey } from "../../dev/issuer.ts";
import { createProvider } from "../support/provider.ts";
import { base64url, compactToken } from "../support/tokens.ts";

const TOKENS = 10_000;
const KEY = await createKey("ES256");

/** A binding that counts every use of it, and does not work. */
function counted<T extends object>(uses: string[], name: string): T {
  return new Proxy({} as T, {
    get: (_, member) => () => {
      uses.push(`${name}.${String(member)}`);
      return Promise.reject(new Error("not expected"));
    },
  });
}

const segment = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.base64String({ maxLength: 80 }),
  fc.json().map((text) => base64url(text)),
  fc.constantFrom("", "=", "e30", base64url({ alg: "ES256", kid: KEY.kid }), base64url("{")),
);
const malformed = fc.oneof(
  fc.array(segment, { maxLength: 6 }).map((segments) => segments.join(".")),
  fc.string({ maxLength: 200 }),
  fc.nat({ max: 12_000 }).map((length) => "A".repeat(length)),
  fc.nat({ max: 12_000 }).map((length) => ".".repeat(length)),
);
const unknownIssuer = fc.record({
  iss: fc.oneof(
    fc.webUrl(),
    fc.constantFrom("", "https://id.keys.test", "https://ID.keys.test/", "constructor", 7, null),
  ),
  kid: fc.oneof(fc.string({ maxLength: 300 }), fc.constant(KEY.kid)),
  alg: fc.constantFrom("ES256", "RS256", "none", "HS256"),
});

describe(`${TOKENS} tokens that are malformed or of unknown issuers`, () => {
  it("cost no fetch, no read, no write, no ledger and no cache", { timeout: 120_000 }, async () => {
    const uses: string[] = [];
    const { state, gateway, statusBy } = await createProvider(KEY, {
      world: { log: () => undefined },
      bindings: {
        config: {
          get: ((key: string, ...options: [never]) => {
            uses.push(`config.get ${key}`);
            return env.CONFIG.get(key, ...options);
          }) as KVNamespace["get"],
        },
        audit: counted(uses, "audit"),
        ledger: (tenant) => counted(uses, `ledger of ${tenant}`),
        keyCache: () => {
          uses.push("cache");
          return Promise.reject(new Error("not expected"));
        },
      },
    });
    const statusOf = async (token: string): Promise<number> => {
      const headers = { authorization: `Bearer ${token}` };
      return (await gateway.begin("/v1/threads/t/runs/r", { headers }).response).status;
    };
    // The config is read once, and then not again for as long as the clock stands.
    expect(await statusOf("a.b.c")).toBe(401);
    expect(uses).toEqual(["config.get c1:base"]);
    uses.length = 0;

    const refused = { malformed: 0, unknown: 0 };
    await fc.assert(
      fc.asyncProperty(malformed, async (token) => {
        // What no header can carry never gets here; a comma makes it two.
        fc.pre(/^[\x21-\x7e]+$/.test(token) && !token.includes(","));
        expect(await statusOf(token)).toBe(401);
        refused.malformed += 1;
      }),
      { numRuns: TOKENS / 2, maxSkipsPerRun: 1_000 },
    );
    await fc.assert(
      fc.asyncProperty(unknownIssuer, async ({ iss, kid, alg }) => {
        const claims = { iss, aud: "https://stop.test", sub: "ann", exp: state.nowMs / 1_000 };
        expect(await statusOf(await compactToken(KEY, claims, { kid, alg }))).toBe(401);
        refused.unknown += 1;
      }),
      { numRuns: TOKENS / 2 },
    );
    expect(refused).toEqual({ malformed: TOKENS / 2, unknown: TOKENS / 2 });
    expect({ uses, fetches: state.fetches }).toEqual({ uses: [], fetches: 0 });

    // What is counted would have been: a token of the issuer's own does ask for keys.
    await statusBy(KEY);
    expect(uses).toContain("cache");
    expect(state.fetches).toBe(1);
  });
});
