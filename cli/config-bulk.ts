// `npm run --silent config:bulk -- FILE`: checks a config and prints it for `wrangler kv bulk put`.
import { Command } from "commander";
import { BASE_KEY, tenantKey } from "../src/config/kv-keys.ts";
import { baseOf } from "../src/config/schema.ts";
import { readConfigFile, UsageError } from "./config-file.ts";

const command = new Command("npm run --silent config:bulk --")
  .description("Checks a config and prints the KV pairs that serve it, for wrangler kv bulk put.")
  .argument("<file>", "the config, as JSON with comments")
  .action(print);

await command.parseAsync();

async function print(file: string): Promise<void> {
  try {
    const config = await readConfigFile(file);
    const tenants = Object.entries(config.tenants).map(([id, tenant]) => ({
      key: tenantKey(id),
      value: JSON.stringify(tenant),
    }));
    const base = { key: BASE_KEY, value: JSON.stringify(baseOf(config)) };
    console.log(JSON.stringify([...tenants, base], null, 2));
  } catch (error) {
    console.error(error instanceof UsageError ? error.message : error);
    process.exitCode = 1;
  }
}
