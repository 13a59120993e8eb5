/** Powers of a complex number in double-double arithmetic, so that rounding does not grow with the exponent. */

import { unitRoot } from "./dft.ts";

/** A complex number as two unevaluated sums of two float64: [re high, re low, im high, im low], about 106 bits. */
export type DoubleDouble = readonly [number, number, number, number];

/** re + i im, exactly. */
export const exact = (re: number, im: number): DoubleDouble => [re, 0, im, 0];

/** a·b, relative error about 2⁻¹⁰²; k factors in a row stay below k·2⁻¹⁰², far below one float64 rounding. */
export function times(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const [re, reLow] = difference(product(a[0], a[1], b[0], b[1]), product(a[2], a[3], b[2], b[3]), -1);
  const [im, imLow] = difference(product(a[0], a[1], b[2], b[3]), product(a[2], a[3], b[0], b[1]), 1);
  return [re, reLow, im, imLow];
}

type Pair = readonly [number, number];

/** (a + aLow)(b + bLow) by Dekker's product (1971); Veltkamp's constant 2²⁷+1 splits a float64 in halves. */
function product(a: number, aLow: number, b: number, bLow: number): Pair {
  const high = a * b;
  const aCut = 134217729 * a;
  const bCut = 134217729 * b;
  const aTop = aCut - (aCut - a);
  const bTop = bCut - (bCut - b);
  const aRest = a - aTop;
  const bRest = b - bTop;
  const low = aTop * bTop - high + aTop * bRest + aRest * bTop + aRest * bRest + (a * bLow + aLow * b);
  const sum = high + low;
  return [sum, low - (sum - high)];
}

/** a + sign·b by Knuth's two-sum. */
function difference(a: Pair, b: Pair, sign: 1 | -1): Pair {
  const other = sign * b[0];
  const high = a[0] + other;
  const part = high - a[0];
  const low = a[0] - (high - part) + (other - part) + a[1] + sign * b[1];
  const sum = high + low;
  return [sum, low - (sum - high)];
}

/** λ⁰ … λ^(count-1), correctly rounded up to an ulp. */
export function powersOf(pole: DoubleDouble, count: number): DoubleDouble[] {
  const powers = [exact(1, 0)];
  while (powers.length < count) powers.push(times(powers.at(-1)!, pole));
  return powers;
}

/** a^k for an integer k ≥ 0, by squaring. */
export function power(a: DoubleDouble, k: number): DoubleDouble {
  let result = exact(1, 0);
  for (let square = a, rest = k; rest > 0; rest = Math.floor(rest / 2), square = times(square, square)) {
    if (rest % 2 === 1) result = times(result, square);
  }
  return result;
}

/**
 * exp(2πi/n) to double-double: from its float64 value z, off by some 2⁻⁵³, one Newton step on zⁿ = 1 leaves about
 * n 2⁻¹⁰². The step itself is so small that float64 does for it.
 */
export function primitiveRoot(n: number): DoubleDouble {
  const [re, im] = unitRoot(1, n);
  const [high, low, imHigh, imLow] = power(exact(re, im), n);
  const [offRe, offIm] = [(high - 1 + low) / n, (imHigh + imLow) / n];
  return times(exact(1, 0), [re, -(re * offRe - im * offIm), im, -(re * offIm + im * offRe)]);
}
