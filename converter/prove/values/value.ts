/** What is proven of a tensor at every length of a case. */
import type { Tensor } from "../../graph/tensor.ts";
import { type Dim, dim } from "../../time/facts/dim.ts";
import { Unproven } from "./cases.ts";

/** An axis that grows with the length: so many entries. */
export interface Line {
  readonly line: Dim;
}

export type Factor = number | "batch" | Line;
/** Axes as in time/fact.ts, with lines in the place of time. */
export type Axes = readonly (readonly Factor[])[];

/** The same values at every length; they are read when asked for. */
export interface Fixed {
  readonly kind: "fixed";
  /** Which: the same key, the same values, in as many places. */
  readonly key: string;
  /** Zeros everywhere. */
  readonly zero: boolean;
  readonly tensor: (() => Tensor) | undefined;
}

/**
 * Entry p along the line is f(p + shift) for from ≤ p < to, whatever the length is; 0 outside of `support`; between them
 * nothing is known. f is a function of the position, or a convolution κ∗x of the region's stream x, which is 0 before its
 * beginning and behind its end.
 */
export interface Sequence {
  readonly kind: "sequence";
  /** Which f: the same key, the same f. `[:300]` in a key cuts a function off at lag 300. */
  readonly key: string;
  /** f is a convolution of the stream. */
  readonly stream: boolean;
  /** Of a stream: the functions of the position that it was convolved with. */
  readonly kernels: ReadonlySet<string>;
  readonly shift: Dim;
  /** Undefined: from the beginning, and before it. */
  readonly from: Dim | undefined;
  /** Undefined: to the end, and behind it. */
  readonly to: Dim | undefined;
  readonly support: readonly [Dim, Dim];
  /** f (of a stream: κ) is 0 before this place. */
  readonly first: number;
  /** f (of a stream: κ) is 0 from this place on; undefined: not known. */
  readonly reach: number | undefined;
  /** A constant was added to every entry. */
  readonly biased: boolean;
  /** Entry p is f(size - 1 - p + shift): a filter of Conv. */
  readonly reversed: boolean;
  /** A number made of sizes by which all is multiplied. */
  readonly gain: Gain;
}

/** A product of powers of sizes: size -> exponent. */
export type Gain = ReadonlyMap<string, number>;

/** Real or imaginary part of the transform of a real sequence, or a real factor that is the same at every length. */
export interface Atom {
  readonly part: "re" | "im" | "factor";
  readonly key: string;
}

export interface Term {
  readonly weight: number;
  readonly atoms: readonly Atom[];
}

/** A sum of products; the sequences that its atoms are transforms of, by key. */
export interface Poly {
  readonly terms: readonly Term[];
  readonly sequences: ReadonlyMap<string, Sequence>;
}

/** The transform over `points` points of sequences: a polynomial in the real and imaginary parts of theirs. */
export interface Spectrum {
  readonly kind: "spectrum";
  readonly points: Dim;
  readonly onesided: boolean;
  readonly poly: Poly;
  readonly gain: Gain;
}

/** Numbers that are affine in the places along the axes: Σ coefficients[axis] · place + offset. */
export interface Index {
  readonly kind: "index";
  readonly coefficients: ReadonlyMap<number, number>;
  readonly offset: Dim;
}

/** Entry (i, j) along two lines is g(i - j), whatever the length is, for i - j ≥ from. */
export interface Pairs {
  readonly kind: "pairs";
  readonly key: string;
  /** Axes of i and j. */
  readonly row: number;
  readonly column: number;
  /** Known from this difference on; undefined: for all. */
  readonly from: number | undefined;
  /** 0 below this difference; undefined: not known. */
  readonly first: number | undefined;
  /** 0 from this difference on. */
  readonly reach: number | undefined;
  /** Read as a condition: true exactly where i - j ≥ this. */
  readonly holdsFrom?: number | undefined;
  /** Never less than 0, so that it may pick from a table. */
  readonly isPlace?: boolean | undefined;
}

/** Entry (i, j) along two lines is entry i + j + offset of a sequence on a line of some size, and lies within it. */
export interface Windows {
  readonly kind: "windows";
  readonly of: Sequence;
  readonly size: Dim;
  readonly offset: Dim;
  /** Axes of i and j. */
  readonly row: number;
  readonly column: number;
}

export type Body = Fixed | Sequence | Spectrum | Index | Pairs | Windows;

/** The key of what is known by a tensor's name: no name looks like a key that was made. */
export const keyOfName = (name: string): string => JSON.stringify(name).replaceAll("[", "⟦");

/** A tensor: axes, and what lies along them. */
export interface Lines {
  readonly kind: "tensor";
  readonly axes: Axes;
  /** One; or two, the entries of the axis `pair`: real and imaginary part. */
  readonly parts: readonly Body[];
  readonly pair: number | undefined;
}

/** Whole numbers made of the length and the batch size, rank 0 or 1. */
export interface Sizes {
  readonly kind: "sizes";
  readonly rank: 0 | 1;
  readonly values: readonly Dim[];
  /** The length was taken to make them, also where they are numbers in this case: min(n, 300). */
  readonly ofLength?: boolean | undefined;
}

/** A number made of sizes that is no size itself: 1/n, the root of n, the binary logarithm of n. */
export interface Scalar {
  readonly kind: "scalar";
  readonly gain: Gain;
  /** The logarithm of a size, to this base. */
  readonly log?: { readonly of: Dim; readonly base: number } | undefined;
}

export type Value = Lines | Sizes | Scalar;

export const NO_KERNELS: ReadonlySet<string> = new Set();

export const NO_GAIN: Gain = new Map();

export const isLine = (factor: Factor): factor is Line => typeof factor === "object";

/** The axes along which a tensor grows with the length. */
export const linesOf = (axes: Axes): number[] => axes.flatMap((axis, k) => (axis.some(isLine) ? [k] : []));

/** The size of an axis that is nothing but a line. */
export const lineAt = (axes: Axes, k: number): Dim | undefined => {
  const [only, ...others] = axes[k] ?? [];
  return only !== undefined && others.length === 0 && isLine(only) ? only.line : undefined;
};

export const tensor = (axes: Axes, body: Body): Lines => ({ kind: "tensor", axes, parts: [body], pair: undefined });

/** An axis of so many entries. @throws Unproven where no axis has this size */
export const axisOf = (size: Dim): readonly Factor[] => {
  const { constant, batch, time, product } = size;
  if (batch === 0 && product === 0) {
    if (time !== 0) return [{ line: size }];
    if (constant >= 0) return constant === 1 ? [] : [constant];
  }
  if (batch === 1 && constant === 0 && time === 0 && product === 0) return ["batch"];
  throw new Unproven("makes an axis whose size is not followed");
};

/** The stream that enters a region: x itself. */
export const streamOf = (length: Dim): Sequence => ({
  ...positionOf("x", length),
  stream: true,
  to: undefined,
  reach: 1,
});

/** A function of the position, one row for each. */
export const positionOf = (key: string, length: Dim): Sequence => ({
  kind: "sequence",
  key,
  stream: false,
  kernels: NO_KERNELS,
  shift: dim(0),
  from: undefined,
  to: length,
  support: [dim(0), length],
  first: 0,
  reach: undefined,
  biased: false,
  reversed: false,
  gain: NO_GAIN,
});

export const gainOf = (size: Dim, exponent: number): Gain =>
  new Map([[[size.constant, size.batch, size.time, size.product].join("/"), exponent]]);

export function timesGain(a: Gain, b: Gain, sign = 1): Gain {
  const result = new Map(a);
  for (const [size, exponent] of b) {
    const sum = (result.get(size) ?? 0) + sign * exponent;
    if (Math.abs(sum) < 1e-9) result.delete(size);
    else result.set(size, sum);
  }
  return result;
}

export const gainKey = (gain: Gain): string =>
  [...gain]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([size, exponent]) => `${size}^${exponent}`)
    .join("·");
