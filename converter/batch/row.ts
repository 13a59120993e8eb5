/** What an operator is when its data have a batch in front: what a row of the table is given, and rows of whole families. */
import type { AttributeInput } from "../graph/attributes.ts";
import type { Builder } from "../graph/build.ts";
import type { Node } from "../graph/graph.ts";
import { withAttributes } from "../graph/node.ts";
import { int64Tensor, type Tensor, toNumbers } from "../graph/tensor.ts";

/** A node of a graph without a batch. */
export interface Site {
  readonly node: Node;
  readonly b: Builder;
  /** Whether a tensor has a batch in front now. */
  readonly isBatched: (tensor: string) => boolean;
  /** Number of axes in the graph as it was. */
  readonly rankOf: (tensor: string) => number | undefined;
  readonly constantOf: (tensor: string) => Tensor | undefined;
  /** Dimensions of a tensor in a run of the graph as it was. */
  readonly dimsOf: (tensor: string) => readonly number[] | undefined;
}

/** Adds nodes that make the node's outputs with a batch in front; false where that is not known. */
export type Row = (site: Site) => boolean;

/** The node with other inputs and attributes, its outputs under their names. */
export function again(
  { node, b }: Site,
  inputs: readonly string[],
  attributes: Readonly<Record<string, AttributeInput>> = {},
): true {
  b.copy(withAttributes(node, attributes), inputs, node.outputs);
  return true;
}

export const shifted = (axis: number): number => (axis < 0 ? axis : axis + 1);

/** Each operand's axes stand at the end: they meet as before where all that have a batch have as many. */
export const elementwise: Row = (site) => {
  const { node, isBatched, rankOf } = site;
  const ranks = node.inputs.filter(Boolean).map((name) => ({ rank: rankOf(name), batched: isBatched(name) }));
  const most = Math.max(...ranks.flatMap(({ rank, batched }) => (batched ? (rank ?? 99) : [])));
  const meets = ranks.every(({ rank, batched }) => rank !== undefined && (batched ? rank === most : rank <= most));
  return meets && again(site, node.inputs);
};

/** An attribute that names an axis, counted from the front where it is not negative. */
export const alongAxis =
  (usual: number, attribute = "axis"): Row =>
  (site) => {
    const { node, isBatched } = site;
    if (!node.inputs.every((name, i) => !name || isBatched(name) || i > 0)) return false;
    return again(site, node.inputs, { [attribute]: shifted(Number(node.attributes[attribute] ?? usual)) });
  };

/** An input that is a list of axes. */
export const alongAxes =
  (place: number): Row =>
  (site) => {
    const { node, b, constantOf, isBatched } = site;
    const axes = constantOf(node.inputs[place] ?? "");
    if (!isBatched(node.inputs[0]!) || !axes) return false;
    const moved = b.constant("axes", int64Tensor(axes.dims, [...toNumbers(axes)].map(shifted)));
    return again(
      site,
      node.inputs.map((name, i) => (i === place ? moved : name)),
    );
  };
