/** Kernels of the kinds that long-convolution models have, one channel each, for the tests and the table of errors. */
import type { Kernels } from "../../converter/solve/form.ts";
import { signed } from "../../src/random.ts";

/** A smooth positive function of the position, as an RPE network gives it. */
const rpe = (k: number, n: number): number => 1 + 0.5 * Math.sin((7 * k) / n) + 0.3 * Math.cos((19 * k) / n + 1);

/** Tap k of n. */
export const FAMILIES: Readonly<Record<string, (k: number, n: number, random: () => number) => number>> = {
  "constant, no decay": () => 1,
  "TNN, no decay": rpe,
  "TNN, γ = 0.999": (k, n) => 0.999 ** k * rpe(k, n),
  "TNN, γ = 0.99": (k, n) => 0.99 ** k * rpe(k, n),
  "S4D mixture": (k) => 0.9 ** k * Math.cos(k) + 0.5 * 0.99 ** k * Math.cos(0.1 * k) + 0.3 * 0.998 ** k,
  "Hyena window": (k, n, random) => random() * (Math.exp((-5 * k) / n) + 0.01),
  "hump, then decay": (k) => (k / 50) * 0.98 ** k,
  rising: (k, n) => (k + 1) / n,
  "white noise": (_k, _n, random) => random(),
  "100 taps, then zero": (k, _n, random) => (k < 100 ? random() : 0),
  "one lag": (k) => (k === 0 ? 1 : 0),
};

/** Kernels of the named families, a channel each, rounded to float32 as a model gives them. */
export function kernelsOf(names: readonly string[], lags: number, seed = 1): Kernels {
  const taps = new Float64Array(lags * names.length);
  names.forEach((name, c) => {
    const random = signed(seed + c);
    for (let k = 0; k < lags; k++) taps[k * names.length + c] = Math.fround(FAMILIES[name]!(k, lags, random));
  });
  return { lags, channels: names.length, taps };
}
