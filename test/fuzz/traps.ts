/** Pieces that no state of fixed size follows token by token, open or in disguise. */
import { float32Tensor, int64Tensor } from "../../converter/graph/tensor.ts";
import { backward, complexProduct, forward } from "./convolutions.ts";
import {
  asScalar,
  batchOf,
  type Draft,
  END,
  lengthOf,
  linear,
  type Piece,
  plus,
  positions,
  reduce,
  reshape,
  type Stream,
  same,
  scalar,
  slice,
  transpose,
  unsqueeze,
  weights,
} from "./draft.ts";
import { kernelOf, lagMatrix, lengthAsFloat } from "./kernels.ts";

const times = (d: Draft, x: Stream, other: string): Stream => same(x, d.b.one("Mul", [x.name, other]));

const nextPosition: Piece = (d, x) => {
  if (d.r.chance(0.5))
    return plus(d, x, d.b.one("Pad", [x.name, d.b.ints("pads", [0, -1, 0, 0, 1, 0])], { mode: "constant" }));
  const rest = slice(d, x.name, 1, 1, END);
  const zero = d.b.one("Mul", [slice(d, x.name, 1, 0, 1), scalar(d, 0)]);
  return plus(d, x, d.b.one("Concat", [rest, zero], { axis: 1 }));
};

const symmetricConv: Piece = (d, x) => {
  const y = d.b.one("Conv", [transpose(d, x.name, [0, 2, 1]), weights(d, [x.channels, 1, 3])], {
    group: x.channels,
    kernel_shape: [3],
    pads: [1, 1],
  });
  return same(x, transpose(d, y, [0, 2, 1]));
};

/** Causal but for one channel, whose tap ahead is a thousandth of the others. */
const faintLookAhead: Piece = (d, x) => {
  const taps = Float32Array.from({ length: 4 * x.channels }, (_, at) => (at % 4 === 3 ? 0 : d.r.normal()));
  taps[4 * d.r.int(0, x.channels - 1) + 3] = 1e-3;
  const y = d.b.one(
    "Conv",
    [transpose(d, x.name, [0, 2, 1]), d.b.constant("taps", float32Tensor([x.channels, 1, 4], taps))],
    { group: x.channels, kernel_shape: [4], pads: [2, 1] },
  );
  return same(x, transpose(d, y, [0, 2, 1]));
};

const reduceOverTime: Piece = (d, x) => {
  const op = d.r.pick(["ReduceMean", "ReduceMax", "ReduceSum", "ReduceL2", "ReduceMin"]);
  return same(
    x,
    d.b.one("Sub", [x.name, d.b.one("Mul", [reduce(d, op, x.name, [d.r.pick([1, -2])]), scalar(d, 0.3)])]),
  );
};

const softmaxOverTime: Piece = (d, x) => times(d, x, d.b.one("Softmax", [x.name], { axis: 1 }));

const reversal: Piece = (d, x) => {
  if (d.r.chance(0.5)) return plus(d, x, slice(d, x.name, 1, -1, -END, -1));
  const n = asScalar(d, lengthOf(d, x));
  const range = d.b.one("Range", [d.b.ints("zero", 0), n, d.b.ints("one", 1)]);
  const backwards = d.b.one("Sub", [d.b.one("Sub", [n, d.b.ints("one", 1)]), range]);
  return plus(d, x, d.b.one("Gather", [x.name, backwards], { axis: 1 }));
};

const attention: Piece = (d, x) => {
  const [q, k, v] = [linear(d, x, x.channels), linear(d, x, x.channels), linear(d, x, x.channels)];
  const scores = d.b.one("MatMul", [q.name, transpose(d, k.name, [0, 2, 1])]);
  return plus(d, x, d.b.one("MatMul", [d.b.one("Softmax", [scores], { axis: -1 }), v.name]));
};

interface Warp {
  /** The kernel, seen with the stream and the length. */
  readonly kernel?: (kernel: string, n: string) => string;
  readonly spectrum?: (spectrum: string) => string;
  /** Transform at the sequence's own length. */
  readonly circular?: boolean;
}

/** A convolution by DFT with something wrong in it. */
function warped(d: Draft, x: Stream, warp: Warp): Stream {
  const n = lengthOf(d, x);
  const plain = kernelOf(d, n, x.channels);
  const kernel = warp.kernel?.(plain, n) ?? plain;
  const size = asScalar(d, warp.circular ? n : d.b.one("Add", [n, n]));
  const onesided = d.r.chance(0.5);
  const spectrum = forward(d, x.name, { size, axis: 1, onesided });
  // a kernel that depends on the data has a batch axis
  const filter = forward(d, kernel, { size, axis: warp.kernel && kernel.startsWith("perRow") ? 1 : 0, onesided });
  const product = complexProduct(d, spectrum, filter);
  return same(x, slice(d, backward(d, warp.spectrum?.(product) ?? product, { size, axis: 1, onesided }), 1, 0, n));
}

const dataKernel: Piece = (d, x) =>
  warped(d, x, {
    kernel: (kernel) =>
      d.b.one(
        "Mul",
        [
          kernel,
          d.b.one("Sigmoid", [d.r.chance(0.5) ? reduce(d, "ReduceMean", x.name, [1]) : slice(d, x.name, 1, 0, 1)]),
        ],
        {},
        { hint: "perRow" },
      ),
  });

const lengthKernel: Piece = (d, x) =>
  warped(d, x, {
    kernel: (kernel, n) => {
      const length = lengthAsFloat(d, n);
      if (d.r.chance(0.5)) return d.b.one("Div", [kernel, d.b.one("Sqrt", [length])]);
      const window = d.b.one("Sub", [scalar(d, 1), d.b.one("Div", [positions(d, n), length])]);
      return d.b.one("Mul", [kernel, unsqueeze(d, window, [1])]);
    },
  });

const circular: Piece = (d, x) => warped(d, x, { circular: true });

const bentSpectrum: Piece = (d, x) =>
  warped(d, x, { spectrum: (spectrum) => d.b.one(d.r.pick(["Tanh", "Abs", "Relu"]), [spectrum]) });

/** A spectrum cut off, as filters against aliasing do: reaches ahead. */
const lowPass: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const size = asScalar(d, d.b.one("Add", [n, n]));
  const spectrum = forward(d, x.name, { size, axis: 1, onesided: true });
  const kept = d.b.one(
    "Cast",
    [
      d.b.one("Less", [
        positions(d, d.b.one("Add", [n, d.b.ints("one", [1])])),
        d.b.one("Mul", [lengthAsFloat(d, n), scalar(d, 0.5)]),
      ]),
    ],
    { to: 1 },
  );
  const filtered = d.b.one("Mul", [spectrum, unsqueeze(d, kept, [1, 2])]);
  return same(x, slice(d, backward(d, filtered, { size, axis: 1, onesided: true }), 1, 0, n));
};

/** Every second position, each twice: right at even positions only. */
const stride: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const half = slice(d, x.name, 1, d.r.int(0, 1), END, 2);
  const twice = d.b.one("Concat", [half, half], { axis: 1 });
  return plus(d, x, slice(d, d.b.one("Concat", [twice, x.name], { axis: 1 }), 1, 0, n));
};

/** [batch, n, channels] read as [batch, channels, n] without a transpose. */
const reshapedWrong: Piece = (d, x) => {
  const wrong = reshape(d, x.name, [batchOf(d, x), x.channels, lengthOf(d, x)]);
  return plus(d, x, d.b.one("Tanh", [transpose(d, wrong, [0, 2, 1])]));
};

/** The same, with batch and time exchanged. */
const reshapedBatch: Piece = (d, x) => {
  const wrong = reshape(d, x.name, [lengthOf(d, x), batchOf(d, x), x.channels]);
  return plus(d, x, d.b.one("Tanh", [transpose(d, wrong, [1, 0, 2])]));
};

/** Channels and time flattened together, and rolled by one channel. */
const rolledFlat: Piece = (d, x) => {
  const flat = reshape(d, x.name, [batchOf(d, x), -1]);
  const rolled = d.b.one("Concat", [slice(d, flat, 1, -1, END), slice(d, flat, 1, 0, -1)], { axis: 1 });
  return plus(d, x, reshape(d, rolled, [batchOf(d, x), lengthOf(d, x), x.channels]));
};

const roll: Piece = (d, x) =>
  plus(d, x, d.b.one("Concat", [slice(d, x.name, 1, -1, END), slice(d, x.name, 1, 0, -1)], { axis: 1 }));

const batchMean: Piece = (d, x) =>
  same(x, d.b.one("Sub", [x.name, reduce(d, d.r.pick(["ReduceMean", "ReduceMax"]), x.name, [0])]));

const batchSoftmax: Piece = (d, x) => times(d, x, d.b.one("Softmax", [x.name], { axis: 0 }));

/** Every sequence meets every other. */
const batchProduct: Piece = (d, x) => {
  const a = transpose(d, x.name, [1, 0, 2]);
  const scores = d.b.one("Softmax", [d.b.one("MatMul", [a, transpose(d, a, [0, 2, 1])])], { axis: -1 });
  return plus(d, x, transpose(d, d.b.one("MatMul", [scores, a]), [1, 0, 2]));
};

/** Normalisation over all but the batch. */
const instanceNorm: Piece = (d, x) => {
  const ones = d.b.floats("ones", [x.channels], new Array(x.channels).fill(1));
  const y = d.b.one("InstanceNormalization", [transpose(d, x.name, [0, 2, 1]), ones, weights(d, [x.channels], 0.1)]);
  return same(x, transpose(d, y, [0, 2, 1]));
};

const normOverTimeToo: Piece = (d, x) => {
  const deviation = d.b.one("Sqrt", [
    d.b.one("Add", [reduce(d, "ReduceMean", d.b.one("Mul", [x.name, x.name]), [1, 2]), scalar(d, 0.01)]),
  ]);
  return same(x, d.b.one("Div", [x.name, deviation]));
};

/** A position chosen by the data. */
const dataIndex: Piece = (d, x) => {
  const first = slice(d, x.name, 2, 0, 1);
  const at = d.b.one("ArgMax", [first], { axis: 1, keepdims: 1 });
  const n = lengthOf(d, x);
  const shape = d.b.one("Concat", [batchOf(d, x), d.b.ints("one", [1]), d.b.ints("channels", [x.channels])], {
    axis: 0,
  });
  const picked = d.b.one("GatherElements", [x.name, d.b.one("Expand", [at, shape])], { axis: 1 });
  d.b.one("Identity", [n]);
  return plus(d, x, picked);
};

const sorted: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const [values] = d.b.add("TopK", [x.name, n], { axis: 1 }, { outputs: 2 });
  return plus(d, x, values!);
};

/** The first position is known, but its memory is no convolution. */
const firstPosition: Piece = (d, x) => plus(d, x, slice(d, x.name, 1, 0, 1));

const lastPosition: Piece = (d, x) => plus(d, x, slice(d, x.name, 1, -1, END));

/** The last position is left out: which one that is, nobody knows token by token. */
const withoutLast: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const last = d.b.one("Less", [positions(d, n), d.b.one("Sub", [lengthAsFloat(d, n), scalar(d, 1)])]);
  return same(x, d.b.one("Where", [unsqueeze(d, last, [1]), x.name, scalar(d, 0)]));
};

const timesLength: Piece = (d, x) => times(d, x, d.b.one("Div", [scalar(d, 8), lengthAsFloat(d, lengthOf(d, x))]));

/** Relative positions from the end. */
const fromTheEnd: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const distance = d.b.one("Sub", [lengthAsFloat(d, n), positions(d, n)]);
  return times(d, x, unsqueeze(d, d.b.one("Exp", [d.b.one("Mul", [distance, scalar(d, -0.1)])]), [1]));
};

/** A causal matrix that is not Toeplitz. */
const varyingMatrix: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const k = positions(d, n);
  const mask = d.b.one("Cast", [d.b.one("GreaterOrEqual", [lagMatrix(d, n), scalar(d, 0)])], { to: 1 });
  const varying = d.b.one("Cos", [d.b.one("Mul", [unsqueeze(d, k, [1]), unsqueeze(d, k, [0])])]);
  return same(x, d.b.one("MatMul", [d.b.one("Mul", [varying, mask]), x.name]));
};

/** A matrix that looks both ways. */
const fullMatrix: Piece = (d, x) => {
  const lags = d.b.one("Abs", [lagMatrix(d, lengthOf(d, x))]);
  return same(x, d.b.one("MatMul", [d.b.one("Exp", [d.b.one("Mul", [lags, scalar(d, -0.5)])]), x.name]));
};

/** The largest value so far: causal, and not linear. */
const runningMax: Piece = (d, x) => {
  const forbidden = d.b.one("Mul", [
    d.b.one("Cast", [d.b.one("Less", [lagMatrix(d, lengthOf(d, x)), scalar(d, 0)])], { to: 1 }),
    scalar(d, -1e4),
  ]);
  const spread = d.b.one("Add", [unsqueeze(d, x.name, [1]), unsqueeze(d, forbidden, [2])]);
  return plus(d, x, reduce(d, "ReduceMax", spread, [2], 0));
};

const sumBackwards: Piece = (d, x) =>
  same(x, d.b.one("Mul", [d.b.one("CumSum", [x.name, d.b.ints("axis", 1)], { reverse: 1 }), scalar(d, 0.1)]));

/** A sum over time of a product of streams, then spread again. */
const outerProduct: Piece = (d, x) => {
  const state = d.b.one("Einsum", [x.name, x.name], { equation: "bnc,bnd->bcd" });
  return plus(d, x, d.b.one("Mul", [d.b.one("MatMul", [x.name, state]), scalar(d, 0.01)]));
};

const pooled: Piece = (d, x) => {
  const y = d.b.one(d.r.pick(["AveragePool", "MaxPool"]), [transpose(d, x.name, [0, 2, 1])], {
    kernel_shape: [3],
    pads: [1, 1],
  });
  return plus(d, x, transpose(d, y, [0, 2, 1]));
};

/** Another kernel for long sequences, longer than one may think of probing. */
const lateSurprise: Piece = (d, x) =>
  warped(d, x, {
    kernel: (kernel, n) => {
      const late = d.b.one("Cast", [d.b.one("Greater", [lengthAsFloat(d, n), scalar(d, d.r.pick([70, 200]))])], {
        to: 1,
      });
      return d.b.one("Mul", [kernel, d.b.one("Add", [late, scalar(d, 1)])]);
    },
  });

/** A table of positions that is another one in long sequences. */
const lateTable: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const late = d.b.one("Cast", [d.b.one("Greater", [lengthAsFloat(d, n), scalar(d, d.r.pick([70, 200]))])], { to: 1 });
  const table = d.b.one("Mul", [d.b.one("Sin", [positions(d, n)]), d.b.one("Add", [late, scalar(d, 1)])]);
  return plus(d, x, unsqueeze(d, table, [1]));
};

/** Time spread over a second time axis, one of them reduced after something nonlinear. */
const pairwise: Piece = (d, x) => {
  const difference = d.b.one("Sub", [unsqueeze(d, x.name, [2]), unsqueeze(d, x.name, [1])]);
  return plus(d, x, reduce(d, "ReduceMean", d.b.one("Tanh", [difference]), [2], 0));
};

/** Positions permuted by a constant: only exports with a fixed length can. */
const permuted: Piece = (d, x) => {
  if (d.length === undefined) return roll(d, x);
  const order = d.r.shuffled(Array.from({ length: d.length }, (_, k) => k));
  if (order.every((place, k) => place === k)) order.reverse();
  return same(x, d.b.one("Gather", [x.name, d.b.constant("order", int64Tensor([d.length], order))], { axis: 1 }));
};

/** A full matrix over time, a constant of an export with a fixed length. */
const constantMatrix: Piece = (d, x) => {
  if (d.length === undefined) return fullMatrix(d, x);
  return same(x, d.b.one("MatMul", [weights(d, [d.length, d.length]), x.name]));
};

/** By name. */
export const TRAPS: Readonly<Record<string, Piece>> = {
  nextPosition,
  symmetricConv,
  faintLookAhead,
  reduceOverTime,
  softmaxOverTime,
  reversal,
  attention,
  dataKernel,
  lengthKernel,
  circular,
  bentSpectrum,
  lowPass,
  stride,
  reshapedWrong,
  reshapedBatch,
  rolledFlat,
  roll,
  batchMean,
  batchSoftmax,
  batchProduct,
  instanceNorm,
  normOverTimeToo,
  dataIndex,
  sorted,
  firstPosition,
  lastPosition,
  withoutLast,
  timesLength,
  fromTheEnd,
  varyingMatrix,
  fullMatrix,
  runningMax,
  sumBackwards,
  outerProduct,
  pooled,
  lateSurprise,
  lateTable,
  pairwise,
  permuted,
  constantMatrix,
};
