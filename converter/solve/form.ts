/** What the steps after finding pass along: kernels, and the recurrent forms that take their place. */

/** Kernels of one layer, float64; `taps[k * channels + c]` is lag k of channel c. */
export interface Kernels {
  readonly lags: number;
  readonly channels: number;
  readonly taps: Float64Array;
}

/**
 * A real state space model in modal form whose poles are shared by all channels; only the residues differ:
 *
 *     u_i = Λ u_{i-1} + 1 x_i        (per channel; every mode is driven by the channel's own input)
 *     y_i = Σ_s residues_s · u_i,s + direct · x_i
 *
 * State s = 2p and 2p+1 of pair p are Re and Im of the complex state with pole `pairs.re[p] + i pairs.im[p]`, im > 0
 * (its conjugate is implied); the states of the real poles follow. So the kernel is
 * t_k = Σ_p residues_2p Re λ_p^k + residues_2p+1 Im λ_p^k + Σ_r residues_r ρ_r^k + direct [k = 0].
 */
export interface Modal {
  readonly channels: number;
  readonly pairs: { readonly re: Float64Array; readonly im: Float64Array };
  readonly reals: Float64Array;
  /** [order × channels], row s is state s; order = 2 · pairs + reals. */
  readonly residues: Float64Array;
  /** [channels]; what lag 0 has beyond the modes. */
  readonly direct: Float64Array;
}

/** Real numbers of state per channel. */
export const orderOf = (modal: Modal): number => 2 * modal.pairs.re.length + modal.reals.length;

/**
 * The same kernels with an even number of states, which the step takes two by two: an odd one gets a state of pole 0,
 * which holds the last input and takes over the direct term.
 */
export function evened(modal: Modal): Modal {
  const order = orderOf(modal);
  if (order % 2 === 0) return modal;
  const { channels, pairs, direct } = modal;
  const residues = new Float64Array((order + 1) * channels);
  residues.set(modal.residues);
  residues.set(direct, order * channels);
  const reals = Float64Array.of(...modal.reals, 0);
  return { channels, pairs, reals, residues, direct: new Float64Array(channels) };
}

/**
 * A modal form whose channels have poles of their own, all in pairs:
 *
 *     u_i = λ_p,c u_{i-1} + x_i,    y_i = Σ_p residues_2p,c Re u_i + residues_2p+1,c Im u_i + direct_c x_i
 *
 * A real pole is a pair with im = 0 whose Im residue is 0; a pair with no residues is padding.
 */
export interface ChannelModal {
  readonly channels: number;
  readonly pairs: number;
  /** [pairs × channels], im ≥ 0. */
  readonly re: Float64Array;
  readonly im: Float64Array;
  /** [2 · pairs × channels]: rows 2p and 2p + 1 are those of Re and Im of pair p. */
  readonly residues: Float64Array;
  /** [channels]; what lag 0 has beyond the modes. */
  readonly direct: Float64Array;
}

/** One channel of a form with poles of each channel's own, without its padding; poles with im = 0 stay pairs. */
export function channelOf({ channels, pairs, re, im, residues, direct }: ChannelModal, channel: number): Modal {
  const at = (p: number) => p * channels + channel;
  const used = Array.from({ length: pairs }, (_, p) => p).filter(
    (p) => residues[at(2 * p)] !== 0 || residues[at(2 * p + 1)] !== 0,
  );
  return {
    channels: 1,
    pairs: { re: Float64Array.from(used, (p) => re[at(p)]!), im: Float64Array.from(used, (p) => im[at(p)]!) },
    reals: new Float64Array(0),
    residues: Float64Array.from(
      used.flatMap((p) => [2 * p, 2 * p + 1]),
      (s) => residues[at(s)]!,
    ),
    direct: direct.slice(channel, channel + 1),
  };
}

/** Channels of a convolution that mixes them: kernel o · inputs + i is that from input i to output o. */
export interface Mixing {
  readonly inputs: number;
  readonly outputs: number;
}

/**
 * A modal form whose states belong to no channel: all inputs drive each, and all outputs read each.
 *
 *     v_i = Λ v_{i-1} + B x_i,    y_i = C v_i + D x_i
 *
 * States are the real parts of the pairs, then their imaginary parts, then those of the real poles.
 */
export interface MixedModal extends Mixing {
  readonly pairs: { readonly re: Float64Array; readonly im: Float64Array };
  readonly reals: Float64Array;
  /** B, [states × inputs]. */
  readonly drive: Float64Array;
  /** C transposed, [states × outputs]. */
  readonly read: Float64Array;
  /** D, [outputs × inputs]. */
  readonly direct: Float64Array;
}

/** States of a form that mixes channels, all together. */
export const statesOf = ({ pairs, reals }: Pick<MixedModal, "pairs" | "reals">): number =>
  2 * pairs.re.length + reals.length;

/** The same kernels with states for each of them: what is known of modal forms is known of this one. */
export function kernelsOwn({ inputs, outputs, pairs, reals, drive, read, direct }: MixedModal): Modal {
  const count = pairs.re.length;
  const channels = inputs * outputs;
  const residues = new Float64Array((2 * count + reals.length) * channels);
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++) {
      const c = o * inputs + i;
      for (let p = 0; p < count; p++) {
        const [b, d] = [drive[p * inputs + i]!, drive[(count + p) * inputs + i]!];
        const [x, y] = [read[p * outputs + o]!, read[(count + p) * outputs + o]!];
        residues[2 * p * channels + c] = x * b + y * d;
        residues[(2 * p + 1) * channels + c] = y * b - x * d;
      }
      for (let s = 2 * count; s < 2 * count + reals.length; s++)
        residues[s * channels + c] = drive[s * inputs + i]! * read[s * outputs + o]!;
    }
  return { channels, pairs, reals, residues, direct };
}

/** The recurrent form that takes a convolution's place. */
export type Form =
  /** Full-order ETSC: exact for `lags` positions, then it wraps around, damped by its decay. */
  | { readonly kind: "exact"; readonly modal: Modal; readonly lags: number }
  /** Shared poles of low order. */
  | { readonly kind: "compact"; readonly modal: Modal; readonly lags: number }
  /** Poles of low order, of each channel's own. */
  | { readonly kind: "diagonal"; readonly modal: ChannelModal; readonly lags: number }
  /** States that all channels share. */
  | { readonly kind: "mixed"; readonly modal: MixedModal; readonly lags: number }
  /** The last lags-1 inputs, carried: exact for ever where the kernel is zero from lag `lags` on. */
  | { readonly kind: "window"; readonly kernels: Kernels; readonly mixing?: Mixing | undefined };

/** Channels that enter a form. */
export function channelsOfForm(form: Form): number {
  if (form.kind === "mixed") return form.modal.inputs;
  return form.kind === "window" ? (form.mixing?.inputs ?? form.kernels.channels) : form.modal.channels;
}

/** Channels that leave a form. */
export function outputsOfForm(form: Form): number {
  if (form.kind === "mixed") return form.modal.outputs;
  return form.kind === "window" ? (form.mixing?.outputs ?? form.kernels.channels) : form.modal.channels;
}

/** The largest modulus of a form's poles; 0 of a window, which has none. */
export function largestModulus(form: Form): number {
  if (form.kind === "window") return 0;
  const largest = (re: Float64Array, im: Float64Array) =>
    re.reduce((most, x, p) => Math.max(most, Math.hypot(x, im[p]!)), 0);
  if (form.kind === "diagonal") return largest(form.modal.re, form.modal.im);
  const { pairs, reals } = form.modal;
  return Math.max(largest(pairs.re, pairs.im), largest(reals, new Float64Array(reals.length)));
}

/** Rows of a form's state: real numbers per channel, of one that mixes channels of all; of a window, the inputs it carries. */
export function stateOrder(form: Form): number {
  if (form.kind === "window") return form.kernels.lags - 1;
  if (form.kind === "mixed") return statesOf(form.modal);
  return form.kind === "diagonal" ? 2 * form.modal.pairs : orderOf(form.modal);
}

/** Channels of a form that have a state of its order each. */
export function stateChannels(form: Form): number {
  if (form.kind === "mixed") return 1;
  return form.kind === "window" && form.mixing ? form.mixing.inputs : channelsOfForm(form);
}
