/** Regions for the proof's tests: small graphs that mix time, what is proven of them, and what they are in ONNX Runtime. */
import { analyse } from "../converter/analyse.ts";
import type { Builder } from "../converter/graph/build.ts";
import type { Model } from "../converter/graph/graph.ts";
import { float32Tensor, toNumbers } from "../converter/graph/tensor.ts";
import { openModel } from "../converter/ort/run.ts";
import type { Proof } from "../converter/prove/prove.ts";
import { CHANNELS, small } from "./small.ts";

/** A model x [b, n, 4] → y, from what `build` makes of the graph. */
export const region = (build: (b: Builder) => string): Model =>
  small({
    build(b) {
      b.add("Identity", [build(b)], {}, { outputs: ["y"] });
    },
  });

/** The proofs of a model's regions, in their order. */
export async function proofsOf(build: (b: Builder) => string): Promise<Proof[]> {
  const { proofs, regions, refusals } = await analyse(region(build));
  if (regions.length === 0) throw new Error(`no region: ${refusals.map(({ reason }) => reason).join("; ")}`);
  return [...proofs.regions.values()];
}

/** The length as a scalar, and what is made of it. */
export const lengthOf = (b: Builder): string => b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);

/** A size as a list of one. */
export const listed = (b: Builder, size: string): string => b.one("Unsqueeze", [size, b.ints("first", [0])]);

/** `later` behind a length that is beyond what is probed, else `sooner`. */
export const late = (b: Builder, sooner: string | number, later: string | number, border = 5000): string =>
  b.one("Where", [
    b.one("Greater", [lengthOf(b), b.ints("border", border)]),
    ...[later, sooner].map((size) => (typeof size === "number" ? b.ints("size", size) : size)),
  ]);

/** Taps [rows, 4] of kernels that die away slowly, so that what wraps around is seen. */
export const taps = (rows: number): Float32Array =>
  Float32Array.from({ length: rows * CHANNELS }, (_, i) => 0.9998 ** Math.floor(i / CHANNELS) * Math.cos(i * i + 1));

/** The first rows of a table, [size, 4]. */
export const rowsOf = (b: Builder, table: string, end: string, start = b.ints("start", [0])): string =>
  b.one("Slice", [table, start, end, b.ints("rows", [0])]);

/** The stream and a kernel [k, 4] transformed over so many points, multiplied, and back: [b, n, 4]. */
export const transformed = (b: Builder, kernel: string, points: string): string =>
  back(b, complexProduct(b, spectrumOf(b, "x", points), spectrumOf(b, kernel, points)));

/** The transform of [b, n, 4] or [k, 4] over so many points: [b, points, 4, 2]. */
export function spectrumOf(b: Builder, data: string, points: string): string {
  const axes = data === "x" ? [-1] : [0, -1];
  return b.one("DFT", [b.one("Unsqueeze", [data, b.ints("axes", axes)]), points], { axis: 1 });
}

/** The product of pairs of real and imaginary parts in the last axis. */
export function complexProduct(b: Builder, left: string, right: string): string {
  const parts = (z: string) => b.add("Split", [z, b.ints("halves", [1, 1])], { axis: -1 }, { outputs: 2 });
  const [[a, c], [d, e]] = [parts(left), parts(right)] as [[string, string], [string, string]];
  const re = b.one("Sub", [b.one("Mul", [a, d]), b.one("Mul", [c, e])]);
  const im = b.one("Add", [b.one("Mul", [a, e]), b.one("Mul", [c, d])]);
  return b.one("Concat", [re, im], { axis: -1 });
}

/** The first n positions of the inverse transform. */
export function back(b: Builder, spectrum: string): string {
  const whole = b.one("DFT", [spectrum], { axis: 1, inverse: 1 });
  const y = b.one("Slice", [whole, b.ints("start", [0]), listed(b, lengthOf(b)), b.ints("time", [1])]);
  return b.one("Gather", [y, b.ints("real", 0)], { axis: -1 });
}

/** Twice the length, as a scalar: points that do not wrap around. */
export const doubled = (b: Builder): string => b.one("Mul", [lengthOf(b), b.ints("two", 2)]);

/** y of a model in ONNX Runtime, [n × 4]. */
export async function answer(model: Model, x: Float32Array): Promise<Float64Array> {
  const runner = await openModel(model);
  const { y } = await runner.run({ x: float32Tensor([1, x.length / CHANNELS, CHANNELS], x) });
  await runner.close();
  return toNumbers(y!);
}

/** Largest departure of y from the convolution of x with kernels [lags × 4], in parts of the largest y. */
export function departure(x: Float32Array, kernels: Float32Array, y: Float64Array): number {
  const [n, lags] = [x.length / CHANNELS, kernels.length / CHANNELS];
  let [apart, largest] = [0, 0];
  for (let p = 0; p < n; p++)
    for (let c = 0; c < CHANNELS; c++) {
      let sum = 0;
      for (let lag = 0; lag < Math.min(lags, p + 1); lag++)
        sum += kernels[lag * CHANNELS + c]! * x[(p - lag) * CHANNELS + c]!;
      apart = Math.max(apart, Math.abs(sum - y[p * CHANNELS + c]!));
      largest = Math.max(largest, Math.abs(sum));
    }
  return apart / largest;
}
