/** What a form of low order goes on to answer behind the lags that it follows, where its kernel has died away. */
import { amplitudesOf } from "../certify/amplitudes.ts";
import { normsOf } from "../certify/norms.ts";
import { tailFrom } from "../certify/tail.ts";
import { channelsOf, kernelOf } from "../solve/evaluate.ts";
import { type ChannelModal, channelOf, type Modal } from "../solve/form.ts";

/** Channels evaluated at a time. */
const BLOCK = 64;

/** A form whose kernel is a sum of modes. */
export type Modes =
  | { readonly kind: "compact"; readonly modal: Modal; readonly lags: number }
  | { readonly kind: "diagonal"; readonly modal: ChannelModal; readonly lags: number };

/**
 * An upper bound on the 2-norm of a form's kernel behind its lags, for ever, over all channels.
 * @param channels of the layer
 */
export function normAfterwards(form: Modes, channels: number): number {
  const parts =
    form.kind === "diagonal"
      ? Array.from({ length: channels }, (_, c) => channelOf(form.modal, c))
      : Array.from({ length: Math.ceil(channels / BLOCK) }, (_, i) =>
          channelsOf(
            form.modal,
            Array.from({ length: Math.min(BLOCK, channels - i * BLOCK) }, (__, c) => i * BLOCK + c),
          ),
        );
  return norm(parts.map((part) => norm(afterwards(part, form.lags))));
}

/** The 2-norm. */
export const norm = (values: ArrayLike<number>): number =>
  Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0));

/** For each channel: as many lags again are evaluated, what follows is bounded. */
function afterwards(modal: Modal, lags: number): Float64Array {
  const { channels, taps } = kernelOf(modal, 2 * lags);
  const { two } = normsOf(taps, channels, lags, 2 * lags);
  const rest = tailFrom(amplitudesOf(modal), 2 * lags).two;
  return two.map((norm, c) => Math.hypot(norm, rest[c]!));
}
