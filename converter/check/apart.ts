/** How far two rows of numbers are apart. */

/** The larger of two differences; a NaN is the largest, so that it never passes for agreement. */
export const larger = (a: number, b: number): number => (b > a || Number.isNaN(b) ? b : a);

/** The largest |difference| of two rows, where equal infinities do not differ; NaN where one lacks a number or has a NaN. */
export function largestApart(a: ArrayLike<number>, b: ArrayLike<number> | undefined): number {
  let apart = 0;
  for (let k = 0; k < a.length; k++)
    if (a[k] !== b?.[k]) apart = larger(apart, Math.abs(a[k]! - (b?.[k] ?? Number.NaN)));
  return apart;
}
