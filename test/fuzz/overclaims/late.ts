/** What sets in late: taps behind a gap, masks, segments, looks ahead. */
import { float32Tensor } from "../../../converter/graph/tensor.ts";
import {
  type Draft,
  END,
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
import { differsAt, filtered, type Overclaim, shortConv, transformed } from "./overclaim.ts";

const GAP = 6000;
const TAPS = 8192;

const asFloat = (d: Draft, name: string) => d.b.one("Cast", [name], { to: 1 });
const column = (d: Draft, n: string) => unsqueeze(d, positions(d, n), [1]);

const behindGap =
  (piece: Piece): Piece =>
  (d, x) => {
    differsAt(d, GAP + 100);
    return piece(d, x);
  };

/** A constant Conv of 8 192 taps, all zero but the first four and the one of lag 6 000. */
const constantTap: Piece = (d, x) => {
  const taps = new Float32Array(x.channels * TAPS);
  for (let c = 0; c < x.channels; c++) {
    for (let lag = 0; lag < 4; lag++) taps[(c + 1) * TAPS - 1 - lag] = 0.5 * d.r.normal();
    taps[(c + 1) * TAPS - 1 - GAP] = 0.5;
  }
  const filter = d.b.constant("taps", float32Tensor([x.channels, 1, TAPS], taps));
  const attributes = { group: x.channels, kernel_shape: [TAPS], pads: [TAPS - 1, 0] };
  return same(x, transpose(d, d.b.one("Conv", [transpose(d, x.name, [0, 2, 1]), filter], attributes), [0, 2, 1]));
};

/** Four taps, 2 000 positions apart. */
const dilatedTap: Piece = (d, x) => {
  const filter = weights(d, [x.channels, 1, 4]);
  const attributes = { group: x.channels, kernel_shape: [4], dilations: [GAP / 3], pads: [GAP, 0] };
  return same(x, transpose(d, d.b.one("Conv", [transpose(d, x.name, [0, 2, 1]), filter], attributes), [0, 2, 1]));
};

const decaying = (d: Draft, n: string, channels: number) => {
  const rates = d.b.floats(
    "rates",
    [1, channels],
    Array.from({ length: channels }, () => -0.1 - d.r.next()),
  );
  return d.b.one("Exp", [d.b.one("Mul", [column(d, n), rates])]);
};

/** A decaying kernel, and one tap more. */
const computedTap: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const tap = asFloat(d, d.b.one("Equal", [column(d, n), scalar(d, GAP)]));
  return filtered(d, x, d.b.one("Add", [decaying(d, n, x.channels), d.b.one("Mul", [tap, scalar(d, 0.5)])]));
};

/** The kernel begins once more. */
const secondOnset: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const since = d.b.one("Sub", [column(d, n), scalar(d, GAP)]);
  const again = d.b.one("Exp", [d.b.one("Mul", [d.b.one("Abs", [since]), scalar(d, -0.3)])]);
  return filtered(d, x, d.b.one("Add", [decaying(d, n, x.channels), again]));
};

/** A trained table: a few rows, many zeros, a few rows. */
const tableTap: Piece = (d, x) => {
  const values = Float32Array.from({ length: TAPS * x.channels }, (_, i) => {
    const row = Math.floor(i / x.channels);
    return row < 8 || (row >= GAP && row < GAP + 8) ? 0.4 * d.r.normal() : 0;
  });
  const table = d.b.constant("table", float32Tensor([TAPS, x.channels], values));
  return filtered(d, x, slice(d, table, 0, 0, lengthOf(d, x)));
};

/** The sequence itself, 6 000 positions later, and a short convolution. */
const shiftedTap: Piece = (d, x) => {
  const longer = d.b.one("Pad", [x.name, d.b.ints("pads", [0, GAP, 0, 0, 0, 0])], { mode: "constant" });
  const before = slice(d, longer, 1, 0, lengthOf(d, x));
  return same(x, d.b.one("Add", [shortConv(d, x).name, d.b.one("Mul", [before, scalar(d, 0.5)])]));
};

const ONSET = 5000;
const onset =
  (piece: Piece, ...lengths: readonly number[]): Piece =>
  (d, x) => {
    differsAt(d, ...(lengths.length ? lengths : [6200]));
    return piece(d, x);
  };
const times = (d: Draft, x: Stream, factor: string): Stream => same(x, d.b.one("Mul", [x.name, factor]));

/** A mask over the padded axis. */
const maskOfPadded: Piece = (d, x) => {
  const n = d.b.one("Add", [lengthOf(d, x), d.b.ints("padding", [3])]);
  const mask = asFloat(d, d.b.one("Less", [positions(d, n), scalar(d, ONSET + 3)]));
  const data = d.b.one("Pad", [transpose(d, x.name, [0, 2, 1]), d.b.ints("pads", [0, 0, 3, 0, 0, 0])], {});
  const filter = weights(d, [x.channels, 1, 4]);
  const y = d.b.one("Conv", [d.b.one("Mul", [data, mask]), filter], { group: x.channels, kernel_shape: [4] });
  return same(x, transpose(d, y, [0, 2, 1]));
};

/** Some positions far out are zero before the convolution. */
const maskOfBand: Piece = (d, x) => {
  const k = column(d, lengthOf(d, x));
  const inside = d.b.one("And", [
    d.b.one("GreaterOrEqual", [k, scalar(d, ONSET)]),
    d.b.one("Less", [k, scalar(d, ONSET + 500)]),
  ]);
  return shortConv(d, same(x, d.b.one("Where", [inside, scalar(d, 0), x.name])));
};

/** A gate of the position, closed from 6 000 on. */
const closingGate: Piece = (d, x) => {
  const distance = d.b.one("Sub", [scalar(d, 6000), column(d, lengthOf(d, x))]);
  return shortConv(d, times(d, x, d.b.one("Sigmoid", [distance])));
};

/** The index of the segment: a running sum of where segments begin. */
const segments: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const begins = d.b.one("Equal", [d.b.one("Mod", [positions(d, n), scalar(d, GAP)], { fmod: 1 }), scalar(d, 0)]);
  const index = d.b.one("CumSum", [asFloat(d, begins), d.b.ints("axis", 0)]);
  const added = d.b.one("Mul", [unsqueeze(d, index, [1]), scalar(d, 0.5)]);
  return shortConv(d, same(x, d.b.one("Add", [x.name, added])));
};

/** Two shifts, one before position 5 000 and the other from there on. */
const otherShift: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const by = (lags: number) =>
    slice(d, d.b.one("Pad", [x.name, d.b.ints("pads", [0, lags, 0, 0, 0, 0])], { mode: "constant" }), 1, 0, n);
  const early = d.b.one("Less", [column(d, n), scalar(d, ONSET)]);
  return same(x, d.b.one("Where", [early, by(1), by(2)]));
};

/** The newest tap reads 6 000 positions ahead. */
const lookAheadConv: Piece = (d, x) => {
  const taps = new Float32Array(x.channels * (GAP + 4));
  for (let c = 0; c < x.channels; c++) {
    for (let lag = 0; lag < 4; lag++) taps[c * (GAP + 4) + lag] = 0.5 * d.r.normal();
    taps[(c + 1) * (GAP + 4) - 1] = 0.5;
  }
  const filter = d.b.constant("taps", float32Tensor([x.channels, 1, GAP + 4], taps));
  const attributes = { group: x.channels, kernel_shape: [GAP + 4], pads: [3, GAP] };
  return same(x, transpose(d, d.b.one("Conv", [transpose(d, x.name, [0, 2, 1]), filter], attributes), [0, 2, 1]));
};

/** What comes 6 000 positions later; nothing in shorter sequences. */
const lookAheadSlice: Piece = (d, x) => {
  const rest = slice(d, x.name, 1, GAP, END);
  const longer = d.b.one("Pad", [rest, d.b.ints("pads", [0, 0, 0, 0, GAP, 0])], { mode: "constant" });
  const ahead = slice(d, longer, 1, 0, lengthOf(d, x));
  return same(x, d.b.one("Add", [shortConv(d, x).name, ahead]));
};

/** Transforms of 16 384 points at every length, of a kernel of 2 000 lags: it wraps around from 14 385 positions on. */
const fixedTransform: Piece = (d, x) => {
  const [points, lags] = [16_384, 2000];
  const values = Float32Array.from(
    { length: lags * x.channels },
    (_, i) => 0.1 * d.r.normal() * Math.exp(-Math.floor(i / x.channels) / 1000),
  );
  const kernel = d.b.constant("kernel", float32Tensor([lags, x.channels], values));
  return transformed(d, x, kernel, d.b.ints("points", [points]));
};

const gap = (piece: Piece): Overclaim => ({ kind: 5, far: true, piece: behindGap(piece) });
const starts = (piece: Piece, ...lengths: number[]): Overclaim => ({
  kind: 8,
  far: true,
  piece: onset(piece, ...lengths),
});

export const LATE: Readonly<Record<string, Overclaim>> = {
  constantTap: gap(constantTap),
  dilatedTap: gap(dilatedTap),
  computedTap: gap(computedTap),
  secondOnset: gap(secondOnset),
  tableTap: gap(tableTap),
  shiftedTap: gap(shiftedTap),
  maskOfPadded: starts(maskOfPadded),
  maskOfBand: starts(maskOfBand),
  closingGate: starts(closingGate),
  segments: starts(segments),
  otherShift: starts(otherShift),
  lookAheadConv: starts(lookAheadConv),
  lookAheadSlice: starts(lookAheadSlice),
  fixedTransform: starts(fixedTransform, 15_001, 16_384),
};
