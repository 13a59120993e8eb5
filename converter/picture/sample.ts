/** What a figure can show of a layer's channels: a few of them, and how all of them are spread. */
import type { Kernels } from "../solve/form.ts";

/** Channels drawn one by one at most. */
const SHOWN = 24;

/** Lags [from, to) drawn as one point. */
export interface Bin {
  readonly from: number;
  readonly to: number;
}

/** At most `most` bins of equal width over `lags` lags. */
export function binsOf(lags: number, most: number): Bin[] {
  const bins = Math.min(lags, most);
  return Array.from({ length: bins }, (_, i) => ({
    from: Math.floor((i * lags) / bins),
    to: Math.floor(((i + 1) * lags) / bins),
  }));
}

/** At most `most` bins, single lags first and then wider, as {@link lagAxis} shows them. */
export function wideningBins(lags: number, most: number): Bin[] {
  const bins: Bin[] = [];
  for (let from = 0; from < lags; ) {
    const to = Math.min(lags, Math.max(from + 1, Math.round((from + 1) * (lags + 1) ** (1 / most)) - 1));
    bins.push({ from, to });
    from = to;
  }
  return bins;
}

/** Evenly spread items, the first and the last among them. */
export function spread<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  return Array.from({ length: most }, (_, i) => items[Math.round((i * (items.length - 1)) / (most - 1))]!);
}

/** A channel and the energy-weighted mean lag of its kernel: how far back it looks, in lags. */
export interface Memory {
  readonly channel: number;
  readonly lags: number;
}

/** Channels by how far back they look, shortest memory first. */
export function memories({ lags, channels, taps }: Kernels): Memory[] {
  const largest = largestTap(taps) || 1;
  const energies = new Float64Array(channels);
  const moments = new Float64Array(channels);
  for (let k = 0, i = 0; k < lags; k++) {
    for (let c = 0; c < channels; c++, i++) {
      const energy = (taps[i]! / largest) ** 2;
      energies[c] = energies[c]! + energy;
      moments[c] = moments[c]! + k * energy;
    }
  }
  const found = Array.from(energies, (energy, channel) => ({
    channel,
    lags: energy > 0 ? moments[channel]! / energy : 0,
  }));
  return found.sort((a, b) => a.lags - b.lags || a.channel - b.channel);
}

/** The channels that a figure draws: a few by name, short, middling and long in memory, and others faintly. */
export function chosenChannels(byMemory: readonly Memory[]): { readonly named: Memory[]; readonly others: Memory[] } {
  const at = (share: number) => byMemory[Math.round(share * (byMemory.length - 1))]!;
  const named = byMemory.length < 3 ? [...byMemory] : [at(0.1), at(0.5), at(0.95)];
  const distinct = [...new Set(named)];
  return {
    named: distinct,
    others: spread(byMemory, SHOWN)
      .filter((each) => !distinct.includes(each))
      .slice(0, SHOWN - distinct.length),
  };
}

/** max |t|, of finite taps. */
export function largestTap(taps: Float64Array): number {
  let largest = 0;
  for (const tap of taps) {
    const size = Math.abs(tap);
    if (size > largest && size < Number.POSITIVE_INFINITY) largest = size;
  }
  return largest;
}

/** The lag after which less than `share` of the energy of all channels remains; at least `least`. */
export function lagsHolding({ lags, channels, taps }: Kernels, share: number, least: number): number {
  const largest = largestTap(taps) || 1;
  const energies = new Float64Array(lags);
  let total = 0;
  for (let k = 0; k < lags; k++) {
    for (let c = 0; c < channels; c++) energies[k]! += (taps[k * channels + c]! / largest) ** 2;
    total += energies[k]!;
  }
  let end = lags;
  for (let rest = 0; end > least; end--) {
    rest += energies[end - 1]!;
    if (!(rest <= share * total)) break;
  }
  return end;
}
