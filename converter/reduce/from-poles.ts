/** From poles to the modal form of all channels: residues, direct terms, and the error after rounding. */

import type { Kernels, Modal } from "../solve/form.ts";
import { dot, subtractCombination } from "./columns.ts";
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
  const shift = new Float64Array(channels);
  const roundings = Array.from({ length: order }, () => new Float64Array(channels));
  const ofState = new Float64Array(channels);
  for (let s = 0; s < order; s++) {
    ofState.fill(0);
    subtractCombination(
      ofState,
      compressed.mix,
      small[s]!.map((residue) => -residue),
    );
    roundInto(residues, s * channels, roundings[s]!, ofState, single);
  }
  // Lag 0 of the modes: Re λ⁰ = 1, Im λ⁰ = 0
  const pairs = rounded.pairs.re.length;
  const direct = new Float64Array(channels);
  let gain = 0;
  const [sums, sizes, largest] = [0, 1, 2].map(() => new Float64Array(channels)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  for (let s = 0; s < order; s++) {
    const row = residues.subarray(s * channels, (s + 1) * channels);
    addModuli(sizes, row);
    if (s >= 2 * pairs || s % 2 === 0) addRow(sums, row);
  }
  for (let k = 0; k < lags; k++) raiseToModuli(largest, taps, k * channels);
  for (let c = 0; c < channels; c++) {
    const rest = taps[c]! - sums[c]!;
    direct[c] = single ? Math.fround(rest) : rest;
    shift[c] = rest - direct[c]!;
    if (largest[c]! > 0) gain = Math.max(gain, sizes[c]! / largest[c]!);
  }
  const roundingError = roundingEnergy(rounded, lags, roundings) + shift.reduce((sum, x) => sum + x * x, 0);
  const error = Math.sqrt((lost + compressed.lost + roundingError) / (compressed.energy || 1));
  const modal: Modal = { channels, pairs: rounded.pairs, reals: rounded.reals, residues, direct };
  return { modal, error, gain };
}

function addRow(sums: Float64Array, row: Float64Array): void {
  for (let c = 0; c < sums.length; c++) sums[c] = sums[c]! + row[c]!;
}

function addModuli(sums: Float64Array, row: Float64Array): void {
  for (let c = 0; c < sums.length; c++) sums[c] = sums[c]! + Math.abs(row[c]!);
}

function raiseToModuli(largest: Float64Array, taps: Float64Array, from: number): void {
  for (let c = 0; c < largest.length; c++) {
    const size = Math.abs(taps[from + c]!);
    if (size > largest[c]!) largest[c] = size;
  }
}

/** A state's residues as they are kept, from `residues[at]` on, and what that rounds away. */
function roundInto(
  residues: Float64Array,
  at: number,
  roundings: Float64Array,
  exact: Float64Array,
  single: boolean,
): void {
  for (let c = 0; c < exact.length; c++) {
    const kept = single ? Math.fround(exact[c]!) : exact[c]!;
    residues[at + c] = kept;
    roundings[c] = exact[c]! - kept;
  }
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
