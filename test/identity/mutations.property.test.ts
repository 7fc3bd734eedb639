// A valid token and all its neighbours: change, drop or add one character anywhere, and it is no token.
import { describe, expect, it } from "vitest";
import { type Algorithm, createKey } from "../../dev/issuer.ts";
import { AUDIENCE, createHarness, limitsOf, withSharedSubjects } from "../support/harness.ts";
import { compactToken } from "../support/tokens.ts";

const NOW = 1_790_000_000;
const PATH = "/v1/threads/thread_1/runs/run_1";
/** What a token is written with, and what might be taken for it. */
const ALPHABET = [
  ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
  ...".=+/~ %",
];
const ALGORITHMS: readonly Algorithm[] = ["RS256", "ES256", "EdDSA"];

const keys = await Promise.all(ALGORITHMS.map((algorithm) => createKey(algorithm)));
let accepted = 0;
const gateway = await createHarness({
  world: { now: () => NOW * 1_000, log: () => undefined },
  // Who gets this far has been let in; it costs nothing to turn them away here.
  bindings: {
    limits: limitsOf(() => ({
      limit: async () => {
        accepted += 1;
        return { success: false };
      },
    })),
  },
  config: (config) =>
    withSharedSubjects({
      ...config,
      issuers: keys.map((key) => ({
        issuer: `https://id.test/${key.alg}`,
        jwks: { keys: [key.publicJwk] },
        audiences: [AUDIENCE],
        algorithms: [key.alg],
        tenant: { claim: "org_id", allow: ["acme"] },
      })),
      tenants: {
        acme: { ...(config["tenants"] as Record<string, object>)["acme"], rate: "strict" },
      },
    }),
});

/** Every token that differs from this one in the character there, has none there, or has it twice. */
function neighboursAt(token: string, at: number): string[] {
  const [before, here, after] = [token.slice(0, at), token.charAt(at), token.slice(at + 1)];
  const changed = ALPHABET.filter((letter) => letter !== here).map(
    (letter) => before + letter + after,
  );
  // White space at the end of a header is no part of it.
  return [...changed, before + after, before + here + here + after].filter(
    (other) => other.trim() !== token,
  );
}

describe("a token", () => {
  it("is refused in each of over 100,000 spellings that differ by one character", {
    timeout: 300_000,
  }, async () => {
    let tried = 0;
    for (const key of keys) {
      const token = await compactToken(key, {
        iss: `https://id.test/${key.alg}`,
        aud: AUDIENCE,
        sub: "ann",
        exp: NOW + 600,
        iat: NOW,
        nbf: NOW,
        jti: crypto.randomUUID(),
        client_id: "client-of-the-app",
        org_id: "acme",
        scope: "openid profile runs:cancel",
      });
      const statusOf = async (authorization: string): Promise<number> =>
        (await gateway.begin(PATH, { headers: { authorization } }).response).status;
      accepted = 0;
      expect(await statusOf(`Bearer ${token}`)).toBe(429);
      expect(accepted).toBe(1);
      for (const at of token.split("").keys()) {
        const neighbours = neighboursAt(token, at);
        const statuses = await Promise.all(neighbours.map((other) => statusOf(`Bearer ${other}`)));
        expect(neighbours[statuses.findIndex((status) => status !== 401)]).toBeUndefined();
        tried += neighbours.length;
      }
      expect(accepted).toBe(1);
    }
    expect(tried).toBeGreaterThan(100_000);
  });
});
