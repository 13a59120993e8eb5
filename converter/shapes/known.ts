/** What is known of a tensor before it is computed, and what several rules are made of. */
import { fromFront } from "../graph/axis.ts";
import type { Attributes } from "../graph/graph.ts";
import type { Numbers } from "./values.ts";

/** What is known of a tensor before it is computed. */
export interface Known {
  /** NaN where the size of an axis is not followed. */
  readonly dims: Numbers | undefined;
  /** Of small tensors of rank 0 or 1; NaN as in `dims`. */
  readonly values: Numbers | undefined;
}

/**
 * The shape of an output, by default the first; undefined where it is not followed. All inputs that are asked for may be unknown.
 * @param at which output
 * @param count how many outputs the node has
 */
export type ShapeRule = (
  inputs: readonly (Known | undefined)[],
  attributes: Attributes,
  at: number,
  count?: number,
) => Numbers | undefined;

const MOST_AXES = 64;

/** The numbers of a list of sizes; of one that was not followed how many they are. */
export function numbersIn(known: Known | undefined): Numbers | undefined {
  if (!known || known.values) return known?.values;
  const [length, ...more] = known.dims ?? [];
  const isList = length !== undefined && more.length === 0 && length >= 0 && length <= MOST_AXES;
  return isList ? new Array<number>(length).fill(Number.NaN) : undefined;
}

export const listOf = (value: unknown): Numbers | undefined => (Array.isArray(value) ? (value as Numbers) : undefined);
export const withAxis = (dims: Numbers, axis: number, size: number): Numbers =>
  dims.map((dim, k) => (k === fromFront(axis, dims.length) ? size : dim));

/** Broadcast against one another, as elementwise operators do. */
export function broadcast(shapes: readonly (Numbers | undefined)[]): Numbers | undefined {
  if (shapes.some((dims) => dims === undefined)) return undefined;
  const rank = Math.max(...shapes.map((dims) => dims!.length));
  return Array.from({ length: rank }, (_, k) =>
    shapes.reduce((size, dims) => {
      const dim = dims![k - rank + dims!.length] ?? 1;
      // one that is larger than 1 is the size of both
      if (Number.isNaN(size) || Number.isNaN(dim)) return [size, dim].find((each) => each > 1) ?? Number.NaN;
      return size === 1 ? dim : dim === 1 ? size : Math.max(size, dim);
    }, 1),
  );
}
