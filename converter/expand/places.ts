/** Positions of a sequence, for what is written out. */
import type { Builder } from "../graph/build.ts";

/** first, first + 1, … as many as a tensor has entries along an axis, int64. */
export function placesOf(b: Builder, tensor: string, axis: number, first = 0): string {
  // the end of the last axis is said by leaving it out
  const size = b.one("Shape", [tensor], { start: axis, ...(axis !== -1 && { end: axis + 1 }) }, { hint: "length" });
  const length = b.one("Squeeze", [size, b.ints("axis", [0])], {}, { hint: "length" });
  const end = first === 0 ? length : b.one("Add", [length, b.ints("first", first)], {}, { hint: "end" });
  return b.one("Range", [b.ints("first", first), end, b.ints("step", 1)], {}, { hint: "positions" });
}
