/**
 * float32 made wider and float32 again is what it was: left to ONNX Runtime, such a pair of casts behind an input makes it lose the tensor
 * where only the branches of an If read it (1.30: CastChainElimination does not rename what subgraphs read).
 */
import type { Node } from "../graph/graph.ts";
import { DataType } from "../graph/tensor.ts";
import type { Expansion, Site } from "./expansion.ts";

export const Cast: Expansion = (b, node, { producerOf, typeOf }) => {
  const wider = producerOf(node.inputs[0]!);
  if (Number(node.attributes.to) !== DataType.FLOAT || !isCastTo(wider, DataType.DOUBLE)) return false;
  const source = wider!.inputs[0]!;
  if (typeOf(origin(source, producerOf)) !== DataType.FLOAT) return false;
  b.one("Identity", [source], {}, { outputs: [node.outputs[0]!] });
  return true;
};

const isCastTo = (node: Node | undefined, type: number): boolean =>
  node?.op === "Cast" && node.domain === "" && Number(node.attributes.to) === type;

/** Operators that give numbers of the type of their first input. */
const MOVES = new Set(["Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"]);

function origin(tensor: string, producerOf: Site["producerOf"]): string {
  const node = producerOf(tensor);
  return node?.domain === "" && MOVES.has(node.op) ? origin(node.inputs[0]!, producerOf) : tensor;
}
