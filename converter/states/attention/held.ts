/** How many rows an attention holds before the new ones. */
import type { Claim } from "../../../src/contract.ts";
import { LongConvError } from "../../../src/errors.ts";
import { type Node, whereOf } from "../../graph/graph.ts";
import { isOfDifferences } from "./future.ts";
import type { Found } from "./inside.ts";

/** How many rows are held before the new ones, and why; undefined: all. */
export interface Held {
  readonly rows: number;
  readonly because: string;
  readonly claim: Claim;
}

/**
 * @param window positions that a query sees, where a rule says how many
 * @throws LongConvError usage where so many rows are asked for, and the last ones alone would not be read as they are among all
 */
export function heldRows(
  { known, pairs }: Found,
  node: Node,
  window: number | undefined,
  capacity: number | undefined,
): Held | undefined {
  // a state has a row at least
  const rowsOf = (positions: number) => Math.max(1, positions - 1);
  if (window !== undefined) {
    const rows = rowsOf(window);
    return { rows, because: `the mask shows a position and ${rows} before it`, claim: { kind: "proven" } };
  }
  if (capacity === undefined) return undefined;
  if (!isOfDifferences(known, pairs))
    throw new LongConvError(
      "usage",
      `a cache of ${capacity} positions is asked for, and no rule says that what its keys are given depends on their distance alone`,
      whereOf(known.graphs.model, node),
      "Convert without a capacity: the cache grows.",
    );
  const because = `its cache holds ${capacity} positions, as was asked for`;
  return { rows: rowsOf(capacity), because, claim: { kind: "ends", positions: capacity, node: node.name, because } };
}
