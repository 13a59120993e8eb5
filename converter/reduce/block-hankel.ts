/** The Hankel matrix of kernels that mix channels, and the systems of every order that its row space gives. */

import { EigenvalueDecomposition, Matrix, solve } from "ml-matrix";
import { planDft } from "../solve/dft.ts";
import type { Kernels, Mixing } from "../solve/form.ts";
import { type Columns, gram } from "./columns.ts";
import type { Hankel } from "./hankel.ts";
import type { Poles } from "./poles.ts";

/**
 * A block Hankel matrix that is never formed: entry ((r, o), (a, i)) is lag 1 + r + a of the kernel from input i to
 * output o. A vector has a · inputs + i at (a, i).
 */
export function blockHankelOf({ lags, channels, taps }: Kernels, { inputs, outputs }: Mixing): Hankel {
  const m = lags - 1;
  const places = Math.min(m, Math.ceil(m / 2) + 1);
  const rows = m - places + 1;
  const size = 2 ** Math.ceil(Math.log2(Math.max(m, 2)));
  const { forward } = planDft(size);
  const transformed = (of: (k: number) => number, count: number) => {
    const padded = new Float64Array(2 * size);
    for (let k = 0; k < count; k++) padded[2 * k] = of(k);
    const spectrum = new Float64Array(2 * size);
    forward(padded, spectrum);
    return spectrum;
  };
  const spectra = Array.from({ length: channels }, (_, c) => transformed((k) => taps[(k + 1) * channels + c]!, m));
  let energy = 0;
  for (let k = 0; k < m; k++)
    for (let c = 0; c < channels; c++)
      energy += taps[(k + 1) * channels + c]! ** 2 * Math.min(k + 1, rows, places, m - k);
  /** Σ over the given kernels of Σ_a κ(n + a) z(a), for n < count. */
  const correlated = (kernels: readonly Float64Array[], inner: readonly Float64Array[], count: number) => {
    const sum = new Float64Array(2 * size);
    for (const [j, kernel] of kernels.entries()) addCorrelation(sum, kernel, inner[j]!, size);
    const back = new Float64Array(2 * size);
    forward(sum, back);
    // the inverse transform by the forward one: x(n) = DFT(X)(-n) / size
    return (n: number) => (n < count ? back[2 * (n === 0 ? 0 : size - n)]! / size : 0);
  };
  const gramTimes = (x: Columns) =>
    x.map((column) => {
      const into = Array.from({ length: inputs }, (_, i) => transformed((a) => column[a * inputs + i]!, places));
      const through = Array.from({ length: outputs }, (_, o) => {
        const at = correlated(spectra.slice(o * inputs, (o + 1) * inputs), into, rows);
        return transformed(at, rows);
      });
      const result = new Float64Array(places * inputs);
      for (let i = 0; i < inputs; i++) {
        const own = Array.from({ length: outputs }, (_, o) => spectra[o * inputs + i]!);
        const at = correlated(own, through, places);
        for (let a = 0; a < places; a++) result[a * inputs + i] = at(a);
      }
      return result;
    });
  return { rows: rows * outputs, columns: places * inputs, energy, gram: gramTimes };
}

/** sum(ω) += κ(ω) z(-ω), complex and interleaved. */
function addCorrelation(sum: Float64Array, kernel: Float64Array, z: Float64Array, size: number): void {
  for (let w = 0; w < size; w++) {
    const r = w === 0 ? 0 : 2 * (size - w);
    const [ar, ai, br, bi] = [kernel[2 * w]!, kernel[2 * w + 1]!, z[r]!, z[r + 1]!];
    sum[2 * w]! += ar * br - ai * bi;
    sum[2 * w + 1]! += ar * bi + ai * br;
  }
}

/** Poles, and how the inputs drive their states: [states × inputs], pairs' real parts, their imaginary parts, real poles. */
export interface Driven extends Poles {
  readonly drive: Float64Array;
}

/**
 * A function from an order to the system of that order, by shift invariance (Kung 1978) of blocks: the vectors span the row
 * space of [B, ΛB, Λ²B, …], so V₊ = V₋ Aᵀ, and the first block is Bᵀ. Its eigenvectors make it modal.
 * @param vectors orthonormal, the most dominant first
 */
export function systemsOf(vectors: Columns, inputs: number): (order: number) => Driven {
  const length = vectors[0]!.length - inputs;
  const front = vectors.map((v) => v.subarray(0, length));
  const product = gram(
    front,
    vectors.map((v) => v.subarray(inputs)),
  );
  const square = gram(front, front);
  return (order) => {
    const part = (of: readonly Float64Array[]) =>
      new Matrix(Array.from({ length: order }, (_, i) => Array.from(of[i]!.subarray(0, order))));
    const transposed = solve(part(square), part(product), true);
    const {
      realEigenvalues: re,
      imaginaryEigenvalues: im,
      eigenvectorMatrix,
    } = new EigenvalueDecomposition(transposed.transpose(), { assumeSymmetric: false });
    const first = new Matrix(Array.from({ length: order }, (_, s) => Array.from(vectors[s]!.subarray(0, inputs))));
    const modal = solve(eigenvectorMatrix, first, true);
    return inOrder(re, im, (s, i) => modal.get(s, i), inputs);
  };
}

/** Eigenvalues come in pairs of conjugates, whose two states are z and z' of w = z - iz', w ← λ w. */
function inOrder(
  re: readonly number[],
  im: readonly number[],
  at: (state: number, input: number) => number,
  inputs: number,
): Driven {
  const all = re.map((_, s) => s);
  const pairs = all.filter((s) => im[s]! > 0 && s + 1 < re.length);
  const reals = all.filter((s) => im[s] === 0);
  const rows = [
    ...pairs.map((s) => (i: number) => at(s, i)),
    ...pairs.map((s) => (i: number) => -at(s + 1, i)),
    ...reals.map((s) => (i: number) => at(s, i)),
  ];
  const drive = new Float64Array(rows.length * inputs);
  for (const [s, row] of rows.entries()) for (let i = 0; i < inputs; i++) drive[s * inputs + i] = row(i);
  return {
    pairs: { re: Float64Array.from(pairs, (s) => re[s]!), im: Float64Array.from(pairs, (s) => im[s]!) },
    reals: Float64Array.from(reals, (s) => re[s]!),
    drive,
  };
}
