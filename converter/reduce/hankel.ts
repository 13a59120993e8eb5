/** The dominant right singular vectors of a Hankel matrix that is never formed: subspace iteration by FFT. */

import { normal } from "../../src/random.ts";
import { planDft } from "../solve/dft.ts";
import { type Columns, dot, gram, orthogonalise, timesSmall, transposeTimes } from "./columns.ts";
import { singularOf } from "./singular.ts";

/**
 * A block Hankel matrix [rows · k × columns] of k sequences: entry ((i, j), a) is sequences[j][i + a].
 * One input, k outputs: its row space is that of the controllability matrix [b, Λb, Λ²b, …]ᵀ of the layer's system.
 */
export interface Hankel {
  readonly rows: number;
  readonly columns: number;
  /** Squared Frobenius norm. */
  readonly energy: number;
  /** Hᵀ H X. */
  gram(x: Columns): Float64Array[];
}

/** Singular values and right singular vectors, largest first. */
export interface HankelSubspace {
  readonly singularValues: Float64Array;
  readonly vectors: Float64Array[];
}

/** The Hankel matrix of sequences of length m ≥ 1, as near to square as shift invariance wants: one column more. */
export function hankelOf(sequences: Columns): Hankel {
  const m = sequences[0]!.length;
  const columns = Math.min(m, Math.ceil(m / 2) + 1);
  const rows = m - columns + 1;
  let energy = 0;
  for (const s of sequences) {
    for (let i = 0; i < m; i++) energy += s[i]! * s[i]! * Math.min(i + 1, rows, columns, m - i);
  }
  const size = 2 ** Math.ceil(Math.log2(Math.max(m, 2)));
  // two vectors travel through two transforms for each sequence, of about 5 n log n operations each
  const isDirect = columns <= MOST_FORMED && columns < 5 * sequences.length * Math.log2(size);
  const times = isDirect ? formedGram(sequences, rows, columns) : gramByTransforms(sequences, rows, columns, size);
  return { rows, columns, energy, gram: times };
}

/** Columns of a Gram matrix that is formed: 32 MB. */
const MOST_FORMED = 2048;

/**
 * Hᵀ H as a matrix. Down a diagonal each entry is the one before it, without the products that leave the window and with those
 * that enter it.
 */
function formedGram(sequences: Columns, rows: number, columns: number): Hankel["gram"] {
  const matrix = Array.from({ length: columns }, () => new Float64Array(columns));
  const [top, spare] = [matrix[0]!, new Float64Array(columns)];
  for (const s of sequences) {
    const shifted = Array.from({ length: columns }, (_, b) => s.subarray(b, b + rows));
    transposeTimes(shifted, s.subarray(0, rows), spare);
    for (let b = 0; b < columns; b++) top[b] = top[b]! + spare[b]!;
  }
  for (let a = 1; a < columns; a++) {
    const [above, row] = [matrix[a - 1]!, matrix[a]!];
    for (let b = 0; b < a; b++) row[b] = matrix[b]![a]!;
    row.set(above.subarray(a - 1, columns - 1), a);
    for (const s of sequences) slide(row, s, a, rows);
  }
  return (x) =>
    x.map((vector) => {
      const image = new Float64Array(columns);
      transposeTimes(matrix, vector, image);
      return image;
    });
}

/** What a sequence's window of so many rows gains and loses where it comes to start at a. */
function slide(row: Float64Array, s: Float64Array, a: number, rows: number): void {
  const [left, entered] = [s[a - 1]!, s[a - 1 + rows]!];
  for (let b = a; b < row.length; b++) row[b] = row[b]! + (entered * s[b - 1 + rows]! - left * s[b - 1]!);
}

/** Hᵀ H X without the matrix. */
function gramByTransforms(sequences: Columns, rows: number, columns: number, size: number): Hankel["gram"] {
  const m = sequences[0]!.length;
  const transform = planDft(size).forward;
  const spectra = sequences.map((sequence) => {
    const padded = new Float64Array(2 * size);
    for (let i = 0; i < m; i++) padded[2 * i] = sequence[i]!;
    const spectrum = new Float64Array(2 * size);
    transform(padded, spectrum);
    return spectrum;
  });
  const [packed, spectrum, product, sum] = [0, 0, 0, 0].map(() => new Float64Array(2 * size)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  // Two real vectors travel as one complex one: Σ_a φ(i+a) z(a) has the spectrum Φ(ω) Z(-ω), for complex z as well
  const gramOfPair = (x0: Float64Array, x1: Float64Array | undefined, y0: Float64Array, y1: Float64Array) => {
    packed.fill(0);
    for (let a = 0; a < columns; a++) {
      packed[2 * a] = x0[a]!;
      packed[2 * a + 1] = x1 ? x1[a]! : 0;
    }
    transform(packed, spectrum);
    sum.fill(0);
    for (const phi of spectra) {
      multiplyReversed(phi, spectrum, product, size, false);
      // Inverse transform by the forward one: x(n) = DFT(X)(-n) / size
      transform(product, packed);
      product.fill(0);
      for (let i = 0; i < rows; i++) {
        const from = i === 0 ? 0 : 2 * (size - i);
        product[2 * i] = packed[from]! / size;
        product[2 * i + 1] = packed[from + 1]! / size;
      }
      transform(product, packed);
      multiplyReversed(phi, packed, sum, size, true);
    }
    transform(sum, packed);
    for (let a = 0; a < columns; a++) {
      const from = a === 0 ? 0 : 2 * (size - a);
      y0[a] = packed[from]! / size;
      y1[a] = packed[from + 1]! / size;
    }
  };
  return (x) => {
    const y = x.map(() => new Float64Array(columns));
    const spare = new Float64Array(columns);
    for (let j = 0; j < x.length; j += 2) gramOfPair(x[j]!, x[j + 1], y[j]!, y[j + 1] ?? spare);
    return y;
  };
}

/** out(ω) = or += a(ω) b(-ω), complex and interleaved. */
function multiplyReversed(a: Float64Array, b: Float64Array, out: Float64Array, size: number, add: boolean): void {
  for (let i = 0; i < size; i++) {
    const r = i === 0 ? 0 : 2 * (size - i);
    const [ar, ai, br, bi] = [a[2 * i]!, a[2 * i + 1]!, b[r]!, b[r + 1]!];
    const [re, im] = [ar * br - ai * bi, ar * bi + ai * br];
    out[2 * i] = add ? out[2 * i]! + re : re;
    out[2 * i + 1] = add ? out[2 * i + 1]! + im : im;
  }
}

/**
 * The leading `width` right singular vectors of H by block subspace iteration with a Rayleigh–Ritz step (Halko,
 * Martinsson & Tropp 2011, algorithm 4.4). The Gram matrix is only ever applied; singular values below about 1e-8 of
 * the largest are rounding.
 *
 * @param start vectors already known (from a smaller `width`), completed by random ones
 * @param passes applications of Hᵀ H before the Rayleigh–Ritz step
 */
export function dominantSubspace(hankel: Hankel, width: number, start: Columns = [], passes = 2): HankelSubspace {
  const next = normal(hankel.columns + 7 * width);
  const known = Math.min(start.length, width);
  let q: Float64Array[] = Array.from({ length: width }, (_, j) =>
    j < known ? start[j]!.slice() : Float64Array.from({ length: hankel.columns }, next),
  );
  for (let pass = 0; pass < passes; pass++) q = orthogonalise(hankel.gram(orthogonalise(q).q)).q;
  q = q.filter((column) => dot(column, column) > 0.5);
  const small = gram(q, hankel.gram(q));
  // symmetric, and nothing below 0 but rounding: its singular values and vectors are those sought
  const { values, right } = singularOf(
    small.map((row, i) => Float64Array.from(row, (x, j) => (x + small[j]![i]!) / 2)),
  );
  return { singularValues: values.map(Math.sqrt), vectors: timesSmall(q, q.length, (row, j) => right[j]![row]!) };
}
