/** 1 000 random kernel matrices: is the certificate ever exceeded? `npm run build && node dist/scripts/certify-fuzz.js [count]` */

import { certify } from "../converter/certify/certify.ts";
import { reduceKernels, type Target } from "../converter/reduce/reduce.ts";
import { failuresOf, recurrence } from "./certificate-check.ts";
import { AWKWARD, awkwardKernels, randomRpe } from "./random-kernels.ts";

const count = Number(process.argv[2] ?? 1000);
let failed = 0;
const started = performance.now();
for (let seed = 0; seed < count; seed++) {
  const kind = AWKWARD[seed % AWKWARD.length]!;
  const kernels = awkwardKernels(kind, seed);
  const target: Target =
    seed % 2 ? { order: 1 + ((seed >> 1) % 24) } : { tolerance: 10 ** -(1 + (seed % 6)), maxOrder: 48 };
  const failures = failuresOf(kernels, reduceKernels(kernels, target), seed);
  if (failures.length) {
    failed++;
    console.log(
      `${kind}, seed ${seed}, ${JSON.stringify(target)}:\n  ${[...new Set(failures)].slice(0, 5).join("\n  ")}`,
    );
  }
}
console.log(
  `${count} kernel matrices, ${failed} exceed their certificate (${((performance.now() - started) / 1e3).toFixed(0)} s)`,
);

console.log("\ndrift of 100 000 float32 steps against float64, random inputs |x| ≤ 1 (worst of 8 channels)");
for (const decay of [0.99, 0.999, 1]) {
  const kernels = randomRpe(512, 8, decay, 5);
  const { modal, order } = reduceKernels(kernels, { tolerance: 1e-5 });
  const { roundoff } = certify(kernels, modal);
  let [worst, bound] = [0, 0];
  for (let c = 0; c < kernels.channels; c++) {
    const [single, double] = [recurrence(modal, c, "float32"), recurrence(modal, c, "float64")];
    for (let i = 0; i < 100_000; i++) {
      const x = Math.fround(Math.sin(i * i * 0.37 + c));
      worst = Math.max(worst, Math.abs(single(x) - double(x)));
    }
    bound = Math.max(bound, roundoff.bound[c]!);
  }
  if (!(worst <= bound)) failed++;
  console.log(`γ ${decay}, order ${order}: measured ${worst.toExponential(1)}, certified ${bound.toExponential(1)}`);
}
process.exitCode = failed ? 1 : 0;
