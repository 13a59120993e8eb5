/** From poles to the modal form of all channels: residues, direct terms, and the error after rounding. */

import type { Kernels, Modal } from "../solve/form.ts";
import { dot } from "./columns.ts";
import type { Compressed } from "./compress.ts";
import { fitResidues, modes } from "./fit.ts";
import type { Fitting } from "./fitting.ts";
import { orderOfPoles, type Poles } from "./poles.ts";

/** Residues over all channels, the direct term, and the error that rounding leaves. */
export function modalFromPoles(kernels: Kernels, compressed: Compressed, fitting: Fitting, poles: Poles) {
  const { lags, channels, taps } = kernels;
  const order = orderOfPoles(poles);
  const rounded = fitting.round(poles);
  const { residues: small, lost } = fitResidues(modes(rounded, lags), compressed.sequences, fitting.ridge);
  const single = fitting.ridge > 2 ** -30;
  const residues = new Float64Array(order * channels);
  const shift = Array.from({ length: channels }, () => 0);
  const roundings = Array.from({ length: order }, () => new Float64Array(channels));
  for (let s = 0; s < order; s++) {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let j = 0; j < compressed.mix.length; j++) sum += small[s]![j]! * compressed.mix[j]![c]!;
      const kept = single ? Math.fround(sum) : sum;
      residues[s * channels + c] = kept;
      roundings[s]![c] = sum - kept;
    }
  }
  // Lag 0 of the modes: Re λ⁰ = 1, Im λ⁰ = 0
  const pairs = rounded.pairs.re.length;
  const direct = new Float64Array(channels);
  let gain = 0;
  for (let c = 0; c < channels; c++) {
    let [sum, size, largest] = [0, 0, 0];
    for (let s = 0; s < order; s++) {
      const residue = residues[s * channels + c]!;
      size += Math.abs(residue);
      if (s >= 2 * pairs || s % 2 === 0) sum += residue;
    }
    for (let k = 0; k < lags; k++) largest = Math.max(largest, Math.abs(taps[k * channels + c]!));
    direct[c] = single ? Math.fround(taps[c]! - sum) : taps[c]! - sum;
    shift[c] = taps[c]! - sum - direct[c]!;
    if (largest > 0) gain = Math.max(gain, size / largest);
  }
  const roundingError = roundingEnergy(rounded, lags, roundings) + shift.reduce((sum, x) => sum + x * x, 0);
  const error = Math.sqrt((lost + compressed.lost + roundingError) / (compressed.energy || 1));
  const modal: Modal = { channels, pairs: rounded.pairs, reals: rounded.reals, residues, direct };
  return { modal, error, gain };
}

/** ‖B δ‖² for the modes B and the roundings δ [order][channels] of the residues. */
function roundingEnergy(poles: Poles, lags: number, roundings: readonly Float64Array[]): number {
  const basis = modes(poles, lags);
  let sum = 0;
  for (let a = 0; a < basis.length; a++) {
    for (let b = 0; b <= a; b++) {
      sum += (a === b ? 1 : 2) * dot(basis[a]!, basis[b]!) * dot(roundings[a]!, roundings[b]!);
    }
  }
  return Math.max(sum, 0);
}
