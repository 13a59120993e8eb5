/**
 * The published tables of the reduction: `npm run build && node dist/scripts/reduction-table.js [errors|tolerances|time]`
 * (all three by default; `time` needs about 5 minutes on two cores).
 */

import { contestLayers } from "../converter/choose/layers.ts";
import { type ReduceOptions, reduceKernels } from "../converter/reduce/reduce.ts";
import type { Kernels } from "../converter/solve/form.ts";
import { oneOf, readArguments } from "./arguments.ts";
import { randomRpe, referenceCases } from "./random-kernels.ts";

/** What the prototype gives on the reference cases, in their order; measured with NumPy 2.4. */
const PROTOTYPE: readonly {
  /** Relative error at each of ORDERS: float64, and with basis and residues in float32. */
  readonly errors: readonly (readonly [float64: number, float32: number])[];
  /** Smallest order within each of TOLERANCES, float64; undefined: none up to 72. */
  readonly orders: readonly (number | undefined)[];
}[] = [
  {
    errors: [
      [7.3e-4, 7.3e-4],
      [5.0e-5, 5.0e-5],
      [2.4e-6, 2.7e-6],
      [4.3e-7, 2.3e-6],
    ],
    orders: [8, 13, 20],
  },
  {
    errors: [
      [9.0e-4, 9.0e-4],
      [1.2e-4, 1.2e-4],
      [1.6e-5, 1.6e-5],
      [2.7e-6, 2.7e-6],
    ],
    orders: [8, 18, 36],
  },
  {
    errors: [
      [7.0e-4, 7.0e-4],
      [7.0e-5, 7.0e-5],
      [3.5e-6, 3.6e-6],
      [8.2e-7, 1.1e-6],
    ],
    orders: [7, 15, 23],
  },
  {
    errors: [
      [6.5e-4, 6.5e-4],
      [1.1e-4, 1.1e-4],
      [1.6e-5, 1.6e-5],
      [3.7e-6, 3.7e-6],
    ],
    orders: [8, 17, 37],
  },
  {
    errors: [
      [7.6e-4, 7.6e-4],
      [3.3e-4, 3.3e-4],
      [1.3e-4, 1.3e-4],
      [5.6e-5, 5.6e-5],
    ],
    orders: [8, 40, 62],
  },
  {
    errors: [
      [3.3e-3, 3.3e-3],
      [1.5e-3, 1.5e-3],
      [2.3e-4, 2.3e-4],
      [5.3e-5, 5.3e-5],
    ],
    orders: [20, 27, 65],
  },
];
const ORDERS = [8, 16, 32, 48];
const TOLERANCES = [1e-3, 1e-4, 1e-5];

const METHODS: readonly (readonly [string, ReduceOptions])[] = [
  ["Ho–Kalman, float32", { refinements: 0 }],
  ["refined, float32", {}],
  ["refined, float64", { precision: "float64" }],
];

const row = (...cells: (string | number)[]) => console.log(`| ${cells.join(" | ")} |`);
const header = (...cells: string[]) => {
  row(...cells);
  row(...cells.map(() => "---"));
};
const figure = (x: number) => x.toExponential(1);

const TABLES = ["errors", "tolerances", "time"] as const;
const { positionals } = readArguments(`reduction-table [${TABLES.join("|")}]`, {}, { most: 1 });
const wanted = positionals[0] && oneOf("the table", TABLES, positionals[0]);

if (!wanted || wanted === "errors") {
  console.log("Relative error at a given order, on the prototype's own six random RPEs (width 64, 256 channels)\n");
  header("γ", "lags", "order", "prototype, float64", "prototype, float32", ...METHODS.map(([name]) => name));
  referenceCases().forEach(({ decay, lags, kernels }, which) => {
    ORDERS.forEach((order, i) => {
      const ours = METHODS.map(([, options]) => figure(reduceKernels(kernels, { order }, options).error));
      row(decay, lags, order, ...PROTOTYPE[which]!.errors[i]!.map(figure), ...ours);
    });
  });
}

if (!wanted || wanted === "tolerances") {
  console.log("\nSmallest order within a tolerance, on the same kernels (– : not within 72 poles)\n");
  header("γ", "lags", "tolerance", "prototype, float64", ...METHODS.map(([name]) => name));
  referenceCases().forEach(({ decay, lags, kernels }, which) => {
    TOLERANCES.forEach((tolerance, i) => {
      const ours = METHODS.map(([, options]) => {
        const { order, met } = reduceKernels(kernels, { tolerance, maxOrder: 72 }, options);
        return met ? order : "–";
      });
      row(decay, lags, figure(tolerance), PROTOTYPE[which]!.orders[i] ?? "–", ...ours);
    });
  });
}

if (!wanted || wanted === "time") {
  console.log("\n6 layers of 1 536 channels, tolerance 1e-5, γ = 0.999, reduced and certified in 2 threads\n");
  header("lags", "orders", "s", "CPU s, both threads", "kernels of one layer, MB", "peak memory so far, MB");
  for (const lags of [512, 2048, 8192, 16384]) {
    const started = performance.now();
    const cpu = process.cpuUsage();
    let making = 0;
    const tasks = [1, 2, 3, 4, 5, 6].map((seed) => () => {
      const before = performance.now();
      const kernels: Kernels = randomRpe(lags, 1536, 0.999, seed);
      making += performance.now() - before;
      return { kernels, shared: { tolerance: 1e-5 }, diagonal: false };
    });
    const results = await contestLayers(tasks);
    const seconds = (performance.now() - started) / 1e3;
    const orders = results.map(({ shared }) => shared!.reduction.order).join(", ");
    const megabytes = ((lags * 1536 * 8) / 2 ** 20).toFixed(0);
    row(
      lags,
      orders,
      `${seconds.toFixed(1)} (of which making kernels ${(making / 1e3).toFixed(1)})`,
      (process.cpuUsage(cpu).user / 1e6).toFixed(1),
      megabytes,
      (process.resourceUsage().maxRSS / 1024).toFixed(0),
    );
  }
}
