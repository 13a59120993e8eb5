/** Operators that move, cut or lengthen what they are given, where that has a batch in front. */
import { permOf } from "../graph/axis.ts";
import { toNumbers } from "../graph/tensor.ts";
import { again, alongAxes, alongAxis, type Row, shifted } from "./row.ts";

export const Concat: Row = (site) => site.node.inputs.every(site.isBatched) && alongAxis(0)(site);

export const Transpose: Row = (site) => {
  const { node, rankOf } = site;
  const rank = rankOf(node.inputs[0]!);
  if (rank === undefined) return false;
  return again(site, node.inputs, { perm: [0, ...permOf(node, rank).map((k) => k + 1)] });
};

/** The batch is copied: 0. */
export const Reshape: Row = (site) => {
  const { node, b, isBatched } = site;
  const [data, shape] = node.inputs as [string, string];
  if (!isBatched(data) || isBatched(shape) || node.attributes.allowzero) return false;
  return again(site, [data, b.one("Concat", [b.ints("batch", [0]), shape], { axis: 0 }, { hint: "shape" })]);
};

export const Expand: Row = (site) => {
  const { node, b, isBatched, rankOf, dimsOf } = site;
  const [data, shape] = node.inputs as [string, string];
  if (!isBatched(data) || isBatched(shape) || rankOf(data) !== dimsOf(shape)?.[0]) return false;
  return again(site, [data, b.one("Concat", [b.ints("batch", [1]), shape], { axis: 0 }, { hint: "shape" })]);
};

/** Rows of a table by ids with a batch; or places that are the same in every row. */
export const Gather: Row = (site) => {
  const { node, isBatched } = site;
  const [data, ids] = node.inputs as [string, string];
  const axis = Number(node.attributes.axis ?? 0);
  if (isBatched(data)) return !isBatched(ids) && again(site, node.inputs, { axis: shifted(axis) });
  return axis === 0 && again(site, node.inputs);
};

/** Sizes without that of the batch. */
export const Shape: Row = (site) => {
  const { node, b } = site;
  const all = b.one("Shape", [node.inputs[0]!], {}, { hint: "sizes" });
  const { start = 0, end } = node.attributes as { start?: number; end?: number };
  const to = end === undefined ? Number.MAX_SAFE_INTEGER : shifted(end);
  b.add("Slice", [all, b.ints("from", [shifted(start)]), b.ints("to", [to])], {}, { outputs: node.outputs });
  return true;
};

export const Slice: Row = (site) =>
  site.node.inputs.slice(1).every((name) => !name || !site.isBatched(name)) && alongAxes(3)(site);

export const Pad: Row = (site) => {
  const { node, b, constantOf, isBatched } = site;
  const pads = constantOf(node.inputs[1]!);
  if (!isBatched(node.inputs[0]!) || !pads || node.inputs[3]) return false;
  const values = [...toNumbers(pads)];
  const half = values.length / 2;
  const moved = b.ints("pads", [0, ...values.slice(0, half), 0, ...values.slice(half)]);
  return again(site, [node.inputs[0]!, moved, ...node.inputs.slice(2)]);
};

/** Once along the batch. */
export const Tile: Row = (site) => {
  const { node, b, isBatched } = site;
  const [data, repeats] = node.inputs as [string, string];
  if (!isBatched(data) || isBatched(repeats)) return false;
  return again(site, [data, b.one("Concat", [b.ints("batch", [1]), repeats], { axis: 0 }, { hint: "repeats" })]);
};

/** The triangle of the last two axes. */
export const Trilu: Row = (site) => site.isBatched(site.node.inputs[0]!) && again(site, site.node.inputs);
