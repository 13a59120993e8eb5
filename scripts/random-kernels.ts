/** Random kernels for tests and tables: relative position encoders as TNN has them, and every awkward shape. */

import type { Kernels } from "../converter/solve/form.ts";
import { normal, uniform } from "../src/random.ts";

/** Width and hidden layers of a random relative position encoder (RPE). */
export interface RpeShape {
  readonly width?: number;
  readonly depth?: number;
}

/**
 * A random RPE's kernels t_k = γ^k rpe(k), float64: Linear, then RMS norm, ReLU, Linear, `depth` + 1 times (TNN, Qin et
 * al. 2023); weights and biases uniform as PyTorch initialises them.
 *
 * @param random a seed, or a source of uniform numbers in [0, 1)
 */
export function randomRpe(
  lags: number,
  channels: number,
  decay: number,
  random: number | (() => number),
  { width = 64, depth = 3 }: RpeShape = {},
): Kernels {
  const next = typeof random === "number" ? uniform(random) : random;
  const widths = [1, ...Array.from({ length: depth + 1 }, () => width), channels];
  const layers = widths.slice(1).map((outputs, i) => {
    const inputs = widths[i]!;
    const draw = (count: number) => Float64Array.from({ length: count }, () => (2 * next() - 1) / Math.sqrt(inputs));
    return { outputs, weights: draw(inputs * outputs), bias: draw(outputs) };
  });
  const taps = new Float64Array(lags * channels);
  for (let k = 0; k < lags; k++) {
    let x = Float64Array.of(k);
    layers.forEach(({ outputs, weights, bias }, layer) => {
      if (layer > 0) {
        const size = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length) + 1e-8;
        x = x.map((value) => Math.max(value / size, 0));
      }
      const y = bias.slice();
      x.forEach((value, i) => {
        if (value !== 0) for (let o = 0; o < outputs; o++) y[o] = y[o]! + value * weights[i * outputs + o]!;
      });
      x = y;
    });
    const factor = decay ** k;
    for (let c = 0; c < channels; c++) taps[k * channels + c] = x[c]! * factor;
  }
  return { lags, channels, taps };
}

/** One of the prototype's six sets of kernels, 256 channels. */
export interface ReferenceCase {
  readonly decay: number;
  readonly lags: number;
  readonly kernels: Kernels;
}

/**
 * The very kernels that the prototype was measured on: random RPEs of width 64, γ 0.99/0.999/1, 512 and 2 048 lags,
 * drawn one after the other from NumPy's default_rng(0).
 *
 * @param until make only the first so many
 */
export function referenceCases(until = 6): ReferenceCase[] {
  const next = pcg64();
  return [0.99, 0.999, 1]
    .flatMap((decay) => [512, 2048].map((lags) => ({ decay, lags })))
    .slice(0, until)
    .map(({ decay, lags }) => ({ decay, lags, kernels: randomRpe(lags, 256, decay, next) }));
}

/** NumPy's default_rng(0).random(): PCG64, XSL-RR output (O'Neill 2014), from the state that the seed 0 gives. */
function pcg64(): () => number {
  const multiplier = 0x2360ed051fc65da44385df649fccf645n;
  const increment = 87136372517582989555478159403783844777n;
  let state = 35399562948360463058890781895381311971n;
  return () => {
    state = BigInt.asUintN(128, state * multiplier + increment);
    const folded = BigInt.asUintN(64, (state >> 64n) ^ state);
    const turn = state >> 122n;
    const word = BigInt.asUintN(64, (folded >> turn) | (folded << (64n - turn)));
    return Number(word >> 11n) / 2 ** 53;
  };
}

/** Kinds of {@link awkwardKernels}. */
export const AWKWARD = [
  "decaying",
  "oscillating",
  "finite",
  "noisy",
  "constant",
  "zero",
  "one channel",
  "one lag",
  "huge",
  "tiny",
  "growing",
  "repeated pole",
  "undamped oscillation",
  "two lags",
  "mixed scales",
] as const;

/** Random kernels of one kind; at most 160 lags and 12 channels. */
export function awkwardKernels(kind: (typeof AWKWARD)[number], seed: number): Kernels {
  const next = uniform(seed * 7919 + 1);
  const gauss = normal(seed * 104729 + 3);
  const lags = kind === "one lag" ? 1 : kind === "two lags" ? 2 : 3 + Math.floor(next() * 158);
  const channels = kind === "one channel" ? 1 : 1 + Math.floor(next() * 12);
  const count = 1 + Math.floor(next() * 6);
  const modes = Array.from({ length: count }, () => ({
    modulus: 1 - 10 ** (-3 * next()) * 0.9,
    angle: kind === "decaying" ? 0 : Math.PI * next(),
  }));
  const support = 1 + Math.floor(next() * Math.min(lags, 20));
  const shared = (k: number, m: number): number => {
    const { modulus, angle } = modes[m]!;
    if (kind === "constant") return 1;
    if (kind === "growing") return 1.02 ** k;
    if (kind === "repeated pole") return k ** m * 0.8 ** k;
    if (kind === "undamped oscillation") return Math.cos(k * angle);
    return modulus ** k * Math.cos(k * angle);
  };
  const weights = Float64Array.from({ length: count * channels }, gauss);
  const scales = Float64Array.from({ length: channels }, () => {
    if (kind === "huge") return 1e30;
    if (kind === "tiny") return 1e-30;
    return kind === "mixed scales" ? 10 ** (20 * next() - 10) : 1;
  });
  const taps = new Float64Array(lags * channels);
  for (let k = 0; k < lags && kind !== "zero"; k++) {
    for (let c = 0; c < channels; c++) {
      let tap = 0;
      if (kind === "noisy") tap = gauss();
      else if (kind === "finite") tap = k < support ? gauss() : 0;
      else for (let m = 0; m < count; m++) tap += weights[m * channels + c]! * shared(k, m);
      taps[k * channels + c] = Math.fround(tap * scales[c]!);
    }
  }
  return { lags, channels, taps };
}
