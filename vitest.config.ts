import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{src,converter,runtime,test,scripts}/**/*.test.ts"],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    maxWorkers: 2,
  },
});
