/**
 * Means that leave padding out: the operator divides by all of its window's places, of which fewer are in the sequence at its
 * beginning, so that what it gives is multiplied by the one over the other.
 */
import type { Place } from "../../find/carried.ts";
import { type Builder, fromFloat } from "../../graph/build.ts";
import { DataType } from "../../graph/tensor.ts";
import type { Layout } from "../../time/facts/fact.ts";
import { maskFor } from "./carry.ts";

/** The places of a window along time, of which those before the first position do not count. */
export interface Counted {
  readonly taps: number;
  readonly dilation: number;
}

/**
 * Adds the mean of the positions that count, as `output`.
 * @param mean of all places, those before the sequence as zeros
 * @param ahead how many positions after its own an output's newest place is; negative: before
 */
export function ofThose(
  b: Builder,
  { taps, dilation }: Counted,
  { mean, axes, ahead, output }: { mean: string; axes: Layout; ahead: number; output: string },
  place: Place,
): void {
  const number = (name: string, value: number) => b.floats(name, [1], [value]);
  const newest = b.one("Add", [positionsOf(b, place), number("ahead", ahead)], {}, { hint: "newest" });
  const before = b.one("Floor", [b.one("Div", [newest, number("dilation", dilation)])]);
  const most = b.one("Min", [b.one("Add", [before, number("one", 1)]), number("taps", taps)]);
  const counted = b.one("Max", [most, number("one", 1)], {}, { hint: "counted" });
  const share = b.one("Div", [number("taps", taps), counted], {}, { hint: "share" });
  const shaped = maskFor(b, axes, place.symbols, share);
  b.one("Mul", [mean, fromFloat(b, shaped, place.typeOf(output))], {}, { outputs: [output] });
}

/** Of each sequence, the number of each position: [batch, T, 1] float32. */
function positionsOf(b: Builder, { read, mask, symbols }: Place): string {
  if (mask) {
    const upTo = b.one("CumSum", [mask, b.ints("time_axis", 1)]);
    return b.one("Sub", [b.one("Add", [read, upTo]), b.floats("one", [1], [1])], {}, { hint: "position" });
  }
  const time = b.one("Squeeze", [symbols.time(), b.ints("axis", [0])]);
  const range = b.one("Range", [b.ints("first", 0), time, b.ints("step", 1)]);
  const column = b.one("Unsqueeze", [b.one("Cast", [range], { to: DataType.FLOAT }), b.ints("axes", [0, 2])]);
  return b.one("Add", [read, column], {}, { hint: "position" });
}
