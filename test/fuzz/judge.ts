/** Converts a graph and judges the result: refused, or right at inputs that the converter's own check does not use. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { convert } from "../../converter/convert.ts";
import { initializerOf } from "../../converter/onnx/build.ts";
import type { Model } from "../../converter/onnx/graph.ts";
import { inlineFunctions } from "../../converter/onnx/inline.ts";
import { openModel, type Runner } from "../../converter/onnx/run.ts";
import { DataType, elementCount, makeTensor, type Tensor } from "../../converter/onnx/tensor.ts";
import { writeModel } from "../../converter/onnx/write.ts";
import { type ErrorCode, LongConvError } from "../../src/errors.ts";
import { type Converted, openConverted, sliceAxis, tokenByToken } from "../converted.ts";
import { relativeDifference } from "../testdata.ts";
import type { FuzzGraph } from "./generate.ts";
import { type Random, random } from "./random.ts";

export type Outcome =
  | { readonly kind: "right"; readonly largest: number }
  | { readonly kind: "refused"; readonly code: ErrorCode; readonly message: string }
  /** A wrong model, or an error that is none of ours. */
  | { readonly kind: "wrong" | "crashed"; readonly message: string }
  /** Rounding in the original graph alone is larger than what is asked for: nothing can be said. */
  | { readonly kind: "unstable"; readonly message: string }
  /** The generator made a graph that ONNX Runtime does not run. */
  | { readonly kind: "invalid"; readonly message: string };

const TOLERANCE = 1e-4;
/** Beyond this no rounding excuses a difference. */
const UNSTABLE = 5e-3;
/** Length of the kernels in the exact form, and of the longest comparison. */
const HORIZON = 256;

interface Trial {
  readonly batch: number;
  readonly length: number;
  readonly amplitude: number;
  readonly ways: readonly ("whole" | "token by token" | "at random" | "at the end" | "each row alone")[];
}

/** No length but 32 is one of the converter's own. */
const TRIALS: readonly Trial[] = [
  { batch: 1, length: 24, amplitude: 1, ways: ["whole", "token by token"] },
  { batch: 2, length: 96, amplitude: 1, ways: ["at random"] },
  { batch: 1, length: 64, amplitude: 5, ways: ["at random"] },
  { batch: 3, length: 32, amplitude: 1, ways: ["whole", "each row alone"] },
  { batch: 1, length: HORIZON, amplitude: 1, ways: ["at the end"] },
];

/** Converts a graph and compares, whole, token by token and cut at random. */
export async function judge(graph: FuzzGraph): Promise<Outcome> {
  const original = await openModel(inlineFunctions(graph.reference)).catch((error: Error) => error);
  if (original instanceof Error) return { kind: "invalid", message: original.message };
  const folder = await mkdtemp(path.join(tmpdir(), "longconv-fuzz-"));
  try {
    const refused = await original
      .run(inputsOf(graph, sizesOf(graph, TRIALS[0]!), 1, random(graph.seed), graph.reference))
      .then(
        (outputs) => (finite(outputs) ? undefined : "values that are not finite"),
        (error: Error) => error.message,
      );
    if (refused !== undefined) return { kind: "invalid", message: refused };
    const file = path.join(folder, "model.onnx");
    await writeModel(graph.model, file);
    const { model } = await convert(file, {
      exact: true,
      ...(graph.length === undefined && { horizon: HORIZON }),
      timeAxis: Object.fromEntries(
        Object.entries(graph.axes).filter(
          ([name, axis]) => axis > 1 && graph.model.graph.inputs.some((input) => input.name === name),
        ),
      ),
    });
    const converted = await openConverted(model, graph.axes);
    try {
      return await compareAll(graph, original, converted);
    } finally {
      await converted.close();
    }
  } catch (error) {
    if (error instanceof LongConvError)
      return { kind: "refused", code: error.code, message: error.message.split("\n")[0]! };
    return { kind: "crashed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  } finally {
    await original.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const sizesOf = ({ batch, length }: FuzzGraph, trial: Trial): { batch: number; length: number } => ({
  batch: batch ?? trial.batch,
  length: length ?? trial.length,
});

async function compareAll(graph: FuzzGraph, original: Runner, converted: Converted): Promise<Outcome> {
  const r = random(graph.seed + 0x5eed);
  let largest = 0;
  for (const trial of TRIALS) {
    // a fixed length is compared at that length, in every way
    if (graph.length !== undefined && trial.ways.includes("at the end")) continue;
    const sizes = sizesOf(graph, trial);
    const feeds = inputsOf(graph, sizes, trial.amplitude, r, graph.model);
    const wanted = await runReference(graph, original, feeds);
    if (!finite(wanted)) continue;
    for (const way of trial.ways) {
      const got =
        way === "each row alone"
          ? await rowsAlone(converted, feeds, sizes)
          : [await converted.run(feeds, cutsOf(way, sizes.length, r))];
      for (const [row, outputs] of got.entries()) {
        const expected = way === "each row alone" ? rowOf(wanted, row) : wanted;
        const difference = differenceOf(outputs, expected, wanted);
        if (difference <= TOLERANCE) {
          largest = Math.max(largest, difference);
          continue;
        }
        const what = `${way}, batch ${sizes.batch}, length ${sizes.length}, amplitude ${trial.amplitude}: off by ${difference.toExponential(1)}`;
        const noise = await rounding(graph, original, feeds, wanted, sizes.length, r);
        if (difference <= Math.min(20 * noise, UNSTABLE))
          return { kind: "unstable", message: `${what}; the original's own rounding is ${noise.toExponential(1)}` };
        return { kind: "wrong", message: what };
      }
    }
  }
  return { kind: "right", largest };
}

/**
 * How far rounding alone moves the original's outputs: its inputs and weights changed in their last bits; and, for a causal graph
 * with a DFT, whose length in ONNX Runtime matters, some positions appended.
 */
async function rounding(
  graph: FuzzGraph,
  original: Runner,
  feeds: Feeds,
  wanted: Feeds,
  length: number,
  r: Random,
): Promise<number> {
  const nudged = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, nudge(tensor, r)]));
  const other = await openModel(inlineFunctions(withNudgedWeights(graph.reference, r)));
  const noise = differenceOf(await runReference(graph, other, nudged), wanted, wanted);
  await other.close();
  const power = 2 ** Math.ceil(Math.log2(length));
  if (
    power === length ||
    graph.model.graph.outputs.some(({ name }) => graph.axes[name] === -1) ||
    graph.kind === "trap" ||
    !graph.reference.graph.nodes.some(({ op }) => op === "DFT" || op === "LongConv")
  )
    return noise;
  const longer = Object.fromEntries(
    Object.entries(feeds).map(([name, tensor]) => [name, extend(tensor, graph.axes[name] ?? 1, power)]),
  );
  const outputs = await runReference(graph, original, longer);
  const cut = Object.fromEntries(
    Object.entries(outputs).map(([name, tensor]) => [name, sliceAxis(tensor, graph.axes[name] ?? 1, 0, length)]),
  );
  const transform = differenceOf(cut, wanted, wanted);
  return Math.max(noise, transform < 1e-3 ? transform : 0);
}

type Feeds = Readonly<Record<string, Tensor>>;

/** Runs the reference on the model's inputs; outputs under the model's names. */
async function runReference({ renamed }: FuzzGraph, original: Runner, feeds: Feeds): Promise<Feeds> {
  const theirs = (name: string) => renamed.get(name) ?? name;
  const ours = new Map([...renamed].map(([own, other]) => [other, own]));
  const outputs = await original.run(
    Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [theirs(name), tensor])),
  );
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [ours.get(name) ?? name, tensor]));
}

async function rowsAlone(
  converted: Converted,
  feeds: Feeds,
  { batch, length }: { batch: number; length: number },
): Promise<Feeds[]> {
  const results: Feeds[] = [];
  for (let row = 0; row < batch; row++)
    results.push(await converted.run(rowOf(feeds, row), [Math.ceil(length / 2), length]));
  return results;
}

const rowOf = (tensors: Feeds, row: number): Feeds =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, sliceAxis(tensor, 0, row, row + 1)]));

function cutsOf(way: Trial["ways"][number], length: number, r: Random): number[] {
  if (way === "token by token") return tokenByToken(length);
  if (way === "at the end") return [length - 4, length - 3, length - 2, length - 1, length];
  if (way === "whole") return [length];
  const cuts: number[] = [];
  for (let at = 0; at < length; cuts.push(at))
    at = Math.min(length, at + (r.chance(0.3) ? 1 : r.int(1, Math.ceil(length / 3))));
  return cuts;
}

/** Largest difference over all outputs, each relative to its largest value. */
function differenceOf(got: Feeds, expected: Feeds, scale: Feeds): number {
  let largest = 0;
  for (const [name, tensor] of Object.entries(expected)) {
    const whole = largestOf(scale[name]!);
    const difference = (relativeDifference(got[name]!, tensor) * largestOf(tensor)) / whole;
    // nothing but zeros is met by zeros
    if (whole === 0 ? largestOf(got[name]!) > 1e-6 : !(difference <= largest))
      largest = whole === 0 ? Infinity : difference;
    if (Number.isNaN(largest)) return whole === 0 || largestOf(tensor) === 0 ? largestOf(got[name]!) : Infinity;
  }
  return largest;
}

const largestOf = ({ data }: Tensor): number =>
  (data as Float32Array).reduce((most, value) => Math.max(most, Math.abs(value)), 0);

const finite = (outputs: Feeds): boolean =>
  Object.values(outputs).every(({ data }) => (data as Float32Array).every(Number.isFinite));

/** Random inputs of a model at these sizes. */
function inputsOf(
  { axes, vocabulary }: FuzzGraph,
  { batch, length }: { batch: number; length: number },
  amplitude: number,
  r: Random,
  model: Model,
): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const { name, type, dims } of model.graph.inputs) {
    const sizes = dims!.map((size, k) => (k === 0 ? batch : k === (axes[name] ?? 1) ? length : Number(size)));
    const count = elementCount(sizes);
    feeds[name] =
      type === DataType.INT64
        ? makeTensor(
            type,
            sizes,
            BigInt64Array.from({ length: count }, () => BigInt(r.int(0, vocabulary - 1))),
          )
        : makeTensor(
            DataType.FLOAT,
            sizes,
            Float32Array.from({ length: count }, () => amplitude * r.normal()),
          );
  }
  return feeds;
}

function nudge(tensor: Tensor, r: Random): Tensor {
  if (tensor.type !== DataType.FLOAT) return tensor;
  return { ...tensor, data: (tensor.data as Float32Array).map((value) => value * (1 + (r.next() - 0.5) * 2 ** -22)) };
}

function withNudgedWeights(model: Model, r: Random): Model {
  const initializers = [...model.graph.initializers].map(
    ([name, initializer]) => [name, initializerOf(name, nudge(initializer.tensor(), r))] as const,
  );
  return { ...model, graph: { ...model.graph, initializers: new Map(initializers) } };
}

/** More positions, all zero. */
function extend(tensor: Tensor, axis: number, length: number): Tensor {
  if (axis < 0) return tensor;
  const dims = tensor.dims.with(axis, length);
  const source = tensor.data as Float32Array;
  const data = new (source.constructor as Float32ArrayConstructor)(elementCount(dims));
  const inner = elementCount(dims.slice(axis + 1));
  const row = tensor.dims[axis]! * inner;
  for (let o = 0; o < elementCount(dims.slice(0, axis)); o++)
    data.set(source.subarray(o * row, (o + 1) * row), o * length * inner);
  return makeTensor(tensor.type, dims, data);
}
