/** Runs a row in ONNX Runtime, changes its inputs at one position, and tells at which places the outputs change. */

import { DataType, makeTensor, type Tensor, toNumbers } from "../../converter/graph/tensor.ts";
import { openModel, type Runner } from "../../converter/ort/run.ts";
import { axisOf, axisSize, dimsOf, type Layout, type Sizes } from "../../converter/time/facts/fact.ts";
import { uniform } from "../../src/random.ts";
import type { CaseModel, OperatorCase, ParsedInput } from "./case.ts";

export const SIZES: readonly Sizes[] = [
  { batch: 2, time: 3 },
  { batch: 3, time: 7 },
];

/** Values for a graph input. */
export function randomInput(
  { axes, type, below }: ParsedInput,
  sizes: Sizes,
  next: () => number,
  [low, high]: readonly [number, number],
): Tensor {
  const dims = dimsOf(axes, sizes);
  const size = dims.reduce((a, b) => a * b, 1);
  const whole = (limit: number) => Array.from({ length: size }, () => Math.floor(next() * limit));
  if (type === DataType.INT64) return makeTensor(type, dims, BigInt64Array.from(whole(below), BigInt));
  if (type === DataType.BOOL) return makeTensor(type, dims, Uint8Array.from(whole(2)));
  if (type === DataType.UINT8) return makeTensor(type, dims, Uint8Array.from(whole(below)));
  if (type === DataType.INT8) return makeTensor(type, dims, Int8Array.from(whole(below)));
  if (type === DataType.UINT32) return makeTensor(type, dims, Uint32Array.from(whole(8)));
  const real = Array.from({ length: size }, () => low + (high - low) * next());
  return type === DataType.DOUBLE
    ? makeTensor(type, dims, Float64Array.from(real))
    : makeTensor(DataType.FLOAT, dims, Float32Array.from(real));
}

/** For each element in row-major order, its index along a factor; undefined where the layout has none. */
export function placesOf(axes: Layout, factor: "batch" | "time", sizes: Sizes): Int32Array | undefined {
  if (axisOf(axes, factor) < 0) return undefined;
  const factors = axes.flat();
  const counts = factors.map((each) => axisSize([each], sizes));
  const at = factors.indexOf(factor);
  const inner = counts.slice(at + 1).reduce((a, b) => a * b, 1);
  const total = counts.reduce((a, b) => a * b, 1);
  return Int32Array.from({ length: total }, (_, i) => Math.floor(i / inner) % counts[at]!);
}

/** The tensor with other values at one position of one sequence (of all, where it has no batch axis). */
function changed(
  tensor: Tensor,
  input: ParsedInput,
  sizes: Sizes,
  position: number,
  sequence: number,
  fresh: Tensor,
): Tensor {
  const [times, batches] = [placesOf(input.axes, "time", sizes), placesOf(input.axes, "batch", sizes)];
  const data = tensor.data.slice() as Float32Array;
  for (let i = 0; i < data.length; i++)
    if ((times?.[i] ?? -1) === position && (batches?.[i] ?? sequence) === sequence)
      data[i] = (fresh.data as Float32Array)[i]!;
  return { ...tensor, data };
}

/** What came out at one size. */
export interface Observation {
  readonly sizes: Sizes;
  readonly dims: readonly (readonly number[])[];
  /** Elements of each output that changed, in all trials, and those that changed elsewhere than at the position. */
  readonly touched: number;
  readonly strayed: number;
}

const TRIALS = 4;

/** @param layouts of the outputs, as the rule has them */
export async function observe(
  each: OperatorCase,
  { model, inputs, outputs }: CaseModel,
  layouts: readonly Layout[],
  sizes: Sizes,
): Promise<Observation> {
  const runner: Runner = await openModel(model, { optimization: "disabled" });
  try {
    const next = uniform(7);
    let [touched, strayed] = [0, 0];
    let dims: (readonly number[])[] = [];
    for (let trial = 0; trial < TRIALS; trial++) {
      const draw = () =>
        Object.fromEntries(
          [...inputs].map(([name, input]) => [name, randomInput(input, sizes, next, each.range ?? [0.3, 0.9])]),
        );
      const [feeds, fresh] = [draw(), draw()];
      const [position, sequence] = [trial % sizes.time, trial % sizes.batch];
      const names = [...inputs].filter(([, input]) => axisOf(input.axes, "time") >= 0);
      const other = { ...feeds };
      for (const [name, input] of names)
        other[name] = changed(feeds[name]!, input, sizes, position, sequence, fresh[name]!);
      const shared = names.some(([, input]) => axisOf(input.axes, "batch") < 0);
      const [before, after] = [await runner.run(feeds), await runner.run(other)];
      dims = outputs.map((name) => before[name]!.dims);
      for (const [k, name] of outputs.entries()) {
        const [a, b] = [toNumbers(before[name]!), toNumbers(after[name]!)];
        const [times, batches] = [placesOf(layouts[k]!, "time", sizes), placesOf(layouts[k]!, "batch", sizes)];
        for (let i = 0; i < a.length; i++) {
          if (Object.is(a[i], b[i])) continue;
          touched++;
          const here = times?.[i] === position && (shared || (batches?.[i] ?? sequence) === sequence);
          if (!here) strayed++;
        }
      }
    }
    return { sizes, dims, touched, strayed };
  } finally {
    await runner.close();
  }
}
