/** The dominant eigenvectors of one sequence's Hankel matrix, which is symmetric: Lanczos by FFT, at low cost. */

import { normal } from "../../src/random.ts";
import { planDft } from "../solve/dft.ts";
import { dot, subtractCombination, timesSmall, transposeTimes } from "./columns.ts";
import type { HankelSubspace } from "./hankel.ts";
import { tridiagonalValues, tridiagonalVectors } from "./tridiagonal.ts";

/** What {@link hankelSpectrum} finds of one sequence. */
export interface HankelSpectrum extends Pick<HankelSubspace, "singularValues"> {
  /** The eigenvectors, made where they are asked for: the values alone cost a small part of them. */
  vectors(): Float64Array[];
  /** Squared Frobenius norm of the matrix. */
  readonly energy: number;
  /** Rows, and columns. */
  readonly size: number;
}

type Transform = ReturnType<typeof planDft>["forward"];
const plans = new Map<number, Transform>();

/** A transform of that many points; the tables are made once. */
function transformOf(size: number): Transform {
  const known = plans.get(size);
  if (known) return known;
  const { forward } = planDft(size);
  plans.set(size, forward);
  return forward;
}

/** out = a b̄, complex and interleaved. */
function timesConjugate(a: Float64Array, b: Float64Array, out: Float64Array): void {
  for (let f = 0; f < out.length; f += 2) {
    const ar = a[f]!;
    const ai = a[f + 1]!;
    const br = b[f]!;
    const bi = b[f + 1]!;
    out[f] = ar * br + ai * bi;
    out[f + 1] = ai * br - ar * bi;
  }
}

/** y = Hx for the square Hankel matrix with entry (i, a) = sequence[i + a], which is never formed. */
function hankelProduct(sequence: Float64Array, size: number): (x: Float64Array) => Float64Array {
  const length = 2 ** Math.ceil(Math.log2(Math.max(sequence.length, 2)));
  const transform = transformOf(length);
  const [packed, spectrum, product] = [0, 0, 0].map(() => new Float64Array(2 * length)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  sequence.forEach((value, i) => {
    packed[2 * i] = value;
  });
  const own = new Float64Array(2 * length);
  transform(packed, own);
  return (x) => {
    packed.fill(0);
    for (let a = 0; a < size; a++) packed[2 * a] = x[a]!;
    transform(packed, spectrum);
    // Σ_a s(i+a) x(a) has the spectrum S(ω) X(-ω), and X(-ω) is the conjugate of X(ω): x is real
    timesConjugate(own, spectrum, product);
    // Inverse transform by the forward one: x(n) = DFT(X)(-n) / length
    transform(product, packed);
    const y = new Float64Array(size);
    for (let i = 0; i < size; i++) y[i] = packed[i === 0 ? 0 : 2 * (length - i)]! / length;
    return y;
  };
}

/** image -= alpha q + beta before. */
function withoutTwo(image: Float64Array, alpha: number, q: Float64Array, beta: number, before: Float64Array): void {
  for (let i = 0; i < image.length; i++) image[i] = image[i]! - alpha * q[i]! - beta * before[i]!;
}

/**
 * The `width` dominant eigenvectors of the square Hankel matrix of one sequence (which is symmetric, so that they are
 * its singular vectors), by Lanczos with full reorthogonalisation. Singular values of kernels fall fast, so a Krylov
 * space a third larger than `width` holds them. Cost: two FFTs and O(size · step) for each step.
 *
 * @param sequence at least one value
 */
export function hankelSpectrum(sequence: Float64Array, width: number): HankelSpectrum {
  const m = sequence.length;
  const size = (m + 1) >> 1;
  let energy = 0;
  for (let i = 0; i < 2 * size - 1; i++) energy += sequence[i]! ** 2 * Math.min(i + 1, 2 * size - 1 - i);
  const most = Math.min(size, Math.ceil(1.3 * width) + 8);
  const apply = hankelProduct(sequence.subarray(0, 2 * size - 1), size);
  const next = normal(m + 31 * width);
  // The matrix's first column lies in the space sought; the noise makes sure that nothing in it is missed
  const scale = 1e-3 * Math.sqrt(dot(sequence, sequence) / m);
  let q: Float64Array = Float64Array.from({ length: size }, (_, i) => sequence[i]! + scale * next());
  const basis: Float64Array[] = [];
  const diagonal: number[] = [];
  const beside: number[] = [];
  const h = new Float64Array(most);
  for (let step = 0; step < most; step++) {
    const length = Math.sqrt(dot(q, q));
    if (!(length > 1e-13 * Math.sqrt(energy)) && step > 0) break;
    for (let i = 0; i < size; i++) q[i] = q[i]! / (length || 1);
    if (step > 0) beside.push(length);
    basis.push(q);
    const image = apply(q);
    diagonal.push(dot(image, q));
    // The two terms that Lanczos knows of, then what rounding has left along the others
    const [alpha, beta, before] = [diagonal[step]!, beside[step - 1] ?? 0, basis[step - 1] ?? q];
    withoutTwo(image, alpha, q, beta, before);
    transposeTimes(basis, image, h);
    subtractCombination(image, basis, h);
    q = image;
  }
  const values = tridiagonalValues(diagonal, beside);
  const bySize = Array.from(values, (_, i) => i)
    .sort((a, b) => Math.abs(values[b]!) - Math.abs(values[a]!))
    .slice(0, width);
  return {
    energy,
    size,
    singularValues: Float64Array.from(bySize, (i) => Math.abs(values[i]!)),
    vectors: () => {
      const small = tridiagonalVectors(diagonal, beside);
      return timesSmall(basis, bySize.length, (row, j) => small[bySize[j]!]![row]!);
    },
  };
}
