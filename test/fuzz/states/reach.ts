/** Finite reach in the spellings that exporters and people use: what reads a window of positions, and is no depthwise Conv. */
import {
  batchOf,
  type Draft,
  END,
  lengthOf,
  linear,
  type Piece,
  reshape,
  type Stream,
  same,
  scalar,
  slice,
  split,
  squeeze,
  toBack,
  toFront,
  transpose,
  unsqueeze,
  weights,
} from "../draft.ts";

/** Zeros (or what `mode` says) around the last axis of [batch, channels, n]. */
export function around(
  d: Draft,
  name: string,
  before: number,
  after: number,
  mode = "constant",
  value?: number,
): string {
  const pads = d.b.ints("pads", [0, 0, before, 0, 0, after]);
  return d.b.one("Pad", value === undefined ? [name, pads] : [name, pads, scalar(d, value)], { mode });
}

/** Filter and perhaps a bias. */
export function filtering(d: Draft, data: string, channels: number, taps: number, groups = 1): string[] {
  const filter = weights(d, [channels, channels / groups, taps], 1 / Math.sqrt(channels / groups));
  return d.r.chance(0.6) ? [data, filter, weights(d, [channels], 0.3)] : [data, filter];
}

interface Window {
  readonly taps: number;
  readonly dilation: number;
  readonly reach: number;
  readonly attributes: { readonly kernel_shape: number[]; readonly dilations: number[] };
}

export function windowOf(d: Draft, taps = d.r.pick([2, 3, 3, 4, 5])): Window {
  const dilation = d.r.pick([1, 1, 2, 3, 8]);
  return { taps, dilation, reach: (taps - 1) * dilation, attributes: { kernel_shape: [taps], dilations: [dilation] } };
}

const groupsOf = (d: Draft, { channels }: Stream): number =>
  d.r.pick([1, 1, 2, 3].filter((groups) => channels % groups === 0));

/** Conv over all channels or groups of them, padded by itself, by Pad, or on both sides and cut. */
const mixing: Piece = (d, x) => {
  const { taps, reach, attributes } = windowOf(d);
  const group = groupsOf(d, x);
  const data = toFront(d, x);
  const conv = (input: string, pads: number[]) =>
    d.b.one("Conv", filtering(d, input, x.channels, taps, group), { ...attributes, group, pads });
  switch (d.r.int(0, 3)) {
    case 0:
      return toBack(d, x, conv(data, [reach, 0]));
    case 1:
      return toBack(d, x, conv(around(d, data, reach, 0), [0, 0]));
    case 2:
      return toBack(d, x, slice(d, conv(data, [reach, reach]), 2, 0, d.r.chance(0.5) ? -reach : lengthOf(d, x)));
    default: {
      const padded = d.b.one("Pad", [x.name, d.b.ints("pads", [0, reach, 0, 0, 0, 0])], { mode: "constant" });
      return toBack(d, x, conv(transpose(d, padded, [0, 2, 1]), [0, 0]));
    }
  }
};

const bent = (d: Draft, name: string) => d.b.one(d.r.pick(["Relu", "Tanh", "Elu", "Sigmoid"]), [name]);

/** Two of them with something nonlinear between, and a skip: a block of a TCN. */
const block: Piece = (d, x) => {
  const y = mixing(d, same(x, bent(d, mixing(d, x).name)));
  return same(x, bent(d, d.b.one("Add", [x.name, y.name])));
};

/** Padded once, then valid, the skip cut to the end. */
const padOnce: Piece = (d, x) => {
  const windows = Array.from({ length: d.r.int(1, 3) }, () => windowOf(d));
  const whole = windows.reduce((sum, { reach }) => sum + reach, 0);
  let y = around(d, toFront(d, x), whole, 0);
  for (const { taps, reach, attributes } of windows) {
    const next = bent(d, d.b.one("Conv", filtering(d, y, x.channels, taps), attributes));
    const skip = d.r.chance(0.5) ? slice(d, y, 2, reach, END) : undefined;
    y = skip === undefined ? next : d.b.one("Add", [next, skip]);
  }
  return toBack(d, x, d.r.chance(0.5) ? y : d.b.one("Add", [y, toFront(d, x)]));
};

/** Tanh times sigmoid of two halves: WaveNet. */
const gatedConv: Piece = (d, x) => {
  const { taps, reach, attributes } = windowOf(d);
  const filter = weights(d, [2 * x.channels, x.channels, taps], 1 / Math.sqrt(x.channels));
  const y = d.b.one("Conv", [toFront(d, x), filter], { ...attributes, pads: [reach, 0] });
  const [a, c] = split(d, y, 1, [x.channels, x.channels]);
  return toBack(d, x, d.b.one("Mul", [d.b.one("Tanh", [a!]), d.b.one("Sigmoid", [c!])]));
};

/** [batch, 1 or 2, n, channels]: taps along time and along the channels. */
const planes: Piece = (d, x) => {
  const [taps, wide, maps] = [d.r.int(1, 4), d.r.pick([1, 3]), d.r.int(1, 2)];
  const plane = unsqueeze(d, x.name, [1]);
  const half = (wide - 1) / 2;
  const own = d.r.chance(0.5);
  const pads = d.b.ints("pads", [0, 0, taps - 1, 0, 0, 0, 0, 0]);
  const data = own ? plane : d.b.one("Pad", [plane, pads], { mode: "constant" });
  const attributes = { kernel_shape: [taps, wide], pads: [own ? taps - 1 : 0, half, 0, half] };
  const y = bent(d, d.b.one("Conv", [data, weights(d, [maps, 1, taps, wide], 0.7)], attributes));
  const back = d.b.one("Conv", [y, weights(d, [1, maps, 1, 1])], { kernel_shape: [1, 1] });
  return same(x, squeeze(d, back, [1]));
};

/** Pooling of stride 1 over this position and some before it. */
const pooling: Piece = (d, x) => {
  const taps = d.r.pick([2, 3, 5]);
  const [op, attributes] = d.r.pick([
    ["MaxPool", {}],
    ["AveragePool", { count_include_pad: 1 }],
    ["AveragePool", {}],
    ["LpPool", { p: 2 }],
  ] as const);
  const shaped = { kernel_shape: [taps], strides: [1], ...attributes };
  const data = toFront(d, x);
  const counts = op === "LpPool" || Object.hasOwn(attributes, "count_include_pad");
  if (counts && d.r.chance(0.4)) return toBack(d, x, d.b.one(op, [around(d, data, taps - 1, 0)], shaped));
  return toBack(d, x, d.b.one(op, [data], { ...shaped, pads: [taps - 1, 0] }));
};

/** What ONNX Runtime's optimizer makes of a Conv, of what is added to it, and of its activation. */
export const fused =
  (after: number): Piece =>
  (d, x) => {
    const { taps, reach, attributes } = windowOf(d);
    const [activation, params] = d.r.pick([
      ["Relu", []],
      ["Tanh", []],
      ["Sigmoid", []],
      ["LeakyRelu", [0.25]],
      ["Clip", [-0.5, 0.5]],
      ["HardSigmoid", [0.25, 0.5]],
    ] as const);
    const data = toFront(d, x);
    const filter = weights(d, [x.channels, x.channels, taps], 1 / Math.sqrt(x.channels));
    const given = [data, filter, weights(d, [x.channels], 0.3), ...(d.r.chance(0.5) ? [data] : [])];
    const named = { activation, ...(params.length > 0 && { activation_params: { floats: params } }) };
    const pads = [reach - after, after];
    return toBack(d, x, d.b.one("FusedConv", given, { ...attributes, ...named, pads }, { domain: "com.microsoft" }));
  };

/** The first position repeated in front, or a number that is not zero. */
const otherEdge: Piece = (d, x) => {
  const { taps, reach, attributes } = windowOf(d, d.r.int(2, 3));
  const data = bent(d, toFront(d, x));
  const padded = d.r.chance(0.5) ? around(d, data, reach, 0, "edge") : around(d, data, reach, 0, "constant", 0.7);
  return toBack(d, x, d.b.one("Conv", filtering(d, padded, x.channels, taps), attributes));
};

/** This position times the one before; their difference; both side by side. */
const neighbours: Piece = (d, x) => {
  const by = d.r.pick([1, 1, 2]);
  const padded = d.b.one("Pad", [bent(d, x.name), d.b.ints("pads", [0, by, 0, 0, 0, 0])], { mode: "constant" });
  const [later, before] = [slice(d, padded, 1, by, END), slice(d, padded, 1, 0, -by)];
  if (d.r.chance(0.4)) {
    const both = { name: d.b.one("Concat", [later, before], { axis: 2 }), channels: 2 * x.channels };
    return linear(d, both, x.channels);
  }
  return same(x, d.b.one(d.r.pick(["Mul", "Sub", "Max"]), [later, before]));
};

/** Frames of the last positions as channels: a Conv of unit filters, then anything. */
const frames: Piece = (d, x) => {
  const taps = d.r.int(2, 4);
  const unit = Array.from({ length: x.channels * taps * taps }, (_, i) => {
    const [filter, tap] = [Math.floor(i / taps), i % taps];
    return filter % taps === tap ? 1 : 0;
  });
  const filter = d.b.floats("unit", [x.channels * taps, 1, taps], unit);
  const attributes = { kernel_shape: [taps], group: x.channels, pads: [taps - 1, 0] };
  const y = d.b.one("Conv", [toFront(d, x), filter], attributes);
  const framed = reshape(d, y, [batchOf(d, x), x.channels, taps, lengthOf(d, x)]);
  const most = d.b.one("Softmax", [framed], { axis: 2 });
  const mean = d.b.one("Einsum", [most, framed], { equation: "bctn,bctn->bnc" });
  return same(x, mean);
};

/** Normalised over channels between two of them. */
const normalised: Piece = (d, x) => {
  const scale = d.b.floats("scale", [x.channels], new Array(x.channels).fill(1));
  const y = mixing(d, x).name;
  const attributes = { axis: -1, epsilon: { float: 1e-2 } };
  return mixing(d, same(x, d.b.one("LayerNormalization", [y, scale, weights(d, [x.channels], 0.1)], attributes)));
};

/** All of these are carried. */
export const REACH: Readonly<Record<string, Piece>> = {
  mixing,
  block,
  padOnce,
  gatedConv,
  planes,
  pooling,
  fused: fused(0),
  otherEdge,
  neighbours,
  frames,
  normalised,
};
