/** Axes as attributes and inputs of ONNX name them. */

/** An axis counted from the front, which may be given from the end: -1 is the last. */
export const fromFront = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
