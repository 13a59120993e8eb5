/** What is known of a value between queries and keys: a linear form in the two positions, a truth value, a score that is hidden. */
import { DataType, type Tensor, toNumbers } from "../../graph/tensor.ts";

/** Pairs of a query i and a key j. */
export interface Region {
  /** Which comes first, at 0 or later; the other comes `behind` positions after it, or more. */
  readonly first: "query" | "key";
  readonly behind: number;
  /** Exactly so many. */
  readonly exactly?: true | undefined;
  /** Takes distances i - j at which a comparison may turn. */
  readonly turns?: ((distance: number) => void) | undefined;
}

/** What is known of a value at every pair of a region. */
export type Value =
  /** a i + b j + c */
  | { readonly kind: "linear"; readonly a: number; readonly b: number; readonly c: number }
  | { readonly kind: "truth"; readonly value: boolean }
  /** So low that its weight is 0. */
  | { readonly kind: "hidden" }
  /** Made of the data, and not hidden. */
  | { readonly kind: "score" }
  /** Anything, but the same in a sequence of any length; between two numbers, where they are known. */
  | { readonly kind: "any"; readonly between?: Bounds | undefined };

export type Bounds = readonly [least: number, most: number];

export type Linear = Extract<Value, { kind: "linear" }>;

export const ANY: Value = { kind: "any" };
/** 0 or 1. */
export const BIT: Value = { kind: "any", between: [0, 1] };
export const HIDDEN: Value = { kind: "hidden" };
export const SCORE: Value = { kind: "score" };
/** Scores that exporters write for what is hidden: -infinity, the least float, -1e9; and the least float16, which is no score either. */
const LOWEST = -1e9;
const LEAST_HALF = -65504;
const hides = (c: number): boolean => c <= LOWEST || c === LEAST_HALF;
export const number = (c: number): Value => (hides(c) ? HIDDEN : { kind: "linear", a: 0, b: 0, c });
export const truth = (value: boolean): Value => ({ kind: "truth", value });

export const isZero = (value: Value | undefined): boolean =>
  value?.kind === "linear" && value.a === 0 && value.b === 0 && value.c === 0;

export const isNumber = (value: Value | undefined): value is Linear =>
  value?.kind === "linear" && value.a === 0 && value.b === 0;

/** A table of one number is that number; another one holds scores where none of its numbers hides. */
export const ofTensor = (tensor: Tensor): Value => ofNumbers(tensor.type, toNumbers(tensor));

/** The same of numbers that a table holds in one place or another. */
export function ofNumbers(type: number, values: Iterable<number>): Value {
  let [first, least, most]: (number | undefined)[] = [];
  for (const value of values) {
    first ??= value;
    least = Math.min(least ?? value, value);
    most = Math.max(most ?? value, value);
  }
  if (first !== undefined && least === most) return type === DataType.BOOL ? truth(first !== 0) : number(first);
  if (type === DataType.BOOL) return BIT;
  return least! > LOWEST && most! < Infinity ? SCORE : { kind: "any", between: [least!, most!] };
}
