/** max over all frequencies of |E(ω)|, bounded from its values on a grid. */

import { planDft } from "../solve/dft.ts";
import type { PerChannel } from "./norms.ts";

/** What a grid of frequencies tells of max_ω |E(ω)|: at least `grid`, at most `bound`. */
export interface Peak {
  readonly grid: PerChannel;
  readonly bound: PerChannel;
}

/**
 * Bounds max_ω |Σ_k e_k exp(-iωk)| for each channel. A polynomial of degree d on a grid of N frequencies misses its
 * maximum by at most the factor 1 / (1 - (πd/2N)²/2) (docs/parts/certificate.md, claim 3); here N ≥ 4 (d+1), so the
 * factor is below 1.084. Two channels share a complex transform.
 *
 * @param taps [lags × channels], lags ≥ 1
 */
export function frequencyPeak(taps: Float64Array, channels: number): Peak {
  const lags = taps.length / channels;
  const size = 2 ** Math.ceil(Math.log2(Math.max(4 * lags, 4)));
  const { forward } = planDft(size);
  const [input, output] = [new Float64Array(2 * size), new Float64Array(2 * size)];
  const peaks = new Float64Array(2);
  const grid = new Float64Array(channels);
  const bound = new Float64Array(channels);
  const between = 1 / (1 - ((Math.PI * (lags - 1)) / (2 * size)) ** 2 / 2);
  // Rounding of the transform: ‖error‖ ≤ about 4 log₂N · 2⁻⁵³ ‖E‖ (Higham 2002, §24.1), and ‖E‖ = √N ‖e‖
  const rounding = 8 * Math.log2(size) * 2 ** -53 * Math.sqrt(size);
  for (let c = 0; c < channels; c += 2) {
    const pair = c + 1 < channels;
    const scale = largest(taps, channels, c, pair) || 1;
    const energy = pack(taps, channels, c, pair, scale, input);
    forward(input, output);
    largestOfPair(output, size, peaks);
    const first = peaks[0]!;
    const second = peaks[1]!;
    const slack = rounding * Math.sqrt(energy);
    grid[c] = (scale * Math.sqrt(first)) / 2;
    bound[c] = scale * (Math.sqrt(first) / 2 + slack) * between;
    if (!pair) continue;
    grid[c + 1] = (scale * Math.sqrt(second)) / 2;
    bound[c + 1] = scale * (Math.sqrt(second) / 2 + slack) * between;
  }
  return { grid, bound };
}

/** Two channels as one complex signal. @returns its energy */
function pack(
  taps: Float64Array,
  channels: number,
  channel: number,
  pair: boolean,
  scale: number,
  input: Float64Array,
): number {
  input.fill(0);
  let energy = 0;
  for (let i = channel, k = 0; i < taps.length; i += channels, k += 2) {
    const re = taps[i]! / scale;
    const im = pair ? taps[i + 1]! / scale : 0;
    input[k] = re;
    input[k + 1] = im;
    energy += re * re + im * im;
  }
  return energy;
}

/** Four times the largest squared modulus of the spectrum of each of the two. */
function largestOfPair(output: Float64Array, size: number, peaks: Float64Array): void {
  let first = 0;
  let second = 0;
  for (let f = 0; f <= size / 2; f++) {
    const r = f === 0 ? 0 : 2 * (size - f);
    const zr = output[2 * f]!;
    const zi = output[2 * f + 1]!;
    const mr = output[r]!;
    const mi = output[r + 1]!;
    first = Math.max(first, (zr + mr) * (zr + mr) + (zi - mi) * (zi - mi));
    second = Math.max(second, (zi + mi) * (zi + mi) + (mr - zr) * (mr - zr));
  }
  peaks[0] = first;
  peaks[1] = second;
}

/** Largest modulus in a channel, or in it and the next. */
function largest(taps: Float64Array, channels: number, channel: number, pair: boolean): number {
  let size = 0;
  for (let i = channel; i < taps.length; i += channels) {
    size = Math.max(size, Math.abs(taps[i]!), pair ? Math.abs(taps[i + 1]!) : 0);
  }
  return size;
}
