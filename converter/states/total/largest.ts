/** The largest exponent so far, over which powers of e are summed. */
import type { Builder } from "../../graph/build.ts";
import { reduced } from "./reduced.ts";

/** The largest finite float32: exponents beyond are taken for it where differences are made, so that ∞ - ∞ is none. */
const LARGEST = 3.4028234663852886e38;

/** Adds what is the largest of what was read before and of the new positions, as `present`. */
export const joinedLargest = (
  b: Builder,
  before: string,
  x: string,
  over: readonly number[],
  present: string,
): string => b.one("Max", [before, reduced(b, "ReduceMax", x, over)], {}, { outputs: [present] });

export const finitePart = (b: Builder, name: string): string =>
  b.one("Clip", [name, b.floats("least", [], [-LARGEST]), b.floats("most", [], [LARGEST])], {}, { hint: "finite" });
