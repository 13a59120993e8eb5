/** From a layer's kernels [lags × channels] to the few scalar sequences in whose span they all lie. */

import { uniform } from "../../src/random.ts";
import type { Kernels } from "../solve/form.ts";
import { type Columns, dot, orthogonalise, timesSmall } from "./columns.ts";
import { singularOf } from "./singular.ts";

/** t_k ≈ Σ_j sequences[j][k-1] · mix[j], k ≥ 1, each row in order of falling energy. */
export interface Compressed {
  /** k orthogonal sequences over the lags 1 … lags-1; their lengths are the singular values. */
  readonly sequences: Columns;
  /** k orthonormal rows [channels]. */
  readonly mix: Columns;
  /** Squared Frobenius norm of what the sequences leave out. */
  readonly lost: number;
  /** Squared Frobenius norm of all kernels, lag 0 included. */
  readonly energy: number;
  /** All singular values found, those below the cut included, falling. */
  readonly singularValues: Float64Array;
}

/** Channels that one random combination adds up, times its columns: each channel enters this many combinations. */
const SPREAD = 8;

/**
 * Compresses kernels to their numerical rank by a randomised range finder (Halko, Martinsson & Tropp 2011) with a
 * sparse sign sketch (Martinsson & Tropp 2020, §9.2), so that no [channels × channels] matrix is formed.
 *
 * @param kernels any scale; not all lags ≥ 1 need be non-zero
 * @param cut singular values below `cut` times the Frobenius norm of the kernels are dropped
 * @param most sequences that are of any use; no more than about twice as many are looked at
 */
export function compress(kernels: Kernels, cut: number, most: number): Compressed {
  const { lags, channels, taps } = kernels;
  const energy = dot(taps, taps);
  const first = taps.subarray(0, channels);
  const direct = dot(first, first);
  const full = Math.min(lags - 1, channels);
  if (!Number.isFinite(energy) || full < 1 || energy - direct <= 0) {
    return { sequences: [], mix: [], lost: 0, energy, singularValues: new Float64Array(0) };
  }
  for (let width = Math.min(96, full); ; width = Math.min(2 * width, full)) {
    const found = project(kernels, width);
    const kept = found.singularValues.filter((s) => s > cut * Math.sqrt(energy)).length;
    // The sketch has seen all there is when its last quarter is below the cut
    if (kept > 0.75 * width && width < full && width < most) continue;
    // What the sketch has not seen is a difference of large sums: below their rounding it is nothing
    let [lost, unseen] = [0, energy - direct];
    found.singularValues.forEach((s, j) => {
      unseen -= s * s;
      if (j >= kept) lost += s * s;
    });
    if (unseen > 1e-13 * energy) lost += unseen;
    return {
      ...found.first(kept),
      lost,
      energy,
      singularValues: found.singularValues,
    };
  }
}

function project(kernels: Kernels, width: number) {
  const q = orthogonalise(sketch(kernels, width)).q.filter((column) => column.some((x) => x !== 0));
  const rows = transposeTimesTaps(q, kernels);
  // B = Qᵀ T = triangleᵀ Vᵀ, and triangleᵀ = W s Uᵀ: B = W s (V U)ᵀ
  const { q: v, triangle } = orthogonalise(rows);
  const { values, scaled, right } = singularOf(triangle);
  return {
    singularValues: values,
    first: (count: number) => ({
      sequences: timesSmall(q, count, (row, j) => scaled[j]![row]!),
      mix: timesSmall(v, count, (row, j) => right[j]![row]!),
    }),
  };
}

/** `width` random combinations of the channels over the lags ≥ 1; all channels where `width` reaches their number. */
function sketch({ lags, channels, taps }: Kernels, width: number): Float64Array[] {
  const columns = Array.from({ length: width }, () => new Float64Array(lags - 1));
  const next = uniform(channels * 31 + lags);
  const [target, sign]: [number[], number[]] = [[], []];
  const spread = width < channels ? SPREAD : 1;
  for (let i = 0; i < channels * spread; i++) {
    target.push(width < channels ? Math.floor(next() * width) : i);
    sign.push(width < channels && next() < 0.5 ? -1 : 1);
  }
  const row = new Float64Array(width);
  for (let k = 1; k < lags; k++) {
    row.fill(0);
    for (let c = 0, i = 0; c < channels; c++) {
      const tap = taps[k * channels + c]!;
      for (let e = 0; e < spread; e++, i++) row[target[i]!] = row[target[i]!]! + sign[i]! * tap;
    }
    for (let b = 0; b < width; b++) columns[b]![k - 1] = row[b]!;
  }
  return columns;
}

/** row += four entries of the column from `at` on, times the four rows of taps that begin at `from`. */
function addFour(row: Float64Array, column: Float64Array, at: number, taps: Float64Array, from: number): void {
  const n = row.length;
  const q0 = column[at]!;
  const q1 = column[at + 1]!;
  const q2 = column[at + 2]!;
  const q3 = column[at + 3]!;
  for (let c = 0, i = from; c < n; c++, i++)
    row[c] = row[c]! + (q0 * taps[i]! + q1 * taps[i + n]! + (q2 * taps[i + 2 * n]! + q3 * taps[i + 3 * n]!));
}

/** Qᵀ T over the lags ≥ 1: one row [channels] for each column of Q. */
function transposeTimesTaps(q: Columns, { lags, channels, taps }: Kernels): Float64Array[] {
  const rows = q.map(() => new Float64Array(channels));
  let k = 1;
  for (; k + 3 < lags; k += 4) {
    for (let j = 0; j < q.length; j++) {
      addFour(rows[j]!, q[j]!, k - 1, taps, k * channels);
    }
  }
  for (; k < lags; k++) {
    for (let j = 0; j < q.length; j++) {
      const [factor, row] = [q[j]![k - 1]!, rows[j]!];
      for (let c = 0; c < channels; c++) row[c] = row[c]! + factor * taps[k * channels + c]!;
    }
  }
  return rows;
}
