/** The DFT of any length against the plain sum, with angles reduced in integers. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { signed } from "../../src/random.ts";
import { planDft, unitRoot } from "./dft.ts";

const vector = (length: number, seed: number): Float64Array => Float64Array.from({ length: 2 * length }, signed(seed));
const norm = (x: Float64Array): number => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));

/** One output of the plain DFT, summed with Neumaier's compensation. */
function plain(x: Float64Array, j: number): [number, number] {
  const n = x.length / 2;
  const sums = [0, 0];
  const rests = [0, 0];
  const add = (part: 0 | 1, value: number): void => {
    const sum = sums[part]! + value;
    rests[part]! += Math.abs(sums[part]!) >= Math.abs(value) ? sums[part]! - sum + value : value - sum + sums[part]!;
    sums[part] = sum;
  };
  for (let k = 0; k < n; k++) {
    const turn = (j * k) % n;
    const angle = (-2 * Math.PI * (2 * turn > n ? turn - n : turn)) / n;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    add(0, x[2 * k]! * cos);
    add(0, -x[2 * k + 1]! * sin);
    add(1, x[2 * k]! * sin);
    add(1, x[2 * k + 1]! * cos);
  }
  return [sums[0]! + rests[0]!, sums[1]! + rests[1]!];
}

const lengths = fc.oneof(
  fc.integer({ min: 1, max: 64 }),
  fc.integer({ min: 1, max: 4096 }),
  fc.constantFrom(1, 2, 3, 4, 8, 127, 128, 129, 255, 256, 257, 1021, 2048, 4093, 4095, 4096),
);

test("equals the plain sum, any length from 1 to 4096, forward and inverse", () => {
  fc.assert(
    fc.property(lengths, fc.integer(), fc.array(fc.nat(4095), { minLength: 4, maxLength: 4 }), (n, seed, picks) => {
      const plan = planDft(n);
      const x = vector(n, seed);
      const output = new Float64Array(2 * n);
      // Parseval: |X_j| is of the size of ‖x‖, which the error is taken relative to
      const limit = 1e-15 * (Math.log2(n) + 2) * norm(x);
      plan.forward(x, output);
      for (const j of [0, n - 1, ...picks.map((pick) => pick % n)]) {
        const [re, im] = plain(x, j);
        const error = Math.hypot(output[2 * j]! - re, output[2 * j + 1]! - im);
        expect(error).toBeLessThanOrEqual(limit);
      }
      plan.inverse(x, output);
      for (const j of picks.map((pick) => pick % n)) {
        const [re, im] = plain(x, (n - j) % n);
        expect(Math.hypot(n * output[2 * j]! - re, n * output[2 * j + 1]! - im)).toBeLessThanOrEqual(limit);
      }
    }),
    { numRuns: 150 },
  );
});

test("a plan can be used again, and forward then inverse gives the input back", () => {
  fc.assert(
    fc.property(lengths, fc.integer(), (n, seed) => {
      const plan = planDft(n);
      for (const x of [vector(n, seed), vector(n, seed + 1)]) {
        const spectrum = new Float64Array(2 * n);
        const back = new Float64Array(2 * n);
        plan.forward(x, spectrum);
        plan.inverse(spectrum, back);
        expect(norm(back.map((value, i) => value - x[i]!))).toBeLessThanOrEqual(2e-15 * (Math.log2(n) + 2) * norm(x));
      }
    }),
    { numRuns: 100 },
  );
});

test("an impulse at p has the spectrum exp(-2πi pj/n), long lengths too", () => {
  for (const n of [65537, 65536]) {
    const p = 12345;
    const x = new Float64Array(2 * n);
    x[2 * p] = 1;
    const output = new Float64Array(2 * n);
    planDft(n).forward(x, output);
    let worst = 0;
    for (let j = 0; j < n; j++) {
      const [re, im] = unitRoot((p * j) % n, n);
      worst = Math.max(worst, Math.hypot(output[2 * j]! - re, output[2 * j + 1]! + im));
    }
    expect(worst).toBeLessThan(2e-14);
  }
});

test("unit roots: exact at the quarters, on the circle, periodic, and inverse to each other", () => {
  expect([0, 1, 2, 3].map((k) => unitRoot(k, 4).map((part) => part + 0))).toEqual([
    [1, 0],
    [0, 1],
    [-1, 0],
    [0, -1],
  ]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 24 }), fc.nat(2 ** 24), (n, k) => {
      const [re, im] = unitRoot(k, n);
      expect(Math.abs(Math.hypot(re, im) - 1)).toBeLessThanOrEqual(3e-16);
      expect(unitRoot(k + 1000 * n, n)).toEqual([re, im]);
      const [reBack, imBack] = unitRoot(n - (k % n), n);
      expect(Math.hypot(reBack - re, imBack + im)).toBeLessThanOrEqual(3e-16);
    }),
  );
});

test("lengths that are no lengths are refused", () => {
  for (const length of [0, -1, 1.5, Number.NaN, 2 ** 24 + 1]) expect(() => planDft(length)).toThrow(RangeError);
});
