/** What stands before the first position of a stream in the exported graph: padding, and what layers have made of it. */

import type { Known } from "../../find/carried.ts";
import { randomInputs } from "../../find/feeds.ts";
import { precise } from "../../find/graphs.ts";
import { isFailedRun } from "../../find/respond.ts";
import { fixedSizes } from "../../find/shapes.ts";
import { bySequence } from "../../find/tables.ts";
import { cut } from "../../graph/cut.ts";
import { openModel } from "../../ort/run.ts";
import { channelCount, type Layout, type Offset } from "../../time/facts/fact.ts";

export type History =
  | { readonly kind: "zeros" }
  /** The same for every input: [rows][channels], in the order of the layout without batch and time; oldest first. */
  | { readonly kind: "rows"; readonly rows: readonly Float64Array[] }
  /** The first position, repeated. */
  | { readonly kind: "first" };

/** The lengths at which it is looked at, and the rows of a batch. */
const LENGTH = 16;
const BATCH = 2;

/**
 * The rows before the first position.
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
  const runs = [await rowsBefore(known, stream, own, 1), await rowsBefore(known, stream, own, 2)];
  if (runs.some((run) => run === undefined)) return "cannot be run alone";
  const all = runs.flatMap((run) => run!);
  const [first] = all;
  if (filled.length === 0 && all.every(({ before, at }) => before.every((row) => same(row, at)))) {
    if (!all.every(({ at }) => same(at, first!.at))) return { kind: "first" };
  }
  if (!all.every(({ before }) => before.every((row, i) => same(row, first!.before[i]!))))
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

/** The rows of each sequence of a batch, for random inputs; undefined where the graph cannot be run. */
async function rowsBefore(
  { graphs, constants }: Known,
  { tensor, axes, offset }: { readonly tensor: string; readonly axes: Layout; readonly offset: Offset },
  own: number,
  seed: number,
): Promise<Before[] | undefined> {
  const fixed = fixedSizes(graphs.inputs);
  const sizes = { batch: fixed.batch ?? BATCH, time: fixed.time ?? LENGTH };
  const feeds = randomInputs(graphs, constants, sizes, seed);
  const part = cut(graphs.model, graphs.model.graph.inputs, [tensor]);
  const runner = await openModel(precise(graphs, part));
  try {
    const wanted = new Set(runner.inputs);
    const outputs = await runner.run(Object.fromEntries(Object.entries(feeds).filter(([name]) => wanted.has(name))));
    return bySequence(outputs[tensor]!, axes, sizes.batch).map((rows) => ({
      before: rows.slice(offset.left - own, offset.left),
      at: rows[offset.left]!,
    }));
  } catch (error) {
    if (!isFailedRun(error)) throw error;
    return undefined;
  } finally {
    await runner.close();
  }
}
