/**
 * Transforms in float64. ONNX Runtime's DFT over a number of points that is no power of two loses three digits in float32
 * (8e-5 at 509 points, 3e-3 at 16 381) and none in float64, so what is compared at such lengths is computed that way.
 */

import { withoutInnerShapes } from "../file/encode.ts";
import { createBuilder, namesOf } from "../graph/build.ts";
import type { Model, Node } from "../graph/graph.ts";
import { rewire } from "../graph/node.ts";
import { DataType } from "../graph/tensor.ts";

/** The same model with a cast to float64 before every DFT of float32, and back behind it. */
export const withPreciseTransforms = (model: Model, isDouble: (tensor: string) => boolean): Model =>
  inFloat64(model, ({ domain, op, inputs }) => domain === "" && op === "DFT" && !isDouble(inputs[0]!));

/** The same for running sums of float32: their rounding grows with the length, and what stands behind may enlarge it. */
export const withPreciseSums = (model: Model, isFloat: (tensor: string) => boolean): Model =>
  inFloat64(model, ({ domain, op, inputs }) => domain === "" && op === "CumSum" && isFloat(inputs[0]!));

/** The same model with a cast to float64 before the nodes that are chosen, and back to float32 behind them. */
function inFloat64(model: Model, isChosen: (node: Node) => boolean): Model {
  if (!model.graph.nodes.some(isChosen)) return model;
  const b = createBuilder(model.opsets.get("") ?? 17, namesOf(model.graph));
  const nodes = model.graph.nodes.flatMap((node): Node[] => {
    if (!isChosen(node)) return [node];
    const [data, ...rest] = node.inputs;
    const result = b.name("wide");
    const { made: wide, nodes } = b.added(() => {
      b.one("Cast", [result], { to: DataType.FLOAT }, { outputs: node.outputs });
      return b.one("Cast", [data!], { to: DataType.DOUBLE });
    });
    const [back, there] = nodes;
    return [there!, rewire(node, { inputs: [wide, ...rest], outputs: [result] }), back!];
  });
  return withoutInnerShapes({ ...model, graph: { ...model.graph, nodes } });
}
