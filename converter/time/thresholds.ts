/**
 * Values that change where the sequence reaches some length: n > 200, min(n, 5000). As sizes they are harmless, since a
 * shorter table is a shorter kernel. In the values of a tensor they make another model of a long sequence, which no probe
 * at shorter lengths shows.
 */
import type { Model, Node } from "../graph/graph.ts";
import { DataType, toNumbers } from "../graph/tensor.ts";
import { isConstant } from "./facts/dim.ts";
import type { Fact } from "./facts/fact.ts";
import type { Constant } from "./fold.ts";
import type { Refusal } from "./follow.ts";

/** Operators that are one thing below a bound and another above it. */
const THRESHOLDS = new Set([
  ...["Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "Min", "Max", "Where"],
  ...["Clip", "Relu", "LeakyRelu", "ThresholdedRelu", "Elu", "Sign", "Abs", "HardSigmoid"],
  ...["Sigmoid", "Softplus", "Tanh"],
]);

/** Rounding steps at every length that the probes have, unless the number was divided by more than the shortest of them. */
const ROUNDING = new Set(["Floor", "Ceil", "Round", "Cast"]);
const LARGEST_DIVISOR = 32;

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

/** What depends on the length alone: whether it changes at some length, or would if it were rounded. */
type Kind = "smooth" | "slow" | "threshold";

/** Whether a tensor is a number made of the sequence length. */
const isLength = (fact: Fact | undefined): boolean =>
  fact?.kind === "shape" && !(fact.values?.every((value) => isConstant(value)) ?? false);

/** What a node makes of numbers of these kinds. */
function kindAfter(node: Node, found: readonly Kind[], constants: ReadonlyMap<string, Constant>): Kind {
  if (found.includes("threshold") || THRESHOLDS.has(node.op)) return "threshold";
  const slow = found.includes("slow");
  if (slow && ROUNDING.has(node.op) && node.attributes.to !== DataType.FLOAT) return "threshold";
  const by = constants.get(node.inputs[1] ?? "")?.tensor();
  const factor = by ? Math.max(...toNumbers(by).map(Math.abs)) : undefined;
  if (factor === undefined) return slow ? "slow" : "smooth";
  const isInteger = by!.type === DataType.INT64 || by!.type === DataType.INT32;
  if ((node.op === "Div" || node.op === "Mod") && factor > LARGEST_DIVISOR) return isInteger ? "threshold" : "slow";
  if (node.op === "BitShift" && 2 ** factor > LARGEST_DIVISOR) return "threshold";
  return slow || (node.op === "Mul" && factor * LARGEST_DIVISOR < 1) ? "slow" : "smooth";
}

const isKnownSize = (fact: Fact | undefined): boolean => fact?.kind === "shape" && fact.values !== undefined;

/** The nodes whose values change where the sequence reaches some length: refused. */
export function lengthThresholds(
  { graph }: Model,
  facts: ReadonlyMap<string, Fact>,
  constants: ReadonlyMap<string, Constant>,
): Refusal[] {
  const kinds = new Map<string, Kind>();
  const refusals: Refusal[] = [];
  const kindOf = (name: string): Kind | undefined =>
    kinds.get(name) ?? (isLength(facts.get(name)) ? "smooth" : undefined);
  const isNumber = (name: string) =>
    !name || kindOf(name) !== undefined || facts.get(name)?.kind === "constant" || facts.get(name)?.kind === "shape";
  for (const node of graph.nodes) {
    // what a tensor's size is made of says nothing about its values
    const values = node.inputs.filter((name, i) => name && !SIZES[node.op]?.includes(i));
    const found = values.map(kindOf).filter((kind) => kind !== undefined);
    if (found.length === 0) continue;
    if (values.every(isNumber)) {
      const after = kindAfter(node, found, constants);
      // a size that is known as an expression of the length has no steps
      const kind =
        after === "threshold" && node.outputs.every((name) => isKnownSize(facts.get(name))) ? "smooth" : after;
      for (const name of node.outputs) kinds.set(name, kind);
    } else if (found.includes("threshold")) refusals.push(refusalOf(node));
  }
  return refusals;
}

const refusalOf = (node: Node): Refusal => ({
  node,
  code: "depends-on-length",
  reason: "takes in a value that changes where the sequence reaches some length",
  remedy: "Compute it without comparing the sequence's length with a number.",
});
