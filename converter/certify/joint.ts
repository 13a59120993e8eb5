/**
 * How large the states of many modes get together. One input cannot make all of them as large as it can make each: the
 * sum over the modes is some f_k = Re Σ_s a_s exp(iφ_s) λ_s^k summed over k in modulus, and over a window of L lags
 *
 *     Σ_k |f_k| ≤ (L Σ_k f_k²)^½ ≤ (L Σ_st a_s a_t |G_st|)^½,   |G_st| ≤ (|Σ_k (λ_s λ̄_t)^k| + |Σ_k (λ_s λ_t)^k|) / 2,
 *
 * where the Gram matrix G of poles apart is small off its diagonal. docs/parts/certificate.md, claim 5.
 */

import type { Modal } from "../solve/form.ts";
import { amplitudesOf } from "./amplitudes.ts";
import { geometricSum } from "./geometric.ts";
import type { PerChannel } from "./norms.ts";

/** For inputs |x| ≤ 1, by channel; c_s are the residues, u_s the states. */
export interface JointStates {
  /** Bounds Σ_s |c_s| |u_s| within the steps. */
  readonly states: PerChannel;
  /** Bounds Σ_j Σ_s weight_s decay_s^(i-j) |c_s| |u_s,j-1| over j ≤ i. */
  readonly nested: PerChannel;
  /** Bounds the root mean square of Σ c_s u_s over any set of modes, inputs independent, of mean 0 and variance 1. */
  readonly deviation: PerChannel;
}

/** Powers below this are bounded mode by mode. */
const NEGLIGIBLE = 1e-9;

/** Lags of the shortest window. */
const FIRST = 128;

/** A pole's power, for windows one after the other. */
type Powers = { readonly re: Float64Array; readonly im: Float64Array };

/**
 * One bound for all channels of a form, by the largest part that each mode takes of any of them.
 *
 * @param modes for each mode, pairs first, what it counts in `nested` and how an error in it decays, at least |λ|
 * @returns undefined where the sums do not end
 */
export function jointStates(
  modal: Modal,
  modes: readonly { readonly weight: number; readonly decay: number }[],
  steps: number,
): JointStates | undefined {
  const { pairs, reals, channels } = modal;
  const re = Float64Array.from([...pairs.re, ...reals], Math.fround);
  const im = Float64Array.from([...pairs.im, ...reals.map(() => 0)], Math.fround);
  const modulus = re.map((a, s) => Math.hypot(a, im[s]!) * (1 + 2 ** -50));
  const slowest = modes.reduce((most, { decay }) => Math.max(most, decay), 0);
  const lasting = slowest < 1 ? Math.ceil(Math.log(NEGLIGIBLE) / Math.log(slowest)) : Number.POSITIVE_INFINITY;
  const lags = Math.min(steps, lasting);
  if (!(lags >= 1 && lags < 2 ** 40)) return undefined;
  const { size } = amplitudesOf(modal);
  const scale = new Float64Array(channels);
  const profile = new Float64Array(re.length);
  for (let c = 0; c < channels; c++) {
    for (let s = 0; s < re.length; s++) scale[c] = Math.hypot(scale[c]!, size[s * channels + c]!);
    for (let s = 0; s < re.length && scale[c]! > 0; s++) {
      profile[s] = Math.max(profile[s]!, size[s * channels + c]! / scale[c]!);
    }
  }
  const windows = (first: number) =>
    windowsUpTo(lags, first).map(([from, to]) => ({ from, to, gram: gramOf({ re, im }, modulus, from, to) }));
  const partitions = [windows(lags), ...(lags > FIRST ? [windows(FIRST)] : [])];
  const tail = (amplitudes: Float64Array) =>
    amplitudes.reduce((sum, a, s) => sum + a * geometricSum(modulus[s]!, lags, steps), 0);
  /** Σ_k |f_k| over `length` lags, by the better partition. */
  const together = (amplitudes: Float64Array, length: number) => {
    const sums = partitions.map((grams) =>
      grams
        .filter((window) => window.from < length)
        .reduce(
          (sum, { from, to, gram }) => sum + Math.sqrt((Math.min(to, length) - from) * quadratic(gram, amplitudes)),
          0,
        ),
    );
    return Math.min(...sums) + tail(amplitudes);
  };
  const weighted = profile.map((a, s) => a * modes[s]!.weight);
  let nested = geometricSum(slowest, lags, steps) * together(weighted, lags);
  for (const [from, to] of windowsUpTo(lags, 1, Math.ceil(lags / 8))) {
    // over the lags between an error and the output too: Σ_k √q_k ≤ (count Σ_k q_k)^½
    const decayed = weighted.map((a, s) => a * Math.sqrt(geometricSum(modes[s]!.decay ** 2, from, to)));
    nested += Math.sqrt(to - from) * together(decayed, lags - from);
  }
  const states = together(profile, lags);
  const deviation = Math.sqrt(quadratic(partitions[0]![0]!.gram, profile)) + tail(profile);
  const slack = 1 + 1e-9;
  return {
    states: scale.map((a) => a * states * slack),
    nested: scale.map((a) => a * nested * slack),
    deviation: scale.map((a) => a * deviation * slack),
  };
}

/** 0 … lags in pieces that double from `first` on, none longer than `longest`. */
function windowsUpTo(lags: number, first: number, longest = lags): [number, number][] {
  const windows: [number, number][] = [];
  for (let [from, length] = [0, Math.min(first, longest)]; from < lags; length = Math.min(2 * length, longest)) {
    const to = Math.min(lags, from + length);
    windows.push([from, to]);
    from = to;
  }
  return windows;
}

/** Bounds of |G_st| over from ≤ k < to, [modes × modes]; the upper triangle, with what is off the diagonal twice. */
function gramOf({ re, im }: Powers, modulus: Float64Array, from: number, to: number): Float64Array {
  const modes = re.length;
  const gram = new Float64Array(modes * modes);
  // of powers whose angles are good to some 10⁻¹⁶ k
  const rounding = 1e-15 * (to + 8);
  const length = modulus.map((rho) => Math.sqrt(geometricSum(rho * rho, from, to)));
  const [start, end] = [powersAt({ re, im }, modulus, from), powersAt({ re, im }, modulus, to)];
  for (let s = 0; s < modes; s++) {
    for (let t = s; t < modes; t++) {
      const most = length[s]! * length[t]!;
      let sum = 0;
      for (const sign of [1, -1]) {
        const along = start.re[s]! * start.re[t]! + sign * start.im[s]! * start.im[t]!;
        const across = start.im[s]! * start.re[t]! - sign * start.re[s]! * start.im[t]!;
        const alongEnd = end.re[s]! * end.re[t]! + sign * end.im[s]! * end.im[t]!;
        const acrossEnd = end.im[s]! * end.re[t]! - sign * end.re[s]! * end.im[t]!;
        const apartRe = 1 - (re[s]! * re[t]! + sign * im[s]! * im[t]!);
        const apartIm = im[s]! * re[t]! - sign * re[s]! * im[t]!;
        const apart = Math.sqrt(apartRe * apartRe + apartIm * apartIm);
        const above = Math.sqrt((along - alongEnd) ** 2 + (across - acrossEnd) ** 2);
        sum += Math.min(most, (above + rounding * most) / Math.max(apart - 1e-15, 0));
      }
      gram[s * modes + t] = s === t ? sum / 2 : sum;
    }
  }
  return gram;
}

/** λ^k of every mode, its angle to some 10⁻¹⁶ k. */
function powersAt({ re, im }: Powers, modulus: Float64Array, k: number): Powers {
  const size = modulus.map((rho) => rho ** k);
  const angle = re.map((a, s) => k * Math.atan2(im[s]!, a));
  return { re: size.map((rho, s) => rho * Math.cos(angle[s]!)), im: size.map((rho, s) => rho * Math.sin(angle[s]!)) };
}

/** Σ_st a_s a_t |G_st|. */
function quadratic(gram: Float64Array, amplitudes: Float64Array): number {
  const modes = amplitudes.length;
  let sum = 0;
  for (let s = 0; s < modes; s++) {
    let row = 0;
    for (let t = s; t < modes; t++) row += gram[s * modes + t]! * amplitudes[t]!;
    sum += amplitudes[s]! * row;
  }
  return sum;
}
