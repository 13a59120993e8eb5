/** Random inputs of a graph, and what is done to them and to outputs: rows, prefixes, last bits. */
import { initializerOf } from "../../converter/graph/build.ts";
import type { Model } from "../../converter/graph/graph.ts";
import { DataType, elementCount, float32Tensor, int64Tensor, type Tensor } from "../../converter/graph/tensor.ts";
import { ATTENTION_MASK, POSITION_IDS } from "../../src/contract.ts";
import { sliceAxis, type TimeAxes } from "../converted.ts";
import { relativeDifference } from "../testdata.ts";
import { LENGTHS } from "./by-length.ts";
import type { Size } from "./draft.ts";
import type { FuzzGraph } from "./generate.ts";
import type { Random } from "./random.ts";

export type Feeds = Readonly<Record<string, Tensor>>;

/** Random inputs of a graph's model at these sizes. */
export function inputsOf(
  { model, axes, vocabulary, masked: isMasked, worn: form }: FuzzGraph,
  { batch, length }: Size,
  amplitude: number,
  r: Random,
): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const { name, type, dims: declared } of model.graph.inputs) {
    // as the reference has them
    const dims = form?.timeFirst.has(name) ? [declared![1], declared![0], ...declared!.slice(2)] : declared;
    const sizes = dims!.map((size, k) => (k === 0 ? batch : k === (axes[name] ?? 1) ? length : Number(size)));
    const count = elementCount(sizes);
    if (isMasked && name === ATTENTION_MASK) feeds[name] = paddingIn(sizes, r);
    else if (isMasked && name === POSITION_IDS) feeds[name] = placesOf(feeds[ATTENTION_MASK]!);
    else
      feeds[name] =
        type === DataType.INT64 || type === DataType.INT32
          ? int64Tensor(
              sizes,
              Array.from({ length: count }, () => (name === LENGTHS ? r.int(0, 2 * length) : r.int(0, vocabulary - 1))),
            )
          : float32Tensor(
              sizes,
              Float32Array.from({ length: count }, () => amplitude * r.normal()),
            );
  }
  return feeds;
}

/** 1 for a token, 0 for padding in front: none in the first row, some in others. */
function paddingIn([batch, length]: readonly number[], r: Random): Tensor {
  const hidden = Array.from({ length: batch! }, (_, row) => (row === 0 ? 0 : r.int(0, length! - 1)));
  return int64Tensor(
    [batch!, length!],
    Array.from({ length: batch! * length! }, (_, i) => (i % length! < hidden[Math.floor(i / length!)]! ? 0 : 1)),
  );
}

/** Tokens counted from 0, as Hugging Face's models do: padding has place 1. */
function placesOf({ dims, data }: Tensor): Tensor {
  let count = 0;
  const places = Array.from(data as BigInt64Array, (shown, i) => {
    if (i % dims[1]! === 0) count = 0;
    return shown ? count++ : 1;
  });
  return int64Tensor(dims, places);
}

/** The mask of padding among the inputs, where the graph has one; another input may have its name. */
export const maskOf = ({ masked }: FuzzGraph, feeds: Feeds): Tensor | undefined =>
  masked ? feeds[ATTENTION_MASK] : undefined;

/** Zeros where a mask hides a position [batch, n, …]. */
export function shownOf(outputs: Feeds, mask: Tensor | undefined): Feeds {
  if (!mask) return outputs;
  const hide = (tensor: Tensor): Tensor => {
    const each = tensor.data.length / mask.data.length;
    const values = (tensor.data as Float32Array).map((value, i) => (mask.data[Math.floor(i / each)] ? value : 0));
    return { ...tensor, data: values };
  };
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, hide(tensor)]));
}

/** One row of a batch. */
export const rowOf = (tensors: Feeds, row: number): Feeds =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, sliceAxis(tensor, 0, row, row + 1)]));

/** The first positions of what has a time axis. */
export const firstOf = (tensors: Feeds, axes: TimeAxes, positions: number): Feeds =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => {
      const axis = axes[name] ?? 1;
      return [name, axis < 0 ? tensor : sliceAxis(tensor, axis, 0, positions)];
    }),
  );

/**
 * Largest difference over all outputs, each relative to its largest value in `scale`; Infinity where one is missing or has another
 * shape. What must be nothing but zeros is measured by the inputs: a tap of 0 is one among others that were rounded.
 * @param amplitude of the inputs
 */
export function differenceOf(got: Feeds, expected: Feeds, scale: Feeds, amplitude = 1): number {
  let largest = 0;
  for (const [name, tensor] of Object.entries(expected)) {
    const own = got[name];
    if (own?.dims.join() !== tensor.dims.join()) return Infinity;
    const whole = largestOf(scale[name]!);
    // what a transform makes of zeros is met by as little
    if (whole <= NOTHING && largestOf(own) <= NOTHING) continue;
    const isZero = whole === 0 || largestOf(tensor) === 0;
    const difference = isZero
      ? largestOf(own) / Math.max(amplitude, whole)
      : (relativeDifference(own, tensor) * largestOf(tensor)) / whole;
    if (Number.isNaN(difference)) return Infinity;
    largest = Math.max(largest, difference);
  }
  return largest;
}

/** A transform of signals about one leaves so much where there is nothing. */
const NOTHING = 1e-8;

const largestOf = ({ data }: Tensor): number =>
  (data as Float32Array).reduce((most, value) => Math.max(most, Math.abs(value)), 0);

export const allFinite = (outputs: Feeds): boolean =>
  Object.values(outputs).every(({ data }) => (data as Float32Array).every(Number.isFinite));

/** The same inputs, changed in their last bits. */
export const nudged = (feeds: Feeds, r: Random): Feeds =>
  Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, nudge(tensor, r)]));

/** The same model, its weights changed in their last bits. */
export function withNudgedWeights(model: Model, r: Random): Model {
  const initializers = [...model.graph.initializers].map(
    ([name, initializer]) => [name, initializerOf(name, nudge(initializer.tensor(), r))] as const,
  );
  return { ...model, graph: { ...model.graph, initializers: new Map(initializers) } };
}

function nudge(tensor: Tensor, r: Random): Tensor {
  if (tensor.type !== DataType.FLOAT) return tensor;
  return { ...tensor, data: (tensor.data as Float32Array).map((value) => value * (1 + (r.next() - 0.5) * 2 ** -22)) };
}
