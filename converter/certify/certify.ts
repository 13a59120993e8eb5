/** What is certain about a compact model: error norms of each channel over the horizon, beyond it, and in float32. */

import { channelsOf, kernelOf } from "../solve/evaluate.ts";
import { type Kernels, type Modal, orderOf } from "../solve/form.ts";
import { amplitudesOf, weigh } from "./amplitudes.ts";
import { frequencyPeak } from "./frequency.ts";
import { geometricSum } from "./geometric.ts";
import { normsOf, type PerChannel } from "./norms.ts";
import { roundoffOf } from "./roundoff.ts";
import { tailFrom } from "./tail.ts";

/** What is known of the true kernel, and how long the model is to run. */
export interface CertifyOptions {
  /** The same kernels at more lags, where the graph can: the errors beyond the horizon are then exact up to them. */
  readonly further?: Kernels | undefined;
  /**
   * The true kernel beyond all lags given: "zero" for kernels of finite length, "unknown" otherwise. Where unknown, the
   * tail bounds the model's own kernel only. Default "unknown".
   */
  readonly beyond?: "zero" | "unknown" | undefined;
  /** Steps for which the float32 bound is given; default 100 000. */
  readonly steps?: number | undefined;
}

/** Norms of a kernel or of its error: 1-norm, 2-norm, largest modulus of the frequency response (an upper bound). */
export interface Sizes<T> {
  readonly one: T;
  readonly two: T;
  readonly frequency: T;
}

/** Certain bounds on the error e = t - t̂ of one layer. Every number is an upper bound and no number is NaN. */
export interface Certificate {
  readonly horizon: number;
  /** Norms of the true kernel over the horizon; `frequency` is here a lower bound (its largest value on a grid). */
  readonly kernel: Sizes<PerChannel>;
  /** Norms of the error over the horizon. */
  readonly error: Sizes<PerChannel>;
  /** error / kernel for each channel; 0 where both are 0, Infinity where only the kernel is. */
  readonly relative: Sizes<PerChannel>;
  readonly tail: {
    /** First lag beyond the horizon whose true value is not known. */
    readonly from: number;
    /** Whether `one` and `two` bound the error (true kernel zero) or the model's own kernel (true kernel unknown). */
    readonly kernel: "zero" | "unknown";
    /** Norms of the error over horizon ≤ k < from; zero where nothing further is known. */
    readonly further: { readonly one: PerChannel; readonly two: PerChannel };
    /** Norms of what lies at k ≥ from. */
    readonly one: PerChannel;
    readonly two: PerChannel;
  };
  /**
   * |ŷ - y| of the float32 recurrence for inputs |x| ≤ 1, over `steps` steps: `bound` is certain, `expected` is for random
   * inputs and roundings.
   */
  readonly roundoff: { readonly steps: number; readonly bound: PerChannel; readonly expected: PerChannel };
  readonly layer: LayerBounds;
}

/** Bounds that hold for a whole layer. */
export interface LayerBounds {
  /** ‖T - T̂‖ / ‖T‖ in the Frobenius norm over lags and channels of the horizon. */
  readonly relative: number;
  /** Largest of the channels' relative errors. */
  readonly worst: Sizes<number>;
  /** ‖y - ŷ‖∞ ≤ this · ‖x‖∞ over the first `horizon` positions, exact arithmetic. */
  readonly outputPerLargestInput: number;
  /** ‖y - ŷ‖₂ ≤ this · ‖x‖₂ over the first `horizon` positions and all channels, exact arithmetic. */
  readonly outputPerInputEnergy: number;
  /** As `outputPerLargestInput`, for ever; Infinity where the true kernel beyond is unknown or the bound diverges. */
  readonly outputPerLargestInputForEver: number;
  /** Float32 rounding in addition, for |x| ≤ 1, whatever the inputs. */
  readonly roundoff: number;
  /** Float32 rounding that is not exceeded for random inputs |x| ≤ 1, with probability 1 - 10⁻³ for each channel. */
  readonly roundoffExpected: number;
}

/** Channels evaluated at a time: bounds the memory, [lags × BLOCK] instead of [lags × channels]. */
const BLOCK = 64;

/**
 * Certifies a modal form against the kernels that it stands for. Claims and proofs: docs/parts/certificate.md.
 *
 * @param kernels the true kernels over the horizon, finite
 * @param modal a stable modal form with the same channels
 */
export function certify(kernels: Kernels, modal: Modal, options: CertifyOptions = {}): Certificate {
  const { channels, lags: horizon } = kernels;
  const { further, beyond = "unknown", steps = 100_000 } = options;
  const known = further && further.lags > horizon ? further : kernels;
  // Of a finite kernel the lags beyond are known: as many again are evaluated, the bound is for what follows
  const from = beyond === "zero" ? Math.max(known.lags, 2 * horizon) : known.lags;
  const zeros = () => new Float64Array(channels);
  const kernel = { one: zeros(), two: zeros(), frequency: zeros() };
  const error = { one: zeros(), two: zeros(), frequency: zeros() };
  const past = { one: zeros(), two: zeros() };
  for (let first = 0; first < channels; first += BLOCK) {
    const last = Math.min(first + BLOCK, channels);
    const width = last - first;
    const part = channelsOf(
      modal,
      Array.from({ length: width }, (_, c) => first + c),
    );
    const difference = kernelOf(part, from).taps;
    const truth = new Float64Array(horizon * width);
    takeColumns(truth, kernels, first, width);
    for (let k = 0; k < known.lags; k++) {
      const { taps } = k < horizon ? kernels : known;
      subtractFrom(taps, k * channels + first, difference, k * width, width);
    }
    const place = (to: Sizes<PerChannel>, taps: Float64Array, which: "grid" | "bound") => {
      const norms = normsOf(taps, width, 0, horizon);
      to.one.set(norms.one, first);
      to.two.set(norms.two, first);
      to.frequency.set(frequencyPeak(taps, width)[which], first);
    };
    place(kernel, truth, "grid");
    place(error, difference.subarray(0, horizon * width), "bound");
    const after = normsOf(difference, width, horizon, from);
    past.one.set(after.one, first);
    past.two.set(after.two, first);
  }
  addEvaluationError(modal, horizon, from, error, past);

  const amplitudes = amplitudesOf(modal);
  const tail = { from, kernel: beyond, further: past, ...tailFrom(amplitudes, Math.max(from, 1)) };
  const { worst, expected } = roundoffOf(modal, steps, 1);
  const roundoff = { steps, bound: worst, expected };
  const relative = {
    one: error.one.map((e, c) => ratio(e, kernel.one[c]!)),
    two: error.two.map((e, c) => ratio(e, kernel.two[c]!)),
    frequency: error.frequency.map((e, c) => ratio(e, kernel.frequency[c]!)),
  };
  const certified = { horizon, kernel, error, relative, tail, roundoff };
  return { ...certified, layer: layerBounds(certified) };
}

/** `width` channels from `first` on. */
function takeColumns(into: Float64Array, { lags, channels, taps }: Kernels, first: number, width: number): void {
  for (let k = 0; k < lags; k++) into.set(taps.subarray(k * channels + first, k * channels + first + width), k * width);
}

/** What is in `difference` is subtracted from the taps, in its place. */
function subtractFrom(taps: Float64Array, from: number, difference: Float64Array, at: number, width: number): void {
  for (let c = 0; c < width; c++) difference[at + c] = taps[from + c]! - difference[at + c]!;
}

/** The bounds of a layer from those of its channels. */
export function layerBounds({ kernel, error, relative, tail, roundoff }: Omit<Certificate, "layer">): LayerBounds {
  const forEver = error.one.map((e, c) => e + tail.further.one[c]! + tail.one[c]!);
  return {
    relative: ratio(Math.hypot(...error.two), Math.hypot(...kernel.two)),
    worst: { one: most(relative.one), two: most(relative.two), frequency: most(relative.frequency) },
    outputPerLargestInput: most(error.one),
    outputPerInputEnergy: most(error.frequency),
    outputPerLargestInputForEver: tail.kernel === "zero" ? most(forEver) : Number.POSITIVE_INFINITY,
    roundoff: most(roundoff.bound),
    roundoffExpected: most(roundoff.expected),
  };
}

const most = (values: PerChannel) => values.reduce((a, b) => Math.max(a, b), 0);

const ratio = (error: number, kernel: number) => (error === 0 ? 0 : error / kernel);

/**
 * The rounding of this computation itself: kernelOf's taps are off by at most (order + 8) 2⁻⁵³ Σ_s |c_s| |λ_s|^k, the
 * direct term and the subtraction by a rounding each, and a sum of n terms by n 2⁻⁵³ of itself.
 */
function addEvaluationError(
  modal: Modal,
  horizon: number,
  from: number,
  error: Sizes<PerChannel>,
  past: { readonly one: PerChannel; readonly two: PerChannel },
): void {
  const amplitudes = amplitudesOf(modal);
  const unit = (orderOf(modal) + 8) * 2 ** -53;
  const enlarge = (norm: PerChannel, start: number, end: number, exponent: 1 | 2) => {
    const slack = weigh(amplitudes, (rho) => geometricSum(rho ** exponent, start, end) ** (1 / exponent));
    for (let c = 0; c < norm.length; c++) {
      const direct = start === 0 ? Math.abs(modal.direct[c]!) : 0;
      norm[c] = norm[c]! * (1 + (end - start + 4) * 2 ** -52) + unit * (slack[c]! + direct);
    }
  };
  enlarge(error.one, 0, horizon, 1);
  enlarge(error.two, 0, horizon, 2);
  enlarge(error.frequency, 0, horizon, 1);
  enlarge(past.one, horizon, from, 1);
  enlarge(past.two, horizon, from, 2);
}
