import { defineConfig } from "vitest/config";

// Real servers, real clients: one file at a time, since they share two cores.
export default defineConfig({
  test: {
    include: ["test/e2e/*.test.ts"],
    fileParallelism: false,
    testTimeout: 240_000,
    hookTimeout: 120_000,
  },
});
