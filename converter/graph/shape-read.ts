/** Whose shape a node gives. */
import type { Node } from "./graph.ts";

/** The tensor whose whole shape a node gives; undefined for another node, and for a part of a shape. */
export function shapeRead(node: Node | undefined): string | undefined {
  if (node?.op !== "Shape" || node.domain !== "") return undefined;
  return Number(node.attributes.start ?? 0) === 0 && node.attributes.end === undefined ? node.inputs[0] : undefined;
}
