/** Kernels of modal forms against powers in exact arithmetic. */
import { expect, test } from "vitest";
import { kernelsOf } from "../../test/recurrence/families.ts";
import { solveEtsc } from "./etsc.ts";
import { kernelOf, solveError } from "./evaluate.ts";
import type { Modal } from "./form.ts";
import { power, primitiveRoot } from "./powers.ts";

/** numerator / 2^exponent to float64; the numerator may have thousands of bits. */
function toNumber(numerator: bigint, exponent: number): number {
  const size = (numerator < 0n ? -numerator : numerator).toString(2).length;
  const cut = Math.max(0, size - 64);
  return Number(numerator >> BigInt(cut)) * 2 ** (cut - exponent);
}

test("every lag of an oscillating and a real pole, to a few roundings, against integers", () => {
  // (2 + 3i)/4 and -7/8 are float64 numbers, so their powers are known exactly; |λ| = 0.90
  const modal: Modal = {
    channels: 3,
    pairs: { re: Float64Array.of(0.5), im: Float64Array.of(0.75) },
    reals: Float64Array.of(-0.875),
    residues: Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1),
    direct: Float64Array.of(0, 0, 5),
  };
  const lags = 3001;
  const { taps } = kernelOf(modal, lags);
  let [re, im, real] = [1n, 0n, 1n];
  for (let k = 0; k < lags; k++) {
    const expected = [toNumber(re, 2 * k), toNumber(im, 2 * k), toNumber(real, 3 * k) + (k === 0 ? 5 : 0)];
    const size = Math.hypot(expected[0]!, expected[1]!);
    expect(Math.abs(taps[3 * k]! - expected[0]!)).toBeLessThanOrEqual(6e-16 * size);
    expect(Math.abs(taps[3 * k + 1]! - expected[1]!)).toBeLessThanOrEqual(6e-16 * size);
    expect(Math.abs(taps[3 * k + 2]! - expected[2]!)).toBeLessThanOrEqual(6e-16 * Math.abs(expected[2]!));
    [re, im, real] = [2n * re - 3n * im, 3n * re + 2n * im, -7n * real];
  }
});

test("channels that are no multiple of four, lags that are no multiple of the block, more lags than the horizon", () => {
  const kernels = kernelsOf(["TNN, γ = 0.99", "white noise", "rising", "one lag", "S4D mixture"], 131);
  const modal = solveEtsc(kernels, 0.99);
  const long = kernelOf(modal, 301);
  for (const lags of [0, 1, 127, 128, 129, 131]) {
    const short = kernelOf(modal, lags).taps;
    expect(short).toEqual(long.taps.subarray(0, short.length));
    short.forEach((tap, i) => {
      expect(Math.abs(tap - kernels.taps[i]!)).toBeLessThan(1e-13);
    });
  }
});

test("the reported error is the difference that was put in, in the channel where it was put", () => {
  const kernels = kernelsOf(["TNN, γ = 0.99", "white noise", "rising"], 200);
  const modal = solveEtsc(kernels, 0.99);
  expect(solveError(kernels, modal).relative).toBeLessThan(1e-13);
  const direct = Float64Array.of(0, 0, 1e-3);
  const found = solveError(kernels, { ...modal, direct });
  const norm = (c: number): number => Math.sqrt(kernels.taps.reduce((sum, t, i) => sum + (i % 3 === c ? t * t : 0), 0));
  expect(found.worstChannel).toBe(2);
  expect(found.worstRelative).toBeCloseTo(1e-3 / norm(2), 12);
  expect(found.relative).toBeCloseTo(1e-3 / Math.hypot(norm(0), norm(1), norm(2)), 12);
  expect(found.largest).toBeCloseTo(1e-3, 12);
  expect(found.channelsMeasured).toBe(3);
  expect(solveError(kernels, modal, 200 * 200 * 2).channelsMeasured).toBe(2);
  expect(solveError(kernels, modal, 0).channelsMeasured).toBe(1);
});

test("a form that is not a number does not pass for right", () => {
  const kernels = kernelsOf(["rising"], 8);
  const found = solveError(kernels, { ...solveEtsc(kernels, 1), direct: Float64Array.of(Number.NaN) });
  expect(found.relative <= 1e-12 || found.worstRelative <= 1e-12 || found.largest <= 1e-12).toBe(false);
});

test("compact forms with many channels and lags are evaluated within seconds", () => {
  const [order, channels, lags] = [16, 256, 16384];
  const pairs = order / 2;
  const re = Float64Array.from({ length: pairs }, (_, p) => 0.999 * Math.cos(0.01 * (p + 1)));
  const im = Float64Array.from({ length: pairs }, (_, p) => 0.999 * Math.sin(0.01 * (p + 1)));
  const residues = new Float64Array(order * channels).fill(1);
  const { taps } = kernelOf(
    { channels, pairs: { re, im }, reals: new Float64Array(0), residues, direct: new Float64Array(channels) },
    lags,
  );
  expect(taps[0]).toBeCloseTo(pairs, 12);
  expect(new Set(taps.subarray(12345 * channels, 12346 * channels)).size).toBe(1);
});

test("primitive roots: the n-th power is 1 far beyond float64", () => {
  for (const n of [1, 2, 3, 4, 257, 4095, 32768]) {
    const root = primitiveRoot(n);
    expect(Math.hypot(root[0] - Math.cos((2 * Math.PI) / n), root[2] - Math.sin((2 * Math.PI) / n))).toBeLessThan(
      5e-16,
    );
    const [re, reLow, im, imLow] = power(root, n);
    expect(Math.hypot(re - 1 + reLow, im + imLow)).toBeLessThan(n * n * 1e-30);
  }
});
