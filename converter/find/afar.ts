/**
 * A region at a length far beyond the probes': a band, a block, a mask or a bias that begins at some position shows up
 * here. One run: the input is a comb in every channel, so dense that each position is within reach of several of its teeth.
 */

import { signed, uniform } from "../../src/random.ts";
import type { Graphs } from "../parts/graphs.ts";
import { isFailedRun, openKernels, type RunRows } from "../parts/open-region.ts";
import type { Kernels } from "../solve/form.ts";
import { norm } from "../solve/norm.ts";
import { type ProbeRefusal, toleranceOf } from "./probe.ts";
import type { Region } from "./region.ts";

/** A comb and what the region makes of it. */
export interface Answer {
  readonly time: number;
  /** [entryChannels] of [time] */
  readonly combs: readonly Float64Array[];
  /** [time × channels] */
  readonly values: Float64Array;
}

/** Taps beyond the last one of this part of the largest are no reach, and beyond the second are not summed. */
const REACH = 1e-3;
const SUMMED = 1e-8;

/**
 * Runs the region over combs for these kernels; at a shorter length where the graph cannot be run at theirs.
 * @returns undefined where it cannot be run at more positions than it was probed at
 */
export async function answerAfar(graphs: Graphs, region: Region, kernels: Kernels): Promise<Answer | undefined> {
  const opened = await openKernels(graphs, region);
  try {
    for (let time = kernels.lags; time > region.probed.lags; time = Math.floor(time / 2)) {
      try {
        return await answerAt(opened.runRows, region, kernels, time);
      } catch (error) {
        if (!isFailedRun(error)) throw error;
      }
    }
    return undefined;
  } finally {
    await opened.close();
  }
}

/** Runs the region over combs for these kernels at one length; the last position is not 0. */
export async function answerAt(runRows: RunRows, region: Region, kernels: Kernels, time: number): Promise<Answer> {
  const { entryChannels, sources } = region;
  const tapsOf = byChannel(kernels.taps, kernels.channels);
  const answeredAt = new Map(sources.map((source, c) => [source, c] as const).toReversed());
  const combs = Array.from({ length: entryChannels }, (_, c) =>
    // one that is answered nowhere still must not be
    combFor(tapsOf(answeredAt.get(c) ?? 0), time, c),
  );
  const row = new Float64Array(time * entryChannels);
  for (const [c, comb] of combs.entries()) for (let i = 0; i < time; i++) row[i * entryChannels + c] = comb[i]!;
  const [values] = await runRows([row], time);
  return { time, combs, values: values! };
}

/** Where the region's answer is not the convolution with these kernels; undefined where it is. */
export function departure(region: Region, kernels: Kernels, { time, combs, values }: Answer): ProbeRefusal | undefined {
  const { sources, channels, bias } = region;
  const [tapsOf, answerOf] = [byChannel(kernels.taps, kernels.channels), byChannel(values, channels)];
  for (let c = 0; c < channels; c++) {
    const [taps, answer] = [tapsOf(c), answerOf(c)];
    const comb = combs[sources[c]!]!;
    const expected = convolveSparse(comb, taps);
    const tolerance = toleranceOf(time, norm(taps) * norm(comb), bias?.[c] ?? 0);
    for (let i = 0; i < time; i++) {
      const apart = Math.abs(answer[i]! - (bias?.[c] ?? 0) - expected[i]!);
      if (apart <= tolerance) continue;
      return {
        code: "not-time-invariant",
        reason: `at length ${time} it is another one than at the lengths probed: position ${i}, channel ${c} is off by ${(apart / tolerance).toPrecision(2)} times what rounding explains`,
        stage: 5,
      };
    }
  }
  return undefined;
}

/** Channels that are gathered at a time: neighbours share what is read from memory. */
const GATHERED = 16;

/** The columns of a matrix [… × channels], asked for one after the other. */
function byChannel(values: Float64Array, channels: number): (channel: number) => Float64Array {
  const length = values.length / channels;
  let from = -1;
  let columns: Float64Array[] = [];
  return (channel) => {
    const first = channel - (channel % GATHERED);
    if (first !== from) {
      from = first;
      columns = Array.from({ length: Math.min(GATHERED, channels - first) }, () => new Float64Array(length));
      for (let k = 0; k < length; k++)
        for (let c = 0; c < columns.length; c++) columns[c]![k] = values[k * channels + first + c]!;
    }
    return columns[channel - first]!;
  };
}

/** Numbers of one sign or the other at random places, a quarter of the kernel's reach apart. */
function combFor(taps: Float64Array, time: number, channel: number): Float64Array {
  const spacing = Math.max(1, lagsAbove(taps, REACH) / 4, lagsAbove(taps, SUMMED) / 64);
  const place = uniform(2 * channel + 1);
  const weight = signed(2 * channel + 2);
  const comb = new Float64Array(time);
  for (let i = 0; i < time; i += Math.max(1, Math.round(2 * spacing * place()))) {
    const value = weight();
    comb[i] = value + Math.sign(value) / 2;
  }
  comb[time - 1] ||= 1;
  return comb;
}

/** Lags up to the last tap above a part of the largest. */
function lagsAbove(taps: Float64Array, part: number): number {
  let most = 0;
  for (let k = 0; k < taps.length; k++) most = Math.max(most, Math.abs(taps[k]!));
  let lags = taps.length;
  while (lags > 1 && !(Math.abs(taps[lags - 1]!) > part * most)) lags--;
  return Math.max(1, lags);
}

function convolveSparse(comb: Float64Array, taps: Float64Array): Float64Array {
  const result = new Float64Array(comb.length);
  const lags = lagsAbove(taps, SUMMED);
  for (const [j, x] of comb.entries()) {
    if (x === 0) continue;
    const end = Math.min(comb.length, j + lags);
    for (let i = j; i < end; i++) result[i]! += taps[i - j]! * x;
  }
  return result;
}
