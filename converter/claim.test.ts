/** A claim that ends below what a model is meant for: the length of its training, or the one that it was exported at. */
import { describe, expect, test } from "vitest";
import { zooModel } from "../test/testdata.ts";
import type { ConvertOptions } from "./conversion.ts";
import { convert } from "./convert.ts";

/** Exported for 48 positions. */
const STATIC = zooModel("tnn-fft-static").file;
/** Its kernel does not die away, so that a claim ends where it is followed to: by default at 16 384 lags. */
const ENDLESS = zooModel("tnn-no-decay").file;

const claimOf = async (file: string, options: ConvertOptions) => (await convert(file, options)).claim.positions;

describe("a model that was trained with more positions than are claimed", () => {
  test("is refused, with its training length, the claim, and what says that fewer are enough", async () => {
    await expect(convert(STATIC, { trainingLength: 512 })).rejects.toMatchObject({
      code: "claim-short",
      reason: expect.stringMatching(/was trained with 512 positions, and .* proven to 48 positions because/),
      where: { file: STATIC, node: expect.any(String) },
      remedy: expect.stringContaining("`require` 48"),
    });
    expect(await claimOf(STATIC, { trainingLength: 512, require: 48 })).toBe(48);
    expect(await claimOf(STATIC, { trainingLength: 48 })).toBe(48);
  });

  test("is told the horizon that reaches so far, and that one does", async () => {
    const trained = { trainingLength: 16_500, order: 2, checkTolerance: 1000 };
    await expect(convert(ENDLESS, trained)).rejects.toMatchObject({
      code: "claim-short",
      remedy: expect.stringContaining("`horizon` 16500"),
    });
    expect(await claimOf(ENDLESS, { ...trained, horizon: 16_500 })).toBe(16_500);
  });

  test("may be converted for fewer where the horizon says so", async () => {
    expect(await claimOf(STATIC, { trainingLength: 512, horizon: 40 })).toBe(40);
    expect(await claimOf(ENDLESS, { exact: true, trainingLength: 512, horizon: 64 })).toBe(64);
    // of an exact form, the training length is the horizon
    expect(await claimOf(ENDLESS, { exact: true, trainingLength: 512 })).toBe(512);
  });
});

test("a claim that has no end suits every training length", async () => {
  expect(await claimOf(zooModel("s4d").file, { trainingLength: 2 ** 24 })).toBeUndefined();
});
