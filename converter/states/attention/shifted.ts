/** Functions of two positions, looked at: whether they are functions of their difference. */
import type { Known } from "../../find/carried.ts";
import { openPosition, rowsOf } from "../../parts/position-rows.ts";
import type { Pairs } from "./pairs.ts";

/** A length at which functions of two positions are looked at. */
const SHORT = 24;

/** Whether functions of two positions are functions of their difference: padding in front moves both. */
export async function areShifted({ graphs, constants }: Known, { positions }: Pairs): Promise<boolean> {
  for (const [name, axes] of positions) {
    const [rows, keys] = ["time" as const, "keys" as const].map((factor) =>
      axes.findIndex((axis) => axis.includes(factor)),
    );
    if (constants.has(name) || (rows! < 0 && keys! < 0)) continue;
    if (rows! < 0 || keys! < 0) return false;
    const reader = await openPosition(graphs, name);
    const tensor = await reader.at(SHORT).finally(() => reader.close());
    const matrix = rowsOf(tensor, rows!);
    const inner = tensor.dims.slice(keys! + 1).reduce((a, c) => a * c, 1);
    const outer = tensor.dims.slice(0, keys!).reduce((a, c, k) => (k === rows ? a : a * c), 1);
    // a table may end before
    const length = tensor.dims[keys!]!;
    for (let i = 0; i + 1 < Math.min(length, matrix.length); i++)
      for (let o = 0; o < outer; o++)
        for (let j = 0; j + 1 <= i; j++)
          for (let k = 0; k < inner; k++) {
            const at = (row: number, key: number) => matrix[row]![(o * length + key) * inner + k];
            if (!Object.is(at(i, j), at(i + 1, j + 1))) return false;
          }
  }
  return true;
}
