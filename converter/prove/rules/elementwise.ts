/** Operators on the entries at the same place. */
import { DataType, makeTensor, toNumbers } from "../../onnx/tensor.ts";
import { add, subtract } from "../../time/dim.ts";
import { type Case, isSame, numberOf, Unproven } from "../cases.ts";
import { factored, type Poly, plus, scaled, times } from "../poly.ts";
import { fixed, placed, type Rule, type Site, sameAxis, tensorOf } from "../rule.ts";
import { summed, weighted, withGain } from "../sequence.ts";
import {
  type Axes,
  type Body,
  type Fixed,
  gainKey,
  gainOf,
  type Index,
  type Lines,
  linesOf,
  NO_GAIN,
  type Pairs,
  type Sequence,
  type Spectrum,
  tensor,
  timesGain,
  type Value,
} from "../value.ts";
import { sameLine } from "./movement.ts";
import { asLine, asSequence, difference, indexOf } from "./positions.ts";

/** Axes of operands that broadcast, and the operands as if they had the same rank. */
function meet(which: Case, operands: readonly Lines[]): { axes: Axes; aligned: readonly Lines[] } {
  const rank = Math.max(...operands.map(({ axes }) => axes.length));
  const aligned = operands.map((operand): Lines => {
    const by = rank - operand.axes.length;
    return {
      ...operand,
      axes: [...Array.from({ length: by }, () => []), ...operand.axes],
      parts: operand.parts.map((part) => placed(part, (axis) => axis + by)),
      pair: operand.pair === undefined ? undefined : operand.pair + by,
    };
  });
  const axes = Array.from({ length: rank }, (_, k) =>
    aligned
      .map((operand) => operand.axes[k]!)
      .reduce((a, b) => sameLine(which, a, b, a.length > 0 && b.length > 0 && sameAxis(which, a, b))),
  );
  return { axes, aligned };
}

/** Constants with an entry for each place of a line are functions of the position. */
function alongLines(operand: Lines, axes: Axes): Lines {
  const k = linesOf(axes).find((axis) => operand.axes[axis]!.length > 0 && linesOf(operand.axes).length === 0);
  return k === undefined ? operand : asLine(operand, k);
}

/** A body that stands for what is said of both: rules of two operands. */
export type Binary = (site: Site, a: Body, b: Body, axes: Axes) => Body;

/** Applies an operator of two tensors to their bodies, part by part where they have real and imaginary parts. */
export function binary(site: Site, a: Lines, b: Lines, of: Binary): Lines {
  const { axes, aligned } = meet(site.which, [a, b]);
  const [x, y] = aligned.map((operand) => alongLines(operand, axes)) as [Lines, Lines];
  const pair = x.pair ?? y.pair;
  if (pair === undefined) return { kind: "tensor", axes, parts: [of(site, x.parts[0]!, y.parts[0]!, axes)], pair };
  const partsOf = (operand: Lines): readonly Body[] => {
    if (operand.pair === pair) return operand.parts;
    if (operand.pair === undefined && operand.axes[pair]!.length === 0) return [operand.parts[0]!, operand.parts[0]!];
    throw new Unproven("multiplies real and imaginary parts by numbers of their own");
  };
  const [xs, ys] = [partsOf(x), partsOf(y)];
  return { kind: "tensor", axes, parts: [0, 1].map((i) => of(site, xs[i]!, ys[i]!, axes)), pair };
}

const isZero = (body: Body): boolean => body.kind === "fixed" && body.zero;

const sign = (by: 1 | -1) => (by > 0 ? "+" : "-");

const sum =
  (by: 1 | -1): Binary =>
  (site, a, b, axes) => {
    if (isZero(b)) return a;
    if (isZero(a) && by > 0) return b;
    if (a.kind === "index" || b.kind === "index") {
      const moved = sumOfIndices(a, b, by);
      if (moved) return moved;
      return sum(by)(site, asSequenceOrRefuse(a, axes), asSequenceOrRefuse(b, axes), axes);
    }
    if (a.kind === "fixed" && b.kind === "fixed") return fixedBody(`(${a.key}${sign(by)}${b.key})`);
    if (a.kind === "sequence" && b.kind === "sequence") {
      // what is added to the stream at each position must be the same
      if (a.stream !== b.stream) throw new Unproven("adds a function of the position to what it mixes");
      return summed(site.which, a, b, by);
    }
    if (a.kind === "sequence" && b.kind === "fixed") return biased(a, b);
    if (b.kind === "sequence" && a.kind === "fixed") return biased(by > 0 ? b : weighted(b, "-1"), a);
    if (a.kind === "spectrum" && b.kind === "spectrum") {
      refuseOtherPoints(site, a, b);
      if (gainKey(a.gain) !== gainKey(b.gain)) throw new Unproven("adds transforms of different scale");
      return { ...a, poly: plus(a.poly, b.poly, by) };
    }
    if (a.kind === "pairs" && b.kind === "pairs") return bothPairs(a, b, sign(by));
    // with a number added it is a function of the difference still
    if (a.kind === "pairs" || b.kind === "pairs") return ofPosition(sign(by), [a, b], axes);
    throw new Unproven("adds what is not followed");
  };

const fixedBody = (key: string): Fixed => ({ kind: "fixed", key, zero: false, tensor: undefined });

function asSequenceOrRefuse(body: Body, axes: Axes): Body {
  const sequence = asSequence(body, axes);
  if (sequence.kind === "index") throw new Unproven("uses places along time as values");
  return sequence;
}

function biased(s: Sequence, { key }: Fixed): Sequence {
  if (s.stream) return { ...s, key: `${s.key}+${key}`, biased: true };
  // a function of the position and a number are another function of the position, within the line
  return { ...s, key: `${s.key}+${key}`, to: s.to ?? s.support[1] };
}

function sumOfIndices(a: Body, b: Body, by: 1 | -1): Index | undefined {
  const [x, y] = [indexOf(a), indexOf(b)];
  if (!x || !y) return undefined;
  const coefficients = new Map(x.coefficients);
  for (const [axis, times] of y.coefficients) coefficients.set(axis, (coefficients.get(axis) ?? 0) + by * times);
  const offset = by > 0 ? add(x.offset, y.offset) : subtract(x.offset, y.offset);
  return { kind: "index", coefficients: new Map([...coefficients].filter(([, times]) => times !== 0)), offset };
}

function bothPairs(a: Pairs, b: Pairs, how: string): Pairs {
  if (a.row === b.column && a.column === b.row)
    throw new Unproven("combines differences of positions with turned ones");
  if (a.row !== b.row || a.column !== b.column) throw new Unproven("combines differences of other axes");
  const from = a.from === undefined ? b.from : b.from === undefined ? a.from : Math.max(a.from, b.from);
  const isProduct = how === "*";
  const firsts = [a.first, b.first].filter((first) => first !== undefined);
  const first = isProduct
    ? firsts.length
      ? Math.max(...firsts)
      : undefined
    : firsts.length === 2
      ? Math.min(...firsts)
      : undefined;
  const reaches = [a.reach, b.reach].filter((reach) => reach !== undefined);
  const reach = isProduct
    ? reaches.length
      ? Math.min(...reaches)
      : undefined
    : reaches.length === 2
      ? Math.max(...reaches)
      : undefined;
  // where a factor is 0 nothing need be known of the other
  const known = isProduct && first !== undefined && from !== undefined && first >= from ? undefined : from;
  return { kind: "pairs", key: `(${a.key}${how}${b.key})`, row: a.row, column: a.column, from: known, first, reach };
}

const product: Binary = (site, a, b, axes) => {
  if (isZero(a) || isZero(b)) return { ...fixedBody("0"), zero: true };
  const scaledIndex = timesNumber(a, b) ?? timesNumber(b, a);
  if (scaledIndex) return scaledIndex;
  if (a.kind === "pairs" || b.kind === "pairs") {
    const [x, y] = [difference(a), difference(b)];
    if (x && y) return bothPairs(x, y, "*");
    const [pairs, other] = x ? [x, b] : [y!, a];
    if (other.kind === "fixed") return { ...pairs, key: `${pairs.key}*${other.key}` };
    throw new Unproven("multiplies differences of positions by what is no function of them");
  }
  const [x, y] = [asSequence(a, axes), asSequence(b, axes)];
  if (x.kind === "fixed" && y.kind === "fixed") return fixedBody(`${x.key}*${y.key}`);
  if (x.kind === "sequence" && y.kind === "fixed") return weightedBy(x, y);
  if (y.kind === "sequence" && x.kind === "fixed") return weightedBy(y, x);
  if (x.kind === "sequence" && y.kind === "sequence") return sequenceProduct(site, x, y);
  if (x.kind === "spectrum" && y.kind === "spectrum") {
    refuseOtherPoints(site, x, y);
    return { ...x, poly: times(x.poly, y.poly), gain: timesGain(x.gain, y.gain) };
  }
  if (x.kind === "spectrum" && y.kind === "fixed") return { ...x, poly: weightedPoly(x.poly, y) };
  if (y.kind === "spectrum" && x.kind === "fixed") return { ...y, poly: weightedPoly(y.poly, x) };
  throw new Unproven("multiplies what is not followed");
};

function timesNumber(a: Body, b: Body): Index | undefined {
  const by = a.kind === "index" && b.kind === "fixed" ? indexOf(b) : undefined;
  const number = by && numberOf(by.offset);
  if (number === undefined || a.kind !== "index") return undefined;
  const { constant, batch, time, product: both } = a.offset;
  return {
    kind: "index",
    coefficients: new Map([...a.coefficients].map(([axis, times]) => [axis, times * number])),
    offset: { constant: constant * number, batch: batch * number, time: time * number, product: both * number },
  };
}

const weightedBy = (s: Sequence, { key }: Fixed): Sequence => {
  if (s.biased && !s.stream) return s;
  return weighted(s, key);
};

function weightedPoly(poly: Poly, body: Fixed): Poly {
  const data = body.tensor?.();
  return data?.data.length === 1 ? scaled(poly, toNumbers(data)[0]!) : factored(poly, body.key);
}

/** Both are functions of the position: so is their product, row by row. The stream is left to a mask of ones. */
function sequenceProduct({ which }: Site, a: Sequence, b: Sequence): Sequence {
  if (a.stream || b.stream) throw new Unproven("multiplies what it mixes by a function of the position");
  if (gainKey(a.gain) !== "" || gainKey(b.gain) !== "") throw new Unproven("multiplies numbers made of the length");
  const whole = summed(which, a, b, 1);
  return { ...whole, key: `(${a.key}*${b.key})`, first: Math.max(a.first, b.first) };
}

function refuseOtherPoints({ which }: Site, a: Spectrum, b: Spectrum): void {
  if (a.onesided !== b.onesided || !isSame(which, a.points, b.points))
    throw new Unproven("combines transforms of different numbers of points");
}

/** A tensor times or by a number made of sizes. */
function withScalar(value: Lines, other: Value, by: 1 | -1): Lines {
  const [size, ...more] = other.kind === "sizes" ? other.values : [];
  if (more.length > 0) throw new Unproven("multiplies by several numbers made of the length");
  if (other.kind === "scalar" && other.log) throw new Unproven("multiplies by the logarithm of the length");
  const gain = size ? gainOf(size, 1) : other.kind === "scalar" ? other.gain : NO_GAIN;
  return {
    ...value,
    parts: value.parts.map((part) => {
      if (part.kind === "fixed" && part.zero) return part;
      if (part.kind === "sequence") return withGain(part, gain, by);
      if (part.kind === "spectrum") return { ...part, gain: timesGain(part.gain, gain, by) };
      throw new Unproven("multiplies by a number made of the length");
    }),
  };
}

const isConstantSize = (value: Value | undefined): boolean =>
  value?.kind === "sizes" && value.values.every((size) => numberOf(size) !== undefined);

/** A number made of sizes that is one number as a constant; an index may be moved by the length as well. */
function operand(value: Value | undefined, other: Value | undefined): Value {
  if (value?.kind !== "sizes" || value.values.length !== 1) return value!;
  const isIndex = other?.kind === "tensor" && other.parts[0]?.kind === "index";
  const [size] = value.values;
  if (isIndex)
    return {
      kind: "tensor",
      axes: value.rank ? [[]] : [],
      parts: [{ kind: "index", coefficients: new Map(), offset: size! }],
      pair: undefined,
    };
  return isConstantSize(value) ? constantOf(numberOf(size!)!, value.rank) : value;
}

function constantOf(number: number, rank: 0 | 1): Lines {
  const read = () => makeTensor(DataType.DOUBLE, rank ? [1] : [], Float64Array.of(number));
  return fixed(rank ? [[]] : [], `${number}`, { zero: number === 0, tensor: read });
}

const arithmetic =
  (of: Binary, scalars: 1 | -1 | undefined): Rule =>
  ([left, right], _attributes, site) => {
    const [a, b] = [operand(left, right), operand(right, left)];
    if (scalars !== undefined) {
      if (a.kind === "tensor" && b.kind !== "tensor") return withScalar(a, b, scalars);
      if (b.kind === "tensor" && a.kind !== "tensor" && scalars === 1) return withScalar(b, a, 1);
    }
    return binary(site, tensorOf(a), tensorOf(b), of);
  };

const quotient: Binary = (site, a, b, axes) => {
  if (isZero(a)) return a;
  if (b.kind === "fixed") return product(site, a, inverted(b), axes);
  throw new Unproven("divides by what is not followed");
};

function inverted(body: Fixed): Fixed {
  const data = body.tensor?.();
  const single = data?.data.length === 1 ? toNumbers(data)[0]! : undefined;
  const tensor =
    single === undefined ? undefined : () => ({ ...data!, type: DataType.DOUBLE, data: Float64Array.of(1 / single) });
  return { ...body, key: `1/${body.key}`, tensor };
}

const Neg: Rule = ([data]) => {
  const value = tensorOf(data);
  return {
    ...value,
    parts: value.parts.map((part): Body => {
      if (part.kind === "fixed") return part.zero ? part : fixedBody(`-${part.key}`);
      if (part.kind === "sequence") return weighted(part, "-1");
      if (part.kind === "spectrum") return { ...part, poly: scaled(part.poly, -1) };
      if (part.kind === "pairs") return { ...part, key: `-${part.key}` };
      const { constant, batch, time, product: both } = part.offset;
      return {
        kind: "index",
        coefficients: new Map([...part.coefficients].map(([axis, by]) => [axis, -by])),
        offset: { constant: -constant, batch: -batch, time: -time, product: -both },
      };
    }),
  };
};

/** A change of type that keeps values: of a stream to floats only. */
const Cast: Rule = ([data], { to }) => {
  const value = tensorOf(data);
  const floats = [DataType.FLOAT, DataType.DOUBLE, DataType.FLOAT16, DataType.BFLOAT16] as number[];
  const isStream = value.parts.some((part) => part.kind === "spectrum" || (part.kind === "sequence" && part.stream));
  if (isStream && !floats.includes(Number(to))) throw new Unproven("rounds what it mixes to another type");
  if (Number(to) === DataType.BOOL)
    return {
      ...value,
      parts: value.parts.map((part) => (part.kind === "pairs" ? part : ofPosition("Cast", [part], value.axes))),
    };
  return value;
};

/** Some function of one body: another function of the position, or of the difference of two. */
function ofPosition(op: string, bodies: readonly Body[], axes: Axes): Body {
  const pairs = bodies.map(difference);
  if (pairs.some((each) => each)) {
    const known = bodies.map((body, i) => pairs[i] ?? (body.kind === "fixed" ? body : undefined));
    if (!known.every((each) => each !== undefined))
      throw new Unproven(`takes in positions in a way that is not followed`);
    const [first, ...others] = pairs.filter((each) => each !== undefined);
    const met = others.reduce((a, b) => bothPairs(a, b, op), first!);
    const key = `${op}(${known.map((each) => each.key).join()})`;
    return { ...met, key, first: undefined, reach: undefined, holdsFrom: undefined, isPlace: false };
  }
  const sequences = bodies.map((body) => asSequence(body, axes));
  const key = `${op}(${sequences.map((each) => ("key" in each ? each.key : "?")).join()})`;
  if (sequences.every((each) => each.kind === "fixed")) return fixedBody(key);
  const [one, ...rest] = sequences.filter((each) => each.kind === "sequence");
  const plain = (s: Sequence) => !s.stream && !s.reversed && s.from === undefined && gainKey(s.gain) === "";
  if (
    !one ||
    sequences.some((each) => each.kind !== "sequence" && each.kind !== "fixed") ||
    ![one, ...rest].every(plain)
  )
    throw new Unproven("works on what it mixes, or on what is not followed");
  if (rest.some((other) => gainKeyOfShift(other) !== gainKeyOfShift(one)))
    throw new Unproven("combines positions that are moved by the length");
  const to = [one, ...rest].map((s) => s.to ?? s.support[1]);
  return { ...one, key, to: to[0], first: 0, reach: undefined };
}

const gainKeyOfShift = ({ shift, to }: Sequence): string => JSON.stringify([shift, to]);

/** A comparison of places: a condition that holds from some difference on. */
const compared =
  (direction: 1 | -1, margin: 0 | 1): Rule =>
  ([left, right], _attributes, site) => {
    const [a, b] = [tensorOf(operand(left, right)), tensorOf(operand(right, left))];
    return binary(site, a, b, (_site, x, y, axes) => {
      const index = direction > 0 ? sumOfIndices(x, y, -1) : sumOfIndices(y, x, -1);
      const pairs = index && difference(index);
      const by = index && pairs && index.coefficients.get(pairs.row);
      // by · (i - j) + offset ≥ margin
      if (index && pairs && by! > 0)
        return {
          ...pairs,
          key: `[d≥${from(index, by!, margin)}]`,
          first: from(index, by!, margin),
          holdsFrom: from(index, by!, margin),
        };
      return ofPosition(
        "Compare",
        [x, y].map((body) => difference(body) ?? body),
        axes,
      );
    });
  };

const from = (index: Index, by: number, margin: number): number => Math.ceil((margin - numberOf(index.offset)!) / by);

/** a - b ≥ h does not hold where b - a ≥ 1 - h. */
const negation = (condition: Pairs): Pairs => ({
  ...condition,
  key: `¬${condition.key}`,
  row: condition.column,
  column: condition.row,
  first: 1 - condition.holdsFrom!,
  holdsFrom: 1 - condition.holdsFrom!,
});

const Not: Rule = ([data], attributes, site) => {
  const value = tensorOf(data);
  const [body] = value.parts;
  if (body?.kind !== "pairs" || body.holdsFrom === undefined) return generic([data], attributes, site);
  return { ...value, parts: [negation(body)] };
};

/** Where a condition on the difference holds one thing, elsewhere another. */
const Where: Rule = ([condition, given, otherwise], attributes, site) => {
  const [stated, whenTrue, whenFalse] = [tensorOf(condition), operand(given, undefined), operand(otherwise, undefined)];
  const [holds] = stated.parts;
  if (holds?.kind !== "pairs" || holds.holdsFrom === undefined)
    return generic([stated, whenTrue, whenFalse], attributes, site);
  const isTurned = whenTrue.kind === "tensor" && isZeroValue(whenTrue.parts[0]!);
  const [x, y] = isTurned ? [whenFalse, whenTrue] : [whenTrue, whenFalse];
  const c = isTurned ? { ...stated, parts: [negation(holds)] } : stated;
  const chosen = binary(site, c, tensorOf(x), (_site, mask, body) => {
    if (mask.kind !== "pairs") throw new Unproven("chooses by what is not followed");
    const pairs =
      difference(body) ??
      (body.kind === "fixed"
        ? { ...mask, key: body.key, from: undefined, first: undefined, reach: undefined }
        : undefined);
    if (!pairs || pairs.row !== mask.row || pairs.column !== mask.column)
      throw new Unproven("chooses between what is no function of differences");
    const known = pairs.from !== undefined && pairs.from > mask.holdsFrom! ? pairs.from : undefined;
    return { ...pairs, key: `${pairs.key}${mask.key}`, from: known, first: mask.holdsFrom!, holdsFrom: undefined };
  });
  const other = tensorOf(y);
  if (other.parts.length === 1 && isZeroValue(other.parts[0]!)) return chosen;
  throw new Unproven("puts something else than zeros in the place of later positions");
};

const isZeroValue = (body: Body): boolean => {
  if (body.kind !== "fixed") return false;
  if (body.zero || body.key === "0") return true;
  const data = body.tensor?.();
  return data?.data.length === 1 && toNumbers(data)[0] === 0;
};

/** Any operator that works on the entries at the same place alone. */
const generic: Rule = (inputs, _attributes, site) => {
  const operands = inputs.map((input) => tensorOf(operand(input, undefined)));
  if (operands.some(({ pair }) => pair !== undefined)) throw new Unproven("works on real and imaginary parts");
  const { axes, aligned: met } = meet(site.which, operands);
  const aligned = met.map((each) => alongLines(each, axes));
  const { op, attributes } = site.node;
  const name = `${op}${JSON.stringify(attributes, (_key, value) => (typeof value === "bigint" ? Number(value) : value))}`;
  const bodies = aligned.map(({ parts }) => parts[0]!);
  const body = ofPosition(name, bodies, axes);
  const isPlace = isNeverNegative(op, bodies);
  return tensor(axes, body.kind === "pairs" ? { ...body, isPlace } : body);
};

/** max(d, 0), |d|: never less than 0. */
function isNeverNegative(op: string, bodies: readonly Body[]): boolean {
  const bounds = op === "Max" ? bodies : op === "Clip" ? bodies.slice(1, 2) : [];
  const numbers = bounds.map((body) => (body.kind === "fixed" ? indexOf(body) : undefined)?.offset.constant);
  return op === "Abs" || op === "Relu" || numbers.some((number) => number !== undefined && number >= 0);
}

const GENERIC = [
  ...[
    "Abs",
    "And",
    "Ceil",
    "Clip",
    "Cos",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSwish",
    "LeakyRelu",
    "Log",
  ],
  ...["Max", "Min", "Mod", "Or", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus"],
  ...["Sqrt", "Tanh", "Xor"],
];

/** A sum of any number of operands. */
const Sum: Rule = (inputs, attributes, site) =>
  inputs
    .map((input) => tensorOf(input))
    .reduce((a, b) => arithmetic(sum(1), undefined)([a, b], attributes, site) as Lines);

/** https://onnx.ai/onnx/operators/ */
export const ELEMENTWISE_RULES: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(GENERIC.map((op) => [op, generic])),
  Add: arithmetic(sum(1), undefined),
  Sub: arithmetic(sum(-1), undefined),
  Mul: arithmetic(product, 1),
  Div: arithmetic(quotient, -1),
  Sum,
  Neg,
  Cast,
  CastLike: ([data], _attributes, site) =>
    Cast([data], { to: site.typeOf(site.node.outputs[0]!) ?? DataType.INT64 }, site),
  Not,
  Where,
  GreaterOrEqual: compared(1, 0),
  Greater: compared(1, 1),
  LessOrEqual: compared(-1, 0),
  Less: compared(-1, 1),
};
