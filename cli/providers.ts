// What an identity provider says of itself: where its keys are, and whether they are any good. Asks the
// addresses that the config names, and those that they name; follows no redirect.
import { allowInsecureRequests, customFetch, discoveryRequest } from "oauth4webapi";
import * as z from "zod";
import { type Issuer, isLoopbackHttp, KeyAddress } from "../src/config/schema.ts";
import { parseJson, readBytes } from "../src/http/body.ts";
import { plainAlgorithm } from "../src/identity/jwk.ts";
import { fetchKeyDocument } from "../src/identity/key-endpoint.ts";
import { describeSkipped, readKeyDocument } from "../src/identity/key-set.ts";

const TIMEOUT_MS = 5_000;
const METADATA_BYTES = 256 * 1024;

/** A provider that is not as the config has it. Its message goes on after the issuer's name. */
export class ProviderProblem extends Error {
  override readonly name = "ProviderProblem";
}

const Metadata = z.looseObject({ issuer: z.string(), jwks_uri: z.string() });

/**
 * Where the issuer says that its keys are: OpenID Connect Discovery 1.0 §4, or else RFC 8414 §3.
 * Throws `ProviderProblem`.
 */
export async function discoverJwksUri(fetcher: typeof fetch, issuer: string): Promise<string> {
  const address = URL.parse(issuer);
  if (address === null || !(address.protocol === "https:" || isLoopbackHttp(issuer))) {
    throw new ProviderProblem("is no https address, so there is nobody to ask: give jwks_uri");
  }
  const failures: string[] = [];
  for (const algorithm of ["oidc", "oauth2"] as const) {
    const metadata = await readMetadata(fetcher, address, algorithm);
    if (typeof metadata === "string") {
      failures.push(metadata);
      continue;
    }
    // §4.3: identical to the letter, as `iss` must be in every token.
    if (metadata.issuer !== issuer) {
      const name = JSON.stringify(metadata.issuer);
      throw new ProviderProblem(`calls itself ${name}, to the letter: set issuer to that`);
    }
    if (KeyAddress.safeParse(metadata.jwks_uri).success) return metadata.jwks_uri;
    const named = JSON.stringify(metadata.jwks_uri);
    throw new ProviderProblem(`names ${named} as jwks_uri, which the gateway would not take`);
  }
  throw new ProviderProblem(`publishes no discovery (${failures.join("; ")}): give jwks_uri`);
}

/** The metadata, or in words why there are none. */
async function readMetadata(
  fetcher: typeof fetch,
  address: URL,
  algorithm: "oidc" | "oauth2",
): Promise<z.infer<typeof Metadata> | string> {
  let asked = address.href;
  try {
    const response = await discoveryRequest(address, {
      algorithm,
      signal: () => AbortSignal.timeout(TIMEOUT_MS),
      // Only those on one's own machine get past the caller.
      [allowInsecureRequests]: true,
      [customFetch]: (url, { body: _, ...init }) => {
        asked = url;
        return fetcher(url, init);
      },
    });
    if (response.status !== 200) return `${asked} answered ${response.status}`;
    const bytes = await readBytes(response.body, METADATA_BYTES);
    const metadata = Metadata.safeParse(bytes === null ? undefined : parseJson(bytes));
    return metadata.data ?? `${asked} answered with something else`;
  } catch (error) {
    return `${asked} cannot be reached (${reasonOf(error)})`;
  }
}

/** What keys the issuer publishes, fetched and judged as the gateway does it. Throws `ProviderProblem`. */
export async function describeKeys(fetcher: typeof fetch, issuer: Issuer): Promise<string> {
  const keys = await fetchKeyDocument(fetcher, issuer.jwks_uri ?? "")
    .then((bytes) => readKeyDocument(bytes))
    .catch((error: unknown) => {
      throw new ProviderProblem(`has no keys to offer: ${reasonOf(error)}`);
    });
  const reachable = keys.keys.filter(({ kid }) => kid !== undefined || issuer.allow_missing_kid);
  if (reachable.length === 0) {
    throw new ProviderProblem("publishes a key without a kid: set allow_missing_kid to take it");
  }
  const listed = issuer.algorithms.map(plainAlgorithm);
  const usable = reachable.filter(({ algorithms }) =>
    algorithms.some((algorithm) => listed.includes(algorithm)),
  );
  if (usable.length === 0) {
    const published = namesOf(reachable).join(", ");
    const fitting = issuer.algorithms.join(", ");
    throw new ProviderProblem(`publishes keys for ${published}, but algorithms says ${fitting}`);
  }
  const served = namesOf(usable).filter((algorithm) => listed.includes(algorithm));
  const { skipped } = keys;
  const left =
    skipped.length === 0 ? "" : `; ${skipped.length} cannot be used (${describeSkipped(skipped)})`;
  const count = `${usable.length} ${usable.length === 1 ? "key" : "keys"}`;
  return `publishes ${count} for ${served.join(", ")}${left}`;
}

function namesOf(keys: readonly { readonly algorithms: readonly string[] }[]): readonly string[] {
  return [...new Set(keys.flatMap(({ algorithms }) => algorithms))];
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "no reason given";
  const { cause } = error;
  return cause instanceof Error && "code" in cause ? String(cause.code) : error.message;
}
