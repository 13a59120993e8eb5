/**
 * One error of the outputs, shared among layers and channels by what each of them does to the outputs.
 *
 * With gains g_c the outputs are off by (Σ over layers and channels g_c² ‖e_c‖²)^½, to first order and for errors that have nothing
 * to do with each other. Where errors fall equally fast with the order, the fewest states in all leave every channel the same part
 * of the squares (Lagrange: the last state of each layer must gain the same for its bytes). Within a layer the poles are shared, so
 * there the kernels are weighed by their gains instead.
 */
import type { Kernels } from "../solve/form.ts";

/** A layer's part of the budget. */
export interface Share {
  /** Relative error of the weighed kernels, Frobenius norm. */
  readonly tolerance: number;
  /** What each channel's kernel is weighed with: powers of two, so that its rounding stays what it is. */
  readonly weights: Float64Array;
}

/** Random inputs may miss what a layer or a channel is for: neither is left more than so many times what an equal share would be. */
const LOOSEST = 10;

/**
 * @param kernels of the layer
 * @param gains relative change of the outputs for an error of norm 1 in each channel's kernel
 * @param budget relative error of the outputs that all layers may cause together
 * @param channels of all layers
 */
export function shareOf(kernels: Kernels, gains: Float64Array, budget: number, channels: number): Share {
  const norms = new Float64Array(kernels.channels);
  kernels.taps.forEach((tap, i) => {
    norms[i % kernels.channels]! += tap * tap;
  });
  const effect = Math.sqrt(norms.reduce((sum, square, c) => sum + square * gains[c]! ** 2, 0));
  const norm = Math.sqrt(norms.reduce((sum, square) => sum + square, 0));
  const part = budget * Math.sqrt(kernels.channels / channels);
  const usual = norm > 0 && effect > 0 ? effect / norm : 1;
  const weights = gains.map((gain) => 2 ** Math.round(Math.log2(Math.max(gain, usual / LOOSEST))));
  return { tolerance: Math.min(LOOSEST * budget, effect > 0 ? part / effect : Infinity), weights };
}
