/** Geometric sums, the arithmetic of every bound on what lies beyond the horizon and of every accumulated rounding. */

/**
 * Σ ratio^k for from ≤ k < to, without cancellation near ratio = 1, and rounded up.
 *
 * @param ratio at least 0; above 1 only with a finite `to`
 * @param to Infinity is allowed: the sum is then Infinity at ratio ≥ 1
 */
export function geometricSum(ratio: number, from: number, to: number): number {
  if (to <= from) return 0;
  if (ratio === 0) return from === 0 ? 1 : 0;
  if (ratio >= 1 && to === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
  if (ratio === 1) return to - from;
  const log = ratio < 0.5 ? Math.log(ratio) : Math.log1p(ratio - 1);
  const first = Math.exp(from * log);
  const sum = (first * Math.expm1((to - from) * log)) / (ratio - 1);
  return sum * (1 + 1e-12) + Number.MIN_VALUE;
}
