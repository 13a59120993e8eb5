/** Functions of the position that rules do not follow, but that turn out to have one row for each position. */

import type { Node } from "../graph/graph.ts";
import { type Tensor, toNumbers } from "../graph/tensor.ts";
import type { Layout, Sizes } from "../time/facts/fact.ts";
import type { TimeFacts } from "../time/follow.ts";
import { ELEMENTWISE } from "../time/rules/elementwise.ts";
import type { Graphs } from "./graphs.ts";
import { isFailedRun } from "./open-region.ts";
import { openPart } from "./part.ts";
import { fixedSizes, zeroInputs } from "./seen-shapes.ts";

/** Lengths at which the rows must agree, even and odd ones. */
const LENGTHS = [3, 19, 32, 64, 67, 128, 251] as const;
const AGREES = 1e-5;
/** Rows that a table must have. */
const LEAST_ROWS = 64;

/**
 * Among the inputs of a node that works elementwise, those that depend on the length by way of operators that mix
 * positions (TNN's normaliser: a convolution of ones), yet give each position the same row at every length.
 */
export async function positionRows(graphs: Graphs, time: TimeFacts, node: Node): Promise<ReadonlyMap<string, Layout>> {
  const tables = new Map<string, Layout>();
  if (node.domain !== "" || !ELEMENTWISE.rules[node.op] || graphs.inputs.fixed) return tables;
  for (const name of new Set(node.inputs)) {
    const fact = time.facts.get(name);
    if (fact?.kind !== "position" || fact.axes) continue;
    const axes = rowLayout(graphs, name);
    if (axes && (await rowsAgree(graphs, name, axes)) && (await sequencesAgree(graphs, name, axes)))
      tables.set(name, axes);
  }
  return tables;
}

/** The layout of a tensor with one axis as long as the sequence, and one of the batch at most, by its dimensions in two runs. */
function rowLayout({ shapes }: Graphs, name: string): Layout | undefined {
  const seen = shapes.seen.get(name);
  if (!seen) return undefined;
  const first = seen.dims[0]!;
  const is = (k: number, size: (run: Sizes) => number) => shapes.runs.every((run, i) => seen.dims[i]![k] === size(run));
  const time = first.findIndex((_, k) => is(k, (run) => run.time));
  const batch = first.findIndex((_, k) => k !== time && is(k, (run) => run.batch));
  const fixed = first.every((size, k) => k === time || k === batch || seen.dims.every((dims) => dims[k] === size));
  if (time < 0 || !fixed) return undefined;
  return first.map((size, k) => (k === time ? ["time"] : k === batch ? ["batch"] : size === 1 ? [] : [size]));
}

/** Whether every sequence of a batch has the same rows. */
async function sequencesAgree(graphs: Graphs, name: string, axes: Layout): Promise<boolean> {
  const at = axes.findIndex((axis) => axis[0] === "batch");
  if (at < 0) return true;
  const reader = await openPosition(graphs, name);
  try {
    const [first, ...others] = rowsOf(await reader.at(LEAST_ROWS, 3), at);
    return others.every((row) => firstApart([first!], [row], largestOf([first!])) === undefined);
  } finally {
    await reader.close();
  }
}

async function rowsAgree(graphs: Graphs, name: string, axes: Layout): Promise<boolean> {
  const at = axes.findIndex((axis) => axis[0] === "time");
  const reader = await openPosition(graphs, name);
  try {
    let previous: readonly Float64Array[] | undefined;
    for (const length of LENGTHS) {
      const table = await reader.within(length);
      const rows = table ? rowsOf(table, at) : [];
      // a table may end before
      if (rows.length !== length) return previous !== undefined && length > LEAST_ROWS;
      if (previous && firstApart(previous, rows, largestOf(rows)) !== undefined) return false;
      previous = rows;
    }
    return true;
  } finally {
    await reader.close();
  }
}

/** The first of some rows that is another one in a longer table; undefined: none. @param largest value of each column */
export function firstApart(
  rows: readonly Float64Array[],
  longer: readonly Float64Array[],
  largest: Float64Array,
): number | undefined {
  const isSame = (row: Float64Array, i: number) =>
    row.every((value, k) => Math.abs(value - (longer[i]?.[k] ?? Number.NaN)) <= AGREES * largest[k]!);
  const at = rows.findIndex((row, i) => !isSame(row, i));
  return at < 0 ? undefined : at;
}

/** The largest value of each column. */
export function largestOf(rows: readonly Float64Array[]): Float64Array {
  const largest = new Float64Array(rows[0]?.length ?? 0);
  for (const row of rows) for (let k = 0; k < row.length; k++) largest[k] = Math.max(largest[k]!, Math.abs(row[k]!));
  return largest;
}

/** A function of the position in an open session. */
export interface PositionReader {
  /** @throws LongConvError runtime-failed where the graph cannot be run at the length */
  at(length: number, batch?: number): Promise<Tensor>;
  /** Undefined where the graph cannot be run at the length: it ends before. */
  within(length: number, batch?: number): Promise<Tensor | undefined>;
  close(): Promise<void>;
}

/** Opens a function of the position, to be evaluated at any lengths. */
export async function openPosition(graphs: Graphs, name: string): Promise<PositionReader> {
  const { model, inputs } = graphs;
  const part = await openPart(graphs, [], [name]);
  const at = async (length: number, batch = 1): Promise<Tensor> => {
    const sizes = { batch: fixedSizes(inputs).batch ?? batch, time: length };
    return (await part.run(zeroInputs(model, inputs, sizes), sizes))[name]!;
  };
  const within = (length: number, batch = 1) =>
    at(length, batch).catch((error: unknown) => {
      if (!isFailedRun(error)) throw error;
      return undefined;
    });
  return { at, within, close: () => part.close() };
}

/** A function of the position, evaluated at a length. */
export async function evaluatePosition(graphs: Graphs, name: string, length: number): Promise<Tensor> {
  const reader = await openPosition(graphs, name);
  return reader.at(length).finally(() => reader.close());
}

/** Rows along an axis. */
export function rowsOf(tensor: Tensor, axis: number): Float64Array[] {
  const values = toNumbers(tensor);
  const inner = tensor.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = tensor.dims.slice(0, axis).reduce((a, b) => a * b, 1);
  const length = tensor.dims[axis]!;
  return Array.from({ length }, (_, i) => {
    const row = new Float64Array(outer * inner);
    for (let o = 0; o < outer; o++)
      row.set(values.subarray((o * length + i) * inner, (o * length + i + 1) * inner), o * inner);
    return row;
  });
}

/** The rows of each sequence of a batch, [sequence][position]; one row of a tensor without time. */
export function bySequence(tensor: Tensor, axes: Layout, batch: number): Float64Array[][] {
  const time = axes.findIndex((axis) => axis.includes("time"));
  const rows = time < 0 ? [Float64Array.from(tensor.data as Float32Array)] : rowsOf(tensor, time);
  const rest = axes.filter((_, k) => k !== time);
  const sizes = rest.flat().map((factor) => (factor === "batch" ? batch : Number(factor)));
  const at = rest.flat().indexOf("batch");
  const inner = sizes.slice(at + 1).reduce((a, c) => a * c, 1);
  return Array.from({ length: batch }, (_, b) =>
    rows.map((row) =>
      Float64Array.from(
        { length: row.length / batch },
        (_, i) => row[(Math.floor(i / inner) * batch + b) * inner + (i % inner)]!,
      ),
    ),
  );
}
