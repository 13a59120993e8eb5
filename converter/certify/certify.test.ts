/** No measurement exceeds the certificate; and the certificate is not idly large. */

import { describe, expect, it } from "vitest";
import { failuresOf } from "../../scripts/certificate-check.ts";
import { AWKWARD, awkwardKernels, randomRpe } from "../../scripts/random-kernels.ts";
import { recurrence } from "../../scripts/recurrence.ts";
import { contestLayers } from "../choose/layers.ts";
import { reduceKernels } from "../reduce/reduce.ts";
import { kernelOf } from "../solve/evaluate.ts";
import type { Kernels, Modal } from "../solve/form.ts";
import { certify } from "./certify.ts";
import { frequencyPeak } from "./frequency.ts";
import { geometricSum } from "./geometric.ts";

/** c ρ^k, one channel. */
const oneMode = (pole: number, residue: number, direct = 0): Modal => ({
  channels: 1,
  pairs: { re: new Float64Array(0), im: new Float64Array(0) },
  reals: Float64Array.of(pole),
  residues: Float64Array.of(residue),
  direct: Float64Array.of(direct),
});

describe("certify", () => {
  it.each(AWKWARD)("is never exceeded: %s kernels", (kind) => {
    for (let seed = 0; seed < 4; seed++) {
      const kernels = awkwardKernels(kind, seed);
      const target = seed % 2 ? { order: 1 + 5 * seed } : { tolerance: 10 ** -(2 + seed), maxOrder: 40 };
      expect(failuresOf(kernels, reduceKernels(kernels, target), seed)).toEqual([]);
    }
  });

  it("is what the mathematics says for a single mode left out", () => {
    // t = 0.5^k, t̂ = 0: ‖e‖₁ = 2, ‖e‖₂² = 4/3, max |E| = 2, up to 0.5^40
    const kernels: Kernels = { lags: 40, channels: 1, taps: Float64Array.from({ length: 40 }, (_, k) => 0.5 ** k) };
    const { error, relative, layer, tail } = certify(kernels, oneMode(0.25, 0));
    expect(error.one[0]).toBeCloseTo(2, 11);
    expect(error.two[0]! ** 2).toBeCloseTo(4 / 3, 11);
    expect(error.frequency[0]).toBeGreaterThanOrEqual(2 - 1e-11);
    expect(error.frequency[0]).toBeLessThan(2.17);
    expect(relative.two[0]).toBeCloseTo(1, 11);
    expect(layer.relative).toBeCloseTo(1, 11);
    expect(tail.one[0]).toBe(0);
    expect(layer.outputPerLargestInputForEver).toBe(Number.POSITIVE_INFINITY);
  });

  it("bounds the tail of a finite kernel's model for ever, and knows the lags that it is told", () => {
    const kernels: Kernels = { lags: 8, channels: 1, taps: Float64Array.from({ length: 8 }, (_, k) => 0.9 ** k) };
    const modal = oneMode(0.9, 1);
    // The model goes on where the kernel stops: Σ_{k≥8} 0.9^k = 0.9^8 / 0.1
    const zero = certify(kernels, modal, { beyond: "zero" });
    expect(zero.layer.outputPerLargestInputForEver).toBeCloseTo(0.9 ** 8 / 0.1, 9);
    const further = certify(kernels, modal, { further: kernelOf(modal, 100) });
    expect(further.tail.from).toBe(100);
    expect(further.tail.further.one[0]).toBeLessThan(1e-13);
    expect(further.tail.one[0]! / (0.9 ** 100 / 0.1)).toBeCloseTo(1, 9);
  });

  it("holds for 100 000 float32 steps against float64", () => {
    const kernels = randomRpe(512, 8, 0.999, 5);
    const { modal } = reduceKernels(kernels, { tolerance: 1e-5 });
    const { roundoff } = certify(kernels, modal, { steps: 100_000 });
    const [single, double] = [recurrence(modal, 3, "float32"), recurrence(modal, 3, "float64")];
    let worst = 0;
    for (let i = 0; i < 100_000; i++) {
      const x = Math.fround(Math.sin(0.37 * i * i));
      worst = Math.max(worst, Math.abs(single(x) - double(x)));
    }
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThan(roundoff.bound[3]!);
  });
});

describe("frequencyPeak", () => {
  it("brackets the maximum of a comb whose peak lies between grid points", () => {
    for (const omega of [0.1, 0.7, 1.234567, 3]) {
      // Σ_k cos(ωk)² + i… : |E(ω)| at ω itself, an odd number of channels
      const lags = 37;
      const taps = Float64Array.from(
        { length: 3 * lags },
        (_, i) => Math.cos(omega * Math.floor(i / 3)) * (1 + (i % 3)),
      );
      const { grid, bound } = frequencyPeak(taps, 3);
      for (let c = 0; c < 3; c++) {
        let peak = 0;
        for (let f = 0; f <= 20_000; f++) {
          let [x, y] = [0, 0];
          for (let k = 0; k < lags; k++) {
            x += taps[3 * k + c]! * Math.cos((Math.PI * f * k) / 20_000);
            y += taps[3 * k + c]! * Math.sin((Math.PI * f * k) / 20_000);
          }
          peak = Math.max(peak, Math.hypot(x, y));
        }
        expect(bound[c]).toBeGreaterThanOrEqual(peak);
        expect(grid[c]).toBeLessThanOrEqual(peak * (1 + 1e-6));
        expect(bound[c]! / peak).toBeLessThan(1.085);
      }
    }
  });
});

describe("geometricSum", () => {
  it("sums powers near and at ratio 1, above it, and from later terms on", () => {
    expect(geometricSum(1, 3, 10)).toBe(7);
    expect(geometricSum(0.5, 0, Number.POSITIVE_INFINITY)).toBeCloseTo(2, 10);
    expect(geometricSum(0.5, 3, 5)).toBeCloseTo(0.125 + 0.0625, 12);
    expect(geometricSum(1 - 2 ** -40, 0, 1000) / 1000).toBeCloseTo(1, 8);
    expect(geometricSum(2, 0, 5)).toBeCloseTo(31, 8);
    expect(geometricSum(1e-30, 0, 7)).toBeCloseTo(1, 10);
    expect(geometricSum(0, 0, 7)).toBe(1);
    expect(geometricSum(1, 0, Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("contestLayers", () => {
  it("gives each layer's result in order and tells its progress; the first error is thrown", async () => {
    const layers = [1, 2, 3].map((seed) => randomRpe(64, 4, 0.9, seed));
    const seen: number[] = [];
    const results = await contestLayers(
      layers.map((kernels) => () => ({ kernels, shared: { order: 5 }, diagonal: false })),
      { progress: (done) => seen.push(done) },
    );
    expect(seen).toEqual([0, 1, 2, 3]);
    results.forEach(({ shared }, i) => {
      expect(shared!.reduction.error).toBe(reduceKernels(layers[i]!, { order: 5 }).error);
    });
    const broken = { lags: 2, channels: 1, taps: Float64Array.of(0, Number.NaN) };
    await expect(
      contestLayers([() => ({ kernels: broken, shared: { order: 1 }, diagonal: false })]),
    ).rejects.toMatchObject({
      code: "no-reduction",
    });
  });
});
