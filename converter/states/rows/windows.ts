/** Operators whose outputs read a window of positions: convolutions of any groups and dilation, and pooling. */

import { RATE } from "../../find/remedies.ts";
import type { AttributeInput } from "../../graph/attributes.ts";
import { type Builder, withAttributes } from "../../graph/build.ts";
import type { Attributes, Node } from "../../graph/graph.ts";
import { channelsIn } from "../../time/facts/fact.ts";
import { axesOf, OTHER_RATE } from "../../time/facts/rule.ts";
import { RULES } from "../../time/rules/index.ts";
import type { Counted } from "./counted.ts";
import type { Moved, Mover } from "./move.ts";

const numbersOf = (value: unknown, length: number, otherwise: number): number[] =>
  (value as readonly number[] | undefined)?.slice() ?? Array.from({ length }, () => otherwise);

/** What a window does along the spatial axis that is time, and the attributes with which it leaves that axis alone. */
function alongTime(taps: readonly number[], s: number, attributes: Attributes) {
  const rank = taps.length;
  const dilations = numbersOf(attributes.dilations, rank, 1);
  const strides = numbersOf(attributes.strides, rank, 1);
  const pads = numbersOf(attributes.pads, 2 * rank, 0);
  const reach = dilations[s]! * (taps[s]! - 1);
  const mode = attributes.auto_pad ?? "NOTSET";
  const same = mode === "SAME_UPPER" || mode === "SAME_LOWER";
  const half = mode === "SAME_UPPER" ? Math.floor(reach / 2) : Math.ceil(reach / 2);
  const [front, back] = same ? [half, reach - half] : mode === "VALID" ? [0, 0] : [pads[s]!, pads[s + rank]!];
  const without = (values: readonly number[], value: number) => values.map((own, k) => (k % rank === s ? value : own));
  const alone = {
    ...attributes,
    kernel_shape: without(taps, 1),
    dilations: without(dilations, 1),
    pads: without(pads, 0),
  };
  const valid: Record<string, AttributeInput> = { pads: without(pads, 0), auto_pad: "NOTSET" };
  return { stride: strides[s]!, dilation: dilations[s]!, reach, front, back, same, alone, valid, onlyAxis: rank === 1 };
}

/** A window over the stream that is the first input. @param fill what pads */
function windowed(moved: Moved, taps: readonly number[], fill: number) {
  const { node, operands, axis, context } = moved;
  if (axis < 2) return undefined;
  const { stride, dilation, reach, front, back, same, alone, valid, onlyAxis } = alongTime(
    taps,
    axis - 2,
    node.attributes,
  );
  if (stride !== 1)
    return {
      code: "mixes-time" as const,
      reason: `${OTHER_RATE}: a stride of ${stride} along the time axis`,
      remedy: RATE,
    };
  // its padding of the other axes would have to be written out
  if (same && !onlyAxis) return undefined;
  const verdict = RULES[node.op]!(operands, alone, context, node.outputs.length);
  if ("refuses" in verdict) return { code: verdict.refuses, reason: verdict.reason, remedy: verdict.remedy };
  const [fact] = "outputs" in verdict ? verdict.outputs : [];
  if (fact?.kind !== "stream") return undefined;
  const apply = (b: Builder, own: Node, stream: string, output: string) => {
    b.copy(withAttributes(own, valid), [stream, ...own.inputs.slice(1)], [output]);
  };
  const counted: Counted = { taps: taps[axis - 2]!, dilation };
  return { input: 0, reach, front, back, fill, axes: fact.axes, apply, counted };
}

/** https://onnx.ai/onnx/operators/onnx__Conv.html */
export const Conv: Mover = (moved) => {
  const { node, operands } = moved;
  const filter = operands[1] && axesOf(operands[1]);
  if (!filter || operands[1]!.fact.kind !== "constant") return undefined;
  const taps = (node.attributes.kernel_shape as readonly number[] | undefined) ?? filter.slice(2).map(channelsIn);
  const found = windowed(moved, taps, 0);
  return found && "counted" in found ? { ...found, counted: undefined } : found;
};

/**
 * https://onnx.ai/onnx/operators/onnx__ConvTranspose.html of stride 1 along time: a convolution with the taps turned round. Its
 * padding takes away; on its own positions and those before, so many are taken away on both sides as it reaches.
 */
export const ConvTranspose: Mover = (moved) => {
  const { node, operands, axis, context } = moved;
  const filter = operands[1] && axesOf(operands[1]);
  const { attributes } = node;
  if (axis < 2 || !filter || operands[1]!.fact.kind !== "constant" || attributes.output_shape) return undefined;
  const taps = (attributes.kernel_shape as readonly number[] | undefined) ?? filter.slice(2).map(channelsIn);
  const [s, rank] = [axis - 2, taps.length];
  const { stride, reach, front, back, alone } = alongTime(taps, s, attributes);
  const more = numbersOf(attributes.output_padding, rank, 0);
  if (stride !== 1 || more[s] !== 0 || (attributes.auto_pad ?? "NOTSET") !== "NOTSET") return undefined;
  const verdict = RULES.ConvTranspose!(operands, alone, context, node.outputs.length);
  const [fact] = "outputs" in verdict ? verdict.outputs : [];
  if (fact?.kind !== "stream") return undefined;
  const apply = (b: Builder, own: Node, stream: string, output: string) => {
    const pads = numbersOf(attributes.pads, 2 * rank, 0).map((amount, k) => (k % rank === s ? reach : amount));
    b.copy(withAttributes(own, { pads }), [stream, ...own.inputs.slice(1)], [output]);
  };
  return { input: 0, reach, front: reach - front, back: reach - back, fill: 0, axes: fact.axes, apply };
};

/** https://onnx.ai/onnx/operators/onnx__MaxPool.html and its sisters. @param fill what stands in the padding */
export const pool =
  (fill: number): Mover =>
  (moved) => {
    const { node, axes } = moved;
    const { attributes, op } = node;
    const taps = attributes.kernel_shape as readonly number[];
    const found = windowed(moved, taps, fill);
    if (!found || "code" in found) return found;
    const { counted, ...move } = found;
    const strides = numbersOf(attributes.strides, taps.length, 1);
    if (attributes.ceil_mode && strides.some((stride) => stride !== 1))
      return { code: "mixes-time", reason: "pools along the time axis with ceil_mode" };
    const counts = op !== "AveragePool" || Boolean(attributes.count_include_pad);
    if (counts || (found.front === 0 && found.back === 0)) return move;
    if (axes[0]!.join() !== "batch")
      return {
        code: "mixes-time",
        reason: "takes means that leave padding out, of a stream whose batch is not apart",
        remedy: "Pad with zeros before it, or set count_include_pad.",
      };
    return { ...move, counted };
  };
