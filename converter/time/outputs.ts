/** Outputs of the graph that no state can carry: they tell the position or the length, whatever the input is. */
import type { GraphIndex, Model } from "../graph/graph.ts";
import type { Dim } from "./facts/dim.ts";
import type { Refusal, TimeFacts } from "./follow.ts";

const hasLength = ({ time, product }: Dim): boolean => time !== 0 || product !== 0;

/** Refuses outputs that are functions of the position or the length alone: a step would give its own, not the sequence's. */
export function lengthOutputs({ graph }: Model, { producer }: GraphIndex, { facts, varies }: TimeFacts): Refusal[] {
  return graph.outputs.flatMap(({ name }): Refusal[] => {
    const [node, fact] = [producer.get(name), facts.get(name)];
    if (!node) return [];
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
