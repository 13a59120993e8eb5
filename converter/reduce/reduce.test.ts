/** Reduction: exact systems are found again, the tolerance holds, the result is stable, noise is refused. */

import { Matrix, SingularValueDecomposition } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { awkwardKernels, randomRpe, referenceCases } from "../../scripts/random-kernels.ts";
import { normal } from "../../src/random.ts";
import { kernelOf } from "../solve/evaluate.ts";
import type { Kernels, Modal } from "../solve/form.ts";
import { reduceKernels } from "./reduce.ts";

/** ‖T - T̂‖ / ‖T‖, from the taps. */
function relativeError(kernels: Kernels, modal: Modal): number {
  const { taps } = kernelOf(modal, kernels.lags);
  const error = kernels.taps.map((tap, i) => tap - taps[i]!);
  return Math.hypot(...error) / Math.hypot(...kernels.taps);
}

/** Largest modulus of the poles. */
const radius = ({ pairs, reals }: Modal) =>
  Math.max(0, ...pairs.re.map((re, p) => Math.hypot(re, pairs.im[p]!)), ...reals.map(Math.abs));

/** A system of known poles, all channels with random residues. */
function knownSystem(lags: number, channels: number): { kernels: Kernels; modal: Modal } {
  const gauss = normal(11);
  const modal: Modal = {
    channels,
    pairs: { re: Float64Array.of(0.9, -0.5), im: Float64Array.of(0.3, 0.6) },
    reals: Float64Array.of(0.97, 0.6),
    residues: Float64Array.from({ length: 6 * channels }, gauss),
    direct: Float64Array.from({ length: channels }, gauss),
  };
  return { kernels: kernelOf(modal, lags), modal };
}

describe("reduceKernels", () => {
  it("finds the poles, residues and direct terms of a system again", () => {
    const { kernels, modal } = knownSystem(200, 5);
    const { modal: found, error } = reduceKernels(kernels, { order: 6 }, { precision: "float64" });
    expect(error).toBeLessThan(1e-11);
    expect([...found.reals].sort()).toEqual([expect.closeTo(0.6, 9), expect.closeTo(0.97, 9)]);
    const upper = [...found.pairs.re].map((re, p) => [re, found.pairs.im[p]!]).sort((a, b) => a[0]! - b[0]!);
    expect(upper).toEqual([
      [expect.closeTo(-0.5, 9), expect.closeTo(0.6, 9)],
      [expect.closeTo(0.9, 9), expect.closeTo(0.3, 9)],
    ]);
    found.direct.forEach((direct, c) => {
      expect(direct).toBeCloseTo(modal.direct[c]!, 7);
    });
  });

  it("takes the smallest order that a tolerance allows, and no more poles than the system has", () => {
    const { kernels } = knownSystem(200, 5);
    const { order, met, error } = reduceKernels(kernels, { tolerance: 1e-6 });
    expect(order).toBe(6);
    expect(met).toBe(true);
    expect(error).toBeLessThan(1e-6);
  });

  it("is no worse than the prototype on the prototype's own kernels", () => {
    // Relative errors that the prototype prints for its first cases of 512 lags, basis and residues in float32
    const prototype = [
      { order: 16, errors: [5.0e-5, 7.0e-5] },
      { order: 32, errors: [2.7e-6, 3.6e-6] },
    ];
    const cases = referenceCases(3).filter(({ lags }) => lags === 512);
    for (const { order, errors } of prototype) {
      cases.forEach(({ kernels }, which) => {
        expect(reduceKernels(kernels, { order }).error).toBeLessThan(errors[which]! * 1.001);
      });
    }
  });

  it("reports the error that the taps show, in float32 as well", () => {
    const kernels = randomRpe(512, 48, 0.99, 3);
    for (const precision of ["float32", "float64"] as const) {
      const { modal, error } = reduceKernels(kernels, { order: 20 }, { precision });
      expect(relativeError(kernels, modal) / error).toBeCloseTo(1, 3);
      if (precision === "float32") {
        for (const values of [modal.pairs.re, modal.pairs.im, modal.reals, modal.residues, modal.direct]) {
          expect(values.map(Math.fround)).toEqual(values);
        }
      }
    }
  });

  it("is within every tolerance it says it meets, with refinement at no higher an order", () => {
    const kernels = randomRpe(200, 16, 0.99, 4);
    for (const tolerance of [1e-2, 1e-3, 1e-4, 1e-5]) {
      const refined = reduceKernels(kernels, { tolerance });
      const plain = reduceKernels(kernels, { tolerance }, { refinements: 0 });
      expect(refined.met && plain.met).toBe(true);
      expect(relativeError(kernels, refined.modal)).toBeLessThanOrEqual(tolerance);
      expect(refined.order).toBeLessThanOrEqual(plain.order);
    }
  });

  it("never does worse than the best approximation of equal rank allows, and gives the singular values in order", () => {
    const kernels = randomRpe(256, 24, 0.99, 5);
    const { error, singularValues } = reduceKernels(kernels, { order: 8 });
    const body = new Matrix(255, 24);
    for (let k = 1; k < 256; k++) for (let c = 0; c < 24; c++) body.set(k - 1, c, kernels.taps[k * 24 + c]!);
    const tail = new SingularValueDecomposition(body).diagonal.slice(8);
    expect(error).toBeGreaterThan(Math.hypot(...tail) / Math.hypot(...kernels.taps));
    expect([...singularValues]).toEqual([...singularValues].sort((a, b) => b - a));
  });

  it("says that white noise has no compact state", () => {
    const gauss = normal(2);
    const many: Kernels = { lags: 512, channels: 300, taps: Float64Array.from({ length: 512 * 300 }, gauss) };
    const one: Kernels = { lags: 512, channels: 1, taps: Float64Array.from({ length: 512 }, gauss) };
    for (const kernels of [many, one]) {
      const { met, reason } = reduceKernels(kernels, { tolerance: 1e-3, maxOrder: 64 });
      expect(met).toBe(false);
      expect(reason).toMatch(/shared poles/);
    }
  });

  it("keeps a kernel that does not decay, and stays stable on one that grows", () => {
    const constant: Kernels = { lags: 300, channels: 2, taps: new Float64Array(600).fill(0.5) };
    const { modal, error, order } = reduceKernels(constant, { tolerance: 1e-5 });
    expect(order).toBe(1);
    expect(error).toBeLessThan(1e-7);
    expect(radius(modal)).toBe(1);
    for (let seed = 0; seed < 5; seed++) {
      const { modal: held } = reduceKernels(awkwardKernels("growing", seed), { order: 4 });
      expect(radius(held)).toBeLessThanOrEqual(1);
    }
  });

  it("keeps residues moderate where poles coincide", () => {
    // k² 0.8^k needs a pole of multiplicity 3, which the modal form has only in the limit of infinite residues
    const taps = Float64Array.from({ length: 200 }, (_, k) => k * k * 0.8 ** k);
    const { gain, error } = reduceKernels({ lags: 200, channels: 1, taps }, { order: 3 });
    expect(error).toBeLessThan(1e-3);
    expect(gain).toBeLessThan(1e5);
  });

  it("gives the same numbers at any scale", () => {
    const base = randomRpe(200, 6, 0.99, 9);
    const plain = reduceKernels(base, { order: 12 });
    for (const scale of [2 ** 100, 2 ** -100]) {
      const scaled = reduceKernels({ ...base, taps: base.taps.map((tap) => tap * scale) }, { order: 12 });
      expect(scaled.error / plain.error).toBeCloseTo(1, 2);
    }
  });

  it("has an answer for zero kernels, one lag and two lags, and refuses NaN", () => {
    for (const kernels of [
      { lags: 40, channels: 3, taps: new Float64Array(120) },
      { lags: 1, channels: 2, taps: Float64Array.of(1.5, -2) },
      { lags: 2, channels: 2, taps: Float64Array.of(1.5, -2, 0.25, 0.5) },
    ]) {
      const { modal, order, met } = reduceKernels(kernels, { tolerance: 1e-6 });
      expect(met).toBe(true);
      expect(order).toBe(1);
      expect(kernelOf(modal, kernels.lags).taps).toEqual(kernels.taps);
    }
    const broken = { lags: 3, channels: 1, taps: Float64Array.of(1, Number.NaN, 0) };
    expect(() => reduceKernels(broken, { order: 2 })).toThrow(expect.objectContaining({ code: "no-reduction" }));
  });
});
