// A tenant's credentials → where its upstream key comes from whenever one is sent. What is made here
// holds no key in the open: a dump of the loaded config shows functions.
import type { NextKey } from "../upstreams/call.ts";
import type { AccessTokens } from "./access-tokens.ts";
import type { Credential, StoredKey, TenantEntry } from "./schema.ts";
import { type EncryptionKey, readEncryptionKey, SealingProblem, unseal } from "./sealing.ts";

export type Loaded<T> = { readonly value: T } | { readonly problem: string };

export interface CredentialTools {
  /** The Worker's secret of that name. */
  readonly secret: (name: string) => string | undefined;
  readonly encryptionKeys: EncryptionKeys;
  readonly accessTokens: AccessTokens;
}

export type EncryptionKeys = () => Promise<Loaded<readonly EncryptionKey[]>>;

/** Two at once, so that sealed keys can be moved from one to the other without a gap. */
const ENCRYPTION_KEYS = ["KEY_ENCRYPTION_KEY", "KEY_ENCRYPTION_KEY_PREVIOUS"];

export function createEncryptionKeys(secret: (name: string) => string | undefined): EncryptionKeys {
  let read: Loaded<readonly EncryptionKey[]> | undefined;
  return async () => {
    read ??= await readEncryptionKeys(secret);
    return read;
  };
}

async function readEncryptionKeys(
  secret: (name: string) => string | undefined,
): Promise<Loaded<readonly EncryptionKey[]>> {
  const keys: EncryptionKey[] = [];
  for (const name of ENCRYPTION_KEYS) {
    const text = secret(name) ?? "";
    const key = text === "" ? null : await readEncryptionKey(text);
    if (key !== null) keys.push(key);
    else if (text !== "") {
      return { problem: `the secret ${name} is not a symmetric JWK of 256 bits with a kid` };
    }
  }
  return { value: keys };
}

/** The first credential's key, and the second's when the upstream has refused the first. */
export async function loadCredentials(
  tools: CredentialTools,
  tenant: string,
  { credential, second_credential }: Pick<TenantEntry, "credential" | "second_credential">,
): Promise<Loaded<NextKey>> {
  const first = await load(tools, tenant, credential);
  if ("problem" in first || second_credential === undefined) return first;
  const second = await load(tools, tenant, second_credential);
  if ("problem" in second) return second;
  return {
    value: async (refused, signal, defer) =>
      (await first.value(refused, signal, defer)) ?? (await second.value(refused, signal, defer)),
  };
}

async function load(
  tools: CredentialTools,
  tenant: string,
  credential: Credential,
): Promise<Loaded<NextKey>> {
  if (!("client_credentials" in credential)) {
    const stored = await loadStored(tools, tenant, credential);
    if ("problem" in stored) return stored;
    const { value: reveal } = stored;
    return {
      value: async (refused) => {
        const key = await reveal();
        return key === refused ? null : key;
      },
    };
  }
  const { token_url, client_id, client_secret, scope } = credential.client_credentials;
  const secret = await loadStored(tools, tenant, client_secret);
  if ("problem" in secret) return secret;
  const client = {
    tenant,
    tokenUrl: token_url,
    clientId: client_id,
    scope,
    secret: secret.value,
  };
  return {
    value: (refused, signal, defer) => tools.accessTokens(client, refused, signal, defer),
  };
}

/** Looked up, or opened, now to see that it can be, and again each time it is sent: it is not kept. */
async function loadStored(
  { secret, encryptionKeys }: CredentialTools,
  tenant: string,
  stored: StoredKey,
): Promise<Loaded<() => Promise<string>>> {
  if ("secret" in stored) {
    const value = secret(stored.secret) ?? "";
    if (value === "") return { problem: `the secret ${stored.secret} is not set` };
    return { value: async () => secret(stored.secret) ?? "" };
  }
  const keys = await encryptionKeys();
  if ("problem" in keys) return keys;
  const reveal = (): Promise<string> => unseal(keys.value, tenant, stored.sealed);
  try {
    await reveal();
    return { value: reveal };
  } catch (error) {
    if (error instanceof SealingProblem) return { problem: error.message };
    throw error;
  }
}
