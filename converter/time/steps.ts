/**
 * Values that change where the sequence reaches some length: n > 200, min(n, 5000). As sizes they are harmless, since a
 * shorter table is a shorter kernel. In the values of a tensor they make another model of a long sequence, which no probe
 * at shorter lengths shows.
 */
import type { Model, Node } from "../onnx/graph.ts";
import { isConstant } from "./dim.ts";
import type { Fact } from "./fact.ts";
import type { Refusal } from "./follow.ts";

/** Operators that are one thing below a bound and another above it. Rounding is none: its steps recur at any length. */
const STEPPING = new Set([
  ...["Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "Min", "Max", "Where"],
  ...["Clip", "Relu", "LeakyRelu", "ThresholdedRelu", "Elu", "Sign", "Abs", "HardSigmoid"],
  ...["Sigmoid", "Softplus", "Tanh"],
]);

/** Inputs that are sizes, bounds or places, by operator; of Range and ConstantOfShape every one. */
const SIZES: Readonly<Record<string, readonly number[]>> = {
  Reshape: [1],
  Expand: [1],
  Tile: [1],
  Slice: [1, 2, 3, 4],
  Split: [1],
  Pad: [1],
  DFT: [1, 2],
  Range: [0, 1, 2],
  ConstantOfShape: [0],
};

/** What depends on the length alone, and whether it changes at some length. */
type Kind = "smooth" | "stepped";

/** Whether a tensor is a number made of the sequence length. */
const isLength = (fact: Fact | undefined): boolean =>
  fact?.kind === "shape" && !(fact.values?.every((value) => isConstant(value)) ?? false);

/** The nodes whose values change where the sequence reaches some length: refused. */
export function lengthSteps({ graph }: Model, facts: ReadonlyMap<string, Fact>): Refusal[] {
  const kinds = new Map<string, Kind>();
  const refusals: Refusal[] = [];
  const kindOf = (name: string): Kind | undefined =>
    kinds.get(name) ?? (isLength(facts.get(name)) ? "smooth" : undefined);
  const isNumber = (name: string) =>
    !name || kindOf(name) !== undefined || facts.get(name)?.kind === "constant" || facts.get(name)?.kind === "shape";
  for (const node of graph.nodes) {
    if (node.outputs.every((name) => facts.get(name)?.kind === "shape")) continue;
    // what a tensor's size is made of says nothing about its values
    const values = node.inputs.filter((name, i) => name && !SIZES[node.op]?.includes(i));
    const found = values.map(kindOf);
    if (!found.some(Boolean)) continue;
    if (values.every(isNumber)) {
      const kind: Kind = STEPPING.has(node.op) || found.includes("stepped") ? "stepped" : "smooth";
      for (const name of node.outputs) kinds.set(name, kind);
    } else if (found.includes("stepped")) refusals.push(refusalOf(node));
  }
  return refusals;
}

const refusalOf = (node: Node): Refusal => ({
  node,
  code: "depends-on-length",
  reason: "takes in a value that changes where the sequence reaches some length",
  remedy: "Compute it without comparing the sequence's length with a number.",
});
