import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { TEST_SECRETS } from "./test/support/secrets.ts";

export default defineConfig({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: { bindings: TEST_SECRETS },
    }),
  ],
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/e2e/**", "test/cli/**", "**/node_modules/**"],
    globalSetup: ["test/support/key-server.ts"],
    // By default a machine of two cores would use one of them.
    maxWorkers: 2,
    testTimeout: 20_000,
  },
});
