// Holes in the secrets that go with a config. Says names, never values.
import { CompactSign, compactVerify, importJWK, type JWK } from "jose";
import { createSigner } from "../../src/audit/sign.ts";
import { createEncryptionKeys } from "../../src/config/credentials.ts";
import { type ConfigDocument, CREDENTIALS, type StoredKey } from "../../src/config/schema.ts";
import { type EncryptionKey, SealingProblem, unseal } from "../../src/config/sealing.ts";
import type { Path } from "../config-file.ts";
import { type Secrets, secretsNeeded } from "../secrets-file.ts";
import { type Hole, tenantAnd } from "./hole.ts";
import { isPrinted } from "./keys.ts";
import { sharedKeyHoles } from "./shared-keys.ts";
import { secondIsFirst } from "./tenants.ts";

/** Of a paid Worker, variables and secrets together. */
const WORKER_SECRETS = 128;
/** Of a key for pseudonyms; a shorter one is found by trying. */
const SUBJECT_KEY_CHARACTERS = 16;

export async function secretHoles(config: ConfigDocument, secrets: Secrets): Promise<Hole[]> {
  const keys = await createEncryptionKeys((name) => secrets[name])();
  const opened = await openAll(config, secrets, "value" in keys ? keys.value : []);
  return [
    ...missing(config, secrets),
    ...("problem" in keys
      ? encryptionKey(keys.problem, opened)
      : opened.flatMap(({ hole }) => hole ?? [])),
    ...(await signingKey(secrets)),
    ...subjectKey(config, secrets),
    ...sameKey(config, opened),
    ...tooMany(config),
  ];
}

/** Of the whole deployment, and so of no member. */
function ofNone(id: string, message: string, cure: string): Hole {
  return { id, path: [], message, cure };
}

function missing(config: ConfigDocument, secrets: Secrets): Hole[] {
  const isSet = (name: string): boolean => (secrets[name] ?? "") !== "";
  const needs = secretsNeeded(config).filter(({ name }) => !isSet(name));
  return [...Map.groupBy(needs, ({ name }) => name)].flatMap(([name, [first, ...more]]): Hole[] => {
    // The one before it may still open everything; where it does not, that is said.
    if (name === "KEY_ENCRYPTION_KEY" && isSet("KEY_ENCRYPTION_KEY_PREVIOUS")) return [];
    if (first === undefined) return [];
    const tenants = new Set([first, ...more].map(({ tenant }) => tenant));
    return [
      {
        id: "secret-missing",
        path: ["tenants", first.tenant, first.member],
        message: `the secret ${name} is not set, so the gateway answers 503 for ${tenantAnd(first.tenant, tenants.size)}`,
        cure: `set it: npx wrangler secret put ${name}, and a line ${name}=… in the file for here`,
      },
    ];
  });
}

interface Opened {
  readonly tenant: string;
  readonly path: Path;
  readonly isSealed: boolean;
  /** It is itself what the upstream gets, and not what a token is fetched with. */
  readonly isSent: boolean;
  /** The plain key, where it could be had. */
  readonly key: string | null;
  readonly hole: Hole | null;
}

async function openAll(
  { tenants }: ConfigDocument,
  secrets: Secrets,
  keys: readonly EncryptionKey[],
): Promise<readonly Opened[]> {
  const all = Object.entries(tenants).flatMap(([tenant, entry]) =>
    CREDENTIALS.flatMap((member) => {
      const credential = entry[member];
      if (credential === undefined) return [];
      const isSent = !("client_credentials" in credential);
      const stored = isSent ? credential : credential.client_credentials.client_secret;
      return [{ tenant, path: ["tenants", tenant, member], isSent, stored }];
    }),
  );
  return await Promise.all(
    all.map(async ({ stored, ...held }): Promise<Opened> => {
      const { key, hole } = await open(stored, held, secrets, keys);
      const bad = key === null || !held.isSent ? null : unsendable(key, held.path);
      return { ...held, isSealed: "sealed" in stored, key, hole: hole ?? bad };
    }),
  );
}

async function open(
  stored: StoredKey,
  { tenant, path }: Pick<Opened, "tenant" | "path">,
  secrets: Secrets,
  keys: readonly EncryptionKey[],
): Promise<Pick<Opened, "key" | "hole">> {
  if ("secret" in stored) return { key: secrets[stored.secret] || null, hole: null };
  // Without any key nothing opens, which is said once.
  if (keys.length === 0) return { key: null, hole: null };
  try {
    return { key: await unseal(keys, tenant, stored.sealed), hole: null };
  } catch (error) {
    if (!(error instanceof SealingProblem)) throw error;
    const message = `${error.message}, so the gateway answers 503 for tenant ${tenant}`;
    const cure = "seal it again for this tenant: npm run gateway -- seal";
    return { key: null, hole: { id: "sealed-unopened", path, message, cure } };
  }
}

function unsendable(key: string, path: Path): Hole | null {
  if (/^[ -~]+$/.test(key.trim())) return null;
  const message = "the key has characters that no header can carry, so it cannot be sent";
  return { id: "key-unsendable", path, message, cure: "copy it again, without line breaks" };
}

/** Said of the first that is sealed; where nothing is, nobody misses it. */
function encryptionKey(problem: string, opened: readonly Opened[]): Hole[] {
  const sealed = opened.find(({ isSealed }) => isSealed);
  if (sealed === undefined) return [];
  const message = `${problem}, so no sealed key opens`;
  const cure = "make one: npm run gateway -- seal --new-key";
  return [{ id: "encryption-key-malformed", path: sealed.path, message, cure }];
}

/** One that is not there is no hole: `npm start` makes one. */
async function signingKey({ AUDIT_SIGNING_KEY: key }: Secrets): Promise<Hole[]> {
  if (key === undefined) return [];
  const cure = "make one: npm run --silent audit-key";
  const signer = createSigner(key);
  if (signer === null) {
    const message =
      "AUDIT_SIGNING_KEY is not a private Ed25519 JWK with a kid: the gateway serves nobody";
    return [ofNone("signing-key-malformed", message, cure)];
  }
  if (signer.publicKeys.keys.some(isPrinted)) {
    const message =
      "AUDIT_SIGNING_KEY is an example out of a standard: everybody has it, and can sign a false log";
    return [ofNone("signing-key-of-everybody", message, cure)];
  }
  if (await isPair(JSON.parse(key) as JWK)) return [];
  const message =
    "the two halves of AUDIT_SIGNING_KEY are not of one key, so no signature in the log will hold";
  return [ofNone("signing-key-malformed", message, cure)];
}

async function isPair(jwk: JWK): Promise<boolean> {
  const { d: _, ...open } = jwk;
  try {
    const signing = await importJWK(jwk, "EdDSA");
    const jws = await new CompactSign(new Uint8Array(1))
      .setProtectedHeader({ alg: "EdDSA" })
      .sign(signing);
    await compactVerify(jws, await importJWK(open, "EdDSA"));
    return true;
  } catch {
    return false;
  }
}

function subjectKey({ tenants }: ConfigDocument, { AUDIT_SUBJECT_KEY: key = "" }: Secrets): Hole[] {
  const [first] = Object.entries(tenants).find(([, { audit }]) => audit.subject === "hmac") ?? [];
  if (first === undefined || key === "" || key.length >= SUBJECT_KEY_CHARACTERS) return [];
  return [
    {
      id: "subject-key-short",
      path: ["tenants", first, "audit"],
      message: `AUDIT_SUBJECT_KEY has ${key.length} characters, so whoever has the log can find it by trying, and then the people`,
      cure: "take a long random text, such as openssl rand -base64 32 gives",
    },
  ];
}

/** The same key under two names. */
function sameKey(config: ConfigDocument, opened: readonly Opened[]): Hole[] {
  const held = opened.flatMap(({ tenant, path, isSent, key }) =>
    isSent && key !== null ? [{ tenant, path, member: String(path.at(-1)), name: key }] : [],
  );
  const proofs = [...Map.groupBy(held, ({ name }) => name).values()].flatMap((holders) => {
    const [one, other] = new Set(holders.map(({ tenant }) => tenant));
    if (other === undefined) return [];
    return holders
      .filter(({ tenant }) => config.tenants[tenant]?.ownership.source === "credential")
      .map(({ tenant, path }) => ({
        id: "same-key",
        path,
        message: `this is the very key of tenant ${tenant === one ? other : one}, so to have it proves nothing`,
        cure: "give each of them an upstream key of its own",
      }));
  });
  const firsts = new Map(
    held.filter(({ member }) => member === "credential").map(({ tenant, name }) => [tenant, name]),
  );
  const seconds = held
    .filter(({ member }) => member === "second_credential")
    .filter(({ tenant, name }) => firsts.get(tenant) === name)
    .map(({ path }) => secondIsFirst(path.slice(0, -1)));
  return [...proofs, ...seconds, ...sharedKeyHoles(config, held)];
}

function tooMany(config: ConfigDocument): Hole[] {
  const names = new Set(secretsNeeded(config).map(({ name }) => name));
  if (names.size <= WORKER_SECRETS) return [];
  const message = `the config names ${names.size} secrets, and a Worker has room for ${WORKER_SECRETS}`;
  return [
    ofNone("too-many-secrets", message, "seal the keys into the config: npm run gateway -- seal"),
  ];
}
