import { defineConfig } from "vitest/config";

// The operator's commands as processes of their own, on this machine's Node: side by side, since none of
// them is timed.
export default defineConfig({
  test: {
    include: ["test/cli/*.test.ts"],
    testTimeout: 240_000,
    hookTimeout: 120_000,
  },
});
