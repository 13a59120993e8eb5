/** Models of opset 17 and 18 as an old exporter would have written them. */

import { encodeModel } from "../converter/file/encode.ts";
import { decodeModel } from "../converter/file/read.ts";
import type { AttributeInput } from "../converter/graph/attributes.ts";
import { makeNode } from "../converter/graph/build.ts";
import type { Model, Node } from "../converter/graph/graph.ts";
import { int64Tensor, type Tensor, toNumbers } from "../converter/graph/tensor.ts";

/** The second input as the attribute of this name. */
const AXES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(["L1", "L2", "Max", "Mean", "Min", "Sum"].map((name) => [`Reduce${name}`, "axes"])),
  ...{ Squeeze: "axes", Unsqueeze: "axes", Split: "split" },
};

/** Attributes that are newer. */
const NEWER = new Set(["noop_with_empty_axes", "allowzero"]);

/** The model at an opset below 13; its operators must have existed then. */
export function lowered(model: Model, opset: number): Model {
  const constants = new Map<string, () => Tensor>();
  for (const { name, tensor } of model.graph.initializers.values()) constants.set(name, tensor);
  for (const { op, outputs, attributes } of model.graph.nodes)
    if (op === "Constant") constants.set(outputs[0]!, () => attributes.value as Tensor);
  const nodes = model.graph.nodes.flatMap((node) => loweredNode(node, constants));
  const opsets = new Map([...model.opsets, ["", opset]]);
  return decodeModel(encodeModel({ ...model, opsets, irVersion: 6, graph: { ...model.graph, nodes } }));
}

function loweredNode(node: Node, constants: ReadonlyMap<string, () => Tensor>): Node[] {
  const attributes = Object.fromEntries(
    Object.entries(node.attributes).flatMap(([name, value]) =>
      NEWER.has(name) ? [] : [[name, value as AttributeInput]],
    ),
  );
  const list = AXES[node.op];
  if (list) {
    const values = constants.get(node.inputs[1] ?? "");
    const axes = values && [...toNumbers(values())];
    return [made(node, [node.inputs[0]!], { ...attributes, ...(axes && { [list]: axes }) })];
  }
  if (node.op === "Reshape") return [made(node, node.inputs, {})];
  if (node.op !== "Shape" || node.attributes.start === undefined) return [node];
  // before opset 15 Shape gave all sizes
  const { start, end } = node.attributes as { start: number; end: number };
  const sizes = Array.from({ length: end - start }, (_, k) => start + k);
  const all = `${node.outputs[0]} of all`;
  return [
    makeNode(`${node.name} of all`, "Shape", node.inputs, [all]),
    makeNode(`${node.name} which`, "Constant", [], [`${all} which`], {
      attributes: { value: { tensor: int64Tensor([end - start], sizes) } },
    }),
    makeNode(node.name, "Gather", [all, `${all} which`], node.outputs),
  ];
}

const made = (node: Node, inputs: readonly string[], attributes: Readonly<Record<string, AttributeInput>>): Node =>
  makeNode(node.name, node.op, inputs, node.outputs, { attributes, origin: node });
