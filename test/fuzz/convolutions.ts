/** Causal convolutions along time, in the spellings that exporters and people use. */
import { LONGCONV_DOMAIN, LONGCONV_OP } from "../../converter/graph/longconv.ts";
import { float32Tensor } from "../../converter/graph/tensor.ts";
import {
  asScalar,
  batchOf,
  type Draft,
  END,
  lengthOf,
  linear,
  type Piece,
  positions,
  reshape,
  type Stream,
  same,
  scalar,
  slice,
  split,
  squeeze,
  transpose,
  unsqueeze,
  weights,
} from "./draft.ts";
import { kernelOf, lagMatrix } from "./kernels.ts";

interface Transform {
  readonly size: string;
  readonly axis: number;
  readonly onesided: boolean;
}

/** DFT of a real tensor along an axis; the parts are a new last axis. Zeros fill up to the length. */
export function forward(d: Draft, name: string, { size, axis, onesided }: Transform): string {
  return dft(d, unsqueeze(d, name, [-1]), size, axis, { onesided: onesided ? 1 : 0 });
}

/** Real part of the inverse DFT. */
export function backward(d: Draft, name: string, { size, axis, onesided }: Transform): string {
  const y = dft(d, name, size, axis, { inverse: 1, onesided: onesided ? 1 : 0 });
  return d.r.chance(0.5)
    ? squeeze(d, slice(d, y, -1, 0, 1), [-1])
    : d.b.one("Gather", [y, d.b.ints("real", 0)], { axis: -1 });
}

function dft(d: Draft, name: string, size: string, axis: number, attributes: Record<string, number>): string {
  if (d.b.opset >= 20) return d.b.one("DFT", [name, size, d.b.ints("axis", axis)], attributes);
  return d.b.one("DFT", [name, size], { axis, ...attributes });
}

/** Product of complex tensors whose last axis holds the parts. */
export function complexProduct(d: Draft, a: string, c: string): string {
  const parts = (name: string): readonly [string, string] => {
    const way = d.r.int(0, 2);
    if (way === 0) return [slice(d, name, -1, 0, 1), slice(d, name, -1, 1, 2)];
    if (way === 1) return split(d, name, -1, [1, 1]) as [string, string];
    const pick = (k: number) => unsqueeze(d, d.b.one("Gather", [name, d.b.ints("part", k)], { axis: -1 }), [-1]);
    return [pick(0), pick(1)];
  };
  const [[ar, ai], [cr, ci]] = [parts(a), parts(c)];
  const real = d.b.one("Sub", [d.b.one("Mul", [ar, cr]), d.b.one("Mul", [ai, ci])]);
  const imaginary = d.b.one("Add", [d.b.one("Mul", [ar, ci]), d.b.one("Mul", [ai, cr])]);
  return d.b.one("Concat", [real, imaginary], { axis: -1 });
}

/** Where time is while a convolution is computed. */
type Layout = "bnc" | "bcn" | "bhnd";

/** FFT, product, inverse FFT, first n. */
const byDft: Piece = (d, x) => {
  const layout = d.r.pick<Layout>(x.channels % 2 === 0 ? ["bnc", "bcn", "bhnd"] : ["bnc", "bcn"]);
  const n = lengthOf(d, x);
  const kernel = kernelOf(d, n, x.channels);
  const double = d.r.chance(0.5) ? d.b.one("Mul", [n, d.b.ints("two", [2])]) : d.b.one("Add", [n, n]);
  const half = x.channels / 2;
  const placed = {
    bnc: () => ({ data: x.name, filter: kernel, axis: 1, filterAxis: 0 }),
    bcn: () => ({
      data: transpose(d, x.name, [0, 2, 1]),
      filter: transpose(d, kernel, [1, 0]),
      axis: 2,
      filterAxis: 1,
    }),
    bhnd: () => ({
      data: transpose(d, reshape(d, x.name, [batchOf(d, x), n, 2, half]), [0, 2, 1, 3]),
      filter: transpose(d, reshape(d, kernel, [n, 2, half]), [1, 0, 2]),
      axis: 2,
      filterAxis: 1,
    }),
  }[layout]();
  const onesided = d.r.chance(0.6);
  const size = asScalar(d, double);
  // zeros by the transform's own length, or by Pad
  const data = d.r.chance(0.5) ? padded(d, placed.data, placed.axis, layout === "bhnd" ? 4 : 3, n) : placed.data;
  const spectrum = forward(d, data, { size, axis: placed.axis, onesided });
  const filter = forward(d, placed.filter, { size, axis: placed.filterAxis, onesided });
  const ordered = d.r.chance(0.5) ? complexProduct(d, spectrum, filter) : complexProduct(d, filter, spectrum);
  const whole = backward(d, ordered, { size, axis: placed.axis, onesided });
  const y = slice(d, whole, placed.axis, 0, n);
  if (layout === "bnc") return same(x, y);
  if (layout === "bcn") return same(x, transpose(d, y, [0, 2, 1]));
  return same(x, reshape(d, transpose(d, y, [0, 2, 1, 3]), [batchOf(d, x), n, x.channels]));
};

/** Zeros behind an axis, as many as `after` says (int64 [1]). */
function padded(d: Draft, name: string, axis: number, rank: number, after: string): string {
  const zero = d.b.ints("none", [0]);
  const amounts = Array.from({ length: 2 * rank }, (_, k) => (k === rank + axis ? after : zero));
  return d.b.one("Pad", [name, d.b.one("Concat", amounts, { axis: 0 })], { mode: "constant" });
}

/** A dense matrix of kernel entries, masked, times the sequence. */
const byToeplitz: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const kernel = kernelOf(d, n, x.channels);
  const lags = lagMatrix(d, n);
  const index = d.b.one("Cast", [d.b.one("Relu", [lags])], { to: 7 });
  const rows = d.b.one("Gather", [kernel, index], { axis: 0 });
  const causal = d.b.one("GreaterOrEqual", [lags, scalar(d, 0)]);
  const way = d.r.int(0, 3);
  let matrix: string;
  if (way === 0) matrix = d.b.one("Where", [unsqueeze(d, causal, [2]), rows, scalar(d, 0)]);
  else if (way === 1) matrix = d.b.one("Mul", [rows, unsqueeze(d, d.b.one("Cast", [causal], { to: 1 }), [-1])]);
  else matrix = transpose(d, d.b.one("Trilu", [transpose(d, rows, [2, 0, 1])], { upper: 0 }), [1, 2, 0]);
  if (d.r.chance(0.5)) return same(x, d.b.one("Einsum", [matrix, x.name], { equation: "ijc,bjc->bic" }));
  const columns = unsqueeze(d, transpose(d, x.name, [0, 2, 1]), [3]);
  const product = squeeze(d, d.b.one("MatMul", [transpose(d, matrix, [2, 0, 1]), columns]), [3]);
  return same(x, transpose(d, product, [0, 2, 1]));
};

/** Depthwise Conv with zeros on the left. */
const byConv: Piece = (d, x) => {
  const taps = d.r.pick([1, 2, 3, 4, 7, 16]);
  const dilation = d.r.pick([1, 1, 2, 3]);
  const reach = (taps - 1) * dilation;
  const filter = weights(d, [x.channels, 1, taps]);
  const inputs = (data: string) => (d.r.chance(0.5) ? [data, filter, weights(d, [x.channels], 0.3)] : [data, filter]);
  const attributes = { group: x.channels, kernel_shape: [taps], dilations: [dilation] };
  const data = transpose(d, x.name, [0, 2, 1]);
  const way = d.r.int(0, 2);
  let y: string;
  if (way === 0) y = d.b.one("Conv", inputs(data), { ...attributes, pads: [reach, 0] });
  else if (way === 1) {
    const pads = d.b.ints("pads", [0, 0, reach, 0, 0, 0]);
    y = d.b.one("Conv", inputs(d.b.one("Pad", [data, pads, scalar(d, 0)], { mode: "constant" })), {
      ...attributes,
      pads: [0, 0],
    });
  } else {
    // PyTorch's own way: zeros on both sides, and the end cut off
    const full = d.b.one("Conv", inputs(data), { ...attributes, pads: [reach, reach] });
    y = reach === 0 ? full : d.r.chance(0.5) ? slice(d, full, 2, 0, -reach) : slice(d, full, 2, 0, lengthOf(d, x));
  }
  return same(x, transpose(d, y, [0, 2, 1]));
};

/** Every channel reads from every other: [channels × channels] for each lag. */
export const denseConv: Piece = (d, x) => {
  const filter = weights(d, [x.channels, x.channels, 3]);
  const y = d.b.one("Conv", [transpose(d, x.name, [0, 2, 1]), filter], { kernel_shape: [3], pads: [2, 0] });
  return same(x, transpose(d, y, [0, 2, 1]));
};

const byNode: Piece = (d, x) =>
  same(x, d.b.one(LONGCONV_OP, [x.name, kernelOf(d, lengthOf(d, x), x.channels)], {}, { domain: LONGCONV_DOMAIN }));

/** The sequence some positions later, zeros before it. */
export function shifted(d: Draft, x: Stream, by: number): string {
  const way = d.r.int(0, 2);
  if (way === 0) {
    // one operator: zeros in front, a negative amount behind
    return d.b.one("Pad", [x.name, d.b.ints("pads", [0, by, 0, 0, -by, 0])], { mode: "constant" });
  }
  if (way === 1) {
    const longer = d.b.one("Pad", [x.name, d.b.ints("pads", [0, by, 0, 0, 0, 0])], { mode: "constant" });
    return slice(d, longer, 1, 0, d.r.chance(0.5) ? -by : lengthOf(d, x));
  }
  const zeros = d.b.one("Mul", [slice(d, x.name, 1, 0, by), scalar(d, 0)]);
  // at lengths below `by` both parts are shorter; together they are still n
  return slice(d, d.b.one("Concat", [zeros, x.name], { axis: 1 }), 1, 0, lengthOf(d, x));
}

const shift: Piece = (d, x) => same(x, shifted(d, x, d.r.pick([1, 1, 2, 5])));

/** RWKV's token shift: a mix of this position and the one before. */
const tokenShift: Piece = (d, x) => {
  const mu = d.b.one("Sigmoid", [weights(d, [x.channels])]);
  const before = d.b.one("Mul", [shifted(d, x, 1), d.b.one("Sub", [scalar(d, 1), mu])]);
  return same(x, d.b.one("Add", [d.b.one("Mul", [x.name, mu]), before]));
};

const runningSum: Piece = (d, x) =>
  same(x, d.b.one("Mul", [d.b.one("CumSum", [x.name, d.b.ints("axis", d.r.pick([1, -2]))]), scalar(d, 0.1)]));

/** A running sum over a count of positions. */
const runningMean: Piece = (d, x) => {
  const sum = d.b.one("CumSum", [x.name, d.b.ints("axis", 1)]);
  const count = d.b.one("Add", [positions(d, lengthOf(d, x)), scalar(d, 1)]);
  return same(x, d.b.one("Div", [sum, unsqueeze(d, count, [1])]));
};

/** Linear attention with one key and one query per channel: gates around a running sum. */
const linearAttention: Piece = (d, x) => {
  const [q, k, v] = [linear(d, x, x.channels), linear(d, x, x.channels), linear(d, x, x.channels)];
  const sum = d.b.one("CumSum", [d.b.one("Mul", [k.name, v.name]), d.b.ints("axis", 1)]);
  return same(x, d.b.one("Mul", [d.b.one("Mul", [sum, q.name]), scalar(d, 0.1)]));
};

/** Convolutions whose dilation doubles: MultiresConv. */
const multires: Piece = (d, x) => {
  let low = transpose(d, x.name, [0, 2, 1]);
  const parts = [d.b.one("Mul", [low, weights(d, [x.channels, 1])])];
  for (const dilation of [1, 2, 4].slice(0, d.r.int(1, 3))) {
    const pads = [dilation, 0];
    const conv = (filter: string) =>
      d.b.one("Conv", [low, filter], { group: x.channels, kernel_shape: [2], dilations: [dilation], pads });
    parts.push(conv(weights(d, [x.channels, 1, 2])));
    low = conv(weights(d, [x.channels, 1, 2]));
  }
  return same(x, transpose(d, d.b.one("Sum", parts), [0, 2, 1]));
};

/** A sum over a dense matrix that all channels share; a constant where the length is fixed. */
const sharedMatrix: Piece = (d, x) => {
  if (d.length === undefined) {
    const lags = lagMatrix(d, lengthOf(d, x));
    const causal = d.b.one("Cast", [d.b.one("GreaterOrEqual", [lags, scalar(d, 0)])], { to: 1 });
    const decayed = d.b.one("Exp", [d.b.one("Mul", [d.b.one("Relu", [lags]), scalar(d, -0.2)])]);
    return same(x, d.b.one("MatMul", [d.b.one("Mul", [decayed, causal]), x.name]));
  }
  const n = d.length;
  const taps = Array.from({ length: n }, (_, k) => d.r.normal() * Math.exp(-k / 5));
  const values = Float32Array.from({ length: n * n }, (_, at) => taps[Math.floor(at / n) - (at % n)] ?? 0);
  return same(x, d.b.one("MatMul", [d.b.constant("matrix", float32Tensor([n, n], values)), x.name]));
};

/** Two convolutions of the same stream, added; or one after the other. */
const several: Piece = (d, x) => {
  const [first, second] = [d.r.pick([byDft, byToeplitz, byConv, byNode]), d.r.pick([byConv, byNode, byDft])];
  if (d.r.chance(0.5)) return same(x, d.b.one("Add", [first(d, x).name, second(d, x).name]));
  return second(d, first(d, x));
};

/** A convolution with what may be taken into its region: a skip term, a scale, a sign. */
const withSkip: Piece = (d, x) => {
  const y = d.r.pick([byDft, byToeplitz, byNode])(d, x);
  const skip = d.b.one("Mul", [x.name, weights(d, [x.channels])]);
  const scaled = d.r.chance(0.5) ? d.b.one("Mul", [y.name, weights(d, [x.channels])]) : y.name;
  return same(x, d.b.one(d.r.pick(["Add", "Sub"]), [scaled, skip]));
};

/** H3: a shift gates what a convolution reads, another gate behind it. */
const gated: Piece = (d, x) => {
  const [q, k, v] = [linear(d, x, x.channels), linear(d, x, x.channels), linear(d, x, x.channels)];
  const kv = same(x, d.b.one("Mul", [d.r.pick([shift, byConv])(d, k).name, v.name]));
  return same(x, d.b.one("Mul", [d.b.one("Tanh", [d.r.pick([byDft, byNode, byToeplitz])(d, kv).name]), q.name]));
};

/** A table of positions, learned or sinusoidal, added to the stream. */
const positional: Piece = (d, x) => {
  const n = lengthOf(d, x);
  if (d.r.chance(0.5)) {
    const rows = 512;
    const table = weights(d, [rows, x.channels], Math.sqrt(rows) / 3);
    return same(x, d.b.one("Add", [x.name, slice(d, table, 0, 0, n)]));
  }
  const phase = d.b.one("MatMul", [unsqueeze(d, positions(d, n), [1]), weights(d, [1, x.channels], 0.3)]);
  return same(x, d.b.one("Add", [x.name, d.b.one("Mul", [d.b.one("Sin", [phase]), scalar(d, 0.5)])]));
};

/** A short table with zeros behind it, up to the length of the sequence. */
const paddedTable: Piece = (d, x) => {
  const rows = 8;
  const zero = d.b.ints("none", [0]);
  const after = d.b.one("Sub", [lengthOf(d, x), d.b.ints("rows", [rows])]);
  const pads = d.b.one("Concat", [zero, zero, after, zero], { axis: 0 });
  return same(
    x,
    d.b.one("Add", [x.name, d.b.one("Pad", [weights(d, [rows, x.channels], 3), pads], { mode: "constant" })]),
  );
};

/** By name: all of these run token by token. */
export const CAUSAL: Readonly<Record<string, Piece>> = {
  byDft,
  byToeplitz,
  byConv,
  byNode,
  shift,
  tokenShift,
  runningSum,
  linearAttention,
  multires,
  sharedMatrix,
  several,
  withSkip,
  gated,
};

/** These use the absolute position, which a carried counter gives; in an export with a fixed length they may be refused. */
export const POSITIONAL: Readonly<Record<string, Piece>> = { positional, runningMean, paddedTable };

export { END };
