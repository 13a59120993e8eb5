/** Exact Toeplitz-to-SSM conversion: a kernel of n lags becomes n real states, in closed form, by one DFT a channel. */
import { LongConvError } from "../../src/errors.ts";
import { planDft, unitRoot } from "./dft.ts";
import type { Kernels, Modal } from "./form.ts";
import { exact, primitiveRoot, times } from "./powers.ts";

/**
 * How the n taps, decay taken out, are continued to a period without the mode λ = +γ:
 * "closing", the paper's: one more tap, r_n = -Σ r_k; the poles are the (n+1)-th roots of unity but 1.
 * "alternating": r_{n+k} = -r_k; of the 2n-th roots only the n odd ones remain.
 */
export type Extension = "closing" | "alternating";

/**
 * Solves for the modal form whose first n = `kernels.lags` taps are the kernel: poles on the circle |λ| = `decay`,
 * n real states per channel. Qin & Zhong, "Accelerating Toeplitz Neural Network with Constant-time Inference
 * Complexity" (EMNLP 2023); why it is exact is in docs/parts/solve.md.
 * @param decay γ, 0 < γ ≤ 1; see estimateDecay
 * @returns residues [n × channels], direct all zero
 * @throws RangeError on an empty kernel, a decay outside (0, 1] or one so small that t_k / γ^k overflows
 * @throws LongConvError invalid-graph if a tap is not finite
 */
export function solveEtsc(kernels: Kernels, decay: number, extension: Extension = "alternating"): Modal {
  const { lags, channels, taps } = kernels;
  if (lags < 1) throw new RangeError("a kernel needs at least one lag");
  if (!(decay > 0 && decay <= 1)) throw new RangeError(`a decay lies in (0, 1], not at ${decay}`);
  const closing = extension === "closing";
  const points = closing ? lags + 1 : lags;
  const plan = planDft(points);
  const pairs = lags >> 1;
  const order = lags;
  // Pair p stands for frequency p + 1 of the (n+1)-th roots, or p + 1/2 of the n-th
  const frequency = (p: number): number => (closing ? p + 1 : p);
  const mate = (s: number): number => (closing ? points - s : points - 1 - s);

  const twist = new Float64Array(2 * lags);
  const growth = new Float64Array(lags);
  for (let k = 0; k < lags; k++) {
    const [re, im] = closing ? [1, 0] : unitRoot(k, 2 * lags);
    twist[2 * k] = re;
    twist[2 * k + 1] = -im;
    growth[k] = decay ** -k;
  }

  const residues = new Float64Array(order * channels);
  const input = new Float64Array(2 * points);
  const output = new Float64Array(2 * points);
  // Two real channels ride in one complex transform: the first in the real part, the second in the imaginary
  for (let first = 0; first < channels; first += 2) {
    const second = Math.min(first + 1, channels - 1);
    // Powers of two bring both to one size, so that neither drowns in the other's rounding; they cost no rounding
    const scales = [first, second].map((channel) => sizeOf(kernels, channel));
    const [a, b] = [scales[0]!, scales[1]!];
    let sumRe = 0;
    let sumIm = 0;
    for (let k = 0; k < lags; k++) {
      const re = grown(taps[k * channels + first]! / a, growth[k]!);
      const im = grown(taps[k * channels + second]! / b, growth[k]!);
      sumRe += re;
      sumIm += im;
      input[2 * k] = re * twist[2 * k]! - im * twist[2 * k + 1]!;
      input[2 * k + 1] = re * twist[2 * k + 1]! + im * twist[2 * k]!;
    }
    if (!Number.isFinite(sumRe) || !Number.isFinite(sumIm)) {
      throw new RangeError(
        `taken out of ${lags} lags, a decay of ${decay} overflows; estimateDecay gives one that fits`,
      );
    }
    if (closing) {
      input[2 * lags] = -sumRe;
      input[2 * lags + 1] = -sumIm;
    }
    plan.forward(input, output);
    // With B = A₁ + i A₂ and A_mate = conj(A): A₁ = (B + conj(B_mate)) / 2, A₂ = (B - conj(B_mate)) / 2i;
    // the pair gives 2 Re(A λ^k) = 2 Re A Re λ^k - 2 Im A Im λ^k
    for (let p = 0; p < pairs; p++) {
      const s = frequency(p);
      const t = mate(s);
      const row = 2 * p * channels;
      const [re, im, mateRe, mateIm] = [output[2 * s]!, output[2 * s + 1]!, output[2 * t]!, output[2 * t + 1]!];
      residues[row + first] = (a * (re + mateRe)) / points;
      residues[row + channels + first] = (-a * (im - mateIm)) / points;
      residues[row + second] = (b * (im + mateIm)) / points;
      residues[row + channels + second] = (b * (re - mateRe)) / points;
    }
    if (lags % 2 === 1) {
      const s = frequency(pairs);
      residues[2 * pairs * channels + first] = (a * output[2 * s]!) / points;
      residues[2 * pairs * channels + second] = (b * output[2 * s + 1]!) / points;
    }
  }
  return {
    channels,
    pairs: polesOn(decay, pairs, closing ? points : 2 * points, closing),
    reals: lags % 2 === 1 ? Float64Array.of(-decay) : new Float64Array(0),
    residues,
    direct: new Float64Array(channels),
  };
}

/**
 * γ times the n-th roots of unity in the upper half plane, every one of them or the odd powers of exp(2πi/n) only.
 * Rounded once, from double-double: lag k sees k times the relative error of a pole, which at 16 384 lags leaves
 * little room below 1e-12.
 */
function polesOn(decay: number, pairs: number, n: number, every: boolean): Modal["pairs"] {
  const re = new Float64Array(pairs);
  const im = new Float64Array(pairs);
  const root = primitiveRoot(n);
  const step = every ? root : times(root, root);
  let pole = times(exact(decay, 0), root);
  for (let p = 0; p < pairs; p++) {
    re[p] = pole[0];
    im[p] = pole[2];
    pole = times(pole, step);
  }
  return { re, im };
}

/** A power of two near the largest tap of a channel; 1 for a channel of zeros. */
function sizeOf({ lags, channels, taps }: Kernels, channel: number): number {
  let largest = 0;
  for (let k = 0; k < lags; k++) {
    const size = Math.abs(taps[k * channels + channel]!);
    if (!(size < Infinity)) {
      throw new LongConvError("invalid-graph", `the kernel of channel ${channel} is not finite at lag ${k}`);
    }
    if (size > largest) largest = size;
  }
  return largest === 0 ? 1 : 2 ** Math.max(-1022, Math.min(1023, Math.floor(Math.log2(largest))));
}

/** tap · γ^-k, where a tap of zero stays zero even when γ^-k overflows. */
const grown = (tap: number, growth: number): number => (tap === 0 ? 0 : tap * growth);
