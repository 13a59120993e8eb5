/** Normalisations: pointwise along time when time is not among the axes over which they normalise. */

import { fromFront } from "../../graph/axis.ts";
import { isChannelAxis } from "../facts/fact.ts";
import {
  allOutputs,
  axesOf,
  type Context,
  type Family,
  joined,
  type Operand,
  type Rule,
  refuses,
  type Verdict,
} from "../facts/rule.ts";
import { unfit } from "./broadcast.ts";
import { cutUp, unfollowed, unreadable } from "./movement.ts";
import { refusedOver } from "./reduction.ts";

const WHAT = "normalises";

/** https://onnx.ai/onnx/operators/onnx__Softmax.html and its sisters from opset 13 on: over one axis, by default the last. */
export const alongAxis: Rule = ([data], { axis = -1 }) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  return refusedOver(axes, [fromFront(Number(axis), axes.length)], WHAT) ?? joined([data], axes);
};

/** Why scales and biases cannot stay as they are: they must be constants. */
export function notConstant(parameters: readonly (Operand | undefined)[]): Verdict | undefined {
  const other = parameters.find((parameter) => parameter && parameter.fact.kind !== "constant");
  return other && unreadable(`a parameter, '${other.name}',`);
}

/**
 * Normalises over the axes from `first` to the last and scales; outputs 1 and 2, where asked for, are the mean and the
 * deviation, with those axes of size 1.
 * @param sum the last of four outputs is the sum that is normalised, as in SkipLayerNormalization
 */
export function overLast(
  data: readonly (Operand | undefined)[],
  parameters: readonly (Operand | undefined)[],
  axis: number,
  context: Context,
  outputs: number,
  sum = false,
): Verdict {
  const axes = axesOf(data[0]!);
  if (!axes) return unfollowed(data[0]!);
  const first = fromFront(axis, axes.length);
  const over = axes.map((_, k) => k).filter((k) => k >= first);
  const refusal = refusedOver(axes, over, WHAT) ?? notConstant(parameters) ?? unfit(data[0]!, parameters, context);
  if (refusal) return refusal;
  const rest = axes.map((own, k) => (k >= first ? [] : own));
  const layouts = Array.from({ length: outputs }, (_, k) => (k === 0 || (sum && k === 3) ? axes : rest));
  return allOutputs(data, layouts);
}

/** https://onnx.ai/onnx/operators/onnx__LayerNormalization.html */
const LayerNormalization: Rule = ([data, ...parameters], { axis = -1 }, context, outputs) =>
  overLast([data], parameters, Number(axis), context, outputs);

/** Over [batch, channels, …] behind the batch: https://onnx.ai/onnx/operators/onnx__GroupNormalization.html */
const behindBatch: Rule = ([data, ...parameters]) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const over = axes.map((_, k) => k).slice(1);
  return refusedOver(axes, over, WHAT) ?? notConstant(parameters) ?? joined([data], axes);
};

/** https://onnx.ai/onnx/operators/onnx__MeanVarianceNormalization.html */
const MeanVarianceNormalization: Rule = ([data], { axes: over = [0, 2, 3] }) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const places = (over as readonly number[]).map((axis) => fromFront(axis, axes.length));
  return refusedOver(axes, places, WHAT) ?? joined([data], axes);
};

/** https://onnx.ai/onnx/operators/onnx__LRN.html: over neighbouring channels, axis 1. */
const LRN: Rule = ([data]) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  return refusedOver(axes, [1], WHAT) ?? joined([data], axes);
};

/** https://onnx.ai/onnx/operators/onnx__BatchNormalization.html: at inference an affine map of each channel (axis 1). */
const BatchNormalization: Rule = ([data, ...parameters], { training_mode = 0 }, _context, outputs) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  if (training_mode || outputs > 1)
    return refuses("mixes-batch", "is exported in training mode", "Call model.eval() before exporting.");
  const channels = axes[1] ?? [];
  if (channels.includes("time")) return refuses("absolute-position", "scales every position by a number of its own");
  if (!isChannelAxis(channels)) return cutUp(channels, "has parameters along");
  return notConstant(parameters) ?? joined([data], axes);
};

export const NORMALIZATION: Family = {
  title: "Normalisations",
  pointwise: "where time is not among the axes over which they normalise, and their parameters are constant",
  otherwise: "a convolution may begin, which it turns out not to be: refused as not linear",
  rules: {
    Softmax: alongAxis,
    LogSoftmax: alongAxis,
    Hardmax: alongAxis,
    LpNormalization: alongAxis,
    LayerNormalization,
    RMSNormalization: LayerNormalization,
    SimplifiedLayerNormalization: LayerNormalization,
    InstanceNormalization: behindBatch,
    GroupNormalization: behindBatch,
    MeanVarianceNormalization,
    LRN,
    BatchNormalization,
  },
};
