/**
 * An exported model with its Fourier transforms in float64: what it means, at any length. ONNX Runtime's DFT in float32 is
 * off by 5e-3 at lengths that are no powers of two; in float64 by 1e-10.
 */

import { inlineFunctions } from "../converter/expand/inline.ts";
import { createBuilder, namesOf } from "../converter/graph/build.ts";
import type { Model, Node } from "../converter/graph/graph.ts";
import { DataType } from "../converter/graph/tensor.ts";

/** The same model, functions inlined, every DFT between two casts. */
export function preciseTransforms(read: Model): Model {
  const model = inlineFunctions(read);
  const { graph } = model;
  const b = createBuilder(model.opsets.get("") ?? 1, namesOf(graph));
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    if (node.domain !== "" || node.op !== "DFT") {
      nodes.push(node);
      continue;
    }
    const [data, ...rest] = node.inputs;
    const before = b.nodes.length;
    const wide = b.one("Cast", [data!], { to: DataType.DOUBLE });
    const [spectrum] = b.copy(node, [wide, ...rest]);
    b.add("Cast", [spectrum!], { to: DataType.FLOAT }, { outputs: [node.outputs[0]!] });
    nodes.push(...b.nodes.slice(before));
  }
  return { ...model, graph: { ...graph, nodes, initializers: new Map([...graph.initializers, ...b.initializers]) } };
}
