/** Shapes of what operators make, from the shapes and the numbers that they are given: enough of ONNX to see what is large. */
import { fromFront } from "../graph/axis.ts";
import type { Attributes } from "../graph/graph.ts";
import type { Numbers } from "./values.ts";

/** What is known of a tensor before it is computed. */
export interface Known {
  readonly dims: Numbers | undefined;
  /** Of small tensors of rank 0 or 1. */
  readonly values: Numbers | undefined;
}

/** The shape of the first output; undefined where it is not followed. All inputs that are asked for may be unknown. */
export type ShapeRule = (inputs: readonly (Known | undefined)[], attributes: Attributes) => Numbers | undefined;

const isNumber = (value: unknown): value is number => typeof value === "number";
const listOf = (value: unknown): Numbers | undefined => (Array.isArray(value) ? (value as Numbers) : undefined);
const withAxis = (dims: Numbers, axis: number, size: number): Numbers =>
  dims.map((dim, k) => (k === fromFront(axis, dims.length) ? size : dim));

/** Broadcast against one another, as elementwise operators do. */
function broadcast(shapes: readonly (Numbers | undefined)[]): Numbers | undefined {
  if (shapes.some((dims) => dims === undefined)) return undefined;
  const rank = Math.max(...shapes.map((dims) => dims!.length));
  return Array.from({ length: rank }, (_, k) =>
    shapes.reduce((size, dims) => {
      const dim = dims![k - rank + dims!.length] ?? 1;
      return size === 1 ? dim : dim === 1 ? size : Math.max(size, dim);
    }, 1),
  );
}

const elementwise: ShapeRule = (inputs) => broadcast(inputs.filter((each) => each).map((each) => each!.dims));
const first: ShapeRule = ([data]) => data?.dims;

const Range: ShapeRule = ([start, limit, delta]) => {
  const [from, to, by] = [start?.values?.[0], limit?.values?.[0], delta?.values?.[0]];
  return isNumber(from) && isNumber(to) && by ? [Math.max(0, Math.ceil((to - from) / by))] : undefined;
};

const Reshape: ShapeRule = ([data, shape], { allowzero = 0 }) => {
  const wanted = shape?.values;
  const whole = data?.dims?.reduce((a, b) => a * b, 1);
  const dims = wanted?.map((dim, k) => (dim === 0 && !allowzero ? data?.dims?.[k] : dim));
  if (!dims?.every(isNumber)) return undefined;
  const rest = dims.reduce((a, b) => (b === -1 ? a : a * b), 1);
  if (!dims.includes(-1)) return dims;
  return whole === undefined || rest === 0 ? undefined : dims.map((dim) => (dim === -1 ? whole / rest : dim));
};

const Pad: ShapeRule = ([data, pads, , axes]) => {
  const [dims, by] = [data?.dims, pads?.values];
  const along = axes ? axes.values?.map((axis) => fromFront(axis, dims?.length ?? 0)) : dims?.map((_, k) => k);
  if (!dims || !by || !along || by.length !== 2 * along.length) return undefined;
  return dims.map((dim, k) => {
    const at = along.indexOf(k);
    return at < 0 ? dim : Math.max(0, dim + by[at]! + by[at + along.length]!);
  });
};

const Concat: ShapeRule = (inputs, { axis = 0 }) => {
  const shapes = inputs.map((each) => each?.dims);
  if (!shapes[0] || !shapes.every((dims) => dims?.length === shapes[0]!.length)) return undefined;
  const at = fromFront(Number(axis), shapes[0].length);
  return withAxis(
    shapes[0],
    at,
    shapes.reduce((sum, dims) => sum + (dims![at] ?? 0), 0),
  );
};

const Gather: ShapeRule = ([data, indices], { axis = 0 }) => {
  if (!data?.dims || !indices?.dims) return undefined;
  const at = fromFront(Number(axis), data.dims.length);
  return [...data.dims.slice(0, at), ...indices.dims, ...data.dims.slice(at + 1)];
};

const Unsqueeze: ShapeRule = ([data, axes]) => {
  if (!data?.dims || !axes?.values) return undefined;
  const rank = data.dims.length + axes.values.length;
  const added = new Set(axes.values.map((axis) => fromFront(axis, rank)));
  const rest = data.dims.values();
  return Array.from({ length: rank }, (_, k) => (added.has(k) ? 1 : (rest.next().value ?? 1)));
};

const Squeeze: ShapeRule = ([data, axes]) => {
  if (!data?.dims || (axes && !axes.values)) return undefined;
  const gone = axes?.values?.map((axis) => fromFront(axis, data.dims!.length));
  return data.dims.filter((dim, k) => (gone ? !gone.includes(k) : dim !== 1));
};

/** No shorter than the slice is. */
const Slice: ShapeRule = ([data, starts, ends, axes, steps]) => {
  const [dims, from, to] = [data?.dims, starts?.values, ends?.values];
  if (!dims || !from || !to) return dims;
  const by = steps?.values;
  const along = axes ? axes.values?.map((axis) => fromFront(axis, dims.length)) : from.map((_, k) => k);
  const place = (at: number, dim: number) => Math.min(dim, Math.max(0, at < 0 ? at + dim : at));
  return dims.map((dim, k) => {
    const at = along?.indexOf(k) ?? -1;
    if (at < 0 || (by?.[at] ?? 1) !== 1) return dim;
    return Math.max(0, place(to[at]!, dim) - place(from[at]!, dim));
  });
};

const MatMul: ShapeRule = ([a, b]) => {
  const [x, y] = [a?.dims, b?.dims];
  if (!x || !y || x.length < 2 || y.length < 2) return undefined;
  const batch = broadcast([x.slice(0, -2), y.slice(0, -2)]);
  return batch && [...batch, x.at(-2)!, y.at(-1)!];
};

const Gemm: ShapeRule = ([a, b], { transA = 0, transB = 0 }) =>
  a?.dims && b?.dims ? [a.dims[transA ? 1 : 0] ?? 1, b.dims[transB ? 0 : 1] ?? 1] : undefined;

/** The axis is an attribute before opset 20, and an input from then on. */
const DFT: ShapeRule = ([data, length, axis], { axis: attribute = 1, onesided = 0 }) => {
  const dims = data?.dims;
  if (!dims || (length && !length.values)) return undefined;
  const at = fromFront(axis?.values?.[0] ?? Number(attribute), dims.length);
  const size = length?.values?.[0] ?? dims[at] ?? 1;
  const points = withAxis(dims, at, onesided ? Math.floor(size / 2) + 1 : size);
  return withAxis(points, -1, 2);
};

const Conv: ShapeRule = ([data, weights], { strides, pads, dilations }) => {
  const [x, w] = [data?.dims, weights?.dims];
  if (!x || !w || x.length !== w.length) return undefined;
  const [by, beside, apart] = [listOf(strides), listOf(pads), listOf(dilations)];
  const spatial = x.slice(2).map((dim, k) => {
    const around = (beside?.[k] ?? 0) + (beside?.[k + x.length - 2] ?? 0);
    return Math.max(0, Math.floor((dim + around - (w[k + 2]! - 1) * (apart?.[k] ?? 1) - 1) / (by?.[k] ?? 1)) + 1);
  });
  return [x[0]!, w[0]!, ...spatial];
};

const Transpose: ShapeRule = ([data], { perm }) =>
  data?.dims && (listOf(perm)?.map((k) => data.dims![k] ?? 1) ?? [...data.dims].reverse());

const Tile: ShapeRule = ([data, repeats]) =>
  data?.dims && repeats?.values ? data.dims.map((dim, k) => dim * (repeats.values![k] ?? 1)) : undefined;

const OneHot: ShapeRule = ([indices, depth]) =>
  indices?.dims && depth?.values ? [...indices.dims, depth.values[0]!] : undefined;

/** The axes are an attribute in old opsets, and an input in newer ones. */
const reduce: ShapeRule = ([data, axes], { axes: attribute, keepdims = 1 }) => {
  const dims = data?.dims;
  if (!dims || (axes && !axes.values)) return undefined;
  const given = axes?.values ?? listOf(attribute);
  const along = new Set(given?.map((axis) => fromFront(axis, dims.length)) ?? dims.keys());
  return dims.flatMap((dim, k) => (along.has(k) ? (keepdims ? [1] : []) : [dim]));
};

const REDUCTIONS = ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"];
const BROADCAST = [
  "Add",
  "Sub",
  "Mul",
  "Div",
  "Pow",
  "Mod",
  "Where",
  "And",
  "Or",
  "Xor",
  "Equal",
  "Greater",
  "Less",
].concat(["GreaterOrEqual", "LessOrEqual", "Min", "Max", "Sum", "Mean", "BitShift", "PRelu"]);
const AS_FIRST = [
  "Neg",
  "Abs",
  "Exp",
  "Log",
  "Sin",
  "Cos",
  "Sqrt",
  "Reciprocal",
  "Erf",
  "Relu",
  "Sigmoid",
  "Tanh",
  "Elu",
].concat(
  [
    "Cast",
    "Identity",
    "Softmax",
    "LayerNormalization",
    "CumSum",
    "Trilu",
    "Floor",
    "Ceil",
    "Round",
    "Clip",
    "Not",
    "Gelu",
  ],
  ["Softplus", "LeakyRelu", "Dropout", "LogSoftmax", "Sign", "HardSigmoid", "HardSwish", "EyeLike", "Selu", "Mish"],
);

/** By operator. */
export const SHAPE_RULES: Readonly<Record<string, ShapeRule>> = {
  ...Object.fromEntries(BROADCAST.map((op) => [op, elementwise])),
  ...Object.fromEntries(AS_FIRST.map((op) => [op, first])),
  ...{
    Range,
    Reshape,
    Pad,
    Concat,
    Gather,
    Unsqueeze,
    Squeeze,
    Slice,
    MatMul,
    Gemm,
    DFT,
    Conv,
    Transpose,
    Tile,
    OneHot,
  },
  ...Object.fromEntries(REDUCTIONS.map((of) => [`Reduce${of}`, reduce])),
  ConstantOfShape: ([shape]) => shape?.values,
  Expand: ([data, shape]) => broadcast([data?.dims, shape?.values]),
  Shape: ([data]) => data?.dims && [data.dims.length],
  GatherElements: ([, indices]) => indices?.dims,
};
