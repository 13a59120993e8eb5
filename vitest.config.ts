import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/longest-first.ts";

export default defineConfig({
  test: {
    include: ["{src,converter,runtime,test,scripts}/**/*.test.ts"],
    // ends what hangs, and nothing else: no test is judged by its time, on a machine however busy
    testTimeout: 3_600_000,
    hookTimeout: 3_600_000,
    // one more than two cores: a worker often waits for a process that it started
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // transformers.js and Python open ONNX Runtime by themselves
    env: { ORT_DISABLE_TELEMETRY: "1" },
  },
});
