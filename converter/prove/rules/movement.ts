/** Operators that move values to another layout. */

import { fromFront } from "../../graph/axis.ts";
import { dim, equal, multiply } from "../../time/facts/dim.ts";
import { regroupBy } from "../../time/facts/reshape.ts";
import { type Case, numberOf, Unproven } from "../values/cases.ts";
import { numbersOf, placed, type Rule, sameAxis, sizeOfAxis, sizesOf, symbolic, tensorOf } from "../values/rule.ts";
import { type Axes, axisOf, type Body, type Factor, type Lines, lineAt, linesOf, type Value } from "../values/value.ts";

/** The same tensor with its axes elsewhere: `to` gives an axis's new place. */
function moved(data: Lines, axes: Axes, to: (axis: number) => number): Lines {
  // values in another order, or fewer than places
  const inOrder = (part: Body): Body =>
    part.kind === "fixed" && part.tensor && part.tensor().data.length > 1 ? { ...part, tensor: undefined } : part;
  return {
    ...data,
    axes,
    parts: data.parts.map((part) => placed(inOrder(part), to)),
    pair: data.pair === undefined ? undefined : to(data.pair),
  };
}

/** https://onnx.ai/onnx/operators/onnx__Transpose.html */
export const Transpose: Rule = ([input], { perm }) => {
  const data = tensorOf(input);
  const order = (perm as readonly number[] | undefined) ?? data.axes.map((_, k) => data.axes.length - 1 - k);
  return moved(
    data,
    order.map((k) => data.axes[k]!),
    (axis) => order.indexOf(axis),
  );
};

const sizeIn =
  (which: Case) =>
  (factor: Factor): bigint =>
    symbolic(which, sizeOfAxis([factor]));

const onlyLines = (axes: Axes): boolean => linesOf(axes).every((k) => lineAt(axes, k));

/** Axes regrouped to sizes; the axis of real and imaginary part stays the last. */
function toSizes(which: Case, data: Lines, sizes: readonly bigint[]): Lines {
  const paired = data.pair !== undefined;
  if (paired && (data.pair !== data.axes.length - 1 || sizes.at(-1) !== 2n))
    throw new Unproven("moves real and imaginary parts in a way that is not followed");
  const [own, wanted] = paired ? [data.axes.slice(0, -1), sizes.slice(0, -1)] : [data.axes, sizes];
  const regrouped = regroupBy<Factor>(own, wanted, sizeIn(which)) as Axes | undefined;
  if (!regrouped) throw new Unproven("reshapes so that an axis is cut up");
  const axes = paired ? [...regrouped, data.axes.at(-1)!] : regrouped;
  const before = linesOf(data.axes);
  const after = linesOf(axes);
  // a place along an axis that is more than a line is another number
  const isPure = after.length === before.length && [data.axes, axes].every(onlyLines);
  if (!isPure && data.parts.some(({ kind }) => kind === "index" || kind === "pairs" || kind === "windows"))
    throw new Unproven("reshapes positions in a way that is not followed");
  return moved(data, axes, (axis) => (axis === data.pair ? axes.length - 1 : after[before.indexOf(axis)]!));
}

/** @throws Unproven where numbers of channels, or axes, were calculated from the length: they may differ between lengths */
function refuseByLength(value: Value | undefined, why: string): void {
  if (value?.kind === "sizes" && value.ofLength && value.values.some((size) => numberOf(size) !== undefined))
    throw new Unproven(why);
}

/** https://onnx.ai/onnx/operators/onnx__Reshape.html */
export const Reshape: Rule = ([input, shape], { allowzero = 0 }, { which }) => {
  const data = tensorOf(input);
  const target = sizesOf(shape);
  if (!target) throw new Unproven("reshapes to a shape that is not followed");
  refuseByLength(shape, "reshapes channels otherwise at some lengths");
  const from = data.axes.map((axis) => symbolic(which, sizeOfAxis(axis)));
  const sizes = target.map((d, k) => {
    const size = symbolic(which, d);
    return size === 0n && !allowzero ? from[k]! : size;
  });
  const total = from.reduce((a, b) => a * b, 1n);
  const known = sizes.filter((size) => size !== -1n).reduce((a, b) => a * b, 1n);
  if (known === 0n || total === 0n) throw new Unproven("reshapes something that is empty");
  return toSizes(
    which,
    data,
    sizes.map((size) => (size === -1n ? total / known : size)),
  );
};

/** https://onnx.ai/onnx/operators/onnx__Flatten.html */
export const Flatten: Rule = ([input], { axis = 1 }, { which }) => {
  const data = tensorOf(input);
  const k = fromFront(Number(axis), data.axes.length);
  const product = (axes: Axes) => axes.reduce((size, each) => size * symbolic(which, sizeOfAxis(each)), 1n);
  return toSizes(which, data, [product(data.axes.slice(0, k)), product(data.axes.slice(k))]);
};

/** https://onnx.ai/onnx/operators/onnx__Squeeze.html */
export const Squeeze: Rule = ([input, over], { axes: attribute }) => {
  const data = tensorOf(input);
  refuseByLength(over, "removes other axes at some lengths");
  const given = over ? numbersOf(over) : (attribute as readonly number[] | undefined);
  // so are the batch of one row and the time of one position, at that size
  if (!given && data.axes.some((axis) => axis.some((factor) => typeof factor !== "number")))
    throw new Unproven("removes every axis of size 1");
  const gone = (given ?? data.axes.flatMap((axis, k) => (axis.length ? [] : [k]))).map((k) =>
    fromFront(k, data.axes.length),
  );
  if ((over && !given) || gone.some((k) => data.axes[k]!.length > 0))
    throw new Unproven("removes axes that are not of size 1");
  return moved(
    data,
    data.axes.filter((_, k) => !gone.includes(k)),
    (axis) => axis - gone.filter((k) => k < axis).length,
  );
};

/** https://onnx.ai/onnx/operators/onnx__Unsqueeze.html */
export const Unsqueeze: Rule = ([input, over], { axes: attribute }) => {
  const data = tensorOf(input);
  refuseByLength(over, "adds other axes at some lengths");
  const given = over ? numbersOf(over) : (attribute as readonly number[] | undefined);
  if (!given) throw new Unproven("adds axes that are not followed");
  const rank = data.axes.length + given.length;
  const fresh = new Set(given.map((k) => fromFront(k, rank)));
  const places = Array.from({ length: rank }, (_, k) => k).filter((k) => !fresh.has(k));
  const axes: Axes = Array.from({ length: rank }, (_, k) => (fresh.has(k) ? [] : data.axes[places.indexOf(k)]!));
  return moved(data, axes, (axis) => places[axis]!);
};

/** Axes of size 1 stretched. https://onnx.ai/onnx/operators/onnx__Expand.html */
export const Expand: Rule = ([input, shape], _attributes, { which }) => {
  const data = tensorOf(input);
  const target = sizesOf(shape);
  if (!target) throw new Unproven("stretches to a shape that is not followed");
  const rank = Math.max(target.length, data.axes.length);
  const shift = rank - data.axes.length;
  const axes: Axes = Array.from({ length: rank }, (_, k) => {
    const own = data.axes[k - shift] ?? [];
    const wanted = target[k - rank + target.length];
    if (!wanted || equal(wanted, dim(1))) return own;
    if (own.length === 0) return axisOf(wanted);
    if (equal(sizeOfAxis(own), wanted)) return own;
    if (!sameAxis(which, own, axisOf(wanted))) throw new Unproven("stretches an axis that has one entry");
    return own;
  });
  // what is the same in every place along a line is fixed still
  const repeats = linesOf(axes).length > linesOf(data.axes).length;
  if (repeats && data.parts.some((part) => part.kind !== "fixed")) throw new Unproven("repeats along time");
  return moved(data, axes, (axis) => axis + shift);
};

/** https://onnx.ai/onnx/operators/onnx__Tile.html: by 1 everywhere, or of axes of size 1. */
export const Tile: Rule = ([input, repeats], attributes, site) => {
  const data = tensorOf(input);
  const counts = sizesOf(repeats);
  if (!counts) throw new Unproven("repeats as often as is not followed");
  const shape = data.axes.map((axis, k) => {
    const count = counts[k]!;
    if (axis.length > 0 && (count.constant !== 1 || count.time || count.batch || count.product))
      throw new Unproven("repeats an axis");
    return multiply(sizeOfAxis(axis), count)!;
  });
  return Expand([data, { kind: "sizes", rank: 1, values: shape }], attributes, site);
};

export const Identity: Rule = ([input]) => input!;
