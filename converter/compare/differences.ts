/** How far two rows of numbers, and two traces, are apart. */
import type { Row, Trace } from "./drive.ts";

/** The larger of two differences; a NaN is the largest, so that it never passes for agreement. */
export const larger = (a: number, b: number): number => (b > a || Number.isNaN(b) ? b : a);

/** The largest |difference| of two rows, where equal infinities do not differ; NaN where one lacks a number or has a NaN. */
export function largestApart(a: ArrayLike<number>, b: ArrayLike<number> | undefined): number {
  let apart = 0;
  if (!b || b.length < a.length) return a.length === 0 ? apart : Number.NaN;
  for (let k = 0; k < a.length; k++) {
    const due = a[k]!;
    const got = b[k]!;
    if (due === got) continue;
    const difference = Math.abs(due - got);
    if (!(difference <= apart)) apart = larger(apart, difference);
  }
  return apart;
}

/** The largest finite |value|; 0 where there is none. */
export function largestOf(rows: readonly Row[]): number {
  let largest = 0;
  for (const row of rows) largest = Math.max(largest, largestIn(row));
  return largest;
}

function largestIn(row: Row): number {
  let largest = 0;
  for (let k = 0; k < row.length; k++) {
    const size = Math.abs(row[k]!);
    if (size > largest && size < Infinity) largest = size;
  }
  return largest;
}

/** Whether a number of a trace is NaN. */
export const hasNaN = (trace: Trace): boolean => [...trace.values()].some((rows) => rows.some(isSomeNaN));

function isSomeNaN(row: Row): boolean {
  for (let k = 0; k < row.length; k++) if (Number.isNaN(row[k])) return true;
  return false;
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
