/** Tensors that are read for their sizes alone: ones_like(x[:1]) takes nothing of the first sequence but how it is shaped. */

import { fromFront } from "../graph/axis.ts";
import type { Node } from "../graph/graph.ts";
import { isConstant } from "./facts/dim.ts";
import type { Fact, Layout } from "./facts/fact.ts";
import { axesOf, type Context, integers, numbers, type Operand } from "./facts/rule.ts";
import { meetLayouts } from "./rules/broadcast.ts";
import { ELEMENTWISE } from "./rules/elementwise.ts";

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

/** Operators whose output is shaped as their first input. */
const SHAPED_AS_FIRST = new Set(["Softmax", "LogSoftmax", "Trilu", "CumSum", "Dropout"]);

/**
 * How the output of a node is laid out whose values are not followed: the scores of queries and keys have time along two axes, and masks
 * are made by their sizes. For sizes alone.
 * @param layouts of the inputs
 */
export function laidOut(
  { op, domain, attributes }: Node,
  layouts: readonly (Layout | undefined)[],
  context: Context,
): Layout | undefined {
  const [first, second] = layouts;
  if (domain !== "" || !first) return undefined;
  if (SHAPED_AS_FIRST.has(op)) return first;
  if (op === "Transpose") {
    const perm = (attributes.perm as readonly number[] | undefined) ?? first.map((_, k) => first.length - 1 - k);
    return perm.map((k) => first[k]!);
  }
  if (op === "MatMul") {
    if (!second || first.length < 2 || second.length < 2) return undefined;
    const outer = stretched([first.slice(0, -2), second.slice(0, -2)], context);
    return outer && [...outer, first.at(-2)!, second.at(-1)!];
  }
  if (op !== "Where" && !ELEMENTWISE.rules[op]) return undefined;
  const known = layouts.filter((layout) => layout !== undefined);
  return known.length === layouts.length ? stretched(known, context) : undefined;
}

function stretched(layouts: readonly Layout[], context: Context): Layout | undefined {
  const met = meetLayouts(layouts, context);
  return "axes" in met ? met.axes : undefined;
}
