/** Tables that the converted model looks up by position. */
import { LongConvError } from "../../src/errors.ts";
import { LENGTHS } from "../find/evidence.ts";
import type { Found } from "../find/found.ts";
import { LIFE_LAGS } from "../find/life.ts";
import { type Node, whereOf } from "../graph/graph.ts";
import { joinRows } from "../graph/join.ts";
import { type Tensor, toNumbers } from "../graph/tensor.ts";
import { firstApart, largestOf, openPosition, type PositionReader, rowsOf } from "../parts/position-rows.ts";
import { timeAxis } from "../time/facts/fact.ts";

/** The first run; powers of two, where ORT's DFT is precise. */
const SHORTEST = 64;
/** Rows that are looked at in any case. */
const FIRST_ROWS = 4096;
/** A table that has not settled is looked at further, up to so many bytes of float32 and so many rows. */
const TABLE_BYTES = 2 ** 22;
const MOST_ROWS = 2 ** 18;
/** The largest tensor that is computed on the way to a table. */
const WORK_BYTES = 2 ** 28;
/** A table has settled where no entry changes by more than this part of its largest value; transforms round to 5e-6. */
const SETTLED = 1e-5;

/** A function of the position, evaluated. */
export interface PositionTable {
  readonly tensor: Tensor;
  readonly axis: number;
  /** The last row serves every later position; else the model ends with the table. */
  readonly settles: boolean;
  /** Rows that were looked at. */
  readonly lookedAt: number;
}

/** By tensor. */
export type PositionTables = ReadonlyMap<string, PositionTable>;

/** Evaluates the tables that a model looks up; one that settles is cut there and its last row used from then on. */
export async function evaluatePositionTables(found: Found): Promise<PositionTables> {
  const result = new Map<string, PositionTable>();
  for (const [name, { how, axes }] of found.counter.recipes) {
    if (how !== "table") continue;
    const reader = await openPosition(found.graphs, name);
    try {
      const table = await evaluated(found, name, reader, timeAxis(axes));
      if (!found.proofs.tables.get(name)?.proven) await compareAtLengths(found, name, reader, table);
      result.set(name, table);
    } finally {
      await reader.close();
    }
  }
  return result;
}

/**
 * Twice as many rows at each run, of which only the second half is used: a transform of 32 768 positions rounds the first
 * rows of a growing sum to the size of the last.
 * @throws LongConvError depends-on-length where no rule says that rows are the same at every length, and they are not
 */
async function evaluated(found: Found, name: string, reader: PositionReader, axis: number): Promise<PositionTable> {
  let tensor = await reader.at(SHORTEST);
  const proof = found.proofs.tables.get(name);
  const isProven = proof?.proven === true;
  // longer runs than are proven give other rows
  const known = (isProven && proof.ends?.positions) || Infinity;
  const most = Math.min(known, affordableRows(found, name, tensor.data.length / SHORTEST));
  for (let rows = tensor.dims[axis]!; ; rows *= 2) {
    if (rows >= FIRST_ROWS && settled(tensor, axis)) {
      const lookedAt = await settledUpTo(reader, axis, tensor, most);
      if (lookedAt !== undefined) {
        const [first, last] = [
          { tensor, from: 0, to: rows / 2 },
          { tensor, from: rows - 1, to: rows },
        ];
        return { tensor: joinRows([first, last], axis), axis, settles: true, lookedAt };
      }
    }
    const longer = 2 * rows <= most && (await reader.within(2 * rows));
    if (!longer) return { tensor, axis, settles: false, lookedAt: rows };
    const [there, whole] = [longer.dims[axis]!, { tensor: longer, from: 0, to: longer.dims[axis]! }];
    if (!isProven) refuseUnlessSame(found, name, tensor, longer, axis);
    // the graph has no more rows than these
    if (there < 2 * rows)
      return {
        tensor: there > rows ? joinRows([whole], axis) : tensor,
        axis,
        settles: false,
        lookedAt: Math.max(rows, there),
      };
    tensor = joinRows(
      [
        { tensor, from: 0, to: rows },
        { tensor: longer, from: rows, to: 2 * rows },
      ],
      axis,
    );
  }
}

/**
 * Compares a table that no rule proves at lengths of every kind.
 * @throws LongConvError depends-on-length where its rows are others
 */
async function compareAtLengths(
  found: Found,
  name: string,
  reader: PositionReader,
  { tensor, axis }: PositionTable,
): Promise<void> {
  const rows = tensor.dims[axis]!;
  for (const length of LENGTHS.filter((each) => each <= rows)) {
    const other = await reader.within(length);
    if (other && other.dims[axis] === length) refuseUnlessSame(found, name, other, tensor, axis);
  }
}

/** Rows up to which a table that has settled was looked at; undefined where it changes again. */
async function settledUpTo(
  reader: PositionReader,
  axis: number,
  tensor: Tensor,
  most: number,
): Promise<number | undefined> {
  const rows = tensor.dims[axis]!;
  const far = Math.min(LIFE_LAGS, 2 ** Math.floor(Math.log2(most)));
  const longer = far > rows ? await reader.within(far) : undefined;
  if (!longer || longer.dims[axis] !== far) return rows;
  const known = rowsOf(tensor, axis);
  const [last, largest] = [known.at(-1)!, largestOf(known)];
  const isSame = (row: Float64Array) => row.every((value, k) => Math.abs(value - last[k]!) <= SETTLED * largest[k]!);
  return rowsOf(longer, axis).slice(rows).every(isSame) ? far : undefined;
}

function refuseUnlessSame(found: Found, name: string, shorter: Tensor, longer: Tensor, axis: number): void {
  const known = rowsOf(shorter, axis);
  const at = firstApart(known, rowsOf(longer, axis), largestOf(known));
  if (at === undefined) return;
  const node = found.graphs.index.producer.get(name);
  throw new LongConvError(
    "depends-on-length",
    `row ${at} of '${name}' is another one at length ${longer.dims[axis]} than at ${shorter.dims[axis]}`,
    node && whereOf(found.graphs.model, node),
    "What a position is given must not depend on how long the whole sequence is.",
  );
}

/** Rows that are worth their memory: none beyond the first where the way to the table grows faster than the length. */
function affordableRows({ graphs: { index, shapes } }: Found, name: string, width: number): number {
  const [one, two] = shapes.runs;
  if (!one || !two) return FIRST_ROWS;
  let widest = width;
  for (const tensor of ancestors(index.producer, name)) {
    const seen = shapes.seen.get(tensor);
    if (!seen) continue;
    const [small, large] = seen.dims as [readonly number[], readonly number[]];
    // rows are looked at in a batch of one
    const axes = small.flatMap((size, k) => (size === one.batch && large[k] === two.batch ? [] : [k]));
    const sizes = [small, large].map((dims) => axes.reduce((product, k) => product * dims[k]!, 1));
    if (sizes[1]! / sizes[0]! > (two.time / one.time) ** 1.5) return FIRST_ROWS;
    widest = Math.max(widest, sizes[0]! / one.time);
  }
  return Math.max(FIRST_ROWS, Math.min(MOST_ROWS, TABLE_BYTES / (4 * width), WORK_BYTES / (4 * widest)));
}

function ancestors(producer: ReadonlyMap<string, Node>, name: string): Set<string> {
  const seen = new Set<string>();
  const queue = [name];
  for (let each = queue.pop(); each !== undefined; each = queue.pop()) {
    if (seen.has(each)) continue;
    seen.add(each);
    queue.push(...(producer.get(each)?.inputs ?? []));
  }
  return seen;
}

/** Whether every entry stays the same over the second half of the rows. */
function settled(tensor: Tensor, axis: number): boolean {
  const values = toNumbers(tensor);
  const rows = tensor.dims[axis]!;
  const inner = tensor.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  for (let outer = 0; outer < values.length; outer += rows * inner)
    for (let k = 0; k < inner; k++) {
      const at = (row: number) => values[outer + row * inner + k]!;
      const last = at(rows - 1);
      let largest = 0;
      let change = 0;
      for (let row = 0; row < rows; row++) {
        largest = Math.max(largest, Math.abs(at(row)));
        if (row >= rows / 2) change = Math.max(change, Math.abs(at(row) - last));
      }
      if (!(change <= SETTLED * largest)) return false;
    }
  return true;
}
