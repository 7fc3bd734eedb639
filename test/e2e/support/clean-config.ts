// A config that has no hole, and the secrets that go with it, for holes to be planted in.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type LintOptions, type LintReport, lint } from "../../../cli/lint.ts";
import { newSigningKey } from "../../../cli/signing-key.ts";
import { readTiers } from "../../../cli/worker-config.ts";
import { createKey } from "../../../dev/issuer.ts";
import { readEncryptionKey, seal } from "../../../src/config/sealing.ts";
import { temporaryFolder } from "./black-box.ts";

export const { publicJwk } = await createKey("ES256");
/** A key-encryption key of that name, as its secret has it. */
export const kekText = (kid: string): string =>
  JSON.stringify({ kty: "oct", kid, k: Buffer.alloc(32, kid).toString("base64url") });
const kek = await readEncryptionKey(kekText("now"));
const gone = await readEncryptionKey(kekText("gone"));
if (kek === null || gone === null) throw new Error("no key");
export const SEALED = await seal(kek, "globex", "sk-globex");
/** Under a key that is gone, and for another tenant. */
export const SEALED_WRONG = [
  await seal(gone, "globex", "sk-globex"),
  await seal(kek, "acme", "sk-globex"),
];

/** A member a line. */
export const CLEAN = `{
  "issuers": [
    {
      "issuer": "https://id.acme.com/",
      "jwks_uri": "https://id.acme.com/keys",
      "audiences": ["https://stop.acme.com"],
      "algorithms": ["ES256"],
      "tenant": { "claim": "org_id", "allow": ["acme", "initech"] },
      "scopes_claim": "scope",
      "granted_scopes": ["profile"]
    },
    {
      "issuer": "https://id.globex.com/",
      "jwks": { "keys": [${JSON.stringify(publicJwk)}] },
      "algorithms": ["ES384", "ES256"],
      "audiences": ["https://stop.globex.com"],
      "tenant": { "fixed": "globex" }
    }
  ],
  "upstreams": {
    "openai": { "kind": "openai-responses", "base_url": "https://api.openai.com/v1" },
    "threads": { "kind": "assistants", "base_url": "https://threads.acme.com/v1" }
  },
  "tenants": {
    "acme": {
      "upstream": "openai",
      "credential": { "secret": "OPENAI_KEY_ACME" },
      "second_credential": { "secret": "OPENAI_KEY_ACME_NEXT" },
      "ownership": { "source": "metadata", "tenant_key": "tenant", "subject_key": "user" },
      "rules": [
        { "id": "frozen", "effect": "deny", "scopes": ["intern"], "runs": "tenant" },
        { "id": "owner", "scopes": ["stop"], "runs": "own" },
        { "id": "help", "scopes": ["stop"], "runs": "tenant", "reason_required": true },
        { "id": "old", "scopes": ["clean"], "runs": "tenant", "max_age_seconds": 60 }
      ],
      "rate": "standard",
      "redact": ["instructions"],
      "origins": ["https://app.acme.com"],
      "audit": { "subject": "clear" }
    },
    "globex": {
      "upstream": "threads",
      "credential": { "sealed": "${SEALED}" },
      "ownership": { "source": "credential" },
      "rules": [{ "id": "all", "scopes": ["stop"], "runs": "tenant" }]
    },
    "initech": {
      "upstream": "openai",
      "credential": { "secret": "OPENAI_KEY_INITECH" },
      "ownership": { "source": "grant" },
      "rules": [{ "id": "granted", "scopes": ["stop"], "runs": "own", "assistants": ["asst_1"] }]
    }
  }
}
`;
export const SECRETS: Readonly<Record<string, string>> = {
  OPENAI_KEY_ACME: "sk-acme",
  OPENAI_KEY_ACME_NEXT: "sk-acme-2",
  OPENAI_KEY_INITECH: "sk-initech",
  KEY_ENCRYPTION_KEY: kekText("now"),
  AUDIT_SIGNING_KEY: await newSigningKey(),
};

const folder = await temporaryFolder();
const tiers = await readTiers();

/** What lint says of a file with this text. */
export async function lintOf(
  text: string,
  options: Partial<LintOptions> = {},
): Promise<LintReport> {
  const file = join(folder.path, "gateway.jsonc");
  await writeFile(file, text);
  const usual = { online: false, allow: [], secrets: SECRETS, tiers, fetch };
  return await lint(file, { ...usual, ...options });
}

export const removeFolder = (): Promise<void> => folder.remove();

/** Of a mark that is there, once or first. */
export function lineOf(text: string, mark: string): number {
  const offset = text.indexOf(mark);
  if (offset < 0) throw new Error(`no ${mark} in the text`);
  return text.slice(0, offset).split("\n").length;
}
