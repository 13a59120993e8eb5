/** The decay of kernels whose decay is known. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { signed } from "../../src/random.ts";
import { kernelsOf } from "../../test/recurrence/families.ts";
import { estimateDecay, significantLags } from "./decay.ts";
import { solveEtsc } from "./etsc.ts";
import { kernelOf } from "./evaluate.ts";
import type { Kernels } from "./form.ts";

const one = (lags: number, tap: (k: number) => number): Kernels => ({
  lags,
  channels: 1,
  taps: Float64Array.from({ length: lags }, (_, k) => Math.fround(tap(k))),
});
const floor = (lags: number): number => 2 ** (-24 / lags);

test.each([0.99, 0.999, 1])(
  "a pure exponential of rate %f: found but for the factor 2 that the solve may take",
  (rate) => {
    for (const lags of [512, 1024]) {
      const found = estimateDecay(one(lags, (k) => rate ** k));
      expect(found.decay).toBeCloseTo(rate * 2 ** (-1 / (lags - 1)), 6);
      expect(found.wrapAround).toBeCloseTo(found.decay ** lags, 12);
      expect(found.bounded).toBe(rate ** (0.75 * lags) < 0.5);
      expect(found.decidedBy).toEqual({ lag: lags - 1, channel: 0 });
    }
  },
);

test.each([
  ["TNN, γ = 0.99", 0.99],
  ["TNN, γ = 0.999", 0.999],
  ["S4D mixture", 0.998],
])("%s at 2 048 lags: not above its rate, and within 0.0015 of it or at the floor", (name, rate) => {
  const { decay, bounded } = estimateDecay(kernelsOf([name], 2048));
  expect(decay).toBeLessThanOrEqual(Math.max(rate, floor(2048)) + 1e-6);
  expect(decay).toBeGreaterThanOrEqual(rate - 0.0015);
  expect(bounded).toBe(true);
});

test("kernels that do not decay: γ^n is near one half, and they are called unbounded", () => {
  for (const name of ["constant, no decay", "TNN, no decay", "rising", "white noise"]) {
    for (const lags of [100, 1000]) {
      const { decay, bounded, wrapAround } = estimateDecay(kernelsOf([name], lags));
      expect(decay, name).toBeLessThanOrEqual(1);
      expect(wrapAround, name).toBeGreaterThan(0.25);
      expect(wrapAround, name).toBeLessThan(0.51);
      expect(bounded, name).toBe(false);
    }
  }
});

test("the slowest channel of a layer decides, whatever its size; noise and zeros have no say", () => {
  const rates = [0.9, 0.995, 0.99];
  const layer = (sizes: readonly number[]): Kernels => ({
    lags: 1024,
    channels: 3,
    taps: Float64Array.from({ length: 3072 }, (_, i) =>
      Math.fround(sizes[i % 3]! * rates[i % 3]! ** Math.floor(i / 3)),
    ),
  });
  const slowest = estimateDecay(one(1024, (k) => 0.995 ** k)).decay;
  for (const sizes of [
    [1, 1, 1],
    [1000, 0.01, 1],
    [1, 1, 0],
  ]) {
    const found = estimateDecay(layer(sizes));
    expect(found.decay).toBeCloseTo(slowest, 6);
    expect(found.decidedBy?.channel).toBe(1);
  }
  for (const slow of [0, 1e-12]) expect(estimateDecay(layer([1, slow, 1])).decidedBy?.channel).toBe(2);
});

test("kernels of finite length, one lag, zeros: damped to float32's rounding", () => {
  for (const kernels of [
    one(256, (k) => (k < 8 ? 1 : 0)),
    one(256, (k) => (k === 0 ? 1 : 0)),
    one(1, () => 2),
    one(64, () => 0),
  ]) {
    const found = estimateDecay(kernels);
    expect(found.wrapAround).toBeCloseTo(2 ** -24, 12);
    expect(found.bounded).toBe(true);
    expect(found.decidedBy).toBeUndefined();
  }
});

test("absolute float32 noise under a fast decay is not amplified above the kernel", () => {
  const random = signed(3);
  const found = estimateDecay(one(4096, (k) => 0.9 ** k + 1e-7 * random()));
  expect(found.wrapAround).toBeLessThan(1e-6);
  expect(found.amplification).toBeLessThanOrEqual(2.0000001);
  const periodic = one(4096, (k) => 0.99 ** k * Math.cos(k / 3));
  expect(estimateDecay(periodic).decay).toBeLessThan(floor(4096) + 1e-3);
});

test("whatever the kernels, residues stay moderate: Σ residue² ≤ 2 (2 max|t|)²", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.double({ min: 0.5, max: 1.01, noNaN: true }),
      fc.integer(),
      (lags, rate, seed) => {
        const random = signed(seed);
        const kernels = one(lags, (k) => rate ** k * random());
        const { decay, amplification } = estimateDecay(kernels);
        expect(decay).toBeGreaterThan(0);
        expect(decay).toBeLessThanOrEqual(1);
        expect(amplification).toBeLessThanOrEqual(2 + 1e-9);
        const modal = solveEtsc(kernels, decay);
        const largest = kernels.taps.reduce((most, tap) => Math.max(most, Math.abs(tap)), 0);
        const energy = modal.residues.reduce((sum, residue) => sum + residue * residue, 0);
        expect(energy).toBeLessThanOrEqual(2 * (2 * largest) ** 2 * (1 + 1e-9));
        expect(kernelOf(modal, lags).taps[0]).toBeCloseTo(kernels.taps[0]!, 9);
      },
    ),
    { numRuns: 100 },
  );
});

test("significant lags: where the geometric tail falls below the tolerance", () => {
  // ‖tail from L‖ / ‖t‖ = ρ^L for an exponential
  for (const tolerance of [1e-2, 1e-4]) {
    const lags = significantLags(
      one(4096, (k) => 0.99 ** k),
      tolerance,
    );
    expect(lags).toBe(Math.ceil(Math.log(tolerance) / Math.log(0.99)));
  }
  expect(
    significantLags(
      one(500, () => 1),
      1e-3,
    ),
  ).toBe(500);
  expect(
    significantLags(
      one(500, (k) => (k < 7 ? 1 : 0)),
      1e-6,
    ),
  ).toBe(7);
  expect(
    significantLags(
      one(500, (k) => (k === 0 ? 1 : 0)),
      1e-6,
    ),
  ).toBe(1);
  expect(
    significantLags(
      one(500, () => 0),
      1e-6,
    ),
  ).toBe(1);
  expect(significantLags(kernelsOf(["one lag", "TNN, no decay"], 300), 1e-3)).toBe(300);
  expect(
    significantLags(
      one(500, (k) => 1e-30 * 0.5 ** k),
      1e-3,
    ),
  ).toBe(10);
});
