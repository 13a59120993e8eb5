import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/longest-first.ts";

/** Tests that replace modules, or change what belongs to the whole process. */
const APART = [
  "src/cli/terminal.test.ts",
  "converter/apart/apart.test.ts",
  "converter/file/write.test.ts",
  "converter/output/output.test.ts",
  "runtime/node/direct/session.test.ts",
  "runtime/web/files.test.ts",
  "scripts/arguments.test.ts",
];

export default defineConfig({
  test: {
    // ends what hangs, and nothing else: no test is judged by its time, on a machine however busy
    testTimeout: 3_600_000,
    hookTimeout: 3_600_000,
    // two more than two cores: a worker often waits for a process that it started
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    // transformers.js and Python open ONNX Runtime by themselves
    env: { ORT_DISABLE_TELEMETRY: "1" },
    projects: [
      {
        extends: true,
        test: {
          name: "shared",
          include: ["{src,converter,runtime,test,scripts}/**/*.test.ts"],
          exclude: APART,
          isolate: false,
          setupFiles: "test/one-thread.ts",
        },
      },
      { extends: true, test: { name: "apart", include: APART } },
    ],
  },
});
