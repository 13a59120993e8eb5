/** Padding in front of the rows of a batch, where the export has a mask of its own; what it gives there means nothing. */
import type { Graphs } from "../parts/graphs.ts";

/** Positions of padding in front of each row of a batch, where the export has a mask of its own; the first row has none. */
export const paddingOf = ({ driven }: Graphs, row: number, time: number): number =>
  driven.mask === undefined ? 0 : Math.min(row, time - 1);
