/** Which poles win, for kernels that were made of known ones. */
import { describe, expect, test } from "vitest";
import { signed, uniform } from "../../src/random.ts";
import type { Kernels } from "../solve/form.ts";
import { contest } from "./contest.ts";

const [LAGS, CHANNELS] = [512, 24];
const TOLERANCE = 1e-5;

const made = (tap: (k: number, c: number) => number): Kernels => ({
  lags: LAGS,
  channels: CHANNELS,
  taps: Float64Array.from({ length: LAGS * CHANNELS }, (_, i) => tap(Math.floor(i / CHANNELS), i % CHANNELS)),
});

const residue = signed(7);
const residues = Float64Array.from({ length: 4 * CHANNELS }, () => residue() + 2 * Math.sign(residue()));
/** Two real poles that all channels share. */
const shared = made((k, c) => residues[c]! * 0.9 ** k + residues[CHANNELS + c]! * 0.97 ** k);
const draw = uniform(3);
const rates = Array.from({ length: CHANNELS }, () => 0.85 + 0.14 * draw());
/** A pole of each channel's own. */
const own = made((k, c) => rates[c]! ** k);
const noise = signed(11);
/** No poles to speak of. */
const noisy = made(() => noise());

describe("within a tolerance", () => {
  test("poles that all channels share are found, no more of them than there are", () => {
    const result = contest({ kernels: shared, shared: { tolerance: TOLERANCE, maxOrder: 128 }, diagonal: true });
    expect(result.diagonal?.reduction.met ?? false).toBe(false);
    expect(result.shared?.reduction).toMatchObject({ met: true, order: 2 });
    expect(result.shared!.certificate!.layer.relative).toBeLessThan(TOLERANCE);
  });

  test("poles of each channel's own win where many would have to be shared", () => {
    const result = contest({ kernels: own, shared: { tolerance: TOLERANCE, maxOrder: 128 }, diagonal: true });
    expect(result.diagonal?.reduction).toMatchObject({ met: true, order: 2 });
    expect(result.diagonal!.certificate!.layer.relative).toBeLessThan(TOLERANCE);
  });

  test("where they are not allowed, more are shared", () => {
    const result = contest({ kernels: own, shared: { tolerance: TOLERANCE, maxOrder: 128 }, diagonal: false });
    expect(result.diagonal).toBeUndefined();
    expect(result.shared?.reduction.met).toBe(true);
    expect(result.shared!.reduction.order).toBeGreaterThan(2);
  });

  test("noise has neither, and both say why", () => {
    const result = contest({ kernels: noisy, shared: { tolerance: TOLERANCE, maxOrder: 32 }, diagonal: true });
    expect(result.shared?.reduction.met ?? false).toBe(false);
    expect(result.diagonal?.reduction).toMatchObject({ met: false, reason: expect.stringMatching(/poles/) });
    expect(result.because ?? result.shared?.reduction.reason).toMatch(/shared poles/);
  });
});

test("an order that is asked for is kept, however large the error", () => {
  const result = contest({ kernels: own, shared: { order: 2 }, diagonal: true });
  expect(result.shared?.reduction).toMatchObject({ met: true, order: 2 });
  expect(result.shared!.reduction.error).toBeGreaterThan(TOLERANCE);
});
