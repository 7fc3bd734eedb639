// An identity provider that has no sample: what it publishes of itself, so that little has to be asked.
import type { Issuer } from "../../src/config/schema.ts";
import { fetchKeyDocument } from "../../src/identity/key-endpoint.ts";
import { readKeyDocument } from "../../src/identity/key-set.ts";
import { discoverJwksUri, ProviderProblem } from "../providers.ts";

export type Discovery = { readonly jwksUri: string } | { readonly problem: string };

/** Where it says that its keys are; or, in words, why it does not say so. */
export async function discover(fetcher: typeof fetch, issuer: string): Promise<Discovery> {
  try {
    return { jwksUri: await discoverJwksUri(fetcher, issuer) };
  } catch (error) {
    if (error instanceof ProviderProblem) return { problem: `${issuer} ${error.message}` };
    throw error;
  }
}

type Algorithms = Issuer["algorithms"];

/** What is proposed where the keys leave a choice, as RSA keys without an `alg` of their own do. */
const USUAL: Algorithms = ["RS256", "ES256", "ES384", "EdDSA"];
const UNKNOWN: Algorithms = ["RS256"];

/** The algorithms of the keys that it publishes now; what is usual where they cannot be had. */
export async function publishedAlgorithms(
  fetcher: typeof fetch,
  jwksUri: string,
): Promise<Algorithms> {
  try {
    const { keys } = await readKeyDocument(await fetchKeyDocument(fetcher, jwksUri));
    const names = new Set(keys.flatMap(({ algorithms }) => algorithms));
    const found = USUAL.filter((algorithm) => names.has(algorithm));
    return found.length > 0 ? found : UNKNOWN;
  } catch {
    return UNKNOWN;
  }
}
