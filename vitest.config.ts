import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{src,converter,runtime,test,scripts}/**/*.test.ts"],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    maxWorkers: 2,
    // transformers.js and Python open ONNX Runtime by themselves
    env: { ORT_DISABLE_TELEMETRY: "1" },
  },
});
