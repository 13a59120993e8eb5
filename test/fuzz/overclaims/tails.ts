/** Where kernels end: in rounding, in a window that is read further than compared, beyond a horizon. */
import { float32Tensor } from "../../../converter/graph/tensor.ts";
import { backward, forward } from "../convolutions.ts";
import {
  asScalar,
  type Draft,
  lengthOf,
  linear,
  type Piece,
  positions,
  type Stream,
  same,
  scalar,
  slice,
  squeeze,
  unsqueeze,
  weights,
} from "../draft.ts";
import { lagMatrix } from "../kernels.ts";
import { differsAt, filtered, type Overclaim, transformed } from "./overclaim.ts";

const column = (d: Draft, n: string) => unsqueeze(d, positions(d, n), [1]);
const asFloat = (d: Draft, name: string) => d.b.one("Cast", [name], { to: 1 });

/** A kernel [n, channels] whose tail is rounding. */
const rounded =
  (kernel: (d: Draft, x: Stream) => string): Piece =>
  (d, x) => {
    differsAt(d, 700, 1500);
    return filtered(d, x, kernel(d, x));
  };

const taps = (d: Draft, rows: number, channels: number, live: number, tail: () => number) =>
  Float32Array.from({ length: rows * channels }, (_, i) =>
    Math.floor(i / channels) < live ? 0.3 * d.r.normal() : tail(),
  );

/** Taps there and back through a spectrum of 4 096 points. */
const throughSpectrum = (d: Draft, { channels, name }: Stream) => {
  const live = d.r.pick([20, 64, 128]);
  const kept = d.b.constant(
    "taps",
    float32Tensor(
      [1, live, channels],
      taps(d, live, channels, live, () => 0),
    ),
  );
  const transform = { size: asScalar(d, d.b.ints("points", [4096])), axis: 1, onesided: true };
  const whole = squeeze(d, backward(d, forward(d, kept, transform), transform), [0]);
  return slice(d, whole, 0, 0, lengthOf(d, { channels, name }));
};
/** Behind the taps numbers that float32 can hardly hold. */
const denormals = (d: Draft, x: Stream) => {
  const rows = 2048;
  const values = taps(d, rows, x.channels, 100, () => 1e-40 * d.r.normal());
  return slice(d, d.b.constant("table", float32Tensor([rows, x.channels], values)), 0, 0, lengthOf(d, x));
};
/** Behind them a ten-millionth. */
const noiseFloor = (d: Draft, x: Stream) => {
  const rows = 2048;
  const values = taps(d, rows, x.channels, 60, () => 1e-8 * d.r.normal());
  return slice(d, d.b.constant("table", float32Tensor([rows, x.channels], values)), 0, 0, lengthOf(d, x));
};
/** A bell around lag 0: falls faster than any pole, into denormals and to nothing. */
const bell = (d: Draft, x: Stream) => {
  const wide = d.b.one("Div", [column(d, lengthOf(d, x)), scalar(d, 20)]);
  return d.b.one("Mul", [d.b.one("Exp", [d.b.one("Neg", [d.b.one("Mul", [wide, wide])])]), weights(d, [x.channels])]);
};
/** A constant added and taken away again. */
const cancelled = (d: Draft, x: Stream) => {
  const k = column(d, lengthOf(d, x));
  const decaying = d.b.one("Mul", [d.b.one("Exp", [d.b.one("Mul", [k, scalar(d, -0.1)])]), weights(d, [x.channels])]);
  const some = scalar(d, 0.7);
  return d.b.one("Sub", [d.b.one("Add", [decaying, some]), some]);
};

const WIDE = 24;
const READ = 1250;
/** 24 channels by a dense matrix [n, n, 24] of slowly decaying taps; `allowed` masks it: row, column and lag, [n, n]. */
const dense =
  (allowed: (d: Draft, lags: string, n: string) => string): Piece =>
  (d, x) => {
    differsAt(d, READ);
    const n = lengthOf(d, x);
    const wide = linear(d, x, WIDE);
    const lags = lagMatrix(d, n);
    const mask = asFloat(d, d.b.one("And", [d.b.one("GreaterOrEqual", [lags, scalar(d, 0)]), allowed(d, lags, n)]));
    const rates = d.b.floats(
      "rates",
      [WIDE],
      Array.from({ length: WIDE }, () => -0.002 * (1 + d.r.next())),
    );
    const decaying = d.b.one("Exp", [d.b.one("Mul", [unsqueeze(d, d.b.one("Relu", [lags]), [2]), rates])]);
    const matrix = d.b.one("Mul", [decaying, unsqueeze(d, mask, [2])]);
    return linear(
      d,
      { name: d.b.one("Einsum", [matrix, wide.name], { equation: "ijc,bjc->bic" }), channels: WIDE },
      x.channels,
    );
  };

const ONSET = 1100;
const longWindow = dense((d, lags) => d.b.one("Less", [lags, scalar(d, ONSET)]));
/** Later positions do not see earlier ones than the onset. */
const lateBlock = dense((d, _, n) => {
  const late = asFloat(d, d.b.one("GreaterOrEqual", [positions(d, n), scalar(d, ONSET)]));
  return d.b.one("Equal", [unsqueeze(d, late, [1]), unsqueeze(d, late, [0])]);
});
/** Positions from the onset on are not read at all. */
const lateDropped = dense((d, lags, n) => {
  const early = unsqueeze(d, d.b.one("Less", [positions(d, n), scalar(d, ONSET)]), [0]);
  return d.b.one("And", [early, d.b.one("Less", [lags, scalar(d, 1e6)])]);
});

/** A kernel that goes on for longer than one looks. */
const endless =
  (kernel: (d: Draft, k: string, channels: number) => string): Piece =>
  (d, x) => {
    differsAt(d, 5000, 9001);
    return filtered(d, x, kernel(d, column(d, lengthOf(d, x)), x.channels));
  };
const gains = (d: Draft, name: string, channels: number) => d.b.one("Mul", [name, weights(d, [channels], 0.3)]);
const times = (d: Draft, name: string, by: number) => d.b.one("Mul", [name, scalar(d, by)]);

const powerLaw = (d: Draft, k: string, channels: number) =>
  gains(d, d.b.one("Reciprocal", [d.b.one("Add", [times(d, k, 0.1), scalar(d, 1)])]), channels);
const slowest = (d: Draft, k: string, channels: number) =>
  gains(d, d.b.one("Exp", [times(d, k, -1 / 20_000)]), channels);
const chirp = (d: Draft, k: string, channels: number) => {
  const phase = times(d, d.b.one("Mul", [k, k]), 1e-4);
  return gains(d, d.b.one("Mul", [d.b.one("Cos", [phase]), d.b.one("Exp", [times(d, k, -1e-3)])]), channels);
};
const laterHill = (d: Draft, k: string, channels: number) => {
  const from = times(d, d.b.one("Sub", [k, scalar(d, 3500)]), 0.01);
  const hill = d.b.one("Exp", [d.b.one("Neg", [d.b.one("Mul", [from, from])])]);
  return gains(d, d.b.one("Add", [d.b.one("Exp", [times(d, k, -0.2)]), hill]), channels);
};

/** An export of fixed length: what its kernel is behind that, nobody knows. */
const unknownBeyond =
  (piece: (d: Draft, x: Stream, length: number) => string): Piece =>
  (d, x) => {
    d.ends = d.length!;
    return same(x, piece(d, x, d.length!));
  };
const oscillation = (d: Draft, x: Stream, length: number) => {
  const k = unsqueeze(d, positions(d, d.b.ints("length", [length])), [1]);
  return gains(d, d.b.one("Cos", [times(d, k, 0.7)]), x.channels);
};
const fixedTransform = unknownBeyond(
  (d, x, length) => transformed(d, x, oscillation(d, x, length), d.b.ints("points", [2 * length])).name,
);
const fixedMatrix = unknownBeyond((d, x, length) => {
  const kernel = Array.from({ length }, () => d.r.normal());
  const values = Float32Array.from(
    { length: length ** 2 },
    (_, at) => kernel[Math.floor(at / length) - (at % length)] ?? 0,
  );
  return d.b.one("MatMul", [d.b.constant("matrix", float32Tensor([length, length], values)), x.name]);
});
/** A table of positions as long as the export. */
const fixedTable = unknownBeyond((d, x, length) =>
  d.b.one("Add", [fixedTransform(d, x).name, weights(d, [length, x.channels], Math.sqrt(length))]),
);

const tail = (kernel: (d: Draft, x: Stream) => string): Overclaim => ({ kind: 1, piece: rounded(kernel) });
const matrix = (piece: Piece): Overclaim => ({ kind: 3, piece });
const beyond = (kernel: (d: Draft, k: string, channels: number) => string): Overclaim => ({
  kind: 11,
  far: true,
  piece: endless(kernel),
});
const exported = (piece: Piece): Overclaim => ({ kind: 11, fixed: true, piece });

export const TAILS: Readonly<Record<string, Overclaim>> = {
  throughSpectrum: tail(throughSpectrum),
  denormals: tail(denormals),
  noiseFloor: tail(noiseFloor),
  bell: tail(bell),
  cancelled: tail(cancelled),
  longWindowMatrix: matrix(longWindow),
  lateBlock: matrix(lateBlock),
  lateDropped: matrix(lateDropped),
  powerLaw: beyond(powerLaw),
  slowest: beyond(slowest),
  chirp: beyond(chirp),
  laterHill: beyond(laterHill),
  fixedOscillation: exported(fixedTransform),
  fixedMatrix: exported(fixedMatrix),
  fixedTable: exported(fixedTable),
};
