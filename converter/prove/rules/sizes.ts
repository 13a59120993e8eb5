/** Arithmetic on numbers made of the length and the batch size. */
import { DataType } from "../../graph/tensor.ts";
import { add, type Dim, dim, equal, multiply, scale, subtract } from "../../time/facts/dim.ts";
import {
  atLeast,
  type Case,
  ceil,
  floor,
  isSame,
  least,
  most,
  negated,
  numberOf,
  truncated,
  Unproven,
} from "../values/cases.ts";
import {
  isDyadic,
  isInteger,
  isIntegerOutput,
  numbersOf,
  type Rule,
  rankOf,
  type Site,
  sizes,
  sizesOf,
} from "../values/rule.ts";
import type { Value } from "../values/value.ts";
import { Concat, Gather, Reshape, Slice, same, Where } from "./lists.ts";
import { beside, Log, Pow, power, roundedLogarithm, withScalars } from "./scalars.ts";

/** An operator on each of the numbers, of one operand or two of the same length or of one number. */
const each =
  (of: (site: Site, ...values: Dim[]) => Dim): Rule =>
  (inputs, _attributes, site) => {
    const lists = inputs.map(sizesOf);
    if (inputs.some((input) => (rankOf(input) ?? 0) > 1))
      throw new Unproven("mixes numbers made of the length with others");
    if (!lists.every((list) => list !== undefined)) throw new Unproven("mixes numbers made of the length with others");
    const length = Math.max(...lists.map((list) => list.length));
    const rank = inputs.some((input) => rankOf(input) === 1) ? 1 : 0;
    const at = (list: readonly Dim[], i: number) => list[list.length === 1 ? 0 : i]!;
    return sizes(
      rank,
      Array.from({ length }, (_, i) => of(site, ...lists.map((list) => at(list, i)))),
    );
  };

function product(_site: Site, a: Dim, b: Dim): Dim {
  const result = multiply(a, b);
  if (!result) throw new Unproven("multiplies numbers made of the length by one another");
  return result;
}

function quotient(site: Site, a: Dim, b: Dim): Dim {
  const [{ which }, whole] = [site, isIntegerOutput(site)];
  const by = numberOf(b);
  if (by === 0) throw new Unproven("divides by 0");
  if (by !== undefined) {
    const exact = multiply(a, dim(1 / by))!;
    // whole numbers are rounded towards 0
    return whole ? truncated(which, exact) : exact;
  }
  if (!atLeast(which, b, dim(1))) throw new Unproven("divides by a number made of the length that may be 0 or less");
  if (equal(a, b)) return dim(1);
  if (whole && atLeast(which, a, dim(0)) && atLeast(which, subtract(b, dim(1)), a)) return dim(0);
  throw new Unproven("divides by a number made of the length");
}

/** The remainder has the sign of the divisor; with fmod that of the dividend. */
const remainder =
  (fmod: boolean) =>
  ({ which }: Site, a: Dim, b: Dim): Dim => {
    const by = numberOf(b);
    if (by === 0 || (fmod && !(atLeast(which, a, dim(0)) && atLeast(which, b, dim(1)))))
      throw new Unproven("takes a remainder that is not followed");
    if (by !== undefined) return subtract(a, scale(floor(which, scale(a, 1 / by)), by));
    if (atLeast(which, subtract(b, dim(1)), a) && atLeast(which, a, dim(0))) return a;
    throw new Unproven("takes the remainder by a number made of the length");
  };

const flag = (holds: boolean): Dim => dim(holds ? 1 : 0);

const rounded =
  (of: (which: Case, a: Dim) => Dim, up: boolean): Rule =>
  ([data], attributes, site) => {
    if (data?.kind === "scalar" && data.log) return roundedLogarithm(site, data.log, up);
    return each(({ which }, a) => of(which, a))([data], attributes, site);
  };

/** Types that hold sizes; see `held`. */
const HOLD_SIZES = new Set<number>([DataType.FLOAT, DataType.DOUBLE, DataType.INT32, DataType.INT64]);

function castTo(site: Site, data: Value | undefined, to: number): Value {
  const { which } = site;
  if (data?.kind === "scalar") {
    if (to === DataType.FLOAT || to === DataType.DOUBLE) return data;
    if (data.log && HOLD_SIZES.has(to)) return roundedLogarithm(site, data.log, false);
    throw new Unproven("rounds a number made of the length");
  }
  const values = sizesOf(data)!;
  const rank = rankOf(data) === 1 ? 1 : 0;
  if (to === DataType.BOOL)
    return sizes(
      rank,
      values.map((value) => flag(!isSame(which, value, dim(0)))),
    );
  if (!HOLD_SIZES.has(to)) throw new Unproven("casts a number made of the length to a type that does not hold it");
  return sizes(rank, isInteger(to) ? values.map((value) => truncated(which, value)) : values);
}

const Cast: Rule = ([data], { to }, site) => castTo(site, data, Number(to));

const folded =
  (of: (site: Site, a: Dim, b: Dim) => Dim): Rule =>
  ([data, over], { keepdims = 1, axes }, site) => {
    const values = sizesOf(data)!;
    const places = over ? numbersOf(over) : (axes as readonly number[] | undefined);
    if (rankOf(data) !== 1 || (over && !places) || places?.length === 0)
      throw new Unproven("adds up numbers made of the length in a way that is not followed");
    return sizes(keepdims ? 1 : 0, [values.reduce((a, b) => of(site, a, b))]);
  };

const sum = (_site: Site, a: Dim, b: Dim): Dim => add(a, b);

/** Whether a condition holds; both must be numbers that are compared exactly. */
const compared = (holds: (site: Site, a: Dim, b: Dim) => boolean): Rule =>
  each((site, a, b) => {
    if (
      ![a, b].every(
        ({ constant, time }) => isDyadic(constant * site.which.modulus) && isDyadic(time * site.which.modulus),
      )
    )
      throw new Unproven("compares rounded numbers made of the length");
    return flag(holds(site, a, b));
  });

const truth = (d: Dim): boolean => {
  const number = numberOf(d);
  if (number === undefined) throw new Unproven("takes a number made of the length for a condition");
  return number !== 0;
};

/** By operator, for numbers made of sizes. https://onnx.ai/onnx/operators/ */
export const SIZE_RULES: Readonly<Record<string, Rule>> = {
  Add: beside(each(sum)),
  Sub: beside(each((_site, a, b) => subtract(a, b))),
  Mul: withScalars(1, each(product)),
  Div: withScalars(-1, each(quotient)),
  Mod: (inputs, attributes, site) => each(remainder(Boolean(attributes.fmod)))(inputs, attributes, site),
  Neg: each((_site, a) => negated(a)),
  Abs: each(({ which }, a) => (atLeast(which, a, dim(0)) ? a : negated(a))),
  Min: each(({ which }, ...values) => values.reduce((a, b) => least(which, a, b))),
  Max: each(({ which }, ...values) => values.reduce((a, b) => most(which, a, b))),
  Relu: each(({ which }, a) => most(which, a, dim(0))),
  Equal: compared(({ which }, a, b) => isSame(which, a, b)),
  Greater: compared(({ which }, a, b) => !atLeast(which, b, a)),
  GreaterOrEqual: compared(({ which }, a, b) => atLeast(which, a, b)),
  Less: compared(({ which }, a, b) => !atLeast(which, a, b)),
  LessOrEqual: compared(({ which }, a, b) => atLeast(which, b, a)),
  Not: each((_site, a) => flag(!truth(a))),
  And: each((_site, a, b) => flag(truth(a) && truth(b))),
  Or: each((_site, a, b) => flag(truth(a) || truth(b))),
  BitShift: (inputs, attributes, site) => {
    const [by, ...others] = numbersOf(inputs[1]) ?? [];
    if (by === undefined || others.length > 0) throw new Unproven("shifts by a number made of the length");
    const factor = dim(2 ** by);
    const divided = attributes.direction === "RIGHT";
    return each((at, a) => (divided ? quotient(at, a, factor) : product(at, a, factor)))([inputs[0]], {}, site);
  },
  Floor: rounded(floor, false),
  Ceil: rounded(ceil, true),
  Round: each(({ which }, a) => {
    const down = floor(which, a);
    if (equal(down, a)) return a;
    throw new Unproven("rounds a number made of the length");
  }),
  Sqrt: power(0.5),
  Reciprocal: power(-1),
  Pow,
  Log,
  Cast,
  CastLike: ([data], _attributes, site) => {
    const to = site.typeOf(site.node.outputs[0]!);
    if (to === undefined) throw new Unproven("casts to a type that is not known");
    return castTo(site, data, to);
  },
  Where,
  Gather,
  Slice,
  Concat,
  Reshape,
  Identity: same(),
  Squeeze: same(0),
  Unsqueeze: same(1),
  ReduceProd: folded(product),
  ReduceSum: folded(sum),
  ReduceMax: folded(({ which }, a, b) => most(which, a, b)),
  ReduceMin: folded(({ which }, a, b) => least(which, a, b)),
};
