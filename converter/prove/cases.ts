/**
 * Arithmetic of sizes that holds for every length. A size is affine in the length where the length is known to lie in a
 * case: a range, and a residue class. What a case does not decide splits it.
 */
import { type Dim, dim, subtract } from "../time/dim.ts";

/** Lengths n with from ≤ n ≤ to and n ≡ residue (mod modulus). */
export interface Case {
  readonly from: number;
  readonly to: number;
  readonly modulus: number;
  readonly residue: number;
}

/** The longest sequence of which anything is proven: sizes are 32 bit numbers in many a kernel of ONNX Runtime. */
export const LONGEST = 2 ** 28;

export const EVERY_LENGTH: Case = { from: 1, to: LONGEST, modulus: 1, residue: 0 };

/** More residue classes than this are not told apart. */
const MOST_CLASSES = 64;

/** Thrown where a case must be split before something is decided; prove.ts goes on with the parts. */
export class Split {
  readonly parts: readonly Case[];
  constructor(parts: readonly Case[]) {
    this.parts = parts;
  }
}

/** Thrown by a rule that cannot follow what a node does; prove.ts adds the node. */
export class Unproven {
  readonly because: string;
  constructor(because: string) {
    this.because = because;
  }
}

/** Thrown where the graph cannot be run at the lengths of the case: nothing is claimed of them. */
export class NotRun {
  readonly because: string;
  constructor(because: string) {
    this.because = because;
  }
}

/** The shortest length of a case. */
export const firstOf = ({ from, modulus, residue }: Case): number =>
  from + ((((residue - from) % modulus) + modulus) % modulus);
const lastOf = ({ to, modulus, residue }: Case): number => to - ((((to - residue) % modulus) + modulus) % modulus);

/** Whether a case has no length. */
export const isEmpty = (which: Case): boolean => firstOf(which) > lastOf(which);

/** Lengths that stand for a case: its first ones. */
export const examplesOf = (which: Case, count: number): number[] =>
  Array.from({ length: count }, (_, i) => firstOf(which) + i * which.modulus).filter((n) => n <= which.to);

/** Sizes that differ by rounding of their fractions only are one. */
const CLOSE = 1e-6;

/** Whether a ≥ b at every length of the case; splits where that changes. */
export function atLeast(which: Case, a: Dim, b: Dim): boolean {
  const { constant, batch, time, product } = subtract(a, b);
  if (batch !== 0 || product !== 0) {
    const least = [batch, product].every((x) => x >= 0) && time >= 0 && constant + batch + time + product >= 0;
    const most = [batch, product].every((x) => x <= 0) && time <= 0 && constant + batch + time + product < 0;
    if (least || most) return least;
    throw new Unproven("compares the length with the batch size");
  }
  const [n, m] = [firstOf(which), lastOf(which)];
  const [first, last] = [constant + time * n > -CLOSE, constant + time * m > -CLOSE];
  if (first === last) return first;
  const crossing = -constant / time;
  const border = first ? Math.floor(crossing + CLOSE) : Math.ceil(crossing - CLOSE) - 1;
  throw new Split([
    { ...which, to: border },
    { ...which, from: border + 1 },
  ]);
}

export const isSame = (which: Case, a: Dim, b: Dim): boolean => atLeast(which, a, b) && atLeast(which, b, a);

export const least = (which: Case, a: Dim, b: Dim): Dim => (atLeast(which, a, b) ? b : a);
export const most = (which: Case, a: Dim, b: Dim): Dim => (atLeast(which, a, b) ? a : b);

/** The largest whole number that is no larger, for every length of the case. */
export function floor(which: Case, { constant, batch, time, product }: Dim): Dim {
  if (![batch, product].every(Number.isInteger)) throw new Unproven("rounds a part of the batch size");
  const { modulus, residue } = which;
  const perClass = time * modulus;
  if (Math.abs(perClass - Math.round(perClass)) < CLOSE) {
    const at = Math.floor(constant + time * residue + CLOSE);
    return { constant: at - time * residue, batch, time, product };
  }
  for (let by = 2; modulus * by <= MOST_CLASSES; by++) {
    const whole = perClass * by;
    if (Math.abs(whole - Math.round(whole)) >= CLOSE) continue;
    const parts = Array.from({ length: by }, (_, i) => ({
      ...which,
      modulus: modulus * by,
      residue: residue + i * modulus,
    }));
    throw new Split(parts.filter((part) => !isEmpty(part)));
  }
  throw new Unproven("rounds a part of the length");
}

export const negated = (d: Dim): Dim => subtract(dim(0), d);

/** The number that a size is at every length of the case, if it is one. */
export const numberOf = ({ constant, batch, time, product }: Dim): number | undefined =>
  batch === 0 && time === 0 && product === 0 ? constant : undefined;

/** A length of the case that stands for all when sizes are told apart: large, and unlike any number in a graph. */
export const symbolOf = ({ modulus, residue }: Case): number => modulus * 1_000_033 + residue;
