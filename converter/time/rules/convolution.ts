/** Convolutions and transforms: pointwise along time only where they do not reach along the time axis. */

import { fromFront } from "../../graph/axis.ts";
import type { Attributes } from "../../graph/graph.ts";
import { type Axis, axisSize, channelsIn, isChannelAxis, type Layout } from "../facts/fact.ts";
import {
  axesOf,
  type Family,
  joined,
  mixes,
  numbers,
  type Operand,
  OTHER_RATE,
  type Rule,
  refuses,
  type Verdict,
} from "../facts/rule.ts";
import { channelAxis, cutUp, unfollowed, unreadable } from "./movement.ts";

/**
 * What a window with these attributes makes of the spatial axes of [batch, channels, …spatial], or why it reaches along
 * time. Sizes as in https://onnx.ai/onnx/operators/onnx__MaxPool.html
 * @param kernel entries of the window along each spatial axis
 */
export function windowed(
  axes: Layout,
  kernel: readonly number[],
  { strides, pads, dilations, auto_pad = "NOTSET", ceil_mode = 0 }: Attributes,
  what: string,
): { spatial: readonly Axis[] } | Verdict {
  const amounts = (pads as readonly number[] | undefined) ?? [];
  const of = (values: unknown, k: number) => (values as readonly number[] | undefined)?.[k] ?? 1;
  const spatial: Axis[] = [];
  for (const [k, axis] of axes.slice(2).entries()) {
    const [before, after] = [amounts[k] ?? 0, amounts[k + kernel.length] ?? 0];
    const [stride, taps] = [of(strides, k), kernel[k]!];
    if (taps === 1 && stride === 1 && before === 0 && after === 0) spatial.push(axis);
    else if (!isChannelAxis(axis)) return cutUp(axis, what);
    else {
      const same = auto_pad === "SAME_UPPER" || auto_pad === "SAME_LOWER";
      const reach = of(dilations, k) * (taps - 1) + 1;
      const room = channelsIn(axis) + before + after - reach;
      const steps = (ceil_mode ? Math.ceil : Math.floor)(room / stride);
      // a window that would begin in the padding behind the end is left out
      const last = ceil_mode && steps * stride >= channelsIn(axis) + before ? steps - 1 : steps;
      spatial.push(channelAxis(same ? Math.ceil(channelsIn(axis) / stride) : last + 1));
    }
  }
  return { spatial };
}

/** The rule of a convolution of data [batch, channels, …spatial] with a constant filter [out, in, …taps]. */
export function convolved(
  data: Operand,
  weight: Operand,
  parameters: readonly (Operand | undefined)[],
  attributes: Attributes,
): Verdict {
  const axes = axesOf(data);
  if (!axes) return mixes("convolves something that depends on the sequence length");
  const filter = axesOf(weight);
  if (!filter || weight.fact.kind !== "constant") return mixes("convolves with a kernel that is not constant");
  if (parameters.some((parameter) => parameter && parameter.fact.kind !== "constant"))
    return mixes("convolves with a bias or scale that is not constant");
  if (!isChannelAxis(axes[1]!)) return cutUp(axes[1]!, "sums over");
  const taps = (attributes.kernel_shape as readonly number[] | undefined) ?? filter.slice(2).map(channelsIn);
  const found = windowed(axes, taps, attributes, "convolves along");
  return "spatial" in found ? joined([data], [axes[0]!, filter[0]!, ...found.spatial]) : found;
}

/** https://onnx.ai/onnx/operators/onnx__Conv.html: a kernel of one tap does not mix. */
const Conv: Rule = ([data, weight, bias], attributes) => convolved(data!, weight!, [bias], attributes);

/** https://onnx.ai/onnx/operators/onnx__ConvTranspose.html: filter [in, out / groups, …taps]; along channels alone it does not mix. */
const ConvTranspose: Rule = ([data, weight, bias], attributes) => {
  const axes = axesOf(data!);
  const filter = weight && axesOf(weight);
  const spreads = mixes("spreads every position over its neighbours");
  if (!axes || !filter || weight.fact.kind !== "constant") return spreads;
  if (bias && bias.fact.kind !== "constant") return mixes("convolves with a bias or scale that is not constant");
  if (!isChannelAxis(axes[1]!)) return cutUp(axes[1]!, "sums over");
  const { auto_pad = "NOTSET", group = 1, output_shape } = attributes;
  if (auto_pad !== "NOTSET" || output_shape) return spreads;
  const taps = (attributes.kernel_shape as readonly number[] | undefined) ?? filter.slice(2).map(channelsIn);
  const of = (name: string, k: number, otherwise: number) =>
    (attributes[name] as readonly number[] | undefined)?.[k] ?? otherwise;
  const spatial: Axis[] = [];
  for (const [k, axis] of axes.slice(2).entries()) {
    const [before, after] = [of("pads", k, 0), of("pads", k + taps.length, 0)];
    const [stride, more, reach] = [
      of("strides", k, 1),
      of("output_padding", k, 0),
      of("dilations", k, 1) * (taps[k]! - 1),
    ];
    if (reach === 0 && stride === 1 && before === 0 && after === 0 && more === 0) spatial.push(axis);
    else if (axis.includes("time") && stride > 1)
      return mixes(`${OTHER_RATE}: ${stride} positions for each of its input's`);
    else if (!isChannelAxis(axis)) return axis.includes("time") ? spreads : cutUp(axis, "spreads over");
    else spatial.push(channelAxis(stride * (channelsIn(axis) - 1) + more + reach + 1 - before - after));
  }
  return joined([data], [axes[0]!, channelAxis(channelsIn(filter[1]!) * Number(group)), ...spatial]);
};

/** https://onnx.ai/onnx/operators/onnx__DFT.html: the axis is an attribute in opset 17, an input from 20 on. */
const DFT: Rule = ([data, length, axisInput], { axis = 1, onesided = 0, inverse = 0 }, { opset, sizes }) => {
  const axes = axesOf(data!);
  if (!axes) return mixes("transforms something that depends on the sequence length");
  const over = opset >= 20 ? (axisInput ? numbers(axisInput)?.[0] : -2) : Number(axis);
  if (over === undefined) return unreadable("an axis");
  const k = fromFront(over, axes.length);
  const parts = axes.at(-1)!;
  for (const own of [axes[k]!, parts]) if (!isChannelAxis(own)) return cutUp(own, "transforms along");
  const real = Boolean(onesided && inverse);
  const own = axisSize(axes[k]!, sizes);
  const given = length ? numbers(length)?.[0] : real ? 2 * (own - 1) : own;
  if (given === undefined) return mixes("transforms channels at a length that is not constant");
  const size = onesided && !inverse ? Math.floor(given / 2) + 1 : given;
  const last = axes.length - 1;
  return joined(
    [data],
    axes.map((a, i) => (i === k ? channelAxis(size) : i === last ? channelAxis(real ? 1 : 2) : a)),
  );
};

/** https://onnx.ai/onnx/operators/onnx__ReverseSequence.html: reverses the first entries of one axis. */
const ReverseSequence: Rule = ([data, lengths], { time_axis = 0, batch_axis = 1 }) => {
  const axes = axesOf(data!);
  if (!axes) return unfollowed(data!);
  const [reversed, along] = [axes[Number(time_axis)]!, axes[Number(batch_axis)]!];
  if (!isChannelAxis(reversed)) return cutUp(reversed, "reverses");
  if (lengths!.fact.kind !== "constant") return unreadable("lengths");
  if (!isChannelAxis(along))
    return refuses("unsupported-layout", "reverses each entry of an axis up to a place of its own");
  return joined([data], axes);
};

/** Operators that may be long convolutions and are never taken to be pointwise. */
const always =
  (what: string): Rule =>
  ([data]): Verdict =>
    mixes(what, data ? 0 : 1);

export const CONVOLUTION: Family = {
  title: "Convolutions and transforms",
  pointwise: "where they do not reach along the time axis",
  otherwise: "a convolution may begin; it is probed",
  rules: {
    Conv,
    DFT,
    ReverseSequence,
    ConvTranspose,
    STFT: always("transforms windows along time"),
    CausalConvWithState: always("convolves along the time axis"),
    "com.microsoft::CausalConvWithState": always("convolves along the time axis"),
  },
};
