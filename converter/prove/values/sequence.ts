/** Operations on sequences: sums, products, and circular convolutions that must not wrap around. */
import { add, type Dim, dim, equal, subtract } from "../../time/facts/dim.ts";
import { atLeast, type Case, least, most, NotRun, numberOf, Unproven } from "./cases.ts";
import { earlier, refuseEdges } from "./cutting.ts";
import { type Gain, gainKey, NO_GAIN, NO_KERNELS, type Sequence, timesGain } from "./value.ts";

const ZERO = dim(0);

const sameGain = (a: Gain, b: Gain): boolean => gainKey(a) === gainKey(b);

/** The sum (or difference) of two sequences on one line. */
export function summed(which: Case, a: Sequence, b: Sequence, sign: 1 | -1): Sequence {
  if (!sameGain(a.gain, b.gain)) throw new Unproven("adds what is scaled by different numbers made of the length");
  if (a.stream !== b.stream) throw new Unproven("adds a function of the position to the stream");
  return met(which, a, b, sign > 0 ? "+" : "-");
}

/** The product of two functions of the position, entry by entry. */
export function multiplied(which: Case, a: Sequence, b: Sequence): Sequence {
  if (a.stream || b.stream) throw new Unproven("multiplies what it mixes by a function of the position");
  if (a.gain.size > 0 || b.gain.size > 0) throw new Unproven("multiplies numbers made of the length");
  return met(which, a, b, "*");
}

/** What an operator that gives 0 for zeros makes of two sequences. */
function met(which: Case, a: Sequence, b: Sequence, how: string): Sequence {
  if (a.reversed !== b.reversed) throw new Unproven("combines reversed positions with others");
  const [one, other] = [withShiftOf(a, b), b];
  const both = <T>(x: T | undefined, y: T | undefined, of: (x: T, y: T) => T): T | undefined =>
    x === undefined ? y : y === undefined ? x : of(x, y);
  return {
    ...other,
    key: `(${one.key}${how}${other.key})`,
    kernels: new Set([...one.kernels, ...other.kernels]),
    from: both(one.from, other.from, (x, y) => most(which, x, y)),
    to: both(one.to, other.to, (x, y) => least(which, x, y)),
    support: [least(which, one.support[0], other.support[0]), most(which, one.support[1], other.support[1])],
    first: Math.min(one.first, other.first),
    reach: one.reach === undefined || other.reach === undefined ? undefined : Math.max(one.reach, other.reach),
    biased: one.biased || other.biased,
  };
}

/**
 * Some function of the entries at the same place of functions of the position, on a line of some size: it need not be 0
 * where they are.
 */
export function mapped(which: Case, all: readonly Sequence[], key: string, size: Dim): Sequence {
  const [one, ...others] = all;
  if (all.some((s) => s.stream || s.reversed || s.from !== undefined || s.gain.size > 0))
    throw new Unproven("works on what it mixes, or on what is not followed");
  if (others.some(({ shift }) => !equal(shift, one!.shift)))
    throw new Unproven("combines positions that are moved along time");
  const shift = numberOf(one!.shift);
  if (shift === undefined) throw new Unproven("works on positions that are moved by the length");
  return {
    ...one!,
    key,
    // it begins with the line, not where the others do
    from: shift === 0 ? undefined : ZERO,
    to: all.reduce((to, s) => (s.to ? least(which, to, s.to) : to), size),
    support: [ZERO, size],
    first: Math.min(0, shift),
    reach: undefined,
    biased: false,
  };
}

/** The same sequence, as a function that is read with the other's shift: f(p + s) = f′(p + t) with f′(q) = f(q + s - t). */
function withShiftOf(s: Sequence, { shift }: Sequence): Sequence {
  const by = numberOf(subtract(s.shift, shift));
  if (by === 0) return s;
  if (by === undefined || s.reversed) throw new Unproven("adds sequences that are moved by the length");
  return delayed({ ...s, shift }, -by);
}

/** f′(q) = f(q - by) in the place of f. */
export const delayed = (s: Sequence, by: number): Sequence =>
  by === 0
    ? s
    : {
        ...s,
        key: `(${earlier(s.key, -by)}>>${by})`,
        first: s.first + by,
        reach: s.reach === undefined ? undefined : s.reach + by,
      };

/** Multiplied by numbers that are the same at every length and in every entry along the line. */
export const weighted = (s: Sequence, key: string): Sequence => ({ ...s, key: `(${key}*${s.key})` });

export const withGain = (s: Sequence, gain: Gain, sign = 1): Sequence => ({
  ...s,
  gain: timesGain(s.gain, gain, sign),
});

/**
 * What the inverse transform over `points` makes of the product of the transforms of sequences: at place p the sum of their
 * linear convolution at all places p + m·points. It is the convolution itself where no other term lies in its support.
 */
export function convolved(which: Case, sequences: readonly Sequence[], points: Dim | undefined): Sequence {
  const linear = sequences.reduce((a, b) => linearly(which, a, b));
  if (!points) return linear;
  const [low, high] = linear.support;
  const wraps = !atLeast(which, points, high) || !atLeast(which, low, ZERO);
  if (!wraps) return linear;
  // the ends of the support come back one period further
  const [clearFrom, clearTo] = [subtract(high, points), add(low, points)];
  return {
    ...linear,
    from: linear.from ? most(which, linear.from, most(which, clearFrom, ZERO)) : most(which, clearFrom, ZERO),
    to: linear.to ? least(which, linear.to, least(which, clearTo, points)) : least(which, clearTo, points),
    support: [ZERO, points],
  };
}

/** The linear convolution: known where every product in its sum is. */
function linearly(which: Case, a: Sequence, b: Sequence): Sequence {
  for (const s of [a, b]) refuseEdges(s);
  if (a.stream && b.stream) throw new Unproven("convolves the stream with itself");
  if ((a.from && b.to) || (b.from && a.to))
    throw new Unproven("convolves something of which the beginning was cut off");
  const last = ({ support }: Sequence) => subtract(support[1], dim(1));
  const froms = [a.from && add(a.from, last(b)), b.from && add(b.from, last(a))].filter((bound) => bound !== undefined);
  const tos = [a.to && add(a.to, b.support[0]), b.to && add(b.to, a.support[0])].filter((bound) => bound !== undefined);
  return {
    kind: "sequence",
    key: `(${[earlier(a.key, -b.first), earlier(b.key, -a.first)].sort().join("∗")})`,
    stream: a.stream || b.stream,
    kernels: kernelsOf(a, b),
    shift: add(a.shift, b.shift),
    from: froms.length ? froms.reduce((x, y) => most(which, x, y)) : undefined,
    to: tos.length ? tos.reduce((x, y) => least(which, x, y)) : undefined,
    support: [add(a.support[0], b.support[0]), subtract(add(a.support[1], b.support[1]), dim(1))],
    first: a.first + b.first,
    reach: a.reach === undefined || b.reach === undefined ? undefined : a.reach + b.reach - 1,
    biased: false,
    reversed: false,
    gain: timesGain(a.gain, b.gain),
  };
}

/** What a stream was convolved with before, and now. */
const kernelsOf = (a: Sequence, b: Sequence): ReadonlySet<string> =>
  a.stream || b.stream
    ? new Set([...a.kernels, ...b.kernels, ...[a, b].filter(({ stream }) => !stream).map(({ key }) => key)])
    : a.kernels;

/** A filter of Conv as a kernel: entry p of the filter is κ(size - 1 - p). */
export const kernelOfFilter = (key: string, taps: number, dilation: number): Sequence => ({
  kind: "sequence",
  key,
  stream: false,
  kernels: NO_KERNELS,
  shift: ZERO,
  from: undefined,
  to: undefined,
  support: [ZERO, dim(dilation * (taps - 1) + 1)],
  first: 0,
  reach: dilation * (taps - 1) + 1,
  biased: false,
  reversed: false,
  gain: NO_GAIN,
});

/** @throws NotRun where two lines that meet are of different sizes */
export function refuseUnlessSame(which: Case, a: Dim, b: Dim, what: string): void {
  if (!atLeast(which, a, b) || !atLeast(which, b, a)) throw new NotRun(what);
}
