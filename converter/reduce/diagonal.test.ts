/** Poles of each channel's own: systems that are known, the order found, and what has no compact state. */
import { describe, expect, it } from "vitest";
import { normal, uniform } from "../../src/random.ts";
import { certifyDiagonal } from "../certify/diagonal.ts";
import { channelKernels } from "../solve/channels.ts";
import { type ChannelModal, channelOf, type Kernels } from "../solve/form.ts";
import { lookAtChannels, reduceChannels } from "./diagonal.ts";
import { leastSharedOrder } from "./forecast.ts";
import { hankelSpectrum } from "./lanczos.ts";
import { reduceKernels } from "./reduce.ts";

/** S4D with frequencies and decays of each channel's own; the first pole of every channel is real. */
function ownSystem(channels: number, pairs: number, seed = 1): ChannelModal {
  const next = uniform(seed);
  const size = pairs * channels;
  const [re, im] = [new Float64Array(size), new Float64Array(size)];
  const residues = Float64Array.from({ length: 2 * size }, () => next() - 0.5);
  for (let c = 0; c < channels; c++) {
    const step = 0.01 + 0.03 * next();
    for (let p = 0; p < pairs; p++) {
      const at = p * channels + c;
      re[at] = Math.exp(-step) * Math.cos(Math.PI * p * step);
      im[at] = Math.exp(-step) * Math.sin(Math.PI * p * step);
      if (p === 0) residues[(2 * p + 1) * channels + c] = 0;
    }
  }
  return { channels, pairs, re, im, residues, direct: Float64Array.from({ length: channels }, () => next()) };
}

/** ‖T - T̂‖ / ‖T‖, from the recurrence run on an impulse. */
function measured({ lags, channels, taps }: Kernels, modal: ChannelModal): number {
  let [error, norm] = [0, 0];
  for (let c = 0; c < channels; c++) {
    const { pairs, residues, direct } = channelOf(modal, c);
    const u = new Float64Array(residues.length);
    for (let k = 0; k < lags; k++) {
      let y = k === 0 ? direct[0]! : 0;
      pairs.re.forEach((re, p) => {
        const [a, b, im] = [u[2 * p]!, u[2 * p + 1]!, pairs.im[p]!];
        u[2 * p] = re * a - im * b + (k === 0 ? 1 : 0);
        u[2 * p + 1] = im * a + re * b;
        y += residues[2 * p]! * u[2 * p]! + residues[2 * p + 1]! * u[2 * p + 1]!;
      });
      error += (taps[k * channels + c]! - y) ** 2;
      norm += taps[k * channels + c]! ** 2;
    }
  }
  return Math.sqrt(error / norm);
}

function noise(lags: number, channels: number): Kernels {
  const next = normal(5);
  return { lags, channels, taps: Float64Array.from({ length: lags * channels }, next) };
}

describe("reduceChannels", () => {
  it.each([2 ** -40, 2 ** -60, 2 ** 60])("finds the same system at any scale: %d", (scale) => {
    const plain = channelKernels(ownSystem(3, 4), 600);
    const scaled = { ...plain, taps: plain.taps.map((tap) => tap * scale) };
    const [wanted, found] = [plain, scaled].map((kernels) => reduceChannels(kernels, { tolerance: 1e-5 }));
    expect(found).toMatchObject({ met: true, order: wanted!.order });
    expect(measured(scaled, found!.modal)).toBeLessThan(1e-5);
  });

  it.each([
    [5, 3],
    [7, 8],
    [40, 4],
  ])("finds the order of %i channels with %i pairs each", (channels, pairs) => {
    const truth = ownSystem(channels, pairs);
    const kernels = channelKernels(truth, 700);
    const { modal, order, error, met } = reduceChannels(kernels, { tolerance: 1e-5 });
    expect(met).toBe(true);
    expect(order).toBeLessThanOrEqual(2 * pairs);
    expect(error).toBeLessThan(1e-5);
    expect(measured(kernels, modal)).toBeLessThan(1e-5);
    expect(measured(kernels, modal)).toBeCloseTo(error, 8);
  });

  it("needs far fewer states than shared poles do", () => {
    const kernels = channelKernels(ownSystem(8, 5), 600);
    const { order } = reduceChannels(kernels, { tolerance: 1e-4 });
    expect(reduceKernels(kernels, { tolerance: 1e-4, maxOrder: 3 * order }, { refinements: 0 }).met).toBe(false);
  });

  it("is stable and holds float32 numbers", () => {
    const { modal } = reduceChannels(channelKernels(ownSystem(6, 6, 9), 500), { tolerance: 1e-6 });
    for (const values of [modal.re, modal.im, modal.residues, modal.direct]) {
      expect(values.every((value) => Math.fround(value) === value)).toBe(true);
    }
    expect(modal.re.every((re, i) => Math.hypot(re, modal.im[i]!) < 1)).toBe(true);
    expect(modal.im.every((im) => im >= 0)).toBe(true);
  });

  it("takes the order that is asked for", () => {
    const kernels = channelKernels(ownSystem(4, 6), 400);
    const errors = [2, 6, 12].map((order) => {
      const found = reduceChannels(kernels, { order });
      expect(found.order).toBeLessThanOrEqual(order);
      expect(found.met).toBe(true);
      return measured(kernels, found.modal);
    });
    expect(errors[1]!).toBeLessThan(errors[0]!);
    expect(errors[2]!).toBeLessThan(1e-5);
  });

  it("gives up on white noise, and says so", () => {
    const found = reduceChannels(noise(2000, 12), { tolerance: 1e-3 });
    expect(found.met).toBe(false);
    expect(found.reason).toContain("64 poles");
    expect(found.error).toBeGreaterThan(1e-3);
  });

  it("copes with silent channels, kernels of one lag and kernels of zeros", () => {
    const taps = channelKernels(ownSystem(3, 2), 300).taps.map((tap, i) => (i % 3 === 1 ? 0 : tap));
    const kernels: Kernels = { lags: 300, channels: 3, taps };
    expect(measured(kernels, reduceChannels(kernels, { tolerance: 1e-5 }).modal)).toBeLessThan(1e-5);
    const one: Kernels = { lags: 1, channels: 2, taps: Float64Array.of(0.5, -2) };
    expect(measured(one, reduceChannels(one, { tolerance: 1e-5 }).modal)).toBe(0);
    const zeros: Kernels = { lags: 50, channels: 2, taps: new Float64Array(100) };
    expect(reduceChannels(zeros, { tolerance: 1e-5 })).toMatchObject({ met: true, error: 0 });
  });

  it("refuses NaN", () => {
    const taps = channelKernels(ownSystem(2, 2), 50).taps;
    taps[7] = Number.NaN;
    const reduce = () => reduceChannels({ lags: 50, channels: 2, taps }, { tolerance: 1e-5 });
    expect(reduce).toThrow(expect.objectContaining({ code: "no-reduction" }));
  });
});

describe("certifyDiagonal", () => {
  it("bounds what is measured, channel by channel and for the layer", () => {
    const kernels = channelKernels(ownSystem(6, 7, 3), 500);
    const { modal } = reduceChannels(kernels, { order: 8 });
    const certificate = certifyDiagonal(kernels, modal, { beyond: "unknown" });
    expect(certificate.layer.relative).toBeGreaterThanOrEqual(measured(kernels, modal) * (1 - 1e-9));
    expect(certificate.layer.relative).toBeLessThan(measured(kernels, modal) * 1.001 + 1e-12);
    // the input that makes a channel's output error largest: x_j = sign e_{n-1-j}
    const found = channelKernels(modal, 500).taps;
    for (let c = 0; c < 6; c++) {
      let largest = 0;
      for (let k = 0; k < 500; k++) largest += Math.abs(kernels.taps[6 * k + c]! - found[6 * k + c]!);
      expect(certificate.error.one[c]!).toBeGreaterThanOrEqual(largest * (1 - 1e-9));
      expect(certificate.error.one[c]!).toBeLessThan(1.001 * largest);
    }
    expect(certificate.layer.outputPerLargestInput).toBe(Math.max(...certificate.error.one));
    expect(certificate.roundoff.bound).toHaveLength(6);
  });
});

describe("hankelSpectrum", () => {
  it("finds the singular values of a Hankel matrix", () => {
    // Σ of two real modes: rank 2, and the eigenvalues of [[a aᵀa, …]] in closed form
    const sequence = Float64Array.from({ length: 199 }, (_, k) => 3 * 0.9 ** k - 0.6 ** k);
    const { singularValues, vectors, energy, size } = hankelSpectrum(sequence, 4);
    expect(size).toBe(100);
    const sum = (a: number, b: number) => (1 - (a * b) ** 100) / (1 - a * b);
    // H = V D Vᵀ has the non-zero eigenvalues of D VᵀV
    const [p, q, r] = [3 * sum(0.9, 0.9), 3 * sum(0.9, 0.6), -sum(0.6, 0.9)];
    const s = -sum(0.6, 0.6);
    const [trace, determinant] = [p + s, p * s - q * r];
    const root = Math.sqrt(trace * trace - 4 * determinant);
    const expected = [(trace + root) / 2, (trace - root) / 2].map(Math.abs).sort((a, b) => b - a);
    expect(singularValues[0]!).toBeCloseTo(expected[0]!, 9);
    expect(singularValues[1]!).toBeCloseTo(expected[1]!, 9);
    expect(singularValues[2] ?? 0).toBeLessThan(1e-9);
    expect(energy).toBeCloseTo(expected[0]! ** 2 + expected[1]! ** 2, 6);
    expect(vectors()[0]!.reduce((total, x) => total + x * x, 0)).toBeCloseTo(1, 12);
  });
});

describe("least orders", () => {
  it("never ask for more than the system has", () => {
    const kernels = channelKernels(ownSystem(4, 3), 800);
    const own = lookAtChannels(kernels, { tolerance: 1e-6, maxOrder: 30 }).least;
    const shared = leastSharedOrder(kernels, 1e-6, 60);
    expect(own).toBeLessThanOrEqual(6);
    expect(own).toBeGreaterThanOrEqual(4);
    expect(shared).toBeLessThanOrEqual(20);
    expect(shared).toBeGreaterThan(2 * own);
  });

  it("see that noise has no compact state of either kind", () => {
    expect(leastSharedOrder(noise(3000, 6), 1e-3, 60)).toBe(61);
    expect(lookAtChannels(noise(3000, 6), { tolerance: 1e-3, maxOrder: 30 }).least).toBeGreaterThan(30);
  });
});
