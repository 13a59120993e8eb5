/** Nodes between a stream in its own layout and [batch, time, channels]. */
import type { Builder } from "../graph/build.ts";
import { channelCount, type Factor, isChannelAxis, type Layout } from "../time/facts/fact.ts";

/** Where the nodes of a graph find the batch size and the sequence length. */
export interface SymbolNames {
  /** int64 [1]: the batch size. */
  readonly batch: () => string;
  /** int64 [1]: the sequence length. */
  readonly time: () => string;
  /** int64 [1]: the positions that are attended to; inside an attention. */
  readonly keys?: (() => string) | undefined;
  /** Both are known to be 1: every shape is a constant. */
  readonly areOne?: boolean | undefined;
  /** The positions that are attended to, where both are 1. */
  readonly fixedKeys?: number | undefined;
}

/** Permutation that brings the layout's factors into the order batch, time, channels. */
function canonicalOrder(factors: readonly Factor[]): number[] {
  const channels = factors.flatMap((factor, k) => (typeof factor === "number" ? [k] : []));
  return [factors.indexOf("batch"), factors.indexOf("time"), ...channels];
}

const isIdentity = (order: readonly number[]): boolean => order.every((k, i) => k === i);

/** Layouts that need no node: [batch, time, channels] as it is. */
const isCanonical = (axes: Layout): boolean =>
  axes.length === 3 && axes[0]!.join() === "batch" && axes[1]!.join() === "time" && isChannelAxis(axes[2]!);

/** The layout of one token of one sequence: batch and time are axes of length 1. @param keys how many positions are attended to */
export const withoutSymbols = (axes: Layout, keys = 1): Layout =>
  axes.map((axis) => axis.map((factor) => (factor === "keys" ? keys : factor)).filter((f) => typeof f === "number"));

/**
 * A Reshape target: a constant where at most one size has to be inferred (-1), else put together from the symbols.
 * @param from layout of what is reshaped: a symbol at the same place is copied (0)
 */
export function shapeOperand(b: Builder, layout: Layout, symbols: SymbolNames, from?: Layout): string {
  const axes = symbols.areOne ? withoutSymbols(layout, symbols.fixedKeys) : layout;
  const sizes: (number | Factor[])[] = axes.map((axis) => (isChannelAxis(axis) ? channelCount([axis]) : [...axis]));
  const symbolic = sizes.flatMap((size, k) => (typeof size === "number" ? [] : [k]));
  // 0 copies the input's dimension at the same place
  const copied = symbolic.filter((k) => from?.[k] && from[k]!.join() === axes[k]!.join());
  const open = symbolic.filter((k) => !copied.includes(k));
  if (open.length <= 1 && !sizes.some((size) => size === 0))
    return b.ints(
      "shape",
      sizes.map((size, k) => (typeof size === "number" ? size : copied.includes(k) ? 0 : -1)),
    );
  const parts = sizes.map((size) => {
    if (typeof size === "number") return b.ints("size", [size]);
    const factors = size.map((factor) => sizeOf(b, factor, symbols));
    return factors.reduce((a, c) => b.one("Mul", [a, c], {}, { hint: "size" }));
  });
  return b.one("Concat", parts, { axis: 0 }, { hint: "shape" });
}

/** int64 [1]: the size of a factor. */
function sizeOf(b: Builder, factor: Factor, symbols: SymbolNames): string {
  if (typeof factor === "number") return b.ints("size", [factor]);
  return factor === "keys" ? symbols.keys!() : symbols[factor]();
}

/** A shape operand of Expand, which knows neither 0 nor -1. */
export function dynamicShape(b: Builder, target: Layout, symbols: SymbolNames): string {
  if (symbols.areOne) return shapeOperand(b, target, symbols);
  const parts = target.map((axis) => {
    const sizes = axis.map((factor) => sizeOf(b, factor, symbols));
    return sizes.length ? sizes.reduce((a, c) => b.one("Mul", [a, c], {}, { hint: "size" })) : b.ints("size", [1]);
  });
  return b.one("Concat", parts, { axis: 0 }, { hint: "shape" });
}

/** Adds the nodes that bring `tensor` from `axes` to [batch, time, channels]. */
export function toCanonical(b: Builder, tensor: string, axes: Layout, symbols: SymbolNames): string {
  if (isCanonical(axes)) return tensor;
  const factors = axes.flat();
  const apart: Layout = factors.map((factor) => [factor]);
  let current = tensor;
  const order = canonicalOrder(factors);
  if (axes.length !== factors.length && !isIdentity(order))
    current = b.one("Reshape", [current, shapeOperand(b, apart, symbols, axes)], {}, { hint: "factors" });
  if (!isIdentity(order)) current = b.one("Transpose", [current], { perm: order }, { hint: "canonical" });
  const sorted: Layout = order.map((k) => [factors[k]!]);
  const target: Layout = [["batch"], ["time"], factors.filter((factor) => typeof factor === "number")];
  const before = isIdentity(order) ? axes : sorted;
  if (before.length === 3 && isCanonical(before)) return current;
  return b.one("Reshape", [current, shapeOperand(b, target, symbols, before)], {}, { hint: "canonical" });
}

/** Adds the nodes that bring [batch, time, channels] to `axes`; the result is named `output`. */
export function fromCanonical(b: Builder, tensor: string, axes: Layout, symbols: SymbolNames, output: string): void {
  const factors = axes.flat();
  const order = canonicalOrder(factors);
  if (isCanonical(axes)) {
    b.one("Identity", [tensor], {}, { outputs: [output] });
    return;
  }
  const canonical: Layout = [["batch"], ["time"], factors.filter((factor) => typeof factor === "number")];
  if (isIdentity(order)) {
    b.one("Reshape", [tensor, shapeOperand(b, axes, symbols, canonical)], {}, { outputs: [output] });
    return;
  }
  const sorted: Layout = order.map((k) => [factors[k]!]);
  const inverse = factors.map((_, k) => order.indexOf(k));
  let current = tensor;
  if (sorted.length !== 3)
    current = b.one("Reshape", [current, shapeOperand(b, sorted, symbols, canonical)], {}, { hint: "factors" });
  const flat = axes.length === factors.length;
  current = b.one("Transpose", [current], { perm: inverse }, flat ? { outputs: [output] } : { hint: "layout" });
  if (!flat) {
    const apart: Layout = factors.map((factor) => [factor]);
    b.one("Reshape", [current, shapeOperand(b, axes, symbols, apart)], {}, { outputs: [output] });
  }
}

/** Adds the nodes that bring `tensor` from one layout to another of the same factors. */
export function arranged(b: Builder, tensor: string, from: Layout, to: Layout, symbols: SymbolNames): string {
  const factors = from.flat();
  const wanted = to.flat();
  const taken = new Set<number>();
  const order = wanted.map((factor) => {
    const k = factors.findIndex((each, i) => each === factor && !taken.has(i));
    taken.add(k);
    return k;
  });
  const same = from.length === to.length && from.every((axis, k) => axis.join() === to[k]!.join());
  if (same && isIdentity(order)) return tensor;
  const apart: Layout = factors.map((factor) => [factor]);
  const flat = from.length === factors.length && from.every((axis) => axis.length === 1);
  let current = tensor;
  if (isIdentity(order)) return b.one("Reshape", [current, shapeOperand(b, to, symbols)], {}, { hint: "arranged" });
  if (!flat) current = b.one("Reshape", [current, shapeOperand(b, apart, symbols)], {}, { hint: "factors" });
  current = b.one("Transpose", [current], { perm: order }, { hint: "arranged" });
  const sorted: Layout = wanted.map((factor) => [factor]);
  const done = to.length === sorted.length && to.every((axis, k) => axis.join() === sorted[k]!.join());
  return done ? current : b.one("Reshape", [current, shapeOperand(b, to, symbols)], {}, { hint: "arranged" });
}
