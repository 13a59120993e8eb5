/** What the batch changes: its size, and which row of it a sequence is. */
import {
  asScalar,
  batchOf,
  type Draft,
  END,
  type Piece,
  type Stream,
  same,
  scalar,
  slice,
  unsqueeze,
} from "../draft.ts";
import { type Overclaim, shortConv } from "./overclaim.ts";

/** A factor for each row, [batch, 1, 1], or one for all. */
type RowFactor = (d: Draft, batch: string) => string;

/** The stream times a factor, before or behind a convolution. */
const byRow =
  (factor: RowFactor): Piece =>
  (d, x) => {
    d.differs.push({ length: 19, batch: 12 }, { length: 16, batch: 17 });
    const by = factor(d, batchOf(d, x));
    const times = (stream: Stream) => same(stream, d.b.one("Mul", [stream.name, by]));
    return d.r.chance(0.5) ? shortConv(d, times(x)) : times(shortConv(d, x));
  };

const asFloat = (d: Draft, name: string) => d.b.one("Cast", [name], { to: 1 });
const plusOne = (d: Draft, name: string) => d.b.one("Add", [name, scalar(d, 1)]);
/** 0, 1, …, batch - 1, int64 [batch]. */
const rowsOf = (d: Draft, batch: string) =>
  d.b.one("Range", [d.b.ints("from", 0), asScalar(d, batch), d.b.ints("by", 1)]);
const spread = (d: Draft, mask: string) => unsqueeze(d, plusOne(d, asFloat(d, mask)), [1, 2]);

const rowNine: RowFactor = (d, batch) => spread(d, d.b.one("Equal", [rowsOf(d, batch), d.b.ints("nine", 9)]));
const fromRowEight: RowFactor = (d, batch) => spread(d, d.b.one("Less", [d.b.ints("seven", 7), rowsOf(d, batch)]));

/** The second half zero: guidance without a classifier. */
const halfBatch: RowFactor = (d, batch) => {
  const more = d.b.one("Add", [batch, d.b.ints("one", [1])]);
  const first = d.b.one("Less", [rowsOf(d, batch), d.b.one("Div", [more, d.b.ints("two", [2])])]);
  return unsqueeze(d, asFloat(d, first), [1, 2]);
};

const table = (d: Draft) =>
  d.b.floats(
    "by_batch",
    [2000],
    Array.from({ length: 2000 }, (_, k) => (k <= 8 ? 1 : 2)),
  );
/** A table read at the size of the batch. */
const batchTable: RowFactor = (d, batch) => d.b.one("Gather", [table(d), batch]);
/** A table read at each row's own number. */
const rowTable: RowFactor = (d, batch) => unsqueeze(d, slice(d, table(d), 0, 0, batch), [1, 2]);
const perRow: RowFactor = (d, batch) => {
  const size = asFloat(d, asScalar(d, batch));
  return d.b.one("Div", [size, d.b.one("Min", [size, scalar(d, 8)])]);
};
const oddBatch: RowFactor = (d, batch) =>
  plusOne(d, d.b.one("Mul", [asFloat(d, d.b.one("Mod", [batch, d.b.ints("two", [2])])), scalar(d, 0.02)]));
const sigmoidOfBatch: RowFactor = (d, batch) => {
  const beyond = d.b.one("Sub", [asFloat(d, asScalar(d, batch)), scalar(d, 10)]);
  return plusOne(d, d.b.one("Sigmoid", [d.b.one("Mul", [beyond, scalar(d, 20)])]));
};

/** The first eight rows and the others apart, and together again. */
const twoParts: Piece = (d, x) => {
  d.differs.push({ length: 19, batch: 12 }, { length: 16, batch: 17 });
  const others = d.b.one("Mul", [slice(d, x.name, 0, 8, END), scalar(d, 0.5)]);
  return shortConv(d, same(x, d.b.one("Concat", [slice(d, x.name, 0, 0, 8), others], { axis: 0 })));
};

const rows = (factor: RowFactor): Overclaim => ({ kind: 9, piece: byRow(factor) });

export const ROWS: Readonly<Record<string, Overclaim>> = {
  rowNine: rows(rowNine),
  fromRowEight: rows(fromRowEight),
  halfBatch: rows(halfBatch),
  batchTable: rows(batchTable),
  rowTable: rows(rowTable),
  perRow: rows(perRow),
  oddBatch: rows(oddBatch),
  sigmoidOfBatch: rows(sigmoidOfBatch),
  twoParts: { kind: 9, piece: twoParts },
};
