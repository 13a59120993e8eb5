/**
 * Constant tables of a modal form in the layout of its carried state.
 *
 * States are in the order of {@link Modal}: real and imaginary part of pair 0, of pair 1, …, then the real modes. What
 * is carried for a pair is v = (1 + i) u, so that the input drives every state alike: v_i = Λ v_{i-1} + (1 + i) x_i.
 * It is read with y = Re((c - ic')u) = e v + e' v', e = (c - c') / 2, e' = (c + c') / 2.
 */

import { kernelOf } from "../solve/evaluate.ts";
import { type Modal, orderOf } from "../solve/form.ts";
import { type DoubleDouble, exact, powersOf } from "../solve/powers.ts";

/**
 * The modes of a form two by two, as decode step and prefill take them: duo d holds states 2d and 2d+1, which are the real
 * and imaginary part of a pair, or two real modes, or the last real mode and nothing.
 */
export interface Duo {
  readonly complex: boolean;
  /** Poles of its two states: λ and its conjugate, or two real ones; 0 where there is none. */
  readonly poles: readonly [DoubleDouble, DoubleDouble];
}

const NO_POLE = exact(0, 0);

/** Powers below this are written as 0: as subnormal numbers of float32 they would slow every product with them down. */
export const LEAST_POWER = 1e-30;
/** A power as it is written. */
export const kept = (power: number): number => (Math.abs(power) < LEAST_POWER ? 0 : power);

/** The duos of a form, ⌈order / 2⌉ of them. */
export function duosOf({ pairs, reals }: Modal): Duo[] {
  const duos: Duo[] = Array.from(pairs.re, (re, p) => {
    const im = pairs.im[p]!;
    return { complex: true, poles: [exact(re, im), exact(re, -im)] };
  });
  for (let r = 0; r < reals.length; r += 2) {
    const second = reals[r + 1];
    duos.push({
      complex: false,
      poles: [exact(reals[r]!, 0), second === undefined ? NO_POLE : exact(second, 0)],
    });
  }
  return duos;
}

/**
 * The matrix that advances the state by one token, [order × order] row-major: 2 × 2 rotations and real poles on the
 * diagonal.
 */
export function transitionOf(modal: Modal): Float64Array {
  const order = orderOf(modal);
  const matrix = new Float64Array(order * order);
  const pairs = modal.pairs.re.length;
  for (let p = 0; p < pairs; p++) {
    const at = 2 * p * (order + 1);
    const re = modal.pairs.re[p]!;
    const im = modal.pairs.im[p]!;
    matrix.set([re, -im], at);
    matrix.set([im, re], at + order);
  }
  modal.reals.forEach((pole, r) => {
    matrix[(2 * pairs + r) * (order + 1)] = pole;
  });
  return matrix;
}

/** The transition matrix by duos, [duos × 2 × 2]. */
export function rotationsOf(duos: readonly Duo[]): Float64Array {
  const blocks = duos.map(({ complex, poles: [[re, , im], [second]] }) =>
    complex ? [re, -im, im, re] : [re, 0, 0, second],
  );
  return Float64Array.from(blocks.flat());
}

/** Residues with which y is read from the carried state, [order × channels]. */
export function stateResidues({ channels, pairs, residues }: Modal): Float64Array {
  const read = Float64Array.from(residues);
  for (let p = 0; p < pairs.re.length; p++) {
    const row = 2 * p * channels;
    for (let c = row; c < row + channels; c++) {
      const a = residues[c]!;
      const b = residues[c + channels]!;
      read[c] = (a - b) / 2;
      read[c + channels] = (a + b) / 2;
    }
  }
  return read;
}

/**
 * Residues with which y_i is read from u_{i-1} and x_i, [(order + 1) × channels]: the residues turned by one token,
 * then lag 0 of the kernel.
 */
export function residuesOnPast(modal: Modal): Float64Array {
  const { channels } = modal;
  const residues = stateResidues(modal);
  const order = orderOf(modal);
  const pairs = modal.pairs.re.length;
  const turned = new Float64Array((order + 1) * channels);
  for (let p = 0; p < pairs; p++) {
    const re = modal.pairs.re[p]!;
    const im = modal.pairs.im[p]!;
    const row = 2 * p * channels;
    for (let c = 0; c < channels; c++) {
      const a = residues[row + c]!;
      const b = residues[row + channels + c]!;
      turned[row + c] = a * re + b * im;
      turned[row + channels + c] = b * re - a * im;
    }
  }
  modal.reals.forEach((pole, r) => {
    const row = (2 * pairs + r) * channels;
    for (let c = 0; c < channels; c++) turned[row + c] = pole * residues[row + c]!;
  });
  turned.set(kernelOf(modal, 1).taps, order * channels);
  return turned;
}

/**
 * What a chunk of inputs adds to the state at its end, [2 · duos × columns]: (1 + i) λ^(chunk-1-k) of token k.
 * @param columns zeros from column `chunk` on
 */
export function gatherMatrix(duos: readonly Duo[], chunk: number, columns = chunk): Float64Array {
  const matrix = new Float64Array(2 * duos.length * columns);
  duos.forEach(({ complex, poles }, d) => {
    const first = powersOf(poles[0], chunk);
    const second = complex ? first : powersOf(poles[1], chunk);
    for (let k = 0; k < chunk; k++) {
      const row = 2 * d * columns + (chunk - 1 - k);
      const [re, , im] = first[k]!;
      matrix[row] = kept(complex ? re - im : re);
      // A missing mode has pole 0 and still a zeroth power: its residues are zero
      matrix[row + columns] = kept(complex ? re + im : second[k]![0]);
    }
  });
  return matrix;
}

/** Λ^k, k = 1 … count, as 2 × 2 blocks: [count × duos × 2 × 2]. */
export function leapBlocks(duos: readonly Duo[], count: number): Float64Array {
  const blocks = new Float64Array(count * duos.length * 4);
  duos.forEach(({ complex, poles }, d) => {
    const first = powersOf(poles[0], count + 1);
    const second = powersOf(poles[1], count + 1);
    for (let k = 1; k <= count; k++) {
      const [re, , im] = first[k]!;
      const block = complex ? [re, -im, im, re] : [re, 0, 0, second[k]![0]];
      blocks.set(block.map(kept), ((k - 1) * duos.length + d) * 4);
    }
  });
  return blocks;
}

/**
 * How the state before a chunk shows at its tokens, [chunk × 4 · duos]. With λ^(k+1) = a + ib and residues c, c':
 * y = a (c u + c' u') + b (c' u - c u'), so columns are a for the first half (states times {@link spreadResidues}' first
 * half) and ±b for the second.
 */
export function spreadMatrix(duos: readonly Duo[], chunk: number): Float64Array {
  const width = 4 * duos.length;
  const matrix = new Float64Array(chunk * width);
  duos.forEach(({ complex, poles }, d) => {
    const first = powersOf(poles[0], chunk + 1);
    const second = powersOf(poles[1], chunk + 1);
    for (let k = 0; k < chunk; k++) {
      const row = k * width + 2 * d;
      const [re, , im] = first[k + 1]!;
      matrix[row] = kept(re);
      matrix[row + 1] = kept(second[k + 1]![0]);
      if (!complex) continue;
      matrix[row + width / 2] = kept(im);
      matrix[row + width / 2 + 1] = -kept(im);
    }
  });
  return matrix;
}

/** Residues for {@link spreadMatrix}, [2 × 2 · duos × channels]: as they are, and with the two of a pair exchanged. */
export function spreadResidues(modal: Modal, duos: readonly Duo[]): Float64Array {
  const { channels } = modal;
  const residues = stateResidues(modal);
  const half = 2 * duos.length * channels;
  const both = new Float64Array(2 * half);
  both.set(residues);
  duos.forEach(({ complex }, d) => {
    if (!complex) return;
    const row = 2 * d * channels;
    both.set(residues.subarray(row + channels, row + 2 * channels), half + row);
    both.set(residues.subarray(row, row + channels), half + row + channels);
  });
  return both;
}
