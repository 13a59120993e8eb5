/** Shapes of what is cut from tensors, put together of them, or laid out anew. */
import { fromFront } from "../graph/axis.ts";
import { listOf, type ShapeRule, withAxis } from "./known.ts";
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
