/** Operators that pad and join. */

import { fromFront } from "../../graph/axis.ts";
import { add, type Dim, dim, equal, subtract } from "../../time/facts/dim.ts";
import { atLeast, type Case, isSame, negated, numberOf, Unproven } from "../values/cases.ts";
import { endedAt, padded, sliced, turned } from "../values/cutting.ts";
import { fixed, numbersOf, type Rule, sizeOfAxis, sizesOf, tensorOf } from "../values/rule.ts";
import { summed } from "../values/sequence.ts";
import { axisOf, type Body, type Factor, isLine, type Lines, lineAt, linesOf, type Sequence } from "../values/value.ts";
import { asLine, asRows } from "./positions.ts";

const ZERO = dim(0);

/** https://onnx.ai/onnx/operators/onnx__Pad.html: with zeros. */
export const Pad: Rule = ([input, pads, value, over], attributes, { which }) => {
  const data = tensorOf(input);
  if ((attributes.mode ?? "constant") !== "constant") throw new Unproven(`pads in mode '${String(attributes.mode)}'`);
  const given = value && numbersOf(value);
  if (value && given?.[0] !== 0) throw new Unproven("pads with something else than zeros");
  const amounts = sizesOf(pads);
  const axes = over ? numbersOf(over)?.map((axis) => fromFront(axis, data.axes.length)) : data.axes.map((_, k) => k);
  if (!amounts || !axes || amounts.length !== 2 * axes.length)
    throw new Unproven("pads by amounts that are not followed");
  let result = data;
  for (const [i, k] of axes.entries()) result = paddedAxis(which, result, k, amounts[i]!, amounts[i + axes.length]!);
  return result;
};

function paddedAxis(which: Case, given: Lines, k: number, before: Dim, after: Dim): Lines {
  if (equal(before, ZERO) && equal(after, ZERO)) return given;
  // a constant is filled up to a size that may be a number in this case
  const isConstant = given.parts.every(({ kind }) => kind === "fixed") && linesOf(given.axes).length === 0;
  const grows = isConstant || [before, after].some((amount) => numberOf(amount) === undefined);
  const data = !given.axes[k]!.some(isLine) && grows ? asLine(given, k) : given;
  const size = lineAt(data.axes, k);
  if (!size) throw new Unproven(data.axes[k]!.includes("batch") ? "pads the batch axis" : "pads channels");
  const cutFront = atLeast(which, before, ZERO) ? ZERO : negated(before);
  const cutBack = atLeast(which, after, ZERO) ? ZERO : negated(after);
  const [front, back] = [add(before, cutFront), add(after, cutBack)];
  const inner = subtract(subtract(size, cutFront), cutBack);
  const whole = add(add(inner, front), back);
  const part = (given: Body): Body => {
    if (given.kind === "fixed" && given.zero) return given;
    const body = asRows(given, data.axes);
    if (body.kind !== "sequence") throw new Unproven("pads the time axis of what is not followed");
    const cut = sliced(which, body, cutFront, subtract(size, cutBack), size);
    return cut.reversed
      ? turned(withZeros(which, turned(cut), inner, back, front))
      : withZeros(which, cut, inner, front, back);
  };
  return { ...data, axes: data.axes.with(k, [{ line: whole }]), parts: data.parts.map(part) };
}

/** Zeros in front of a line of some size, and behind it. */
const withZeros = (which: Case, s: Sequence, size: Dim, front: Dim, back: Dim): Sequence =>
  padded(equal(back, ZERO) ? s : endedAt(which, s, size), front);

/** https://onnx.ai/onnx/operators/onnx__Concat.html: zeros before or behind, or real and imaginary part. */
export const Concat: Rule = (inputs, { axis = 0 }, { which }) => {
  const parts = inputs.map(tensorOf);
  const k = fromFront(Number(axis), parts[0]!.axes.length);
  if (parts.length === 1) return parts[0]!;
  const sizes = parts.map((part) => sizeOfAxis(part.axes[k]!));
  const total = sizes.reduce(add);
  const isAlong = parts.some((part) => part.axes[k]!.some(isLine));
  if (!isAlong) return paired(which, parts, k, numberOf(total));
  const isZeros = ({ parts: bodies }: Lines) => bodies.every((body) => body.kind === "fixed" && body.zero);
  const at = parts.findIndex((part) => !isZeros(part));
  if (at < 0) return fixed(parts[0]!.axes.with(k, axisOf(total)), "0", { zero: true });
  if (parts.some((part, i) => i !== at && !isZeros(part))) throw new Unproven("joins along the time axis");
  const before = sizes.slice(0, at).reduce(add, ZERO);
  return paddedAxis(which, parts[at]!, k, before, sizes.slice(at + 1).reduce(add, ZERO));
};

/** Two tensors of one entry each along an axis: real and imaginary part. */
function paired(which: Case, parts: readonly Lines[], k: number, total: number | undefined): Lines {
  const [re, im] = parts;
  // real and imaginary parts stand last where they are transformed; elsewhere two sequences are two channels
  const isPlace = k === re!.axes.length - 1 || parts.some(({ parts: [body] }) => body?.kind === "spectrum");
  const isPair =
    isPlace &&
    parts.length === 2 &&
    total === 2 &&
    parts.every(({ axes, pair }) => axes[k]!.length === 0 && pair === undefined);
  if (isPair) return { ...re!, axes: longer(re!.axes, im!.axes, k), parts: [re!.parts[0]!, im!.parts[0]!], pair: k };
  const bodies = parts.map((part) => part.parts[0]!);
  if (total !== undefined && bodies.every((body) => body.kind === "fixed"))
    return fixed(re!.axes.with(k, axisOf(dim(total))), joinedKey(parts, k));
  return alongChannels(which, parts, k, total);
}

/** Which entries come from which part. */
const joinedKey = (parts: readonly Lines[], k: number): string =>
  `⟦${parts.map(({ parts: [body], axes }) => `${"key" in body! ? body.key : "?"}×${numberOf(sizeOfAxis(axes[k]!))}`).join()}]`;

/** Sequences of several channels side by side: one function of them all. */
function alongChannels(which: Case, parts: readonly Lines[], k: number, total: number | undefined): Lines {
  const rows = parts.map((part): Lines => ({ ...part, parts: [asRows(part.parts[0]!, part.axes)] }));
  const bodies = rows.map((part) => part.parts[0]!);
  if (total === undefined || parts.some(({ pair }) => pair !== undefined))
    throw new Unproven("joins what is not followed");
  const sequences = bodies.filter((body): body is Sequence => body.kind === "sequence");
  if (sequences.length !== bodies.length) throw new Unproven("joins channels of what is not followed");
  const [first, ...others] = sequences;
  const same = others.every(({ shift, to, from }) => {
    const isOne = (x: Dim | undefined, y: Dim | undefined) => (x && y ? isSame(which, x, y) : x === y);
    return equal(shift, first!.shift) && isOne(to, first!.to) && isOne(from, first!.from);
  });
  if (!same) throw new Unproven("joins channels that are moved along time");
  const joined = others.reduce((a, b) => summed(which, a, b, 1), first!);
  return {
    ...parts[0]!,
    axes: parts[0]!.axes.with(k, axisOf(dim(total))),
    parts: [{ ...joined, key: joinedKey(rows, k) }],
  };
}

const longer = (a: Lines["axes"], b: Lines["axes"], k: number): Lines["axes"] =>
  a.map((axis, i): readonly Factor[] => (i === k ? [2] : axis.length > 0 ? axis : b[i]!));
