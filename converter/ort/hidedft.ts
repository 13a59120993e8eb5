/**
 * Keeps ONNX Runtime from believing its own shape inference of DFT-20, which takes the output of a one-sided inverse
 * transform for as long as its input: the memory planner then reuses a buffer that is too small, and the run fails with
 * "Shape mismatch attempting to re-use buffer" (ONNX Runtime 1.30 and 1.32, CPU).
 */

import { withoutInnerShapes } from "../file/encode.ts";
import { createBuilder, namesOf } from "../graph/build.ts";
import type { Initializer, Model, Node } from "../graph/graph.ts";
import { rewire } from "../graph/node.ts";
import { boolTensor, DataType, int64Tensor } from "../graph/tensor.ts";

/** First opset whose DFT is concerned. */
const DFT_WITH_AXIS_INPUT = 20;

/**
 * The same function with the shapes around every DFT hidden from inference: the data go through a Reshape to their own
 * shape, whose rank nobody can know before the run (a Compress decides how many dimensions there are). A model without
 * DFT of opset 20 is returned as it is. Declared shapes of inner tensors are dropped, as they would tell.
 */
export function hideDftShapes(model: Model): Model {
  const opset = model.opsets.get("") ?? 0;
  const isDft = (node: Node) => node.domain === "" && node.op === "DFT";
  if (opset < DFT_WITH_AXIS_INPUT || !model.graph.nodes.some(isDft)) return model;
  const builder = createBuilder(opset, namesOf(model.graph));
  const nodes: Node[] = [];
  for (const node of model.graph.nodes) {
    if (!isDft(node)) {
      nodes.push(node);
      continue;
    }
    const [data = "", ...rest] = node.inputs;
    const before = builder.nodes.length;
    const hidden = reshapeToOwnShape(builder, data);
    nodes.push(...builder.nodes.slice(before), rewire(node, { inputs: [hidden, ...rest] }));
  }
  const initializers: ReadonlyMap<string, Initializer> = new Map([
    ...model.graph.initializers,
    ...builder.initializers,
  ]);
  return withoutInnerShapes({ ...model, graph: { ...model.graph, nodes, initializers } });
}

function reshapeToOwnShape(builder: ReturnType<typeof createBuilder>, data: string): string {
  // True, but computed from the data, so that fixed shapes are not folded into a constant either.
  const flat = builder.one("Reshape", [data, builder.ints("flat", [-1])]);
  const first = builder.one("Gather", [flat, builder.constant("first", int64Tensor([1], [0]))], { axis: 0 });
  const some = builder.one("Cast", [first], { to: DataType.BOOL });
  const always = builder.one("Or", [some, builder.constant("true", boolTensor([1], [true]))]);
  const shape = builder.one("Shape", [data]);
  const keep = builder.one("Expand", [always, builder.one("Shape", [shape])]);
  return builder.one("Reshape", [data, builder.one("Compress", [shape, keep])]);
}
