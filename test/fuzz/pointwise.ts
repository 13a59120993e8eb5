/** Pieces that work position by position. */
import { int64Tensor } from "../../converter/graph/tensor.ts";
import {
  batchOf,
  type Draft,
  END,
  lengthOf,
  linear,
  type Piece,
  reduce,
  reshape,
  type Stream,
  same,
  scalar,
  slice,
  split,
  transpose,
  unsqueeze,
  weights,
} from "./draft.ts";

/** Functions of one number, with their attributes. */
const ACTIVATIONS: readonly (readonly [string, Record<string, { float: number }>])[] = [
  ["Relu", {}],
  ["Tanh", {}],
  ["Sigmoid", {}],
  ["Erf", {}],
  ["Softplus", {}],
  ["Softsign", {}],
  ["Elu", { alpha: { float: 0.7 } }],
  ["Selu", {}],
  ["LeakyRelu", { alpha: { float: 0.1 } }],
  ["HardSigmoid", {}],
  ["HardSwish", {}],
  ["Sin", {}],
  ["Cos", {}],
  ["Abs", {}],
  ["Neg", {}],
  ["Atan", {}],
  ["Celu", {}],
  ["Mish", {}],
];

export const activation: Piece = (d, x) => {
  const known = ACTIVATIONS.filter(([op]) => op !== "Mish" || d.b.opset >= 18);
  const [op, attributes] = d.r.pick(known);
  return same(x, d.b.one(op, [x.name], attributes));
};

/** x · sigmoid(x), or Gelu in five nodes. */
const spelledActivation: Piece = (d, x) => {
  if (d.r.chance(0.5)) return same(x, d.b.one("Mul", [x.name, d.b.one("Sigmoid", [x.name])]));
  const erf = d.b.one("Erf", [d.b.one("Div", [x.name, scalar(d, Math.SQRT2)])]);
  return same(x, d.b.one("Mul", [d.b.one("Mul", [x.name, d.b.one("Add", [erf, scalar(d, 1)])]), scalar(d, 0.5)]));
};

const layerNorm: Piece = (d, x) => {
  const scale = d.b.floats("scale", [x.channels], new Array(x.channels).fill(1));
  return same(
    x,
    d.b.one("LayerNormalization", [x.name, scale, weights(d, [x.channels], 0.1)], {
      axis: -1,
      epsilon: { float: 1e-2 },
    }),
  );
};

const spelledNorm: Piece = (d, x) => {
  const centred = d.r.chance(0.5) ? d.b.one("Sub", [x.name, reduce(d, "ReduceMean", x.name, [-1])]) : x.name;
  const square = d.r.chance(0.5) ? d.b.one("Mul", [centred, centred]) : d.b.one("Pow", [centred, scalar(d, 2)]);
  const deviation = d.b.one("Sqrt", [d.b.one("Add", [reduce(d, "ReduceMean", square, [2]), scalar(d, 0.01)])]);
  return same(x, d.b.one("Div", [centred, deviation]));
};

const l2Norm: Piece = (d, x) => {
  const norm = d.b.one("Add", [reduce(d, "ReduceL2", x.name, [-1]), scalar(d, 0.1)]);
  return same(x, d.b.one("Div", [x.name, norm]));
};

const softmaxOverChannels: Piece = (d, x) => {
  const axis = d.r.pick([-1, 2]);
  return same(x, d.b.one("Mul", [d.b.one("Softmax", [x.name], { axis }), scalar(d, x.channels)]));
};

const project: Piece = (d, x) =>
  linear(d, x, d.r.pick([x.channels, x.channels, 2 * x.channels, Math.max(1, x.channels >> 1)]));

const gate: Piece = (d, x) => same(x, d.b.one("Mul", [x.name, d.b.one("Sigmoid", [linear(d, x, x.channels).name])]));

/** Two halves, one gating the other. */
const glu: Piece = (d, x) => {
  const { name } = linear(d, x, 2 * x.channels);
  const [a, c] = split(d, name, 2, [x.channels, x.channels]);
  return same(x, d.b.one("Mul", [a!, d.b.one(d.r.pick(["Sigmoid", "Tanh"]), [c!])]));
};

/** Channels as heads, something over the last axis, and back. */
const heads: Piece = (d, x) => {
  const count = [4, 3, 2].find((h) => x.channels % h === 0);
  if (!count) return activation(d, x);
  const perHead = x.channels / count;
  let y = reshape(
    d,
    x.name,
    d.r.chance(0.5) ? [0, 0, count, perHead] : [batchOf(d, x), lengthOf(d, x), count, perHead],
  );
  const turned = d.r.chance(0.5);
  if (turned) y = transpose(d, y, [0, 2, 1, 3]);
  y = d.b.one("Add", [d.b.one("Softmax", [y], { axis: 3 }), y]);
  if (turned) y = transpose(d, y, [0, 2, 1, 3]);
  return same(x, reshape(d, y, [batchOf(d, x), lengthOf(d, x), x.channels]));
};

const permuteChannels: Piece = (d, x) => {
  const order = d.r.shuffled(Array.from({ length: x.channels }, (_, k) => k));
  return same(
    x,
    d.b.one("Gather", [x.name, d.b.constant("order", int64Tensor([x.channels], order))], { axis: d.r.pick([2, -1]) }),
  );
};

const clip: Piece = (d, x) => same(x, d.b.one("Clip", [x.name, scalar(d, -1.5), scalar(d, 2)]));

const where: Piece = (d, x) => {
  const condition = d.b.one("Greater", [x.name, scalar(d, 0)]);
  return same(x, d.b.one("Where", [condition, x.name, d.b.one("Mul", [x.name, scalar(d, 0.2)])]));
};

const affine: Piece = (d, x) => {
  const scaled = d.b.one("Mul", [x.name, weights(d, [x.channels])]);
  return same(x, d.b.one("Add", [scaled, weights(d, d.r.pick([[x.channels], [1, 1, x.channels], [1]]))]));
};

/** Layouts to and fro around something. */
const turned: Piece = (d, x) => {
  const perm = d.r.pick([
    [0, 2, 1],
    [1, 0, 2],
    [2, 1, 0],
    [1, 2, 0],
    [2, 0, 1],
  ]);
  const inverse = perm.map((_, k) => perm.indexOf(k));
  const there = d.b.one(d.r.pick(["Tanh", "Relu", "Sigmoid"]), [transpose(d, x.name, perm)]);
  return same(x, transpose(d, there, inverse));
};

const cast: Piece = (d, x) => {
  const double = d.b.one("Cast", [x.name], { to: 11 });
  return same(
    x,
    d.b.one(
      "Cast",
      [
        d.b.one("Tanh", [
          d.b.one("Mul", [double, d.b.constant("half", { type: 11, dims: [], data: new Float64Array([0.5]) })]),
        ]),
      ],
      { to: 1 },
    ),
  );
};

const branches: Piece = (d, x) => {
  const [a, c] = [activation(d, x), gate(d, x)];
  const joined = {
    name: d.b.one("Concat", [a.name, c.name], { axis: d.r.pick([2, -1]) }),
    channels: a.channels + c.channels,
  };
  return linear(d, joined, x.channels);
};

const someChannels: Piece = (d, x) => {
  if (x.channels < 2) return affine(d, x);
  const kept = d.r.int(1, x.channels - 1);
  const head = slice(d, x.name, 2, 0, kept);
  const rest = slice(d, x.name, 2, kept, END);
  return same(x, d.b.one("Concat", [rest, d.b.one("Tanh", [head])], { axis: 2 }));
};

/** An input without a time axis scales the channels. */
const conditioned: Piece = (d, x) => {
  d.conditioning ??= { name: d.b.name("conditioning"), channels: x.channels };
  if (d.conditioning.channels !== x.channels) return gate(d, x);
  const factor = unsqueeze(d, d.b.one("Sigmoid", [d.conditioning.name]), [1]);
  return same(x, d.b.one("Mul", [x.name, factor]));
};

const batchNorm: Piece = (d, x) => {
  const ones = d.b.floats("ones", [x.channels], new Array(x.channels).fill(1));
  const y = d.b.one("BatchNormalization", [
    transpose(d, x.name, [0, 2, 1]),
    ones,
    weights(d, [x.channels], 0.2),
    weights(d, [x.channels], 0.2),
    ones,
  ]);
  return same(x, transpose(d, y, [0, 2, 1]));
};

const quantile: Piece = (d, x) => {
  const extreme = reduce(d, d.r.pick(["ReduceMax", "ReduceMin", "ReduceMean", "ReduceLogSumExp"]), x.name, [-1]);
  return same(x, d.b.one("Sub", [x.name, extreme]));
};

/** By name. All are continuous, so that rounding stays small. */
export const POINTWISE: Readonly<Record<string, Piece>> = {
  activation,
  spelledActivation,
  layerNorm,
  spelledNorm,
  l2Norm,
  softmaxOverChannels,
  project,
  gate,
  glu,
  heads,
  permuteChannels,
  clip,
  where,
  affine,
  turned,
  cast,
  branches,
  someChannels,
  conditioned,
  batchNorm,
  quantile,
};

/** A piece chosen at random, its name noted. */
export function pointwise(d: Draft, x: Stream): Stream {
  const name = d.r.pick(Object.keys(POINTWISE));
  d.pieces.push(name);
  return POINTWISE[name]!(d, x);
}
