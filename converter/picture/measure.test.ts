/** What is measured of a form, against arithmetic and against the certificate. */
import { expect, test } from "vitest";
import { certify } from "../certify/certify.ts";
import type { ChannelModal, Kernels, Modal } from "../solve/form.ts";
import { lagErrors, outputErrors, recur } from "./measure.ts";

/** Two channels, t_k = 0.5ᵏ and 3 (-0.8)ᵏ + 0.9ᵏ cos k, and their modal form. */
const modal: Modal = {
  channels: 2,
  pairs: { re: Float64Array.of(0.9 * Math.cos(1)), im: Float64Array.of(0.9 * Math.sin(1)) },
  reals: Float64Array.of(0.5, -0.8),
  residues: Float64Array.of(0, 1, 0, 0, 1, 0, 0, 3),
  direct: Float64Array.of(0, 0),
};
const kernels: Kernels = {
  lags: 40,
  channels: 2,
  taps: Float64Array.from({ length: 80 }, (_, i) => {
    const k = i >> 1;
    return i & 1 ? 3 * (-0.8) ** k + 0.9 ** k * Math.cos(k) : 0.5 ** k;
  }),
};
const firstChannel = { ...modal, channels: 1, residues: Float64Array.of(0, 0, 1, 0), direct: Float64Array.of(0.25) };

test("the recurrence's impulse response is the kernel", () => {
  const impulse = Float64Array.from({ length: 40 }, (_, i) => (i === 0 ? 1 : 0));
  recur(firstChannel, impulse, "float64").forEach((y, k) => {
    expect(y).toBeCloseTo(0.5 ** k + (k === 0 ? 0.25 : 0), 14);
  });
  const rounded = recur({ ...firstChannel, reals: Float64Array.of(Math.fround(0.1), 0) }, impulse, "float32");
  expect(rounded[1]).toBe(Math.fround(0.1));
  expect(rounded[3]).toBe(Math.fround(Math.fround(0.1) * Math.fround(Math.fround(0.1) ** 2)));
});

test("a known error is found at its lag and in its channel", () => {
  const wrong: Kernels = { ...kernels, taps: kernels.taps.slice() };
  wrong.taps[2 * 7] = wrong.taps[2 * 7]! + 1e-3;
  const norm = Math.hypot(...wrong.taps.filter((_, i) => i % 2 === 0));
  const { rms, largest, accumulated, channels } = lagErrors(wrong, modal);
  expect(channels).toBe(2);
  expect(largest[7]).toBeCloseTo(1e-3 / norm, 10);
  expect(rms[7]).toBeCloseTo(1e-3 / norm / Math.SQRT2, 10);
  expect(largest[6]).toBeLessThan(1e-14);
  expect(accumulated[6]).toBeLessThan(1e-14);
  expect(accumulated[39]).toBeCloseTo(1e-3 / norm, 10);
});

test("no output error exceeds the certificate, and the worst input reaches it", () => {
  const wrong: Kernels = { ...kernels, taps: kernels.taps.map((tap, i) => tap + 1e-4 * Math.sin(i)) };
  const { worst, random } = outputErrors(wrong, modal, certify(wrong, modal));
  expect(worst.map(({ channel }) => channel)).toEqual([0, 1]);
  expect(random).toHaveLength(2);
  for (const { certified, measured } of [...worst, ...random])
    expect(measured).toBeLessThanOrEqual(certified * (1 + 1e-12));
  for (const { certified, measured } of worst) expect(measured).toBeGreaterThan(0.999 * certified);
});

test("channels that are zero have no relative error", () => {
  const silent: Kernels = { lags: 40, channels: 2, taps: kernels.taps.map((tap, i) => (i % 2 ? 0 : tap)) };
  expect(lagErrors(silent, modal).channels).toBe(1);
  expect(outputErrors(silent, modal, certify(silent, modal)).worst).toHaveLength(1);
});

test("poles of each channel's own are measured like shared ones", () => {
  const [re, im] = [modal.pairs.re[0]!, modal.pairs.im[0]!];
  const own: ChannelModal = {
    channels: 2,
    pairs: 2,
    // Channel 0: the real pole 0.5 and padding; channel 1: the pair and the real pole -0.8
    re: Float64Array.of(0.5, re, 0, -0.8),
    im: Float64Array.of(0, im, 0, 0),
    residues: Float64Array.of(1, 1, 0, 0, 0, 3, 0, 0),
    direct: new Float64Array(2),
  };
  const wrong: Kernels = { ...kernels, taps: kernels.taps.map((tap, i) => tap + 1e-4 * Math.sin(i)) };
  const certificate = certify(wrong, modal);
  const compare = (a: ArrayLike<number>, b: ArrayLike<number>) => {
    expect(a.length).toBe(b.length);
    for (let k = 0; k < a.length; k++) expect(a[k]).toBeCloseTo(b[k]!, 12);
  };
  const [shared, diagonal] = [lagErrors(wrong, modal), lagErrors(wrong, own)];
  compare(diagonal.rms, shared.rms);
  compare(diagonal.largest, shared.largest);
  const measured = (form: typeof modal | ChannelModal) =>
    outputErrors(wrong, form, certificate).worst.map((each) => each.measured);
  compare(measured(own), measured(modal));
});
