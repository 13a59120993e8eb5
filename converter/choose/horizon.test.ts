/** How many lags count, of kernels whose ends are known. */
import { describe, expect, test } from "vitest";
import type { Region } from "../find/region.ts";
import type { KernelEnd, SourcedKernels } from "../find/source.ts";
import { edgeOf, finiteLags, horizonOf, restAfter } from "./horizon.ts";

const region = { opening: { name: "conv", op: "Conv" } } as Region;
const LAGS = 4096;

const seen = (
  tap: (k: number) => number,
  { lags = LAGS, end = undefined as KernelEnd | undefined, rounded = false } = {},
) =>
  ({ lags, channels: 1, taps: Float64Array.from({ length: lags }, (_, k) => tap(k)), end, rounded }) as SourcedKernels;

describe("the edge", () => {
  test.each([1, 5, 100, 2048])("of %d taps of one size", (length) => {
    const kernels = seen((k) => (k < length ? 1 : 0));
    expect(edgeOf(kernels)).toEqual({ lags: length, sharp: true });
    expect(finiteLags(kernels)).toBe(length);
  });

  test("of more than half of what was looked at may be a kernel that was cut", () =>
    expect(finiteLags(seen((k) => (k < 2049 ? 1 : 0)))).toBeUndefined());

  test("of what dies away is none", () => {
    const kernels = seen((k) => (k < 1000 ? 0.98 ** k : 0));
    expect(edgeOf(kernels)).toEqual({ lags: 1000, sharp: false });
    expect(finiteLags(kernels)).toBeUndefined();
  });

  test("of a response to an impulse is above the rounding of a transform", () => {
    const noisy = (k: number) => (k < 64 ? 1 : 2 ** -22 * (k % 2 ? 1 : -1));
    expect(finiteLags(seen(noisy, { rounded: true }))).toBe(64);
    // in a tensor of the graph every number is meant
    expect(finiteLags(seen(noisy))).toBeUndefined();
  });

  test("of zeros alone is one lag", () => expect(edgeOf(seen(() => 0))).toEqual({ lags: 1, sharp: true }));
});

describe("the exact form's horizon", () => {
  const dying = (k: number) => 0.9 ** k;
  /** Where 0.9^k falls to a millionth of the whole, and the first number after. */
  const died = Math.ceil(Math.log(1e-6) / Math.log(0.9));

  test("is what is asked for", () => expect(horizonOf(region, seen(dying), { horizon: 77 }).lags).toBe(77));

  test("is where the kernel has died away", () =>
    expect(Math.abs(horizonOf(region, seen(dying), {}).lags - died)).toBeLessThan(3));

  test("is the training length where the kernel lives longer, and not where it has died before", () => {
    expect(
      horizonOf(
        region,
        seen(() => 1),
        { trainingLength: 512 },
      ).lags,
    ).toBe(512);
    expect(horizonOf(region, seen(dying), { trainingLength: 512 }).lags).toBeLessThan(140);
  });

  test("is 2 048 lags where a kernel lives on", () =>
    expect(
      horizonOf(
        region,
        seen(() => 1),
        {},
      ).lags,
    ).toBe(2048));

  test.each(["exported length", "table", "memory"] as const)("is the end of the graph: %s", (end) => {
    const kernels = seen(() => 1, { lags: 96, end });
    expect(horizonOf(region, kernels, { trainingLength: 512 }).lags).toBe(96);
    expect(horizonOf(region, kernels, { horizon: 96 }).lags).toBe(96);
    expect(() => horizonOf(region, kernels, { horizon: 97 })).toThrow(/97 lags.*96 only/);
  });
});

test("what follows a number of lags, against a sum of squares", () => {
  const kernels = seen((k) => 0.5 ** k);
  // of 0.5^k from lag n on: 0.5^n of the norm
  for (const lags of [1, 5, 20]) expect(restAfter(kernels, lags)).toBeCloseTo(0.5 ** lags, 12);
  expect(
    restAfter(
      seen((k) => (k < 8 ? 1 : 0)),
      8,
    ),
  ).toBe(0);
});
