/** Small models [batch, time, channels] → y for tests: built, converted, and run beside the original in ORT. */
import { expect } from "vitest";
import type { Conversion, ConvertOptions } from "../converter/conversion.ts";
import { convert } from "../converter/convert.ts";
import { encodeModel } from "../converter/file/encode.ts";
import { type Builder, createBuilder, makeModel } from "../converter/graph/build.ts";
import type { Model, ValueInfo } from "../converter/graph/graph.ts";
import { LONGCONV_DOMAIN } from "../converter/graph/longconv.ts";
import { DataType, float32Tensor, type Tensor, toNumbers } from "../converter/graph/tensor.ts";
import { carried } from "../converter/ort/carried.ts";
import { openModel } from "../converter/ort/run.ts";
import { uniform } from "../src/random.ts";

export const CHANNELS = 4;
/** Kernels of 64 lags that die away. */
export const KERNEL = Float32Array.from(
  { length: 64 * CHANNELS },
  (_, i) => 0.9 ** Math.floor(i / CHANNELS) * Math.cos(i),
);

export interface Small {
  readonly time?: number | string;
  readonly opset?: number;
  readonly inputs?: readonly ValueInfo[];
  readonly outputDims?: ValueInfo["dims"];
  /** Outputs beside y. */
  readonly outputs?: readonly ValueInfo[];
  build(b: Builder): void;
}

/** A model [batch, time, 4] → y, from the nodes that `build` adds. */
export function small({ time = "n", opset = 18, inputs = [], outputDims, outputs = [], build }: Small): Model {
  const b = createBuilder(opset, ["x", "y", ...[...inputs, ...outputs].map(({ name }) => name)]);
  build(b);
  const batch = typeof time === "number" ? 1 : "b";
  return makeModel({
    inputs: [{ name: "x", type: DataType.FLOAT, dims: [batch, time, CHANNELS] }, ...inputs],
    outputs: [{ name: "y", type: DataType.FLOAT, dims: outputDims ?? [batch, time, CHANNELS] }, ...outputs],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: new Map([
      ["", opset],
      [LONGCONV_DOMAIN, 1],
    ]),
  });
}

/** A model of ids [batch, time] → y [batch, time, width], from the nodes that `build` adds. */
export function ofIds(type: number, width: number, build: (b: Builder) => void): Model {
  const b = createBuilder(18, ["ids", "y"]);
  build(b);
  return makeModel({
    inputs: [{ name: "ids", type, dims: ["b", "n"] }],
    outputs: [{ name: "y", type: DataType.FLOAT, dims: ["b", "n", width] }],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: 18,
  });
}

/** Weights between -1 and 1, the same for a name. */
export function drawn(b: Builder, name: string, dims: readonly number[]): string {
  const next = uniform(name.charCodeAt(0));
  const count = dims.reduce((product, size) => product * size, 1);
  return b.floats(
    name,
    dims,
    Float32Array.from({ length: count }, () => 2 * next() - 1),
  );
}

/** A depthwise Conv with 16 taps and left padding: [batch, time, channels] → the same. */
export function conv(b: Builder, x: string): string {
  const weight = b.floats("weight", [CHANNELS, 1, 16], KERNEL.subarray(0, 16 * CHANNELS));
  const turned = b.one("Transpose", [x], { perm: [0, 2, 1] });
  const y = b.one("Conv", [turned, weight], { group: CHANNELS, kernel_shape: [16], pads: [15, 0] });
  return b.one("Transpose", [y], { perm: [0, 2, 1] });
}

/** 0, 1, …, n-1 as floats [n, 1]. */
export function positions(b: Builder): string {
  const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
  const range = b.one("Range", [b.ints("zero", 0), length, b.ints("one", 1)]);
  return b.one("Unsqueeze", [b.one("Cast", [range], { to: DataType.FLOAT }), b.ints("axes", [1])]);
}

export const conversion = (model: Model, options: ConvertOptions = {}): Promise<Conversion> =>
  convert(encodeModel(model), options);

export const converted = async (model: Model, options: ConvertOptions = {}): Promise<Model> =>
  (await conversion(model, options)).model;

export const signal = (time: number): Tensor =>
  float32Tensor(
    [1, time, CHANNELS],
    Float32Array.from({ length: time * CHANNELS }, (_, i) => Math.sin(i * i)),
  );

/** Runs a converted model token by token and gives every output. */
export async function steps(model: Model, x: Tensor, more: Record<string, Tensor> = {}): Promise<Float64Array[]> {
  const runner = await openModel(model);
  const outputs: Float64Array[] = [];
  const pieces = carried(model.graph, runner, 1);
  for (let i = 0; i < x.dims[1]!; i++) {
    const row = (x.data as Float32Array).slice(i * CHANNELS, (i + 1) * CHANNELS);
    const result = await pieces.next(1, { x: float32Tensor([1, 1, CHANNELS], row), ...more });
    outputs.push(toNumbers(result.y!));
  }
  await runner.close();
  return outputs;
}

export function close(actual: Float64Array, wanted: Float64Array): void {
  expect(actual.length).toBe(wanted.length);
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const [i, value] of wanted.entries()) expect(Math.abs(actual[i]! - value)).toBeLessThanOrEqual(1e-5 * largest);
}

/** Token by token; `convert` itself compares the step file and batches. */
export async function sameAsOriginal(model: Model, options: ConvertOptions = { stepFile: true }): Promise<void> {
  const x = signal(40);
  const original = await openModel(model);
  const wanted = toNumbers((await original.run({ x })).y!);
  await original.close();
  close(Float64Array.from((await steps(await converted(model, options), x)).flatMap((row) => [...row])), wanted);
}
