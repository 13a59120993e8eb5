/** Functions of the position that an export makes for each row of a batch: whether all rows have the same. */
import type { Known } from "../../find/carried.ts";
import { openPosition, rowsOf } from "../../parts/position-rows.ts";
import { channelsIn, type Layout } from "../../time/facts/fact.ts";
import type { Pairs } from "./pairs.ts";
import { isSameAlong } from "./places.ts";

/** Rows of a batch at which functions of the position are looked at that are made for each row, and at which lengths. */
export const ROWS = 64;
const LOOKED: readonly (readonly [rows: number, length: number])[] = [
  [ROWS, 24],
  [ROWS, 128],
  [3, 2048],
];

const hasRows = (axes: Layout): boolean => axes.flat().includes("batch");

/** Up to which length functions of the position are the same in all rows of a batch, or one that is not. */
export async function sameInRows(
  known: Known,
  { positions }: Pairs,
): Promise<{ readonly seen: number } | { readonly different: string }> {
  let seen = Number.POSITIVE_INFINITY;
  for (const [name, axes] of positions) {
    if (!hasRows(axes)) continue;
    const batch = axes.findIndex((axis) => axis.includes("batch"));
    if (isSameAlong(known, name, batch)) continue;
    const heads = channelsIn(axes[batch]!);
    const reader = await openPosition(known.graphs, name);
    let looked = 0;
    try {
      for (const [count, length] of LOOKED) {
        const made = await reader.within(length, count);
        // a table ends before
        if (!made) break;
        const rows = rowsOf(made, batch);
        const isFirst = (row: Float64Array, at: number) =>
          row.every((value, i) => Object.is(value, rows[at % heads]![i]));
        if (!rows.every(isFirst)) return { different: name };
        looked = length;
      }
    } finally {
      await reader.close();
    }
    if (looked === 0) return { different: name };
    seen = Math.min(seen, looked);
  }
  return { seen };
}
