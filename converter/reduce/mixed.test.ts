/** States that all channels share: as many as the kernels' ranks need, wherever the channels are fewest. */
import { describe, expect, it, test } from "vitest";
import { mixedModalOf, modalOf } from "../../test/recurrence/forms.ts";
import { kernelOf } from "../solve/evaluate.ts";
import { type Kernels, kernelsOwn, statesOf } from "../solve/form.ts";
import { mixedOf } from "../solve/mixed.ts";
import { reduceMixed } from "./mixed.ts";

const relative = (a: Kernels, b: Kernels) =>
  Math.hypot(...a.taps.map((tap, i) => tap - b.taps[i]!)) / Math.hypot(...b.taps);

describe("poles of rank one between channels", () => {
  it.each([
    ["fewer states than channels", 2, 1, 5, 6],
    ["one channel enters", 4, 1, 1, 5],
    ["one channel leaves", 3, 2, 4, 1],
    ["more states than channels", 6, 2, 2, 3],
  ] as const)("%s", (_, pairs, reals, inputs, outputs) => {
    const kernels = kernelOf(kernelsOwn(mixedModalOf({ pairs, reals, radius: [0.6, 0.95] }, inputs, outputs, 5)), 256);
    const { order, met, modal, error } = reduceMixed(kernels, { inputs, outputs }, { tolerance: 1e-5, maxOrder: 64 });
    expect(met).toBe(true);
    expect(order).toBeLessThanOrEqual(2 * pairs + reals);
    expect(statesOf(modal)).toBe(order);
    const own = relative(kernelOf(kernelsOwn(modal), 256), kernels);
    expect(own).toBeLessThan(1.01e-5);
    expect(Math.abs(own - error)).toBeLessThan(1e-9);
  });
});

it("says how near it comes where the kernels have no structure", () => {
  const taps = Float64Array.from({ length: 100 * 4 }, (_, i) => Math.sin(i * i));
  const { met, reason } = reduceMixed(
    { lags: 100, channels: 4, taps },
    { inputs: 2, outputs: 2 },
    { tolerance: 1e-5, maxOrder: 20 },
  );
  expect(met).toBe(false);
  expect(reason).toMatch(/^up to 20 shared states leave a relative error of/);
});

it("has the order that is asked for", () => {
  const kernels = kernelOf(kernelsOwn(mixedModalOf({ pairs: 5, reals: 0, radius: [0.6, 0.95] }, 3, 3)), 128);
  expect(reduceMixed(kernels, { inputs: 3, outputs: 3 }, { order: 4 }).modal.drive.length).toBe(4 * 3);
});

test.each([
  ["behind the inputs", 2, 5],
  ["before the outputs", 5, 2],
] as const)("poles that all kernels share, as states %s", (_, inputs, outputs) => {
  const modal = modalOf({ pairs: 3, reals: 2, radius: [0.5, 0.9] }, inputs * outputs);
  const mixed = mixedOf(modal, { inputs, outputs });
  expect(statesOf(mixed)).toBe(8 * Math.min(inputs, outputs));
  expect(relative(kernelOf(kernelsOwn(mixed), 100), kernelOf(modal, 100))).toBeLessThan(1e-12);
});
