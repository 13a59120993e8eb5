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
  return (fact.values ?? []).every(({ constant, time }) => Math.abs(constant) + Math.abs(time) * LONGEST <= largest);
}
