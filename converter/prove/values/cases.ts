/**
 * Arithmetic of sizes that holds for every length. A size is affine in the length where the length is known to lie in a
 * case: a range, and a residue class. What a case does not decide splits it.
 */
import { type Dim, dim, subtract } from "../../time/facts/dim.ts";

/** Lengths n with from ≤ n ≤ to and n ≡ residue (mod modulus). */
export interface Case {
  readonly from: number;
  readonly to: number;
  readonly modulus: number;
  readonly residue: number;
  /** What was taken for the results of rounding that may fall either way, by name; each of them is a case. */
  readonly taken?: ReadonlyMap<string, number> | undefined;
}

/** The longest sequence of which anything is proven: float32, in which many graphs count, knows no more whole numbers. */
export const LONGEST = 2 ** 24;

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

/** Thrown where a graph counts in a type that does not hold its numbers at the lengths of the case: the claim ends before. */
export class Inexact {
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

/** Rounding of the fractions of sizes, which are float64, in parts of the numbers that meet. */
const ROUNDING = 1e-12;

/**
 * Whether a ≥ b at every length of the case; splits where that changes.
 * @throws Split, Unproven where that depends on the batch size
 */
export function atLeast(which: Case, a: Dim, b: Dim): boolean {
  const { constant, batch, time, product } = subtract(a, b);
  if (batch !== 0 || product !== 0) {
    const least = [batch, product].every((x) => x >= 0) && time >= 0 && constant + batch + time + product >= 0;
    const most = [batch, product].every((x) => x <= 0) && time <= 0 && constant + batch + time + product < 0;
    if (least || most) return least;
    throw new Unproven("compares the length with the batch size");
  }
  const [n, m] = [firstOf(which), lastOf(which)];
  const close = (at: number) =>
    ROUNDING * (Math.abs(a.constant) + Math.abs(b.constant) + (Math.abs(a.time) + Math.abs(b.time)) * at);
  const holds = (at: number) => constant + time * at >= -close(at);
  const [first, last] = [holds(n), holds(m)];
  if (first === last) return first;
  const crossing = -constant / time;
  const near = close(Math.abs(crossing)) / Math.abs(time);
  const border = first ? Math.floor(crossing + near) : Math.ceil(crossing - near) - 1;
  const within = Math.min(Math.max(border, n), m - 1);
  throw new Split([
    { ...which, to: within },
    { ...which, from: within + 1 },
  ]);
}

export const isSame = (which: Case, a: Dim, b: Dim): boolean => atLeast(which, a, b) && atLeast(which, b, a);

/** The smaller one; where a length is the number that it is compared with, the length: min(n, 128) is n up to 128. */
export const least = (which: Case, a: Dim, b: Dim): Dim =>
  numberOf(b) === undefined ? (atLeast(which, a, b) ? b : a) : atLeast(which, b, a) ? a : b;
export const most = (which: Case, a: Dim, b: Dim): Dim => (atLeast(which, a, b) ? a : b);

/**
 * The largest whole number that is no larger, for every length of the case.
 * @throws Split into residue classes, Unproven where more than {@link MOST_CLASSES} would be needed
 */
export function floor(which: Case, { constant, batch, time, product }: Dim): Dim {
  if (![batch, product].every(Number.isInteger)) throw new Unproven("rounds a part of the batch size");
  const { modulus, residue } = which;
  const isWhole = (step: number) => Math.abs(step - Math.round(step)) <= 1e-14 * Math.max(1, Math.abs(step));
  if (isWhole(time * modulus)) {
    const exact = Math.round(time * modulus) / modulus;
    const at = Math.floor(constant + exact * residue + ROUNDING * (1 + Math.abs(constant)));
    return { constant: at - exact * residue, batch, time: exact, product };
  }
  for (let by = 2; modulus * by <= MOST_CLASSES; by++) {
    if (!isWhole(time * modulus * by)) continue;
    const parts = Array.from({ length: by }, (_, i) => ({
      ...which,
      modulus: modulus * by,
      residue: residue + i * modulus,
    }));
    throw new Split(parts.filter((part) => !isEmpty(part)));
  }
  throw new Unproven("rounds a part of the length");
}

/** The smallest whole number that is no smaller. @throws as {@link floor} */
export const ceil = (which: Case, a: Dim): Dim => negated(floor(which, negated(a)));

/** Rounded towards 0. @throws as {@link floor} */
export const truncated = (which: Case, a: Dim): Dim => (atLeast(which, a, dim(0)) ? floor(which, a) : ceil(which, a));

/**
 * One of the numbers that rounding may give: each is a case of its own.
 * @param name what is rounded
 * @throws Split where none is taken yet
 */
export function either(which: Case, name: string, numbers: readonly number[]): number {
  const taken = which.taken?.get(name);
  if (taken !== undefined) return taken;
  throw new Split(numbers.map((number) => ({ ...which, taken: new Map(which.taken).set(name, number) })));
}

export const negated = (d: Dim): Dim => subtract(dim(0), d);

/** The number that a size is at every length of the case, if it is one. */
export const numberOf = ({ constant, batch, time, product }: Dim): number | undefined =>
  batch === 0 && time === 0 && product === 0 ? constant : undefined;

/** {@link numberOf}, and what a size is in a case of one length. */
export const numberIn = (which: Case, size: Dim): number | undefined =>
  size.batch === 0 && size.product === 0 && firstOf(which) === lastOf(which)
    ? size.constant + size.time * firstOf(which)
    : numberOf(size);

/** A length of the case that stands for all when sizes are told apart: large, and unlike any number in a graph. */
export const symbolOf = ({ modulus, residue }: Case): number => modulus * 1_000_033 + residue;
