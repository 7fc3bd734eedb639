// Two providers that could not be more alike, with keys of the same name: whose token is whose, however
// the claims are mixed and whosever keys were fetched first.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createKey, type SigningKey } from "../../dev/issuer.ts";
import { AUDIENCE, createHarness, type Json, limitsOf } from "../support/harness.ts";
import { documentOf } from "../support/provider.ts";
import { compactToken } from "../support/tokens.ts";

const NOW = 1_790_000_000;
const KID = "key-1";
const TOKENS_EACH = 50_000;

/** What each provider signs with, and which tenants it may speak for. */
const PROVIDERS = {
  a: { iss: "https://a.id.test/", key: await createKey("ES256"), tenants: ["acme", "initech"] },
  b: { iss: "https://b.id.test/", key: await createKey("ES256"), tenants: ["globex"] },
} as const;
type Name = keyof typeof PROVIDERS;
const NAMES: readonly Name[] = ["a", "b"];

/** Each tenant is turned away by its rate limit: the last thing before a record is made. */
async function createGateway() {
  const admitted: string[] = [];
  const fetched: string[] = [];
  const { begin } = await createHarness({
    world: { now: () => NOW * 1_000, log: () => undefined },
    network: () => async (input) => {
      const name = NAMES.find((provider) => String(input) === `${PROVIDERS[provider].iss}keys`);
      fetched.push(name ?? String(input));
      return Response.json(documentOf({ ...PROVIDERS[name ?? "a"].key, kid: KID }));
    },
    bindings: {
      limits: limitsOf(() => ({
        limit: async ({ key }) => {
          admitted.push(key);
          return { success: false };
        },
      })),
    },
    config: (config) => {
      const sample = (config["tenants"] as Record<string, Json>)["acme"];
      return {
        ...config,
        issuers: NAMES.map((name) => ({
          issuer: PROVIDERS[name].iss,
          jwks_uri: `${PROVIDERS[name].iss}keys`,
          audiences: [`${AUDIENCE}/${name}`, AUDIENCE],
          algorithms: ["ES256"],
          tenant: { claim: "org_id", allow: PROVIDERS[name].tenants },
        })),
        tenants: Object.fromEntries(
          ["acme", "initech", "globex"].map((id) => [
            id,
            { ...sample, rate: "strict", credential: { secret: "UPSTREAM_KEY_ACME" } },
          ]),
        ),
      };
    },
  });
  const ask = async (token: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` };
    return (await begin("/v1/threads/t/runs/r", { headers }).response).status;
  };
  return { ask, admitted, fetched };
}

interface Mix {
  readonly signer: Name;
  readonly iss: string;
  readonly org: unknown;
  readonly aud: unknown;
  readonly sub: string;
  readonly extra: Json;
}

const audiences = [AUDIENCE, `${AUDIENCE}/a`, `${AUDIENCE}/b`];
const mixes: fc.Arbitrary<Mix> = fc.record({
  signer: fc.constantFrom(...NAMES),
  iss: fc.constantFrom(PROVIDERS.a.iss, PROVIDERS.b.iss),
  org: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom("acme", "initech", "globex") },
    fc.constantFrom("ACME", "acme ", "a\u200dcme", ["acme"], null, 7, "constructor", "__proto__"),
  ),
  aud: fc.oneof(fc.constantFrom(...audiences), fc.subarray(audiences, { minLength: 1 })),
  sub: fc.constantFrom("ann", "gus"),
  // What else might be taken for the word of the one or of the other.
  extra: fc.dictionary(
    fc.constantFrom("issuer", "tenant", "azp", "client_id", "tid", "org", "kid", "jku", "act"),
    fc.constantFrom("acme", "globex", PROVIDERS.a.iss, PROVIDERS.b.iss),
  ),
});

/** The tenant that this token may speak for, by the rules as they are written down; or why none. */
function expectedOf({ signer, iss, org, aud }: Mix): string | 401 | 403 {
  const audience = [aud].flat();
  const meant = audience.includes(AUDIENCE) || audience.includes(`${AUDIENCE}/${signer}`);
  if (iss !== PROVIDERS[signer].iss || !meant) return 401;
  const tenants: readonly unknown[] = PROVIDERS[signer].tenants;
  return tenants.includes(org) ? String(org) : 403;
}

async function tokenOf({ signer, iss, org, aud, sub, extra }: Mix): Promise<string> {
  const key: SigningKey = { ...PROVIDERS[signer].key, kid: KID };
  return await compactToken(key, { ...extra, iss, aud, sub, org_id: org, exp: NOW + 600 });
}

describe("two providers with a key of the same name", () => {
  it.each(NAMES)(
    "are never taken for each other, with the keys of %s fetched first",
    { timeout: 300_000 },
    async (first) => {
      const { ask, admitted, fetched } = await createGateway();
      const [, second] = first === "a" ? NAMES : [...NAMES].reverse();
      for (const name of [first, second ?? first]) {
        const [org] = PROVIDERS[name].tenants;
        const { iss } = PROVIDERS[name];
        const good = { signer: name, iss, org, aud: AUDIENCE, sub: "ann", extra: {} };
        expect(await ask(await tokenOf(good))).toBe(429);
      }
      expect(fetched).toEqual([first, second]);

      const seen = { admitted: 0, 401: 0, 403: 0 };
      await fc.assert(
        fc.asyncProperty(mixes, async (mix) => {
          admitted.length = 0;
          const outcome = expectedOf(mix);
          const status = await ask(await tokenOf(mix));
          const isAdmitted = typeof outcome === "string";
          expect(status).toBe(isAdmitted ? 429 : outcome);
          expect(admitted).toEqual(isAdmitted ? [`${outcome}\n${mix.iss}\n${mix.sub}`] : []);
          seen[isAdmitted ? "admitted" : outcome] += 1;
        }),
        { numRuns: TOKENS_EACH },
      );
      expect(seen.admitted + seen[401] + seen[403]).toBe(TOKENS_EACH);
      // The mix is no straw man: each end is reached thousands of times.
      expect(Math.min(...Object.values(seen))).toBeGreaterThan(2_000);
      // Signatures that fit no key ask for newer ones, each provider three times at the most while no time passes.
      expect(fetched.slice(0, 2)).toEqual([first, second]);
      expect(fetched.length).toBeLessThanOrEqual(2 + NAMES.length * 3);
    },
  );
});
