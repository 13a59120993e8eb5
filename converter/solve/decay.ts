/** How a layer's kernels decay: the radius of the circle for the exact solve, and the lags that matter. */
import { LongConvError } from "../../src/errors.ts";
import type { Kernels } from "./form.ts";

/** Rounding of float32, in which the kernels were computed. Less than this beside the largest tap is noise. */
const FLOAT32_ROUNDING = 2 ** -24;

/** How far r_k = t_k / γ^k may rise above the channel's largest tap: one bit. Measured in docs/parts/solve.md. */
const AMPLIFICATION = 2;

/** What {@link estimateDecay} finds. */
export interface DecayEstimate {
  /** γ, the radius of the circle of poles, 0 < γ ≤ 1. */
  readonly decay: number;
  /** Whether the kernels die away: over the last quarter of the lags no channel reaches half of its largest tap. */
  readonly bounded: boolean;
  /** γ^lags: the factor with which the kernel comes back (negated) after the horizon. */
  readonly wrapAround: number;
  /** Largest |t_k| γ^-k over the channel's largest tap; 1 to 2. */
  readonly amplification: number;
  /** The tap that decided γ; undefined where only the noise floor of float32 did. */
  readonly decidedBy: { readonly lag: number; readonly channel: number } | undefined;
}

/**
 * The smallest γ ≤ 1 that a layer's kernels allow. Any γ is exact within the horizon; a smaller one damps rounding
 * and wrap-around more, but the solve is of r_k = t_k / γ^k, and the recurrence's rounding grows with its size. So γ
 * is the least for which, in every channel and at every lag,
 *
 *     |t_k| ≤ 2 max|t| γ^k    and    2⁻²⁴ ≤ γ^lags;
 *
 * in closed form γ = max_k (|t_k| / 2 max|t|)^(1/k): the slowest channel decides, and with no decay γ^lags is 1/2.
 * The second condition keeps the float32 noise of the taps from being amplified above the taps themselves; a smaller
 * γ would only damp what is below rounding already. Channels below 2⁻²⁴ of the layer's largest tap have no say.
 * @throws LongConvError invalid-graph if a tap is not finite
 */
export function estimateDecay(kernels: Kernels): DecayEstimate {
  const { lags, channels, taps } = kernels;
  const largest = largestTaps(kernels);
  const layer = largest.reduce((a, b) => Math.max(a, b), 0);
  const weights = largest.map((size) => (size > 0 && size >= FLOAT32_ROUNDING * layer ? 1 / size : 0));
  // log γ = max_k (log e_k - log 2) / k over the layer's envelope e_k = max_c |t_k,c| / max|t_c|
  const envelope = new Float64Array(lags);
  let log = Math.log(FLOAT32_ROUNDING) / lags;
  let decidedBy: DecayEstimate["decidedBy"];
  for (let lag = 0; lag < lags; lag++) {
    let slowest = 0;
    for (let channel = 0; channel < channels; channel++) {
      const size = Math.abs(taps[lag * channels + channel]!) * weights[channel]!;
      if (size > envelope[lag]!) {
        envelope[lag] = size;
        slowest = channel;
      }
    }
    const slope = lag === 0 ? -Infinity : (Math.log(envelope[lag]!) - Math.log(AMPLIFICATION)) / lag;
    if (slope > log) {
      log = slope;
      decidedBy = { lag, channel: slowest };
    }
  }
  const decay = Math.exp(log);
  const lastQuarter = envelope.subarray(Math.max(1, Math.ceil(0.75 * lags)));
  return {
    decay,
    bounded: lastQuarter.every((size) => size < 0.5),
    wrapAround: decay ** lags,
    amplification: envelope.reduce((most, size, lag) => Math.max(most, size * decay ** -lag), 0),
    decidedBy,
  };
}

/**
 * How many lags a layer's kernels need: the least L ≥ 1 such that in every channel the taps from lag L on are small,
 * ‖t_L …‖₂ ≤ tolerance · ‖t‖₂. Equal to `kernels.lags` where a kernel has not died away.
 * @param tolerance relative to each channel's own norm; kernels computed in float32 have noise at about 1e-7
 * @throws LongConvError invalid-graph if a tap is not finite
 */
export function significantLags(kernels: Kernels, tolerance: number): number {
  const { lags, channels, taps } = kernels;
  // Taps over the channel's largest, so that squares neither overflow nor vanish
  const weights = largestTaps(kernels).map((size) => (size > 0 ? 1 / size : 0));
  const limits = new Float64Array(channels);
  for (let k = 0; k < lags; k++) addSquares(limits, taps, weights, k * channels);
  for (let c = 0; c < channels; c++) limits[c] = tolerance * tolerance * limits[c]!;
  const tails = new Float64Array(channels);
  for (let k = lags - 1; k >= 1; k--) {
    addSquares(tails, taps, weights, k * channels);
    for (let c = 0; c < channels; c++) if (tails[c]! > limits[c]!) return k + 1;
  }
  return Math.min(1, lags);
}

/** Adds the square of each tap of a lag, times its channel's weight. */
function addSquares(sums: Float64Array, taps: Float64Array, weights: Float64Array, from: number): void {
  for (let c = 0; c < sums.length; c++) {
    const tap = taps[from + c]! * weights[c]!;
    sums[c] = sums[c]! + tap * tap;
  }
}

/** max_k |t_k| of every channel. */
function largestTaps({ lags, channels, taps }: Kernels): Float64Array {
  const largest = new Float64Array(channels);
  for (let k = 0; k < lags; k++) {
    for (let c = 0; c < channels; c++) {
      const size = Math.abs(taps[k * channels + c]!);
      if (!(size < Infinity)) {
        throw new LongConvError("invalid-graph", `the kernel of channel ${c} is not finite at lag ${k}`);
      }
      if (size > largest[c]!) largest[c] = size;
    }
  }
  return largest;
}
