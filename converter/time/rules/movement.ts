/** Operators that move values to another layout: pointwise along time as long as the time axis stays whole. */

import { fromFront } from "../../graph/axis.ts";
import { BATCH, type Dim, equal, isConstant, TIME } from "../facts/dim.ts";
import { type Axis, channelsIn, describeLayout, isChannelAxis, type Layout, timeAxis } from "../facts/fact.ts";
import { regroup, sizesOf } from "../facts/reshape.ts";
import {
  axesOf,
  type Context,
  type Family,
  integers,
  joined,
  mixes,
  numbers,
  type Operand,
  type Rule,
  refuses,
  type Verdict,
} from "../facts/rule.ts";

/** An axis of so many channels. */
export const channelAxis = (size: number): Axis => (size === 1 ? [] : [size]);

/** The answer for an operand that has no layout. */
export const unfollowed = (operand: Operand): Verdict =>
  operand.fact.kind === "shape"
    ? refuses("depends-on-length", `uses '${operand.name}', made of the batch size or the sequence length, as a value`)
    : mixes(`moves '${operand.name}', which depends on the sequence length in a way that is not followed`);

/** The answer for an operand that should be constant. */
export const unreadable = (what: string): Verdict =>
  refuses("unsupported-layout", `has ${what} that is computed in a way that is not understood`);

/** Why an axis that is not one of channels cannot be cut, padded or removed. */
export const cutUp = (axis: Axis, how: string): Verdict => {
  if (axis.includes("time")) return mixes(`${how} the time axis`);
  return axis.includes("keys") ? mixes(`${how} the keys`) : refuses("mixes-batch", `${how} the batch axis`);
};

/** https://onnx.ai/onnx/operators/onnx__Transpose.html */
const Transpose: Rule = ([data], { perm }) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const order = (perm as readonly number[] | undefined) ?? axes.map((_, k) => axes.length - 1 - k);
  return joined(
    [data],
    order.map((k) => axes[k]!),
  );
};

function toSizes(data: Operand, sizes: readonly bigint[], context: Context): Verdict {
  const axes = axesOf(data)!;
  const regrouped = regroup(axes, sizes, context.sizes);
  if (regrouped) return joined([data], regrouped);
  if (data.fact.kind !== "stream") return refuses("unsupported-layout", `reshapes ${describeLayout(axes)}`);
  return mixes(`reshapes ${describeLayout(axes)} so that the time axis is cut up`);
}

/** https://onnx.ai/onnx/operators/onnx__Reshape.html: 0 copies a dimension (unless allowzero), -1 is what remains. */
const Reshape: Rule = ([data, shape], { allowzero = 0 }, context) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const target = integers(shape);
  if (!target) return unreadable("a shape");
  const from = sizesOf(axes, context.sizes);
  const { batch, time } = context.sizes;
  const sizes = target.map((d, k) => {
    const [b, n] = [BigInt(batch), BigInt(time)];
    const size = BigInt(d.constant) + BigInt(d.batch) * b + BigInt(d.time) * n + BigInt(d.product) * b * n;
    return size === 0n && !allowzero ? (from[k] ?? 0n) : size;
  });
  const total = from.reduce((a, b) => a * b, 1n);
  const known = sizes.filter((size) => size !== -1n).reduce((a, b) => a * b, 1n);
  if (known === 0n) return refuses("unsupported-layout", "reshapes something that is empty");
  return toSizes(
    data!,
    sizes.map((size) => (size === -1n ? total / known : size)),
    context,
  );
};

/** https://onnx.ai/onnx/operators/onnx__Flatten.html */
const Flatten: Rule = ([data], { axis = 1 }, context) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const k = fromFront(Number(axis), axes.length);
  const sizes = sizesOf(axes, context.sizes);
  const product = (part: readonly bigint[]) => part.reduce((a, b) => a * b, 1n);
  return toSizes(data!, [product(sizes.slice(0, k)), product(sizes.slice(k))], context);
};

/** Axes that an operator is told by an input, by an attribute before opset 13, or not at all. */
function givenAxes(
  input: Operand | undefined,
  attribute: unknown,
): { given: readonly number[] | undefined } | undefined {
  const given = input ? numbers(input) : (attribute as readonly number[] | undefined);
  return input && !given ? undefined : { given };
}

/** https://onnx.ai/onnx/operators/onnx__Squeeze.html */
const Squeeze: Rule = ([data, axesInput], { axes: axesAttribute }, context) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const read = givenAxes(axesInput, axesAttribute);
  if (!read) return unreadable("axes");
  if (!read.given && axes.some((axis) => !isChannelAxis(axis)))
    return refuses(
      "unsupported-layout",
      `removes every axis of size 1 from ${describeLayout(axes)}, the time axis too where one position is given`,
      "Name the axes: squeeze(dim) instead of squeeze().",
    );
  const over = read.given
    ? read.given.map((axis) => fromFront(axis, axes.length))
    : axes.flatMap((axis, k) => (axis.length ? [] : [k]));
  const rest = axes.filter((_, k) => !over.includes(k));
  const symbolic = over.map((k) => axes[k]!).find((axis) => axis.length > 0);
  if (!symbolic) return joined([data], rest);
  // a fixed batch of one stays a factor of another axis
  const regrouped = context.fixed && regroup(axes, sizesOf(rest, context.sizes), context.sizes);
  return regrouped ? joined([data], regrouped) : cutUp(symbolic, "removes");
};

/** https://onnx.ai/onnx/operators/onnx__Unsqueeze.html */
const Unsqueeze: Rule = ([data, axesInput], { axes: axesAttribute }) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const given = givenAxes(axesInput, axesAttribute)?.given;
  if (!given) return unreadable("axes");
  const rank = axes.length + given.length;
  const fresh = new Set(given.map((axis) => fromFront(axis, rank)));
  const rest = [...axes];
  return joined(
    [data],
    Array.from({ length: rank }, (_, k) => (fresh.has(k) ? [] : rest.shift()!)),
  );
};

/** The axis that a size makes; a number that is the length of a fixed export is the time unless there is one already. */
function axisOfDim(d: Dim, context: Context, hasTime: boolean): Axis | undefined {
  if (equal(d, TIME)) return ["time"];
  if (d.batch === 1 && !d.time && !d.product && !d.constant) return ["batch"];
  if (!isConstant(d)) return undefined;
  if (context.fixed && !hasTime && d.constant === context.sizes.time && d.constant !== 1) return ["time"];
  return channelAxis(d.constant);
}

/** Stretches axes of size 1 to the wanted sizes, aligned from the right; undefined keeps an axis. */
function stretch(data: Operand, axes: Layout, wanted: readonly (Dim | undefined)[], context: Context): Verdict {
  const rank = Math.max(axes.length, wanted.length);
  const hasTime = timeAxis(axes) >= 0;
  const result: Axis[] = [];
  for (let k = 0; k < rank; k++) {
    const own = axes[k - rank + axes.length] ?? [];
    const size = wanted[k - rank + wanted.length];
    if (own.length || !size) result.push(own);
    else {
      const axis = axisOfDim(size, context, hasTime);
      if (!axis) return mixes("repeats as often as neither the batch size nor the sequence length says");
      result.push(axis);
    }
  }
  return joined([data], result);
}

/** https://onnx.ai/onnx/operators/onnx__Expand.html */
const Expand: Rule = ([data, shape], _attributes, context) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const target = integers(shape);
  return target ? stretch(data!, axes, target, context) : unreadable("a shape");
};

/** https://onnx.ai/onnx/operators/onnx__Tile.html */
const Tile: Rule = ([data, repeats], _attributes, context) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const counts = integers(repeats);
  if (!counts) return mixes("repeats by amounts that are not understood");
  const result = [...axes];
  for (const [k, count] of counts.entries()) {
    const axis = axes[k]!;
    if (isConstant(count) && count.constant === 1) continue;
    if (axis.length === 0) continue;
    // as often as there are sequences: all of it one after the other
    if (equal(count, BATCH) && !axes.flat().includes("batch")) {
      result[k] = ["batch", ...axis];
      continue;
    }
    if (!isChannelAxis(axis)) return cutUp(axis, "repeats");
    if (!isConstant(count)) return mixes("repeats channels as often as the length says");
    result[k] = channelAxis(channelsIn(axis) * count.constant);
  }
  return stretch(data!, result, counts, context);
};

/** Between [batch, channels, height, width] and blocks of height and width in the channels. */
const blocks =
  (deeper: boolean): Rule =>
  ([data], { blocksize }) => {
    const axes = axesOf(data!);
    if (!axes) return unfollowed(data!);
    const [first, ...rest] = axes;
    const symbolic = rest.find((axis) => !isChannelAxis(axis));
    if (symbolic) return cutUp(symbolic, "rearranges");
    const size = Number(blocksize);
    const [channels, height, width] = rest.map(channelsIn);
    const factor = deeper ? 1 / size : size;
    const made = [channels! / factor ** 2, height! * factor, width! * factor];
    return joined([data], [first!, ...made.map(channelAxis)]);
  };

export const MOVEMENT: Family = {
  title: "Layout",
  pointwise: "where the time axis stays whole",
  otherwise: "a convolution may begin (a layout that cuts up the time axis)",
  rules: {
    Transpose,
    Reshape,
    Flatten,
    Squeeze,
    Unsqueeze,
    Expand,
    Tile,
    DepthToSpace: blocks(false),
    SpaceToDepth: blocks(true),
  },
};
