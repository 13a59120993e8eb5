/** The kernel of a modal form, and how far it is from the one that it was solved for; float64. */
import { type Kernels, type Modal, orderOf } from "./form.ts";
import { type DoubleDouble, exact, powersOf, times } from "./powers.ts";

/** Lags computed from one set of powers: λ^(jB+i) = λ^(jB) λ^i, i < B. */
const BLOCK = 128;

/**
 * Taps 0 … lags-1 of every channel. Both factors of λ^(jB) λ^i are correctly rounded up to an ulp (powers in
 * double-double), so a tap's error is a few roundings of its terms, at most (order + 8) 2⁻⁵³ Σ_s |residue_s| |λ_s|^k,
 * whatever the lag. Cost: lags · order · channels multiplications, about 1 ns each.
 * @returns taps [lags × channels]
 */
export function kernelOf(modal: Modal, lags: number): Kernels {
  const { channels, residues, direct, pairs, reals } = modal;
  const order = orderOf(modal);
  const taps = new Float64Array(lags * channels);
  const basis = basisOf(modal);
  const leaps = new Float64Array(2 * (pairs.re.length + reals.length));
  const leap = polesOf(modal).map((pole) => powersOf(pole, BLOCK + 1)[BLOCK]!);
  let current = leap.map(() => exact(1, 0));
  const turned = new Float64Array(4 * order);
  const sums = new Float64Array(16);
  for (let block = 0; block < lags; block += BLOCK) {
    current.forEach(([re, , im], p) => {
      leaps[2 * p] = re;
      leaps[2 * p + 1] = im;
    });
    const height = Math.min(BLOCK, lags - block);
    for (let channel = 0; channel < channels; channel += 4) {
      const width = Math.min(4, channels - channel);
      turn(residues, leaps, pairs.re.length, order, channels, channel, width, turned);
      fill(taps, block * channels + channel, channels, height, width, basis, turned, order, sums);
    }
    if (block + BLOCK < lags) current = current.map((power, p) => times(power, leap[p]!));
  }
  if (lags > 0) for (let c = 0; c < channels; c++) taps[c] = taps[c]! + direct[c]!;
  return { lags, channels, taps };
}

/** How far the kernel of a modal form is from the one it was solved for. */
export interface SolveError {
  /** ‖t̂ - t‖₂ / ‖t‖₂ over all measured channels; 0 for kernels of zeros that are met exactly. */
  readonly relative: number;
  /** The channel whose own ‖t̂ - t‖₂ / ‖t‖₂ is largest. */
  readonly worstChannel: number;
  readonly worstRelative: number;
  /** Largest |t̂_k - t_k| over the largest |t_k| of the same channel, over all measured channels. */
  readonly largest: number;
  /** How many channels were measured, evenly spread over the layer; all lags of each. */
  readonly channelsMeasured: number;
}

/**
 * The error of a solve, measured with the poles and residues as they are stored. It costs lags · order
 * multiplications a channel: above `budget` of them, evenly spread channels stand for the layer (at least one; they
 * all go through the same transform).
 * @param budget multiplications, about 1 ns each
 */
export function solveError(kernels: Kernels, modal: Modal, budget = 4e9): SolveError {
  const { lags, channels, taps } = kernels;
  const affordable = Math.floor(budget / Math.max(1, lags * orderOf(modal)));
  const measured = Math.min(channels, Math.max(1, affordable));
  const chosen = Array.from({ length: measured }, (_, i) => Math.floor((i * channels) / measured));
  const sum = { error: 0, norm: 0 };
  const worst = { channel: 0, relative: 0, largest: 0 };
  // Slices of channels, so that the evaluated kernels need little memory
  for (let from = 0; from < measured; from += 64) {
    const slice = chosen.slice(from, from + 64);
    const found = kernelOf(channelsOf(modal, slice), lags).taps;
    slice.forEach((channel, c) => {
      let [error, norm, difference, size] = [0, 0, 0, 0];
      for (let k = 0; k < lags; k++) {
        const tap = taps[k * channels + channel]!;
        const off = Math.abs(found[k * slice.length + c]! - tap);
        error += off * off;
        norm += tap * tap;
        difference = Math.max(difference, off);
        size = Math.max(size, Math.abs(tap));
      }
      sum.error += error;
      sum.norm += norm;
      const relative = Math.sqrt(ratio(error, norm));
      if (!(relative <= worst.relative)) {
        worst.relative = relative;
        worst.channel = channel;
      }
      worst.largest = Math.max(worst.largest, ratio(difference, size));
    });
  }
  return {
    relative: Math.sqrt(ratio(sum.error, sum.norm)),
    worstChannel: worst.channel,
    worstRelative: worst.relative,
    largest: worst.largest,
    channelsMeasured: measured,
  };
}

/** a / b, where nothing out of nothing is nothing. */
const ratio = (a: number, b: number): number => (a === 0 ? 0 : a / b);

/** The same poles with the residues of some channels. */
export function channelsOf(modal: Modal, chosen: readonly number[]): Modal {
  const { channels, residues, direct } = modal;
  const width = chosen.length;
  const picked = new Float64Array(orderOf(modal) * width);
  for (let i = 0; i < picked.length; i++) {
    picked[i] = residues[Math.floor(i / width) * channels + chosen[i % width]!]!;
  }
  return { ...modal, channels: width, residues: picked, direct: Float64Array.from(chosen, (c) => direct[c]!) };
}

/** The poles of {@link Modal}, pairs first. */
const polesOf = ({ pairs, reals }: Modal): DoubleDouble[] => [
  ...Array.from(pairs.re, (re, p) => exact(re, pairs.im[p]!)),
  ...Array.from(reals, (real) => exact(real, 0)),
];

/** Rows i = 0 … BLOCK-1 of the real basis, [BLOCK/4 × order × 4]: four lags side by side for {@link product4x4}. */
function basisOf(modal: Modal): Float64Array {
  const order = orderOf(modal);
  const pairs = modal.pairs.re.length;
  const basis = new Float64Array(BLOCK * order);
  polesOf(modal).forEach((pole, p) => {
    const state = p < pairs ? 2 * p : pairs + p;
    powersOf(pole, BLOCK).forEach(([re, , im], i) => {
      const at = 4 * (order * (i >> 2) + state) + (i & 3);
      basis[at] = re;
      if (p < pairs) basis[at + 4] = im;
    });
  });
  return basis;
}

/**
 * Residues of `width` channels turned by λ^(jB), [order × 4]: with a Re z + b Im z = Re((a - ib) z),
 * a' - ib' = (a - ib) λ^(jB).
 */
function turn(
  residues: Float64Array,
  leaps: Float64Array,
  pairs: number,
  order: number,
  channels: number,
  channel: number,
  width: number,
  turned: Float64Array,
): void {
  for (let p = 0; p < pairs; p++) {
    const re = leaps[2 * p]!;
    const im = leaps[2 * p + 1]!;
    const row = 2 * p * channels + channel;
    for (let c = 0; c < width; c++) {
      const a = residues[row + c]!;
      const b = residues[row + channels + c]!;
      turned[8 * p + c] = a * re + b * im;
      turned[8 * p + 4 + c] = b * re - a * im;
    }
  }
  for (let s = 2 * pairs; s < order; s++) {
    const re = leaps[2 * (s - pairs)]!;
    for (let c = 0; c < width; c++) turned[4 * s + c] = re * residues[s * channels + channel + c]!;
  }
}

/** `height` lags of `width` channels, from taps[at] on. */
function fill(
  taps: Float64Array,
  at: number,
  channels: number,
  height: number,
  width: number,
  basis: Float64Array,
  turned: Float64Array,
  order: number,
  sums: Float64Array,
): void {
  for (let i = 0; i < height; i += 4) {
    product4x4(basis, 4 * order * (i >> 2), turned, order, sums);
    for (let r = 0; r < Math.min(4, height - i); r++) {
      for (let c = 0; c < width; c++) taps[at + (i + r) * channels + c] = sums[4 * r + c]!;
    }
  }
}

/** sums [4 × 4] = Σ_s basis[s, 4 lags] turned[s, 4 channels]; sixteen sums in registers are what makes this fast. */
function product4x4(basis: Float64Array, from: number, turned: Float64Array, order: number, sums: Float64Array): void {
  let s00 = 0;
  let s01 = 0;
  let s02 = 0;
  let s03 = 0;
  let s10 = 0;
  let s11 = 0;
  let s12 = 0;
  let s13 = 0;
  let s20 = 0;
  let s21 = 0;
  let s22 = 0;
  let s23 = 0;
  let s30 = 0;
  let s31 = 0;
  let s32 = 0;
  let s33 = 0;
  for (let s = 0; s < 4 * order; s += 4) {
    const c0 = turned[s]!;
    const c1 = turned[s + 1]!;
    const c2 = turned[s + 2]!;
    const c3 = turned[s + 3]!;
    const v0 = basis[from + s]!;
    s00 += v0 * c0;
    s01 += v0 * c1;
    s02 += v0 * c2;
    s03 += v0 * c3;
    const v1 = basis[from + s + 1]!;
    s10 += v1 * c0;
    s11 += v1 * c1;
    s12 += v1 * c2;
    s13 += v1 * c3;
    const v2 = basis[from + s + 2]!;
    s20 += v2 * c0;
    s21 += v2 * c1;
    s22 += v2 * c2;
    s23 += v2 * c3;
    const v3 = basis[from + s + 3]!;
    s30 += v3 * c0;
    s31 += v3 * c1;
    s32 += v3 * c2;
    s33 += v3 * c3;
  }
  sums.set([s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23, s30, s31, s32, s33]);
}
