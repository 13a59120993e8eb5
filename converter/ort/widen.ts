/** A float32 twin of a model in half precision: the same graph, so that it can be analysed without its rounding. */

import { withoutInnerShapes } from "../file/encode.ts";
import type { AttributeInput } from "../graph/attributes.ts";
import { createBuilder, namesOf } from "../graph/build.ts";
import { type Initializer, indexGraph, type Model, type Node, type ValueInfo } from "../graph/graph.ts";
import { float32FromBfloat16, float32FromFloat16 } from "../graph/halves.ts";
import { initializerOf } from "../graph/initializer.ts";
import { makeNode, rewire } from "../graph/node.ts";
import { withFields } from "../graph/schema.ts";
import { DataType, makeTensor, type Tensor } from "../graph/tensor.ts";

/** Whether a type of ONNX is float16 or bfloat16. */
export const isHalf = (type: number): boolean => type === DataType.FLOAT16 || type === DataType.BFLOAT16;

/** Whether any weight, input or cast of the model is float16 or bfloat16. */
export function hasHalves({ graph }: Model): boolean {
  return (
    [...graph.initializers.values()].some((initializer) => isHalf(initializer.type)) ||
    graph.inputs.some((input) => isHalf(input.type)) ||
    graph.nodes.some((node) => node.op === "Cast" && isHalf(Number(node.attributes.to)))
  );
}

/**
 * The twin. Names are the same, so what is found in it holds for the original.
 *
 * @param rounded outputs of casts to half precision that are rounded all the same
 */
export function widened(model: Model, rounded: ReadonlySet<string> = new Set()): Model {
  const { graph } = model;
  const wide = (type: number) => (isHalf(type) ? DataType.FLOAT : type);
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(graph));
  const initializers = new Map<string, Initializer>();
  for (const [name, initializer] of graph.initializers)
    initializers.set(
      name,
      isHalf(initializer.type) ? initializerOf(name, widenTensor(initializer.tensor())) : initializer,
    );
  const value = <T extends { type: number; name: string; dims: unknown }>({ name, type, dims }: T) => ({
    name,
    type: wide(type),
    dims,
  });
  return {
    ...model,
    graph: {
      inputs: graph.inputs.map(value) as Model["graph"]["inputs"],
      outputs: graph.outputs.map(value) as Model["graph"]["outputs"],
      nodes: graph.nodes.flatMap((node) =>
        rounded.has(node.outputs[0]!) ? castThrough(node, b.name(`${node.outputs[0]}_half`)) : [widenNode(node)],
      ),
      initializers,
    },
    proto: withFields(model.proto, { graph: withFields(model.proto.graph ?? {}, { valueInfo: [] }) }),
  };
}

/** A float16 or bfloat16 tensor in float32; others as they are. */
export function widenTensor(tensor: Tensor): Tensor {
  if (tensor.type === DataType.FLOAT16)
    return makeTensor(DataType.FLOAT, tensor.dims, float32FromFloat16(tensor.data as Uint16Array));
  if (tensor.type === DataType.BFLOAT16)
    return makeTensor(DataType.FLOAT, tensor.dims, float32FromBfloat16(tensor.data as Uint16Array));
  return tensor;
}

/** Casts to half become casts to float; constants in attributes are widened. */
function widenNode(node: Node): Node {
  const { to, value } = node.attributes;
  const changes: Record<string, AttributeInput> = {};
  if (node.op === "Cast" && isHalf(Number(to))) changes.to = DataType.FLOAT;
  if (
    (node.op === "Constant" || node.op === "ConstantOfShape") &&
    value &&
    typeof value === "object" &&
    "data" in value &&
    isHalf((value as Tensor).type)
  )
    changes.value = { tensor: widenTensor(value as Tensor) };
  if (Object.keys(changes).length === 0) return node;
  return makeNode(node.name, node.op, node.inputs, node.outputs, { attributes: changes, origin: node });
}

/** A cast to half precision and back to float32, by way of a tensor of the given name. */
const castThrough = (node: Node, half: string): Node[] => [
  makeNode(half, "Cast", node.inputs, [half], { attributes: { to: Number(node.attributes.to) } }),
  makeNode(node.name, "Cast", [half], node.outputs, { attributes: { to: DataType.FLOAT }, origin: node }),
];

/** Operators whose output has another type than their first input, with the place of the input that has it. */
const TYPE_FROM: Readonly<Record<string, number>> = { Where: 1, CastLike: 1, GatherND: 0, Range: 0 };

/** The element type of a float tensor in the original: followed back to the cast, weight or input that decides it. */
export function floatTypeOf(model: Model, tensor: string): number {
  const { producer } = indexGraph(model.graph);
  const seen = new Set<string>();
  for (let name = tensor; !seen.has(name); ) {
    seen.add(name);
    const declared =
      model.graph.initializers.get(name)?.type ?? model.graph.inputs.find((input) => input.name === name)?.type;
    if (declared !== undefined) return declared;
    const node = producer.get(name);
    if (!node) break;
    if (node.op === "Cast") return Number(node.attributes.to);
    const { value } = node.attributes;
    const made = node.op === "Constant" || node.op === "ConstantOfShape";
    if (made && value && typeof value === "object" && "data" in value) return (value as Tensor).type;
    if (node.op === "ConstantOfShape") break;
    name = node.inputs[TYPE_FROM[node.op] ?? 0] ?? "";
  }
  return DataType.FLOAT;
}

/** The same model with float32 where its inputs and outputs are half, cast just inside: what JavaScript can feed and read. */
export function withFloatInterface(model: Model): Model {
  const { graph } = model;
  const halves = (infos: readonly ValueInfo[]) => infos.filter((info) => isHalf(info.type));
  if (halves(graph.inputs).length + halves(graph.outputs).length === 0) return model;
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(graph));
  const renamed = new Map<string, string>();
  const asFloat = (info: ValueInfo): ValueInfo =>
    isHalf(info.type) ? { name: info.name, type: DataType.FLOAT, dims: info.dims } : info;
  const first = b.added(() => {
    for (const { name, type } of halves(graph.inputs))
      renamed.set(name, b.one("Cast", [name], { to: type }, { hint: `${name}_half` }));
  });
  const last = b.added(() => {
    for (const { name } of halves(graph.outputs)) {
      renamed.set(name, b.name(`${name}_half`));
      b.one("Cast", [renamed.get(name)!], { to: DataType.FLOAT }, { outputs: [name] });
    }
  });
  const other = (name: string) => renamed.get(name) ?? name;
  const nodes = graph.nodes.map((node) =>
    [...node.inputs, ...node.outputs].some((name) => renamed.has(name))
      ? rewire(node, { inputs: node.inputs.map(other), outputs: node.outputs.map(other) })
      : node,
  );
  return withoutInnerShapes({
    ...model,
    graph: {
      ...graph,
      inputs: graph.inputs.map(asFloat),
      outputs: graph.outputs.map(asFloat),
      nodes: [...first.nodes, ...nodes, ...last.nodes],
    },
  });
}
