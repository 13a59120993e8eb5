/** ‖e‖₁ and ‖e‖₂ of each channel's kernel error over the horizon. */

/** One number for each channel. */
export type PerChannel = Float64Array;

/** Norms of each column of a matrix [lags × channels]. */
export interface Norms {
  readonly one: PerChannel;
  readonly two: PerChannel;
  /** Largest modulus. */
  readonly largest: PerChannel;
}

/** Norms over the lags from ≤ k < to of `taps` [lags × channels]; scaled, so that 1e±200 neither overflows nor vanishes. */
export function normsOf(taps: Float64Array, channels: number, from: number, to: number): Norms {
  const [one, two, largest] = [new Float64Array(channels), new Float64Array(channels), new Float64Array(channels)];
  for (let i = from * channels; i < to * channels; i += channels) {
    for (let c = 0; c < channels; c++) largest[c] = Math.max(largest[c]!, Math.abs(taps[i + c]!));
  }
  for (let i = from * channels; i < to * channels; i += channels) {
    for (let c = 0; c < channels; c++) {
      const size = Math.abs(taps[i + c]!);
      one[c] = one[c]! + size;
      if (size > 0) two[c] = two[c]! + (size / largest[c]!) ** 2;
    }
  }
  for (let c = 0; c < channels; c++) two[c] = largest[c]! * Math.sqrt(two[c]!);
  return { one, two, largest };
}
