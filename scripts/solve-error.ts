/** Prints the errors of the exact solve that docs/parts/solve.md quotes: `node dist/scripts/solve-error.js`. */

import { estimateDecay } from "../converter/solve/decay.ts";
import { type Extension, solveEtsc } from "../converter/solve/etsc.ts";
import { solveError } from "../converter/solve/evaluate.ts";
import { signed } from "../src/random.ts";
import { FAMILIES, kernelsOf } from "../test/recurrence/families.ts";
import { convolve, runRecurrence } from "../test/recurrence/plain.ts";
import { noArguments } from "./arguments.ts";

noArguments("solve-error");

const EXTENSIONS: readonly Extension[] = ["alternating", "closing"];
/** Longer recurrences are run in float64 only: lags² · order operations take minutes. */
const LONGEST_FLOAT32 = 2048;

const number = (value: number): string => value.toExponential(1);
console.log("Relative errors ‖difference‖₂ / ‖right‖₂: kernel in float64; output of the float32 recurrence, n inputs.");
console.log("alternating is what the converter uses, closing the paper's extra tap, both at the estimated γ.\n");
console.log("| n | kernel | γ | γ^n | float64 alternating | float64 closing | float32 alternating | float32 closing |");
console.log("|---|---|---|---|---|---|---|---|");
for (const lags of [513, 2048, 16384]) {
  for (const name of Object.keys(FAMILIES)) {
    const kernels = kernelsOf([name], lags);
    const { decay, wrapAround } = estimateDecay(kernels);
    const forms = EXTENSIONS.map((extension) => solveEtsc(kernels, decay, extension));
    const float64 = forms.map((modal) => number(solveError(kernels, modal).relative));
    const float32 = forms.map((modal) => (lags > LONGEST_FLOAT32 ? "" : number(outputError(modal))));
    console.log(`| ${[lags, name, decay.toFixed(6), number(wrapAround), ...float64, ...float32].join(" | ")} |`);

    function outputError(modal: (typeof forms)[number]): number {
      const x = Float64Array.from({ length: lags }, signed(7)).map(Math.fround);
      const right = convolve(kernels, 0, x);
      const found = runRecurrence(modal, 0, x, Math.fround);
      const norm = (values: Float64Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
      return norm(found.map((y, i) => y - right[i]!)) / norm(right);
    }
  }
}
