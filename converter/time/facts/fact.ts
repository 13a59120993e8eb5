/** What time is to a tensor: the one type on which the analysis hangs. */
import type { Dim } from "./dim.ts";

/** Part of an axis: the batch, the time, the positions that are attended to (a time of its own), or a number of channels (> 1). */
export type Factor = "batch" | "time" | "keys" | number;

/** An axis is a product of factors, outermost first: [] has size 1, ["batch", "time"] is a flattened batch of sequences. */
export type Axis = readonly Factor[];

/** The axes of a tensor, outermost first. */
export type Layout = readonly Axis[];

/** Positions that a tensor has before the first of the sequence, and behind its last; negative: that it lacks. */
export interface Offset {
  readonly left: number;
  readonly right: number;
}

export type Fact =
  /** The same for every input, batch size and length. */
  | { readonly kind: "constant"; readonly axes: Layout }
  /** Integers (or their casts) made of the batch size and the length; rank 0 or 1. Unknown values are undefined. */
  | { readonly kind: "shape"; readonly rank: 0 | 1; readonly values: readonly Dim[] | undefined }
  /**
   * A function of the position (and the length) alone: a kernel, a table, a mask. With `axes`, row i along time depends
   * on position i only; without, it is anything: a Toeplitz matrix, a padded kernel, a spectrum.
   */
  | { readonly kind: "position"; readonly axes: Layout | undefined }
  /** Data without a time axis: conditioning. */
  | { readonly kind: "still"; readonly axes: Layout }
  /**
   * Data with time on exactly one axis: what is at position i comes from position i of other streams only. With an `offset`
   * it has other positions than the sequence: padding in front, say.
   */
  | { readonly kind: "stream"; readonly axes: Layout; readonly offset?: Offset }
  /** Data of the last position, its time axis gone: what a step gives is that of its own last token. */
  | { readonly kind: "last"; readonly axes: Layout }
  /** Behind an operator that mixes time and whose region is not closed yet. */
  | { readonly kind: "open"; readonly openings: ReadonlySet<string> };

export type Stream = Extract<Fact, { kind: "stream" }>;

export const constantLayout = (dims: readonly number[]): Layout => dims.map((size) => (size === 1 ? [] : [size]));

export const axisOf = (axes: Layout, factor: Factor): number => axes.findIndex((axis) => axis.includes(factor));

export const timeAxis = (axes: Layout): number => axisOf(axes, "time");

export const timeCount = (axes: Layout): number => axes.flat().filter((factor) => factor === "time").length;

/** Axis made of channels alone. */
export const isChannelAxis = (axis: Axis): boolean => axis.every((factor) => typeof factor === "number");

export const sameAxis = (a: Axis, b: Axis): boolean => {
  if (a.length === b.length && a.every((factor, i) => factor === b[i])) return true;
  // [2, 12] and [24] are the same channels
  return isChannelAxis(a) && isChannelAxis(b) && channelsIn(a) === channelsIn(b);
};

export const sameLayout = (a: Layout, b: Layout): boolean =>
  a.length === b.length && a.every((axis, i) => sameAxis(axis, b[i]!));

export const channelsIn = (axis: Axis): number =>
  axis.reduce<number>((product, factor) => (typeof factor === "number" ? product * factor : product), 1);

/** Channels of a layout: the product of all factors that are numbers. */
export const channelCount = (axes: Layout): number => axes.reduce((product, axis) => product * channelsIn(axis), 1);

export interface Sizes {
  readonly batch: number;
  readonly time: number;
  /** Positions that are attended to; default: as many as there are. */
  readonly keys?: number;
}

const sizeOf = (factor: Factor, sizes: Sizes): number =>
  typeof factor === "number" ? factor : factor === "keys" ? (sizes.keys ?? sizes.time) : sizes[factor];

export const axisSize = (axis: Axis, sizes: Sizes): number =>
  axis.reduce<number>((product, factor) => product * sizeOf(factor, sizes), 1);

export const dimsOf = (axes: Layout, sizes: Sizes): number[] => axes.map((axis) => axisSize(axis, sizes));

/** "[batch, time, 24]" */
export const describeLayout = (axes: Layout): string =>
  `[${axes.map((axis) => (axis.length ? axis.join("·") : "1")).join(", ")}]`;
