/** Answers for a whole sequence, [batch, channels]: after what was read so far, or with something wrong in them. */
import {
  type Draft,
  END,
  lengthOf,
  positions,
  reduce,
  type Stream,
  scalar,
  slice,
  squeeze,
  toFront,
  transpose,
  unsqueeze,
  weights,
} from "../draft.ts";
import { lengthAsFloat } from "../kernels.ts";
import { layer } from "./recurrent.ts";

/** Makes of a stream a tensor [batch, channels]. */
export type Answer = (d: Draft, x: Stream) => string;

const OPS = [
  "ReduceMean",
  "ReduceSum",
  "ReduceMax",
  "ReduceMin",
  "ReduceL1",
  "ReduceL2",
  "ReduceSumSquare",
  "ReduceLogSumExp",
];
const reduced: Answer = (d, x) => {
  const op = d.r.pick(OPS);
  const y = d.b.one("Tanh", [x.name]);
  return d.r.chance(0.5) ? reduce(d, op, y, [1], 0) : squeeze(d, reduce(d, op, y, [d.r.pick([1, -2])], 1), [1]);
};
const pooled: Answer = (d, x) =>
  squeeze(d, d.b.one(d.r.pick(["GlobalAveragePool", "GlobalMaxPool"]), [toFront(d, x)]), [2]);
/** Mean and deviation: statistics pooling. */
const statistics: Answer = (d, x) => {
  const mean = reduce(d, "ReduceMean", x.name, [1], 0);
  const second = reduce(d, "ReduceMean", d.b.one("Mul", [x.name, x.name]), [1], 0);
  const variance = d.b.one("Sub", [second, d.b.one("Mul", [mean, mean])]);
  return d.b.one("Sqrt", [d.b.one("Add", [d.b.one("Relu", [variance]), scalar(d, 0.1)])]);
};
const lastState: Answer = (d, x) => {
  const op = d.r.pick(["RNN", "GRU", "LSTM"] as const);
  const made = layer(d, transpose(d, x.name, [1, 0, 2]), x.channels, { op, hidden: x.channels });
  return squeeze(d, made[made.length - 1]!, [0]);
};
const lastLayer: Answer = (d, x) => squeeze(d, slice(d, x.name, 1, -1, END), [1]);
/** Weighed by a softmax over all positions. @param from the first position that is weighed */
const attentive =
  (from: number): Answer =>
  (d, x) => {
    const heads = d.r.pick([1, x.channels]);
    const scores = d.b.one("MatMul", [d.b.one("Tanh", [x.name]), weights(d, [x.channels, heads], d.r.pick([1, 40]))]);
    const [s, v] = [scores, x.name].map((name) => (from > 0 ? slice(d, name, 1, from, END) : name));
    if (heads > 1 || d.r.chance(0.5))
      return reduce(d, "ReduceSum", d.b.one("Mul", [d.b.one("Softmax", [s!], { axis: 1 }), v!]), [1], 0);
    const turned = d.b.one("Softmax", [transpose(d, s!, [0, 2, 1])], { axis: -1 });
    return squeeze(d, d.b.one("MatMul", [turned, v!]), [1]);
  };
/** A small network behind it. */
const scored: Answer = (d, x) =>
  d.b.one("Softmax", [d.b.one("MatMul", [reduced(d, x), weights(d, [x.channels, x.channels])])]);

export const ANSWERS: Readonly<Record<string, Answer>> = {
  reduced,
  pooled,
  statistics,
  attentive: attentive(0),
  lastState,
  lastLayer,
  scored,
};

/** The last state of a layer that runs backwards is one of the first position too: of all, none is known before the end. */
const backwardsState: Answer = (d, x) => {
  const made = layer(d, transpose(d, x.name, [1, 0, 2]), x.channels, {
    ...{ op: d.r.pick(["GRU", "LSTM"] as const), hidden: x.channels, direction: "reverse" as const },
  });
  return squeeze(d, made[1]!, [0]);
};
const firstStateTurned: Answer = (d, x) => {
  const data = slice(d, transpose(d, x.name, [1, 0, 2]), 0, -1, -END, -1);
  return squeeze(d, layer(d, data, x.channels, { op: "GRU", hidden: x.channels })[1]!, [0]);
};
const middle: Answer = (d, x) => {
  const half = d.b.one("Div", [lengthOf(d, x), d.b.ints("two", [2])]);
  return squeeze(d, d.b.one("Gather", [x.name, half], { axis: 1 }), [1]);
};
const secondHalf: Answer = (d, x) => {
  const half = d.b.one("Div", [lengthOf(d, x), d.b.ints("two", [2])]);
  return reduce(d, d.r.pick(OPS), slice(d, x.name, 1, half, END), [1], 0);
};
const withoutFirst: Answer = (d, x) => reduce(d, d.r.pick(OPS), slice(d, x.name, 1, 1, END), [1], 0);
const withoutLast: Answer = (d, x) => reduce(d, d.r.pick(OPS), slice(d, x.name, 1, 0, -1), [1], 0);
/** A sum that is divided by the length, or by its root. */
const sumOverLength: Answer = (d, x) => {
  const n = lengthAsFloat(d, lengthOf(d, x));
  const sum = d.b.one("ReduceSum", [d.b.one("Tanh", [x.name]), d.b.ints("axes", [1])], { keepdims: 0 });
  return d.b.one("Div", [sum, d.r.chance(0.5) ? n : d.b.one("Sqrt", [n])]);
};
/** Later positions weigh more, counted from the end or from the start. */
const weighed: Answer = (d, x) => {
  const n = lengthOf(d, x);
  const k = positions(d, n);
  const age = d.r.chance(0.5) ? d.b.one("Sub", [lengthAsFloat(d, n), k]) : k;
  const weight = d.b.one("Exp", [d.b.one("Mul", [age, scalar(d, -0.1)])]);
  return reduce(d, "ReduceMean", d.b.one("Mul", [x.name, unsqueeze(d, weight, [1])]), [1], 0);
};
const overBatch: Answer = (d, x) =>
  d.b.one("Sub", [reduce(d, "ReduceMean", x.name, [1], 0), reduce(d, "ReduceMean", x.name, [0, 1], 0)]);
/** An answer that meets the last position. */
const lastMinusMean: Answer = (d, x) => d.b.one("Sub", [lastLayer(d, x), reduce(d, "ReduceMean", x.name, [1], 0)]);

/** Refused, or right: some of these could be carried. */
export const ANSWER_TRAPS: Readonly<Record<string, Answer>> = {
  backwardsState,
  firstStateTurned,
  middle,
  secondHalf,
  withoutFirst,
  withoutLast,
  sumOverLength,
  attentiveWithoutFirst: attentive(1),
  weighed,
  overBatch,
  lastMinusMean,
};
