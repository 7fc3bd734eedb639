import { defineConfig } from "vitest/config";

// Real servers, real clients: two files at a time, since they share two cores. Most of the time they wait.
export default defineConfig({
  test: {
    include: ["test/e2e/*.test.ts"],
    maxWorkers: 2,
    testTimeout: 240_000,
    hookTimeout: 120_000,
  },
});
