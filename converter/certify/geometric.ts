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

/**
 * Σ (k + 1) ratio^k for 0 ≤ k < to, rounded up: what a recurrence makes of a recurrence's states. It is
 * (Σ ratio^k - to ratio^to) / (1 - ratio); where that cancels, each power is taken for the largest.
 *
 * @param ratio at least 0; above 1 only with a finite `to`
 * @param to Infinity is allowed: the sum is then Infinity at ratio ≥ 1
 */
export function nestedSum(ratio: number, to: number): number {
  if (to <= 0) return 0;
  const once = geometricSum(ratio, 0, to);
  if (once === Number.POSITIVE_INFINITY) return once;
  if (to === Number.POSITIVE_INFINITY) return once / (1 - ratio);
  if (to * Math.abs(1 - ratio) < 0.01) return ((to * (to + 1)) / 2) * Math.max(1, ratio) ** to * (1 + 1e-12);
  const sum = (once - to * ratio ** to) / (1 - ratio);
  return Number.isNaN(sum) ? Number.POSITIVE_INFINITY : sum * (1 + 1e-8);
}
