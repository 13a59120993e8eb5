/** 1 000 random kernel matrices: is the certificate ever exceeded? `npm run build && node dist/scripts/certify-fuzz.js [count]` */

import { reduceKernels, type Target } from "../converter/reduce/reduce.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { failuresOf } from "./certificate-check.ts";
import { AWKWARD, awkwardKernels } from "./random-kernels.ts";

const { positionals } = readArguments("certify-fuzz [COUNT]", {}, { most: 1 });
const count = wholeNumber("COUNT", positionals[0] ?? "1000");
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
process.exitCode = failed ? 1 : 0;
