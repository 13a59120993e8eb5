/** Shapes that a fixed export wrote into constants, and shapes that a dynamic one computes, made short and symbolic. */
import { type Builder, rewire } from "../onnx/build.ts";
import type { Node } from "../onnx/graph.ts";
import { type Layout, timeCount } from "../time/fact.ts";
import type { TimeFacts } from "../time/follow.ts";
import { type SymbolNames, shapeOperand } from "./layout.ts";

const hasSymbols = (axes: Layout): boolean => axes.flat().some((factor) => typeof factor !== "number");

/** The layout of a tensor that has one with exactly one time axis, or a batch axis. */
export function layoutOf(time: TimeFacts, tensor: string): Layout | undefined {
  const fact = time.facts.get(tensor);
  if (fact?.kind !== "stream" && fact?.kind !== "still" && fact?.kind !== "last") return undefined;
  return timeCount(fact.axes) <= 1 && hasSymbols(fact.axes) ? fact.axes : undefined;
}

/**
 * Reshape and Expand of data get a shape operand made from the layout that was followed: a constant with 0 and -1 where
 * that is enough. So a fixed length disappears, and a dynamic graph loses the nodes that computed its shapes.
 */
export function withSymbolicShape(b: Builder, node: Node, time: TimeFacts, symbols: SymbolNames): Node {
  if (node.domain !== "") return node;
  const target = layoutOf(time, node.outputs[0]!);
  if (!target) return node;
  if (node.op === "Reshape") {
    const shape = shapeOperand(b, target, symbols, layoutOf(time, node.inputs[0]!));
    const [remade] = rebuilt(b, "Reshape", [node.inputs[0]!, shape], node);
    return remade!;
  }
  if (node.op === "Expand") {
    const own = layoutOf(time, node.inputs[0]!);
    if (own && sameAxes(own, target)) return rebuilt(b, "Identity", [node.inputs[0]!], node)[0]!;
    return rewire(node, { inputs: [node.inputs[0]!, dynamicShape(b, target, symbols)] });
  }
  // a slice that keeps every position keeps them at any length; a fixed export wrote its own length as the end
  if (node.op === "Slice") {
    const own = layoutOf(time, node.inputs[0]!);
    if (own && sameAxes(own, target) && target.flat().includes("time"))
      return rebuilt(b, "Identity", [node.inputs[0]!], node)[0]!;
  }
  return node;
}

const sameAxes = (a: Layout, b: Layout): boolean =>
  a.length === b.length && a.every((axis, k) => axis.join() === b[k]!.join());

/** A node in the place of another, with its outputs and metadata; it stays out of the builder's own list. */
function rebuilt(b: Builder, op: string, inputs: readonly string[], origin: Node): Node[] {
  const scratch = b.subgraph();
  scratch.from(origin);
  scratch.add(op, inputs, {}, { outputs: origin.outputs, hint: origin.name });
  return [...scratch.nodes];
}

/** Expand knows neither 0 nor -1. */
function dynamicShape(b: Builder, target: Layout, symbols: SymbolNames): string {
  if (symbols.areOne) return shapeOperand(b, target, symbols);
  const parts = target.map((axis) => {
    const sizes = axis.map((factor) =>
      factor === "batch" ? symbols.batch() : factor === "time" ? symbols.time() : b.ints("size", [factor]),
    );
    return sizes.length ? sizes.reduce((a, c) => b.one("Mul", [a, c], {}, { hint: "size" })) : b.ints("size", [1]);
  });
  return b.one("Concat", parts, { axis: 0 }, { hint: "shape" });
}
