/** What rules make of one node, refused where the type of an output does not hold what they say of it. */
import type { Node } from "../graph/graph.ts";
import { DataType } from "../graph/tensor.ts";
import { add, dim, multiply, subtract } from "../time/facts/dim.ts";
import { LARGEST } from "../time/held.ts";
import { RANDOM } from "../time/rules/refused.ts";
import { FROM_SIZES, RULES, SIZE_RULES } from "./rules/index.ts";
import { atLeast, type Case, Inexact, negated, Unproven } from "./values/cases.ts";
import { isDyadic, type Rule, rankOf, type Site } from "./values/rule.ts";
import { type Lines, lineAt, linesOf, type Sizes, type Value } from "./values/value.ts";

/** The values of a node's outputs. */
export function follow(node: Node, inputs: readonly (Value | undefined)[], site: Site): readonly Value[] {
  const name = node.domain ? `${node.domain}::${node.op}` : node.op;
  if (RANDOM.has(node.op)) throw new Unproven("draws random numbers");
  const ofSizes = inputs.some((input) => input?.kind !== "tensor" && input !== undefined);
  const isSmall = inputs.every((input) => (rankOf(input) ?? 0) <= 1);
  const rules: (Rule | undefined)[] = [
    FROM_SIZES[name] ?? (ofSizes && isSmall ? SIZE_RULES[name] : undefined),
    RULES[name],
  ];
  let refused: Unproven | undefined;
  for (const rule of rules) {
    if (!rule) continue;
    try {
      const made = rule(inputs, node.attributes, site);
      const values: readonly Value[] = Array.isArray(made) ? made : [made as Value];
      return values.map((value, i) => {
        if (value.kind === "tensor") {
          refuseTangled(value);
          refuseUncountable(site, node.outputs[i]!, value);
        }
        if (value.kind !== "sizes") return value;
        refuseUnheld(site, node.outputs[i]!, value, inputs);
        return isOfLength(node, inputs) ? { ...value, ofLength: true } : value;
      });
    } catch (error) {
      if (!(error instanceof Unproven)) throw error;
      refused ??= error;
    }
  }
  throw refused ?? new Unproven(`is an operator that no proof follows`);
}

/** Whether the length was taken to make sizes: what is only picked from a shape may be channels. */
const isOfLength = ({ op }: Node, inputs: readonly (Value | undefined)[]): boolean =>
  inputs.some((input) => {
    if (input?.kind !== "sizes") return false;
    const calculates = op === "Where" || !(PASSES.has(op) || PICKS.has(op));
    return input.ofLength || (calculates && input.values.some(({ time }) => time !== 0));
  });

/** @throws Unproven where a tensor grows along more axes than what is said of it has */
function refuseTangled({ axes, parts }: Extract<Value, { kind: "tensor" }>): void {
  const lines = linesOf(axes);
  for (const part of parts) {
    if (part.kind === "fixed") continue;
    const isMatrix = part.kind === "pairs" || part.kind === "windows";
    const own = part.kind === "index" ? [...part.coefficients.keys()] : isMatrix ? [part.row, part.column] : [];
    const isOne = part.kind === "index" || lines.length === (isMatrix ? 2 : 1);
    if (!isOne || !own.every((axis) => lineAt(axes, axis)))
      throw new Unproven("spreads positions over another axis of the length");
  }
}

/** Rules that take numbers apart or pass them on; others calculate with them. */
const PASSES = new Set(["Floor", "Ceil", "Round", "Cast", "CastLike", "Identity", "Squeeze", "Unsqueeze", "Reshape"]);
const PICKS = new Set(["Concat", "Gather", "Slice", "Where", "Shape", "Size"]);

/**
 * @throws Inexact where numbers made of the length are larger than their type can hold, Unproven where they are calculated
 * with fractions that are rounded
 */
function refuseUnheld(
  { which, node, typeOf }: Site,
  output: string,
  { values }: Sizes,
  inputs: readonly (Value | undefined)[],
): void {
  const largest = LARGEST.get(typeOf(output) ?? DataType.INT64);
  if (largest === undefined) throw new Unproven("counts in a type that does not hold the length");
  const calculates = !PASSES.has(node.op) && !PICKS.has(node.op);
  const given = inputs.flatMap((input) => (input?.kind === "sizes" ? input.values : []));
  if (calculates && given.some((size) => fractionOf(which, size) === undefined))
    throw new Unproven("calculates with a fraction of the length, which is rounded");
  for (const size of values) {
    if (size.batch || size.product || (size.time === 0 && Math.abs(size.constant) <= largest)) continue;
    // a multiple of 4 is held as far as 4 times the number
    const edge = dim(largest * (typeOf(output) === DataType.FLOAT ? (fractionOf(which, size) ?? 1) : 1));
    if (!atLeast(which, edge, size) || !atLeast(which, size, negated(edge)))
      throw new Inexact("counts further than its type holds");
  }
}

/** @throws Inexact where places along the lines are larger than their type holds; Unproven where they wrap below 0 */
function refuseUncountable({ which, typeOf }: Site, output: string, { axes, parts }: Lines): void {
  for (const part of parts) {
    if (part.kind !== "index") continue;
    const largest = LARGEST.get(typeOf(output) ?? DataType.INT64);
    if (largest === undefined) throw new Unproven("counts positions in a type that does not hold them");
    let [low, high] = [part.offset, part.offset];
    for (const [axis, by] of part.coefficients) {
      const last = multiply(subtract(lineAt(axes, axis) ?? dim(1), dim(1)), dim(by))!;
      if (by > 0) high = add(high, last);
      else low = add(low, last);
    }
    if (!atLeast(which, dim(largest), high) || !atLeast(which, low, dim(-largest)))
      throw new Inexact("counts further than its type holds");
  }
}

/** A power of 2 of which a size is a multiple at every length of a case, from 1/1024 to 8; undefined: none. */
function fractionOf({ modulus, residue }: Case, { constant, time }: Sizes["values"][number]): number | undefined {
  const [step, base] = [time * modulus, constant + time * residue];
  if (!isDyadic(step) || !isDyadic(base)) return undefined;
  let fraction = 8;
  while (!Number.isInteger(step / fraction) || !Number.isInteger(base / fraction)) fraction /= 2;
  return fraction;
}
