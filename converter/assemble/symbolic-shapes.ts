/** Shapes that a fixed export wrote into constants, and shapes that a dynamic one computes, made short and symbolic. */

import type { Found } from "../find/found.ts";
import { fromFront } from "../graph/axis.ts";
import { type Builder, rewire } from "../graph/build.ts";
import type { Node } from "../graph/graph.ts";
import { toNumbers } from "../graph/tensor.ts";
import type { SymbolNames } from "../parts/layout.ts";
import { dynamicShape, shapeOperand } from "../parts/layout.ts";
import { possibleLayouts } from "../parts/seen-shapes.ts";
import { isChannelAxis, type Layout, timeCount } from "../time/facts/fact.ts";
import type { TimeFacts } from "../time/follow.ts";

const hasSymbols = (axes: Layout): boolean => axes.flat().some((factor) => typeof factor !== "number");

/** The layout of a tensor that has one with exactly one time axis, or a batch axis. */
export function layoutOf(time: TimeFacts, tensor: string): Layout | undefined {
  const fact = time.facts.get(tensor);
  if (fact?.kind !== "stream" && fact?.kind !== "still" && fact?.kind !== "last") return undefined;
  return timeCount(fact.axes) <= 1 && hasSymbols(fact.axes) ? fact.axes : undefined;
}

/**
 * Reshape and Expand of data get a shape operand made from the layout that was followed: a constant with 0 and -1 where
 * that is enough, and Slice leaves out the axes that it does not cut. So a fixed length disappears, and a dynamic graph
 * loses the nodes that computed its shapes.
 */
export function withSymbolicShape(b: Builder, node: Node, { time, constants }: Found, symbols: SymbolNames): Node {
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
  if (node.op === "Slice") {
    const own = layoutOf(time, node.inputs[0]!);
    if (own) return ofChannels(b, node, own, target, constants);
  }
  return node;
}

/** A Shape of a tensor that no realisation makes any more, from the layout that was followed, or the only one that was seen. */
export function shapeOfGone(b: Builder, node: Node, { time, graphs }: Found, symbols: SymbolNames): Node {
  const [tensor] = node.inputs as [string];
  const seen = graphs.shapes.seen.get(tensor);
  const [only, ...more] = seen ? possibleLayouts(seen, graphs.shapes.runs) : [];
  const layout = layoutOf(time, tensor) ?? (more.length === 0 ? only : undefined);
  if (!layout) return node;
  const whole = dynamicShape(b, layout, symbols);
  const { start = 0, end = layout.length } = node.attributes;
  const [from, to] = [b.ints("from", [Number(start)]), b.ints("to", [Number(end)])];
  return rebuilt(b, "Slice", [whole, from, to, b.ints("axis", [0])], node)[0]!;
}

/** A slice that keeps every position keeps them at any length; a fixed export wrote its own length as the end. */
function ofChannels(b: Builder, node: Node, own: Layout, target: Layout, constants: Found["constants"]): Node {
  const [data, starts, ends, axesInput, steps] = node.inputs;
  const valuesOf = (name: string) => [...toNumbers(constants.get(name)!.tensor())];
  // the rule has read the axes, so they are constant
  const axes = axesInput ? valuesOf(axesInput) : own.map((_, k) => k);
  const isWhole = (k: number) => !isChannelAxis(own[k]!) && own[k]!.join() === target[k]!.join();
  const kept = axes.flatMap((axis, i) => (isWhole(fromFront(axis, own.length)) ? [] : [i]));
  if (kept.length === axes.length) return node;
  if (kept.length === 0) return rebuilt(b, "Identity", [data!], node)[0]!;
  const keptOf = (name: string, hint: string): string => {
    if (!constants.has(name)) return b.one("Gather", [name, b.ints("kept", kept)], { axis: 0 }, { hint });
    const values = valuesOf(name);
    return b.ints(
      hint,
      kept.map((i) => values[i]!),
    );
  };
  const cut = [
    keptOf(starts!, "starts"),
    keptOf(ends!, "ends"),
    b.ints(
      "axes",
      kept.map((i) => axes[i]!),
    ),
  ];
  return rebuilt(b, "Slice", [data!, ...cut, ...(steps ? [keptOf(steps, "steps")] : [])], node)[0]!;
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
