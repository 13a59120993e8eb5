/** What published code writes around a convolution: transforms of other sizes, tables that end, sums to divide by, shifts in other words. */
import { backward, complexProduct, forward } from "./convolutions.ts";
import {
  asScalar,
  batchOf,
  type Draft,
  lengthOf,
  type Piece,
  positions,
  same,
  scalar,
  slice,
  toBack,
  toFront,
  transpose,
  unsqueeze,
  weights,
} from "./draft.ts";
import { kernelOf, lengthAsFloat } from "./kernels.ts";

/** A convolution of [batch, channels, n] with a kernel [lags, channels] through transforms of so many points (int64 [1]). */
function through(d: Draft, data: string, kernel: string, points: string): string {
  const place = { size: asScalar(d, points), axis: 2, onesided: d.r.chance(0.7) };
  const spectrum = forward(d, data, place);
  return backward(
    d,
    complexProduct(d, spectrum, forward(d, transpose(d, kernel, [1, 0]), { ...place, axis: 1 })),
    place,
  );
}

const times = (d: Draft, n: string, by: number): string => d.b.one("Mul", [n, d.b.ints("by", [by])]);
const plus = (d: Draft, n: string, more: number): string => d.b.one("Add", [n, d.b.ints("more", [more])]);

/** At least 2n - 1 points: no power of two, the next multiple of something, or the next power of two. */
function enough(d: Draft, n: string): string {
  const way = d.r.int(0, 3);
  if (way < 2) return plus(d, times(d, n, 2), way === 0 ? -1 : 1);
  if (way === 2) {
    const by = d.r.pick([8, 32, 100]);
    return times(d, d.b.one("Div", [plus(d, times(d, n, 2), by - 1), d.b.ints("by", [by])]), by);
  }
  const length = d.b.one("Cast", [times(d, n, 2)], { to: 1 });
  const two = scalar(d, 2);
  const bits = d.b.one("Ceil", [d.b.one("Div", [d.b.one("Log", [length]), d.b.one("Log", [two])])]);
  return d.b.one("Cast", [d.b.one("Pow", [two, bits])], { to: 7 });
}

const otherSize: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const y = through(d, toFront(d, x), kernelOf(d, n, x.channels), enough(d, n));
  return toBack(d, x, slice(d, y, 2, 0, n));
};

/** S4's `l_max`: no more lags than so many, and as many points more. */
const fewLags: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const lags = d.b.one("Min", [n, d.b.ints("most", [d.r.pick([5, 20, 60])])]);
  const y = through(d, toFront(d, x), kernelOf(d, lags, x.channels), d.b.one("Add", [n, lags]));
  return toBack(d, x, slice(d, y, 2, 0, n));
};

/** Hyena: so many positions of a table, and no more of the sequence. */
const fewRows: Piece = (d, x) => {
  const rows = 512;
  const values = weights(d, [rows, x.channels], 2);
  if (d.length !== undefined) return otherSize(d, x);
  const n = d.b.one("Min", [lengthOf(d, x), d.b.ints("most", [rows])]);
  const data = slice(d, toFront(d, x), 2, 0, n);
  return toBack(d, x, slice(d, through(d, data, slice(d, values, 0, 0, n), times(d, n, 2)), 2, 0, n));
};

/** Divided by the same convolution of ones: for every row, for one, or for the first of them. */
const normalised: Piece = (d, x) => {
  // its sums are tables in an export of one length
  if (d.length !== undefined) return otherSize(d, x);
  const n = lengthOf(d, x);
  const kernel = d.b.one("Add", [d.b.one("Abs", [kernelOf(d, n, x.channels)]), scalar(d, 0.1)]);
  const data = toFront(d, x);
  const channels = d.b.ints("channels", [x.channels]);
  const rows = d.r.int(0, 2);
  const shape =
    rows === 2
      ? d.b.one("Shape", [slice(d, data, 0, 0, 1)])
      : d.b.one("Concat", [rows ? batchOf(d, x) : d.b.ints("one", [1]), channels, n], { axis: 0 });
  const ones = d.b.one("Expand", [scalar(d, 1), shape]);
  const [above, below] = [data, ones].map((each) => slice(d, through(d, each, kernel, times(d, n, 2)), 2, 0, n));
  return toBack(d, x, d.b.one("Div", [above!, below!]));
};

/** A shift that an exporter folded into the padding of a Conv of one tap. */
const shiftInConv: Piece = (d, x) => {
  const group = d.r.pick([1, x.channels]);
  const filter = weights(d, [x.channels, x.channels / group, 1], 1 / Math.sqrt(x.channels / group));
  const inputs = [
    slice(d, toFront(d, x), 2, 0, -1),
    filter,
    ...(d.r.chance(0.5) ? [weights(d, [x.channels], 0.3)] : []),
  ];
  return toBack(d, x, d.b.one("Conv", inputs, { kernel_shape: [1], group, pads: [1, 0] }));
};

/** Zeros like the first position, then all but the last. */
const zerosLikeFirst: Piece = (d, x) => {
  const first = slice(d, x.name, 1, 0, 1);
  const zeros = d.r.chance(0.5)
    ? d.b.one("Expand", [scalar(d, 0), d.b.one("Shape", [first])])
    : d.b.one("ConstantOfShape", [d.b.one("Shape", [first])]);
  const before = d.b.one("Concat", [zeros, slice(d, x.name, 1, 0, -1)], { axis: 1 });
  return same(x, d.b.one(d.r.pick(["Add", "Mul", "Sub"]), [x.name, before]));
};

/** Divided by the running sum of a trained table, one for all channels or one for each. */
const summedTable: Piece = (d, x) => {
  const width = d.r.pick([1, x.channels]);
  const values = Array.from({ length: 96 * width }, () => 0.1 + d.r.next());
  for (let i = width; i < values.length; i++) values[i]! += values[i - width]!;
  const n = lengthOf(d, x);
  return same(x, d.b.one("Div", [x.name, slice(d, d.b.floats("sums", [96, width], values), 0, 0, n)]));
};

export const PUBLISHED: Readonly<Record<string, Piece>> = {
  otherSize,
  fewLags,
  normalised,
  shiftInConv,
  zerosLikeFirst,
};

/** These end, or use the absolute position. */
export const PUBLISHED_POSITIONS: Readonly<Record<string, Piece>> = { fewRows, summedTable };

/** One point too few for its lags, so that the last position reaches the first. */
const onePointShort: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const [lags, points] = d.r.pick([
    [n, plus(d, times(d, n, 2), -2)],
    [d.b.one("Min", [n, d.b.ints("most", [9])]), d.b.one("Add", [n, d.b.ints("few", [3])])],
  ] as const);
  const waves = d.b.one("Cos", [
    d.b.one("MatMul", [unsqueeze(d, positions(d, lags), [1]), weights(d, [1, x.channels])]),
  ]);
  return toBack(d, x, slice(d, through(d, toFront(d, x), waves, points), 2, 0, n));
};

/** Divided by the whole convolution of ones: by its sum, or by where it ends. */
const byWholeSum: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const kernel = d.b.one("Add", [d.b.one("Abs", [kernelOf(d, n, x.channels)]), scalar(d, 0.1)]);
  const y = slice(d, through(d, toFront(d, x), kernel, times(d, n, 2)), 2, 0, n);
  const sum = d.b.one("ReduceSum", [transpose(d, kernel, [1, 0]), d.b.ints("axes", [1])], { keepdims: 1 });
  return toBack(d, x, d.b.one("Div", [y, sum]));
};

/** Padded on the other side, or by one too many and cut at the front. */
const conv1Ahead: Piece = (d, x) => {
  const filter = weights(d, [x.channels, x.channels, 1], 1 / Math.sqrt(x.channels));
  const data = slice(d, toFront(d, x), 2, 1, Number.MAX_SAFE_INTEGER);
  return toBack(d, x, d.b.one("Conv", [data, filter], { kernel_shape: [1], pads: [0, 1] }));
};

/** The last position where the first is filled up. */
const lastInFront: Piece = (d, x) => {
  const last = slice(d, x.name, 1, -1, Number.MAX_SAFE_INTEGER);
  return same(x, d.b.one("Concat", [last, slice(d, x.name, 1, 0, -1)], { axis: 1 }));
};

/** Divided by running sums as of the end: the table is read backwards. */
const sumsFromTheEnd: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const k = d.b.one("Sub", [lengthAsFloat(d, n), positions(d, n)]);
  return same(x, d.b.one("Div", [x.name, unsqueeze(d, d.b.one("Add", [k, scalar(d, 1)]), [1])]));
};

export const PUBLISHED_TRAPS: Readonly<Record<string, Piece>> = {
  onePointShort,
  byWholeSum,
  conv1Ahead,
  lastInFront,
  sumsFromTheEnd,
};
