/** Rounding is never larger than its certain bound, and the bound is not idly large. */

import { describe, expect, it } from "vitest";
import { worstFound } from "../../scripts/adversary.ts";
import { randomRpe } from "../../scripts/random-kernels.ts";
import { recurrence } from "../../scripts/recurrence.ts";
import { measureRoundoff, roundoffCases } from "../../scripts/roundoff-cases.ts";
import { signed, uniform } from "../../src/random.ts";
import { FORMS } from "../../test/recurrence/forms.ts";
import { inputOf, openRecurrence, reference, runInParts } from "../../test/recurrence/run.ts";
import { estimateDecay } from "../solve/decay.ts";
import { solveEtsc } from "../solve/etsc.ts";
import { channelsOf } from "../solve/evaluate.ts";
import { channelOf, channelsOfForm, type Modal } from "../solve/form.ts";
import { roundoffReach } from "./reach.ts";
import { roundoffOf } from "./roundoff.ts";

/** c ρ^k, one channel. */
const oneMode = (pole: number, residue = 1): Modal => ({
  channels: 1,
  pairs: { re: new Float64Array(0), im: new Float64Array(0) },
  reals: Float64Array.of(pole),
  residues: Float64Array.of(residue),
  direct: Float64Array.of(0),
});

/** Poles of every kind: fast, slow, on the unit circle, on the axes, twice, 0, ±1, not float32. */
function randomModal(seed: number): Modal {
  const next = uniform(seed);
  const normal = signed(seed + 1000);
  const modulus = () => [next(), 1 - 10 ** (-4 * next()), 1, 1 - 2 ** -22][Math.floor(4 * next())]!;
  const round = next() < 0.5 ? Math.fround : (x: number) => x;
  const pairs = Math.floor(5 * next());
  const [re, im] = [new Float64Array(pairs), new Float64Array(pairs)];
  for (let p = 0; p < pairs; p++) {
    const angle = [Math.PI * next(), Math.PI / 2, 0, 0.01 * next()][Math.floor(4 * next())]!;
    const size = modulus();
    re[p] = round(size * Math.cos(angle));
    im[p] = round(size * Math.sin(angle));
    if (p > 0 && next() < 0.2) [re[p], im[p]] = [re[p - 1]!, im[p - 1]!];
  }
  const reals = Float64Array.from({ length: 1 + Math.floor(3 * next()) }, () =>
    next() < 0.3 ? [0, 1, -1, 0.5][Math.floor(4 * next())]! : round(modulus() * (next() < 0.5 ? -1 : 1)),
  );
  const scale = 10 ** (4 * next() - 2);
  const residues = Float64Array.from({ length: 2 * pairs + reals.length }, () => scale * normal());
  // an imaginary part that a pair on the real axis does not have
  for (let p = 0; p < pairs; p++) if (im[p] === 0) residues[2 * p + 1] = 0;
  return { channels: 1, pairs: { re, im }, reals, residues, direct: Float64Array.of(next() < 0.5 ? 0 : normal()) };
}

/** Largest |ŷ - y| for random numbers or signs. */
function randomRoundoff(modal: Modal, steps: number, seed: number, precision: "float32" | "fused"): number {
  const [single, double, next] = [recurrence(modal, 0, precision), recurrence(modal, 0, "float64"), signed(seed)];
  let largest = 0;
  for (let i = 0; i < steps; i++) {
    const x = seed % 2 ? Math.sign(next()) || 1 : Math.fround(next());
    largest = Math.max(largest, Math.abs(single(x) - double(x)));
  }
  return largest;
}

describe("roundoffOf", () => {
  it("is exceeded neither by random inputs nor by those that a search finds", () => {
    for (let seed = 0; seed < 100; seed++) {
      const modal = randomModal(seed);
      const steps = 20 + Math.floor(400 * uniform(seed)());
      const { worst, expected } = roundoffOf(modal, steps, 1);
      expect(worstFound(modal, 0, { steps, tries: 8 }), `seed ${seed}`).toBeLessThanOrEqual(worst[0]!);
      for (const precision of ["float32", "fused"] as const) {
        expect(randomRoundoff(modal, steps, seed, precision), `seed ${seed}`).toBeLessThanOrEqual(expected[0]!);
      }
    }
  });

  it("holds where the states of many modes are bounded together", () => {
    for (const [lags, decay, seed] of [
      [160, 0.9, 1],
      [151, 0.99, 2],
      [256, 1, 3],
    ] as const) {
      const kernels = randomRpe(lags, 3, decay, seed);
      const modal = solveEtsc(kernels, estimateDecay(kernels).decay);
      const { worst, expected } = roundoffOf(modal, 2 * lags, 1);
      for (let c = 0; c < 3; c++) {
        expect(worstFound(modal, c, { steps: 2 * lags, tries: 4 })).toBeLessThanOrEqual(worst[c]!);
        const [single, double, next] = [recurrence(modal, c, "float32"), recurrence(modal, c, "float64"), signed(c)];
        for (let i = 0; i < 2 * lags; i++) {
          const x = Math.sign(next()) || 1;
          expect(Math.abs(single(x) - double(x))).toBeLessThanOrEqual(expected[c]!);
        }
      }
    }
  });

  // of a kernel that does not die away every step is searched
  const cases = [...roundoffCases(20_000).filter(({ memory }) => memory < 20_000), ...roundoffCases(8000).slice(6, 8)];
  it.each(cases)("is within ten times of what a search finds: $name", (each) => {
    const tries = each.modal.pairs.re.length > 64 || each.memory > 5000 ? 8 : 32;
    const { order, worst, expected } = measureRoundoff(each, { tries, passes: 4 }, 24);
    expect(worst.found).toBeLessThanOrEqual(worst.certified);
    expect(expected.found).toBeLessThanOrEqual(expected.certified);
    // one input cannot line up the roundings of hundreds of states
    expect(worst.certified / worst.found).toBeLessThan(order > 128 ? 50 : 10);
    expect(expected.certified / expected.found).toBeLessThan(10);
  });

  it("knows what is computed without rounding", () => {
    // u += x rounds once a step, at most by u (1 + 2 + … + n)
    const steps = 1000;
    const sum = roundoffOf(oneMode(1), steps, 1).worst[0]! / 2 ** -24;
    expect(sum).toBeGreaterThan((steps * steps) / 2);
    expect(sum).toBeLessThan((steps * steps) / 2 + 5 * steps);
    expect(roundoffOf(oneMode(0.5), steps, 1).worst[0]!).toBeLessThan(12 * 2 ** -24);
    expect(roundoffOf(oneMode(0), steps, 1).worst[0]!).toBeLessThan(4 * 2 ** -24);
  });

  it("grows with the steps for a pole on the unit circle, as their square or, expected, as they do", () => {
    const [short, long] = [1e3, 1e5].map((steps) => roundoffOf(oneMode(1), steps, 1));
    expect(long!.worst[0]! / short!.worst[0]!).toBeGreaterThan(5e3);
    expect(long!.expected[0]! / short!.expected[0]!).toBeLessThan(150);
    const forever = roundoffOf(oneMode(1), Number.POSITIVE_INFINITY, 1);
    expect([forever.worst[0], forever.expected[0]]).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
    expect(roundoffOf(oneMode(0.9), Number.POSITIVE_INFINITY, 1).worst[0]).toBeLessThan(1e-4);
  });

  it("counts coefficients that are not float32", () => {
    const of = (pole: number) => roundoffOf(oneMode(pole), 50, 1);
    expect(of(0.9).worst[0]).toBeGreaterThan(of(Math.fround(0.9)).worst[0]!);
    expect(of(0.9).expected[0]).toBeGreaterThan(of(Math.fround(0.9)).expected[0]!);
  });

  it("is infinite, not NaN, where float32 overflows", () => {
    const { worst, expected } = roundoffOf(oneMode(0.5, 3e38), 50, 10);
    expect(worst[0]).toBe(Number.POSITIVE_INFINITY);
    expect(expected[0]).not.toBeNaN();
  });
});

describe("roundoffReach", () => {
  const compact = (modal: Modal) => ({ kind: "compact" as const, modal, lags: 512 });

  it("is where a running sum's rounding is as large as was allowed", () => {
    const { worst, expected } = roundoffReach(compact(oneMode(1)), 1e-4);
    // u n² / 2 against 10⁻⁴ n
    expect(worst / (2e-4 / 2 ** -24)).toBeGreaterThan(0.97);
    expect(worst / (2e-4 / 2 ** -24)).toBeLessThanOrEqual(1);
    expect(expected).toBeGreaterThan(10 * worst);
    expect(randomRoundoff(oneMode(1), expected, 4, "float32")).toBeLessThan(1e-4 * Math.sqrt(expected));
    const found = worstFound(oneMode(1), 0, { steps: worst, tries: 64 });
    expect(found).toBeLessThan(1e-4 * worst);
    expect(found).toBeGreaterThan(1e-5 * worst);
  });

  it("has no end where states die away, nor for a window", () => {
    const none = { worst: Number.POSITIVE_INFINITY, expected: Number.POSITIVE_INFINITY };
    expect(roundoffReach(compact(oneMode(0.99)), 1e-3)).toEqual(none);
    const kernels = { lags: 4, channels: 1, taps: Float64Array.of(1, 2, 3, 4) };
    expect(roundoffReach({ kind: "window", kernels }, 1e-9)).toEqual(none);
  });

  it("is no more than a tolerance below float32 allows", () => {
    expect(roundoffReach(compact(oneMode(0.99)), 1e-9)).toEqual({ worst: 0, expected: 0 });
  });
});

describe.each(FORMS.filter(([, { kind }]) => kind !== "window" && kind !== "mixed"))(
  "in ONNX Runtime: %s",
  (_, form) => {
    it("a step rounds no more than is certified", async () => {
      const channels = channelsOfForm(form);
      const shape = [1, 400, channels] as const;
      const x = inputOf(400 * channels).map((value, i) => (i < 200 * channels ? value : Math.sign(value) || 1));
      const open = await openRecurrence(form, { path: "step" });
      const found = await runInParts(open, x, shape, new Array<number>(400).fill(1));
      const exact = reference(form, x, shape);
      for (let c = 0; c < channels; c++) {
        const modal =
          form.kind === "diagonal" ? channelOf(form.modal, c) : channelsOf((form as { modal: Modal }).modal, [c]);
        const { worst, expected } = roundoffOf(modal, 400, 1);
        for (let i = c; i < found.length; i += channels) {
          const error = Math.abs(found[i]! - exact[i]!);
          expect(error).toBeLessThanOrEqual(worst[0]!);
          expect(error).toBeLessThanOrEqual(expected[0]!);
        }
      }
    });
  },
);
