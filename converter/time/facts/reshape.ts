/** Which factor goes where when a tensor is reshaped: row-major order keeps the order of the factors. */
import { axisSize, type Factor, type Layout, type Sizes } from "./fact.ts";

const sizeOf = (factor: Factor, symbols: Sizes): bigint => BigInt(axisSize([factor], symbols));

/** Sizes of the axes, exact also where the symbols stand for large primes. */
export const sizesOf = (axes: Layout, symbols: Sizes): bigint[] =>
  axes.map((axis) => axis.reduce((product, factor) => product * sizeOf(factor, symbols), 1n));

/**
 * Regroups the factors of a layout into axes of the given sizes, splitting numbers where needed.
 * @param sizes sizes of the target axes, with the symbols replaced by `symbols`
 * @returns undefined where the factors cannot be regrouped that way (a symbol would be split)
 */
export const regroup = (axes: Layout, sizes: readonly bigint[], symbols: Sizes): Layout | undefined =>
  regroupBy<Factor>(axes, sizes, (factor) => sizeOf(factor, symbols));

/** {@link regroup} for factors of any kind, beside the numbers, that have a size and are never split. */
export function regroupBy<F>(
  axes: readonly (readonly (F | number)[])[],
  sizes: readonly bigint[],
  sizeOf: (factor: F | number) => bigint,
): (readonly (F | number)[])[] | undefined {
  const queue: (F | number)[] = [];
  for (const factor of axes.flat()) {
    const last = queue.at(-1);
    if (typeof factor === "number" && typeof last === "number") queue[queue.length - 1] = last * factor;
    else queue.push(factor);
  }
  const result: (readonly (F | number)[])[] = [];
  for (const size of sizes) {
    const axis: (F | number)[] = [];
    let rest = size;
    while (queue.length > 0) {
      const factor = queue[0]!;
      const value = sizeOf(factor);
      if (rest === 1n && !(value === 1n && axis.length === 0 && typeof factor !== "number")) break;
      if (value !== 0n && rest % value === 0n) {
        // a symbol of size 1 takes a unit axis of its own where there is one
        axis.push(factor);
        queue.shift();
        rest /= value;
        if (value === 1n && size === 1n) break;
      } else if (typeof factor === "number" && rest !== 0n && value % rest === 0n) {
        axis.push(Number(rest));
        queue[0] = Number(value / rest);
        rest = 1n;
      } else return undefined;
    }
    if (rest !== 1n) return undefined;
    result.push(axis);
  }
  // symbols of size 1 that are left over (a fixed batch of 1) join the last axis
  if (queue.some((factor) => sizeOf(factor) !== 1n)) return undefined;
  if (queue.length > 0) {
    if (result.length === 0) return undefined;
    result.push([...result.pop()!, ...queue]);
  }
  return result;
}
