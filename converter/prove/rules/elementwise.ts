/** The table of operators on the entries at the same place. https://onnx.ai/onnx/operators/ */
import { DataType, isFloat } from "../../graph/tensor.ts";
import { isHalf } from "../../ort/widen.ts";
import { scale } from "../../time/facts/dim.ts";
import { numberOf, Unproven } from "../values/cases.ts";
import { scaled } from "../values/poly.ts";
import { isInteger, type Rule, type Site, tensorOf } from "../values/rule.ts";
import { weighted } from "../values/sequence.ts";
import type { Body, Lines } from "../values/value.ts";
import { type Binary, binary } from "./broadcast.ts";
import { compared, Not, Where } from "./conditions.ts";
import { fixedBody, generic, ofPosition } from "./functions.ts";
import { operand } from "./operand.ts";
import { asSequence, indexOf } from "./positions.ts";
import { product, quotient, withScalar } from "./products.ts";
import { sum } from "./sums.ts";

/** An operator of two tensors; `scalars`: whether one may be multiplied (1) or divided (-1) by numbers made of sizes. */
const arithmetic =
  (of: Binary, scalars?: 1 | -1): Rule =>
  ([left, right], _attributes, site) => {
    const [a, b] = [operand(left, right), operand(right, left)];
    if (a && b && scalars !== undefined) {
      if (a.kind === "tensor" && b.kind !== "tensor") return withScalar(site, a, b, scalars);
      if (b.kind === "tensor" && a.kind !== "tensor" && scalars === 1) return withScalar(site, b, a, 1);
    }
    return binary(site, tensorOf(a), tensorOf(b), of);
  };

const Sum: Rule = (inputs, attributes, site) =>
  inputs.map((input) => tensorOf(input)).reduce((a, b) => arithmetic(sum(1))([a, b], attributes, site) as Lines);

const Neg: Rule = ([data]) => {
  const value = tensorOf(data);
  return {
    ...value,
    parts: value.parts.map((part): Body => {
      if (part.kind === "fixed") return part.zero ? part : fixedBody(`-${part.key}`);
      if (part.kind === "sequence") return weighted(part, "-1");
      if (part.kind === "spectrum") return { ...part, poly: scaled(part.poly, -1) };
      if (part.kind === "pairs") return { ...part, key: `-${part.key}`, isPlace: false, holdsFrom: undefined };
      if (part.kind === "windows") return { ...part, of: weighted(part.of, "-1") };
      const coefficients = new Map([...part.coefficients].map(([axis, by]) => [axis, -by]));
      return { kind: "index", coefficients, offset: scale(part.offset, -1) };
    }),
  };
};

/** Types that hold every position. */
const WIDE = new Set<number>([
  DataType.FLOAT,
  DataType.DOUBLE,
  DataType.INT32,
  DataType.INT64,
  DataType.UINT32,
  DataType.UINT64,
]);

/** Half precision, which is analysed in float32, is what the node gives. */
const Cast: Rule = ([data], { to }, site) => {
  const given = site.typeOf(site.node.outputs[0]!);
  return castTo(site, tensorOf(data), given !== undefined && isHalf(given) ? given : Number(to));
};

/** https://onnx.ai/onnx/operators/onnx__Cast.html */
function castTo(site: Site, value: Lines, to: number): Lines {
  return {
    ...value,
    parts: value.parts.map((part): Body => {
      if (part.kind === "fixed" && part.zero) return part;
      const isStream = part.kind === "spectrum" || (part.kind === "sequence" && part.stream);
      if (isStream && !isFloat(to)) throw new Unproven("rounds what it mixes to another type");
      if (isStream) return part;
      // conditions are 0 and 1 in every type
      if (part.kind === "pairs" && part.holdsFrom !== undefined) return part;
      const index = indexOf(part);
      if (index && keepsPlaces(index, to)) return part;
      if (part.kind !== "index" && isFloat(to)) return part;
      const rounded = ofPosition(site, `Cast${to}`, [asSequence(part, value.axes)], value.axes);
      const isPlace = part.kind === "pairs" && part.isPlace && WIDE.has(to);
      return rounded.kind === "pairs" ? { ...rounded, isPlace } : rounded;
    }),
  };
}

/** Whether places are the same numbers in a type. */
function keepsPlaces({ coefficients, offset }: Extract<Body, { kind: "index" }>, to: number): boolean {
  const isWhole = [...coefficients.values(), offset.constant, offset.time].every(Number.isInteger);
  const neverNegative = [...coefficients.values()].every((by) => by >= 0) && (numberOf(offset) ?? -1) >= 0;
  const isUnsigned = to === DataType.UINT32 || to === DataType.UINT64;
  return WIDE.has(to) && (isWhole || !isInteger(to)) && (neverNegative || !isUnsigned);
}

const GENERIC = [
  ...["Abs", "And", "Ceil", "Clip", "Cos", "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu", "HardSwish", "LeakyRelu"],
  ...["Log", "Max", "Min", "Mod", "Or", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin"],
  ...["Softplus", "Sqrt", "Tanh", "Xor"],
];

export const ELEMENTWISE_RULES: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(GENERIC.map((op) => [op, generic])),
  Add: arithmetic(sum(1)),
  Sub: arithmetic(sum(-1)),
  Mul: arithmetic(product, 1),
  Div: arithmetic(quotient, -1),
  Sum,
  Neg,
  Cast,
  CastLike: ([data], _attributes, site) => {
    const to = site.typeOf(site.node.outputs[0]!);
    if (to === undefined) throw new Unproven("casts to a type that is not known");
    return castTo(site, tensorOf(data), to);
  },
  Not,
  Where,
  GreaterOrEqual: compared(1, false),
  Greater: compared(1, true),
  LessOrEqual: compared(-1, false),
  Less: compared(-1, true),
};
