/** The verdict on one node, from the facts of what it reads. */
import type { Node } from "../graph/graph.ts";
import { integerTensor } from "../graph/integers.ts";
import { DataType } from "../graph/tensor.ts";
import { isConstant } from "./facts/dim.ts";
import { constantLayout, type Fact } from "./facts/fact.ts";
import type { Context, Operand, Verdict } from "./facts/rule.ts";
import type { Constant } from "./fold.ts";
import { isHeld } from "./held.ts";
import { runningSum } from "./rows.ts";
import { TRACE } from "./rules/control.ts";
import { CONTROL_FLOW, RANDOM, RULES } from "./rules/index.ts";
import { shapeRules } from "./rules/shape.ts";
import { readsSizes } from "./sized.ts";
import type { Judged } from "./walked.ts";

/** Whether a size is the same for every batch and length. */
export const isFixed = (fact: Fact): boolean => fact.kind === "shape" && fact.values?.every(isConstant) === true;

/** Whether it depends on what is fed. */
export const isData = (fact: Fact): boolean => fact.kind === "stream" || fact.kind === "still" || fact.kind === "last";

/** What a node reads under a name. */
export function operandOf(
  name: string,
  facts: ReadonlyMap<string, Fact>,
  constants: ReadonlyMap<string, Constant>,
): Operand {
  // a name without a fact is an output that a refused or closed node leaves out of sight
  const fact = facts.get(name) ?? { kind: "open" as const, openings: new Set<string>() };
  return { name, fact, constant: () => constants.get(name)?.tensor() };
}

/** The verdict on one node, from the facts of its inputs; none of its streams has an offset. */
export function judge(
  node: Node,
  operands: readonly (Operand | undefined)[],
  context: Context,
  varies: ReadonlySet<string>,
): Judged {
  const facts = operands.flatMap((operand) => (operand ? [operand.fact] : []));
  const opened = facts.flatMap((fact) => (fact.kind === "open" ? [...fact.openings] : []));
  if (node.domain === "" && RANDOM.has(node.op)) return { refuses: "random", reason: "draws random numbers" };
  if (readsSizes(node))
    return { outputs: [shapeRules[node.op]!(operands, node.attributes) ?? { kind: "position", axes: undefined }] };
  if (facts.some((fact) => fact.kind === "open")) return { open: new Set(opened) };
  const data = facts.some(isData);
  if (CONTROL_FLOW.has(node.op) && node.domain === "")
    return { refuses: "control-flow", reason: "is control flow, which is not followed", remedy: TRACE };
  if (!data && node.domain === "") {
    const followed = shapeRules[node.op]?.(operands, node.attributes) ?? runningSum(node, operands, varies);
    // a length that its type does not hold begins anew, or is rounded
    if (followed && !isHeld(followed, context.typeOf(node.outputs[0]!)))
      return { outputs: [{ kind: "position", axes: undefined }] };
    if (followed) return { outputs: [followed] };
  }
  const key = node.domain ? `${node.domain}::${node.op}` : node.op;
  const rule = RULES[key] ?? context.brought?.[key];
  // what does not depend on the data is run, whatever it is, and probed
  if (!rule && !data) return { outputs: node.outputs.map(() => ({ kind: "position", axes: undefined })) };
  if (!rule)
    return {
      refuses: "unknown-operator",
      reason: `is an operator without a rule, so it cannot be known to work position by position`,
      remedy: "Export the model with standard operators, or open an issue naming the operator.",
    };
  const read = operands.map((operand) => operand && asNumbers(operand, context));
  const verdict = rule(read, node.attributes, context, node.outputs.length);
  if ("refuses" in verdict && verdict.refuses === "random") return verdict;
  return data ? verdict : { outputs: positionOutputs(node, read, verdict) };
}

/** Sizes of channels are constants, also where they are read off a shape: x / x.shape[-1]. */
function asNumbers(operand: Operand, { typeOf }: Context): Operand {
  const { name, fact } = operand;
  if (fact.kind !== "shape" || !isFixed(fact)) return operand;
  const values = fact.values!.map(({ constant }) => constant);
  const type = values.every(Number.isInteger) ? (typeOf(name) ?? DataType.INT64) : DataType.FLOAT;
  const dims = fact.rank === 1 ? [values.length] : [];
  return {
    name,
    fact: { kind: "constant", axes: constantLayout(dims) },
    constant: () => integerTensor(type, dims, (i) => values[i]!),
  };
}

/** Without data nothing can go wrong: what is not pointwise in the position is just any function of the length. */
function positionOutputs(node: Node, operands: readonly (Operand | undefined)[], verdict: Verdict): Fact[] {
  if (
    "outputs" in verdict &&
    !operands.some(
      (operand) =>
        operand?.fact.kind === "shape" &&
        node.op !== "Reshape" &&
        node.op !== "Expand" &&
        node.op !== "Tile" &&
        node.op !== "Slice",
    )
  )
    return verdict.outputs.map((fact) => (fact.kind === "constant" ? { kind: "position", axes: fact.axes } : fact));
  return node.outputs.map(() => ({ kind: "position", axes: undefined }));
}
