/**
 * Graphs about which one easily claims too much, by name. Kinds:
 * 1 a kernel whose tail is rounding; 2 a context window; 3 a dense matrix read further than it was compared; 4 other at odd
 * lengths, or in a residue class of them; 5 a tap behind a gap; 6 running sums in wider types; 7 a number of the length;
 * 8 what sets in late; 9 rows and batch sizes; 10 computed tables that end; 11 kernels that go on beyond a horizon.
 */
import { LATE } from "./late.ts";
import { LENGTHS } from "./lengths.ts";
import type { Overclaim } from "./overclaim.ts";
import { ROWS } from "./rows.ts";
import { SUMS } from "./sums.ts";
import { TABLES } from "./tables.ts";
import { TAILS } from "./tails.ts";

export type { Overclaim } from "./overclaim.ts";

export const OVERCLAIMS: Readonly<Record<string, Overclaim>> = {
  ...TAILS,
  ...LENGTHS,
  ...LATE,
  ...SUMS,
  ...ROWS,
  ...TABLES,
};

/** Names by kind. */
export const OVERCLAIM_KINDS: ReadonlyMap<number, readonly string[]> = new Map(
  Array.from({ length: 11 }, (_, i) => [
    i + 1,
    Object.keys(OVERCLAIMS).filter((name) => OVERCLAIMS[name]!.kind === i + 1),
  ]),
);
