/** Operators that cut out, join, pad and pick. */
import { add, dim, equal, subtract } from "../../time/dim.ts";
import { atLeast, type Case, least, most, negated, numberOf, Unproven } from "../cases.ts";
import { fixed, fromFront, numbersOf, type Rule, sizeOfAxis, sizesOf, tensorOf } from "../rule.ts";
import { endedAt, padded, sliced, summed, turned } from "../sequence.ts";
import { axisOf, type Body, type Factor, isLine, type Lines, lineAt, type Sequence } from "../value.ts";
import { asLine, asRows, difference } from "./positions.ts";

const ZERO = dim(0);

/** A place given from the front or the back, within the axis. */
function place(which: Case, at: ReturnType<typeof dim>, size: ReturnType<typeof dim>) {
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
  for (const [i, raw] of axes.entries())
    data = slicedAxis(which, data, fromFront(raw, data.axes.length), from[i]!, to[i]!, by[i]!);
  return data;
};

const FAR = 2 ** 31 - 1;

function slicedAxis(
  which: Case,
  data: Lines,
  k: number,
  start: ReturnType<typeof dim>,
  end: ReturnType<typeof dim>,
  step: number,
): Lines {
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
  const length = sizeOfAxis(lined.axes[k]!);
  const [a, b] = [place(which, start, length), last !== undefined && last >= FAR ? length : place(which, end, length)];
  const part = (body: Body): Body => {
    if (body.kind === "fixed" && body.zero) return body;
    const sequence = asRows(body, lined.axes);
    if (sequence.kind === "sequence") return sliced(which, sequence, a, b, length);
    if (body.kind === "index") {
      const by = body.coefficients.get(k) ?? 0;
      const moved = { constant: by * a.constant, batch: 0, time: by * a.time, product: 0 };
      return { ...body, offset: add(body.offset, moved) };
    }
    if (body.kind === "pairs" && equal(a, ZERO)) return body;
    throw new Unproven("cuts the time axis of what is not followed");
  };
  if (!lineAt(lined.axes, k)) throw new Unproven("cuts an axis that is more than the time");
  return { ...lined, axes: lined.axes.with(k, [{ line: subtract(b, a) }]), parts: lined.parts.map(part) };
}

/** Some channels: which says the key. */
function channels(data: Lines, k: number, from: number, to: number): Lines {
  const whole = numberOf(sizeOfAxis(data.axes[k]!))!;
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
function partsOf(data: Lines, k: number, first: number | undefined, last: number | undefined): Lines {
  if (first === undefined || last === undefined) throw new Unproven("picks parts in a way that is not followed");
  const at = (p: number) => Math.min(Math.max(p < 0 ? p + 2 : p, 0), 2);
  const parts = data.parts.slice(at(first), at(last));
  if (parts.length === 2) return data;
  return { ...data, axes: data.axes.with(k, []), parts, pair: undefined };
}

/** x[::-1] */
function reversed(
  which: Case,
  data: Lines,
  k: number,
  first: number | undefined,
  last: number | undefined,
  size: ReturnType<typeof dim>,
): Lines {
  const isWhole = (first === -1 || (first ?? 0) >= FAR) && last !== undefined && last <= -FAR;
  if (!isWhole || data.pair !== undefined) throw new Unproven("reverses a part of an axis");
  const lined = data.axes[k]!.some(isLine) ? data : asLine(data, k);
  const body = asRows(lined.parts[0]!, lined.axes);
  if (body.kind !== "sequence") throw new Unproven("reverses what is not followed");
  return { ...lined, parts: [turned(endedAt(which, body, size))] };
}

/** https://onnx.ai/onnx/operators/onnx__Split.html */
export const Split: Rule = ([input, given], { axis = 0 }, { node, which }) => {
  const data = tensorOf(input);
  const k = fromFront(Number(axis), data.axes.length);
  const total = numberOf(sizeOfAxis(data.axes[k]!));
  const count = node.outputs.length;
  const chunk = total === undefined ? undefined : Math.ceil(total / count);
  const parts = given
    ? sizesOf(given)
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

/** https://onnx.ai/onnx/operators/onnx__Gather.html: of one place along an axis, or by differences of positions. */
export const Gather: Rule = ([input, indices], { axis = 0 }, { which }) => {
  const data = tensorOf(input);
  const k = fromFront(Number(axis), data.axes.length);
  const picked = numbersOf(indices);
  const rank = indices?.kind === "tensor" ? indices.axes.length : indices?.kind === "sizes" ? indices.rank : 0;
  if (picked?.length === 1 && rank <= 1) {
    const size = numberOf(sizeOfAxis(data.axes[k]!));
    if (size === undefined) throw new Unproven("picks one position");
    const at = picked[0]! < 0 ? picked[0]! + size : picked[0]!;
    const one = data.pair === k ? partsOf(data, k, at, at + 1) : channels(data, k, at, at + 1);
    if (rank === 1) return one;
    return {
      ...one,
      axes: one.axes.filter((_, i) => i !== k),
      pair: one.pair !== undefined && one.pair > k ? one.pair - 1 : one.pair,
      parts: one.parts.map((part) => lowered(part, k)),
    };
  }
  if (indices?.kind !== "tensor" || data.pair !== undefined) throw new Unproven("picks by the length");
  return byDifference(which, data, k, indices);
};

/** https://onnx.ai/onnx/operators/onnx__GatherND.html along the first axis alone: a Gather. */
export const GatherND: Rule = ([input, indices], { batch_dims = 0 }, site) => {
  const by = tensorOf(indices);
  const last = by.axes.length - 1;
  if (batch_dims || last < 0 || by.axes[last]!.length > 0 || by.pair !== undefined)
    throw new Unproven("picks along several axes");
  return Gather([input, { ...by, axes: by.axes.slice(0, -1) }], { axis: 0 }, site);
};

/** Axes behind one that is gone move up. */
function lowered(body: Body, gone: number): Body {
  const to = (axis: number) => (axis > gone ? axis - 1 : axis);
  if (body.kind === "pairs") return { ...body, row: to(body.row), column: to(body.column) };
  if (body.kind === "index")
    return { ...body, coefficients: new Map([...body.coefficients].map(([a, by]) => [to(a), by])) };
  return body;
}

/** f(i - j): rows of a function of the position, picked by places that are such differences. */
function byDifference(which: Case, data: Lines, k: number, indices: Lines): Lines {
  const [place] = indices.parts;
  if (place?.kind !== "index") {
    const known = place && difference(place);
    if (!known) throw new Unproven("picks positions in a way that is not followed");
    if (!known.isPlace) throw new Unproven("may pick from the end of a table, by places less than 0");
    // any function of the difference picks a row that is one of the difference too, where the rows are at fixed places
    const body = data.parts[0]!;
    const isTable =
      body.kind === "fixed" ||
      (body.kind === "sequence" && !body.stream && numberOf(body.shift) === 0 && !body.reversed);
    if (!isTable) throw new Unproven("picks positions of what is not followed");
    return pairsAt(data, k, indices, {
      ...known,
      key: `${"key" in body ? body.key : ""}(${known.key})`,
      first: undefined,
      reach: undefined,
    });
  }
  const lined = data.axes[k]!.some(isLine) ? data : asLine(data, k);
  const body = lined.parts[0]!;
  if (body.kind !== "sequence" || body.stream) throw new Unproven("picks positions of what it mixes");
  const turnedBy = body.reversed ? -1 : 1;
  // entry p is f(p + shift), or f(size - 1 - p + shift)
  const size = sizeOfAxis(lined.axes[k]!);
  const shifted = body.reversed
    ? {
        ...place,
        coefficients: new Map([...place.coefficients].map(([a, by]) => [a, -by])),
        offset: subtract(add(subtract(size, dim(1)), body.shift), place.offset),
      }
    : { ...place, offset: add(place.offset, body.shift) };
  const found = difference(shifted);
  if (!found || [...shifted.coefficients.values()].some((by) => Math.abs(by) !== 1))
    throw new Unproven(`picks positions that are no differences (${turnedBy})`.replace(/ \(-?1\)/, ""));
  const offset = numberOf(shifted.offset)!;
  const known = body.to === undefined && body.from === undefined;
  // entries before the first wrap around to the end of the axis: not known there
  const low = numberOf(add(body.support[0], body.shift)) ?? 0;
  const from = known && atLeast(which, place.offset, subtract(size, dim(1))) ? undefined : low - offset;
  return pairsAt(lined, k, indices, {
    ...found,
    key: `${body.key}(d+${offset})`,
    from,
    first: undefined,
    reach: body.reach === undefined ? undefined : body.reach - offset,
  });
}

function pairsAt(data: Lines, k: number, indices: Lines, pairs: Extract<Body, { kind: "pairs" }>): Lines {
  const axes = [...data.axes.slice(0, k), ...indices.axes, ...data.axes.slice(k + 1)];
  const body = { ...pairs, row: pairs.row + k, column: pairs.column + k };
  return { kind: "tensor", axes, parts: [body], pair: undefined };
}

/** https://onnx.ai/onnx/operators/onnx__Pad.html: with zeros. */
export const Pad: Rule = ([input, pads, value, over], attributes, { which }) => {
  const data = tensorOf(input);
  if ((attributes.mode ?? "constant") !== "constant") throw new Unproven(`pads in mode '${String(attributes.mode)}'`);
  const given = value && numbersOf(value);
  if (value && given?.[0] !== 0) throw new Unproven("pads with something else than zeros");
  const amounts = sizesOf(pads);
  const axes = over ? numbersOf(over)?.map((axis) => fromFront(axis, data.axes.length)) : data.axes.map((_, k) => k);
  if (!amounts || !axes) throw new Unproven("pads by amounts that are not followed");
  let result = data;
  for (const [i, k] of axes.entries()) result = paddedAxis(which, result, k, amounts[i]!, amounts[i + axes.length]!);
  return result;
};

function paddedAxis(
  which: Case,
  given: Lines,
  k: number,
  before: ReturnType<typeof dim>,
  after: ReturnType<typeof dim>,
): Lines {
  if (equal(before, ZERO) && equal(after, ZERO)) return given;
  const grows = [before, after].some((amount) => numberOf(amount) === undefined);
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
    const ended = equal(back, ZERO) ? cut : endedAt(which, cut, inner);
    return padded(ended, front);
  };
  return { ...data, axes: data.axes.with(k, [{ line: whole }]), parts: data.parts.map(part) };
}

/** https://onnx.ai/onnx/operators/onnx__Concat.html: zeros before or behind, or real and imaginary part. */
export const Concat: Rule = (inputs, { axis = 0 }, { which }) => {
  const parts = inputs.map(tensorOf);
  const k = fromFront(Number(axis), parts[0]!.axes.length);
  if (parts.length === 1) return parts[0]!;
  const sizes = parts.map((part) => sizeOfAxis(part.axes[k]!));
  const total = sizes.reduce(add);
  const isAlong = parts.some((part) => part.axes[k]!.some(isLine));
  if (!isAlong) return paired(parts, k, numberOf(total));
  const isZeros = ({ parts: [body] }: Lines) => body?.kind === "fixed" && body.zero;
  const at = parts.findIndex((part) => !isZeros(part));
  if (at < 0) return fixed(parts[0]!.axes.with(k, axisOf(total)), "0", { zero: true });
  if (parts.some((part, i) => i !== at && !isZeros(part))) throw new Unproven("joins along the time axis");
  const before = sizes.slice(0, at).reduce(add, ZERO);
  return paddedAxis(which, parts[at]!, k, before, sizes.slice(at + 1).reduce(add, ZERO));
};

/** Two tensors of one entry each along an axis: real and imaginary part. */
function paired(parts: readonly Lines[], k: number, total: number | undefined): Lines {
  const [re, im] = parts;
  const isPair =
    parts.length === 2 && total === 2 && parts.every(({ axes, pair }) => axes[k]!.length === 0 && pair === undefined);
  if (isPair) return { ...re!, axes: longer(re!.axes, im!.axes, k), parts: [re!.parts[0]!, im!.parts[0]!], pair: k };
  const bodies = parts.map((part) => part.parts[0]!);
  if (total !== undefined && bodies.every((body) => body.kind === "fixed"))
    return fixed(re!.axes.with(k, axisOf(dim(total))), `[${bodies.map((body) => body.key).join()}]`);
  return alongChannels(parts, k, total);
}

/** Sequences of several channels side by side: one function of them all. */
function alongChannels(parts: readonly Lines[], k: number, total: number | undefined): Lines {
  const bodies = parts.map((part) => asRows(part.parts[0]!, part.axes));
  if (total === undefined || parts.some(({ pair }) => pair !== undefined))
    throw new Unproven("joins what is not followed");
  const sequences = bodies.filter((body): body is Sequence => body.kind === "sequence");
  if (sequences.length !== bodies.length) throw new Unproven("joins channels of what is not followed");
  const [first, ...others] = sequences;
  const anyCase: Case = { from: 1, to: 1, modulus: 1, residue: 0 };
  const same = others.every(
    (other) =>
      equal(other.shift, first!.shift) &&
      JSON.stringify([other.to, other.from]) === JSON.stringify([first!.to, first!.from]),
  );
  if (!same) throw new Unproven("joins channels that are moved along time");
  const joined = others.reduce((a, b) => summed(anyCase, a, { ...b, support: a.support }, 1), first!);
  return {
    ...parts[0]!,
    axes: parts[0]!.axes.with(k, axisOf(dim(total))),
    parts: [{ ...joined, key: `[${sequences.map((s) => s.key).join()}]` }],
  };
}

const longer = (a: Lines["axes"], b: Lines["axes"], k: number): Lines["axes"] =>
  a.map((axis, i): readonly Factor[] => (i === k ? [2] : axis.length > 0 ? axis : b[i]!));
