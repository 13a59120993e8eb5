/** The moduli of a modal form: |c_s| and |λ_s| of each mode, one entry for a conjugate pair. */

import type { Modal } from "../solve/form.ts";

/** |t̂_k| ≤ Σ_s size(s, channel) · modulus[s]^k for k ≥ 1, because c Re z + d Im z = Re((c - id) z) ≤ |c - id| |z|. */
export interface Amplitudes {
  /** |λ| of every pair, then of every real pole. */
  readonly modulus: Float64Array;
  /** [modes × channels] */
  readonly size: Float64Array;
  readonly channels: number;
}

/** Moduli of poles and residues of a modal form. */
export function amplitudesOf({ pairs, reals, residues, channels }: Modal): Amplitudes {
  const count = pairs.re.length;
  const modulus = Float64Array.from({ length: count + reals.length }, (_, s) =>
    s < count ? Math.hypot(pairs.re[s]!, pairs.im[s]!) : Math.abs(reals[s - count]!),
  );
  const size = new Float64Array(modulus.length * channels);
  for (let s = 0; s < modulus.length; s++) {
    const row = (s < count ? 2 * s : s + count) * channels;
    for (let c = 0; c < channels; c++) {
      size[s * channels + c] =
        s < count ? Math.hypot(residues[row + c]!, residues[row + channels + c]!) : Math.abs(residues[row + c]!);
    }
  }
  return { modulus, size, channels };
}

/** Σ_s size(s, c) · factor(modulus[s]) for every channel c; a mode of size 0 adds nothing, whatever its factor. */
export function weigh({ modulus, size, channels }: Amplitudes, factor: (modulus: number) => number): Float64Array {
  const sums = new Float64Array(channels);
  modulus.forEach((rho, s) => {
    const weight = factor(rho);
    for (let c = 0; c < channels; c++) {
      const amplitude = size[s * channels + c]!;
      if (amplitude > 0) sums[c] = sums[c]! + amplitude * weight;
    }
  });
  return sums;
}
