/** Shapes of what is cut from tensors, put together of them, or laid out anew. */
import { fromFront } from "../graph/axis.ts";
import { listOf, numbersIn, type ShapeRule, withAxis } from "./known.ts";
import type { Numbers } from "./values.ts";

export const Split: ShapeRule = ([data, split], { axis = 0, split: attribute, num_outputs }, at, count = 1) => {
  if (!data?.dims || (split && !split.values)) return undefined;
  const size = data.dims[fromFront(Number(axis), data.dims.length)] ?? 1;
  const parts = split?.values ?? listOf(attribute);
  const each = Math.ceil(size / Number(num_outputs ?? count));
  return withAxis(data.dims, Number(axis), parts?.[at] ?? Math.min(each, size - each * at));
};

export const TopK: ShapeRule = ([data, k], { axis = -1 }) =>
  data?.dims && withAxis(data.dims, Number(axis), k?.values?.[0] ?? Number.NaN);

export const GatherND: ShapeRule = ([data, indices], { batch_dims = 0 }) => {
  const [x, at] = [data?.dims, indices?.dims];
  return x && at && [...at.slice(0, -1), ...x.slice(Number(batch_dims) + at.at(-1)!)];
};

export const Flatten: ShapeRule = ([data], { axis = 1 }) => {
  if (!data?.dims) return [Number.NaN, Number.NaN];
  const at = Number(axis) === data.dims.length ? data.dims.length : fromFront(Number(axis), data.dims.length);
  const product = (dims: Numbers) => dims.reduce((a, b) => a * b, 1);
  return [product(data.dims.slice(0, at)), product(data.dims.slice(at))];
};

export const Resize: ShapeRule = ([data, , scales, sizes]) =>
  sizes?.values ??
  data?.dims?.map((dim, k) => Math.floor(dim * (sizes ? Number.NaN : scales ? (scales.values?.[k] ?? Number.NaN) : 1)));
export const Upsample: ShapeRule = ([data, scales]) => Resize([data, undefined, scales], {}, 0);

export const Concat: ShapeRule = (inputs, { axis = 0 }) => {
  const shapes = inputs.map((each) => each?.dims);
  if (!shapes[0] || !shapes.every((dims) => dims?.length === shapes[0]!.length)) return undefined;
  const at = fromFront(Number(axis), shapes[0].length);
  const whole = shapes.reduce((sum, dims) => sum + (dims![at] ?? 0), 0);
  const known = (k: number) => shapes.map((dims) => dims![k]!).find((dim) => !Number.isNaN(dim)) ?? Number.NaN;
  return shapes[0].map((_, k) => (k === at ? whole : known(k)));
};

export const Gather: ShapeRule = ([data, indices], { axis = 0 }) => {
  if (!data?.dims || !indices?.dims) return undefined;
  const at = fromFront(Number(axis), data.dims.length);
  return [...data.dims.slice(0, at), ...indices.dims, ...data.dims.slice(at + 1)];
};

export const Reshape: ShapeRule = ([data, shape], { allowzero = 0 }) => {
  const wanted = numbersIn(shape);
  const [own, isCopied] = [data?.dims, (dim: number) => dim === 0 && !allowzero];
  const dims = wanted?.map((dim, k) => (isCopied(dim) ? (own?.[k] ?? Number.NaN) : dim));
  if (!dims?.includes(-1)) return dims;
  // what is copied leaves the rest as large as it was
  const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
  const whole = own && product(own.filter((_, k) => !isCopied(wanted![k] ?? -1)));
  const rest = product(dims.filter((dim, k) => dim !== -1 && !isCopied(wanted![k]!)));
  return dims.map((dim) => (dim === -1 ? (whole === undefined || rest === 0 ? Number.NaN : whole / rest) : dim));
};

export const Pad: ShapeRule = ([data, pads, , axes]) => {
  const [dims, by] = [data?.dims, pads?.values];
  const along = axes ? axes.values?.map((axis) => fromFront(axis, dims?.length ?? 0)) : dims?.map((_, k) => k);
  if (!by || !along || by.length !== 2 * along.length) return dims?.map(() => Number.NaN);
  return dims?.map((dim, k) => {
    const at = along.indexOf(k);
    return at < 0 ? dim : Math.max(0, dim + by[at]! + by[at + along.length]!);
  });
};

export const Unsqueeze: ShapeRule = ([data, axes]) => {
  if (!data?.dims || !axes?.values) return undefined;
  const rank = data.dims.length + axes.values.length;
  const added = new Set(axes.values.map((axis) => fromFront(axis, rank)));
  const rest = data.dims.values();
  return Array.from({ length: rank }, (_, k) => (added.has(k) ? 1 : (rest.next().value ?? 1)));
};

export const Squeeze: ShapeRule = ([data, axes]) => {
  if (!data?.dims || (axes && !axes.values)) return undefined;
  const gone = axes?.values?.map((axis) => fromFront(axis, data.dims!.length));
  if (!gone && data.dims.some(Number.isNaN)) return undefined;
  return data.dims.filter((dim, k) => (gone ? !gone.includes(k) : dim !== 1));
};

export const Slice: ShapeRule = ([data, starts, ends, axes, steps]) => {
  const [dims, from, to] = [data?.dims, numbersIn(starts), numbersIn(ends)];
  if (!dims) return undefined;
  const along = axes ? axes.values?.map((axis) => fromFront(axis, dims.length)) : from?.map((_, k) => k);
  if (!along || !from || !to) return dims.map(() => Number.NaN);
  const by = steps ? (numbersIn(steps) ?? [Number.NaN]) : [];
  const place = (at: number, dim: number) => Math.min(dim, Math.max(0, at < 0 ? at + dim : at));
  return dims.map((dim, k) => {
    const at = along.indexOf(k);
    if (at < 0) return dim;
    const step = by[at] ?? 1;
    if (!(step > 0)) return step === -1 && from[at] === -1 && to[at]! < -dim ? dim : Number.NaN;
    return Math.max(0, Math.ceil((place(to[at]!, dim) - place(from[at]!, dim)) / step));
  });
};

export const Transpose: ShapeRule = ([data], { perm }) =>
  data?.dims && (listOf(perm)?.map((k) => data.dims![k] ?? 1) ?? [...data.dims].reverse());

export const Tile: ShapeRule = ([data, repeats]) =>
  data?.dims?.map((dim, k) => dim * (repeats?.values ? (repeats.values[k] ?? 1) : Number.NaN));
