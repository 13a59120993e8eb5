/** A region is run without the layers before it, also where it reads its length off one of their outputs. */
import { describe, expect, test } from "vitest";
import { CHANNELS, KERNEL, small } from "../../test/small.ts";
import { zooModel } from "../../test/testdata.ts";
import { analyse } from "../analyse.ts";
import { readModel } from "../file/read.ts";
import { bytesOfLayers } from "../find/memory.ts";
import type { Builder } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { partOf } from "./part.ts";

const HEADS = 2;

/**
 * A convolution through a transform whose points are twice a length.
 * @param axis of time; the stream is [batch, time, channels], or [batch, heads, time, channels of each]
 */
function transformed(b: Builder, x: string, length: string, output: string[] | undefined, axis: 1 | 2 = 1): string {
  const points = b.one("Squeeze", [b.one("Mul", [length, b.ints("two", [2])])]);
  const spectrum = (values: string) =>
    b.one("DFT", [b.one("Unsqueeze", [values, b.ints("last", [-1])]), points], { axis, onesided: 1 });
  const zero = b.ints("zero", [0]);
  const taps = axis === 1 ? [1, 64, CHANNELS] : [1, HEADS, 64, CHANNELS / HEADS];
  const rows = b.one("Slice", [b.floats("taps", taps, KERNEL), zero, length, b.ints("axis", [axis])]);
  const parts = (values: string) => [0, 1].map((k) => b.one("Gather", [values, b.ints("part", k)], { axis: -1 }));
  const [[xRe, xIm], [kRe, kIm]] = [parts(spectrum(x)), parts(spectrum(rows))] as [string[], string[]];
  const re = b.one("Sub", [b.one("Mul", [xRe!, kRe!]), b.one("Mul", [xIm!, kIm!])]);
  const im = b.one("Add", [b.one("Mul", [xRe!, kIm!]), b.one("Mul", [xIm!, kRe!])]);
  const both = [re, im].map((values) => b.one("Unsqueeze", [values, b.ints("last", [-1])]));
  const back = b.one("DFT", [b.one("Concat", both, { axis: -1 }), points], { axis, inverse: 1, onesided: 1 });
  const real = b.one("Gather", [back, b.ints("part", 0)], { axis: -1 });
  return b.one("Slice", [real, zero, length, b.ints("axis", [axis])], {}, { outputs: output });
}

const lengthOf = (b: Builder, x: string) => b.one("Shape", [x], { start: 1, end: 2 });

const twoLayers = (lengthBehind = lengthOf) =>
  small({
    build(b) {
      const first = transformed(b, "x", lengthOf(b, "x"), undefined);
      transformed(b, b.one("Tanh", [first]), lengthBehind(b, first), ["y"]);
    },
  });

/** The first convolution is of heads, and goes on until they were joined and moved; the length of the second is read off a tensor in it. */
const readInside = (inside: (b: Builder, joined: string) => { length: string; moved: string }) => () =>
  small({
    build(b) {
      const size = (start: number) => b.one("Shape", ["x"], { start, end: start + 1 });
      const split = b.one("Concat", [size(0), size(1), b.ints("heads", [HEADS, CHANNELS / HEADS])], { axis: 0 });
      const swapped = (x: string) => b.one("Transpose", [x], { perm: [0, 2, 1, 3] });
      const heads = transformed(b, swapped(b.one("Reshape", ["x", split])), lengthOf(b, "x"), undefined, 2);
      const joint = b.one("Concat", [size(0), size(1), b.ints("channels", [CHANNELS])], { axis: 0 });
      const { length, moved } = inside(b, b.one("Reshape", [swapped(heads), joint]));
      transformed(b, b.one("Tanh", [moved]), length, ["y"]);
    },
  });

const turned = (b: Builder, x: string) => b.one("Transpose", [x], { perm: [0, 2, 1] });
const AXES = [1, -1];

const INSIDE = {
  "of a shape that is told": readInside((b, joined) => ({
    length: lengthOf(b, joined),
    moved: turned(b, turned(b, joined)),
  })),
  "that is moved afterwards": readInside((b, joined) => {
    const back = turned(b, turned(b, joined));
    const length = lengthOf(b, back);
    const apart = b.one("Unsqueeze", [back, b.ints("axes", AXES)]);
    return { length, moved: b.one("Squeeze", [b.one("Identity", [apart]), b.ints("axes", AXES)]) };
  }),
};

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

  test.each(Object.entries(INSIDE))("where it is read inside of it, %s", async (_, build) => {
    expect(await runAlong(build())).toEqual([[], []]);
  });

  test("or what that takes is known, where the length is read by ways that are not followed", async () => {
    /** All positions of what is chosen, and all are. */
    const chosen = (b: Builder, x: string) => {
      const places = b.one("Range", [b.ints("from", 0), b.one("Squeeze", [lengthOf(b, x)]), b.ints("step", 1)]);
      const all = b.one("Greater", [places, b.ints("least", -1)]);
      return lengthOf(b, b.one("Compress", [x, all], { axis: 1 }));
    };
    const bytesOfKernel = async (model: Model) => {
      const { graphs } = await analyse(model);
      const kernel = model.graph.nodes.filter(({ inputs }) => inputs[0]?.startsWith("taps")).at(-1)!;
      return bytesOfLayers(graphs, kernel.outputs[0]!);
    };
    expect(await bytesOfKernel(twoLayers())).toBeUndefined();
    const bytes = (await bytesOfKernel(twoLayers(chosen)))!;
    // the layer before it: its spectrum alone has n + 1 complex numbers in each channel
    expect(bytes(2 ** 17)).toBeGreaterThan(2 ** 17 * 2 * CHANNELS * 4);
  });

  test.each(["tnn-toeplitz-torchscript", "tnn-fft-opset18", "hyena", "mixed"])("%s", async (name) => {
    for (const others of await runAlong(await readModel(zooModel(name).file))) expect(others).toEqual([]);
  });
});
