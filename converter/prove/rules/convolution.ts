/** Convolutions. */
import { add, type Dim, dim, subtract } from "../../time/facts/dim.ts";
import { type Case, Unproven } from "../values/cases.ts";
import { endedAt, padded, sliced } from "../values/cutting.ts";
import { type Rule, sizeOfAxis, tensorOf } from "../values/rule.ts";
import { convolved, kernelOfFilter } from "../values/sequence.ts";
import { type Lines, lineAt, linesOf, type Sequence } from "../values/value.ts";

/** https://onnx.ai/onnx/operators/onnx__Conv.html along one axis, each channel by itself. */
export const Conv: Rule = ([input, weight, bias], attributes, { which, mixesChannels }) => {
  const [data, filter] = [tensorOf(input), tensorOf(weight)];
  const size = lineAt(data.axes, 2);
  if (data.axes.length !== 3 || !size || data.pair !== undefined)
    throw new Unproven("convolves along more than the time axis");
  const { group = 1, pads = [0, 0], strides = [1], dilations = [1], auto_pad = "NOTSET" } = attributes;
  const [stride] = strides as readonly number[];
  const [dilation] = dilations as readonly number[];
  if (auto_pad !== "NOTSET" || stride !== 1) throw new Unproven("convolves with strides or computed padding");
  if (filter.axes[1]!.length > 0 && !mixesChannels) throw new Unproven("convolves across channels");
  const [stream] = data.parts;
  if (stream?.kind !== "sequence") throw new Unproven("convolves what is not followed");
  if (stream.gain.size > 0) throw new Unproven("convolves what is scaled by a number made of the length");
  if ((pads as readonly number[]).some((pad) => pad < 0)) throw new Unproven("cuts off what it convolves");
  const [before, after] = (pads as readonly number[]).map(dim) as [Dim, Dim];
  const { kernel, taps } = filterKernel(which, filter, dilation!);
  const ended = endedAt(which, stream, size);
  const wide = add(add(size, before), after);
  const full = convolved(which, [padded(ended, before), kernel], undefined);
  const start = subtract(taps, dim(1));
  const result = sliced(which, full, start, wide, add(wide, start));
  const channels = filter.axes[0]!;
  const last = subtract(wide, start);
  const axes = [data.axes[0]!, channels, [{ line: last }]];
  const whole = { ...result, key: `(${result.key}/${group})` };
  return { kind: "tensor", axes, parts: [bias ? withBias(whole, tensorOf(bias)) : whole], pair: undefined };
};

function withBias(s: Sequence, { parts: [body] }: Lines): Sequence {
  if (body?.kind !== "fixed") throw new Unproven("adds a number made of the length");
  if (!s.stream) throw new Unproven("adds a number to a function of the position");
  return { ...s, key: `(${s.key}+${body.key})`, biased: true };
}

/** The filter as a kernel, and its length: a constant, or reversed rows of a function of the position. */
function filterKernel(which: Case, filter: Lines, dilation: number): { kernel: Sequence; taps: Dim } {
  const [body] = filter.parts;
  const size = sizeOfAxis(filter.axes[2]!);
  if (body?.kind === "fixed") {
    const taps = size.constant;
    if (size.time !== 0 || size.batch !== 0) throw new Unproven("convolves with a filter that is not followed");
    if (linesOf(filter.axes).length > 0) throw new Unproven("convolves with a filter that is not followed");
    return {
      kernel: kernelOfFilter(`${body.key}~${taps}~${dilation}`, taps, dilation),
      taps: dim(dilation * (taps - 1) + 1),
    };
  }
  if (body?.kind !== "sequence" || body.stream || dilation !== 1 || !lineAt(filter.axes, 2))
    throw new Unproven("convolves with a filter that is not followed");
  // entry p is κ(size - 1 - p + shift)
  if (!body.reversed) throw new Unproven("convolves with positions in their order: it looks ahead");
  return { kernel: endedAt(which, { ...body, reversed: false }, size), taps: size };
}
