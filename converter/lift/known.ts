/** What can be said of tensors without running anything: types and numbers of axes. Nothing is certain but what is said. */
import type { Graph, Node, ValueInfo } from "../graph/graph.ts";
import type { ValueInfoProto } from "../graph/proto.ts";
import { DataType, type Tensor, toNumbers } from "../graph/tensor.ts";
import { valueInfoFromProto } from "../graph/valueinfo.ts";

/** Of the tensors of a graph and those around it. */
export interface Known {
  readonly types: Map<string, number>;
  /** Numbers of axes. */
  readonly ranks: Map<string, number>;
  /** Elements of lists of integers: as many axes has what they are the shape of. */
  readonly counts: Map<string, number>;
  /** Values of constants, and below their dimensions. */
  readonly constants: Map<string, () => Tensor>;
  readonly dims: Map<string, readonly number[]>;
}

const BOOLEAN = new Set([
  "Equal",
  "Greater",
  "GreaterOrEqual",
  "Less",
  "LessOrEqual",
  "Not",
  "And",
  "Or",
  "Xor",
  "IsNaN",
  "IsInf",
]);
const INTEGER = new Set(["Shape", "Size", "ArgMax", "ArgMin", "NonZero", "NonMaxSuppression"]);
/** Outputs have as many axes as the first input. */
const SAME_RANK = new Set(
  [
    ["Abs", "Cast", "Ceil", "Clip", "Cos", "CumSum", "Dropout", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "Hardmax"],
    ["Identity", "LeakyRelu", "Log", "LogSoftmax", "Neg", "Not", "PRelu", "Pad", "Reciprocal", "Relu", "Round", "Selu"],
    ["Sigmoid", "Sign", "Sin", "Slice", "Softmax", "Softplus", "Softsign", "Split", "Sqrt", "Tanh", "Tile", "TopK"],
    [
      "BatchNormalization",
      "InstanceNormalization",
      "LayerNormalization",
      "LpNormalization",
      "LRN",
      "Concat",
      "Transpose",
    ],
    ["Conv", "ConvTranspose", "AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool", "Resize", "Upsample"],
    ["Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cosh", "Sinh", "Tan", "Celu", "Shrink", "ThresholdedRelu"],
    ["IsInf", "IsNaN", "Trilu"],
    ["Scatter", "ScatterElements", "ScatterND", "GatherElements", "ReverseSequence", "MeanVarianceNormalization"],
  ].flat(),
);
/** Outputs have as many axes as the input that has most. */
const BROADCAST = new Set([
  "Add",
  "Sub",
  "Mul",
  "Div",
  "Pow",
  "Mod",
  "Max",
  "Min",
  "Sum",
  "Mean",
  "Where",
  "Equal",
  "Greater",
  "GreaterOrEqual",
  "Less",
  "LessOrEqual",
  "And",
  "Or",
  "Xor",
  "Expand",
]);

/** An empty knowledge, or a copy of what is known outside of a subgraph. */
export const knownIn = (outer?: Known): Known => ({
  types: new Map(outer?.types),
  ranks: new Map(outer?.ranks),
  counts: new Map(outer?.counts),
  constants: new Map(outer?.constants),
  dims: new Map(outer?.dims),
});

/** Notes what is declared, and the constants. */
export function learnGraph(
  known: Known,
  graph: Pick<Graph, "inputs" | "outputs" | "initializers">,
  declared: readonly ValueInfoProto[],
): void {
  const learn = ({ name, type, dims }: ValueInfo) => {
    if (type) known.types.set(name, type);
    if (dims) known.ranks.set(name, dims.length);
  };
  for (const info of [...graph.inputs, ...graph.outputs, ...declared.map(valueInfoFromProto)]) learn(info);
  for (const { name, type, dims, tensor } of graph.initializers.values())
    learnConstant(known, name, type, dims, tensor);
}

function learnConstant(known: Known, name: string, type: number, dims: readonly number[], tensor: () => Tensor): void {
  known.types.set(name, type);
  known.ranks.set(name, dims.length);
  known.dims.set(name, dims);
  known.constants.set(name, tensor);
  if (dims.length === 1) known.counts.set(name, dims[0]!);
}

/** Notes what follows for the outputs of a node from its inputs. */
export function learnNode(known: Known, node: Node): void {
  const [output = ""] = node.outputs;
  if (node.domain === "" && node.op === "Constant") {
    const value = node.attributes.value as Tensor | undefined;
    if (value) learnConstant(known, output, value.type, value.dims, () => value);
    return;
  }
  const type = typeOf(known, node);
  for (const name of node.outputs) if (!known.types.has(name) && type !== undefined) known.types.set(name, type);
  const count = node.domain === "" ? countOf(known, node) : undefined;
  if (count !== undefined) known.counts.set(output, count);
  const rank = node.domain === "" ? rankOf(known, node) : undefined;
  for (const name of node.outputs) if (!known.ranks.has(name) && rank !== undefined) known.ranks.set(name, rank);
}

function typeOf({ types }: Known, { op, inputs, attributes }: Node): number | undefined {
  if (op === "Cast") return attributes.to as number;
  if (op === "ConstantOfShape") return (attributes.value as Tensor | undefined)?.type ?? DataType.FLOAT;
  if (BOOLEAN.has(op)) return DataType.BOOL;
  if (INTEGER.has(op)) return DataType.INT64;
  const from = op === "Where" ? inputs.slice(1) : inputs;
  return from.map((name) => types.get(name)).find((type) => type !== undefined);
}

/** Elements of a list: of shapes, and of what is made of them. */
function countOf(known: Known, node: Node): number | undefined {
  const { counts, ranks } = known;
  const { op, inputs } = node;
  const [data = ""] = inputs;
  if (op === "Shape") return ranks.get(data);
  if (op === "Unsqueeze" && ranks.get(data) === 0) return 1;
  if (op === "Cast" || op === "Identity") return counts.get(data);
  if (op === "Concat") {
    const parts = inputs.map((name) => counts.get(name));
    return parts.every((part) => part !== undefined) ? parts.reduce((sum, part) => sum + part, 0) : undefined;
  }
  if (op === "Gather") return ranks.get(data) === 1 ? counts.get(inputs[1] ?? "") : undefined;
  if (op === "Slice") return countOfSlice(known, node);
  if (ELEMENTWISE.has(op)) {
    const sizes = inputs.map((name) => (ranks.get(name) === 0 ? 1 : counts.get(name)));
    const isList = inputs.some((name) => ranks.get(name) === 1);
    return isList && sizes.every((size) => size !== undefined) ? Math.max(...sizes) : undefined;
  }
  return undefined;
}

const ELEMENTWISE = new Set(["Add", "Sub", "Mul", "Div", "Max", "Min", "Mod"]);

/** Of a list that is cut once, at places that are constant. */
function countOfSlice({ counts, constants }: Known, { inputs, attributes }: Node): number | undefined {
  const count = counts.get(inputs[0]!);
  const single = (k: number, name: string): number | undefined => {
    const listed = attributes[name] as readonly number[] | undefined;
    if (listed) return listed.length === 1 ? listed[0] : undefined;
    const values = constants.get(inputs[k] ?? "")?.();
    return values?.data.length === 1 ? toNumbers(values)[0] : undefined;
  };
  const [start, end] = [single(1, "starts"), single(2, "ends")];
  if (count === undefined || start === undefined || end === undefined || inputs[4]) return undefined;
  const place = (at: number) => Math.max(0, Math.min(count, at < 0 ? at + count : at));
  return Math.max(0, place(end) - place(start));
}

function rankOf(known: Known, { op, inputs, attributes }: Node): number | undefined {
  const of = (index: number) => known.ranks.get(inputs[index] ?? "");
  const plus = (a: number | undefined, b: number | undefined) =>
    a === undefined || b === undefined ? undefined : a + b;
  const axes = (attributes.axes as readonly number[] | undefined)?.length ?? known.counts.get(inputs[1] ?? "");
  if (SAME_RANK.has(op)) return of(0);
  if (BROADCAST.has(op)) {
    const shape = op === "Expand" ? known.counts.get(inputs[1] ?? "") : 0;
    const all = [...inputs.map((name) => known.ranks.get(name)), shape];
    return all.every((rank) => rank !== undefined) ? Math.max(...all) : undefined;
  }
  switch (op) {
    case "Shape":
    case "Range":
      return 1;
    case "Einsum":
      return /->\s*([a-zA-Z]*)\s*$/.exec(String(attributes.equation ?? ""))?.[1]?.length;
    case "Reshape":
      return known.counts.get(inputs[1] ?? "");
    case "ConstantOfShape":
      return known.counts.get(inputs[0] ?? "");
    case "Flatten":
    case "Gemm":
      return 2;
    case "Unsqueeze":
      return plus(of(0), axes);
    case "Squeeze":
      return axes === undefined ? undefined : plus(of(0), -axes);
    case "Gather":
      return plus(plus(of(0), of(1)), -1);
    case "MatMul":
      return of(0) !== undefined && of(1) !== undefined && of(0)! > 1 && of(1)! > 1
        ? Math.max(of(0)!, of(1)!)
        : undefined;
  }
  if (!op.startsWith("Reduce")) return undefined;
  if (attributes.keepdims !== 0) return of(0);
  return axes === undefined ? undefined : plus(of(0), -axes);
}
