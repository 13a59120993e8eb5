/** Whether numbers made of the length are held by the type that they are computed in. */
import { DataType } from "../onnx/tensor.ts";
import type { Fact } from "./fact.ts";

/** Lengths for which it must hold: positions are no longer told apart in float32 beyond. */
const LONGEST = 2 ** 20;

/** Whole numbers up to these are exact. */
const LARGEST: ReadonlyMap<number, number> = new Map([
  [DataType.INT64, 2 ** 53],
  [DataType.DOUBLE, 2 ** 53],
  [DataType.INT32, 2 ** 31 - 1],
  [DataType.FLOAT, 2 ** 24],
  [DataType.FLOAT16, 2 ** 11],
  [DataType.BFLOAT16, 2 ** 8],
  [DataType.BOOL, 1],
]);

/** A fact that is no size is held by any type, and a type that is not known is taken to be int64. */
export function isHeld(fact: Fact, type: number = DataType.INT64): boolean {
  if (fact.kind !== "shape") return true;
  const largest = LARGEST.get(type) ?? 0;
  return (fact.values ?? []).every(({ constant, time }) => Math.abs(constant) + Math.abs(time) * LONGEST <= largest);
}
