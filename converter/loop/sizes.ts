/** Sizes of tensors, read from how the graph computes them: constants, and axes of other tensors. Nothing is run. */
import type { Node } from "../graph/graph.ts";
import { shapeRead } from "../graph/shape-read.ts";
import { type Tensor, toNumbers } from "../graph/tensor.ts";

/** A number of rows: a constant, or what a tensor has along an axis (from its end where negative). */
export type Size = { readonly rows: number } | { readonly of: string; readonly axis: number };

/** What is known of names: who makes them, and the values of constants. */
export interface Names {
  readonly producer: (name: string) => Node | undefined;
  readonly constant: (name: string) => Tensor | undefined;
}

/** Ends of slices from which on they mean "to the end". */
const END = 2 ** 31 - 1;
const MOST_AXES = 8;

export const isSame = (a: Size, b: Size): boolean =>
  "rows" in a ? "rows" in b && a.rows === b.rows : "of" in b && a.of === b.of && a.axis === b.axis;

/** Values of a constant list of integers. */
export const integersOf = (names: Names, name: string | undefined): readonly number[] | undefined => {
  const tensor = name ? names.constant(name) : undefined;
  return tensor && Array.from(toNumbers(tensor));
};

/** Axes of Squeeze and Unsqueeze: an input from opset 13 on. */
export const axesGiven = (names: Names, { inputs }: Node): readonly number[] | undefined =>
  inputs[1] ? integersOf(names, inputs[1]) : undefined;

/** The tensor that a name means, behind copies and slices from the first row to the last. */
export function meant(names: Names, name: string): string {
  const node = names.producer(name);
  if (node?.domain !== "") return name;
  if (node.op === "Identity") return meant(names, node.inputs[0]!);
  if (node.op !== "Slice") return name;
  const [, starts, ends, , steps] = node.inputs;
  const isWhole =
    integersOf(names, starts)?.every((start) => start === 0) &&
    integersOf(names, ends)?.every((end) => end >= END) &&
    (!steps || integersOf(names, steps)?.every((step) => step === 1));
  return isWhole ? meant(names, node.inputs[0]!) : name;
}

/** The size that an integer, or a list of one, holds. */
export function sizeIn(names: Names, name: string): Size | undefined {
  const list = sizesIn(names, name);
  return list?.length === 1 ? list[0] : undefined;
}

/** The sizes that a list of integers holds; a single integer is a list of one. */
export function sizesIn(names: Names, name: string): readonly Size[] | undefined {
  const values = integersOf(names, name);
  if (values) return values.map((rows) => ({ rows }));
  const node = names.producer(name);
  if (node?.domain !== "") return undefined;
  const [data] = node.inputs;
  switch (node.op) {
    case "Identity":
    case "Cast":
      return sizesIn(names, data!);
    case "Squeeze":
    case "Unsqueeze":
    case "Reshape": {
      const one = sizeIn(names, data!);
      return one && [one];
    }
    case "Concat": {
      const parts = node.inputs.map((each) => sizesIn(names, each));
      return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
    }
    case "Shape": {
      const { start = 0, end } = node.attributes;
      const [from, to] = [Number(start), end === undefined ? undefined : Number(end)];
      if (to === undefined || from < 0 || to < from) return undefined;
      return allKnown(Array.from({ length: to - from }, (_, k) => sizeAlong(names, data!, from + k)));
    }
    case "Gather": {
      const at = integersOf(names, node.inputs[1]);
      const shape = shapeRead(names.producer(data!));
      if (!at || !shape || Number(node.attributes.axis ?? 0) !== 0) return undefined;
      return allKnown(at.map((k) => sizeAlong(names, shape, k)));
    }
    case "Slice": {
      const shape = shapeRead(names.producer(data!));
      const [from, to] = [integersOf(names, node.inputs[1])?.[0], integersOf(names, node.inputs[2])?.[0]];
      if (!shape || node.inputs[4] || from === undefined || to === undefined || from < 0 || to < from) return undefined;
      return to - from > MOST_AXES
        ? undefined
        : allKnown(Array.from({ length: to - from }, (_, k) => sizeAlong(names, shape, from + k)));
    }
  }
  return undefined;
}

const allKnown = (sizes: readonly (Size | undefined)[]): readonly Size[] | undefined =>
  sizes.every((size) => size !== undefined) ? sizes : undefined;

/** What a tensor has along an axis; of one that is filled, what the list of its sizes says. */
export function sizeAlong(names: Names, tensor: string, axis: number): Size | undefined {
  const own = meant(names, tensor);
  const constant = names.constant(own);
  if (constant) {
    const rows = constant.dims.at(axis);
    return rows === undefined ? undefined : { rows };
  }
  const node = names.producer(own);
  if (node?.domain !== "") return { of: own, axis };
  const isFilled = node.op === "ConstantOfShape" || (node.op === "Expand" && isSingle(names.constant(node.inputs[0]!)));
  if (isFilled) return sizesIn(names, node.inputs.at(-1)!)?.at(axis);
  const from = cameFrom(names, node, axis);
  if (!from) return { of: own, axis };
  return "rows" in from ? from : sizeAlong(names, from.of, from.axis);
}

const isSingle = (tensor: Tensor | undefined): boolean => tensor?.dims.every((size) => size === 1) ?? false;

/** Operators of numbers at the same place: as large as the only input that is no single number, and empty where one is. */
export const ELEMENTWISE = new Set([
  ...["Abs", "Add", "Cast", "Clip", "Div", "Dropout", "Exp", "Max", "Mean", "Min", "Mul", "Neg", "Pow", "Relu"],
  ...["Sigmoid", "Sub", "Sum", "Tanh", "Where"],
]);

/** The axis of an input whose size an axis of the output has; undefined where that is not known. */
function cameFrom(names: Names, node: Node, axis: number): Size | undefined {
  const [data, second] = node.inputs as [string, string?];
  const perm = node.attributes.perm as readonly number[] | undefined;
  if (node.op === "Transpose") return perm && axis >= 0 ? { of: data, axis: perm[axis]! } : undefined;
  if (node.op === "ScatterND") return { of: data, axis };
  // as large as it is
  if (node.op === "Expand")
    return second && shapeRead(names.producer(second)) === data ? { of: data, axis } : undefined;
  if (ELEMENTWISE.has(node.op)) {
    const isNumber = (name: string) =>
      name === "" ||
      (names.constant(name)?.dims.reduce((a, b) => a * b, 1) === 1 && names.constant(name)!.dims.length <= 1);
    const [only, ...others] = node.inputs.filter((name) => !isNumber(name));
    return only !== undefined && others.length === 0 ? { of: only, axis } : undefined;
  }
  const axes = axesGiven(names, node);
  if (!axes || axis < 0 || axes.some((each) => each < 0)) return undefined;
  if (node.op === "Unsqueeze")
    return axes.includes(axis) ? { rows: 1 } : { of: data, axis: axis - axes.filter((each) => each < axis).length };
  const drops = node.op === "Squeeze" || (node.op === "ReduceSum" && Number(node.attributes.keepdims ?? 1) === 0);
  if (!drops) return undefined;
  return { of: data, axis: [...axes].sort((a, b) => a - b).reduce((at, each) => (each <= at ? at + 1 : at), axis) };
}
