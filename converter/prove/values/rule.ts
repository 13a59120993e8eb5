/** What a rule of the proof gets and answers, and how operands are read. */
import type { Attributes, Node } from "../../graph/graph.ts";
import { DataType, toNumbers } from "../../graph/tensor.ts";
import { type Dim, dim, equal, multiply } from "../../time/facts/dim.ts";
import { atLeast, type Case, numberOf, symbolOf, Unproven } from "./cases.ts";
import {
  type Axes,
  type Body,
  type Factor,
  type Fixed,
  isLine,
  type Lines,
  type Sizes,
  tensor,
  type Value,
} from "./value.ts";

/** What holds around a node. */
export interface Site {
  readonly which: Case;
  readonly opset: number;
  readonly node: Node;
  /** onnx.TensorProto.DataType of a tensor, as it was seen. */
  readonly typeOf: (tensor: string) => number | undefined;
  /** Channels of what the region mixes may be added up: kernels are read of each pair of channels. */
  readonly mixesChannels?: boolean | undefined;
}

/**
 * A rule: the values of the outputs from those of the inputs (undefined: left out).
 * @throws Split, Unproven, NotRun
 */
export type Rule = (
  inputs: readonly (Value | undefined)[],
  attributes: Attributes,
  site: Site,
) => readonly Value[] | Value;

/** Constants of more values are no sizes. */
const MOST_SIZES = 64;

/** Whole numbers made of the length, or constants of a few numbers. */
export function sizesOf(value: Value | undefined): readonly Dim[] | undefined {
  if (value?.kind === "sizes") return value.values;
  return numbersOf(value)?.map(dim);
}

/** Values of a small constant. */
export function numbersOf(value: Value | undefined): readonly number[] | undefined {
  if (value?.kind === "sizes") {
    const numbers = value.values.map(numberOf);
    return numbers.every((each) => each !== undefined) ? numbers : undefined;
  }
  if (value?.kind !== "tensor" || value.pair !== undefined) return undefined;
  const [body] = value.parts;
  const count = countOf(value.axes);
  if (body?.kind !== "fixed" || !body.tensor || count > MOST_SIZES) return undefined;
  const { data, ...tensor } = body.tensor();
  // one that was stretched has more places than values
  return data.length === count ? [...toNumbers({ ...tensor, data })] : undefined;
}

const countOf = (axes: Axes): number =>
  axes.flat().reduce<number>((count, factor) => (typeof factor === "number" ? count * factor : Infinity), 1);

const INTEGERS = new Set<number>([
  ...[DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64],
  ...[DataType.UINT8, DataType.UINT16, DataType.UINT32, DataType.UINT64],
]);

/** Whether a type of ONNX counts in whole numbers. */
export const isInteger = (type: number): boolean => INTEGERS.has(type);

/** Whether what a node gives may be whole numbers. */
export const isIntegerOutput = ({ node, typeOf }: Site): boolean =>
  isInteger(typeOf(node.outputs[0]!) ?? DataType.INT64);

/** Whether sums and products with places are exact: a multiple of 1/1024. */
export const isDyadic = (number: number): boolean => Number.isInteger(number * 1024);

/** The one body of a tensor that has no pair of real and imaginary part. */
export function bodyOf(value: Lines): Body {
  if (value.pair !== undefined) throw new Unproven("works on pairs of real and imaginary parts");
  return value.parts[0]!;
}

/** A tensor; sizes are none. */
export function tensorOf(value: Value | undefined): Lines {
  if (value?.kind === "tensor") return value;
  throw new Unproven("takes in a number made of the length as a value");
}

export const fixed = (axes: Axes, key: string, more: Partial<Fixed> = {}): Lines =>
  tensor(axes, { kind: "fixed", key, zero: false, tensor: undefined, ...more });

/** Sizes of one axis or none. */
export const sizes = (rank: 0 | 1, values: readonly Dim[]): Sizes => ({ kind: "sizes", rank, values });

export const rankOf = (value: Value | undefined): number | undefined =>
  value?.kind === "sizes" ? value.rank : value?.kind === "tensor" ? value.axes.length : value ? 0 : undefined;

/** The size of an axis. */
export function sizeOfAxis(axis: readonly Factor[]): Dim {
  let size = dim(1);
  for (const factor of axis) {
    const by = isLine(factor) ? factor.line : factor === "batch" ? { ...dim(0), batch: 1 } : dim(factor);
    const product = multiply(size, by);
    if (!product) throw new Unproven("has an axis whose size is not followed");
    size = product;
  }
  return size;
}

/** An axis of channels in a key: what is the same in every place has a sum that depends on how many there are. */
export const numbersText = (axis: readonly Factor[]): string => `×${axis.join("·")}`;

/** A size as a number that tells it from others, for the regrouping of axes. */
export function symbolic(which: Case, { constant, batch, time, product }: Dim): bigint {
  const [b, n] = [1_000_003, symbolOf(which)];
  return BigInt(Math.round(constant + time * n)) + BigInt(Math.round(batch + product * n)) * BigInt(b);
}

/** Whether two axes are the same at every length of the case. */
export function sameAxis(which: Case, a: readonly Factor[], b: readonly Factor[]): boolean {
  const [x, y] = [sizeOfAxis(a), sizeOfAxis(b)];
  if (equal(x, y)) return true;
  if (x.batch || x.product || y.batch || y.product) return false;
  return atLeast(which, x, y) && atLeast(which, y, x);
}

/** A body whose places along the axes are those of others: `to` gives an axis's new place. */
export function placed(body: Body, to: (axis: number) => number): Body {
  if (body.kind === "pairs" || body.kind === "windows") return { ...body, row: to(body.row), column: to(body.column) };
  if (body.kind !== "index") return body;
  return { ...body, coefficients: new Map([...body.coefficients].map(([axis, by]) => [to(axis), by])) };
}
