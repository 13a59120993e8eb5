/** How far two rows of numbers, and two traces, are apart. */
import type { Row, Trace } from "./drive.ts";

/** The larger of two differences; a NaN is the largest, so that it never passes for agreement. */
export const larger = (a: number, b: number): number => (b > a || Number.isNaN(b) ? b : a);

/** The largest |difference| of two rows, where equal infinities do not differ; NaN where one lacks a number or has a NaN. */
export function largestApart(a: ArrayLike<number>, b: ArrayLike<number> | undefined): number {
  let apart = 0;
  for (let k = 0; k < a.length; k++)
    if (a[k] !== b?.[k]) apart = larger(apart, Math.abs(a[k]! - (b?.[k] ?? Number.NaN)));
  return apart;
}

/** The largest finite |value|; 0 where there is none. */
export function largestOf(rows: readonly Row[]): number {
  let largest = 0;
  for (const row of rows)
    for (const value of row) if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  return largest;
}

/**
 * The largest difference of two traces, absolute and relative to the largest finite value of each output.
 * @param positions how many are compared, from the first
 * @param scales what the value of an output counts for at least
 */
export function difference(
  wanted: Trace,
  got: Trace,
  positions = Infinity,
  scales: ReadonlyMap<string, number> = new Map(),
): { relative: number; absolute: number } {
  let relative = 0;
  let absolute = 0;
  for (const [name, rows] of wanted) {
    const compared = rows.slice(0, positions);
    const largest = Math.max(largestOf(compared), scales.get(name) ?? 0);
    const worst = compared.reduce((most, row, i) => larger(most, largestApart(row, got.get(name)?.[i])), 0);
    absolute = larger(absolute, worst);
    relative = larger(relative, worst === 0 ? 0 : worst / largest);
  }
  return { relative, absolute };
}
