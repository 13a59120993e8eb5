/** Pooling and resampling of [batch, channels, …spatial]: pointwise along time where time is not among the resized axes. */

import { fromFront } from "../../graph/axis.ts";
import { equal, evaluate, isConstant } from "../facts/dim.ts";
import { type Axis, channelsIn, isChannelAxis, type Layout } from "../facts/fact.ts";
import { axesOf, type Family, integers, joined, numbers, type Rule, refuses } from "../facts/rule.ts";
import { windowed } from "./convolution.ts";
import { channelAxis, cutUp, unfollowed, unreadable } from "./movement.ts";
import { refusedOver } from "./reduction.ts";
import { dimOfAxis } from "./shape.ts";

/** https://onnx.ai/onnx/operators/onnx__AveragePool.html and its sisters: windows of each channel. */
const pool: Rule = ([data], attributes, _context, outputs) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  if (outputs > 1) return refuses("unsupported-layout", "gives places in the flattened input");
  const found = windowed(axes, attributes.kernel_shape as readonly number[], attributes, "pools along");
  return "spatial" in found ? joined([data], [...axes.slice(0, 2), ...found.spatial]) : found;
};

/** https://onnx.ai/onnx/operators/onnx__GlobalAveragePool.html and its sisters: over all spatial axes. */
const poolAll: Rule = ([data]) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const over = axes.map((_, k) => k).slice(2);
  return (
    refusedOver(axes, over, "pools") ??
    joined(
      [data],
      axes.map((axis, k) => (k < 2 ? axis : [])),
    )
  );
};

/** https://onnx.ai/onnx/operators/onnx__Resize.html: batch and time must keep their size, then they keep their values. */
const Resize: Rule = ([data, , scales, sizes], attributes, context) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const { axes: some, coordinate_transformation_mode: mode, keep_aspect_ratio_policy: policy = "stretch" } = attributes;
  if (mode === "tf_crop_and_resize" || policy !== "stretch")
    return refuses("unsupported-layout", "resizes in a way that is not followed");
  const over = (some as readonly number[] | undefined)?.map((k) => fromFront(k, axes.length)) ?? axes.map((_, k) => k);
  const [factors, targets] = [scales && numbers(scales), sizes && integers(sizes)];
  if (!factors?.length && !targets) return unreadable("sizes");
  const result: Axis[] = [...axes];
  for (const [i, k] of over.entries()) {
    const axis = axes[k]!;
    if (!isChannelAxis(axis)) {
      const own = dimOfAxis(axis);
      const target = targets?.[i];
      const stays = target
        ? own &&
          (equal(target, own) || (context.fixed && evaluate(target, context.sizes) === evaluate(own, context.sizes)))
        : factors![i] === 1;
      if (!stays) return cutUp(axis, "resizes");
    } else if (targets) {
      if (!isConstant(targets[i]!))
        return refuses("depends-on-length", "resizes channels to a size made of the length");
      result[k] = channelAxis(targets[i]!.constant);
    } else result[k] = channelAxis(Math.floor(channelsIn(axis) * factors![i]!));
  }
  return joined([data], result as Layout);
};

export const POOLING: Family = {
  title: "Pooling and resampling",
  pointwise: "where time is no spatial axis, or its window is one position",
  otherwise: "a convolution may begin; it is probed, and refused where it is none",
  rules: {
    AveragePool: pool,
    MaxPool: pool,
    LpPool: pool,
    GlobalAveragePool: poolAll,
    GlobalMaxPool: poolAll,
    GlobalLpPool: poolAll,
    Resize,
  },
};
