/** Layers with poles of each channel's own, converted by default: form, certified error, and PyTorch's outputs. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Conversion } from "../converter/conversion.ts";
import { convert } from "../converter/convert.ts";
import { METADATA } from "../src/contract.ts";
import { type Converted, openConverted, tokenByToken } from "./converted.ts";
import { casesOf, relativeDifference, zooModel } from "./testdata.ts";

/** Largest |difference| over largest |output| of PyTorch's. */
const TOLERANCE = 1e-3;
/** Numbers of state that these layers have by construction: 16 modes of S4D, one of them real, and 8 modes of H3. */
const MODELS = [
  { name: "s4d", diagonal: [32, 32] },
  { name: "h3", diagonal: [16, 16] },
] as const;

describe.each(MODELS)("$name", ({ name, diagonal }) => {
  const zoo = zooModel(name);
  let conversion: Conversion;
  let converted: Converted;

  beforeAll(async () => {
    conversion = await convert(zoo.file);
    converted = await openConverted(conversion.model);
  });
  afterAll(() => converted?.close());

  test("its state space layers get the order that they were made with", () => {
    const own = conversion.layers.filter(({ form }) => form === "diagonal");
    expect(own.map(({ order }) => order)).toEqual(diagonal);
    for (const { error, certificate, because } of own) {
      expect(error).toBeLessThanOrEqual(1e-5);
      expect(error).toBe(certificate!.layer.relative);
      expect(because).toContain("poles of each channel's own");
    }
    expect(conversion.layers.every(({ form }) => form !== "exact")).toBe(true);
    const { largest, tolerance } = conversion.check;
    expect(largest).toBeLessThanOrEqual(tolerance);
  });

  test("its state is declared as the metadata says", () => {
    const { graph, metadata } = conversion.model;
    const layers = JSON.parse(metadata.get(METADATA.layers)!) as {
      form: string;
      index: number;
      order: number;
      channels: number;
    }[];
    for (const { form, index, order, channels } of layers) {
      if (form !== "diagonal") continue;
      const past = graph.inputs.find((input) => input.name === `past_ssm.${index}`);
      expect(past?.dims?.slice(1)).toEqual([order, channels]);
    }
  });

  test.each(casesOf(zoo).map((each, set) => ({ set, ...each })))(
    "PyTorch's outputs, data set $set",
    async ({ input, output }) => {
      const length = input.tensor.dims[1]!;
      const some = [1, 2, 7, Math.ceil(0.6 * length), length].filter((cut, i, all) => all.indexOf(cut) === i);
      for (const cuts of [[length], tokenByToken(length), some]) {
        const outputs = await converted.run({ [input.name]: input.tensor }, cuts);
        expect(relativeDifference(outputs[output.name]!, output.tensor)).toBeLessThan(TOLERANCE);
      }
    },
  );
});

test("an order that is asked for is one of shared poles, as before", async () => {
  const { layers } = await convert(zooModel("s4d").file, { order: 16, checkTolerance: 10 });
  expect(layers.map(({ form, order }) => [form, order <= 16])).toEqual([
    ["compact", true],
    ["compact", true],
  ]);
});
