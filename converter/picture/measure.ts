/** What a form really does, measured apart from the certificate: its error at every lag, and its outputs. */
import type { Certificate } from "../certify/certify.ts";
import { channelsOf, kernelOf } from "../solve/evaluate.ts";
import {
  type ChannelModal,
  channelOf,
  type Form,
  type Kernels,
  kernelsOwn,
  type Modal,
  orderOf,
} from "../solve/form.ts";
import { spread } from "./sample.ts";

/** Multiplications that one layer's figures may take; about 1 ns each. */
const BUDGET = 1.5e9;
/** Channels whose kernels are in memory at a time. */
const BLOCK = 64;

/** Errors e = t - t̂ of single channels at every lag, over the channel's own ‖t‖₂. */
export interface LagErrors {
  readonly lags: number;
  /** How many channels were measured, evenly spread; those whose kernel is zero have no relative error and are left out. */
  readonly channels: number;
  /** Root mean square over the channels. */
  readonly rms: Float64Array;
  /** The largest of any channel. */
  readonly largest: Float64Array;
  /** ‖e_0 … e_k‖₂, the largest of any channel. */
  readonly accumulated: Float64Array;
}

/** Channels 0 … channels-1, or as many of them, evenly spread, as cost no more than the budget. */
const affordable = (channels: number, cost: number, most: number): number[] =>
  spread(
    Array.from({ length: channels }, (_, c) => c),
    Math.max(2, Math.min(most, Math.floor(BUDGET / Math.max(cost, 1)))),
  );

/** Measures a modal form's kernels against the true ones, lag by lag. */
export function lagErrors(kernels: Kernels, modal: AnyModal): LagErrors {
  const { lags, channels } = kernels;
  const rms = new Float64Array(lags);
  const largest = new Float64Array(lags);
  const accumulated = new Float64Array(lags);
  let measured = 0;
  const chosen = affordable(channels, lags * orderOfAny(modal), channels);
  for (let first = 0; first < chosen.length; first += BLOCK) {
    const block = chosen.slice(first, first + BLOCK);
    const found = evaluated(modal, block, lags);
    for (const [i, channel] of block.entries()) {
      const truth = kernelAt(kernels, channel);
      const norm = Math.hypot(...truth);
      if (!(norm > 0)) continue;
      measured++;
      let energy = 0;
      for (let k = 0; k < lags; k++) {
        const error = Math.abs(truth[k]! - found[k * block.length + i]!) / norm;
        energy += error * error;
        rms[k]! += error * error;
        largest[k] = Math.max(largest[k]!, error);
        accumulated[k] = Math.max(accumulated[k]!, Math.sqrt(energy));
      }
    }
  }
  for (let k = 0; k < lags; k++) rms[k] = Math.sqrt(rms[k]! / Math.max(1, measured));
  return { lags, channels: measured, rms, largest, accumulated };
}

/** One channel's output error: what is certain, and what was measured. Both over ‖t‖₁, its largest possible output. */
export interface OutputError {
  readonly channel: number;
  readonly certified: number;
  readonly measured: number;
}

/** Errors of single channels' outputs for inputs |x| ≤ 1 as long as the horizon. */
export interface OutputErrors {
  /** In float64, for the input that makes this channel's error largest: x_j = sign e_{n-1-j}. Certified: ‖e‖₁. */
  readonly worst: readonly OutputError[];
  /** In float32, for random signs, the largest over positions. Certified: ‖e‖₁ and the bound on rounding. */
  readonly random: readonly OutputError[];
}

/** Drives the recurrence, one step after the other, and compares its outputs with the convolution's. */
export function outputErrors(kernels: Kernels, modal: AnyModal, certificate: Certificate): OutputErrors {
  const { channels } = kernels;
  const lags = Math.min(kernels.lags, certificate.horizon);
  const worst: OutputError[] = [];
  const random: OutputError[] = [];
  const positions = spread(
    Array.from({ length: lags }, (_, i) => i),
    128,
  );
  // A step of the recurrence costs about ten multiplications' time for each state
  const cost = lags * (10 * (orderOfAny(modal) * 2 + 8) + positions.length / 2);
  const signs = randomSigns(lags);
  for (const channel of affordable(channels, cost, 192)) {
    const truth = kernelAt(kernels, channel).subarray(0, lags);
    const own = oneChannel(modal, channel);
    const largest = truth.reduce((sum, tap) => sum + Math.abs(tap), 0);
    if (!(largest > 0)) continue;
    const model = kernelOf(own, lags).taps;
    const adverse = Float64Array.from(truth, (_, j) => (truth[lags - 1 - j]! >= model[lags - 1 - j]! ? 1 : -1));
    const certified = certificate.error.one[channel]!;
    const at = (x: Float64Array, y: Float64Array, i: number) => Math.abs(convolved(truth, x, i) - y[i]!);
    worst.push({
      channel,
      certified: certified / largest,
      measured: at(adverse, recur(own, adverse, "float64"), lags - 1) / largest,
    });
    if (lags > certificate.roundoff.steps) continue;
    const outputs = recur(own, signs, "float32");
    const measured = positions.reduce((most, i) => Math.max(most, at(signs, outputs, i)), 0);
    random.push({
      channel,
      certified: (certified + certificate.roundoff.bound[channel]!) / largest,
      measured: measured / largest,
    });
  }
  return { worst, random };
}

/**
 * Outputs of a one-channel recurrence, step by step. In float32, each state and each partial sum is rounded when it is
 * stored, as a processor with fused multiply-add does.
 */
export function recur(
  { pairs, reals, residues, direct }: Modal,
  x: Float64Array,
  precision: "float32" | "float64",
): Float64Array {
  const numbers = precision === "float32" ? Float32Array : Float64Array;
  const states = new numbers(2 * pairs.re.length + reals.length);
  const sum = new numbers(1);
  const outputs = new Float64Array(x.length);
  for (let i = 0; i < x.length; i++) {
    const input = x[i]!;
    sum[0] = direct[0]! * input;
    let s = 0;
    for (let p = 0; p < pairs.re.length; p++, s += 2) {
      const [re, im, a, b] = [pairs.re[p]!, pairs.im[p]!, states[s]!, states[s + 1]!];
      states[s] = re * a - im * b + input;
      states[s + 1] = im * a + re * b;
      sum[0] = sum[0]! + residues[s]! * states[s]!;
      sum[0] = sum[0]! + residues[s + 1]! * states[s + 1]!;
    }
    for (let r = 0; r < reals.length; r++, s++) {
      states[s] = reals[r]! * states[s]! + input;
      sum[0] = sum[0]! + residues[s]! * states[s]!;
    }
    outputs[i] = sum[0]!;
  }
  return outputs;
}

/** y_i = Σ_j t_{i-j} x_j */
function convolved(taps: Float64Array, x: Float64Array, i: number): number {
  let sum = 0;
  for (let j = 0; j <= i; j++) sum += taps[i - j]! * x[j]!;
  return sum;
}

/** ±1 from a linear congruential generator, so that a report of the same model is the same. */
function randomSigns(length: number): Float64Array {
  let seed = 1;
  return new Float64Array(length).map(() => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed >= 2 ** 31 ? 1 : -1;
  });
}

function kernelAt({ lags, channels, taps }: Kernels, channel: number): Float64Array {
  const kernel = new Float64Array(lags);
  for (let k = 0; k < lags; k++) kernel[k] = taps[k * channels + channel]!;
  return kernel;
}

/** A modal form with poles that the channels share, or with poles of each channel's own. */
export type AnyModal = Modal | ChannelModal;

/** The modal form of a form that is none of a window; of one that mixes channels, with states for each kernel. */
export const modalOfForm = (form: Exclude<Form, { kind: "window" }>): AnyModal =>
  form.kind === "mixed" ? kernelsOwn(form.modal) : form.modal;

export const isShared = (modal: AnyModal): modal is Modal => typeof modal.pairs !== "number";

const orderOfAny = (modal: AnyModal): number => (isShared(modal) ? orderOf(modal) : 2 * modal.pairs);

const oneChannel = (modal: AnyModal, channel: number): Modal =>
  isShared(modal) ? channelsOf(modal, [channel]) : channelOf(modal, channel);

/** Kernels of some channels, [lags × chosen]. */
function evaluated(modal: AnyModal, chosen: readonly number[], lags: number): Float64Array {
  if (isShared(modal)) return kernelOf(channelsOf(modal, chosen), lags).taps;
  const taps = new Float64Array(lags * chosen.length);
  for (const [i, channel] of chosen.entries()) {
    const own = kernelOf(channelOf(modal, channel), lags).taps;
    for (let k = 0; k < lags; k++) taps[k * chosen.length + i] = own[k]!;
  }
  return taps;
}
