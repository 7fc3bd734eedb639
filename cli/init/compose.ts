// The answers → a config that passes the gateway's schema and has no hole, or the reason why there is none.
import { checkSource, parseSource, UsageError } from "../config-file.ts";
import { findHoles } from "../holes.ts";
import type { Secrets } from "../secrets-file.ts";
import { readLocalKey } from "../token/local-key.ts";
import { readTiers } from "../worker-config.ts";
import type { Answers } from "./answers.ts";
import { type ConfigParts, configText } from "./config-text.ts";
import { issuerText, withAccess } from "./issuers.ts";

export interface Surroundings extends Omit<ConfigParts, "hasStandardRate"> {
  /** What the secrets file holds, or will. */
  readonly secrets: Secrets;
}

/** Throws `UsageError` when the answers make a hole together. */
export async function composeConfig(
  answers: Answers,
  { secrets, ...parts }: Surroundings,
): Promise<string> {
  const { issuer, tenant, access: auditors } = answers;
  const localKey = issuer.kind === "local" ? await readLocalKey(secrets) : null;
  const users = await issuerText(issuer, tenant, localKey?.publicJwk ?? null);
  const issuers = auditors === null ? users : await withAccess(auditors, tenant, users);
  const tiers = await readTiers();
  const hasStandardRate = tiers?.has("RATE_STANDARD") === true;
  const text = configText(answers, issuers, { ...parts, hasStandardRate });
  await assertSound(text, tiers);
  return text;
}

/** What the schema refuses is a mistake made here. */
async function assertSound(text: string, tiers: ReadonlySet<string> | null): Promise<void> {
  const source = parseSource(text);
  const { document, problems } = checkSource(source);
  if (document === null || source.tree === null) {
    throw new Error(`the config does not pass: ${problems[0]?.message}\n${text}`);
  }
  const [hole] = await findHoles(source.tree, document, { tiers, secrets: null });
  if (hole === undefined) return;
  throw new UsageError(
    `Nothing was written: with these answers ${hole.message} [${hole.id}].\n    → ${hole.cure}.`,
  );
}
