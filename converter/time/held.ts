/** Whether numbers made of the length are held by the type that they are computed in. */
import { DataType } from "../graph/tensor.ts";
import type { Fact } from "./facts/fact.ts";

/** Lengths for which it must hold: positions are no longer told apart in float32 beyond. */
const LONGEST = 2 ** 20;

/** Types that lengths are computed in, and the whole numbers up to which they are exact: beyond, they are rounded or begin anew. */
export const LARGEST: ReadonlyMap<number, number> = new Map([
  [DataType.INT64, 2 ** 53],
  [DataType.DOUBLE, 2 ** 53],
  [DataType.INT32, 2 ** 31 - 1],
  [DataType.FLOAT, 2 ** 24],
  [DataType.BOOL, 1],
]);
/** Types that hold no length but the shortest. */
const HALVES: ReadonlyMap<number, number> = new Map([
  [DataType.FLOAT16, 2 ** 11],
  [DataType.BFLOAT16, 2 ** 8],
]);

/** A fact that is no size is held by any type, and a type that is not known is taken to be int64. */
export function isHeld(fact: Fact, type: number = DataType.INT64): boolean {
  if (fact.kind !== "shape") return true;
  const largest = LARGEST.get(type) ?? HALVES.get(type) ?? 0;
  return (fact.values ?? []).every(({ constant, time }) => {
    // float32 holds multiples of 512 (a count of channels and positions) as far as 512 times the number
    const unit = type === DataType.FLOAT ? Math.min(twosIn(constant), twosIn(time)) : 1;
    return Math.abs(constant) + Math.abs(time) * LONGEST <= largest * unit;
  });
}

/** The power of 2 that a whole number is a multiple of, up to 2^16; 1 of what is no whole number. */
const twosIn = (value: number, unit = 1): number =>
  unit < 2 ** 16 && value % (2 * unit) === 0 ? twosIn(value, 2 * unit) : unit;
