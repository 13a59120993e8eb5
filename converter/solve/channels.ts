/** Forms and kernels by channel: the kernel of a form with poles of each channel's own, and channels weighed; float64. */

import { kernelOf } from "./evaluate.ts";
import { type ChannelModal, channelOf, type Kernels, type Modal } from "./form.ts";

/** Taps 0 … lags-1 of every channel, as exact as {@link kernelOf}; taps [lags × channels]. */
export function channelKernels(modal: ChannelModal, lags: number): Kernels {
  const { channels } = modal;
  const taps = new Float64Array(lags * channels);
  for (let c = 0; c < channels; c++) {
    kernelOf(channelOf(modal, c), lags).taps.forEach((tap, k) => {
      taps[k * channels + c] = tap;
    });
  }
  return { lags, channels, taps };
}

/** Every channel's kernel times its weight. */
export const weighed = ({ lags, channels, taps }: Kernels, weights: Float64Array): Kernels => ({
  lags,
  channels,
  taps: taps.map((tap, i) => tap * weights[i % channels]!),
});

/** The form of kernels from that of the same kernels weighed; exact where the weights are powers of two. */
export const unweighed = <Any extends Modal | ChannelModal>(modal: Any, weights: Float64Array): Any => ({
  ...modal,
  residues: modal.residues.map((residue, i) => residue / weights[i % modal.channels]!),
  direct: modal.direct.map((value, c) => value / weights[c]!),
});
