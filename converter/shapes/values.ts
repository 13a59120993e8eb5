/** Arithmetic on the small whole numbers of which sizes are made, as ONNX Runtime would do it on int64 and float. */
import type { Attributes } from "../graph/graph.ts";
import { DataType } from "../graph/tensor.ts";

/** Numbers of a tensor of rank 0 or 1. */
export type Numbers = readonly number[];

/** The numbers that an operator makes of others; undefined where it is not followed. */
export type ValueRule = (inputs: readonly Numbers[], attributes: Attributes) => Numbers | undefined;

const unary =
  (of: (a: number) => number): ValueRule =>
  ([a]) =>
    a!.map(of);

/** A rule for no fewer inputs: a file may leave some out, which ONNX Runtime then refuses. */
const taking =
  (least: number, rule: ValueRule): ValueRule =>
  (inputs, attributes) =>
    inputs.length < least ? undefined : rule(inputs, attributes);

const binary = (of: (a: number, b: number) => number): ValueRule =>
  taking(2, ([a, b]) => {
    const length = Math.max(a!.length, b!.length);
    const at = (values: Numbers, i: number) => values[values.length === 1 ? 0 : i]!;
    return Array.from({ length }, (_, i) => of(at(a!, i), at(b!, i)));
  });

/** Truth values are 1 and 0. */
const comparison = (of: (a: number, b: number) => boolean): ValueRule =>
  binary((a, b) => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : Number(of(a, b))));

const same: ValueRule = ([a]) => a;

// Of integers the quotient is cut off; of sizes as floats the fraction does not matter here.
const quotient = (a: number, b: number): number => Math.trunc(a / b);

const Slice: ValueRule = ([data, [start = 0] = [], [end = 0] = [], , [step = 1] = []]) =>
  step === 1 && !Number.isNaN(start + end) ? data!.slice(start, Math.min(end, data!.length)) : undefined;

/** By operator; only for outputs of rank 0 or 1. */
export const VALUE_RULES: Readonly<Record<string, ValueRule>> = {
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary(quotient),
  Mod: binary((a, b) => a % b),
  Pow: binary((a, b) => a ** b),
  Min: binary(Math.min),
  Max: binary(Math.max),
  BitShift: binary((a, b) => a * 2 ** b),
  Neg: unary((a) => -a),
  Abs: unary(Math.abs),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
  Round: unary(Math.round),
  Equal: comparison((a, b) => a === b),
  Greater: comparison((a, b) => a > b),
  GreaterOrEqual: comparison((a, b) => a >= b),
  Less: comparison((a, b) => a < b),
  LessOrEqual: comparison((a, b) => a <= b),
  And: comparison((a, b) => a !== 0 && b !== 0),
  Or: comparison((a, b) => a !== 0 || b !== 0),
  Not: unary((a) => (Number.isNaN(a) ? a : Number(a === 0))),
  Cast: ([a], { to }) =>
    to === DataType.BOOL ? a!.map((each) => (Number.isNaN(each) ? each : Number(each !== 0))) : a,
  Identity: same,
  Squeeze: same,
  Unsqueeze: same,
  Reshape: same,
  Concat: (inputs) => inputs.flat(),
  Gather: taking(2, ([data, indices]) =>
    indices!.map((i) => (Number.isNaN(i) ? i : data![i < 0 ? i + data!.length : i]!)),
  ),
  Slice,
  ReduceProd: ([data]) => [data!.reduce((a, b) => a * b, 1)],
  ReduceSum: ([data]) => [data!.reduce((a, b) => a + b, 0)],
  Where: taking(3, ([condition, yes, no]) => {
    if (condition!.some(Number.isNaN)) return undefined;
    return condition!.length === 1 ? (condition![0] ? yes : no) : condition!.map((flag, i) => (flag ? yes! : no!)[i]!);
  }),
};
