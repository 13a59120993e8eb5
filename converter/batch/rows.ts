/** What operators are when their data have a batch in front: one row a family. */
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
function again(
  { node, b }: Site,
  inputs: readonly string[],
  attributes: Readonly<Record<string, AttributeInput>> = {},
): true {
  b.copy(withAttributes(node, attributes), inputs, node.outputs);
  return true;
}

const shifted = (axis: number): number => (axis < 0 ? axis : axis + 1);

/** Each operand's axes stand at the end: they meet as before where all that have a batch have as many. */
const elementwise: Row = (site) => {
  const { node, isBatched, rankOf } = site;
  const ranks = node.inputs.filter(Boolean).map((name) => ({ rank: rankOf(name), batched: isBatched(name) }));
  const most = Math.max(...ranks.flatMap(({ rank, batched }) => (batched ? (rank ?? 99) : [])));
  const meets = ranks.every(({ rank, batched }) => rank !== undefined && (batched ? rank === most : rank <= most));
  return meets && again(site, node.inputs);
};

/** An attribute that names an axis, counted from the front where it is not negative. */
const alongAxis =
  (usual: number, attribute = "axis"): Row =>
  (site) => {
    const { node, isBatched } = site;
    if (!node.inputs.every((name, i) => !name || isBatched(name) || i > 0)) return false;
    return again(site, node.inputs, { [attribute]: shifted(Number(node.attributes[attribute] ?? usual)) });
  };

/** An input that is a list of axes. */
const alongAxes =
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

const Concat: Row = (site) => site.node.inputs.every(site.isBatched) && alongAxis(0)(site);

const Transpose: Row = (site) => {
  const { node, rankOf } = site;
  const rank = rankOf(node.inputs[0]!);
  if (rank === undefined) return false;
  const perm =
    (node.attributes.perm as readonly number[] | undefined) ?? Array.from({ length: rank }, (_, k) => rank - 1 - k);
  return again(site, node.inputs, { perm: [0, ...perm.map((k) => k + 1)] });
};

/** The batch is copied: 0. */
const Reshape: Row = (site) => {
  const { node, b, isBatched } = site;
  const [data, shape] = node.inputs as [string, string];
  if (!isBatched(data) || isBatched(shape) || node.attributes.allowzero) return false;
  return again(site, [data, b.one("Concat", [b.ints("batch", [0]), shape], { axis: 0 }, { hint: "shape" })]);
};

const Expand: Row = (site) => {
  const { node, b, isBatched, rankOf, dimsOf } = site;
  const [data, shape] = node.inputs as [string, string];
  if (!isBatched(data) || isBatched(shape) || rankOf(data) !== dimsOf(shape)?.[0]) return false;
  return again(site, [data, b.one("Concat", [b.ints("batch", [1]), shape], { axis: 0 }, { hint: "shape" })]);
};

/** Rows of a table by ids with a batch; or places that are the same in every row. */
const Gather: Row = (site) => {
  const { node, isBatched } = site;
  const [data, ids] = node.inputs as [string, string];
  const axis = Number(node.attributes.axis ?? 0);
  if (isBatched(data)) return !isBatched(ids) && again(site, node.inputs, { axis: shifted(axis) });
  return axis === 0 && again(site, node.inputs);
};

const MatMul: Row = (site) => {
  const { node, isBatched, rankOf } = site;
  const [a, c] = node.inputs.map((name) => ({ rank: rankOf(name) ?? 0, batched: isBatched(name) }));
  if (a!.rank < 2 || c!.rank < 2) return false;
  if (a!.batched && c!.batched) return a!.rank === c!.rank && again(site, node.inputs);
  return a!.batched && c!.rank === 2 && again(site, node.inputs);
};

const Gemm: Row = (site) => {
  const { node, b, isBatched } = site;
  const [a, w, bias] = node.inputs as [string, string, string | undefined];
  const { transA = 0, transB = 0, alpha = 1, beta = 1 } = node.attributes;
  if (!isBatched(a) || isBatched(w) || transA || alpha !== 1 || beta !== 1 || (bias && isBatched(bias))) return false;
  b.from(node);
  const turned = transB ? b.one("Transpose", [w], { perm: [1, 0] }) : w;
  if (!bias) b.add("MatMul", [a, turned], {}, { outputs: node.outputs });
  else b.add("Add", [b.one("MatMul", [a, turned]), bias], {}, { outputs: node.outputs });
  b.from(undefined);
  return true;
};

/** Sizes without that of the batch. */
const Shape: Row = (site) => {
  const { node, b } = site;
  const all = b.one("Shape", [node.inputs[0]!], {}, { hint: "sizes" });
  const { start = 0, end } = node.attributes as { start?: number; end?: number };
  const to = end === undefined ? Number.MAX_SAFE_INTEGER : shifted(end);
  b.add("Slice", [all, b.ints("from", [shifted(start)]), b.ints("to", [to])], {}, { outputs: node.outputs });
  return true;
};

/** Its axis is an attribute before opset 20, an input from there on. */
const DFT: Row = (site) => {
  if (site.b.opset < 20) return alongAxis(1)(site);
  const axis = site.constantOf(site.node.inputs[2] ?? "");
  return axis !== undefined && toNumbers(axis)[0]! >= 0 && alongAxes(2)(site);
};

const Slice: Row = (site) =>
  site.node.inputs.slice(1).every((name) => !name || !site.isBatched(name)) && alongAxes(3)(site);

const Pad: Row = (site) => {
  const { node, b, constantOf, isBatched } = site;
  const pads = constantOf(node.inputs[1]!);
  if (!isBatched(node.inputs[0]!) || !pads || node.inputs[3]) return false;
  const values = [...toNumbers(pads)];
  const half = values.length / 2;
  const moved = b.ints("pads", [0, ...values.slice(0, half), 0, ...values.slice(half)]);
  return again(site, [node.inputs[0]!, moved, ...node.inputs.slice(2)]);
};

/** A batch of one that the graph made itself gives way to the batch. */
const ofOwnBatch: Row = (site) => {
  const { node, b, dimsOf, isBatched } = site;
  const [data, ...rest] = node.inputs as [string, ...string[]];
  if (!isBatched(data) || rest.some((name) => name && isBatched(name)) || dimsOf(data)?.[0] !== 1) return false;
  const own = b.one("Squeeze", [data, b.ints("own", [1])], {}, { hint: "batch" });
  const made = b.name(node.name);
  b.copy(node, [own, ...rest], [made]);
  b.add("Unsqueeze", [made, b.ints("own", [1])], {}, { outputs: [node.outputs[0]!] });
  return true;
};

/** The same for layers along axis 0 of [positions, 1, features]. */
const recurrent: Row = (site) => {
  const { node, b, dimsOf, isBatched } = site;
  const [data, ...rest] = node.inputs as [string, ...string[]];
  const used = node.outputs.filter(Boolean);
  if (!isBatched(data) || rest.slice(3).some(Boolean) || dimsOf(data)?.[1] !== 1 || used[0] !== node.outputs[0])
    return false;
  if (used.length !== 1) return false;
  const own = b.one("Squeeze", [data, b.ints("own", [2])], {}, { hint: "batch" });
  const made = b.name(node.name);
  const alone = node.outputs.map((_, i) => (i === 0 ? made : ""));
  b.copy(node, [b.one("Transpose", [own], { perm: [1, 0, 2] }), ...rest.slice(0, 3)], alone);
  const back = b.one("Transpose", [made], { perm: [2, 0, 1, 3] });
  b.add("Unsqueeze", [back, b.ints("own", [3])], {}, { outputs: [node.outputs[0]!] });
  return true;
};

const each = (names: readonly string[], row: Row) => Object.fromEntries(names.map((name) => [name, row]));

export const ROWS: Readonly<Record<string, Row>> = {
  ...each(
    ["Abs", "Add", "And", "Cast", "Ceil", "Clip", "Cos", "Div", "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu"],
    elementwise,
  ),
  ...each(
    ["Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Less", "LessOrEqual"],
    elementwise,
  ),
  ...each(
    ["Log", "Max", "Min", "Mish", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Selu"],
    elementwise,
  ),
  ...each(["Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tanh", "Where"], elementwise),
  ...each(["Softmax", "LogSoftmax", "LayerNormalization", "RMSNormalization"], alongAxis(-1)),
  ...each(["Split"], alongAxis(0)),
  ...each(
    ["Unsqueeze", "Squeeze", "CumSum", "CumProd", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2"],
    alongAxes(1),
  ),
  ...each(["Conv", "MaxPool", "AveragePool", "BatchNormalization"], ofOwnBatch),
  ...each(["RNN", "GRU", "LSTM"], recurrent),
  ...{ Concat, Transpose, Reshape, Expand, Gather, MatMul, Gemm, Shape, Slice, Pad, DFT },
};
