/** Comparisons of positions, and what is chosen by them. */
import { numberOf, Unproven } from "../values/cases.ts";
import { isDyadic, type Rule, tensorOf } from "../values/rule.ts";
import type { Body, Index, Lines, Pairs } from "../values/value.ts";
import { binary, meet } from "./broadcast.ts";
import { generic, isZeroValue, ofPosition } from "./functions.ts";
import { operand } from "./operand.ts";
import { difference } from "./positions.ts";
import { sumOfIndices } from "./sums.ts";

/** A comparison of places, `direction` · (a - b) ≥ 0 or > 0: a condition that holds from some difference on. */
export const compared =
  (direction: 1 | -1, strict: boolean): Rule =>
  ([left, right], _attributes, site) => {
    const [a, b] = [tensorOf(operand(left, right)), tensorOf(operand(right, left))];
    return binary(site, a, b, (_site, x, y, axes) => {
      const index = direction > 0 ? sumOfIndices(x, y, -1) : sumOfIndices(y, x, -1);
      const pairs = index && difference(index);
      if (!index || !pairs) return ofPosition(site, site.node.op, [x, y], axes);
      const holdsFrom = firstHeld(index, pairs, strict);
      return { ...pairs, key: `{d≥${holdsFrom}}`, first: holdsFrom, holdsFrom };
    });
  };

/** The least difference d with by · d + offset ≥ 0, or > 0. */
function firstHeld(index: Index, { row }: Pairs, strict: boolean): number {
  const [by, offset] = [index.coefficients.get(row)!, numberOf(index.offset)!];
  if (!isDyadic(by) || !isDyadic(offset)) throw new Unproven("compares positions that are rounded");
  // + 0: no negative zero
  return (strict ? Math.floor(-offset / by) + 1 : Math.ceil(-offset / by)) + 0;
}

/** a - b ≥ h does not hold where b - a ≥ 1 - h. */
const negation = (condition: Pairs): Pairs => ({
  ...condition,
  key: `¬${condition.key}`,
  row: condition.column,
  column: condition.row,
  first: 1 - condition.holdsFrom!,
  holdsFrom: 1 - condition.holdsFrom!,
});

/** https://onnx.ai/onnx/operators/onnx__Not.html */
export const Not: Rule = ([data], attributes, site) => {
  const value = tensorOf(data);
  const [body] = value.parts;
  if (body?.kind !== "pairs" || body.holdsFrom === undefined) return generic([data], attributes, site);
  return { ...value, parts: [negation(body)] };
};

/** https://onnx.ai/onnx/operators/onnx__Where.html: where a condition on the difference holds one thing, elsewhere zeros. */
export const Where: Rule = ([condition, given, otherwise], attributes, site) => {
  const stated = tensorOf(condition);
  const [whenTrue, whenFalse] = [tensorOf(operand(given, undefined)), tensorOf(operand(otherwise, undefined))];
  const [holds] = stated.parts;
  if (holds?.kind !== "pairs" || holds.holdsFrom === undefined)
    return generic([stated, whenTrue, whenFalse], attributes, site);
  if ([stated, whenTrue, whenFalse].some(({ pair }) => pair !== undefined))
    throw new Unproven("chooses between real and imaginary parts");
  const { axes, aligned } = meet(site.which, [stated, whenTrue, whenFalse]);
  const [mask, yes, no] = aligned.map((each: Lines) => each.parts[0]!) as [Pairs, Body, Body];
  if (isZeroValue(no)) return { kind: "tensor", axes, parts: [masked(mask, yes)], pair: undefined };
  if (isZeroValue(yes)) return { kind: "tensor", axes, parts: [masked(negation(mask), no)], pair: undefined };
  throw new Unproven("puts something else than zeros in the place of later positions");
};

/** What a condition leaves of a function of the difference, or of a number. */
function masked(mask: Pairs, body: Body): Pairs {
  const same: Pairs = {
    kind: "pairs",
    key: "",
    row: mask.row,
    column: mask.column,
    from: undefined,
    first: undefined,
    reach: undefined,
  };
  const pairs = difference(body) ?? (body.kind === "fixed" ? { ...same, key: body.key } : undefined);
  if (!pairs || pairs.row !== mask.row || pairs.column !== mask.column)
    throw new Unproven("chooses between what is no function of differences");
  const from = pairs.from !== undefined && pairs.from > mask.holdsFrom! ? pairs.from : undefined;
  return { ...pairs, key: `(${pairs.key}${mask.key})`, from, first: mask.holdsFrom!, holdsFrom: undefined };
}
