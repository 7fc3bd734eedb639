// The key-encryption keys of a secrets file: the one that seals, and the one that it takes over from.
import { type EncryptionKey, readEncryptionKey } from "../../src/config/sealing.ts";
import { UsageError } from "../config-file.ts";
import { readSecretsFile } from "../secrets-file.ts";

const CURRENT = "KEY_ENCRYPTION_KEY";
const PREVIOUS = "KEY_ENCRYPTION_KEY_PREVIOUS";

export interface EncryptionKeys {
  readonly current: EncryptionKey;
  /** Null outside a rotation. */
  readonly previous: EncryptionKey | null;
}

/** Throws `UsageError`. */
export async function readEncryptionKeys(file: string): Promise<EncryptionKeys> {
  const secrets = await readSecretsFile(file);
  const read = async (name: string): Promise<EncryptionKey | null> => {
    const text = secrets[name] ?? "";
    if (text === "") return null;
    const key = await readEncryptionKey(text);
    if (key !== null) return key;
    throw new UsageError(
      `${name} in ${file} is not a symmetric JWK of 256 bits with a kid: 'npm run --silent gateway -- seal --new-key' prints one.`,
    );
  };
  const [current, previous] = [await read(CURRENT), await read(PREVIOUS)];
  if (current === null) {
    throw new UsageError(
      `${CURRENT} is not in ${file}: 'npm run --silent gateway -- seal --new-key' prints one to put there.`,
    );
  }
  if (current.kid !== previous?.kid) return { current, previous };
  throw new UsageError(
    `${CURRENT} and ${PREVIOUS} in ${file} have the same kid, '${current.kid}', so it cannot be told which of them a key is under.`,
  );
}
