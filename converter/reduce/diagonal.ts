/** A layer's kernels → poles of each channel's own, as many for every channel; docs/parts/diagonal.md. */

import { LongConvError } from "../../src/errors.ts";
import { energiesOf } from "../solve/energies.ts";
import type { ChannelModal, Kernels } from "../solve/form.ts";
import { type Channel, emptyModal, openChannel, type Solved } from "./channel.ts";
import { leastLoss } from "./forecast.ts";

/** A given order, or the smallest order within a relative error (Frobenius norm over lags and channels). */
export type DiagonalTarget =
  | { readonly order: number }
  | {
      readonly tolerance: number;
      /** Give up above this order; default 64. */
      readonly maxOrder?: number | undefined;
    };

/** A form with poles of each channel's own, or the best attempt at one. */
export interface DiagonalReduction {
  /** Stable, poles and residues rounded to float32. */
  readonly modal: ChannelModal;
  /** Real numbers of state per channel; even. */
  readonly order: number;
  /** ‖T - T̂‖ / ‖T‖ in the Frobenius norm over all lags and channels, measured; estimated from a sample if given up. */
  readonly error: number;
  /** Whether `error` is within the tolerance; always true for a given order. */
  readonly met: boolean;
  /** Why there is no such state, in a sentence; only where `met` is false. */
  readonly reason: string | undefined;
}

export const LARGEST_DIAGONAL_ORDER = 64;

/** Channels on which the order is found. */
const SAMPLE = 16;

/** Singular vectors of each at first; the lower bound for the order is weaker beyond them. */
const FIRST_WIDTH = 36;

/** A layer whose channels have been looked at, but not reduced yet. */
export interface Lookout {
  /** A lower bound for the order that the tolerance needs, from the Hankel matrices alone; above the limit if none will do. */
  readonly least: number;
  reduce(): DiagonalReduction;
}

/**
 * Reduces every channel of a layer by itself: Ho–Kalman on the channel's Hankel matrix (Lanczos, lanczos.ts), residues
 * by least squares. The order is found on a sample of the channels, given up there where no order will do, and raised
 * for the worst channels where the sample was too good. Deterministic. Cost for C channels, m lags and order R:
 * O(C (R m log m + R² m)) time.
 *
 * @param kernels finite numbers at any scale
 * @throws LongConvError "no-reduction" where the kernels hold NaN or infinity, or the order asked for is not possible
 */
export const reduceChannels = (kernels: Kernels, target: DiagonalTarget): DiagonalReduction =>
  lookAtChannels(kernels, target).reduce();

/**
 * The first look of {@link reduceChannels} at a layer, and the rest of its work for later.
 * @throws LongConvError as {@link reduceChannels}
 */
export function lookAtChannels(kernels: Kernels, target: DiagonalTarget): Lookout {
  const tolerance = "tolerance" in target ? target.tolerance : 0;
  const maxOrder = "order" in target ? target.order : (target.maxOrder ?? LARGEST_DIAGONAL_ORDER);
  if (!(Number.isInteger(maxOrder) && maxOrder >= 1) || !(tolerance >= 0)) {
    throw new LongConvError("no-reduction", "an order is a whole number above 0, a tolerance at least 0");
  }
  const { channels } = kernels;
  const most = Math.max(1, maxOrder >> 1);
  const energies = energiesOf(kernels.taps, kernels.channels);
  const energy = energies.reduce((a, b) => a + b, 0);
  if (!Number.isFinite(energy)) throw new LongConvError("no-reduction", "the kernels hold NaN or infinity");
  const allowed = tolerance * tolerance * energy;
  // Only the sample is kept: all channels at once would take as much memory as their subspaces
  const kept = new Map<number, Channel>();
  const open = (c: number, width: number) => {
    const known = kept.get(c);
    return known && known.width >= width ? known : openChannel(kernels, c, allowed / channels, tolerance, width);
  };
  const sampled = (c: number, width: number) => {
    const channel = open(c, width);
    kept.set(c, channel);
    return channel;
  };
  const given = "order" in target || energy === 0;
  const sample = given ? undefined : lookAtSample(energies, tolerance, most, sampled);
  const reduce = (): DiagonalReduction => {
    const found = sample?.search() ?? { pairs: most };
    if ("reason" in found) return { modal: emptyModal(kernels, 1), order: 2, met: false, ...found };
    const solved = solveAll(energies.length, found.pairs, most, given ? Number.POSITIVE_INFINITY : allowed, open);
    const modal = merge(kernels, solved);
    const error = Math.sqrt(solved.reduce((sum, { lost }) => sum + lost, 0) / (energy || 1));
    const met = given || error <= tolerance;
    const reason = met ? undefined : `${2 * modal.pairs} poles of each channel's own leave ${error.toExponential(1)}`;
    return { modal, order: 2 * modal.pairs, error, met, reason };
  };
  return { least: 2 * (sample?.least ?? 1), reduce };
}

/** All channels with as many pairs, then the worst again with more, until the layer as a whole is within what is allowed. */
function solveAll(
  channels: number,
  first: number,
  most: number,
  allowed: number,
  open: (channel: number, width: number) => Channel,
): Solved[] {
  let pairs = first;
  const solved = Array.from({ length: channels }, (_, c) => open(c, 2 * pairs + 2).solve(pairs));
  let lost = solved.reduce((sum, each) => sum + each.lost, 0);
  for (let retries = 0; lost > allowed && pairs < most && retries < 4; retries++) {
    pairs = Math.min(most, pairs + 1 + (pairs >> 3));
    const byLoss = Array.from(solved, (_, c) => c).sort((a, b) => solved[b]!.lost - solved[a]!.lost);
    for (const c of byLoss) {
      if (lost <= 0.9 * allowed) break;
      const again = open(c, 2 * pairs + 2).solve(pairs);
      if (!(again.lost < solved[c]!.lost)) continue;
      lost += again.lost - solved[c]!.lost;
      solved[c] = again;
    }
  }
  return solved;
}

/** What a sample of the channels needs. */
interface Sample {
  /** Proven: no fewer pairs will do; more than the limit if none will. */
  readonly least: number;
  /** The number of pairs that brings the sample within the tolerance, or what is left at the limit. */
  search(): { readonly pairs: number } | { readonly error: number; readonly reason: string };
}

function lookAtSample(
  energies: Float64Array,
  tolerance: number,
  most: number,
  open: (channel: number, width: number) => Channel,
): Sample {
  const byEnergy = Array.from(energies, (_, c) => c).sort((a, b) => energies[b]! - energies[a]!);
  const count = Math.min(SAMPLE, byEnergy.length);
  const sample = Array.from({ length: count }, (_, i) => byEnergy[Math.floor((i * byEnergy.length) / count)]!);
  const seen = sample.reduce((sum, c) => sum + energies[c]!, 0);
  const allowed = tolerance * tolerance * seen;
  const widest = 2 * most + 2;
  const spectra = sample.map((c) => open(c, Math.min(FIRST_WIDTH, widest)).spectrum);
  const lossOfAny = (pairs: number) => spectra.reduce((sum, spectrum) => sum + leastLoss(spectrum, 2 * pairs), 0);
  let least = 1;
  while (least <= most && lossOfAny(least) > allowed) least++;

  const losses = new Map<number, number>();
  const lossAt = (pairs: number) => {
    const width = Math.min(2 * pairs + 4, widest);
    const loss = losses.get(pairs) ?? sample.reduce((sum, c) => sum + open(c, width).solve(pairs).lost, 0);
    losses.set(pairs, loss);
    return loss;
  };
  const search = () => {
    const failed = (left: number) => {
      const error = Math.sqrt(left / seen);
      const words = `up to ${2 * most} poles of each channel's own leave a relative error of ${error.toExponential(1)}`;
      return { error, reason: words };
    };
    if (least > most) return failed(lossOfAny(most));
    // Up a ladder from what is proven, back by bisection; where that is half of the limit already, the limit first
    if (2 * least > most && lossAt(least) > allowed && lossAt(most) > allowed) return failed(lossAt(most));
    let [below, pairs] = [least - 1, least];
    while (lossAt(pairs) > allowed) {
      if (pairs >= most) return failed(Math.min(...losses.values()));
      below = pairs;
      pairs = Math.min(most, pairs + Math.max(1, pairs >> 2));
    }
    while (pairs - below > 1) {
      const middle = (below + pairs) >> 1;
      if (lossAt(middle) <= allowed) pairs = middle;
      else below = middle;
    }
    return { pairs };
  };
  return { least, search };
}

/** Channels side by side, padded to the largest number of pairs by modes that are never read. */
function merge(kernels: Kernels, solved: readonly Solved[]): ChannelModal {
  const { channels } = kernels;
  const merged = emptyModal(kernels, Math.max(1, ...solved.map(({ modal }) => modal.pairs)));
  solved.forEach(({ modal: { pairs, re, im, residues, direct } }, c) => {
    merged.direct[c] = direct[0]!;
    for (let p = 0; p < pairs; p++) {
      merged.re[p * channels + c] = re[p]!;
      merged.im[p * channels + c] = im[p]!;
      merged.residues[2 * p * channels + c] = residues[2 * p]!;
      merged.residues[(2 * p + 1) * channels + c] = residues[2 * p + 1]!;
    }
  });
  return merged;
}
