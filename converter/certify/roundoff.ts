/** How far the float32 recurrence can be from exact arithmetic after any number of steps. */

import { type Modal, orderOf } from "../form.ts";
import { geometricSum } from "./geometric.ts";
import type { PerChannel } from "./norms.ts";

/** Unit roundoff of float32. */
const UNIT = 2 ** -24;

/** What a product or sum that underflows loses at most, where denormal numbers are flushed to zero. */
const UNDERFLOW = 2 ** -126;

/** Error of a sum of `terms` products in any order, with or without fused multiply-adds, relative to Σ |products|. */
const gamma = (terms: number) => (terms * UNIT) / (1 - terms * UNIT);

/** |x - float32 of x|, and all of x where its float32 is denormal and may be flushed. */
const singleError = (x: number) => (Math.abs(Math.fround(x)) < UNDERFLOW ? Math.abs(x) : Math.abs(Math.fround(x) - x));

/** Exact and rounded state of one mode: bounds on the state, on the rounding error in it, and on λ. */
interface ModeBound {
  readonly state: number;
  readonly error: number;
}

/**
 * Bounds |ŷ_i - y_i| for 0 ≤ i < steps, for each channel: y by the modal recurrence in exact arithmetic with the
 * coefficients as given, ŷ in float32 with the coefficients rounded to float32, both from a zero state with the same
 * input |x| ≤ `input`. The proof is claim 5 of docs/parts/certificate.md. It holds for the step-by-step recurrence in
 * any order of summation; for |λ| = 1 it grows with the steps. Infinity where float32 may overflow.
 *
 * @param steps a number of steps, or Infinity where every |λ| is far enough below 1
 * @param input bound on the inputs, ‖x‖∞
 */
export function roundoffBound(modal: Modal, steps: number, input: number): PerChannel {
  const { channels, pairs, reals, residues, direct } = modal;
  const bounds = [
    ...Array.from(pairs.re, (re, p) => modeBound(re, pairs.im[p]!, steps, input)),
    ...Array.from(reals, (real) => modeBound(real, 0, steps, input)),
  ];
  const order = orderOf(modal);
  const sum = gamma(order + 2);
  const count = pairs.re.length;
  return Float64Array.from(direct, (through, c) => {
    let size = Math.abs(through) * input;
    let error = singleError(through) * input;
    bounds.forEach(({ state, error: stateError }, s) => {
      const row = (s < count ? 2 * s : s + count) * channels + c;
      const re = residues[row]!;
      const im = s < count ? residues[row + channels]! : 0;
      const residue = Math.hypot(re, im);
      const rounding = Math.hypot(singleError(re), singleError(im));
      if (residue === 0) return;
      size += (residue + rounding) * (state + stateError);
      error += residue * (stateError + 2 * UNDERFLOW) + rounding * (state + stateError);
    });
    if (!(size < 3.4e38)) return Number.POSITIVE_INFINITY;
    return (error + sum * size + (2 * order + 2) * UNDERFLOW) * (1 + 1e-9);
  });
}

/** The recursions |e_i| ≤ ρ' |e_{i-1}| + δ of the proof, summed over the steps. */
function modeBound(re: number, im: number, steps: number, input: number): ModeBound {
  const [roundedRe, roundedIm] = [Math.fround(re), Math.fround(im)];
  const exact = Math.hypot(re, im);
  const moved = Math.hypot(singleError(re), singleError(im));
  // ‖[|a| |b|; |b| |a|]‖₂ = |a| + |b|
  const spread = Math.abs(roundedRe) + Math.abs(roundedIm);
  const step = gamma(3);
  const state = input * geometricSum(exact, 0, steps);
  const growth = Math.hypot(roundedRe, roundedIm) * (1 + 2 ** -50) + step * spread;
  const perStep = moved * state + step * (spread * state + input) + 8 * UNDERFLOW;
  return { state, error: perStep * geometricSum(growth, 0, steps) };
}
