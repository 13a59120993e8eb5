/** Writes a TNN language model of any size with random weights, node for node as PyTorch exports it: for benchmarks. */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { writeModel } from "../converter/file/write.ts";
import { type Builder, createBuilder, makeModel } from "../converter/graph/build.ts";
import type { Model } from "../converter/graph/graph.ts";
import { DataType } from "../converter/graph/tensor.ts";
import { signed } from "../src/random.ts";
import { oneOf, readArguments, refuse, wholeNumber } from "./arguments.ts";

export interface TnnSize {
  readonly layers: number;
  readonly width: number;
  readonly channels: number;
  readonly hidden: number;
  readonly vocabulary: number;
  readonly rpeWidth: number;
  readonly rpeDepth: number;
  readonly gamma: number;
}

/** The size of the paper's language model: Qin et al., ICLR 2023, table of hyper-parameters. */
export const PAPER_SIZE: TnnSize = {
  layers: 6,
  width: 512,
  channels: 1536,
  hidden: 512,
  vocabulary: 50_265,
  rpeWidth: 64,
  rpeDepth: 3,
  gamma: 0.99,
};

/** The model in memory; weights are uniform in ±1/√inputs, repeatable. */
export function buildTnn(size: TnnSize): Model {
  const b = createBuilder(18, ["input_ids", "logits"]);
  const random = weights(b);
  const time = b.one("Shape", ["input_ids"], { start: 1, end: 2 }, { hint: "length" });
  const batch = b.one("Shape", ["input_ids"], { start: 0, end: 1 }, { hint: "batch" });
  const table = random("embedding", [size.vocabulary, size.width], size.width);
  let x = b.one("Gather", [table, "input_ids"], {}, { hint: "embedding" });
  for (let layer = 0; layer < size.layers; layer++) {
    x = b.one("Add", [x, gtu(b, random, size, norm(b, x, size.width), time, batch)], {}, { hint: `mixed_${layer}` });
    x = b.one("Add", [x, glu(b, random, size, norm(b, x, size.width))], {}, { hint: `fed_${layer}` });
  }
  b.one(
    "MatMul",
    [norm(b, x, size.width), random("head", [size.width, size.vocabulary], size.width)],
    {},
    { outputs: ["logits"] },
  );
  return makeModel({
    inputs: [{ name: "input_ids", type: DataType.INT64, dims: ["batch_size", "sequence_length"] }],
    outputs: [{ name: "logits", type: DataType.FLOAT, dims: ["batch_size", "sequence_length", size.vocabulary] }],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: 18,
  });
}

type Weights = (hint: string, dims: readonly number[], inputs: number) => string;

function weights(b: Builder): Weights {
  const next = signed(1);
  return (hint, dims, inputs) => {
    const values = new Float32Array(dims.reduce((a, c) => a * c, 1));
    const bound = inputs ** -0.5;
    for (let i = 0; i < values.length; i++) values[i] = next() * bound;
    return b.floats(hint, dims, values);
  };
}

const scalar = (b: Builder, value: number): string => b.floats("scalar", [], [value]);

/** x / (‖x‖ · width^-½ + 1e-8) along the last axis. */
function norm(b: Builder, x: string, width: number): string {
  const length = b.one("ReduceL2", [x, b.ints("last", [-1])], { keepdims: 1 }, { hint: "norm" });
  return b.one(
    "Div",
    [x, b.one("Mul", [length, scalar(b, width ** -0.5)], {}, { hint: "norm" })],
    {},
    { hint: "normed" },
  );
}

function linear(b: Builder, random: Weights, x: string, inputs: number, outputs: number): string {
  const product = b.one("MatMul", [x, random("weight", [inputs, outputs], inputs)], {}, { hint: "product" });
  return b.one("Add", [product, random("bias", [outputs], inputs)], {}, { hint: "linear" });
}

const silu = (b: Builder, x: string): string =>
  b.one("Mul", [x, b.one("Sigmoid", [x], {}, { hint: "gate" })], {}, { hint: "silu" });

function glu(b: Builder, random: Weights, { width, hidden }: TnnSize, x: string): string {
  const gate = silu(b, linear(b, random, x, width, hidden));
  return linear(
    b,
    random,
    b.one("Mul", [gate, linear(b, random, x, width, hidden)], {}, { hint: "gated" }),
    hidden,
    width,
  );
}

/** γ^k · rpe(k), [n, channels]. */
function kernel(b: Builder, random: Weights, { rpeWidth, rpeDepth, channels, gamma }: TnnSize, time: string): string {
  const limit = b.one("Cast", [b.one("Squeeze", [time], {}, { hint: "n" })], { to: DataType.FLOAT }, { hint: "n" });
  const range = b.one("Range", [scalar(b, 0), limit, scalar(b, 1)], {}, { hint: "positions" });
  const positions = b.one("Reshape", [range, b.ints("column", [-1, 1])], {}, { hint: "positions" });
  let x = linear(b, random, positions, 1, rpeWidth);
  const relu = (y: string) => b.one("Relu", [norm(b, y, rpeWidth)], {}, { hint: "relu" });
  for (let i = 0; i < rpeDepth; i++) x = linear(b, random, relu(x), rpeWidth, rpeWidth);
  const coefficients = linear(b, random, relu(x), rpeWidth, channels);
  return b.one(
    "Mul",
    [coefficients, b.one("Pow", [scalar(b, gamma), positions], {}, { hint: "decay" })],
    {},
    { hint: "kernel" },
  );
}

function gtu(b: Builder, random: Weights, size: TnnSize, x: string, time: string, batch: string): string {
  const { width, channels } = size;
  const u = silu(b, linear(b, random, x, width, channels));
  const v = silu(b, linear(b, random, x, width, channels));
  const y = convolve(b, v, kernel(b, random, size, time), channels, time, batch);
  return linear(b, random, b.one("Mul", [u, y], {}, { hint: "gated" }), channels, width);
}

/** irfft(rfft(v, 2n) · rfft(t, 2n))[:n] over axis 2 of [batch, 1, n, channels]. */
function convolve(b: Builder, v: string, t: string, channels: number, time: string, batch: string): string {
  const [zero, one, two, last] = [b.ints("zero", [0]), b.ints("one", [1]), b.ints("two", [2]), b.ints("last", [-1])];
  const shape = b.one("Concat", [batch, time, one, b.ints("channels", [channels])], { axis: 0 }, { hint: "shape" });
  const heads = b.one(
    "Transpose",
    [b.one("Reshape", [v, shape], {}, { hint: "view" })],
    { perm: [0, 2, 1, 3] },
    { hint: "heads" },
  );
  const rows = b.one(
    "Transpose",
    [b.one("Reshape", [t, b.ints("rows", [-1, 1, channels])], {}, { hint: "view" })],
    { perm: [1, 0, 2] },
    { hint: "rows" },
  );
  const length = b.one("Squeeze", [b.one("Mul", [time, two], {}, { hint: "double" })], {}, { hint: "double" });
  const spectrum = (x: string, axis: number) => {
    const rank = axis + 2;
    const pads = [...Array(rank).fill(zero), ...Array(axis).fill(zero), time, zero];
    const padded = b.one(
      "Pad",
      [x, b.one("Concat", pads, { axis: 0 }, { hint: "pads" }), scalar(b, 0)],
      {},
      { hint: "padded" },
    );
    const complex = b.one(
      "DFT",
      [b.one("Unsqueeze", [padded, last], {}, { hint: "real" }), length],
      { axis, onesided: 1 },
      { hint: "spectrum" },
    );
    return [
      b.one("Slice", [complex, zero, one, last], {}, { hint: "re" }),
      b.one("Slice", [complex, one, two, last], {}, { hint: "im" }),
    ] as const;
  };
  const [xr, xi] = spectrum(heads, 2);
  const [kr, ki] = spectrum(rows, 1);
  const times = (p: string, q: string) => b.one("Mul", [p, q], {}, { hint: "part" });
  const re = b.one("Sub", [times(xr, kr), times(xi, ki)], {}, { hint: "re" });
  const im = b.one("Add", [times(xr, ki), times(xi, kr)], {}, { hint: "im" });
  const product = b.one("Concat", [re, im], { axis: -1 }, { hint: "product" });
  const back = b.one("DFT", [product, length], { axis: 2, inverse: 1, onesided: 1 }, { hint: "back" });
  const real = b.one(
    "Squeeze",
    [b.one("Slice", [back, zero, one, last], {}, { hint: "real" }), last],
    {},
    { hint: "real" },
  );
  const kept = b.one("Slice", [real, zero, time, two, one], {}, { hint: "kept" });
  const out = b.one("Concat", [batch, time, b.ints("channels", [channels])], { axis: 0 }, { hint: "shape" });
  return b.one(
    "Reshape",
    [b.one("Transpose", [kept], { perm: [0, 2, 1, 3] }, { hint: "merged" }), out],
    {},
    { hint: "mixed" },
  );
}

/** Writes the model; `node dist/scripts/paper-model.js OUT.onnx [layers=6] …` */
export async function writeTnn(file: string, size: TnnSize): Promise<void> {
  mkdirSync(dirname(file), { recursive: true });
  await writeModel(buildTnn(size), file, { force: true });
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const sizes = Object.keys(PAPER_SIZE) as (keyof TnnSize)[];
  const usage = `paper-model [FILE [SIZE=NUMBER …]], sizes ${sizes.join(", ")}`;
  const { positionals } = readArguments(usage, {}, { most: 1 + sizes.length });
  const [file = "out/paper/model.onnx", ...settings] = positionals;
  const changes = Object.fromEntries(
    settings.map((setting) => {
      const [key, value = ""] = setting.split("=");
      const size = oneOf("SIZE", sizes, key!);
      if (size === "gamma" && !(Number(value) > 0)) refuse(`gamma is a number above 0, not '${value}'`);
      return [size, size === "gamma" ? Number(value) : wholeNumber(size, value)];
    }),
  );
  await writeTnn(file, { ...PAPER_SIZE, ...changes });
  console.log(file);
}
