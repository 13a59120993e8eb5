/** Spellings of published code: several kernels from one transform, channels in another order, positions merged with the batch. */
import { backward, complexProduct, forward } from "./convolutions.ts";
import {
  asScalar,
  batchOf,
  type Draft,
  lengthOf,
  linear,
  type Piece,
  positions,
  reshape,
  same,
  scalar,
  slice,
  split,
  transpose,
  unsqueeze,
  weights,
} from "./draft.ts";
import { kernelOf } from "./kernels.ts";

const LAST = { onesided: true };

/** 2n, as a scalar. */
const doubled = (d: Draft, n: string): string => asScalar(d, d.b.one("Mul", [n, d.b.ints("two", [2])]));

/** The transform of a kernel [n, channels] over 2n points, [channels, points, 2]. */
const transformed = (d: Draft, n: string, channels: number): string =>
  forward(d, transpose(d, kernelOf(d, n, channels), [1, 0]), { size: doubled(d, n), axis: 1, ...LAST });

/** S4's `channels`: each channel answered by two kernels, which stand outermost or innermost. */
const severalKernels: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const place = { size: doubled(d, n), axis: 3, ...LAST };
  const innermost = d.r.chance(0.5);
  const at = innermost ? 2 : 1;
  const spectrum = forward(d, unsqueeze(d, transpose(d, x.name, [0, 2, 1]), [at]), place);
  const kernels = [0, 1].map(() => unsqueeze(d, transformed(d, n, x.channels), [at - 1]));
  const product = complexProduct(d, spectrum, d.b.one("Concat", kernels, { axis: at - 1 }));
  const y = slice(d, backward(d, product, place), 3, 0, n);
  const flat = transpose(d, reshape(d, y, [batchOf(d, x), 2 * x.channels, n]), [0, 2, 1]);
  return linear(d, { name: flat, channels: 2 * x.channels }, x.channels);
};

/** One transform, two convolutions: side by side, or one the gate of the other. */
const sharedTransform: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const place = { size: doubled(d, n), axis: 2, ...LAST };
  const spectrum = forward(d, transpose(d, x.name, [0, 2, 1]), place);
  const [first, second] = [0, 1].map(() => {
    const product = complexProduct(d, spectrum, transformed(d, n, x.channels));
    return transpose(d, slice(d, backward(d, product, place), 2, 0, n), [0, 2, 1]);
  }) as [string, string];
  if (d.r.chance(0.5)) return same(x, d.b.one("Mul", [first, d.b.one("Sigmoid", [second])]));
  const both = d.b.one("Concat", [first, second], { axis: 2 });
  return linear(d, { name: both, channels: 2 * x.channels }, x.channels);
};

/** The channels of the product, put together the other way round. */
const swappedChannels: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const place = { size: doubled(d, n), axis: 2, ...LAST };
  const spectrum = forward(d, transpose(d, x.name, [0, 2, 1]), place);
  const product = complexProduct(d, spectrum, transformed(d, n, x.channels));
  const half = Math.floor(x.channels / 2);
  const swapped = half
    ? d.b.one("Concat", split(d, product, 1, [half, x.channels - half]).reverse(), { axis: 1 })
    : product;
  return same(x, transpose(d, slice(d, backward(d, swapped, place), 2, 0, n), [0, 2, 1]));
};

/** A function of the position, alike in every channel or not, added where the batch is merged with the channels. */
const mergedChannels: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const rows = d.b.one("Mul", [batchOf(d, x), d.b.ints("channels", [x.channels])]);
  const waves = d.b.one("Cos", [d.b.one("Mul", [positions(d, n), scalar(d, 0.3)])]);
  const expanded = () => {
    const sizes = d.b.one("Concat", [batchOf(d, x), d.b.ints("channels", [x.channels]), n], { axis: 0 });
    const wide = d.b.one("Mul", [unsqueeze(d, waves, [0, 1]), weights(d, [1, x.channels, 1])]);
    return reshape(d, d.b.one("Expand", [wide, sizes]), [rows, n]);
  };
  const flat = reshape(d, transpose(d, x.name, [0, 2, 1]), [rows, n]);
  const sum = d.b.one("Add", [flat, d.r.chance(0.5) ? waves : expanded()]);
  return same(x, transpose(d, reshape(d, sum, [batchOf(d, x), x.channels, n]), [0, 2, 1]));
};

/** Rows for each position, repeated for every sequence, where the batch is merged with the time. */
const tiledRows: Piece = (d, x) => {
  const n = lengthOf(d, x);
  const rows = d.b.one("Sin", [d.b.one("Mul", [unsqueeze(d, positions(d, n), [1]), weights(d, [1, x.channels])])]);
  const repeats = d.b.one("Concat", [batchOf(d, x), d.b.ints("once", [1])], { axis: 0 });
  const flat = reshape(d, x.name, [d.b.one("Mul", [batchOf(d, x), n]), x.channels]);
  const sum = d.b.one("Add", [flat, d.b.one("Tile", [rows, repeats])]);
  return same(x, reshape(d, sum, [batchOf(d, x), n, x.channels]));
};

export const SPELLINGS: Readonly<Record<string, Piece>> = { severalKernels, sharedTransform, swappedChannels };

/** These use the absolute position. */
export const SPELT_POSITIONS: Readonly<Record<string, Piece>> = { mergedChannels, tiledRows };
