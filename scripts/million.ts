/** A network of running sums and means over samples, and what they are in float64: what a long run is compared with. */
import { createBuilder, makeModel } from "../converter/graph/build.ts";
import type { Model } from "../converter/graph/graph.ts";
import { DataType } from "../converter/graph/tensor.ts";

/** Channels: small addends of one sign, addends of both, and some that are large. */
const SCALES = [0.1, 1, 100] as const;
export const CHANNELS = SCALES.length;
export const OUTPUTS = ["sum", "mean", "answer"] as const;

/** signal [batch, time, 3] → its running sum and mean [batch, time, 3], and its mean so far [batch, 3]. */
export function sumsModel(): Model {
  const b = createBuilder(18, ["signal", ...OUTPUTS]);
  const axis = b.ints("axis", 1);
  b.one("CumSum", ["signal", axis], {}, { outputs: ["sum"] });
  const time = b.one("Shape", ["signal"], { start: 1, end: 2 });
  const end = b.one("Squeeze", [time]);
  const positions = b.one("Range", [b.ints("first", 0), end, b.ints("one", 1)]);
  const counts = b.one("Add", [b.one("Cast", [positions], { to: DataType.FLOAT }), b.floats("one", [], [1])]);
  const column = b.one("Unsqueeze", [counts, b.ints("column", [1])]);
  b.one("Div", ["sum", column], {}, { outputs: ["mean"] });
  b.one("ReduceMean", ["signal", b.ints("time", [1])], { keepdims: 0 }, { outputs: ["answer"] });
  const info = (name: string, dims: (string | number)[]) => ({ name, type: DataType.FLOAT, dims });
  return makeModel({
    inputs: [info("signal", ["batch", "time", CHANNELS])],
    outputs: [
      ...[info("sum", ["batch", "time", CHANNELS]), info("mean", ["batch", "time", CHANNELS])],
      info("answer", ["batch", CHANNELS]),
    ],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: 18,
  });
}

/** Sums in float64 of what was drawn so far. */
export interface Sums {
  /** The next sample, [3] float32. */
  next(): Float32Array;
  /** What the outputs must be. */
  wanted(): Readonly<Record<(typeof OUTPUTS)[number], readonly number[]>>;
}

/** @param random of uniform numbers in [0, 1) */
export function sums(random: () => number): Sums {
  const totals = SCALES.map(() => 0);
  let count = 0;
  return {
    next() {
      const sample = Float32Array.from(SCALES, (scale, c) => (c === 1 ? 2 * random() - 0.9 : random()) * scale);
      count++;
      for (const [c, value] of sample.entries()) totals[c]! += value;
      return sample;
    },
    wanted() {
      const mean = totals.map((total) => total / count);
      return { sum: [...totals], mean, answer: mean };
    },
  };
}
