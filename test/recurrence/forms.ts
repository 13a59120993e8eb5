/** Forms of every kind with poles in every awkward place, for tests. */
import type { ChannelModal, Form, Kernels, MixedModal, Modal } from "../../converter/solve/form.ts";

/** A generator of numbers in [0, 1), Park and Miller's. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

export interface Poles {
  readonly pairs: number;
  readonly reals: number;
  /** Least and largest |λ|. */
  readonly radius: readonly [number, number];
}

export function modalOf({ pairs, reals, radius }: Poles, channels: number, seed = 1, direct = true): Modal {
  const random = randomOf(seed);
  const size = () => radius[0] + (radius[1] - radius[0]) * random();
  const polar = Array.from({ length: pairs }, () => [size(), Math.PI * random()] as const);
  const order = 2 * pairs + reals;
  return {
    channels,
    pairs: {
      re: Float64Array.from(polar, ([r, angle]) => r * Math.cos(angle)),
      im: Float64Array.from(polar, ([r, angle]) => r * Math.sin(angle)),
    },
    reals: Float64Array.from({ length: reals }, () => size() * (random() < 0.5 ? -1 : 1)),
    residues: Float64Array.from({ length: order * channels }, () => random() - 0.5),
    direct: Float64Array.from({ length: channels }, () => (direct ? random() - 0.5 : 0)),
  };
}

export function kernelsOf(lags: number, channels: number, seed = 1): Kernels {
  const random = randomOf(seed);
  return { lags, channels, taps: Float64Array.from({ length: lags * channels }, () => random() - 0.5) };
}

/** Poles of each channel's own; every `everyReal`-th of them is real, and channel 0 has one pair less, as padding. */
export function channelModalOf({ pairs, reals: everyReal, radius }: Poles, channels: number, seed = 1): ChannelModal {
  const random = randomOf(seed);
  const size = pairs * channels;
  const [re, im] = [new Float64Array(size), new Float64Array(size)];
  const residues = Float64Array.from({ length: 2 * size }, () => random() - 0.5);
  for (let p = 0; p < pairs; p++) {
    for (let c = 0; c < channels; c++) {
      const real = everyReal > 0 && p % everyReal === 0;
      const angle = real ? (random() < 0.3 ? Math.PI : 0) : Math.PI * random();
      const modulus = radius[0] + (radius[1] - radius[0]) * random();
      re[p * channels + c] = modulus * Math.cos(angle);
      im[p * channels + c] = real ? 0 : modulus * Math.sin(angle);
      const padding = c === 0 && p === pairs - 1 && pairs > 1;
      if (real || padding) residues[(2 * p + 1) * channels + c] = 0;
      if (padding) residues[2 * p * channels + c] = 0;
    }
  }
  return { channels, pairs, re, im, residues, direct: Float64Array.from({ length: channels }, () => random() - 0.5) };
}

const compact = (modal: Modal): Form => ({ kind: "compact", modal, lags: 1024 });
const exact = (modal: Modal): Form => ({ kind: "exact", modal, lags: 1024 });
const diagonal = (modal: ChannelModal): Form => ({ kind: "diagonal", modal, lags: 1024 });
/** Poles that all channels share; the direct term of an output and an input is 0 where `isDirect` is false. */
export function mixedModalOf(poles: Poles, inputs: number, outputs: number, seed = 1, isDirect = true): MixedModal {
  const random = randomOf(seed + 7);
  const { pairs, reals } = modalOf(poles, 1, seed);
  const states = 2 * pairs.re.length + reals.length;
  const some = (size: number) => Float64Array.from({ length: size }, () => random() - 0.5);
  const direct = isDirect ? some(outputs * inputs) : new Float64Array(outputs * inputs);
  return { inputs, outputs, pairs, reals, drive: some(states * inputs), read: some(states * outputs), direct };
}

const mixed = (modal: MixedModal): Form => ({ kind: "mixed", modal, lags: 1024 });

/** Name and form. */
export const FORMS: readonly (readonly [string, Form])[] = [
  ["compact, pairs only", compact(modalOf({ pairs: 8, reals: 0, radius: [0.3, 0.999] }, 5))],
  ["compact, odd order", compact(modalOf({ pairs: 5, reals: 1, radius: [0.5, 0.99] }, 4))],
  ["compact, real poles only", compact(modalOf({ pairs: 0, reals: 3, radius: [0, 0.999] }, 3))],
  ["compact, order 1, one channel", compact(modalOf({ pairs: 0, reals: 1, radius: [0.9, 0.9] }, 1))],
  ["compact, pole 0", compact(modalOf({ pairs: 1, reals: 2, radius: [0, 0] }, 2))],
  ["compact, poles on the unit circle", compact(modalOf({ pairs: 6, reals: 2, radius: [1, 1] }, 4))],
  ["compact, no poles", compact(modalOf({ pairs: 0, reals: 0, radius: [0, 0] }, 4))],
  ["exact, odd order", exact(modalOf({ pairs: 20, reals: 1, radius: [0.99, 0.99] }, 3))],
  ["exact, even order", exact(modalOf({ pairs: 64, reals: 0, radius: [0.999, 0.999] }, 3, 2, false))],
  ["exact, poles up to the unit circle", exact(modalOf({ pairs: 55, reals: 1, radius: [0.999, 1] }, 2))],
  ["diagonal, pairs only", diagonal(channelModalOf({ pairs: 8, reals: 0, radius: [0.3, 0.999] }, 5))],
  ["diagonal, with real poles", diagonal(channelModalOf({ pairs: 5, reals: 2, radius: [0.5, 0.999] }, 4))],
  ["diagonal, one real pole, one channel", diagonal(channelModalOf({ pairs: 1, reals: 1, radius: [0.9, 0.9] }, 1))],
  ["diagonal, pole 0", diagonal(channelModalOf({ pairs: 2, reals: 0, radius: [0, 0] }, 2))],
  ["diagonal, poles on the unit circle", diagonal(channelModalOf({ pairs: 7, reals: 3, radius: [1, 1] }, 3))],
  ["window of 2", { kind: "window", kernels: kernelsOf(2, 3) }],
  ["window of 4", { kind: "window", kernels: kernelsOf(4, 3) }],
  ["window of 70", { kind: "window", kernels: kernelsOf(70, 3) }],
  ["mixed, 3 channels into 2", mixed(mixedModalOf({ pairs: 5, reals: 3, radius: [0.5, 0.999] }, 3, 2))],
  ["mixed, 2 channels into 5", mixed(mixedModalOf({ pairs: 4, reals: 0, radius: [0.9, 1] }, 2, 5, 2, false))],
  ["mixed, real poles only", mixed(mixedModalOf({ pairs: 0, reals: 3, radius: [0, 0.99] }, 4, 4))],
  ["mixed, one state", mixed(mixedModalOf({ pairs: 0, reals: 1, radius: [0.9, 0.9] }, 1, 3))],
  ["window of 70 of all channels", { kind: "window", kernels: kernelsOf(70, 6), mixing: { inputs: 3, outputs: 2 } }],
  ["window of 1 of all channels", { kind: "window", kernels: kernelsOf(1, 6), mixing: { inputs: 2, outputs: 3 } }],
  ["window of 1", { kind: "window", kernels: kernelsOf(1, 3) }],
];
