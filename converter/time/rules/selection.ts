/** Operators that cut out, join and pad: pointwise along time where they do so among channels. */

import { fromFront } from "../../graph/axis.ts";
import { type Dim, dim, equal, isConstant, subtract, TIME } from "../facts/dim.ts";
import { type Axis, axisSize, channelsIn, describeLayout, isChannelAxis } from "../facts/fact.ts";
import {
  allOutputs,
  axesOf,
  type Context,
  type Family,
  integers,
  joined,
  mixes,
  numbers,
  type Rule,
  refuses,
} from "../facts/rule.ts";
import { layoutsOf, meetAxes } from "./broadcast.ts";
import { channelAxis, cutUp, unfollowed, unreadable } from "./movement.ts";
import { dimOfAxis } from "./shape.ts";

/** What "to the end" is where the size of an axis is not known: numpy and PyTorch write 2^31-1 or 2^63-1. */
const TO_THE_END = 2 ** 31 - 1;

/** Whether a slice takes an axis of batch or time from its first entry to its last, at any size. */
function isWhole(axis: Axis, start: Dim, end: Dim, step: number, { sizes, fixed }: Context): boolean {
  if (step !== 1 || !isConstant(start)) return false;
  const size = axisSize(axis, sizes);
  if (start.constant !== 0 && !(fixed && start.constant <= -size) && start.constant > -TO_THE_END) return false;
  if (isConstant(end)) return end.constant >= (fixed ? size : TO_THE_END);
  const whole = dimOfAxis(axis);
  const beyond = whole && subtract(end, whole);
  return beyond !== undefined && Object.values(beyond).every((coefficient) => coefficient >= 0);
}

/** x[:, -1:]: from the last position to the end. */
const isLast = (start: Dim, end: Dim, step: number): boolean =>
  step === 1 &&
  (equal(start, dim(-1)) || equal(start, subtract(TIME, dim(1)))) &&
  (equal(end, TIME) || (isConstant(end) && end.constant >= TO_THE_END));

/** https://onnx.ai/onnx/operators/onnx__Slice.html */
const Slice: Rule = ([data, starts, ends, axesInput, steps], _attributes, context) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const [from, to] = [integers(starts), integers(ends)];
  if (!from || !to) return mixes("slices at places that are not understood");
  const over = axesInput ? numbers(axesInput) : from.map((_, k) => k);
  const by = steps ? numbers(steps) : from.map(() => 1);
  if (!over || !by) return unreadable("axes or steps");
  const result = [...axes];
  for (const [i, raw] of over.entries()) {
    const k = fromFront(raw, axes.length);
    const [axis, start, end, step] = [axes[k]!, from[i]!, to[i]!, by[i]!];
    if (!isChannelAxis(axis)) {
      if (isWhole(axis, start, end, step, context)) continue;
      if (axis.join() === "time" && data!.fact.kind === "stream" && over.length === 1 && isLast(start, end, step)) {
        result[k] = [];
        return { outputs: [{ kind: "last", axes: result }] };
      }
      return cutUp(axis, step < 0 ? "reverses" : "slices");
    }
    if (step === 1 && isConstant(start) && start.constant === 0 && equal(end, TIME)) {
      // the first rows of a table: row i belongs to position i
      if (data!.fact.kind === "still")
        return refuses("absolute-position", "gives every position a row of an input that has no time axis");
      if (data!.fact.kind !== "constant") return mixes("slices rows that are not constant");
      result[k] = ["time"];
      continue;
    }
    const size = channelsIn(axis);
    if (!isConstant(start) || !isConstant(end))
      return mixes("slices channels at a place that depends on the sequence length");
    result[k] = channelAxis(sliceLength(size, start.constant, end.constant, step));
  }
  return joined([data], result);
};

function sliceLength(size: number, start: number, end: number, step: number): number {
  const place = (p: number, low: number, high: number) => Math.min(Math.max(p < 0 ? p + size : p, low), high);
  if (step > 0) return Math.max(0, Math.ceil((place(end, 0, size) - place(start, 0, size)) / step));
  const last = end < -size ? -1 : place(end, -1, size - 1);
  return Math.max(0, Math.ceil((last - place(start, 0, size - 1)) / step));
}

/** https://onnx.ai/onnx/operators/onnx__Concat.html */
const Concat: Rule = (inputs, { axis = 0 }, context) => {
  const found = layoutsOf(inputs);
  if (!("layouts" in found)) return found;
  const { layouts } = found;
  // one input alone is copied
  if (inputs.length === 1) return joined(inputs, layouts[0]!);
  const k = fromFront(Number(axis), layouts[0]!.length);
  const symbolic = layouts.map((axes) => axes[k]!).find((own) => !isChannelAxis(own));
  if (symbolic?.includes("time")) {
    const stream = inputs.findIndex((operand) => operand!.fact.kind === "stream");
    return mixes("joins along the time axis", Math.max(0, stream));
  }
  if (symbolic) return cutUp(symbolic, "joins along");
  const result: Axis[] = [];
  for (let i = 0; i < layouts[0]!.length; i++) {
    if (i === k) {
      result.push(channelAxis(layouts.reduce((sum, axes) => sum + channelsIn(axes[i]!), 0)));
      continue;
    }
    const met = meetAxes(
      layouts.map((axes) => axes[i]!),
      layouts,
      context,
    );
    if (!("axis" in met)) return met;
    result.push(met.axis);
  }
  return joined(inputs, result);
};

/** https://onnx.ai/onnx/operators/onnx__Split.html: equal parts, the last one smaller, where no sizes are given. */
const Split: Rule = ([data, sizesInput], { axis = 0 }, _context, outputs) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const k = fromFront(Number(axis), axes.length);
  if (!isChannelAxis(axes[k]!)) return cutUp(axes[k]!, "splits");
  const total = channelsIn(axes[k]!);
  const given = sizesInput && numbers(sizesInput);
  if (sizesInput && !given) return unreadable("sizes");
  const chunk = Math.ceil(total / outputs);
  const sizes = given ?? Array.from({ length: outputs }, (_, i) => Math.min(chunk, total - i * chunk));
  return allOutputs(
    [data],
    sizes.map((size) => axes.map((own, i) => (i === k ? channelAxis(size) : own))),
  );
};

/** https://onnx.ai/onnx/operators/onnx__Pad.html */
const Pad: Rule = ([data, pads, value, axesInput]) => {
  const found = layoutsOf([data, value]);
  if (!("layouts" in found)) return found;
  const [axes] = found.layouts;
  const amounts = integers(pads);
  if (!amounts) return mixes("pads by amounts that are not understood");
  const over = axesInput ? numbers(axesInput)?.map((axis) => fromFront(axis, axes!.length)) : axes!.map((_, k) => k);
  if (!over) return unreadable("axes");
  const result = [...axes!];
  for (const [i, k] of over.entries()) {
    const [before, after] = [amounts[i]!, amounts[i + over.length]!];
    if ([before, after].every((amount) => isConstant(amount) && amount.constant === 0)) continue;
    if (!isChannelAxis(axes![k]!)) return cutUp(axes![k]!, "pads");
    const size = channelsIn(axes![k]!);
    if (!isConstant(before) || !isConstant(after))
      return mixes("pads channels by an amount that depends on the sequence length");
    result[k] = channelAxis(size + before.constant + after.constant);
  }
  return joined([data, value], result);
};

/** https://onnx.ai/onnx/operators/onnx__Compress.html: by a constant condition, along an axis. */
const Compress: Rule = ([data, condition], { axis }) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const chosen = numbers(condition);
  if (!chosen) return refuses("depends-on-data", "keeps what a condition chooses, so its size depends on the data");
  if (axis === undefined) {
    const symbolic = axes.find((own) => !isChannelAxis(own));
    if (symbolic) return cutUp(symbolic, "flattens and cuts");
  }
  const k = axis === undefined ? 0 : fromFront(Number(axis), axes.length);
  if (!isChannelAxis(axes[k] ?? [])) return cutUp(axes[k]!, "picks from");
  const kept = channelAxis(chosen.filter((flag) => flag !== 0).length);
  return joined([data], axis === undefined ? [kept] : axes.map((own, i) => (i === k ? kept : own)));
};

/** https://onnx.ai/onnx/operators/onnx__OneHot.html: a new axis of `depth` entries. */
const OneHot: Rule = ([indices, depth, values], { axis = -1 }) => {
  const found = layoutsOf([indices, values]);
  if (!("layouts" in found)) return found;
  const size = numbers(depth)?.[0];
  if (size === undefined) return unreadable("a depth");
  const axes = [...found.layouts[0]!];
  axes.splice(fromFront(Number(axis), axes.length + 1), 0, channelAxis(size));
  return joined([indices, values], axes);
};

/** https://onnx.ai/onnx/operators/onnx__Trilu.html: keeps a triangle of the last two axes. */
const Trilu: Rule = ([data, diagonal]) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  if (diagonal && !numbers(diagonal)) return unreadable("a diagonal");
  const last = axes.slice(-2);
  if (last.some((axis) => axis.includes("time")))
    return refuses("absolute-position", `keeps other channels at each position: a triangle of ${describeLayout(last)}`);
  const symbolic = last.find((axis) => !isChannelAxis(axis));
  return symbolic ? cutUp(symbolic, "keeps a triangle of") : joined([data], axes);
};

/** https://onnx.ai/onnx/operators/onnx__EyeLike.html: of its input it takes the shape only. */
const EyeLike: Rule = () => ({ outputs: [{ kind: "position", axes: undefined }] });

export const SELECTION: Family = {
  title: "Selection",
  pointwise: "where what is cut, joined or padded are channels",
  otherwise: "a convolution may begin: a shift, a padding",
  rules: {
    Slice,
    Concat,
    Split,
    Pad,
    Compress,
    OneHot,
    Trilu,
    EyeLike,
  },
};
