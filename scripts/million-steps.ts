/** Running sums and means after a million steps, against float64, and memory: `node dist/scripts/million-steps.js [--steps N]`. */
import { uniform } from "../src/random.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { longRun } from "./long-run.ts";

const { values } = readArguments("million-steps [--steps N]", { steps: { type: "string", default: "1000000" } });
const steps = wholeNumber("--steps", values.steps);
const start = performance.now();
const { apart, early, late } = await longRun(steps, 1000, uniform(3));
const seconds = (performance.now() - start) / 1000;
for (const [name, value] of Object.entries(apart))
  console.log(`${name.padEnd(8)} ${value.toExponential(1)} from float64`);
const mb = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
console.log(`memory   ${mb(early)} MB after a tenth of the steps, ${mb(late)} MB after all`);
console.log(`${steps} steps in ${seconds.toFixed(0)} s`);
process.exitCode = Object.values(apart).some((value) => value > 1e-4) ? 1 : 0;
