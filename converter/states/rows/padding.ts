/** Operators that put positions in front of a sequence or take some away: Pad, Slice, Concat. */
import { RATE } from "../../find/remedies.ts";
import { fromFront } from "../../graph/axis.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { int64Tensor } from "../../graph/tensor.ts";
import { type Dim, dim, isConstant } from "../../time/facts/dim.ts";
import { channelsIn, isChannelAxis, type Layout } from "../../time/facts/fact.ts";
import { axesOf, integers, numbers, type Operand, OTHER_RATE } from "../../time/facts/rule.ts";
import { RULES } from "../../time/rules/index.ts";
import type { Moved, Mover } from "./move.ts";

const pass = (b: Builder, _node: Node, stream: string, output: string): void => {
  b.one("Identity", [stream], {}, { outputs: [output] });
};

/** The layout that the operator's own rule gives where it leaves the time axis alone. */
function layoutWithout({ node, context }: Moved, changed: readonly (Operand | undefined)[]): Layout | undefined {
  const verdict = RULES[node.op]!(changed, node.attributes, context, node.outputs.length);
  const [fact] = "outputs" in verdict ? verdict.outputs : [];
  return fact && "axes" in fact ? fact.axes : undefined;
}

/** A constant operand with these values. */
const constantOperand = (values: readonly number[]): Operand => ({
  name: "",
  fact: { kind: "constant", axes: [[values.length]] },
  constant: () => int64Tensor([values.length], values),
});

/** https://onnx.ai/onnx/operators/onnx__Pad.html */
export const Pad: Mover = (moved) => {
  const { node, operands, axis, axes } = moved;
  const [data, pads, value, axesInput] = operands;
  const amounts = integers(pads);
  const over = axesInput ? numbers(axesInput)?.map((k) => fromFront(k, axes.length)) : axes.map((_, k) => k);
  if (!amounts || !over) return undefined;
  const at = over.indexOf(axis);
  const [before, after] = [amounts[at]!, amounts[at + over.length]!];
  if (!isConstant(before) || !isConstant(after)) return undefined;
  const { mode = "constant" } = node.attributes;
  if (mode === "reflect" || mode === "wrap")
    return {
      code: "not-causal",
      reason: `pads with mode '${mode}': what stands before the first position comes from later ones`,
    };
  if (value && value.fact.kind !== "constant")
    return {
      code: "mixes-time",
      reason: "pads with a number that is not constant, so nobody knows what stands before",
    };
  const others = amounts.map((amount, i) => (i % over.length === at ? dim(0) : amount));
  if (!others.every(isConstant)) return undefined;
  const rest = others.map(({ constant }) => constant);
  const result = layoutWithout(moved, [data, constantOperand(rest), value, axesInput]);
  if (!result) return undefined;
  const apply = (b: Builder, own: Node, stream: string, output: string) => {
    if (rest.every((amount) => amount === 0)) pass(b, own, stream, output);
    else b.copy(own, [stream, b.ints("pads", rest), ...own.inputs.slice(2)], [output]);
  };
  return { input: 0, reach: 0, front: before.constant, back: after.constant, fill: 0, axes: result, apply };
};

/** What "to the end" is where the size of an axis is not known: numpy and PyTorch write 2^31-1 or 2^63-1. */
const TO_THE_END = 2 ** 31 - 1;

/** Positions that are left out in front by a slice that begins there; undefined where that is not a fixed number. */
function cutInFront(start: Dim, more: number, length: number | undefined): number | undefined {
  if (isConstant(start)) {
    if (start.constant >= 0) return start.constant;
    if (start.constant <= -TO_THE_END) return 0;
    return length === undefined ? undefined : Math.max(0, length + start.constant);
  }
  // -(n + a) is counted from the end
  if (start.time === -1 && !start.batch && !start.product) return Math.max(0, more + start.constant);
  return undefined;
}

/** Positions that are left out at the end. */
function cutBehind(end: Dim, more: number, length: number | undefined): number | undefined {
  if (isConstant(end)) {
    if (end.constant >= TO_THE_END) return 0;
    if (end.constant < 0) return -end.constant;
    return length === undefined ? undefined : Math.max(0, length - end.constant);
  }
  if (end.time === 1 && !end.batch && !end.product) return Math.max(0, more - end.constant);
  return undefined;
}

/** https://onnx.ai/onnx/operators/onnx__Slice.html */
export const Slice: Mover = (moved) => {
  const { operands, axis, axes, more, length } = moved;
  const [data, starts, ends, axesInput, steps] = operands;
  const [from, to] = [integers(starts), integers(ends)];
  const over = axesInput ? numbers(axesInput)?.map((k) => fromFront(k, axes.length)) : from?.map((_, k) => k);
  const by = steps ? numbers(steps) : from?.map(() => 1);
  if (!from || !to || !over || !by) return undefined;
  const at = over.indexOf(axis);
  if (by[at]! < 0) return { code: "not-causal", reason: "reverses the time axis" };
  if (by[at] !== 1)
    return { code: "mixes-time", reason: `${OTHER_RATE}: it takes every ${by[at]}th position`, remedy: RATE };
  const front = cutInFront(from[at]!, more, length);
  const back = cutBehind(to[at]!, more, length);
  if (front === undefined || back === undefined) return undefined;
  const kept = over.map((_, i) => i).filter((i) => i !== at);
  if (kept.length === 0) return { input: 0, reach: 0, front: -front, back: -back, fill: 0, axes, apply: pass };
  const rest = [from, to, over.map(dim), by.map(dim)].map((values) => kept.map((i) => values[i]!));
  if (!rest.flat().every(isConstant)) return undefined;
  const cuts = rest.map((values) => values.map(({ constant }) => constant));
  const result = layoutWithout(moved, [data, ...cuts.map(constantOperand)]);
  const apply = (b: Builder, own: Node, stream: string, output: string) => {
    b.copy(own, [stream, ...cuts.map((values) => b.ints("cut", values))], [output]);
  };
  return result && { input: 0, reach: 0, front: -front, back: -back, fill: 0, axes: result, apply };
};

/** No positions that are the same for every sequence. */
const MADE_OF_DATA = new Set(["still", "last", "open"]);

/** https://onnx.ai/onnx/operators/onnx__Concat.html: constants in front of a stream, or behind it. */
export const Concat: Mover = ({ node, operands, axis, axes, input }) => {
  const sizes = operands.map((operand, i) => {
    const own = operand && axesOf(operand)?.[axis];
    if (i === input || !own || !isChannelAxis(own) || MADE_OF_DATA.has(operand.fact.kind)) return undefined;
    return channelsIn(own);
  });
  if (sizes.some((size, i) => size === undefined && i !== input)) return undefined;
  const sum = (part: readonly (number | undefined)[]) => part.reduce<number>((total, size) => total + size!, 0);
  const [front, back] = [sum(sizes.slice(0, input)), sum(sizes.slice(input + 1))];
  if (fromFront(Number(node.attributes.axis ?? 0), axes.length) !== axis) return undefined;
  return { input, reach: 0, front, back, fill: 0, axes, apply: pass };
};
