/** Kernels that mix channels → the smallest state that all channels share; docs/parts/reduction.md. */

import { LongConvError } from "../../src/errors.ts";
import { kernelOf } from "../solve/evaluate.ts";
import { type Kernels, kernelsOwn, type MixedModal, type Mixing, statesOf } from "../solve/form.ts";
import { blockHankelOf, type Driven, systemsOf } from "./block-hankel.ts";
import { fitResidues, modes } from "./fit.ts";
import { dominantSubspace } from "./hankel.ts";
import { roundPoles, stabilise } from "./poles.ts";
import type { Target } from "./reduce.ts";

/** A state for all channels, or the best attempt at one. */
export interface MixedReduction {
  /** Stable, rounded to float32. */
  readonly modal: MixedModal;
  /** States of all channels together. */
  readonly order: number;
  /** ‖T - T̂‖ / ‖T‖ in the Frobenius norm over lags and kernels. */
  readonly error: number;
  readonly met: boolean;
  /** Why there is none, in a sentence; only where `met` is false. */
  readonly reason: string | undefined;
}

/** Twice the rounding of a residue, as in fitting.ts. */
const RIDGE = 2 ** -24;
/** States that are looked at first; then twice as many. */
const FIRST = 32;
/** What the lags at the end may hold that are left out of the Hankel matrix, as a part of the tolerance. */
const LEFT_OUT = 1e-2;

/**
 * Ho–Kalman for many inputs and outputs: shift invariance on the dominant right singular vectors of the block Hankel matrix
 * gives the poles and how inputs drive their states; what outputs read of them by least squares. So a kernel
 * Σ_s C_s λ_s^k B_s has as many states as the sum of the ranks of C_s B_s, be the channels few at the input, at the output or
 * in between.
 * @param kernels o · inputs + i is that from input i to output o
 * @throws LongConvError "no-reduction" where the kernels hold NaN or infinity
 */
export function reduceMixed(kernels: Kernels, mixing: Mixing, target: Target): MixedReduction {
  if (kernels.taps.some((tap) => !Number.isFinite(tap)))
    throw new LongConvError("no-reduction", "the kernels hold NaN or infinity");
  const tolerance = "tolerance" in target ? target.tolerance : 0;
  const energy = kernels.taps.reduce((sum, tap) => sum + tap * tap, 0);
  const hankel = blockHankelOf(trimmed(kernels, energy * (LEFT_OUT * Math.max(tolerance, 1e-9)) ** 2), mixing);
  const given = "order" in target ? target.order : undefined;
  const allowed = "order" in target ? target.order : (target.maxOrder ?? Infinity);
  const most = Math.min(allowed, Math.max(1, hankel.columns - mixing.inputs));
  for (let width = Math.min(given ?? FIRST, most), known: Float64Array[] = []; ; width = Math.min(2 * width, most)) {
    known = dominantSubspace(hankel, Math.min(hankel.columns, width + 12), known).vectors;
    const systems = systemsOf(known, mixing.inputs);
    const attempt = (order: number) => fitted(kernels, mixing, systems(order), energy, tolerance);
    const largest = Math.min(width, known.length);
    const best = attempt(largest);
    if (given !== undefined) return { ...best, met: true, reason: undefined };
    if (best.met) return smallest(attempt, best, largest);
    if (width === most || largest < width) {
      const reason = `up to ${largest} shared states leave a relative error of ${best.error.toExponential(1)}`;
      return { ...best, reason };
    }
  }
}

/** The least order that is within the tolerance, between one that is and none. */
function smallest(attempt: (order: number) => MixedReduction, found: MixedReduction, width: number): MixedReduction {
  let [low, high, best] = [0, width, found];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const tried = attempt(middle);
    if (tried.met) [high, best] = [middle, tried];
    else low = middle;
  }
  return best;
}

/** Kernels without the lags at the end that together hold no more than `rest` energy. */
function trimmed({ lags, channels, taps }: Kernels, rest: number): Kernels {
  let length = lags;
  for (let tail = 0; length > 4; length--) {
    for (let c = 0; c < channels; c++) tail += taps[(length - 1) * channels + c]! ** 2;
    if (tail > rest) break;
  }
  return { lags: length, channels, taps: taps.subarray(0, length * channels) };
}

/** The system in float32, with what outputs read of it by least squares over all lags. */
function fitted(kernels: Kernels, mixing: Mixing, system: Driven, energy: number, tolerance: number): MixedReduction {
  const { inputs, outputs } = mixing;
  const poles = roundPoles(stabilise(system, "reflect"));
  const [count, states] = [poles.pairs.re.length, statesOf(poles)];
  const drive = normalised(system.drive, count, states, inputs);
  const length = kernels.lags - 1;
  // Re λ^k and Im λ^k of each pair, then the real poles
  const powers = modes(poles, kernels.lags);
  const basis = Array.from({ length: states }, (_, s) => {
    const column = new Float64Array(length * inputs);
    const [own, other, sign] =
      s < count
        ? [powers[2 * s]!, powers[2 * s + 1]!, -1]
        : s < 2 * count
          ? [powers[2 * (s - count)]!, powers[2 * (s - count) + 1]!, 1]
          : [powers[s]!, undefined, 0];
    const partner = s < count ? s + count : s - count;
    for (let k = 0; k < length; k++)
      for (let i = 0; i < inputs; i++) {
        const across = other ? sign * other[k]! * drive[partner * inputs + i]! : 0;
        column[k * inputs + i] = own[k]! * drive[s * inputs + i]! + across;
      }
    return column;
  });
  const sequences = Array.from({ length: outputs }, (_, o) =>
    Float64Array.from({ length: length * inputs }, (_, at) => {
      const [k, i] = [Math.floor(at / inputs), at % inputs];
      return kernels.taps[((k + 1) * outputs + o) * inputs + i]!;
    }),
  );
  const { residues } = fitResidues(basis, sequences, RIDGE);
  const read = Float64Array.from(
    residues.flatMap((row) => [...row]),
    Math.fround,
  );
  const direct = new Float64Array(outputs * inputs);
  const modal: MixedModal = { inputs, outputs, ...poles, drive, read, direct };
  const own = kernelOf(kernelsOwn(modal), kernels.lags).taps;
  for (let c = 0; c < direct.length; c++) direct[c] = Math.fround(kernels.taps[c]! - own[c]!);
  let lost = 0;
  for (let at = 0; at < own.length; at++)
    lost += (kernels.taps[at]! - own[at]! - (at < direct.length ? direct[at]! : 0)) ** 2;
  const error = energy === 0 ? 0 : Math.sqrt(lost / energy);
  return { modal, order: states, error, met: error <= tolerance, reason: undefined };
}

/** The drive of each state scaled to a largest entry of 1, in float32. */
function normalised(drive: Float64Array, count: number, states: number, inputs: number): Float64Array {
  const result = new Float64Array(states * inputs);
  const row = (s: number) => drive.subarray(s * inputs, (s + 1) * inputs);
  for (let s = 0; s < states; s++) {
    const together = s < 2 * count ? [row(s), row(s < count ? s + count : s - count)] : [row(s)];
    const largest = Math.max(...together.flatMap((each) => Array.from(each, Math.abs))) || 1;
    for (let i = 0; i < inputs; i++) result[s * inputs + i] = Math.fround(drive[s * inputs + i]! / largest);
  }
  return result;
}
