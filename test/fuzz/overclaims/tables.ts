/** Computed tables that end: as many rows as were trained, and nothing behind them. */
import {
  type Draft,
  lengthOf,
  type Piece,
  positions,
  type Stream,
  same,
  scalar,
  slice,
  transpose,
  unsqueeze,
  weights,
} from "../draft.ts";
import { type Overclaim, shortConv } from "./overclaim.ts";

/** A table of so many rows, float32 [rows]. */
type Table = (d: Draft, rows: number) => string;
/** What of it a sequence reads, [n]. */
type Read = (d: Draft, table: string, n: string) => string;

const trained = (d: Draft, dims: readonly number[]) =>
  d.b.one("Add", [d.b.one("Abs", [weights(d, dims)]), scalar(d, 0.5)]);
const summed: Table = (d, rows) => d.b.one("CumSum", [trained(d, [rows]), d.b.ints("axis", 0)]);
const softmaxed: Table = (d, rows) =>
  d.b.one("Mul", [d.b.one("Softmax", [weights(d, [rows])], { axis: 0 }), scalar(d, rows)]);
const squared: Table = (d, rows) => {
  const w = weights(d, [rows]);
  return d.b.one("Add", [d.b.one("Mul", [w, w]), scalar(d, 0.5)]);
};
/** Two trained parts, one behind the other. */
const joined: Table = (d, rows) => {
  const half = Math.floor(rows / 2);
  return d.b.one("Concat", [d.b.one("Exp", [weights(d, [half])]), trained(d, [rows - half])], { axis: 0 });
};

const firstRows: Read = (d, table, n) => slice(d, table, 0, 0, n);
const gathered: Read = (d, table, n) => d.b.one("Gather", [table, d.b.one("Cast", [positions(d, n)], { to: 7 })]);

const ended = (d: Draft, rows: number) => {
  d.ends = Math.min(d.ends ?? Infinity, rows);
  for (const more of [-1, 0, 1]) d.differs.push({ length: rows + more, batch: 1 });
};

/** Divided by the table, before or behind a convolution. */
const divided =
  (table: Table, read: Read, sizes: readonly number[] = [64, 96, 200, 1000]): Piece =>
  (d, x) => {
    const rows = d.r.pick(sizes);
    ended(d, rows);
    const by = unsqueeze(d, read(d, table(d, rows), lengthOf(d, x)), [1]);
    const over = (stream: Stream) => same(stream, d.b.one("Div", [stream.name, by]));
    return d.r.chance(0.5) ? shortConv(d, over(x)) : over(shortConv(d, x));
  };

/** A table for each of two heads, [2, rows], mixed to the channels. */
const heads: Piece = (d, x) => {
  const rows = d.r.pick([64, 96, 200]);
  ended(d, rows);
  const table = d.b.one("CumSum", [trained(d, [2, rows]), d.b.ints("axis", 1)]);
  const read = transpose(d, slice(d, table, 1, 0, lengthOf(d, x)), [1, 0]);
  const mixed = d.b.one("Abs", [d.b.one("MatMul", [read, weights(d, [2, x.channels])])]);
  return same(x, d.b.one("Div", [shortConv(d, x).name, d.b.one("Add", [mixed, scalar(d, 0.5)])]));
};

const table = (piece: Piece): Overclaim => ({ kind: 10, piece });

export const TABLES: Readonly<Record<string, Overclaim>> = {
  summedRows: table(divided(summed, firstRows)),
  summedGathered: table(divided(summed, gathered)),
  softmaxedRows: table(divided(softmaxed, firstRows)),
  squaredRows: table(divided(squared, firstRows)),
  squaredGathered: table(divided(squared, gathered)),
  joinedRows: table(divided(joined, firstRows)),
  headRows: table(heads),
  manyRows: { kind: 10, far: true, piece: divided(summed, firstRows, [2000, 5000]) },
};
