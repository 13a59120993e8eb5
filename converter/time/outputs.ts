/** Outputs of the graph that no state can carry: they tell the position or the length, whatever the input is, or have other positions. */
import type { GraphIndex, Model, Node } from "../graph/graph.ts";
import type { Dim } from "./facts/dim.ts";
import type { Refusal, TimeFacts } from "./follow.ts";
import { excess, offsetOf } from "./offset.ts";

const hasLength = ({ time, product }: Dim): boolean => time !== 0 || product !== 0;

/**
 * Refuses outputs that are functions of the position or the length alone (a step would give its own, not the sequence's), and those that
 * have not one row for each position.
 */
export function lengthOutputs({ graph }: Model, { producer }: GraphIndex, { facts, varies }: TimeFacts): Refusal[] {
  return graph.outputs.flatMap(({ name }): Refusal[] => {
    const [node, fact] = [producer.get(name), facts.get(name)];
    if (!node) return [];
    const more = fact?.kind === "stream" ? excess(offsetOf(fact)) : 0;
    if (more !== 0) return [otherPositions(node, name, more)];
    const remedy = `Leave the output '${name}' out of the export: whoever drives the model knows it.`;
    if (fact?.kind === "position" && fact.axes && varies.has(name)) {
      const reason = `gives the output '${name}', a function of the absolute position alone`;
      return [{ node, code: "absolute-position", reason, remedy }];
    }
    const isLength =
      fact?.kind === "shape" ? (fact.values?.some(hasLength) ?? true) : fact?.kind === "position" && !fact.axes;
    const reason = `gives the output '${name}', a function of the sequence length alone`;
    return isLength ? [{ node, code: "depends-on-length", reason, remedy }] : [];
  });
}

/** A step gives an output for each position that it reads: what lacks some, or has more, has none for it. */
function otherPositions(node: Node, name: string, more: number): Refusal {
  const [count, what] = [Math.abs(more), more < 0 ? "fewer" : "more"];
  return {
    node,
    code: "mixes-time",
    reason: `gives the output '${name}' ${count} positions ${what} than the sequence has`,
    remedy:
      more < 0
        ? `Pad in front: F.pad(x, (${count}, 0)) before the first layer that reads earlier positions.`
        : "Cut what was padded off the end again.",
  };
}
