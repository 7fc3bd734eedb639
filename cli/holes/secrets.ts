// Holes in the secrets that go with a config. Says names, never values.
import { createSigner } from "../../src/audit/sign.ts";
import { createEncryptionKeys } from "../../src/config/credentials.ts";
import {
  type ConfigDocument,
  CREDENTIALS,
  type Credential,
  type StoredKey,
} from "../../src/config/schema.ts";
import { type EncryptionKey, SealingProblem, unseal } from "../../src/config/sealing.ts";
import type { Path } from "../config-file.ts";
import { type Secrets, secretsNeeded } from "../secrets-file.ts";
import type { Hole } from "./hole.ts";

/** Of a paid Worker, variables and secrets together. */
const WORKER_SECRETS = 128;

export async function secretHoles(config: ConfigDocument, secrets: Secrets): Promise<Hole[]> {
  const lookUp = (name: string): string | undefined => secrets[name];
  const keys = await createEncryptionKeys(lookUp)();
  const broken =
    "problem" in keys
      ? [
          own(
            "encryption-key-malformed",
            keys.problem,
            "make one: npm run gateway -- seal --new-key",
          ),
        ]
      : [];
  const opened = await openAll(config, secrets, "value" in keys ? keys.value : []);
  return [
    ...missing(config, secrets),
    ...broken,
    ...signingKey(secrets),
    ...("value" in keys ? opened.flatMap(({ hole }) => hole ?? []) : []),
    ...sameKey(config, opened),
    ...tooMany(config),
  ];
}

function own(id: string, message: string, cure: string): Hole {
  return { id, path: [], message, cure };
}

function missing(config: ConfigDocument, secrets: Secrets): Hole[] {
  return secretsNeeded(config)
    .filter(({ name }) => (secrets[name] ?? "") === "")
    .map(({ name, tenant, member }) => ({
      id: "secret-missing",
      path: ["tenants", tenant, member],
      message: `the secret ${name} is not set, so the gateway answers 503 for tenant ${tenant}`,
      cure: `set it: npx wrangler secret put ${name}, and a line ${name}=… in the file for here`,
    }));
}

function signingKey({ AUDIT_SIGNING_KEY: key = "" }: Secrets): Hole[] {
  if (key === "" || createSigner(key) !== null) return [];
  const message =
    "AUDIT_SIGNING_KEY is not a private Ed25519 JWK with a kid: the gateway serves nobody";
  return [own("signing-key-malformed", message, "make one: npm run --silent audit-key")];
}

interface Opened {
  readonly tenant: string;
  readonly path: Path;
  /** The plain key, where it could be had. */
  readonly key: string | null;
  readonly hole: Hole | null;
}

async function openAll(
  config: ConfigDocument,
  secrets: Secrets,
  keys: readonly EncryptionKey[],
): Promise<readonly Opened[]> {
  const all = Object.entries(config.tenants).flatMap(([tenant, entry]) =>
    CREDENTIALS.flatMap((member) => {
      const credential = entry[member];
      return credential === undefined ? [] : [{ tenant, member, credential }];
    }),
  );
  return await Promise.all(
    all.map(async ({ tenant, member, credential }): Promise<Opened> => {
      const path = ["tenants", tenant, member];
      const stored = storedIn(credential);
      if ("secret" in stored) {
        const key = secrets[stored.secret] ?? "";
        return { tenant, path, key: key === "" ? null : key, hole: unsendable(key, path) };
      }
      try {
        const key = await unseal(keys, tenant, stored.sealed);
        return { tenant, path, key, hole: null };
      } catch (error) {
        if (!(error instanceof SealingProblem)) throw error;
        const cure = "seal it again for this tenant: npm run gateway -- seal";
        const hole = { id: "sealed-unopened", path, message: error.message, cure };
        return { tenant, path, key: null, hole };
      }
    }),
  );
}

function storedIn(credential: Credential): StoredKey {
  return "client_credentials" in credential
    ? credential.client_credentials.client_secret
    : credential;
}

function unsendable(key: string, path: Path): Hole | null {
  if (key === "" || /^[ -~]+$/.test(key.trim())) return null;
  const message = "the key has characters that no header can carry, so it cannot be sent";
  return { id: "key-unsendable", path, message, cure: "copy it again, without line breaks" };
}

/** Two names, one key: it proves no tenant after all. */
function sameKey({ tenants }: ConfigDocument, opened: readonly Opened[]): Hole[] {
  const byKey = Map.groupBy(
    opened.filter(({ key }) => key !== null),
    ({ key }) => key,
  );
  return [...byKey.values()].flatMap((holders) => {
    const others = new Set(holders.map(({ tenant }) => tenant));
    if (others.size < 2) return [];
    return holders
      .filter(({ tenant }) => tenants[tenant]?.ownership.source === "credential")
      .map(({ tenant, path }) => ({
        id: "same-key",
        path,
        message: `this is the very key of tenant ${[...others].find((other) => other !== tenant)}, so to have it proves nothing`,
        cure: "give each of them an upstream key of its own",
      }));
  });
}

function tooMany(config: ConfigDocument): Hole[] {
  const names = new Set(secretsNeeded(config).map(({ name }) => name));
  if (names.size <= WORKER_SECRETS) return [];
  const message = `the config names ${names.size} secrets, and a Worker has room for ${WORKER_SECRETS}`;
  return [
    own("too-many-secrets", message, "seal the keys into the config: npm run gateway -- seal"),
  ];
}
