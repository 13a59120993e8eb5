/** The program of a process that times two models for its caller, and ends. */
import { answerCall } from "../process/child.ts";
import type { Said } from "./apart.ts";
import { bench } from "./bench.ts";
import type { BenchOptions } from "./report.ts";

answerCall(async ({ args }, _, say: (said: Said) => void) => {
  const [original, converted, options] = args as [string, string, BenchOptions];
  const onProgress: BenchOptions["onProgress"] = (step, done, total) => say({ step, done, total });
  return { value: await bench(original, converted, { ...options, onProgress, onRemark: (remark) => say({ remark }) }) };
});
