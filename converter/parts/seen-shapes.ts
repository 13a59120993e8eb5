/** Shapes by running: every tensor's type and dimensions, read off runs at sizes that occur nowhere else in the graph. */
import { initializerBytes } from "../file/encode.ts";
import { createBuilder, namesOf } from "../graph/build.ts";
import { cut } from "../graph/cut.ts";
import type { Model } from "../graph/graph.ts";
import { zeroTensor } from "../graph/integers.ts";
import { type Tensor, toNumbers } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { dimsOf, type Layout, type Sizes } from "../time/facts/fact.ts";
import type { Constant } from "../time/fold.ts";
import type { InputAxes } from "../time/inputs.ts";

/** What was seen of one tensor. */
export interface Seen {
  /** onnx.TensorProto.DataType */
  readonly type: number;
  /** Dimensions in each run, in the order of `runs`. */
  readonly dims: readonly (readonly number[])[];
}

export interface Shapes {
  /** The sizes of each run: two runs for a dynamic graph, one for a fixed one. */
  readonly runs: readonly Sizes[];
  readonly seen: ReadonlyMap<string, Seen>;
}

const PRIMES = [5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97];

const isPrime = (n: number): boolean => {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return n > 1;
};

/**
 * Sizes at which the graph can be run: its own where they are fixed, else primes that are no constant's dimension.
 * @param least positions below which it does not run
 */
export function runSizes(model: Model, inputs: InputAxes, least = 1): Sizes[] {
  const taken = new Set([...model.graph.initializers.values()].flatMap((initializer) => initializer.dims));
  const isFree = (prime: number) => !taken.has(prime) && !taken.has(2 * prime);
  const free = PRIMES.filter(isFree);
  const [b1, b2] = [free[0] ?? 5, free[1] ?? 7];
  const long = Array.from({ length: 200 }, (_, i) => least + i).filter((n) => n > b2 && isPrime(n) && isFree(n));
  const [n1, n2] = least === 1 ? [free[2] ?? 101, free[3] ?? 103] : [long[0] ?? least, long[1] ?? least + 1];
  const { batch, time } = fixedSizes(inputs);
  const first = { batch: batch ?? b1, time: time ?? n1 };
  return inputs.fixed && batch !== undefined && time !== undefined
    ? [first]
    : [first, { batch: batch ?? b2, time: time ?? n2 }];
}

/** The batch size and the length where the graph fixes them. */
export function fixedSizes(inputs: InputAxes): { batch: number | undefined; time: number | undefined } {
  const dims = inputs.main.dims!;
  const layout = inputs.layouts.get(inputs.main.name)!;
  const at = (factor: "batch" | "time") => dims[layout.findIndex((axis) => axis.includes(factor))];
  const [batch, time] = [at("batch"), at("time")];
  return {
    batch: typeof batch === "number" ? batch : undefined,
    time: typeof time === "number" ? time : undefined,
  };
}

/** Shapes of the graph's inputs at the given sizes, by name. */
export const shapesAt = (model: Model, inputs: InputAxes, sizes: Sizes): ReadonlyMap<string, readonly number[]> =>
  new Map(model.graph.inputs.map(({ name }) => [name, dimsOf(inputs.layouts.get(name)!, sizes)]));

/** Zeros for every graph input at the given sizes. */
export function zeroInputs(model: Model, inputs: InputAxes, sizes: Sizes): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const input of model.graph.inputs) {
    const layout: Layout = inputs.layouts.get(input.name)!;
    feeds[input.name] = zeroTensor(input.type, dimsOf(layout, sizes));
  }
  return feeds;
}

/** Weights of so many bytes make tensors that are too large to be held all at once. */
const LARGE_BYTES = 1e8;

/**
 * Runs the whole graph once or twice with every computed tensor as an output, or, of a model with many weights, its shape and first
 * element: ONNX Runtime then frees each tensor once it is read.
 * @param runs the sizes
 */
export async function shapesByRunning(
  model: Model,
  inputs: InputAxes,
  constants: ReadonlyMap<string, Constant>,
  largeBytes = LARGE_BYTES,
  runs: readonly Sizes[] = runSizes(model, inputs),
): Promise<Shapes> {
  const names = model.graph.nodes.flatMap((node) => node.outputs).filter((name) => name && !constants.has(name));
  const brief = initializerBytes(model) > largeBytes ? briefly(model, names) : undefined;
  const whole = brief?.model ?? cut(model, model.graph.inputs, names);
  // ORT's fusions crash where every tensor is an output (an embedding's, for one)
  const runner = await openModel(whole, { optimization: "disabled" });
  try {
    const seen = new Map<string, { type: number; dims: (readonly number[])[] }>();
    for (const sizes of runs) {
      const outputs = await runner.run(zeroInputs(model, inputs, sizes));
      for (const name of names) {
        const [shape, first] = brief?.ends.get(name) ?? [];
        const { type } = outputs[first ?? name]!;
        const dims = shape === undefined ? outputs[name]!.dims : [...toNumbers(outputs[shape]!)];
        const entry = seen.get(name);
        if (entry) entry.dims.push(dims);
        else seen.set(name, { type, dims: [dims] });
      }
    }
    return { runs, seen };
  } finally {
    await runner.close();
  }
}

/** The model that gives, of each tensor, its shape and its first element; by the tensor, the names of the two. */
function briefly(model: Model, names: readonly string[]): { model: Model; ends: Map<string, [string, string]> } {
  const b = createBuilder(model.opsets.get("") ?? 0, namesOf(model.graph));
  const [flat, zero, one] = [b.ints("flat", [-1]), b.ints("zero", [0]), b.ints("one", [1])];
  const ends = new Map<string, [string, string]>();
  // ONNX Runtime goes back from the last node that nobody reads: in this order each tensor is looked at, and freed, when it is made
  for (const name of names.toReversed())
    ends.set(name, [b.one("Shape", [name]), b.one("Slice", [b.one("Reshape", [name, flat]), zero, one])]);
  const { graph } = model;
  const nodes = [...graph.nodes, ...b.nodes];
  const initializers = new Map([...graph.initializers, ...b.initializers]);
  const longer = { ...model, graph: { ...graph, nodes, initializers } };
  return { model: cut(longer, graph.inputs, [...ends.values()].flat()), ends };
}

/**
 * The layouts that a tensor of these dimensions can have: one axis that is the batch and one that is the time, in every
 * run, the rest channels; or a flattened batch of sequences. Several where sizes coincide in a fixed graph.
 */
export function possibleLayouts(seen: Seen, runs: readonly Sizes[]): Layout[] {
  const first = seen.dims[0]!;
  const is = (k: number, size: (sizes: Sizes) => number) =>
    runs.every((sizes, run) => seen.dims[run]![k] === size(sizes));
  const constant = (k: number) => runs.every((_, run) => seen.dims[run]![k] === first[k]);
  const axes = first.map((_, k) => k);
  const layouts: Layout[] = [];
  for (const time of axes.filter((k) => is(k, (sizes) => sizes.time))) {
    for (const batch of axes.filter((k) => k !== time && is(k, (sizes) => sizes.batch))) {
      if (!axes.every((k) => k === time || k === batch || constant(k))) continue;
      layouts.push(
        axes.map((k) => (k === time ? ["time"] : k === batch ? ["batch"] : first[k] === 1 ? [] : [first[k]!])),
      );
    }
  }
  for (const both of axes.filter((k) => is(k, (sizes) => sizes.time * sizes.batch))) {
    if (runs.some((sizes) => sizes.batch === 1) || !axes.every((k) => k === both || constant(k))) continue;
    layouts.push(axes.map((k) => (k === both ? ["batch", "time"] : first[k] === 1 ? [] : [first[k]!])));
  }
  return layouts;
}
