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

/** The recurrent form that takes a convolution's place. */
export type Form =
  /** Full-order ETSC: exact for `lags` positions, then it wraps around, damped by its decay. */
  | { readonly kind: "exact"; readonly modal: Modal; readonly lags: number }
  /** Shared poles of low order. */
  | { readonly kind: "compact"; readonly modal: Modal; readonly lags: number }
  /** Poles of low order, of each channel's own. */
  | { readonly kind: "diagonal"; readonly modal: ChannelModal; readonly lags: number }
  /** The last lags-1 inputs, carried: exact for ever where the kernel is zero from lag `lags` on. */
  | { readonly kind: "window"; readonly kernels: Kernels };

/** Channels of a form. */
export const channelsOfForm = (form: Form): number =>
  form.kind === "window" ? form.kernels.channels : form.modal.channels;

/** The largest modulus of a form's poles; 0 of a window, which has none. */
export function largestModulus(form: Form): number {
  if (form.kind === "window") return 0;
  const largest = (re: Float64Array, im: Float64Array) =>
    re.reduce((most, x, p) => Math.max(most, Math.hypot(x, im[p]!)), 0);
  if (form.kind === "diagonal") return largest(form.modal.re, form.modal.im);
  const { pairs, reals } = form.modal;
  return Math.max(largest(pairs.re, pairs.im), largest(reals, new Float64Array(reals.length)));
}

/** Rows of a form's state: real numbers per channel; of a window, the inputs it carries. */
export function stateOrder(form: Form): number {
  if (form.kind === "window") return form.kernels.lags - 1;
  return form.kind === "diagonal" ? 2 * form.modal.pairs : orderOf(form.modal);
}
