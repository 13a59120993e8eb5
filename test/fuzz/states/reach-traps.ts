/** Windows with something wrong in them: they look ahead, run at another rate, or see the whole sequence. */
import {
  type Draft,
  END,
  lengthOf,
  type Piece,
  reduce,
  same,
  scalar,
  slice,
  squeeze,
  toBack,
  toFront,
  transpose,
  unsqueeze,
  weights,
} from "../draft.ts";
import { lengthAsFloat } from "../kernels.ts";
import { differsAt } from "../overclaims/overclaim.ts";
import { around, filtering, fused, windowOf } from "./reach.ts";

const bent = (d: Draft, name: string) => d.b.one(d.r.pick(["Relu", "Tanh", "Elu"]), [name]);

/** A Conv over all channels whose padding is on the wrong side, at least in part. */
const conv =
  (padded: (d: Draft, data: string, reach: number) => string | readonly [string, readonly [number, number]]): Piece =>
  (d, x) => {
    const { taps, reach, attributes } = windowOf(d);
    const made = padded(d, d.r.chance(0.5) ? bent(d, toFront(d, x)) : toFront(d, x), reach);
    const [data, pads] = typeof made === "string" ? [made, [0, 0] as const] : made;
    return toBack(d, x, d.b.one("Conv", filtering(d, data, x.channels, taps), { ...attributes, pads: [...pads] }));
  };

const centred = conv((_, data, reach) => [data, [Math.floor(reach / 2), reach - Math.floor(reach / 2)]]);
const centredByPad = conv((d, data, reach) => around(d, data, Math.floor(reach / 2), reach - Math.floor(reach / 2)));
const oneTooFew = conv((_, data, reach) => [data, [reach - 1, 1]]);
const behind = conv((d, data, reach) => around(d, data, 0, reach));
const edgeBehind = conv((d, data, reach) => around(d, data, reach - 1, 1, "edge"));
const reflected = conv((d, data, reach) => around(d, data, reach, 0, "reflect"));
const wrapped = conv((d, data, reach) => {
  if (d.b.opset >= 19) return around(d, data, reach, 0, "wrap");
  return d.b.one("Concat", [slice(d, data, 2, -reach, END), data], { axis: 2 });
});
/** Padded on both sides, and the wrong end cut off. */
const choppedInFront: Piece = (d, x) => {
  const { taps, reach, attributes } = windowOf(d);
  const y = d.b.one("Conv", filtering(d, toFront(d, x), x.channels, taps), { ...attributes, pads: [reach, reach] });
  return toBack(d, x, slice(d, y, 2, reach, d.r.chance(0.5) ? END : 5000));
};
const sameUpper: Piece = (d, x) => {
  const attributes = { kernel_shape: [3], auto_pad: d.r.pick(["SAME_UPPER", "SAME_LOWER"]) };
  return toBack(d, x, d.b.one("Conv", filtering(d, toFront(d, x), x.channels, 3), attributes));
};

/** A chain of two, the second of which is padded a position too little, and the end filled up. */
const chainTooShort: Piece = (d, x) => {
  const first = windowOf(d);
  const y = around(d, toFront(d, x), first.reach + 1, 1);
  const once = bent(d, d.b.one("Conv", filtering(d, y, x.channels, first.taps), first.attributes));
  return toBack(d, x, d.b.one("Conv", filtering(d, once, x.channels, 3), { kernel_shape: [3] }));
};

/** A skip that is behind its own position, so that the sum is ahead of one and behind another. */
const skipAhead: Piece = (d, x) => {
  const { taps, reach, attributes } = windowOf(d);
  const padded = around(d, toFront(d, x), reach, reach);
  const y = bent(d, d.b.one("Conv", filtering(d, padded, x.channels, taps), attributes));
  const ahead = slice(d, padded, 2, reach, END);
  return toBack(d, x, slice(d, d.b.one("Add", [y, ahead]), 2, reach, END));
};

const pool =
  (op: string, attributes: Record<string, number>, pads: readonly [number, number]): Piece =>
  (d, x) => {
    const shaped = { kernel_shape: [3], strides: [1], pads: [...pads], ...attributes };
    return toBack(d, x, d.b.one(op, [bent(d, toFront(d, x))], shaped));
  };

/** Half of the positions, each twice. */
const halfRate: Piece = (d, x) => {
  const data = toFront(d, x);
  const half = d.r.chance(0.5)
    ? d.b.one("Conv", filtering(d, data, x.channels, 2), { kernel_shape: [2], strides: [2], pads: [0, 1] })
    : d.b.one("MaxPool", [data], { kernel_shape: [2], strides: [2], pads: [0, 1] });
  const twice = d.b.one("Resize", [half, "", d.b.floats("scales", [3], [1, 1, 2])], { mode: "nearest" });
  return toBack(d, x, slice(d, twice, 2, 0, lengthOf(d, x)));
};

/** Planes whose taps along time are centred. */
const planesAhead: Piece = (d, x) => {
  const attributes = {
    kernel_shape: [3, 1],
    pads: d.r.pick([
      [1, 0, 1, 0],
      [0, 0, 2, 0],
    ]),
  };
  const y = d.b.one("Conv", [unsqueeze(d, x.name, [1]), weights(d, [1, 1, 3, 1])], attributes);
  return same(x, squeeze(d, y, [1]));
};

/** [batch, n, channels] read as a plane the other way round: the dense axis is time. */
const planesAcross: Piece = (d, x) => {
  const plane = unsqueeze(d, transpose(d, x.name, [0, 2, 1]), [1]);
  const y = d.b.one("Conv", [plane, weights(d, [1, 1, 1, 3])], { kernel_shape: [1, 3], pads: [0, 1, 0, 1] });
  return same(x, transpose(d, squeeze(d, y, [1]), [0, 2, 1]));
};

const later: Piece = (d, x) => {
  const padded = d.b.one("Pad", [bent(d, x.name), d.b.ints("pads", [0, 0, 0, 0, 1, 0])], { mode: "constant" });
  const [own, next] = [slice(d, padded, 1, 0, -1), slice(d, padded, 1, 1, END)];
  return same(x, d.b.one(d.r.pick(["Mul", "Sub", "Max"]), [own, next]));
};

/** Groups of channels normalised over all positions, by the operator or written out. */
const groupNorm: Piece = (d, x) => {
  const data = toFront(d, x);
  const groups = x.channels % 2 === 0 ? 2 : 1;
  const ones = (size: number) => d.b.floats("ones", [size], new Array(size).fill(1));
  if (d.b.opset >= 21 && d.r.chance(0.5)) {
    const y = d.b.one("GroupNormalization", [data, ones(x.channels), weights(d, [x.channels], 0.1)], {
      num_groups: groups,
    });
    return toBack(d, x, y);
  }
  const grouped = d.b.one("Reshape", [data, d.b.ints("groups", [0, groups, -1])]);
  const zeros = d.b.floats("zeros", [groups], new Array(groups).fill(0));
  const y = d.b.one("InstanceNormalization", [grouped, ones(groups), zeros]);
  return toBack(d, x, d.b.one("Reshape", [y, d.b.one("Shape", [data])]));
};

/** A layer norm whose axes are time and channels. */
const layerNormOverTime: Piece = (d, x) => {
  if (d.length !== undefined) {
    const size = d.length * x.channels;
    const scale = d.b.floats("scale", [d.length, x.channels], new Array(size).fill(1));
    return same(x, d.b.one("LayerNormalization", [x.name, scale], { axis: 1 }));
  }
  const scale = d.b.one("ConstantOfShape", [lengthOf(d, x)], {
    value: { tensor: { type: 1, dims: [1], data: new Float32Array([1]) } },
  });
  return toBack(d, x, d.b.one("LayerNormalization", [toFront(d, x), scale], { axis: -1, epsilon: { float: 1e-2 } }));
};

/** A transposed convolution reads backwards from the end of what it makes. */
const transposed: Piece = (d, x) => {
  const y = d.b.one("ConvTranspose", [toFront(d, x), weights(d, [x.channels, x.channels, 3])], { kernel_shape: [3] });
  const from = d.r.int(1, 2);
  return toBack(d, x, slice(d, y, 2, from, from === 2 ? END : -1));
};

const scaled =
  (piece: Piece): Piece =>
  (d, x) =>
    same(x, d.b.one("Add", [x.name, d.b.one("Mul", [piece(d, x).name, scalar(d, 0.5)])]));

/** Padded with a number of the length, or with one that grows with it late. */
const paddedByLength: Piece = (d, x) => {
  const n = lengthAsFloat(d, lengthOf(d, x));
  const from = d.r.pick([40, 300, 900]);
  differsAt(d, from + 1);
  const late = d.b.one("Cast", [d.b.one("Greater", [n, scalar(d, from)])], { to: 1 });
  const value = d.r.chance(0.4) ? d.b.one("Div", [scalar(d, 8), n]) : d.b.one("Add", [late, scalar(d, 0.5)]);
  const { taps, reach, attributes } = windowOf(d);
  const pads = d.b.ints("pads", [0, 0, reach, 0, 0, 0]);
  const padded = d.b.one("Pad", [bent(d, toFront(d, x)), pads, value], { mode: "constant" });
  return toBack(d, x, d.b.one("Conv", filtering(d, padded, x.channels, taps), attributes));
};

/** A bias, or a filter, that is a number of the length: always, or from some length on. */
const weighedByLength: Piece = (d, x) => {
  const n = lengthAsFloat(d, lengthOf(d, x));
  const from = d.r.pick([40, 300, 900]);
  differsAt(d, from + 1);
  const late = d.b.one("Cast", [d.b.one("Greater", [n, scalar(d, from)])], { to: 1 });
  const factor = d.r.chance(0.4) ? d.b.one("Div", [scalar(d, 8), n]) : d.b.one("Add", [late, scalar(d, 1)]);
  const { taps, reach, attributes } = windowOf(d);
  const filter = weights(d, [x.channels, x.channels, taps], 1 / Math.sqrt(x.channels));
  const bias = weights(d, [x.channels], 0.3);
  const by = (name: string) => d.b.one("Mul", [name, factor]);
  const inputs = d.r.chance(0.5) ? [by(filter), bias] : [filter, by(bias)];
  return toBack(d, x, d.b.one("Conv", [bent(d, toFront(d, x)), ...inputs], { ...attributes, pads: [reach, 0] }));
};

/** Padded with the first position, but after something has looked at the last. */
const edgeOfAll: Piece = (d, x) => {
  const { taps, reach, attributes } = windowOf(d);
  const data = toFront(d, x);
  const first = d.r.chance(0.5) ? slice(d, data, 2, -1, END) : reduce(d, "ReduceMean", data, [2]);
  const before = Array.from({ length: reach }, () => first);
  const padded = d.b.one("Concat", [...before, data], { axis: 2 });
  return toBack(d, x, d.b.one("Conv", filtering(d, padded, x.channels, taps), attributes));
};

export const REACH_TRAPS: Readonly<Record<string, Piece>> = {
  centred,
  centredByPad,
  oneTooFew,
  behind,
  edgeBehind,
  reflected,
  wrapped,
  choppedInFront,
  sameUpper,
  chainTooShort,
  skipAhead,
  maxAhead: pool("MaxPool", {}, [1, 1]),
  meanAhead: pool("AveragePool", { count_include_pad: 1 }, [0, 2]),
  meanWithoutPaddingAhead: pool("AveragePool", {}, [1, 1]),
  fusedAhead: fused(1),
  normAhead: pool("LpPool", { p: 2 }, [1, 1]),
  poolSame: (d, x) => toBack(d, x, d.b.one("MaxPool", [toFront(d, x)], { kernel_shape: [3], auto_pad: "SAME_UPPER" })),
  halfRate,
  planesAhead,
  planesAcross,
  later,
  groupNorm,
  layerNormOverTime,
  transposed,
  paddedByLength,
  weighedByLength,
  edgeOfAll,
  scaledCentred: scaled(centred),
};
