/** Tensors that are read for their sizes alone: ones_like(x[:1]) takes nothing of the first sequence but how it is shaped. */

import { fromFront } from "../graph/axis.ts";
import type { Node } from "../graph/graph.ts";
import { isConstant } from "./facts/dim.ts";
import type { Fact, Layout } from "./facts/fact.ts";
import { axesOf, integers, numbers, type Operand } from "./facts/rule.ts";

/** Whether a node reads nothing of a tensor but its sizes. */
export const readsSizes = ({ op, domain }: Node): boolean => domain === "" && (op === "Shape" || op === "Size");

/** The nodes whose outputs nothing but Shape and Size reads. */
export function readForSizes(nodes: readonly Node[], outputs: ReadonlySet<string>): ReadonlySet<Node> {
  const read = new Set(outputs);
  for (const node of nodes) if (!readsSizes(node)) for (const name of node.inputs) read.add(name);
  return new Set(nodes.filter(({ outputs: made }) => !made.some((name) => read.has(name))));
}

/** What a node gives that takes one sequence of the batch, or one position: where it is read for its sizes, that is no state. */
export function oneOf({ op, domain, attributes }: Node, operands: readonly (Operand | undefined)[]): Fact | undefined {
  const axes = operands[0] && axesOf(operands[0]);
  if (domain !== "" || !axes) return undefined;
  const made =
    op === "Slice" ? sliced(axes, operands) : op === "Gather" ? picked(axes, operands[1], attributes.axis) : undefined;
  return made && { kind: "still", axes: made };
}

/** x[:1] */
function sliced(axes: Layout, [, starts, ends, over, steps]: readonly (Operand | undefined)[]): Layout | undefined {
  const [from, to] = [integers(starts), integers(ends)];
  const places = over ? numbers(over) : from?.map((_, k) => k);
  const isOne = from?.every(
    (start, i) => isConstant(start) && start.constant === 0 && isConstant(to![i]!) && to![i]!.constant === 1,
  );
  if (!isOne || !places || (steps && !numbers(steps)?.every((step) => step === 1))) return undefined;
  return places.reduce<Layout>((made, place) => made.with(fromFront(place, axes.length), []), axes);
}

/** x[0] */
function picked(axes: Layout, indices: Operand | undefined, axis: unknown): Layout | undefined {
  const at = indices && axesOf(indices);
  if (at?.length !== 0 || indices?.fact.kind !== "constant") return undefined;
  return axes.toSpliced(fromFront(Number(axis ?? 0), axes.length), 1);
}
