/** Running sums whose type holds more than float32 does. */
import { type Draft, type Piece, same, scalar } from "../draft.ts";
import { differsAt, type Overclaim, shortConv } from "./overclaim.ts";

const [FLOAT, INT32, INT64, DOUBLE] = [1, 6, 7, 11] as const;
const cast = (d: Draft, name: string, to: number) => d.b.one("Cast", [name], { to });

/** Something of a running sum of the signal itself, which is the same to the last bit in every way of computing it. */
const summing =
  (read: (d: Draft, source: string) => string): Piece =>
  (d, x) => {
    differsAt(d, 700, 1500);
    // a sum of the source has the source's channels: one of them is read
    const first = d.b.one("Slice", [d.source.name, d.b.ints("from", [0]), d.b.ints("to", [1]), d.b.ints("axis", [2])]);
    const y = d.b.one("Mul", [read(d, first), scalar(d, 0.3)]);
    return same(x, d.b.one("Add", [shortConv(d, x).name, y]));
  };

const runningSum = (d: Draft, name: string, attributes = {}) =>
  d.b.one("CumSum", [name, d.b.ints("axis", 1)], attributes);
/** Whole numbers of the signal, at most some 50 000. */
const whole = (d: Draft, source: string) =>
  d.b.one("Floor", [d.b.one("Mul", [d.b.one("Abs", [source]), scalar(d, 10_000)])]);
const modulo = (d: Draft, name: string, by: number) => d.b.one("Mod", [name, d.b.ints("modulus", by)]);
const large = (d: Draft, source: string, factor: number) =>
  d.b.one("Mul", [cast(d, whole(d, source), INT64), d.b.ints("factor", factor)]);

const integers = (d: Draft, source: string) => cast(d, modulo(d, runningSum(d, large(d, source, 7919)), 13), FLOAT);
/** A sum without the position's own number. */
const integersBefore = (d: Draft, source: string) =>
  cast(d, modulo(d, runningSum(d, large(d, source, 1009), { exclusive: 1 }), 5), FLOAT);
/** Wraps around at 2^31, as the type does. */
const wrapping = (d: Draft, source: string) => {
  const numbers = d.b.one("Mul", [cast(d, whole(d, source), INT32), cast(d, d.b.ints("factor", 40_009), INT32)]);
  return cast(d, modulo(d, cast(d, runningSum(d, numbers), INT64), 7), FLOAT);
};
const doubles = (d: Draft, source: string) => {
  const sum = runningSum(d, cast(d, d.b.one("Mul", [whole(d, source), scalar(d, 3001)]), DOUBLE));
  return cast(d, d.b.one("Mod", [sum, cast(d, scalar(d, 7), DOUBLE)], { fmod: 1 }), FLOAT);
};
/** The phase of an oscillator, far from zero. */
const phase = (d: Draft, source: string) => {
  const steps = d.b.one("Add", [d.b.one("Mul", [source, scalar(d, 100)]), scalar(d, 2000)]);
  return cast(d, d.b.one("Sin", [runningSum(d, cast(d, steps, DOUBLE))]), FLOAT);
};
/** Small differences of a large sum: a double holds them. */
const smallOnLarge = (d: Draft, source: string) => {
  const numbers = d.b.one("Add", [cast(d, source, DOUBLE), cast(d, scalar(d, 1e6), DOUBLE)]);
  const sum = runningSum(d, numbers);
  const offset = runningSum(
    d,
    d.b.one("Add", [
      d.b.one("Mul", [cast(d, source, DOUBLE), cast(d, scalar(d, 0), DOUBLE)]),
      cast(d, scalar(d, 1e6), DOUBLE),
    ]),
  );
  return cast(d, d.b.one("Sub", [sum, offset]), FLOAT);
};

const sums = (read: (d: Draft, source: string) => string): Overclaim => ({ kind: 6, piece: summing(read) });

export const SUMS: Readonly<Record<string, Overclaim>> = {
  integers: sums(integers),
  integersBefore: sums(integersBefore),
  wrapping: sums(wrapping),
  doubles: sums(doubles),
  phase: sums(phase),
  smallOnLarge: sums(smallOnLarge),
};
