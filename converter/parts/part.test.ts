/** A region is run without the layers before it, also where it reads its length off one of their outputs. */
import { describe, expect, test } from "vitest";
import { CHANNELS, KERNEL, small } from "../../test/small.ts";
import { zooModel } from "../../test/testdata.ts";
import { analyse } from "../analyse.ts";
import { readModel } from "../file/read.ts";
import type { Builder } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { partOf } from "./part.ts";

/** A convolution through a transform whose points are twice the length of another tensor. */
function transformed(b: Builder, x: string, other: string, output: string[] | undefined): string {
  const length = b.one("Shape", [other], { start: 1, end: 2 });
  const points = b.one("Squeeze", [b.one("Mul", [length, b.ints("two", [2])])]);
  const spectrum = (values: string) =>
    b.one("DFT", [b.one("Unsqueeze", [values, b.ints("last", [-1])]), points], { axis: 1, onesided: 1 });
  const zero = b.ints("zero", [0]);
  const rows = b.one("Slice", [b.floats("taps", [1, 64, CHANNELS], KERNEL), zero, length, b.ints("axis", [1])]);
  const parts = (values: string) => [0, 1].map((k) => b.one("Gather", [values, b.ints("part", k)], { axis: 3 }));
  const [[xRe, xIm], [kRe, kIm]] = [parts(spectrum(x)), parts(spectrum(rows))] as [string[], string[]];
  const re = b.one("Sub", [b.one("Mul", [xRe!, kRe!]), b.one("Mul", [xIm!, kIm!])]);
  const im = b.one("Add", [b.one("Mul", [xRe!, kIm!]), b.one("Mul", [xIm!, kRe!])]);
  const both = [re, im].map((values) => b.one("Unsqueeze", [values, b.ints("last", [-1])]));
  const back = b.one("DFT", [b.one("Concat", both, { axis: -1 }), points], { axis: 1, inverse: 1, onesided: 1 });
  const real = b.one("Gather", [back, b.ints("part", 0)], { axis: 3 });
  return b.one("Slice", [real, zero, length, b.ints("axis", [1])], {}, { outputs: output });
}

const twoLayers = () =>
  small({
    build(b) {
      const first = transformed(b, "x", "x", undefined);
      transformed(b, b.one("Tanh", [first]), first, ["y"]);
    },
  });

/** For each region, the openings of others that are run with it. */
async function runAlong(model: Model): Promise<readonly string[][]> {
  const { graphs, regions } = await analyse(model);
  expect(regions.length).toBeGreaterThan(1);
  const openings = new Set(regions.map(({ opening }) => opening));
  return regions.map(({ entry, exit, nodes }) => {
    const given = [{ name: entry.tensor, type: entry.type, dims: undefined }];
    const others = partOf(graphs, given, [exit.tensor]).graph.nodes.filter(
      ({ name }) => ![...nodes].some((node) => node.name === name),
    );
    return others.map(({ name }) => name).filter((name) => [...openings].some((each) => each.name === name));
  });
}

describe("no layer is run for its length", () => {
  test("where a transform is as long as the layer before it", async () => {
    expect(await runAlong(twoLayers())).toEqual([[], []]);
  });

  test.each(["tnn-toeplitz-torchscript", "tnn-fft-opset18", "hyena", "mixed"])("%s", async (name) => {
    for (const others of await runAlong(await readModel(zooModel(name).file))) expect(others).toEqual([]);
  });
});
