/** Reductions, running sums and sorting over axes: pointwise along time when time is not among them. */

import { fromFront } from "../../graph/axis.ts";
import { type Axis, isChannelAxis, type Layout } from "../facts/fact.ts";
import {
  allOutputs,
  axesOf,
  type Family,
  joined,
  mixes,
  numbers,
  type Rule,
  refuses,
  type Verdict,
} from "../facts/rule.ts";
import { channelAxis, cutUp, unfollowed, unreadable } from "./movement.ts";

/** Why these axes cannot be reduced position by position, if so. */
export function refusedOver(axes: Layout, over: readonly number[], what: string): Verdict | undefined {
  const symbolic = over.map((k) => axes[k]!).filter((axis) => !isChannelAxis(axis));
  if (symbolic.some((axis) => axis.includes("time"))) return mixes(`${what} over the time axis`);
  if (symbolic.some((axis) => axis.includes("keys"))) return mixes(`${what} over the keys`);
  return symbolic.length ? refuses("mixes-batch", `${what} over the batch axis`) : undefined;
}

/** Reduces axes; with `keepdims` they stay, of size 1. */
function reduced(axes: Layout, over: readonly number[], keepdims: unknown): Layout {
  const kept: Axis[] = [];
  for (const [k, axis] of axes.entries()) {
    if (!over.includes(k)) kept.push(axis);
    else if (keepdims) kept.push([]);
  }
  return kept;
}

/** https://onnx.ai/onnx/operators/onnx__ReduceSum.html and its sisters; axes are an input from opset 13 or 18 on. */
const reduce: Rule = ([data, axesInput], { axes: axesAttribute, keepdims = 1, noop_with_empty_axes = 0 }) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const given = axesInput ? numbers(axesInput) : (axesAttribute as readonly number[] | undefined);
  if (axesInput && !given) return unreadable("axes");
  const all = axes.map((_, k) => k);
  const over = given?.length ? given.map((axis) => fromFront(axis, axes.length)) : noop_with_empty_axes ? [] : all;
  return refusedOver(axes, over, "reduces") ?? joined([data], reduced(axes, over, keepdims));
};

/** https://onnx.ai/onnx/operators/onnx__ArgMax.html */
const argument: Rule = ([data], { axis = 0, keepdims = 1 }) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const over = [fromFront(Number(axis), axes.length)];
  return refusedOver(axes, over, "picks the largest") ?? joined([data], reduced(axes, over, keepdims));
};

/** https://onnx.ai/onnx/operators/onnx__CumSum.html */
const cumulative: Rule = ([data, axisInput]) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const axis = numbers(axisInput)?.[0];
  if (axis === undefined) return unreadable("an axis");
  return refusedOver(axes, [fromFront(axis, axes.length)], "sums") ?? joined([data], axes);
};

/** https://onnx.ai/onnx/operators/onnx__TopK.html */
const TopK: Rule = ([data, count], { axis = -1 }) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const over = fromFront(Number(axis), axes.length);
  const refusal = refusedOver(axes, [over], "sorts");
  if (refusal) return refusal;
  const k = numbers(count)?.[0];
  if (k === undefined) return unreadable("a number of entries");
  const kept = axes.map((own, i) => (i === over ? channelAxis(k) : own));
  return allOutputs([data], [kept, kept]);
};

/** https://onnx.ai/onnx/operators/onnx__Det.html: of square matrices in the last two axes. */
const Det: Rule = ([data]) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const symbolic = axes.slice(-2).find((axis) => !isChannelAxis(axis));
  return symbolic ? cutUp(symbolic, "takes the determinant over") : joined([data], axes.slice(0, -2));
};

const REDUCTIONS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"];

export const REDUCTION: Family = {
  title: "Reductions",
  pointwise: "where time is not among the reduced axes",
  otherwise: "a convolution may begin: a running sum, a mean over the whole sequence",
  rules: {
    ...Object.fromEntries(REDUCTIONS.map((name) => [`Reduce${name}`, reduce])),
    ArgMax: argument,
    ArgMin: argument,
    CumSum: cumulative,
    CumProd: cumulative,
    TopK,
    Det,
  },
};
