/** Reductions of the new positions. */
import type { Builder } from "../../graph/build.ts";

export type Reduce = "ReduceSum" | "ReduceMax" | "ReduceMin";

/** Axes are an input of ReduceSum from opset 13 on, of the others from 18. */
export function reduced(b: Builder, op: Reduce, x: string, over: readonly number[]): string {
  const asInput = b.opset >= 18 || op === "ReduceSum";
  return asInput
    ? b.one(op, [x, b.ints("axes", over)], { keepdims: 1 }, { hint: "part" })
    : b.one(op, [x], { axes: over, keepdims: 1 }, { hint: "part" });
}
