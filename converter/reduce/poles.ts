/** Poles from the shift invariance of a controllability matrix, and what keeps them stable. */

import { normal } from "../../src/random.ts";
import { type Columns, gram } from "./columns.ts";
import { type Eigenvalues, eigenvaluesOf } from "./eigenvalues.ts";

/** Poles closed under conjugation, as {@link Modal} keeps them: im > 0 of each pair, and the real ones. */
export interface Poles {
  readonly pairs: { readonly re: Float64Array; readonly im: Float64Array };
  readonly reals: Float64Array;
}

/** Real numbers of state per channel that the poles need. */
export const orderOfPoles = (poles: Poles): number => 2 * poles.pairs.re.length + poles.reals.length;

/**
 * The largest modulus that a pole may have: 1 - 2⁻²². Four float32 steps below 1, so that the modulus stays below 1
 * when the real and the imaginary part are rounded to float32 (which moves it by at most √2 · 2⁻²⁵).
 */
export const LARGEST_MODULUS = 1 - 2 ** -22;

/**
 * A function from an order R to the poles of the truncated system, by shift invariance (Kung 1978). The vectors
 * v_1 … v_R span the row space of [b, Λb, Λ²b, …], so leaving out the last lag and the first are related by the state
 * matrix: V₊ = V₋ A in least squares. As VᵀV = 1, V₋ᵀV₋ = 1 - l lᵀ with the last row l, and by Sherman and Morrison
 * A = (1 + l lᵀ / (1 - lᵀl)) V₋ᵀV₊, of which every R needs the leading block only. The weights that balance the
 * realisation are a similarity transform and drop out.
 *
 * @param vectors orthonormal, the most dominant first
 */
export function shiftInvariance(vectors: Columns): (order: number, spread?: number) => Poles {
  const last = vectors[0]!.length - 1;
  const product = gram(
    vectors.map((v) => v.subarray(0, last)),
    vectors.map((v) => v.subarray(1)),
  );
  return (order, spread = 0) => {
    const noise = normal(order);
    const l = Float64Array.from({ length: order }, (_, j) => vectors[j]![last]!);
    const lp = Float64Array.from({ length: order }, (_, j) => l.reduce((sum, x, i) => sum + x * product[i]![j]!, 0));
    const rest = Math.max(1 - l.reduce((sum, x) => sum + x * x, 0), 1e-9);
    const a = new Float64Array(order * order);
    for (let i = 0, at = 0; i < order; i++) {
      for (let j = 0; j < order; j++, at++) a[at] = product[i]![j]! + (l[i]! * lp[j]!) / rest + spread * noise();
    }
    return sortPoles(eigenvaluesOf(a, order));
  };
}

/** Eigenvalues of a real matrix → poles; slowest first, so that the same model gives the same bytes. */
function sortPoles({ re, im }: Eigenvalues): Poles {
  const all = Array.from(re, (x, i) => [x, im[i]!] as const).filter(
    ([x, y]) => Number.isFinite(x) && Number.isFinite(y),
  );
  const pairs = all.filter(([, y]) => y > 0).sort((a, b) => Math.hypot(...b) - Math.hypot(...a));
  const reals = all.filter(([, y]) => y === 0).sort((a, b) => Math.abs(b[0]) - Math.abs(a[0]));
  return {
    pairs: { re: Float64Array.from(pairs, ([x]) => x), im: Float64Array.from(pairs, ([, y]) => y) },
    reals: Float64Array.from(reals, ([x]) => x),
  };
}

/**
 * Poles outside the unit circle brought into it, then held at or below the largest modulus. Real positive poles may
 * reach `largestReal` (1 for kernels that do not decay).
 *
 * @param how "reflect": λ → 1/conj λ, the same frequency, growth becomes decay; "hold": to the circle along the radius
 */
export function stabilise(poles: Poles, how: "reflect" | "hold", largestReal = LARGEST_MODULUS): Poles {
  const scale = (modulus: number, largest: number) =>
    modulus === 0 ? 1 : Math.min(modulus > 1 && how === "reflect" ? 1 / modulus : modulus, largest) / modulus;
  const factors = Float64Array.from(poles.pairs.re, (re, p) =>
    scale(Math.hypot(re, poles.pairs.im[p]!), LARGEST_MODULUS),
  );
  return {
    pairs: {
      re: poles.pairs.re.map((re, p) => re * factors[p]!),
      im: poles.pairs.im.map((im, p) => im * factors[p]!),
    },
    reals: poles.reals.map((real) => real * scale(Math.abs(real), real > 0 ? largestReal : LARGEST_MODULUS)),
  };
}

/** Whether every pole is inside the unit circle. */
export const isStable = ({ pairs, reals }: Poles): boolean =>
  pairs.re.every((re, p) => Math.hypot(re, pairs.im[p]!) < 1) && reals.every((real) => Math.abs(real) < 1);

/** Real and imaginary parts rounded to float32; a stable pole stays stable ({@link LARGEST_MODULUS}). */
export function roundPoles(poles: Poles): Poles {
  return {
    pairs: { re: poles.pairs.re.map(Math.fround), im: poles.pairs.im.map(Math.fround) },
    reals: poles.reals.map(Math.fround),
  };
}
