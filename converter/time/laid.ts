/** How tensors are laid out whose values are not followed, for what reads their sizes. */

import { fromFront, permOf } from "../graph/axis.ts";
import type { Node } from "../graph/graph.ts";
import type { Dim } from "./facts/dim.ts";
import type { Axis, Layout } from "./facts/fact.ts";
import type { Context } from "./facts/rule.ts";
import { meetLayouts } from "./rules/broadcast.ts";
import { ELEMENTWISE } from "./rules/elementwise.ts";

/** Operators whose output is shaped as their first input. */
const SHAPED_AS_FIRST = new Set(["Softmax", "LogSoftmax", "Trilu", "CumSum", "Dropout"]);

/**
 * How the output of a node is laid out whose values are not followed: the scores of queries and keys have time along two axes, and masks
 * are made by their sizes.
 * @param layouts of the inputs
 * @param told sizes that the second input names
 */
export function laidOut(
  node: Node,
  layouts: readonly (Layout | undefined)[],
  told: () => readonly Dim[] | undefined,
  context: Context,
): Layout | undefined {
  const { op, domain } = node;
  const [first, second] = layouts;
  if (domain !== "") return undefined;
  if (op === "Reshape") return asTold(told());
  if (!first) return undefined;
  if (SHAPED_AS_FIRST.has(op)) return first;
  if (op === "Transpose") return permOf(node, first.length).map((k) => first[k]!);
  if (op === "MatMul") {
    if (!second || first.length < 2 || second.length < 2) return undefined;
    const outer = stretched([first.slice(0, -2), second.slice(0, -2)], context);
    return outer && [...outer, first.at(-2)!, second.at(-1)!];
  }
  if (op !== "Where" && !ELEMENTWISE.rules[op]) return undefined;
  const known = layouts.filter((layout) => layout !== undefined);
  return known.length === layouts.length ? stretched(known, context) : undefined;
}

/** A layout of these sizes; undefined where one is not known, or no product of batch, length and a number. */
function asTold(sizes: readonly Dim[] | undefined): Layout | undefined {
  const axes = sizes?.map(({ constant, batch, time, product }): Axis | undefined => {
    const parts = [constant, batch, time, product];
    const [count, ...others] = parts.filter((part) => part !== 0);
    if (count === undefined || others.length > 0 || !(Number.isInteger(count) && count > 0)) return undefined;
    const symbols = ([[], ["batch"], ["time"], ["batch", "time"]] as const)[parts.findIndex((part) => part !== 0)]!;
    return count === 1 ? symbols : [...symbols, count];
  });
  return axes?.every((axis) => axis !== undefined) ? axes : undefined;
}

/**
 * How the tensors are laid out that only operators of layout separate from where something leaves a closed part: a length may be
 * read off them.
 */
export function laidBehind(
  nodes: ReadonlySet<Node>,
  exits: readonly { readonly tensor: string; readonly axes: Layout }[],
  numbersOf: (name: string) => readonly number[] | undefined,
): ReadonlyMap<string, Layout> {
  const producer = new Map([...nodes].flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const laid = new Map<string, Layout>();
  for (const exit of exits)
    for (let { tensor, axes } = exit; ; ) {
      const node = producer.get(tensor);
      const before = node && layoutBefore(node, axes, numbersOf);
      if (!before) break;
      [tensor, axes] = [node.inputs[0]!, before];
      laid.set(tensor, axes);
    }
  return laid;
}

/** How the first input of a node is laid out whose output is laid out so. */
function layoutBefore(
  node: Node,
  axes: Layout,
  numbersOf: (name: string) => readonly number[] | undefined,
): Layout | undefined {
  const { op, domain, inputs, attributes } = node;
  if (domain !== "") return undefined;
  if (op === "Identity" || op === "Cast" || op === "Neg") return axes;
  if (op === "Transpose") {
    const perm = permOf(node, axes.length);
    return axes.map((_, k) => axes[perm.indexOf(k)]!);
  }
  const named = (attributes.axes as readonly number[] | undefined) ?? (inputs[1] ? numbersOf(inputs[1]) : undefined);
  if (!named) return undefined;
  if (op === "Unsqueeze") {
    const added = new Set(named.map((axis) => fromFront(axis, axes.length)));
    return axes.filter((_, k) => !added.has(k));
  }
  if (op !== "Squeeze") return undefined;
  const rank = axes.length + named.length;
  const dropped = named.map((axis) => fromFront(axis, rank)).sort((a, b) => a - b);
  return dropped.reduce<Layout>((made, axis) => made.toSpliced(axis, 0, []), axes);
}

function stretched(layouts: readonly Layout[], context: Context): Layout | undefined {
  const met = meetLayouts(layouts, context);
  return "axes" in met ? met.axes : undefined;
}
