/** Operators that cut out. */

import { fromFront } from "../../graph/axis.ts";
import { add, type Dim, dim, equal, scale, subtract } from "../../time/facts/dim.ts";
import { atLeast, type Case, least, most, numberOf, Unproven } from "../values/cases.ts";
import { endedAt, sliced, turned } from "../values/cutting.ts";
import { numbersOf, type Rule, sizeOfAxis, sizesOf, tensorOf } from "../values/rule.ts";
import { axisOf, type Body, isLine, type Lines, lineAt, linesOf } from "../values/value.ts";
import { asLine, asRows } from "./positions.ts";

const ZERO = dim(0);

/** A place given from the front or the back, within the axis. */
function place(which: Case, at: Dim, size: Dim): Dim {
  const front = atLeast(which, at, ZERO) ? at : add(at, size);
  return most(which, least(which, front, size), ZERO);
}

/** https://onnx.ai/onnx/operators/onnx__Slice.html */
export const Slice: Rule = ([input, starts, ends, over, steps], _attributes, { which }) => {
  let data = tensorOf(input);
  const [from, to] = [sizesOf(starts), sizesOf(ends)];
  const axes = over ? numbersOf(over) : from?.map((_, k) => k);
  const by = steps ? numbersOf(steps) : from?.map(() => 1);
  if (!from || !to || !axes || !by) throw new Unproven("cuts at places that are not followed");
  const byLength = [starts, ends].some((bound) => bound?.kind === "sizes" && bound.ofLength);
  for (const [i, raw] of axes.entries()) {
    const k = fromFront(raw, data.axes.length);
    // rows of a constant are positions where the length says how many there are, in every case
    const isRows = byLength && axes.length === 1 && data.parts[0]?.kind === "fixed" && linesOf(data.axes).length === 0;
    data = slicedAxis(which, isRows ? asLine(data, k) : data, k, from[i]!, to[i]!, by[i]!);
  }
  return data;
};

const FAR = 2 ** 31 - 1;

/** One axis, from `start` on before `end`, both counted from the end where they are less than 0. */
function slicedAxis(which: Case, data: Lines, k: number, start: Dim, end: Dim, step: number): Lines {
  const axis = data.axes[k]!;
  const [first, last] = [numberOf(start), numberOf(end)];
  const size = sizeOfAxis(axis);
  if (step === -1) return reversed(which, data, k, first, last, size);
  if (step !== 1) throw new Unproven("takes every so many entries");
  if (first === 0 && last !== undefined && last >= FAR) return data;
  if (axis.includes("batch")) {
    if (equal(start, ZERO) && equal(end, size)) return data;
    throw new Unproven("takes some rows of the batch");
  }
  if (data.pair === k) return partsOf(data, k, first, last);
  const isNumber = !axis.some(isLine);
  if (isNumber && first !== undefined && last !== undefined) {
    const whole = numberOf(size)!;
    const at = (p: number) => Math.min(Math.max(p < 0 ? p + whole : p, 0), whole);
    return channels(data, k, at(first), at(last));
  }
  const lined = isNumber ? asLine(data, k) : data;
  if (!lineAt(lined.axes, k)) throw new Unproven("cuts an axis that is more than the time");
  const length = sizeOfAxis(lined.axes[k]!);
  const a = place(which, start, length);
  const b = most(which, a, last !== undefined && last >= FAR ? length : place(which, end, length));
  const part = (body: Body): Body => {
    if (body.kind === "fixed" && body.zero) return body;
    const sequence = asRows(body, lined.axes);
    if (sequence.kind === "sequence") return sliced(which, sequence, a, b, length);
    if (body.kind === "index") {
      const by = body.coefficients.get(k) ?? 0;
      return { ...body, offset: add(body.offset, scale(a, by)) };
    }
    if (body.kind === "pairs" && equal(a, ZERO)) return body;
    throw new Unproven("cuts the time axis of what is not followed");
  };
  return { ...lined, axes: lined.axes.with(k, [{ line: subtract(b, a) }]), parts: lined.parts.map(part) };
}

/** Some channels: which says the key. */
export function channels(data: Lines, k: number, from: number, to: number): Lines {
  const whole = numberOf(sizeOfAxis(data.axes[k]!))!;
  if (data.axes[k]!.some(isLine) || from < 0 || to > whole || from >= to)
    throw new Unproven("picks channels that are not followed");
  if (from === 0 && to === whole) return data;
  return {
    ...data,
    axes: data.axes.with(k, axisOf(dim(to - from))),
    parts: data.parts.map((part) => chosen(part, `${k}:${from}-${to}`)),
  };
}

function chosen(body: Body, which: string): Body {
  if (body.kind === "fixed") return { ...body, key: `${body.key}[${which}]`, tensor: undefined };
  if (body.kind === "sequence" || body.kind === "pairs") return { ...body, key: `${body.key}{${which}}` };
  if (body.kind === "index") return body;
  throw new Unproven("picks some channels of a transform");
}

/** Real or imaginary part alone, or both. */
export function partsOf(data: Lines, k: number, first: number | undefined, last: number | undefined): Lines {
  if (first === undefined || last === undefined) throw new Unproven("picks parts in a way that is not followed");
  const at = (p: number) => Math.min(Math.max(p < 0 ? p + 2 : p, 0), 2);
  const parts = data.parts.slice(at(first), at(last));
  if (parts.length === 2) return data;
  if (parts.length === 0) throw new Unproven("picks parts in a way that is not followed");
  return { ...data, axes: data.axes.with(k, []), parts, pair: undefined };
}

/** x[::-1] */
function reversed(
  which: Case,
  data: Lines,
  k: number,
  first: number | undefined,
  last: number | undefined,
  size: Dim,
): Lines {
  const isWhole = (first === -1 || (first ?? 0) >= FAR) && last !== undefined && last <= -FAR;
  if (!isWhole || data.pair !== undefined) throw new Unproven("reverses a part of an axis");
  const lined = data.axes[k]!.some(isLine) ? data : asLine(data, k);
  if (!lineAt(lined.axes, k)) throw new Unproven("reverses an axis that is more than the time");
  const body = asRows(lined.parts[0]!, lined.axes);
  if (body.kind === "fixed" && body.zero) return lined;
  if (body.kind !== "sequence") throw new Unproven("reverses what is not followed");
  return { ...lined, parts: [turned(body.reversed ? body : endedAt(which, body, size))] };
}

/** https://onnx.ai/onnx/operators/onnx__Split.html */
export const Split: Rule = ([input, sizes], { axis = 0, split }, { node, which }) => {
  const data = tensorOf(input);
  const k = fromFront(Number(axis), data.axes.length);
  const total = numberOf(sizeOfAxis(data.axes[k]!));
  const count = node.outputs.length;
  const chunk = total === undefined ? undefined : Math.ceil(total / count);
  const stated = sizes ? sizesOf(sizes) : (split as readonly number[] | undefined)?.map(dim);
  const parts =
    sizes || stated
      ? stated
      : chunk === undefined
        ? undefined
        : node.outputs.map((_, i) => dim(Math.min(chunk, total! - i * chunk)));
  if (!parts) throw new Unproven("splits at places that are not followed");
  let at = ZERO;
  return parts.map((size) => {
    const start = at;
    at = add(at, size);
    return slicedAxis(which, data, k, start, at, 1);
  });
};
