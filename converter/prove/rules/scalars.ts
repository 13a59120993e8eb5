/** Numbers made of the length that are no sizes: roots, inverses and logarithms. */
import { DataType } from "../../graph/tensor.ts";
import { dim, equal } from "../../time/facts/dim.ts";
import { atLeast, type Case, either, Inexact, numberOf, Unproven } from "../values/cases.ts";
import { isIntegerOutput, numbersOf, type Rule, type Site, sizes, sizesOf } from "../values/rule.ts";
import { NO_GAIN, type Scalar, timesGain, type Value } from "../values/value.ts";
import { gainOfSize } from "./products.ts";

const scalar = (gain: Scalar["gain"], log?: Scalar["log"]): Scalar => ({ kind: "scalar", gain, log });

/** Above this a float32 logarithm does not tell a power from its neighbours. */
const EXACT_LOGARITHMS = new Map<number, number>([
  [DataType.FLOAT, 2 ** 18],
  [DataType.DOUBLE, 2 ** 40],
]);

/**
 * The logarithm of a size, rounded: one number between two powers of its base. At a power itself it may be rounded either
 * way, which are two cases.
 */
export function roundedLogarithm({ which, node, typeOf }: Site, log: NonNullable<Scalar["log"]>, up: boolean): Value {
  const { of, base } = log;
  const exact = EXACT_LOGARITHMS.get(typeOf(node.inputs[0]!) ?? DataType.FLOAT);
  if (!Number.isInteger(base) || base < 2 || exact === undefined || !atLeast(which, of, dim(1)))
    throw new Unproven("takes the logarithm of a size in a way that is not followed");
  for (let power = 0; base ** power <= exact; power++) {
    const edge = dim(base ** power);
    if (atLeast(which, dim(base ** power - 1), of)) return sizes(0, [dim(up ? power : power - 1)]);
    if (atLeast(which, edge, of))
      return sizes(0, [dim(either(which, node.outputs[0]!, up ? [power, power + 1] : [power, power - 1]))]);
  }
  throw new Inexact("rounds a logarithm of the length that float32 does not hold");
}

/** A number that is multiplied or divided by, as powers of sizes. */
function gainOfScalar(which: Case, value: Value | undefined): { gain: Scalar["gain"]; weight: number } | undefined {
  if (value?.kind === "scalar") return value.log ? undefined : { gain: value.gain, weight: 1 };
  const [only, ...others] = sizesOf(value) ?? [];
  if (!only || others.length > 0) return undefined;
  const number = numberOf(only);
  return number === undefined ? { gain: gainOfSize(which, only), weight: 1 } : { gain: NO_GAIN, weight: number };
}

/** A product or quotient (sign -1): of sizes where it is one, else of their powers. */
export const withScalars =
  (sign: 1 | -1, whole: Rule): Rule =>
  ([a, b], attributes, site) => {
    if (sign === -1 && a?.kind === "scalar" && a.log) return otherBase(a.log, b);
    if (a?.kind !== "scalar" && b?.kind !== "scalar") {
      try {
        return whole([a, b], attributes, site);
      } catch (error) {
        if (!(error instanceof Unproven) || isIntegerOutput(site)) throw error;
      }
    }
    const [x, y] = [gainOfScalar(site.which, a), gainOfScalar(site.which, b)];
    if (!x || !y || x.weight !== 1 || y.weight !== 1)
      throw new Unproven("calculates with a number made of the length in a way that is not followed");
    return scalar(timesGain(x.gain, y.gain, sign));
  };

/** log n / log 2 */
function otherBase({ of, base }: NonNullable<Scalar["log"]>, by: Value | undefined): Value {
  const [number, ...others] = numbersOf(by) ?? [];
  if (number === undefined || others.length > 0 || base !== Math.E)
    throw new Unproven("divides the logarithm of a size");
  return scalar(NO_GAIN, { of, base: rounding(Math.exp(number)) });
}

/** 2, where a base was read from a float32 logarithm. */
const rounding = (base: number): number => (Math.abs(base - Math.round(base)) < 1e-5 ? Math.round(base) : base);

export const power =
  (exponent: number): Rule =>
  ([data], _attributes, { which }) => {
    const of = gainOfScalar(which, data);
    if (of?.weight !== 1) throw new Unproven("takes a power of a number made of the length");
    return scalar(new Map([...of.gain].map(([size, by]) => [size, by * exponent])));
  };

export const Log: Rule = ([data]) => {
  const [of, ...others] = sizesOf(data) ?? [];
  if (!of || others.length > 0) throw new Unproven("takes the logarithm of what is not followed");
  return scalar(NO_GAIN, { of, base: Math.E });
};

export const Pow: Rule = ([a, b], attributes, site) => {
  const [[x, ...more], [y, ...others]] = [numbersOf(a) ?? [], numbersOf(b) ?? []];
  if (more.length > 0 || others.length > 0 || y === undefined)
    throw new Unproven("raises to a power made of the length");
  if (x !== undefined) {
    if (isIntegerOutput(site) && !Number.isInteger(x ** y)) throw new Unproven("rounds a power");
    return sizes(0, [dim(x ** y)]);
  }
  if (isIntegerOutput(site) && !(Number.isInteger(y) && y >= 0)) throw new Unproven("rounds a power");
  return power(y)([a], attributes, site);
};

/** Nothing is added to a number that is no size. */
export const beside =
  (of: Rule): Rule =>
  ([a, b], attributes, site) => {
    const isZero = (value: Value | undefined) => sizesOf(value)?.every((size) => equal(size, dim(0))) ?? false;
    if (a?.kind === "scalar" && isZero(b)) return a;
    return of([a, b], attributes, site);
  };
