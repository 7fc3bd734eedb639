// The sample config with the addresses of a simulator that is running, and the keys that go with it.
import { join } from "node:path";
import { parseConfig, readText } from "../../cli/config-file.ts";
import type { ConfigDocument } from "../../src/config/schema.ts";

const FILE = join(import.meta.dirname, "../sample.config.jsonc");
/** As the file has it, so that it can be read, and served with `--config`, as it stands. */
const WRITTEN_ORIGIN = "http://127.0.0.1:8788";

export const SAMPLE_SECRETS = {
  UPSTREAM_KEY_ACME: "sk-local-acme",
  UPSTREAM_KEY_GLOBEX: "sk-local-globex",
} as const;
export const SAMPLE_AUDIENCE = "stopgate";

export async function sampleConfig(simulatorOrigin: string): Promise<ConfigDocument> {
  const text = await readText(FILE);
  return parseConfig("sample.config.jsonc", text.replaceAll(WRITTEN_ORIGIN, simulatorOrigin));
}
