// The provider's key endpoint: one request, bounded in time and size, never redirected.
import { readBytes } from "../http/body.ts";
import { VERSION } from "../version.ts";

/** Some take three seconds when they have not been asked for a while. */
export const FETCH_TIMEOUT_MS = 4_000;
/** A Kubernetes API server answers 406 to those who do not take the second (RFC 7517 §8.5.2). */
const ACCEPT = "application/json, application/jwk-set+json, */*;q=0.1";
const DOCUMENT_BYTES = 64 * 1024;

/** Throws `Error` in words for the log; a provider's own text is not among them. */
export async function fetchKeyDocument(
  fetcher: typeof fetch,
  address: string,
): Promise<Uint8Array<ArrayBufferLike>> {
  const response = await fetcher(address, {
    // Without a User-Agent some providers' firewalls answer 403.
    headers: { accept: ACCEPT, "user-agent": `stopgate/${VERSION}` },
    redirect: "manual",
    // Keys are shared by `key-shelf.ts`, which knows how old they are; another cache would hide it.
    cache: "no-store",
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`the key endpoint answered ${response.status}`);
  }
  const bytes = await readBytes(response.body, DOCUMENT_BYTES);
  if (bytes === null) throw new Error("the key document is over 64 KiB");
  return bytes;
}
