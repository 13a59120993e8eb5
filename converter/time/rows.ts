/** Rows of functions of the position: the same one everywhere (ones, zeros), or not; and running sums of the former. */

import { fromFront } from "../graph/axis.ts";
import type { Node } from "../graph/graph.ts";
import { type Fact, timeAxis } from "./facts/fact.ts";
import { numbers, type Operand } from "./facts/rule.ts";

/** Operators that repeat what has no time axis: the same row everywhere. */
const UNIFORM = new Set(["ConstantOfShape", "Expand", "Tile"]);

const hasTime = (fact: Fact | undefined): boolean =>
  fact?.kind === "position" && (fact.axes === undefined || timeAxis(fact.axes) >= 0);

/**
 * Whether the rows of a node's outputs differ: where a time axis comes from anything but repetition, and for all that
 * reads such rows or adds up others.
 * @param varies tensors whose rows differ
 */
export function rowsDiffer(node: Node, facts: ReadonlyMap<string, Fact>, varies: ReadonlySet<string>): boolean {
  if (node.inputs.some((name) => varies.has(name))) return true;
  const begins = !node.inputs.some((name) => hasTime(facts.get(name))) && !UNIFORM.has(node.op);
  const outputs = node.outputs.map((name) => facts.get(name));
  return outputs.some(hasTime) && (begins || node.op === "CumSum");
}

/** The running sum along time of rows that are all the same: position + 1 (`exclusive`: the position) times the row. */
export function runningSum(
  node: Node,
  [data, axis]: readonly (Operand | undefined)[],
  varies: ReadonlySet<string>,
): Fact | undefined {
  if (node.op !== "CumSum" || node.domain !== "" || node.attributes.reverse) return undefined;
  if (data?.fact.kind !== "position" || !data.fact.axes || varies.has(data.name)) return undefined;
  const along = numbers(axis)?.[0];
  const { axes } = data.fact;
  const isTime = along !== undefined && axes[fromFront(along, axes.length)]?.join() === "time";
  return isTime ? data.fact : undefined;
}
