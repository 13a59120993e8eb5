/** Where a model in half precision decides by a rounded number: there its float32 twin must round as well. */
import { type GraphIndex, indexGraph, type Model, type Node } from "../graph/graph.ts";
import { isFloat } from "../graph/tensor.ts";
import { isHalf } from "../ort/widen.ts";
import { ELEMENTWISE } from "../time/rules/elementwise.ts";
import { MOVEMENT } from "../time/rules/movement.ts";

/** Operators that answer with a step: two numbers that half precision rounds to one are one to them. */
const STEPS = new Set([
  "Ceil",
  "Equal",
  "Floor",
  "Greater",
  "GreaterOrEqual",
  "Less",
  "LessOrEqual",
  "Mod",
  "Round",
  "Sign",
]);

/** What is cast to half precision, by its type. */
export const castsToHalf = ({ graph }: Model): ReadonlyMap<string, number> =>
  new Map(
    graph.nodes
      .filter(({ op, attributes }) => op === "Cast" && isHalf(Number(attributes.to)))
      .map(({ outputs, attributes }) => [outputs[0]!, Number(attributes.to)]),
  );

/** Those of them that are compared, counted or rounded, as they are or moved or after a function of each value. */
export function decidingHalves({ graph }: Model, halves: Iterable<string>): ReadonlySet<string> {
  const index = indexGraph(graph);
  return new Set([...halves].filter((name) => decides(index, name)));
}

function decides({ consumers }: GraphIndex, half: string): boolean {
  const seen = new Set([half]);
  for (const name of seen)
    for (const node of consumers.get(name) ?? []) {
      if (isStep(node)) return true;
      if (ELEMENTWISE.rules[node.op] || MOVEMENT.rules[node.op]) for (const output of node.outputs) seen.add(output);
    }
  return false;
}

const isStep = ({ op, attributes: { to } }: Node): boolean => STEPS.has(op) || (op === "Cast" && !isFloat(Number(to)));
