/** The kernel of a form with poles of each channel's own; float64. */

import { kernelOf } from "./evaluate.ts";
import { type ChannelModal, channelOf, type Kernels } from "./form.ts";

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
