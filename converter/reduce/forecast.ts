/** What Hankel matrices say, at low cost and before any fit, of the order that is needed; docs/parts/diagonal.md. */

import { uniform } from "../../src/random.ts";
import type { Kernels } from "../solve/form.ts";
import { dot } from "./columns.ts";
import { type HankelSpectrum, hankelSpectrum } from "./lanczos.ts";

/** Lags looked at: fewer only weaken the bound. */
const LAGS = 2048;
/** Orders looked at first. */
const NARROW = 48;

/**
 * A lower bound for ‖e‖² of any system of that order: the Hankel matrix of e = t - t̂ has at least the squared singular
 * values of t's beyond the order (Eckart & Young), and holds each lag of e at most `size` times.
 */
export function leastLoss(spectrum: HankelSpectrum | undefined, order: number): number {
  if (!spectrum) return 0;
  const { energy, singularValues, size } = spectrum;
  let rest = energy;
  for (let j = 0; j < order && j < size; j++) rest -= (singularValues[j] ?? singularValues.at(-1) ?? 0) ** 2;
  // Less is the rounding of these sums
  return rest > 1e-12 * energy ? rest / size : 0;
}

/**
 * A lower bound for the order of shared poles that a layer needs, from one sequence Σ_c ±t_c with random signs, which has
 * every pole of the layer: over the signs, the mean of ‖Σ ±e_c‖² is Σ ‖e_c‖². (A bound in the mean, that is.)
 *
 * @param kernels finite
 * @param limit the largest order of interest
 * @returns one more than the limit where no order up to it will do
 */
export function leastSharedOrder(kernels: Kernels, tolerance: number, limit: number): number {
  const { channels, taps } = kernels;
  const lags = Math.min(kernels.lags, LAGS);
  if (lags < 3) return 1;
  const next = uniform(channels * 17 + lags);
  const signs = Float64Array.from({ length: channels }, () => (next() < 0.5 ? -1 : 1));
  const sum = new Float64Array(lags - 1);
  let energy = 0;
  for (let k = 0; k < kernels.lags; k++) {
    const row = taps.subarray(k * channels, (k + 1) * channels);
    energy += dot(row, row);
    if (k > 0 && k < lags) sum[k - 1] = dot(signs, row);
  }
  let order = 1;
  // most layers need few poles, and a narrow look costs the square of its width
  for (const most of new Set([Math.min(NARROW, limit), limit])) {
    const spectrum = hankelSpectrum(sum, most + 2);
    while (order <= most && leastLoss(spectrum, order) > tolerance ** 2 * energy) order++;
    if (order <= most) break;
  }
  return order;
}
