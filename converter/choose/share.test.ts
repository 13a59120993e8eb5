/** Shares against their definition, and what weighing does to a layer's channels. */
import { expect, test } from "vitest";
import { randomRpe } from "../../scripts/random-kernels.ts";
import { kernelOf } from "../solve/evaluate.ts";
import type { Kernels } from "../solve/form.ts";
import { contest } from "./contest.ts";
import { shareOf } from "./share.ts";

const kernels: Kernels = randomRpe(256, 24, 0.98, 7);

const squares = ({ lags, channels, taps }: Kernels, other?: Kernels): Float64Array => {
  const sums = new Float64Array(channels);
  for (let i = 0; i < lags * channels; i++) sums[i % channels]! += (taps[i]! - (other?.taps[i] ?? 0)) ** 2;
  return sums;
};
const effectOf = (gains: Float64Array, of: Float64Array) =>
  Math.sqrt(of.reduce((sum, square, c) => sum + square * gains[c]! ** 2, 0));

test("the shares of all layers make up the budget", () => {
  const budget = 1e-4;
  const layers = [0.5, 2, 1].map((gain) => Float64Array.from({ length: 24 }, (_, c) => gain * (1 + (c % 3))));
  const effects = layers.map(
    (gains) => shareOf(kernels, gains, budget, 72).tolerance * effectOf(gains, squares(kernels)),
  );
  expect(Math.hypot(...effects)).toBeCloseTo(budget, 12);
});

test("what seems to do nothing is not given up", () => {
  const none = shareOf(kernels, new Float64Array(24), 1e-4, 48);
  expect(none.tolerance).toBeCloseTo(1e-3, 12);
  expect(new Set(none.weights).size).toBe(1);
  expect(none.weights.every((weight) => weight > 0)).toBe(true);
  const only = Float64Array.from({ length: 24 }, (_, c) => (c === 3 ? 1 : 0));
  const usual = effectOf(only, squares(kernels)) / Math.sqrt(squares(kernels).reduce((a, b) => a + b));
  expect(Math.min(...shareOf(kernels, only, 1e-4, 48).weights)).toBeGreaterThan(usual / 15);
});

test("channels that count more get the smaller errors, and the certificate is of the kernels as they are", () => {
  const weights = Float64Array.from({ length: 24 }, (_, c) => (c < 12 ? 8 : 1));
  const task = { kernels, diagonal: false, shared: { tolerance: 1e-3 } } as const;
  for (const given of [undefined, weights]) {
    const { reduction, certificate } = contest({ ...task, weights: given }).shared!;
    const left = squares(kernels, kernelOf(reduction.modal, 256));
    const whole = squares(kernels);
    const relative = Math.sqrt(left.reduce((a, b) => a + b) / whole.reduce((a, b) => a + b));
    expect(certificate!.layer.relative).toBeCloseTo(relative, 7);
    const of = given ?? new Float64Array(24).fill(1);
    expect(effectOf(of, left)).toBeLessThanOrEqual(1.001e-3 * effectOf(of, whole));
    const part = (from: number) => left.slice(from, from + 12).reduce((a, b) => a + b);
    if (given) expect(part(0)).toBeLessThan(part(12));
  }
});
