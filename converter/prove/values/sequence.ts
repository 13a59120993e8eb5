/** Operations on sequences: cutting and padding, sums, and circular convolutions that must not wrap around. */
import { add, type Dim, dim, equal, subtract } from "../../time/facts/dim.ts";
import { atLeast, type Case, least, most, NotRun, negated, numberOf, Unproven } from "./cases.ts";
import { type Gain, gainKey, NO_GAIN, NO_KERNELS, type Sequence, timesGain } from "./value.ts";

const ZERO = dim(0);

/** Functions that are cut off at a fixed place are other functions: `[:300]`. */
const cutKey = (key: string, at: number): string => (key.endsWith(`[:${at}]`) ? key : `${key}[:${at}]`);

/** The key of what is read so many places earlier, so that its cuts are seen as many places earlier. */
export const earlier = (key: string, by: number): string =>
  by > 0 ? key.replaceAll(/\[:(-?\d+)\]/g, (_cut, at) => `[:${Number(at) - by}]`) : key;

/** The key of what may be read at any place: its cuts are never out of sight. */
export const keyAnywhere = (key: string): string => key.replaceAll("[:", "[=");

/** A function's key without the cuts that lie no earlier than `top`, which shorter sequences do not see. */
export const keyUpTo = (key: string, top: number): string =>
  key.replaceAll(/\[:(-?\d+)\]/g, (cut, at) => (Number(at) >= top ? "" : cut));

function moved(s: Sequence, by: Dim): Sequence {
  return {
    ...s,
    shift: subtract(s.shift, by),
    from: s.from && add(s.from, by),
    to: s.to && add(s.to, by),
    support: [add(s.support[0], by), add(s.support[1], by)],
  };
}

function refuseEdges({ biased, reversed }: Sequence): void {
  if (biased) throw new Unproven("pads or transforms a stream to which something was added");
  if (reversed) throw new Unproven("uses reversed positions in a way that is not followed");
}

/** Zeros in front. */
export function padded(s: Sequence, before: Dim): Sequence {
  if (equal(before, ZERO)) return s;
  refuseEdges(s);
  return moved(s, before);
}

/** Zeros behind: f goes on there only where it is 0 itself. */
export function endedAt(which: Case, s: Sequence, size: Dim): Sequence {
  refuseEdges(s);
  const cut = cutOff(which, s, size);
  const goesOn = cut.to === undefined && atLeast(which, size, cut.support[1]);
  return goesOn ? cut : { ...s, to: s.to ? least(which, s.to, size) : size };
}

/** Entries from `start` on before `end`, of a line of some size; both within it, in this order. */
export function sliced(which: Case, given: Sequence, start: Dim, end: Dim, size: Dim): Sequence {
  if (equal(start, ZERO) && equal(end, size)) return given;
  // what is cut off in front of reversed entries is the end of f
  if (given.reversed) return turned(sliced(which, turned(given), subtract(size, end), subtract(size, start), size));
  const s = cutOff(which, given, end);
  const back = moved(s, negated(start));
  const keepsFront = atLeast(which, s.support[0], start);
  const keepsBack = atLeast(which, end, s.support[1]);
  const length = subtract(end, start);
  return {
    ...back,
    from: keepsFront ? back.from : back.from ? most(which, back.from, ZERO) : ZERO,
    to: keepsBack ? back.to : back.to ? least(which, back.to, length) : length,
    support: [most(which, back.support[0], ZERO), least(which, back.support[1], length)],
  };
}

/** A function of the position that ends at a fixed place is another function, known to its end. */
function cutOff(which: Case, s: Sequence, end: Dim): Sequence {
  const at = numberOf(add(end, s.shift));
  if (at === undefined || s.stream || s.reversed || (s.to && !atLeast(which, s.to, end))) return s;
  if (s.to === undefined && atLeast(which, end, s.support[1])) return s;
  const reach = s.reach === undefined ? at : Math.min(s.reach, at);
  return {
    ...s,
    key: cutKey(s.key, at),
    reach,
    to: undefined,
    support: [s.support[0], least(which, s.support[1], end)],
  };
}

/** The order of the entries turned around. */
export const turned = (s: Sequence): Sequence => {
  if (s.biased || s.stream) throw new Unproven("reverses the stream along time");
  return { ...s, reversed: !s.reversed };
};

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

/** What a transform over so many points takes of a line: its beginning, or all and zeros behind it. */
export function cutTo(which: Case, s: Sequence, size: Dim, points: Dim): Sequence {
  if (atLeast(which, points, size)) return endedAt(which, s, size);
  const ended = endedAt(which, s, points);
  return { ...ended, support: [least(which, s.support[0], points), least(which, s.support[1], points)] };
}

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
