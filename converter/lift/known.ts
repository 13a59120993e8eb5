/** What can be said of tensors without running anything: types and shapes. Nothing is certain but what is said. */
import type { Graph, Initializer, Node, ValueInfo } from "../graph/graph.ts";
import type { ValueInfoProto } from "../graph/proto.ts";
import { DataType, type Tensor } from "../graph/tensor.ts";
import { valueInfoFromProto } from "../graph/valueinfo.ts";
import { constantsOf, outputsOf } from "../shapes/follow.ts";
import type { Known as Shape } from "../shapes/known.ts";

/** Of the tensors of a graph and those around it. */
export interface Known {
  readonly types: Map<string, number>;
  readonly shapes: Map<string, Shape>;
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
/** An empty knowledge, or a copy of what is known outside of a subgraph. */
export const knownIn = (outer?: Known): Known => ({
  types: new Map(outer?.types),
  shapes: new Map(outer?.shapes),
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
    const sizes = dims?.map((dim) => (typeof dim === "number" ? dim : Number.NaN));
    if (sizes) known.shapes.set(name, { dims: sizes, values: undefined });
  };
  for (const info of [...graph.inputs, ...graph.outputs, ...declared.map(valueInfoFromProto)]) learn(info);
  for (const { name, type, dims, tensor } of graph.initializers.values())
    learnConstant(known, name, type, dims, tensor);
  for (const [name, shape] of constantsOf(graph)) known.shapes.set(name, shape);
}

function learnConstant(known: Known, name: string, type: number, dims: readonly number[], tensor: () => Tensor): void {
  known.types.set(name, type);
  known.dims.set(name, dims);
  known.constants.set(name, tensor);
}

/**
 * Notes what follows for the outputs of a node from its inputs.
 * @param lifted what stands for it in the opset whose shapes are followed
 * @param constants that were made for these nodes
 */
export function learnNode(
  known: Known,
  node: Node,
  lifted: readonly Node[],
  constants: ReadonlyMap<string, Initializer>,
): void {
  const [output = ""] = node.outputs;
  const names = new Set(lifted.flatMap(({ inputs }) => inputs).filter((name) => !known.shapes.has(name)));
  const fresh = new Map([...names].flatMap((name) => (constants.has(name) ? [[name, constants.get(name)!]] : [])));
  for (const [name, shape] of constantsOf({ initializers: fresh })) known.shapes.set(name, shape);
  for (const each of lifted)
    for (const [i, shape] of outputsOf(each, known.shapes).entries()) {
      const name = each.outputs[i];
      if (name && !known.shapes.get(name)?.dims) known.shapes.set(name, shape);
    }
  if (node.domain === "" && node.op === "Constant") {
    const value = node.attributes.value as Tensor | undefined;
    if (value) learnConstant(known, output, value.type, value.dims, () => value);
    return;
  }
  const type = typeOf(known, node);
  for (const name of node.outputs) if (!known.types.has(name) && type !== undefined) known.types.set(name, type);
}

function typeOf({ types }: Known, { op, inputs, attributes }: Node): number | undefined {
  if (op === "Cast") return attributes.to as number;
  if (op === "ConstantOfShape") return (attributes.value as Tensor | undefined)?.type ?? DataType.FLOAT;
  if (BOOLEAN.has(op)) return DataType.BOOL;
  if (INTEGER.has(op)) return DataType.INT64;
  const from = op === "Where" ? inputs.slice(1) : inputs;
  return from.map((name) => types.get(name)).find((type) => type !== undefined);
}
