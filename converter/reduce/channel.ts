/** One channel of a layer by itself: Ho–Kalman by Lanczos, residues by least squares, everything in pairs and float32. */

import { kernelOf } from "../solve/evaluate.ts";
import { type ChannelModal, channelOf, type Kernels } from "../solve/form.ts";
import { compress } from "./compress.ts";
import { type Fitting, fittingOf, type System, systemOf } from "./fitting.ts";
import { type HankelSpectrum, hankelSpectrum } from "./lanczos.ts";
import { isStable, type Poles, stabilise } from "./poles.ts";
import type { Fitted } from "./refine.ts";

/** Lags at the end that hold no more than this part of the channel's energy carry nothing. */
const NOTHING = 1e-18;

/** Poles and residues of one channel, and the squared norm of what they leave over all lags. */
export interface Solved {
  readonly modal: ChannelModal;
  readonly lost: number;
}

/** A channel whose Hankel matrix has been looked at: solved for any number of pairs up to half of `width`. */
export interface Channel {
  readonly width: number;
  readonly spectrum: HankelSpectrum | undefined;
  solve(pairs: number): Solved;
}

/**
 * Looks at the Hankel matrix of one channel.
 * @param allowed squared norm that the channel may lose
 * @param width singular vectors
 */
export function openChannel(
  kernels: Kernels,
  channel: number,
  allowed: number,
  tolerance: number,
  width: number,
): Channel {
  const { channels, lags } = kernels;
  const own: Kernels = { lags, channels: 1, taps: new Float64Array(lags) };
  for (let k = 0; k < lags; k++) own.taps[k] = kernels.taps[k * channels + channel]!;
  const measured = (modal: ChannelModal): Solved => {
    const answered = kernelOf(channelOf(modal, 0), lags).taps;
    return { modal, lost: own.taps.reduce((sum, tap, k) => sum + (tap - answered[k]!) ** 2, 0) };
  };
  const length = lagsWithin(own.taps, Math.max(NOTHING * energyOf(own.taps), 1e-4 * allowed));
  const part: Kernels = { lags: length, channels: 1, taps: own.taps.subarray(0, length) };
  const compressed = length < 2 ? undefined : compress(part, 0, 1);
  if (!compressed?.sequences.length) {
    const nothing = measured({ ...emptyModal(own, 1), direct: own.taps.slice(0, 1).map(Math.fround) });
    return { width: Number.POSITIVE_INFINITY, spectrum: undefined, solve: () => nothing };
  }
  const fitting = fittingOf(part, compressed, "float32", tolerance);
  const spectrum = hankelSpectrum(fitting.trimmed[0]!, width);
  let found: System | undefined;
  const system: System = (order, spread) => {
    found ??= systemOf(spectrum.vectors());
    return found(order, spread);
  };
  const sign = compressed.mix[0]![0]!;
  const known = new Map<number, Solved>();
  const solve = (pairs: number): Solved => {
    const before = known.get(pairs);
    if (before) return before;
    const start = (order: number) => startDiagonal(order, system, fitting, allowed);
    const { poles, fit } = bestWithin(pairs, spectrum.singularValues.length, allowed, start);
    const solved = measured(
      inPairs(
        poles,
        Float64Array.from(fit.residues, ([residue]) => sign * residue!),
        own.taps[0]!,
      ),
    );
    known.set(pairs, solved);
    return solved;
  };
  return { width: spectrum.singularValues.length < width ? Number.POSITIVE_INFINITY : width, spectrum, solve };
}

/** A fit is left as it is where it loses less than this share of what is allowed. */
const ENOUGH = 0.3;

/** Ho–Kalman at an order; unstable poles held instead of reflected, or coinciding ones taken apart, where that is needed. */
function startDiagonal(order: number, system: System, fitting: Fitting, allowed: number): Fitted {
  const solve = (poles: Poles, how: "reflect" | "hold") => fitting.solve(stabilise(poles, how, fitting.largestReal));
  const poles = system(order);
  let fitted = solve(poles, "reflect");
  const poor = () => fitted.fit.cost > ENOUGH * allowed;
  const consider = (other: Fitted) => {
    if (other.fit.cost < fitted.fit.cost) fitted = other;
  };
  if (poor() && !isStable(poles)) consider(solve(poles, "hold"));
  if (poor() && fitted.fit.penalty > 0.1 * fitted.fit.cost) {
    for (const spread of [1e-4, 1e-2]) consider(solve(system(order, spread), "reflect"));
  }
  return fitted;
}

const slotsOf = ({ pairs, reals }: Poles): number => pairs.re.length + reals.length;

/** The best fit whose pairs and real poles take no more than so many pairs: of the first two orders that do. */
function bestWithin(pairs: number, most: number, allowed: number, start: (order: number) => Fitted): Fitted {
  let found: Fitted | undefined;
  for (let order = Math.min(2 * pairs, most), tried = 0; order >= 1 && tried < 2; order--) {
    const fitted = start(order);
    if (slotsOf(fitted.poles) > pairs) continue;
    tried++;
    if (!found || fitted.fit.cost < found.fit.cost) found = fitted;
    if (found.fit.cost <= ENOUGH * allowed) break;
  }
  return found!;
}

/** A channel's poles as pairs only, residues and direct term rounded to float32. */
function inPairs({ pairs, reals }: Poles, residues: Float64Array, lagZero: number): ChannelModal {
  const count = pairs.re.length;
  const rows = new Float64Array(2 * (count + reals.length));
  rows.set(residues.subarray(0, 2 * count));
  reals.forEach((_, r) => {
    rows[2 * (count + r)] = residues[2 * count + r]!;
  });
  const rounded = rows.map(Math.fround);
  const modes = rounded.reduce((sum, residue, s) => (s % 2 ? sum : sum + residue), 0);
  return {
    channels: 1,
    pairs: count + reals.length,
    re: Float64Array.of(...pairs.re, ...reals),
    im: Float64Array.of(...pairs.im, ...reals.map(() => 0)),
    residues: rounded,
    direct: Float64Array.of(Math.fround(lagZero - modes)),
  };
}

/** Nothing but padding. */
export const emptyModal = ({ channels }: Pick<Kernels, "channels">, pairs: number): ChannelModal => ({
  channels,
  pairs,
  re: new Float64Array(pairs * channels),
  im: new Float64Array(pairs * channels),
  residues: new Float64Array(2 * pairs * channels),
  direct: new Float64Array(channels),
});

const energyOf = (taps: Float64Array): number => taps.reduce((sum, tap) => sum + tap * tap, 0);

/** The least number of lags after which a kernel holds no more than `rest` energy. */
function lagsWithin(taps: Float64Array, rest: number): number {
  let [length, tail] = [taps.length, 0];
  for (; length > 0; length--) {
    tail += taps[length - 1]! ** 2;
    if (tail > rest) break;
  }
  return length;
}
