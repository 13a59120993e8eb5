/** The certificate of a form with poles of each channel's own: every channel certified by itself, put together. */

import { type ChannelModal, channelOf, type Kernels } from "../solve/form.ts";
import { type Certificate, type CertifyOptions, certify, layerBounds, type Sizes } from "./certify.ts";
import type { PerChannel } from "./norms.ts";

/**
 * Certifies a diagonal form against the kernels that it stands for: {@link certify} on each channel alone, whose claims
 * are about single channels.
 *
 * @param kernels the true kernels over the horizon, finite
 * @param modal stable, with the same channels
 */
export function certifyDiagonal(kernels: Kernels, modal: ChannelModal, options: CertifyOptions = {}): Certificate {
  const { further } = options;
  const parts = Array.from({ length: kernels.channels }, (_, c) =>
    certify(oneOf(kernels, c), channelOf(modal, c), { ...options, further: further && oneOf(further, c) }),
  );
  const first = parts[0]!;
  const joined = (of: (part: Certificate) => PerChannel): PerChannel =>
    Float64Array.from(parts, (part) => of(part)[0]!);
  const sizes = (of: (part: Certificate) => Sizes<PerChannel>): Sizes<PerChannel> => ({
    one: joined((part) => of(part).one),
    two: joined((part) => of(part).two),
    frequency: joined((part) => of(part).frequency),
  });
  const whole = {
    horizon: first.horizon,
    kernel: sizes(({ kernel }) => kernel),
    error: sizes(({ error }) => error),
    relative: sizes(({ relative }) => relative),
    tail: {
      from: first.tail.from,
      kernel: first.tail.kernel,
      further: { one: joined(({ tail }) => tail.further.one), two: joined(({ tail }) => tail.further.two) },
      one: joined(({ tail }) => tail.one),
      two: joined(({ tail }) => tail.two),
    },
    roundoff: {
      steps: first.roundoff.steps,
      bound: joined(({ roundoff }) => roundoff.bound),
      expected: joined(({ roundoff }) => roundoff.expected),
    },
  };
  return { ...whole, layer: layerBounds(whole) };
}

/** One channel of kernels. */
function oneOf({ lags, channels, taps }: Kernels, channel: number): Kernels {
  return { lags, channels: 1, taps: Float64Array.from({ length: lags }, (_, k) => taps[k * channels + channel]!) };
}
