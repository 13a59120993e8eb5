/** Arithmetic on shapes: integers made of the batch size and the sequence length, rank 0 or 1. */
import type { Attributes } from "../../graph/graph.ts";
import { DataType, type Tensor, toNumbers } from "../../graph/tensor.ts";
import { add, BATCH, type Dim, dim, divide, equal, isConstant, multiply, scale, subtract, TIME } from "../facts/dim.ts";
import { type Axis, constantLayout, type Fact, type Layout } from "../facts/fact.ts";
import { axesOf, integers, numbers, type Operand } from "../facts/rule.ts";

/** The fact of the only output, or undefined where this is not arithmetic that can be followed. */
export type ShapeRule = (inputs: readonly (Operand | undefined)[], attributes: Attributes) => Fact | undefined;

const shape = (rank: 0 | 1, values: readonly (Dim | undefined)[]): Fact | undefined =>
  values.every((value) => value !== undefined) ? { kind: "shape", rank, values: values as Dim[] } : undefined;

const rankOf = (operand: Operand): 0 | 1 | undefined => {
  if (operand.fact.kind === "shape") return operand.fact.rank;
  const rank = axesOf(operand)?.length;
  return rank === 0 || rank === 1 ? rank : undefined;
};

export function dimOfAxis(axis: Axis): Dim | undefined {
  let product: Dim | undefined = dim(1);
  for (const factor of axis)
    product =
      product &&
      multiply(product, factor === "batch" ? BATCH : factor === "time" || factor === "keys" ? TIME : dim(factor));
  return product;
}

/** https://onnx.ai/onnx/operators/onnx__Shape.html */
const Shape: ShapeRule = ([data], { start = 0, end }) => {
  const sizes = data?.fact.kind === "shape" ? data.fact : undefined;
  const axes = sizes?.values ? constantLayout(sizes.rank === 1 ? [sizes.values.length] : []) : data && axesOf(data);
  return axes && shape(1, axes.slice(Number(start), end === undefined ? undefined : Number(end)).map(dimOfAxis));
};

const Size: ShapeRule = ([data]) => {
  const axes = data && axesOf(data);
  return axes && shape(0, [dimOfAxis(axes.flat())]);
};

const binary =
  (of: (a: Dim, b: Dim) => Dim | undefined): ShapeRule =>
  ([a, b]) => {
    const [x, y] = [integers(a), integers(b)];
    const [rx, ry] = [a && rankOf(a), b && rankOf(b)];
    if (!x || !y || rx === undefined || ry === undefined) return undefined;
    const length = Math.max(x.length, y.length);
    if ((x.length !== length && x.length !== 1) || (y.length !== length && y.length !== 1)) return undefined;
    const at = (values: readonly Dim[], i: number) => values[values.length === 1 ? 0 : i]!;
    return shape(
      rx || ry ? 1 : 0,
      Array.from({ length }, (_, i) => of(at(x, i), at(y, i))),
    );
  };

const same: ShapeRule = ([data]) => {
  const values = integers(data);
  const rank = data && rankOf(data);
  return values && rank !== undefined ? shape(rank, values) : undefined;
};

const isWhole = (d: Dim): boolean => Object.values(d).every(Number.isInteger);

/** https://onnx.ai/onnx/operators/onnx__Div.html: whole numbers are divided towards zero, as `chunk` does where no size depends on the length. */
const Div: ShapeRule = (inputs, attributes) => {
  const type = inputs[1]?.constant()?.type;
  const isInteger = type === DataType.INT64 || type === DataType.INT32;
  return binary(isInteger ? towardsZero : divide)(inputs, attributes);
};

const towardsZero = (a: Dim, b: Dim): Dim | undefined =>
  divide(a, b) ??
  (isConstant(a) && isConstant(b) && b.constant !== 0 ? dim(Math.trunc(a.constant / b.constant)) : undefined);

/** Types that hold any size as it is. */
const EXACT = new Set<number>([DataType.INT64, DataType.INT32, DataType.UINT64, DataType.UINT32, DataType.DOUBLE]);

/** https://onnx.ai/onnx/operators/onnx__Cast.html: to bool it is whether a size is not 0; float32 is exact up to 2^24. */
const Cast: ShapeRule = ([data], { to }) => {
  const values = integers(data);
  const rank = data && rankOf(data);
  if (!values || rank === undefined) return undefined;
  if (to === DataType.BOOL) return shape(rank, values.map(isNotZero));
  if (to === DataType.FLOAT) return shape(rank, values);
  // half a length is rounded when it is cast to an integer
  const exact = EXACT.has(Number(to)) && (to === DataType.DOUBLE || values.every(isWhole));
  return exact ? shape(rank, values) : undefined;
};

const isNotZero = (d: Dim): Dim | undefined => {
  const zero = decideEqual(d, dim(0));
  return zero && dim(zero.constant ? 0 : 1);
};

/** Rounding leaves whole numbers alone. */
const round: ShapeRule = (inputs, attributes) =>
  integers(inputs[0])?.every(isWhole) ? same(inputs, attributes) : undefined;

const negate: ShapeRule = ([data]) => {
  const values = integers(data);
  const rank = data && rankOf(data);
  return values && rank !== undefined
    ? shape(
        rank,
        values.map((value) => scale(value, -1)),
      )
    : undefined;
};

const squeeze: ShapeRule = ([data]) => {
  const values = integers(data);
  return values?.length === 1 ? shape(0, values) : undefined;
};

const unsqueeze: ShapeRule = ([data]) => {
  const values = integers(data);
  return values && data && rankOf(data) === 0 ? shape(1, values) : undefined;
};

const reshape: ShapeRule = ([data, target]) => {
  const values = integers(data);
  const to = numbers(target);
  if (!values || !to || to.length > 1) return undefined;
  return shape(to.length as 0 | 1, values);
};

const concat: ShapeRule = (inputs) => {
  const parts = inputs.map(integers);
  return parts.every((part) => part)
    ? shape(
        1,
        parts.flatMap((part) => part!),
      )
    : undefined;
};

const gather: ShapeRule = ([data, indices]) => {
  const values = integers(data);
  const picked = values && numbers(indices);
  const rank = indices && rankOf(indices);
  if (!picked || rank === undefined) return undefined;
  return shape(
    rank,
    picked.map((i) => values[i < 0 ? i + values.length : i]),
  );
};

const slice: ShapeRule = ([data, starts, ends, _axes, steps]) => {
  const values = integers(data);
  if (!values) return undefined;
  const [start, end, step] = [numbers(starts)?.[0], numbers(ends)?.[0], steps ? numbers(steps)?.[0] : 1];
  if (start === undefined || end === undefined || step !== 1) return undefined;
  return shape(1, values.slice(start, end));
};

/** Whether two sizes are equal for every batch size and length from 1 on, where that is decided. */
function decideEqual(a: Dim, b: Dim): Dim | undefined {
  const difference = subtract(a, b);
  if (equal(a, b)) return dim(1);
  const { constant, batch, time, product } = difference;
  const positive = [batch, time, product].every((x) => x >= 0) && constant + batch + time + product > 0;
  const negative = [batch, time, product].every((x) => x <= 0) && constant + batch + time + product < 0;
  return positive || negative ? dim(0) : undefined;
}

const where: ShapeRule = ([condition, yes, no]) => {
  const [chosen, x, y] = [integers(condition), integers(yes), integers(no)];
  if (!chosen || !x || !y) return undefined;
  const length = Math.max(chosen.length, x.length, y.length);
  const at = (values: readonly Dim[], i: number) => values[values.length === 1 ? 0 : i];
  const rank = [condition, yes, no].some((operand) => operand && rankOf(operand) === 1) ? 1 : 0;
  const values = Array.from({ length }, (_, i) => {
    const flag = at(chosen, i);
    return flag && isConstant(flag) ? at(flag.constant ? x : y, i) : undefined;
  });
  return shape(rank, values);
};

/** https://onnx.ai/onnx/operators/onnx__Range.html: as many whole steps as there are positions, from a whole number, are made of the position. */
const Range: ShapeRule = ([start, limit, delta]) => {
  const [from, to, by] = [integers(start)?.[0], integers(limit)?.[0], integers(delta)?.[0]];
  const isCounted = from && to && by && [from, by].every((each) => isConstant(each) && isWhole(each));
  return { kind: "position", axes: isCounted && steps(subtract(to, from), by.constant) ? [["time"]] : undefined };
};

/** Whether one step for each position, the last one maybe not whole, makes up a difference. */
function steps({ constant, batch, time, product }: Dim, by: number): boolean {
  const missing = -constant / by;
  return by !== 0 && !batch && !product && time === by && missing >= 0 && missing < 1;
}

/** A longer list is no shape. */
const MOST_AXES = 8;

/** A list of as many sizes as another has: ones, and -1, in what TorchScript's exporter writes for `expand(b, -1, -1)`. */
function sizesFilled(values: readonly Dim[] | undefined, value: unknown): Fact | undefined {
  const tensor = value && typeof value === "object" && "data" in value ? (value as Tensor) : undefined;
  const [count] = values ?? [];
  if (values?.length !== 1 || !isConstant(count!) || tensor?.type !== DataType.INT64) return undefined;
  if (count!.constant > MOST_AXES) return undefined;
  const [fill] = toNumbers(tensor);
  return shape(
    1,
    Array.from({ length: count!.constant }, () => dim(fill!)),
  );
}

/** https://onnx.ai/onnx/operators/onnx__ConstantOfShape.html */
const ConstantOfShape: ShapeRule = ([size], { value }) => {
  const values = integers(size);
  const filled = sizesFilled(values, value);
  if (filled) return filled;
  const axes: (Axis | undefined)[] | undefined = values?.map((d) => {
    if (isConstant(d)) return d.constant === 1 ? [] : [d.constant];
    if (equal(d, TIME)) return ["time"];
    return equal(d, BATCH) ? ["batch"] : undefined;
  });
  return { kind: "position", axes: axes?.every((axis) => axis) ? (axes as Layout) : undefined };
};

const product: ShapeRule = ([data], { keepdims = 1 }) => {
  const values = integers(data);
  const all = values?.reduce<Dim | undefined>((known, value) => known && multiply(known, value), dim(1));
  return all && shape(keepdims ? 1 : 0, [all]);
};

export const shapeRules: Readonly<Record<string, ShapeRule>> = {
  Shape,
  Size,
  Add: binary(add),
  Sub: binary(subtract),
  Mul: binary(multiply),
  Div,
  Equal: binary(decideEqual),
  Neg: negate,
  Cast,
  Identity: same,
  Floor: round,
  Ceil: round,
  Round: round,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Reshape: reshape,
  Concat: concat,
  Gather: gather,
  Slice: slice,
  Where: where,
  Range,
  ConstantOfShape,
  ReduceProd: product,
};
