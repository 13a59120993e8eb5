/**
 * Sums in two float32 numbers: what is summed, and what rounding has left out of it, so that a million small addends are not lost in
 * a large sum (Knuth, TAOCP 2, 4.2.2, theorem B).
 */
import type { Builder } from "../../graph/build.ts";

/** Rows of the state along the time axis: the sum, and what it lacks. */
export const SUM_ROWS = 2;

/** The two rows of a state. */
export function partsOf(b: Builder, state: string, axis: number): { readonly sum: string; readonly rest: string } {
  const row = (at: number, hint: string) =>
    b.one("Slice", [state, b.ints("from", [at]), b.ints("to", [at + 1]), b.ints("axis", [axis])], {}, { hint });
  return { sum: row(0, "sum"), rest: row(1, "rest") };
}

/** Adds the state that follows when `added`, with `rest` in it already, is added to `sum`; gives the sum. */
export function addUp(b: Builder, sum: string, added: string, axis: number, present: string): string {
  const plus = (p: string, q: string, hint = "sum") => b.one("Add", [p, q], {}, { hint });
  const minus = (p: string, q: string) => b.one("Sub", [p, q], {}, { hint: "rest" });
  const total = plus(sum, added);
  const back = minus(total, sum);
  const lost = plus(minus(sum, minus(total, back)), minus(added, back), "rest");
  b.one("Concat", [total, lost], { axis }, { outputs: [present] });
  return total;
}
