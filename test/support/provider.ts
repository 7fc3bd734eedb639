// An identity provider in the test's hand: what its key endpoint answers, how often it was asked, what
// time it is, and a gateway that trusts it.
import type { SigningKey } from "../../dev/issuer.ts";
import type { Bindings, World } from "../../src/gateway.ts";
import { AUDIENCE, createHarness, type Json, pathOf, withSharedSubjects } from "./harness.ts";
import { compactToken } from "./tokens.ts";

export const SECOND = 1_000;
export const MINUTE = 60_000;
const START_MS = 1_790_000_000_000;

const ISSUER = "https://id.keys.test/";
const JWKS_URI = "https://id.keys.test/jwks.json";
const HEALTHY_ISSUER = "https://id.healthy.test/";

export type KeyAnswer = (...request: Parameters<typeof fetch>) => Response | Promise<Response>;

export const documentOf = (...keys: SigningKey[]) => ({
  keys: keys.map(({ publicJwk, kid }) => ({ ...publicJwk, kid })),
});

export const publishing =
  (...keys: SigningKey[]) =>
  (): Response =>
    Response.json(documentOf(...keys));

/** The same key under names that nobody published. */
export const strangers = (key: SigningKey, count: number, name = "stranger"): SigningKey[] =>
  Array.from({ length: count }, (_, index) => ({ ...key, kid: `${name}-${index}` }));

export interface ProviderOptions {
  /** Members put over the issuer's entry in the config. */
  readonly issuer?: Json;
  readonly world?: Partial<World>;
  readonly bindings?: Partial<Bindings>;
}

/** A gateway that trusts this provider, which publishes `key`, and a healthy one beside it. */
export async function createProvider(key: SigningKey, options: ProviderOptions = {}) {
  const state = { fetches: 0, nowMs: START_MS, answer: publishing(key) as KeyAnswer };
  const asked: RequestInit[] = [];
  const usual = {
    issuer: ISSUER,
    jwks_uri: JWKS_URI,
    audiences: [AUDIENCE],
    algorithms: [key.alg],
    tenant: { fixed: "acme" },
  };
  const entry = { ...usual, ...options.issuer };
  const { jwks_uri: _, ...others } = usual;
  const healthy = { ...others, issuer: HEALTHY_ISSUER, jwks: { keys: [key.publicJwk] } };
  const gateway = await createHarness({
    bindings: options.bindings ?? {},
    world: { now: () => state.nowMs, ...options.world },
    config: (config) => withSharedSubjects({ ...config, issuers: [entry, healthy] }),
    network: (simulator) => async (input, init) => {
      if (String(input) !== entry.jwks_uri) return simulator(input, init);
      state.fetches += 1;
      asked.push(init ?? {});
      const { answer } = state;
      // As over a network: nobody gets the keys in the same instant.
      await scheduler.wait(5);
      return answer(input, init);
    },
  });
  const path = pathOf(await gateway.startRun());
  const claims = { iss: entry.issuer, aud: AUDIENCE, sub: "ann", scope: "runs:cancel" };
  const headersBy = async (by: SigningKey, over: Json, header: Json = {}) => {
    const exp = Math.floor(state.nowMs / 1_000) + 600;
    const token = await compactToken(by, { ...claims, exp, ...over }, header);
    return { authorization: `Bearer ${token}` };
  };
  const readBy = async (by: SigningKey, over: Json = {}): Promise<Response> =>
    gateway.request(path, { headers: await headersBy(by, over) });
  return {
    issuer: entry.issuer,
    jwksUri: entry.jwks_uri,
    state,
    asked,
    gateway,
    readBy,
    /** The reply as soon as the client has it. */
    begin: async (by: SigningKey, over: Json = {}, header: Json = {}) =>
      gateway.begin(path, { headers: await headersBy(by, over, header) }),
    statusBy: async (by: SigningKey, over: Json = {}) => (await readBy(by, over)).status,
    /** The different statuses of requests that all come at once. */
    statusesOf: async (keys: readonly SigningKey[]) => {
      const statuses = await Promise.all(keys.map(async (by) => (await readBy(by)).status));
      return [...new Set(statuses)];
    },
  };
}
