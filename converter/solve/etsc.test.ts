/** The exact solve: n lags are met, the poles are where they should be, and a recurrence computes the convolution. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { LongConvError } from "../../src/errors.ts";
import { signed } from "../../src/random.ts";
import { FAMILIES, kernelsOf } from "../../test/recurrence/families.ts";
import { convolve, runRecurrence } from "../../test/recurrence/plain.ts";
import { estimateDecay } from "./decay.ts";
import { solveEtsc } from "./etsc.ts";
import { kernelOf, solveError } from "./evaluate.ts";
import { type Kernels, orderOf } from "./form.ts";

/** Kernels γ^k r_k with r uniform in [-1, 1). */
function randomKernels(lags: number, channels: number, decay: number, seed: number): Kernels {
  const random = signed(seed);
  return {
    lags,
    channels,
    taps: Float64Array.from({ length: lags * channels }, (_, i) => decay ** Math.floor(i / channels) * random()),
  };
}

const lagCounts = fc.oneof(
  fc.integer({ min: 1, max: 64 }),
  fc.integer({ min: 1, max: 4096 }),
  fc.constantFrom(1, 2, 3, 4095, 4096),
);
const decays = fc.oneof(fc.double({ min: 0.9, max: 1, minExcluded: true, noNaN: true }), fc.constant(1));

test("the residues reproduce every tap to 1e-12, n from 1 to 4096, any decay in (0.9, 1]", () => {
  fc.assert(
    fc.property(lagCounts, fc.integer({ min: 1, max: 3 }), decays, fc.integer(), (lags, channels, decay, seed) => {
      const kernels = randomKernels(lags, channels, decay, seed);
      const modal = solveEtsc(kernels, decay);
      expect(orderOf(modal)).toBe(lags);
      expect(modal.residues.length).toBe(lags * channels);
      expect(modal.direct).toEqual(new Float64Array(channels));
      expect(solveError(kernels, modal).largest).toBeLessThanOrEqual(1e-12);
    }),
    { numRuns: 60 },
  );
});

test.each(["alternating", "closing"] as const)(
  "%s: distinct poles on the circle, none at +γ, one at -γ for odd n",
  (extension) => {
    fc.assert(
      fc.property(lagCounts, decays, (lags, decay) => {
        const { pairs, reals } = solveEtsc(randomKernels(lags, 1, decay, lags), decay, extension);
        expect(reals).toEqual(lags % 2 ? Float64Array.of(-decay) : new Float64Array(0));
        let before = 0;
        pairs.re.forEach((re, p) => {
          const im = pairs.im[p]!;
          expect(im).toBeGreaterThan(0);
          expect(Math.abs(Math.hypot(re, im) / decay - 1)).toBeLessThanOrEqual(4e-16);
          const angle = Math.atan2(im, re);
          expect(angle - before).toBeGreaterThan(3 / (lags + 1));
          before = angle;
        });
      }),
      { numRuns: 40 },
    );
  },
);

test("after the horizon: the kernel comes back, negated and damped by γ^n; closing: one tap -γ^n Σ r, then itself", () => {
  const [lags, decay] = [37, 0.97];
  const kernels = randomKernels(lags, 1, decay, 5);
  const alternating = kernelOf(solveEtsc(kernels, decay), 2 * lags).taps;
  const closing = kernelOf(solveEtsc(kernels, decay, "closing"), 2 * lags + 1).taps;
  const sum = kernels.taps.reduce((total, tap, k) => total + tap * decay ** -k, 0);
  expect(closing[lags]).toBeCloseTo(-(decay ** lags) * sum, 12);
  kernels.taps.forEach((tap, k) => {
    expect(alternating[lags + k]).toBeCloseTo(-(decay ** lags) * tap, 12);
    expect(closing[k]).toBeCloseTo(tap, 12);
    expect(closing[lags + 1 + k]).toBeCloseTo(decay ** (lags + 1) * tap, 12);
  });
});

test("one lag: one state, with its pole at -γ", () => {
  const modal = solveEtsc({ lags: 1, channels: 2, taps: Float64Array.of(3, -0.5) }, 0.5);
  expect(modal.pairs.re.length).toBe(0);
  expect(modal.reals).toEqual(Float64Array.of(-0.5));
  expect(modal.residues).toEqual(Float64Array.of(3, -0.5));
});

test("the recurrence in float64 is the causal convolution for n positions", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 400 }), decays, fc.integer(), (lags, decay, seed) => {
      const kernels = randomKernels(lags, 2, decay, seed);
      const modal = solveEtsc(kernels, decay);
      const x = Float64Array.from({ length: lags }, signed(seed + 1));
      for (const channel of [0, 1]) {
        const expected = convolve(kernels, channel, x);
        const size = Math.sqrt(kernels.taps.reduce((sum, tap) => sum + tap * tap, 0) * lags);
        runRecurrence(modal, channel, x, (value) => value).forEach((y, i) => {
          expect(Math.abs(y - expected[i]!)).toBeLessThanOrEqual(1e-13 * size);
        });
      }
    }),
    { numRuns: 40 },
  );
});

test("the recurrence in float32 stays within the bound of docs/parts/solve.md, and far below it", () => {
  const names = Object.keys(FAMILIES);
  const lags = 256;
  const kernels = kernelsOf(names, lags);
  const x = Float64Array.from({ length: lags }, signed(9)).map(Math.fround);
  names.forEach((name, channel) => {
    const one: Kernels = { lags, channels: 1, taps: kernels.taps.filter((_, i) => i % names.length === channel) };
    const { decay } = estimateDecay(one);
    const modal = solveEtsc(one, decay);
    let sizes = 0;
    for (let p = 0; p < modal.pairs.re.length; p++)
      sizes += Math.hypot(modal.residues[2 * p]!, modal.residues[2 * p + 1]!);
    const expected = convolve(one, 0, x);
    const [error, output] = [0, 0].map(() => new Float64Array(lags));
    let drive = 0;
    runRecurrence(modal, 0, x, Math.fround).forEach((y, i) => {
      drive = decay * drive + Math.abs(x[i]!);
      error![i] = y - expected[i]!;
      output![i] = expected[i]!;
      // (5 (i+1) + n + 2) 2⁻²⁴ Σ|c_s| Σ_j γ^(i-j) |x_j|, and 0.1 % for the products of errors
      expect(Math.abs(error![i]!), name).toBeLessThanOrEqual(
        1.001 * (5 * (i + 1) + lags + 2) * 2 ** -24 * sizes * drive,
      );
    });
    expect(Math.hypot(...error!) / Math.hypot(...output!), name).toBeLessThan(1e-5);
  });
});

test("16 384 lags: at most 1e-12 relative in every family, with the estimated decay", () => {
  const lasting = ["constant, no decay", "TNN, no decay", "TNN, γ = 0.999", "rising", "white noise"];
  const decaying = Object.keys(FAMILIES).filter((name) => !lasting.includes(name));
  for (const names of [lasting, decaying]) {
    const kernels = kernelsOf(names, 16384);
    const found = solveError(kernels, solveEtsc(kernels, estimateDecay(kernels).decay));
    expect(found.channelsMeasured).toBe(names.length);
    expect(found.worstRelative).toBeLessThanOrEqual(1e-12);
  }
});

test("channels of very different size do not disturb one another; zeros stay zeros", () => {
  const taps = Float64Array.from({ length: 300 }, (_, i) => [1e30, 1e-30, 0][i % 3]! * Math.cos(i));
  const modal = solveEtsc({ lags: 100, channels: 3, taps }, 1);
  expect(solveError({ lags: 100, channels: 3, taps }, modal).worstRelative).toBeLessThan(1e-13);
  expect(modal.residues.filter((_, i) => i % 3 === 2).every((residue) => residue === 0)).toBe(true);
});

test("the paper's closing tap is exact too, and loses digits to its one large tap", () => {
  const kernels = kernelsOf(["constant, no decay"], 2048);
  const closing = solveError(kernels, solveEtsc(kernels, 1, "closing")).relative;
  const alternating = solveError(kernels, solveEtsc(kernels, 1)).relative;
  expect(closing).toBeLessThan(1e-11);
  expect(closing).toBeGreaterThan(10 * alternating);
});

test("refusals: no lags, no decay, a decay that overflows, taps that are no numbers", () => {
  const kernels = kernelsOf(["constant, no decay"], 16384);
  expect(() => solveEtsc({ lags: 0, channels: 1, taps: new Float64Array(0) }, 1)).toThrow(RangeError);
  for (const decay of [0, -1, 1.1, Number.NaN, 0.9]) expect(() => solveEtsc(kernels, decay)).toThrow(RangeError);
  for (const tap of [Number.NaN, Infinity]) {
    const broken = { lags: 2, channels: 2, taps: Float64Array.of(1, 1, 1, tap) };
    for (const solve of [() => solveEtsc(broken, 1), () => estimateDecay(broken)]) {
      expect(solve).toThrow(LongConvError);
      expect(solve).toThrow(/channel 1 .* lag 1/);
    }
  }
});
