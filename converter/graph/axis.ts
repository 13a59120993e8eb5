/** Axes as attributes and inputs of ONNX name them. */
import type { Node } from "./graph.ts";

/** An axis counted from the front, which may be given from the end: -1 is the last. */
export const fromFront = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** The order in which Transpose lays the axes of its input: turned round where it does not say. */
export const permOf = ({ attributes }: Pick<Node, "attributes">, rank: number): readonly number[] =>
  (attributes.perm as readonly number[] | undefined) ?? Array.from({ length: rank }, (_, k) => rank - 1 - k);
