/** What stands before the first position of a stream in the exported graph: padding, and what layers have made of it. */

import type { Known } from "../../find/carried.ts";
import { randomInputs } from "../../parts/feeds.ts";
import { isFailedRun } from "../../parts/open-region.ts";
import { openPart } from "../../parts/part.ts";
import { bySequence } from "../../parts/position-rows.ts";
import { fixedSizes } from "../../parts/seen-shapes.ts";
import { channelCount, type Layout, type Offset } from "../../time/facts/fact.ts";
import { sourceOf } from "./source.ts";

export type History =
  | { readonly kind: "zeros" }
  /** The same for every input: [rows][channels], in the order of the layout without batch and time; oldest first. */
  | { readonly kind: "rows"; readonly rows: readonly Float64Array[] }
  /** The first position, repeated. */
  | { readonly kind: "first" };

/** The length at which it is looked at, the rows of a batch, and the inputs that are drawn: a few ids may be the same by chance. */
const LENGTH = 16;
const BATCH = 2;
const SEEDS = [1, 2, 3, 4, 5, 6];

/**
 * The rows before the first position: a rule says what they are made of, and runs say which numbers these are.
 * @param reach how many
 * @param fill what stands before those that the tensor has
 * @returns a sentence where they are nothing that can be carried
 */
export async function historyOf(
  known: Known,
  stream: { readonly tensor: string; readonly axes: Layout; readonly offset: Offset },
  reach: number,
  fill: number,
): Promise<History | string> {
  const { left } = stream.offset;
  const own = Math.max(0, Math.min(left, reach));
  const filled = Array.from({ length: reach - own }, () => new Float64Array(channelCount(stream.axes)).fill(fill));
  if (own === 0) return fill === 0 || reach === 0 ? { kind: "zeros" } : { kind: "rows", rows: filled };
  const source = sourceOf(known, stream.tensor);
  const all = await rowsBefore(known, stream, own);
  if (!all) return "cannot be run alone";
  const [first] = all;
  const isRepeated = all.every(({ before, at }) => before.every((row) => same(row, at)));
  if (source === "first" && filled.length === 0 && isRepeated) return { kind: "first" };
  const isFixed = all.every(({ before }) => before.every((row, i) => same(row, first!.before[i]!)));
  if ((source !== "zeros" && source !== "constants") || !isFixed)
    return "has positions before the first that depend on the data";
  const rows = [...filled, ...first!.before];
  return rows.every((row) => row.every((value) => value === 0)) ? { kind: "zeros" } : { kind: "rows", rows };
}

/** Of one sequence: its rows before the first position, and that position. */
interface Before {
  readonly before: readonly Float64Array[];
  readonly at: Float64Array;
}

const same = (a: Float64Array, b: Float64Array): boolean =>
  a.every((value, k) => Object.is(value, b[k]) || Math.abs(value - b[k]!) <= 1e-6 * (Math.abs(value) + 1e-3));

/** The rows of sequences of random inputs; undefined where the graph cannot be run. */
async function rowsBefore(
  { graphs, constants }: Known,
  { tensor, axes, offset }: { readonly tensor: string; readonly axes: Layout; readonly offset: Offset },
  own: number,
): Promise<Before[] | undefined> {
  const fixed = fixedSizes(graphs.inputs);
  const sizes = { batch: fixed.batch ?? BATCH, time: fixed.time ?? LENGTH };
  const part = await openPart(graphs, [], [tensor]);
  try {
    const all: Before[] = [];
    for (const seed of SEEDS) {
      const outputs = await part.run(randomInputs(graphs, constants, sizes, seed), sizes);
      for (const rows of bySequence(outputs[tensor]!, axes, sizes.batch))
        all.push({ before: rows.slice(offset.left - own, offset.left), at: rows[offset.left]! });
    }
    return all;
  } catch (error) {
    if (!isFailedRun(error)) throw error;
    return undefined;
  } finally {
    await part.close();
  }
}
