/** A random graph in the making: a builder, a source of choices, and what every piece needs to spell its shapes. */
import { type Builder, createBuilder } from "../../converter/graph/build.ts";
import { float32Tensor } from "../../converter/graph/tensor.ts";
import type { Random } from "./random.ts";

/** A tensor [batch, n, channels]. */
export interface Stream {
  readonly name: string;
  readonly channels: number;
}

/** Positions of a sequence and rows of a batch. */
export interface Size {
  readonly length: number;
  readonly batch: number;
}

export interface Draft {
  readonly b: Builder;
  readonly r: Random;
  /** Length and batch size of an export with fixed shapes; undefined where any will do. */
  readonly length: number | undefined;
  readonly batch: number | undefined;
  /** Names of the pieces, for the report. */
  readonly pieces: string[];
  /** A second input [batch, channels] without time, once a piece asked for it. */
  conditioning: { readonly name: string; readonly channels: number } | undefined;
  /** What the first piece reads: the signal or the embedded ids, exact in every way of computing it. */
  source: Stream;
  /** Sizes at which the graph is no longer what it is at small ones. */
  readonly differs: Size[];
  /** Positions up to which anything can be known of the graph, where it ends. */
  ends: number | undefined;
  /** A matrix over two time axes is in it: too large at ten thousand positions. */
  square: boolean;
}

/** A piece of a graph: a stream in, a stream out. */
export type Piece = (draft: Draft, x: Stream) => Stream;

/** A tensor with the channels of a stream. */
export const same = (x: Stream, name: string): Stream => ({ name, channels: x.channels });

/** A draft whose input is `x`. */
export function newDraft(
  r: Random,
  opset: number,
  channels: number,
  fixed: { length: number | undefined; batch: number | undefined },
): Draft {
  const b = createBuilder(opset, ["x"]);
  const known = { differs: [], ends: undefined, square: false };
  return { b, r, ...fixed, ...known, pieces: [], conditioning: undefined, source: { name: "x", channels } };
}

/** Random weights, normal, scaled so that a product over the first axis keeps its size. */
export function weights(d: Draft, dims: readonly number[], scale = 1): string {
  const size = dims.reduce((a, c) => a * c, 1);
  const spread = scale / Math.sqrt(dims.length > 1 ? dims.at(-2)! : 1);
  return d.b.constant(
    "w",
    float32Tensor(
      dims,
      Float32Array.from({ length: size }, () => d.r.normal() * spread),
    ),
  );
}

/** A float scalar. */
export const scalar = (d: Draft, value: number): string => d.b.floats("c", [], [value]);

/** Size of an axis, int64 [1]: a number in an export with fixed shapes, else read off the tensor. */
export function sizeOf(d: Draft, name: string, axis: number): string {
  const shape = d.b.one("Shape", [name], {});
  return d.r.chance(0.5)
    ? d.b.one("Gather", [shape, d.b.ints("at", [axis])], { axis: 0 })
    : d.b.one("Slice", [shape, d.b.ints("from", [axis]), d.b.ints("to", [axis + 1])]);
}

/** Length of a stream, int64 [1]. */
export const lengthOf = (d: Draft, x: Stream): string =>
  d.length === undefined ? sizeOf(d, x.name, 1) : d.b.ints("length", [d.length]);

/** Batch size of a stream, int64 [1]. */
export const batchOf = (d: Draft, x: Stream): string =>
  d.batch === undefined ? sizeOf(d, x.name, 0) : d.b.ints("batch", [d.batch]);

/** The same number as a scalar. */
export const asScalar = (d: Draft, size: string): string => d.b.one("Squeeze", [size, d.b.ints("axis", [0])]);

/** 0, 1, …, n-1, float32 [n]. */
export function positions(d: Draft, n: string): string {
  const range = d.b.one("Range", [d.b.ints("zero", 0), asScalar(d, n), d.b.ints("one", 1)]);
  return d.b.one("Cast", [range], { to: 1 });
}

export const unsqueeze = (d: Draft, name: string, axes: readonly number[]): string =>
  d.b.one("Unsqueeze", [name, d.b.ints("axes", axes)]);

export const squeeze = (d: Draft, name: string, axes: readonly number[]): string =>
  d.b.one("Squeeze", [name, d.b.ints("axes", axes)]);

export const transpose = (d: Draft, name: string, perm: readonly number[]): string =>
  d.b.one("Transpose", [name], { perm: [...perm] });

/** A stream as [batch, channels, n], and back. */
export const toFront = (d: Draft, x: Stream): string => transpose(d, x.name, [0, 2, 1]);
export const toBack = (d: Draft, x: Stream, name: string): Stream => same(x, transpose(d, name, [0, 2, 1]));

/** A stream and a tensor of its shape, added. */
export const plus = (d: Draft, x: Stream, other: string): Stream => same(x, d.b.one("Add", [x.name, other]));

/** A slice of one axis; ends may be names of int64 [1]. */
export function slice(
  d: Draft,
  name: string,
  axis: number,
  from: number | string,
  to: number | string,
  step = 1,
): string {
  const at = (place: number | string) => (typeof place === "string" ? place : d.b.ints("at", [place]));
  const inputs = [name, at(from), at(to), d.b.ints("axis", [axis])];
  return d.b.one("Slice", step === 1 ? inputs : [...inputs, d.b.ints("step", [step])]);
}

export const END = Number.MAX_SAFE_INTEGER;

/** A reduction with its axes as the opset wants them. */
export function reduce(d: Draft, op: string, name: string, axes: readonly number[], keepdims = 1): string {
  const asInput = d.b.opset >= (op === "ReduceSum" ? 13 : 18);
  return asInput
    ? d.b.one(op, [name, d.b.ints("axes", axes)], { keepdims })
    : d.b.one(op, [name], { axes: [...axes], keepdims });
}

/** Reshape to sizes given by numbers (0 copies, -1 infers) and names of int64 [1]. */
export function reshape(d: Draft, name: string, sizes: readonly (number | string)[]): string {
  if (sizes.every((size) => typeof size === "number"))
    return d.b.one("Reshape", [name, d.b.ints("shape", sizes as number[])]);
  const parts = sizes.map((size) => (typeof size === "string" ? size : d.b.ints("size", [size])));
  return d.b.one("Reshape", [name, d.b.one("Concat", parts, { axis: 0 })]);
}

/** Parts of an axis of known sizes. */
export const split = (d: Draft, name: string, axis: number, sizes: readonly number[]): string[] =>
  d.b.add("Split", [name, d.b.ints("sizes", sizes)], { axis }, { outputs: sizes.length });

/** A linear map of the channels, spelled in one of several ways. */
export function linear(d: Draft, x: Stream, channels: number, scale = 1): Stream {
  const w = weights(d, [x.channels, channels], scale);
  const bias = d.r.chance(0.5) ? weights(d, [channels], 0.3) : undefined;
  const added = (name: string): Stream => ({ name: bias ? d.b.one("Add", [name, bias]) : name, channels });
  switch (d.r.int(0, 4)) {
    case 0:
      return added(d.b.one("Einsum", [x.name, w], { equation: "bnc,cd->bnd" }));
    case 1: {
      const flat = reshape(d, x.name, [-1, x.channels]);
      const product = d.b.one("Gemm", bias ? [flat, w, bias] : [flat, w]);
      return { name: reshape(d, product, [batchOf(d, x), lengthOf(d, x), channels]), channels };
    }
    case 2: {
      const filter = unsqueeze(d, transpose(d, w, [1, 0]), [2]);
      const convolved = d.b.one(
        "Conv",
        bias ? [transpose(d, x.name, [0, 2, 1]), filter, bias] : [transpose(d, x.name, [0, 2, 1]), filter],
        { kernel_shape: [1] },
      );
      return { name: transpose(d, convolved, [0, 2, 1]), channels };
    }
    default:
      return added(d.b.one("MatMul", [x.name, w]));
  }
}
