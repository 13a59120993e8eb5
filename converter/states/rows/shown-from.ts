/** The positions of a sequence from some position on. */
import type { Place } from "../../find/carried.ts";
import type { Builder } from "../../graph/build.ts";
import { DataType } from "../../graph/tensor.ts";

/** [batch, T, 1] float32: 0 before that position, and where a position is padding. */
export function shownFrom(b: Builder, { position, symbols, mask }: Place, from: number): string {
  const counted = b.one("Less", [position, b.ints("from", [from])], {}, { hint: "before" });
  const after = b.one("Cast", [b.one("Not", [counted])], { to: DataType.FLOAT }, { hint: "shown" });
  const size = b.one("Concat", [symbols.batch(), symbols.time(), b.ints("one", [1])], { axis: 0 }, { hint: "tokens" });
  const shown = b.one("Reshape", [after, size], {}, { hint: "shown" });
  // padding stands at position 0
  return mask === undefined ? shown : b.one("Mul", [shown, mask], {}, { hint: "shown" });
}
