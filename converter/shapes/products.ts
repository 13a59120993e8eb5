/** Shapes of sums of products: contractions, convolutions, pooling, transforms, recurrent networks. */
import { fromFront } from "../graph/axis.ts";
import { broadcast, type Known, listOf, type ShapeRule, withAxis } from "./known.ts";
import type { Numbers } from "./values.ts";

export const MatMul: ShapeRule = ([a, b]) => {
  const [x, y] = [a?.dims, b?.dims];
  if (!x || !y || x.length < 2 || y.length < 2) return undefined;
  const batch = broadcast([x.slice(0, -2), y.slice(0, -2)]);
  return batch && [...batch, x.at(-2)!, y.at(-1)!];
};

export const Gemm: ShapeRule = ([a, b], { transA = 0, transB = 0 }) =>
  [a?.dims?.[transA ? 1 : 0], b?.dims?.[transB ? 0 : 1]].map((size) => size ?? Number.NaN);

/** The axis is an attribute before opset 20, and an input from then on. */
export const DFT: ShapeRule = ([data, length, axis], { axis: attribute = 1, onesided = 0, inverse = 0 }) => {
  const dims = data?.dims;
  if (!dims || (length && !length.values)) return undefined;
  const at = fromFront(axis?.values?.[0] ?? Number(attribute), dims.length);
  const size = length?.values?.[0] ?? dims[at] ?? 1;
  // back from half a spectrum: real numbers
  if (onesided && inverse) return withAxis(withAxis(dims, at, length ? size : 2 * (size - 1)), -1, 1);
  const points = withAxis(dims, at, onesided ? Math.floor(size / 2) + 1 : size);
  return withAxis(points, -1, 2);
};

export const Conv: ShapeRule = ([data, weights], { strides, pads, dilations, auto_pad = "NOTSET" }) => {
  const [x, w] = [data?.dims, weights?.dims];
  if (!x || !w || x.length !== w.length) return undefined;
  const [by, beside, apart] = [listOf(strides), listOf(pads), listOf(dilations)];
  const spatial = x.slice(2).map((dim, k) => {
    if (String(auto_pad).startsWith("SAME")) return Math.ceil(dim / (by?.[k] ?? 1));
    const around = (beside?.[k] ?? 0) + (beside?.[k + x.length - 2] ?? 0);
    return Math.max(0, Math.floor((dim + around - (w[k + 2]! - 1) * (apart?.[k] ?? 1) - 1) / (by?.[k] ?? 1)) + 1);
  });
  return [x[0]!, w[0]!, ...spatial];
};

/**
 * What an Einsum makes, pair by pair from the left, the result last: each is a product over the letters that are still asked for.
 * Empty where it is not followed.
 */
export function einsumShapes(inputs: readonly (Known | undefined)[], equation: string): readonly Numbers[] {
  const [left = "", right] = equation.replaceAll(" ", "").split("->");
  const terms = left.split(",").map((term) => [...term]);
  const sizes = new Map<string, number>();
  for (const [i, term] of terms.entries()) {
    const dims = inputs[i]?.dims;
    if (dims?.length !== term.length || term.some((letter) => !/[A-Za-z]/.test(letter))) return [];
    for (const [k, letter] of term.entries()) sizes.set(letter, Math.max(sizes.get(letter) ?? 1, dims[k]!));
  }
  const all = terms.flat();
  const once = [...new Set(all)].filter((letter) => all.indexOf(letter) === all.lastIndexOf(letter)).sort();
  const result = right === undefined ? once : [...right];
  return terms.map((_, i) => {
    const asked = new Set([...result, ...terms.slice(i + 1).flat()]);
    const made =
      i === terms.length - 1 ? result : [...new Set(terms.slice(0, i + 1).flat())].filter((l) => asked.has(l));
    return made.map((letter) => sizes.get(letter) ?? 1);
  });
}

export const Einsum: ShapeRule = (inputs, { equation }) =>
  einsumShapes(inputs, String(equation ?? "")).at(-1) ?? lettersOf(String(equation ?? ""));

/** As many axes as the result has letters, where nothing more is known. */
const lettersOf = (equation: string): Numbers | undefined =>
  /->\s*([a-zA-Z]*)\s*$/
    .exec(equation)?.[1]
    ?.split("")
    .map(() => Number.NaN);

/** As a convolution whose window is an attribute; the channels stay. */
export const Pool: ShapeRule = ([data], { kernel_shape, ...attributes }) => {
  const window = listOf(kernel_shape);
  if (!data?.dims || !window || window.length !== data.dims.length - 2) return undefined;
  const dims = [data.dims[1]!, 1, ...window];
  return Conv([data, { dims, values: undefined }], attributes, 0);
};

export const ConvTranspose: ShapeRule = ([data, weights], { strides, pads, dilations, output_padding, group = 1 }) => {
  const [x, w] = [data?.dims, weights?.dims];
  if (!x || !w || x.length !== w.length) return undefined;
  const [by, beside, apart, more] = [strides, pads, dilations, output_padding].map(listOf);
  const spatial = x.slice(2).map((dim, k) => {
    const around = (beside?.[k] ?? 0) + (beside?.[k + x.length - 2] ?? 0);
    return Math.max(
      0,
      (dim - 1) * (by?.[k] ?? 1) + (more?.[k] ?? 0) + (w[k + 2]! - 1) * (apart?.[k] ?? 1) + 1 - around,
    );
  });
  return [x[0]!, w[1]! * Number(group), ...spatial];
};

/** LSTM, GRU and RNN: the whole sequence, then the last state or states. */
export const Recurrent: ShapeRule = ([data, , recurrence], { layout = 0 }, at) => {
  const [x, r] = [data?.dims, recurrence?.dims];
  if (x?.length !== 3 || r?.length !== 3) return undefined;
  const [n, b] = layout ? [x[1]!, x[0]!] : [x[0]!, x[1]!];
  const [directions, hidden] = [r[0]!, r[2]!];
  if (at > 0) return layout ? [b, directions, hidden] : [directions, b, hidden];
  return layout ? [b, n, directions, hidden] : [n, directions, b, hidden];
};

export const STFT: ShapeRule = ([signal, step, window, length], { onesided = 1 }) => {
  const points = length?.values?.[0] ?? window?.dims?.[0];
  const by = step?.values?.[0];
  if (!signal?.dims || !points || !by) return undefined;
  const frames = Math.max(0, Math.floor((signal.dims[1]! - points) / by) + 1);
  return [signal.dims[0]!, frames, onesided ? Math.floor(points / 2) + 1 : points, 2];
};
