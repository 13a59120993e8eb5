/** Arithmetic on numbers made of the length and the batch size. */
import { DataType } from "../../onnx/tensor.ts";
import { add, BATCH, type Dim, dim, equal, subtract } from "../../time/dim.ts";
import { atLeast, type Case, floor, isSame, least, most, NotRun, negated, numberOf, Unproven } from "../cases.ts";
import { fixed, numbersOf, type Rule, rankOf, type Site, sizeOfAxis, sizes, sizesOf, timesDim } from "../rule.ts";
import { axisOf, gainOf, NO_GAIN, type Scalar, tensor, timesGain, type Value } from "../value.ts";

const INTEGERS = new Set<number>([DataType.INT64, DataType.INT32, DataType.UINT8, DataType.UINT32, DataType.UINT64]);

const isInteger = ({ node, typeOf }: Site): boolean => INTEGERS.has(typeOf(node.outputs[0]!) ?? DataType.INT64);

const scalar = (gain: Scalar["gain"], log?: Scalar["log"]): Scalar => ({ kind: "scalar", gain, log });

/** An operator on each of the numbers, of one operand or two of the same length or of one number. */
const each =
  (of: (site: Site, ...values: Dim[]) => Dim): Rule =>
  (inputs, _attributes, site) => {
    const lists = inputs.map(sizesOf);
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
  const result = timesDim(a, b);
  if (!result) throw new Unproven("multiplies numbers made of the length by one another");
  return result;
}

function quotient(site: Site, a: Dim, b: Dim): Dim {
  if (equal(a, b)) return dim(1);
  const by = numberOf(b);
  if (by === undefined || by === 0) {
    if (isInteger(site) && atLeast(site.which, subtract(b, dim(1)), a)) return dim(0);
    throw new Unproven("divides by a number made of the length");
  }
  const exact = timesDim(a, dim(1 / by))!;
  return isInteger(site) ? floor(site.which, exact) : exact;
}

const remainder = (site: Site, a: Dim, b: Dim): Dim => {
  const by = numberOf(b);
  if (by === undefined) {
    if (atLeast(site.which, subtract(b, dim(1)), a) && atLeast(site.which, a, dim(0))) return a;
    throw new Unproven("takes the remainder by a number made of the length");
  }
  return subtract(a, timesDim(floor(site.which, timesDim(a, dim(1 / by))!), dim(by))!);
};

const flag = (holds: boolean): Dim => dim(holds ? 1 : 0);
const ceil = (which: Case, a: Dim): Dim => negated(floor(which, negated(a)));

const rounded =
  (of: (which: Case, a: Dim) => Dim, up: boolean): Rule =>
  ([data], attributes, site) => {
    if (data?.kind === "scalar" && data.log) return ofLogarithm(site.which, data.log, up);
    return each(({ which }, a) => of(which, a))([data], attributes, site);
  };

/** The logarithm of a size, rounded: one number between two powers of its base. */
function ofLogarithm(which: Case, { of, base }: NonNullable<Scalar["log"]>, up: boolean): Value {
  for (let power = 0; base ** power < 2 ** 53; power++) {
    const edge = dim(up ? base ** power : base ** (power + 1) - 1);
    // not larger than the power: rounded up it is the exponent
    if (atLeast(which, edge, of)) return sizes(0, [dim(power)]);
  }
  throw new Unproven("takes the logarithm of a size that is not followed");
}

const Cast: Rule = ([data], { to }, site) => {
  if (data?.kind === "scalar") return data;
  const values = sizesOf(data)!;
  const rank = rankOf(data) === 1 ? 1 : 0;
  if (to === DataType.BOOL)
    return sizes(
      rank,
      values.map((value) => flag(!isSame(site.which, value, dim(0)))),
    );
  if (!INTEGERS.has(Number(to))) return sizes(rank, values);
  // towards zero; sizes are not negative
  return sizes(
    rank,
    values.map((value) => floor(site.which, value)),
  );
};

/** A number that is multiplied or divided by, as powers of sizes. */
const gainOfScalar = (value: Value | undefined): { gain: Scalar["gain"]; weight: number } | undefined => {
  if (value?.kind === "scalar") return value.log ? undefined : { gain: value.gain, weight: 1 };
  const [only, ...others] = sizesOf(value) ?? [];
  if (!only || others.length > 0) return undefined;
  const number = numberOf(only);
  return number === undefined ? { gain: gainOf(only, 1), weight: 1 } : { gain: NO_GAIN, weight: number };
};

const withScalars =
  (sign: 1 | -1, whole: Rule): Rule =>
  ([a, b], attributes, site) => {
    if (sign === -1 && a?.kind === "scalar" && a.log) {
      const [by] = numbersOf(b) ?? [];
      // log n / log 2
      if (by !== undefined && Math.abs(a.log.base - Math.E) < 1e-9)
        return scalar(NO_GAIN, { of: a.log.of, base: rounding(Math.exp(by)) });
      throw new Unproven("divides the logarithm of a size");
    }
    if (a?.kind !== "scalar" && b?.kind !== "scalar") {
      try {
        return whole([a, b], attributes, site);
      } catch (error) {
        if (!(error instanceof Unproven) || isInteger(site)) throw error;
      }
    }
    const [x, y] = [gainOfScalar(a), gainOfScalar(b)];
    if (!x || !y || x.weight !== 1 || (y.weight !== 1 && y.gain.size === 0))
      throw new Unproven("calculates with a number made of the length in a way that is not followed");
    return scalar(timesGain(x.gain, y.gain, sign));
  };

/** 2, where a base was read from a float32 logarithm. */
const rounding = (base: number): number => (Math.abs(base - Math.round(base)) < 1e-5 ? Math.round(base) : base);

const power =
  (exponent: number): Rule =>
  ([data]) => {
    const of = gainOfScalar(data);
    if (!of || of.weight !== 1) throw new Unproven("takes a power of a number made of the length");
    return scalar(new Map([...of.gain].map(([size, by]) => [size, by * exponent])));
  };

const Log: Rule = ([data]) => {
  const [of, ...others] = sizesOf(data) ?? [];
  if (!of || others.length > 0) throw new Unproven("takes the logarithm of what is not followed");
  return scalar(NO_GAIN, { of, base: Math.E });
};

const Pow: Rule = ([a, b], attributes, site) => {
  const [[x], [y]] = [numbersOf(a) ?? [], numbersOf(b) ?? []];
  if (x !== undefined && y !== undefined) return sizes(0, [dim(x ** y)]);
  if (y !== undefined) return power(y)([a], attributes, site);
  throw new Unproven("raises to a power made of the length");
};

const Where: Rule = ([condition, yes, no]) => {
  const chosen = numbersOf(condition);
  const [x, y] = [sizesOf(yes), sizesOf(no)];
  if (!chosen || !x || !y) throw new Unproven("chooses by a number made of the length");
  const length = Math.max(chosen.length, x.length, y.length);
  const at = <T>(list: readonly T[], i: number): T => list[list.length === 1 ? 0 : i]!;
  const rank = [condition, yes, no].some((operand) => rankOf(operand) === 1) ? 1 : 0;
  return sizes(
    rank,
    Array.from({ length }, (_, i) => at(at(chosen, i) ? x : y, i)),
  );
};

const Gather: Rule = ([data, indices]) => {
  const [values, picked] = [sizesOf(data), numbersOf(indices)];
  if (!values || !picked) throw new Unproven("picks a number by the length");
  const chosen = picked.map((i) => values[i < 0 ? i + values.length : i]);
  if (!chosen.every((value) => value !== undefined)) throw new NotRun("a table of sizes ends");
  return sizes(rankOf(indices) === 1 ? 1 : 0, chosen);
};

const Slice: Rule = ([data, starts, ends, , steps]) => {
  const [values, [start], [end], [step = 1]] = [
    sizesOf(data)!,
    numbersOf(starts) ?? [],
    numbersOf(ends) ?? [],
    steps ? (numbersOf(steps) ?? []) : [1],
  ];
  if (start === undefined || end === undefined || Math.abs(step) !== 1)
    throw new Unproven("cuts sizes in a way that is not followed");
  if (step === 1) return sizes(1, values.slice(start, end));
  return sizes(
    1,
    [...values]
      .reverse()
      .slice(
        values.length - 1 - (start < 0 ? Math.max(start + values.length, -1) : Math.min(start, values.length - 1)),
      ),
  );
};

const Concat: Rule = (inputs) =>
  sizes(
    1,
    inputs.flatMap((input) => sizesOf(input) ?? []),
  );

const same =
  (rank?: 0 | 1): Rule =>
  ([data]) => {
    if (data?.kind === "scalar") return data;
    const values = sizesOf(data)!;
    return sizes(rank ?? (rankOf(data) === 1 ? 1 : 0), values);
  };

const Reshape: Rule = ([data, to]) => {
  const [values, target] = [sizesOf(data)!, numbersOf(to)];
  if (!target || target.length > 1) throw new Unproven("reshapes sizes");
  return sizes(target.length as 0 | 1, values);
};

const folded =
  (of: (site: Site, a: Dim, b: Dim) => Dim): Rule =>
  ([data], { keepdims = 1 }, site) => {
    const values = sizesOf(data)!;
    return sizes(keepdims ? 1 : 0, [values.reduce((a, b) => of(site, a, b))]);
  };

const sum = (_site: Site, a: Dim, b: Dim): Dim => add(a, b);

/** Nothing is added to a number that is no size. */
const beside =
  (of: Rule): Rule =>
  ([a, b], attributes, site) => {
    const isZero = (value: Value | undefined) => numbersOf(value)?.every((number) => number === 0) ?? false;
    if (a?.kind === "scalar" && isZero(b)) return a;
    return of([a, b], attributes, site);
  };

/** By operator, for numbers made of sizes. https://onnx.ai/onnx/operators/ */
export const SIZE_RULES: Readonly<Record<string, Rule>> = {
  Add: beside(each(sum)),
  Sub: beside(each((_site, a, b) => subtract(a, b))),
  Mul: withScalars(1, each(product)),
  Div: withScalars(-1, each(quotient)),
  Mod: each(remainder),
  Neg: each((_site, a) => negated(a)),
  Abs: each(({ which }, a) => (atLeast(which, a, dim(0)) ? a : negated(a))),
  Min: each(({ which }, ...values) => values.reduce((a, b) => least(which, a, b))),
  Max: each(({ which }, ...values) => values.reduce((a, b) => most(which, a, b))),
  Relu: each(({ which }, a) => most(which, a, dim(0))),
  Equal: each(({ which }, a, b) => flag(isSame(which, a, b))),
  Greater: each(({ which }, a, b) => flag(!atLeast(which, b, a))),
  GreaterOrEqual: each(({ which }, a, b) => flag(atLeast(which, a, b))),
  Less: each(({ which }, a, b) => flag(!atLeast(which, a, b))),
  LessOrEqual: each(({ which }, a, b) => flag(atLeast(which, b, a))),
  Not: each((_site, a) => dim(1 - a.constant)),
  And: each((_site, a, b) => dim(a.constant && b.constant ? 1 : 0)),
  Or: each((_site, a, b) => dim(a.constant || b.constant ? 1 : 0)),
  BitShift: (inputs, attributes, site) => {
    const [by] = numbersOf(inputs[1]) ?? [];
    if (by === undefined) throw new Unproven("shifts by a number made of the length");
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
  CastLike: ([data], _attributes, site) =>
    Cast([data], { to: site.typeOf(site.node.outputs[0]!) ?? DataType.INT64 }, site),
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

/** https://onnx.ai/onnx/operators/onnx__Shape.html */
export const Shape: Rule = ([data], { start = 0, end }) => {
  if (data?.kind !== "tensor")
    return sizes(1, data?.kind === "sizes" && data.rank === 1 ? [dim(data.values.length)] : []);
  return sizes(1, data.axes.slice(Number(start), end === undefined ? undefined : Number(end)).map(sizeOfAxis));
};

/** https://onnx.ai/onnx/operators/onnx__Size.html */
export const Size: Rule = ([data]) => {
  const axes = data?.kind === "tensor" ? data.axes : [];
  return sizes(0, [sizeOfAxis(axes.flat())]);
};

/** https://onnx.ai/onnx/operators/onnx__Range.html */
export const Range: Rule = ([start, limit, delta], _attributes, { which }) => {
  const [[from], [to], [by]] = [sizesOf(start) ?? [], sizesOf(limit) ?? [], numbersOf(delta) ?? []];
  if (!from || !to || !by) throw new Unproven("counts in steps that are not followed");
  const size = ceil(which, timesDim(subtract(to, from), dim(1 / by))!);
  if (equal(size, BATCH)) throw new Unproven("counts the rows of the batch");
  return tensor([[{ line: size }]], { kind: "index", coefficients: new Map([[0, by]]), offset: from });
};

/** https://onnx.ai/onnx/operators/onnx__ConstantOfShape.html */
export const ConstantOfShape: Rule = ([shape], { value }, { node }) => {
  const dims = sizesOf(shape);
  if (!dims) throw new Unproven("makes a tensor of a size that is not followed");
  const data = value && typeof value === "object" && "data" in value ? Number(value.data[0]) : 0;
  return fixed(dims.map(axisOf), `${node.name}=${data}`, { zero: data === 0 });
};
